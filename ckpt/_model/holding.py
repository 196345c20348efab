"""What a value holds under names, as far as it goes into a stream: items of a dict, fields of an object, what a function takes along.

None of the value's own code runs. What can be imported goes by name, and holds nothing here.
"""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from types import CellType, CodeType, FunctionType, MappingProxyType, MethodType, ModuleType, SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

from ckpt._model.layout import (
    attributes_of,
    definition_of,
    dictionary_of,
    fields_of,
    has_plain_hash,
    is_built_in,
    module_of,
    name_of,
    namespace_of,
)
from ckpt._model.placeholder import Placeholder
from ckpt._model.record import WRAPPER_FILE
from ckpt._model.referring import ModuleReference
from ckpt._model.refusing import MAIN_NAMES, refusal
from ckpt._model.texts import args_of

#: Ways to open a value: not at all, by its items, or by its fields.
CLOSED, MAPPING, SEQUENCE, OBJECT = range(4)
#: Builtins that show, or go through, a container which the interpreter alone knows.
_VIEWS = frozenset(map(type, ({}.keys(), {}.values(), {}.items(), iter([]), iter(()), iter({}.items()), iter({}.values()))))
#: Where a class has its functions.
_FUNCTIONS: dict[type, tuple[str, ...]] = {classmethod: ("__func__",), staticmethod: ("__func__",), property: ("fget", "fset", "fdel")}
_CACHED = type(lru_cache(lambda: None))
_OPENED = _VIEWS | {_CACHED, FunctionType, MappingProxyType, MethodType, SimpleNamespace, *_FUNCTIONS}

_ways: WeakKeyDictionary[type, int] = WeakKeyDictionary()


def way(kind: type) -> int:
    """Return how values of a type are opened."""
    if not has_plain_hash(kind):
        return _choose(kind)
    found = _ways.get(kind)
    if found is None:
        found = _ways[kind] = _choose(kind)
    return found


def _choose(kind: type) -> int:
    for base, found in ((dict, MAPPING), (list, SEQUENCE), (deque, SEQUENCE)):
        if issubclass(kind, base):
            return found
    if issubclass(kind, tuple):
        return OBJECT if type(definition_of(kind, "_fields")) is tuple else SEQUENCE
    if (has_plain_hash(kind) and kind in _OPENED) or issubclass(kind, BaseException | type):  # a type may have a hash of its own
        return OBJECT
    closed = kind is Placeholder or kind is ModuleReference or issubclass(kind, ModuleType)
    return CLOSED if closed or is_built_in(kind) or refusal(kind) is not None else OBJECT


def sequence(value: Any) -> list[Any]:
    """Return the items of a list, a tuple or a deque of another class as the builtin itself has them."""
    kind = type(value)
    base: Any = deque if issubclass(kind, deque) else list if issubclass(kind, list) else tuple
    return list(base.__iter__(value))


def fields(value: Any) -> dict[str, Any]:
    """Return what an object holds, under its names; what has none is under a text that no name is."""
    kind = type(value)
    if issubclass(kind, type):
        return _fields_of_class(value)
    special = _SPECIAL.get(kind) if has_plain_hash(kind) else None
    if special is not None:
        return special(value)  # type: ignore[no-any-return]
    if issubclass(kind, tuple):
        return dict(zip(definition_of(kind, "_fields"), tuple.__iter__(value), strict=False))
    found = fields_of(value)
    if issubclass(kind, BaseException):
        found["()"] = args_of(value)
    return found


def fields_of_all(kind: type, values: Sequence[Any]) -> Iterable[dict[str, Any]]:
    """Return what objects of one type hold, as `fields` does; where a dictionary is all they have, that itself."""
    is_plain = not issubclass(kind, tuple | type | BaseException) and kind not in _OPENED if has_plain_hash(kind) else False
    dictionary = dictionary_of(kind) if is_plain else None
    return map(fields if dictionary is None else dictionary, values)


def _fields_of_class(cls: type) -> dict[str, Any]:
    if _goes_by_name(cls, module_of(cls), name_of(cls)):
        return {}
    found = {name: value for name, value in attributes_of(cls).items() if not name.startswith("__")}
    hidden = [getattr(value, name) for value in found.values() for kind in _FUNCTIONS if type(value) is kind for name in _FUNCTIONS[kind]]
    return {**found, "()": hidden}


def _fields_of_function(function: FunctionType) -> dict[str, Any]:
    code = function.__code__
    if code.co_filename == WRAPPER_FILE:
        return {"()": function.__dict__.get("__wrapped__")}
    if _goes_by_name(function, function.__module__, function.__qualname__):
        return {}
    found = {**function.__dict__, **(function.__kwdefaults__ or {})}
    found.update(zip(code.co_freevars, map(contents, function.__closure__ or ()), strict=True))
    defaults = function.__defaults__ or ()
    found.update(zip(code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount], defaults, strict=True))
    if function.__globals__.get("__name__") in MAIN_NAMES:
        found.update((name, function.__globals__[name]) for name in names_in(code) if name in function.__globals__)
    return found


def _goes_by_name(value: object, module: object, qualname: str) -> bool:
    """Whether a look at its module gives the function or class itself."""
    found = sys.modules.get(module) if type(module) is str and module not in MAIN_NAMES else None
    if found is None or not issubclass(type(found), ModuleType):
        return False
    held: Any = namespace_of(found)
    for name in qualname.split("."):
        inner = held.get(name)
        held = attributes_of(inner) if issubclass(type(inner), type) else {}
    return inner is value


def names_in(code: CodeType) -> set[str]:
    """Return the global names in a code object and in those nested in it."""
    nested = [names_in(constant) for constant in code.co_consts if type(constant) is CodeType]
    return set(code.co_names).union(*nested)


def contents(cell: CellType) -> Any:
    """Return what is in a closure's cell; None for an empty one."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


_SPECIAL: dict[type, Any] = {
    FunctionType: _fields_of_function,
    MethodType: lambda method: {"()": (method.__self__, method.__func__)},
    _CACHED: lambda cached: {"()": cached.__wrapped__},
    partial: lambda call: {**call.keywords, "()": (*call.args, call.func)},
    **{kind: lambda view: {"()": gc.get_referents(view)} for kind in (*_VIEWS, MappingProxyType)},
    **{kind: lambda held, names=names: {name: getattr(held, name) for name in names} for kind, names in _FUNCTIONS.items()},
}
