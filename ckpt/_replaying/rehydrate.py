"""A capture turned back into live objects: arguments, frames, the exception, a callable.

Opening one runs foreign code: it imports the modules that the values name and calls their constructors. What cannot be loaded is a
placeholder in its place; everything else opens all the same. Classes and functions of a script are the captured ones when a capture is
looked at, and today's when it is replayed.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import platform
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ckpt._model.codec import decode
from ckpt._model.loading import Surroundings
from ckpt._model.record import Frame, Header, Manifest
from ckpt._model.reducing import MAIN_NAMES
from ckpt._model.replaying import replaying
from ckpt._replaying import frames, functions, modules, namespaces
from ckpt._replaying.arguments import named
from ckpt._replaying.captured_code import CapturedProject
from ckpt._replaying.changes import changed
from ckpt._replaying.doubts import doubts, late_sources
from ckpt._replaying.folder_code import FolderProject
from ckpt._replaying.frames import Failure
from ckpt._replaying.texts import show_sources
from ckpt._store.capture_file import CaptureFile
from ckpt._store.store import Store
from ckpt._store.stored import Moment, Stored
from ckpt._store.trusted import check_trust
from ckpt.errors import CannotReplayError, CkptError, UsageError

if TYPE_CHECKING:
    from ckpt._replaying.verdicts import Replay


#: The code that a capture's values and function may be of: today's, or that which was loaded when it was made. Else the path of a folder.
CURRENT, CAPTURED = "current", "captured"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFrame:
    """A captured frame with its variables, as live objects."""

    record: Frame
    locals: dict[str, Any]
    globals: dict[str, Any]


class Capture:
    """A capture opened for use; every property loads what it needs when it is first asked for.

    `header` says what it is. Values that could not be kept or loaded are placeholders, which raise `PlaceholderError` when they are used.
    """

    def __init__(self, store: Store | CaptureFile, id: str, *, code: str = CURRENT, trust: bool = False) -> None:
        """Take the capture with this id; raise `UntrustedError` for another's, unless `trust`."""
        if code not in {CURRENT, CAPTURED} and not os.path.isdir(code):
            raise UsageError(f"There is no code {code!r}.", hint=f"{CURRENT}, {CAPTURED} or a folder")
        self.store = store
        self.stored = stored = store.get(id)
        #: Whether it is opened whoever made it.
        self.trust = trust
        if not trust:
            check_trust(stored)
        self.header: Header = stored.header
        #: The user's code: as it is today, as it was, or that of a folder.
        self.project = self._chosen(code)
        self.process = self.project.process
        #: Values that take the place of captured arguments, by the names of their parameters.
        self.changes: dict[str, Any] = {}
        self._entered = 0
        self._notes: list[str] = []

    def __repr__(self) -> str:
        return f"<ckpt capture {self.header.id}: {self.header.name}, {self.header.status}>"

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments: as they were at entry when entry was recorded, else as they were at the failure."""
        return tuple(_given(self._call_values, "args", list))

    @property
    def kwargs(self) -> dict[str, Any]:
        """The keyword arguments, of the same moment as `args`."""
        return dict(_given(self._call_values, "kwargs", dict))

    def arguments(self, function: Callable[..., Any]) -> dict[str, Any]:
        """Return the arguments under the names of their parameters, of the same moment as `args`.

        Objects of a script's classes are of those that the module of `function` has today. An argument of a `*args` is named by its
        position: `*0` and so on.
        """
        module = sys.modules.get(inspect.unwrap(function).__module__)
        values = self._values_of_call(functions.resolver(module if self.header.module in MAIN_NAMES else None))
        return named(self.stored, _given(values, "args", list), _given(values, "kwargs", dict))

    @cached_property
    def frames(self) -> list[LiveFrame]:
        """The frames of the failure, from the captured function (0) to the one that raised. Empty without a failure."""
        manifest = self.manifest
        if manifest is None or not manifest.exceptions:
            return []
        first = self._view
        found = [manifest.frames[entry.frame] for entry in manifest.exceptions[first[0]].traceback[first[1] :]]
        numbers = [entry.frame for entry in manifest.exceptions[first[0]].traceback[first[1] :]]
        values = self._failure_values
        return [
            LiveFrame(record=record, locals=_item(values["locals"], number), globals=_item(values["globals"], record.globals))
            for record, number in zip(found, numbers, strict=True)
        ]

    @property
    def locals(self) -> dict[str, Any]:
        """The local variables of the captured function when it failed. Raises `CkptError` for a capture without a failure."""
        if not self.frames:
            raise CkptError(f"{self.header.name} has no failure, and so no local variables.", hint="use .args and .kwargs")
        return self.frames[0].locals

    @cached_property
    def exception(self) -> BaseException | None:
        """The exception with real frames, causes and notes, for `raise`, `traceback` and a debugger; None without a failure."""
        return self._rebuilt.exception if self._rebuilt is not None else None

    @contextmanager
    def way_in(self) -> Iterator[int]:
        """Put the callers of the captured function in front of the exception's traceback; give how many they are."""
        if self._rebuilt is None:
            yield 0
            return
        exception, whole, above = self._rebuilt
        traceback = exception.__traceback__
        field = vars(BaseException)["__traceback__"]  # past a `__setattr__` of the user's
        field.__set__(exception, whole)
        try:
            yield above
        finally:
            field.__set__(exception, traceback)

    @cached_property
    def _rebuilt(self) -> Failure | None:
        manifest = self.manifest
        if manifest is None or not manifest.exceptions:
            return None
        values = self._failure_values
        return frames.rebuild_failure(manifest, values["exceptions"], values["locals"], values["globals"], self._view)

    @cached_property
    def manifest(self) -> Manifest | None:
        """The records of the failure; None for a capture without one."""
        return self.stored.failure.manifest() if self.stored.failure is not None else None

    @property
    def notes(self) -> list[str]:
        """What a person should know before trusting what is shown, one line each."""
        return [*self._version_notes(), *self._source_notes(), *late_sources(self.process), *self._placeholder_notes(), *self._notes]

    @property
    def replay_notes(self) -> list[str]:
        """Why a replay may show something else than the first run would, one line each."""
        return [*self._version_notes(), *doubts(self.stored, self.changes), *self.project.notes(), *self._notes]

    def call(self) -> Any:
        """Call today's function with the captured arguments and return what it returns; raise what it raises.

        A coroutine is run to its end; a generator is exhausted and its items are returned as a list. Raises `CannotReplayError` when
        the function is gone. Nothing is recorded.
        """
        with self.surroundings():
            return self.target()()

    def replay(self) -> Replay:
        """Call again and compare with what was captured."""
        from ckpt._replaying.replay import replay  # that room knows this one

        return replay(self)

    def target(self) -> Callable[[], Any]:
        """Return the prepared call. To be made, and called, inside `surroundings()`; raises `CannotReplayError`."""
        function, values, main = self._prepared
        args, kwargs = changed(function, _given(values, "args", list), _given(values, "kwargs", dict), self.changes)

        def call() -> Any:
            with modules.as_main(main, self.process):
                return run_to_the_end(function(*args, **kwargs))

        return call

    @cached_property
    def code(self) -> Any:
        """The code object of the function that a replay calls, for debuggers that stop at its first line."""
        return getattr(inspect.unwrap(self._prepared[0]), "__code__", None)

    @contextmanager
    def surroundings(self, *, here: bool = False) -> Iterator[None]:
        """Make this process a place where the capture can be opened and replayed; everything is given back afterwards.

        `sys.path` knows where its modules were, sources are shown as they were captured, nothing is recorded, and the working directory is
        the captured one if it exists, unless `here`.
        """
        with ExitStack() as stack:
            stack.enter_context(replaying())
            stack.enter_context(self._project())
            if not here:
                stack.enter_context(_directory(self.process.get("cwd", "")))
            yield

    @contextmanager
    def sources(self) -> Iterator[None]:
        """Show the source as it was captured, wherever a debugger or a traceback asks for it."""
        with show_sources(self._texts()):
            yield

    @contextmanager
    def sources_in_use(self) -> Iterator[None]:
        """Show the source that a replay runs: today's, or the captured."""
        with show_sources(self.project.texts()):
            yield

    @contextmanager
    def _project(self) -> Iterator[None]:
        """Let the project's modules be imported; inside another such block nothing is done."""
        self._entered += 1
        try:
            with self.project.entered() if self._entered == 1 else nullcontext():
                yield
        finally:
            self._entered -= 1

    def _chosen(self, code: str) -> modules.Project:
        if code in {CURRENT, CAPTURED}:
            return CapturedProject(self.process, self.stored.source) if code == CAPTURED else modules.Project(self.process)
        return FolderProject(self.process, os.path.abspath(code))

    @cached_property
    def process(self) -> dict[str, Any]:
        """What the capture says of the process it was made in."""
        return self.stored.process

    def _texts(self) -> dict[str, Callable[[], str]]:
        records = self.manifest.frames if self.manifest is not None else []
        return {record.file: _reader(self.stored, record.source) for record in records if record.source}

    @property
    def _view(self) -> tuple[int, int]:
        return self.stored.view or (0, 0)

    def _decode(
        self, moment: Moment, resolve: Callable[[str, str], object | None], made: dict[tuple[str, str], object] | None = None
    ) -> dict[str, Any]:
        surroundings = Surroundings(same_python=self._is_same_python(), resolve=resolve, made=made if made is not None else {})
        with self._project():
            values = decode(moment.stream(), moment.buffers(), surroundings)
        return values if isinstance(values, dict) else {}

    @cached_property
    def _failure_values(self) -> dict[str, Any]:
        assert self.stored.failure is not None
        made: dict[tuple[str, str], object] = {}
        values = {"exceptions": [], "locals": [], "globals": []} | self._decode(self.stored.failure, _captured_ones, made)
        if isinstance(values["globals"], list):
            namespaces.complete(values["globals"], made)
        return values

    @cached_property
    def _call_values(self) -> dict[str, Any]:
        return self._values_of_call(_captured_ones)

    def _values_of_call(self, resolve: Callable[[str, str], object | None]) -> dict[str, Any]:
        moment = self.stored.entry or self.stored.failure
        if moment is None:
            raise CannotReplayError(f"The arguments of {self.header.name} were not kept.")
        values = self._failure_values if moment is self.stored.failure and resolve is _captured_ones else self._decode(moment, resolve)
        if moment is self.stored.failure and self.stored.view is not None and self.manifest is not None:
            inner = self.manifest.call_at(self.stored.view)
            return values["inner"][inner] if inner is not None else values
        return values

    @cached_property
    def _prepared(self) -> tuple[Callable[..., Any], dict[str, Any], ModuleType | None]:
        main = self._main()
        values = self._values_of_call(functions.resolver(main))
        return self._function(main, values), values, main

    def _main(self) -> ModuleType | None:
        """Return today's script, when the capture was made in one, with the names it lacks filled from the capture."""
        if self.header.module not in MAIN_NAMES:
            return None
        main, notes = modules.load_main(self.process, self._captured_globals, self.project)
        self._notes += notes
        return main

    def _captured_globals(self, main: ModuleType) -> Mapping[str, Any]:
        """Return the globals of the script that were captured, its own classes and functions being those of `main`."""
        resolve = functions.resolver(main)
        held: dict[str, Any] = {}
        function = self._by_value_function(resolve)
        if function is not None:
            held |= getattr(inspect.unwrap(function), "__globals__", {})
        if self.stored.failure is not None:
            values = self._decode(self.stored.failure, resolve)
            held |= next((names for names in values["globals"] if names.get("__name__") in MAIN_NAMES), {})
        # Not the function itself: when it is gone today, that is the answer.
        return {name: value for name, value in held.items() if not name.startswith("__") and name != self.header.qualname.partition(".")[0]}

    def _function(self, main: ModuleType | None, values: dict[str, Any]) -> Callable[..., Any]:
        module, qualname = self.header.module, self.header.qualname
        held = values.get("function") or self._by_value_function(functions.resolver(main))
        if "<locals>" in qualname or "<lambda>" in qualname or (module in MAIN_NAMES and main is None):
            if held is None:
                raise CannotReplayError(f"The function {module}.{qualname} cannot be found, and was not kept by value.")
            self._notes.append(f"{qualname} is called as it was captured: no import finds it")
            return held  # type: ignore[no-any-return]
        function, notes = functions.find_callable(module, qualname, main)
        self._notes += notes
        return function

    def _by_value_function(self, resolve: Callable[[str, str], object | None]) -> Any:
        read = self.stored.function
        if read is None:
            return None
        values = decode(read(), (), Surroundings(same_python=self._is_same_python(), resolve=resolve))
        return values["function"]

    def _is_same_python(self) -> bool:
        return str(self.process.get("python", "")).split(".")[:2] == platform.python_version().split(".")[:2]

    def _version_notes(self) -> list[str]:
        if self._is_same_python():
            return []
        return [f"captured on Python {self.process.get('python', '?')}, opened on {platform.python_version()}"]

    def _source_notes(self) -> list[str]:
        changed = [file for file, read in self._texts().items() if not file.startswith("<") and _text_on_disk(file) != read()]
        return [f"{file} has changed since the capture" for file in changed]

    def _placeholder_notes(self) -> list[str]:
        moment = self.stored.entry or self.stored.failure
        manifest = moment.manifest() if moment is not None else Manifest()
        return [f"the argument {value.name} is a placeholder: {value.reason}" for value in manifest.arguments if value.reason]


