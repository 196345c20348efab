"""Frame records -> real frames, real tracebacks, and the exceptions that carry them.

What comes back are frame objects of the interpreter, so that debuggers and traceback printers need not be told about us. One frame
object per frame record, however many traceback entries run through it; only the recorded names are there, and `f_back` is None.
"""

from __future__ import annotations

from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from ckpt._replaying.stand_ins import stand_in_for_lost
from ckpt._replaying.stubs import Code, Position, Run, line_only, make_apart
from ckpt.errors import DamagedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt._model.record import Entry, Frame, Manifest, Raised
    from ckpt._replaying.scopes import Shared

__all__ = ["Failure", "rebuild"]


#: Lines that one expression takes at the most: who prints a traceback reads all of them.
_TALLEST = 100_000


class Failure(NamedTuple):
    """A rebuilt exception, and the way that led to its first frame."""

    exception: BaseException
    #: The exception's traceback with the frames above it in front.
    whole: TracebackType | None
    #: How many entries of `whole` are above the exception's own.
    above: int


def rebuild(
    manifest: Manifest,
    exceptions: Sequence[object],
    locals: Sequence[object],  # noqa: A002 - the words of the failure stream
    globals: Sequence[object],  # noqa: A002 - the same
    view: tuple[int, int] = (0, 0),
) -> Failure:
    """Give the recorded exceptions their tracebacks and links back; return the one that `view` names, and the way to it.

    `exceptions` belongs to `manifest.exceptions`, `locals` to `manifest.frames`, and `globals` to the index that each frame names. An
    exception that could not be loaded (anything that is no exception) is stood in for by one that prints the same; variables that
    could not be loaded (anything that is no dict) are left out. `view` is the index of an exception and the first entry of its
    traceback to keep. No dict that is handed in is changed; the exceptions are.

    Raises `DamagedError` when the manifest points to something that it does not have.
    """
    _check(manifest, view)
    try:
        frames = _rebuild_frames(manifest, locals, globals)
        found = stand_in_for_lost(manifest.exceptions, exceptions)
        for number, (raised, exception) in enumerate(zip(manifest.exceptions, found, strict=True)):
            first = view[1] if number == view[0] else 0
            _link(exception, raised, found, _traceback(raised.traceback[first:], frames))
        callers = _callers(manifest, view)
        return Failure(found[view[0]], _traceback(callers, frames, found[view[0]].__traceback__), len(callers))
    except (OverflowError, RecursionError, SyntaxError, ValueError) as err:  # line numbers, names and layouts that no compiler makes
        raise DamagedError(f"The frames cannot be rebuilt: {err}.", hint="ckpt show") from err


def _callers(manifest: Manifest, view: tuple[int, int]) -> list[Entry]:
    """Return the entries above those of the view, outermost first.

    The view of a captured call inside another begins further down; that of an exception which was caught on the way begins in a frame
    that the main traceback runs through.
    """
    number, first = view
    own = manifest.exceptions[number].traceback
    outer = manifest.exceptions[0].traceback if number else []
    way = [entry.frame for entry in outer]
    if not number:
        above = manifest.callers
    elif own and own[0].frame in way:
        above = [*manifest.callers, *outer[: way.index(own[0].frame)]]
    else:
        above = []
    return [*above, *own[:first]]


def _check(manifest: Manifest, view: tuple[int, int]) -> None:
    for frame in manifest.frames:
        counts = frame.argcount, frame.kwonly, frame.varargs, frame.varkw
        unsound = min(*counts, frame.posonly) < 0 or frame.posonly > frame.argcount or len({*frame.parameters}) != len(frame.parameters)
        if unsound or len(frame.parameters) != sum(counts) or (frame.parameters and frame.kind != "function"):
            raise DamagedError(f"The parameters of {frame.qualname!r} do not fit its layout.")
    count = len(manifest.exceptions)
    for raised in manifest.exceptions:
        links = [*raised.members, *(link for link in (raised.cause, raised.context) if link is not None)]
        if not all(0 <= link < count for link in links):
            raise DamagedError(f"A record of {raised.type!r} points to an exception that was not recorded.")
        if not all(0 <= entry.frame < len(manifest.frames) for entry in (*raised.traceback, *manifest.callers)):
            raise DamagedError(f"The traceback of {raised.type!r} points to a frame that was not recorded.")
    if not 0 <= view[0] < count or not 0 <= view[1] <= len(manifest.exceptions[view[0]].traceback):
        raise DamagedError(f"The failure has no exception {view[0]} with a traceback entry {view[1]}.")


