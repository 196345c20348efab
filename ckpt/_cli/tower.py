"""A recorded failure as Python would print it, with the variables of each frame. Pure functions of a manifest; nothing is loaded.

Every line is a pair of style and text, safe to print. The words of the frame lines and between chained exceptions are Python's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from ckpt._cli.recursions import left_out
from ckpt._cli.text import lines, one_line, plural
from ckpt._model.record import Entry, Frame, Manifest, Raised, Value

#: A style of rich's (empty for none), and a line.
Line = tuple[str, str]
#: Gives a line of a frame's source as it was captured; empty when it was not kept.
SourceLine = Callable[[Frame, int], str]

HEAD = "Traceback (most recent call last):"
_CAUSE = "The above exception was the direct cause of the following exception:"
_CONTEXT = "During handling of the above exception, another exception occurred:"
#: Groups within groups that are told, as Python does; what lies deeper is only counted.
_DEPTH = 10
_RULE = "-" * 16
#: Names that pytest's assertions leave in a frame (`@py_assert1`); and those that Python gives a module or a class.
_PYTESTS, _GIVEN = re.compile("@.*"), re.compile(r"@.*|__\w+__")


def tower(manifest: Manifest, source_line: SourceLine, view: tuple[int, int] = (0, 0), *, all_frames: bool = False) -> list[Line]:
    """Return the traceback of the manifest's exception number `view[0]` from its entry `view[1]` on, causes and contexts before it.

    The callers of the captured function stand before all that, where their variables were kept. Of a long recursion only both ends are
    there, unless `all_frames`.
    """
    made = _Tower(manifest, source_line, all_frames=all_frames)
    return [*(made.callers() if view == (0, 0) else ()), *made.chain(view[0], view[1])]


def variables(values: Sequence[Value], indent: str) -> list[Line]:
    """Return one line for each value: name, type with length or shape, and what it was."""
    return [("dim", f"{indent}{variable(value)}") for value in values]


def variable(value: Value) -> str:
    """Return `name: type (length) = text`, or why only a placeholder was kept."""
    name = f"{value.name}: " if value.name else ""
    reason = f"  [not kept: {value.reason}]" if value.reason else ""
    return one_line(f"{name}{value.type}{measure(value.length, value.shape)} = {value.text}{reason}")


def measure(length: int | None, shape: Sequence[int] | None) -> str:
    """Return a length or shape in brackets, after a space; nothing for a value that has neither."""
    if shape is not None:
        return f" ({' x '.join(map(str, shape)) or 'scalar'})"
    return "" if length is None else f" ({length})"


class _Tower:
    """The lines of one manifest's exceptions; each is told once."""

    def __init__(self, manifest: Manifest, source_line: SourceLine, *, all_frames: bool) -> None:
        self.manifest = manifest
        self.all_frames = all_frames
        self.source_line = source_line
        self.told: set[int] = set()

    def chain(self, number: int, first: int = 0, depth: int = 0) -> Iterator[Line]:
        """Yield an exception with all that led to it, oldest first."""
        links: list[tuple[int, str]] = []
        current: int | None = number
        words = ""
        while current is not None and self._is_new(current):
            self.told.add(current)
            links.append((current, words))
            current, words = _before(self.manifest.exceptions[current])
        for index, words in reversed(links):
            yield from self._exception(self.manifest.exceptions[index], first if index == number else 0, depth)
            if words:
                yield from _indented((("", ""), ("", words), ("", "")), _margin(depth) if depth else "")

    def callers(self) -> Iterator[Line]:
        """Yield the frames above the captured function, if any of them has kept its variables."""
        frames = self.manifest.frames
        if any(frames[entry.frame].locals for entry in self.manifest.callers if 0 <= entry.frame < len(frames)):
            yield "", "Called from:"
            yield from self._entries(self.manifest.callers)
            yield "", ""

    def _is_new(self, number: int) -> bool:
        return 0 <= number < len(self.manifest.exceptions) and number not in self.told

    def _exception(self, raised: Raised, first: int, depth: int) -> Iterator[Line]:
        if not raised.members:
            yield from _indented(self._plain(raised, first, HEAD), _margin(depth) if depth else "")
            return
        own = list(_indented(self._plain(raised, first, f"Exception Group {HEAD}"), _margin(depth)))
        if depth == 0 and raised.traceback:
            own[0] = own[0][0], own[0][1].replace("|", "+", 1)
        yield from own
        yield from self._members(raised, depth)

    def _plain(self, raised: Raised, first: int, head: str) -> Iterator[Line]:
        entries = raised.traceback[first:]
        if entries:
            yield "", head
        yield from self._entries(entries, raised.omitted, raised.omitted_after - first)
        yield from _message(raised)

    def _entries(self, entries: Sequence[Entry], omitted: int = 0, omitted_after: int = 0) -> Iterator[Line]:
        """Yield the frames of a stack, and where some are not shown, or `omitted` ones were not kept, how many."""
        passed = [] if self.all_frames else [*left_out([self._function(entry) for entry in entries])]
        for index, entry in enumerate(entries):
            if omitted and index == omitted_after:
                yield "yellow", f"  ... {omitted} frames were not kept ..."
            here = next((stretch for stretch in passed if index in stretch), None)
            if here is None:
                yield from self._entry(entry)
            elif index == here.start:
                yield "yellow", f"  ... {len(here)} frames of the recursion are left out here: --frames shows them ..."

    def _function(self, entry: Entry) -> tuple[str, int, str] | None:
        """Return what tells a frame's function from others; None for a frame that is not there."""
        if not 0 <= entry.frame < len(self.manifest.frames):
            return None
        frame = self.manifest.frames[entry.frame]
        return frame.file, frame.first_line, frame.name

    def _entry(self, entry: Entry) -> Iterator[Line]:
        if not 0 <= entry.frame < len(self.manifest.frames):
            yield "", f"  File ?, line {entry.line}"
            return
        frame = self.manifest.frames[entry.frame]
        yield "cyan", one_line(f'  File "{frame.file}", line {entry.line}, in {frame.name}')
        source = self.source_line(frame, entry.line)
        if text := source.strip():
            yield "", one_line(f"    {text}")
            if marks := _carets(source, entry):
                yield "", f"    {marks}"
        yield from variables(_telling(frame), "      ")

    def _members(self, raised: Raised, depth: int) -> Iterator[Line]:
        """Yield the members of a group in Python's frame of dashes, which the last of them closes when it is a group itself."""
        indent = " " * (2 * depth)
        if depth >= _DEPTH:
            yield "", f"{indent}  | ... {plural(len(raised.members), 'exception')} of the group left out here ..."
            return
        for place, number in enumerate(raised.members, start=1):
            yield "", f"{indent}  {'+-+' if place == 1 else '  +'}{_RULE} {place} {_RULE}"
            yield from list(self.chain(number, depth=depth + 1)) or [("", f"{_margin(depth + 1)}(shown above)")]
        if not self._is_group(raised.members[-1]):
            yield "", f"{indent}    +{'-' * 36}"

    def _is_group(self, number: int) -> bool:
        return 0 <= number < len(self.manifest.exceptions) and bool(self.manifest.exceptions[number].members)


