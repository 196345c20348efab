"""What happens where a stage runs: its call, the capture of its failure, and the storing of its result.

In this process that is a call; for an executor whose workers share no memory with it, stage and inputs go there as bytes, an input that
lies in the place of the results goes as its address, and what comes back is bytes again, or the word that the result has been stored.
"""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from ckpt._model.interrupts import belongs_to_program
from ckpt._model.record import WRAPPER_FILE
from ckpt._model.tags import Tags, only_tags
from ckpt._recording.ground import set_ckpt_dir
from ckpt._recording.walk import Recorded
from ckpt._store import location
from ckpt.errors import DamagedError
from ckpt.pipeline.places import Place
from ckpt.pipeline.results import NotKeptError, Slot, as_stream, from_stream, pack, reason, unpack
from ckpt.pipeline.stages import Stage


@dataclass(slots=True, kw_only=True)
class Outcome:
    """How a stage ended."""

    value: Any = None
    error: BaseException | None = None
    #: Whether the error is none of the stage: a Ctrl-C, or what a handler of signals raised, is to end the program.
    ends_run: bool = False
    #: Whether it has not come back from where it ran.
    is_worker_gone: bool = False
    #: Seconds that the call took.
    took: float = 0.0
    #: Bytes that were stored; None when nothing was.
    size: int | None = None
    #: Why the result was not stored although it should have been.
    trouble: str = ""
    #: The capture of the failure has this name, and lies in this store on this machine; empty when there is none.
    capture: str = ""
    store: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a result is stored."""

    slot: Slot
    place: Place
    serializer: str | None


def perform(stage: Stage, args: Sequence[Any], keeping: Keeping | None) -> Outcome:
    """Call a stage and, when it is to be kept, store its result. What the stage raises comes back in the outcome."""
    call = stage.__wrapped__
    began = perf_counter()
    try:
        value = call(*args)
    except BaseException as error:  # what does not depend on this stage goes on
        return _failed(stage, error, perf_counter() - began)
    made = Outcome(value=value, took=perf_counter() - began)
    if keeping is not None:
        try:
            pieces = pack(keeping.slot, value, made.took, keeping.serializer)
            keeping.place.write(keeping.slot.file, pieces)
            made.size = sum(map(len, pieces))
        except NotKeptError as trouble:
            made.trouble = str(trouble)
        except Exception as trouble:  # a full disk costs the storing, not the run
            made.trouble = reason(trouble)
    return made


def _failed(stage: Stage, error: BaseException, took: float) -> Outcome:
    capture = stage.capture_name if _is_captured(error) else ""
    return Outcome(
        error=error,
        ends_run=not isinstance(error, Exception) and (isinstance(error, KeyboardInterrupt) or belongs_to_program(error)),
        took=took,
        capture=capture,
        store=location.get_ckpt_dir() if capture else "",
    )


def _is_captured(error: BaseException) -> bool:
    """Whether the wrapper that the exception came through has made a capture of it: it keeps what identifies it in its frame."""
    entry = error.__traceback__
    while entry is not None:
        frame = entry.tb_frame
        if frame.f_code.co_filename == WRAPPER_FILE and any(type(value) is Recorded for value in frame.f_locals.values()):
            return True
        entry = entry.tb_next
    return False


@dataclass(frozen=True, slots=True)
class Stored:
    """An input that lies in the place of the results."""

    number: int
    slot: Slot


@dataclass(frozen=True, slots=True)
class Bytes:
    """Values on their way to another process."""

    stream: bytes
    buffers: tuple[bytes, ...] = ()

    @staticmethod
    def of(values: object) -> Bytes:
        """Return values as bytes. Raises `NotKeptError` for what cannot go."""
        stream, *buffers = as_stream(values)
        return Bytes(bytes(stream), tuple(map(bytes, buffers)))

    def values(self) -> Any:
        """Return the values, with buffers that can be written to. Raises `DamagedError` for what cannot be made here."""
        return from_stream(self.stream, [memoryview(bytearray(each)) for each in self.buffers])


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A stage for a worker."""

    #: The stage, its inputs, the place of the results, and how its own is stored.
    what: Bytes
    #: Where the run keeps its captures, in which process it is, and its tags.
    store: str
    home: tuple[str, int]
    tags: Tags
    #: Tells this task from any other: Dask takes equal ones for one.
    token: str = field(default_factory=lambda: os.urandom(8).hex())


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a worker says."""

    outcome: Outcome | None
    value: Bytes | None = None
    error: Bytes | None = None
    #: The number of an input that is not there, or is damaged.
    missing: int | None = None


def work(task: Task) -> Answer:
    """Do what a task says, on a worker."""
    stage, inputs, place, keeping = task.what.values()
    if task.home != (socket.gethostname(), os.getpid()):
        _use_store(task.store)
    args = []
    for given in inputs:
        try:
            args.append(unpack(given.slot, place.read(given.slot.file)) if isinstance(given, Stored) else given)
        except (OSError, DamagedError):
            return Answer(outcome=None, missing=given.number)
    with only_tags(*task.tags):
        outcome = perform(stage, args, keeping)
    outcome.host = socket.gethostname()
    return _answer(outcome)


def _use_store(path: str) -> None:
    """Let captures go where those of the run go, if that place is there on this machine."""
    if location.get_ckpt_dir() != path and os.path.isdir(os.path.dirname(path)):
        set_ckpt_dir(path)


def _answer(outcome: Outcome) -> Answer:
    if outcome.error is not None:
        error, outcome.error = outcome.error, None
        text = "".join(traceback.format_exception(error)).rstrip("\n")
        return Answer(outcome=outcome, error=_error_bytes(error, text))
    if outcome.size is not None:
        outcome.value = None
        return Answer(outcome=outcome)
    value, outcome.value = outcome.value, None
    try:
        return Answer(outcome=outcome, value=Bytes.of(value))
    except NotKeptError as trouble:
        refused = TypeError(f"the result cannot leave the worker: {trouble}")
        return Answer(outcome=outcome, error=_error_bytes(refused, ""))


def _error_bytes(error: BaseException, text: str) -> Bytes:
    """Return an exception with its traceback as a note, since frames stay where they are; what cannot travel becomes one that can."""
    if text:
        error.add_note(f"\nOn the worker:\n{text}")
    try:
        kept = Bytes.of(error)
        kept.values()
    except (NotKeptError, DamagedError):
        return Bytes.of(RuntimeError(f"{type(error).__qualname__}: {error}\n\nOn the worker:\n{text}"))
    return kept