def open_capture(store: Store, text: str | None = None, *, code: str = CURRENT, trust: bool = False) -> Capture:
    """Return the capture that `text` means: a name, `module.name`, `name~2`, an id or a unique prefix of one, or None for the newest.

    `code` says which code its values and its function are of: `current`, `captured`, or that of a folder. Raises `UntrustedError` for a
    capture of another's, unless `trust`.
    """
    return Capture(store, store.find(text).id, code=code, trust=trust)


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


def _captured_ones(module: str, qualname: str) -> object | None:
    """Take classes and functions that were kept by value as they were captured."""
    return None


def _given(values: dict[str, Any], key: str, kind: type) -> Any:
    found = values.get(key)
    if not isinstance(found, kind):
        raise CannotReplayError("The arguments cannot be loaded.", hint="ckpt show")
    return found


def _item(held: Any, number: int) -> dict[str, Any]:
    found = held[number] if isinstance(held, list) and number < len(held) else {}
    return found if isinstance(found, dict) else {}


def _reader(stored: Stored, name: str) -> Callable[[], str]:
    return lambda: stored.source(name)


def _text_on_disk(file: str) -> str | None:
    try:
        with open(file, "rb") as opened:
            return opened.read().decode("utf-8", "surrogateescape")
    except (OSError, ValueError):
        return None


@contextmanager
def _directory(path: str) -> Iterator[None]:
    if not os.path.isdir(path):
        yield
        return
    before = os.getcwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)


__all__ = ["Capture", "LiveFrame", "open_capture", "run_to_the_end"]
