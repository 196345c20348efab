"""Where files of checkpoints lie: a directory of this machine, or what an fsspec URL leads to.

A file appears under its name when all of it is there. On this machine it is written under another name first; object stores show an
object when its upload is complete; elsewhere it is uploaded under another name and moved.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

from ckpt._store.archive import File, Source
from ckpt._store.journal import Data
from ckpt._store.spill import TEMPORARY, publish, write_all
from ckpt.errors import ExistsError, NotFoundError, StoreError, UsageError

OVERWRITE = ("replace", "error", "number")
#: Pieces up to this size are put together before they are written, larger ones are not copied.
SMALL = 64 << 10
#: Remote files up to this size are held in memory whole, larger ones go through a file.
IN_MEMORY = 8 << 20
#: Protocols of fsspec in which an object appears when it is complete.
OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "tos", "memory"})

Options = Mapping[str, Any]


class Place(Protocol):
    """A directory to write to."""

    def put(self, key: str, extension: str, pieces: Sequence[Data], overwrite: str) -> str:
        """Write a file under `key`, and return its path. Raises `ExistsError`, and `StoreError` when it cannot be written."""


def place(path: str | os.PathLike[str], options: Options) -> Place:
    """Return what a path or an fsspec URL means; raise `UsageError` when the package for it is missing."""
    text = os.fspath(path)
    if is_remote(text):
        return Remote(text, options)
    return Local(local(text))


def is_remote(path: str) -> bool:
    """Return whether a path is an fsspec URL of something other than this machine's files."""
    return re.match(r"(?!file://)[a-z][a-z0-9+.-]*(::|://)", path) is not None


def local(path: str) -> str:
    """Return an absolute path of this machine."""
    return os.path.abspath(path.removeprefix("file://"))


def opened(path: str, options: Options) -> Source:
    """Open a file for reading; raise `NotFoundError` when there is none."""
    try:
        return RemoteFile(path, options) if is_remote(path) else File(path.removeprefix("file://"))
    except FileNotFoundError as err:
        raise NotFoundError(f"There is no file {path!r}.", hint=f"ckpt index {os.path.dirname(path) or '.'}") from err


def filesystem(url: str, options: Options) -> tuple[Any, str]:
    """Return the file system of fsspec that `url` names, as this process has it, and the path in it."""
    try:
        from fsspec.core import url_to_fs

        fs, path = url_to_fs(url, **options)
    except ImportError as err:
        raise UsageError(f"{url!r} needs a package that is missing: {err}", hint="pip install 'ckpt[remote]'") from err
    except ValueError as err:
        raise UsageError(f"{url!r} is no path that fsspec knows: {err}") from err
    return fs, path


class Local:
    """A directory of this machine."""

    def __init__(self, root: str) -> None:
        self.root = root
        #: The last number that was given to each path.
        self._numbers: dict[str, int] = {}

    def put(self, key: str, extension: str, pieces: Sequence[Data], overwrite: str) -> str:
        """Write a file under `key`; readable as the umask says."""
        stem = f"{self.root}/{key}"
        directory = stem[: stem.rindex("/")]
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
            raise StoreError(f"{stem + extension!r} cannot be written: {err.strerror}.") from err

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


class Remote:
    """A directory that an fsspec URL leads to."""

    def __init__(self, url: str, options: Options) -> None:
        filesystem(url, options)  # what is missing is said now
        self._url = url.rstrip("/")
        self._options = options

    def put(self, key: str, extension: str, pieces: Sequence[Data], overwrite: str) -> str:
        """Write a file under `key`, in one upload."""
        url = f"{self._url}/{key}{extension}"
        # Asked for each time: a forked child must not use the connections of its parent, and fsspec knows.
        fs, path = filesystem(url, self._options)
        try:
            if overwrite == "replace":
                _upload(fs, pieces, path, "overwrite")
            elif overwrite == "error":
                _upload(fs, pieces, path, "create")
            else:
                path = _upload_numbered(fs, pieces, path, extension)
        except FileExistsError as err:
            raise exists(url) from err
        except OSError as err:
            raise StoreError(f"{url!r} cannot be written: {err}.") from err
        return cast("str", fs.unstrip_protocol(path))


class RemoteFile:
    """A remote file for reading: a small one is fetched at once, of a large one what is asked for."""

    def __init__(self, url: str, options: Options) -> None:
        self.path = url
        self._fs, self._path = filesystem(url, options)
        self.size: int = self._fs.info(self._path)["size"]
        self._whole = self._fs.cat_file(self._path) if self.size <= IN_MEMORY else None

    def read(self, length: int, at: int) -> bytes:
        """Return up to `length` bytes from the offset `at`."""
        end = min(at + length, self.size)
        if self._whole is not None or at >= end:
            return (self._whole or b"")[at:end]
        return cast("bytes", self._fs.cat_file(self._path, start=at, end=end))

    def map(self, length: int, at: int) -> memoryview:
        """Return a copy of bytes of the file."""
        return memoryview(bytearray(self.read(length, at)))

    def close(self) -> None:
        """Nothing is held open."""


def exists(path: str) -> ExistsError:
    """Return the error of a file that is there already."""
    return ExistsError(f"The checkpoint {path!r} is there already.", hint='overwrite="replace", overwrite="number", or tags that differ')


def last_number(names: Iterable[str], name: str, extension: str) -> int:
    """Return the highest number among the files of a checkpoint; the first file has none and counts as 1."""
    pattern = re.compile(rf"{re.escape(name)}\.([0-9]+){re.escape(extension)}")
    return max((int(found[1]) for found in map(pattern.fullmatch, names) if found), default=1)


def _write(path: str, pieces: Sequence[Data]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor = os.open(path, flags, 0o666)
    try:
        for piece in _gathered(pieces):
            write_all(descriptor, memoryview(piece))
    except BaseException:
        os.unlink(path)
        raise
    finally:
        os.close(descriptor)


def _gathered(pieces: Sequence[Data]) -> Iterable[Data]:
    """Yield the same bytes in fewer pieces."""
    small: list[Data] = []
    for piece in pieces:
        if len(piece) <= SMALL:
            small.append(piece)
            continue
        yield b"".join(small)
        small.clear()
        yield piece
    yield b"".join(small)


def _upload_numbered(fs: Any, pieces: Sequence[Data], path: str, extension: str) -> str:
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


def _upload(fs: Any, pieces: Sequence[Data], path: str, mode: str) -> None:
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


def _send(fs: Any, pieces: Sequence[Data], path: str, mode: str) -> None:
    """Upload in one go: a stream that breaks off would be an object of half the bytes."""
    if sum(map(len, pieces)) <= IN_MEMORY:
        fs.pipe_file(path, b"".join(pieces), mode=mode)
        return
    with tempfile.NamedTemporaryFile() as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        fs.put_file(file.name, path, mode=mode)
