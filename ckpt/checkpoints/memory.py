"""Checkpoints kept in a dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ckpt._model.tags import Tags
from ckpt.checkpoints.paths import key
from ckpt.errors import ExistsError


class DictHandler:
    """Keeps the values themselves, not copies, in `objects`: a dict of values for each path, such as `date=2017-01-01/MyPackage/foo`.

    To store other values under a path that is taken raises `ExistsError`, unless `force`.
    """

    def __init__(self, objects: dict[str, dict[str, Any]] | None = None, force: bool = False) -> None:
        self.objects = {} if objects is None else objects
        self.force = force

    def put(self, name: str, tags: Tags, values: Mapping[str, Any]) -> None:
        """Keep `values` under the path of `name` and `tags`."""
        path, kept = key(name, tags), dict(values)
        held = self.objects.setdefault(path, kept)
        if held is kept:
            return
        if self.force:
            self.objects[path] = kept
        elif not is_equal(held, kept):
            raise ExistsError(f"Other values are stored under {path!r} already.", hint="DictHandler(force=True), or tags that differ")


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
    except Exception:  # an object that cannot be compared may be another
        return False


def _is_equal_array(one: Any, other: Any) -> bool:
    import numpy as np

    first, second = np.asarray(one), np.asarray(other)
    if first.dtype != second.dtype:
        return False
    return np.array_equal(first, second, equal_nan=first.dtype.kind in "fcmM")
