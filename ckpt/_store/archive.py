"""Records and their bytes in one file: a `.ckpt` file.

    line ...        lines as in a journal; the body of the first says where the objects lie
    empty line      and line ends up to a multiple of 64
    bytes           the parts that the lines name, one after the other, then the objects, each at a multiple of 64

Offsets count from where the bytes begin. The lines are read from the front of the file alone, `head -n 2 FILE | jq .body` will do, and a
record whose body and signature came out of a journal is the same record here. Reading never raises because of what is in a file, except
`DamagedError`.
"""

from __future__ import annotations

import json
import mmap
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Protocol

from ckpt._model.record import FORMAT
from ckpt._store.content import buffer_name, is_name_of
from ckpt._store.files import is_private, read_at
from ckpt._store.journal import BEGIN, Data, Finding, Line, decode, encode, objects_of, part
from ckpt.errors import DamagedError, StoreError

__all__ = ["Archive", "Entry", "File", "Source", "front", "named", "pack", "padding", "places", "sense"]

#: Arrays are as aligned in the file, and so in a map of it, as they want to be in memory.
ALIGNED = 64
#: How much of a file is read at first: lines and manifest of all but the largest.
FRONT = 64 << 10
#: What ends the lines.
END = b"\n\n"
#: The most that the lines of one file may take: parsed, they take many times as much memory.
LINES_LIMIT = 32 << 20

_compact = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


@dataclass(frozen=True, slots=True)
class Entry:
    """One record that goes into a file: its body as compact JSON, the signature of that, and the parts that it names."""

    body: bytes
    signature: str
    parts: Sequence[Data] = ()


def pack(entries: Iterable[Entry], objects: Mapping[str, Data], sign: Callable[[bytes], str]) -> list[Data]:
    """Return what a file of `entries` and `objects` consists of, to be written one after the other. Large pieces are not copied."""
    lines: list[bytes] = []
    pieces: list[Data] = []
    at = 0
    for entry in entries:
        lines.append(encode(entry.body, at if entry.parts else None, entry.signature))
        pieces += entry.parts
        at += sum(map(len, entry.parts))
    views = {name: memoryview(data).cast("B") for name, data in objects.items()}
    found = places({name: len(view) for name, view in views.items()}, at)
    for view in views.values():
        pieces += [padding(at), view]
        at = _aligned(at) + len(view)
    return [front(lines, found, sign), *pieces]


def places(sizes: Mapping[str, int], at: int) -> dict[str, list[int]]:
    """Return where objects of these sizes lie when they stand behind `at` bytes: their offsets and sizes."""
    found = {}
    for name, size in sizes.items():
        at = _aligned(at)
        found[name] = [at, size]
        at += size
    return found


def padding(at: int) -> bytes:
    """Return what stands between `at` bytes and an object behind them."""
    return bytes(-at % ALIGNED)


def front(lines: Iterable[bytes], objects: Mapping[str, Sequence[int]], sign: Callable[[bytes], str]) -> bytes:
    """Return what stands in a file before its bytes: the lines, the first of which says where the objects lie.

    Raises `StoreError` for more than one file may hold.
    """
    head = b"".join([_first(_compact(objects) if objects else "{}", sign), *lines, b"\n"])
    if len(head) > LINES_LIMIT:
        raise StoreError(f"There is too much for one file: its lines would take {len(head)} bytes, and {LINES_LIMIT} is the most.")
    return head.ljust(_aligned(len(head)), b"\n")


def named(buffers: Iterable[memoryview]) -> list[tuple[str, memoryview]]:
    """Return raw buffers under the names of objects, as bytes; equal ones have the same name."""
    found: dict[str, memoryview] = {}
    names: list[tuple[str, memoryview]] = []
    for buffer in buffers:
        view = buffer.cast("B")
        stem = name = buffer_name(view)
        count = 0
        while found.setdefault(name, view) is not view and not _is_equal(found[name], view):
            count += 1
            name = f"{stem}-{count}"
        names.append((name, found[name]))
    return names


