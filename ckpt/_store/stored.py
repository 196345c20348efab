"""One capture of a store, part by part: everything is read when it is asked for, and checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from ckpt._model.record import Header, Json, Manifest, Process, checked
from ckpt._store.captures import WRONG, Trace
from ckpt._store.journal import Line
from ckpt.errors import DamagedError, NoValuesError

__all__ = ["Moment", "Stored"]

#: No source text has more bytes.
TEXT_LIMIT = 64 << 20


class Objects(Protocol):
    """Where large values and texts lie: in a store, or in a file of their own."""

    def names(self) -> dict[str, int]:
        """Return the objects that there are, each with its size."""

    def map(self, name: str) -> memoryview:
        """Return the bytes of an object, mapped privately."""

    def read(self, name: str) -> bytes:
        """Return the bytes of an object, checked."""

    def piece(self, name: str, length: int, at: int) -> bytes:
        """Return `length` bytes of an object from its offset `at`; fewer only where it ends."""

    def is_private(self, name: str = "") -> bool:
        """Return whether nobody but this user can change what is there, the object `name` included."""


@dataclass(frozen=True, slots=True)
class _Renamed:
    """Objects under the names that the records of an imported capture have for them."""

    objects: Objects
    #: Name there -> name here.
    known: Mapping[str, str]

    def names(self) -> dict[str, int]:
        sizes = self.objects.names()
        return sizes | {name: sizes[here] for name, here in self.known.items() if here in sizes}

    def map(self, name: str) -> memoryview:
        return self.objects.map(self.known.get(name, name))

    def read(self, name: str) -> bytes:
        return self.objects.read(self.known.get(name, name))

    def piece(self, name: str, length: int, at: int) -> bytes:
        return self.objects.piece(self.known.get(name, name), length, at)

    def is_private(self, name: str = "") -> bool:
        return self.objects.is_private(self.known.get(name, name))


@dataclass(frozen=True, slots=True)
class Moment:
    """What was recorded at entry or at the failure. Raises `DamagedError` when something is not what was written."""

    line: Line
    objects: Objects

    def manifest(self) -> Manifest:
        """Return what can be shown without loading a value."""
        try:
            return Manifest.from_json(json.loads(self.line.read(0)))
        except FileNotFoundError:
            raise
        except (*WRONG, RecursionError) as err:
            raise err if isinstance(err, DamagedError) else DamagedError(f"A manifest makes no sense: {err}.", hint="ckpt info") from err

    def stream(self) -> bytes | memoryview:
        """Return the pickle stream, checked; mapped when it is large and nobody else can change it."""
        name = self.line.body.get("stream")
        if name is None:
            return self.line.read(1)
        if not str(name).startswith("t-"):  # what a name does not bind could be exchanged after it was signed or accepted
            raise DamagedError(f"The object {name!r} is no stream.", hint="ckpt check")
        if not self.objects.is_private(str(name)):
            return self.objects.read(str(name))
        stream = self.objects.map(str(name))
        if name != f"t-{hashlib.sha256(stream).hexdigest()}":
            raise DamagedError(f"The object {name!r} is not what was written.", hint="ckpt check")
        return stream

    def buffers(self) -> list[memoryview]:
        """Return the raw buffers that the stream refers to, mapped copy-on-write."""
        names = self.line.body.get("buffers") or ()
        return [self.objects.map(name) for name in map(str, names)]


class Stored:
    """One capture of a store; `header` is what a list shows of it, `entry` and `failure` what was recorded then.

    `sizes` are those of the objects that are there, for whoever has asked already.
    """

    def __init__(self, trace: Trace, objects: Objects, sizes: Mapping[str, int] | None = None) -> None:
        self._trace = trace
        self.header: Header = trace.header(objects.names() if sizes is None else sizes)
        if trace.carried and trace.carried.renamed:
            objects = _Renamed(objects, trace.carried.renamed)
        self._objects = objects
        self.entry = Moment(trace.entered, objects) if trace.entered else None
        self.failure = Moment(trace.failed, objects) if trace.failed else None

    @property
    def view(self) -> tuple[int, int] | None:
        """Which exception, and from which entry of its traceback on, is this capture's; None for the whole failure."""
        view = self._trace.failed.body.get("view") if self._trace.failed else None
        return (int(view[0]), int(view[1])) if isinstance(view, list) and len(view) == 2 else None  # noqa: PLR2004

    @property
    def process(self) -> Json:
        """What is the same for the whole process: versions, argv, working directory, `sys.path`, sources by hash."""
        read = self._shared("process")
        if read is None:
            return {}
        try:
            return checked(Process, json.loads(read()))
        except (UnicodeDecodeError, ValueError, RecursionError) as err:
            raise DamagedError(f"A process record makes no sense: {err}.", hint="ckpt info") from err

    @property
    def function(self) -> Callable[[], bytes] | None:
        """Reads the pickled function, where it is kept by value."""
        return self._shared("function")

    @property
    def objects(self) -> Objects:
        """Where the capture's large values lie."""
        return self._objects

    def lines(self) -> list[Line]:
        """Return the events of the capture; what it needs besides them, they name by content."""
        return self._trace.lines()

    @property
    def opened(self) -> Json:
        """What the capture's process said of itself when it began."""
        return self._trace.run.opened

    @property
    def introduction(self) -> Line | None:
        """The event in which it said so; None where nothing was said."""
        return self._trace.run.line

    @property
    def is_imported(self) -> bool:
        """Whether it was made elsewhere and brought into this store by `ckpt import`."""
        return self._trace.carried is not None

    @property
    def has_values(self) -> bool:
        """Whether it can be opened; False for one that was exported with descriptions only."""
        return self._trace.has_values

    def check_values(self) -> None:
        """Raise `NoValuesError` for a capture without values."""
        if not self.has_values:
            header = self.header
            raise NoValuesError(
                f"The capture {header.id} of {header.name!r} holds no values, only descriptions: it was exported with --no-values.",
                hint=f"ckpt {'debug' if header.exception else 'show'} {header.id}",
            )

    def needed(self) -> list[Line]:
        """Return the records that calling the function again needs: what is shared, and the entry, or the failure without one."""
        line = self._trace.entered or self._trace.failed
        names = [str(line.body.get(field)) for field in ("process", "function")] if line else []
        shared = [self._trace.shared[name] for name in names if name in self._trace.shared]
        return [*shared, line] if line else []

    def records(self) -> list[Line]:
        """Return all that the capture consists of: what it shares with others, and its events. Raises `DamagedError` for a missing one."""
        missing = self._trace.refers_to().difference(self._trace.shared)
        if missing:
            raise DamagedError(f"The record {min(missing)[:16]!r} of capture {self.header.id!r} is missing.", hint="ckpt check")
        return [*(self._trace.shared[name] for name in sorted(self._trace.refers_to())), *self.lines()]

    def names_in(self, line: Line) -> list[str]:
        """Return the names, in its store, of the objects that one of the capture's records points to."""
        return self._trace.names_in(line)

    @property
    def renamed(self) -> Mapping[str, str]:
        """Which buffers have another name in its store than in its records."""
        return self._trace.carried.renamed if self._trace.carried else {}

    def source(self, name: str) -> str:
        """Return a source text by the name of its object; raise `DamagedError` when it is not what was written, or no text of a file."""
        with suppress(KeyError):
            text = self._objects.piece(name, TEXT_LIMIT, 0)
            if name == f"t-{hashlib.sha256(text).hexdigest()}":
                return text.decode("utf-8", "surrogateescape")
        raise DamagedError(f"The object {name!r} is not what was written.", hint="ckpt info")

    def _shared(self, field: str) -> Callable[[], bytes] | None:
        for line in (self._trace.failed, self._trace.entered):
            name = line.body.get(field) if line else None
            if name is not None:
                found = self._trace.shared.get(str(name))
                if found is None:
                    raise DamagedError(f"The {field} record of capture {self.header.id!r} is missing.", hint="ckpt info")
                return lambda: found.read(0)
        return None
