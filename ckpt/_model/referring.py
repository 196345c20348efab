"""What goes into a stream by reference, or as something else that stands for it: modules, methods, views, and what can be imported.

The reducers here run no code of the user's, and serve the plain pickler as well as the robust one.
"""

from __future__ import annotations

import copyreg
import operator
import pickle
import sys
from collections.abc import Callable
from types import MethodType, ModuleType
from typing import Any

from ckpt._model.describe import describe
from ckpt._model.exceptions import reduce_exception
from ckpt._model.layout import definition_of, fields_of, is_built_in, namespace_of
from ckpt._model.placeholder import Placeholder
from ckpt._model.refusing import MAIN_NAMES, is_of_main, refusal
from ckpt._model.sinks import NeedsCareError
from ckpt._model.tensors import reducer_for
from ckpt._model.verbs import stream_method, stream_module, stream_state, stream_view

#: The default: what an object's own `__reduce_ex__` says, at the speed of C.
_reduce_by_itself: Callable[[Any], Any] = operator.methodcaller("__reduce_ex__", 5)


class ModuleReference:
    """Stands for a module in values that are about to be encoded, so that the C pickler need not refuse it."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        return stream_module, (self.name,)


def module_reference(module: ModuleType) -> ModuleReference | Placeholder:
    """Return what stands for `module` in a stream: its name, or a placeholder for one made by hand."""
    name = namespace_of(module).get("__name__")
    if type(name) is str and sys.modules.get(name) is module and name not in MAIN_NAMES:
        return ModuleReference(name)
    return Placeholder("module", describe(module)["text"], "a module that cannot be imported")


def is_importable(obj: Any, qualname: str | None = None) -> bool:
    """Whether importing `obj.__module__` and following its qualified name gives `obj` itself, in another process too."""
    module_name = getattr(obj, "__module__", None)
    path = qualname or getattr(obj, "__qualname__", None)
    if type(path) is not str:
        return False
    if type(module_name) is not str:
        module_name = pickle.whichmodule(obj, path)  # type: ignore[attr-defined]
    if module_name in MAIN_NAMES or module_name not in sys.modules:
        return False
    found: Any = sys.modules[module_name]
    for name in path.split("."):
        found = getattr(found, name, None)
    return found is obj


def reduce_method(method: MethodType) -> tuple[Any, ...]:
    """Return a bound method as function and object: looking its name up again may find another, or fail."""
    return stream_method, (method.__func__, method.__self__)


def reduce_view(view: memoryview) -> tuple[Any, ...]:
    """Return a view of the same bytes, which are no longer those of another object."""
    held = pickle.PickleBuffer(view) if view.c_contiguous else view.tobytes()
    return stream_view, (held, view.format, view.shape)


def reduce_past_getattr(obj: Any) -> tuple[Any, ...]:
    """Return the default reduction without asking the object for anything: its `__getattr__` would answer."""
    kind = type(obj)
    items = iter(list(list.__iter__(obj))) if issubclass(kind, list) else None
    pairs = iter(list(dict.items(obj))) if issubclass(kind, dict) else None
    return copyreg.__newobj__, (kind,), fields_of(obj) or None, items, pairs, stream_state  # type: ignore[attr-defined]


#: What a class must have left alone for its objects to be reduced by `object`, without any code of the class but `__getattr__`.
_DEFAULTS = {name: vars(object)[name] for name in ("__reduce_ex__", "__reduce__", "__getstate__", "__getattribute__", "__class__")}


def has_default_reduction(kind: type) -> bool:
    """Whether objects of a class defined in Python are reduced by `object` alone."""
    if is_built_in(kind) or any(definition_of(kind, name) is not default for name, default in _DEFAULTS.items()):
        return False
    if any(definition_of(kind, name) is not None for name in ("__getnewargs_ex__", "__getnewargs__")):
        return False
    if issubclass(kind, dict) and definition_of(kind, "items") is not vars(dict)["items"]:
        return False
    return not issubclass(kind, list) or definition_of(kind, "__iter__") is vars(list)["__iter__"]


def needs_no_questions(kind: type) -> bool:
    """Whether objects of a class are to be reduced, and filled again, without asking them: their `__getattr__` might answer."""
    return definition_of(kind, "__getattr__") is not None and definition_of(kind, "__setstate__") is None and has_default_reduction(kind)


class PlainWays(dict[type, Callable[[Any], Any]]):
    """The dispatch table of the plain pickler: asked once for each type in a stream, then it answers at the speed of C."""

    __slots__ = ("_exclude",)

    def __init__(self, exclude: tuple[type, ...]) -> None:
        self._exclude = exclude

    def __missing__(self, kind: type) -> Callable[[Any], Any]:
        if issubclass(kind, type):
            raise KeyError(kind)  # classes are saved by name
        way = self[kind] = self._choose(kind)
        return way

    def _choose(self, kind: type) -> Callable[[Any], Any]:
        if is_of_main(kind) or refusal(kind, self._exclude) is not None:
            raise NeedsCareError
        if issubclass(kind, BaseException):
            return reduce_exception
        if issubclass(kind, ModuleType):
            return _reduce_module
        found = _PLAIN.get(kind) or copyreg.dispatch_table.get(kind) or reducer_for(kind)
        return found or (reduce_past_getattr if needs_no_questions(kind) else _reduce_by_itself)


def _reduce_module(module: ModuleType) -> tuple[Any, ...]:
    return module_reference(module).__reduce__()


_PLAIN: dict[type, Callable[[Any], Any]] = {MethodType: reduce_method, memoryview: reduce_view}
