"""User modules and `__main__`, found again in the process that replays.

What is patched is given back: the paths, the finder and `__main__` are context managers. Only the import of a project's modules goes
through us, and only their text on disk counts: a `.pyc` can be stale within a second, and a replay leaves none behind.
"""

from __future__ import annotations

import builtins
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec, spec_from_file_location
from types import CodeType, ModuleType

from ckpt._model.record import Json
from ckpt._model.sources import Sources, is_project
from ckpt._replaying import scripts
from ckpt._replaying.scripts import PRIVATE, Captured
from ckpt.errors import CannotReplayError

#: What ckpt and its debuggers import while a replay goes on: a file of the user's with such a name must not take its place.
# fmt: off
OURS = frozenset({
    "IPython", "asttokens", "ckpt", "click", "cloudpickle", "debugpy", "decorator", "dill", "executing", "ipdb",
    "ipython_pygments_lexers", "jedi", "markdown_it", "matplotlib_inline", "mdurl", "parso", "pexpect", "platformdirs",
    "prompt_toolkit", "ptyprocess", "pudb", "pure_eval", "pygments", "rich", "shellingham", "stack_data", "traitlets", "typer",
    "typing_extensions", "urwid", "urwid_readline", "wcwidth",
})
# fmt: on
_INSTALLED = re.compile(r"(?:site|dist)-packages(?:[\\/]|$)")


