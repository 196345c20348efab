"""What all recorders of a process stand on: its store, its journal, what it has said of itself, and its warnings.

Made when the first capture is, and anew in a forked child's own journal by the journal itself. When it cannot be made, captures are off,
with one warning, and it is tried again later: at the next capture, then after ever longer pauses.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
import time
import warnings

from ckpt import _version
from ckpt._model import redact
from ckpt._model.config import read_config
from ckpt._model.describe import one_line, type_name
from ckpt._model.interrupts import let_pass, tolerate
from ckpt._model.record import Json
from ckpt._model.secrets import Secrets
from ckpt._model.sources import Sources
from ckpt._recording.process import arguments, describe_process
from ckpt._store import location, trust
from ckpt._store.objects import Objects
from ckpt._store.store import Store
from ckpt._store.writer import Journal
from ckpt.errors import CkptError, CkptWarning

#: Seconds after which it is looked again whether the source texts are still there.
PAUSE = 1.0
#: The longest pause, in seconds, before a store that could not be made is tried again.
LONGEST = 600.0


class Ground:
    """The store of this process, ready to be written to."""

    def __init__(self) -> None:
        found = location.resolve()
        location.create(found.path)
        for text in found.warnings:
            warn(text)
        self.objects = Objects(os.path.join(found.path, "objects"))
        self.journal = Journal(found.path, _key(), version=_version.VERSION)
        config = read_config(location.working_directory())
        redact.configure(config.secret, config.not_secret)
        #: The most that one capture may hold where its decorator does not say.
        self.max_bytes = config.max_bytes
        for text in config.complaints:
            warn(text)
        self._sources = Sources(config)
        #: The process that writes; a fork changes it.
        self.pid = os.getpid()
        self._names: dict[str, tuple[bytes, str]] = {}
        #: What the process record was last made of, and its name.
        self._said: tuple[object, str] = ((), "")
        #: The arguments of the program without the secrets of the captures so far; empty before there was one.
        self._argv: list[str] = []
        self._looked = time.monotonic()
        self.journal.open()  # from now on the store knows that this process lives, and spares the objects it makes
        _tidy_at_exit(found.path, config.quota)

    def process(self, secrets: Secrets | None = None) -> str:
        """Return the name of the process record as things stand now, without `secrets`, written with the first event that names it."""
        argv = self._argv
        if secrets is not None:  # this capture goes by what it makes of them itself: another thread may take its own out meanwhile
            argv = self._argv = [*map(secrets.cover, argv or arguments())]
        known = (len(sys.modules), location.working_directory(), len(sys.path), self.pid, len(self._sources.edited), argv)
        said = self._said
        if time.monotonic() - self._looked > PAUSE:
            self._looked = time.monotonic()
            self._keep_texts()
        if said[0] != known:
            sources = self._describe_sources()
            record = json.dumps(describe_process(sources, argv or None), separators=(",", ":"))
            name = self.journal.share("process", record.encode(), sorted(set(sources["files"].values())), self._keep_texts)
            # Both at once: another thread must not find the new state with the old name. Looking has shown which files have changed.
            self._said = said = ((*known[:-2], len(self._sources.edited), argv), name)
        return said[1]

    def _describe_sources(self) -> Json:
        """Return what the process record says of the project's sources."""
        texts = self._sources.texts()
        names = {file: name for file, text in texts.items() if (name := self._keep_text(file, text))}
        lost = {file: "its text could not be written" for file in texts if file not in names}
        config = self._sources.config
        return {
            "files": names,
            "modules": {module: file for module, file in self._sources.modules.items() if file in names},
            "edited": dict(self._sources.edited),
            "omitted": self._sources.omitted | lost,
            "limits": {"source_file_limit": config.source_file_limit, "source_total_limit": config.source_total_limit},
        }

    def source(self, file: str) -> str | None:
        """Return the name under which the text of a file is kept, or None when there is no text to be had."""
        self._sources.look_again()
        text = self._sources.text_of(file)
        return None if text is None else self._keep_text(file, text)

    def _keep_texts(self) -> None:
        """Put again what somebody has removed since."""
        for file, (text, _) in list(self._names.items()):
            self._keep_text(file, text)

    def _keep_text(self, file: str, text: bytes) -> str | None:
        held = self._names.get(file)
        if held is None or held[0] is not text or not self.objects.freshen(held[1]):
            try:
                held = self._names[file] = (text, self.objects.put_text(text))
            except (CkptError, OSError) as error:
                let_pass(error)
                return None
        return held[1]


