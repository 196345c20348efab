"""What a replay showed, compared with what was captured.

A failure is the same when it has the same type, was raised in the same innermost function of the project, and on a line of the same text or
with the same message. Only records are compared with what happened now: nothing captured is loaded for it.
"""

from __future__ import annotations

import linecache
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from ckpt._model.describe import describe, exception_text, type_name
from ckpt._model.record import DIED, LEFT, RETURNED, WRAPPER_FILE, Header, Json, Manifest, Raised
from ckpt._model.redact import MARK
from ckpt._model.sources import is_project
from ckpt._replaying.steps import ways_out
from ckpt.errors import CannotReplayError, CkptError, PlaceholderError

if TYPE_CHECKING:
    from ckpt._replaying.rehydrate import Capture

FIXED, SAME_FAILURE, DIFFERENT_FAILURE = "fixed", "same failure", "different failure"
STILL_PASSES, NEW_FAILURE, CANNOT_REPLAY = "still passes", "new failure", "cannot replay"

#: So many exceptions a capture keeps at most, the members of groups among them.
_CHAIN_LIMIT = 100
#: How calls are left in ways that have a word.
_LEFT = {"asyncio.exceptions.CancelledError": "it was cancelled", "GeneratorExit": "not all of its items were taken"}
#: So many secrets are asked for in a verdict.
_WAYS = 3
#: The exit code by which `git bisect run` passes over a commit.
SAYS_NOTHING = 125


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
    #: `type` and `message` of what was raised.
    error: Json | None = None
    #: What to do about what kept the call from being made.
    hint: str = ""
    #: Seconds the call took; None when it was not made.
    duration: float | None = None
    has_timed_out: bool = False
    #: Why the replay may show something else than the first run would, one line each.
    notes: tuple[str, ...] = ()
    #: Where a replay in a child process hung or crashed, as lines; without those of ckpt.
    stack: tuple[str, ...] = ()
    #: The project's files that a replay in a child process used.
    files: tuple[str, ...] = ()

    def exit_code(self, *, bisect: bool = False) -> int:
        """Return 0 when the call returned, and did not handle the captured exception again, else 1.

        For `git bisect run`, 125 where the replay says nothing about the captured failure.
        """
        if bisect and (self.verdict in {DIFFERENT_FAILURE, CANNOT_REPLAY} or (self.has_timed_out and self.verdict != SAME_FAILURE)):
            return SAYS_NOTHING
        return 0 if self.has_returned and self.verdict not in {SAME_FAILURE, CANNOT_REPLAY} else 1


def cannot(error: CkptError) -> Replay:
    """Return that no call could be made."""
    return Replay(verdict=CANNOT_REPLAY, detail=error.message, has_returned=False, exception=error, error=_error(error), hint=error.hint)


def returned(header: Header, value: Any, duration: float | None, *, is_iterated: bool = False) -> Replay:
    """Return what it means that the call returned `value` now. What a generator yields was not recorded, so it is not compared."""
    verdict, detail = STILL_PASSES, "it returns as it did"
    if header.is_failure:
        verdict, detail = FIXED, f"{_before(header)} then, and {'does not' if header.handled else 'returns'} now"
    elif header.status != RETURNED:
        detail = f"{_before(header)} then, and returns now"
    elif is_iterated:
        detail = "it runs to its end"
    elif not _is_as_described(header.returned or {}, now := describe(value)):
        detail = f"it returned {_shown(header.returned or {}, now)} then, {_shown(now, header.returned or {})} now"
    return Replay(verdict=verdict, detail=detail, has_returned=True, value=value, duration=duration)


def raised(capture: Capture, error: BaseException, duration: float) -> Replay:
    """Return what it means that the call raised `error` now."""
    verdict, detail = _of_raised(capture, error)
    detail = " ".join(detail.split())
    return Replay(verdict=verdict, detail=detail, has_returned=False, exception=error, error=_error(error), duration=duration)


def ended(header: Header, how: str, *, has_timed_out: bool = False, duration: float | None = None) -> Replay:
    """Return what it means that the call neither returned nor raised: `how` says that its process died, or was ended after its time."""
    is_same = header.status == DIED or (has_timed_out and is_interrupted(header))
    verdict = SAME_FAILURE if is_same else DIFFERENT_FAILURE if header.is_failure else NEW_FAILURE
    detail = how if header.status == DIED and not has_timed_out else f"{_before(header)} then, and {how}"
    return Replay(verdict=verdict, detail=detail, has_returned=False, has_timed_out=has_timed_out, duration=duration)


def never_called(header: Header, how: str) -> Replay:
    """Return what it means that the time was over before the call began: nothing, unless it hung or died then as well."""
    if header.status == DIED or is_interrupted(header):
        return ended(header, how, has_timed_out=True)
    return replace(cannot(CannotReplayError(how, hint="give it more time: --timeout S")), has_timed_out=True)


def is_interrupted(header: Header) -> bool:
    """Whether a person ended the call, which may well have hung."""
    return header.is_failure and (header.exception or "").partition(":")[0] == "KeyboardInterrupt"


def _before(header: Header) -> str:
    if header.status == DIED:
        return "its process died"
    if header.status == LEFT and header.exception:
        return _LEFT.get(header.exception.partition(":")[0], f"it was left by {header.exception}")
    if header.exception:
        return f"it {'handled' if header.handled else 'raised'} {header.exception}"
    return "it returned" if header.status == RETURNED else "it had not ended"


