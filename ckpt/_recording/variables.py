"""The variables of a frame, read so that nothing is left behind."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

_OPTIMIZED = 0x01
#: References to a frame's snapshot of its variables when nobody but the frame and we have it: the frame, our name, the call's argument.
_OURS_ALONE = 3


def variables_of(frame: FrameType) -> dict[str, Any]:
    """Return a copy of a frame's variables.

    Up to Python 3.12 asking a function's frame for them leaves a snapshot in the frame, which would keep the exception alive that one
    of them holds: it is emptied, unless the program has it too (it called `locals()`).
    """
    held = frame.f_locals
    # The body of a class may have a dict of its own making, whose methods are the program's.
    copy = dict(dict.items(held)) if issubclass(type(held), dict) else dict(held)
    if type(held) is dict and frame.f_code.co_flags & _OPTIMIZED and sys.getrefcount(held) == _OURS_ALONE:
        held.clear()
    return copy
