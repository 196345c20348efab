"""Which names a snapshot gives to `import`, and what the interpreter remembers of them."""

from __future__ import annotations

import functools
import linecache
import os
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, all_suffixes
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


def owner(files: Sequence[str]) -> Owns:
    """Return what says whether a name is imported from these files. A mere directory gives way to an installed module, as in Python."""
    tops = top_names(files)

    @functools.cache
    def is_owned(top: str) -> bool:
        is_regular = tops.get(top)
        return bool(is_regular) or (is_regular is False and not _is_installed(top))

    return lambda name: is_owned(name.partition(".")[0])


class InFront(MetaPathFinder):
    """Finds what a directory gives to `import`, before anything else does; of directories with code in them only its own."""

    def __init__(self, directory: str, owns: Owns) -> None:
        self._directory = directory
        self._owns = owns

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the spec of a module at the top."""
        if path is not None or not self._owns(fullname):
            return None
        spec = PathFinder.find_spec(fullname, [self._directory])
        if spec is not None and spec.loader is None:
            # Python would put the parts of that name from all of `sys.path` together: yesterday's modules with today's.
            spec.submodule_search_locations = _NamespacePath([os.path.join(self._directory, fullname)])
        return spec


class _NamespacePath(list[str]):
    """Where the modules of a package without `__init__.py` lie; `importlib.resources` knows such a path by its text."""

    def __repr__(self) -> str:
        return f"_NamespacePath({super().__repr__()})"


class Hidden:
    """While it is entered, modules that were imported before, and that `owns` names, are out of the way."""

    def __init__(self, owns: Owns) -> None:
        self._owns = owns
        self._modules: dict[str, ModuleType] = {}

    def __enter__(self) -> Self:
        self._modules = self._taken()
        return self

    def __exit__(self, *_: object) -> None:
        self._taken()
        sys.modules.update(self._modules)

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
