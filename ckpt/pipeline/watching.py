"""Who is told how a run goes: lines on standard error, a table on a terminal, or nobody."""

from __future__ import annotations

import os
import sys
from typing import Protocol, Self

from ckpt._model.describe import one_line
from ckpt._model.units import size, span
from ckpt.pipeline.graphs import Pipeline
from ckpt.pipeline.work import Outcome

UNNEEDED, WAITING, LOADED, RUNNING, DONE, FAILED, SKIPPED = "not needed", "waiting", "loaded", "running", "done", "failed", "not run"


class Watch(Protocol):
    """Is told what happens to the nodes of a run, while it is entered."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *trouble: object) -> None:
        """End."""

    def tell(self, node: Pipeline, state: str, why: str = "", outcome: Outcome | None = None) -> None:
        """Say that a node is in another state now."""

    def say(self, text: str) -> None:
        """Say something in a line of its own."""


class Silence:
    """Tells nothing but what a person must know."""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *trouble: object) -> None:
        """End."""

    def tell(self, node: Pipeline, state: str, why: str = "", outcome: Outcome | None = None) -> None:
        """Tell nobody."""

    def say(self, text: str) -> None:
        """Write a line."""
        write(text)


class Lines(Silence):
    """Plain lines."""

    def tell(self, node: Pipeline, state: str, why: str = "", outcome: Outcome | None = None) -> None:
        """Write a line; that a node has to wait for its inputs is none."""
        if state != WAITING or why:
            write(f"[{node.stage.name}] {state}{ending(outcome)}{f': {why}' if why else ''}")


def watch_over(sink: Pipeline, progress: bool | None) -> Watch:
    """Return what a run of `sink` tells of itself to; `progress` as in `Config`."""
    if progress is None and sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from ckpt.pipeline.table import LiveTable

        return LiveTable(sink.nodes())
    return Silence() if progress is False else Lines()


def write(text: str) -> None:
    """Write a line to standard error, which may be closed."""
    if sys.stderr is not None:
        sys.stderr.write(f"{text}\n")


def ending(outcome: Outcome | None) -> str:
    """Return what is to be said of a stage that has ended."""
    if outcome is None:
        return ""
    if outcome.error is not None:
        return f" after {span(outcome.took)}: {one_line(outcome.error)}"
    return f" in {span(outcome.took)}" + (f", {size(outcome.size)}" if outcome.size is not None else "")
