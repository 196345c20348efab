"""A version that plain imports find, one at a time, and whose code goes on finding it afterwards.

While it is entered its modules bear their plain names: `src.model` is `src.model`, and is pickled as that. When it is closed they are taken
out of `sys.modules`, and what was there before comes back. Functions of it that import later find their version all the same: its modules
then stand in a package that only it has, which is there from the first such import on. What never imports again leaves nothing behind.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Sequence
from importlib.abc import FileLoader, MetaPathFinder
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder
from types import ModuleType

from ckpt.codebase.extraction import Unpacked
from ckpt.codebase.names import Hidden, forget_files
from ckpt.codebase.version import Version, loaded_in

_numbers = itertools.count(1)
_coming_back = threading.Lock()


class PlainVersion(Version):
    """A version that is in the place of the program's modules from `enter` to `close`."""

    def __init__(self, unpacked: Unpacked) -> None:
        super().__init__(unpacked, f"{unpacked.name}_{next(_numbers)}")
        #: Whether plain imports find it.
        self.is_plain = False
        self._hidden = Hidden(self.owns)
        self._in_front = _InFront(self)
        self._modules: dict[str, ModuleType] = {}

    def enter(self) -> None:
        """Let plain imports find it first; modules of its names that are there already are out of the way."""
        self._hidden.__enter__()
        sys.path.insert(0, self.directory)
        sys.meta_path.insert(0, self._in_front)
        self.is_plain = True

    def close(self) -> None:
        """Give back what was there before; a second time it does nothing."""
        if not self.is_plain:
            return
        self.is_plain = False
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self._in_front]
        if self.directory in sys.path:
            sys.path.remove(self.directory)
        for name, module in self._hidden.give_back().items():
            self._modules[f"{self.name}.{name}"] = module
            _rename(module, f"{self.name}.{name}")
        forget_files(self.directory)

    def place(self, name: str) -> str:
        """Return where a module of this version stands in `sys.modules`."""
        return name if self.is_plain else super().place(name)

    def make_sure(self, name: str) -> None:
        """Let the code of a version that was left import from it."""
        with _coming_back:
            if not self.is_plain and not self.is_open:
                sys.modules.update(self._modules)
                super().enter()


class _InFront(MetaPathFinder):
    """Finds the modules of a version under their plain names, before anything else does."""

    def __init__(self, version: Version) -> None:
        self._version = version

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not self._version.owns(fullname):
            return None
        entries = [self._version.directory] if path is None else path
        spec = PathFinder.find_spec(fullname, entries)
        if spec is not None and spec.loader is None:
            # Python would put the parts of that name from all of `sys.path` together: yesterday's modules with today's.
            places = (os.path.join(entry, fullname.rpartition(".")[2]) for entry in entries)
            spec.submodule_search_locations = _NamespacePath(place for place in places if os.path.isdir(place))
        return loaded_in(self._version, spec)


class _NamespacePath(list[str]):
    """Where the modules of a package without `__init__.py` lie; `importlib.resources` knows such a path by its text."""

    def __repr__(self) -> str:
        return f"_NamespacePath({super().__repr__()})"


def _rename(module: ModuleType, name: str) -> None:
    """Let a module, and what the import system asks it for, bear another name."""
    spec = getattr(module, "__spec__", None)
    if not isinstance(spec, ModuleSpec):
        return
    module.__name__ = spec.name = name
    module.__package__ = spec.parent
    if isinstance(spec.loader, FileLoader | ExtensionFileLoader):
        spec.loader.name = name
