"""The names of checkpoints, and what was configured for them.

A checkpoint rests until a rule reaches it: a name, or the beginning of one up to a dot, for which a handler was configured. Rules also hold
for what is registered later, and for the new name of what is deprecated; the latest one counts. `resting` and `resting_under` say at once,
as the names were called, that there is nothing to do.
"""

from __future__ import annotations

import difflib
import os
import threading
from collections.abc import Iterable, Mapping
from functools import cache
from types import FunctionType
from typing import Any, Protocol, TypeGuard, runtime_checkable

from ckpt._model.tags import Tags
from ckpt.checkpoints.paths import full_name, full_names
from ckpt.checkpoints.warning import warn
from ckpt.errors import CheckpointDeprecationWarning, UsageError


@runtime_checkable
class Handler(Protocol):
    """Whatever keeps the values of checkpoints.

    A handler may also have `stage(values)`: a session gives it values when they come, and `put` what it returned when they are committed.
    """

    def put(self, name: str, tags: Tags, values: Mapping[str, Any]) -> object:
        """Keep `values` of the checkpoint with the full name `name`; `tags` are pairs, outermost first, in which names may repeat."""


#: Names of checkpoints that rest, as the program calls them: in one text, and as a prefix with names under it.
resting: dict[str, None] = {}
resting_under: dict[str, dict[str, None]] = {}

_lock = threading.RLock()
_handlers: dict[str, Handler | None] = {}
_renamed: dict[str, str] = {}
#: What was configured, latest last; None for what was switched off.
_rules: dict[str, Handler | None] = {}


def register(prefix: str | Iterable[str], names: str | Iterable[str] | None = None, /) -> None:
    """Make checkpoints known: `register("MyPackage", ["foo", "bar"])`, or a list of full names. Twice is harmless."""
    with _state():
        for name in full_names(prefix, names):
            _register(name)


def deprecate(*names: str) -> None:
    """Say that a checkpoint has a new name: `deprecate("MyPackage", "old", "new")`, or both names in full.

    Who configures the old name is warned, and has configured the new one. Raises `UsageError` for a name that would replace itself.
    """
    if len(names) not in {2, 3}:
        raise UsageError("A prefix, an old name and a new one, please.", hint='checkpoints.deprecate("MyPackage", "old", "new")')
    prefix = names[0] if names[2:] else None
    old, new = (full_name(prefix, name) for name in names[-2:])
    with _state():
        if _current(new) == old:
            raise UsageError(f"{new!r} cannot replace {old!r}: it is that name, or leads back to it.")
        before = _configured(_current(new))
        _renamed[old] = new
        _handlers.pop(old, None)
        new = _current(new)
        handler = _configured(new)
        if new in _handlers:
            _handlers[new] = handler
        _forget()
    if handler is not None and handler is not before:
        _warn_renamed(old, new)


def config(first: str | Iterable[str] | Handler, second: object = None, third: object = None, /, **options: Any) -> None:
    """Switch checkpoints on: `config(names, path, **options)`, `config(names, handler)` or `config(handler, names)`.

    `names` is one name, a list of names, or a prefix, which means all that are registered under it, now or later; or two parameters, a
    prefix and names: `config("MyPackage", ["foo", "bar"], path)`. `path` is a directory or an fsspec URL, and `options` are those of
    `FileHandler`. Of several calls that mean the same checkpoint the last one counts.

    A name under which nothing is registered yet takes effect when it is; that, and a deprecated name, is warned of.
    """
    given: tuple[object, object, object] = (first, None, second) if third is None else (first, second, third)
    prefix, names, handler = (second, third, first) if is_handler(first) else given
    kept = _handler(handler, options)
    if not isinstance(prefix, str | Iterable):
        raise UsageError(f"Checkpoints are configured by name, not by {prefix!r}.", hint=_hint(prefix))
    asked = full_names(prefix, names)
    if not asked:
        raise UsageError("No checkpoint is named.", hint=_hint(asked))
    with _state():
        renamed = {old: new for name in asked for old, new in _renamed_under(name)}
        current = list(map(_current, asked))
        unknown = [name for name in current if not _reached(name)]
        for name in current:
            _configure(name, kept)
    for old, new in renamed.items():
        _warn_renamed(old, new)
    _warn_unknown(unknown, "is switched on")


def disable(prefix: str | Iterable[str] | None = None, names: str | Iterable[str] | None = None, /) -> None:
    """Switch checkpoints off: those of a name, a list of names or a prefix; all of them without.

    What is not registered stays off when it is; a name that nobody has registered or configured is warned of.
    """
    unknown = []
    with _state():
        if prefix is None:
            _rules.clear()
            _handlers.update(dict.fromkeys(_handlers))
            return
        for name in map(_current, full_names(prefix, names)):
            if not _reached(name) and not any(_is_under(rule, name) for rule in _rules):
                unknown.append(name)
            _configure(name, None)
    _warn_unknown(unknown, "stays off")