def _is_as_described(then: Json, now: Json) -> bool:
    return all(then.get(key) == now.get(key) for key in ("type", "text", "length", "shape"))


def _shown(value: Json, other: Json) -> str:
    """Return the text of a described value, and its type and size where the text alone is that of the other."""
    if value.get("text") != other.get("text"):
        return str(value.get("text", "?"))
    size = value.get("shape") or value.get("length")
    return f"{value.get('type', '?')}{'' if size is None else f' ({size})'} {value.get('text', '?')}"


def _of_raised(capture: Capture, error: BaseException) -> tuple[str, str]:
    header = capture.header
    touched = placeholder_error(error)
    if touched is not None:
        secret = touched.message.partition(f"{MARK}: ")[2].removesuffix(".")
        ways = ways_out(line for line in capture.replay_notes if secret and secret in line)
        return CANNOT_REPLAY, " ".join([touched.message, *ways[:_WAYS]])
    now = told(error)
    if header.is_failure:
        differs = difference(capture, error)
        return (DIFFERENT_FAILURE, differs) if differs else (SAME_FAILURE, now)
    if header.status == LEFT and (header.exception or "").partition(":")[0] == type_name(type(error)):
        return SAME_FAILURE, f"it is left by {now}, as it was then"
    return NEW_FAILURE, f"{_before(header)} then, and raises {now} now"


def told(error: BaseException) -> str:
    """Return type and message of an exception."""
    return f"{type_name(type(error))}: {exception_text(error)}".removesuffix(": ")


def placeholder_error(error: BaseException | None) -> PlaceholderError | None:
    """Return the error of a placeholder that was used, when an exception comes from one."""
    return next((each for each in related(error) if isinstance(each, PlaceholderError)), None)


def related(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and all that belong to it, the nearest first: causes, contexts and the members of groups."""
    waiting, seen = deque([error]), set()
    while waiting:
        each = waiting.popleft()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += (each.__cause__, each.__context__, *_members(each))


def _members(error: BaseException) -> tuple[BaseException, ...]:
    return error.exceptions if isinstance(error, BaseExceptionGroup) else ()


def difference(capture: Capture, error: BaseException) -> str:
    """Return how a failure differs from the captured one; empty when it is the same."""
    then = _captured(capture)
    if then is None:
        return f"{_before(capture.header)} then, and raises {type_name(type(error))} now: {exception_text(error)}"
    manifest, raised = then
    if raised.type.removeprefix("__main__.") != type_name(type(error)).removeprefix("__main__."):
        return f"{raised.type} then, {type_name(type(error))} now: {exception_text(error)}"
    differs = _other_members(manifest, raised, error)
    if differs or isinstance(error, RecursionError):  # where the limit is met depends on how deep the caller was
        return differs
    before, now = _place_then(capture, manifest, raised), _place_now(error, capture.process.get("files") or {})
    if before[0] != now[0]:
        return f"raised in {before[0] or '?'} then, in {now[0] or '?'} now: {exception_text(error)}"
    if before[1] != now[1] and raised.text != exception_text(error):
        return f"{raised.text!r} then, {exception_text(error)!r} now"
    return ""


def _other_members(manifest: Manifest, raised: Raised, error: BaseException) -> str:
    """Return how the types of a group's members differ; empty when they do not, or when members were too many to be kept."""
    then = sorted(manifest.exceptions[number].type.removeprefix("__main__.") for number in raised.members)
    now = sorted(type_name(type(member)).removeprefix("__main__.") for member in _members(error))
    if then == now or len(manifest.exceptions) >= _CHAIN_LIMIT:
        return ""
    return f"{_counted(then)} in the group then, {_counted(now)} now: {exception_text(error)}"


def _counted(types: list[str]) -> str:
    return ", ".join(name if count == 1 else f"{count} {name}" for name, count in Counter(types).items()) or "nothing"


def _captured(capture: Capture) -> tuple[Manifest, Raised] | None:
    manifest = capture.manifest
    if manifest is None or not manifest.exceptions:
        return None
    return manifest, manifest.exceptions[(capture.stored.view or (0, 0))[0]]


def _place_then(capture: Capture, manifest: Manifest, raised: Raised) -> tuple[str, str]:
    """Return the innermost project function of the captured failure and the text of its line."""
    files = capture.process.get("files") or {}
    for entry in reversed(raised.traceback):
        frame = manifest.frames[entry.frame]
        if is_project(frame.file) or frame.file in files:
            lines = _lines(capture, frame.source)
            return frame.qualname, lines[entry.line - 1].strip() if 0 < entry.line <= len(lines) else ""
    return "", ""


def _lines(capture: Capture, source: str | None) -> list[str]:
    try:
        return capture.stored.source(source).splitlines() if source else []
    except CkptError:  # a lost text costs the comparison of lines
        return []


def _place_now(error: BaseException, files: Json) -> tuple[str, str]:
    found = ("", "")
    for frame, line in walk_tb(error.__traceback__):
        code = frame.f_code
        if (is_project(code.co_filename) or code.co_filename in files) and code.co_filename != WRAPPER_FILE:
            linecache.checkcache(code.co_filename)
            found = (code.co_qualname, linecache.getline(code.co_filename, line).strip())
    return found


def _error(error: BaseException) -> Json:
    try:
        message = str(error)
    except Exception as trouble:  # a `__str__` of the user's: the replay has happened, and is to be told
        message = f"<no text: {type(trouble).__qualname__} raised>"
    return {"type": type(error).__qualname__, "message": message}
