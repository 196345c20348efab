"""Where results lie: a directory, or what an fsspec URL names. What is there is complete: results appear by rename, or in one request."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Sequence
from typing import Any, Protocol

from ckpt._store import location
from ckpt._store.files import SAFE, open_file
from ckpt._store.spill import TEMPORARY, write_all
from ckpt.errors import StoreError
from ckpt.pipeline.config import Config
from ckpt.pipeline.results import HEAD_LIMIT, Piece

#: In the store of captures.
DIRECTORY = "pipelines"
_DAY = 24 * 3600.0
#: No umask gives others more of a file that is made for its owner alone.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFE
#: Make the names of files on their way this process's own, and that of nobody on another machine.
_token, _numbers = os.urandom(6).hex(), itertools.count()


class Place(Protocol):
    """Files by name. What cannot be read raises FileNotFoundError, OSError or `DamagedError`."""

    def path_of(self, name: str) -> str:
        """Return what a person calls the file."""

    def has(self, name: str) -> bool:
        """Whether there is something of that name."""

    def head(self, name: str) -> bytes:
        """Return how a file begins."""

    def read(self, name: str) -> bytearray:
        """Return a file."""

    def write(self, name: str, pieces: Sequence[Piece]) -> None:
        """Write a file, as a whole or not at all."""

    def names(self) -> list[str]:
        """Return the names of all files."""

    def claims(self) -> str:
        """Return a directory of this machine for the locks of those who compute what will lie here."""


def place_of(config: Config) -> Place:
    """Return where the results of `config` lie; nothing is made there yet."""
    if config.dir is None:
        return Directory(os.path.join(location.resolve().path, DIRECTORY), location.resolve().path)
    path = os.fspath(config.dir)
    return Remote(path, dict(config.storage_options)) if "://" in path else Directory(os.path.abspath(path))


class Directory:
    """A directory of this machine, or one that it shares with others."""

    def __init__(self, path: str, store: str = "") -> None:
        self._path = path
        self._store = store

    def __repr__(self) -> str:
        return self._path

    def path_of(self, name: str) -> str:
        """Return what a person calls the file."""
        return os.path.join(self._path, name)

    def has(self, name: str) -> bool:
        """Whether there is something of that name."""
        return os.access(f"{self._path}{os.sep}{name}", os.F_OK)

    def head(self, name: str) -> bytes:
        """Return how a file begins."""
        descriptor, size = open_file(self.path_of(name))
        with open(descriptor, "rb", buffering=0) as file:
            return file.read(min(size, HEAD_LIMIT)) or b""

    def read(self, name: str) -> bytearray:
        """Return a file, in memory that can be written to."""
        descriptor, size = open_file(self.path_of(name))
        data = bytearray(size)
        view, done = memoryview(data), 0
        try:
            while done < size and (count := os.readv(descriptor, [view[done:]])):
                done += count
        finally:
            os.close(descriptor)
        return data

    def write(self, name: str, pieces: Sequence[Piece]) -> None:
        """Write a file, as a whole or not at all."""
        temporary = f"{self._path}{os.sep}{TEMPORARY}{_token}-{os.getpid()}-{next(_numbers)}"
        try:
            descriptor = os.open(temporary, _NEW, 0o600)
        except FileNotFoundError:
            self._make()
            descriptor = os.open(temporary, _NEW, 0o600)
        try:
            for piece in pieces:
                write_all(descriptor, memoryview(piece))
            os.rename(temporary, f"{self._path}{os.sep}{name}")
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        finally:
            os.close(descriptor)

    def names(self) -> list[str]:
        """Return the names of all files; what was begun a day ago and never finished is removed."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self._path) as entries:
            return [entry.name for entry in entries if not (entry.name.startswith(TEMPORARY) and _has_gone_stale(entry))]
        return []

    def claims(self) -> str:
        """Return a directory of this machine for locks."""
        self._make()
        return self._path

    def _make(self) -> None:
        if self._store:
            location.create(self._store)
        location.make_directories(self._path)


class Remote:
    """What an fsspec URL names."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self._url, self._options = url, options
        self._open()

    def _open(self) -> None:
        try:
            from fsspec.core import url_to_fs
        except ImportError as err:
            raise StoreError(f"{self._url!r} needs fsspec.", hint="pip install fsspec") from err
        try:
            self._system, self._root = url_to_fs(self._url, **self._options)
        except (ImportError, ValueError) as err:
            raise StoreError(f"{self._url!r} cannot be used: {err}.", hint="pip install what fsspec asks for") from err

    def __repr__(self) -> str:
        return self._url

    def __reduce__(self) -> tuple[Any, ...]:
        return Remote, (self._url, self._options)

    def path_of(self, name: str) -> str:
        """Return what a person calls the file."""
        return f"{self._url.rstrip('/')}/{name}"

    def has(self, name: str) -> bool:
        """Whether there is something of that name."""
        return bool(self._ask("exists", self._key(name)))

    def head(self, name: str) -> bytes:
        """Return how a file begins."""
        return bytes(self._ask("cat_file", self._key(name), start=0, end=HEAD_LIMIT))

    def read(self, name: str) -> bytearray:
        """Return a file, in memory that can be written to."""
        return bytearray(self._ask("cat_file", self._key(name)))

    def write(self, name: str, pieces: Sequence[Piece]) -> None:
        """Write a file, as a whole or not at all."""
        self._ask("makedirs", self._root, exist_ok=True)
        self._ask("pipe_file", self._key(name), b"".join(pieces))

    def names(self) -> list[str]:
        """Return the names of all files."""
        with contextlib.suppress(FileNotFoundError):
            return [str(path).rpartition("/")[2] for path in self._ask("ls", self._root, detail=False)]
        return []

    def claims(self) -> str:
        """Return a directory of this machine for locks."""
        return Directory(os.path.join(location.resolve().path, DIRECTORY), location.resolve().path).claims()

    def _key(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def _ask(self, verb: str, *args: Any, **options: Any) -> Any:
        """Ask the file system; whatever it raises, of a network or a service, is an OSError."""
        try:
            return getattr(self._system, verb)(*args, **options)
        except OSError:
            raise
        except Exception as err:
            raise OSError(f"{type(err).__name__}: {err}") from err


def _has_gone_stale(entry: os.DirEntry[str]) -> bool:
    with contextlib.suppress(OSError):
        if entry.stat(follow_symlinks=False).st_mtime < time.time() - _DAY:
            os.unlink(entry.path)
    return True
