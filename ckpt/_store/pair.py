"""The two open files of a journal that this process writes.

Nothing is written to a descriptor that is not ours: daemons close every number they find, and the next file the program opens gets it.
Such a pair is abandoned, never closed.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import threading
import time

from ckpt._model.interrupts import let_pass, tolerate
from ckpt._model.record import FORMAT
from ckpt._store.files import boot, create_file, host, read_at, sync_directory, try_lock, user, write_at
from ckpt._store.journal import bin_of
from ckpt._store.location import create

__all__ = ["Pair", "close_inherited", "go_on", "introduction", "unlink", "wait_for_files"]

#: How far from the end of a journal a line that was written in part is looked for.
TAIL = 1 << 16


#: Seconds that a fork waits at most for files to be made: on a disk that hangs, the program must not.
PATIENCE = 5.0


class Pair:
    """A `.jsonl` and a `.bin`, locked for this process, and how far they are filled."""

    __slots__ = (
        "bin",
        "bin_identity",
        "carried",
        "cut",
        "dead",
        "dead_bytes",
        "end",
        "flying",
        "line",
        "line_identity",
        "mending",
        "path",
        "pid",
        "retired",
        "shared",
        "synced",
        "threshold",
        "torn",
        "written",
    )

    def __init__(self, directory: str, threshold: int) -> None:
        """Make a new pair in `directory`, a store; its directories are made when they are missing. Raises OSError or `StoreError`."""
        create(directory)
        self.pid = os.getpid()
        stem = os.path.join(directory, "journals", f"{_stamp()}-{host()}-{self.pid}-{os.urandom(4).hex()}")
        self.path = stem + ".jsonl"
        self.line = self.bin = -1
        self.line_identity = self.bin_identity = (0, 0, 0)
        try:
            with _Making.lock:
                _open.add(self)
                self.line = create_file(stem + ".tmp", os.O_APPEND, high=True)
                try_lock(self.line, shared=False)  # before it appears: nobody ever sees it without its owner
                self.bin = create_file(stem + ".bin", high=True)
                self.line_identity, self.bin_identity = os.fstat(self.line)[1:4], os.fstat(self.bin)[1:4]
        except BaseException:
            self.discard()
            raise
        #: Bytes reserved in the `.bin`, bytes written to both files.
        self.end = self.written = 0
        #: Appends that are under way.
        self.flying = 0
        #: Whether the last line may be half written, whether it is, and whether it is being cut off.
        self.torn = self.cut = self.mending = False
        #: Shared records that are in this pair.
        self.shared: set[str] = set()
        #: Captures with lines here that nobody will ask for, the bytes of them, and above how many the pair is rewritten.
        self.dead: set[str] = set()
        self.dead_bytes, self.threshold = 0, threshold
        #: Whether another pair took over, and whether somebody carries the living records there.
        self.retired = self.carried = False
        #: Whether something here was promised to survive a power cut.
        self.synced = False

    def appear(self) -> None:
        """Give the journal its name, from which on readers see it."""
        os.rename(self.path[: -len("jsonl")] + "tmp", self.path)

    def is_ours(self, *, both: bool = True) -> bool:
        """Return whether the numbers (that of the `.bin` only with `both`) still are our files, and these still lie in a directory."""
        try:
            if os.fstat(self.line)[1:4] == self.line_identity and (not both or os.fstat(self.bin)[1:4] == self.bin_identity):
                return True
            return self._are_linked()
        except OSError as err:
            let_pass(err)
            return False

    def _are_linked(self) -> bool:
        """Return whether only the number of links has changed, and not to zero (a backup may link files)."""
        line, bin_ = os.fstat(self.line)[1:4], os.fstat(self.bin)[1:4]
        if line[:2] != self.line_identity[:2] or bin_[:2] != self.bin_identity[:2] or not line[2] or not bin_[2]:
            return False
        self.line_identity, self.bin_identity = line, bin_
        return True

    def write(self, at: int, data: bytes, lines: bytes) -> None:
        """Write `data` at `at` of the `.bin`, then `lines` at the end of the `.jsonl`; raise OSError unless all of it could be written."""
        if data:
            write_at(self.bin, data, at)
        if self.torn:
            if self.mending:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), self.path)
            lines = b"\n" + lines
            self.torn = False
        written = -1
        try:
            written = os.write(self.line, lines)
        finally:
            if written != len(lines):
                self.torn = True
        if written != len(lines):
            self.cut = True
            raise OSError(errno.ENOSPC, f"only {written} of {len(lines)} bytes could be written", self.path)

    def mend(self) -> None:
        """Cut off a line that was written in part. To be called while no append is under way; one that a signal brings now is refused."""
        self.mending = True
        try:
            size = os.fstat(self.line).st_size
            start = max(0, size - TAIL)
            whole = start + read_at(self.line, size - start, start).rfind(b"\n") + 1
            if start < whole < size:
                os.ftruncate(self.line, whole)
            self.torn = whole == start
            self.cut = False
        except OSError as err:  # then the next line begins with a newline
            let_pass(err)
        finally:
            self.mending = False

    def sync(self) -> None:
        """Wait until what was written is on the disk."""
        if not self.synced:
            self.synced = True
            sync_directory(os.path.dirname(self.path))
        os.fsync(self.bin)
        os.fsync(self.line)

    def close(self) -> None:
        """Close what is still ours, and so give up the lock."""
        for descriptor, identity in ((self.line, self.line_identity), (self.bin, self.bin_identity)):
            with tolerate(OSError):
                if os.fstat(descriptor)[1:3] == identity[:2]:
                    os.close(descriptor)
        _open.discard(self)

    def discard(self) -> None:
        """Remove a pair that is not finished: not yet, or just now, under its name. Its bytes go last, and stay where a line cannot go."""
        with tolerate(OSError):
            for name in (self.path[: -len("jsonl")] + "tmp", self.path, bin_of(self.path)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)
        for descriptor in (self.line, self.bin):
            if descriptor >= 0:
                with tolerate(OSError):
                    os.close(descriptor)
        _open.discard(self)

    def unlink(self) -> None:
        """Remove both files; the lines go first, since bytes without a line never happened."""
        unlink(self.path)


#: Pairs with open files, from before they are opened.
_open: set[Pair] = set()


class _Making:
    """What is held while files are made, so that a fork finds all that are open among `_open`."""

    lock = threading.RLock()


def wait_for_files() -> None:
    """Let no other thread be in the middle of making files when this one forks."""
    _Making.lock.acquire(timeout=PATIENCE)


def go_on() -> None:
    """Let other threads make files again."""
    with contextlib.suppress(RuntimeError):  # it waited in vain
        _Making.lock.release()


def close_inherited() -> None:
    """Close, in a forked child, the files of its parent: never unlocked, since the lock is that of the open file."""
    _Making.lock = threading.RLock()  # a thread that is not here may hold it
    for pair in list(_open):
        if pair.pid != os.getpid():
            pair.close()


def unlink(path: str) -> None:
    """Remove the journal `path`; the lines go first, since bytes without a line never happened. What a kill leaves counts as new."""
    with tolerate(OSError):
        os.utime(bin_of(path), follow_symlinks=False)
    for name in (path, bin_of(path)):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # what somebody put there stays
            os.unlink(name)


def introduction(run: str, version: str) -> bytes:
    """Return the event that every journal begins with: who writes it, in which format."""
    body = {
        "event": "opened",
        "format": FORMAT,
        "run": run,
        "host": host(),
        "boot": boot(),
        "pid": os.getpid(),
        "user": user(),
        "time": time.time(),
        "python": sys.version.split()[0],
        "ckpt": version,
    }
    return json.dumps(body, separators=(",", ":")).encode()


def _stamp() -> str:
    now = time.time_ns()
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(now // 10**9)) + f".{now % 10**9 // 1000:06d}Z"
