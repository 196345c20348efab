"""The bodies of the events that recorders write, as JSON text.

They are put together by hand: the record of a call that returns must cost microseconds, and the general encoder alone costs as many.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quote
from typing import cast

from ckpt._model.codec import Encoded
from ckpt._recording.walk import Walk
from ckpt._recording.wording import dumps
from ckpt._store.journal import part
from ckpt._store.objects import Objects, ObjectWriter


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


def returned(id: str, duration: float, value: str) -> bytes:
    """Return the event of a call that returned `value`, which is described as JSON."""
    return f'{{"event":"returned","id":"{id}","duration":{duration:.9f},"value":{value}}}'.encode()


def left(id: str, duration: float, exception: str) -> bytes:
    """Return the event of a call that was left by an exception which is no failure."""
    return f'{{"event":"left","id":"{id}","duration":{duration:.9f},"exception":{quote(exception)}}}'.encode()


def entry_manifest(arguments: Iterable[str]) -> bytes:
    """Return the manifest of the moment of entry; `arguments` are described values as JSON."""
    return f'{{"arguments":[{",".join(arguments)}]}}'.encode()


def failure_manifest(walk: Walk, arguments: Sequence[str], inner: Sequence[Sequence[str]]) -> bytes:
    """Return the manifest of a failure; `inner` are the arguments of the captured calls inside. Values are described as JSON."""
    head = dumps({"exceptions": walk.raised, "codes": walk.codes, "callers": walk.callers, "others": walk.others})[:-1]
    calls = [
        f'{{"exception":{call.exception},"entry":{call.entry},"arguments":[{",".join(given)}]}}'
        for call, given in zip(walk.inner, inner, strict=True)
    ]
    frames = ",".join([frame.json() for frame in walk.frames])
    return f'{head},"arguments":[{",".join(arguments)}],"frames":[{frames}],"inner":[{",".join(calls)}]}}'.encode()
