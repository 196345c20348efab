"""From the events of all journals to captures.

What happened to one call may lie in several journals and in any order: a capture is put together by id. One that was imported both with its
values and without is the one with values. A capture whose fields are not what they should be is left out and reported, since a store may
come from anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import chain
from typing import NamedTuple

from ckpt._store.captures import WRONG, Carried, Run, Trace
from ckpt._store.journal import Finding, Line, Report

__all__ = ["Known", "merge"]

#: Either ends a call.
ENDS = frozenset({"returned", "left"})
ID = re.compile(r"[0-9a-f]{16}", re.ASCII)


class Known(NamedTuple):
    """What the journals of a store say."""

    #: In the order in which they begin there, cleared ones included.
    traces: dict[str, Trace]
    cleared: set[str]


def merge(journals: Iterable[list[Line]], report: Report) -> Known:
    """Return the captures in `journals`; what makes no sense is left out and reported."""
    merging = _Merging()
    for lines in journals:
        merging.run, merging.is_guest = Run({}), False
        for line in lines:
            try:
                if merging.add(line):
                    continue
            except WRONG:
                report(Finding(line.path, line.offset, f"an event {line.event!r} makes no sense"))
                continue
            report(Finding(line.path, line.offset, "the rest was written by a newer ckpt"))
            break
    sound = {}
    for id, trace in chain(merging.traces.items(), merging.bare.items()):
        if id not in sound and (trace.entered or trace.failed):
            try:
                trace.settle()
            except WRONG:
                report(Finding(trace.lines()[0].path, trace.lines()[0].offset, f"capture {id!r} makes no sense"))
            else:
                sound[id] = trace
    return Known(sound, merging.cleared)


class _Merging:
    """Puts events together, one after the other."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.traces: dict[str, Trace] = {}
        #: Those that hold no values. They make way only in a reader's eyes: nothing has to be deleted before the others are placed.
        self.bare: dict[str, Trace] = {}
        self.shared: dict[str, Line] = {}
        self.cleared: set[str] = set()
        self.run = Run({})
        #: Whether the file had an owner before the present one: then it is a merged one, and its lock says nothing.
        self.is_guest = False

    def add(self, line: Line) -> bool:
        """Take one event; False when this and what follows cannot be understood."""
        event, id = line.event, line.id
        if id is not None:
            traces = self.bare if _is_bare(line) else self.traces
            trace = traces.get(id)
            if trace is None:
                if not ID.fullmatch(id):  # it is told to people, in commands to paste
                    raise ValueError(id)
                trace = traces[id] = Trace(id, self.run, self.shared)
            if event == "entered":
                trace.entered, trace.run = line, self.run
            elif event in ENDS:
                trace.ended = line
            elif event == "failed" and (trace.failed is None or "view" in line.body or "view" not in trace.failed.body):
                trace.failed = line
            elif event == "carried":
                trace.carried = Carried.of(line)
            return True
        other = OTHERS.get(event)
        return other is None or other(self, line)

    def open(self, line: Line) -> bool:
        run = Run(line.body, line)
        if not run.is_known():
            return False
        self.run = self.runs.setdefault(line.body["run"], run)
        if not self.is_guest:
            self.run.paths.append(line.path)
        self.is_guest = True
        return True

    def close(self, line: Line) -> bool:
        self.run.closed = True
        return True

    def share(self, line: Line) -> bool:
        self.shared.setdefault(line.body["parts"][0][1], line)
        return True

    def clear(self, line: Line) -> bool:
        self.cleared.update(line.body["ids"])
        return True


def _is_bare(line: Line) -> bool:
    """Return whether an event says that the capture holds no values; nearly all are told by their bytes, without being parsed."""
    return b'"values":false' in line.piece and line.body.get("values") is False


OTHERS: dict[str, Callable[[_Merging, Line], bool]] = {
    "opened": _Merging.open,
    "closed": _Merging.close,
    "shared": _Merging.share,
    "cleared": _Merging.clear,
}
