"""Running out of what a system has: room, inodes, the right to write, file size, descriptors.

The disk is a small `tmpfs` in a user and mount namespace of this process alone: no rights are needed, and nothing has to be installed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys

PAGE = 4096
#: What the disk has when nothing is amiss.
SIZE, INODES = 256 << 20, 10_000
#: How much is left: pages; inodes; nothing, or the right to write; bytes that a file may have, within each line of a small journal, then in
#: ever larger steps; descriptors. With the last of each every program gets through.
LEFT = {
    "no room": [*range(20), *range(20, 420, 11)],
    "no inodes": [*range(12)],
    "read-only": [0, 1],
    "file size": [*range(0, 18_300, 61), *(18_300 * 11**step // 10**step for step in range(60))],
    "descriptors": [*range(12)],
}
#: As many descriptors as there may be then.
DESCRIPTORS = 256

_NEWNS, _NEWUSER = 0x20000, 0x10000000
_RDONLY, _REMOUNT, _DETACH = 1, 32, 2


class Shortage:
    """Leaves a program so much of what it needs as the `nth` entry in `LEFT` says."""

    is_real = True

    def __init__(self, kind: str, nth: int, disk: str) -> None:
        self.kind = kind
        self._left = LEFT[kind][nth - 1]
        self._disk = disk
        self._taken: list[int] = []

    def arm(self) -> None:
        """Begin to want."""
        left, found = self._left, os.statvfs(self._disk)
        if self.kind == "no room":
            _mount(self._disk, _REMOUNT, size=(found.f_blocks - found.f_bfree + left) * PAGE)
        elif self.kind == "no inodes":
            _mount(self._disk, _REMOUNT, nr_inodes=found.f_files - found.f_ffree + left)
        elif self.kind == "read-only":
            _mount(self._disk, _REMOUNT | _RDONLY * (not left))
        elif self.kind == "file size":
            _limit(resource.RLIMIT_FSIZE, left)
        else:
            _limit(resource.RLIMIT_NOFILE, DESCRIPTORS)
            with contextlib.suppress(OSError):
                while True:
                    self._taken.append(os.dup(0))
            while left:
                os.close(self._taken.pop())
                left -= 1

    def disarm(self) -> None:
        """Have all again."""
        while self._taken:
            os.close(self._taken.pop())
        for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
            _limit(kind, resource.getrlimit(kind)[1])
        if self.kind in {"no room", "no inodes", "read-only"}:
            _mount(self._disk, _REMOUNT, size=SIZE, nr_inodes=INODES)

    def watch(self, pid: int) -> int:
        """Wait for the child, in the parent; return how it ended, as `waitpid` does."""
        return os.waitpid(pid, 0)[1]

    def result(self) -> tuple[int, str]:
        """Return, in the parent, that nothing was counted, and what was left."""
        return 0, f"{self.kind}, {self._left} left"


def enter(disk: str) -> str:
    """Make a small disk at `disk` for this process, which must have one thread only; return why that cannot be, else an empty text."""
    if sys.platform != "linux":
        return "there are no namespaces on this system"
    user, group = os.getuid(), os.getgid()
    try:
        _call("unshare", _NEWUSER | _NEWNS)
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
        _mount(disk, 0, size=SIZE, nr_inodes=INODES)
    except OSError as error:
        return f"no file system of one's own here: {error}"
    return ""


def leave(disk: str) -> None:
    """Give the disk back."""
    _call("umount2", disk.encode(), _DETACH)


def _mount(disk: str, flags: int, **options: int) -> None:
    text = ",".join(f"{name}={value}" for name, value in options.items())
    _call("mount", b"tmpfs", disk.encode(), b"tmpfs", flags, text.encode())


def _call(name: str, *arguments: object) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def _limit(kind: int, soft: int) -> None:
    resource.setrlimit(kind, (soft, resource.getrlimit(kind)[1]))
