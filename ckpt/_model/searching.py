"""Whether there is something secret among the values of one moment: a look at names, as deep as a recorder can afford.

Variables first, then what lies in them, level by level: dicts, lists, tuples, and the fields of objects. Lists are judged by their types,
and dicts in a list by all their keys together, at the speed of C. What is found makes the pickler look at every dict that it writes; so
this need not find everything, but one of each kind. No code of the values runs, but `__eq__` of keys that are no texts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, MutableMapping
from functools import partial
from itertools import islice
from operator import countOf
from types import MethodType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from ckpt._model.layout import definition_of, fields_of, has_plain_hash, is_built_in
from ckpt._model.placeholder import Placeholder
from ckpt._model.redact import holds_something, is_secret_key, passwords_in
from ckpt._model.referring import ModuleReference
from ckpt._model.refusing import refusal
from ckpt._model.secrets import Secrets
from ckpt._model.texts import args_of

Variables = MutableMapping[Any, Any] | list[Any]

#: How deep containers and objects are opened, and how many objects.
_DEPTH, _OBJECTS = 8, 200
#: In a container of more items than this, so many are looked at, evenly spaced; of a list of dicts, the keys of so many.
_ITEMS, _DICTS = 1_000, 10_000
#: Up to so many dicts are looked at one by one. A text of more characters is not looked at.
_FEW, _TEXT = 32, 1 << 16

_PLAIN = frozenset(map(id, (type(None), bool, int, float, complex, str, bytes)))
_DICT, _LIST = id(dict), id(list)


def is_innocent(value: Any) -> bool:
    """Whether a glance tells that there is nothing secret in a value; false where a search has to."""
    kind = type(value)
    if kind is int or kind is float:
        return True
    if id(kind) in _PLAIN:
        return kind is not str or len(value) > _TEXT or "://" not in value
    if (kind is not tuple and kind is not list) or len(value) > _FEW:
        return False
    for item in value:
        kind = type(item)
        if kind is not float and kind is not int and kind is not str and id(kind) not in _PLAIN:  # a type may have a hash of its own
            return False
    return True


class Search:
    """One search; `secrets` is None as long as nothing was found, or known before."""

    def __init__(self, known: Secrets | None = None) -> None:
        self.secrets = known
        self._taken: list[Variables] = []
        self._level: list[Any] = []
        self._seen: set[int] = set()
        self._objects = _OBJECTS

    def take(self, held: Variables, names: Iterable[Any]) -> None:
        """Put placeholders into a dict of variables, or a list of arguments, the recorder's own, for those with secret names.

        `names` are those of the items, one for each. The other items are looked into by `run`.
        """
        self._taken.append(held)
        for key, name in zip(_keys(held), names, strict=False):
            value = held[key]
            if _hides(name, value):
                held[key] = self._found(name, value)
            elif not is_innocent(value):
                self._level.append(value)

    def run(self, values: Iterable[Any] = ()) -> Secrets | None:
        """Look into everything that was taken, and into these values; return what was found."""
        self._level += values
        for _ in range(_DEPTH):
            level, self._level = self._level, []
            for value in level:
                self._open(value)
        if self.secrets is not None:
            for held in self._taken:
                self._take_out(held, self.secrets)
        return self.secrets

    def _take_out(self, held: Variables, secrets: Secrets) -> None:
        """Put placeholders for what has a secret name elsewhere."""
        for key in _keys(held):
            found = secrets.stand_in_for(held[key])
            if found is not None:
                held[key] = found

    def _found(self, name: Any, value: Any) -> Any:
        if self.secrets is None:
            self.secrets = Secrets()
        return self.secrets.add(name, value)

    def _open(self, value: Any) -> None:
        """Look at what is in a value, and note what there is to be opened next."""
        kind = type(value)
        if kind is str:
            self._read(value)
        elif id(kind) not in _PLAIN and id(value) not in self._seen:
            self._seen.add(id(value))
            way = _way(kind)
            if way == _DICT:
                self._open_pairs(_some(list(dict.items(value))))
            elif way == _LIST:
                self._open_items(_sequence(value))
            elif way == _OBJECT and self._objects:
                self._objects -= 1
                self._open_pairs(_fields(value))

    def _read(self, text: str) -> None:
        if len(text) <= _TEXT and passwords_in(text):
            if self.secrets is None:
                self.secrets = Secrets()
            self.secrets.add_passwords(text)

    def _open_pairs(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        for key, value in pairs:
            if _hides(key, value):
                self._found(key, value)
            elif not is_innocent(value):
                self._level.append(value)

    def _open_items(self, items: Any) -> None:
        some = _some(items)
        kinds = set(map(id, map(type, some)))
        if kinds == {_DICT} and len(items) > _FEW:
            self._open_dicts(items, {len(each) for each in some})
        elif not kinds <= _PLAIN:  # the texts among them are looked at in the stream
            self._level += [item for item in some if not is_innocent(item)]

    def _open_dicts(self, items: Any, lengths: set[int]) -> None:
        """Look at many dicts: at their keys together, and into a few."""
        dicts = _dicts_among(_some(items, _DICTS))
        odd = _odd(items, lengths) if len(items) > _DICTS else []
        names: set[Any] = set().union(*dicts, *odd)
        secret = [name for name in names if is_secret_key(name)]
        held = ((name, each[name]) for each in (*dicts, *odd) for name in secret if name in each)
        found = next((pair for pair in held if _hides(*pair)), None)
        if found is not None:
            self._found(*found)
        self._level += _some(dicts, _FEW)


def _hides(name: object, value: object) -> bool:
    return is_secret_key(name) and holds_something(value) and type(value) is not ModuleReference and type(value) is not Placeholder


def _keys(held: Variables) -> list[Any]:
    return list(range(len(held)) if isinstance(held, list) else held)


#: Ways to open what is no exact container: by its fields, or not at all.
_OBJECT, _CLOSED = 1, 0
_EXACT = {_DICT: _DICT, _LIST: _LIST, id(tuple): _LIST}
_ways: WeakKeyDictionary[type, int] = WeakKeyDictionary()


def _way(kind: type) -> int:
    """Return how values of a type are opened: as a dict, as a list, by their fields, or not at all."""
    exact = _EXACT.get(id(kind))
    if exact is not None:
        return exact
    if not has_plain_hash(kind):
        return _choose(kind)
    found = _ways.get(kind)
    if found is None:
        found = _ways[kind] = _choose(kind)
    return found


def _choose(kind: type) -> int:
    for base, way in ((dict, _DICT), (list, _LIST), (deque, _LIST)):
        if issubclass(kind, base):
            return way
    if issubclass(kind, tuple):
        return _OBJECT if type(definition_of(kind, "_fields")) is tuple else _LIST
    if kind is MethodType or issubclass(kind, BaseException):
        return _OBJECT
    closed = kind is Placeholder or kind is ModuleReference or issubclass(kind, type | ModuleType)
    return _CLOSED if closed or is_built_in(kind) or refusal(kind) is not None else _OBJECT


def _fields(value: Any) -> list[tuple[Any, Any]]:
    """Return what an object holds, under its names."""
    kind = type(value)
    if kind is partial:
        return [*value.keywords.items(), ("args", value.args), ("func", value.func)]
    if kind is MethodType:
        return [("__self__", value.__self__)]
    if issubclass(kind, tuple):
        return list(zip(definition_of(kind, "_fields"), tuple.__iter__(value), strict=False))
    fields = fields_of(value)
    if issubclass(kind, BaseException):
        fields["args"] = args_of(value)
    return list(islice(fields.items(), _ITEMS))


def _sequence(value: Any) -> Any:
    """Return the items of a list, a tuple or a deque as the builtin itself has them."""
    kind = type(value)
    if kind is list or kind is tuple:
        return value
    base: Any = deque if issubclass(kind, deque) else list if issubclass(kind, list) else tuple
    return list(base.__iter__(value))


def _some(items: Any, most: int = _ITEMS) -> Any:
    """Return at most so many items, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return items
    return [*items[:: -(-len(items) // (most - 1))], items[-1]]


def _dicts_among(items: Any) -> list[dict[Any, Any]]:
    return items if countOf(map(type, items), dict) == len(items) else [item for item in items if type(item) is dict]


def _odd(items: Any, lengths: set[int]) -> list[dict[Any, Any]]:
    """Return the dicts of other lengths than these; all that there are, when not all items are dicts."""
    try:
        if lengths.issuperset(map(dict.__len__, items)):
            return []
    except TypeError:
        lengths = set()
    return [item for item in items if type(item) is dict and len(item) not in lengths]

