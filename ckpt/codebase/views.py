"""The functions of the standard library that import by a name, as the code of one version sees them.

`importlib.import_module("src.model")`, `importlib.resources.files("src")` and a pickle name a module in a text. A view stands in the place
of such a module, for the code of one version only, and reads these texts as that code means them; all else is the real module's. What a
library imports for that code, in `torch.load` say, cannot be seen from here.
"""

from __future__ import annotations

import functools
import inspect
import io
import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol


class Names(Protocol):
    """What names mean to the code of one version."""

    builtins: dict[str, object]

    def resolved(self, name: str) -> str:
        """Return the name under which the module that the code means stands in `sys.modules`."""

    def prepare(self, module: ModuleType) -> None:
        """Let the code of a module that is about to run import from the version."""

    def view(self, module: ModuleType) -> View:
        """Return a module as the code sees it."""


class View(ModuleType):
    """A module of the standard library in which modules are named as one version names them."""

    def __init__(self, module: ModuleType, names: Names) -> None:
        super().__init__(module.__name__, module.__doc__)
        self.__dict__["_real"], self.__dict__["_names"] = module, names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if isinstance(found, ModuleType) and found.__name__ in VIEWED:
            return self._names.view(found)
        make = VIEWED[self.__name__].get(name)
        if make is None:
            return found
        made = self.__dict__[name] = make(found, self._names)
        return made

    def __setattr__(self, name: str, value: object) -> None:
        self.__dict__.pop(name, None)
        setattr(self._real, name, value)

    def __dir__(self) -> list[str]:
        return dir(self._real)


#: Returns what stands for a function in a view.
Make = Callable[[Any, Names], Any]


def _by_name(*parameters: str, count: int = 1) -> Make:
    """Return what makes a function whose first `count` arguments, or those called `parameters`, name modules."""

    def make(function: Callable[..., Any], names: Names) -> Callable[..., Any]:
        # `importlib.resources.files()` looks for its caller on the stack, and passes over what is called `wrapper`.
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            named = [names.resolved(arg) if isinstance(arg, str) else arg for arg in args[:count]]
            given = {key: names.resolved(arg) if key in parameters and isinstance(arg, str) else arg for key, arg in kwargs.items()}
            return function(*named, *args[count:], **given)

        return wrapper

    return make


def _run_path(function: Callable[..., Any], names: Names) -> Callable[..., Any]:
    """Return a function that runs code which imports from the version."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.arguments["init_globals"] = {"__builtins__": names.builtins} | (bound.arguments.get("init_globals") or {})
        return function(*bound.args, **bound.kwargs)

    return run


def _run_module(function: Callable[..., Any], names: Names) -> Any:
    return _by_name("mod_name")(_run_path(function, names), names)


def _module_from_spec(function: Callable[..., ModuleType], names: Names) -> Callable[..., ModuleType]:
    """Return what makes modules whose code imports from the version: plugins and configurations, loaded by their paths."""

    @functools.wraps(function)
    def made(spec: Any) -> ModuleType:
        module = function(spec)
        names.prepare(module)
        return module

    return made


def _unpickler(base: Any, names: Names) -> Any:
    """Return an unpickler that finds classes in the version first."""

    class Unpickler(base):  # type: ignore[misc]
        def find_class(self, module_name: str, global_name: str) -> Any:
            return super().find_class(names.resolved(module_name), global_name)

    return Unpickler


def _load(function: Callable[..., Any], names: Names) -> Callable[..., Any]:
    @functools.wraps(function)
    def load(file: Any, **options: Any) -> Any:
        return names.view(pickle).Unpickler(file, **options).load()

    return load


def _loads(function: Callable[..., Any], names: Names) -> Callable[..., Any]:
    @functools.wraps(function)
    def loads(data: Any, /, **options: Any) -> Any:
        return names.view(pickle).Unpickler(io.BytesIO(data), **options).load()

    return loads


_RESOURCES = ("contents", "files", "is_resource", "open_binary", "open_text", "path", "read_binary", "read_text")
#: The modules that are seen through a view, and what makes their functions.
VIEWED: dict[str, dict[str, Make]] = {
    "importlib": {"import_module": _by_name("name", "package", count=2)},
    "importlib.util": {"find_spec": _by_name("name", "package", count=2), "module_from_spec": _module_from_spec},
    "importlib.resources": dict.fromkeys(_RESOURCES, _by_name("package", "anchor")),
    "pickle": {"Unpickler": _unpickler, "load": _load, "loads": _loads},
    "pkgutil": dict.fromkeys(("get_data", "get_loader", "resolve_name"), _by_name("package", "name", "module_or_name")),
    "pydoc": {"locate": _by_name("path")},
    "runpy": {"run_module": _run_module, "run_path": _run_path},
    "unittest": {},
    "unittest.mock": {"patch": _by_name("target")},
}
