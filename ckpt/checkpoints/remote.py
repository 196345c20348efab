"""Files of checkpoints where an fsspec URL leads.

Object stores show an object when its upload is complete; elsewhere a file is uploaded under another name and moved. What goes wrong there
is raised by libraries below, each in its own way: no credentials, no server. From here it is a `StoreError`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from ckpt._model.interrupts import let_pass
from ckpt._store.spill import TEMPORARY
from ckpt.checkpoints.places import Options, exists, last_number
from ckpt.checkpoints.spilling import Piece, Spilled, write
from ckpt.errors import CkptError, StoreError, UsageError

#: Files up to this size are held in memory whole, larger ones go through a file.
IN_MEMORY = 8 << 20
#: What the extra brings.
OURS = frozenset({"fsspec", "s3fs"})
_HINT = "the address, and the credentials in storage_options or in the environment"
#: Protocols of fsspec in which an object appears when it is complete.
OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "tos", "memory"})


def filesystem(url: str, options: Options) -> tuple[Any, str]:
    """Return the file system of fsspec that `url` names, as this process has it, and the path in it.

    Raises `UsageError` for a URL that fsspec does not know, and when the package for it is missing.
    """
    try:
        from fsspec.core import url_to_fs

        with reaching(url, "reached"):
            fs, path = url_to_fs(url, **options)
    except ImportError as err:
        package = getattr(err.__cause__, "name", None) or "fsspec"
        hint = f"pip install {package}" if package not in OURS else "pip install 'ckpt[remote]'"
        raise UsageError(f"{url!r} needs a package that is missing: {err}", hint=hint) from err
    except (TypeError, ValueError) as err:
        raise UsageError(f"{url!r} is no path that fsspec knows: {err}") from err
    return fs, path


@contextmanager
def reaching(url: str, what: str) -> Iterator[None]:
    """Let whatever a file system raises inside be a `StoreError` that says what `url` cannot be: read, or written.

    What is there already, or is not there, is for the caller to tell, and so is a URL that makes no sense.
    """
    try:
        yield
    except (CkptError, FileExistsError, FileNotFoundError, ImportError, TypeError, ValueError):
        raise
    except Exception as err:
        let_pass(err)
        lines = str(err).splitlines() or [type(err).__name__]
        raise StoreError(f"{url!r} cannot be {what}: {lines[0].rstrip('.')}.", hint=_HINT) from err


class Remote:
    """A directory that an fsspec URL leads to."""

    def __init__(self, url: str, options: Options) -> None:
        filesystem(url, options)  # what is missing is said now
        self._url = url.rstrip("/")
        self._options = options

    def open_spill(self) -> Spilled:
        """Return a file for a large stream, in the temporary directory of this machine."""
        return Spilled()

    def put(self, key: str, extension: str, pieces: Sequence[Piece], overwrite: str) -> str:
        """Write a file under `key`, in one upload."""
        url = f"{self._url}/{key}{extension}"
        # Asked for each time: a forked child must not use the connections of its parent, and fsspec knows.
        fs, path = filesystem(url, self._options)
        try:
            with reaching(url, "written"):
                if overwrite == "number":
                    path = _upload_numbered(fs, pieces, path, extension)
                else:
                    _upload(fs, pieces, path, "create" if overwrite == "error" else "overwrite")
        except FileExistsError as err:
            raise exists(url) from err
        except (FileNotFoundError, ValueError) as err:  # a bucket that is not there
            raise StoreError(f"{url!r} cannot be written: {err}.", hint=_HINT) from err
        return cast("str", fs.unstrip_protocol(path))


class RemoteFile:
    """A remote file for reading: a small one is fetched at once, of a large one what is asked for."""

    def __init__(self, url: str, options: Options) -> None:
        self.path = url
        self._fs, self._path = filesystem(url, options)
        with reaching(url, "read"):
            self.size: int = self._fs.info(self._path)["size"]
            self._whole = self._fs.cat_file(self._path) if self.size <= IN_MEMORY else None

    def read(self, length: int, at: int) -> bytes:
        """Return up to `length` bytes from the offset `at`."""
        end = min(at + length, self.size)
        if self._whole is not None or at >= end:
            return (self._whole or b"")[at:end]
        with reaching(self.path, "read"):
            return cast("bytes", self._fs.cat_file(self._path, start=at, end=end))

    def map(self, length: int, at: int) -> memoryview:
        """Return a copy of bytes of the file."""
        return memoryview(bytearray(self.read(length, at)))

    def close(self) -> None:
        """Nothing is held open."""


def _upload_numbered(fs: Any, pieces: Sequence[Piece], path: str, extension: str) -> str:
    stem, (directory, _, name) = path.removesuffix(extension), path.removesuffix(extension).rpartition("/")
    number, target = 1, path
    while True:
        try:
            _upload(fs, pieces, target, "create")
        except FileExistsError:
            fs.invalidate_cache(directory)
            names = [found.rpartition("/")[2] for found in fs.ls(directory, detail=False)]
            number = max(number, last_number(names, name, extension)) + 1
            target = f"{stem}.{number}{extension}"
        else:
            return target


def _upload(fs: Any, pieces: Sequence[Piece], path: str, mode: str) -> None:
    protocols = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    if OBJECT_STORES.intersection(protocols):
        _send(fs, pieces, path, mode)
        return
    directory, _, _ = path.rpartition("/")
    fs.makedirs(directory, exist_ok=True)
    if mode == "create" and fs.exists(path):
        raise FileExistsError(path)
    temporary = f"{directory}/{TEMPORARY}{os.urandom(6).hex()}"
    _send(fs, pieces, temporary, "overwrite")
    fs.mv(temporary, path)


def _send(fs: Any, pieces: Sequence[Piece], path: str, mode: str) -> None:
    """Upload in one go: a stream that breaks off would be an object of half the bytes."""
    if sum(map(len, pieces)) <= IN_MEMORY:
        fs.pipe_file(path, b"".join(map(bytes, pieces)), mode=mode)
        return
    with tempfile.NamedTemporaryFile() as file:
        write(file.fileno(), pieces)
        fs.put_file(file.name, path, mode=mode)
