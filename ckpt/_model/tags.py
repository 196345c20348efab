"""Tags: a key and a value on whatever is recorded inside a `with` block, through calls, threads' contexts and tasks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from math import isfinite

from ckpt.errors import UsageError

Tag = str | int | float | bool | None
Tags = tuple[tuple[str, Tag], ...]

_current: ContextVar[Tags] = ContextVar("ckpt_tags", default=())


@contextmanager
def tags(**named: Tag) -> Iterator[None]:
    """Tag every capture and checkpoint made inside the block, in addition to the tags of the blocks around it.

    Values are texts, numbers, booleans or None; anything else raises `UsageError`. A name that is already tagged further out is repeated,
    not replaced.
    """
    token = _add(named.items())
    try:
        yield
    finally:
        _give_back(token)


@contextmanager
def with_checkpoint_tags(*pairs: tuple[str, Tag], **named: Tag) -> Iterator[None]:
    """Tag as `tags` does, with pairs, in which a name may be any text and may come several times: all are kept, in order."""
    token = _add((*pairs, *named.items()))
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


def _add(pairs: Iterable[tuple[str, Tag]]) -> Token[Tags]:
    return _current.set((*_current.get(), *map(_checked, pairs)))


def _checked(pair: tuple[str, Tag]) -> tuple[str, Tag]:
    match pair:
        case (str() as name, str() | int() | float() | None as value) if name:
            return name, value
        case (str() as name, value) if name:
            hint = f"give a text or a number: ckpt.tags({name}=str(...))" if name.isidentifier() else "give a text or a number"
            raise UsageError(f"The tag {name!r} is a {type(value).__name__}.", hint=hint)
    raise UsageError(f"{pair!r} is no tag.", hint='give a name and a value: with_checkpoint_tags(("iteration", 1))')
