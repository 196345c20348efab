"""Which source files belong to the project, and their text as it was imported.

Runs while a failure is being recorded, so nothing here runs code of the program: modules are read through the slot of their dict, never
through their attributes (lazy modules would load, hostile ones would act). Whatever goes wrong with one module or file costs that one.
"""

from __future__ import annotations

import functools
import linecache
import os
import re
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ckpt._model.config import Config
from ckpt._model.imported import is_source_of, is_suspect
from ckpt._model.interrupts import let_pass, tolerate

#: What `changed` says of a file: the text that is kept is the one that was imported, or it was read too late for that.
AS_IMPORTED, TOO_LATE = "the text is the imported one", "the text may be another than the imported one"
#: Seconds between two looks at whether files have changed.
_PAUSE = 1.0

_INSTALLED = re.compile(r"[\\/](?:site|dist)-packages[\\/]")
_BINARY = (".so", ".pyd", ".dylib", ".dll", ".pyc", ".pyo")
_OPEN_FLAGS = os.O_RDONLY | sum(getattr(os, flag, 0) for flag in ("O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY", "O_BINARY"))
#: The slot itself: `vars(module)` would go through a `__getattribute__` of the module's class.
_module_dict: Callable[[object], dict[str, Any]] = dict(vars(ModuleType))["__dict__"].__get__

Stamp = tuple[int, int]


def is_project(file: str) -> bool:
    """Whether `file` belongs to the user's project: not the standard library, not installed, not ckpt, not a name like `<string>`."""
    return bool(file) and not file.startswith(("<", *_library())) and not is_installed(file)


def is_installed(file: str) -> bool:
    """Whether `file` belongs to an installed package."""
    return _INSTALLED.search(file) is not None


@functools.cache
def _library() -> tuple[str, ...]:
    standard = os.path.dirname(os.__file__)
    version = f"python{sys.version_info.major}{sys.version_info.minor}.zip"
    directories = {standard, os.path.join(os.path.dirname(standard), version), os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}
    return tuple({f"{path}{os.sep}" for directory in directories for path in (directory, os.path.realpath(directory))})


@dataclass(frozen=True, slots=True)
class _Text:
    data: bytes
    stamp: Stamp
    #: The module that the file is the source of, and what changes when it is loaded anew: its spec, or for a script its loader.
    module: str = ""
    origin: object = None


class Sources:
    """The source texts of this process: one instance, asked by the recorder.

    The text of a loaded module is kept as it was first read, which is nearest to what was imported: a file that is edited while a long job
    runs must not be shown in the place of the code that failed. It is read again when the module was reloaded, and, once the file has
    changed, in an interactive session, where code is patched in more ways than can be seen from here.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        #: What was passed over by `texts`: file -> reason.
        self.omitted: dict[str, str] = {}
        #: Files that have changed on disk since they were imported: file -> what the kept text is.
        self.edited: dict[str, str] = {}
        #: Module -> file, of the project's loaded modules; without `__main__`.
        self.modules: dict[str, str] = {}
        self._modules: dict[str, _Text] = {}
        self._others: dict[str, _Text] = {}
        self._total = 0
        self._mark: object = None
        self._looked = float("-inf")

    def changed(self) -> bool:
        """Whether modules were imported since `texts` was last called, or a text has become another; well under a microsecond."""
        return self._mark != _mark()

    def texts(self) -> dict[str, bytes]:
        """Return file -> text of the project's loaded modules, `__main__` included; what is passed over is in `omitted`."""
        self._mark = _mark()
        self.omitted = {}
        modules = sys.modules.copy() if type(sys.modules) is dict else {}
        for name, module in modules.items():
            try:
                self._visit(name, _module_dict(module))
            except Exception as error:  # a module that cannot be looked at costs only itself
                let_pass(error)
        self._look_again()
        return {file: text.data for file, text in list(self._modules.items())}

    def look_again(self) -> int:
        """See which files have changed on disk, at most once a second; return how many have."""
        now = time.monotonic()
        if now - self._looked > _PAUSE:
            self._looked = now
            self._look_again()
        return len(self.edited)

    def text_of(self, file: str) -> bytes | None:
        """Return the text of any file that a frame names, a library's or a notebook cell's too; None when there is none to be had.

        Never raises: without a free descriptor, or with a file that is too large, the answer is None.
        """
        try:
            return self._text_of(file)
        except Exception as error:
            # What `sys.modules` and `linecache` hold is the program's.
            let_pass(error)
            return None

    def _visit(self, name: str, namespace: dict[str, Any]) -> None:
        file = namespace.get("__file__")
        if type(file) is not str or file.endswith(_BINARY) or not self._is_ours(file):
            return
        if namespace.get("__name__") == name != "__main__":
            self.modules[name] = file
        known = self._modules.get(file)
        if known is not None and _is_settled(known):
            return
        try:
            self._keep(file, name, namespace)
        except OSError as err:
            let_pass(err)
            self.omitted[file] = str(err.strerror or err)

    def _is_ours(self, file: str) -> bool:
        decided = self.config.decides(file)
        return is_project(file) if decided is None else decided and not file.startswith("<")

    def _keep(self, file: str, name: str, namespace: dict[str, Any]) -> None:
        stamp, known = _stamp(file), self._modules.get(file) or self._others.get(file)
        data = known.data if known is not None and known.stamp == stamp else None
        if data is None:
            data = _zipped(file) if stamp is None else _read(file, self.config.source_file_limit)
        self._store(self._modules, file, _Text(data, stamp or (0, len(data)), name, _origin(namespace)))
        self.edited.pop(file, None)
        if stamp is not None and is_suspect(os.stat(file)) and not is_source_of(namespace, file, data):
            self.edited[file] = TOO_LATE

    def _look_again(self) -> None:
        for file, text in list(self._modules.items()):
            stamp = _stamp(file)
            if text.stamp[0] == 0 or self.edited.get(file) == TOO_LATE or (stamp is None and not os.path.isabs(file)):
                continue
            if stamp != text.stamp:
                self.edited[file] = AS_IMPORTED
            else:
                self.edited.pop(file, None)

    def _store(self, texts: dict[str, _Text], file: str, text: _Text) -> None:
        old = [kept.pop(file) for kept in (self._modules, self._others) if file in kept]
        self._total -= sum(len(kept.data) for kept in old)
        if self._total + len(text.data) > self.config.source_total_limit:
            raise OSError(f"the project's sources hold more than source_total_limit = {self.config.source_total_limit} bytes together")
        self._total += len(text.data)
        texts[file] = text

    def _text_of(self, file: str) -> bytes | None:
        known = self._modules.get(file)
        if known is not None and _is_settled(known):
            return known.data
        stamp = _stamp(file)
        if stamp is None:
            return _cell(file) or _zipped(file)
        if known is not None and known.stamp != stamp:
            self._mark = None
        known = known or self._others.get(file)
        if known is not None and known.stamp == stamp:
            return known.data
        return self._remember(file, _Text(_read(file, self.config.source_file_limit), stamp))

    def _remember(self, file: str, text: _Text) -> bytes:
        with tolerate(OSError):
            self._store(self._others, file, text)
        return text.data


