"""What ends a replay in a process of its own when its time is over, and tells where it hung.

The fault handler's watchdog is in C, and ends a call whatever holds the interpreter. It sees no coroutine that waits: a thread comes a
moment before it, and writes down where those do.
"""

from __future__ import annotations

import _thread
import asyncio.tasks
import contextlib
import faulthandler
import os
from collections.abc import Iterator
from threading import TIMEOUT_MAX
from typing import Any

from ckpt._model.record import WRAPPER_FILE
from ckpt._model.tasks import awaited_frames, unfinished_tasks

__all__ = ["Watchdog"]

#: Seconds that it waits at least; none takes nothing. Then so many more: by whoever waits for it, the time is over too.
_LEAST, _MORE = 1e-3, 0.05
#: Seconds that the thread has before the watchdog in C, which nothing can hold up.
_MOMENT = 0.5
#: So many tasks are told of.
_MOST = 100
#: Whose lines say nothing: what awaits the user's coroutine, and what that awaits in the end.
_NOT_THE_USERS = (
    os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), ""),
    os.path.join(os.path.dirname(asyncio.__file__), ""),
    WRAPPER_FILE,
)


class Watchdog:
    """Ends this process when its time is over; where it hung goes to the file `words`. Without `seconds` it never does."""

    def __init__(self, seconds: float | None, words: int) -> None:
        self._seconds = None if seconds is None else min(max(seconds, _LEAST), TIMEOUT_MAX - _MOMENT)
        self._words = words
        #: Held until the thread need not wait any more.
        self._over: Any = None

    def arm(self) -> None:
        """Let the time begin, anew where it has begun already."""
        self.rest()
        if self._seconds is not None:
            faulthandler.dump_traceback_later(self._seconds + _MOMENT, exit=True, file=self._words)
            self._over = _thread.allocate_lock()
            self._over.acquire()
            _thread.start_new_thread(self._wait, (self._over, self._seconds))

    def rest(self) -> None:
        """Let the process go on as long as it likes."""
        faulthandler.cancel_dump_traceback_later()
        if self._over is not None:
            self._over.release()
            self._over = None

    def _wait(self, over: Any, seconds: float) -> None:
        if not over.acquire(timeout=seconds):
            with contextlib.suppress(Exception):  # the program goes on meanwhile, and may have closed the file
                os.write(self._words, "".join(f"{line}\n" for line in _waiting()).encode("utf-8", "backslashreplace"))
            if self._over is over:
                faulthandler.dump_traceback_later(_MORE, exit=True, file=self._words)


def _waiting() -> Iterator[str]:
    """Yield where each task waits, by their names, in the form of the fault handler."""
    for task in sorted(unfinished_tasks(), key=asyncio.Task.get_name)[:_MOST]:
        codes = [(frame.f_code, frame.f_lineno) for frame in awaited_frames(asyncio.Task.get_coro(task))]
        lines = [f'  File "{code.co_filename}", line {line} in {code.co_name}' for code, line in codes if _is_users(code.co_filename)]
        if lines:
            yield f"Task {asyncio.Task.get_name(task)!r} (most recent await first):"
            yield from reversed(lines)


def _is_users(file: str) -> bool:
    return not file.startswith(_NOT_THE_USERS)
