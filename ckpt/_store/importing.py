"""A capture file -> the captures in it among those of a store: all of them or none, as they were written, signed by whoever signed them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from ckpt._model.record import Header, Json
from ckpt._store.capture_file import CaptureFile
from ckpt._store.captures import Trace, retain
from ckpt._store.journal import Line, bytes_of
from ckpt._store.merging import Known
from ckpt._store.objects import Objects
from ckpt._store.rewrite import complete_journal, copy, shared_of
from ckpt._store.store import Store
from ckpt._store.vetting import vet
from ckpt.errors import StoreError

__all__ = ["Imported", "import_file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of the captures in a file."""

    placed: list[Header]
    #: Those that were there already, byte for byte.
    known: list[Header]


def import_file(store: Store, path: str, *, limit: int) -> Imported:
    """Place the captures of the file `path` in `store`, after everything in it was checked; nothing is placed unless all of them can be.

    What is there already stays as it is, except that a capture takes the place of its own descriptions. Nothing is unpickled. Raises
    `NotFoundError` and `DamagedError` for a file that is missing or not as it was written, `StoreError` when another capture has one of
    the ids, when the file holds more than `limit` bytes, or when the store cannot be written.
    """
    file = CaptureFile(path)
    if file.size > limit:
        hint = "set quota in [tool.ckpt] of pyproject.toml"
        raise StoreError(f"{file.path!r} holds {file.size} bytes, more than the {limit} that a store may hold.", hint=hint)
    traces = vet(file)
    new = _new(store, traces)
    try:
        if new:
            _place(store, file, new)
    except OSError as err:
        raise StoreError(f"The captures cannot be placed in {store.path!r}: {err.strerror}.") from err
    ids, placed = {trace.id for trace in traces}, {trace.id for trace in new}
    headers = [header for header in store.headers() if header.id in ids]
    return Imported(
        placed=[header for header in headers if header.id in placed], known=[header for header in headers if header.id not in placed]
    )


def _new(store: Store, traces: list[Trace]) -> list[Trace]:
    """Return the captures that are to be placed: those that are not there, or only without their values, which readers pass over then.

    Raises `StoreError` when another one has the id.
    """
    known = store.known()
    if not known.cleared.isdisjoint(trace.id for trace in traces):
        store.maintain(thorough=True)  # what was cleared comes back only when nothing says any more that it was
        known = store.known()
    living = {trace.id for trace in retain(known.traces.values(), known.cleared)}
    runs = {str(trace.run.opened.get("run")): trace.run for trace in known.traces.values()}
    for trace in traces:
        _refuse_another(store, known, trace)
        run = runs.get(trace.run.opened["run"])
        if run is not None and _said(run.opened) != _said(trace.run.opened):
            raise StoreError(f"The capture {trace.id} names a process of {store.path!r} as its own, which was another.")
    return [trace for trace in traces if trace.id not in living or _completes(trace, known.traces[trace.id])]


def _refuse_another(store: Store, known: Known, trace: Trace) -> None:
    if trace.id in known.cleared:
        raise StoreError(
            f"The capture {trace.id} was deleted from {store.path!r} lately, and a program that still runs holds its journal.",
            hint="import it when the program has ended",
        )
    other = known.traces.get(trace.id)
    if other is not None and not (_is_part_of(trace, other) or _completes(trace, other) or _completes(other, trace)):
        raise StoreError(f"Another capture in {store.path!r} has the id {trace.id}.", hint=f"ckpt clear {trace.id} deletes that")


def _is_part_of(trace: Trace, other: Trace) -> bool:
    """Return whether `other` has every event of `trace`, word for word."""
    events = {line.fields()[2] for line in other.lines()}
    return all(line.fields()[2] in events for line in trace.lines())


def _completes(trace: Trace, other: Trace) -> bool:
    """Return whether `trace` is the call that `other`, which was exported without values, describes."""
    return trace.has_values and not other.has_values and trace.first == other.first


def _said(opened: Json) -> Json:
    """Return what a process says of itself each time it begins a journal."""
    return {key: value for key, value in opened.items() if key != "time"}


def _place(store: Store, file: CaptureFile, traces: list[Trace]) -> None:
    """Write the objects, then a journal that appears when it is complete."""
    store.journal().open()  # from now on nobody takes what is put among the objects for left over
    names = _place_objects(store.objects, file, {name for trace in traces for name in trace.objects()})
    lines = _lines_of(file, traces)
    lying = {(bytes_of(line.body), line.fields()[0]): line for line in lines}

    def read(size: int, at: int) -> bytes:
        line = lying[size, at]
        return b"".join(map(line.read, range(len(line.body["parts"]))))  # checked once more: the file may have changed

    with complete_journal(store.path, store.version, store.sign) as put:
        copy(lines, read, put, shared_of(lines))
        for trace in traces:
            body = _carried(trace, names)
            put(body, store.sign(body), b"", None)


def _lines_of(file: CaptureFile, traces: list[Trace]) -> list[Line]:
    """Return the records of these captures in the order of the file, each behind what its process says of itself."""
    wanted = {id(line) for trace in traces for line in trace.lines()}
    found: list[Line] = []
    opened: Line | None = None
    for line in file.lines:
        if line.event == "opened":
            opened = line
        elif line.event == "shared":
            found.append(line)
        elif id(line) in wanted:
            found += [opened] if opened is not None else []
            opened = None
            found.append(line)
    return found


def _place_objects(objects: Objects, file: CaptureFile, wanted: set[str]) -> dict[str, str]:
    """Put the objects that captures need into the store; return the name in the file -> the name in the store."""
    found = {}
    for name, size in file.names().items():
        if name in wanted:
            found[name] = objects.put_copy(name, size, partial(file.piece, name), sync=True)
    return found


def _carried(trace: Trace, names: Mapping[str, str]) -> bytes:
    """Return what this store says of a capture that was made elsewhere."""
    renamed = {}
    for line in trace.lines():
        for name, there in zip(_buffers(line), trace.names_in(line), strict=False):
            if names.get(there, there) != name:
                renamed[name] = names[there]
    body: Json = {"event": "carried", "id": trace.id, "time": time.time(), "status": trace.status}
    more: Json = ({"objects": renamed} if renamed else {}) if trace.has_values else {"values": False}
    return json.dumps(body | more, separators=(",", ":")).encode()


def _buffers(line: Line) -> list[str]:
    return [str(name) for name in line.body.get("buffers") or ()]
