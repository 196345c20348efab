"""Which names a snapshot gives to `import`, and what the interpreter remembers of them."""

from __future__ import annotations

import functools
import linecache
import os
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import PathFinder, all_suffixes
from types import ModuleType
from typing import Self

from ckpt._model.sources import is_project

#: Whether a module, dotted or not, is imported from a snapshot.
Owns = Callable[[str], bool]


def top_names(files: Sequence[str]) -> dict[str, bool]:
    """Return what these files allow to import: name -> whether it is a module or regular package, not only a directory with code in it."""
    found: dict[str, bool] = {}
    for file in files:
        if not file.endswith(tuple(all_suffixes())):
            continue
        top, slash, rest = file.partition("/")
        name = top if slash else top.partition(".")[0]
        if name.isidentifier():
            found[name] = found.get(name, False) or not slash or rest.partition(".")[0] == "__init__"
    return {name: is_regular for name, is_regular in found.items() if name not in {"__main__", "__init__"}}


def beside_code(files: Sequence[str]) -> list[str]:
    """Return which of these files a program may want to open: those that are no source, in directories that hold code."""
    code = {name.partition("/")[0] for name in files if name.endswith(".py") and "/" in name}
    return [name for name in files if not name.endswith(".py") and name.partition("/")[0] in code]


def owner(files: Sequence[str]) -> Owns:
    """Return what says whether a name is imported from these files. A mere directory gives way to an installed module, as in Python."""
    tops = top_names(files)

    @functools.cache
    def is_owned(top: str) -> bool:
        is_regular = tops.get(top)
        return bool(is_regular) or (is_regular is False and not _is_installed(top))

    return lambda name: is_owned(name.partition(".")[0])


class Hidden:
    """While it is entered, modules that were imported before, and that `owns` names, are out of the way."""

    def __init__(self, owns: Owns) -> None:
        self._owns = owns
        self._modules: dict[str, ModuleType] = {}

    def __enter__(self) -> Self:
        self._modules = self._taken()
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()

    def give_back(self) -> dict[str, ModuleType]:
        """Put back what was there before; return what was in its place."""
        taken = self._taken()
        sys.modules.update(self._modules)
        return taken

    def _taken(self) -> dict[str, ModuleType]:
        return {name: sys.modules.pop(name) for name in [name for name in sys.modules if self._owns(name)]}


def forget_files(directory: str) -> None:
    """Remove what the import system and `linecache` remember of the files in `directory`."""
    memories: tuple[dict[str, object], ...] = (sys.path_importer_cache, linecache.cache)  # type: ignore[assignment]
    for memory in memories:
        for path in [path for path in memory if f"{path}{os.sep}".startswith(f"{directory}{os.sep}")]:
            del memory[path]


def _is_installed(name: str) -> bool:
    spec = PathFinder.find_spec(name)
    return name in sys.stdlib_module_names or (spec is not None and spec.loader is not None and not is_project(spec.origin or ""))
