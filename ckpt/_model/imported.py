"""Whether the text of a file is what a loaded module was made from.

A job runs for hours while its source is edited. What is asked is only asked of a file that was written after the process had begun, and
answered from data: the text is compiled, never executed, and the module is read through the slots of its objects.
"""

from __future__ import annotations

import ast
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

#: About when the process began; nothing that was written earlier was written since.
_BEGAN = time.time()
_PLAIN = frozenset({bool, int, float, complex, str, bytes, type(None)})
#: Functions looked at in one module.
_MOST = 5000


def is_suspect(status: os.stat_result) -> bool:
    """Whether a file was written, or put in its place, since this process began."""
    return max(status.st_mtime, status.st_ctime if os.name == "posix" else 0) >= _BEGAN


def is_source_of(namespace: Mapping[str, Any], file: str, text: bytes) -> bool:
    """Whether the functions and plain constants in a module's `namespace` are those of `text`. Never raises."""
    try:
        tree = ast.parse(text, file)
        known = set(_codes(compile(tree, file, "exec", dont_inherit=True)))
        return all(code in known for code in _live_codes(namespace, file)) and _has_constants(tree, namespace)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _live_codes(namespace: Mapping[str, Any], file: str) -> Iterator[CodeType]:
    """Yield the code of the functions that were defined in `file`, those below decorators and in classes too."""
    waiting, seen = list(namespace.values()), set[int]()
    while waiting and len(seen) < _MOST:
        value = waiting.pop()
        if id(value) not in seen:
            seen.add(id(value))
            if type(value) is FunctionType and value.__code__.co_filename == file:
                yield value.__code__
            waiting.extend(_inside(value, namespace.get("__name__")))


def _inside(value: object, module: object) -> Iterable[object]:
    kind = type(value)
    if kind is FunctionType:
        return [value.__dict__["__wrapped__"]] if "__wrapped__" in value.__dict__ else ()
    if kind is staticmethod or kind is classmethod:
        return [value.__func__]  # type: ignore[attr-defined]
    if kind is property:
        return [value.fget, value.fset, value.fdel]  # type: ignore[attr-defined]
    if issubclass(kind, type):
        held = type.__dict__["__dict__"].__get__(value)
        return list(held.values()) if held.get("__module__") == module else ()
    return ()


def _has_constants(tree: ast.Module, namespace: Mapping[str, Any]) -> bool:
    """Whether names that the text binds only once, and to a plain constant, have that value in the module."""
    stores = Counter(node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            for target in statement.targets:
                name = target.id if isinstance(target, ast.Name) else ""
                held = namespace.get(name)
                if stores[name] == 1 and type(held) in _PLAIN and repr(held) != repr(statement.value.value):
                    return False
    return True
