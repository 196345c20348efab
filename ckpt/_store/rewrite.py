"""Copying records into another journal, signatures unchanged: nobody signs another's record."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from ckpt._store.journal import Line, bytes_of, encode
from ckpt._store.pair import Pair, introduction

__all__ = ["Put", "complete_journal", "copy", "shared_of"]

#: Writes an event, given its body, its signature and its parts; returns where the parts lie. With an offset they are there already.
Put = Callable[[bytes, str, bytes, int | None], int | None]


def copy(lines: Sequence[Line], read: Callable[[int, int], bytes], put: Put, named: set[str]) -> int:
    """Hand each of `lines` to `put`, with its parts, which `read(length, offset)` returns; return how many lines that were.

    A shared record goes along when it is in `named`, and is taken out of it then. Parts that several lines point to (the failures of
    nested calls) are written once. A line whose parts are not there any more goes without them: it still lists.
    """
    places: dict[tuple[int, int], int | None] = {}
    count = 0
    for line in lines:
        at, signature, raw = line.fields()
        size = bytes_of(line.body)
        if line.event == "shared":
            name = line.body["parts"][0][1]
            if name not in named:
                continue
            named.discard(name)
        if at is None:
            put(raw, signature, b"", None)
        elif (at, size) in places:
            put(raw, signature, b"", places[at, size])
        else:
            data = read(size, at)
            places[at, size] = put(raw, signature, data if len(data) == size else b"", None)
        count += 1
    return count


@contextmanager
def complete_journal(store: str, version: str, sign: Callable[[bytes], str]) -> Iterator[Put]:
    """Give what writes to a new journal of records that others have made; it appears at the end, complete and on the disk, or never.

    Its own process is said to have ended, since what happened in it is nothing that is told there.
    """
    pair = Pair(store, 0)

    def put(raw: bytes, signature: str, data: bytes, at: int | None) -> int | None:
        if data:
            at = pair.end
            pair.end += len(data)
        pair.write(at or 0, data, encode(raw, at, signature))
        return at

    try:
        for body in (introduction(os.urandom(8).hex(), version), b'{"event":"closed"}'):
            put(body, sign(body), b"", None)
        yield put
        pair.sync()
        pair.appear()
    except BaseException:
        pair.discard()
        raise
    pair.close()


def shared_of(lines: Iterable[Line]) -> set[str]:
    """Return the names of the shared records that `lines` refer to."""
    return {name for line in lines for field in ("process", "function") if isinstance(name := line.body.get(field), str)}
