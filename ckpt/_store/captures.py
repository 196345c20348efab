"""From the events of all journals to captures.

What happened to one call may lie in several journals and in any order: a capture is put together by id.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ckpt._model.record import DIED, FAILED, FORMAT, LEFT, RETURNED, RUNNING, UNKNOWN, Header, Json, Manifest
from ckpt._store.journal import Finding, Line, bytes_of, is_held, read_part
from ckpt._store.objects import Objects
from ckpt._store.pair import host
from ckpt._store.writer import boot
from ckpt.errors import DamagedError, NotFoundError

__all__ = ["Moment", "Run", "Stored", "Trace", "merge", "objects_of", "retain"]


class Run:
    """One process's share in the journals."""

    __slots__ = ("closed", "opened", "paths", "status")

    def __init__(self, opened: Json) -> None:
        self.opened = opened
        self.paths: list[str] = []
        self.closed = False
        self.status: str | None = None

    def unfinished(self) -> str:
        """Return the status of a call that this process began and did not end."""
        if self.status is None:
            self.status = LEFT if self.closed else self._look()
        return self.status

    def _look(self) -> str:
        held = {is_held(path) for path in self.paths}
        if True in held:
            return RUNNING
        theirs, ours = self.opened.get("boot"), boot()
        same = theirs == ours if theirs and ours else self.opened.get("host") == host()
        return DIED if same and None not in held else UNKNOWN


class Trace:
    """All events of one capture."""

    __slots__ = ("ended", "entered", "failed", "functions", "id", "run", "shared")

    def __init__(self, id: str, run: Run, shared: Mapping[str, Line]) -> None:
        self.id = id
        self.run = run
        self.shared = shared
        self.entered: Line | None = None
        self.failed: Line | None = None
        self.ended: Line | None = None

    @property
    def first(self) -> Json:
        """The body that holds the name: that of the entry, else that of the failure."""
        line = self.entered or self.failed
        assert line is not None
        return line.body

    @property
    def status(self) -> str:
        if self.failed:
            return FAILED
        if self.ended:
            return RETURNED if self.ended.body["event"] == "returned" else LEFT
        return self.run.unfinished()

    @property
    def time(self) -> float:
        """When the call was entered, as far as that is known."""
        return float(self.first.get("time", 0.0))

    @property
    def end(self) -> float:
        """When the call ended: what retention goes by."""
        line = self.failed or self.ended
        return self.time + (float(line.body.get("duration") or 0.0) if line else 0.0)

    def lines(self) -> list[Line]:
        return [line for line in (self.entered, self.failed, self.ended) if line]

    def header(self, sizes: Mapping[str, int]) -> Header:
        """Return what a list shows; `sizes` are those of the objects that are there."""
        first, opened = self.first, self.run.opened
        last = (self.failed or self.ended).body if self.failed or self.ended else {}
        lines = self.lines()
        size = sum(len(line.raw) + bytes_of(line.body) for line in lines)
        return Header(
            id=self.id,
            name=first["name"],
            status=self.status,
            module=first.get("module", ""),
            qualname=first.get("qualname", ""),
            time=self.time,
            duration=last.get("duration"),
            exception=last.get("exception"),
            returned=last.get("value"),
            tags=first.get("tags") or [],
            host=opened.get("host", ""),
            pid=opened.get("pid", 0),
            python=opened.get("python", ""),
            size=size + sum(sizes.get(name, 0) for line in lines for name in objects_of(line.body)),
        )

    def check(self, objects: Objects) -> list[Finding]:
        """Return what of this capture is not as it was written."""
        findings = []
        for line in self.lines():
            try:
                for index in range(len(line.body.get("parts", ()))):
                    _read(line, index)
            except (DamagedError, FileNotFoundError) as err:
                findings.append(Finding(line.path, line.offset, f"capture {self.id}: {err}"))
            for name in objects_of(line.body):
                try:
                    objects.read(name) if name.startswith("t-") else objects.map(name)
                except DamagedError as err:
                    findings.append(Finding(line.path, line.offset, f"capture {self.id}: {err}"))
        return findings


