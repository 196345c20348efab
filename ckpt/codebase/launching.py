"""Runs what lies in this snapshot: a script, a module as `python -m` does, or a function without arguments.

python codebase.zip train.py ...
python codebase.zip package.module ...
python codebase.zip module:function ...
"""

# This file is the `__main__.py` of every snapshot: it needs nothing but the standard library, and knows the snapshot as its own directory.
# It only prepares; what runs is called from the last lines, so that a traceback of the program begins with one line of ours.
from __future__ import annotations

import importlib.util
import os
import runpy
import sys
from collections.abc import Callable
from functools import partial
from types import CodeType, ModuleType
from typing import Any, NoReturn

#: What a snapshot with a fixed entry point runs; empty for one that is told on the command line.
ENTRY = ""


def prepared() -> Callable[[], object]:
    """Return what runs the fixed entry point, else what the first argument names. The other arguments are the program's."""
    entry = ENTRY
    if not entry:
        if len(sys.argv) == 1:
            refuse(str(__doc__))
        entry = sys.argv.pop(1)
        if entry in {"-h", "--help"}:
            sys.stdout.write(str(__doc__))
            sys.exit()
    root = os.path.dirname(os.path.abspath(__file__))
    _go_in_front(root)
    if entry.endswith(".py"):
        return script(root, entry)
    return function(*entry.split(":", 1)) if ":" in entry else module(entry)


def script(root: str, name: str) -> Callable[[], object]:
    """Return what runs a script of the snapshot as `__main__`, its own directory first on the path."""
    file, code = _compiled(root, name)
    main = ModuleType("__main__")
    sys.argv[0] = main.__file__ = file
    if os.path.dirname(file) != root:
        sys.path.insert(0, os.path.dirname(file))
    sys.modules["__main__"] = main
    return partial(exec, code, main.__dict__)


def module(name: str) -> Callable[[], object]:
    """Return what runs a module, or the `__main__` of a package."""
    if not _is_there(name):
        refuse(f"There is no module {name!r} in this snapshot.\n")
    if _is_package(name) and not _is_there(f"{name}.__main__"):
        refuse(f"{name!r} is a package without a __main__.py.\n")
    return partial(runpy.run_module, name, run_name="__main__", alter_sys=True)


def function(module_name: str, name: str) -> Callable[[], object]:
    """Return a function of a module."""
    if not _is_there(module_name):
        refuse(f"There is no module {module_name!r} in this snapshot.\n")
    found: Any = importlib.import_module(module_name)
    sys.argv[0] = getattr(found, "__file__", None) or sys.argv[0]
    for part in name.split("."):
        if not hasattr(found, part):
            refuse(f"There is no {name!r} in module {module_name!r}.\n")
        found = getattr(found, part)
    if not callable(found):
        refuse(f"{name!r} in module {module_name!r} is no function.\n")
    return found  # type: ignore[no-any-return]


def refuse(text: str) -> NoReturn:
    """End with what Python ends with when it finds no script."""
    sys.stderr.write(text)
    sys.exit(2)


def _go_in_front(root: str) -> None:
    """Let imports begin in the snapshot, also under `python -P`, and after the program has changed the directory."""
    if sys.path and os.path.abspath(sys.path[0]) == root:
        sys.path[0] = root
    else:
        sys.path.insert(0, root)


def _is_there(name: str) -> bool:
    """Whether a module is found. What its packages raise when they are imported is the program's."""
    try:
        return bool(name.strip(".")) and not name.startswith(".") and importlib.util.find_spec(name) is not None
    except ModuleNotFoundError as err:
        if err.name is None or not f"{name}.".startswith(f"{err.name}."):
            raise
        return False


def _is_package(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.submodule_search_locations is not None


def _compiled(root: str, name: str) -> tuple[str, CodeType]:
    """Return the path and the code of a script; without a script, end."""
    parts = os.path.normpath(name).split(os.sep)
    file, loader = os.path.join(root, *parts), globals()["__loader__"]
    try:
        if os.pardir in parts:
            raise FileNotFoundError
        # A zip file is known to its loader as the command line named it, which may be `./codebase.zip`.
        data: bytes = loader.get_data(os.path.join(getattr(loader, "archive", root), *parts))
    except OSError:
        refuse(f"There is no {name!r} in this snapshot.\n")
    _show_source(file, data)
    return file, compile(data, file, "exec", dont_inherit=True)


def _show_source(file: str, data: bytes) -> None:
    """Let tracebacks show the script: a loader would be asked for `__main__`, which is this file."""
    import io
    import linecache
    import tokenize

    try:
        encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    except SyntaxError:
        return  # compiling says it better
    lines = io.TextIOWrapper(io.BytesIO(data), encoding, errors="replace").readlines()
    linecache.cache[file] = (len(data), None, lines, file)


if __name__ == "__main__":
    returned = prepared()()
    if type(returned) is int:
        sys.exit(returned)
elif __name__ == "__mp_main__":
    # A worker of `multiprocessing`, which wants the functions of the script. `runpy` takes the path of a script in a zip file for that of
    # another zip file, puts it in front, and finds this file behind it.
    top = os.path.dirname(os.path.abspath(__file__))
    __file__, its_code = _compiled(top, os.path.relpath(sys.path[0], top))
    exec(its_code, globals())  # noqa: S102 - that is what running a script is
