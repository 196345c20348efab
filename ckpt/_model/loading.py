"""Bytes and buffers -> live values, so that what cannot be loaded costs only itself.

The C unpickler comes first. When anything in the stream raises, the same stream is loaded again by the `GuardedUnpickler`, slower and in
Python, which fences every call the stream makes and puts a placeholder where one fails. Classes that are gone get a stand-in in both.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any

from ckpt._model.answers import Answers, FindsClass, Surroundings
from ckpt._model.describe import type_name
from ckpt._model.guarding import GuardedUnpickler
from ckpt._model.interrupts import let_pass
from ckpt._model.verbs import DEEP
from ckpt.errors import DamagedError


class _Mapped:
    """A mapped stream as the file that an unpickler reads: `io.BytesIO` would copy the whole."""

    def __init__(self, view: memoryview) -> None:
        self._view, self._at = view, 0

    def read(self, size: int) -> bytes:
        begin = self._at
        self._at = min(begin + size, len(self._view))
        return bytes(self._view[begin : self._at])

    def readinto(self, target: memoryview) -> int:
        data = self.read(len(target))
        target[: len(data)] = data
        return len(data)

    def readline(self) -> bytes:
        rest = bytes(self._view[self._at :])
        return self.read(rest.find(b"\n") + 1 or len(rest))

    def tell(self) -> int:
        return self._at


class _Unpickler(FindsClass, pickle.Unpickler):
    def __init__(self, file: io.BytesIO | _Mapped, buffers: Sequence[memoryview], answers: Answers) -> None:
        super().__init__(file, buffers=buffers)
        self.answers = answers


def load(stream: bytes | memoryview, buffers: Sequence[memoryview], surroundings: Surroundings) -> Any:
    """Return the root of `stream`. Raises `DamagedError` when the stream itself is broken."""
    try:
        return _load(_Unpickler, stream, buffers, surroundings)
    except BaseException as error:
        let_pass(error)
        if surroundings.is_whole:
            raise _damaged(error) from error
    surroundings.has_gaps = True  # something refused
    try:
        return _load(GuardedUnpickler, stream, buffers, surroundings)
    except Exception as error:
        let_pass(error)
        raise _damaged(error) from error


def _damaged(error: BaseException) -> DamagedError:
    return DamagedError(f"The values cannot be loaded: {type_name(type(error))}: {error}.")


def _load(make: Any, stream: bytes | memoryview, buffers: Sequence[memoryview], surroundings: Surroundings) -> Any:
    file: io.BytesIO | _Mapped = io.BytesIO(stream) if isinstance(stream, bytes) else _Mapped(stream)
    answers = Answers(surroundings)
    unpickler = make(file, buffers, answers)
    root = unpickler.load()
    if type(root) is str and root == DEEP:
        unpickler.load()  # the deepest objects, which the rest refers to
        root = unpickler.load()
        while file.tell() < len(stream):
            for state in unpickler.load():
                answers.give_state(*state)
    answers.finish()
    return root


__all__ = ["Surroundings", "load"]
