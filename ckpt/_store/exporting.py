"""Captures of a store in one `.ckpt` file that somebody else can import: with all that opening them needs, or with nothing to open.

Records travel as they were written, so that what is signed stays signed. Without values a record is another one, which nobody has signed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ckpt._model.record import Header, Json
from ckpt._store.journal import Line, part
from ckpt._store.packing import Packing, Parts, Record, VanishedError, as_written, check_target, write_file
from ckpt._store.store import Store
from ckpt._store.stored import Stored
from ckpt._store.stripping import Hide, stripped_event, stripped_introduction, stripped_manifest, stripped_process
from ckpt.errors import DamagedError

__all__ = ["Exported", "export"]

#: How often an export begins anew when journals vanish under it.
TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written into a file."""

    path: str
    #: In bytes.
    size: int
    headers: list[Header]
    #: How many source texts, and how many large buffers and streams.
    sources: int
    objects: int


def export(store: Store, ids: Sequence[str], path: str, *, values: bool = True, replace: bool = False) -> Exported:
    """Write captures into the file `path`, complete or not at all; without `values` what they were is only described.

    Raises `NotFoundError` for an id that is not there, `DamagedError` for a capture that is not what was written, `UsageError` when a file
    is there and not to be replaced, `StoreError` when it cannot be written.
    """
    path = os.path.abspath(path)
    check_target(path, replace=replace)
    for attempt in range(TRIES):
        packing = _Export(store, store.sign if values else _sign_nothing)
        headers = []
        try:
            for id in ids:
                stored = store.get(id)
                packing.add_whole(stored) if values else packing.add_stripped(stored)
                headers.append(stored.header)
            size = write_file(path, packing.pieces(), replace=replace)
            break
        except (FileNotFoundError, VanishedError):
            if attempt == TRIES - 1:
                raise
    sources = len(packing.sources)
    return Exported(path=path, size=size, headers=headers, sources=sources, objects=len(packing.names()) - sources)


class _Export(Packing):
    """Captures of one store on their way into a file."""

    def __init__(self, store: Store, sign: Callable[[bytes], str]) -> None:
        super().__init__(sign)
        self._store = store
        self._sizes = store.objects.names()
        #: The names of source texts.
        self.sources: set[str] = set()

    def add_whole(self, stored: Stored) -> None:
        """Add a capture with all that it refers to."""
        if stored.introduction is not None:
            self.introduce(as_written(stored.introduction))
        for line in stored.records():
            put = self.share if line.event == "shared" else self.add
            put(as_written(line))
            self.sources.update(line.body.get("sources") or ())
            self.hold(stored.names_in(line), self._store.objects, self._sizes)
        self._carry(stored)

    def add_stripped(self, stored: Stored) -> None:
        """Add a capture without its values, as records that nobody has signed."""
        hide = Hide(stored.process, stored.opened, os.path.expanduser("~"))
        self.introduce(Record(stripped_introduction(stored.opened), ""))
        shared = self._share_stripped(stored, hide)
        for line in stored.lines():
            more, parts = (shared, None) if line.event not in {"entered", "failed"} else self._described(line, hide, shared)
            self.add(Record(stripped_event(line.body, hide, more), "", parts))
            self._hold_sources(line)
        self._carry(stored)

    def _share_stripped(self, stored: Stored, hide: Hide) -> Json:
        """Add what may be told of the process; return the field by which events refer to it."""
        lines = [line for line in stored.records() if line.body.get("kind") == "process"]
        if not lines:
            return {}
        data = stripped_process(stored.process, hide)
        size, digest = part(data)
        body = {"event": "shared", "kind": "process", "parts": [[size, digest]], "sources": lines[0].body.get("sources") or []}
        self.share(Record(_compact(body), "", Parts(digest, size, lambda: [data])))
        self._hold_sources(lines[0])
        return {"process": digest}

    def _described(self, line: Line, hide: Hide, shared: Json) -> tuple[Json, Parts]:
        """Return the fields of an event whose values are only described, and the description, made anew when it is written."""

        def read() -> list[bytes]:
            try:
                return [stripped_manifest(line.read(0), hide)]
            except (ValueError, RecursionError, AttributeError) as err:
                raise DamagedError(f"A manifest in {line.path!r} makes no sense: {err}.", hint="ckpt check") from err

        size, digest = part(read()[0])
        fields = {"buffers": [], "stream": None, "values": False, "parts": [[size, digest]]}
        return shared | fields, Parts((line.path, line.fields()[0], digest), size, read)

    def _hold_sources(self, line: Line) -> None:
        names = line.body.get("sources") or ()
        self.sources.update(names)
        self.hold(names, self._store.objects, self._sizes)

    def _carry(self, stored: Stored) -> None:
        """Say what only this store knows of a capture: its status, where the records do not tell, and which buffers have other names."""
        body = {"event": "carried", "id": stored.header.id, "time": time.time(), "status": stored.header.status}
        renamed = {name: here for name, here in stored.renamed.items() if here in self._sizes}
        self.say(_compact(body | ({"objects": renamed} if renamed and stored.has_values else {})))


def _sign_nothing(body: bytes) -> str:
    return ""


def _compact(body: Json) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
