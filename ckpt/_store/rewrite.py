"""Copying the living records of one journal into another, signatures unchanged: nobody signs another's record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ckpt._store.journal import Line, bytes_of

__all__ = ["Put", "copy", "shared_of"]

#: Writes an event, given its body, its signature and its parts; returns where the parts lie. With `at` the parts are there already.
Put = Callable[[bytes, str, bytes, int | None], int | None]


def copy(lines: Sequence[Line], read: Callable[[int, int], bytes], put: Put, known: Iterable[str] = ()) -> None:
    """Hand each of `lines` to `put`, with its parts, which `read(length, at)` returns.

    Shared records go along only when one of the lines names them and they are not in `known`. Parts that several lines point to (the
    failures of nested calls) are written once. A line whose parts are not there any more is left out.
    """
    named = shared_of(lines).difference(known)
    places: dict[tuple[int, int], int | None] = {}
    for line in lines:
        size = bytes_of(line.body)
        if line.body["event"] == "shared":
            if line.body["parts"][0][1] not in named:
                continue
            named.discard(line.body["parts"][0][1])
        if line.at is None:
            put(line.raw, line.signature, b"", None)
        elif (line.at, size) in places:
            put(line.raw, line.signature, b"", places[line.at, size])
        elif len(data := read(size, line.at)) == size:
            places[line.at, size] = put(line.raw, line.signature, data, None)


def shared_of(lines: Iterable[Line]) -> set[str]:
    """Return the names of the shared records that `lines` refer to."""
    return {name for line in lines for field in ("process", "function") if isinstance(name := line.body.get(field), str)}
