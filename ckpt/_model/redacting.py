"""The robust pickler for values among which something is secret: placeholders and masked texts go into the stream in its place.

It looks at every dict and every text that is written, also at those inside objects. What the program has is not changed: what is replaced
is replaced in the stream, where one object is one object still. `loading` answers to its persistent ids.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from enum import Enum
from types import FunctionType
from typing import Any

from ckpt._model.holding import contents
from ckpt._model.layout import attributes_of, definition_of
from ckpt._model.redact import holds_something, is_secret_key
from ckpt._model.reducing import RobustPickler
from ckpt._model.searching import Search
from ckpt._model.secrets import Secrets
from ckpt._model.verbs import stream_cell, stream_cell_state

#: So long is a reduction that has the items of a dict.
_WITH_PAIRS = 5


class RedactingPickler(RobustPickler):
    """A robust pickler that leaves out what is secret; all that, when `secrets` is None, is nothing."""

    def __init__(
        self,
        file: Any,
        take_buffer: Callable[[pickle.PickleBuffer], bool],
        exclude: tuple[type, ...],
        lost: dict[int, str],
        secrets: Secrets | None,
    ) -> None:
        super().__init__(file, take_buffer, exclude, lost)
        self._secrets = secrets
        #: How many of the texts that come next name a class or function: module and name are never masked.
        self._names_due = 0
        self._cells: dict[int, Any] = {}
        #: Dicts in which a name is that of a field or parameter, and what is under it says what may be there.
        self._describing: set[int] = set()
        self._numbers: dict[int, int] = {}

    def persistent_id(self, obj: Any) -> Any:
        """Return what stands for an object in the stream; None for one that is written as usual."""
        secrets = self._secrets
        if secrets is None:
            return None
        kind = type(obj)
        if kind is str or kind is bytes or kind is bytearray:
            if self._names_due and kind is str:
                self._names_due -= 1
                return None
            found = secrets.in_place_of(obj)
            return None if found is obj else self._put(obj, found)
        found = secrets.objects.get(id(obj))
        if found is not None:
            return self._put(obj, found)
        if kind is dict and id(obj) not in self._describing:
            held = secrets.without(obj)
            return None if held is None else self._once("dict", obj, lambda: (tuple(held), tuple(held.values())))
        return None

    def _put(self, obj: object, found: Any) -> Any:
        if type(found) is not type(obj):
            self._lost[id(obj)] = found.ckpt_reason
        return self._once("instead", obj, lambda: (found,))

    def _once(self, kind: str, obj: object, content: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
        """Return the persistent id of an object: with its content the first time, by its number from then on."""
        number = self._numbers.get(id(obj))
        if number is not None:
            return kind, number
        self._alive.append(obj)
        self._numbers[id(obj)] = number = len(self._numbers)
        return (kind, number, *content())

    def reducer_override(self, obj: Any) -> Any:
        """Return how `obj` is kept, with what is secret in it left out."""
        if id(obj) in self._cells:
            return stream_cell, (), (self._cells[id(obj)],), None, None, stream_cell_state
        reduced = super().reducer_override(obj)
        if self._secrets is None:
            return reduced
        if type(reduced) is not tuple:
            self._names_due = 2
            return reduced
        return self._redacted(obj, reduced)

    def _redacted(self, obj: Any, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return a reduction with what is in no dict of its own: the items of a dict of another class, the fields of a named tuple."""
        if len(reduced) >= _WITH_PAIRS and reduced[_WITH_PAIRS - 1] is not None:
            pairs = list(reduced[_WITH_PAIRS - 1])
            kept = self._stand_ins([key for key, _ in pairs], [value for _, value in pairs])
            pairs = list(zip([key for key, _ in pairs], kept, strict=True))
            return (*reduced[: _WITH_PAIRS - 1], iter(pairs), *reduced[_WITH_PAIRS:])
        fields = definition_of(type(obj), "_fields") if issubclass(type(obj), tuple) else None
        if type(fields) is tuple and len(reduced[1]) == len(fields) + 1:
            cls, *values = reduced[1]
            return (reduced[0], (cls, *self._stand_ins(fields, values)), *reduced[2:])
        return reduced

    def _stand_ins(self, names: Sequence[Any], values: Sequence[Any]) -> tuple[Any, ...]:
        """Return values with placeholders for those under secret names."""
        assert self._secrets is not None
        return tuple(self._secrets.add(name, value) if _hides(name, value) else value for name, value in zip(names, values, strict=True))

    def _reduce_function(self, function: FunctionType) -> Any:
        reduced = super()._reduce_function(function)
        secrets = self._secrets
        if secrets is None or type(reduced) is not tuple or len(reduced) < 3:  # noqa: PLR2004  it goes by name, or stands for another
            return reduced
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            held = contents(cell)
            if _hides(name, held):
                self._cells[id(cell)] = secrets.add(name, held)
                self._alive.append(cell)
        defaults = function.__defaults__ or ()
        names = function.__code__.co_varnames[function.__code__.co_argcount - len(defaults) : function.__code__.co_argcount]
        if any(map(_hides, names, defaults)):
            reduced[2]["defaults"] = self._stand_ins(names, defaults)
        self._describing.add(id(function.__annotations__))
        return reduced

    def _reduce_with_dill(self, obj: Any) -> Any:
        """Reduce a cached function, of which dill keeps all or nothing."""
        if self._secrets is not None and Search().run([obj]) is not None:
            return self._give_up(obj, "a cached function with something secret in it")
        return super()._reduce_with_dill(obj)

    def _reduce_class(self, cls: type) -> Any:
        reduced = super()._reduce_class(cls)
        if type(reduced) is tuple:
            # Those of an enumeration are its members, which are values.
            made_from = () if len(reduced[1]) < _WITH_PAIRS or issubclass(cls, Enum) else reduced[1][-2]
            dunders = [value for name, value in attributes_of(cls).items() if name.startswith("__")]
            self._describing.update(id(value) for value in (*dunders, *made_from) if type(value) is dict)
            self._alive += [cls, made_from]
        return reduced


def _hides(name: object, value: object) -> bool:
    return is_secret_key(name) and holds_something(value)
