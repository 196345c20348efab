"""`info` and `show`: commands that read JSON only. They import nothing of the user's, unpickle nothing and make nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ckpt._cli.options import AsJson, Name

if TYPE_CHECKING:
    from ckpt._cli.tower import SourceLine
    from ckpt._model.record import Frame, Header
    from ckpt._store.store import Stored

Newest = Annotated[int | None, typer.Option("-n", metavar="N", min=0, help="Only the newest N.")]


def info(name: Name = None, newest: Newest = None, as_json: AsJson = False) -> None:
    """List the captures, oldest first, and say where they lie and how the store was found."""
    from ckpt._cli import report, screen
    from ckpt._cli.stores import located, matching, opened

    location = located()
    headers = matching(opened(), name)
    chosen = headers if newest is None else headers[max(0, len(headers) - newest) :]
    if as_json:
        screen.write(report.listing(location, chosen))
    else:
        _list(chosen, len(headers))


def show(name: Name = None, as_json: AsJson = False) -> None:
    """Show one capture: its traceback with the variables of each frame, or the arguments of a call that did not fail.

    Without NAME: the newest failure, or the newest capture when none failed. Nothing of the capture is run or loaded.
    """
    from ckpt._cli import report, screen
    from ckpt._cli.stores import opened

    store = opened()
    stored = store.get(store.find(name).id)
    entry = stored.entry and stored.entry.manifest()
    failure = stored.failure and stored.failure.manifest()
    if as_json:
        screen.write(report.record(stored.header, stored.process, entry, failure))
    else:
        screen.show_lines(report.page(stored.header, entry, failure, _source_lines(stored), stored.view or (0, 0)))


def _list(headers: list[Header], known: int) -> None:
    import os
    import time

    from ckpt._cli import report, screen
    from ckpt._cli.stores import bytes_used, located

    location = located()
    screen.write(report.store_line(location, known, bytes_used(location.path)))
    if not headers:
        screen.say(report.nothing_yet(location, os.path.isdir(location.path)))
        return
    cells = report.rows(headers, time.time())
    if screen.is_terminal() and len(cells) <= report.TABLE_LIMIT:
        screen.show(report.table(cells))
    else:
        screen.write(report.plain(cells))


def _source_lines(stored: Stored) -> SourceLine:
    """Return the reader of a capture's source lines; each text is read once, and a damaged one costs only its lines."""
    from ckpt.errors import CkptError

    texts: dict[str, list[str]] = {}

    def source_line(frame: Frame, number: int) -> str:
        if frame.source is None:
            return ""
        if frame.source not in texts:
            try:
                texts[frame.source] = stored.source(frame.source).splitlines()
            except CkptError:
                texts[frame.source] = []
        found = texts[frame.source]
        return found[number - 1] if 0 < number <= len(found) else ""

    return source_line
