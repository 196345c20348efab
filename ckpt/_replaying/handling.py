"""What a replayed call handles itself, with `capture_exception` in an `except` block, and what that says of the verdict.

A call that handled the captured exception had returned then, too: only an exception that is not handled again is mended. Each is compared
when it is handled, and not kept: its frames would hold what the program lets go.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ckpt._model.interrupts import let_pass
from ckpt._model.replaying import observing
from ckpt._replaying.verdicts import CANNOT_REPLAY, FIXED, SAME_FAILURE, Replay, difference, raised, told
from ckpt._replaying.verdicts import placeholder_error as touched

if TYPE_CHECKING:
    from ckpt._replaying.rehydrate import Capture

#: So many other exceptions are named.
_MOST = 3


class Handled:
    """The exceptions that a replay of one capture handles; of one whose exception left its function, none is looked at."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._same = ""
        self._others: dict[str, None] = {}
        #: What a placeholder says that was used in a `try` block, or why nothing can be said.
        self._gap = ""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at what is handled inside the block."""
        with observing(self._take if self._capture.header.handled else None):
            yield

    def judged(self, shown: Replay) -> Replay:
        """Return what a replay showed, with what it handled taken into account."""
        if self._same:
            return replace(shown, verdict=SAME_FAILURE, detail=_one_line(f"it handles {self._same}, as it did then"))
        if shown.verdict != FIXED:
            return shown
        if self._gap:
            return replace(shown, verdict=CANNOT_REPLAY, detail=self._gap)
        others = f"; it handles {', '.join(self._others)}" if self._others else ""
        return replace(shown, detail=_one_line(f"{shown.detail}{others}"))

    def _take(self, error: BaseException) -> None:
        """Compare an exception with the captured one. The program, in whose `except` block this is, notices nothing."""
        if self._same:
            return
        try:
            if touched(error) is not None:
                self._gap = raised(self._capture, error, 0.0).detail
            elif not difference(self._capture, error):
                self._same = told(error)
            elif len(self._others) < _MOST:
                self._others[told(error)] = None
        except Exception as trouble:
            let_pass(trouble)
            self._gap = f"an exception that it handled cannot be compared: {told(trouble)}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
