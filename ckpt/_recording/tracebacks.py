"""A live exception -> its records, and the live values that belong to them.

Reading changes nothing: the dicts handed on are copies, the exceptions are the program's own. What the records say of a value is bounded;
the values themselves go to the codec.
"""

from __future__ import annotations

from difflib import get_close_matches
from itertools import islice
from types import CodeType, FrameType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from ckpt._model.describe import describe, exception_text, type_name
from ckpt._model.placeholder import Placeholder
from ckpt._model.record import WRAPPER_FILE, Json
from ckpt._model.reducing import module_reference
from ckpt._recording.others import alive
from ckpt._recording.variables import variables_of
from ckpt._recording.walk import USUAL, Extent, FrameText, Inner, Recorded, Walk
from ckpt._recording.wording import named_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: A tower of more traceback entries than twice this keeps its first and last so many.
TOWER_HALF = 1000
#: Bounds of a chain: exceptions kept, and members shown of one group.
CHAIN_LIMIT = 100
#: How many frames above the captured function are kept.
CALLERS_LIMIT = 50
#: The local of our wrappers that holds the id of the capture made there.
TOKEN = "ckpt_capture"  # noqa: S105  the name of a variable

#: What is described sooner than looked up.
_LEAVES = frozenset({int, float, bool, str})

_VARARGS, _VARKW, _NEWLOCALS, _OPTIMIZED = 0x04, 0x08, 0x02, 0x01


def read(
    error: BaseException,
    start: TracebackType | None,
    source_of: Callable[[str], str | None],
    above: FrameType | None = None,
    extent: Extent = USUAL,
) -> Walk:
    """Return everything about `error`, its traceback counted from `start`, and about the exceptions it is linked to.

    `source_of` gives the name under which a file's text is kept; `above` is the frame that called the first of the traceback.
    """
    reader = _Reader(source_of, extent)
    reader.number_all(error)
    for index, exception in enumerate(reader.walk.exceptions):
        reader.read_exception(index, exception, start if index == 0 else own(exception, "__traceback__"))
        reader.keep_similar_names(exception)
    reader.read_callers(above)
    reader.walk.others = alive(reader.code_of)
    return reader.walk


def is_wrapper(frame: FrameType) -> bool:
    """Whether a frame is that of one of our wrappers."""
    return frame.f_code.co_filename == WRAPPER_FILE


