"""What else was running when a call failed: the other threads and the asyncio tasks, with their stacks.

Only code objects and line numbers are read, through the interpreter's own types: no code of the program runs, no lock is taken. What
changes while it is read is left out.
"""

from __future__ import annotations

import _thread
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from types import FrameType

from ckpt._model.interrupts import let_pass
from ckpt._model.record import Json
from ckpt._model.tasks import awaited_frames, unfinished_tasks
from ckpt._recording.fence import WAITS

#: Bounds: threads and tasks that are kept, and the innermost frames of each.
OTHERS_LIMIT = 100
STACK_LIMIT = 30

#: Gives the number under which a frame's code is kept; None for a frame of ours.
CodeOf = Callable[[FrameType], int | None]


def alive(code_of: CodeOf) -> list[Json]:
    """Return the other threads and tasks. Costs microseconds when there are none."""
    found: list[Json] = []
    for read in (_threads, _tasks):
        try:
            found += read(code_of)
        except Exception as error:  # the program adds or ends one meanwhile, or has put something of its own in their place
            let_pass(error)
    return found


def _threads(code_of: CodeOf) -> Iterator[Json]:
    frames = sys._current_frames()  # noqa: SLF001  public in all but name
    frames.pop(_thread.get_ident(), None)  # our own frame would hold itself, and all the program's below it, through this dict
    if not frames:
        return
    known = dict(vars(sys.modules["threading"])["_active"]) if "threading" in sys.modules else {}
    # One that waits for this one, deep in a recursion, is the one that failed.
    others = ((identity, frame) for identity, frame in frames.items() if frame.f_code is not WAITS)
    for identity, frame in islice(others, OTHERS_LIMIT):
        fields = vars(known[identity]) if identity in known else {}
        yield _record("thread", fields.get("_name"), "daemon" if fields.get("_daemonic") is True else "", _upwards(frame), code_of)


def _upwards(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield the frames of a running thread, innermost first."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def _tasks(code_of: CodeOf) -> Iterator[Json]:
    if "asyncio.tasks" not in sys.modules:
        return
    asyncio = sys.modules["asyncio.tasks"]
    loop = sys.modules["asyncio.events"]._get_running_loop()  # noqa: SLF001  the public one raises where none runs
    own = asyncio.current_task(loop) if loop is not None else None
    kind = asyncio.Task
    others = [task for task in unfinished_tasks() if task is not own]
    for task in others[:OTHERS_LIMIT]:
        state = "cancelling" if kind.cancelling(task) else ""
        yield _record("task", kind.get_name(task), state, reversed(list(awaited_frames(kind.get_coro(task)))), code_of)


def _record(kind: str, name: object, state: str, frames: Iterator[FrameType], code_of: CodeOf) -> Json:
    stack: list[Json] = []
    for frame in frames:
        number = code_of(frame)
        if number is not None:
            stack.append({"code": number, "line": frame.f_lineno or 0})
        if len(stack) == STACK_LIMIT:
            break
    return {"kind": kind, "name": name if type(name) is str else "", "state": state, "stack": stack[::-1]}
