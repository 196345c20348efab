"""Live values <-> bytes and buffers; the only room that knows pickles.

All values recorded at one moment are encoded together, so that what was one object stays one object. The C pickler comes first; when it
refuses, or when something must be kept by value, the `RobustPickler` goes over the same values and puts placeholders where it has to.
Live objects are never altered: what is replaced is replaced in the stream, or in containers that the caller made for us.

A stream names only user values, functions of `cloudpickle`, and the verbs in `_VERBS`, which are a file format.
"""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from ckpt._model.describe import describe, type_name
from ckpt._model.interrupts import belongs_to_program, let_pass
from ckpt._model.loading import Surroundings, load
from ckpt._model.placeholder import Placeholder
from ckpt._model.reducing import RobustPickler, exception_dispatch

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Buffers of at least this many bytes leave the stream and become objects of their own.
BUFFER_THRESHOLD = 64 * 1024
#: A stream that grows beyond this many bytes goes straight to a file.
SPILL_THRESHOLD = 1024 * 1024
#: The C pickler writes names in frames of at most about twice 64 KiB; what is larger is one text or one bytes object.
_FRAME_LIMIT = 132 * 1024
#: Distance between the objects that are encoded first when a structure is too deep for the pickler's recursion.
_STEP = 100

Container = MutableMapping[Any, Any] | list[Any]


class Spill(Protocol):
    """A file that takes a stream too large for memory."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Append `data`."""

    def discard(self) -> None:
        """Forget what was written."""


class TooLargeError(Exception):
    """The values of one moment are larger than `max_bytes`."""


@dataclass(slots=True, kw_only=True)
class Encoded:
    """What `encode` made of the values of one moment."""

    #: The stream; empty when it went to `spill`.
    stream: bytes = b""
    spill: Spill | None = None
    #: Large buffers in the order the stream asks for them.
    buffers: list[memoryview] = field(default_factory=list)
    #: Why a value was not kept, by `id()`; valid as long as the caller holds the values.
    lost: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Limits:
    """How much, and what, is kept of one moment."""

    max_bytes: int = 1 << 30
    #: Types whose objects become placeholders without being touched (their reducers block, or are too slow).
    exclude: tuple[type, ...] = ()
    #: Makes the file for a large stream; None keeps it in memory.
    open_spill: Callable[[], Spill] | None = None


class _Sink:
    """Where a pickler writes: chunks in memory, a spill file when they grow, an error when they grow too far."""

    __slots__ = ("buffers", "chunks", "limits", "names_main", "size", "spill")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.chunks: list[bytes] = []
        self.buffers: list[memoryview] = []
        self.size = 0
        self.spill: Spill | None = None
        self.names_main = False

    def write(self, data: bytes | memoryview) -> None:
        self._count(len(data))
        if len(data) <= _FRAME_LIMIT and b"_main__" in data:  # type: ignore[operator]
            self.names_main = True
        if self.spill is not None:
            self.spill.write(data)
        else:
            self.chunks.append(bytes(data))
            if self.size > SPILL_THRESHOLD and self.limits.open_spill is not None:
                self._open_spill()

    def take_buffer(self, buffer: pickle.PickleBuffer) -> bool:
        """Take a large buffer out of the stream; true tells the pickler to keep it in."""
        view = buffer.raw()
        if view.nbytes < BUFFER_THRESHOLD:
            return True
        self._count(view.nbytes)
        self.buffers.append(view)
        return False

    def _count(self, size: int) -> None:
        self.size += size
        if self.size > self.limits.max_bytes:
            raise TooLargeError

    def _open_spill(self) -> None:
        assert self.limits.open_spill is not None
        self.spill = self.limits.open_spill()
        for chunk in self.chunks:
            self.spill.write(chunk)
        self.chunks.clear()

    def discard(self) -> None:
        if self.spill is not None:
            self.spill.discard()

    def encoded(self, lost: dict[int, str]) -> Encoded:
        return Encoded(stream=b"".join(self.chunks), spill=self.spill, buffers=self.buffers, lost=lost)


def encode(root: object, containers: Sequence[Container], limits: Limits, *, chain: Iterable[BaseException] = ()) -> Encoded:
    """Return `root` encoded, with everything that could be kept.

    `containers` are the dicts and lists inside `root` that the caller made for this call, whose items are the program's values; one that
    cannot be encoded at all is replaced there by a `Placeholder`. `chain` are exceptions in `root` that are kept with cause, context
    and all state, whatever their own reducers do.
    """
    lost: dict[int, str] = {}
    try:
        if limits.exclude:
            return _encode_carefully(root, limits, lost)
        try:
            return _encode_plain(root, limits, exception_dispatch(chain))
        except TooLargeError:
            raise
        except Exception as refusal:
            let_pass(refusal)
            return _encode_carefully(root, limits, lost)
    except Exception as refusal:
        let_pass(refusal)
        _replace_offenders(containers, limits, lost)
        return _encode_deepest_first(root, limits, lost)


