"""Whether there is something secret among the values of one moment: a look at names, as deep as a recorder can afford.

Variables first, then what lies in them, level by level: dicts, lists, tuples, and the fields of objects. Lists are judged by their types,
and dicts in a list by all their keys together, at the speed of C. What is found makes the pickler look at every dict that it writes; so
this need not find everything, but one of each kind. No code of the values runs, but `__eq__` of keys that are no texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, MutableMapping, Sequence
from itertools import chain, islice, repeat
from operator import is_
from typing import Any

from ckpt._model.holding import CLOSED, MAPPING, SEQUENCE, fields_of_all, sequence, way
from ckpt._model.interrupts import let_pass
from ckpt._model.layout import is_built_in
from ckpt._model.placeholder import Placeholder
from ckpt._model.redact import holds_something, is_secret_key, passwords_in, suspects
from ckpt._model.referring import ModuleReference
from ckpt._model.secrets import Secrets

Variables = MutableMapping[Any, Any] | list[Any]

#: How deep containers and objects are opened, and how many objects of one type.
_DEPTH, _OBJECTS = 8, 1_000
#: In a container of more items of one type than this, and among more values of one depth, so many are looked at, evenly spaced; of a list
#: of dicts, the keys of so many; and of dicts with the same keys, the values of so many.
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
        self._counts: Counter[int] = Counter()

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
                level = self._open(level if len(level) <= _ITEMS else [*chain.from_iterable(map(_some, _by_type(level)))])
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
        others: dict[int, list[Any]] = {}
        for value in level:
            kind = type(value)
            if kind is dict:
                dicts.append(value)
            elif kind is list or kind is tuple:
                inside += value if len(value) <= _ITEMS else self._items(value)
            elif kind is str:
                self._read(value)
            else:
                others.setdefault(id(kind), []).append(value)
        for same in others.values():
            inside += self._others(same, dicts)
        if dicts:
            self._read_names(dicts)
            for held in chain.from_iterable([_some(same, _SOME) for same in _by_shape(dicts)]) if len(dicts) > _SOME else dicts:
                inside += dict.values(held) if dict.__len__(held) <= _ITEMS else _some(list(dict.values(held)))
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

    def _items(self, items: Any) -> list[Any]:
        """Return some items of a long list, of each type; of dicts, more keys are looked at."""
        found: list[Any] = []
        for same in _by_type(items):
            if type(same[0]) is dict:
                self._read_names(same if len(same) <= _DICTS else [*_some(same, _DICTS), *_odd(same)])
            found += _some(same)
        return found

    def _others(self, same: list[Any], dicts: list[dict[Any, Any]]) -> list[Any]:
        """Return what is in values of one type that is no plain container; what is under names in them goes to `dicts`."""
        kind = type(same[0])
        found = way(kind)
        if found == CLOSED:
            return []
        new = {id(value): value for value in same if id(value) not in self._seen}
        self._seen.update(new)
        if found == SEQUENCE:
            return [*chain.from_iterable([_some(sequence(value)) for value in new.values()])]
        if found == MAPPING:
            dicts += new.values()
            return []
        is_first, room = id(kind) not in self._counts, max(_OBJECTS - self._counts[id(kind)], 0)
        opened = [*islice(new.values(), room)]
        self._counts[id(kind)] += len(opened)
        dicts += fields_of_all(kind, opened)
        # The class of a first object: where no import finds it, it goes with the object.
        return [kind] if is_first and not is_built_in(kind) else []

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
    """Return the keys of a dict; of one with so many that most are no names, those that look like one of a secret."""
    if dict.__len__(held) > _ITEMS:
        return _some(suspects(list(dict.keys(held))))
    return held if type(held) is dict else list(dict.keys(held))


def _keys(held: Variables) -> list[Any]:
    return list(range(len(held)) if isinstance(held, list) else held)


def _some(items: Any, most: int = _ITEMS) -> Any:
    """Return at most so many items, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return items
    return [*items[:: -(-len(items) // (most - 1))], items[-1]]


def _by_type(items: Any) -> list[Any]:
    """Return the items in groups of one type; the plain ones, in which there are no names, together and first."""
    if all(map(is_, map(type, items), repeat(type(items[0])))):
        return [items]
    groups: dict[int, list[Any]] = {kind: [] for kind in set(map(id, map(type, items))) - _PLAIN}
    plain = [item for item in items if (group := groups.get(id(type(item)))) is None or group.append(item)]  # type: ignore[func-returns-value]
    return [plain, *groups.values()] if plain else [*groups.values()]


def _by_shape(dicts: list[dict[Any, Any]]) -> list[list[dict[Any, Any]]]:
    """Return dicts in groups that have the same keys; many keys, and those with a hash of their own, are only counted."""
    groups: dict[Any, list[dict[Any, Any]]] = {}
    for held in dicts:
        keys = dict.keys(held)
        is_plain = len(keys) <= _SHORT and _PLAIN.issuperset(map(id, map(type, keys)))
        groups.setdefault(tuple(keys) if is_plain else len(keys), []).append(held)
    return [*groups.values()]


def _odd(items: Any) -> list[dict[Any, Any]]:
    """Return the dicts whose length is not that of one of those that are looked at anyway."""
    lengths = set(map(len, _some(items)))
    return [] if lengths.issuperset(map(len, items)) else [item for item in items if len(item) not in lengths]
