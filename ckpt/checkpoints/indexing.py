"""An index of the files below a directory, from their names alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ckpt.checkpoints.formats import EXTENSIONS
from ckpt.checkpoints.index import Block, Index, Level, Shared
from ckpt.checkpoints.paths import decoded, parse
from ckpt.checkpoints.places import expanded, is_remote
from ckpt.errors import NotFoundError, StoreError, UsageError

_DIGITS = re.compile(r"([0-9]+)")
_ENDINGS = tuple(EXTENSIONS.values())


def index_checkpoint_files(directory: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None) -> Index:
    """Return an index of the checkpoint files below a directory or an fsspec URL. No file is opened: what tells them is how they end.

    Only what lies below `directory` counts as tags and prefixes. Raises `NotFoundError` when it does not exist, and `StoreError` when it
    cannot be read.
    """
    return _index(directory, storage_options or {}, only=True)


def index_files(directory: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None) -> Index:
    """Return an index of all files below a directory or an fsspec URL, whoever has written them."""
    return _index(directory, storage_options or {}, only=False)


def _index(directory: str | os.PathLike[str], options: Mapping[str, Any], *, only: bool) -> Index:
    root, shared = expanded(directory), Shared(options)
    blocks = _remote(root, options) if is_remote(root) else _local(root)
    kept = [block for block in map(_chosen if only else _sorted, blocks) if block.files]
    shared.names.update(dict.fromkeys(name for block in kept for name, _ in block.level.tags))
    return Index(kept, shared)


def _chosen(block: Block) -> Block:
    """Return the files of checkpoints in a directory, in order; hidden ones are unfinished, or of others: no part of a name has a dot."""
    if any(prefix.startswith(".") for prefix in block.level.prefixes):
        return Block(block.level, [])
    names = [name for name in block.files if name[0] != "." and name.endswith(_ENDINGS)]
    names.sort()
    # Each has one dot, and two when it has a number. A directory may hold all files there are, and its names are gone through in C.
    return _sorted(Block(block.level, names)) if "".join(names).count(".") > len(names) else Block(block.level, names)


def _sorted(block: Block) -> Block:
    return Block(block.level, sorted(block.files, key=_numbered))


def _local(root: str) -> Iterator[Block]:
    """Yield the files of each directory, before those of the directories in it; links to directories are not followed."""
    if not os.path.isdir(root):
        text = f"{root!r} is a file, not a directory." if os.path.exists(root) else f"There is no directory {root!r}."
        raise NotFoundError(text, hint="a directory that checkpoints were written to")
    waiting = [Level(root.rstrip("/") + "/", (), ())]
    while waiting:
        level = waiting.pop()
        files: list[str] = []
        directories: list[str] = []
        try:
            with os.scandir(level.path) as found:
                for each in found:
                    (directories if each.is_dir() and not each.is_symlink() else files).append(each.name)
        except FileNotFoundError:
            continue  # removed meanwhile
        except OSError as err:
            raise StoreError(f"{level.path!r} cannot be read: {err.strerror}.") from err
        if files:
            yield Block(level, files)
        if len(directories) > 1:
            directories.sort(key=_natural, reverse=True)
        waiting += [_below(level, name) for name in directories]


def _below(level: Level, name: str) -> Level:
    tag = parse(name)
    path, prefixes, tags = level
    return Level(f"{path}{name}/", prefixes if tag else (*prefixes, decoded(name)), (*tags, tag) if tag else tags)


def _natural(text: str) -> tuple[list[str | int], str]:
    """Return what sorts texts so that numbers in them go by their value."""
    pieces: list[str | int] = [*_DIGITS.split(text)]
    pieces[1::2] = map(int, pieces[1::2])
    return pieces, text


def _numbered(file: str) -> tuple[str, int, str]:
    """Return what sorts files by their name, and those of one name by the number that `overwrite="number"` has given them."""
    stem, _, rest = file.partition(".")
    number, _, extension = rest.partition(".")
    return (stem, int(number), extension) if number.isdecimal() and number.isascii() else (stem, 1, rest)


def _remote(url: str, options: Mapping[str, Any]) -> Iterator[Block]:
    from ckpt.checkpoints.remote import filesystem, reaching

    fs, root = filesystem(url, options)
    try:
        with reaching(url, "read"):
            fs.invalidate_cache(root)
            found: list[str] = fs.find(root)
            is_there = found or fs.exists(root)
    except FileNotFoundError:
        is_there = False
    except ValueError as err:  # all buckets at once
        raise UsageError(f"{url!r} is nothing to be listed: {err}", hint="a URL that checkpoints were written to") from err
    if not is_there:
        raise NotFoundError(f"There is nothing at {url!r}.", hint="a URL that checkpoints were written to")
    files: dict[str, list[str]] = {}
    for path in found:
        directory, _, name = path[len(root.rstrip("/")) + 1 :].rpartition("/")
        files.setdefault(directory, []).append(name)
    for directory in sorted(files, key=_natural):
        level = Level(url.rstrip("/") + "/", (), ())
        for part in directory.split("/") if directory else ():
            level = _below(level, part)
        yield Block(level, files[directory])