class _Reader:
    def __init__(self, source_of: Callable[[str], str | None], extent: Extent) -> None:
        self.walk = Walk()
        self._source_of = source_of
        self._extent = extent
        self._save_locals = extent.save_locals
        self._numbers: dict[int, int] = {}
        self._frames: dict[int, int] = {}
        self._codes: dict[int, int] = {}
        self._globals: dict[int, int] = {}
        self._positions: dict[tuple[int, int], list[int] | None] = {}
        self._names: dict[int, tuple[str, ...]] = {}
        self._texts: dict[tuple[int, str], str] = {}
        #: Code objects, frames and namespaces are known by address, so they must stay.
        self._alive: list[object] = []

    def number_all(self, error: BaseException) -> None:
        """Give the exception and all it is linked to their numbers, breadth first."""
        waiting = [error]
        while waiting and len(self.walk.exceptions) < CHAIN_LIMIT:
            current = waiting.pop(0)
            if id(current) in self._numbers:
                continue
            self._numbers[id(current)] = len(self.walk.exceptions)
            self.walk.exceptions.append(current)
            waiting += [linked for linked in (own(current, "__cause__"), own(current, "__context__")) if linked is not None]
            waiting += _members(current)

    def read_exception(self, index: int, error: BaseException, start: TracebackType | None) -> None:
        raised: Json = {
            "type": type_name(type(error)),
            "text": exception_text(error),
            "suppress_context": own(error, "__suppress_context__"),
        }
        notes = own(error, "__dict__").get("__notes__")
        if type(notes) is list:
            raised["notes"] = [note if type(note) is str else describe(note)["text"] for note in notes]
        raised["cause"] = self._number(own(error, "__cause__"))
        raised["context"] = self._number(own(error, "__context__"))
        raised["members"] = [number for member in _members(error) if (number := self._number(member)) is not None]
        raised |= self._read_traceback(index, start)
        self.walk.raised.append(raised)

    def _number(self, error: BaseException | None) -> int | None:
        return self._numbers.get(id(error)) if error is not None else None

    def _read_traceback(self, index: int, start: TracebackType | None) -> Json:
        entries: list[TracebackType] = []
        for entry in _entries(start):
            if is_wrapper(entry.tb_frame):
                self._note_inner(index, len(entries), entry.tb_frame)
            else:
                entries.append(entry)
        omitted = max(0, len(entries) - 2 * TOWER_HALF)
        if omitted:
            del entries[TOWER_HALF:-TOWER_HALF]
        read = [self._read_entry(entry) for entry in entries]
        return {"traceback": read} | ({"omitted": omitted, "omitted_after": TOWER_HALF} if omitted else {})

    def _note_inner(self, exception: int, entry: int, frame: FrameType) -> None:
        name = next((name for name in reversed(frame.f_code.co_varnames) if name.endswith(TOKEN)), TOKEN)
        capture = variables_of(frame).get(name)
        if type(capture) is Recorded and entry < TOWER_HALF:
            self.walk.inner.append(Inner(capture, exception, entry, frame))

    def _read_entry(self, entry: TracebackType) -> Json:
        frame = entry.tb_frame
        number = self._frames.get(id(frame))
        if number is None:
            number = self._read_frame(frame, self._save_locals)
        line = entry.tb_lineno
        if frame.f_lineno is not None and line != frame.f_lineno:
            self.walk.frames[number].live_line = frame.f_lineno
        return {"frame": number, "line": line or 0, "positions": self._position(frame.f_code, entry.tb_lasti)}

    def read_callers(self, frame: FrameType | None) -> None:
        """Read the frames from `frame` upwards: where each stands, and its variables only when they are asked for."""
        found: list[Json] = []
        while frame is not None and len(found) < CALLERS_LIMIT:
            if not is_wrapper(frame):
                number = self._frames.get(id(frame))
                if number is None:
                    number = self._read_frame(frame, self._save_locals and self._extent.callers)
                # Where the columns are costs more than all else, and only printed tracebacks show them.
                found.append({"frame": number, "line": frame.f_lineno or 0})
            frame = frame.f_back
        self.walk.callers = found[::-1]

    def _read_frame(self, frame: FrameType, save_locals: bool) -> int:
        number = self._frames[id(frame)] = len(self.walk.frames)
        self._alive.append(frame)
        namespace = frame.f_globals
        held = shown = variables_of(frame) if save_locals else {}
        is_module = save_locals and not frame.f_code.co_flags & _OPTIMIZED and frame.f_locals is namespace
        where = self._namespace(frame, held if is_module else None, save_locals)
        if is_module:
            held = self.walk.globals[where]
        names = [name for name in held if type(name) is str]
        texts = [self._text(shown[name], name) for name in names]
        self.walk.frames.append(FrameText(self.code_of(frame), where, names, texts))
        for name, value in held.items():
            if type(value) is ModuleType:
                held[name] = reference = module_reference(value)
                self.walk.has_placeholders |= type(reference) is Placeholder
        self.walk.locals.append(held)
        return number

    def _text(self, value: object, name: str) -> str:
        """Return a variable described; what a recursion hands down from level to level is described once."""
        if type(value) in _LEAVES:
            return named_json(value, name)
        key = (id(value), name)
        text = self._texts.get(key)
        if text is None:
            text = self._texts[key] = named_json(value, name)
            self._alive.append(value)
        return text

    def _namespace(self, frame: FrameType, held: dict[str, Any] | None, save_locals: bool) -> int:
        """Return the number of the frame's globals, of which those that its code names are kept; of a module frame, all."""
        namespace = frame.f_globals
        number = self._globals.get(id(namespace))
        if number is None:
            number = self._globals[id(namespace)] = len(self.walk.globals)
            self._alive.append(namespace)
            self.walk.globals.append({name: namespace[name] for name in ("__name__", "__file__", "__package__") if name in namespace})
        kept = self.walk.globals[number]
        if held is not None:
            kept.clear()  # the order is the module's
            kept.update(held)
            if "__builtins__" in kept:
                kept["__builtins__"] = None  # every process has its own
        elif save_locals:
            for name in self._names_in(frame.f_code):
                if name not in kept and name in namespace:
                    value = namespace[name]
                    kept[name] = module_reference(value) if type(value) is ModuleType else value
        return number

    def _names_in(self, code: CodeType) -> tuple[str, ...]:
        """Return the global names in a code object and in those nested in it."""
        if id(code) not in self._names:
            names = dict.fromkeys(code.co_names)
            if "<locals>" not in code.co_qualname:
                names[code.co_qualname.partition(".")[0]] = None  # the function itself, or its class
            for constant in code.co_consts:
                if type(constant) is CodeType:
                    names.update(dict.fromkeys(self._names_in(constant)))
            self._names[id(code)] = tuple(names)
            self._alive.append(code)
        return self._names[id(code)]

    def keep_similar_names(self, error: BaseException) -> None:
        """Keep the globals among which Python looks for a "Did you mean" when a name is not found."""
        wanted = vars(NameError)["name"].__get__(error) if issubclass(type(error), NameError) else None
        if type(wanted) is not str or not self._save_locals:
            return
        last = _last_frame(error)
        number = self._globals.get(id(last.f_globals)) if last is not None else None
        if last is not None and number is not None:
            for name in get_close_matches(wanted, [name for name in last.f_globals if type(name) is str]):
                value = last.f_globals[name]
                self.walk.globals[number].setdefault(name, module_reference(value) if type(value) is ModuleType else value)

    def code_of(self, frame: FrameType) -> int | None:
        """Return the number of the frame's code among the records; None for a wrapper of ours."""
        code = frame.f_code
        if code.co_filename == WRAPPER_FILE:
            return None
        number = self._codes.get(id(code))
        if number is None:
            number = self._codes[id(code)] = len(self.walk.codes)
            self._alive.append(code)
            self.walk.codes.append(_code_record(code, frame.f_globals.get("__name__"), self._source_of(code.co_filename)))
        return number

    def _position(self, code: CodeType, instruction: int) -> list[int] | None:
        key = (id(code), instruction)
        if key not in self._positions:
            found = next(islice(code.co_positions(), instruction // 2, None), None) if instruction >= 0 else None
            self._positions[key] = [part if part is not None else -1 for part in found] if found and found[2] is not None else None
        return self._positions[key]


def own(error: BaseException, name: str) -> Any:
    """Return what an exception holds, past properties and `__getattribute__` of its class."""
    return vars(BaseException)[name].__get__(error)


def _members(error: BaseException) -> tuple[BaseException, ...]:
    return BaseExceptionGroup.exceptions.__get__(error) if issubclass(type(error), BaseExceptionGroup) else ()


def _entries(start: TracebackType | None) -> Iterator[TracebackType]:
    while start is not None:
        yield start
        start = start.tb_next


def _last_frame(error: BaseException) -> FrameType | None:
    last = None
    for entry in _entries(own(error, "__traceback__")):
        last = entry.tb_frame
    return last


def _code_record(code: CodeType, module: object, source: str | None) -> Json:
    parameters = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & _VARARGS) + bool(code.co_flags & _VARKW)
    record: Json = {
        "file": code.co_filename,
        "name": code.co_name,
        "qualname": code.co_qualname,
        "first_line": code.co_firstlineno,
        "module": module if type(module) is str else "",
        "kind": _kind(code),
        "argcount": code.co_argcount,
        "posonly": code.co_posonlyargcount,
        "kwonly": code.co_kwonlyargcount,
        "varargs": bool(code.co_flags & _VARARGS),
        "varkw": bool(code.co_flags & _VARKW),
        "parameters": list(code.co_varnames[:parameters]),
    }
    return record if source is None else record | {"source": source}


def _kind(code: CodeType) -> str:
    if code.co_flags & _OPTIMIZED and code.co_flags & _NEWLOCALS:
        return "function"
    return "module" if code.co_name == "<module>" else "class"
