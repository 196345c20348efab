"""Where a process hung or crashed: what `faulthandler` wrote when it was at its end, without the lines of ckpt itself."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import groupby
from typing import IO

from ckpt._model.record import WRAPPER_FILE

__all__ = ["last_words"]

#: What is read: a hundred frames of each of some hundred threads.
_LIMIT = 1 << 20
#: Lines of no use: the verdict tells of the time, and which modules are written in C is not the question.
_SAID_ELSEWHERE = ("Timeout (", "Extension modules: ")
_FRAME = re.compile(r'  File "(.*)", line \S+ in (.*)')


def _spelled(*parts: str) -> str:
    """Return a directory as `faulthandler` spells it."""
    return os.path.join(*parts, "").encode("ascii", "backslashreplace").decode("ascii")


_LIBRARY = os.path.dirname(os.__file__)
_OURS = (_spelled(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), WRAPPER_FILE)
#: Between ckpt and the user's function, where that is not the first of a stack: what runs a coroutine, what imports a module.
_BETWEEN = (*_OURS, _spelled(_LIBRARY, "asyncio"), _spelled(_LIBRARY, "importlib"), "<frozen ")


def last_words(file: IO[bytes]) -> tuple[str, ...]:
    """Return the lines; none when nothing was written. A thread in which nothing of the user's ran is left out."""
    file.seek(0)
    text = file.read(_LIMIT).decode("utf-8", "replace")
    told = [line for line in text.splitlines() if line and not line.startswith(_SAID_ELSEWHERE)]
    return tuple(_without_ours(told))


def _without_ours(told: list[str]) -> Iterator[str]:
    head: list[str] = []
    for is_stack, group in groupby(told, lambda line: line.startswith("  ")):
        lines = list(group)
        if not is_stack:
            yield from head
            head = lines
            continue
        users = _users_part(lines)
        yield from (*head, *users) if users else head[:-1]
        head = []
    yield from head


def _users_part(stack: list[str]) -> list[str]:
    """Return the lines of a stack, the most recent call first, down to the first function of the user's, where ckpt calls that."""
    frames = [_FRAME.match(line) for line in stack]
    users = [place for place, frame in enumerate(frames, 1) if frame is not None and _is_users(frame[1], frame[2])]
    if users and any(frame is not None and frame[1].startswith(_OURS) for frame in frames[users[-1] :]):
        return stack[: users[-1]]
    while frames and (frame := frames[-1]) is not None and (frame[1].startswith(_BETWEEN) or _is_command(frame[1], frame[2])):
        frames.pop()
    return stack[: len(frames)]


def _is_users(file: str, function: str) -> bool:
    standard = file.startswith((_spelled(_LIBRARY), "<frozen ")) and not file.startswith(_spelled(_LIBRARY, "site-packages"))
    return not (standard or file.startswith(_OURS) or _is_command(file, function))


def _is_command(file: str, function: str) -> bool:
    """Whether this is the `python -c` that such a process is."""
    return (file, function) == ("<string>", "<module>")
