"""A pipe from ckpt to a process that it started: when ckpt is gone, however it went, so is the process, and what that has started."""

from __future__ import annotations

import fcntl
import os
import select
import signal
from contextlib import suppress
from threading import Thread

__all__ = ["hang_on", "is_group", "kill_group"]


def hang_on(descriptor: int) -> None:
    """From now on, end the process group of this process when the other end of the pipe `descriptor` is closed.

    On Linux the kernel does it, whatever holds the interpreter; elsewhere a thread, which waits for code in C that does not let go of it.
    """
    os.set_inheritable(descriptor, False)
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)
        if select.select([descriptor], [], [], 0)[0]:  # closed before the kernel was asked
            kill_group(os.getpgrp())
    else:
        Thread(target=_wait, args=(descriptor, os.getpgrp()), daemon=True).start()


def is_group(group: int) -> bool:
    """Whether a process of the group is there."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of one whose processes have all ended
        return False
    return True


def kill_group(group: int) -> None:
    """End all processes of a group, if there are any."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _wait(descriptor: int, group: int) -> None:
    os.read(descriptor, 1)
    kill_group(group)