def _key() -> bytes | None:
    try:
        key = trust.key()
    except CkptError as error:
        warn(f"Captures are not signed: {error.message} {error.hint}")
        return None
    return key


def _tidy_at_exit(path: str, quota: int) -> None:
    if not _Held.stores:
        atexit.register(_tidy)
    _Held.stores[path] = (os.getpid(), quota)


def _tidy() -> None:
    """Tidy the stores that this process wrote to, and keep them within their quota, when it ends cleanly: at most once an hour."""
    try:
        for path, (pid, quota) in _Held.stores.items():
            store = Store(path, version=_version.VERSION)
            if pid == os.getpid() and store.maintain():
                store.fit(quota)
    except Exception:  # at exit nothing may be said
        return


def _note_fork() -> None:
    _Held.lock = threading.RLock()  # a thread that is not here may hold it
    if _Held.ground is not None:
        _Held.ground.pid = os.getpid()


class _Held:
    """The ground of this process; None before the first capture, and when there is none to be had."""

    ground: Ground | None = None
    #: Until when nobody tries again, on the monotonic clock, and how long the pause after that is, in seconds.
    rest = pause = 0.0
    #: The stores that this process has written to: by whom, and how much each may hold.
    stores: dict[str, tuple[int, int]] = {}  # noqa: RUF012  one process, one dict
    lock = threading.RLock()
    said: set[str] = set()  # noqa: RUF012  one process, one set


def ground() -> Ground | None:
    """Return the ground of this process, or None when captures are off."""
    if _Held.ground is None and time.monotonic() >= _Held.rest:
        with _Held.lock:
            if _Held.ground is None:
                _Held.ground = _make()
    return _Held.ground


def forget() -> None:
    """Begin anew with the next capture: the store may be another."""
    held, _Held.ground = _Held.ground, None
    _Held.rest = _Held.pause = 0.0
    if held is not None:
        held.journal.close()


def _make() -> Ground | None:
    path = ""
    try:
        path = location.resolve().path
        return Ground()
    except (CkptError, OSError) as error:
        let_pass(error)
        _Held.rest, _Held.pause = time.monotonic() + _Held.pause, min(2 * _Held.pause + 1, LONGEST)
        said = f"{error.message} {error.hint}" if isinstance(error, CkptError) else f"{reason(error)}: {path!r}"
        warn(f"Nothing is captured: {said}".rstrip())
        return None


def reason(trouble: BaseException) -> str:
    """Return what went wrong in words that are the same each time: without the file that it happened to."""
    if isinstance(trouble, OSError) and trouble.errno is not None:
        return f"{type_name(type(trouble))}: {os.strerror(trouble.errno)}"
    return one_line(trouble)


def warn(text: str, file: str = "<ckpt>", line: int = 1) -> None:
    """Say once what was lost and why. Never raises, also where warnings are errors: then the line goes to standard error."""
    if text in _Held.said:
        return
    _Held.said.add(text)
    try:
        warnings.warn_explicit(text, CkptWarning, file, line, module="ckpt")
    except Exception as error:
        let_pass(error)
        say(f"CkptWarning: {text}")


def say(line: str) -> None:
    """Write a line to standard error; where that is closed or broken, there is nobody to tell."""
    with tolerate(Exception):
        sys.stderr.write(f"{line}\n")


def set_ckpt_dir(path: str | os.PathLike[str] | None) -> None:
    """Keep and look for captures in `path` from now on; None goes back to the rules. Nothing is made until something is captured."""
    location.set_ckpt_dir(path)
    forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
