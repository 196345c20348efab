"""Exceptions that stand in for those that could not be loaded: they print the same, and are caught as the same builtin."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt._model.record import Raised

__all__ = ["stand_in_for_lost"]


def stand_in_for_lost(records: Sequence[Raised], loaded: Sequence[object]) -> list[BaseException]:
    """Return an exception for every record: the loaded one, or one of a made-up type."""
    # Not isinstance: a placeholder may lie about its `__class__`.
    ready = {number: cast("BaseException", exc) for number, exc in enumerate(loaded) if issubclass(type(exc), BaseException)}

    def find(number: int) -> BaseException:
        if number not in ready:
            raised = records[number]
            ready[number] = _stand_in(raised, ())  # For a record that claims to contain itself.
            ready[number] = _stand_in(raised, [find(member) for member in raised.members])
        return ready[number]

    return [find(number) for number in range(len(records))]


def _stand_in(raised: Raised, members: Sequence[BaseException]) -> BaseException:
    """Return an exception that a traceback shows with the recorded type and text."""
    module, _, name = raised.type.rpartition(".")
    if raised.type.startswith("__main__."):
        module, name = "__main__", raised.type.removeprefix("__main__.")
    base = _base(raised.type, members)
    namespace = {
        "__module__": module or "builtins",
        "__qualname__": name,
        "__doc__": f"Stands in for a {raised.type} that could not be loaded.",
        "__str__": lambda _: raised.text,
    }
    made = type(name.rpartition(".")[2], (base,), namespace)
    args = (raised.text, list(members)) if members else (raised.text,)
    exception: BaseException = base.__new__(made, *args)
    exception.args = args
    return exception


def _base(name: str, members: Sequence[BaseException]) -> type[BaseException]:
    if members:
        return ExceptionGroup if all(isinstance(member, Exception) for member in members) else BaseExceptionGroup
    base = getattr(builtins, name, None)
    # These two print, or are made, from more than a text.
    if not isinstance(base, type) or not issubclass(base, BaseException) or issubclass(base, SyntaxError | BaseExceptionGroup):
        return Exception
    return base
