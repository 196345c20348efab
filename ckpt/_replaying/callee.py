"""The function that a replay calls, with the captured arguments: in today's code, in the captured, or as it was kept by value."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from functools import cached_property
from types import FunctionType, ModuleType
from typing import Any

from ckpt._model.reducing import MAIN_NAMES
from ckpt._replaying import functions, modules
from ckpt._replaying.changes import changed
from ckpt._replaying.setting import Setting
from ckpt._replaying.values import Resolve, Values, part
from ckpt._store.stored import Stored
from ckpt.errors import CannotReplayError

#: What the names of functions hold that are made while a program runs, and are not found by them.
_MADE = ("<locals>", "<lambda>", "<partial>")


class Callee:
    """The function of one capture. It is looked for, and its arguments are loaded, when it is first asked for."""

    def __init__(self, stored: Stored, setting: Setting, values: Values) -> None:
        self._stored, self._setting, self._values = stored, setting, values
        self._header = stored.header
        #: What a person should know about what is called, one line each.
        self.notes: list[str] = []
        #: Whether what is called is the function as it was, since no import finds it today.
        self.is_as_captured = False

    def prepared(self, changes: Mapping[str, Any]) -> Callable[[], Any]:
        """Return the call, with `changes` in the place of captured arguments. Raises `CannotReplayError` when it cannot be made."""
        function, values, main = self._found
        args, kwargs = changed(function, part(values, "args", list), part(values, "kwargs", dict), changes)
        functions.check_fit(function, args, kwargs)

        def call() -> Any:
            with modules.as_main(main, self._setting.process):
                return run_to_the_end(function(*args, **kwargs))

        return call

    @property
    def function(self) -> Callable[..., Any]:
        """What is called. Raises `CannotReplayError` when it is not there."""
        return self._found[0]

    @property
    def code(self) -> Any:
        """The code object of the function."""
        return getattr(inspect.unwrap(self._found[0]), "__code__", None)

    @property
    def arguments(self) -> dict[str, Any]:
        """What the function was given, as `args` and `kwargs`; objects of a script's classes are of today's."""
        return self._found[1]

    @cached_property
    def _found(self) -> tuple[Callable[..., Any], dict[str, Any], ModuleType | None]:
        self._stored.check_values()
        if self._header.qualname == "<module>":
            raise self._no_function()
        try:
            main = self._main()
            values = self._values.of_call(functions.resolver(main))
            return self._function(main, values), values, main
        except CannotReplayError as err:
            if not self._stored.is_imported or type(self._setting.project) is not modules.Project:
                raise
            raise CannotReplayError(err.message, hint="--code FOLDER, where the project lies on this machine, or --code captured") from err

    def _main(self) -> ModuleType | None:
        """Return today's script, when the capture was made in one, with the names it lacks filled from the capture."""
        if self._header.module not in MAIN_NAMES:
            return None
        main, notes = modules.load_main(self._setting.process, self._captured_globals, self._setting.project)
        self.notes += notes
        return main

    def _captured_globals(self, main: ModuleType) -> Mapping[str, Any]:
        """Return the globals of the script that were captured, its own classes and functions being those of `main`."""
        resolve = functions.resolver(main)
        held = {**self._function_globals(resolve), **self._frame_globals(resolve)}
        # Not the function itself: when it is gone today, that is the answer.
        own = self._header.qualname.partition(".")[0]
        return {name: value for name, value in held.items() if not name.startswith("__") and name != own}

    def _function_globals(self, resolve: Resolve) -> dict[str, Any]:
        function = self._values.function(resolve)
        return getattr(inspect.unwrap(function), "__globals__", {}) if function is not None else {}

    def _frame_globals(self, resolve: Resolve) -> dict[str, Any]:
        if self._stored.failure is None:
            return {}
        values = self._values.decoded(self._stored.failure, resolve)
        return next((names for names in values["globals"] if names.get("__name__") in MAIN_NAMES), {})

    def _function(self, main: ModuleType | None, values: dict[str, Any]) -> Callable[..., Any]:
        module, qualname = self._header.module, self._header.qualname
        held = values.get("function") or self._values.function(functions.resolver(main))
        if any(mark in qualname for mark in _MADE) or (module in MAIN_NAMES and main is None):
            if held is None:
                raise CannotReplayError(f"The function {module}.{qualname} cannot be found, and was not kept by value.")
            return self._as_captured(held)
        try:
            function, notes = functions.find_callable(module, qualname, main)
        except CannotReplayError:
            if not _has_no_file(held):
                raise
            return self._as_captured(held)
        if not self._header.handled:  # that function need not have had @ckpt
            self.notes += notes
        return function

    def _as_captured(self, held: Any) -> Callable[..., Any]:
        self.is_as_captured = True
        self.notes.append(f"{self._header.qualname} is called as it was captured: no import finds it")
        return held  # type: ignore[no-any-return]

    def _no_function(self) -> CannotReplayError:
        header, file = self._header, (self._setting.process.get("main") or {}).get("file")
        where = f"module {header.module!r}" if header.module not in MAIN_NAMES else file or "a program that no file has"
        return CannotReplayError(
            f"{header.name!r} was captured at the top level of {where}, which is no function to be called again.",
            hint=f"ckpt debug {header.id} opens its frames; to make it again, run the program",
        )


def _has_no_file(function: Any) -> bool:
    """Whether a function was typed, or executed from a text: no file can have another state of it."""
    code = getattr(inspect.unwrap(function), "__code__", None) if isinstance(function, FunctionType) else None
    return code is not None and code.co_filename.startswith("<")


def run_to_the_end(value: Any) -> Any:
    """Return what a call gave; of a coroutine its result, of a generator the list of its items."""
    if inspect.iscoroutine(value):
        return asyncio.run(_awaited(value))
    if inspect.isgenerator(value):
        return list(value)
    if inspect.isasyncgen(value):
        return asyncio.run(_collected(value))
    return value


async def _awaited(value: Any) -> Any:
    return await value


async def _collected(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


__all__ = ["Callee", "run_to_the_end"]
