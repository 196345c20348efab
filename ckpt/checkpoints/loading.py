"""Back from files: the values of a checkpoint, and what its file says of itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ckpt._store.archive import Source
from ckpt.checkpoints import formats
from ckpt.checkpoints.index import IndexEntry, options_of
from ckpt.checkpoints.places import opened
from ckpt.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from ckpt.checkpoints.pickled import CheckpointHeader

Which = IndexEntry | str | os.PathLike[str]


def load(which: Which, value: str | None = None, *, storage_options: Mapping[str, Any] | None = None, trust: bool = False) -> Any:
    """Return the values of a checkpoint in a dict; with `value`, that one alone, and nothing else is loaded.

    `which` is an entry of an index, a path or an fsspec URL. Loading a `.ckpt` file runs foreign code: it imports modules and calls
    constructors. So one that is not signed with this user's key raises `UntrustedError`, unless `trust`. What cannot be loaded of a value
    is a placeholder. Raises `NotFoundError` when the file or the value is not there, and `DamagedError` for a file that is not as it was
    written.
    """
    path = _path(which)
    form = formats.of_file(path)
    with _opened(which, storage_options) as source:
        values = form.load(source, value, trust=trust)
    if value is None:
        return values
    if value not in values:
        raise NotFoundError(f"{path!r} holds no value {value!r}.", hint=f"ckpt.checkpoints.load({path!r}) returns all")
    return values[value]


def header(which: Which, *, storage_options: Mapping[str, Any] | None = None) -> CheckpointHeader:
    """Return what a `.ckpt` file says of itself: name, tags, time, versions, and a description of each value. Nothing is unpickled."""
    from ckpt.checkpoints.pickled import read_header

    if not _path(which).endswith(".ckpt"):
        raise UsageError(f"{_path(which)!r} has no header.", hint='only format="pickle" writes one')
    with _opened(which, storage_options) as source:
        return read_header(source)


def _path(which: Which) -> str:
    if isinstance(which, IndexEntry):
        return which.checkpoint_path
    try:
        return os.fspath(which)
    except TypeError as err:
        raise UsageError(f"{which!r} is neither an entry of an index nor a path.", hint="ckpt.checkpoints.load(index[0])") from err


def _opened(which: Which, options: Mapping[str, Any] | None) -> closing[Source]:
    if options is None:
        options = options_of(which) if isinstance(which, IndexEntry) else {}
    return closing(opened(_path(which), options))
