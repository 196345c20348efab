"""What it costs to keep a failure with all its frames, next to one pickle of all their variables."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from types import ModuleType
from typing import Any

import ckpt
from benchmarks import material
from benchmarks.measuring import Figure, Pairs, Place, alternate, duration, timed

FRAMES, LEVELS, DEPTH = 10, 900, 5000


def measure(place: Place, rounds: int = 11) -> Iterator[Figure]:
    """Yield the figures for ten mixed frames, for a tall recursion, and for a deep list."""
    with timed_fsync() as waits:
        yield from mixed_frames(place, rounds, waits)
        yield from recursion(place, rounds, waits)
        yield from deep_list()


@contextmanager
def timed_fsync() -> Iterator[list[float]]:
    """Note how long each `fsync` takes: a failure waits for the disk, the limit does not."""
    waits: list[float] = []
    original = os.fsync
    os.fsync = lambda fd: waits.append(timed(original, fd))
    try:
        yield waits
    finally:
        os.fsync = original


def _note(pairs: Pairs, waits: list[float], frames: int) -> str:
    """Say what both took, and how much of ours was waiting for the disk."""
    waited = sum(waits) / (len(pairs.ours) + 1)
    waits.clear()
    return f"{pairs.note}; {duration(waited)} of it fsync; {frames} frames"


def fail_mixed(level: int, values: dict[str, Any]) -> None:
    """Fail `level` frames down; each holds the same array and table, and things of its own, of which some cannot be pickled."""
    array, table = values["array"], values["table"]
    number, text, numbers = level * 1.5, f"level {level}", list(range(200))
    fresh = {"level": level, "rows": [{"i": i, "square": i * i} for i in range(100)]}
    mean = lambda: number + level  # noqa: E731  a variable that holds a lambda
    Local = type("Local", (), {"level": level})  # noqa: N806
    instance, module, lock = Local(), os, threading.Lock()
    guarded = {"lock": lock, "array": array}
    squares = (i * i for i in numbers)
    if level == 0:
        raise ValueError(text)
    with open(os.devnull, encoding="utf-8") as file:
        fail_mixed(level - 1, values)
    del array, table, fresh, mean, instance, module, guarded, squares, file


fail_mixed_captured = ckpt.ckpt(active=False)(fail_mixed)


def mixed_frames(place: Place, rounds: int, waits: list[float]) -> Iterator[Figure]:
    """Yield time and frames for ten frames of mixed variables that share an array of 20 MB and a table."""
    array = material.array(20)
    values = {"array": array, "table": material.table(10_000)}

    def limit() -> float:
        place.settle()
        taken = failing(fail_mixed, FRAMES - 1, values)
        return timed(place.limit, _plain_locals(taken))

    def ours() -> float:
        array[0] += 1
        place.settle()
        bare = timed(failing, fail_mixed, FRAMES - 1, values)
        return timed(failing, fail_mixed_captured, FRAMES - 1, values) - bare

    pairs = alternate(ours, limit, rounds)
    waited = list(waits)
    failing(fail_mixed_captured, FRAMES - 1, values)
    kept = ckpt.load("fail_mixed")
    variables = sum(len(frame.locals) for frame in kept.frames)
    note = f"{_note(pairs, waited, len(kept.frames))}, {_placeholders(kept)} of {variables} variables lost"
    waits.clear()
    yield Figure(what="failure, ten mixed frames", value=pairs.ratio, target=1.0, note=note)


def failing(function: Callable[..., object], *args: object) -> BaseException:
    """Return the exception that a call raises."""
    try:
        function(*args)
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


def _plain_locals(error: BaseException) -> list[dict[str, Any]]:
    """Return the variables of all frames, with a text in place of what pickle refuses."""
    frames, entry = [], error.__traceback__
    while entry is not None:
        frames.append({name: _plain(value) for name, value in entry.tb_frame.f_locals.items() if name != "error"})
        entry = entry.tb_next
    return frames


def _plain(value: Any) -> Any:
    if type(value) is dict:
        return {name: _plain(held) for name, held in value.items()}
    refused = isinstance(value, type | ModuleType | io.IOBase) or type(value).__name__ in {"lock", "function", "generator", "Local"}
    return repr(value) if refused else value


def _placeholders(kept: Any) -> int:
    return sum(type(value).__name__ == "Placeholder" for frame in kept.frames for value in frame.locals.values())


def climb(level: int, label: str) -> float:
    """Fail `level` frames further down."""
    half = level / 2
    return climb(level - 1, label) if level else half / level


@ckpt.ckpt(active=False)
def above(level: int, label: str) -> float:
    """Be captured once, above a recursion that is not."""
    return climb(level - 1, label)


@ckpt.ckpt(active=False)
def through(level: int, label: str) -> float:
    """Be captured at every level, and so recorded once."""
    half = level / 2
    return through(level - 1, label) if level else half / level


def recursion(place: Place, rounds: int, waits: list[float]) -> Iterator[Figure]:
    """Yield the milliseconds over the limit: for a recursion below the decorated function, and for one of the decorated function itself."""
    sys.setrecursionlimit(10 * LEVELS)
    for captured, where in ((above, "below one decorated call"), (through, "through the decorator")):
        pairs = _tower(place, captured, rounds)
        note = _note(pairs, waits, len(ckpt.load(captured.__name__).frames))
        yield Figure(what=f"failure, recursion {where}", value=pairs.difference * 1e3, unit="ms over", target=3.0, note=note)


def _tower(place: Place, captured: Callable[..., object], rounds: int) -> Pairs:
    def ours() -> float:
        os.sync()
        return timed(failing, captured, LEVELS - 1, "x") - timed(failing, climb, LEVELS - 1, "x")

    def limit() -> float:
        error = failing(climb, LEVELS - 1, "x")
        os.sync()
        return timed(place.limit, _plain_locals(error))

    return alternate(ours, limit, rounds)


def deep_list() -> Iterator[Figure]:
    """Yield how many variables a list costs that is nested too deep for any pickler."""

    @ckpt.ckpt(active=False, name="deep")
    def deep() -> None:
        nested: list[Any] = []
        for _ in range(DEPTH):
            nested = [nested]
        neighbour, rows = {"nested": 1}, [1, 2, 3]
        raise ValueError(len(nested) + len(neighbour) + len(rows))

    taken = median(timed(failing, deep) for _ in range(5))
    kept = ckpt.load("deep")
    yield Figure(what="list nested 5,000 deep among the locals", value=_placeholders(kept), target=1.0, unit="lost", note=duration(taken))