def _encode_carefully(root: object, limits: Limits, lost: dict[int, str]) -> Encoded:
    try:
        return _encode_robust(root, limits, lost)
    except TooLargeError:
        raise
    except RecursionError:
        return _encode_deepest_first(root, limits, lost)
    except Exception as refusal:  # another thread changed a container under the pickler: once more
        let_pass(refusal)
        return _encode_robust(root, limits, lost)


class NamesMainError(Exception):
    """A plain stream refers to `__main__`, which is another module where it will be loaded."""


def _encode_plain(root: object, limits: Limits, dispatch: dict[type, Any] | None) -> Encoded:
    sink = _Sink(limits)
    try:
        pickler = pickle.Pickler(sink, 5, buffer_callback=sink.take_buffer)
        if dispatch is not None:
            pickler.dispatch_table = dispatch
        pickler.dump(root)
        if sink.names_main:
            raise NamesMainError
    except BaseException as error:
        sink.discard()
        if isinstance(error, Exception) or belongs_to_program(error):
            raise
        raise pickle.PicklingError(type_name(type(error))) from error
    return sink.encoded({})


def _encode_robust(root: object, limits: Limits, lost: dict[int, str]) -> Encoded:
    sink = _Sink(limits)
    try:
        RobustPickler(sink, sink.take_buffer, limits.exclude, lost).dump(root)
    except BaseException as error:
        sink.discard()
        if isinstance(error, Exception) or belongs_to_program(error):
            raise
        raise pickle.PicklingError(type_name(type(error))) from error
    return sink.encoded(lost)


def _encode_deepest_first(root: object, limits: Limits, lost: dict[int, str]) -> Encoded:
    """Encode a structure deeper than the pickler's recursion: its deepest objects first, so that the memo bounds every descent."""
    return _encode_robust((_STEPPING, _stepping_stones(root), root), limits, lost)


#: Marks a root that is preceded by its deepest objects.
_STEPPING = "ckpt:stepping"


def _stepping_stones(root: object) -> list[object]:
    """Return the objects at every `_STEP`-th level of a breadth-first walk from `root`, deepest first. Runs no code of theirs."""
    seen, level, stones, depth = {id(root)}, [root], [], 0
    while level:
        following = []
        for child in gc.get_referents(*level):
            if id(child) not in seen and gc.is_tracked(child) and type(child).__name__ not in _NOT_WALKED:
                seen.add(id(child))
                following.append(child)
        depth += 1
        if depth % _STEP == 0:
            stones.append(following)
        level = following
    return [stone for stones_of_level in reversed(stones) for stone in stones_of_level]


_NOT_WALKED = frozenset({"type", "module", "function", "frame", "builtin_function_or_method", "code", "ABCMeta", "EnumType", "generator", "coroutine"})


def _replace_offenders(containers: Sequence[Container], limits: Limits, lost: dict[int, str]) -> None:
    """Put placeholders for the values that cannot be encoded on their own, and for the largest until the rest fits."""
    sizes: list[tuple[int, Container, Any, Any]] = []
    for container in containers:
        for key, value in list(container.items() if isinstance(container, Mapping) else enumerate(container)):
            try:
                sizes.append((_measure(value, limits), container, key, value))
            except Exception as error:
                let_pass(error)
                _replace(container, key, value, _reason(error), lost)
    total = sum(size for size, *_ in sizes)
    for size, container, key, value in sorted(sizes, key=lambda found: found[0], reverse=True):
        if total <= limits.max_bytes:
            break
        _replace(container, key, value, f"{size:,} bytes, more than fits into max_bytes={limits.max_bytes:,}", lost)
        total -= size


def _replace(container: Container, key: Any, value: Any, reason: str, lost: dict[int, str]) -> None:
    described = describe(value)
    lost[id(value)] = reason
    container[key] = Placeholder(described["type"], described["text"], reason)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep"
    return f"{type_name(type(error))}: {error}"[:200]


class _Measure(_Sink):
    """A sink that only counts."""

    __slots__ = ()

    def write(self, data: bytes | memoryview) -> None:
        self.size += len(data)

    def _count(self, size: int) -> None:
        self.size += size


def _measure(value: object, limits: Limits) -> int:
    sink = _Measure(limits)
    try:
        RobustPickler(sink, sink.take_buffer, limits.exclude, {}).dump(value)
    except RecursionError:
        sink = _Measure(limits)
        RobustPickler(sink, sink.take_buffer, limits.exclude, {}).dump((_stepping_stones(value), value))
    return sink.size


def decode(stream: bytes | memoryview, buffers: Sequence[memoryview] = (), surroundings: Surroundings | None = None) -> Any:
    """Return the live values of `encode`. Runs foreign code: imports modules and calls constructors.

    A value that cannot be loaded becomes a `Placeholder`, or an instance of a class that says its own is gone. Raises `DamagedError` when
    the stream itself is broken.
    """
    with _collector_paused():
        root = load(stream, buffers, surroundings or Surroundings())
    if type(root) is tuple and len(root) == 3 and root[0] == _STEPPING:  # noqa: PLR2004
        return cast("Any", root[2])
    return root


@contextmanager
def _collector_paused() -> Iterator[None]:
    """On Python 3.11 the C unpickler runs the collector over and over: pausing it halves the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
