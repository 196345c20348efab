"""Captures: the processes that made them, the events they consist of, and which of them live."""

from __future__ import annotations

import operator
import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from ckpt._model.record import DIED, FAILED, FAILURES, FORMAT, LEFT, NAME, RETURNED, RUNNING, UNKNOWN, Header, Json
from ckpt._store.content import NAME as OBJECT
from ckpt._store.files import boot, host, is_held
from ckpt._store.journal import Finding, Line, Report, bytes_of, objects_of
from ckpt._store.objects import Objects
from ckpt.errors import DamagedError

__all__ = ["WRONG", "Run", "Trace", "retain"]

#: The limit of those who keep all.
ALL = 2**62
#: Seconds since the epoch, or before it, that no calendar reaches.
FAR = 1e11
#: What goes wrong when the fields of an event are not what they should be.
WRONG = (AttributeError, DamagedError, IndexError, KeyError, OverflowError, TypeError, UnicodeDecodeError, ValueError)


class Run:
    """One process's share in the journals; `opened` is what it said of itself."""

    __slots__ = ("closed", "line", "opened", "paths", "status")

    def __init__(self, opened: Json, line: Line | None = None) -> None:
        self.opened = opened
        #: The event that says it.
        self.line = line
        #: The journals it wrote itself; in merged ones it is a guest.
        self.paths: list[str] = []
        self.closed = False
        self.status: str | None = None

    def unfinished(self) -> str:
        """Return the status of a call that this process began and did not end."""
        if self.status is None:
            self.status = LEFT if self.closed else self._look()
        return self.status

    def is_known(self) -> bool:
        """Return whether it wrote in a format that this version understands."""
        return bool(self.opened.get("format", 0) <= FORMAT)

    def is_here(self) -> bool:
        """Return whether the process ran on this machine since it was last started, so that its locks can be seen."""
        theirs, ours = self.opened.get("boot"), boot()
        return theirs == ours if theirs and ours else self.opened.get("host") == host()

    def _look(self) -> str:
        held = {is_held(path) for path in self.paths}
        if True in held:
            return RUNNING
        return DIED if self.is_here() and None not in held else UNKNOWN


class First(NamedTuple):
    """What retention and lists go by."""

    name: str
    module: str
    qualname: str
    keep: int
    time: float


class Carried(NamedTuple):
    """What whoever took a capture from one store to another says of it."""

    line: Line
    #: The status of a call that had not ended, as it was known where the capture came from.
    status: str
    #: Raw buffers whose names were taken here by other bytes: the name in the records -> the name here.
    renamed: Mapping[str, str]

    @classmethod
    def of(cls, line: Line) -> Carried:
        """Read what the event says; raises one of `WRONG` when it says nothing sound."""
        status, renamed = line.body.get("status"), dict(line.body.get("objects") or {})
        if not all(_is_buffer(name) and _is_buffer(other) for name, other in renamed.items()):
            raise ValueError(renamed)
        return cls(line, status if status in {DIED, LEFT} else UNKNOWN, renamed)


