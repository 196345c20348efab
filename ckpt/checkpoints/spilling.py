"""Streams on their way into a file of a checkpoint, of which no more than so much is in memory.

The rest waits in a file without a name, which no killed process leaves behind.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from tempfile import TemporaryFile

from ckpt._model.codec import SPILL_THRESHOLD
from ckpt._model.interrupts import let_pass
from ckpt._store.files import read_at
from ckpt._store.journal import Data
from ckpt._store.spill import TEMPORARY, write_all
from ckpt.errors import StoreError

__all__ = ["SPILL_THRESHOLD", "OpenSpill", "Piece", "Spilled", "write"]

#: A stream of more bytes than this goes to a file. To write it twice costs time, which a smaller one need not take.
IN_MEMORY = 32 << 20
#: How much of it is read back at once.
CHUNK = 1 << 20


class Spilled:
    """A stream in memory, then in a file of `directory`, which is made, or of the temporary directory. Raises `StoreError` there."""

    #: What a file for writing is asked by whoever writes to it.
    closed = False

    def __init__(self, directory: str | None = None) -> None:
        self._directory = directory
        self._hash = hashlib.sha256()
        self._size = 0
        self._held: list[bytes] = []
        self._file: FileIO | None = None

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return b"".join(self.chunks())

    def __del__(self) -> None:
        self.discard()

    def write(self, data: Data) -> int:
        """Add `data`, and return its length."""
        self._size += len(data)
        self._hash.update(data)
        if self._file is None and self._size <= IN_MEMORY:
            self._held.append(bytes(data))
            return len(data)
        with _said(self._directory):
            file = self._file or self._open()
            write_all(file.fileno(), memoryview(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: all is written at once."""

    def chunks(self) -> Iterator[bytes]:
        """Yield what was written, piece by piece."""
        yield from self._held
        if self._file is not None:
            for at in range(0, self._size, CHUNK):
                yield read_at(self._file.fileno(), CHUNK, at)

    def digest(self) -> str:
        """Return the SHA-256 of what was written, in hex."""
        return self._hash.hexdigest()

    def discard(self) -> None:
        """Forget what was written."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> FileIO:
        """Begin the file, with what was in memory."""
        if self._directory is not None:
            os.makedirs(self._directory, exist_ok=True)
        made = self._file = TemporaryFile(buffering=0, prefix=TEMPORARY, dir=self._directory)  # noqa: SIM115 - lives as long as this
        for data in self._held:
            write_all(made.fileno(), memoryview(data))
        self._held.clear()
        return made


#: Part of a file.
Piece = Data | Spilled
#: Makes the file for one stream.
OpenSpill = Callable[[], Spilled]


def write(descriptor: int, pieces: Iterable[Piece]) -> None:
    """Write pieces one after the other, or raise OSError."""
    for piece in pieces:
        for data in piece.chunks() if isinstance(piece, Spilled) else (piece,):
            write_all(descriptor, memoryview(data))


@contextmanager
def _said(directory: str | None) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        let_pass(err)
        raise StoreError(f"A large value cannot be written to {directory or 'the temporary directory'!r}: {err.strerror or err}.") from err
