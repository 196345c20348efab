"""What an index of checkpoint files holds: entries, which are rows of a table."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple, overload

from ckpt._model.tags import checked
from ckpt.checkpoints.paths import NULL, decoded, parse, segments
from ckpt.errors import TagError

TagPair = tuple[str, str | None]

#: The columns beside those of the tags.
FIELDS = frozenset({"prefixes", "checkpoint_name", "checkpoint_path"})


class Level(NamedTuple):
    """A directory: what the levels of its path below the indexed one say."""

    path: str
    prefixes: tuple[str, ...]
    tags: tuple[TagPair, ...]


class Block(NamedTuple):
    """The files of one directory that are in an index, in order."""

    level: Level
    files: list[str]


class Shared:
    """What the entries of one index have in common: the columns of their table, and how to open their files."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        self.names: dict[str, None] = {}

    @cached_property
    def columns(self) -> list[str]:
        """The names of the columns, asked for when all files are known."""
        return ["prefixes", "checkpoint_name", *(name for name in self.names if name not in FIELDS), "checkpoint_path"]


class IndexEntry(dict[str, Any]):
    """One file: where it lies, and what its path says of it.

    Each tag is an attribute as well, its value a text (None for a tag without one), unless a field has its name; one that occurs several
    times raises `TagError`, and so does one that is not there. As a dict, an entry is a row of the table: prefixes, name, tags, path, with
    None for tags that only other files of the index have, and all values of a tag that occurs several times as one text, `1, 2`.

    A tag named like a method of a dict has the attribute too. `keys` alone stays what it is, by which `dict` and pandas know a row.
    """

    # No other kind of mapping will do: pandas and polars keep the order of the columns only for dicts.

    __slots__ = ("_origin", "checkpoint_name", "checkpoint_path", "prefixes", "tags")

    #: The path of the file, beginning as the indexed directory was given; of a remote one its URL.
    checkpoint_path: str
    #: The last part of the checkpoint's name.
    checkpoint_name: str
    #: The parts of the name before that.
    prefixes: tuple[str, ...]
    #: The tags, outermost first.
    tags: tuple[TagPair, ...]

    def __init__(self, name: str, level: Level, shared: Shared) -> None:
        path, prefixes, tags = level
        title = decoded(name[: name.find(".", 1)] if "." in name[1:] else name)
        row = dict.fromkeys(shared.columns) | _cells(tags)
        super().__init__(row | {"prefixes": prefixes, "checkpoint_name": title, "checkpoint_path": path + name})
        self._origin = name, level, shared
        self.checkpoint_path, self.checkpoint_name, self.prefixes, self.tags = path + name, title, prefixes, tags

    @property
    def checkpoint_fullname(self) -> str:
        """The full name of the checkpoint."""
        return ".".join((*self.prefixes, self.checkpoint_name))

    def __getattribute__(self, name: str) -> Any:
        if name in _METHODS and any(each == name for each, _ in self.tags):
            return self._value(name)
        return super().__getattribute__(name)

    def __getattr__(self, name: str) -> str | None:
        if name.startswith("__") or name in IndexEntry.__slots__:
            raise AttributeError(name)  # somebody probes, or the entry is just being made
        return self._value(name)

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *(name for name, _ in self.tags)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IndexEntry) and self.checkpoint_path == other.checkpoint_path

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self.checkpoint_path)

    def __reduce__(self) -> tuple[Any, ...]:
        return IndexEntry, self._origin

    def __repr__(self) -> str:
        return f"IndexEntry({self.checkpoint_path!r})"

    def _value(self, name: str) -> str | None:
        found = [value for each, value in self.tags if each == name]
        if len(found) == 1:
            return found[0]
        if found:
            raise TagError(f"The tag {name!r} occurs {len(found)} times on {self.checkpoint_path!r}.", hint="use .tags: it has them all")
        tags = ", ".join(dict(self.tags)) or "none"
        raise TagError(f"{self.checkpoint_path!r} has no tag {name!r}; its tags: {tags}.")


_METHODS = frozenset(name for name in vars(dict) if not name.startswith("_")) - {"keys"}


def options_of(entry: IndexEntry) -> Mapping[str, Any]:
    """Return what opens the file of an entry, if it is a remote one."""
    _, _, shared = entry._origin  # noqa: SLF001 - every public name of an entry would be one that no tag can have
    return shared.options


def cell(tags: Iterable[TagPair], name: str) -> str | None:
    """Return what stands in a table for a tag: its value, all values of one that occurs several times, None where it is missing."""
    values = [value for each, value in tags if each == name]
    return ", ".join(NULL if value is None else value for value in values) if values[1:] else values[0] if values else None


def _cells(tags: tuple[TagPair, ...]) -> dict[str, str | None]:
    """Return what stands in a row for these tags."""
    found = dict(tags)
    return found if len(found) == len(tags) else {name: cell(tags, name) for name in found}


class Index:
    """The entries of an index, by path, numbers in tags by their value. `pandas.DataFrame(index)`, `polars.DataFrame(index)` are tables.

    Entries are made when they are asked for: most indexes are filtered, and the names alone are quickly read.
    """

    def __init__(self, blocks: Iterable[Block], shared: Shared) -> None:
        self._blocks = list(blocks)
        self._shared = shared
        #: How many files there are up to the end of each block.
        self._ends = list(accumulate(len(block.files) for block in self._blocks))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[IndexEntry]:
        for level, files in self._blocks:
            for name in files:
                yield IndexEntry(name, level, self._shared)

    @overload
    def __getitem__(self, index: int) -> IndexEntry: ...
    @overload
    def __getitem__(self, index: slice) -> Index: ...
    def __getitem__(self, index: int | slice) -> IndexEntry | Index:
        numbers = range(len(self))[index]
        if isinstance(numbers, int):
            level, name = self._find(numbers)
            return IndexEntry(name, level, self._shared)
        return Index([Block(level, [name]) for level, name in map(self._find, numbers)], self._shared)

    def __repr__(self) -> str:
        return f"<index of {len(self)} files>"

    def _find(self, number: int) -> tuple[Level, str]:
        level, files = self._blocks[place := bisect_right(self._ends, number)]
        return level, files[number - self._ends[place]]

    def where(self, *pairs: tuple[str, object], **tags: object) -> Index:
        """Return the entries that have all of these tags, compared as they stand in paths: `where(iteration=1)`."""
        wanted = {_as_read(name, value) for name, value in (*pairs, *tags.items())}
        return Index([block for block in self._blocks if wanted.issubset(block.level.tags)], self._shared)

    def columns(self) -> dict[str, list[Any]]:
        """Return the table column by column."""
        entries = list(self)
        return {name: [entry[name] for entry in entries] for name in self._shared.columns}

    # Neither a list nor a `Sequence`: polars makes a table of such rows from the first hundred, and loses tags that come later.

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the table as a stream of arrow's, for polars, pyarrow and DuckDB; one of the first two makes it."""
        columns = self.columns()
        try:
            import pyarrow as pa
        except ImportError:
            import polars as pl

            schema = {name: pl.List(pl.String) if name == "prefixes" else pl.String for name in columns}
            return pl.DataFrame(columns, schema=schema).__arrow_c_stream__(requested_schema)
        fields = [pa.field(name, pa.list_(pa.string()) if name == "prefixes" else pa.string()) for name in columns]
        return pa.table(columns, schema=pa.schema(fields)).__arrow_c_stream__(requested_schema)


def _as_read(name: str, value: object) -> TagPair:
    """Return a tag as it comes back from a path."""
    (segment,) = segments((checked((name, value)),))
    return parse(segment) or (name, "")
