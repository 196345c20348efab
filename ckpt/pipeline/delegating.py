"""The side of a run that talks to workers which share no memory with it: tasks out, answers in."""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import Sequence
from typing import Any

from ckpt._model.describe import one_line
from ckpt._model.tags import current_tags
from ckpt._store import location
from ckpt.errors import DamagedError, StoreError
from ckpt.pipeline.places import Place
from ckpt.pipeline.results import Slot, reason
from ckpt.pipeline.stages import Stage
from ckpt.pipeline.work import Answer, Bytes, Keeping, Outcome, Task


def task(stage: Stage, inputs: Sequence[Any], place: Place, keeping: Keeping | None) -> Task:
    """Return a stage as a task; an input may be `Stored`. Raises `NotKeptError` for what cannot go to another process."""
    return Task(
        what=Bytes.of((stage, inputs, place, keeping)),
        store=location.get_ckpt_dir(),
        home=(socket.gethostname(), os.getpid()),
        tags=current_tags(),
    )


def received(answer: Answer, outcome: Outcome) -> Outcome:
    """Return an outcome with the value or the exception that came back with it."""
    sent = answer.error or answer.value
    if sent is None:
        return outcome
    try:
        value = sent.values()
    except DamagedError as trouble:  # of a class that only the worker can import
        outcome.error = RuntimeError(f"What the worker sent cannot be loaded here: {one_line(trouble)}")
        return outcome
    if answer.error is not None:
        outcome.error = value
    else:
        outcome.value = value
    return outcome


def not_shared(place: Place, slot: Slot, host: str, trouble: Exception | None = None) -> StoreError:
    """Return the error for a result that somebody has stored and another cannot read."""
    why = f": {reason(trouble)}" if trouble is not None else ""
    return StoreError(
        f"The result of {slot.stage!r}, stored as {place.path_of(slot.file)!r} by {host}, cannot be read here{why}.",
        hint="Config(dir=...): a directory that all workers share, or an fsspec URL",
    )


def how_to_debug(stage: Stage, outcome: Outcome) -> str:
    """Return the command that opens the capture of a failure, or why there is none."""
    if outcome.is_worker_gone:
        return f"no capture was made of {stage.name}: its worker has ended; without executor= the stage runs in this process"
    if isinstance(outcome.error, SystemExit):
        return f"no capture was made of {stage.name}: it has called sys.exit()"
    if not outcome.capture:
        return f"no capture was made of {stage.name}"
    elsewhere = f"  (on {outcome.host})" if outcome.host not in {"", socket.gethostname()} else ""
    store = f"--ckpt-dir {shlex.quote(outcome.store)} " if outcome.store != location.get_ckpt_dir() else ""
    return f"ckpt {store}debug {outcome.capture}{elsewhere}"
