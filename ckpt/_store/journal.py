"""The bytes of a journal, and how they are read.

A journal is a pair of files. A line of its `.jsonl` is exactly

    {"crc":"<8 hex>","sig":"<64 hex or empty>","at":<int or null>,"body":<compact JSON>}

where `crc` is the CRC-32 of everything after its own field, `sig` the signature of the body's raw bytes, and `at` the offset in the `.bin`
at which the parts begin that the body names, each by length and SHA-256 (`"parts":[[length,"sha256"],...]`), one after the other.

Reading never raises because of what is in a file: lines that do not check are passed over and reported.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from zlib import crc32

from ckpt._model.record import Json
from ckpt._store.files import open_file, read_at, read_file
from ckpt.errors import DamagedError

__all__ = ["Data", "Finding", "Line", "bytes_of", "decode", "encode", "objects_of", "part", "read_part", "scan"]

Data = bytes | bytearray | memoryview
Report = Callable[["Finding"], object]

#: What every line begins with, and how much of it stands before the bytes that the checksum covers.
BEGIN = b'{"crc":"'
COVERED = len(BEGIN) + 8 + len('",')
#: Where the signature begins.
SIGNATURE = COVERED + len('"sig":"')
#: How often an event is looked for that is rewritten again and again.
TRIES = 20
#: The most bytes that are read at once. A file may claim any size, and take none on the disk.
LIMIT = 1 << 30
#: What is said of a last line that its process was killed over, or that was cut.
TORN = "the last line is unfinished"
#: What a list needs of a line, where the recorder has written the fields in its usual order. Another order is only slower.
HEAD = re.compile(rb'\{"crc":"[0-9a-f]{8}","sig":"[0-9a-f]*","at":(?:null|[0-9]+),"body":\{"event":"([a-z]+)","id":"([0-9a-f]{16})"')
GLANCE = re.compile(
    rb',"name":"(\w[\w.=+@-]{0,127})","module":"([^"\\]*)","qualname":"([^"\\]*)","keep":([0-9]+),"time":([0-9]+\.[0-9]+),',
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a store that is not as it was written."""

    path: str
    #: Offset in the file; None when it is about the file as a whole.
    offset: int | None
    what: str


class Line:
    """One event as it stands in a journal: `piece`, without its newline, at `offset` in the `.jsonl` file `path`.

    What is asked for beyond `event` and `id` is checked first, and raises `DamagedError` when the line is not what was written.
    """

    __slots__ = ("_body", "event", "glance", "id", "offset", "path", "piece")

    def __init__(  # noqa: PLR0913, PLR0917 - made for every line, so there is nothing in between
        self, path: str, offset: int, piece: bytes, event: str, id: str | None, glance: Sequence[bytes] = ()
    ) -> None:
        self.path = path
        self.offset = offset
        self.piece = piece
        self.event = event
        self.id = id
        #: Name, module, qualname, keep and time, unchecked; nothing when the body has to be asked.
        self.glance = glance
        self._body: Json | None = None

    @property
    def body(self) -> Json:
        """The event itself."""
        if self._body is None:
            body = _body(self.fields()[2])
            if type(body) is not dict:
                raise DamagedError(f"The line at {self.offset} in {self.path!r} is not an event.", hint="ckpt info")
            self._body = body
        return self._body

    @property
    def size(self) -> int:
        """The bytes of the event and its signature, wherever its parts lie."""
        return len(self.piece) - self.piece.index(b',"body":', SIGNATURE) + SIGNATURE

    def take(self, body: Json) -> None:
        """Be told what the body says."""
        self._body, self.event = body, body["event"]
        id = body.get("id")
        self.id = id if type(id) is str else None

    def fields(self) -> tuple[int | None, str, bytes]:
        """Return the offset of the parts, the signature, and the body as written: what is signed, and what a rewrite keeps."""
        fields = _take(self.piece)
        if fields is None:
            raise DamagedError(f"The line at {self.offset} in {self.path!r} is not what was written.", hint="ckpt info")
        return fields

    def read(self, index: int) -> bytes:
        """Return one of the parts, of a journal that was rewritten meanwhile from where it lies now.

        Raises `DamagedError` when it is not what was written, FileNotFoundError when it is gone.
        """
        line = self
        for _ in range(TRIES):
            try:
                return _read_from(line, index)
            except FileNotFoundError:
                moved = line._moved()
                if moved is None:
                    raise
                line = moved
        return _read_from(line, index)

    def _moved(self) -> Line | None:
        """Return the same event in another journal of the store."""
        written, directory = self.fields()[1:], os.path.dirname(self.path)
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            if name.endswith(".jsonl") and path != self.path:
                with contextlib.suppress(FileNotFoundError, DamagedError):
                    data = read_file(path, LIMIT)
                    if written[1] in data:
                        return next((line for line in decode(path, data) if line.fields()[1:] == written), None)
        return None


def part(data: Data) -> tuple[int, str]:
    """Return how a body names a part: its length in bytes and its SHA-256 in hex."""
    return len(data), hashlib.sha256(data).hexdigest()


def encode(body: bytes, at: int | None, signature: str) -> bytes:
    """Return the line for a body of compact JSON."""
    covered = b'"sig":"%b","at":%b,"body":%b}' % (signature.encode(), b"null" if at is None else b"%d" % at, body)
    return b'{"crc":"%08x",%b\n' % (crc32(covered), covered)


def bytes_of(body: Json) -> int:
    """Return how many bytes the parts take that `body` names."""
    return sum(length for length, _ in body.get("parts", ()))


