"""Frame records -> real frames, real tracebacks, and the exceptions that carry them.

A frame is rebuilt by running a stub that was compiled for it: it takes the recorded variables, and raises at the recorded position.
What comes back is a frame object of the interpreter, so that debuggers and traceback printers need not be told about us.

- One frame object per frame record, however many traceback entries run through it.
- All frames of a function share one code object, as they did live: a stub holds no values, is handed those of one frame, and
  raises at one of many positions.
- Only the recorded names are there. `f_back` leads to us, not to the caller, and each frame has its own copy of its globals, which are
  kept alike.
"""

from __future__ import annotations

import ast
import builtins
import io
import itertools
import linecache
import opcode
from contextlib import contextmanager
from functools import cached_property
from inspect import CO_NEWLOCALS, CO_OPTIMIZED
from traceback import walk_tb
from types import CodeType, FrameType, FunctionType, TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

from ckpt.errors import CkptError, DamagedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ckpt._model.record import Entry, Frame, Manifest, Raised

__all__ = ["Failure", "rebuild", "rebuild_failure", "show_sources"]

#: `(line, end_line, column, end_column)`; columns of -1 compile to unknown ones.
_Position = tuple[int, int, int, int]
#: The name under which a stub finds, for as long as it runs, what one frame needs: which position, which values, which names are deleted.
_NEEDS = "__ckpt_needs__"
_RAISE = opcode.opmap["RAISE_VARARGS"]
#: Where in an entry of `linecache` the lines are.
_LINES = 2


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
) -> BaseException:
    """Give the recorded exceptions their tracebacks and links back; return the one that `view` names.

    `exceptions` belongs to `manifest.exceptions`, `locals` to `manifest.frames`, and `globals` to the index that each frame names. An
    exception that could not be loaded (anything that is no exception) is stood in for by one that prints the same; variables that
    could not be loaded (anything that is no dict) are left out. `view` is the index of an exception and the first entry of its
    traceback to keep. No dict that is handed in is changed; the exceptions are.

    Raises `DamagedError` when the manifest points to something that it does not have.
    """
    return rebuild_failure(manifest, exceptions, locals, globals, view).exception


def rebuild_failure(
    manifest: Manifest,
    exceptions: Sequence[object],
    locals: Sequence[object],  # noqa: A002 - the words of the failure stream
    globals: Sequence[object],  # noqa: A002 - the same
    view: tuple[int, int] = (0, 0),
) -> Failure:
    """Do what `rebuild` does, and return the callers of the view's first frame too."""
    _check(manifest, view)
    frames = _rebuild_frames(manifest, locals, globals)
    found = _stand_in_for_lost(manifest.exceptions, exceptions)
    for number, (raised, exception) in enumerate(zip(manifest.exceptions, found, strict=True)):
        first = view[1] if number == view[0] else 0
        _link(exception, raised, found, _traceback(raised.traceback[first:], frames))
    callers = _callers(manifest, view)
    return Failure(found[view[0]], _traceback(callers, frames, found[view[0]].__traceback__), len(callers))


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
        if len(frame.parameters) != frame.argcount + frame.kwonly + frame.varargs + frame.varkw or frame.posonly > frame.argcount:
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


def _stand_in_for_lost(records: Sequence[Raised], loaded: Sequence[object]) -> list[BaseException]:
    """Return an exception for every record: the loaded one, or one of a made-up type."""
    # Not isinstance: a placeholder may lie about its `__class__`.
    ready = {number: cast("BaseException", exc) for number, exc in enumerate(loaded) if issubclass(type(exc), BaseException)}

    def find(number: int) -> BaseException:
        if number not in ready:
            raised = records[number]
            ready[number] = _stand_in(raised, ())  # For a record that claims to contain itself.
            ready[number] = _stand_in(raised, [find(member) for member in raised.members])
        return ready[number]

    return [find(number) for number in range(len(records))]


def _stand_in(raised: Raised, members: Sequence[BaseException]) -> BaseException:
    """Return an exception that a traceback shows with the recorded type and text."""
    module, _, name = raised.type.rpartition(".")
    if raised.type.startswith("__main__."):
        module, name = "__main__", raised.type.removeprefix("__main__.")
    base = _base(raised.type, members)
    namespace = {
        "__module__": module or "builtins",
        "__qualname__": name,
        "__doc__": f"Stands in for a {raised.type} that could not be loaded.",
        "__str__": lambda _: raised.text,
    }
    made = type(name.rpartition(".")[2], (base,), namespace)
    args = (raised.text, list(members)) if members else (raised.text,)
    exception: BaseException = base.__new__(made, *args)
    exception.args = args
    return exception