def available() -> list[str]:
    """Return the names of all registered checkpoints, in the order of their registration; deprecated names are not among them."""
    with _state():
        return list(_handlers)


def enabled_checkpoints() -> list[str]:
    """Return the names of the checkpoints that are switched on."""
    with _state():
        return [name for name, handler in _handlers.items() if handler is not None]


def deprecated_checkpoints() -> dict[str, str]:
    """Return each deprecated name with the one that replaces it."""
    with _state():
        return dict(_renamed)


def handler_of(*called: str) -> tuple[str, Handler | None]:
    """Return full name and handler of a checkpoint as it was called, by prefix and name or by one text; register it if need be."""
    name = _current(full_name(*called) if called[1:] else full_name(None, *called))
    handler = _handlers.get(name)
    if handler is None:
        with _state():
            _register(name)
            handler = _handlers[name]
            if handler is None:
                (resting_under.setdefault(called[0], {}) if called[1:] else resting)[called[-1]] = None
    return name, handler


def _state() -> threading.RLock:
    """Return the lock of all that is written here."""
    _follow_forks()
    return _lock


@cache
def _follow_forks() -> None:
    """From the first name on, a forked child has a lock of its own: another thread may hold that of its parent."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_renew_lock)


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 - the one thing that a fork cannot share
    _lock = threading.RLock()


def is_handler(given: object) -> TypeGuard[Handler]:
    """Return whether something is a handler; quicker than to ask the protocol. A class whose objects would be handlers is none."""
    put = getattr(given, "put", None)
    return callable(put) and not (isinstance(given, type) and isinstance(put, FunctionType))


def _register(name: str) -> None:
    name = _current(name)
    if name not in _handlers:
        _handlers[name] = _configured(name)


def _configure(name: str, handler: Handler | None) -> None:
    """Let `handler` be that of `name` and of all under it; earlier rules for them are void."""
    for rule in [rule for rule in _rules if _is_under(rule, name)]:
        del _rules[rule]
    _rules[name] = handler
    for reached in _reached(name):
        _handlers[reached] = handler
    _forget()


def _forget() -> None:
    resting.clear()
    resting_under.clear()


def _configured(name: str) -> Handler | None:
    """Return the handler that the latest rule gives to a name, or to one that it had before."""
    called = [name, *(old for old in _renamed if _current(old) == name)]
    return next((handler for rule, handler in reversed(_rules.items()) if any(_is_under(each, rule) for each in called)), None)


def _reached(name: str) -> list[str]:
    """Return the registered names that a name means, those that deprecated ones have now among them."""
    renamed = [new for _, new in _renamed_under(name) if new in _handlers]
    return [*(known for known in _handlers if _is_under(known, name)), *renamed]


def _renamed_under(name: str) -> list[tuple[str, str]]:
    """Return the deprecated names that a name means, each with the new one, which the name does not mean anyway."""
    found = [(old, _current(old)) for old in _renamed if _is_under(old, name)]
    return [(old, new) for old, new in found if not _is_under(new, name)]


def _is_under(name: str, rule: str) -> bool:
    return name == rule or name.startswith(f"{rule}.")


def _current(name: str) -> str:
    while name in _renamed:
        name = _renamed[name]
    return name


def _handler(given: object, options: dict[str, Any]) -> Handler:
    if isinstance(given, str | os.PathLike):
        from ckpt.checkpoints.directory import FileHandler

        return FileHandler(given, **options)
    if not is_handler(given):
        raise UsageError(f"{given!r} is neither a path nor a handler.", hint=_hint(given))
    if options:
        raise UsageError(f"A handler is given complete: {', '.join(options)} cannot be set here.")
    return given


def _hint(given: object) -> str:
    """Return what `config` would rather be given."""
    if isinstance(given, type) and hasattr(given, "put"):
        return f"a handler is an object: {given.__name__}(...)"
    return 'checkpoints.config("MyPackage.foo", "./path"), or with a handler, which has a method put(name, tags, values)'


def _warn_unknown(names: Iterable[str], becomes: str) -> None:
    for name in names:
        nearest = "".join(f" Did you mean {each!r}?" for each in difflib.get_close_matches(name, available(), 1))
        warn(f"No checkpoint {name!r} is registered yet; it {becomes} when it is.{nearest}")


def _warn_renamed(old: str, new: str) -> None:
    warn(f"The checkpoint {old!r} is called {new!r} now, and that is what is configured.", CheckpointDeprecationWarning)