def _mark() -> tuple[int, object]:
    """Return what changes when a module is imported: how many there are, and the name of the last."""
    modules = sys.modules
    return (len(modules), next(reversed(modules), None)) if type(modules) is dict else (0, None)


def _origin(namespace: dict[str, Any]) -> object:
    spec = namespace.get("__spec__")
    return namespace.get("__loader__") if spec is None else spec


def _is_settled(text: _Text) -> bool:
    """Whether the code that runs is still the one that `text` was read for."""
    if text.origin is None or "ps1" in sys.__dict__:
        return False
    module = sys.modules.get(text.module)
    return module is None or _origin(_module_dict(module)) is text.origin


def _stamp(file: str) -> Stamp | None:
    """Return what identifies one version of a regular file; None when there is no such file."""
    try:
        status = os.stat(file)
    except (OSError, ValueError) as error:
        let_pass(error)
        return None
    return (status.st_mtime_ns, status.st_size) if stat.S_ISREG(status.st_mode) else None


def open_regular(file: str) -> int:
    """Return a descriptor of a regular file for reading; raise OSError for anything else, without waiting for a FIFO or a terminal."""
    descriptor = os.open(file, _OPEN_FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("it is no regular file any more")  # noqa: TRY301  whatever is wrong, it is closed
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _read(file: str, limit: int) -> bytes:
    descriptor = open_regular(file)
    try:
        pieces, size = [], 0
        while piece := os.read(descriptor, limit + 1 - size):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise OSError(f"it holds more than source_file_limit = {limit} bytes")
    finally:
        os.close(descriptor)
    return b"".join(pieces)


def _cell(file: str) -> bytes | None:
    """Return the text of code that has no file, such as a notebook cell, from where the interactive shell has put it for tracebacks."""
    entry = linecache.cache.get(file)
    # An entry of one part is a promise to ask a loader, which is the program's code.
    if type(entry) is not tuple or len(entry) != 4:  # noqa: PLR2004
        return None
    return "".join(entry[2]).encode("utf-8", "surrogatepass")


def _zipped(file: str) -> bytes:
    """Return the text of a module in a zip file. Raises OSError when there is none."""
    from zipimport import ZipImportError, zipimporter

    archive = os.path.dirname(file)
    while archive != (parent := os.path.dirname(archive)):
        if _stamp(archive) is not None:
            try:
                return zipimporter(archive).get_data(file)
            except ZipImportError as err:
                raise OSError("it is in no zip file that can be read") from err
        archive = parent
    raise FileNotFoundError("the file is gone")
