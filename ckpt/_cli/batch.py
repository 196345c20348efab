"""Many replays at a time, with progress while they run and a table at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ckpt._cli import report, screen, sessions
from ckpt._cli.text import one_line, plural, span

if TYPE_CHECKING:
    from rich.table import Table

    from ckpt._model.record import Header
    from ckpt._replaying.batches import Tell
    from ckpt._replaying.calling import Request
    from ckpt._replaying.verdicts import Replay
    from ckpt._store.store import Store

COLUMNS = ("id", "name", "verdict", "took", "what differs")
_STYLES = {"fixed": "green", "still passes": "green", "cannot replay": "yellow"}
#: So many notes are said, and so many captures named in each.
_MOST_NOTES, _MOST_IDS = 20, 5


def run_all(store: Store, name: str | None, request: Request, jobs: int, *, as_json: bool) -> bool:
    """Replay all captures that `name` means, oldest first, and show what that showed; return whether none of them fails."""
    from ckpt._cli.stores import fitting
    from ckpt._replaying.batches import replay_all

    headers = fitting(store, name)
    with _progress(len(headers)) as tell:
        shown = replay_all(headers, request, jobs=jobs, tell=tell)
    if as_json:
        screen.write(report.as_json([report.replayed_data(h, r, r.text) for h, r in zip(headers, shown, strict=True)]))
    else:
        _tell_rows([_row(header, replay) for header, replay in zip(headers, shown, strict=True)])
    sessions.say_all(_notes(headers, shown))
    screen.say(_summary(shown))
    return all(replay.exit_code() == 0 for replay in shown)


def _notes(headers: Sequence[Header], shown: Sequence[Replay]) -> list[str]:
    """Return why replays may differ from the first runs: each reason once, with the captures that it is about."""
    about: dict[str, list[str]] = {}
    for header, replay in zip(headers, shown, strict=True):
        for note in replay.notes:
            about.setdefault(note, []).append(header.id[: report.ID_LENGTH])
    told = [f"{note} ({_counted(ids, len(shown))})" for note, ids in about.items()]
    return told if len(told) <= _MOST_NOTES else [*told[:_MOST_NOTES], f"{len(told) - _MOST_NOTES} more notes: --json has them all"]


def _counted(ids: list[str], count: int) -> str:
    """Return which of so many replays are meant, in a few words."""
    if len(ids) == count > 1:
        return f"all {count}"
    return ", ".join(ids) if len(ids) <= _MOST_IDS else f"{', '.join(ids[:_MOST_IDS])} and {len(ids) - _MOST_IDS} more"


def _row(header: Header, replay: Replay) -> list[str]:
    return [
        header.id[: report.ID_LENGTH],
        one_line(header.name),
        replay.verdict,
        span(replay.duration),
        one_line(replay.detail),
    ]


def _summary(shown: Sequence[Replay]) -> str:
    counted = Counter(replay.verdict for replay in shown)
    return f"{plural(len(shown), 'replay')}: {', '.join(f'{count} {verdict}' for verdict, count in counted.most_common())}"


def _tell_rows(rows: list[list[str]]) -> None:
    if screen.is_terminal() and len(rows) <= report.TABLE_LIMIT:
        screen.show(_table(rows))
        return
    screen.write(report.plain(rows, COLUMNS))


def _table(rows: list[list[str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    report.add_columns(made, COLUMNS, rows, screen.width())
    for row in rows:
        made.add_row(*(Text(cell, _STYLES.get(cell, "red") if place == COLUMNS.index("verdict") else "") for place, cell in enumerate(row)))
    return made


@contextmanager
def _progress(count: int) -> Iterator[Tell]:
    """Give what tells that a replay has ended: a bar on a terminal, else a line on standard error."""
    if not screen.is_terminal(of_errors=True):
        done = iter(range(1, count + 1))
        yield lambda header, replay: screen.say(f"{next(done)}/{count}  {replay.verdict}  {header.id[:8]}  {one_line(header.name)}")
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=screen.console(of_errors=True), transient=True) as progress:
        task = progress.add_task("", total=count)
        yield lambda header, replay: progress.update(task, advance=1, description=one_line(header.name))
