"""Checkpoints as files in a directory, here or elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ckpt._model.tags import Tags
from ckpt.checkpoints import formats
from ckpt.checkpoints.paths import key
from ckpt.checkpoints.places import OVERWRITE, place
from ckpt.checkpoints.staging import staged, unstaged
from ckpt.checkpoints.warning import warn_of_losses
from ckpt.errors import UsageError

#: No file system takes a longer name; a number and an extension need room. A letter takes up to four bytes.
LONGEST = 255 - len(".000000.parquet")


class FileHandler:
    """Writes each checkpoint to a file: `path/iteration=1/foo1=1/MyPackage/foo.ckpt`.

    `path` is a directory, relative to the working directory of this moment, or an fsspec URL, to which `storage_options` go. `format` is
    `"pickle"` (any value, `.ckpt`), `"json"` (`indent`) or `"parquet"` (one table, or columns of one length; options of
    `pyarrow.parquet.write_table`). A file that is there is replaced, or an `ExistsError` with `overwrite="error"`, or left alone with
    `"number"`: the new one is `foo.2.ckpt` then, and so on. A file is there as a whole or not at all.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        format: str = "pickle",  # noqa: A002 - the word that whoever writes tables looks for
        overwrite: str = "replace",
        storage_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if overwrite not in OVERWRITE:
            raise UsageError(f"overwrite= is not {overwrite!r}.", hint=f"overwrite= is one of {', '.join(map(repr, OVERWRITE))}")
        self._place = place(path, storage_options or {})
        self._format = formats.named(format, options, self._place.open_spill)
        self._extension = formats.EXTENSIONS[format]
        self._overwrite = overwrite

    def stage(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return `values` as they are now, for a `put` that comes later."""
        return staged(values, lambda name, value: self._format.freeze(self._format.encode(name, value)))

    def put(self, name: str, tags: Tags, values: Mapping[str, Any]) -> str:
        """Write a file and return its path.

        Raises `UsageError` for values that the format cannot keep and tags that are too long for a path, `ExistsError`, and `StoreError`
        when the file cannot be written. What could not be kept of a value is a placeholder in the file, and warned of.
        """
        kept = unstaged(values, self._format.encode)
        path = self._place.put(_fitting(name, tags), self._extension, self._format.pieces(name, tags, kept), self._overwrite)
        warn_of_losses(name, {each: self._format.lost(value) for each, value in kept.items()})
        return path


def _fitting(name: str, tags: Tags) -> str:
    path = key(name, tags)
    if len(path) > LONGEST // 4:
        for level in path.split("/"):
            if len(level.encode()) > LONGEST:
                raise UsageError(
                    f"The tag or name {level[:40]!r}... is too long for a path.", hint="a shorter value; the data may hold the rest"
                )
    return path
