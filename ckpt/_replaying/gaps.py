"""Where in values something was not kept: `rows[3].lock`, the nearest first; `inside rows` where no expression leads there."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ckpt._model.describe import describe, instance_fields
from ckpt._model.placeholder import GoneClass, Placeholder
from ckpt._model.redact import MARK
from ckpt._replaying.arguments import described
from ckpt._replaying.steps import way_out
from ckpt._store.stored import Stored

#: Objects that are looked at, and places that are told.
LIMIT, MOST = 100_000, 10
_INSIDE = "inside "
#: Characters of a key in a path, and of a text that is told.
_KEY_LIMIT, _VALUE_LIMIT = 40, 80
_LEAVES = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray, range})
_CLOSED = (type, ModuleType, CodeType)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A place in values where something was not kept."""

    #: `the argument rows`, `rows[3].lock`, `inside rows`; of a secret in a text `in rows[3].url`.
    place: str
    #: What a person should know about it.
    line: str
    #: Whether it is a text with a secret in it masked, which can be used all the same; else a placeholder.
    is_masked: bool = False


def argument_gaps(stored: Stored, arguments: Mapping[str, Any], changes: Collection[str] = ()) -> list[Gap]:
    """Return the gaps among the loaded arguments, given by their names, but for placeholders that the records tell of.

    Arguments named in `changes` are given other values.
    """
    told = {record.name for record in described(stored) if record.reason}.union(changes)
    return list(gaps({name: value for name, value in arguments.items() if name not in told}))


def lines(found: Sequence[Gap]) -> list[str]:
    """Return a line for each gap; the last may count the rest."""
    told = [gap.line for gap in found[:MOST]]
    return told if len(found) <= MOST else [*told, f"{len(found) - MOST} more values in the arguments were not kept"]


def gaps(values: Mapping[str, object]) -> Iterator[Gap]:
    """Yield the gaps in the values, which are named by the keys: a secret in each of its places, anything else in the first."""
    waiting = deque((name, name, value) for name, value in values.items())
    seen: set[int] = set()
    while waiting and len(seen) < LIMIT:
        path, way, value = waiting.popleft()
        kind = type(value)
        if (kind in _LEAVES and not _is_masked(value)) or (id(value) in seen and not _is_secret(value)):
            continue
        gap = _gap(value, way, f"the argument {path}" if path in values else path, is_whole=way == path)
        if gap is not None:
            yield gap
        elif path.startswith(_INSIDE):
            waiting.extend((path, path, part) for _, part in _parts(value, path))
        else:  # what is in a tuple is given with the tuple
            waiting.extend((place, way if issubclass(kind, tuple) else place, part) for place, part in _parts(value, path))
        if kind not in _LEAVES:
            seen.add(id(value))


def _gap(value: object, way: str, place: str, *, is_whole: bool) -> Gap | None:
    """Return what is to be said of a value, of a secret also how to give it; None for one that was kept.

    `way` leads to it, or, when it is not `is_whole`, to what it can only be given with.
    """
    kind = type(value)
    if _is_masked(value):
        is_inside = way.startswith(_INSIDE)
        given = way_out(way.removeprefix(_INSIDE), kind.__name__ if is_whole and not is_inside else "")
        place = place if is_inside else f"in {place}"
        line = f"a secret {place} was kept as {MARK}: {_text(value, _VALUE_LIMIT)}{given}"
        return Gap(place=place, line=line, is_masked=True)
    if kind is GoneClass:
        return Gap(place=place, line=f"{place} is a placeholder: {value.__doc__}")
    if not issubclass(kind, Placeholder):
        return None
    told, reason = (object.__getattribute__(value, f"ckpt_{name}") for name in ("type", "reason"))
    given = way_out(way, told if is_whole else "")
    return Gap(place=place, line=f"{place} is a placeholder: {reason}{given if _is_secret(value) else ''}")


def _is_masked(value: object) -> bool:
    """Whether a text was kept with a secret in it masked; the mask alone is the program's own."""
    if type(value) is str:
        return MARK in value and value != MARK
    return type(value) is bytes and MARK.encode() in value


def _is_secret(value: object) -> bool:
    return _is_masked(value) or (issubclass(type(value), Placeholder) and object.__getattribute__(value, "ckpt_description") == MARK)


def _parts(value: Any, path: str) -> Iterator[tuple[str, object]]:
    """Yield what an object holds, and the paths to it."""
    kind = type(value)
    if issubclass(kind, _CLOSED):
        return
    fields = instance_fields(value, kind)
    yield from ((f"{path}.{name}", field) for name, field in fields.items())
    if kind is FunctionType:
        yield from _enclosed(value, path)
    elif issubclass(kind, dict):
        yield from ((f"{path}[{_text(key)}]", item) for key, item in list(dict.items(value)))
        yield from ((f"{_INSIDE}{path}", key) for key in list(dict.keys(value)))
    elif issubclass(kind, list | tuple | deque):
        yield from ((f"{path}[{place}]", item) for place, item in enumerate(_plain(value, kind)))
    elif not fields:
        yield from ((f"{_INSIDE}{path}", part) for part in gc.get_referents(value) if part is not kind)


def _plain(value: Any, kind: type) -> Iterator[object]:
    """Return the items of a list, tuple or deque past an `__iter__` of the user's."""
    base = next(each for each in (list, tuple, deque) if issubclass(kind, each))
    return iter(base.__iter__(value))


def _enclosed(function: FunctionType, path: str) -> Iterator[tuple[str, object]]:
    """Yield the variables that a function has of its own."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        for contents in gc.get_referents(cell):  # an empty one has none
            yield f"{path}.{name}", contents


def _text(value: object, limit: int = _KEY_LIMIT) -> str:
    text: str = describe(value)["text"]
    return text if len(text) <= limit else f"{text[:limit]}..."
