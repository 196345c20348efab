"""`info` and `show`: commands that read JSON only. They import nothing of the user's, unpickle nothing and make nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ckpt._cli.options import AsJson, Name

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt._model.record import Frame, Place
    from ckpt._store.store import Stored

Newest = Annotated[int | None, typer.Option("-n", metavar="N", min=0, help="The newest N; 100 without it, and all with --json.")]
Threads = Annotated[bool, typer.Option("--threads", help="The other threads and tasks at the failure, with their stacks.")]
AllFrames = Annotated[bool, typer.Option("--frames", help="Every frame of a long recursion, not only both ends.")]


def info(name: Name = None, newest: Newest = None, as_json: AsJson = False) -> None:
    """List the captures, oldest first.

    The first line says where the store is, how it was found, and its size.
    """
    from ckpt._cli.listing import Listing

    Listing(name, newest, as_json).tell()


def show(name: Name = None, frames: AllFrames = False, threads: Threads = False, as_json: AsJson = False) -> None:
    """Show one capture with all its variables.

    The traceback with the variables of each frame, or the arguments of a call that did not fail. Without NAME: the newest failure, or the
    newest capture when none failed. Nothing of the capture is run or loaded.
    """
    from ckpt._cli import report, screen
    from ckpt._cli.stores import opened

    store = opened()
    stored = store.get(store.find(name).id)
    _say_whose(stored)
    entry = stored.entry.manifest() if stored.entry is not None else None
    failure = stored.failure.manifest() if stored.failure is not None else None
    if as_json:
        screen.write(report.record(stored.header, stored.process, entry, failure))
    elif threads:
        screen.show_lines(report.beside(stored.header, failure, _source_lines(stored)))
    else:
        view = stored.view or (0, 0)
        screen.show_lines(report.page(stored.header, entry, failure, _source_lines(stored), view, all_frames=frames))


def _say_whose(stored: Stored) -> None:
    """Say of a capture that cannot be opened as it is, why, and what lets it."""
    from ckpt._cli.screen import complain
    from ckpt._store.trusted import check_trust
    from ckpt.errors import NoValuesError, StoreError, UntrustedError

    try:
        stored.check_values()
        check_trust(stored)
    except (NoValuesError, StoreError, UntrustedError) as err:
        complain(err.message, err.hint, label="note")


def _source_lines(stored: Stored) -> Callable[[Frame | Place, int], str]:
    """Return the reader of a capture's source lines; each text is read once, and a damaged one costs only its lines."""
    from ckpt.errors import CkptError

    texts: dict[str, list[str]] = {}

    def source_line(frame: Frame | Place, number: int) -> str:
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
