"""Whether two values are the same to a stage: a digest of what they hold, in whatever process they live.

Plain data is digested by content, other objects by what pickle would take of them. Functions, classes and modules, and what wraps them, are
not data: whoever asks says what stands for them.
"""

from __future__ import annotations

import _thread
import copyreg
import hashlib
from collections.abc import Callable
from functools import cached_property, partial, singledispatchmethod
from types import MappingProxyType, MethodType, NoneType
from typing import Any

from ckpt._model.describe import type_name

#: Immutable and without parts: being the same object is being the same value.
SCALARS = frozenset({NoneType, bool, int, float, complex, str, bytes, type(Ellipsis), range})
#: They guard data and are none.
_LOCKS = frozenset({_thread.LockType, _thread.RLock})
#: What tells pickle nothing of what it holds, or not all; mostly put around functions.
_OPENED: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    MethodType: lambda method: (method.__func__, method.__self__),
    partial: lambda call: (call.func, call.args, call.keywords),
    staticmethod: lambda method: (method.__func__,),
    classmethod: lambda method: (method.__func__,),
    property: lambda made: (made.fget, made.fset, made.fdel),
    cached_property: lambda made: (made.func,),
    singledispatchmethod: lambda made: (made.func, made.dispatcher.registry),
    _thread._local: lambda local: (vars(local),),  # noqa: SLF001  it has no other name in C; what this thread sees of it
}
#: Says what stands for a function, a class or a module, or for what wraps one; None for data.
Refer = Callable[[Any], str | None]


class UnhashableError(Exception):
    """A value of which nobody can say whether it is still the same."""


def digest(value: object, refer: Refer) -> str:
    """Return the digest of `value`. Raises `UnhashableError`."""
    try:
        digester = _Digester(refer)
        digester.feed(value)
        return digester.hexdigest()
    except RecursionError:
        raise UnhashableError("it is nested too deep") from None
    except UnhashableError:
        raise
    except Exception as refusal:
        raise UnhashableError(f"{type_name(type(refusal))}: {refusal}") from refusal


class _Digester:
    """One digest being made. An object that was met before is told by its number, so that cycles end."""

    def __init__(self, refer: Refer) -> None:
        self._refer = refer
        self._hash = hashlib.sha256()
        self._numbers: dict[int, int] = {}
        #: Keeps what was made on the way alive, and its id its own.
        self._held: list[object] = []

    def hexdigest(self) -> str:
        return self._hash.hexdigest()[:32]

    def feed(self, value: Any) -> None:
        kind = type(value)
        if kind in SCALARS:
            self._add(kind.__name__, _scalar(value))
        elif kind is bytearray or kind is memoryview:
            self._add("bytearray", bytes(value))
        elif kind in _LOCKS:
            self._add("lock", b"")
        elif not self._is_known(value):
            self._feed_parts(kind, value)

    def _feed_parts(self, kind: type, value: Any) -> None:
        if kind is tuple or kind is list:
            self._feed_all(kind.__name__, value)
        elif kind is dict or kind is MappingProxyType:
            self._feed_all("dict", [part for item in value.items() for part in item])
        elif kind is set or kind is frozenset:
            self._feed_all(kind.__name__, sorted(digest(each, self._refer) for each in value))
        elif kind in _OPENED:
            self._feed_all(kind.__name__, _OPENED[kind](value))
        elif (name := self._refer(value)) is not None:
            self._add("name", name.encode("utf-8", "surrogatepass"))
        else:
            self._feed_reduced(kind, value)

    def _feed_reduced(self, kind: type, value: Any) -> None:
        self._add("object", str(self._refer(kind)).encode("utf-8", "surrogatepass"))
        reduced = copyreg.dispatch_table[kind](value) if kind in copyreg.dispatch_table else value.__reduce_ex__(4)
        if isinstance(reduced, str):
            self._add("name", reduced.encode("utf-8", "surrogatepass"))
        else:
            callee, args, state, items, pairs = (*reduced, None, None, None)[:5]
            self._feed_all("reduced", (callee, args, state, items and list(items), pairs and list(pairs)))

    def _feed_all(self, what: str, parts: Any) -> None:
        self._held.append(parts)
        self._add(what, str(len(parts)).encode())
        for part in parts:
            self.feed(part)

    def _is_known(self, value: object) -> bool:
        number = self._numbers.get(id(value))
        if number is None:
            self._numbers[id(value)] = len(self._numbers)
            self._held.append(value)
            return False
        self._add("again", str(number).encode())
        return True

    def _add(self, what: str, data: bytes) -> None:
        self._hash.update(f"{what} {len(data)} ".encode())
        self._hash.update(data)


def _scalar(value: Any) -> bytes:
    if type(value) is bytes:
        return value
    # In hexadecimal: Python refuses to write long integers in decimal.
    return (hex(value) if type(value) is int else str(value) if type(value) is str else repr(value)).encode("utf-8", "surrogatepass")
