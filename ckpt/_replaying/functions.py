"""The captured function in today's code.

A name leads to the outermost decorator, a capture was made further down: below it the call is made again. Lookups run no descriptor.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from types import FunctionType, ModuleType
from typing import Any

from ckpt._model.record import WRAPPER_FILE
from ckpt._model.reducing import MAIN_NAMES
from ckpt.errors import CannotReplayError

#: Where decorators, descriptors and command objects (click, numba, prefect) keep the function that they were given.
_LINKS = ("__wrapped__", "__func__", "fget", "fset", "fdel", "func", "callback", "fn", "py_func")
#: How many objects are looked at in search of `@ckpt`: more than any chain of decorators has.
_SEARCH_LIMIT = 100
#: How alike names of modules are of which one is proposed for the other; among hundreds of installed ones some are always a little alike.
_MUCH_ALIKE = 0.8


def find_callable(module_name: str, qualname: str, main: ModuleType | None = None) -> tuple[Callable[..., Any], list[str]]:
    """Return the function that `@ckpt` was given, in today's code, and what a person should know about it.

    It is the plain function, whose first parameter is `self` or `cls` where it is a method, with the decorators below `@ckpt` and without
    those above. When `@ckpt` is gone today, it is what the name leads to. `main` is the module that stands for `__main__`.

    Raises `CannotReplayError` when the module cannot be imported, or the function is not there.
    """
    found: Any = _module(module_name, main)
    for part in qualname.split("."):
        found = _member(found, part, module_name, qualname)
    wrappers = list(_wrappers(found, qualname))
    if wrappers:
        notes = [f"{qualname!r} has several captured functions: the first is called."] if len(wrappers) > 1 else []
        return wrappers[0].__wrapped__, notes  # type: ignore[attr-defined]
    function = _below_descriptor(found)
    if not callable(function):
        raise CannotReplayError(f"{qualname!r} of module {module_name!r} is no function today: its type is {type(function).__name__!r}.")
    return function, [f"@ckpt is gone from {qualname!r} of module {module_name!r}: what has that name today is called."]


def check_fit(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise `CannotReplayError` when the captured arguments do not fit the parameters that the function has today."""
    if type(function) is not FunctionType or "__signature__" in vars(function):  # a wrapper may say what is true of another
        return
    signature = inspect.signature(function, follow_wrapped=False)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as err:
        message = f"The captured arguments do not fit {function.__qualname__!r} today: {err}."
        raise CannotReplayError(message, hint=_wanted(signature, args, kwargs)) from err


def _wanted(signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return the options that give the arguments which are missing; without any, the command that shows what has changed."""
    try:
        given = signature.bind_partial(*args, **kwargs).arguments
    except TypeError:
        return "ckpt diff"
    needed = [each for each in signature.parameters.values() if each.default is each.empty and "VAR_" not in each.kind.name]
    return " ".join(f"--set {each.name}=VALUE" for each in needed if each.name not in given)


def resolver(main: ModuleType | None) -> Callable[[str, str], object | None]:
    """Return what finds today's class or function of `main` for one that was captured by value, or None, given its module and qualname.

    With it, what was an instance of a script's class is an instance of the class that the replayed script knows.
    """

    def resolve(module_name: str, qualname: str) -> object | None:
        if main is None or module_name not in MAIN_NAMES:
            return None
        found: Any = main
        for part in qualname.split("."):
            found = _static(found, part)
        function = _below_descriptor(found)
        return function if isinstance(function, FunctionType | type) else None

    return resolve


def _module(name: str, main: ModuleType | None) -> Any:
    if name in MAIN_NAMES:
        if main is None:
            raise CannotReplayError("The captured function lived in a notebook or at a prompt: no file has it today.")
        return main
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as err:
        if isinstance(err, ModuleNotFoundError) and err.name is not None and f"{name}.".startswith(f"{err.name}."):
            hint = _nearest(name.rpartition(".")[2], _siblings(name), _MUCH_ALIKE)
            raise CannotReplayError(f"There is no module {name!r} today.", hint=hint) from err
        raise CannotReplayError(
            f"Module {name!r} cannot be imported today: {type(err).__name__}: {err}", hint=f'{sys.executable} -c "import {name}"'
        ) from err


def _siblings(name: str) -> list[str]:
    """Return the modules beside the one that is missing, but for Python's own: in its package, when that can be imported."""
    package = sys.modules.get(name.rpartition(".")[0])
    paths = list(getattr(package, "__path__", [])) if package is not None else sys.path
    return [module.name for module in pkgutil.iter_modules(paths) if package is not None or module.name not in sys.stdlib_module_names]


def _member(owner: Any, part: str, module_name: str, qualname: str) -> Any:
    if part.startswith("<"):
        raise CannotReplayError(f"{qualname!r} of module {module_name!r} is made while its program runs: its name does not lead to it.")
    found = _static(owner, part)
    if found is None:
        names = [name for name, value in list(vars(owner).items()) if callable(value)] if isinstance(owner, ModuleType | type) else []
        raise CannotReplayError(f"There is no {qualname!r} in module {module_name!r} today.", hint=_nearest(part, names))
    return found


def _nearest(name: str, names: list[str], likeness: float = 0.6) -> str:
    near = difflib.get_close_matches(name, names, 1, likeness)
    return f"the nearest name is {near[0]!r}" if near else ""


def _static(owner: Any, name: str) -> Any:
    """Return a member of a module or class without running a descriptor; None when there is none."""
    if isinstance(owner, ModuleType):
        return vars(owner).get(name)
    if not isinstance(owner, type):
        return None
    if name.startswith("__") and not name.endswith("__") and owner.__name__.strip("_"):
        name = f"_{owner.__name__.lstrip('_')}{name}"
    return inspect.getattr_static(owner, name, None)


def _below_descriptor(found: Any) -> Any:
    if isinstance(found, staticmethod | classmethod):
        return found.__func__
    if isinstance(found, property):
        return found.fget or found.fset or found.fdel
    return found.func if isinstance(found, cached_property) else found


def _wrappers(found: Any, qualname: str) -> Iterator[FunctionType]:
    """Yield the outermost wrappers of ours around what `found` was made of, nearest first.

    Where a decorator does not say what it wraps, its closure does; there only a wrapper of the very name counts.
    """
    waiting, seen = deque([(found, True)]), list[object]()
    while waiting and len(seen) < _SEARCH_LIMIT:
        value, is_linked = waiting.popleft()
        if any(value is other for other in seen):
            continue
        seen.append(value)
        if _is_wrapper(value):
            if is_linked or value.__qualname__ == qualname:
                yield value
            continue
        waiting.extend((link, is_linked) for link in _links(value))
        waiting.extend((inner, False) for inner in _enclosed(value))


def _is_wrapper(value: object) -> bool:
    return isinstance(value, FunctionType) and value.__code__.co_filename == WRAPPER_FILE and "__wrapped__" in vars(value)


def _links(value: Any) -> Iterator[Any]:
    if isinstance(value, type | ModuleType):
        return
    for name in _LINKS[:1] if isinstance(value, FunctionType) else _LINKS:
        try:
            link = getattr(value, name, None)
        except Exception:  # noqa: S112  an object that answers with an error leads nowhere
            continue
        if callable(link):
            yield link


def _enclosed(value: object) -> Iterator[Any]:
    for cell in (value.__closure__ or ()) if isinstance(value, FunctionType) else ():
        try:
            contents = cell.cell_contents
        except ValueError:
            continue  # the name of a cell may not be bound yet
        if callable(contents):
            yield contents
