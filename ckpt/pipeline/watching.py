"""Who is told how a run goes: lines on standard error, a table on a terminal, or nobody."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from ckpt._model.describe import one_line
from ckpt.pipeline.stages import Pipeline
from ckpt.pipeline.work import Outcome

WAITING, LOADED, RUNNING, DONE, FAILED, SKIPPED = "waiting", "loaded", "running", "done", "failed", "not run"
_KILO, _MINUTE = 1000, 60


class Watch(Protocol):
    """Is told what happens to the nodes of a run."""

    def tell(self, node: Pipeline, state: str, why: str = "", outcome: Outcome | None = None) -> None:
        """Say that a node is in another state now."""

    def say(self, text: str) -> None:
        """Say something in a line of its own."""


class Silence:
    """Tells nothing but what a person must know."""

    def tell(self, node: Pipeline, state: str, why: str = "", outcome: Outcome | None = None) -> None:
        """Tell nobody."""

    def say(self, text: str) -> None:
        """Write a line."""
        write(text)


class Lines(Silence):
    """Plain lines."""

    def tell(self, node: Pipeline, state: str, why: str = "", outcome: Outcome | None = None) -> None:
        """Write a line."""
        write(f"[{node.stage.name}] {state}{ending(state, outcome)}{f': {why}' if why else ''}")


@contextmanager
def watching(nodes: Sequence[Pipeline], progress: bool | None) -> Iterator[Watch]:
    """Open what a run tells of itself to; `progress` as in `Config`."""
    if progress is None and sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from ckpt.pipeline.table import live_table

        with live_table(nodes) as table:
            yield table
    else:
        yield Silence() if progress is False else Lines()


def write(text: str) -> None:
    """Write a line to standard error, which may be closed."""
    if sys.stderr is not None:
        sys.stderr.write(f"{text}\n")


def ending(state: str, outcome: Outcome | None) -> str:
    """Return what is to be said of a stage that has ended."""
    if outcome is None:
        return ""
    if outcome.error is not None:
        return f" after {span(outcome.took)}: {one_line(outcome.error)}"
    return f" in {span(outcome.took)}" + (f", {size(outcome.size)}" if outcome.size is not None else "")


def span(seconds: float) -> str:
    """Return a time in one unit."""
    if seconds >= _MINUTE:
        return f"{seconds / _MINUTE:.1f} min"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"


def size(count: float) -> str:
    """Return a number of bytes in one unit."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < _KILO:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= _KILO
    return f"{count:.1f} TB"
