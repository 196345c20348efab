"""Records as lists, tables, pages and JSON. Pure functions: what they return, the commands print."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ckpt._cli.others import PlaceLine, mention, stacks
from ckpt._cli.text import age, one_line, plural, span, when
from ckpt._cli.tower import Line, SourceLine, measure, tower, variables
from ckpt._model.record import DIED, FAILED, LEFT, RETURNED, RUNNING, UNKNOWN, Header, Json, Manifest
from ckpt._model.units import size

if TYPE_CHECKING:
    from rich.table import Table

    from ckpt._replaying.verdicts import Replay
    from ckpt._store.journal import Finding
    from ckpt._store.location import Location

#: Characters of an id that a list shows; any unique beginning names the capture.
ID_LENGTH = 8
#: A terminal with fewer columns than this shows fewer of a list.
ROOMY = 100
COLUMNS = ("id", "name", "status", "when", "age", "duration", "exception or returned")
#: A table of rich's costs a tenth of a millisecond for each cell: longer lists stay plain.
TABLE_LIMIT = 500

_STYLES = {RUNNING: "cyan", RETURNED: "green", FAILED: "bold red", LEFT: "dim", DIED: "bold magenta", UNKNOWN: "yellow"}
_HOW = {
    "option": "given by --ckpt-dir",
    "PYCKPT_DIR": "given by PYCKPT_DIR",
    "search": "found by search",
    "XDG": "found by XDG: there is no .pyckpt from here upwards",
}


def store_line(location: Location, count: int, used: int) -> str:
    """Return where the store is, how it was found, and what is in it, in one line."""
    how = f"temporary: {location.reason}" if location.reason else _HOW.get(location.found_by, location.found_by)
    return one_line(f"{location.path}  ({how}; {plural(count, 'capture')}, {size(used)})")


def rows(headers: Iterable[Header], now: float) -> list[list[str]]:
    """Return the cells of a list of captures, under `COLUMNS`."""
    return [
        [
            one_line(header.id)[:ID_LENGTH],
            one_line(header.name),
            one_line(header.status),
            when(header.time),
            age(now - header.time),
            span(header.duration),
            outcome(header),
        ]
        for header in headers
    ]


def plain(cells: Sequence[Sequence[str]], columns: Sequence[str] = COLUMNS) -> str:
    """Return rows as aligned columns under their heads; the last one is as long as it is."""
    everything = [columns, *cells]
    widths = [max(map(len, column)) for column in list(zip(*everything, strict=True))[:-1]]
    form = "".join(f"{{:{width}}}  " for width in widths) + "{}"
    return "\n".join(form.format(*row).rstrip() for row in everything)


def table(cells: Sequence[Sequence[str]], width: int = ROOMY) -> Table:
    """Return rows as a table for a terminal of `width` columns; a narrow one goes without the age, and only the last column may be cut."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    shown = [place for place, name in enumerate(COLUMNS) if width >= ROOMY or name != "age"]
    add_columns(made, [COLUMNS[place] for place in shown], [[row[place] for place in shown] for row in cells], width)
    for row in cells:
        made.add_row(*(Text(row[place], _STYLES.get(row[place], "") if COLUMNS[place] == "status" else "") for place in shown))
    return made


