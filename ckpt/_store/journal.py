"""The bytes of a journal, and how they are read.

A journal is a pair of files. A line of its `.jsonl` is exactly

    {"crc":"<8 hex>","sig":"<64 hex or empty>","at":<int or null>,"body":<compact JSON>}

where `crc` is the CRC-32 of everything after its own field, `sig` the signature of the body's raw bytes, and `at` the offset in the `.bin`
at which the parts begin that the body names, each by length and SHA-256 (`"parts":[[length,"sha256"],...]`), one after the other.

Reading never raises because of what is in a file: lines that do not check are passed over and reported.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ckpt._model.record import Json
from ckpt.errors import DamagedError

__all__ = ["Data", "Finding", "Line", "bytes_of", "decode", "encode", "is_held", "open_file", "part", "read_at", "read_file", "read_part", "scan", "try_lock"]

Data = bytes | bytearray | memoryview

#: What every line begins with, and how much of it stands before the bytes that the checksum covers.
BEGIN = b'{"crc":"'
COVERED = len(BEGIN) + 8 + len('",')
#: Where the signature begins.
SIGNATURE = COVERED + len('"sig":"')


class Line(NamedTuple):
    """One event as it stands in a journal."""

    #: The `.jsonl` file, and the offset of the line in it.
    path: str
    offset: int
    body: Json
    #: Offset of the first part in the `.bin`; None for an event without parts.
    at: int | None
    signature: str
    #: The body as written: what is signed, and what a rewrite keeps.
    raw: bytes


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a store that is not as it was written."""

    path: str
    #: Offset in the file; None when it is about the file as a whole.
    offset: int | None
    what: str


def part(data: Data) -> tuple[int, str]:
    """Return how a body names a part: its length in bytes and its SHA-256 in hex."""
    return len(data), hashlib.sha256(data).hexdigest()


def encode(body: bytes, at: int | None, signature: str) -> bytes:
    """Return the line for a body of compact JSON."""
    covered = b'"sig":"%b","at":%b,"body":%b}' % (signature.encode(), b"null" if at is None else b"%d" % at, body)
    return b'{"crc":"%08x",%b\n' % (zlib.crc32(covered), covered)


def bytes_of(body: Json) -> int:
    """Return how many bytes the parts take that `body` names."""
    return sum(length for length, _ in body.get("parts", ()))


def scan(path: str, report: Callable[[Finding], object] | None = None) -> Iterator[Line]:
    """Yield the events of the `.jsonl` file `path` in the order in which they were written.

    What does not parse or does not check is passed over, and handed to `report`. Raises FileNotFoundError for a file that is gone.
    """
    try:
        data = read_file(path)
    except DamagedError as err:
        if report:
            report(Finding(path, None, err.message))
        return
    yield from decode(path, data, report)


def decode(path: str, data: bytes, report: Callable[[Finding], object] | None = None) -> Iterator[Line]:
    """Yield the events in `data`, the whole of the `.jsonl` file `path`; report the rest, as `scan` does."""
    offset = 0
    for piece in data.split(b"\n"):
        line = _decode(path, offset, piece)
        if line is None and piece:
            if report:
                report(Finding(path, offset, "a line is damaged" if offset + len(piece) < len(data) else "the last line is unfinished"))
            begin = piece.rfind(BEGIN)
            line = _decode(path, offset + begin, piece[begin:]) if begin > 0 else None  # the one that was glued to a torn one
        if line is not None:
            yield line
        offset += len(piece) + 1


def _decode(path: str, offset: int, piece: bytes) -> Line | None:
    """Return the event in `piece`; None when it does not check."""
    if piece[COVERED - 10 : COVERED - 2] != b"%08x" % zlib.crc32(piece[COVERED:]):
        return None
    try:
        end = piece.index(b'","at":', SIGNATURE)
        begin = piece.index(b',"body":', end)
        at, raw = piece[end + 7 : begin], piece[begin + 8 : -1]
        body = json.loads(raw)
        if type(body) is not dict or "event" not in body:
            return None
        return Line(path, offset, body, None if at == b"null" else int(at), piece[SIGNATURE:end].decode(), raw)
    except (ValueError, RecursionError):
        return None


def read_part(path: str, at: int, length: int, digest: str) -> bytes:
    """Return one part from the `.bin` file `path`; raise `DamagedError` when it is not what was written, FileNotFoundError when it is gone."""
    descriptor, size = open_file(path)
    with open(descriptor, "rb", buffering=0) as file:
        # The size is looked at first: a forged length must not cost memory.
        data = read_at(file.fileno(), length, at) if at >= 0 and 0 <= length <= size - at else b""
    if len(data) != length or hashlib.sha256(data).hexdigest() != digest:
        raise DamagedError(f"{length} bytes at {at} in {path!r} are not what was written.", hint="ckpt info")
    return data


def read_at(descriptor: int, length: int, at: int) -> bytes:
    """Return up to `length` bytes from the offset `at`; fewer only where the file ends."""
    data = os.pread(descriptor, length, at)
    while 0 < len(data) < length and (more := os.pread(descriptor, length - len(data), at + len(data))):
        data += more
    return data


def open_file(path: str) -> tuple[int, int]:
    """Open a regular file of the store for reading; return its descriptor and size.

    Links are not followed and a FIFO is not waited for: they raise `DamagedError`. A file that is gone raises FileNotFoundError.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as err:
        raise DamagedError(f"{path!r} cannot be read: {err.strerror}.") from err
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return descriptor, status.st_size
    os.close(descriptor)
    raise DamagedError(f"{path!r} is not a regular file.")


def read_file(path: str) -> bytes:
    """Return the bytes of a regular file of the store; raises as `open_file`."""
    descriptor, size = open_file(path)
    with open(descriptor, "rb", buffering=0) as file:
        return read_at(file.fileno(), size, 0)


def try_lock(descriptor: int, *, shared: bool) -> bool | None:
    """Take the lock of an open file without waiting; None where the system or the file system has no such locks.

    The lock is that of `flock`: it belongs to the open file, so a forked child that closes its copy does not give it away.
    """
    try:
        import fcntl
    except ImportError:
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def is_held(path: str) -> bool | None:
    """Return whether a process holds the journal `path` open for writing; None when that cannot be told.

    Probers share the lock, so that two of them do not take each other for the owner.
    """
    try:
        descriptor, _ = open_file(path)
    except (OSError, DamagedError):
        return False
    try:
        free = try_lock(descriptor, shared=True)
        return None if free is None else not free
    finally:
        os.close(descriptor)
