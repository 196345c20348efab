"""Whether there is something secret among the values of one moment: a look at names, as deep as a recorder can afford.

Variables first, then what lies in them, level by level: dicts, lists, tuples, and the fields of objects. Lists are judged by their types,
and dicts in a list by all their keys together, at the speed of C. What is found makes the pickler look at every dict that it writes; so
this need not find everything, but one of each kind. No code of the values runs, but `__eq__` of keys that are no texts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, MutableMapping, Sequence
from functools import partial
from itertools import islice
from operator import countOf
from types import MethodType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from ckpt._model.interrupts import let_pass
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
#: In a container of more items than this, and among more values of one depth, so many are looked at, evenly spaced; of a list of dicts,
#: the keys of so many, and of so many their values.
_ITEMS, _DICTS, _SOME = 1_000, 10_000, 100
#: So many items of a list are looked at in passing, and so many secrets noted. A text of more characters is not looked at.
_SHORT, _TEXT = 32, 1 << 16

_PLAIN = frozenset(map(id, (type(None), bool, int, float, complex, str, bytes)))


def is_innocent(value: Any) -> bool:
    """Whether a glance tells that there is nothing secret in a value; false where a search has to."""
    kind = type(value)
    if kind is int or kind is float:
        return True
    if id(kind) in _PLAIN:
        return kind is not str or not _has_url(value)
    if (kind is not tuple and kind is not list) or len(value) > _SHORT:
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
        level = [*self._level, *values]
        try:
            for _ in range(_DEPTH):
                if not level:
                    break
                level = self._open(_some(level))
        except Exception as error:  # another thread changes what is looked at, or a key has an opinion on others
            let_pass(error)
            self.secrets = self.secrets or Secrets()
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

    def _open(self, level: list[Any]) -> list[Any]:
        """Look at the names in all values of one depth; return the containers and objects that lie in them."""
        dicts: list[dict[Any, Any]] = []
        inside: list[Any] = []
        for value in level:
            kind = type(value)
            if kind is dict:
                dicts.append(value)
            elif kind is list or kind is tuple:
                inside += value if len(value) <= _ITEMS else self._items(value)
            else:
                inside += self._others(value, kind)
        if dicts:
            self._read_names(dicts)
            for held in _some(dicts, _SOME):
                inside += held.values() if len(held) <= _ITEMS else _some(list(held.values()))
        return [
            value for value in inside if (kind := type(value)) is not int and (_has_url(value) if kind is str else id(kind) not in _PLAIN)
        ]

    def _read_names(self, dicts: Sequence[dict[Any, Any]]) -> None:
        """Look at the keys of many dicts together; a few secrets are as good as all."""
        names = _names(dicts[0]) if len(dicts) == 1 else set().union(*map(_names, dicts))
        secret = [name for name in names if is_secret_key(name)]
        if secret:
            held = ((name, dict.__getitem__(each, name)) for each in dicts for name in secret if dict.__contains__(each, name))
            for name, value in islice((pair for pair in held if _hides(*pair)), _SHORT):
                self._found(name, value)

    def _items(self, items: Any) -> Any:
        """Return some items of a long list; of dicts, more keys are looked at."""
        some = _some(items)
        if countOf(map(type, some), dict) == len(some):
            self._read_names([*_dicts_among(_some(items, _DICTS)), *_odd(items, {len(each) for each in some})])
        return some

    def _others(self, value: Any, kind: type) -> Iterable[Any]:
        """Look at the names in a value that is no plain container; return what is in it."""
        if kind is str:
            self._read(value)
            return ()
        way = _CLOSED if id(value) in self._seen else _way(kind)
        self._seen.add(id(value))
        if way == _SEQUENCE:
            return list(_some(_sequence(value)))
        if way == _OBJECT and self._objects:
            self._objects -= 1
            way, value = _MAPPING, _fields(value)
        if way == _MAPPING:
            self._read_names([value])
            return islice(dict.values(value), _ITEMS)
        return ()

    def _read(self, text: str) -> None:
        if passwords_in(text):
            if self.secrets is None:
                self.secrets = Secrets()
            self.secrets.add_passwords(text)


def _has_url(text: str) -> bool:
    return len(text) <= _TEXT and "://" in text


def _hides(name: object, value: object) -> bool:
    return is_secret_key(name) and holds_something(value) and type(value) is not ModuleReference and type(value) is not Placeholder


def _names(held: dict[Any, Any]) -> Any:
    """Return the keys of a dict; of one with so many that they are no names, a few."""
    if dict.__len__(held) > _ITEMS:
        return _some(list(dict.keys(held)), _SOME)
    return held if type(held) is dict else list(dict.keys(held))


def _keys(held: Variables) -> list[Any]:
    return list(range(len(held)) if isinstance(held, list) else held)


#: Ways to open what is no plain container: not at all, by its items, or by its fields.
_CLOSED, _MAPPING, _SEQUENCE, _OBJECT = range(4)
_ways: WeakKeyDictionary[type, int] = WeakKeyDictionary()


def _way(kind: type) -> int:
    """Return how values of a type are opened."""
    if not has_plain_hash(kind):
        return _choose(kind)
    found = _ways.get(kind)
    if found is None:
        found = _ways[kind] = _choose(kind)
    return found


def _choose(kind: type) -> int:
    for base, way in ((dict, _MAPPING), (list, _SEQUENCE), (deque, _SEQUENCE)):
        if issubclass(kind, base):
            return way
    if issubclass(kind, tuple):
        return _OBJECT if type(definition_of(kind, "_fields")) is tuple else _SEQUENCE
    if kind is MethodType or issubclass(kind, BaseException):
        return _OBJECT
    closed = kind is Placeholder or kind is ModuleReference or issubclass(kind, type | ModuleType)
    return _CLOSED if closed or is_built_in(kind) or refusal(kind) is not None else _OBJECT


def _fields(value: Any) -> dict[str, Any]:
    """Return what an object holds, under its names."""
    kind = type(value)
    if kind is partial:
        return {**value.keywords, "()": (*value.args, value.func)}
    if kind is MethodType:
        return {"()": value.__self__}
    if issubclass(kind, tuple):
        return dict(zip(definition_of(kind, "_fields"), tuple.__iter__(value), strict=False))
    fields = fields_of(value)
    if issubclass(kind, BaseException):
        fields["()"] = args_of(value)
    return fields


def _sequence(value: Any) -> list[Any]:
    """Return the items of a list, a tuple or a deque of another class as the builtin itself has them."""
    kind = type(value)
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
