"""Live values <-> bytes and buffers; the front door to the rooms that know pickles.

All values recorded at one moment are encoded together, so that what was one object stays one object. The C pickler comes first; where it
refuses, or where something must be kept by value, the robust pickler goes over the same values, then the thorough one. Live objects are
never altered: what is replaced is replaced in the stream.

A stream names only user values, functions of `cloudpickle`, and the verbs of ours, which are a file format.
"""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ckpt._model.describe import describe, type_name
from ckpt._model.fitting import Container, leave_out_all, leave_out_largest, leave_out_offenders, replace_left_out
from ckpt._model.interrupts import belongs_to_program, let_pass
from ckpt._model.loading import Surroundings, load
from ckpt._model.placeholder import Placeholder
from ckpt._model.redacting import RedactingPickler
from ckpt._model.reducing import RobustPickler, has_room
from ckpt._model.referring import PlainWays
from ckpt._model.secrets import Secrets
from ckpt._model.sinks import (
    BUFFER_THRESHOLD,
    SPILL_THRESHOLD,
    NeedsCareError,
    NeedsRedactionError,
    Sink,
    Spill,
    SpillError,
    TooLargeError,
)
from ckpt._model.thorough import LeftOut, ThoroughPickler

#: Calls that the pickler of last resort needs room for.
_NEEDED = 250
#: How often values are measured, and the largest left out, before all of them are.
_ROUNDS = 4


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
    #: What is secret among the values; None when nothing was found.
    secrets: Secrets | None = None


#: (the containers of a root) -> what is secret in them, for which placeholders now stand there; None when nothing is
Search = Callable[[Sequence[Container]], Secrets | None]
Looking = tuple[Search, Sequence[Container]]


@dataclass(slots=True, kw_only=True)
class Limits:
    """How much, and what, is kept of one moment."""

    max_bytes: int = 1 << 30
    #: Types whose objects become placeholders without being touched (their reducers block, or are too slow). Plain containers, texts and
    #: numbers are kept all the same; objects of classes derived from an excluded one are not.
    exclude: tuple[type, ...] = ()
    #: Makes the file for a large stream; None keeps it in memory.
    open_spill: Callable[[], Spill] | None = None


def encode(  # noqa: PLR0913  what is encoded, how much of it, and what not
    root: object,
    containers: Sequence[Container],
    limits: Limits,
    *,
    chain: Iterable[BaseException] = (),
    secrets: Secrets | None = None,
    search: Search | None = None,
) -> Encoded:
    """Return `root` encoded, with everything that could be kept.

    `secrets` are left out, and whatever else is met under a secret name. Where none are known, `search` is asked for them, with the
    containers, when the values are such that there may be some; nothing is looked for without it.

    `containers` are the dicts and lists inside `root` that the caller made for this call, whose items are the program's values: those are
    left out where nothing less helps, and placeholders are put in their places. Exceptions, those of `chain` and all others, are kept
    with cause, context and all state, whatever their own reducers do. Raises nothing but what belongs to the program, what
    `open_spill` or its file raises, and RecursionError where the program has left no room on the stack.
    """
    looking = None if search is None else (search, containers)
    try:
        return _encode(root, containers, limits, secrets, looking)
    except NeedsRedactionError as found:
        return encode(root, containers, limits, secrets=found.secrets or _known(None, looking))
    except SpillError as error:
        raise error.reason from None


def _encode(root: object, containers: Sequence[Container], limits: Limits, secrets: Secrets | None, looking: Looking | None) -> Encoded:
    try:
        return _climb(root, limits, secrets, looking)
    except (SpillError, NeedsRedactionError):
        raise
    except Exception as error:
        let_pass(error)
        if isinstance(error, RecursionError) and not has_room(_NEEDED):
            raise
        is_too_large = isinstance(error, TooLargeError)
    left_out: LeftOut = {}
    rest = _Rest(root, containers, limits, left_out, _known(secrets, looking))
    found = _encode_without(rest, is_too_large=is_too_large)
    if found is None:
        found = _encode_nothing(rest)
    replace_left_out(containers, left_out)
    found.lost |= {key: reason for key, (_, reason) in left_out.items()}
    return found


@dataclass(frozen=True, slots=True)
class _Rest:
    """What cannot be encoded as a whole."""

    root: object
    containers: Sequence[Container]
    limits: Limits
    #: What is left out of it; grows.
    left_out: LeftOut
    secrets: Secrets | None


def _known(secrets: Secrets | None, looking: Looking | None) -> Secrets | None:
    """Return what is secret for a pickler that leaves out what it meets; None for one that does not."""
    if secrets is not None or looking is None:
        return secrets
    search, containers = looking
    return search(containers) or Secrets()


def _climb(root: object, limits: Limits, secrets: Secrets | None, looking: Looking | None) -> Encoded:
    """Return what the quickest pickler makes of `root` that can keep it."""
    is_deep = False
    for make in (_plain, _robust) if secrets is None else (_redacting,):
        try:
            return _dump_once(make, root, limits, None, looking) if secrets is None else _dump(make, root, limits, secrets)
        except NeedsCareError:
            continue
        except (TooLargeError, SpillError, NeedsRedactionError):
            raise
        except Exception as error:
            let_pass(error)
            is_deep = isinstance(error, RecursionError)
            if is_deep and not has_room(_NEEDED):
                raise
    return _dump_thoroughly(root, limits, _known(secrets, looking), {}, is_deep=is_deep)


