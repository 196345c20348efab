"""The pickler that gets through anything: what refuses becomes a placeholder, and everything around it stays.

It is the C pickler with a hook on top: the hook sees every object that is not an exact builtin container, text or number, asks it for its
reduction inside a fence, and checks the answer before the C code relies on it. Functions and classes that cannot be imported go by value.
"""

from __future__ import annotations

import copyreg
import functools
import pickle
import sys
from collections.abc import Callable
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import cloudpickle

from ckpt._model import by_value
from ckpt._model.describe import describe, type_name
from ckpt._model.exceptions import reduce_exception
from ckpt._model.interrupts import let_pass
from ckpt._model.layout import definition_of, is_built_in
from ckpt._model.placeholder import Placeholder
from ckpt._model.record import WRAPPER_FILE
from ckpt._model.redact import is_secret
from ckpt._model.referring import (
    has_default_reduction,
    is_importable,
    module_reference,
    needs_no_questions,
    reduce_method,
    reduce_past_getattr,
    reduce_view,
)
from ckpt._model.refusing import MAIN_NAMES, refusal
from ckpt._model.sinks import NeedsRedactionError
from ckpt._model.tensors import reducer_for
from ckpt._model.texts import args_of
from ckpt._model.verbs import stream_dill, stream_new, stream_same, stream_standard

#: A RecursionError where there is room for so many more calls is a reducer's own, not that of a deep structure.
_ROOM = 50
_NESTED: list[Any] = []
for _ in range(_ROOM):
    _NESTED = [_NESTED]


#: (pickler, object) -> how the object is reduced
Way = Callable[["RobustPickler", Any], Any]


class RobustPickler(pickle.Pickler):
    """A C pickler that replaces what it cannot keep. `lost` receives the reason for every replaced object, by `id()`."""

    #: Whether a function or class that holds something under a secret name is refused.
    is_watched = False

    def __init__(
        self, file: Any, take_buffer: Callable[[pickle.PickleBuffer], bool], exclude: tuple[type, ...], lost: dict[int, str]
    ) -> None:
        super().__init__(file, 5, buffer_callback=take_buffer)
        self._exclude = exclude
        self._lost = lost
        #: What was decided for each type.
        self._ways: dict[type, Way] = {}
        self._namespaces: dict[int, by_value.Namespace] = {}
        #: What is known by its address must live as long as the stream is written.
        self._alive: list[object] = []

    def reducer_override(self, obj: Any) -> Any:
        """Return how `obj` is kept; called by the C pickler for everything that is not an exact builtin."""
        try:
            kind = type(obj)
            way = self._ways.get(kind)
            if way is None:
                way = self._ways[kind] = self._choose(kind)
            return way(self, obj)
        except NeedsRedactionError:
            raise
        except RecursionError as error:  # of a deep structure, or of the reducer itself
            if not has_room():
                raise
            return self._give_up(obj, _reason(error))
        except BaseException as error:
            let_pass(error)
            return self._give_up(obj, _reason(error))

    def _choose(self, kind: type) -> Way:  # noqa: PLR0911  a table of questions
        """Return how objects of type `kind` are reduced."""
        if issubclass(kind, type):
            return lambda pickler, cls: pickler._reduce_class(cls)  # noqa: SLF001
        if refusal(kind, self._exclude) is not None:
            return RobustPickler._refuse
        if issubclass(kind, BaseException):
            return RobustPickler._reduce_exception
        if issubclass(kind, ModuleType):
            return RobustPickler._reduce_module
        special = _SPECIAL.get(kind)
        if special is not None:
            return special
        registered = copyreg.dispatch_table.get(kind) or _REGISTERED.get(kind) or reducer_for(kind)
        if registered is not None:
            return lambda pickler, obj: pickler._checked(obj, registered(obj))  # noqa: SLF001
        if has_default_reduction(kind):
            return _reduce_past_getattr if needs_no_questions(kind) else _reduce_by_object
        return _reduce_by_itself if is_built_in(kind) else RobustPickler._reduce_and_check

    def _refuse(self, obj: Any) -> Any:
        for name in ("stdin", "stdout", "stderr"):
            if obj is vars(sys).get(name):
                return stream_standard, (name,)
        return self._give_up(obj, refusal(type(obj), self._exclude) or "")

    def _give_up(self, obj: Any, reason: str) -> tuple[Any, ...]:
        described = describe(obj)
        self._lost[id(obj)] = reason
        self._alive.append(obj)
        return Placeholder(described["type"], described["text"], reason).__reduce__()

    def _reduce_function(self, function: FunctionType) -> Any:
        if is_importable(function):
            return NotImplemented
        if function.__code__.co_filename == WRAPPER_FILE:
            return stream_same, (function.__wrapped__,)  # type: ignore[attr-defined]
        namespace = self._namespaces.get(id(function.__globals__))
        if namespace is None:
            namespace = self._namespaces[id(function.__globals__)] = by_value.namespace_of(function)
            self._alive.append(function)
        reduced = by_value.reduce_function(function, namespace)
        if self.is_watched and by_value.names_secret(function, reduced):
            raise NeedsRedactionError
        return reduced

    def _reduce_class(self, cls: type) -> Any:
        if self._exclude and issubclass(type(cls), self._exclude):
            return self._give_up(cls, "excluded")
        if is_importable(cls):
            return NotImplemented
        if self.is_watched and any(is_secret(name) for name in vars(cls)):
            raise NeedsRedactionError
        return by_value.reduce_class(cls)

    def _reduce_module(self, module: ModuleType) -> Any:
        held = module_reference(module)
        return self._give_up(module, held.ckpt_reason) if isinstance(held, Placeholder) else held.__reduce__()

    def _reduce_with_dill(self, obj: Any) -> Any:
        """Reduce an `lru_cache`d function that cannot be imported: dill keeps its parameters and the function; the cache starts empty."""
        return NotImplemented if is_importable(obj) else (stream_dill, (_dill_dumps(obj),))

    def _reduce_exception(self, error: BaseException) -> Any:
        return self._checked(error, reduce_exception(error))

    def _reduce_and_check(self, obj: Any) -> Any:
        return self._checked(obj, obj.__reduce_ex__(5))

    def _checked(self, obj: Any, reduced: Any) -> Any:
        """Return `reduced` once it is certain that the C pickler will accept it."""
        if type(reduced) is str:
            return reduced if is_importable(obj, reduced) else self._give_up(obj, f"{reduced[:80]!r} cannot be imported")
        if type(reduced) is not tuple or not 2 <= len(reduced) <= 6:  # noqa: PLR2004
            return self._give_up(obj, f"its reduction is a {type_name(type(reduced))}")
        function, args, state, items, pairs, setter = (*reduced, None, None, None, None)[:6]
        if not callable(function) or type(args) is not tuple or not (setter is None or callable(setter)):
            return self._give_up(obj, "its reduction is not one")
        name = getattr(function, "__name__", "")
        if type(name) is str and name in _NEW and not _is_sound(obj, args):
            if name != "__newobj__" or not args:
                return self._give_up(obj, "its reduction makes an object of another class")
            function = stream_new
        kept = (function, args, state, _iterator(items), _iterator(_pairs(pairs)))
        return kept if setter is None else (*kept, setter)


