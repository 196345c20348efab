"""Call again, compare, and say the verdict."""

from __future__ import annotations

import json
import linecache
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ckpt._model.describe import describe, exception_text, type_name
from ckpt._model.record import DIED, WRAPPER_FILE, Manifest, Raised
from ckpt._model.sources import is_project
from ckpt.errors import CannotReplayError, CkptError, PlaceholderError

if TYPE_CHECKING:
    from ckpt._replaying.rehydrate import Capture

FIXED, SAME_FAILURE, DIFFERENT_FAILURE = "fixed", "same failure", "different failure"
STILL_PASSES, NEW_FAILURE, CANNOT_REPLAY = "still passes", "new failure", "cannot replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a replay showed."""

    verdict: str
    #: What differs, in one line.
    detail: str
    has_returned: bool
    value: Any = None
    #: The repr of what was returned by a replay in a child process, whose value stayed there.
    text: str | None = None
    exception: BaseException | None = None
    #: Seconds the call took; None when it was not made.
    duration: float | None = None


def replay(capture: Capture, *, here: bool = False) -> Replay:
    """Return what calling the captured function again shows. What the call raises is in the result; a Ctrl-C is not, and is raised.

    A capture whose process died is replayed in a child process, which may die again.
    """
    if capture.header.status == DIED:
        return _in_child(capture, here=here)
    return replay_here(capture, here=here)


def replay_here(capture: Capture, *, here: bool = False) -> Replay:
    """Return what calling the captured function again, in this process, shows."""
    with capture.surroundings(here=here):
        try:
            call = capture.target()
        except CannotReplayError as error:
            return _cannot(error)
        started = time.perf_counter()
        try:
            value = call()
        except (Exception, SystemExit) as error:
            return _raised(capture, error, time.perf_counter() - started)
        return _returned(capture, value, time.perf_counter() - started)


def _cannot(error: CkptError) -> Replay:
    return Replay(verdict=CANNOT_REPLAY, detail=error.message, has_returned=False, exception=error)


def _returned(capture: Capture, value: Any, duration: float) -> Replay:
    header = capture.header
    if header.is_failure:
        before = f"it raised {header.exception}" if header.exception else "its process died"
        return Replay(verdict=FIXED, detail=f"{before} then, and returns now", has_returned=True, value=value, duration=duration)
    then = (header.returned or {}).get("text")
    detail = f"it returned {then} then" if then is not None and then != describe(value)["text"] else "it returns as it did"
    return Replay(verdict=STILL_PASSES, detail=detail, has_returned=True, value=value, duration=duration)


def _raised(capture: Capture, error: BaseException, duration: float) -> Replay:
    touched = _placeholder_error(error)
    if touched is not None:
        return Replay(verdict=CANNOT_REPLAY, detail=touched.message, has_returned=False, exception=error, duration=duration)
    now = f"{type_name(type(error))}: {exception_text(error)}".removesuffix(": ")
    verdict, detail = NEW_FAILURE, f"it returned then, and raises {now} now"
    if capture.header.is_failure:
        differs = _difference(capture, error)
        verdict = DIFFERENT_FAILURE if differs else SAME_FAILURE
        detail = differs or now
    return Replay(verdict=verdict, detail=" ".join(detail.splitlines()), has_returned=False, exception=error, duration=duration)


def _placeholder_error(error: BaseException | None) -> PlaceholderError | None:
    seen = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, PlaceholderError):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def _difference(capture: Capture, error: BaseException) -> str:
    """Return how a failure differs from the captured one; empty when it is the same: type, innermost project function, line or message."""
    then = _captured(capture)
    if then is None:
        return f"it died then, and raises {type_name(type(error))} now"
    manifest, raised = then
    if raised.type.removeprefix("__main__.") != type_name(type(error)).removeprefix("__main__."):
        return f"{raised.type} then, {type_name(type(error))} now: {exception_text(error)}"
    before, now = _place_then(capture, manifest, raised), _place_now(error)
    if before[0] != now[0]:
        return f"raised in {before[0] or '?'} then, in {now[0] or '?'} now: {exception_text(error)}"
    if before[1] != now[1] and raised.text != exception_text(error):
        return f"{raised.text!r} then, {exception_text(error)!r} now"
    return ""


def _captured(capture: Capture) -> tuple[Manifest, Raised] | None:
    manifest = capture.manifest
    if manifest is None or not manifest.exceptions:
        return None
    return manifest, manifest.exceptions[(capture.stored.view or (0, 0))[0]]


def _place_then(capture: Capture, manifest: Manifest, raised: Raised) -> tuple[str, str]:
    """Return the innermost project function of the captured failure and the text of its line."""
    for entry in reversed(raised.traceback):
        frame = manifest.frames[entry.frame]
        if is_project(frame.file):
            lines = capture.stored.source(frame.source).splitlines() if frame.source else []
            return frame.qualname, lines[entry.line - 1].strip() if 0 < entry.line <= len(lines) else ""
    return "", ""


def _place_now(error: BaseException) -> tuple[str, str]:
    found = ("", "")
    for entry in _entries(error.__traceback__):
        code = entry.tb_frame.f_code
        if is_project(code.co_filename) and code.co_filename != WRAPPER_FILE:
            linecache.checkcache(code.co_filename)
            found = (code.co_qualname, linecache.getline(code.co_filename, entry.tb_lineno).strip())
    return found


def _entries(entry: TracebackType | None) -> Iterator[TracebackType]:
    while entry is not None:
        yield entry
        entry = entry.tb_next


def _in_child(capture: Capture, *, here: bool) -> Replay:
    """Replay in a process of its own, because this one would die with it."""
    asked = json.dumps({"store": capture.store.path, "id": capture.header.id, "here": here})
    reading, writing = os.pipe()
    command = [sys.executable, "-c", _CHILD, asked, str(writing)]
    with subprocess.Popen(command, pass_fds=(writing,), stdin=subprocess.DEVNULL) as child:  # noqa: S603  our own interpreter
        os.close(writing)
        with open(reading, encoding="utf-8") as answers:
            answer = answers.read()
    if not answer:
        how = f"signal {-child.returncode}" if child.returncode < 0 else f"exit code {child.returncode}"
        return Replay(verdict=SAME_FAILURE, detail=f"its process died again ({how})", has_returned=False)
    return Replay(**json.loads(answer))


_CHILD = "import sys; from ckpt._replaying.replay import answer; answer(*sys.argv[1:])"


def answer(asked: str, descriptor: str) -> None:
    """Replay in a child process: what was shown goes as JSON to the pipe that the parent reads."""
    from ckpt._replaying.rehydrate import Capture
    from ckpt._store.store import Store

    request = json.loads(asked)
    shown = replay_here(Capture(Store(request["store"]), request["id"]), here=request["here"])
    if shown.exception is not None and shown.verdict != CANNOT_REPLAY:
        traceback.print_exception(shown.exception)
    fields = {"verdict": shown.verdict, "detail": shown.detail, "has_returned": shown.has_returned, "duration": shown.duration}
    text = repr(shown.value) if shown.has_returned else None
    with open(int(descriptor), "w", encoding="utf-8") as answers:
        json.dump(fields | {"text": text}, answers)
