"""Where a pickler writes: into memory, then into a file; and no more than is allowed."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from ckpt._model.interrupts import let_pass
from ckpt._model.redact import has_password

if TYPE_CHECKING:
    from ckpt._model.secrets import Secrets

#: Buffers of at least this many bytes leave the stream and become objects of their own.
BUFFER_THRESHOLD = 64 * 1024
#: A stream that grows beyond this many bytes goes straight to a file.
SPILL_THRESHOLD = 1024 * 1024
#: The C pickler writes names in frames; one of more bytes than this is recognised by its first byte, and so is one payload that is none.
_FRAME_LIMIT = 132 * 1024
#: How a piece with frames in it begins: with the protocol, or with a frame.
_FRAME_STARTS = frozenset({pickle.PROTO[0], pickle.FRAME[0]})


#: The stream's own dicts: the root, and the arguments by keyword.
_DICT, _OWN_DICTS = pickle.EMPTY_DICT, 2


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
    """Something secret would have been written; a search may have found what."""

    def __init__(self, secrets: Secrets | None = None) -> None:
        super().__init__()
        self.secrets = secrets


class SpillError(Exception):
    """The file for a large stream cannot be written."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(reason)
        self.reason = reason


class Sink:
    """Takes what a pickler writes: pieces in memory, a spill file when they grow, `TooLargeError` when they grow too far."""

    __slots__ = ("buffers", "chunks", "limit", "looking", "names_main", "open_spill", "reads_urls", "size", "spill")

    def __init__(self, limit: int, open_spill: Callable[[], Spill] | None) -> None:
        self.limit = limit
        #: What finds secrets, and where; None when nobody looks for any.
        self.looking: tuple[Callable[[Any], Secrets | None], Any] | None = None
        #: Whether URLs are looked at in what goes on into the file.
        self.reads_urls = False
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
        # `in` tries for a number first, and costs ten times as much for a short piece.
        if (size <= _FRAME_LIMIT or data[0] in _FRAME_STARTS) and type(data) is bytes and data.find(b"_main__") >= 0:
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

    def is_nameless(self) -> bool:
        """Whether there are no names in a short stream but those of the arguments: no other dicts, and no URL."""
        chunks = self.chunks
        return len(chunks) == 1 and chunks[0].count(_DICT) <= _OWN_DICTS and chunks[0].find(b"://") < 0

    def refuse_secrets(self) -> None:
        """Raise `NeedsRedactionError` when there is something secret among the values; what was written is in memory only."""
        looking, self.looking = self.looking, None
        secrets = looking[0](looking[1]) if looking is not None else None
        if secrets is not None or any(chunk.find(b"://") >= 0 and has_password(chunk) for chunk in self.chunks):
            raise NeedsRedactionError(secrets)

    def _write_to_spill(self, data: bytes | memoryview) -> None:
        if self.looking is not None:
            self.refuse_secrets()
            self.reads_urls = True
        elif self.reads_urls and (type(data) is not bytes or data.find(b"://") >= 0) and has_password(data):
            raise NeedsRedactionError
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
