"""Back from files: the values of a checkpoint, and what its file says of itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, cast

from ckpt._store.archive import Source
from ckpt.checkpoints import formats
from ckpt.checkpoints.index import IndexEntry
from ckpt.checkpoints.places import opened
from ckpt.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from ckpt.checkpoints.pickled import CheckpointHeader

Which = IndexEntry | str | os.PathLike[str]


def load(which: Which, value: str | None = None, *, storage_options: Mapping[str, Any] | None = None) -> Any:
    """Return the values of a checkpoint in a dict; with `value`, that one alone, and nothing else is loaded.

    `which` is an entry of an index, a path or an fsspec URL. Loading a `.ckpt` file runs foreign code: it imports modules and calls
    constructors. What cannot be loaded of a value is a placeholder. Raises `NotFoundError` when the file or the value is not there, and
    `DamagedError` for a file that is not as it was written.
    """
    with _source(which, storage_options) as source:
        values = formats.of_file(source.path).load(source, value)
    if value is None:
        return values
    if value not in values:
        raise NotFoundError(f"{source.path!r} holds no value {value!r}.", hint=f"ckpt.checkpoints.load({source.path!r}) returns all")
    return values[value]


def header(which: Which, *, storage_options: Mapping[str, Any] | None = None) -> CheckpointHeader:
    """Return what a `.ckpt` file says of itself: name, tags, time, versions, and a description of each value. Nothing is unpickled."""
    from ckpt.checkpoints.pickled import read_header

    with _source(which, storage_options) as source:
        if not source.path.endswith(".ckpt"):
            raise UsageError(f"{source.path!r} has no header.", hint='only format="pickle" writes one')
        return read_header(source)


@contextmanager
def _source(which: Which, options: Mapping[str, Any] | None) -> Iterator[Source]:
    entry = which if isinstance(which, IndexEntry) else None
    path = entry.checkpoint_path if entry is not None else os.fspath(cast("str", which))
    if options is None:
        options = entry.storage_options if entry is not None else {}
    with closing(opened(path, options)) as source:
        yield source
