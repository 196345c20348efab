"""The import functions of the standard library as the code of one version sees them.

`importlib.import_module("src.model")` and `importlib.resources.files("src")` name a module in a text. A view stands in the place of such a
module, for the code of one version only, and reads these texts as that code means them; all else is the real module's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

#: Turns the name of a module, as code means it, into the one under which it stands in `sys.modules`.
Resolve = Callable[[str], str]

#: Functions whose first argument names a module. In `import_module` the second does so too.
_BY_NAME = {
    "importlib": ("import_module",),
    "importlib.util": ("find_spec",),
    "importlib.resources": (*("contents", "files", "is_resource", "open_binary", "open_text", "path", "read_binary", "read_text"),),
    "pkgutil": ("get_data", "get_loader", "resolve_name"),
    "runpy": ("run_module",),
}
_PARAMETERS = frozenset({"anchor", "mod_name", "name", "package"})
#: The packages whose modules are seen through a view.
VIEWED = frozenset(name.partition(".")[0] for name in _BY_NAME)


class View(ModuleType):
    """A module of the standard library in which modules are named as one version names them."""

    def __init__(self, module: ModuleType, resolve: Resolve) -> None:
        super().__init__(module.__name__, module.__doc__)
        self.__dict__["_real"], self.__dict__["_resolve"] = module, resolve

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if isinstance(found, ModuleType) and found.__name__ in _BY_NAME:
            return View(found, self._resolve)
        return _by_name(found, self._resolve) if name in _BY_NAME.get(self.__name__, ()) else found

    def __dir__(self) -> list[str]:
        return dir(self._real)


def _by_name(function: Callable[..., Any], resolve: Resolve) -> Callable[..., Any]:
    # `importlib.resources.files()` looks for its caller on the stack, and passes over what is called `wrapper`.
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        count = 2 if function.__name__ == "import_module" else 1
        named = [resolve(arg) if isinstance(arg, str) else arg for arg in args[:count]]
        given = {key: resolve(arg) if key in _PARAMETERS and isinstance(arg, str) else arg for key, arg in kwargs.items()}
        return function(*named, *args[count:], **given)

    return wrapper
