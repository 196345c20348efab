"""The bodies of the events that recorders write, as JSON text.

They are put together by hand: the record of a call that returns must cost microseconds, and the general encoder alone costs as many.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from json.encoder import encode_basestring_ascii as quote
from typing import cast

from ckpt._model.codec import Encoded
from ckpt._model.describe import describe
from ckpt._model.record import Json
from ckpt._recording.tracebacks import Walk
from ckpt._store.journal import part
from ckpt._store.objects import Objects, ObjectWriter

#: The fields that every description begins with; what follows are numbers, a shape, a reason.
_NAMED = 3
#: Texts up to this length, and integers within a machine word, are described by their repr.
_SHORT, _WORD = 80, 1 << 63

dumps = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), check_circular=False).encode


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the bytes of one moment lie: fields for the event's body, and the parts that go into the journal with it."""

    fields: str
    parts: tuple[bytes, ...]


def place(objects: Objects, encoded: Encoded, manifest: bytes, sources: Sequence[str] = (), *, sync: bool = False) -> Placed:
    """Put large buffers and a large stream into objects, and say where everything lies; with `sync` they are on the disk then."""
    buffers = [objects.put_buffer(view, sync=sync) for view in encoded.buffers]
    stream = cast("ObjectWriter", encoded.spill).publish(sync=sync) if encoded.spill is not None else None
    parts = (manifest,) if stream is not None else (manifest, encoded.stream)
    sizes = ",".join([f'[{length},"{digest}"]' for length, digest in map(part, parts)])
    named = f',"sources":{dumps(sorted(set(sources)))}' if sources else ""
    where = "null" if stream is None else f'"{stream}"'
    return Placed(f'"buffers":{dumps(buffers) if buffers else "[]"},"stream":{where}{named},"parts":[{sizes}]', parts)


def entered(id: str, fields: str) -> bytes:
    """Return the event of a call that was entered."""
    return f'{{"event":"entered","id":"{id}",{fields}}}'.encode()


def returned(id: str, duration: float, value: object) -> bytes:
    """Return the event of a call that returned `value`."""
    return f'{{"event":"returned","id":"{id}","duration":{duration:.9f},"value":{described_json(value)}}}'.encode()


def left(id: str, duration: float, exception: str) -> bytes:
    """Return the event of a call that was left by an exception which is no failure."""
    return f'{{"event":"left","id":"{id}","duration":{duration:.9f},"exception":{quote(exception)}}}'.encode()


def entry_manifest(arguments: Iterable[str]) -> bytes:
    """Return the manifest of the moment of entry; `arguments` are described values as JSON."""
    return f'{{"arguments":[{",".join(arguments)}]}}'.encode()


def failure_manifest(walk: Walk, arguments: Sequence[Json], inner: Sequence[Sequence[Json]]) -> bytes:
    """Return the manifest of a failure; `inner` are the arguments of the captured calls inside."""
    calls = [
        {"exception": call.exception, "entry": call.entry, "arguments": records} for call, records in zip(walk.inner, inner, strict=True)
    ]
    record = {"arguments": arguments, "exceptions": walk.raised, "codes": walk.codes, "frames": walk.frames, "inner": calls}
    record |= {"callers": walk.callers, "others": walk.others}
    return dumps(record).encode()


def described_json(value: object, name: str = "") -> str:
    """Return `value` described as JSON; numbers and short texts, which most arguments are, without a detour."""
    kind = type(value)
    if kind is str and len(value) <= _SHORT:  # type: ignore[arg-type]
        return f'{{"name":{quote(name)},"type":"str","text":{quote(repr(value))},"length":{len(value)}}}'  # type: ignore[arg-type]
    if kind is float or kind is bool or (kind is int and -_WORD < value < _WORD):  # type: ignore[operator]
        return f'{{"name":{quote(name)},"type":"{kind.__name__}","text":"{value!r}"}}'
    return value_json(describe(value, name))


def value_json(described: Json) -> str:
    """Return a described value as JSON."""
    text = f'{{"name":{quote(described["name"])},"type":{quote(described["type"])},"text":{quote(described["text"])}'
    for key, value in islice(described.items(), _NAMED, None):
        if value is not None:
            text += f',"{key}":{quote(value) if type(value) is str else dumps(value) if type(value) is list else value}'
    return text + "}"
