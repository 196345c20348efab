"""The globals of rebuilt frames: each frame has a copy of its own, which are kept alike, and in which its variables are found first."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt._model.record import Frame

__all__ = ["Shared", "WithLocals", "module_names"]


def module_names(record: Frame, outer: dict[str, Any]) -> dict[str, Any]:
    """Return the recorded globals, in their order, with what Python puts into every module."""
    names = dict(outer)
    if record.module:
        names.setdefault("__name__", record.module)
    names["__builtins__"] = builtins if record.module == "__main__" else vars(builtins)
    return names


class Shared(dict[str, Any]):
    """The globals of a rebuilt frame: what is assigned to them is assigned to those of all frames of the module.

    That holds for what goes through the methods, as debuggers do it, and for names assigned in a module's own frame. `STORE_GLOBAL`, for a
    `global` statement at a prompt, passes them by.
    """

    __slots__ = ("scopes",)

    def __init__(self, names: Mapping[str, Any]) -> None:
        super().__init__(names)
        self.scopes: Sequence[Shared] = ()

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        for scope in self.scopes:
            dict.__setitem__(scope, name, value)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        for scope in self.scopes:
            dict.pop(scope, name, None)

    def pop(self, name: str, *default: Any) -> Any:
        found = super().pop(name, *default)
        for scope in self.scopes:
            dict.pop(scope, name, None)
        return found


class WithLocals(Shared):
    """Globals in which the frame's local variables are found first.

    A lambda, comprehension or function typed at a debugger's prompt is compiled without the frame around it and looks for the frame's
    variables among the globals. `LOAD_GLOBAL` asks `__getitem__` of a dict that is not a plain one. Everything else (`get`,
    iteration, a copy) sees the globals alone.
    """

    __slots__ = ("locals",)

    def __init__(self, names: Mapping[str, Any]) -> None:
        super().__init__(names)
        self.locals: Mapping[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        try:
            return self.locals[name]
        except KeyError:
            return super().__getitem__(name)
