"""What of a program is the project's own, and by which name it counts.

Functions, classes and modules are known by name, and what is in them counts where they are the project's. A decorator's wrapper is looked
through when it is not: it says in `__wrapped__` what it was put around.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from functools import cached_property, partialmethod, singledispatchmethod
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from ckpt._model.sources import is_project
from ckpt.pipeline.stages import Stage

#: What has a name that says what it is, other than data.
NAMED = (FunctionType, type, ModuleType, BuiltinFunctionType)
#: Members of classes that are functions or hold them.
AROUND_FUNCTIONS = (FunctionType, staticmethod, classmethod, property, cached_property, partialmethod, singledispatchmethod)
_BOUND = (MethodType, functools.partial)
#: Where classes keep what was declared in them; other names like these are Python's, or a metaclass's.
_DECLARED = frozenset({"__slots__", "__dataclass_fields__", "__pydantic_fields__", "__attrs_attrs__"})


def is_ours(value: Any) -> bool:
    """Whether a function, class or module belongs to the project: neither the standard library's nor an installed package's."""
    if isinstance(value, FunctionType):
        file = value.__code__.co_filename
        return is_project(file) or (file.startswith("<") and not file.startswith(("<frozen", "<ckpt", "<__array")) and _is_home(value))
    if isinstance(value, ModuleType):
        return is_project(getattr(value, "__file__", None) or "")
    return isinstance(value, type) and _is_home(value)


def unwrapped(value: Any) -> Any:
    """Return the function that a stage was made of, or that a decorator wraps which is not of the project and says so."""
    for _ in range(100):
        if isinstance(value, Stage):
            value = value.func
            continue
        inner = getattr(value, "__dict__", {}).get("__wrapped__")
        if not callable(inner) or isinstance(value, (type, ModuleType, *_BOUND)) or is_ours(value) or is_ours(type(value)):
            break
        value = inner
    return value


def named(value: Any) -> Any:
    """Return the function, class or module that a value is or wraps; None for data."""
    found = unwrapped(value)
    is_bound = isinstance(found, BuiltinFunctionType) and not isinstance(found.__self__, ModuleType | None)
    return found if isinstance(found, NAMED) and not is_bound else None


def token(found: Any) -> str:
    """Return what stands for a function, a class or a module in a digest: its name; where it is, does not count in a project."""
    if isinstance(found, ModuleType):
        return f"module {found.__name__}"
    name = getattr(found, "__qualname__", type(found).__qualname__)
    return f"project {name}" if is_ours(found) else f"{getattr(found, '__module__', '')} {name}"


def stands_for(value: Any) -> str | None:
    """Return the token of a function, a class or a module; None for data."""
    found = named(value)
    return None if found is None else token(found)


def members(kind: type) -> dict[str, Any]:
    """Return what a project wrote into a class, by name: its functions and its values, in the order of their names."""
    return {name: value for name, value in sorted(vars(kind).items()) if not _is_machinery(name, value)}


def contents(module: ModuleType) -> Mapping[str, Any]:
    """Return what a module defines, by name: without what it has imported, and what Python put there."""
    found = {name: value for name, value in sorted(vars(module).items()) if not (name[:2] == "__" and name[-2:] == "__")}
    return {name: value for name, value in found.items() if not _is_imported(value, module)}


def _is_imported(value: Any, module: ModuleType) -> bool:
    found = named(value)
    return isinstance(found, ModuleType) or (found is not None and getattr(found, "__module__", None) != module.__name__)


def _is_machinery(name: str, value: Any) -> bool:
    """Whether a member of a class is what Python or a metaclass put there, and says nothing that the rest does not."""
    if isinstance(value, AROUND_FUNCTIONS) or isinstance(unwrapped(value), FunctionType):
        return False
    is_descriptor = hasattr(type(value), "__get__") and not callable(value) and not is_ours(type(value))
    return is_descriptor or name == "_abc_impl" or (name[:1] == "_" and name[-1:] == "_" and name not in _DECLARED)


def _is_home(value: Any) -> bool:
    module = sys.modules.get(value.__module__ or "")
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return is_project(file)
    return module is None or value.__module__ == "__main__"
