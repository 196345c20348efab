"""Where a pickler writes: into memory, then into a file; and no more than is allowed."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Protocol

from ckpt._model.interrupts import let_pass
from ckpt._model.redact import has_password

#: Buffers of at least this many bytes leave the stream and become objects of their own.
BUFFER_THRESHOLD = 64 * 1024
#: A stream that grows beyond this many bytes goes straight to a file.
SPILL_THRESHOLD = 1024 * 1024
#: The C pickler writes names in frames; one of more bytes than this is recognised by its first byte, and so is one payload that is none.
_FRAME_LIMIT = 132 * 1024
#: How a piece with frames in it begins: with the protocol, or with a frame.
_FRAME_STARTS = frozenset({pickle.PROTO[0], pickle.FRAME[0]})


class Spill(Protocol):
    """A file that takes a stream too large for memory."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Append `data`."""

    def discard(self) -> None:
        """Forget what was written."""


class TooLargeError(Exception):
    """The values of one moment are larger than `max_bytes`."""


class NeedsCareError(Exception):
    """The plain pickler met something that only the robust one keeps as it should be kept."""


class NeedsRedactionError(Exception):
    """Something secret would have been written."""


class SpillError(Exception):
    """The file for a large stream cannot be written."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(reason)
        self.reason = reason


class Sink:
    """Takes what a pickler writes: pieces in memory, a spill file when they grow, `TooLargeError` when they grow too far."""

    __slots__ = ("buffers", "chunks", "is_watched", "limit", "names_main", "open_spill", "size", "spill")

    def __init__(self, limit: int, open_spill: Callable[[], Spill] | None) -> None:
        self.limit = limit
        #: Whether nothing secret may be written.
        self.is_watched = False
        self.open_spill = open_spill
        self.chunks: list[bytes] = []
        self.buffers: list[memoryview] = []
        self.size = 0
        self.spill: Spill | None = None
        #: Whether a name of `__main__` may have been written.
        self.names_main = False

    def write(self, data: bytes | memoryview) -> None:
        """Take the next piece of the stream."""
        size = len(data)
        self.size += size
        if self.size > self.limit:
            raise TooLargeError
        if (size <= _FRAME_LIMIT or data[0] in _FRAME_STARTS) and b"_main__" in data:
            self.names_main = True
        if self.spill is None and (self.size <= SPILL_THRESHOLD or self.open_spill is None):
            self.chunks.append(data if type(data) is bytes else bytes(data))
        else:
            self._write_to_spill(data)

    def take_buffer(self, buffer: pickle.PickleBuffer) -> bool:
        """Take a large buffer out of the stream; true tells the pickler to keep it in."""
        view = buffer.raw()
        if view.nbytes < BUFFER_THRESHOLD:
            return True
        self.size += view.nbytes
        if self.size > self.limit:
            raise TooLargeError
        self.buffers.append(view)
        return False

    def refuse_main(self) -> None:
        """Raise `NeedsCareError` when the stream names something of `__main__`, which is another module where it will be loaded."""
        if self.names_main:
            raise NeedsCareError

    def refuse_passwords(self) -> None:
        """Raise `NeedsRedactionError` when there is a URL with a password in what is in memory, and on no disk yet."""
        if any(b"://" in chunk and has_password(chunk) for chunk in self.chunks):
            raise NeedsRedactionError

    def _write_to_spill(self, data: bytes | memoryview) -> None:
        if self.spill is None and self.is_watched:
            self.refuse_passwords()
        try:
            if self.spill is None:
                assert self.open_spill is not None
                self.spill = self.open_spill()
                for chunk in self.chunks:
                    self.spill.write(chunk)
                self.chunks.clear()
            self.spill.write(data)
        except Exception as error:
            let_pass(error)
            raise SpillError(error) from error

    def discard(self) -> None:
        """Forget what was written."""
        if self.spill is not None:
            self.spill.discard()


class Measure(Sink):
    """A sink that only counts."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(0, None)

    def write(self, data: bytes | memoryview) -> None:
        """Count the next piece of the stream."""
        self.size += len(data)

    def take_buffer(self, buffer: pickle.PickleBuffer) -> bool:
        """Count a buffer."""
        self.size += buffer.raw().nbytes
        return False
