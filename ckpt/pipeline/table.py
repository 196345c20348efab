"""The live table of a run, on a terminal; the only room of this wing that knows rich."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

from ckpt._model.units import size, span
from ckpt.pipeline.graphs import Pipeline
from ckpt.pipeline.watching import DONE, FAILED, LOADED, RUNNING, SKIPPED, UNNEEDED, WAITING
from ckpt.pipeline.work import Outcome

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

STYLES = {UNNEEDED: "dim", WAITING: "dim", LOADED: "green", RUNNING: "cyan", DONE: "green", FAILED: "bold red", SKIPPED: "dim"}
#: What is shown first where not all rows have room.
_URGENT = (FAILED, RUNNING, WAITING, SKIPPED, DONE, LOADED, UNNEEDED)
#: Lines that are no rows: the names of the columns, what is left out, and where the cursor stands.
_OTHER_LINES = 3
_COLUMNS = ("stage", "state", "time", "size", "why")
#: With fewer columns on the terminal than this the last two are left out, so that the names have room.
_NARROW = 60


@dataclass(frozen=True, slots=True)
class _Row:
    state: str = UNNEEDED
    why: str = ""
    since: float = 0.0
    outcome: Outcome | None = None

    def cells(self) -> tuple[str, str, str]:
        """Return time, size and what there is to say."""
        if self.outcome is None:
            return span(perf_counter() - self.since) if self.state == RUNNING else "", "", self.why
        error = self.outcome.error
        stored = size(self.outcome.size) if self.outcome.size is not None else ""
        said = f"{type(error).__name__}: {error}".partition("\n")[0] if error is not None else self.why
        return span(self.outcome.took), stored, said


class LiveTable:
    """One row for each node, as it stands; on a terminal with less room, those first in which something happens."""

    def __init__(self, nodes: Sequence[Pipeline]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._rows = dict.fromkeys(nodes, _Row())
        #: Whether the run is over: then all rows are shown, since the terminal can be scrolled.
        self._is_over = False
        is_shared = sys.stdout is not None and sys.stdout.isatty()
        self._live: Live = Live(self, console=Console(stderr=True), refresh_per_second=8, redirect_stdout=is_shared)

    def __enter__(self) -> Self:
        """Show the table at the foot of the terminal; what the stages print goes above it."""
        self._live.__enter__()
        return self

    def __exit__(self, *trouble: Any) -> None:  # noqa: PYI036  rich wants three of them
        """Leave the table as it is."""
        self._is_over = True
        self._live.__exit__(*trouble)

    def tell(self, node: Pipeline, state: str, why: str = "", outcome: Outcome | None = None) -> None:
        """Show a node in another state."""
        self._rows[node] = _Row(state, why, perf_counter(), outcome)

    def say(self, text: str) -> None:
        """Print a line above the table."""
        self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table | Text]:
        from rich.text import Text

        rows = list(self._rows.items())
        room = len(rows) if self._is_over else max(1, console.height - _OTHER_LINES)
        shown = rows if len(rows) <= room else _most_urgent(rows, room)
        yield _table(shown, is_narrow=options.max_width < _NARROW)
        if len(shown) < len(rows):
            counts = Counter(row.state for node, row in rows if (node, row) not in shown)
            yield Text(f"... {', '.join(f'{count} {state}' for state, count in counts.items())}", "dim")


def _most_urgent(rows: list[tuple[Pipeline, _Row]], room: int) -> list[tuple[Pipeline, _Row]]:
    """Return as many rows as there is room for, in their order: of one state the latest, of those that wait the next ones."""
    ranked = sorted(rows, key=lambda each: (_URGENT.index(each[1].state), each[1].since if each[1].state == WAITING else -each[1].since))
    chosen = {node for node, _ in ranked[:room]}
    return [each for each in rows if each[0] in chosen]


def _table(rows: list[tuple[Pipeline, _Row]], *, is_narrow: bool) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    columns = _COLUMNS[:3] if is_narrow else _COLUMNS
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ellipsis", justify="right" if column in {"time", "size"} else "left")
    for node, row in rows:
        taken, stored, said = row.cells()
        cells = (Text(node.stage.name), Text(row.state, STYLES[row.state]), taken, stored, Text(said))
        table.add_row(*cells[: len(columns)])
    return table
