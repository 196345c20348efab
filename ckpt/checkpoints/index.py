"""An index of the files below a directory, from their names alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, overload

from ckpt.checkpoints.formats import EXTENSIONS
from ckpt.checkpoints.paths import decoded, parse, segments
from ckpt.checkpoints.places import filesystem, is_remote
from ckpt.errors import NotFoundError, StoreError, TagError

_DIGITS = re.compile(r"([0-9]+)")
_ENDINGS = tuple(EXTENSIONS.values())

TagPair = tuple[str, str | None]


class _Level(NamedTuple):
    """A directory: what the levels of its path below the indexed one say."""

    path: str
    prefixes: tuple[str, ...]
    tags: tuple[TagPair, ...]


class _Shared:
    """What the entries of one index have in common: the columns of their table, and how to open their files."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        self.names: dict[str, None] = {}

    @property
    def columns(self) -> list[str]:
        tags = [name for name in self.names if name not in {"prefixes", "checkpoint_name", "checkpoint_path"}]
        return ["prefixes", "checkpoint_name", *tags, "checkpoint_path"]


class IndexEntry(Mapping[str, Any]):
    """One file: where it lies, and what its path says of it.

    Each tag is an attribute as well, its value a text (None for a tag without one), unless a field or method has its name. A tag that
    occurs several times raises `TagError`, and so does one that is not there. As a mapping, an entry is a row of a table: prefixes, name,
    tags, path, with None for tags that only other files of the index have.
    """

    __slots__ = ("_shared", "checkpoint_name", "checkpoint_path", "prefixes", "tags")

    #: The path of the file, beginning as the indexed directory was given; of a remote one its URL.
    checkpoint_path: str
    #: The last part of the checkpoint's name.
    checkpoint_name: str
    #: The parts of the name before that.
    prefixes: tuple[str, ...]
    #: The tags, outermost first.
    tags: tuple[TagPair, ...]

    def __init__(self, name: str, level: _Level, shared: _Shared) -> None:
        self.checkpoint_path = level.path + name
        stem = name[: name.find(".", 1)] if "." in name[1:] else name
        self.checkpoint_name = decoded(stem)
        _, self.prefixes, self.tags = level
        self._shared = shared

    @property
    def checkpoint_fullname(self) -> str:
        """The full name of the checkpoint."""
        return ".".join((*self.prefixes, self.checkpoint_name))

    @property
    def storage_options(self) -> Mapping[str, Any]:
        """What opens a remote file."""
        return self._shared.options

    def __getattr__(self, name: str) -> str | None:
        if name.startswith("__") or name in IndexEntry.__slots__:
            raise AttributeError(name)  # somebody probes, or the entry is just being made
        return self._value(name)

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *(name for name, _ in self.tags)]

    def __getitem__(self, name: str) -> Any:
        if name in {"prefixes", "checkpoint_name", "checkpoint_path"}:
            return getattr(self, name)
        if name not in self._shared.names:
            raise KeyError(name)
        return self._value(name) if any(name == found for found, _ in self.tags) else None

    def __iter__(self) -> Iterator[str]:
        return iter(self._shared.columns)

    def __len__(self) -> int:
        return len(self._shared.columns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IndexEntry):
            return NotImplemented
        return self.checkpoint_path == other.checkpoint_path

    def __hash__(self) -> int:
        return hash(self.checkpoint_path)

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


class Index:
    """The entries of an index, by path, numbers by their value. `pandas.DataFrame(index)` and `polars.DataFrame(index)` are tables."""

    def __init__(self, entries: list[IndexEntry], shared: _Shared) -> None:
        self._entries = entries
        self._shared = shared

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[IndexEntry]:
        return iter(self._entries)

    @overload
    def __getitem__(self, index: int) -> IndexEntry: ...
    @overload
    def __getitem__(self, index: slice) -> Index: ...
    def __getitem__(self, index: int | slice) -> IndexEntry | Index:
        return Index(self._entries[index], self._shared) if isinstance(index, slice) else self._entries[index]

    def __repr__(self) -> str:
        return f"<index of {len(self)} files>"

    def where(self, *pairs: tuple[str, object], **tags: object) -> Index:
        """Return the entries that have all of these tags, compared as they stand in paths: `where(iteration=1)`."""
        wanted = {_as_read(name, value) for name, value in (*pairs, *tags.items())}
        return Index([entry for entry in self if wanted.issubset(entry.tags)], self._shared)

    def columns(self) -> dict[str, list[Any]]:
        """Return the table column by column. Raises `TagError` where a tag occurs several times on one file."""
        return {name: [entry[name] for entry in self] for name in self._shared.columns}

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