@contextmanager
def project_path(process: Json, extra_roots: Sequence[str] = ()) -> Iterator[None]:
    """Let the modules that the captured process could import be imported here, from their text on disk.

    The captured entries of `sys.path` that still exist, and `extra_roots`, come after the entries that are there. What a project had in
    front of the installed packages (a script's directory) is still preferred to them, except to what ckpt itself needs.
    """
    path, entries = sys.path, list(sys.path)
    captured = import_entries(process)
    finder = _ProjectFinder(_in_front(captured))
    path.extend(entry for entry in dict.fromkeys([*captured, *extra_roots]) if entry not in entries)
    sys.meta_path.insert(0, finder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path = path
        path[:] = entries
        sys.meta_path[:] = [other for other in sys.meta_path if other is not finder]


def import_root(module_name: str, file: str) -> str | None:
    """Return the directory from which a module that lies in `file` is imported; None when the file does not bear the module's name."""
    directory, base = os.path.split(file)
    parts = module_name.split(".")
    if os.path.splitext(base)[0] != "__init__":
        parts, name = parts[:-1], parts[-1]
        if os.path.splitext(base)[0] != name:
            return None
    for part in reversed(parts):
        directory, last = os.path.split(directory)
        if last != part:
            return None
    return directory


def import_entries(process: Json) -> list[str]:
    """Return the captured path entries that mean something here: none of another interpreter's own."""
    same = is_same_python(process)
    entries = [entry for entry in process.get("path") or () if isinstance(entry, str) and os.path.exists(entry)]
    return [entry for entry in entries if not _is_interpreters(entry) and (same or _INSTALLED.search(entry) is None)]


def is_same_python(process: Json) -> bool:
    """Whether the captured process ran the minor version of Python that this one runs."""
    return str(process.get("python", "")).split(".")[:2] == [str(part) for part in sys.version_info[:2]]


def _is_interpreters(entry: str) -> bool:
    return os.path.basename(entry) == "lib-dynload" or os.path.isfile(os.path.join(entry, "os.py"))


def _in_front(entries: Iterable[str]) -> list[str]:
    front = []
    for entry in entries:
        if _INSTALLED.search(entry) is not None:
            break
        front.append(entry)
    return front


class TextLoader(SourceFileLoader):
    """Loads a module from its text, never from a `.pyc`, and writes none."""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


class OwnFinder(MetaPathFinder):
    """A finder of ours."""


class _ProjectFinder(OwnFinder):
    """Asks the finders behind it, and has the project's modules loaded from their text."""

    def __init__(self, front: Sequence[str]) -> None:
        self._front = front

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = (self._find_in_front(fullname) if path is None else None) or self._find_behind(fullname, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader and is_project(spec.loader.path):
            spec.loader = TextLoader(fullname, spec.loader.path)
        return spec

    def _find_in_front(self, fullname: str) -> ModuleSpec | None:
        if fullname in OURS or fullname in sys.stdlib_module_names:
            return None
        spec = PathFinder.find_spec(fullname, self._front)
        # A directory of that name is a namespace package only if no regular one is found anywhere.
        return None if spec is None or spec.loader is None else spec

    def _find_behind(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        for finder in list(sys.meta_path):
            # Another one of ours, from around this, would ask this one again.
            if not isinstance(finder, OwnFinder) and hasattr(finder, "find_spec"):
                spec = finder.find_spec(fullname, path, target)
                if spec is not None:
                    return spec
        return None


class Project:
    """The user's code as it is on disk today. What stands for it as it was is `captured_code.CapturedProject`."""

    #: What `--code` calls it: `current`, `captured` or a folder.
    code = "current"

    def __init__(self, process: Json) -> None:
        self.process = process

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let the project's modules be imported inside, as they are in this project."""
        with project_path(self.process, self.roots()):
            yield

    def roots(self) -> list[str]:
        """Return the directories that the captured modules were imported from: by the time of the capture `sys.path` may mean others."""
        modules = (self.process.get("modules") or {}).items()
        found = dict.fromkeys(import_root(module, file) for module, file in modules)
        return [root for root in found if root is not None and os.path.isdir(root)]

    def text(self, file: str) -> bytes:
        """Return the text of a script; raise `CannotReplayError` when there is none."""
        return _text(file)

    def loader(self, name: str, file: str) -> TextLoader:
        """Return what loads the module `name` from the text of `file`."""
        return TextLoader(name, file)

    def notes(self) -> list[str]:
        """Return what a person should know about the code that is used, one line each."""
        return []

    def texts(self) -> dict[str, Callable[[], str]]:
        """Return file -> what gives its text, where that is not what lies on disk."""
        return {}


def load_main(process: Json, captured: Captured, project: Project | None = None) -> tuple[ModuleType | None, list[str]]:
    """Return what the captured process had as `__main__`, in the text of `project`, and what a person should know about it.

    The module is not put in the place of the running `__main__`; that is what `as_main` does for a while. Where this process runs the
    same script, its own `__main__` is the answer for today's code. None for a notebook, a prompt and `python -c`: there is no file, the
    captured functions themselves have to do.

    Raises `CannotReplayError` when the file is gone or no Python.
    """
    main, project = process.get("main") or {}, project or Project(process)
    file, name = main.get("file"), main.get("name")
    if not isinstance(file, str):
        return None, []
    running = sys.modules.get("__main__")
    if project.code == Project.code and isinstance(running, ModuleType) and _is_same(vars(running).get("__file__"), file):
        return running, []
    module = _empty_main(file, name if isinstance(name, str) and name != "__main__" else None)
    module.__loader__ = project.loader(PRIVATE, str(module.__file__))
    text = project.text(str(module.__file__))
    before = sys.modules.get(PRIVATE)
    sys.modules[PRIVATE] = module
    try:
        with _arguments(process):
            return module, scripts.run(module, text, captured)
    except BaseException:
        del sys.modules[PRIVATE]
        if before is not None:
            sys.modules[PRIVATE] = before
        raise


@contextmanager
def as_main(module: ModuleType | None, process: Json) -> Iterator[None]:
    """Let `module` be `__main__`, with the captured command line: pickling by reference and spawned processes need that."""
    running = sys.modules["__main__"]
    if module is not None:
        sys.modules["__main__"] = module
    try:
        with _arguments(process):
            yield
    finally:
        sys.modules["__main__"] = running


@contextmanager
def _arguments(process: Json) -> Iterator[None]:
    before, captured = sys.argv, process.get("argv")
    sys.argv = list(captured) if isinstance(captured, list) else before
    try:
        yield
    finally:
        sys.argv = before


def _is_same(one: object, other: str) -> bool:
    try:
        return isinstance(one, str) and os.path.samefile(one, other)
    except OSError:
        return False


def _empty_main(file: str, name: str | None) -> ModuleType:
    """Return an empty module for a script; for `python -m name` one in which relative imports work."""
    module = ModuleType(PRIVATE)
    module.__file__ = file
    if name is not None:
        spec = _spec(name) or spec_from_file_location(name, file)
        if spec is not None:
            module.__spec__, module.__package__ = spec, spec.parent
            module.__file__ = spec.origin if spec.has_location else file
    vars(module)["__builtins__"] = builtins
    return module


def _spec(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    except Exception:
        # Finding it imports its packages, which may raise anything today; the captured file is still there.
        return None


def _text(file: str) -> bytes:
    try:
        with open(file, "rb") as script:
            return script.read()
    except OSError as err:
        text = Sources().text_of(file)
        if text is not None:
            return text
        raise CannotReplayError(
            f"The script {file!r} cannot be read: {err.strerror}.", hint="ckpt debug opens the captured frames without it"
        ) from err


__all__ = ["OURS", "OwnFinder", "Project", "TextLoader", "as_main", "import_root", "load_main", "project_path"]
