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
import time

from ckpt._model.record import FORMAT
from ckpt._store.files import boot, create_file, host, sync_directory, try_lock, write_at
from ckpt._store.journal import bin_of
from ckpt._store.location import create

__all__ = ["Pair", "introduction", "unlink"]


class Pair:
    """A `.jsonl` and a `.bin`, locked for this process, and how far they are filled."""

    __slots__ = (
        "bin",
        "bin_identity",
        "carried",
        "dead",
        "dead_bytes",
        "end",
        "flying",
        "line",
        "line_identity",
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
        try:
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
        #: Whether the last line may be half written.
        self.torn = False
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
        except OSError:
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
            lines = b"\n" + lines
            self.torn = False
        written = -1
        try:
            written = os.write(self.line, lines)
        finally:
            if written != len(lines):
                self.torn = True
        if written != len(lines):
            raise OSError(errno.ENOSPC, f"only {written} of {len(lines)} bytes could be written", self.path)

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
            with contextlib.suppress(OSError):
                if os.fstat(descriptor)[1:3] == identity[:2]:
                    os.close(descriptor)

    def discard(self) -> None:
        """Remove a pair that never appeared."""
        stem = self.path[: -len("jsonl")]
        for descriptor, name in ((self.line, stem + "tmp"), (self.bin, stem + "bin")):
            if descriptor >= 0:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
                with contextlib.suppress(OSError):
                    os.unlink(name)

    def unlink(self) -> None:
        """Remove both files; the lines go first, since bytes without a line never happened."""
        unlink(self.path)


def unlink(path: str) -> None:
    """Remove the journal `path`; the lines go first, since bytes without a line never happened."""
    for name in (path, bin_of(path)):
        with contextlib.suppress(FileNotFoundError):
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
        "user": os.environ.get("USER") or (str(os.getuid()) if hasattr(os, "getuid") else ""),
        "time": time.time(),
        "python": sys.version.split()[0],
        "ckpt": version,
    }
    return json.dumps(body, separators=(",", ":")).encode()


def _stamp() -> str:
    now = time.time_ns()
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(now // 10**9)) + f".{now % 10**9 // 1000:06d}Z"
