"""One captured call, made again in this process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import CodeType
from typing import TYPE_CHECKING, Any

from ckpt._model.record import Record
from ckpt._model.sources import is_project
from ckpt._replaying import verdicts
from ckpt._replaying.handling import Handled
from ckpt._replaying.modules import import_entries
from ckpt._replaying.verdicts import Replay
from ckpt.errors import CannotReplayError, DamagedError

if TYPE_CHECKING:
    from ckpt._replaying.rehydrate import Capture

_GENERATORS = 0x20 | 0x200

#: Makes a call and returns what it returns, looking on meanwhile; it is told the code of the function, where that is known.
Observe = Callable[[Callable[[], Any], CodeType | None], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Record):
    """Which replay is wanted, as data that can be handed to another process."""

    store: str
    id: str
    #: `current` or `captured`.
    code: str = "current"
    #: Whether to open a capture that this user neither made nor accepted.
    trust: bool = False
    #: Whether to run in this directory, not in the captured one.
    here: bool = False
    #: `name=LITERAL` or `name=@env:VARIABLE`, in the place of captured arguments.
    changes: Sequence[str] = ()
    #: Seconds after which loading, and then the call, is ended.
    timeout: float | None = None
    #: Whether each line is printed, and how many levels of the project's calls further down.
    trace: bool = False
    depth: int = 0
    #: Whether it is printed where the time went.
    profile: bool = False

    def open(self) -> Capture:
        """Return the capture, ready to be replayed as is wanted. Raises `NotFoundError`, `UsageError` and `UntrustedError`."""
        from ckpt._replaying.changes import parse_changes
        from ckpt._replaying.rehydrate import Capture
        from ckpt._store.capture_file import CaptureFile
        from ckpt._store.store import Store

        store = CaptureFile(self.store) if os.path.isfile(self.store) else Store(self.store)
        capture = Capture(store, self.id, code=self.code, trust=self.trust)
        capture.changes = parse_changes(self.changes)
        return capture

    def observe(self) -> Observe | None:
        """Return what looks on while the call is made, if anything does."""
        if self.trace:
            from ckpt._replaying.tracing import tracing

            return tracing(self.depth)
        if self.profile:
            from ckpt._replaying.profiling import profiled

            return profiled
        return None


def call_again(
    capture: Capture, *, here: bool = False, observe: Observe | None = None, about_to_call: Callable[[], None] | None = None
) -> Replay:
    """Return what calling the captured function again, in this process, shows.

    Only a KeyboardInterrupt is raised, as it may be a Ctrl-C; but not when something is done `about_to_call`, as in a process of its own,
    which no Ctrl-C reaches: there it is what the call raised.
    """
    with capture.surroundings(here=here), capture.sources_in_use():
        try:
            call, code = capture.target(), capture.code
        except (CannotReplayError, DamagedError) as error:
            return _told(capture, verdicts.cannot(error))
        if about_to_call is not None:
            about_to_call()
        handled = Handled(capture)
        started = time.perf_counter()
        try:
            with handled.watched():
                value = call() if observe is None else observe(call, code)
        except BaseException as error:  # whatever the user's function raises, SystemExit and a cancellation too
            if isinstance(error, KeyboardInterrupt) and about_to_call is None:
                raise
            return _told(capture, handled.judged(verdicts.raised(capture, error, time.perf_counter() - started)))
        return _told(capture, handled.judged(returned(capture, value, time.perf_counter() - started)))


def returned(capture: Capture, value: Any, duration: float | None = None) -> Replay:
    """Return what it means that the call returned `value` now, as far as that alone says it."""
    is_iterated = capture.code is not None and bool(capture.code.co_flags & _GENERATORS)
    return verdicts.returned(capture.header, value, duration, is_iterated=is_iterated)


def _told(capture: Capture, shown: Replay) -> Replay:
    return replace(shown, notes=tuple(capture.replay_notes))


def project_files(capture: Capture) -> list[str]:
    """Return the files whose change may change what a replay shows, as far as they are loaded or were captured."""
    loaded = (getattr(module, "__dict__", {}).get("__file__") for module in list(sys.modules.values()))
    main = (capture.process.get("main") or {}).get("file")
    known = [*(capture.process.get("files") or ()), *([main] if isinstance(main, str) else [])]
    return sorted({file for file in [*loaded, *known] if isinstance(file, str) and is_project(file)})


def missing_files(capture: Capture, error: BaseException | None) -> list[str]:
    """Return the files that would be the modules which `error` says are not there, in each directory the project is imported from."""
    names = {each.name for each in verdicts.related(error) if isinstance(each, ModuleNotFoundError) and each.name}
    entries = dict.fromkeys([*capture.project.roots(), *import_entries(capture.process)])
    roots = [entry for entry in entries if is_project(os.path.join(entry, "module.py"))]
    return [os.path.join(root, *name.split("."), *end) + ".py" for root in roots for name in sorted(names) for end in ((), ("__init__",))]
