"""Captures of a store in one `.ckpt` file that somebody else can import: with all that opening them needs, or with nothing to open.

Records travel as they were written, so that what is signed stays signed. Without values a record is another one, which nobody has signed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ckpt._model.record import Header, Json
from ckpt._store.archive import sense
from ckpt._store.journal import Line, part
from ckpt._store.objects import Objects
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
    #: By id, why a capture is not in the file.
    left_out: dict[str, DamagedError]


def export(store: Store, ids: Sequence[str], path: str, *, values: bool = True, replace: bool = False) -> Exported:
    """Write captures into the file `path`, complete or not at all; without `values` what they were is only described.

    A capture that is not what was written is left out. Raises `DamagedError` when none is left, `NotFoundError` for an id that is not
    there, `UsageError` when a file is there and not to be replaced, `StoreError` when it cannot be written.
    """
    path = os.path.abspath(path)
    check_target(path, replace=replace)
    left_out: dict[str, DamagedError] = {}
    for attempt in range(TRIES):
        packing = _Export(_There.of(store), values=values)
        try:
            headers = [packing.add_capture(id) for id in ids if id not in left_out]
            size = write_file(path, packing.pieces(), replace=replace)
            break
        except (FileNotFoundError, DamagedError) as err:
            has_moved = isinstance(err, FileNotFoundError | VanishedError)
            if not has_moved or attempt == TRIES - 2:  # then it has not moved: it is gone
                left_out = _damaged(store, ids, values=values)
            if len(left_out) == len(ids) > 1:
                raise _none_of(left_out) from err
            if attempt == TRIES - 1 or left_out.keys() >= set(ids):
                raise
    sources = len(packing.sources)
    objects = len(packing.names()) - sources
    return Exported(path=path, size=size, headers=headers, sources=sources, objects=objects, left_out=left_out)


def _damaged(store: Store, ids: Sequence[str], *, values: bool) -> dict[str, DamagedError]:
    """Return which captures are not what was written, each with what is wrong with it. All of them are read for that."""
    found = {}
    there = _There.of(store)
    for id in ids:
        packing = _Export(there, values=values)
        try:
            packing.add_capture(id)
            for _ in packing.pieces():
                pass
        except DamagedError as err:
            found[id] = err
        except FileNotFoundError as err:
            found[id] = DamagedError(f"{err.filename!r} is gone.", hint="ckpt check")
    return found


def _none_of(left_out: dict[str, DamagedError]) -> DamagedError:
    """Return the error when several captures are all damaged."""
    first = next(iter(left_out.values()))
    return DamagedError(f"None of {len(left_out)} captures is whole; of the first: {first.message}", hint="ckpt check")


class _There(NamedTuple):
    """A store as it is at one moment."""

    get: Callable[[str], Stored]
    objects: Objects
    sizes: dict[str, int]
    sign: Callable[[bytes], str]

    @classmethod
    def of(cls, store: Store) -> _There:
        return cls(store.getter(), store.objects, store.objects.names(), store.sign)


class _Export(Packing):
    """Captures of one store on their way into a file."""

    def __init__(self, there: _There, *, values: bool) -> None:
        super().__init__(there.sign if values else _sign_nothing)
        self._there = there
        self._values = values
        #: The names of source texts.
        self.sources: set[str] = set()

    def add_capture(self, id: str) -> Header:
        """Add a capture, and return what a list shows of it; raise `DamagedError` for one whose fields are not what they should be."""
        stored = self._there.get(id)
        with sense(stored.lines()[0].path):
            self.add_whole(stored) if self._values else self.add_stripped(stored)
        return stored.header

    def add_whole(self, stored: Stored) -> None:
        """Add a capture with all that it refers to."""
        if stored.introduction is not None:
            self.introduce(as_written(stored.introduction))
        for line in stored.records():
            put = self.share if line.event == "shared" else self.add
            put(as_written(line))
            self.sources.update(line.body.get("sources") or ())
            self.hold(stored.names_in(line), self._there.objects, self._there.sizes)
        self._carry(stored, has_values=stored.has_values)

    def add_stripped(self, stored: Stored) -> None:
        """Add a capture without its values, as records that nobody has signed."""
        hide = Hide(stored.process, stored.opened, os.path.expanduser("~"))
        self.introduce(Record(stripped_introduction(stored.opened), ""))
        told = {"values": False, **self._share_stripped(stored, hide)}
        for line in stored.lines():
            more, parts = (told, None) if line.event not in {"entered", "failed"} else self._described(line, hide, told)
            self.add(Record(stripped_event(line.body, hide, more), "", parts))
            self._hold_sources(line)
        self._carry(stored, has_values=False)

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

    def _described(self, line: Line, hide: Hide, told: Json) -> tuple[Json, Parts]:
        """Return the fields of an event whose values are only described, and the description, made anew when it is written."""

        def read() -> list[bytes]:
            with sense(line.path):
                return [stripped_manifest(line.read(0), hide)]

        size, digest = part(read()[0])
        fields = {"buffers": [], "stream": None, "parts": [[size, digest]]}
        return told | fields, Parts((line.path, line.fields()[0], digest), size, read)

    def _hold_sources(self, line: Line) -> None:
        names = line.body.get("sources") or ()
        self.sources.update(names)
        self.hold(names, self._there.objects, self._there.sizes)

    def _carry(self, stored: Stored, *, has_values: bool) -> None:
        """Say what only this store knows of a capture: its status, where the records do not tell, and which buffers have other names."""
        body = {"event": "carried", "id": stored.header.id, "time": time.time(), "status": stored.header.status}
        renamed = {name: here for name, here in stored.renamed.items() if here in self._there.sizes}
        more = ({"objects": renamed} if renamed else {}) if has_values else {"values": False}
        self.say(_compact(body | more))


def _sign_nothing(body: bytes) -> str:
    return ""


def _compact(body: Json) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
