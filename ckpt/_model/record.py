"""The frozen records of a capture, and their JSON form.

A capture is a `Header` (what `ckpt info` shows) and, for the moment of entry and the moment of failure, a `Manifest` (what `ckpt show`
shows). Both are read without unpickling anything. This room knows no pickle, no file and no live object.

Everything here is a file format: a field may be added, never renamed; `FORMAT` grows when an old reader would go wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from types import UnionType
from typing import Any, Self, TypedDict, get_args, get_origin, get_type_hints

from ckpt.errors import DamagedError

#: 1: the first format.
FORMAT = 1

RUNNING, RETURNED, FAILED, LEFT, DIED, UNKNOWN = "running", "returned", "failed", "left", "died", "unknown"
#: The statuses that stand for a failure: what `debug`, `shell`, `show` and `run` look for first.
FAILURES = frozenset({FAILED, DIED})

#: The file name in the code of every wrapper that `@ckpt` makes: how wrappers are told from the program's own frames.
WRAPPER_FILE = "<ckpt>"

#: What the name of a capture is: it can never leave the store, split a shell word, or inject into a completion.
NAME = re.compile(r"\w[\w.=+@-]{0,127}")

#: Characters of a manifest as it is shown, about; that of the deepest recursion, with many variables, takes a tenth.
HEAVIEST = 1 << 28

Json = dict[str, Any]
#: Whether a value is one that a field may have.
Fits = Callable[[Any], bool]


class Record:
    """The JSON form of a frozen record: absent fields take their default, unknown ones are passed over."""

    __slots__ = ()

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Return the record that `data` describes; raise `DamagedError` when a field is missing, or is not of its type."""
        try:
            return cls(**checked(cls, data))
        except TypeError as err:
            raise DamagedError(f"A {cls.__name__.lower()} record is incomplete: {err}.") from err

    def to_json(self) -> Json:
        """Return the record as plain dicts, lists, texts and numbers."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True)
class Value(Record):
    """One value as it can be shown without loading it."""

    #: Qualified type, `module.name`; builtins without their module.
    type: str
    #: Bounded description; made without running any `__repr__` of the user's.
    text: str
    #: The name of the variable, parameter or key; empty for a value that has none.
    name: str = ""
    #: `len()` of a builtin container or text.
    length: int | None = None
    #: Shape of an array or table.
    shape: list[int] | None = None
    #: Size in bytes, where the value itself tells it without work.
    size: int | None = None
    #: Why a placeholder stands for the value; None for a value that was kept.
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame(Record):
    """One Python frame: its code as data, and its variables."""

    file: str
    name: str
    qualname: str
    #: First line of the function in `file`, counted from 1.
    first_line: int
    #: `function`, or `module` or `class` for frames whose locals are a namespace (also those of `exec`).
    kind: str = "function"
    #: The module's `__name__`.
    module: str = ""
    #: Number of positional parameters, of those the positional-only, and of keyword-only parameters (as in a code object).
    argcount: int = 0
    posonly: int = 0
    kwonly: int = 0
    #: Whether there is a `*args` and a `**kwargs`.
    varargs: bool = False
    varkw: bool = False
    #: All parameter names in the order of `co_varnames`, `*args` and `**kwargs` last.
    parameters: list[str] = field(default_factory=list)
    #: The variables, in the frame's order. Parameters deleted before the failure are absent.
    locals: list[Value] = field(default_factory=list)
    #: Index of this frame's globals in the failure stream.
    globals: int = 0
    #: SHA-256 of the source text kept in the store's objects; None when there was none to keep.
    source: str | None = None
    #: The line a frame that was still running had reached when it was recorded (a frame with the `except` block).
    live_line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Record):
    """One entry of a traceback: a frame, and where it was left."""

    #: Index into `Manifest.frames`.
    frame: int
    line: int
    #: `(line, end_line, column, end_column)` of the failing instruction; columns are UTF-8 byte offsets from 0. None when unknown.
    positions: list[int | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised(Record):
    """One exception as data; links are indices into `Manifest.exceptions`."""

    #: Qualified type, `module.name`; builtins without their module.
    type: str
    #: `str(exception)`, bounded; made only for types whose `__str__` is not the user's, else from the args.
    text: str
    notes: list[str] = field(default_factory=list)
    cause: int | None = None
    context: int | None = None
    suppress_context: bool = False
    #: Members of an exception group.
    members: list[int] = field(default_factory=list)
    traceback: list[Entry] = field(default_factory=list)
    #: Entries left out of the middle of a very tall traceback, and after which entry.
    omitted: int = 0
    omitted_after: int = 0

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Return the record that `data` describes, with its traceback as records."""
        entries = [Entry.from_json(entry) for entry in data.get("traceback", ())]
        return super(Raised, cls).from_json({**data, "traceback": entries})


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerCall(Record):
    """The call of a captured function further down, whose own capture shares these bytes."""

    #: The exception and the entry of its traceback at which that capture begins.
    exception: int
    entry: int
    arguments: list[Value] = field(default_factory=list)

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Return the record that `data` describes, with its arguments as records."""
        arguments = [Value.from_json(value) for value in data.get("arguments", ())]
        return super(InnerCall, cls).from_json({**data, "arguments": arguments})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place(Record):
    """One line of a stack that is kept without variables."""

    file: str
    name: str
    line: int
    #: SHA-256 of the source text, as in `Frame`.
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Other(Record):
    """Another thread, or an asyncio task, that was alive at the failure."""

    #: `thread` or `task`.
    kind: str
    name: str = ""
    #: `daemon` for a thread, `cancelling` for a task, or nothing.
    state: str = ""
    #: Where it stood, outermost first; only the innermost part of a very tall one.
    stack: list[Place] = field(default_factory=list)

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Return the record that `data` describes, with its stack as records."""
        stack = [Place.from_json(place) for place in data.get("stack", ())]
        return super(Other, cls).from_json({**data, "stack": stack})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(Record):
    """What was recorded at one moment, entry or failure, without the values themselves.

    On disk the frames of one function share what its code says, in a table `codes`: a recursion repeats only its variables.
    """

    #: The arguments: positional ones under their parameter names, then `**kwargs` under theirs.
    arguments: list[Value] = field(default_factory=list)
    #: Main exception first. Empty at entry.
    exceptions: list[Raised] = field(default_factory=list)
    #: Each frame object once, however many tracebacks run through it.
    frames: list[Frame] = field(default_factory=list)
    #: The captured calls inside this one that failed with it.
    inner: list[InnerCall] = field(default_factory=list)
    #: The frames above the first entry of the main exception's traceback, outermost first. They have no number for the person.
    callers: list[Entry] = field(default_factory=list)
    #: The other threads and tasks.
    others: list[Other] = field(default_factory=list)

    def call_at(self, view: tuple[int, int] | None) -> int | None:
        """Return the index in `inner` of the call that a capture's `view` begins at; None for the outermost, whose bytes these are."""
        places = [(call.exception, call.entry) for call in self.inner]
        return places.index(view) if view in places else None

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Return the record that `data` describes, down to every value."""
        codes = data.get("codes", ())
        _check_weight(data, codes)
        others = [
            {**other, "stack": [{**codes[place["code"]], **place} if "code" in place else place for place in other.get("stack", ())]}
            for other in data.get("others", ())
        ]
        frames = [
            Frame.from_json(
                {
                    **(codes[frame["code"]] if "code" in frame else {}),
                    **frame,
                    "locals": [Value.from_json(value) for value in frame.get("locals", ())],
                }
            )
            for frame in data.get("frames", ())
        ]
        return super(Manifest, cls).from_json(
            {
                **data,
                "arguments": [Value.from_json(value) for value in data.get("arguments", ())],
                "inner": [InnerCall.from_json(call) for call in data.get("inner", ())],
                "exceptions": [Raised.from_json(raised) for raised in data.get("exceptions", ())],
                "frames": frames,
                "callers": [Entry.from_json(entry) for entry in data.get("callers", ())],
                "others": [Other.from_json(other) for other in others],
            }
        )


def _check_weight(data: Json, codes: Sequence[Json]) -> None:
    """Raise `DamagedError` for a manifest of which a page would be far larger than itself, since much in it refers to the same."""
    weights = [_weight(code) for code in codes]
    frames = [_weight(frame) + (weights[frame["code"]] if "code" in frame else 0) for frame in data.get("frames", ())]
    stacks = [place for other in data.get("others", ()) for place in other.get("stack", ())]
    entries = [*(entry for raised in data.get("exceptions", ()) for entry in raised.get("traceback", ())), *data.get("callers", ())]
    known = (entry.get("frame") for entry in entries)
    shown = sum(frames[number] for number in known if type(number) is int and 0 <= number < len(frames))
    if sum(frames) + shown + sum(weights[place["code"]] for place in stacks if "code" in place) > HEAVIEST:
        raise DamagedError("A manifest makes no sense: it would be too long to be shown.", hint="ckpt info")


def _weight(data: Any) -> int:
    """Return about how many characters some JSON takes."""
    if type(data) is dict:
        return sum(map(_weight, data.values())) + 8 * len(data)
    return sum(map(_weight, data)) + 1 if type(data) is list else len(data) + 1 if type(data) is str else 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Header(Record):
    """What a list of captures shows of one of them. Times are seconds since the epoch, UTC."""

    id: str
    name: str
    status: str
    module: str = ""
    qualname: str = ""
    #: When the call was entered; in on-error mode, where entry is not recorded, when it failed.
    time: float = 0.0
    #: Seconds from entry to end; None while running, and in on-error mode.
    duration: float | None = None
    #: Type and message of the exception in one line.
    exception: str | None = None
    #: Description of the returned value.
    returned: Json | None = None
    #: Dynamically scoped tags, outermost first; a name may repeat.
    tags: list[list[Any]] = field(default_factory=list)
    #: Whether the program handled the exception itself, in an `except` block with `capture_exception`: it ended no call.
    handled: bool = False
    host: str = ""
    pid: int = 0
    python: str = ""
    #: Bytes of the capture's own records and of the objects it points to (shared ones included).
    size: int = 0

    @property
    def is_failure(self) -> bool:
        """Whether the call failed, or died with its process."""
        return self.status in FAILURES


class Process(TypedDict, total=False):
    """What is the same for all captures of a process. Paths are absolute."""

    python: str
    implementation: str
    platform: str
    host: str
    user: str
    pid: int
    argv: list[str]
    executable: str
    cwd: str
    path: list[str]
    #: The `file` of `__main__`, and its `name` after `python -m`.
    main: dict[str, str | None]
    #: The versions of the packages that were loaded.
    packages: dict[str, str]
    #: The commit of the git work tree around `cwd`.
    commit: str | None
    #: The project's files, each with the object that holds its text.
    files: dict[str, str]
    #: The project's modules, each with its file.
    modules: dict[str, str]
    #: Files that were changed while the program ran, and those of which no text is kept, each with what is to say of it.
    edited: dict[str, str]
    omitted: dict[str, str]
    #: How large a text, and all together, may be, in bytes.
    limits: dict[str, int | None]


def checked(kind: type, data: Any) -> Json:
    """Return the fields of `data` that `kind` declares, for `data` comes out of a file; raise `DamagedError` for one of another type."""
    known = _fields_of(kind)
    if not isinstance(data, dict):
        raise DamagedError(f"A {kind.__name__.lower()} record makes no sense: it is a {type(data).__name__}.")
    for key, value in data.items():
        if key in known and not known[key](value):
            raise DamagedError(f"A {kind.__name__.lower()} record makes no sense: its {key} is not what it should be.")
    return {key: value for key, value in data.items() if key in known}


@cache
def _fields_of(kind: type) -> dict[str, Fits]:
    """Return the declared fields of `kind`, each with what tells whether a value is of its type."""
    return {name: _fits(hint) for name, hint in get_type_hints(kind).items()}


def _fits(hint: Any) -> Fits:
    kind, inner = get_origin(hint) or hint, [_fits(each) for each in get_args(hint)]
    fits: dict[Any, Fits] = {
        Any: lambda value: True,
        UnionType: lambda value: any(fits(value) for fits in inner),
        list: lambda value: isinstance(value, list | tuple) and all(map(inner[0], value)),
        dict: lambda value: isinstance(value, dict) and all(map(inner[1], value.values())),
        float: lambda value: type(value) in {float, int},
        int: lambda value: type(value) is int,  # True is none
    }
    return fits.get(list if kind is Sequence else kind, lambda value: isinstance(value, kind))
