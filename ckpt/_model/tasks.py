"""The asyncio tasks of this process and where each waits, read through the interpreter's own types: no code of the program runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any

#: Where a suspended coroutine or generator has its frame, and what it waits for.
_WAITING: dict[type, tuple[str, str]] = {
    CoroutineType: ("cr_frame", "cr_await"),
    GeneratorType: ("gi_frame", "gi_yieldfrom"),
    AsyncGeneratorType: ("ag_frame", "ag_await"),
}


def unfinished_tasks() -> list[Any]:
    """Return the tasks that have not ended, of whichever loop and thread."""
    if "asyncio.tasks" not in sys.modules:
        return []
    asyncio = sys.modules["asyncio.tasks"]
    # Python 3.11 has one set, later ones two.
    known = [task for name in ("_all_tasks", "_scheduled_tasks", "_eager_tasks") for task in list(vars(asyncio).get(name, ()))]
    # Through the class: a subclass may have methods of its own.
    return [task for task in known if issubclass(type(task), asyncio.Task) and not asyncio.Task.done(task)]


def awaited_frames(waiting: Any) -> Iterator[FrameType]:
    """Yield the frames of a suspended coroutine and of what it waits for, outermost first."""
    while type(waiting) in _WAITING:
        frame, next_one = _WAITING[type(waiting)]
        held = getattr(waiting, frame)
        if held is not None:
            yield held
        waiting = getattr(waiting, next_one)


__all__ = ["awaited_frames", "unfinished_tasks"]
