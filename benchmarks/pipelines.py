"""What a stage of a pipeline costs, cold and warm, next to a pickle in a file of its own.

chkpt and joblib are measured beside it where they are installed: `pip install chkpt joblib`. A warm run of a hundred cached stages is
compared with reading the last result, which is all that it has to read.
"""

from __future__ import annotations

import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from benchmarks.measuring import Figure, Pairs, Place, alternate, timed
from ckpt import pipeline as ours

STAGES = 100
DEPTH = 12
_RESULT = list(range(10))


def measure(place: Place, rounds: int = 15) -> Iterator[Figure]:
    """Yield the figures for a chain of a hundred stages, cold and warm, and for a diamond."""
    functions = _functions(place)
    for name in ("ckpt", "chkpt", "joblib"):
        if name != "ckpt" and find_spec(name) is None:
            continue
        contestant = _Contestant(place, name, functions)
        cold = alternate(contestant.cold, contestant.limit_cold, rounds)
        is_ours = name == "ckpt"
        yield _figure(f"{name}: a stage, cold", cold, 1.3 if is_ours else None, STAGES)
        warm = alternate(contestant.warm, contestant.limit_warm, rounds)
        yield _figure(f"{name}: {STAGES} cached stages, warm", warm, 3.0 if is_ours else None, 1)
    runs: list[int] = []
    diamond = _diamond(runs)
    with _quiet():
        pairs = alternate(lambda: timed(diamond) / (DEPTH + 1), lambda: timed(_limit, place, DEPTH + 1) / (DEPTH + 1), rounds)
    yield Figure(
        what=f"a diamond of depth {DEPTH}, executions", value=len(runs) / (rounds + 1), target=DEPTH + 1, note=f"a stage: {pairs.note}"
    )


def _figure(what: str, pairs: Pairs, target: float | None, count: int) -> Figure:
    each = Pairs([taken / count for taken in pairs.ours], [taken / count for taken in pairs.limit])
    return Figure(what=what, value=each.ratio, target=target, note=each.note)


def _functions(place: Place) -> list[Callable[..., Any]]:
    """Return functions from a module of their own, as a project has them."""
    text = "\n\n\n".join(f"def stage{number}(*values):\n    return list(range(10))" for number in range(STAGES))
    with open(os.path.join(place.directory, "benchmark_stages.py"), "w", encoding="utf-8") as file:
        file.write(text)
    sys.path.insert(0, place.directory)
    try:
        module = import_module("benchmark_stages")
    finally:
        sys.path.remove(place.directory)
    return [getattr(module, f"stage{number}") for number in range(STAGES)]


class _Contestant:
    """A chain of stages in one of the libraries, run into a new directory each time."""

    def __init__(self, place: Place, name: str, functions: list[Callable[..., Any]]) -> None:
        self._place, self._name, self._functions = place, name, functions
        self._number = 0
        self._run: Callable[[], Any] = lambda: None
        self._sink = os.path.join(place.directory, "sink")
        with open(self._sink, "wb") as file:
            pickle.dump(_RESULT, file)
        if name != "joblib":
            self._library: Any = ours if name == "ckpt" else import_module(name)
            stages = [self._library.Stage(function) for function in functions]
            self._pipeline = () >> stages[0]
            for stage in stages[1:]:
                self._pipeline = self._pipeline >> stage

    def cold(self) -> float:
        self._number += 1
        directory = os.path.join(self._place.directory, f"{self._name}-{self._number}")
        os.makedirs(directory)
        self._run = self._prepared(directory)
        os.sync()
        with _quiet():
            taken = timed(self._run)
        if self._number > 1:
            shutil.rmtree(os.path.join(self._place.directory, f"{self._name}-{self._number - 1}"))
        return taken

    def warm(self) -> float:
        with _quiet():
            return timed(self._run)

    def limit_cold(self) -> float:
        os.sync()
        return timed(_limit, self._place, STAGES)

    def limit_warm(self) -> float:
        # As for the run of ours, nothing has been done since the collection: writing the file here would have warmed up its reading.
        return timed(_read, self._sink)

    def _prepared(self, directory: str) -> Callable[[], Any]:
        if self._name == "joblib":
            cached = [import_module("joblib").Memory(directory, verbose=0).cache(function) for function in self._functions]
            return lambda: _chain(cached)
        config = self._library.Config(store=True, load=True, dir=directory)
        return lambda: self._pipeline(config)


def _read(path: str) -> Any:
    with open(path, "rb", buffering=0) as file:
        return pickle.loads(file.read())


def _chain(functions: list[Callable[..., Any]]) -> Any:
    value = functions[0]()
    for function in functions[1:]:
        value = function(value)
    return value


def _limit(place: Place, count: int) -> None:
    for _ in range(count):
        place.limit(_RESULT)


def _diamond(runs: list[int]) -> ours.Pipeline:
    def add(*values: int) -> int:
        runs.append(1)
        return sum(values) or 1

    stage = ours.Stage(add)
    node = () >> stage
    for _ in range(DEPTH):
        node = (node, node) >> stage
    return node


@contextmanager
def _quiet() -> Iterator[None]:
    """Let the lines of the libraries go where they cost no terminal."""
    kept = sys.stderr
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        sys.stderr = nowhere
        try:
            yield
        finally:
            sys.stderr = kept