def _dump_thoroughly(root: object, limits: Limits, secrets: Secrets | None, left_out: LeftOut, *, is_deep: bool = False) -> Encoded:
    try:
        return _dump(_thorough(left_out, is_deep=is_deep), root, limits, secrets)
    except RecursionError:
        if is_deep:
            raise
        return _dump(_thorough(left_out, is_deep=True), root, limits, secrets)


MakePickler = Callable[[Sink, Limits, dict[int, str], Secrets | None], Any]


def _dump(make: MakePickler, root: object, limits: Limits, secrets: Secrets | None) -> Encoded:
    """Return what a pickler makes of `root`; again, when a secret was found that stands further up in the stream already."""
    for _ in range(_ROUNDS):
        if secrets is not None:
            secrets.grew = False
        encoded = _dump_once(make, root, limits, secrets, None)
        if secrets is None or not secrets.grew:
            return encoded
        if encoded.spill is not None:
            encoded.spill.discard()
    raise pickle.PicklingError("its values change while they are kept")


def _dump_once(make: MakePickler, root: object, limits: Limits, secrets: Secrets | None, looking: Looking | None) -> Encoded:
    sink, lost = Sink(limits.max_bytes, limits.open_spill), {}  # type: Sink, dict[int, str]
    sink.looking = looking
    try:
        pickler = make(sink, limits, lost, secrets)
        pickler.dump(root)
        is_plain = type(pickler) is pickle.Pickler
        if is_plain:
            sink.refuse_main()
        if sink.looking is not None and not (is_plain and not pickler.dispatch_table and sink.is_nameless()):
            sink.refuse_secrets()
    except BaseException as error:
        sink.discard()
        if isinstance(error, Exception) or belongs_to_program(error):
            raise
        raise pickle.PicklingError(type_name(type(error))) from error
    return Encoded(stream=b"".join(sink.chunks), spill=sink.spill, buffers=sink.buffers, lost=lost, secrets=secrets)


def _plain(sink: Sink, limits: Limits, lost: dict[int, str], secrets: Secrets | None) -> pickle.Pickler:
    pickler = pickle.Pickler(sink, 5, buffer_callback=sink.take_buffer)
    pickler.dispatch_table = PlainWays(limits.exclude)
    return pickler


def _robust(sink: Sink, limits: Limits, lost: dict[int, str], secrets: Secrets | None) -> pickle.Pickler:
    pickler = RobustPickler(sink, sink.take_buffer, limits.exclude, lost)
    pickler.is_watched = sink.looking is not None
    return pickler


def _redacting(sink: Sink, limits: Limits, lost: dict[int, str], secrets: Secrets | None) -> pickle.Pickler:
    return RedactingPickler(sink, sink.take_buffer, limits.exclude, lost, secrets)


def _thorough(left_out: LeftOut, *, is_deep: bool) -> MakePickler:
    return lambda sink, limits, lost, secrets: ThoroughPickler(
        sink, sink.take_buffer, limits.exclude, lost, left_out=left_out, is_deep=is_deep, secrets=secrets
    )


def _encode_without(rest: _Rest, *, is_too_large: bool) -> Encoded | None:
    """Return the root without what cannot be kept, which is added to what is left out; None when that is not found out."""
    limits = rest.limits
    for _ in range(_ROUNDS):
        if is_too_large:
            leave_out_largest(rest.containers, limits.max_bytes, limits.exclude, rest.left_out)
        else:
            leave_out_offenders(rest.containers, limits.exclude, rest.left_out)
        try:
            return _dump_thoroughly(rest.root, limits, rest.secrets, rest.left_out)
        except SpillError:
            raise
        except Exception as error:
            let_pass(error)
            is_too_large = isinstance(error, TooLargeError)
    return None


def _encode_nothing(rest: _Rest) -> Encoded:
    """Return the root with placeholders for all that is in its containers; failing even that, placeholders for its own items."""
    leave_out_all(rest.containers, rest.left_out, "not all of these values can be kept together")
    root, secrets = rest.root, rest.secrets
    try:
        return _dump_thoroughly(root, Limits(exclude=rest.limits.exclude), secrets, rest.left_out)
    except Exception as error:
        let_pass(error)
        reason = f"cannot be kept: {type_name(type(error))}"
    items = root.items() if type(root) is dict else [("", root)]
    stand_ins = {}
    for key, value in items:
        described = describe(value)
        text = described["text"] if secrets is None else secrets.cover(described["text"])
        stand_ins[key] = Placeholder(described["type"], text, reason)
    return Encoded(stream=pickle.dumps(stand_ins, 5), lost={id(value): reason for _, value in items}, secrets=secrets)


def decode(stream: bytes | memoryview, buffers: Sequence[memoryview] = (), surroundings: Surroundings | None = None) -> Any:
    """Return the live values of `encode`. Runs foreign code: imports modules and calls constructors.

    A value that cannot be loaded becomes a `Placeholder`, or an instance of a class that says its own is gone. Raises `DamagedError` when
    the stream itself is broken.
    """
    with _collector_paused():
        return load(stream, buffers, surroundings or Surroundings())


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the collector from looking at what is being loaded.

    On Python 3.11 the C unpickler runs it over and over. On all, the first allocation afterwards would walk through everything that was
    loaded: frozen and released at once, it counts as old. A program that has frozen something itself keeps its own.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()


__all__ = ["BUFFER_THRESHOLD", "SPILL_THRESHOLD", "Container", "Encoded", "Limits", "Search", "Spill", "Surroundings", "decode", "encode"]
