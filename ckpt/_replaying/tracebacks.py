"""Tracebacks of a replay: the part of them that is the user's."""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType, FrameType, TracebackType

__all__ = ["entries", "is_ours", "users_part"]

#: Packages whose functions call the user's function in a replay; asyncio where it is a coroutine.
_OURS = frozenset({"bdb", "ckpt"})
_RUNNERS = _OURS | {"asyncio"}


def entries(traceback: TracebackType | None) -> Iterator[TracebackType]:
    """Yield the entries of a traceback, outermost first."""
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def users_part(traceback: TracebackType | None, code: CodeType | None = None) -> TracebackType | None:
    """Return a traceback from the captured function on, whose code is `code`; None when there is nothing of the user's in it.

    Where the function is not in it, it begins with its first entry that belongs to none of those who call it. What ckpt itself did at its
    end, where a placeholder refused to be used, is left out.
    """
    found = list(entries(traceback))
    starts = [place for place, entry in enumerate(found) if entry.tb_frame.f_code is code] if code is not None else []
    starts += [place for place, entry in enumerate(found) if _package(entry.tb_frame) not in _RUNNERS]
    if not starts:
        return None
    found = found[starts[0] :]
    while len(found) > 1 and is_ours(found[-1].tb_frame):
        found.pop()
    return _linked(found)


def is_ours(frame: FrameType) -> bool:
    """Whether a frame is ckpt's, or of the debugger that it has opened."""
    return _package(frame) in _OURS


def _linked(found: list[TracebackType]) -> TracebackType | None:
    """Return the entries as one traceback that ends with the last of them."""
    if found[-1].tb_next is None:
        return found[0]
    following: TracebackType | None = None
    for entry in reversed(found):
        following = TracebackType(following, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return following


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
