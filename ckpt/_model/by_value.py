"""Functions and classes that no import finds, by value: of `__main__` and notebooks, lambdas, closures, classes made in a function.

A function keeps its code, its cells, which closures share, and of its globals those that its code names. One made in a module that can be
imported has that module's globals, by reference. Classes are taken apart by cloudpickle.
"""

from __future__ import annotations

import marshal
import os
import pickle
import sys
from collections.abc import Iterator
from importlib.util import MAGIC_NUMBER
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from cloudpickle.cloudpickle import _class_reduce, _extract_code_globals

from ckpt._model.layout import is_built_in
from ckpt._model.redact import is_secret
from ckpt._model.refusing import MAIN_NAMES
from ckpt._model.verbs import (
    stream_by_value,
    stream_cell,
    stream_cell_state,
    stream_class_state,
    stream_code,
    stream_function,
    stream_function_state,
    stream_namespace,
)

#: By-value classes by an id of ours, and the other way round: loading one where it is alive gives the live one.
_classes: WeakValueDictionary[str, type] = WeakValueDictionary()
_ids: WeakKeyDictionary[type, str] = WeakKeyDictionary()


class Namespace:
    """Stands for a function's globals in a stream: those of a module that can be imported, or a few kept by value.

    Functions that share their globals share one of these, and so share their globals when they are loaded.
    """

    __slots__ = ("held", "module")

    def __init__(self, module: str, held: dict[str, Any]) -> None:
        self.module = module
        self.held = held

    def __reduce__(self) -> tuple[Any, ...]:
        return stream_namespace, (self.module, self.held)


def namespace_of(function: FunctionType) -> Namespace:
    """Return what stands for the globals of `function`, without the values that its code names."""
    held = function.__globals__
    name = held.get("__name__")
    module = sys.modules.get(name) if type(name) is str and name not in MAIN_NAMES else None
    if type(module) is ModuleType and vars(module) is held:
        return Namespace(name, {})  # type: ignore[arg-type]
    return Namespace("", {key: held[key] for key in ("__name__", "__package__", "__file__") if type(held.get(key)) is str})


def reduce_function(function: FunctionType, namespace: Namespace) -> tuple[Any, ...]:
    """Return a reduction of a function by value; its state comes after it, so that it may refer to itself."""
    code, held = function.__code__, function.__globals__
    wanted = () if namespace.module else _extract_code_globals(code)
    kept = {name: held[name] for name in wanted if name in held}
    state = {
        "name": function.__name__,
        "qualname": function.__qualname__,
        "module": function.__module__,
        "doc": function.__doc__,
        "defaults": function.__defaults__,
        "kwdefaults": function.__kwdefaults__,
        "annotations": function.__annotations__,
        "fields": function.__dict__,
        "globals": kept,
        "imports": list(_submodules(code, kept)),
    }
    named = (_text(function.__module__), _text(function.__qualname__), stream_function, (code, namespace, function.__closure__), "")
    return stream_by_value, named, state, None, None, stream_function_state


def names_secret(function: FunctionType, reduced: tuple[Any, ...]) -> bool:
    """Whether a function that goes by value has a global, a variable of its own or a default under a secret name."""
    code = function.__code__
    given = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if function.__defaults__ or function.__kwdefaults__ else ()
    return any(map(is_secret, (*reduced[2]["globals"], *code.co_freevars, *given)))


def _text(name: object) -> str:
    return name if type(name) is str else ""


def _submodules(code: CodeType, held: dict[str, Any]) -> Iterator[str]:
    """Yield the submodules that code reaches as attributes: `import a.b` binds `a`, and importing `a` alone does not give `a.b`."""
    waiting = [module.__name__ for module in held.values() if type(module) is ModuleType]
    while waiting:
        parent = waiting.pop()
        for name in code.co_names:
            if f"{parent}.{name}" in sys.modules:
                waiting.append(f"{parent}.{name}")
                yield f"{parent}.{name}"


def reduce_code(code: CodeType) -> tuple[Any, ...]:
    """Return a reduction of a code object, which is of use on the same Python only."""
    return stream_code, (marshal.dumps(code), MAGIC_NUMBER)


def reduce_cell(cell: CellType) -> tuple[Any, ...]:
    """Return a reduction of a closure's cell; its contents come after it, so that they may refer to it."""
    try:
        contents = cell.cell_contents
    except ValueError:
        return stream_cell, ()
    return stream_cell, (), (contents,), None, None, stream_cell_state


def reduce_class(cls: type) -> tuple[Any, ...]:
    """Return a reduction of a class by value."""
    reduced = _class_reduce(cls)
    if type(reduced) is tuple and len(reduced) == 2:  # noqa: PLR2004  of a builtin type that has no name of its own
        return reduced
    if type(reduced) is not tuple or is_built_in(cls):
        raise pickle.PicklingError("a type that cannot be imported")
    make, args, state, *_ = reduced
    # The last two arguments are cloudpickle's own id of the class, which ours stands for, and a spare.
    named = (_text(cls.__module__), _text(cls.__qualname__), make, (*args[:-2], None, None), _id_of(cls))
    return stream_by_value, named, state[0], None, None, stream_class_state


def _id_of(cls: type) -> str:
    if cls not in _ids:
        remember(cls, os.urandom(8).hex())
    return _ids[cls]


def remember(cls: type, id: str) -> None:
    """From now on, `known(id)` is `cls`."""
    _ids[cls], _classes[id] = id, cls


def known(id: str) -> type | None:
    """Return the class that went into a stream under `id`, or came out of one, when it is alive in this process."""
    return _classes.get(id)
