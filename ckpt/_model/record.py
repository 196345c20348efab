"""The frozen records of a capture, and their JSON form.

A capture is a `Header` (what `ckpt info` shows) and, for the moment of entry and the moment of failure, a `Manifest` (what `ckpt show`
shows). Both are read without unpickling anything. This room knows no pickle, no file and no live object.

Everything here is a file format: a field may be added, never renamed; `FORMAT` grows when an old reader would go wrong.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from ckpt.errors import DamagedError

#: 1: the first format.
FORMAT = 1

RUNNING, RETURNED, FAILED, LEFT, DIED, UNKNOWN = "running", "returned", "failed", "left", "died", "unknown"
#: The statuses that stand for a failure: what `debug`, `shell`, `show` and `run` look for first.
FAILURES = frozenset({FAILED, DIED})

#: The file name in the code of every wrapper that `@ckpt` makes: how wrappers are told from the program's own frames.
WRAPPER_FILE = "<ckpt>"

Json = dict[str, Any]


class Record:
    """The JSON form of a frozen record: absent fields take their default, unknown ones are passed over."""

    __slots__ = ()

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Return the record that `data` describes; raise `DamagedError` when a field is missing."""
        known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
        try:
            return cls(**{key: value for key, value in data.items() if key in known})
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
    positions: list[int] | None = None


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
    host: str = ""
    pid: int = 0
    python: str = ""
    #: Bytes of the capture's own records and of the objects it points to (shared ones included).
    size: int = 0

    @property
    def is_failure(self) -> bool:
        """Whether the call failed, or died with its process."""
        return self.status in FAILURES
