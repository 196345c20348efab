"""How a file of its own, such as a test, imports the captured function and calls it."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import sys
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any

from ckpt._model.record import WRAPPER_FILE, Json
from ckpt._model.reducing import MAIN_NAMES
from ckpt._model.sources import is_project
from ckpt._replaying import functions
from ckpt._replaying.definitions import definitions, has_guard
from ckpt._replaying.modules import import_root
from ckpt.errors import CannotReplayError

if TYPE_CHECKING:
    from ckpt._replaying.rehydrate import Capture


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A function that can be imported."""

    #: The module's name, and the directory that must be on the path for it; None for one that is installed.
    module: str
    root: str | None
    #: What leads to the function once the module is imported.
    expression: str
    #: The flags of its code: whether it is a generator, a coroutine.
    flags: int


def find_name(capture: Capture) -> Named | None:
    """Return how the captured function is imported; None when its name leads to something else, or importing it would run a script.

    Imports the module. Raises `CannotReplayError` when the function is gone, or is made while its program runs.
    """
    header = capture.header
    if "<" in header.qualname:
        raise CannotReplayError(f"{header.qualname!r} is made while its program runs: no other file can import it.")
    module, root = find_place(capture)
    if header.module in MAIN_NAMES and not _can_be_imported(capture.process, module):
        return None
    with capture.surroundings():
        function, _ = functions.find_callable(module, header.qualname)
        outermost: Any = importlib.import_module(module)
        for part in header.qualname.split("."):
            outermost = inspect.getattr_static(outermost, part)
    expression = f"{module}.{header.qualname}"
    if isinstance(outermost, classmethod):
        expression = f"{expression}.__func__"
    if isinstance(outermost, classmethod | staticmethod):
        outermost = outermost.__func__
    is_wrapper = isinstance(outermost, FunctionType) and outermost.__code__.co_filename == WRAPPER_FILE
    if not (is_wrapper or outermost is function):
        return None  # a decorator above @ckpt, which the captured arguments have passed already
    return Named(module=module, root=root, expression=expression, flags=getattr(getattr(function, "__code__", None), "co_flags", 0))


def find_place(capture: Capture) -> tuple[str, str | None]:
    """Return the name under which the function's module is imported, and the directory that it comes from when that is no installed one."""
    module, process = capture.header.module, capture.process
    main = process.get("main") or {}
    file = (process.get("modules") or {}).get(module)
    if module in MAIN_NAMES:
        file = main.get("file") or ""
        module = main.get("name") or os.path.splitext(os.path.basename(file))[0]
    if not isinstance(file, str) or not is_project(file):
        return module, None
    return module, import_root(module, file)


def _can_be_imported(process: Json, module: str) -> bool:
    """Whether importing a script runs no more than its definitions."""
    if not all(part.isidentifier() for part in module.split(".")) or module.partition(".")[0] in sys.stdlib_module_names:
        return False
    try:
        with open((process.get("main") or {}).get("file") or "", "rb") as script:
            tree = ast.parse(script.read())
    except (OSError, SyntaxError, ValueError):
        return False
    return has_guard(tree) or all(definitions(statement, {}) or _is_text(statement) for statement in tree.body)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
