"""What a million captured calls leave in the store, and how long they take."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

from benchmarks import material
from benchmarks.measuring import Figure, Place

CALLS = 1_000_000


def measure(place: Place) -> Iterator[Figure]:
    """Yield the size of the store and the time of a call."""
    began, largest = perf_counter(), 0
    for number in range(CALLS):
        material.small(number, "name")
        if number % 10_000 == 0:
            largest = max(largest, place.size())
    taken = perf_counter() - began
    note = f"at most {largest / 1e6:.1f} MB meanwhile"
    yield Figure(what=f"store after {CALLS:,} calls", value=place.size() / 1e6, unit="MB", target=10.0, note=note)
    yield Figure(what="time of one of them", value=taken / CALLS * 1e6, unit="us")
