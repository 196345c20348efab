"""Runs what lies in this snapshot: a script, a module as `python -m` does, or a function without arguments.

python codebase.zip train.py ...
python codebase.zip package.module ...
python codebase.zip module:function ...
"""

# This file is the `__main__.py` of every snapshot: it needs nothing but the standard library, and knows the snapshot as its own directory.
from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any

#: What a snapshot with a fixed entry point runs; empty for one that is told on the command line.
ENTRY = ""


def main() -> None:
    """Run the fixed entry point, else what the first argument names. The other arguments are the program's."""
    entry = ENTRY
    if not entry:
        if len(sys.argv) == 1:
            sys.stderr.write(str(__doc__))
            sys.exit(2)
        entry = sys.argv.pop(1)
        if entry in {"-h", "--help"}:
            sys.stdout.write(str(__doc__))
            return
    root = os.path.dirname(os.path.abspath(__file__))
    if entry.endswith(".py"):
        run_script(root, entry)
    elif ":" in entry:
        run_function(*entry.split(":", 1))
    else:
        import runpy

        runpy.run_module(entry, run_name="__main__", alter_sys=True)


def run_function(module: str, name: str) -> None:
    """Call a function of a module."""
    import importlib

    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    found()


def run_script(root: str, name: str) -> None:
    """Run a script of the snapshot as `__main__`, its own directory first on the path."""
    parts = os.path.normpath(name).split(os.sep)
    file, script, loader = os.path.join(root, *parts), ModuleType("__main__"), globals()["__loader__"]
    try:
        # A zip file is known to its loader as the command line named it, which may be `./codebase.zip`.
        data: bytes = loader.get_data(os.path.join(getattr(loader, "archive", root), *parts))
    except OSError:
        sys.exit(f"There is no {name} in {root}.")
    code = compile(data, file, "exec", dont_inherit=True)
    _show_source(file, data)
    sys.argv[0] = script.__file__ = file
    if os.path.dirname(file) != root:
        sys.path.insert(0, os.path.dirname(file))
    sys.modules["__main__"] = script
    exec(code, script.__dict__)  # noqa: S102 - that is what running a script is


def _show_source(file: str, data: bytes) -> None:
    """Let tracebacks show the script: a loader would be asked for `__main__`, which is this file."""
    import io
    import linecache
    import tokenize

    encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    lines = io.TextIOWrapper(io.BytesIO(data), encoding, errors="replace").readlines()
    linecache.cache[file] = (len(data), None, lines, file)


if __name__ == "__main__":
    main()
