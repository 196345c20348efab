"""The pickler of last resort: for values that the robust one cannot follow, because they change, are too large, or too deep.

- Dicts and sets are written from a snapshot, so that another thread may go on changing them.
- What is to be left out is left out wherever it lies, builtin containers and texts included.
- Depth: objects are written without their state, and get it later, so that no chain of objects can exhaust the stack. For chains of
  containers the deepest are written first, so that the pickler's memo bounds every descent.

It is several times as slow as the robust one: it is asked about every single object. `loading` answers to its persistent ids.
"""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable
from typing import Any

from ckpt._model.layout import definition_of, has_plain_hash, is_one_of
from ckpt._model.redacting import RedactingPickler
from ckpt._model.referring import has_default_reduction
from ckpt._model.refusing import refusal
from ckpt._model.secrets import Secrets
from ckpt._model.verbs import DEEP

#: Distance between the levels whose objects are written first.
_STEP = 25
#: How often an object may be met while it is being written; functions meet themselves in their own closures.
_ROUNDS = 5

#: Objects by `id()` that are left out, and why.
LeftOut = dict[int, tuple[object, str]]


class ThoroughPickler(RedactingPickler):
    """A robust pickler for values that change, are too large, or (`is_deep`) too deep."""

    def __init__(  # noqa: PLR0913  those of a redacting pickler, and two
        self,
        file: Any,
        take_buffer: Callable[[pickle.PickleBuffer], bool],
        exclude: tuple[type, ...],
        lost: dict[int, str],
        *,
        left_out: LeftOut,
        is_deep: bool,
        secrets: Secrets | None = None,
    ) -> None:
        super().__init__(file, take_buffer, exclude, lost, secrets)
        self._left_out = left_out
        self._is_deep = is_deep
        #: Objects that are keys or members somewhere, and whose hash may need their state.
        self._hashed: set[int] = set()
        self._waiting: list[tuple[Any, ...]] = []
        self._walked: dict[type, bool] = {}
        self._asked: dict[int, int] = {}

    def dump(self, root: Any) -> None:
        """Write `root`, and all that had to wait."""
        if not self._is_deep:
            super().dump(root)
            return
        super().dump(DEEP)
        super().dump(self._stepping_stones(root))
        super().dump(root)
        while self._waiting:
            states, self._waiting = self._waiting, []
            super().dump(states)

    def persistent_id(self, obj: Any) -> Any:
        """Return what stands for an object in the stream; None for one that is written as usual."""
        kind = type(obj)
        if id(obj) in self._left_out:
            return self._once("lost", obj, lambda: self._lose(obj, self._left_out[id(obj)][1]))
        found = super().persistent_id(obj)
        if found is not None:
            return found
        if kind is dict:
            return self._once("dict", obj, lambda: _halves(obj))
        if kind is set:
            return self._once("set", obj, lambda: (tuple(obj),))
        if kind is pickle.PickleBuffer and not _is_contiguous(obj):
            return self._once("lost", obj, lambda: self._lose(obj, "a buffer in pieces"))
        return None

    def _lose(self, obj: object, reason: str) -> tuple[Any, ...]:
        described: tuple[Any, ...] = self._give_up(obj, reason)[1]
        return described

    def reducer_override(self, obj: Any) -> Any:
        """Return how `obj` is kept, without its state when that has to wait."""
        times = self._asked[id(obj)] = self._asked.get(id(obj), 0) + 1
        if times > _ROUNDS:  # it is not in the memo yet: it is among the arguments it is made from
            return self._give_up(obj, "its reduction contains itself")
        try:
            reduced = super().reducer_override(obj)
        except RecursionError:
            if not self._is_deep:
                raise
            return self._give_up(obj, "nested too deep")
        if type(reduced) is not tuple or len(reduced) < 3:  # noqa: PLR2004
            return reduced
        function, args, state, items, pairs, setter = (*reduced, None, None, None)[:6]
        items, pairs = None if items is None else list(items), None if pairs is None else list(pairs)
        if self._is_deep and self._may_wait(obj):
            self._waiting.append((obj, setter, state, items, pairs))
            return function, args
        return (*reduced[:3], None if items is None else iter(items), None if pairs is None else iter(pairs), *reduced[5:])

    def _may_wait(self, obj: object) -> bool:
        kind = type(obj)
        if id(obj) in self._hashed and definition_of(kind, "__hash__") is not object.__hash__:
            return False  # it is hashed as soon as it is made
        return issubclass(kind, BaseException) or (has_default_reduction(kind) and definition_of(kind, "__setstate__") is None)

    def _stepping_stones(self, root: object) -> list[object]:
        """Return the objects at every `_STEP`-th level of a breadth-first walk from `root`, deepest first. Runs no code of theirs."""
        seen, level, stones, depth = {id(root)}, [root], [], 0
        while level:
            following = []
            for child in gc.get_referents(*level):
                if id(child) not in seen and self._is_walked(type(child)) and not self._is_left_out(child):
                    seen.add(id(child))
                    following.append(child)
                    if is_one_of(type(child), _HASHING):
                        self._hashed.update(map(id, tuple(child)))
            depth += 1
            if depth % _STEP == 0:
                stones.append(following)
            level = following
        return [stone for stones_of_level in reversed(stones) for stone in stones_of_level]

    def _is_left_out(self, obj: object) -> bool:
        return id(obj) in self._left_out or (self._secrets is not None and id(obj) in self._secrets.objects)

    def _is_walked(self, kind: type) -> bool:
        """Whether the pickler goes on from objects of type `kind` to what they refer to, and nothing else."""
        if is_one_of(kind, _CONTAINERS):
            return True
        if not has_plain_hash(kind):
            return False
        if kind not in self._walked:
            self._walked[kind] = refusal(kind, self._exclude) is None and has_default_reduction(kind)
        return self._walked[kind]


def _is_contiguous(buffer: pickle.PickleBuffer) -> bool:
    try:
        buffer.raw().release()
    except BufferError:
        return False
    return True


def _halves(held: dict[Any, Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the keys and the values of a dict at one instant: copying it is one step, whatever other threads do."""
    copy = held.copy()
    return tuple(copy), tuple(copy.values())


#: Containers that hash what they hold, or what is in it.
_HASHING = (dict, set, frozenset)
_CONTAINERS = (list, tuple, *_HASHING)
