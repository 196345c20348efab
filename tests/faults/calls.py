"""Failing, or being killed, at the Nth system call, by `ptrace`: nothing has to be installed.

The kill comes as a call is entered, so it never happens; an error takes the place of the call; a Ctrl-C is heard right after it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import signal
import sys

from tests.faults.trials import SIGNALS

KINDS = ("OSError", "KeyboardInterrupt", "TimeoutError", "SIGKILL")

_TRACEME, _PEEKUSER, _POKEUSER, _CONT, _SYSCALL, _SETOPTIONS = 0, 3, 6, 7, 24, 0x4200
_SYSGOOD, _EXITKILL = 0x1, 0x100000
_IN_A_CALL = signal.SIGTRAP | 0x80
#: Where the kernel keeps, on x86-64, the number of the call and its result.
_NUMBER, _RESULT = 15 * 8, 10 * 8
#: The calls that can fail, with their numbers on x86-64, and what each fails with. What only the interpreter itself asks for is left out:
#: waiting for a lock, its own clock, its own memory once it has it.
_FAILURES = {
    0: ("read", errno.EIO),
    1: ("write", errno.ENOSPC),
    3: ("close", errno.EIO),
    5: ("fstat", errno.EIO),
    8: ("lseek", errno.EIO),
    9: ("mmap", errno.ENOMEM),
    25: ("mremap", errno.ENOMEM),
    17: ("pread64", errno.EIO),
    18: ("pwrite64", errno.ENOSPC),
    56: ("clone", errno.EAGAIN),
    72: ("fcntl", errno.EMFILE),
    73: ("flock", errno.ENOLCK),
    74: ("fsync", errno.EIO),
    76: ("truncate", errno.EIO),
    77: ("ftruncate", errno.EIO),
    79: ("getcwd", errno.ENOENT),
    82: ("rename", errno.ENOSPC),
    83: ("mkdir", errno.ENOSPC),
    86: ("link", errno.ENOSPC),
    87: ("unlink", errno.EIO),
    90: ("chmod", errno.EPERM),
    91: ("fchmod", errno.EPERM),
    217: ("getdents64", errno.EIO),
    257: ("openat", errno.EMFILE),
    258: ("mkdirat", errno.ENOSPC),
    262: ("newfstatat", errno.EIO),
    263: ("unlinkat", errno.EIO),
    264: ("renameat", errno.ENOSPC),
    265: ("linkat", errno.ENOSPC),
    268: ("fchmodat", errno.EPERM),
    280: ("utimensat", errno.EACCES),
    318: ("getrandom", errno.EIO),
    435: ("clone3", errno.EAGAIN),
}
#: Whatever `close` answers, the descriptor is gone.
_CLOSE = 3


def why_not(kind: str) -> str:
    """Return why this cannot be done here, an empty text when it can."""
    if _libc is None:
        return "there is no ptrace that counts system calls on this system"
    if kind == "OSError" and platform.machine() != "x86_64":
        return "errors are put in the place of system calls on x86-64 only"
    child = os.fork()
    if child == 0:
        os._exit(_libc.ptrace(_TRACEME, 0, None, None) != 0)
    return "ptrace is not allowed here" if os.waitpid(child, 0)[1] else ""


def _library() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    libc.ptrace.restype = ctypes.c_long
    return libc


_libc = _library() if sys.platform == "linux" else None


def _ptrace(request: int, pid: int, address: int = 0, data: int = 0) -> None:
    assert _libc is not None
    if _libc.ptrace(request, pid, address, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")


def _peek(pid: int, address: int) -> int:
    assert _libc is not None
    return int(_libc.ptrace(_PEEKUSER, pid, address, None))


class Calls:
    """Strikes at the `nth` system call of a child between `arm` and `disarm`, which the child calls; `watch` is the parent's part."""

    is_real = True

    def __init__(self, kind: str, nth: int) -> None:
        self.kind = kind
        self._nth = nth
        self._count = 0
        self._struck = ""

    def arm(self) -> None:
        """Begin to count."""
        _ptrace(_TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)

    def disarm(self) -> None:
        """Strike no more. The signal is ignored, but for whoever traces."""
        signal.raise_signal(signal.SIGWINCH)

    def watch(self, pid: int) -> int:
        """Return how the child ended, as `waitpid` does."""
        status = os.waitpid(pid, 0)[1]
        if os.WIFSTOPPED(status):
            _ptrace(_SETOPTIONS, pid, 0, _SYSGOOD | _EXITKILL)
        go_on, is_inside, answer = _SYSCALL, False, 0
        while os.WIFSTOPPED(status):
            reason = os.WSTOPSIG(status)
            if reason == _IN_A_CALL:
                is_inside = not is_inside
                if is_inside:
                    answer = self._enter(pid)
                elif answer:
                    _ptrace(_POKEUSER, pid, _RESULT, -answer)
                    go_on, answer = _CONT, 0
            elif reason == signal.SIGWINCH:
                go_on = _CONT
            with contextlib.suppress(ProcessLookupError):  # killed a moment ago
                _ptrace(go_on, pid, 0, 0 if reason in {_IN_A_CALL, signal.SIGSTOP} else reason)
            status = os.waitpid(pid, 0)[1]
        return status

    def result(self) -> tuple[int, str]:
        """Return how many calls were counted, and which was struck; an empty text for none."""
        return self._count, self._struck

    def _enter(self, pid: int) -> int:
        """Look at a call that begins; return with which error it has to end, 0 for none."""
        if self.kind in SIGNALS:
            self._count += 1
            if self._count == self._nth:
                self._struck = f"call {self._nth}"
                os.kill(pid, SIGNALS[self.kind])
            return 0
        number = _peek(pid, _NUMBER)
        if number not in _FAILURES:
            return 0
        self._count += 1
        if self._count != self._nth:
            return 0
        name, answer = _FAILURES[number]
        self._struck = f"call {self._nth}, {name}"
        if number != _CLOSE:
            _ptrace(_POKEUSER, pid, _NUMBER, -1)
        return answer