def _base(name: str, members: Sequence[BaseException]) -> type[BaseException]:
    if members:
        return ExceptionGroup if all(isinstance(member, Exception) for member in members) else BaseExceptionGroup
    base = getattr(builtins, name, None)
    # These two print, or are made, from more than a text.
    if not isinstance(base, type) or not issubclass(base, BaseException) or issubclass(base, SyntaxError | BaseExceptionGroup):
        return Exception
    return base


class _Rebuilt(NamedTuple):
    frame: FrameType
    #: Where in the frame's code (in bytes, as `tb_lasti`) the instruction of a position lies.
    offsets: dict[_Position, int]


def _traceback(entries: Sequence[Entry], frames: Sequence[_Rebuilt], traceback: TracebackType | None = None) -> TracebackType | None:
    """Return a traceback of these entries, `traceback` behind them."""
    for entry in reversed(entries):
        frame, offsets = frames[entry.frame]
        traceback = TracebackType(traceback, frame, offsets.get(_position(entry), frame.f_lasti), entry.line)
    return traceback


def _position(entry: Entry) -> _Position:
    """Return where `entry` was left, in a form that the compiler accepts."""
    if entry.positions is not None and None not in entry.positions:
        line, end_line, column, end_column = entry.positions
        if min(line, column, end_column) >= 0 and (line, column) <= (end_line, end_column):
            return line, end_line, column, end_column
    return _line(entry.line)


def _line(number: int) -> _Position:
    return max(number, 0), max(number, 0), -1, -1


def _all_positions(manifest: Manifest) -> list[tuple[_Position, ...]]:
    """Return, for each frame, the positions of all its entries; first the one where it stands, or came to its end.

    That is the first found: the main exception comes before those that it followed, and of several entries of one frame in
    one traceback the newest comes first.
    """
    found: list[dict[_Position, None]] = [{} if frame.live_line is None else {_line(frame.live_line): None} for frame in manifest.frames]
    for entries in (*(raised.traceback for raised in manifest.exceptions), manifest.callers):
        for entry in entries:
            found[entry.frame].setdefault(_position(entry))
    return [tuple(positions) or (_line(frame.first_line),) for positions, frame in zip(found, manifest.frames, strict=True)]


def _rebuild_frames(manifest: Manifest, variables: Sequence[object], outer: Sequence[object]) -> list[_Rebuilt]:
    codes: dict[object, _Code] = {}
    parts: list[tuple[_Code, _Position, dict[str, Any], dict[str, Any], list[_Shared]]] = []
    scopes: dict[int, list[_Shared]] = {}
    for number, (record, positions) in enumerate(zip(manifest.frames, _all_positions(manifest), strict=True)):
        held = _dict_at(variables, number)
        code = codes.setdefault(_key(record), _Code(record))
        code.serve(held, positions)
        parts.append((code, positions[0], held, _dict_at(outer, record.globals), scopes.setdefault(record.globals, [])))
    return [_rebuild_frame(*part) for part in parts]


def _dict_at(dicts: Sequence[object], number: int) -> dict[str, Any]:
    found = dicts[number] if 0 <= number < len(dicts) else None
    return found if type(found) is dict else {}


def _key(record: Frame) -> object:
    layout = record.argcount, record.posonly, record.kwonly, record.varargs, record.varkw, *record.parameters
    return record.file, record.name, record.qualname, record.first_line, record.kind, layout


def _rebuild_frame(
    code: _Code, end: _Position, variables: dict[str, Any], outer: dict[str, Any], scopes: list[_Shared]
) -> _Rebuilt:
    """Return the frame; `scopes` are the globals of all frames of its module, among which it puts its own."""
    record, (stub, offsets) = code.record, code.stub
    names = _module_names(record, outer)
    if record.kind == "function":
        frame = _function_frame(code, end, variables, names)
    elif variables is outer or (record.kind == "module" and not variables):
        # A module: one dict is both, by which debuggers know it; what is typed at a prompt needs no help here. One that is kept without
        # its variables has those that other frames name.
        whole = _Shared(names)
        frame = _enter(whole, (code.positions[end],), exec, stub, whole, whole)
    else:
        namespace, scope = dict(variables), _Globals(names)
        scope.locals = namespace
        frame = _enter(scope, (code.positions[end],), exec, stub, scope, namespace)
    assert isinstance(frame.f_globals, _Shared)
    frame.f_globals.scopes = scopes
    scopes.append(frame.f_globals)
    return _Rebuilt(frame, offsets)


