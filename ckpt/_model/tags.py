"""Tags: a key and a value on whatever is recorded inside a `with` block, through calls, threads' contexts and tasks.

A value is held as a text, a number, a boolean or None: what JSON can say, and a level of a path.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from math import isfinite
from typing import Any

from ckpt._model.redact import MARK, holds_something, is_secret
from ckpt.errors import UsageError

Tag = str | int | float | bool | None
Tags = tuple[tuple[str, Tag], ...]

_current: ContextVar[Tags] = ContextVar("ckpt_tags", default=())


@contextmanager
def tags(**named: object) -> Iterator[None]:
    """Tag every capture and checkpoint made inside the block, in addition to the tags of the blocks around it.

    Values are texts, numbers, booleans or None, those of numpy too. Dates and times become texts in ISO 8601, members of an `Enum` their
    names (their values where these are texts or numbers by type), and paths, decimals, fractions, durations and UUIDs their texts; anything
    else raises `UsageError`. A name that is already tagged further out is repeated, not replaced.
    """
    token = _set((*_current.get(), *map(checked, named.items())))
    try:
        yield
    finally:
        _give_back(token)


@contextmanager
def with_checkpoint_tags(*pairs: tuple[str, object], **named: object) -> Iterator[None]:
    """Tag as `tags` does, with pairs, in which a name may be any text and may come several times: all are kept, in order."""
    token = _set((*_current.get(), *map(checked, (*pairs, *named.items()))))
    try:
        yield
    finally:
        _give_back(token)


@contextmanager
def only_tags(*pairs: tuple[str, object]) -> Iterator[None]:
    """Tag with these pairs, in the place of whatever is in force, until the block ends.

    For a process that is handed the `current_tags()` of another: a forked one has inherited them already, a started one has none.
    """
    token = _set(map(checked, pairs))
    try:
        yield
    finally:
        _give_back(token)


def current_tags() -> Tags:
    """Return the tags in force, outermost first."""
    return _current.get()


def tags_json() -> str:
    """Return the tags in force as JSON."""
    held = _current.get()
    if not held:
        return "[]"
    held = tuple([(name, MARK if is_secret(name) and holds_something(value) else value) for name, value in held])
    try:
        return _dumps(held)
    except ValueError:
        return _dumps([(name, _as_text(value)) for name, value in held])


_dumps = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
#: Python refuses to print larger integers, of more than 4,300 decimal digits.
_DIGITS = 10**4300


def _as_text(value: Tag) -> Tag:
    """Return a number that JSON does not have, or Python does not print, as a text."""
    if isinstance(value, float) and not isfinite(value):
        return float.__repr__(value)
    return hex(value) if isinstance(value, int) and not -_DIGITS < value < _DIGITS else value


def _give_back(token: Token[Tags]) -> None:
    try:
        _current.reset(token)
    except ValueError:  # a generator was begun in one context and is ended in another, which does not have these tags
        return


def _set(pairs: Iterable[tuple[str, Tag]]) -> Token[Tags]:
    return _current.set(tuple(pairs))


def checked(pair: tuple[str, object]) -> tuple[str, Tag]:
    """Return a name and a value as a tag; raise `UsageError` for what is none."""
    match pair:
        case (str() as name, str() | int() | float() | None as value) if name:
            return name, value
        case (str() as name, value) if name:
            return name, _plain(name, value)
    raise UsageError(f"{pair!r} is no tag.", hint='give a name and a value: with_checkpoint_tags(("iteration", 1))')


def _plain(name: str, value: object) -> Tag:
    """Return a value of another type as the text or number that it stands for."""
    for base in type(value).__mro__:
        if form := _FORMS.get(f"{base.__module__}.{base.__qualname__}"):
            return form(value)
    if isinstance(value, os.PathLike) and isinstance(path := os.fspath(value), str):
        return path
    hint = f"give a text or a number: ckpt.tags({name}=str(...))" if name.isidentifier() else "give a text or a number"
    raise UsageError(f"The tag {name!r} is a {type(value).__name__}.", hint=hint)


#: Types that stand for a text or a number, by name: none of their modules is imported for it.
_FORMS: dict[str, Callable[[Any], Tag]] = {
    "datetime.date": lambda value: value.isoformat(),
    "datetime.time": lambda value: value.isoformat(),
    "datetime.timedelta": str,
    "decimal.Decimal": str,
    "enum.Enum": lambda value: value.name or str(value.value),
    "fractions.Fraction": str,
    "numpy.bool": bool,
    "numpy.bool_": bool,  # before numpy 2
    "numpy.datetime64": str,
    "numpy.floating": lambda value: float(str(value)),  # 0.1 of 32 bits is 0.1, not 0.10000000149011612
    "numpy.integer": int,
    "numpy.timedelta64": str,
    "uuid.UUID": str,
}
