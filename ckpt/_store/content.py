"""The names of objects, which are made of their content, and content that is read piece by piece, wherever it lies."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator

from ckpt._store.journal import Data
from ckpt.errors import DamagedError

__all__ = ["NAME", "PIECE", "Read", "buffer_name", "is_name_of", "pieces_of", "stem_of"]

#: Gives as many bytes of an object as are asked for, from an offset.
Read = Callable[[int, int], Data]

NAME = re.compile(r"t-[0-9a-f]{64}|b-[0-9a-f]{1,16}-[0-9a-f]{16}(-[1-9][0-9]{0,3})?", re.ASCII)
#: Content is compared in pieces of this size: by reading, since a map of a file that gets truncated is a SIGBUS.
PIECE = 256 << 10
#: What a buffer is found by: this many samples of this many bytes, evenly spread.
SAMPLES, SAMPLE = 16, 1024


def buffer_name(view: memoryview) -> str:
    """Return the name a buffer of bytes is looked for under: its size, and a digest of a few places, nearly always different for others."""
    return _sampled(len(view), lambda length, at: view[at : at + length])


def is_name_of(name: str, size: int, read: Read) -> bool:
    """Return whether `name` is, in every letter, that of an object of these bytes, as far as a name tells."""
    if not NAME.fullmatch(name):
        return False
    if name.startswith("b-"):
        return stem_of(name) == _sampled(size, read)
    digest = hashlib.sha256()
    for piece in pieces_of(size, read):
        digest.update(piece)
    return name == f"t-{digest.hexdigest()}"


def pieces_of(size: int, read: Read, length: int = PIECE) -> Iterator[Data]:
    """Yield `size` bytes piece by piece; raise `DamagedError` when `read` has fewer."""
    for at in range(0, size, length):
        wanted = min(length, size - at)
        piece = read(wanted, at)
        if len(piece) != wanted:
            raise DamagedError(f"There are no {wanted} bytes at {at}.")
        yield piece


def _sampled(size: int, read: Read) -> str:
    digest = hashlib.sha256()
    if size <= SAMPLES * SAMPLE:
        digest.update(read(size, 0))
    else:
        step = (size - SAMPLE) // (SAMPLES - 1)
        for start in range(0, step * SAMPLES, step):
            digest.update(read(SAMPLE, start))
    return f"b-{size:x}-{digest.hexdigest()[:16]}"


def stem_of(name: str) -> str:
    """Return the name of a buffer without the number that tells it from others of the same."""
    return "-".join(name.split("-")[:3])