def objects_of(body: Json) -> list[str]:
    """Return the names of the objects that an event points to."""
    names = [*(body.get("buffers") or ()), *(body.get("sources") or ()), body.get("stream")]
    return [name for name in names if isinstance(name, str)]


def bin_of(path: str) -> str:
    """Return the `.bin` that belongs to a `.jsonl`."""
    return path.removesuffix("jsonl") + "bin"


def scan(path: str, report: Report | None = None, *, check: bool = True) -> list[Line]:
    """Return the events of the `.jsonl` file `path`, as `decode` does. Raises FileNotFoundError for a file that is gone."""
    try:
        data = read_file(path, LIMIT)
    except DamagedError as err:
        if report:
            report(Finding(path, None, err.message))
        return []
    return decode(path, data, report, check=check)


def decode(path: str, data: bytes, report: Report | None = None, *, check: bool = True, skip: AbstractSet[str] = frozenset()) -> list[Line]:
    """Return the events in `data`, the whole of the `.jsonl` file `path`, in the order in which they were written.

    What does not check is passed over and handed to `report`. Without `check` lines that look sound are taken at their word until their
    body is asked for, and those of the captures in `skip` are left out: three times as quick.
    """
    lines: list[Line] = []
    unread: list[tuple[Line, bytes]] = []

    def take(offset: int, piece: bytes) -> bool:
        fields = _take(piece)
        if fields is None:
            return False
        line = Line(path, offset, piece, "", None)
        lines.append(line)
        unread.append((line, fields[2]))
        return True

    for offset, piece in _pieces(data):
        if not check and (head := HEAD.match(piece)) and piece.endswith(b"}}"):
            id = head[2].decode()
            if id not in skip:
                glance = GLANCE.match(piece, head.end())
                lines.append(Line(path, offset, piece, head[1].decode(), id, glance.groups() if glance else ()))
        elif not take(offset, piece):
            if report:
                report(Finding(path, offset, "a line is damaged" if offset + len(piece) < len(data) else TORN))
            # One that was written after a torn one, without a newline between, is found by how it begins.
            begin = piece.rfind(BEGIN)
            if begin > 0:
                take(offset + begin, piece[begin:])
    _read(unread, report)
    return [line for line in lines if line.event]


def _pieces(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    for piece in data.split(b"\n"):
        if piece:
            yield offset, piece
        offset += len(piece) + 1


def _read(lines: list[tuple[Line, bytes]], report: Report | None) -> None:
    """Give lines that check their bodies; those that say nothing stay without an event."""
    for (line, _), body in zip(lines, _bodies([raw for _, raw in lines]), strict=True):
        if type(body) is dict and type(body.get("event")) is str:
            line.take(body)
        elif report:
            report(Finding(line.path, line.offset, "a line is not an event"))


def _take(piece: bytes) -> tuple[int | None, str, bytes] | None:
    """Return offset, signature and body of a line, None when it does not check."""
    try:
        if int(piece[len(BEGIN) : len(BEGIN) + 8], 16) != crc32(piece[COVERED:]) or not piece.startswith(BEGIN):
            return None
        end = piece.index(b'","at":', SIGNATURE)
        begin = piece.index(b',"body":', end)
        at = piece[end + 7 : begin]
        return None if at == b"null" else int(at), piece[SIGNATURE:end].decode(), piece[begin + 8 : -1]
    except ValueError:
        return None


def _bodies(raws: list[bytes]) -> list[object]:
    """Return what each of `raws` says, None for what is not JSON. All at once, which takes half the time of one after the other.

    Between them stands what nobody can know: else lines of others could take a signed one into a list, and have it say what they say.
    """
    between = os.urandom(16).hex()
    with contextlib.suppress(ValueError, RecursionError):
        bodies: list[object] = json.loads(b"[%b]" % (b',"%b",' % between.encode()).join(raws))
        if len(bodies) == 2 * len(raws) - 1 and all(each == between for each in bodies[1::2]):
            return bodies[::2]
    return [_body(raw) for raw in raws]


def _body(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _read_from(line: Line, index: int) -> bytes:
    """Return one of the parts of an event from where it says that it lies; raises as `read_part`."""
    at, parts = line.fields()[0], line.body.get("parts") or []
    if at is None or type(parts) is not list or index >= len(parts) or not all(map(_is_part, parts)):
        raise DamagedError(f"The event at {line.offset} in {line.path!r} has no part {index}.", hint="ckpt info")
    at += sum(length for length, _ in parts[:index])
    return read_part(bin_of(line.path), at, *parts[index])


def _is_part(named: object) -> bool:
    """Return whether a part is named by its length, of which no recorder's is beyond `LIMIT`, and its sum."""
    return type(named) is list and list(map(type, named)) == [int, str] and 0 <= named[0] <= LIMIT


def read_part(path: str, at: int, length: int, digest: str) -> bytes:
    """Return one part from the `.bin` file `path`; raise `DamagedError` for other bytes than were written, FileNotFoundError for none."""
    descriptor, size = open_file(path)
    with open(descriptor, "rb", buffering=0):
        # The size is looked at first: a forged length must not cost memory.
        data = read_at(descriptor, length, at) if at >= 0 and 0 <= length <= size - at else b""
    if len(data) != length or hashlib.sha256(data).hexdigest() != digest:
        raise DamagedError(f"{length} bytes at {at} in {path!r} are not what was written.", hint="ckpt info")
    return data