class Source(Protocol):
    """Where the bytes of a file come from."""

    path: str
    size: int

    def read(self, length: int, at: int) -> bytes:
        """Return up to `length` bytes from the offset `at`; fewer only where the file ends."""

    def map(self, length: int, at: int) -> memoryview:
        """Return `length` bytes that may be written to, without a way back into the file."""

    def close(self) -> None:
        """Give the file back; what is mapped stays."""


class File:
    """A file of this machine, open for reading. Raises FileNotFoundError, and `DamagedError` for what is no regular file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        )
        self._status = os.fstat(self._descriptor)
        self.size = self._status.st_size
        if not stat.S_ISREG(self._status.st_mode):
            self.close()
            raise DamagedError(f"{path!r} is not a regular file.")

    def close(self) -> None:
        """Give the file back, unless its number is another file's by now; what is mapped stays."""
        with suppress(OSError):
            if os.path.samestat(os.fstat(self._descriptor), self._status):
                os.close(self._descriptor)

    def is_private(self) -> bool:
        """Return whether nobody but this user can change the file."""
        return is_private(os.fstat(self._descriptor))

    def read(self, length: int, at: int) -> bytes:
        """Return up to `length` bytes from the offset `at`."""
        return read_at(self._descriptor, length, at)

    def map(self, length: int, at: int) -> memoryview:
        """Return bytes of the file, mapped copy-on-write; files are replaced, never changed, so that a map stays what it was."""
        return self._mapped[at : at + length] if length else memoryview(bytearray())

    @cached_property
    def _mapped(self) -> memoryview:
        return memoryview(mmap.mmap(self._descriptor, self.size, access=mmap.ACCESS_COPY))


class _Stored(Line):
    """A line in a file of its own kind: its parts lie behind it."""

    __slots__ = ("_archive",)

    def __init__(self, line: Line, archive: Archive) -> None:
        super().__init__(line.path, line.offset, line.piece, line.event, line.id)
        self.take(line.body)
        self._archive = archive

    def read(self, index: int) -> bytes:
        with sense(self.path):
            parts = self.body["parts"]
            length, digest = parts[index]
            data = self._archive.read_at(length, self.fields()[0] + sum(length for length, _ in parts[:index]))
        if part(data) != (length, digest):
            raise DamagedError(f"Part {index} of the {self.event} record in {self.path!r} is not what was written.")
        return data


