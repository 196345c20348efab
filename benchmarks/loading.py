"""How long a fresh process takes to have captured values back, next to `pickle.load`."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import perf_counter

import ckpt
from benchmarks import material
from benchmarks.measuring import Figure, Place, alternate, child

#: What is loaded, how it is made, and the target: for all Pythons, or for 3.11 and for those after it.
CASES: tuple[tuple[str, Callable[[], object], float, float], ...] = (
    ("array of 100 MB", lambda: material.array(100), 0.02, 0.02),
    ("table of 1M rows", material.table, 0.85, 0.85),
    ("200k dicts", material.records, 0.45, 0.9),
)

#: How deep the failure is that is opened; less than the recursion limit.
FRAMES = 900


def measure(place: Place, rounds: int = 11) -> Iterator[Figure]:
    """Yield the ratios for three kinds of values, and what the first capture of a process costs beyond that."""
    material.small(1, "warm")
    for what, make, target_311, target in CASES:
        value = make()
        material.take(value)
        path = os.path.join(place.directory, "loaded.pickle")
        with open(path, "wb") as file:
            pickle.dump(value, file, protocol=5)
        del value
        pairs = alternate(_fresh("take"), _fresh(path), rounds)
        goal = target_311 if sys.version_info < (3, 12) else target
        yield Figure(what=f"rehydrate {what}", value=pairs.ratio, target=goal, note=pairs.note)
    first = sorted(child("loading", "small")["first"] for _ in range(rounds))[rounds // 2]
    yield Figure(what="rehydrate, first capture of a process", value=first * 1e3, unit="ms", note="loads the rooms of ckpt")
    with suppress(ZeroDivisionError):
        material.tall(FRAMES)
    opened = sorted(child("loading", "tall")["opened"] for _ in range(rounds))[rounds // 2]
    yield Figure(what=f"open a failure {FRAMES} frames deep", value=opened * 1e3, unit="ms", target=1000)


def _fresh(what: str) -> Callable[[], float]:
    return lambda: child("loading", what)["seconds"]


def load(what: str) -> dict[str, float]:
    """Load the newest capture of a name, or a pickle; return how long that took, and before it the first capture of this process."""
    began = perf_counter()
    if not os.path.isabs(what):
        _ = ckpt.load("small").args
    first = perf_counter() - began
    began = perf_counter()
    if os.path.isabs(what):
        with open(what, "rb") as file:
            _ = pickle.load(file)
    else:
        _ = ckpt.load(what).args
    return {"seconds": perf_counter() - began, "first": first}


def opened(name: str) -> dict[str, float]:
    """Rebuild the exception of the newest capture of a name; return how long that took."""
    began = perf_counter()
    _ = ckpt.load(name).exception
    return {"opened": perf_counter() - began}


if __name__ == "__main__":
    print(json.dumps(opened("tall") if sys.argv[1] == "tall" else load(sys.argv[1])))