def _iterator(items: Any) -> Any:
    return None if items is None else iter(list(items))


def _pairs(pairs: Any) -> Any:
    return None if pairs is None else [(key, value) for key, value in pairs]


_NEW = frozenset({"__newobj__", "__newobj_ex__"})


def _is_sound(obj: Any, args: tuple[Any, ...]) -> bool:
    """Whether the C pickler will find that an object made from `args` is of the class that `obj` says it is of."""
    return bool(args) and args[0] is type(obj) and definition_of(type(obj), "__class__") is vars(object)["__class__"]


def _reduce_by_itself(pickler: object, obj: Any) -> Any:
    return obj.__reduce_ex__(5)


_reduce = object.__reduce_ex__


def _reduce_by_object(pickler: object, obj: Any) -> Any:
    return _reduce(obj, 5)


def _reduce_past_getattr(pickler: object, obj: Any) -> Any:
    return reduce_past_getattr(obj)


def has_room(levels: int = _ROOM) -> bool:
    """Whether the stack, that of Python and that of C code, still has room for so many more calls."""
    try:
        return has_room(levels - 1) if levels else bool(repr(_NESTED))
    except RecursionError:
        return False


def _reason(error: BaseException) -> str:
    args = args_of(error)
    return f"{type_name(type(error))}: {args[0][:200]}" if args and type(args[0]) is str else type_name(type(error))


def _dill_dumps(obj: Any) -> bytes:
    import dill  # 50 ms, and few captures need it

    dill.extend(use_dill=False)  # importing dill adds its types to the pickle module's own Python pickler: taken back at once
    return dill.dumps(obj, protocol=5, recurse=True)  # type: ignore[no-any-return]


_SPECIAL: dict[type, Way] = {
    # Asked of the pickler: those that redact have ways of their own.
    FunctionType: lambda pickler, function: pickler._reduce_function(function),  # noqa: SLF001
    BuiltinFunctionType: RobustPickler._reduce_and_check,  # noqa: SLF001
    type(functools.lru_cache(lambda: None)): lambda pickler, cached: pickler._reduce_with_dill(cached),  # noqa: SLF001
    MethodType: lambda pickler, method: reduce_method(method),
    memoryview: lambda pickler, view: reduce_view(view),
    CodeType: lambda pickler, code: by_value.reduce_code(code),
    CellType: lambda pickler, cell: by_value.reduce_cell(cell),
}
#: What cloudpickle knows to reduce: descriptors, views of dicts, type variables and the like.
_REGISTERED: dict[type, Callable[[Any], Any]] = cloudpickle.Pickler._dispatch_table  # noqa: SLF001

__all__ = ["MAIN_NAMES", "RobustPickler", "has_default_reduction", "has_room", "is_importable", "module_reference"]
