"""Whether this process replays captures, and so must record none. Its children inherit the answer through the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

VARIABLE = "PYCKPT_REPLAY"


class _Switch:
    """Attributes, read on every recording: quicker than the environment."""

    __slots__ = ("on", "tell")

    def __init__(self) -> None:
        self.on = VARIABLE in os.environ
        #: Is told, in a replay, of each exception that the program hands to `capture_exception`.
        self.tell: Callable[[BaseException], None] | None = None


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


@contextmanager
def observing(tell: Callable[[BaseException], None] | None) -> Iterator[None]:
    """Let `tell` know, inside the block, which exceptions the program handles itself with `capture_exception`."""
    was, switch.tell = switch.tell, tell
    try:
        yield
    finally:
        switch.tell = was
