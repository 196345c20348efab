"""Tags: a key and a value on whatever is recorded inside a `with` block, through calls, threads' contexts and tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ckpt.errors import UsageError

Tag = str | int | float | bool | None
Tags = tuple[tuple[str, Tag], ...]

_current: ContextVar[Tags] = ContextVar("ckpt_tags", default=())


@contextmanager
def tags(**named: Tag) -> Iterator[None]:
    """Tag every capture made inside the block, in addition to the tags of the blocks around it.

    Values are texts, numbers, booleans or None; anything else raises `UsageError`. A name that is already tagged further out is repeated,
    not replaced.
    """
    for name, value in named.items():
        if not isinstance(value, str | int | float | bool | None):
            raise UsageError(f"The tag {name!r} is a {type(value).__name__}.", hint=f"give a text or a number: ckpt.tags({name}=str(...))")
    token = _current.set((*_current.get(), *named.items()))
    try:
        yield
    finally:
        _current.reset(token)


def current_tags() -> Tags:
    """Return the tags in force, outermost first."""
    return _current.get()


def tags_json() -> str:
    """Return the tags in force as JSON."""
    held = _current.get()
    return json.dumps(held, separators=(",", ":")) if held else "[]"
