"""`init`, `clear`, `check` and `trust`: commands that look after the store."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from ckpt._cli.completion import capture_names
from ckpt._cli.options import Name
from ckpt._cli.screen import say, write
from ckpt._cli.text import one_line
from ckpt.errors import UsageError

if TYPE_CHECKING:
    from ckpt._model.record import Header

Keep = Annotated[int | None, typer.Option("--keep", metavar="N", min=0, help="Keep the newest N captures of each name.")]
OlderThan = Annotated[str | None, typer.Option("--older-than", metavar="AGE", help="Only captures older than that: 7d, 12h, 30m.")]
Trusted = Annotated[list[str], typer.Argument(metavar="NAME", autocompletion=capture_names, help="The captures: their ids, or names.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def init() -> None:
    """Make a store, .pyckpt, in this directory.

    With --ckpt-dir, make that one. Harmless when it is there. The store keeps itself out of git, and nobody else can read it.
    """
    import os

    from ckpt._cli.stores import located
    from ckpt._store.location import DIRECTORY, create, locate

    location = located()
    path = location.path if location.found_by == "option" else os.path.abspath(DIRECTORY)
    create(path)
    write(path)
    now = locate() if location.found_by != "option" else location
    if now.path != path:
        say(one_line(f"note: captures go to {now.path} ({now.found_by})"))


def clear(name: Name = None, yes: Yes = False, keep: Keep = None, older_than: OlderThan = None) -> None:
    """Delete captures.

    Those of a name, one by its id, or all of them: that only with --yes or after asking. Captures that are still running stay, unless
    an id means one.
    """
    from ckpt._cli.stores import matching, opened
    from ckpt._cli.text import parse_age, plural

    store = opened()
    fitting = matching(store, name)
    if older_than is not None:
        limit = time.time() - parse_age(older_than)
        fitting = [header for header in fitting if header.time < limit]
    chosen = _ended(fitting, name)
    running = len(fitting) - len(chosen)
    if keep is not None:
        chosen = _beyond(chosen, keep)
    if name is None and keep is None and older_than is None and chosen and not yes:
        _ask(f"Delete all {plural(len(chosen), 'capture')} in {store.path}?")
    stays = f"; {plural(running, 'running capture')} {'stays' if running == 1 else 'stay'}" if running else ""
    say(f"{plural(store.clear([header.id for header in chosen]), 'capture')} deleted{stays}")


def trust(names: Trusted) -> None:
    """Let captures that somebody else made be opened.

    To open a capture runs what its author put in it. What is remembered is each of these captures as it is now: if it is changed, or
    another comes from the same place, that is refused as before.
    """
    from ckpt._cli.stores import opened
    from ckpt._store.trusted import accept, made_by

    store = opened()
    for stored in [store.get(store.find(name).id) for name in names]:  # all of them are there before one is accepted
        accept(stored)
        header = stored.header
        say(one_line(f"the capture {header.id} of {header.name!r}, made {made_by(stored)}, can be opened now: ckpt debug {header.id}"))


def check() -> None:
    """Report what in the store is not sound.

    What is damaged, missing or left over, one line each. Exit code 1 when there is something.
    """
    from ckpt._cli.report import findings
    from ckpt._cli.stores import opened

    found = findings(opened().check())
    for line in found:
        write(line)
    say("1 finding" if len(found) == 1 else f"{len(found) or 'no'} findings")
    raise typer.Exit(1 if found else 0)


def _ended(headers: list[Header], name: str | None) -> list[Header]:
    return [header for header in headers if header.status != "running" or (name is not None and header.id.startswith(name))]


def _beyond(headers: list[Header], keep: int) -> list[Header]:
    """Return `headers`, oldest first, without the newest `keep` of each name."""
    named: dict[tuple[str, str], list[Header]] = {}
    for header in headers:
        named.setdefault((header.module, header.name), []).append(header)
    return [header for same in named.values() for header in same[: max(0, len(same) - keep)]]


def _ask(question: str) -> None:
    """Return when the person says yes; raise `UsageError` when there is nobody to ask."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("Without a terminal, all captures are deleted only with --yes.", hint="ckpt clear --yes")
    typer.confirm(question, abort=True, err=True)
