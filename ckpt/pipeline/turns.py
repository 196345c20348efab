"""Whose turn it is to compute a result: that of this run, or of another one, which is waited for, but not for ever."""

from __future__ import annotations

import os
import time

from ckpt.errors import StoreError
from ckpt.pipeline.claims import Claims
from ckpt.pipeline.graphs import Pipeline
from ckpt.pipeline.places import Place

#: Seconds between two looks at a claim that somebody else holds: the first, and the longest.
_PAUSE, _LONGEST_PAUSE = 0.002, 0.2


def _directory(place: Place) -> str:
    try:
        return place.claims()
    except (OSError, StoreError):
        return os.devnull  # no lock can be taken below it: nobody is asked


class Turns:
    """The claims of one run, and the nodes that others compute."""

    def __init__(self, place: Place, wait: float) -> None:
        self._place, self._wait = place, wait
        self._claims: Claims | None = None
        self._pause = _PAUSE
        #: Nodes that another run computes, and since when they are waited for.
        self.of_others: dict[Pipeline, float] = {}

    def take(self, node: Pipeline, file: str) -> bool:
        """Whether this run is to compute the result: nobody else does, or they have taken too long."""
        if self._claims is None:
            self._claims = Claims(_directory(self._place))
        if self._claims.take(file) or time.monotonic() - self.of_others.setdefault(node, time.monotonic()) >= self._wait:
            self.of_others.pop(node, None)
            return True
        return False

    def give(self, file: str) -> None:
        """Let others compute a result."""
        if self._claims is not None:
            self._claims.give(file)

    def forget(self, node: Pipeline) -> None:
        """Wait for a node no more: its result is there."""
        self.of_others.pop(node, None)

    def pause(self) -> float:
        """Return how many seconds to wait before the next look: longer each time."""
        now, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
        return now

    def close(self) -> None:
        """Give all claims back."""
        if self._claims is not None:
            self._claims.close()
