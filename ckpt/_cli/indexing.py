"""`index`: the files of named checkpoints, from their names alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ckpt._cli.options import AsJson
from ckpt._cli.text import one_line
from ckpt.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from ckpt.checkpoints import Index, IndexEntry

Directory = Annotated[str, typer.Argument(metavar="DIR", help="A directory, or an fsspec URL.")]
Where = Annotated[list[str] | None, typer.Option("--where", metavar="TAG=VALUE", help="Only files with this tag; may be repeated.")]


def index(directory: Directory, where: Where = None, as_json: AsJson = False) -> None:
    """List the files of named checkpoints.

    Their names, tags and paths. No file is opened.
    """
    from ckpt._cli import report, screen
    from ckpt.checkpoints import index_checkpoint_files

    all_files = index_checkpoint_files(directory)
    found = all_files.where(*map(_condition, where or []))
    if as_json:
        screen.write(report.as_json({"directory": directory, "checkpoints": list(map(_record, found))}))
    elif not found:
        screen.say(_nothing(all_files, where or []))
    elif screen.is_terminal() and len(found) <= report.TABLE_LIMIT:
        screen.show(_table(_columns(found), _rows(found)))
    else:
        screen.write(report.plain(_rows(found), _columns(found)))


def _condition(text: str) -> tuple[str, str | None]:
    """Return a tag and its value, which is None where a path says so."""
    from ckpt.checkpoints.paths import NULL

    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{text!r} is no tag with its value.", hint="ckpt index DIR --where iteration=1")
    return name, None if value == NULL else value


def _nothing(index: Index, where: list[str]) -> str:
    """Return what is said when no file is listed: that there is none, or that none of those that are there has these tags."""
    if not index:
        return "no checkpoint files"
    return one_line(f"none of {len(index)} files has {', '.join(where)}; their tags: {', '.join(_tag_names(index)) or 'none'}")


def _record(entry: IndexEntry) -> dict[str, Any]:
    fields = ("checkpoint_path", "checkpoint_fullname", "checkpoint_name", "prefixes", "tags")
    return {name: getattr(entry, name) for name in fields}


def _tag_names(index: Index) -> list[str]:
    return list(dict.fromkeys(name for entry in index for name, _ in entry.tags))


def _columns(index: Index) -> list[str]:
    return ["checkpoint", *map(one_line, _tag_names(index)), "path"]


def _rows(index: Index) -> list[list[str]]:
    """Return a row for each file, its path last; a tag that occurs several times shows all of its values."""
    names = _tag_names(index)
    return [
        [
            one_line(entry.checkpoint_fullname),
            *(_shown(entry, name) for name in names),
            one_line(entry.checkpoint_path),
        ]
        for entry in index
    ]


def _shown(entry: IndexEntry, name: str) -> str:
    """Return what stands in the table for a tag, and could be said after `--where`; nothing only where the tag is missing."""
    from ckpt.checkpoints.index import cell
    from ckpt.checkpoints.paths import NULL

    if name not in dict(entry.tags):
        return ""
    value = cell(entry.tags, name)
    return NULL if value is None else one_line(value) or '""'


def _table(columns: list[str], rows: list[list[str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(Text(column), overflow="fold")
    for row in rows:
        made.add_row(*map(Text, row))
    return made