class Trace:
    """All events of one capture."""

    __slots__ = ("carried", "ended", "entered", "failed", "first", "id", "run", "shared")

    def __init__(self, id: str, run: Run, shared: Mapping[str, Line]) -> None:
        self.id = id
        self.run = run
        self.shared = shared
        self.entered: Line | None = None
        self.failed: Line | None = None
        self.ended: Line | None = None
        #: Set for a capture that was imported.
        self.carried: Carried | None = None
        self.first: First = None  # type: ignore[assignment]  # set by settle(), before anybody asks

    def settle(self) -> None:
        """Read what the first event says; raises one of `WRONG` when it says nothing sound."""
        line = self.entered or self.failed
        assert line is not None
        if line.glance:
            name, module, qualname, keep, time = line.glance
            self.first = First(name.decode(), module.decode(), qualname.decode(), int(keep), _moment(float(time)))
            return
        body = line.body
        called, limit, entered = body["name"], body.get("keep"), body.get("time", 0) + 0.0
        if not NAME.fullmatch(called):
            raise ValueError(called)
        limit = ALL if limit is None else operator.index(limit)
        self.first = First(called, str(body.get("module", "")), str(body.get("qualname", "")), limit, _moment(entered))

    @property
    def status(self) -> str:
        """The status, as of now for a call that has not ended."""
        if self.failed:
            return FAILED
        if self.ended:
            return RETURNED if self.ended.event == "returned" else LEFT
        return self.carried.status if self.carried else self.run.unfinished()

    @property
    def end(self) -> float:
        """When the call ended, which is what retention goes by; when it was entered for one that has not."""
        line = self.failed or self.ended
        return self.first.time + (float(line.body.get("duration") or 0.0) if line else 0.0)

    def lines(self) -> list[Line]:
        """Return the events there are."""
        return [line for line in (self.entered, self.failed, self.ended) if line]

    @property
    def has_values(self) -> bool:
        """Whether it can be opened; False for one that was exported with descriptions only."""
        return all(line.body.get("values", True) for line in self.lines())

    def names_in(self, line: Line) -> list[str]:
        """Return the names, here, of the objects that one of the capture's records points to."""
        names = objects_of(line.body)
        return [self.carried.renamed.get(name, name) for name in names] if self.carried else names

    def objects(self) -> set[str]:
        """Return the names of the objects that the capture needs, those of its process among them."""
        names: set[str] = set()
        for line in (*self.lines(), *(self.shared[name] for name in self.refers_to() if name in self.shared)):
            with suppress(*WRONG):
                names.update(self.names_in(line))
        return names

    def refers_to(self) -> set[str]:
        """Return the names of the shared records that the capture needs."""
        return {name for line in self.lines() for field in ("process", "function") if isinstance(name := line.body.get(field), str)}

    def header(self, sizes: Mapping[str, int]) -> Header:
        """Return what a list shows; `sizes` are those of the objects that are there. Raises one of `WRONG`."""
        line = self.entered or self.failed
        assert line is not None
        body, opened, first = line.body, self.run.opened, self.first
        end = self.failed or self.ended
        last = end.body if end else {}
        size = 0
        for line in (self.entered, self.failed, self.ended):
            if line:
                size += line.size
                if line.event != "returned":
                    size += bytes_of(line.body)
                    for name in self.names_in(line):
                        size += sizes.get(name, 0)
        return Header(
            id=self.id,
            name=first.name,
            status=self.status,
            module=first.module,
            qualname=first.qualname,
            time=first.time,
            duration=_maybe(last.get("duration"), (int, float)),
            exception=_maybe(last.get("exception"), str),
            returned=_maybe(last.get("value"), dict),
            tags=[[str(name), value] for name, value in body.get("tags") or ()],
            handled=last.get("handled") is True,
            host=_maybe(opened.get("host"), str) or "",
            pid=_maybe(opened.get("pid"), int) or 0,
            python=_maybe(opened.get("python"), str) or "",
            size=size,
        )

    def check(self, objects: Objects, report: Report) -> None:
        """Read everything that the capture needs, and report what is not as it was written."""
        lines = self.lines()
        for name in self.refers_to():
            if name in self.shared:
                lines.append(self.shared[name])
            else:
                report(Finding(lines[0].path, lines[0].offset, f"capture {self.id}: its {name[:8]} record is missing"))
        for line in lines:
            try:
                for index in range(len(line.body.get("parts", ()))):
                    line.read(index)
                for name in self.names_in(line):
                    objects.check(name)
            except FileNotFoundError as err:
                report(Finding(line.path, line.offset, f"capture {self.id}: {os.path.basename(err.filename)} is missing"))
            except WRONG as err:
                report(Finding(line.path, line.offset, f"capture {self.id}: {err}"))


def retain(traces: Iterable[Trace], cleared: Collection[str] = ()) -> list[Trace]:
    """Return the captures that live, by time of entry: all that run, and of each function the newest `keep` failures and others.

    Imported ones live until they are cleared, and take nobody's place. A cleared capture still takes its place, so that clearing never
    brings an older one back.
    """
    groups: dict[tuple[Any, ...], list[Trace]] = {}
    living = []
    for trace in traces:
        status, first = trace.status, trace.first
        if status == RUNNING or trace.carried:
            living.append(trace)
        else:
            kind = "failure" if status in FAILURES else "unknown" if status == UNKNOWN else ""
            groups.setdefault((first.module, first.qualname, first.name, kind), []).append(trace)
    for group in groups.values():
        keep = max(group, key=_time).first.keep
        if len(group) > keep:
            group.sort(key=_end)
            del group[: len(group) - keep]
        living += group
    return sorted([trace for trace in living if trace.id not in cleared], key=_time)


def _is_buffer(name: object) -> bool:
    return isinstance(name, str) and name.startswith("b-") and OBJECT.fullmatch(name) is not None


def _moment(time: float) -> float:
    """Return a time; raise ValueError for one that no clock shows."""
    if not abs(time) < FAR:
        raise ValueError(time)
    return time


def _time(trace: Trace) -> float:
    return trace.first.time


def _end(trace: Trace) -> float:
    try:
        return trace.end
    except WRONG:
        return trace.first.time


def _maybe(value: Any, kind: type | tuple[type, ...]) -> Any:
    """Return `value` when it is of the kind it should be."""
    return value if isinstance(value, kind) else None
