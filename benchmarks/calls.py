"""What it costs to record a call when it is entered, next to a pickle in a file of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import ckpt
from benchmarks import material
from benchmarks.measuring import Figure, Pairs, Place, alternate, child, timed

#: Calls of a small function that make one turn.
BATCH = 300


def measure(place: Place, rounds: int = 11) -> Iterator[Figure]:
    """Yield the figures for small arguments, for large ones, and for the same one again."""
    pairs = small_arguments(place, 3 * rounds)
    yield Figure(what="every call, small arguments", value=pairs.ratio, target=0.3, note=pairs.note)
    yield from large_array(place, rounds)
    for what, value, vary, target in (
        ("table of 1M rows", material.table(), lambda held, number: held.__setitem__("id", held["id"] + 1), 1.0),
        ("200k dicts", material.records(), lambda held, number: held[0].__setitem__("id", -number), 1.0),
        ("100k dataclass instances", material.readings(), lambda held, number: setattr(held[0], "station", -number), 1.1),
    ):
        pairs = large(place, value, vary, rounds)
        yield Figure(what=what, value=pairs.ratio, target=target, note=pairs.note)
    found = child("in_main", str(rounds))
    note = f"{found['ours']:.0f} ms against {found['limit']:.0f} ms"
    yield Figure(what="100k instances of a class in __main__", value=found["ratio"], note=note)
    yield from beside_a_lock(place, rounds)
    yield from again(place, rounds)


def small_arguments(place: Place, rounds: int) -> Pairs:
    """Compare a batch of calls, entered and returned, with as many pickles."""

    def ours() -> float:
        os.sync()
        began = perf_counter()
        for number in range(BATCH):
            material.small(number, "name")
        return perf_counter() - began

    def limit() -> float:
        os.sync()
        began = perf_counter()
        for number in range(BATCH):
            place.limit(((number, "name"), {"factors": (1.0, 2.0)}))
        return perf_counter() - began

    pairs = alternate(ours, limit, rounds)
    return Pairs([taken / BATCH for taken in pairs.ours], [taken / BATCH for taken in pairs.limit])


def large(place: Place, value: Any, vary: Callable[[Any, int], object], rounds: int, limit_value: Any = None) -> Pairs:
    """Compare one captured call with one pickle of the value, which is a little different each time."""
    number = 0

    def ours() -> float:
        nonlocal number
        number += 1
        vary(value, number)
        place.settle()
        return timed(material.take, value)

    def limit() -> float:
        place.settle()
        return timed(place.limit, value if limit_value is None else limit_value)

    return alternate(ours, limit, rounds)


def large_array(place: Place, rounds: int) -> Iterator[Figure]:
    """Yield time and memory for 100 MB."""
    pairs = large(place, material.array(100), lambda held, number: held.__setitem__(0, number), rounds)
    yield Figure(what="array of 100 MB", value=pairs.ratio, target=0.35, note=pairs.note)
    place.settle()
    yield Figure(what="array of 100 MB, extra memory", value=child("memory")["extra"] / 1e6, unit="MB", target=5.0)


def beside_a_lock(place: Place, rounds: int) -> Iterator[Figure]:
    """Yield the time for arrays beside a lock (which the limit is spared), and how many values were lost."""
    value = material.guarded()
    arrays = {name: held for name, held in value.items() if name != "lock"}

    def vary(held: dict[str, Any], number: int) -> None:
        held["left"][0] = held["right"][0] = number

    pairs = large(place, value, vary, rounds, arrays)
    material.take(value)
    (loaded,) = ckpt.load("take").args
    lost = [name for name, held in loaded.items() if name == "lock" or not (held == value[name]).all()]
    yield Figure(what="50 MB of arrays beside a lock", value=pairs.ratio, target=0.35, note=f"{pairs.note}; lost: {', '.join(lost)}")


def again(place: Place, rounds: int) -> Iterator[Figure]:
    """Yield bytes and time for the same array ten times."""
    value = material.array(100, seed=3)
    place.settle()
    before = place.size()
    for _ in range(10):
        material.take(value)
    yield Figure(what="the same array ten times, bytes", value=(place.size() - before) / value.nbytes, target=1.05)

    def limit() -> float:
        path = os.path.join(place.directory, "plain")
        os.sync()
        began = perf_counter()
        with open(path, "wb", buffering=0) as file:
            file.write(value.data)
        taken = perf_counter() - began
        os.unlink(path)
        return taken

    def ours() -> float:
        os.sync()
        return timed(material.take, value)

    pairs = alternate(ours, limit, rounds)
    yield Figure(what="the same array again, to one plain write", value=pairs.ratio, target=0.5, note=pairs.note)