def merge(journals: Iterable[list[Line]]) -> list[Trace]:
    """Return the captures in `journals`, the cleared ones left out, in the order in which they begin there."""
    runs: dict[str, Run] = {}
    traces: dict[str, Trace] = {}
    shared: dict[str, Line] = {}
    cleared: set[str] = set()
    for lines in journals:
        run = Run({})
        for line in lines:
            body = line.body
            event = body["event"]
            id = body.get("id")
            if id is not None:
                trace = traces.get(id)
                if trace is None:
                    trace = traces[id] = Trace(id, run, shared)
                if event == "entered":
                    trace.entered = line
                    trace.run = run
                elif event == "failed":
                    if trace.failed is None or "view" in body or "view" not in trace.failed.body:
                        trace.failed = line
                elif event in {"returned", "left"}:
                    trace.ended = line
            elif event == "opened":
                if body.get("format", 0) > FORMAT:
                    break
                run = runs.setdefault(body.get("run", line.path), Run(body))
                run.paths.append(line.path)
            elif event == "closed":
                run.closed = True
            elif event == "shared":
                shared.setdefault(body["parts"][0][1], line)
            elif event == "cleared":
                cleared.update(body["ids"])
    return [trace for id, trace in traces.items() if id not in cleared and (trace.entered or trace.failed)]


def retain(traces: Iterable[Trace]) -> list[Trace]:
    """Return the captures that live: all that run, and of each function the newest `keep` failures and the newest `keep` others."""
    groups: dict[Any, list[Trace]] = {}
    living = []
    for trace in traces:
        status = trace.status
        if status == RUNNING:
            living.append(trace)
        else:
            kind = "failure" if status in {FAILED, DIED} else "unknown" if status == UNKNOWN else ""
            first = trace.first
            groups.setdefault((first.get("module"), first.get("qualname"), first["name"], kind), []).append(trace)
    for group in groups.values():
        group.sort(key=lambda trace: trace.end)
        keep = group[-1].first.get("keep")
        living += group if keep is None else group[max(0, len(group) - keep) :]
    return living


def objects_of(body: Json) -> list[str]:
    """Return the names of the objects that an event points to."""
    stream = body.get("stream")
    return [*body.get("buffers", ()), *body.get("sources", ()), *([stream] if stream else [])]


@dataclass(frozen=True, slots=True)
class Moment:
    """What was recorded at entry or at the failure. Everything is read when it is asked for, and checked."""

    line: Line
    objects: Objects

    def manifest(self) -> Manifest:
        """Return what can be shown without loading a value."""
        return Manifest.from_json(json.loads(_read(self.line, 0)))

    def stream(self) -> bytes | memoryview:
        """Return the pickle stream; mapped when it is large."""
        name = self.line.body.get("stream")
        return self.objects.map(name) if name else _read(self.line, 1)

    def buffers(self) -> list[memoryview]:
        """Return the raw buffers that the stream refers to, mapped copy-on-write."""
        return [self.objects.map(name) for name in self.line.body.get("buffers", ())]


class Stored:
    """One capture of a store. Raises `DamagedError` when a part that is asked for is not what was written."""

    def __init__(self, trace: Trace, objects: Objects) -> None:
        self._trace = trace
        self._objects = objects
        self.header = trace.header(objects.names())
        self.entry = Moment(trace.entered, objects) if trace.entered else None
        self.failure = Moment(trace.failed, objects) if trace.failed else None

    @property
    def view(self) -> tuple[int, int] | None:
        """Which exception, and from which entry of its traceback on, is this capture's; None for the whole failure."""
        view = self._trace.failed.body.get("view") if self._trace.failed else None
        return (view[0], view[1]) if view else None

    @property
    def process(self) -> Json:
        """What is the same for the whole process: versions, argv, working directory, `sys.path`, sources by hash."""
        data = self._shared("process")
        process: Json = json.loads(data()) if data else {}
        return process

    @property
    def function(self) -> Callable[[], bytes] | None:
        """Reads the pickled function, where it is kept by value."""
        return self._shared("function")

    def source(self, name: str) -> str:
        """Return a source text by the name of its object."""
        return self._objects.read(name).decode("utf-8", "surrogateescape")

    def _shared(self, field: str) -> Callable[[], bytes] | None:
        for line in (self._trace.failed, self._trace.entered):
            name = line.body.get(field) if line else None
            if name:
                found = self._trace.shared.get(name)
                if found is None:
                    raise DamagedError(f"The {field} record of capture {self.header.id} is missing.", hint="ckpt info")
                return lambda: _read(found, 0)
        return None


def _read(line: Line, index: int) -> bytes:
    parts = line.body.get("parts", ())
    if line.at is None or index >= len(parts):
        raise DamagedError(f"A record in {line.path!r} has no part {index}.", hint="ckpt info")
    at = line.at + sum(length for length, _ in parts[:index])
    return read_part(line.path[: -len("jsonl")] + "bin", at, *parts[index])