def _link(exception: BaseException, raised: Raised, found: list[BaseException], traceback: TracebackType | None) -> None:
    # Past a `__setattr__` of the user's: a frozen dataclass can be an exception.
    fields = vars(BaseException)
    fields["__traceback__"].__set__(exception, traceback)
    fields["__cause__"].__set__(exception, None if raised.cause is None else found[raised.cause])
    fields["__context__"].__set__(exception, None if raised.context is None else found[raised.context])
    # After the cause, which sets it.
    fields["__suppress_context__"].__set__(exception, raised.suppress_context)
    state: dict[str, Any] = fields["__dict__"].__get__(exception)
    if raised.notes:
        state.setdefault("__notes__", list(raised.notes))


class _Rebuilt(NamedTuple):
    frame: FrameType
    #: Where in the frame's code (in bytes, as `tb_lasti`) the instruction of a position lies.
    offsets: dict[Position, int]


def _traceback(entries: Sequence[Entry], frames: Sequence[_Rebuilt], traceback: TracebackType | None = None) -> TracebackType | None:
    """Return a traceback of these entries, `traceback` behind them."""
    for entry in reversed(entries):
        frame, offsets = frames[entry.frame]
        traceback = TracebackType(traceback, frame, offsets.get(_position(entry), frame.f_lasti), entry.line)
    return traceback


def _position(entry: Entry) -> Position:
    """Return where `entry` was left, in a form that the compiler accepts."""
    known = [place for place in entry.positions or () if place is not None]
    if len(known) == 4:  # noqa: PLR2004 - line, end line, column, end column
        line, end_line, column, end_column = known
        if min(line, column, end_column) >= 0 and (line, column) <= (end_line, end_column) and end_line - line <= _TALLEST:
            return line, end_line, column, end_column
    return line_only(entry.line)


def _all_positions(manifest: Manifest) -> list[tuple[Position, ...]]:
    """Return, for each frame, the positions of all its entries; first the one where it stands, or came to its end.

    That is the first found: the main exception comes before those that it followed, and of several entries of one frame in
    one traceback the newest comes first.
    """
    found: list[dict[Position, None]] = [{} if frame.live_line is None else {line_only(frame.live_line): None} for frame in manifest.frames]
    for entries in (*(raised.traceback for raised in manifest.exceptions), manifest.callers):
        for entry in entries:
            found[entry.frame].setdefault(_position(entry))
    return [tuple(positions) or (line_only(frame.first_line),) for positions, frame in zip(found, manifest.frames, strict=True)]


def _rebuild_frames(manifest: Manifest, variables: Sequence[object], outer: Sequence[object]) -> list[_Rebuilt]:
    codes: dict[object, Code] = {}
    parts: list[tuple[Code, Position, dict[str, Any], dict[str, Any]]] = []
    for number, (record, positions) in enumerate(zip(manifest.frames, _all_positions(manifest), strict=True)):
        held = _dict_at(variables, number)
        code = codes.setdefault(_key(record), Code(record))
        code.serve(held, positions)
        parts.append((code, positions[0], held, _dict_at(outer, record.globals)))
    runs = [Run.of(*part) for part in parts]
    make_apart([run.call for run in runs])
    scopes: dict[int, list[Shared]] = {}
    for run, record in zip(runs, manifest.frames, strict=True):
        run.settle(scopes.setdefault(record.globals, []))
    return [_Rebuilt(run.frame, part[0].stub.offsets) for run, part in zip(runs, parts, strict=True)]


def _dict_at(dicts: Sequence[object], number: int) -> dict[str, Any]:
    found = dicts[number] if 0 <= number < len(dicts) else None
    return found if type(found) is dict else {}


def _key(record: Frame) -> object:
    layout = record.argcount, record.posonly, record.kwonly, record.varargs, record.varkw, *record.parameters
    return record.file, record.name, record.qualname, record.first_line, record.kind, layout
