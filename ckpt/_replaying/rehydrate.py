"""A capture turned back into live objects: arguments, frames, the exception, a callable.

Opening one runs foreign code: it imports the modules that the values name and calls their constructors. What cannot be loaded is a
placeholder in its place; everything else opens all the same. Classes and functions of a script are the captured ones when a capture is
looked at, and today's when it is replayed.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from ckpt._model.record import Frame, Header, Manifest
from ckpt._model.reducing import MAIN_NAMES
from ckpt._replaying import frames, functions
from ckpt._replaying.arguments import named
from ckpt._replaying.callee import Callee
from ckpt._replaying.changes import new_places, with_changes
from ckpt._replaying.doubts import changed_sources, doubts, late_sources, missing_arguments, other_modules, other_python
from ckpt._replaying.frames import Failure
from ckpt._replaying.gaps import Gap, argument_gaps, lines
from ckpt._replaying.setting import CAPTURED, CURRENT, Setting
from ckpt._replaying.texts import on_disk, show_sources
from ckpt._replaying.values import Values, captured_ones, part
from ckpt._store.capture_file import CaptureFile
from ckpt._store.store import Store
from ckpt._store.trusted import check_trust
from ckpt.errors import CkptError

if TYPE_CHECKING:
    from ckpt._replaying.verdicts import Replay


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
        self.store = store
        self.stored = stored = store.get(id)
        #: Whether it is opened whoever made it.
        self.trust = trust
        if not trust and stored.has_values:  # without them there is nothing to run
            check_trust(stored)
        self.header: Header = stored.header
        self._code = code
        self._setting = Setting(stored, code)
        #: The user's code: as it is today, as it was, or that of a folder.
        self.project = self._setting.project
        #: What the capture says of the process it was made in.
        self.process = self._setting.process
        #: Values that take the place of captured arguments, by the names of their parameters, or of what lies in one: `config.password`.
        self.changes: dict[str, Any] = {}
        #: What was not kept inside the arguments that were loaded.
        self.gaps: list[Gap] = []
        #: What the changes put where nothing was, one line each.
        self._new_places: list[str] = []
        self._values = Values(stored, self._setting)
        self._callee = Callee(stored, self._setting, self._values)

    def __repr__(self) -> str:
        return f"<ckpt capture {self.header.id}: {self.header.name}, {self.header.status}>"

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments: as they were at entry when entry was recorded, else as they were at the failure."""
        return tuple(part(self._call_values, "args", list))

    @property
    def kwargs(self) -> dict[str, Any]:
        """The keyword arguments, of the same moment as `args`."""
        return dict(part(self._call_values, "kwargs", dict))

    def arguments(self, function: Callable[..., Any]) -> dict[str, Any]:
        """Return the arguments under the names of their parameters, of the same moment as `args`, with `changes` in them.

        Objects of a script's classes are of those that the module of `function` has today. An argument of a `*args` is named by its
        position: `*0` and so on.
        """
        module = sys.modules.get(inspect.unwrap(function).__module__)
        values = self._values.of_call(functions.resolver(module if self.header.module in MAIN_NAMES else None))
        return with_changes(self._under_names(values), self.changes)

    @cached_property
    def frames(self) -> list[LiveFrame]:
        """The frames of the failure, from the captured function (0) to the one that raised. Empty without a failure."""
        manifest = self.manifest
        if manifest is None or not manifest.exceptions:
            return []
        number, first = self._view
        entries = manifest.exceptions[number].traceback[first:]
        return [self._live_frame(entry.frame, manifest.frames[entry.frame]) for entry in entries]

    def _live_frame(self, number: int, record: Frame) -> LiveFrame:
        values = self._values.of_failure
        return LiveFrame(record=record, locals=_item(values["locals"], number), globals=_item(values["globals"], record.globals))

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
        values = self._values.of_failure
        return frames.rebuild(manifest, values["exceptions"], values["locals"], values["globals"], self._view)

    @property
    def manifest(self) -> Manifest | None:
        """The records of the failure; None for a capture without one."""
        return self._values.manifest

    @property
    def notes(self) -> list[str]:
        """What a person should know before trusting what is shown, one line each."""
        missing = [*missing_arguments(self.stored), *lines(self.gaps)]
        of_process = [*other_python(self.process), *changed_sources(self.stored, self._texts()), *late_sources(self.process)]
        return [*self._value_notes(), *of_process, *self._module_notes(), *missing, *self._callee.notes]

    @property
    def replay_notes(self) -> list[str]:
        """Why a replay may show something else than the first run would, one line each."""
        return [*doubts(self.stored, self.changes), *lines(self.gaps), *self._new_places, *self.project.notes(), *self._callee.notes]

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
        self._new_places = new_places(self._under_names(self._callee.arguments), self.changes)
        call = self._callee.prepared(self.changes)
        self.gaps = self._find_gaps(self._callee.arguments)
        return call

    @property
    def is_called_as_captured(self) -> bool:
        """Whether no import finds the function today, so that the prepared call is of the captured one."""
        return self._callee.is_as_captured

    def todays(self) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        """Return the function that a replay calls and its arguments, positional and by keyword, as that function knows their classes.

        To be asked for inside `surroundings()`; raises `CannotReplayError` when the function is gone.
        """
        values = self._callee.arguments
        self.gaps = self._find_gaps(values)
        return self._callee.function, tuple(part(values, "args", list)), dict(part(values, "kwargs", dict))

    @property
    def code(self) -> Any:
        """The code object of the function that a replay calls, for debuggers that stop at its first line."""
        return self._callee.code

    @contextmanager
    def surroundings(self, *, here: bool = False) -> Iterator[None]:
        """Make this process a place where the capture can be opened and replayed; everything is given back afterwards.

        `sys.path` knows where its modules were, sources are shown as they were captured, nothing is recorded, and the working directory is
        the captured one if it exists, unless `here`.
        """
        with self._setting.surroundings(here=here):
            yield

    @contextmanager
    def sources(self) -> Iterator[None]:
        """Show the source as it was captured, wherever a debugger or a traceback asks for it."""
        with show_sources(self._texts_on_disk() | self._texts()):
            yield

    @contextmanager
    def sources_in_use(self) -> Iterator[None]:
        """Show the source that a replay runs: today's, or the captured; what was typed has no other."""
        typed = {file: read for file, read in self._texts().items() if file.startswith("<")}
        with show_sources(typed | self.project.texts()):
            yield

    def _texts(self) -> dict[str, Callable[[], str]]:
        records = self.manifest.frames if self.manifest is not None else []
        read = self.stored.source
        texts: dict[str, Callable[[], str]] = {record.file: partial(read, record.source) for record in records if record.source}
        # A file that was exported without its directory: debuggers look for it in this one.
        return texts | {os.path.abspath(file): read for file, read in texts.items() if not file.startswith("<")}

    def _texts_on_disk(self) -> dict[str, Callable[[], str]]:
        """Return what a debugger would read by itself; of a capture that is opened whoever made it, lest that be a FIFO, or have no end."""
        if self.stored.has_values or self.manifest is None:
            return {}
        files = [file for record in self.manifest.frames for file in (record.file, os.path.abspath(record.file))]
        return {file: partial(_text_on_disk, file) for file in files}

    @property
    def _view(self) -> tuple[int, int]:
        return self.stored.view or (0, 0)

    @cached_property
    def _call_values(self) -> dict[str, Any]:
        values = self._values.of_call(captured_ones)
        self.gaps = self._find_gaps(values)
        return values

    def _find_gaps(self, values: dict[str, Any]) -> list[Gap]:
        return argument_gaps(self.stored, self._under_names(values), self.changes) if self._values.has_gaps else []

    def _under_names(self, values: dict[str, Any]) -> dict[str, Any]:
        return named(self.stored, part(values, "args", list), part(values, "kwargs", dict))

    def _module_notes(self) -> list[str]:
        is_todays = self._code == CURRENT and self.stored.has_values
        return list(other_modules(self.stored)) if is_todays else []

    def _value_notes(self) -> list[str]:
        return [] if self.stored.has_values else ["the capture holds no values (--no-values): variables are only described"]


def open_capture(store: Store, text: str | None = None, *, code: str = CURRENT, trust: bool = False) -> Capture:
    """Return the capture that `text` means: a name, `module.name`, `name~2`, an id or a unique prefix of one, or None for the newest.

    `code` says which code its values and its function are of: `current`, `captured`, or that of a folder. Raises `UntrustedError` for a
    capture of another's, unless `trust`.
    """
    return Capture(store, store.find(text).id, code=code, trust=trust)


def _text_on_disk(file: str) -> str:
    return on_disk(file) or ""


def _item(held: Any, number: int) -> dict[str, Any]:
    found = held[number] if isinstance(held, list) and number < len(held) else {}
    return found if isinstance(found, dict) else {}


__all__ = ["CAPTURED", "CURRENT", "Capture", "LiveFrame", "open_capture"]