def _function_frame(code: _Code, end: _Position, variables: dict[str, Any], names: dict[str, Any]) -> FrameType:
    record, scope = code.record, _Globals(names)
    values = [variables.get(name) for name in code.names]
    missing = {number for number, name in enumerate(code.names) if name not in variables}
    positional = (None,) * record.argcount
    keywords = dict.fromkeys(record.parameters[record.argcount : record.argcount + record.kwonly])
    frame = _enter(scope, (code.positions[end], values, missing), FunctionType(code.stub.code, scope), *positional, **keywords)
    # Read once: on 3.11 and 3.12 each reading overwrites what was assigned at a prompt.
    scope.locals = frame.f_locals
    return frame


def _enter(scope: dict[str, Any], needs: object, stub: Callable[..., object], /, *args: object, **kwargs: object) -> FrameType:
    """Run `stub`, which finds in `scope` what it needs, and raises a TypeError; return the frame that this leaves behind."""
    scope[_NEEDS] = needs
    try:
        stub(*args, **kwargs)
    except TypeError as err:
        *_, (frame, _) = walk_tb(err.__traceback__)
        return frame
    finally:
        del scope[_NEEDS]
    raise AssertionError("A stub returned.")


def _module_names(record: Frame, outer: dict[str, Any]) -> dict[str, Any]:
    """Return the recorded globals, in their order, with what Python puts into every module."""
    names = dict(outer)
    if record.module:
        names.setdefault("__name__", record.module)
    names["__builtins__"] = builtins if record.module == "__main__" else vars(builtins)
    return names


class _Shared(dict[str, Any]):
    """The globals of a rebuilt frame: what is assigned to them is assigned to those of all frames of the module.

    That holds for what goes through the methods, as debuggers do it, and for names assigned in a module's own frame. `STORE_GLOBAL`, for a
    `global` statement at a prompt, passes them by.
    """

    __slots__ = ("scopes",)

    def __init__(self, names: Mapping[str, Any]) -> None:
        super().__init__(names)
        self.scopes: Sequence[_Shared] = ()

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        for scope in self.scopes:
            dict.__setitem__(scope, name, value)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        for scope in self.scopes:
            dict.pop(scope, name, None)

    def pop(self, name: str, *default: Any) -> Any:
        found = super().pop(name, *default)
        for scope in self.scopes:
            dict.pop(scope, name, None)
        return found


