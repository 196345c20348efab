"""Snapshots in use: `Codebase` for one at a time, `UniqueCodebase` for as many versions as one likes."""

from __future__ import annotations

import inspect
import pickle
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager
from os import PathLike
from types import FrameType, ModuleType
from typing import Any, Self

from ckpt.codebase.extraction import unpack
from ckpt.codebase.plain import PlainVersion
from ckpt.codebase.version import ClosedError, InPlaceOf, Version

Path = str | PathLike[str]


class Codebase:
    """A snapshot that plain `import` statements find, until it is closed.

    It goes in front of `sys.path`. Modules of the same names that are imported already are out of the way meanwhile, and come back; the
    snapshot's own are forgotten when it is closed, so that the next one can be opened. For two at a time there is `UniqueCodebase`.
    """

    def __init__(self, zip_name: Path, verbose: bool = False, *, max_bytes: int | None = None) -> None:
        self.zip_name = zip_name
        self._version = PlainVersion(unpack(zip_name, max_bytes=max_bytes))
        self._version.enter()

    @property
    def valid_libraries(self) -> list[str]:
        """What can be imported from it."""
        return self._version.libraries

    def close(self) -> None:
        """Give back what was there before; a second time it does nothing.

        Objects from the snapshot go on working, and imports in its functions go on finding it.
        """
        self._version.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.zip_name}{'' if self._version.is_plain else ', closed'}>"


class UniqueCodebase:
    """One of several versions of a codebase in this process: none sees the modules of another, and plain `import` sees none of them.

    Its modules, and objects of them, can be used together with those of other versions and with the program's own. What they pickle is
    loaded by any process that has opened the same snapshot. Whoever opens the same content twice gets the same modules.
    """

    def __init__(self, zip_name: Path, verbose: bool = False, make_unique: bool = True, *, max_bytes: int | None = None) -> None:
        self.zip_name = zip_name
        self._is_closed = False
        self._version = Version.shared(unpack(zip_name, max_bytes=max_bytes))

    @property
    def library_name(self) -> str:
        """The package under which its modules stand in `sys.modules`."""
        return self._version.name

    @property
    def valid_libraries(self) -> list[str]:
        """What can be imported from it."""
        return self._version.libraries

    def import_module(self, name: str) -> ModuleType:
        """Return the module `name`, as `importlib.import_module` does. Raises `ModuleNotFoundError`, and `ClosedError` after `close`."""
        self._check_open(name)
        try:
            return self._version.import_module(name)
        except ModuleNotFoundError as err:
            if err.name is None or not f"{name}.".startswith(f"{err.name}."):
                raise  # something else that the module imports
            raise ModuleNotFoundError(f"No module named {name!r} in {self.zip_name}", name=name) from err

    def in_place(self) -> AbstractContextManager[object]:
        """Let plain imports anywhere in the process find this version, while what is returned is entered.

        That is for libraries which import by a name: `torch.load`, `joblib.load`, `pandas.read_pickle`, configurations with class names.
        """
        self._check_open("in_place()")
        return InPlaceOf(self._version)

    def import_(self, name: str, as_: str | None = None, *, _as: str | None = None) -> ModuleType:
        """Do `import name` or `import name as as_` where it is called, and return what was bound.

        Inside a function nothing can be bound: there use what is returned.
        """
        module, alias = self.import_module(name), as_ or _as
        if alias is None:
            alias = name.partition(".")[0]
            module = self.import_module(alias)
        _bind(sys._getframe(1), {alias: module})
        return module

    def from_import(self, name: str, things_to_import: str | Iterable[str], as_: str | None = None, *, _as: str | None = None) -> Any:
        """Do `from name import things_to_import` where it is called, and return the thing, or the list of several.

        Inside a function nothing can be bound: there use what is returned.
        """
        names = [things_to_import] if isinstance(things_to_import, str) else list(things_to_import)
        alias = as_ or _as
        if alias is not None and len(names) != 1:
            raise TypeError("as_ goes with one name")
        found = [self._attribute(name, thing) for thing in names]
        _bind(sys._getframe(1), dict(zip(names if alias is None else [alias], found, strict=True)))
        return found[0] if len(found) == 1 else found

    # The names of the first generation.
    _import = import_
    _from = from_import
    _from_import = from_import

    def loads(self, data: bytes) -> Any:
        """Return what was pickled, its classes and functions taken from this version.

        Both pickles made under this version's own package and those of the plain program (`src.model`) find their classes here. Loading
        a pickle runs code that its writer chose.
        """
        self._check_open("a pickle")
        return self._version.view(pickle).loads(data)

    def close(self) -> None:
        """Remove what this version has put into the interpreter; a second time it does nothing. Objects go on working, imports do not.

        While it is open elsewhere in the process, it stays.
        """
        if not self._is_closed:
            self._is_closed = True
            self._version.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.zip_name} as {self.library_name}{', closed' if self._is_closed else ''}>"

    def _check_open(self, what: str) -> None:
        if self._is_closed:
            raise ClosedError(f"{what!r} cannot be imported: {self.zip_name} is closed.", hint="import it before close()")

    def _attribute(self, name: str, thing: str) -> Any:
        module = self.import_module(name)
        if not hasattr(module, thing):
            try:
                return self.import_module(f"{name}.{thing}")
            except ModuleNotFoundError as err:
                if err.name != f"{name}.{thing}":
                    raise
                raise ImportError(f"cannot import name {thing!r} from {name!r} in {self.zip_name}", name=name) from err
        return getattr(module, thing)


class PlainInside(UniqueCodebase):
    """A version that plain `import` statements find inside its `with` block, wherever in the process they stand."""

    _inside: InPlaceOf | None = None

    def __enter__(self) -> Self:
        self._inside = InPlaceOf(self._version)
        self._inside.__enter__()
        return super().__enter__()

    def close(self) -> None:
        """Give back what was there before, and remove the version."""
        if self._inside is not None:
            self._inside.__exit__()
            self._inside = None
        super().close()


def _bind(frame: FrameType, names: dict[str, Any]) -> None:
    """Bind names where Python allows it: in a module, a class body, a notebook cell; the variables of a function are fixed."""
    if not frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        frame.f_locals.update(names)
