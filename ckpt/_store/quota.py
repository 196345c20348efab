"""Which captures go when a store holds more than it may: the oldest that returned. Failures stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ckpt._model.record import RETURNED
from ckpt._store.captures import Trace
from ckpt._store.journal import bytes_of


def excess(traces: Sequence[Trace], sizes: Mapping[str, int], quota: int) -> list[str]:
    """Return the ids of the captures to delete so that the others fit into `quota` bytes, as far as that is possible.

    `traces` are the living captures, oldest first; an object that several of them share counts once, and goes with the last of them.
    """
    held = {trace.id: _objects(trace) for trace in traces}
    uses = Counter(name for names in held.values() for name in names)
    total = sum(map(_own_bytes, traces)) + sum(sizes.get(name, 0) for name in uses)
    gone = []
    for trace in traces:
        if total <= quota:
            break
        if trace.status == RETURNED:
            gone.append(trace.id)
            uses.subtract(held[trace.id])
            total -= _own_bytes(trace) + sum(sizes.get(name, 0) for name in held[trace.id] if not uses[name])
    return gone


def _objects(trace: Trace) -> set[str]:
    return {name for line in trace.lines() for name in trace.names_in(line)}


def _own_bytes(trace: Trace) -> int:
    return sum(line.size + bytes_of(line.body) for line in trace.lines())
