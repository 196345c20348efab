"""One snapshot's modules in this process, beside any others: an importer of its own, and no text is rewritten.

All modules of a version lie under a package that only it has, `codebase_<digest>`: `src.model` is `codebase_<digest>.src.model`. So they
stand in `sys.modules` like any module, where pickle, dataclasses, `inspect` and debuggers look for them. The code itself says `import src`
still: it runs with builtins of its own, whose `__import__` looks in the version first. That is asked each time an import statement runs,
in functions that are called later too. Nothing that other code can see is patched.

Who opens the same content twice has one version, and its classes once: `isinstance` holds, and what is pickled is loaded anywhere.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
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

#: The versions that are open, by their names.
_open: dict[str, Version] = {}
_sharing = threading.Lock()


class ClosedError(CkptError, ImportError):
    """An import from a version that has been closed."""


class Version:
    """The modules of an unpacked snapshot. `name` is the package they lie in, `content` what the names of all such packages begin with."""

    def __init__(self, unpacked: Unpacked, name: str = "") -> None:
        self.content, self.name = unpacked.name, name or unpacked.name
        self.directory = unpacked.directory
        self.owns = owner(unpacked.names)
        self.libraries = sorted(name for name in top_names(unpacked.names) if self.owns(name))
        #: What the builtin names are to its code.
        self.builtins: dict[str, object] = {}
        self.is_open = False
        self._users = 0
        self._finder = _Finder(self)
        self._views: dict[str, View] = {}

    @classmethod
    def shared(cls, unpacked: Unpacked) -> Version:
        """Return the version of this content; opened now, if it is not open. To be closed as often as it was asked for."""
        with _sharing:
            version = _open.get(unpacked.name)
            if version is None:
                version = _open[unpacked.name] = cls(unpacked)
                version.enter()
            version._users += 1
            return version

    def enter(self) -> None:
        """Let its modules be imported from its package."""
        sys.modules[self.name] = self._package()
        sys.meta_path.insert(0, self._finder)
        self.is_open = True

    def close(self) -> None:
        """Let go of a shared version; the last who does removes all that it has put into the interpreter.

        Its objects go on working; imports in its code raise `ClosedError`.
        """
        with _sharing:
            self._users -= 1
            if self._users:
                return
            del _open[self.name]
        self.is_open = False
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self._finder]
        for name in [name for name in sys.modules if name.partition(".")[0] == self.name]:
            del sys.modules[name]
        forget_files(self.directory)

    def import_module(self, name: str) -> ModuleType:
        """Return a module of this version. Raises `ClosedError` when it is closed, `ModuleNotFoundError` when there is none."""
        try:
            return importlib.import_module(self.place(name))
        except ModuleNotFoundError as err:
            self._say_plainly(err)
            raise

    def prepare(self, module: ModuleType) -> None:
        """Let the code of a module that is about to run import from this version."""
        # What the program has put among the builtins meanwhile counts, as anywhere.
        self.builtins.update(vars(builtins) | {"__import__": self._import})
        vars(module)["__builtins__"] = self.builtins

    def place(self, name: str) -> str:
        """Return where a module of this version stands in `sys.modules`. Raises `ClosedError`."""
        self.make_sure(name)
        return f"{self.name}.{name}"

    def make_sure(self, name: str) -> None:
        """Raise `ClosedError` when nothing can be imported any more."""
        if not self.is_open:
            raise ClosedError(f"{name!r} cannot be imported: {self.name} is closed.", hint="import it before close()")

    def resolved(self, name: str) -> str:
        """Return the name under which what this version's code means by `name` stands in `sys.modules`."""
        top, _, rest = name.partition(".")
        plain = rest if top == self.content or top.startswith(f"{self.content}_") else name
        return self.place(plain) if self.owns(plain.partition(":")[0]) else name

    def view(self, module: ModuleType) -> View:
        """Return a module of the standard library as the code of this version sees it."""
        name = module.__name__
        if name not in self._views:
            self._views[name] = View(module, self)
        return self._views[name]

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
        if not level and not self.owns(top):
            found = builtins.__import__(name, globals, locals, names)
            return self.view(found) if top in VIEWED and found.__name__ in VIEWED else found
        try:
            if level:
                self.make_sure(f"{'.' * level}{name}")
                return builtins.__import__(name, globals, locals, names, level)
            found = builtins.__import__(self.place(name), globals, locals, names)
        except ModuleNotFoundError as err:
            self._say_plainly(err)
            raise
        return found if names else sys.modules[self.place(top)]

    def _say_plainly(self, error: ModuleNotFoundError) -> None:
        """Name a module that is missing as the code does."""
        prefix = f"{self.name}."
        if error.name is not None and error.name.startswith(prefix):
            error.name, error.msg = error.name.removeprefix(prefix), str(error).replace(prefix, "")
            error.args = (error.msg,)


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
        """Claim what the version has."""
        version = self._version
        is_there = version.owns(fullname) and importlib.util.find_spec(version.place(fullname)) is not None
        return ModuleSpec(fullname, self) if is_there else None

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
        return loaded_in(self._version, PathFinder.find_spec(fullname, path))


def loaded_in(version: Version, spec: ModuleSpec | None) -> ModuleSpec | None:
    """Return `spec`, its source to be loaded so that imports in it look in `version` first."""
    if spec is not None and type(spec.loader) is SourceFileLoader:
        spec.loader = _VersionLoader(spec.name, spec.loader.path, version)
    return spec


class _VersionLoader(SourceFileLoader):
    """Loads a module whose imports look in its version first."""

    def __init__(self, fullname: str, path: str, version: Version) -> None:
        super().__init__(fullname, path)
        self._version = version

    def exec_module(self, module: ModuleType) -> None:
        self._version.prepare(module)
        super().exec_module(module)