class _Globals(_Shared):
    """Globals in which the frame's local variables are found first.

    A lambda, comprehension or function typed at a debugger's prompt is compiled without the frame around it and looks for the frame's
    variables among the globals. `LOAD_GLOBAL` asks `__getitem__` of a dict that is not a plain one. Everything else (`get`,
    iteration, a copy) sees the globals alone.
    """

    __slots__ = ("locals",)

    def __init__(self, names: Mapping[str, Any]) -> None:
        super().__init__(names)
        self.locals: Mapping[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        try:
            return self.locals[name]
        except KeyError:
            return super().__getitem__(name)


class _Stub(NamedTuple):
    code: CodeType
    offsets: dict[_Position, int]


class _Code:
    """What stands for one code object: compiled once for all its frames, with all that any of them needs."""

    def __init__(self, record: Frame) -> None:
        self.record = record
        #: Parameters, then variables; empty for frames whose variables are a namespace.
        self.names = list(record.parameters)
        #: Each with its number.
        self.positions: dict[_Position, int] = {}
        self._always: set[str] | None = None
        self._served: set[tuple[str, ...]] = set()

    def serve(self, variables: dict[Any, Any], positions: tuple[_Position, ...]) -> None:
        """Be able to make a frame that has these variables, and these positions."""
        for position in positions:
            self.positions.setdefault(position, len(self.positions))
        names = tuple(name for name in variables if isinstance(name, str))
        if self.record.kind == "function" and names not in self._served:
            self._served.add(names)
            self._always = set(names) if self._always is None else self._always.intersection(names)
            self._merge(names)

    def _merge(self, names: tuple[str, ...]) -> None:
        """Take in `names`, each behind the one before it: the order in which a frame lists its variables."""
        at = len(self.record.parameters)
        for name in names:
            if name not in self.names:
                self.names.insert(at, name)
            at = max(at, self.names.index(name) + 1)

    @cached_property
    def stub(self) -> _Stub:
        """Compiled code. Names are put in afterwards: `.0`, mangled and any other name will do."""
        tree = ast.parse(self._text())
        for node in ast.walk(tree):
            _place(node, _line(self.record.first_line))
        raises = (node for node in ast.walk(tree) if isinstance(node, ast.Raise))
        for node, position in zip(raises, self.positions, strict=True):
            _place(node, position)
        constants = compile(tree, "<stub>", "exec", dont_inherit=True).co_consts
        code: CodeType = next(constant for constant in constants if isinstance(constant, CodeType))
        # Without these two flags a code runs in the namespace that it is given, as those of modules and classes do.
        flags = code.co_flags if self.record.kind == "function" else code.co_flags & ~(CO_OPTIMIZED | CO_NEWLOCALS)
        named = {"co_filename": self.record.file, "co_name": self.record.name, "co_qualname": self.record.qualname}
        code = code.replace(co_flags=flags, co_varnames=tuple(self.names), **named)  # type: ignore[arg-type]
        return _Stub(code, _offsets(code))

    def _text(self) -> str:
        names = [f"v{number}" for number in range(len(self.names))]
        lines = [f"def stub({_signature(self.record, names)}):"]
        lines += [f" {', '.join(names)}, = {_NEEDS}[1]"] if names else []
        optional = [number for number, name in enumerate(self.names) if name not in (self._always or ())]
        lines += [f" if {number} in {_NEEDS}[2]: del v{number}" for number in optional]
        # Raising what is no exception raises a TypeError here, and needs no name.
        lines += [f" if {_NEEDS}[0] == {number}: raise 0" for number in self.positions.values()]
        return "\n".join([*lines, ""])


def _signature(record: Frame, names: Sequence[str]) -> str:
    keywords_from, rest_from = record.argcount, record.argcount + record.kwonly
    parts = [*names[: record.posonly], *(["/"] if record.posonly else []), *names[record.posonly : keywords_from]]
    if record.varargs:
        parts.append("*" + names[rest_from])
    elif record.kwonly:
        parts.append("*")
    parts += names[keywords_from:rest_from]
    if record.varkw:
        parts.append("**" + names[rest_from + record.varargs])
    return ", ".join(parts)


def _place(node: ast.AST, position: _Position) -> None:
    if hasattr(node, "lineno"):
        node.lineno, node.end_lineno, node.col_offset, node.end_col_offset = position  # type: ignore[attr-defined]


def _offsets(code: CodeType) -> dict[_Position, int]:
    found: dict[_Position, int] = {}
    for place, operation, offset in zip(code.co_positions(), code.co_code[::2], itertools.count(0, 2), strict=False):
        if operation == _RAISE:
            line, end_line, column, end_column = (-1 if part is None else part for part in place)
            found[line, end_line, column, end_column] = offset
    return found


@contextmanager
def show_sources(texts: Mapping[str, Callable[[], str]]) -> Iterator[None]:
    """Show these texts as the source of the files they are named by, whatever the disk has, until the context ends.

    A text is asked for when its first line is printed, and only once. One that cannot be had (`CkptError`, `OSError`) is
    replaced by what is on disk.
    """
    cache: dict[str, Any] = linecache.cache
    before = {name: cache.get(name) for name in texts}
    cache.update({name: _Source(name, fetch) for name, fetch in texts.items()})
    try:
        yield
    finally:
        for name, entry in before.items():
            cache.pop(name, None)
            if entry is not None:
                cache[name] = entry


class _Source(tuple[Any, ...]):  # noqa: SLOT001 - a tuple can have no slots
    """A `linecache` entry that gets its lines when they are first asked for.

    The entries of `linecache` itself that are lazy (a tuple of one function) are passed over while a file of that name exists.
    """

    fetch: Callable[[], str]

    def __new__(cls, name: str, fetch: Callable[[], str]) -> Self:
        # Without a time of modification, an entry is never checked against the disk.
        entry = super().__new__(cls, (0, None, [], name))
        entry.fetch = fetch
        return entry

    def __getitem__(self, index: Any) -> Any:
        return self._lines() if index == _LINES else super().__getitem__(index)

    def _lines(self) -> list[str]:
        name = super().__getitem__(_LINES + 1)
        cache: dict[str, Any] = linecache.cache
        try:
            text = self.fetch()
        except (CkptError, OSError):
            cache.pop(name, None)
            return linecache.getlines(name)
        # Not `splitlines`, which splits at form feeds and more.
        lines = io.StringIO(text, newline=None).readlines()
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        cache[name] = (len(text), None, lines, name)
        return lines
