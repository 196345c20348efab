"""Captures on their way into a `.ckpt` file: each record and each object once, read when it is written and not before."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from ckpt._store.archive import front, padding, places
from ckpt._store.content import is_name_of, pieces_of
from ckpt._store.files import create_file
from ckpt._store.journal import Data, Line, bytes_of, encode
from ckpt._store.spill import publish, write_all
from ckpt._store.stored import Objects
from ckpt.errors import DamagedError, StoreError, UsageError

__all__ = ["Packing", "Parts", "Record", "VanishedError", "as_written", "check_sizes", "check_target", "write_file"]


#: The most that one part of a record may hold, and one that is JSON, which takes many times as much memory once it is read.
PART_LIMIT, JSON_LIMIT = 256 << 20, 32 << 20


class Parts(NamedTuple):
    """The bytes that a record names: what tells them from those of others, how many they are, and what reads them."""

    key: Hashable
    size: int
    read: Callable[[], Iterable[bytes]]


class Record(NamedTuple):
    """One record that goes into a file."""

    body: bytes
    signature: str
    parts: Parts | None = None


def as_written(line: Line) -> Record:
    """Return a record as it stands in a journal, signature included. Its parts are checked when they are read.

    Raises `DamagedError` for one that is larger than any reader takes.
    """
    check_sizes(line)
    at, signature, body = line.fields()
    count = len(line.body.get("parts") or ())
    if not count:
        return Record(body, signature)
    return Record(body, signature, Parts((line.path, at), bytes_of(line.body), lambda: map(line.read, range(count))))


def check_sizes(line: Line) -> None:
    """Raise `DamagedError` for a record with a part that is too large to be read: whoever writes a file does not decide about memory."""
    for index, (length, _) in enumerate(line.body.get("parts") or ()):
        is_json = index == 0 and line.body.get("kind") != "function"
        if not 0 <= length <= (JSON_LIMIT if is_json else PART_LIMIT):
            raise DamagedError(f"A part of the {line.event} record in {line.path!r} takes {length} bytes, which is too much.")


class VanishedError(DamagedError):
    """A journal is gone, since its records lie in another now: whoever reads the store again finds them."""


class Packing:
    """What a file is going to hold; `sign` signs what is said of the file itself."""

    def __init__(self, sign: Callable[[bytes], str]) -> None:
        self._sign = sign
        self._lines: list[bytes] = []
        self._parts: list[Parts] = []
        self._places: dict[Hashable, int] = {}
        self._end = 0
        self._shared: set[bytes] = set()
        self._introduced = b""
        self._objects: dict[str, tuple[Objects, int]] = {}

    def add(self, record: Record) -> None:
        """Add a record; parts that another one has too (the failures of nested calls) are there once."""
        at = None
        if record.parts is not None:
            key, size, _ = record.parts
            if key not in self._places:
                self._places[key] = self._end
                self._parts.append(record.parts)
                self._end += size
            at = self._places[key]
        self._lines.append(encode(record.body, at, record.signature))

    def share(self, record: Record) -> None:
        """Add a record that several captures refer to, unless it is there."""
        if record.body not in self._shared:
            self._shared.add(record.body)
            self.add(record)

    def introduce(self, record: Record) -> None:
        """Say in which process the next captures were made."""
        if record.body != self._introduced:
            self._introduced = record.body
            self.add(record)

    def say(self, body: bytes) -> None:
        """Add a record of one's own."""
        self.add(Record(body, self._sign(body)))

    def hold(self, names: Iterable[str], objects: Objects, sizes: Mapping[str, int]) -> None:
        """Add objects, of which `sizes` are those that are there; raise `DamagedError` for a missing one."""
        for name in names:
            if name not in sizes:
                raise DamagedError(f"The object {name!r} is missing.", hint="ckpt check")
            self._objects.setdefault(name, (objects, sizes[name]))

    def names(self) -> list[str]:
        """Return the names of the objects."""
        return list(self._objects)

    def pieces(self) -> Iterator[Data]:
        """Yield the bytes of the file, no more than one record at a time.

        Raises `DamagedError` for what is not what was written, and `VanishedError` when a journal was rewritten meanwhile.
        """
        found = places({name: size for name, (_, size) in self._objects.items()}, self._end)
        yield front(self._lines, found, self._sign)
        for parts in self._parts:
            try:
                yield from parts.read()
            except FileNotFoundError as err:
                raise VanishedError(f"{err.filename!r} is gone.", hint="ckpt check") from err
        at = self._end
        for name, (objects, size) in self._objects.items():
            yield padding(at)
            yield from _checked(name, size, objects)
            at = sum(found[name])


def _checked(name: str, size: int, objects: Objects) -> Iterator[Data]:
    """Yield an object piece by piece, and raise `DamagedError` when it was not what its name says."""

    def read(length: int, at: int) -> bytes:
        return objects.piece(name, length, at)

    if not is_name_of(name, size, read):
        raise DamagedError(f"The object {name!r} is not what was written.", hint="ckpt check")
    yield from pieces_of(size, read)


def write_file(path: str, pieces: Iterable[Data], *, replace: bool = False) -> int:
    """Write a file for this user alone, complete or not at all, and return its size in bytes.

    Raises `UsageError` when there is one already and it is not to be replaced, or there is something else; `StoreError` when it cannot be
    written.
    """
    path = os.path.abspath(path)
    check_target(path, replace=replace)
    temporary = os.path.join(os.path.dirname(path), f".ckpt-{os.getpid()}-{os.urandom(6).hex()}.tmp")
    try:
        _write(temporary, pieces)
        size = os.stat(temporary).st_size
        if replace:
            os.replace(temporary, path)
        elif not publish(temporary, path):
            raise UsageError(f"{path!r} exists.", hint="--force replaces it")
    except OSError as err:
        raise StoreError(f"{path!r} cannot be written: {err.strerror}.") from err
    finally:
        with suppress(OSError):
            os.unlink(temporary)
    return size


def check_target(path: str, *, replace: bool) -> None:
    """Raise `UsageError` when no file may be written to `path`: one is there that is not to be replaced, or something that is no file."""
    if os.path.lexists(path) and (os.path.islink(path) or not os.path.isfile(path)):
        raise UsageError(f"{path!r} is {'a directory' if os.path.isdir(path) else 'no regular file'}.", hint="name a new file: -o bug.ckpt")
    if os.path.lexists(path) and not replace:
        raise UsageError(f"{path!r} exists.", hint="--force replaces it")


def _write(path: str, pieces: Iterable[Data]) -> None:
    descriptor = create_file(path)
    try:
        for piece in pieces:
            write_all(descriptor, memoryview(piece))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
