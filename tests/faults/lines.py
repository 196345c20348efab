"""Failing, or being killed, at the Nth executed line of ckpt.

What is repeated in a loop fails at the 1st, 2nd, 4th, 8th time: the thousandth module is looked at as the second was. A line
that only moves what is there (`try:`) cannot fail, and what is done before the recorder's fence is up asks the system for memory only.
"""

from __future__ import annotations

import dis
import gc
import linecache
import os
import re
import signal
import sys
from types import CodeType, FrameType, FunctionType
from typing import Any

import ckpt
from ckpt._recording.fence import this_thread
from tests.faults.programs import Program
from tests.faults.trials import SIGNALS

PACKAGE = os.path.dirname(ckpt.__file__) + os.sep
#: What a generated wrapper calls its file.
WRAPPER = "<ckpt>"
#: Two exceptions of the system, two of signals (one is a handler's that the program has installed), and the end.
KINDS = ("OSError", "MemoryError", "KeyboardInterrupt", "TimeoutError", "SIGKILL")

#: Operations that call nothing, make nothing and look for no signal (a jump back does, when the clause that it leaves is left); what
#: follows the name tells versions of Python apart. An exception that a tracer raises where only these are leaves an `except` clause open.
_MOVES = re.compile(
    "NOP|RESUME|CACHE|COPY|SWAP|POP_TOP|PUSH_NULL|LOAD_(FAST|CONST|DEREF)|(STORE|DELETE)_FAST|MAKE_CELL|PUSH_EXC_INFO|POP_EXCEPT|RERAISE|RETURN"
    "|JUMP_(FOR|BACK)WARD|POP_JUMP_(FORWARD_)?IF_(NOT_)?NONE"
)
#: Putting a value in the place of another in a dict or a slot makes nothing either.
_STORES = {"this_thread.busy = nested"}


class Lines:
    """Strikes at the `nth` executed line."""

    is_real = False

    def __init__(self, kind: str, nth: int, program: Program) -> None:
        self.kind = kind
        self._is_fenced = kind == "OSError" and program.is_fenced
        self._nth = nth
        self._count = 0
        self._seen: dict[tuple[int, int], int] = {}
        self._told, self._tell = os.pipe()

    def arm(self) -> None:
        """Begin to count."""
        if sys.version_info >= (3, 12):
            watch = sys.monitoring
            watch.use_tool_id(watch.DEBUGGER_ID, "faults")
            watch.register_callback(watch.DEBUGGER_ID, watch.events.LINE, self._on_line)
            watch.set_events(watch.DEBUGGER_ID, watch.events.LINE)
        else:
            sys.settrace(self._on_call)

    def disarm(self) -> None:
        """Strike no more."""
        if sys.version_info >= (3, 12):
            sys.monitoring.set_events(sys.monitoring.DEBUGGER_ID, 0)
        else:
            sys.settrace(None)
        os.write(self._tell, b"%d\0" % self._count)

    def watch(self, pid: int) -> int:
        """Wait for the child, in the parent; return how it ended, as `waitpid` does."""
        os.close(self._tell)
        return os.waitpid(pid, 0)[1]

    def result(self) -> tuple[int, str]:
        """Return, in the parent, how many lines were counted, and which was struck; an empty text for none."""
        with open(self._told, "rb") as file:
            told = file.read().decode().split("\0")[:-1]
        return sum(int(each) for each in told if each.isdecimal()), "".join(each for each in told if not each.isdecimal())

    def _is_ours(self, code: CodeType) -> bool:
        return code.co_filename.startswith(PACKAGE) or (code.co_filename == WRAPPER and self.kind in SIGNALS)

    def _on_call(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._on_event if self._is_ours(frame.f_code) else None

    def _on_event(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            self._step(frame.f_code, frame.f_lineno)
        return self._on_event

    def _on_line(self, code: CodeType, line: int) -> Any:
        if not self._is_ours(code):
            return sys.monitoring.DISABLE  # type: ignore[attr-defined]  # called by Python 3.12 and later
        self._step(code, line)
        return None

    def _step(self, code: CodeType, line: int) -> None:
        if line not in _lines_that_can_fail(code) or (self._is_fenced and not this_thread.busy):
            return
        key = id(code), line
        times = self._seen[key] = self._seen.get(key, 0) + 1
        if times & (times - 1):
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


#: Of each function of ckpt, by the identity of its code: a code object takes long to hash.
_known: dict[int, frozenset[int]] = {}


def look() -> None:
    """Find out which lines can fail, so that the children do not have to."""
    for function in gc.get_objects():
        if type(function) is FunctionType and function.__code__.co_filename.startswith(PACKAGE):
            _lines_that_can_fail(function.__code__)


def _lines_that_can_fail(code: CodeType) -> frozenset[int]:
    if id(code) not in _known:
        can_fail, line = set(), 0
        for instruction in dis.get_instructions(code):
            line = instruction.positions.lineno or line if instruction.positions else line
            if not _MOVES.match(instruction.opname) and linecache.getline(code.co_filename, line).strip() not in _STORES:
                can_fail.add(line)
        _known[id(code)] = frozenset(can_fail)
    return _known[id(code)]
