"""Where in values placeholders stand: `rows[3].lock`, one for each, the nearest first; `inside rows` where no expression leads there."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ckpt._model.describe import describe, instance_fields
from ckpt._model.placeholder import GoneClass, Placeholder
from ckpt._model.redact import MARK
from ckpt._replaying.arguments import described, named
from ckpt._replaying.steps import way_out
from ckpt._store.stored import Stored

#: Objects that are looked at, and places that are told.
LIMIT, MOST = 100_000, 10
_INSIDE = "inside "
#: Characters of a key in a path.
_KEY_LIMIT = 40
_LEAVES = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray, range})
_CLOSED = (type, ModuleType, CodeType)


def argument_gaps(stored: Stored, loaded: Mapping[str, Any], changes: Collection[str] = ()) -> list[str]:
    """Return a line for each placeholder among the `loaded` arguments that the records do not tell of; the last may count the rest.

    Arguments named in `changes` are given other values.
    """
    told = {record.name for record in described(stored) if record.reason}.union(changes)
    given = named(stored, loaded.get("args") or (), loaded.get("kwargs") or {})
    found = list(gaps({name: value for name, value in given.items() if name not in told}))
    lines = [f"{'the argument ' if path in given else ''}{path} is a placeholder: {reason}" for path, reason in found[:MOST]]
    return lines if len(found) <= MOST else [*lines, f"{len(found) - MOST} more values in the arguments are placeholders"]


def gaps(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield path and reason of each placeholder in the values, which are named by the keys."""
    waiting: deque[tuple[str, object]] = deque(values.items())
    seen: set[int] = set()
    while waiting and len(seen) < LIMIT:
        path, value = waiting.popleft()
        if type(value) in _LEAVES or id(value) in seen:
            continue
        seen.add(id(value))
        if issubclass(type(value), Placeholder):
            yield path, _reason(value, path)
        elif type(value) is GoneClass:
            yield path, str(value.__doc__)
        else:
            waiting.extend((path if path.startswith(_INSIDE) else place, part) for place, part in _parts(value, path))


def _reason(value: object, path: str) -> str:
    """Return why a value is not there; of a secret also how to give it."""
    kind, text, reason = (object.__getattribute__(value, f"ckpt_{name}") for name in ("type", "description", "reason"))
    return f"{reason}{way_out(path, kind)}" if text == MARK else str(reason)


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


def _text(key: object) -> str:
    text: str = describe(key)["text"]
    return text if len(text) <= _KEY_LIMIT else f"{text[:_KEY_LIMIT]}..."
