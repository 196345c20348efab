"""The project's code as it was when the capture was made, imported from the texts that the capture keeps.

Its modules live in a table of their own: while the project is entered they are in `sys.modules` in the place of today's, afterwards today's
are back. They bear their original file names, so that tracebacks, debuggers and data files beside them work; no `.pyc` is read or
written. Installed packages are today's. A module that was not loaded when the capture was made comes from disk, and that is said.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from types import ModuleType

from ckpt._model.record import Json
from ckpt._model.sources import is_project
from ckpt._replaying.modules import OURS, OwnFinder, Project, TextLoader, import_root, project_path
from ckpt.errors import CannotReplayError


class CapturedProject(Project):
    """The project in the texts that `read` returns by their names."""

    code = "captured"

    def __init__(self, process: Json, read: Callable[[str], str]) -> None:
        super().__init__(process)
        self._read = read
        self._names: dict[str, str] = process.get("files") or {}
        main = process.get("main") or {}
        known: dict[str, str] = {**(process.get("modules") or {}), **({main["name"]: main["file"]} if main.get("name") else {})}
        #: Module -> file, of the modules whose text there is.
        self._files = {module: file for module, file in known.items() if file in self._names and not _is_reserved(module)}
        self._tops = {module.partition(".")[0] for module in self._files}
        #: The modules that were loaded inside, while this is not entered; and those there were before, while it is.
        self._loaded: dict[str, ModuleType] = {}
        self._before: set[str] | None = None

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Put the project's modules into `sys.modules`, those loaded inside before among them, and let the others be imported."""
        with project_path(self.process, self.roots()):
            todays = {name: sys.modules.pop(name) for name, module in list(sys.modules.items()) if self._is_mine(name, module)}
            self._before = set(sys.modules)
            sys.modules.update(self._loaded)
            finder = _Finder(self._files, self.loader)
            sys.meta_path.insert(0, finder)
            try:
                yield
            finally:
                sys.meta_path.remove(finder)
                self._loaded, self._before = self._inside(), None
                for name in self._loaded:
                    del sys.modules[name]
                sys.modules.update(todays)

    def text(self, file: str) -> bytes:
        """Return the captured text of a script or module; raise `CannotReplayError` when it was not kept."""
        name = self._names.get(file)
        if name is None:
            reason = (self.process.get("omitted") or {}).get(file, "it was not loaded then")
            raise CannotReplayError(f"The source of {file!r} was not kept: {reason}.", hint="leave --code captured out")
        return self._read(name).encode("utf-8", "surrogateescape")

    def loader(self, name: str, file: str) -> TextLoader:
        """Return what loads the module `name` from the captured text of `file`."""
        return _CapturedLoader(name, file, self.text)

    def notes(self) -> list[str]:
        """Return which of the project's files do not come from the capture, one line each."""
        kept = set(self._names)
        loaded = {_file(module): name for name, module in self._inside().items()}
        omitted = self.process.get("omitted") or {}
        return [
            f"{name} is imported from disk: {omitted.get(file, 'it was not loaded when the capture was made')}"
            for file, name in sorted(loaded.items(), key=lambda item: item[1])
            if file and file not in kept
        ]

    def texts(self) -> dict[str, Callable[[], str]]:
        """Return file -> what gives its text."""
        return {file: partial(self._read, name) for file, name in self._names.items()}

    def _inside(self) -> dict[str, ModuleType]:
        """Return the project's modules that are loaded, and what else of the user's has been imported with them."""
        if self._before is None:
            return self._loaded
        modules = [(name, module) for name, module in list(sys.modules.items()) if name != "__main__"]
        before = self._before
        return {name: each for name, each in modules if self._is_mine(name, each) or (name not in before and is_project(_file(each)))}

    def _is_mine(self, name: str, module: ModuleType) -> bool:
        """Whether a loaded module is the project's; one of another distribution in a shared namespace package is not."""
        if name in self._files:
            return True
        if name.partition(".")[0] not in self._tops:
            return False
        inside = [module] if _file(module) else [other for other_name, other in sys.modules.items() if other_name.startswith(f"{name}.")]
        return all(is_project(_file(each)) for each in inside if _file(each))


def _is_reserved(module: str) -> bool:
    """Whether a module's name is one that Python or ckpt itself needs: such a file must not take their place."""
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names or top in OURS


def _file(module: object) -> str:
    file = getattr(module, "__dict__", {}).get("__file__")
    return file if isinstance(file, str) else ""


class _CapturedLoader(TextLoader):
    """Loads a module from its captured text; data files beside it are read from disk."""

    def __init__(self, name: str, file: str, text: Callable[[str], bytes]) -> None:
        super().__init__(name, file)
        self._text = text

    def get_data(self, path: str) -> bytes:
        return self._text(path) if path == self.path else super().get_data(path)


class _Finder(OwnFinder):
    """Finds the captured modules, and the packages without `__init__.py` around them."""

    def __init__(self, files: dict[str, str], loader: Callable[[str, str], TextLoader]) -> None:
        self._files = files
        self._loader = loader

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        file = self._files.get(fullname)
        if file is None:
            return self._namespace(fullname, path)
        is_package = os.path.splitext(os.path.basename(file))[0] == "__init__"
        inside = [os.path.dirname(file)] if is_package else None
        return spec_from_file_location(fullname, file, loader=self._loader(fullname, file), submodule_search_locations=inside)

    def _namespace(self, fullname: str, path: Sequence[str] | None) -> ModuleSpec | None:
        """Return a package that was one of directories only, however it is found today; None when `fullname` was none."""
        inside = [module for module in self._files if module.startswith(f"{fullname}.")]
        if not inside:
            return None
        roots = {root for module in inside if (root := import_root(module, self._files[module])) is not None}
        spec = ModuleSpec(fullname, None, is_package=True)
        found = self._found_today(fullname, path)
        if found is not None and found.loader is not None and not is_project(found.origin or ""):
            return found
        todays = list(found.submodule_search_locations or ()) if found is not None else []
        spec.submodule_search_locations = list(dict.fromkeys([*(os.path.join(root, *fullname.split(".")) for root in roots), *todays]))
        return spec

    def _found_today(self, fullname: str, path: Sequence[str] | None) -> ModuleSpec | None:
        for finder in list(sys.meta_path):
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(fullname, path)
                if spec is not None:
                    return spec
        return None
