"""The lines that a replayed call executes, and the variables that each of them changes.

Variables are described without any code of the user's, and compared by their descriptions, and builtin containers of up to `ITEMS` items by
the identities of their items as well: what changes further inside is not seen. Of a long run the first and the last lines are told.
Other threads are not followed.
"""

from __future__ import annotations

import dis
import functools
import linecache
import os
import sys
from collections import deque
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from ckpt._model.describe import describe, one_line
from ckpt._model.sources import is_project

#: How many lines are told at the beginning and at the end, and how long the text of a variable may be.
FIRST = LAST = 1000
TEXT_LIMIT = 120
#: How large a container is whose items are looked at before and after each line.
ITEMS = 10_000
#: Where a frame stands that is left to be entered again, and where it learns that an iterator or an awaited thing is at its end, which
#: Python tells as an exception.
_SUSPENDED = frozenset({"RESUME", "YIELD_VALUE"})
_AT_END = frozenset({"END_SEND", "FOR_ITER", "SEND"})
_COROUTINE, _ASYNC_GENERATOR = 0x80, 0x200
#: What an asynchronous generator yields is wrapped in one, which does not tell it.
_WRAPPED = "async_generator_wrapped_value"

_is_project = functools.lru_cache(maxsize=1000)(is_project)


def tracing(depth: int) -> Callable[[Callable[[], Any], CodeType | None], Any]:
    """Return what makes a call and tells its lines on standard error, and those of the project's functions up to `depth` levels below."""

    def observe(call: Callable[[], Any], code: CodeType | None) -> Any:
        tracer, before = _Tracer(code, depth), sys.gettrace()
        sys.settrace(tracer.enter)
        try:
            return call()
        finally:
            sys.settrace(before)
            tracer.finish()

    return observe


class _Tracer:
    """What is told of one call."""

    def __init__(self, code: CodeType | None, depth: int) -> None:
        self._code, self._depth = code, depth
        #: The frames that are told, how far down they are, and their variables as last described.
        self._levels: dict[FrameType, int] = {}
        self._known: dict[FrameType, dict[str, tuple[str, int]]] = {}
        #: Frames that an exception is leaving.
        self._raising: set[FrameType] = set()
        #: The line that was last told of a frame: a comprehension in it comes back to it for every item.
        self._at: dict[FrameType, int] = {}
        self._told = 0
        self._last: deque[str] = deque(maxlen=LAST)

    def enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        """Take the event of a call; return what takes the further events of its frame."""
        level = self._levels.get(frame)
        if level is None:
            level = self._level(frame)
            if level is None:
                return None
            self._levels[frame], self._known[frame] = level, {}
            self._tell(f"{self._margin(frame)}call {frame.f_code.co_qualname}, {self._place(frame)}")
            self._tell_changes(frame)
        return self._follow

    def finish(self) -> None:
        """Tell the last lines of a run that was too long to tell all."""
        left_out = self._told - FIRST - len(self._last)
        if left_out > 0:
            _write(f"... {left_out} lines left out ...")
        for line in self._last:
            _write(line)

    def _level(self, frame: FrameType) -> int | None:
        """Return how far below the captured function's outermost call a new frame is; None when it is not to be told."""
        code = frame.f_code
        if not self._levels:
            return 0 if code is self._code or (self._code is None and _is_project(code.co_filename)) else None
        if self._depth == 0 or not _is_project(code.co_filename):
            return None
        above = frame.f_back
        while above is not None and above not in self._levels:
            above = above.f_back
        level = self._levels[above] + 1 if above is not None else None
        return level if level is not None and level <= self._depth else None

    def _follow(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line" and self._at.get(frame) == frame.f_lineno:
            return self._follow
        self._tell_changes(frame)
        if event == "line":
            self._raising.discard(frame)
            self._at[frame] = frame.f_lineno
            text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
            self._tell(f"{self._margin(frame)}{self._place(frame)}  {text}")
        elif event == "exception" and not (issubclass(arg[0], StopIteration | StopAsyncIteration) and _stands_at(frame, _AT_END)):
            self._raising.add(frame)
            self._tell(f"{self._margin(frame)}    raised {one_line(arg[1])}")
        elif event == "return":
            self._leave(frame, arg)
        return self._follow

    def _leave(self, frame: FrameType, value: object) -> None:
        """Tell what a frame gives to its caller, unless an exception leaves it or it only waits; forget one that is at its end."""
        if frame not in self._raising and _stands_at(frame, _SUSPENDED):
            if type(value).__name__ == _WRAPPED:
                self._tell(f"{self._margin(frame)}    yields")
            elif not frame.f_code.co_flags & (_COROUTINE | _ASYNC_GENERATOR):
                self._tell(f"{self._margin(frame)}    yields {_text(value)}")
            return
        if frame not in self._raising:
            self._tell(f"{self._margin(frame)}    -> {_text(value)}")
        self._raising.discard(frame)
        del self._levels[frame], self._known[frame]
        self._at.pop(frame, None)

    def _tell_changes(self, frame: FrameType) -> None:
        known, now = self._known[frame], {name: _seen(value) for name, value in list(frame.f_locals.items())}
        for name, (text, sign) in now.items():
            before = known.get(name)
            if before is None or before[0] != text:
                self._tell(f"{self._margin(frame)}    {name} = {text}")
            elif before[1] != sign:
                self._tell(f"{self._margin(frame)}    {name} is changed behind {text}")
        for name in known.keys() - now.keys():
            self._tell(f"{self._margin(frame)}    {name} is deleted")
        self._known[frame] = now

    def _margin(self, frame: FrameType) -> str:
        return "  " * self._levels[frame]

    def _place(self, frame: FrameType) -> str:
        return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"

    def _tell(self, line: str) -> None:
        self._told += 1
        if self._told <= FIRST:
            _write(line)
        else:
            self._last.append(line)


def _stands_at(frame: FrameType, instructions: frozenset[str]) -> bool:
    return dis.opname[frame.f_code.co_code[frame.f_lasti]] in instructions


def _seen(value: object) -> tuple[str, int]:
    """Return the text of a value, and, where that does not show all of it, what is another when other items are behind it."""
    text = _text(value)
    return text, _sign(value) if _is_cut(text.rpartition(" (")[0]) else 0


def _text(value: object) -> str:
    described = describe(value)
    text = described["text"] if len(described["text"]) <= TEXT_LIMIT else f"{described['text'][:TEXT_LIMIT]}..."
    length = described.get("length")
    return f"{text} ({length})" if length is not None and _is_cut(text) else text


def _is_cut(text: str) -> bool:
    return text.rstrip("]})>").endswith("...")


def _sign(value: object) -> int:
    """Return a number that is another one when other items are in a builtin container; 0 for anything else, and for what has too many."""
    if type(value) is list and len(value) <= ITEMS:
        return hash(tuple(map(id, value)))
    if type(value) is dict and len(value) <= ITEMS:
        return hash((tuple(map(id, value)), tuple(map(id, value.values()))))
    if type(value) is set and len(value) <= ITEMS:
        return hash(tuple(map(id, value)))
    return hash(bytes(value)) if type(value) is bytearray and len(value) <= ITEMS else 0


def _write(line: str) -> None:
    if sys.stderr is not None:
        safe = line if line.isprintable() else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
        encoding = sys.stderr.encoding or "utf-8"
        sys.stderr.write(safe.encode(encoding, "backslashreplace").decode(encoding) + "\n")
