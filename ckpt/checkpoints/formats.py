"""What files of checkpoints look like: one class for each format, found by its name or by the extension of a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ckpt._model.describe import type_name
from ckpt._model.tags import Tags
from ckpt._store.archive import Source
from ckpt.checkpoints.spilling import OpenSpill, Piece, Spilled
from ckpt.errors import DamagedError, UsageError

#: The files of each format.
EXTENSIONS = {"pickle": ".ckpt", "json": ".json", "parquet": ".parquet"}


class Format(Protocol):
    """Values <-> the bytes of one file. `encode` takes one value; what it returns is the format's own affair."""

    def encode(self, name: str, value: Any) -> Any:
        """Return the value `name` as it goes into a file; raise `UsageError` for one that this format cannot keep."""

    def freeze(self, encoded: Any) -> Any:
        """Return `encoded` so that what the program does to the value from now on does not show."""

    def pieces(self, name: str, tags: Tags, encoded: Mapping[str, Any]) -> Sequence[Piece]:
        """Return the bytes of a file for the checkpoint `name`."""

    def lost(self, encoded: Any) -> str:
        """Return why something in a value is only a placeholder; an empty text when all of it was kept."""

    def load(self, source: Source, only: str | None, *, trust: bool) -> dict[str, Any]:
        """Return the values in a file, or the one that `only` names. Raises `DamagedError`.

        Where loading runs what is in the file, one of another user raises `UntrustedError`, unless `trust`.
        """


def named(name: str, options: Mapping[str, Any], open_spill: OpenSpill = Spilled) -> Format:
    """Return a format, with options of its own; raise `UsageError` for an unknown one, and for one whose package is missing.

    `open_spill` makes a file for what is too large for memory.
    """
    makers: dict[str, Callable[..., Format]] = {"pickle": _pickle, "json": _json, "parquet": _parquet}
    if name not in makers:
        raise UsageError(f"There is no format {name!r}.", hint=f"format= is one of {', '.join(map(repr, EXTENSIONS))}")
    try:
        return makers[name](open_spill, **options)
    except TypeError as err:
        raise UsageError(f"The format {name!r} takes no option {', '.join(map(repr, options))}.") from err


def of_file(path: str) -> Format:
    """Return the format of a file, told by its extension; raise `UsageError` for another kind of file."""
    for name, extension in EXTENSIONS.items():
        if path.endswith(extension):
            return named(name, {})
    raise UsageError(f"{path!r} is no file of a checkpoint.", hint=f"these end with {', '.join(EXTENSIONS.values())}")


class JsonFile:
    """One JSON object: each value under its name. What comes back is what JSON makes of it: tuples are lists, and keys are texts."""

    def __init__(self, indent: int | None = None) -> None:
        self._indent = indent

    def encode(self, name: str, value: Any) -> bytes:
        """Return a value as JSON."""
        try:
            # What UTF-8 cannot say is half of a pair, for which JSON has the same escape as Python.
            return json.dumps(value, indent=self._indent, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")
        except (TypeError, ValueError, RecursionError) as err:
            text = f"The value {name!r}, a {type_name(type(value))}, cannot be written as JSON: {err}."
            raise UsageError(text, hint='format="pickle" keeps any value') from err

    def freeze(self, encoded: bytes) -> bytes:
        """Return the same: it does not change."""
        return encoded

    def pieces(self, name: str, tags: Tags, encoded: Mapping[str, bytes]) -> Sequence[Piece]:
        """Return the object that holds the values."""
        pieces = [b"{"]
        for key, text in encoded.items():
            pieces += [b", " if pieces[1:] else b"", self.encode("", key), b": ", text]
        return [*pieces, b"}\n"]

    def lost(self, encoded: bytes) -> str:
        """Return nothing: JSON keeps a value or refuses it."""
        return ""

    def load(self, source: Source, only: str | None, *, trust: bool) -> dict[str, Any]:
        """Return the values of the object, which are data, whoever wrote them."""
        try:
            values = json.loads(source.read(source.size, 0))
        except (ValueError, RecursionError) as err:
            raise DamagedError(f"{source.path!r} is not JSON: {err}.") from err
        if not isinstance(values, dict):
            raise DamagedError(f"{source.path!r} holds no JSON object.")
        return values


def _pickle(open_spill: OpenSpill) -> Format:
    from ckpt.checkpoints.pickled import CkptFile

    return CkptFile(open_spill)


def _json(open_spill: OpenSpill, **options: Any) -> Format:
    return JsonFile(**options)


def _parquet(open_spill: OpenSpill, **options: Any) -> Format:
    from ckpt.checkpoints.tables import ParquetFile

    return ParquetFile(options, open_spill)
