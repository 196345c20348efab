"""Copies of values in memory, and whether two of them are the same."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from ckpt._model import codec
from ckpt._model.interrupts import let_pass

_LIMITS = codec.Limits(max_bytes=sys.maxsize)


class Copy(NamedTuple):
    """A copy of a value."""

    value: Any
    #: Why something in it is only a placeholder; an empty text when it is whole.
    lost: str


def copied(name: str, value: Any) -> Copy:
    """Return what comes back when a value is written to a file and loaded, and shares nothing with it that can be changed."""
    from ckpt._replaying.functions import resolver

    encoded = _encoded(value)
    surroundings = codec.Surroundings(same_python=True, resolve=resolver(sys.modules.get("__main__")))
    (made,) = codec.decode(encoded.stream, [memoryview(bytearray(view)) for view in encoded.buffers], surroundings)
    return Copy(made, next(iter(encoded.lost.values()), ""))


def is_same(one: Any, other: Any) -> bool:
    """Whether two copies are the same to whoever looks at them, or were made of the same bytes."""
    try:
        if is_equal(one, other):
            return True
    except RecursionError:
        pass  # they contain themselves
    first, second = _encoded(one), _encoded(other)
    return first.stream == second.stream and list(map(bytes, first.buffers)) == list(map(bytes, second.buffers))


def _encoded(value: Any) -> codec.Encoded:
    root = [value]
    return codec.encode(root, [root], _LIMITS)


def is_equal(one: Any, other: Any) -> bool:
    """Whether two values are the same to whoever looks at them: containers and arrays item by item, and NaN equals NaN."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_equal(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(is_equal, one, other))
    if isinstance(one, float) and one != one:  # noqa: PLR0124 - what a NaN is
        return bool(other != other)  # noqa: PLR0124
    return _is_equal_object(one, other)


def _is_equal_object(one: Any, other: Any) -> bool:
    try:
        if hasattr(one, "equals"):  # tables and columns of pandas, polars and pyarrow
            return bool(one.equals(other))
        if hasattr(one, "__array__"):
            return _is_equal_array(one, other)
        return bool(one == other)
    except Exception as err:  # an object that cannot be compared may be another
        let_pass(err)
        return False


def _is_equal_array(one: Any, other: Any) -> bool:
    import numpy as np

    first, second = np.asarray(one), np.asarray(other)
    if first.dtype != second.dtype:
        return False
    return np.array_equal(first, second, equal_nan=first.dtype.kind in "fcmM")
