"""Where files of checkpoints lie: a directory of this machine, or what an fsspec URL leads to.

A file appears under its name when all of it is there: it is written under another name first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from ckpt._model.interrupts import let_pass
from ckpt._store.archive import File, Source
from ckpt._store.journal import Data
from ckpt._store.spill import TEMPORARY, publish
from ckpt.checkpoints.spilling import Piece, Spilled, write
from ckpt.errors import ExistsError, NotFoundError, StoreError, UsageError

OVERWRITE = ("replace", "error", "number")
#: Pieces up to this size are put together before they are written, larger ones are not copied.
SMALL = 64 << 10

Options = Mapping[str, Any]


class Place(Protocol):
    """A directory to write to."""

    def put(self, key: str, extension: str, pieces: Sequence[Piece], overwrite: str) -> str:
        """Write a file under `key`, and return its path. Raises `ExistsError`, and `StoreError` when it cannot be written."""

    def open_spill(self) -> Spilled:
        """Return a file for a large stream on its way here. Raises `StoreError`."""


def place(path: str | os.PathLike[str], options: Options) -> Place:
    """Return what a path or an fsspec URL means; raise `UsageError` when the package for it is missing, or when it is empty."""
    text = expanded(path)
    if not is_remote(text):
        return Local(os.path.abspath(text))
    from ckpt.checkpoints.remote import Remote

    return Remote(text, options)


def is_remote(path: str) -> bool:
    """Return whether a path is an fsspec URL of something other than this machine's files."""
    return re.match(r"(?!file://)[a-z][a-z0-9+.-]*(::|://)", path) is not None


def expanded(path: str | os.PathLike[str]) -> str:
    """Return a path as this machine's files have it, with a home directory for `~`; another fsspec URL is left as it is.

    Raises `UsageError` for an empty one, which would mean the working directory.
    """
    text = os.fspath(path)
    if not text:
        raise UsageError("The path is empty.", hint='"." is the working directory')
    return os.path.expanduser(text.removeprefix("file://"))


def opened(path: str, options: Options) -> Source:
    """Open a file for reading; raise `NotFoundError` when there is none, `StoreError` when it cannot be read."""
    try:
        if not is_remote(path):
            return File(expanded(path))
        from ckpt.checkpoints.remote import RemoteFile

        return RemoteFile(path, options)
    except FileNotFoundError as err:
        raise NotFoundError(f"There is no file {path!r}.", hint=f"ckpt index {os.path.dirname(path) or '.'}") from err
    except OSError as err:
        let_pass(err)
        raise StoreError(f"{path!r} cannot be read: {err.strerror or err}.") from err


class Local:
    """A directory of this machine."""

    def __init__(self, root: str) -> None:
        self.root = root
        #: The last number that was given to each path.
        self._numbers: dict[str, int] = {}

    def open_spill(self) -> Spilled:
        """Return a file for a large stream, on the same disk."""
        return Spilled(self.root)

    def put(self, key: str, extension: str, pieces: Sequence[Piece], overwrite: str) -> str:
        """Write a file under `key`; readable as the umask says."""
        stem = f"{self.root}/{key}"
        directory = stem[: stem.rindex("/")]
        if overwrite == "error" and os.path.lexists(stem + extension):
            raise exists(stem + extension)  # what comes between now and the publishing is found there
        temporary = f"{directory}/{TEMPORARY}{os.getpid()}-{os.urandom(6).hex()}"
        try:
            _write(temporary, pieces)
            try:
                return self._publish(temporary, stem, extension, overwrite)
            except BaseException:
                os.unlink(temporary)
                raise
        except ExistsError:
            raise
        except OSError as err:
            let_pass(err)
            raise StoreError(f"{stem + extension!r} cannot be written: {err.strerror or err}.") from err

    def _publish(self, temporary: str, stem: str, extension: str, overwrite: str) -> str:
        path = stem + extension
        if overwrite == "replace":
            os.replace(temporary, path)
            return path
        if publish(temporary, path):
            return path
        if overwrite == "error":
            raise exists(path)
        directory, _, name = stem.rpartition("/")
        number = self._numbers.get(path) or last_number(os.listdir(directory), name, extension)
        while not publish(temporary, numbered := f"{stem}.{number + 1}{extension}"):
            number += 1
        self._numbers[path] = number + 1
        return numbered


def exists(path: str) -> ExistsError:
    """Return the error of a file that is there already."""
    return ExistsError(f"The checkpoint {path!r} is there already.", hint='overwrite="replace", overwrite="number", or tags that differ')


def last_number(names: Iterable[str], name: str, extension: str) -> int:
    """Return the highest number among the files of a checkpoint; the first file has none and counts as 1."""
    pattern = re.compile(rf"{re.escape(name)}\.([0-9]+){re.escape(extension)}")
    return max((int(found[1]) for found in map(pattern.fullmatch, names) if found), default=1)


def _write(path: str, pieces: Sequence[Piece]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor = os.open(path, flags, 0o666)
    try:
        write(descriptor, _gathered(pieces))
    except BaseException:
        os.unlink(path)
        raise
    finally:
        os.close(descriptor)


def _gathered(pieces: Sequence[Piece]) -> Iterable[Piece]:
    """Yield the same bytes in fewer pieces."""
    small: list[Data] = []
    for piece in pieces:
        if not isinstance(piece, Spilled) and len(piece) <= SMALL:
            small.append(piece)
            continue
        yield b"".join(small)
        small.clear()
        yield piece
    yield b"".join(small)
