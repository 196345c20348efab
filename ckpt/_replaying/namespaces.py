"""The globals of captured frames, completed with what a person at the prompt expects to find there.

A capture holds the globals that the code of its frames names. Beside them, functions, classes and modules are there without having been
captured for their own sake: those of an imported module as it is today, those of a script as far as they came along with other values.
Data never is: today's would pass for the captured.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from ckpt._model.reducing import MAIN_NAMES

#: The slot itself: a lazy module would load.
_namespace = vars(ModuleType)["__dict__"].__get__

_DEFINITIONS = (FunctionType, BuiltinFunctionType, ModuleType)


def complete(spaces: Iterable[object], made: Mapping[tuple[str, str], object]) -> None:
    """Add to each of the captured globals what its module defines; `made` are the classes and functions that were kept by value."""
    for names in spaces:
        if type(names) is dict:
            name = names.get("__name__")
            found = _kept_by_value(name, made) if name in MAIN_NAMES else _of_module(name)
            for key, value in found.items():
                names.setdefault(key, value)


def _kept_by_value(name: object, made: Mapping[tuple[str, str], object]) -> dict[str, Any]:
    return {qualname: value for (module, qualname), value in made.items() if module == name and qualname.isidentifier()}


def _of_module(name: object) -> dict[str, Any]:
    module = sys.modules.get(name) if isinstance(name, str) else None
    if not issubclass(type(module), ModuleType):
        return {}
    held = dict(_namespace(module))
    return {key: value for key, value in held.items() if issubclass(type(value), (type, *_DEFINITIONS))}