def add_columns(made: Table, names: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> None:
    """Give a table its columns. However narrow the terminal is, the last is cut first: the others are what the next command needs."""
    room = width
    for place, name in enumerate(names[:-1]):
        taken = max([len(name), *(len(row[place]) for row in cells)])
        room -= taken + 2
        made.add_column(name, no_wrap=True, overflow="ellipsis", width=taken)
    made.add_column(names[-1], no_wrap=True, overflow="ellipsis", max_width=max(8, room - 2))


def outcome(header: Header) -> str:
    """Return how the call ended, in one line: its exception, or what it returned."""
    if header.exception:
        return one_line(header.exception)
    if header.status == DIED:
        return "its process was gone before it ended"
    return one_line(f"-> {_returned(header.returned)}") if header.returned else ""


def listing(location: Location, headers: Iterable[Header]) -> str:
    """Return the JSON of `ckpt info`."""
    return as_json({"store": location.path, "found_by": location.found_by, "captures": [header.to_json() for header in headers]})


def nothing_yet(location: Location, is_there: bool) -> str:
    """Return what to do about a store without captures."""
    if is_there:
        return "no captures yet: put @ckpt.ckpt on a function and call it"
    missing = f"{one_line(location.path)} is not there yet; the first capture makes it"
    if location.found_by in {"option", "PYCKPT_DIR"}:
        return f"{missing}, or: ckpt --ckpt-dir {one_line(shlex.quote(location.path))} init"
    return f"{missing}; for one in this directory: ckpt init"


def page(  # noqa: PLR0913 - a capture's parts, and how they are shown
    header: Header,
    entry: Manifest | None,
    failure: Manifest | None,
    source_line: SourceLine,
    view: tuple[int, int],
    *,
    all_frames: bool = False,
) -> list[Line]:
    """Return one capture: what it is, its failure with all variables, or the arguments of a call that did not fail.

    Of a long recursion only both ends are there, unless `all_frames`.
    """
    head = _head(header)
    if failure is not None:
        told = tower(failure, source_line, view, all_frames=all_frames)
        told = told or [("bold red", one_line(header.exception or "The failure holds no exception."))]
        return [*head, *mention(failure.others), ("", ""), *told]
    arguments = entry.arguments if entry is not None else []
    shown = [("", "Called with:"), *variables(arguments, "  ")] if arguments else [("", "Called without arguments.")]
    ended = [("", ""), ("", one_line(f"Returned: {_returned(header.returned)}"))] if header.returned else []
    if header.status == LEFT and header.exception:
        ended = [("", ""), ("", f"Left by {one_line(header.exception)}")]
    return [*head, ("", ""), *shown, *ended]


def beside(header: Header, failure: Manifest | None, source_line: PlaceLine) -> list[Line]:
    """Return what one capture is, and what else was running when it failed."""
    return [*_head(header), *stacks(failure.others if failure is not None else (), source_line)]


def record(header: Header, process: Json, entry: Manifest | None, failure: Manifest | None) -> str:
    """Return the JSON of `ckpt show`."""
    manifests = {"entry": entry and entry.to_json(), "failure": failure and failure.to_json()}
    return as_json(header.to_json() | {"process": process} | manifests)


def verdict(replay: Replay) -> str:
    """Return the line that a replay ends with."""
    took = f" [{span(replay.duration)}]" if replay.duration is not None else ""
    return one_line(f"{replay.verdict}: {replay.detail}{took}" if replay.detail else f"{replay.verdict}{took}")


def replayed(header: Header, replay: Replay, text: str | None) -> str:
    """Return the JSON of `ckpt run`; `text` is the repr of what was returned."""
    return as_json(replayed_data(header, replay, text))


def replayed_data(header: Header, replay: Replay, text: str | None) -> Json:
    """Return what the JSON of one replay says."""
    return {
        "id": header.id,
        "name": header.name,
        "verdict": replay.verdict,
        "detail": replay.detail,
        "repr": text,
        "exception": replay.error,
        "duration": replay.duration,
        "notes": list(replay.notes),
    }


def raised_line(raised: BaseException) -> str:
    """Return type and message of what a call raised, in one line."""
    message = shielded(lambda: str(raised))
    return one_line(f"raised {type(raised).__qualname__}: {message}" if message else f"raised {type(raised).__qualname__}")


def shielded(make: Callable[[], str]) -> str:
    """Return the text that foreign code makes, or what it raised instead."""
    try:
        return make()
    except Exception as err:  # a `__repr__` of the user's: the replay has happened, and is to be told
        return f"<no text: {type(err).__qualname__} raised>"


def findings(found: Iterable[Finding]) -> list[str]:
    """Return one line for each thing in a store that is not as it was written."""
    return [one_line(f"{f.path}{'' if f.offset is None else f', byte {f.offset}'}: {f.what}") for f in found]


def as_json(data: Any) -> str:
    """Return JSON of ASCII only, so that it is safe on every terminal and in every encoding."""
    return json.dumps(data, indent=2, default=str).replace("\x7f", "\\u007f")


def _returned(value: Json) -> str:
    """Return how a description shows; straight from its JSON, since a list has one for each call."""
    return f"{value.get('type', '?')}{measure(value.get('length'), value.get('shape'))} = {value.get('text', '?')}"


def _head(header: Header) -> list[Line]:
    ended = f" after {span(header.duration)}" if header.duration is not None else ""
    title = f"{header.name}  {header.status}{ended}  {when(header.time)}  {header.id}"
    place = "  ".join(filter(None, (_function(header), header.python and f"Python {header.python}", f"pid {header.pid}", header.host)))
    tags = "  ".join(f"{tag[0]}={tag[1]}" for tag in header.tags if len(tag) > 1)
    return [(_STYLES.get(header.status, ""), one_line(title)), *(("dim", one_line(text)) for text in (place, tags) if text)]


def _function(header: Header) -> str:
    return ".".join(filter(None, (header.module, header.qualname)))
