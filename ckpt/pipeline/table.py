"""The live table of a run, on a terminal; the only room of this wing that knows rich."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from ckpt.pipeline.stages import Pipeline
from ckpt.pipeline.watching import DONE, FAILED, LOADED, RUNNING, SKIPPED, WAITING, size, span
from ckpt.pipeline.work import Outcome

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

STYLES = {WAITING: "dim", LOADED: "green", RUNNING: "cyan", DONE: "green", FAILED: "bold red", SKIPPED: "dim"}


class LiveTable:
    """One row for each node, as it stands."""

    def __init__(self, nodes: Sequence[Pipeline]) -> None:
        self._rows: dict[Pipeline, tuple[str, str, float, Outcome | None]] = dict.fromkeys(nodes, (WAITING, "", 0.0, None))
        self.live: Live | None = None

    def tell(self, node: Pipeline, state: str, why: str = "", outcome: Outcome | None = None) -> None:
        """Show a node in another state."""
        self._rows[node] = (state, why, perf_counter(), outcome)

    def say(self, text: str) -> None:
        """Print a line above the table."""
        if self.live is not None:
            self.live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __rich__(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for column in ("stage", "state", "time", "size", "why"):
            table.add_column(column, no_wrap=True, overflow="ellipsis", justify="right" if column in {"time", "size"} else "left")
        now = perf_counter()
        for node, (state, why, since, outcome) in list(self._rows.items()):
            taken = span(outcome.took) if outcome is not None else span(now - since) if state == RUNNING else ""
            stored = size(outcome.size) if outcome is not None and outcome.size is not None else ""
            said = f"{type(outcome.error).__name__}: {outcome.error}" if outcome is not None and outcome.error is not None else why
            table.add_row(Text(node.stage.name), Text(state, STYLES[state]), taken, stored, Text(said.partition("\n")[0]))
        return table


@contextmanager
def live_table(nodes: Sequence[Pipeline]) -> Iterator[LiveTable]:
    """Show a table at the foot of the terminal while the block runs; what the stages print goes above it."""
    from rich.console import Console
    from rich.live import Live

    table = LiveTable(nodes)
    is_shared = sys.stdout is not None and sys.stdout.isatty()
    with Live(table, console=Console(stderr=True), refresh_per_second=8, redirect_stdout=is_shared) as table.live:
        yield table