def _telling(frame: Frame) -> list[Value]:
    """Return the variables of a frame that the program gave it."""
    hidden = _PYTESTS if frame.kind == "function" else _GIVEN
    return [value for value in frame.locals if not hidden.fullmatch(value.name)]


def _margin(depth: int) -> str:
    return f"{' ' * (2 * depth)}  | "


def _before(raised: Raised) -> tuple[int | None, str]:
    """Return the exception that led to this one, and the words that Python puts between the two."""
    if raised.cause is not None:
        return raised.cause, _CAUSE
    return (None, "") if raised.suppress_context else (raised.context, _CONTEXT)


def _message(raised: Raised) -> Iterator[Line]:
    kind = raised.type.removeprefix("__main__.")
    message = lines(f"{kind}: {raised.text}" if raised.text else kind)
    for note in raised.notes:
        message += lines(note)
    yield from (("bold red", text) for text in message)


def _carets(source: str, entry: Entry) -> str:
    """Return the marks under the failing part of a stripped line; nothing when that is all of it, or is not known."""
    known = [place for place in entry.positions or () if place is not None]
    if len(known) != 4:  # noqa: PLR2004 - line, end line, column, end column
        return ""
    line, end_line, column, end_column = known
    data = source.encode("utf-8", "surrogatepass")
    if line != entry.line or end_line != line or not 0 <= column < end_column <= len(data):
        return ""
    before, part = (piece.decode("utf-8", "replace") for piece in (data[:column], data[column:end_column]))
    if part.strip() == source.strip():
        return ""
    return " " * (len(before) - len(source) + len(source.lstrip())) + "^" * len(part)


def _indented(inner: Iterable[Line], margin: str) -> Iterator[Line]:
    return ((style, f"{margin}{text}".rstrip()) for style, text in inner)
