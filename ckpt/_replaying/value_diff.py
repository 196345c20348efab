"""Where two values differ by content.

Builtin containers and the fields of objects are walked, those of a class that is gone among them; of what has none of these the bytes
decide. A value that was not kept cannot be compared, and that is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ckpt._model.codec import Limits, encode
from ckpt._model.describe import describe, instance_fields, type_name
from ckpt._model.placeholder import Gone, GoneClass, Placeholder

#: Levels that are walked, and differences that are told of one value.
DEPTH, MOST = 50, 10
TEXT_LIMIT = 80
_LEAVES = frozenset({type(None), bool, int, float, complex, str, bytes, GoneClass})
_LIMITS = Limits()
#: What an object of a class that is gone keeps besides its fields.
_OF_GONE = frozenset({"ckpt_arguments", "ckpt_items", "ckpt_state"})


def differences(then: object, now: object, name: str) -> list[str]:
    """Return `path: then -> now` for the first differences of two values, and what cannot be compared; nothing when they are the same."""
    walk, found = _Walk(), list[str]()
    for line in walk.walk(then, now, name, DEPTH):
        if len(found) == MOST:
            return [*found, f"{name}: ... and more", *walk.unknown(name)]
        found.append(line)
    return [*found, *walk.unknown(name)]


class _Walk:
    """One walk through two values; a pair that is met again is not walked again."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], tuple[object, object]] = {}
        #: Path and reason of what was not kept, and looks the same.
        self._unknown: list[tuple[str, str]] = []

    def unknown(self, name: str) -> list[str]:
        """Return the line about what could not be compared so far; none when everything could."""
        if not self._unknown:
            return []
        path, reason = self._unknown[0]
        more = f" (and {len(self._unknown) - 1} more in {name})" if len(self._unknown) > 1 else ""
        return [f"{path}: cannot be compared: {reason}{more}"]

    def walk(self, then: Any, now: Any, path: str, depth: int) -> Iterator[str]:
        if then is now or (id(then), id(now)) in self._seen:
            return
        self._seen[id(then), id(now)] = (then, now)
        kind = type(then)
        if type_name(kind) != type_name(type(now)) or kind in _LEAVES or not depth:
            if type_name(kind) != type_name(type(now)) or not _is_same_bytes(then, now):
                yield _line(then, now, path)
        elif kind is list or kind is tuple:
            yield from self._items(then, now, path, depth)
        elif kind is dict:
            yield from self._pairs(then, now, path, depth)
        elif kind is set or kind is frozenset:
            if then != now:
                yield _line(then, now, path)
        elif issubclass(kind, Placeholder):
            yield from self._stand_in(then, now, path, depth)
        else:
            yield from self._object(then, now, path, depth)

    def _stand_in(self, then: Any, now: Any, path: str, depth: int) -> Iterator[str]:
        if isinstance(then, Gone):
            yield from self._fields(vars(then), vars(now), path, depth)
        elif (then.ckpt_type, then.ckpt_description) != (now.ckpt_type, now.ckpt_description):
            yield _line(then, now, path)
        else:
            self._unknown.append((path, then.ckpt_reason))

    def _items(self, then: Any, now: Any, path: str, depth: int) -> Iterator[str]:
        if len(then) != len(now):
            yield f"{path}: {len(then)} items -> {len(now)}"
        for index, (one, other) in enumerate(zip(then, now, strict=False)):
            yield from self.walk(one, other, f"{path}[{index}]", depth - 1)

    def _pairs(self, then: dict[Any, Any], now: dict[Any, Any], path: str, depth: int) -> Iterator[str]:
        for key in [*then, *(key for key in now if key not in then)]:
            place = f"{path}[{_text(key)}]"
            if key not in now or key not in then:
                yield f"{place}: only {'then' if key in then else 'now'}"
            else:
                yield from self.walk(then[key], now[key], place, depth - 1)

    def _object(self, then: Any, now: Any, path: str, depth: int) -> Iterator[str]:
        same = _is_same_table(then, now)
        if same is not None:
            if not same:
                yield _line(then, now, path)
            return
        one, other = instance_fields(then, type(then)), instance_fields(now, type(now))
        if not one and not other:
            if not _is_same_bytes(then, now):
                yield _line(then, now, path)
            return
        yield from self._fields(one, other, path, depth)

    def _fields(self, one: dict[str, Any], other: dict[str, Any], path: str, depth: int) -> Iterator[str]:
        for name in [*one, *(name for name in other if name not in one)]:
            place = path if name in _OF_GONE else f"{path}.{name}"
            if name not in one or name not in other:
                yield f"{place}: only {'then' if name in one else 'now'}"
            else:
                yield from self.walk(one[name], other[name], place, depth - 1)


def _is_same_table(then: Any, now: Any) -> bool | None:
    """Return whether two arrays or tables hold the same, however they lie in memory; None for what is neither."""
    package = type(then).__module__.partition(".")[0]
    try:
        if package in {"pandas", "polars", "pyarrow"} and hasattr(then, "equals"):
            return bool(then.equals(now))
        if package == "numpy" and hasattr(then, "tobytes") and not then.dtype.hasobject:
            return bool(then.dtype == now.dtype and then.shape == now.shape and then.tobytes() == now.tobytes())
    except Exception:  # a table that cannot be compared is compared by its bytes
        return None
    return None


def _is_same_bytes(then: object, now: object) -> bool:
    if isinstance(then, GoneClass) and isinstance(now, GoneClass):
        return type_name(then) == type_name(now)
    if type(then) is type(now) and type(then) in _LEAVES:
        return repr(then) == repr(now) if type(then) in {float, complex} else then == now
    one, other = encode(then, [], _LIMITS), encode(now, [], _LIMITS)
    return one.stream == other.stream and [bytes(view) for view in one.buffers] == [bytes(view) for view in other.buffers]


def _line(then: object, now: object, path: str) -> str:
    before, after = _text(then), _text(now)
    if before == after:
        return f"{path}: another {type_name(type(now))}, {after}" if type(then) is type(now) else f"{path}: another type, {after}"
    return f"{path}: {before} -> {after}"


def _text(value: object) -> str:
    text: str = value.ckpt_description if type(value) is Placeholder else describe(value)["text"]
    return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}..."
