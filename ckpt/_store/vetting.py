"""What a capture file has to be before anything in it is placed in a store: every line, size, name and sum is looked at.

The file may have come from anywhere. Nothing in it is believed because something else in it says so, nothing is unpickled, and memory is
bounded whatever the sizes say. Afterwards each of its captures opens or lists as those of a store do.
"""

from __future__ import annotations

import json
import re
from functools import partial
from hashlib import sha256
from typing import Any

from ckpt._model.record import Json
from ckpt._store.capture_file import CaptureFile
from ckpt._store.captures import WRONG, Trace
from ckpt._store.content import NAME, pieces_of
from ckpt._store.journal import Line, bytes_of
from ckpt._store.stored import Moment
from ckpt.errors import DamagedError

__all__ = ["vet"]

ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
SHA = re.compile(r"[0-9a-f]{64}", re.ASCII)
#: Events of a capture, each with the numbers of parts that it may have.
EVENTS = {"entered": (1, 2), "failed": (1, 2), "returned": (0,), "left": (0,), "carried": (0,)}
#: Those of processes. A file that clears captures is none of ours.
OTHERS = {"opened": (0,), "shared": (1,)}


def vet(file: CaptureFile) -> list[Trace]:
    """Return the captures in a file; raise `DamagedError` when anything in it is not as `ckpt export` writes it."""
    for finding in file.findings:
        raise DamagedError(f"{file.path!r} is damaged: {finding.what}.")
    try:
        _vet_lines(file.lines)
        _vet_places(file)
        for line in file.lines:
            _vet_parts(file, line)
        for name in file.names():
            file.check_object(name)
        for trace in file.traces():
            _vet_capture(file, trace)
    except (*WRONG, OverflowError, RecursionError) as err:
        if isinstance(err, DamagedError):
            raise
        raise DamagedError(f"{file.path!r} makes no sense: {err!r}.") from err
    if not file.traces():
        raise DamagedError(f"{file.path!r} holds no captures.", hint="ckpt export NAME -o FILE writes a file that holds some")
    return file.traces()


def _vet_lines(lines: list[Line]) -> None:
    seen = set()
    for line in lines:
        at, signature, raw = line.fields()
        body = json.loads(raw, object_pairs_hook=_unambiguous)
        parts = body.get("parts") or []
        counts = (EVENTS | OTHERS).get(line.event, ())
        sound = [
            len(parts) in counts and (at is None) == (not parts) and (at is None or at >= 0),
            signature == "" or SHA.fullmatch(signature),
            all(type(length) is int and SHA.fullmatch(digest) for length, digest in parts),
            line.event not in EVENTS or (ID.fullmatch(body["id"]) and (line.event, line.id) not in seen),
            line.event != "opened" or ID.fullmatch(body["run"]),
            _are_objects(body.get("buffers"), "b-"),
            _are_objects(body.get("sources"), "t-"),
            _are_objects([body.get("stream")] if body.get("stream") is not None else [], "t-"),
            all(SHA.fullmatch(body[field]) for field in ("process", "function") if field in body),
        ]
        if not all(sound):
            raise DamagedError(f"{line.path!r} holds a record {line.event!r} that ckpt export does not write.")
        seen.add((line.event, line.id))
    if lines and lines[0].event != "opened":
        raise DamagedError(f"{lines[0].path!r} does not say where its captures were made.")


def _are_objects(names: Any, kind: str) -> bool:
    """Return whether a field that may be missing names objects of one kind, and nothing else."""
    return names is None or (type(names) is list and all(name.startswith(kind) and NAME.fullmatch(name) for name in names))


def _unambiguous(pairs: list[tuple[str, Any]]) -> Json:
    """Refuse what two readers may read in two ways."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is there twice")
    return found


def _vet_places(file: CaptureFile) -> None:
    """Raise `DamagedError` when parts or objects lie over one another: a small file must not become a large store."""
    parts = {(at, bytes_of(line.body)) for line in file.lines if (at := line.fields()[0]) is not None}
    end = 0
    for at, size in sorted([*parts, *file.places()]):
        if at < end:
            raise DamagedError(f"{file.path!r} is damaged: what lies at {at} lies over something else.")
        end = at + size
    if count := file.left_behind(end):
        raise DamagedError(f"{file.path!r} is damaged: {count} bytes at its end belong to nothing.")


def _vet_parts(file: CaptureFile, line: Line) -> None:
    at = line.fields()[0] or 0
    for index, (length, digest) in enumerate(line.body.get("parts") or ()):
        found = sha256()
        for piece in pieces_of(length, partial(_read_behind, file, at)):
            found.update(piece)
        if found.hexdigest() != digest:
            raise DamagedError(f"Part {index} of the {line.event} record in {file.path!r} is not what was written.")
        at += length


def _read_behind(file: CaptureFile, begin: int, length: int, at: int) -> bytes:
    return file.read_at(length, begin + at)


def _vet_capture(file: CaptureFile, trace: Trace) -> None:
    """Raise one of `WRONG` unless all that a capture refers to is there, and is what it has to be."""
    trace.header({})
    for line in (trace.entered, trace.failed):
        if line is not None:
            Moment(line, file).manifest()
            if (len(line.body["parts"]) == 1) != (line.body.get("stream") is not None or line.body.get("values") is False):
                raise DamagedError(f"The capture {trace.id} in {file.path!r} has no values, or too many.")
    for field, name in ((field, line.body.get(field)) for line in trace.lines() for field in ("process", "function")):
        if name is not None and trace.shared[name].body["kind"] != field:
            raise DamagedError(f"The {field} record {name[:16]!r} in {file.path!r} is none.")
        if name is not None and field == "process" and not isinstance(json.loads(trace.shared[name].read(0)), dict):
            raise DamagedError(f"The process record {name[:16]!r} in {file.path!r} is none.")
    missing = trace.objects().difference(file.names())
    if missing:
        raise DamagedError(f"{file.path!r} does not hold the object {min(missing)!r}.")
