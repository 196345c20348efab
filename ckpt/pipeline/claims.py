"""Who computes a result: of several processes or threads that need the same one, the one that holds its claim.

A claim is a lock of the system's on one byte of a file, so that it ends with the process that holds it, however that ends. Where the system
knows no locks that belong to an open file (F_OFD_SETLK), it is a lock on a file of its own; where it knows none at all, everybody computes.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import struct
import zlib
from weakref import WeakSet

from ckpt._store.files import SAFE, try_lock

FILE = ".ckpt-claims"
#: `struct flock` of 64-bit Linux: type, whence, start, length, pid.
_FLOCK = "hhqqi4x"

_all: WeakSet[Claims] = WeakSet()


class Claims:
    """The claims of one run, in one directory."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._file = -1
        self._own: dict[str, int] = {}
        _all.add(self)

    def take(self, name: str) -> bool:
        """Claim a result; False while somebody else has it."""
        try:
            return self._lock(name)
        except OSError:  # no such directory, no such locks: nobody is asked
            return True

    def give(self, name: str) -> None:
        """Give a claim back."""
        if name in self._own:
            with contextlib.suppress(OSError):
                os.unlink(self._path(name))
            os.close(self._own.pop(name))
        elif self._file >= 0:
            with contextlib.suppress(OSError):
                self._set(name, is_held=False)

    def close(self) -> None:
        """Give everything back."""
        for name in list(self._own):
            self.give(name)
        self.leave()

    def leave(self) -> None:
        """Let go of everything without giving it back: in a forked child, where it is the parent's."""
        for descriptor in (self._file, *self._own.values()):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = -1
        self._own.clear()

    def _lock(self, name: str) -> bool:
        if not _has_byte_locks():
            return self._lock_own_file(name)
        if self._file < 0:
            self._file = os.open(os.path.join(self._directory, FILE), os.O_RDWR | os.O_CREAT | SAFE, 0o600)
        try:
            self._set(name, is_held=True)
        except OSError as err:
            if err.errno in {errno.EAGAIN, errno.EACCES}:
                return False
            raise
        return True

    def _set(self, name: str, *, is_held: bool) -> None:
        import fcntl

        at = zlib.crc32(name.encode()) << 8  # two of one number would only wait for each other
        kind = fcntl.F_WRLCK if is_held else fcntl.F_UNLCK
        fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, kind, os.SEEK_SET, at, 1, 0))  # type: ignore[attr-defined,unused-ignore]

    def _lock_own_file(self, name: str) -> bool:
        descriptor = os.open(self._path(name), os.O_RDWR | os.O_CREAT | SAFE, 0o600)
        if try_lock(descriptor, shared=False) is False or not _is_at(descriptor, self._path(name)):
            os.close(descriptor)
            return False
        self._own[name] = descriptor
        return True

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, f"{FILE}-{hashlib.sha256(name.encode()).hexdigest()[:16]}")


def _is_at(descriptor: int, path: str) -> bool:
    """Whether an open file is still the one of that name: its last holder may have removed it in the meantime."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


@functools.cache
def _has_byte_locks() -> bool:
    try:
        import fcntl
    except ImportError:
        return False
    return hasattr(fcntl, "F_OFD_SETLK") and os.uname().sysname == "Linux" and struct.calcsize("P") == 8  # noqa: PLR2004  bytes of a pointer


def _leave_to_parent() -> None:
    for each in list(_all):
        each.leave()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
