"""Failing, or being killed, at the Nth executed line of ckpt.

What is repeated in a loop fails the first times and then at every doubling: the thousandth module is looked at as the second was. A line
that only moves what is there (`try:`) cannot fail, and none that stands before the recorder's fence asks the system for more than memory.
"""

from __future__ import annotations

import dis
import linecache
import os
import signal
import sys
from collections import Counter
from functools import cache
from types import CodeType, FrameType
from typing import Any

import ckpt
from tests.faults.trials import SIGNALS

PACKAGE = os.path.dirname(ckpt.__file__) + os.sep
#: What a generated wrapper calls its file.
WRAPPER = "<ckpt>"
#: How often a line counts before only its 4th, 8th, 16th time do.
REPEATS = 2

#: Two exceptions of the system, two of signals (one is a handler's that the program has installed), and the end.
KINDS = ("OSError", "MemoryError", "KeyboardInterrupt", "TimeoutError", "SIGKILL")

#: Operations that call nothing, make nothing and look for no signal; what follows the name tells versions of Python apart.
_MOVES = (
    "NOP RESUME CACHE COPY SWAP POP_TOP PUSH_NULL LOAD_FAST STORE_FAST LOAD_CONST LOAD_DEREF COPY_FREE_VARS MAKE_CELL PUSH_EXC_INFO POP_EXCEPT "
    "RERAISE RETURN_VALUE RETURN_CONST JUMP_FORWARD POP_JUMP_IF_NONE POP_JUMP_IF_NOT_NONE POP_JUMP_FORWARD_IF_NONE POP_JUMP_FORWARD_IF_NOT_NONE"
).split()
#: Putting a value in the place of another in a dict or a slot makes nothing either.
_STORES = {"_this_thread.busy = nested"}
#: What runs before the fence, or is the fence.
_AHEAD = {"_recording/recorder.py": {"failed", "entered", "returned", "ended", "handled", "_fenced"}, "_recording/endings.py": None}


class Lines:
    """Strikes at the `nth` executed line."""

    def __init__(self, kind: str, nth: int) -> None:
        self.kind = kind
        self._nth = nth
        self._count = 0
        self._seen: Counter[tuple[CodeType, int]] = Counter()
        self._told, self._tell = os.pipe()

    def arm(self) -> None:
        """Begin to count."""
        if sys.version_info < (3, 12):
            sys.settrace(self._on_call)
            return
        watch = sys.monitoring
        watch.use_tool_id(watch.DEBUGGER_ID, "faults")
        watch.register_callback(watch.DEBUGGER_ID, watch.events.LINE, self._on_line)
        watch.set_events(watch.DEBUGGER_ID, watch.events.LINE)

    def disarm(self) -> None:
        """Strike no more."""
        if sys.version_info < (3, 12):
            sys.settrace(None)
        else:
            sys.monitoring.set_events(sys.monitoring.DEBUGGER_ID, 0)
        os.write(self._tell, b"%d\0" % self._count)

    def watch(self, pid: int) -> int:
        """Wait for the child, in the parent; return how it ended, as `waitpid` does."""
        os.close(self._tell)
        return os.waitpid(pid, 0)[1]

    def result(self) -> tuple[int, str]:
        """Return, in the parent, how many lines were counted, and which was struck; an empty text for none."""
        with open(self._told, "rb") as file:
            struck, _, count = file.read().decode().rpartition("\0")[0].rpartition("\0")
        return int(count) if count.isdecimal() else 0, struck or (count if not count.isdecimal() else "")

    def _is_ours(self, code: CodeType) -> bool:
        file = code.co_filename
        if self.kind in SIGNALS:
            return file.startswith(PACKAGE) or file == WRAPPER
        ahead = _AHEAD.get(file.removeprefix(PACKAGE), ()) if self.kind == "OSError" else ()
        return file.startswith(PACKAGE) and ahead is not None and code.co_name not in ahead

    def _on_call(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._on_event if self._is_ours(frame.f_code) else None

    def _on_event(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            self._step(frame.f_code, frame.f_lineno)
        return self._on_event

    def _on_line(self, code: CodeType, line: int) -> Any:
        if not self._is_ours(code):
            return sys.monitoring.DISABLE  # type: ignore[attr-defined,unused-ignore]  # Python 3.12 and later
        self._step(code, line)
        return None

    def _step(self, code: CodeType, line: int) -> None:
        if line not in _lines_that_can_fail(code):
            return
        self._seen[code, line] += 1
        times = self._seen[code, line]
        if times > REPEATS and times & (times - 1):
            return
        self._count += 1
        if self._count == self._nth:
            os.write(self._tell, f"{code.co_filename.removeprefix(PACKAGE)}:{line} {code.co_name}\0".encode())
            self._strike()

    def _strike(self) -> None:
        if self.kind in SIGNALS:
            signal.raise_signal(SIGNALS[self.kind])
        if self.kind == "MemoryError":
            raise MemoryError
        if self.kind == "OSError":
            raise OSError(28, "No space left on device")


@cache
def _lines_that_can_fail(code: CodeType) -> frozenset[int]:
    can_fail, line = set(), 0
    for instruction in dis.get_instructions(code):
        line = instruction.positions.lineno or line if instruction.positions else line
        if not instruction.opname.startswith(tuple(_MOVES)) and linecache.getline(code.co_filename, line).strip() not in _STORES:
            can_fail.add(line)
    return frozenset(can_fail)
