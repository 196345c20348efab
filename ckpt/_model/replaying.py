"""Whether this process replays captures, and so must record none. Its children inherit the answer through the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = "PYCKPT_REPLAY"


class _Switch:
    """One attribute, read on every recording: quicker than the environment."""

    __slots__ = ("on",)

    def __init__(self) -> None:
        self.on = VARIABLE in os.environ


switch = _Switch()


@contextmanager
def replaying() -> Iterator[None]:
    """Record nothing inside the block, in this process and in its children."""
    was_on, was = switch.on, os.environ.get(VARIABLE)
    switch.on, os.environ[VARIABLE] = True, "1"
    try:
        yield
    finally:
        switch.on = was_on
        if was is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = was
