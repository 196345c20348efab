"""Files of a store as the system sees them: opened without trust, locked without waiting, new ones for this user alone."""

from __future__ import annotations

import errno
import os
import re
import stat
from functools import cache

from ckpt._model.interrupts import let_pass, tolerate
from ckpt.errors import DamagedError

__all__ = [
    "LOWEST",
    "SAFE",
    "boot",
    "create_file",
    "host",
    "is_held",
    "is_private",
    "open_file",
    "read_at",
    "read_file",
    "sync_directory",
    "try_lock",
    "user",
    "write_at",
]

#: Descriptors that stay open are moved out of the way of programs that count on low numbers.
LOWEST = 64
#: What the system says of a file that is not one for us, now or later.
CLOSED_TO_US = {errno.EACCES, errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EPERM}
SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def open_file(path: str) -> tuple[int, int]:
    """Open a regular file of the store for reading; return its descriptor and size.

    Links are not followed and a FIFO is not waited for: they raise `DamagedError`, as does a file that this user may not read. One that is
    gone raises FileNotFoundError, and what may be another time (too many files are open) raises OSError: nobody may take that for damage.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | SAFE | getattr(os, "O_NONBLOCK", 0))
    except OSError as err:
        if err.errno not in CLOSED_TO_US:
            raise
        raise DamagedError(f"{path!r} cannot be read: {err.strerror}.") from err
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise DamagedError(f"{path!r} is not a regular file.")  # noqa: TRY301  whatever is wrong, it is closed
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status.st_size


def read_file(path: str, limit: int) -> bytes:
    """Return the bytes of a regular file of the store; raises as `open_file`, and `DamagedError` for more than `limit`."""
    descriptor, size = open_file(path)
    with open(descriptor, "rb", buffering=0):
        if size > limit:
            raise DamagedError(f"{path!r} has {size} bytes, which is too much.")
        return read_at(descriptor, size, 0)


def read_at(descriptor: int, length: int, at: int) -> bytes:
    """Return up to `length` bytes from the offset `at`; fewer only where the file ends."""
    data = os.pread(descriptor, length, at)
    while 0 < len(data) < length and (more := os.pread(descriptor, length - len(data), at + len(data))):
        data += more
    return data


def write_at(descriptor: int, data: bytes, at: int) -> None:
    """Write all of `data` at the offset `at`, or raise OSError."""
    done = os.pwrite(descriptor, data, at)
    while done < len(data):
        more = os.pwrite(descriptor, memoryview(data)[done:], at + done)
        if not more:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done += more


def create_file(path: str, flags: int = 0, *, high: bool = False) -> int:
    """Make a new file, 0600 whatever the umask, and return its descriptor, which a started program does not inherit."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | SAFE | flags, 0o600)
    try:
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        os.unlink(path)
        raise
    if not high:
        return descriptor
    try:
        import fcntl

        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LOWEST)
    except (ImportError, OSError) as err:  # no such call, or no such numbers allowed
        let_pass(err)
        return descriptor
    with tolerate(OSError):
        os.close(descriptor)
    return moved


def try_lock(descriptor: int, *, shared: bool) -> bool | None:
    """Take the lock of an open file without waiting; None where the system or the file system has no such locks.

    The lock is that of `flock`: it belongs to the open file, so a forked child that closes its copy does not give it away.
    """
    try:
        import fcntl
    except ImportError:
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as err:
        let_pass(err)
        return None
    return True


def is_held(path: str) -> bool | None:
    """Return whether a process holds the journal `path` open for writing; None when that cannot be told.

    Probers share the lock, so that two of them do not take each other for the owner.
    """
    try:
        descriptor, _ = open_file(path)
    except FileNotFoundError:
        return False
    except (OSError, DamagedError) as err:  # too many files are open, or it is none: nobody may take it for dead
        let_pass(err)
        return None
    try:
        free = try_lock(descriptor, shared=True)
        return None if free is None else not free
    finally:
        os.close(descriptor)


def is_private(status: os.stat_result) -> bool:
    """Return whether a file or directory is this user's, and nobody else may change it; where the system has no users, it is."""
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)


def sync_directory(path: str) -> None:
    """Wait until the names in a directory are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with tolerate(OSError):  # some file systems cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def host() -> str:
    """Return the name of this machine, safe in a file name."""
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return re.sub(r"[^A-Za-z0-9_.]", "_", name)[:32] or "unknown"


@cache
def user() -> str:
    """Return the user's login name, or an empty text where there is none."""
    import getpass  # which loads termios and readline's kin: not before the first record

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError) as err:
        let_pass(err)
        return ""


@cache
def boot() -> str:
    """Return what tells this boot of this machine from others; an empty text where the system does not say."""
    with tolerate(OSError), open("/proc/sys/kernel/random/boot_id", "rb") as file:
        return file.read().strip().decode("ascii", "replace")
    return ""
