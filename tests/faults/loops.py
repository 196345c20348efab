"""The loops: each fails the Nth step of a program for every N, until the program gets through; a sample takes some, evenly spaced."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import ckpt
from tests.faults import calls, crowds, disks, lines
from tests.faults.programs import PROGRAMS, Program
from tests.faults.trials import Bench, Fault, Outcome, examine

#: What is done at the same time, and how often, in all and in a sample.
ROUNDS = {"threads": (60, 2), "forks": (300, 9), "signals": (100, 5), "shutdown": (60, 6), "company": (60, 2)}

KINDS = {"lines": lines.KINDS, "calls": calls.KINDS, "disks": tuple(disks.LEFT), "crowds": tuple(crowds.CROWDS)}
#: One group of loops runs in one process.
GROUPS = [f"{how}:{kind}" for how, kinds in KINDS.items() for kind in kinds]

Make = Callable[[Program, int], Fault]


class NotHereError(Exception):
    """This system does not let one do that."""


@dataclass(slots=True)
class Report:
    """What a loop found: how many steps it tried, in how many seconds, and what was wrong."""

    name: str
    tried: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.name:<34}{self.tried:>6} steps{len(self.wrong):>5} failures{self.seconds:>8.1f} s"


def run(group: str, sample: int | None) -> Iterator[Report]:
    """Run the loops of a group, with all of their steps or about `sample` of each; yield what they found. Raises `NotHereError`."""
    how, _, kind = group.partition(":")
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # in memory: what is promised to be on the disk is not waited for
    directory = tempfile.mkdtemp(prefix="faults-", dir=fast)  # not one that goes at exit: children exit too
    try:
        yield from _crowd(kind, directory, sample) if how == "crowds" else _loops(how, kind, directory, sample)
    finally:
        os.chdir("/")
        shutil.rmtree(directory, ignore_errors=True)


def _loops(how: str, kind: str, directory: str, sample: int | None) -> Iterator[Report]:
    disk = os.path.join(directory, "disk")
    os.mkdir(disk)
    why_not = disks.enter(disk) if how == "disks" else calls.why_not(kind) if how == "calls" else ""
    if why_not:
        raise NotHereError(why_not)
    make: dict[str, Make] = {
        "lines": lambda program, nth: lines.Lines(kind, nth, program),
        "calls": lambda _, nth: calls.Calls(kind, nth),
        "disks": lambda _, nth: disks.Shortage(kind, nth, disk),
    }
    try:
        bench = Bench(directory)
        for program in PROGRAMS:
            if program.name != "first":
                bench.warm()
            if how == "lines":
                lines.look()
            if is_tried(how, kind, program):
                report, began = Report(f"{how}, {kind}: {program.name}"), time.monotonic()
                for outcome in _steps(bench, program, make[how], len(disks.LEFT.get(kind, ())), sample):
                    report.tried += 1
                    report.wrong += [f"{outcome.struck or 'nothing'}: {each}" for each in outcome.wrong]
                report.seconds = time.monotonic() - began
                yield report
    finally:
        if how == "disks":
            disks.leave(disk)


def is_tried(how: str, kind: str, program: Program) -> bool:
    """Return whether a program can be struck like that.

    A disk cannot become read-only under an open file. What a handler raises has nobody to go to at the end of the process; commands of ckpt
    have no handlers; and much that is asked of the system for a first capture is asked by the standard library, which keeps what is raised.
    A deep recursion asks for memory itself, and leaves `sys.settrace` no room.
    """
    if kind == "read-only":
        return program.name in {"first", "maintain"}
    if program.name == "deep" and ((how, kind) == ("calls", "OSError") or (how == "lines" and sys.version_info < (3, 12))):
        return False
    return kind != "TimeoutError" or not (program.is_command or program.name == "exit" or (how == "calls" and program.name == "first"))


def _steps(bench: Bench, program: Program, make: Make, count: int, sample: int | None) -> Iterator[Outcome]:
    """Yield what comes of a strike at each step, or at some; last of all, that the program gets through."""
    if sample is None and not count:
        for nth in itertools.count(1):
            outcome = bench.run(program, make(program, nth))
            yield outcome
            if not outcome.struck:
                return
    if count:
        outcome = bench.run(program, make(program, count))
        outcome.wrong += ["it does not get through"] * outcome.is_felt
    else:
        outcome = bench.run(program, make(program, 0))
        count = outcome.steps
    yield outcome
    for nth in range(1, count + 1) if sample is None else _spaced(count, sample):
        yield bench.run(program, make(program, nth))


def _spaced(count: int, sample: int) -> Iterable[int]:
    """Return about `sample` numbers from 1 to `count`."""
    return sorted({1 + count * number // sample for number in range(min(count, sample))})


def _crowd(name: str, directory: str, sample: int | None) -> Iterator[Report]:
    os.environ["XDG_STATE_HOME"] = os.path.join(directory, "state")
    os.chdir(directory)
    ckpt.set_ckpt_dir(os.path.join(directory, ".pyckpt"))
    report, began = Report(f"crowds: {name}", ROUNDS[name][sample is not None]), time.monotonic()
    report.wrong += crowds.CROWDS[name](report.tried)
    report.wrong += examine(os.path.join(directory, ".pyckpt"))
    report.seconds = time.monotonic() - began
    yield report
