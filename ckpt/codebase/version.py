"""One snapshot's modules in this process, beside any others: an importer of its own, and no text is rewritten.

All modules of a version lie under a package that only it has, `codebase_<digest>`: `src.model` is `codebase_<digest>.src.model`. So they
stand in `sys.modules` like any module, where pickle, dataclasses, `inspect` and debuggers look for them. The code itself says `import src`
still: it runs with builtins of its own, whose `__import__` looks in the version first. That is asked each time an import statement runs,
in functions that are called later too. Nothing that other code can see is patched.
"""

from __future__ import annotations

import builtins
import importlib
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Self

from ckpt.codebase.extraction import Unpacked
from ckpt.codebase.names import Hidden, forget_files, owner, top_names
from ckpt.codebase.views import VIEWED, View
from ckpt.errors import CkptError

_naming = threading.Lock()


class ClosedError(CkptError, ImportError):
    """An import from a version that has been closed."""


class Version:
    """The modules of an unpacked snapshot. `name` is the package they lie in."""

    def __init__(self, unpacked: Unpacked) -> None:
        self.directory = unpacked.directory
        self.owns = owner(unpacked.names)
        self.libraries = sorted(name for name in top_names(unpacked.names) if self.owns(name))
        self.is_open = True
        self._builtins = vars(builtins) | {"__import__": self._import}
        self._finder = _Finder(self)
        with _naming:
            self.name = _free_name(unpacked.name)
            sys.modules[self.name] = self._package()
            sys.meta_path.insert(0, self._finder)

    def import_module(self, name: str) -> ModuleType:
        """Return a module of this version. Raises `ClosedError` when it is closed, `ModuleNotFoundError` when there is none."""
        self._check_open(name)
        return importlib.import_module(f"{self.name}.{name}")

    def prepare(self, module: ModuleType) -> None:
        """Let the code of a module that is about to run import from this version."""
        vars(module)["__builtins__"] = self._builtins

    def close(self) -> None:
        """Remove all that this version has put into the interpreter. Its objects go on working; imports in its code raise `ClosedError`."""
        self.is_open = False
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self._finder]
        for name in [name for name in sys.modules if name.partition(".")[0] == self.name]:
            del sys.modules[name]
        forget_files(self.directory)

    def _package(self) -> ModuleType:
        package = ModuleType(self.name, f"The snapshot in {self.directory}.")
        spec = package.__spec__ = ModuleSpec(self.name, None, is_package=True)
        spec.submodule_search_locations = package.__path__ = [self.directory]
        return package

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - the names of what it stands for
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Do what an import statement in the code of this version asks for."""
        top, names = name.partition(".")[0], fromlist or ()
        if level or not self.owns(top):
            found = builtins.__import__(name, globals, locals, names, level)
            return View(found, self._resolved) if top in VIEWED and not level else found
        self._check_open(name)
        found = builtins.__import__(f"{self.name}.{name}", globals, locals, names, 0)
        return found if names else sys.modules[f"{self.name}.{top}"]

    def _resolved(self, name: str) -> str:
        return f"{self.name}.{name}" if self.owns(name.partition(":")[0]) else name

    def _check_open(self, name: str) -> None:
        if not self.is_open:
            raise ClosedError(f"{name!r} cannot be imported: {self.name} is closed.", hint="import it before close()")


class InPlaceOf(MetaPathFinder, Loader):
    """While it is entered, plain imports anywhere in the process find the modules of a version."""

    def __init__(self, version: Version) -> None:
        self._version = version
        self._hidden = Hidden(version.owns)

    def __enter__(self) -> Self:
        self._hidden.__enter__()
        sys.meta_path.insert(0, self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
        self._hidden.__exit__()

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Claim what is the version's."""
        return ModuleSpec(fullname, self) if self._version.owns(fullname) else None

    def exec_module(self, module: ModuleType) -> None:
        """Put the version's module where the import system takes it from."""
        sys.modules[module.__name__] = self._version.import_module(module.__name__)


class _Finder(MetaPathFinder):
    """Finds the modules of one version where its files lie."""

    def __init__(self, version: Version) -> None:
        self._version = version

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] != self._version.name or path is None:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _VersionLoader(fullname, spec.loader.path, self._version)
        return spec


class _VersionLoader(SourceFileLoader):
    """Loads a module whose imports look in its version first."""

    def __init__(self, fullname: str, path: str, version: Version) -> None:
        super().__init__(fullname, path)
        self._version = version

    def exec_module(self, module: ModuleType) -> None:
        self._version.prepare(module)
        super().exec_module(module)


def _free_name(name: str) -> str:
    """Return `name`, or with a number when the same snapshot is open already."""
    number, free = 1, name
    while free in sys.modules:
        number += 1
        free = f"{name}_{number}"
    return free
