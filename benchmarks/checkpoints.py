"""Named checkpoints: one that rests, writing files, and indexing 50,000 of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks import material
from benchmarks.measuring import Figure, Place, alternate, timed
from ckpt._model import codec
from ckpt.checkpoints import checkpoint, config, index_checkpoint_files, register

FILES = 50_000
CALLS = 10_000
#: What is written, how it is made, how often in a row.
VALUES: tuple[tuple[str, Callable[[], object], int], ...] = (
    ("array of 100 MB", lambda: material.array(100), 1),
    ("table of 1M rows", material.table, 1),
    ("200k dicts", material.records, 1),
    ("two small values", lambda: [1.5, 2, "x"], 200),
)


def alike(first: Any, second: Any = None, third: Any = None, /, **values: Any) -> None:
    """Do nothing, with the parameters of a checkpoint."""


def plain(first: Any, second: Any, third: Any) -> None:
    """Do nothing, with as many parameters as there are arguments."""


def bare() -> None:
    """Do nothing."""


def measure(place: Place, rounds: int = 11) -> Iterator[Figure]:
    """Yield the figures for a checkpoint that nobody has configured, for files, and for their index."""
    register("MyPackage", ["foo", "file"])
    yield from _resting()
    yield from _writing(place, rounds)
    for what, in_each in (("100 to a directory", 100), ("10 to a directory", 10), ("each in its own directory", 1)):
        root = os.path.join(place.directory, f"tree{in_each}")
        _plant(root, in_each)
        pairs = alternate(partial(timed, index_checkpoint_files, root), partial(timed, _walk, root), rounds)
        yield Figure(what=f"index {FILES:,} files, {what}", value=pairs.ratio, target=1.5, note=f"{pairs.note} for os.walk")


def _resting(rounds: int = 301) -> Iterator[Figure]:
    data, x, y = [1], 1, 2
    contests: tuple[tuple[str, Callable[[], object], Callable[[], object]], ...] = (
        ("data", lambda: checkpoint("MyPackage", "foo", data), lambda: alike("MyPackage", "foo", data)),
        ("values", lambda: checkpoint("MyPackage.foo", x=x, y=y), lambda: alike("MyPackage.foo", x=x, y=y)),
        ("data, to plain parameters", lambda: checkpoint("MyPackage", "foo", data), lambda: plain("MyPackage", "foo", data)),
        ("data, to no parameters", lambda: checkpoint("MyPackage", "foo", data), lambda: bare()),  # noqa: PLW0108 - as the others
    )
    for what, ours, limit in contests:
        pairs = alternate(_each(ours), _each(limit), rounds)
        around = median(_each(lambda: None)() for _ in range(rounds))
        value = (median(pairs.ours) - around) / (median(pairs.limit) - around)
        yield Figure(what=f"checkpoint at rest, {what}", value=value, target=3, note=f"{pairs.note}, with the loop")


def _each(work: Callable[[], object]) -> Callable[[], float]:
    """Return a turn that takes the time of one of many calls."""

    def turn() -> float:
        began = perf_counter()
        for _ in range(CALLS):
            work()
        return (perf_counter() - began) / CALLS

    return turn


def _writing(place: Place, rounds: int) -> Iterator[Figure]:
    config("MyPackage.file", place.directory)
    for what, make, times in VALUES:
        value = make()
        for _ in range(2):  # the directory is made, and there is a file to replace
            checkpoint("MyPackage", "file", x=value, y=1)
        ours = _turn(place, partial(checkpoint, "MyPackage", "file", x=value, y=1), times)
        limit = _turn(place, partial(_encode_and_write, place, value, 1), times)
        pairs = alternate(ours, limit, rounds)
        yield Figure(what=f"write {what}", value=pairs.ratio, target=1.2, note=f"{pairs.note} for codec and files")


def _turn(place: Place, work: Callable[[], object], times: int) -> Callable[[], float]:
    def turn() -> float:
        place.settle()
        began = perf_counter()
        for _ in range(times):
            work()
        return (perf_counter() - began) / times

    return turn


def _encode_and_write(place: Place, *values: object) -> None:
    """Do what a checkpoint cannot do without: encode each value, write the bytes beside the file, rename them over it."""
    path = os.path.join(place.directory, "MyPackage", "limit")
    encoded = [codec.encode([value], [], codec.Limits(max_bytes=sys.maxsize)) for value in values]
    descriptor = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    for each in encoded:
        for data in (memoryview(each.stream), *each.buffers):
            os.write(descriptor, data)
    os.close(descriptor)
    os.replace(f"{path}.new", path)


def _plant(root: str, in_each: int) -> None:
    """Make as many empty files as an index is to hold."""
    for iteration in range(FILES // in_each):
        directory = os.path.join(root, f"iteration={iteration}", "foo1=1", "MyPackage")
        os.makedirs(directory)
        for number in range(in_each):
            with open(os.path.join(directory, f"foo{number}.ckpt"), "wb"):
                pass


def _walk(root: str) -> None:
    for _ in os.walk(root):
        pass