class Archive:
    """The records in a `.ckpt` file. It answers for their objects as a store's objects do. Nothing is unpickled here.

    Raises `DamagedError` for another kind of file, and for one of a later format.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.findings: list[Finding] = []
        head = _front(source)
        lines = decode(source.path, head, self.findings.append)
        if not lines or lines[0].event != "archive":
            raise DamagedError(f"{source.path!r} is damaged: its first line is not what was written.")
        with sense(source.path):
            if lines[0].body["format"] > FORMAT:
                raise DamagedError(f"{source.path!r} was written by a newer ckpt.", hint="pip install -U ckpt")
            self._places = {name: (int(at), int(length)) for name, (at, length) in lines[0].body["objects"].items()}
        self.lines: list[Line] = [_Stored(line, self) for line in lines[1:]]
        self._begin = _aligned(len(head))

    @property
    def size(self) -> int:
        """The bytes of the file."""
        return self._source.size

    def record(self, event: str) -> Line:
        """Return the one record of an event; raise `DamagedError` when it is missing."""
        found = [line for line in self.lines if line.event == event]
        if len(found) != 1:
            raise DamagedError(f"{self._source.path!r} holds {len(found) or 'no'} sound {event} records, not one.")
        return found[0]

    def read_at(self, length: int, at: int) -> bytes:
        """Return bytes from an offset behind the lines; raise `DamagedError` when the file ends before."""
        self._check_place(length, at)
        return self._source.read(length, self._begin + at)

    def left_behind(self, at: int) -> int:
        """Return how many bytes the file has behind the offset `at` and what fills it up to the next multiple of 64."""
        return max(0, self._source.size - self._begin - _aligned(at))

    def names(self) -> dict[str, int]:
        """Return the objects in the file, each with its size."""
        return {name: length for name, (_, length) in self._places.items()}

    def places(self) -> list[tuple[int, int]]:
        """Return where the objects lie behind the lines: the offset and the size of each."""
        return list(self._places.values())

    def map(self, name: str) -> memoryview:
        """Return the bytes of an object, mapped privately: writable, and nothing that is written reaches the file."""
        at, length = self._places.get(name, (-1, 0))
        self._check_place(length, at)
        return self._source.map(length, self._begin + at)

    def check(self) -> list[Finding]:
        """Return what is not as it was written; nothing for a sound file."""
        found = list(self.findings)
        for what, look in self._looks():
            try:
                look()
            except DamagedError as err:
                found.append(Finding(self._source.path, None, f"{what}: {err.message}"))
        return found

    def _looks(self) -> Iterator[tuple[str, Callable[[], object]]]:
        for line in self.lines:
            yield line.event, partial(self._check_record, line)
        for name in self._places:
            yield name, partial(self.check_object, name)

    def _check_record(self, line: Line) -> None:
        with sense(line.path):
            for index in range(len(line.body.get("parts", ()))):
                line.read(index)
            if missing := set(objects_of(line.body)).difference(self._places):
                raise DamagedError(f"{min(missing)!r} is missing.")

    def piece(self, name: str, length: int, at: int) -> bytes:
        """Return `length` bytes of an object from its offset `at`; fewer only where it, or the file, ends."""
        begin, size = self._places[name]
        self._check_place(size, begin)
        return self._source.read(max(0, min(length, size - at)), self._begin + begin + at)

    def check_object(self, name: str) -> None:
        """Raise `DamagedError` unless an object has a name, a size and, as far as its name tells, bytes that belong together.

        It is read piece by piece: large ones are never whole in memory, and a map of a file that somebody cuts would end the process.
        """
        size = self._places.get(name, (0, -1))[1]
        if size < 0 or not is_name_of(name, size, partial(self.piece, name)):
            raise DamagedError(f"The object {name!r} in {self._source.path!r} is not what was written.")

    def _check_place(self, length: int, at: int) -> None:
        if not 0 <= at <= at + length <= self._source.size - self._begin:
            raise DamagedError(f"{self._source.path!r} is damaged: {length} bytes at {at} are not there.")


@lru_cache(8)  # most files hold no objects
def _first(places: str, sign: Callable[[bytes], str]) -> bytes:
    body = f'{{"event":"archive","format":{FORMAT},"objects":{places}}}'.encode()
    return encode(body, None, sign(body))


@contextmanager
def sense(path: str) -> Iterator[None]:
    """Let fields in a file that are not what they should be raise `DamagedError`."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as err:
        raise DamagedError(f"{path!r} makes no sense: {err!r}.") from err


def _front(source: Source) -> bytes:
    """Return the lines of a file with the empty one that ends them; read what that takes, and no more than one piece beyond."""
    length, data = FRONT, source.read(FRONT, 0)
    if not data.startswith(BEGIN):
        raise DamagedError(f"{source.path!r} is {'not a .ckpt file' if data else 'empty'}.")
    while (end := data.find(END)) < 0:
        more = source.read(length, len(data)) if len(data) < LINES_LIMIT else b""
        if not more:
            raise DamagedError(f"{source.path!r} is damaged: its lines do not end.")
        data, length = data + more, min(2 * length, LINES_LIMIT)
    return data[: end + len(END)]


def _aligned(at: int) -> int:
    return at + -at % ALIGNED


def _is_equal(one: memoryview, other: memoryview) -> bool:
    """Whether two views of bytes are equal; compared as bytes, which memory views do item by item."""
    return len(one) == len(other) and all(
        one[at : at + FRONT].tobytes() == other[at : at + FRONT].tobytes() for at in range(0, len(one), FRONT)
    )
