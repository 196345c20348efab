"""What `ckpt info` does, apart from Typer: loading that takes longer than to read ten thousand captures."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ckpt._cli import report, screen
from ckpt._cli.stores import bytes_used, located, matching, opened
from ckpt._store.location import DIRECTORY, set_ckpt_dir, store_inside

if TYPE_CHECKING:
    from ckpt._model.record import Header
    from ckpt._store.location import Location
    from ckpt._store.store import Store


#: How many captures a list shows that nobody asked to be longer.
LISTED = 100


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
            screen.name_store(self.store)
            set_ckpt_dir(self.store)
        location = located()
        chosen, total = self._chosen(opened())
        if self.as_json:
            screen.write(report.listing(location, chosen))
            return
        screen.write(report.store_line(location, total, bytes_used(location.path)))
        if chosen:
            _tell_rows(report.rows(chosen, time.time()))
        elif not total:
            _tell_nothing(location)
        if self.newest is None and len(chosen) < total:
            screen.say(f"the newest {len(chosen)}; ckpt info -n {total} lists all")

    def _chosen(self, store: Store) -> tuple[list[Header], int]:
        """Return the captures to list, and how many there are in all; a person gets the newest, JSON everything, unless asked."""
        newest = LISTED if self.newest is None and not self.as_json else self.newest
        if self.name is None and newest is not None:
            return store.newest(newest)
        headers = matching(store, self.name)
        return headers if newest is None else headers[max(0, len(headers) - newest) :], len(headers)


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


def _tell_nothing(location: Location) -> None:
    inside = store_inside(location.path)
    if inside is None:
        screen.say(report.nothing_yet(location, os.path.isdir(location.path)))
    else:
        screen.say(f"no captures in this directory itself, but it has a store, {DIRECTORY}, in it")
        screen.advise(f"ckpt --ckpt-dir {shlex.quote(inside)} info")


def _tell_rows(cells: list[list[str]]) -> None:
    if screen.is_terminal() and len(cells) <= report.TABLE_LIMIT:
        screen.show(report.table(cells, screen.width()))
    else:
        screen.write(report.plain(cells))
