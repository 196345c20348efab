"""Which values to leave out when not all of them can be kept: those that refuse, and the largest until the rest fits."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping, Sequence
from itertools import islice
from typing import Any

from ckpt._model.describe import describe, type_name
from ckpt._model.interrupts import let_pass
from ckpt._model.layout import fields_of
from ckpt._model.placeholder import Placeholder
from ckpt._model.reducing import RobustPickler
from ckpt._model.referring import has_default_reduction
from ckpt._model.sinks import Measure
from ckpt._model.thorough import LeftOut, ThoroughPickler

Container = MutableMapping[Any, Any] | list[Any]
Exclude = tuple[type, ...]

#: A container of more parts than this is left out as a whole: no part of it is to blame.
_PARTS_LIMIT = 1000


def replace_left_out(containers: Sequence[Container], left_out: LeftOut) -> None:
    """Put placeholders into the recorder's containers for the values that are left out as a whole."""
    for container in containers:
        for key, value in list(enumerate(container) if isinstance(container, list) else container.items()):
            if id(value) in left_out and type(value) is not Placeholder:
                described = describe(value)
                container[key] = Placeholder(described["type"], described["text"], left_out[id(value)][1])


def values_in(containers: Sequence[Container]) -> list[Any]:
    """Return the values in the containers that a recorder made."""
    return [value for container in containers for value in (container if isinstance(container, list) else container.values())]


def leave_out_largest(containers: Sequence[Container], limit: int, exclude: Exclude, left_out: LeftOut) -> None:
    """Add to `left_out` the largest values, or the parts of them that are to blame, until no more than `limit` bytes are left.

    What several values share counts for the first of them, so one call may not be enough.
    """
    kept = [value for value in values_in(containers) if id(value) not in left_out]
    sizes = _sizes(kept, exclude, left_out)
    total = sum(sizes)
    for size, value in sorted(zip(sizes, kept, strict=True), key=lambda pair: pair[0], reverse=True):
        if total <= limit:
            break
        blamed, blamed_size = _to_blame(value, size, exclude)
        left_out[id(blamed)] = (blamed, f"{blamed_size:,} bytes, more than fits into max_bytes={limit:,}")
        total -= blamed_size


def _to_blame(value: Any, size: int, exclude: Exclude) -> tuple[Any, int]:
    """Return the part of `value` that is most of it, and its size; `value` itself when no single part is."""
    above: LeftOut = {}
    while True:
        above[id(value)] = (value, "")  # a part may refer to what it is part of
        parts = [part for part in islice(_parts(value), _PARTS_LIMIT + 1) if id(part) not in above]
        if not parts or len(parts) > _PARTS_LIMIT:
            return value, size
        largest, part = max(zip(_sizes(parts, exclude, above), parts, strict=True), key=lambda pair: pair[0])
        if largest <= size // 2:
            return value, size
        value, size = part, largest


def _parts(value: Any) -> Iterable[Any]:
    kind = type(value)
    if kind is dict:
        return list(value.values())
    if kind is list or kind is tuple:
        return list(value)
    return list(fields_of(value).values()) if has_default_reduction(kind) else ()


def _sizes(values: Sequence[Any], exclude: Exclude, left_out: LeftOut) -> list[int]:
    """Return how much each value adds to a stream that has those before it."""
    sink, sizes, before = Measure(), [], 0

    def make() -> RobustPickler:
        if not left_out:
            return RobustPickler(sink, sink.take_buffer, exclude, {})
        return ThoroughPickler(sink, sink.take_buffer, exclude, {}, left_out=left_out, is_deep=False)

    pickler = make()
    for value in values:
        try:
            pickler.dump(value)
        except Exception as error:
            let_pass(error)
            pickler = make()
        sizes.append(sink.size - before)
        before = sink.size
    return sizes


def leave_out_offenders(containers: Sequence[Container], exclude: Exclude, left_out: LeftOut) -> None:
    """Add to `left_out` the values that cannot be encoded on their own."""
    for value in values_in(containers):
        sink = Measure()
        try:
            ThoroughPickler(sink, sink.take_buffer, exclude, {}, left_out=left_out, is_deep=True).dump(value)
        except Exception as error:
            let_pass(error)
            left_out[id(value)] = (value, _reason(error))


def leave_out_all(containers: Sequence[Container], left_out: LeftOut, reason: str) -> None:
    """Add every value to `left_out`."""
    for value in values_in(containers):
        left_out.setdefault(id(value), (value, reason))


def _reason(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else type_name(type(error))
