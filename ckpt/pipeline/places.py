"""Where results lie: a directory, or what an fsspec URL names. What is there is complete: results appear by rename, or in one request."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Sequence
from typing import Any, Protocol

from ckpt._model.interrupts import let_pass
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

    def check(self) -> None:
        """Raise `StoreError` for what can be no place of results."""

    def prepare(self) -> None:
        """Make the place, for results that are to be stored. Raises `StoreError` where that cannot be."""

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
    """Return where the results of `config` lie; nothing is made there yet. Raises `UsageError` for a URL that fsspec cannot use."""
    if config.dir is None:
        return Directory(os.path.join(location.resolve().path, DIRECTORY), location.resolve().path)
    path = os.fspath(config.dir)
    if "://" in path:
        return Remote(path, dict(config.storage_options))
    return Directory(path if os.path.isabs(path) else os.path.abspath(os.path.expanduser(path)))


class Directory:
    """A directory of this machine, or one that it shares with others."""

    def __init__(self, path: str, store: str = "") -> None:
        self._path = path
        self._store = store

    def __repr__(self) -> str:
        return self._path

    def path_of(self, name: str) -> str:
        """Return what a person calls the file."""
        return f"{self._path}{os.sep}{name}"

    def check(self) -> None:
        """Raise `StoreError` when it is no directory."""
        if os.path.exists(self._path) and not os.path.isdir(self._path):
            raise StoreError(f"Results cannot lie in {self._path!r}: it is no directory.", hint='Config(dir="another")')

    def prepare(self) -> None:
        """Make the directory. Raises `StoreError` when that cannot be, or nothing can be written there."""
        self.check()
        try:
            self._make()
        except OSError as err:
            raise StoreError(f"The directory {self._path!r} cannot be made: {err.strerror}.", hint='Config(dir="another")') from err
        if not os.access(self._path, os.W_OK | os.X_OK):
            raise StoreError(f"Results cannot be stored in {self._path!r}: it is not to be written to.", hint='Config(dir="another")')

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
        temporary = self.path_of(_unfinished())
        try:
            descriptor = os.open(temporary, _NEW, 0o600)
        except FileNotFoundError:
            self._make()
            descriptor = os.open(temporary, _NEW, 0o600)
        try:
            for piece in pieces:
                write_all(descriptor, memoryview(piece))
            os.rename(temporary, self.path_of(name))
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
        self._url, self._options = url.rstrip("/"), options
        self._system()  # what is missing is said now

    def __repr__(self) -> str:
        return self._url

    def path_of(self, name: str) -> str:
        """Return what a person calls the file."""
        return f"{self._url}/{name}"

    def check(self) -> None:
        """Raise `StoreError` when nobody answers there, or only to refuse."""
        try:
            self._ask("ls", "", detail=False)
        except FileNotFoundError:
            pass
        except OSError as err:
            raise StoreError(f"Results cannot be looked for in {self._url!r}: {err}.", hint="Config(storage_options={...})") from err

    def prepare(self) -> None:
        """Make what the URL names. Raises `StoreError` when that cannot be."""
        try:
            self._ask("makedirs", "", exist_ok=True)
        except OSError as err:
            raise StoreError(f"Results cannot be stored in {self._url!r}: {err}.", hint="Config(storage_options={...})") from err

    def head(self, name: str) -> bytes:
        """Return how a file begins."""
        return bytes(self._ask("cat_file", name, start=0, end=HEAD_LIMIT))

    def read(self, name: str) -> bytearray:
        """Return a file, in memory that can be written to."""
        return bytearray(self._ask("cat_file", name))

    def write(self, name: str, pieces: Sequence[Piece]) -> None:
        """Write a file, as a whole or not at all."""
        data = b"".join(pieces)
        if self._is_object_store():
            self._ask("pipe_file", name, data)
            return
        temporary = _unfinished()
        try:
            self._ask("pipe_file", temporary, data)
        except FileNotFoundError:  # a directory of this machine that another has made on its own
            self.prepare()
            self._ask("pipe_file", temporary, data)
        self._ask("mv", temporary, self._key(name))

    def names(self) -> list[str]:
        """Return the names of all files."""
        with contextlib.suppress(FileNotFoundError):
            self._ask("invalidate_cache", "")
            return [str(path).rpartition("/")[2] for path in self._ask("ls", "", detail=False)]
        return []

    def claims(self) -> str:
        """Return a directory of this machine for locks."""
        return Directory(os.path.join(location.resolve().path, DIRECTORY), location.resolve().path).claims()

    def _system(self) -> tuple[Any, str]:
        """Return the file system and the path in it; asked for each time, since a forked child must not use its parent's connections."""
        from ckpt.checkpoints.remote import filesystem

        return filesystem(self._url, self._options)

    def _is_object_store(self) -> bool:
        """Whether a file appears when its upload is complete."""
        from ckpt.checkpoints.remote import OBJECT_STORES

        protocol = self._system()[0].protocol
        return not OBJECT_STORES.isdisjoint([protocol] if isinstance(protocol, str) else protocol)

    def _key(self, name: str) -> str:
        root = self._system()[1].rstrip("/")
        return f"{root}/{name}" if name else root

    def _ask(self, verb: str, name: str, *args: Any, **options: Any) -> Any:
        """Ask the file system about a file; whatever it raises, of a network or a service, is an OSError."""
        try:
            return getattr(self._system()[0], verb)(self._key(name), *args, **options)
        except OSError:
            raise
        except Exception as err:
            let_pass(err)
            raise OSError(f"{type(err).__name__}: {err}") from err


def _unfinished() -> str:
    """Return the name of a file on its way, which is no other's."""
    return f"{TEMPORARY}{_token}-{os.getpid()}-{next(_numbers)}"


def _has_gone_stale(entry: os.DirEntry[str]) -> bool:
    with contextlib.suppress(OSError):
        if entry.stat(follow_symlinks=False).st_mtime < time.time() - _DAY:
            os.unlink(entry.path)
    return True
