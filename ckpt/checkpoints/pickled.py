"""The package's own format: a `.ckpt` file with one record, whose manifest describes the values, and one stream for each value.

The header is read without unpickling anything. Each value can be loaded alone, so what two values share is two things after loading; large
arrays are mapped, not read. Nothing large is in memory twice: arrays are written from where they are, long streams go through a file.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import accumulate, pairwise
from json.encoder import encode_basestring_ascii as quote
from typing import Any, NamedTuple, Self, cast

from ckpt._model import codec
from ckpt._model.describe import describe
from ckpt._model.loading import Surroundings
from ckpt._model.record import Json, Record, Value
from ckpt._model.tags import Tags
from ckpt._recording.wording import named_json, value_json
from ckpt._store import archive, trust
from ckpt._store.files import host
from ckpt._store.journal import Data, Line, part
from ckpt._version import VERSION
from ckpt.checkpoints.spilling import OpenSpill, Piece, Spilled
from ckpt.checkpoints.warning import warn
from ckpt.errors import StoreError, UntrustedError

EVENT = "checkpoint"
_compact = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointHeader(Record):
    """What a `.ckpt` file says of itself. Times are seconds since the epoch, UTC."""

    id: str
    name: str
    time: float = 0.0
    #: Dynamically scoped tags, outermost first; a name may repeat.
    tags: list[list[Any]] = field(default_factory=list)
    host: str = ""
    pid: int = 0
    python: str = ""
    #: The version of ckpt that wrote the file.
    ckpt: str = ""
    #: The values, described.
    values: list[Value] = field(default_factory=list)

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Return the header that `data` describes, with its values as records."""
        values = [Value.from_json(value) for value in data.get("values", ())]
        return super(CheckpointHeader, cls).from_json({**data, "values": values})


class _Encoded(NamedTuple):
    """One value on its way into a file."""

    #: Its description, as JSON.
    described: str
    stream: Piece
    #: Length and digest of the stream.
    part: tuple[int, str]
    buffers: Sequence[memoryview]
    lost: str