def index_checkpoint_files(directory: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None) -> Index:
    """Return an index of the checkpoint files below a directory or an fsspec URL. No file is opened.

    Only what lies below `directory` counts as tags and prefixes. Raises `NotFoundError` when it does not exist.
    """
    return _index(directory, storage_options or {}, only=True)


def index_files(directory: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None) -> Index:
    """Return an index of all files below a directory or an fsspec URL, whoever has written them."""
    return _index(directory, storage_options or {}, only=False)


def _index(directory: str | os.PathLike[str], options: Mapping[str, Any], *, only: bool) -> Index:
    root, shared = os.fspath(directory), _Shared(options)
    if is_remote(root):
        entries = list(_remote_entries(root, shared, only=only))
    else:
        root = root.removeprefix("file://")
        if not os.path.isdir(root):
            raise NotFoundError(f"There is no directory {root!r}.", hint="a directory that checkpoints were written to")
        entries = []
        _collect(_Level(root.rstrip("/") + "/", (), ()), shared, entries, only=only)
    return Index(entries, shared)


def _collect(level: _Level, shared: _Shared, entries: list[IndexEntry], *, only: bool) -> None:
    """Add the files of a directory, then those of the directories in it; links to directories are not followed."""
    files: list[str] = []
    directories: list[str] = []
    try:
        with os.scandir(level.path) as found:
            for each in found:
                (directories if each.is_dir(follow_symlinks=False) else files).append(each.name)
    except FileNotFoundError:
        return  # removed meanwhile
    except OSError as err:
        raise StoreError(f"{level.path!r} cannot be read: {err.strerror}.") from err
    entries += _entries(files, level, shared, only=only)
    for name in directories if len(directories) < 2 else sorted(directories, key=_natural):  # noqa: PLR2004 - most hold one
        _collect(_below(level, name), shared, entries, only=only)


def _entries(files: list[str], level: _Level, shared: _Shared, *, only: bool) -> list[IndexEntry]:
    """Return the entries of the files in one directory, in order."""
    if only:
        files = [name for name in files if name.endswith(_ENDINGS) and not name.startswith(".")]
    if len(files) > 1:
        files.sort(key=_numbered)
    if files:
        shared.names.update(dict.fromkeys(name for name, _ in level.tags))
    return [IndexEntry(name, level, shared) for name in files]


def _below(level: _Level, name: str) -> _Level:
    tag = parse(name)
    path, prefixes, tags = level
    return _Level(f"{path}{name}/", prefixes if tag else (*prefixes, decoded(name)), (*tags, tag) if tag else tags)


def _as_read(name: str, value: object) -> TagPair:
    """Return a tag as it comes back from a path."""
    (segment,) = segments(((name, value if isinstance(value, str | int | float | None) else str(value)),))
    return parse(segment) or (name, "")


def _natural(text: str) -> tuple[list[str | int], str]:
    """Return what sorts texts so that numbers in them go by their value."""
    pieces: list[str | int] = [*_DIGITS.split(text)]
    pieces[1::2] = map(int, pieces[1::2])
    return pieces, text


def _numbered(file: str) -> tuple[tuple[list[str | int], str], int, str]:
    """Return what sorts files by their name, and those of one name by the number that `overwrite="number"` has given them."""
    stem, _, rest = file.partition(".")
    number, _, extension = rest.partition(".")
    is_number = number.isdecimal() and number.isascii()
    return _natural(stem), int(number) if is_number else 1, extension if is_number else rest


def _remote_entries(url: str, shared: _Shared, *, only: bool) -> Iterator[IndexEntry]:
    fs, root = filesystem(url, shared.options)
    fs.invalidate_cache(root)
    found: list[str] = fs.find(root)
    if not found and not fs.exists(root):
        raise NotFoundError(f"There is nothing at {url!r}.", hint="a URL that checkpoints were written to")
    files: dict[str, list[str]] = {}
    for path in found:
        directory, _, name = path[len(root.rstrip("/")) + 1 :].rpartition("/")
        files.setdefault(directory, []).append(name)
    for directory in sorted(files, key=_natural):
        level = _Level(url.rstrip("/") + "/", (), ())
        for part in directory.split("/") if directory else ():
            level = _below(level, part)
        yield from _entries(files[directory], level, shared, only=only)
