"""How a figure is made: contestants alternate inside one run, and the figure is the median of the paired ratios.

Absolute times on a shared machine move by a factor of two while one looks; ratios of neighbours hardly do.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import ckpt

Seconds = float
#: One turn of a contestant: does the work and returns how long the part of it took that counts.
Turn = Callable[[], Seconds]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table. Without a target it is only told."""

    what: str
    value: float
    target: float | None = None
    #: Empty for a ratio.
    unit: str = ""
    note: str = ""

    @property
    def is_reached(self) -> bool:
        """Whether the value is at most the target."""
        return self.target is None or self.value <= self.target


@dataclass(frozen=True, slots=True)
class Pairs:
    """The times of two contestants that took turns, in seconds."""

    ours: list[Seconds]
    limit: list[Seconds]

    @property
    def ratio(self) -> float:
        """The median of the paired ratios."""
        return median(ours / limit for ours, limit in zip(self.ours, self.limit, strict=True))

    @property
    def difference(self) -> Seconds:
        """The median of the paired differences."""
        return median(ours - limit for ours, limit in zip(self.ours, self.limit, strict=True))

    @property
    def note(self) -> str:
        """The median times of both."""
        return f"{duration(median(self.ours))} against {duration(median(self.limit))}"


def alternate(ours: Turn, limit: Turn, rounds: int) -> Pairs:
    """Let both contestants take turns, one round for warming up and `rounds` that count, each beginning every other round."""
    times: dict[Turn, list[Seconds]] = {ours: [], limit: []}
    for number in range(rounds + 1):
        for turn in (ours, limit) if number % 2 else (limit, ours):
            gc.collect()
            taken = turn()
            if number:
                times[turn].append(taken)
    return Pairs(times[ours], times[limit])


def timed(work: Callable[..., object], *args: object) -> Seconds:
    """Return how long one call takes."""
    began = perf_counter()
    work(*args)
    return perf_counter() - began


def duration(seconds: Seconds) -> str:
    """Return a time in three digits."""
    for factor, unit in ((1e-9, "ns"), (1e-6, "us"), (1e-3, "ms")):
        if seconds < 999 * factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds:.3g} s"


class Place:
    """A directory on a real disk with a store of its own, and the file that the limit writes over and over."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.store = os.path.join(directory, "store")
        self._file = os.path.join(directory, "limit.pickle")
        with open(self._file, "wb") as file:
            file.write(b"there is something to replace")

    def limit(self, value: object) -> None:
        """Do what everything is compared with: C `pickle.dumps`, one write, one rename over the existing name."""
        data = pickle.dumps(value, protocol=5)
        with open(f"{self._file}.new", "wb", buffering=0) as file:
            file.write(data)
        os.replace(f"{self._file}.new", self._file)

    def settle(self) -> None:
        """Remove the large objects of earlier rounds and wait for the disk, so that nobody pays for the other's writing."""
        objects = os.path.join(self.store, "objects")
        for entry in list(os.scandir(objects)) if os.path.isdir(objects) else []:
            if entry.stat().st_size > 1 << 20:
                os.unlink(entry.path)
        os.sync()

    def size(self) -> int:
        """Return how many bytes lie in the store."""
        return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(self.store) for name in names)


@contextmanager
def place(under: str) -> Iterator[Place]:
    """Make a `Place` in a new directory under `under`; this process and its children capture to it, with a key of their own."""
    directory = tempfile.mkdtemp(prefix="benchmark-", dir=under)
    os.environ["XDG_STATE_HOME"] = os.path.join(directory, "state")
    found = Place(directory)
    os.environ["PYCKPT_DIR"] = found.store
    ckpt.set_ckpt_dir(found.store)
    try:
        yield found
    finally:
        shutil.rmtree(directory)


def run(*args: str) -> str:
    """Run Python with these arguments, in an interpreter that keeps what it compiles, and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run([sys.executable, *args], check=True, capture_output=True, text=True, env=environment).stdout


def child(module: str, *args: str) -> dict[str, float]:
    """Run a module of this package in a new interpreter and return the JSON that it prints."""
    return dict(json.loads(run("-m", f"benchmarks.{module}", *args)))


def peak_memory() -> int:
    """Return the most memory that this process has had, in bytes."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:  # ru_maxrss begins with that of the parent
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    except FileNotFoundError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