class CkptFile:
    """Values of any type <-> a `.ckpt` file. Long streams go where `open_spill` says."""

    def __init__(self, open_spill: OpenSpill = Spilled) -> None:
        # What the application has asked for is kept, however large.
        self._limits = codec.Limits(max_bytes=sys.maxsize, open_spill=open_spill)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what signs: a handler goes to other processes, and they have a key."""
        return {name: value for name, value in vars(self).items() if name != "_sign"}

    def encode(self, name: str, value: Any) -> _Encoded:
        """Return a value as a stream of its own; what cannot be kept of it becomes a placeholder."""
        root = [value]
        encoded = codec.encode(root, [root], self._limits)
        stream, sized = _stream(encoded)
        if not encoded.lost:
            return _Encoded(named_json(value, name), stream, sized, encoded.buffers, "")
        # Of the value itself, which is a placeholder then, or of something in it.
        reason = encoded.lost.get(id(value)) if root[0] is value else root[0].ckpt_reason
        described = value_json(describe(value, name) | {"reason": reason})
        return _Encoded(described, stream, sized, encoded.buffers, reason or next(iter(encoded.lost.values())))

    def freeze(self, encoded: _Encoded) -> _Encoded:
        """Return `encoded` with copies of its buffers, which are the program's memory."""
        return encoded._replace(buffers=[memoryview(view.tobytes()) for view in encoded.buffers])

    def lost(self, encoded: _Encoded) -> str:
        """Return why something is only a placeholder."""
        return encoded.lost

    def pieces(self, name: str, tags: Tags, encoded: Mapping[str, _Encoded]) -> Sequence[Piece]:
        """Return the bytes of a file, signed with the key of this user."""
        values = encoded.values()
        views = [view for value in values for view in value.buffers]
        buffers = archive.named(views) if views else []
        manifest = f'{{"values":[{",".join([value.described for value in values])}]}}'.encode()
        parts = cast("list[Data]", [manifest, *[value.stream for value in values]])  # packing asks for their lengths alone
        # Put together by hand: a small checkpoint is to cost little more than its file.
        head = f'"event":"{EVENT}","id":"{os.urandom(8).hex()}","name":{quote(name)},"time":{time.time():.6f}'
        names = _compact([name for name, _ in buffers]) if buffers else "[]"
        counts = f'"counts":{[len(value.buffers) for value in values]},"buffers":{names}'
        sizes = ",".join([f'[{length},"{digest}"]' for length, digest in (part(manifest), *[value.part for value in values])])
        raw = f'{{{head},"tags":{_compact(tags) if tags else "[]"},{_process()},"pid":{os.getpid()},{counts},"parts":[{sizes}]}}'.encode()
        return archive.pack([archive.Entry(raw, self._sign(raw), parts)], dict(buffers), self._sign)

    @cached_property
    def _sign(self) -> Callable[[bytes], str]:
        """Signs with the key of this user, made when the first file is."""
        try:
            return trust.signer(trust.key())
        except StoreError as err:
            warn(f"Checkpoints are not signed: {err.message} {err.hint}")
            return trust.signer(None)

    def load(self, source: archive.Source, only: str | None, *, trust: bool) -> dict[str, Any]:
        """Return the values in a file; of the others than `only` nothing is read. Raises `UntrustedError` for another's, unless `trust`."""
        from ckpt._replaying.functions import resolver

        found = archive.Archive(source)
        record = found.record(EVENT)
        if not trust:
            _check_trust(record)
        surroundings = Surroundings(
            same_python=str(record.body.get("python")).split(".")[:2] == platform.python_version().split(".")[:2],
            resolve=resolver(sys.modules.get("__main__")),
        )
        values = {}
        for index, (name, buffers) in enumerate(_values(record), 1):
            if only in {None, name}:
                values[name] = codec.decode(record.read(index), list(map(found.map, buffers)), surroundings)[0]
        return values


def read_header(source: archive.Source) -> CheckpointHeader:
    """Return what a file says of itself; nothing is unpickled. Raises `DamagedError`."""
    record = archive.Archive(source).record(EVENT)
    with archive.sense(record.path):
        return CheckpointHeader.from_json(record.body | _manifest(record))


def _check_trust(record: Line) -> None:
    """Raise `UntrustedError` unless this user's ckpt wrote the record, which names its streams by SHA-256."""
    _, signature, body = record.fields()
    if not trust.is_signed(trust.present_key(), body, signature):
        raise UntrustedError(
            f"{record.path!r} is not signed with your key; it says that it was written on {str(record.body.get('host'))!r}.",
            hint=f"ckpt.checkpoints.load({record.path!r}, trust=True) runs what is in it",
        )


def _manifest(record: Line) -> Json:
    with archive.sense(record.path):
        return dict(json.loads(record.read(0)))


def _values(record: Line) -> list[tuple[str, list[str]]]:
    """Return the names of the values, each with the names of its buffers."""
    with archive.sense(record.path):
        names, ends = record.body["buffers"], list(accumulate(record.body["counts"], initial=0))
        return [(value["name"], names[a:b]) for value, (a, b) in zip(_manifest(record)["values"], pairwise(ends), strict=True)]


def _stream(encoded: codec.Encoded) -> tuple[Piece, tuple[int, str]]:
    """Return what the codec made of a value, with length and digest."""
    if encoded.spill is None:
        return encoded.stream, part(encoded.stream)
    spilled = cast("Spilled", encoded.spill)
    return spilled, (len(spilled), spilled.digest())


@cache
def _process() -> str:
    """Return what is the same for all files of this process, as the inside of a JSON object."""
    return _compact({"host": host(), "python": platform.python_version(), "ckpt": VERSION})[1:-1]
