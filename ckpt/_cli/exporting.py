"""`export` and `import`: captures as one file that goes from one machine to another."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Annotated

import typer

from ckpt._cli.completion import capture_names
from ckpt._cli.screen import advise, complain, say, write
from ckpt._cli.text import one_line, plural
from ckpt._model.units import size
from ckpt.errors import NotFoundError

if TYPE_CHECKING:
    from ckpt._model.record import Header
    from ckpt._store.exporting import Exported
    from ckpt._store.store import Store

#: Statuses of calls that had not ended.
_OPEN = {"running": "still runs", "unknown": "may still run"}

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME",
        show_default=False,
        autocompletion=capture_names,
        help="Names, module.name, name~2, ids, or patterns such as 'load*'.",
    ),
]
Output = Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="The file to write, such as bug.ckpt.")]
Last = Annotated[int | None, typer.Option("--last", metavar="N", min=1, help="The newest N of them, failures before others.")]
NoValues = Annotated[bool, typer.Option("--no-values", help="Only descriptions and source texts, for everybody to see.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the file when it is there.")]
Path = Annotated[str, typer.Argument(metavar="FILE", show_default=False, help="A file that ckpt export has written.")]


def export(names: Names = None, *, output: Output, last: Last = None, no_values: NoValues = False, force: Force = False) -> None:
    """Write captures into one file, to be imported elsewhere.

    With all that opening them needs: values, source texts of the project and of all frames, command line, paths, versions. Only you can
    read the file; whoever you give it to can read what your variables held, but for what was redacted. Without NAME: the newest failure.

    A damaged capture is left out, which is said: exit code 1 when a NAME or an id means it, or when nothing is left. With --last and no
    NAME, a store without captures is no mistake: nothing is written, exit code 0.

    With --no-values: names, times, exceptions, each value as show prints it, versions, and source texts. No values, no command line, no
    sys.path; paths are relative to the working directory, home directories are ~, and the names of user and host are taken out as
    whole words, unless they are shorter than 3 characters, only digits, or one of root, user, runner and localhost. Source texts leave
    as they were written, also where they hold what is redacted elsewhere. Read descriptions and source texts (ckpt snapshot from writes
    those of the project) before you attach the file to a public issue.
    """
    from ckpt._cli.stores import opened
    from ckpt._store.exporting import export as write_file

    store = opened()
    if last is not None and not names and not store.headers():
        _say_nothing_to_export(store, output)
        return
    headers = _chosen(store, names or [], last)
    done = write_file(store, [header.id for header in headers], output, values=not no_values, replace=force)
    write(one_line(done.path))
    for header in done.headers:
        if header.status in _OPEN:
            say(one_line(f"note: the call {header.id} of {header.name!r} {_OPEN[header.status]}: the file holds its arguments"))
    say(_told(done, values=not no_values))
    if done.left_out:
        for id, err in done.left_out.items():
            complain(f"The capture {id} is left out: {err.message}", label="warning")
        advise("ckpt check")
        if any(_means_one(name, last) and store.find(name).id in done.left_out for name in names or ()):
            raise typer.Exit(1)


def import_(path: Path) -> None:
    """Place the captures of an exported file in the store.

    Everything in the file is checked first, nothing of it is run, and nothing is placed unless all of it is sound. The captures are as
    foreign afterwards as they were before: info, show and diff look at them; to open one, accept it with trust.
    """
    from ckpt._cli import report
    from ckpt._cli.stores import opened
    from ckpt._model.config import read_config
    from ckpt._store.importing import import_file
    from ckpt._store.location import working_directory

    store = opened()
    done = import_file(store, path, limit=read_config(working_directory()).quota)
    if done.placed:
        write(report.plain(report.rows(done.placed, time.time())))
    known = f"{plural(len(done.known), 'capture')} {'was' if len(done.known) == 1 else 'were'} there already"
    if not done.placed:
        say(one_line(f"nothing new: {known}, in {store.path}"))
        return
    say(one_line(f"{plural(len(done.placed), 'capture')} imported into {store.path}{f'; {known}' if done.known else ''}"))
    _say_how_to_open(store, done.placed[-1])


def _chosen(store: Store, names: list[str], last: int | None) -> list[Header]:
    """Return the captures that are meant, each once, by time of entry. Raises `NotFoundError`."""
    meant: list[str | None] = [*names] or [None]
    found = [header for name in meant for header in _meant(store, name, last)]
    return sorted({header.id: header for header in found}.values(), key=lambda header: header.time)


def _meant(store: Store, name: str | None, last: int | None) -> list[Header]:
    from ckpt._cli.stores import fitting

    if _means_one(name, last):
        return [store.find(name)]
    found = sorted(fitting(store, name), key=lambda header: (header.is_failure, header.time))
    return found if last is None else found[-last:]


def _means_one(name: str | None, last: int | None) -> bool:
    from ckpt._replaying.batches import is_pattern

    return last is None and not (name is not None and is_pattern(name))


def _say_nothing_to_export(store: Store, output: str) -> None:
    """Say that no file is written; raise `NotFoundError` when one lies there that could be taken for it."""
    if os.path.lexists(output):
        raise NotFoundError(f"There are no captures in {store.path!r}, and {output!r} is from before.", hint="ckpt info")
    say(one_line(f"nothing to export: there are no captures in {store.path}, and no file is written"))


def _told(done: Exported, *, values: bool) -> str:
    """Return what a file holds, in one line."""
    objects = f", {plural(done.objects, 'large object')}" if done.objects else ""
    held = f"{size(done.size)}: {plural(len(done.headers), 'capture')}, {plural(done.sources, 'source text')}{objects}"
    if values:
        return f"{held}; what the variables held, sources, command line and paths: for those you trust with that"
    stays = "sources as written, short or common names of user and host stay: read all before you publish it"
    return f"{held}; no values, no command line; {stays}"


def _say_how_to_open(store: Store, header: Header) -> None:
    from ckpt._store.trusted import check_trust
    from ckpt.errors import NoValuesError, StoreError, UntrustedError

    stored = store.get(header.id)
    try:
        stored.check_values()
        check_trust(stored)
    except NoValuesError as err:
        complain(err.message, err.hint, label="note")
    except UntrustedError as err:
        complain(err.message, f"ckpt show {header.id}; if you trust whoever made it: {err.hint}", label="note")
    except StoreError as err:  # of the key
        complain(err.message, err.hint, label="note")
