"""How a call can end: which exceptions are failures, and which are only ways of leaving it."""

from __future__ import annotations

import sys
from types import FrameType, TracebackType

#: Ways of leaving that are `Exception`s all the same; looked up in loaded modules, so that none is imported.
_LEFT = (("asyncio", "CancelledError"), ("concurrent.futures", "CancelledError"), ("bdb", "BdbQuit"), ("unittest", "SkipTest"))

#: The methods that tell the end of an iteration by an exception.
_ENDS = {"__next__": StopIteration, "__anext__": StopAsyncIteration}


def is_failure(error: BaseException, function: str = "") -> bool:
    """Whether an exception is a failure of the call that raised it, of a function of this name.

    Failures are `Exception` and `KeyboardInterrupt` (where did it hang?), but for a cancellation, a debugger's quit, a skipped test and
    the end of an iteration that `__next__` and `__anext__` tell: out of any other function that is the slip of a bare `next()`.
    SystemExit, GeneratorExit and other direct children of BaseException are not.
    """
    kind = type(error)  # an exception may lie about its `__class__`, and asking it runs its code
    if issubclass(kind, KeyboardInterrupt):
        return True
    if not issubclass(kind, Exception) or issubclass(kind, _ENDS.get(function, ())):
        return False
    for module, name in _LEFT:
        left = vars(sys.modules[module]).get(name) if module in sys.modules else None
        if isinstance(left, type) and issubclass(kind, left):
            return False
    return True


def is_outermost(wrapper: FrameType) -> bool:
    """Whether no frame further up runs the same wrapper; looks no further than the next one."""
    code, frame = wrapper.f_code, wrapper.f_back
    while frame is not None:
        if frame.f_code is code:
            return False
        frame = frame.f_back
    return True


def below(entry: TracebackType | None, wrapper: FrameType) -> TracebackType | None:
    """Return the part of a traceback that begins with the function under `wrapper`."""
    while entry is not None and entry.tb_frame is not wrapper:
        entry = entry.tb_next
    return entry.tb_next if entry is not None else None
