"""What `ckpt info` does, apart from Typer: loading that takes longer than to read ten thousand captures."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from ckpt._cli import report, screen
from ckpt._cli.stores import bytes_used, located, matching, opened
from ckpt._store.location import set_ckpt_dir


class Listing(NamedTuple):
    """What is to be listed."""

    name: str | None = None
    newest: int | None = None
    as_json: bool = False
    #: The store that `--ckpt-dir` names.
    store: str | None = None

    def tell(self) -> None:
        """Print the list."""
        if self.store is not None:
            set_ckpt_dir(self.store)
        location = located()
        headers = matching(opened(), self.name)
        chosen = headers if self.newest is None else headers[max(0, len(headers) - self.newest) :]
        if self.as_json:
            screen.write(report.listing(location, chosen))
            return
        screen.write(report.store_line(location, len(headers), bytes_used(location.path)))
        if chosen:
            _tell_rows(report.rows(chosen, time.time()))
        elif not headers:
            screen.say(report.nothing_yet(location, os.path.isdir(location.path)))


def plain_listing(arguments: Sequence[str]) -> Listing | None:
    """Return what `info` with plain arguments asks for; None for everything else, which is Typer's: help, mistakes, the rarer spellings."""
    rest = list(arguments)
    listing = Listing()
    if rest[:1] == ["--ckpt-dir"] and len(rest) > 1:
        listing = Listing(store=rest[1])
        del rest[:2]
    if rest[:1] != ["info"]:
        return None
    del rest[0]
    while rest:
        argument = rest.pop(0)
        if argument == "--json":
            listing = listing._replace(as_json=True)
        elif argument == "-n" and rest and rest[0].isdecimal() and rest[0].isascii():
            listing = listing._replace(newest=int(rest.pop(0)))
        elif argument and not argument.startswith("-") and listing.name is None:
            listing = listing._replace(name=argument)
        else:
            return None
    return listing


def _tell_rows(cells: list[list[str]]) -> None:
    if screen.is_terminal() and len(cells) <= report.TABLE_LIMIT:
        screen.show(report.table(cells))
    else:
        screen.write(report.plain(cells))
