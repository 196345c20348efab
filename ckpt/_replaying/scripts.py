"""A script's definitions without its run: what a program had as `__main__`, made again in another process.

A script with a `__name__` guard is executed as an import would; of what the guard holds back, and of a script without one, only imports,
definitions and constants are. So a replay never pays twice for what came before the failing call, and never does again what it did to
the world. Names that are missing then come from the capture.

While it is executed a script is called `PRIVATE`: there are decorators that run a program when they meet `__main__`. Afterwards it and
what it defined are `__main__` again, as they were when they were captured: tracebacks, pickles and messages show that name.
"""

from __future__ import annotations
import __future__

import ast
import copy
import dis
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ckpt._replaying.definitions import definitions, has_guard, is_guard
from ckpt.errors import CannotReplayError

#: The name in `sys.modules` under which a script's classes are found while it is executed.
PRIVATE = "__ckpt_main__"

#: The values captured under a script's global names; or what returns them when given the module, so that they can be of its classes.
Captured = Mapping[str, Any] | Callable[[ModuleType], Mapping[str, Any]]


def run(module: ModuleType, text: bytes, captured: Captured) -> list[str]:
    """Execute a script's `text` in `module` as far as its definitions need it; return what a person should know: one line, or none.

    Raises `CannotReplayError` when the text is no Python.
    """
    try:
        tree = ast.parse(text, str(module.__file__))
        code = compile(tree, str(module.__file__), "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as err:
        raise CannotReplayError(f"The script {module.__file__!r} cannot be compiled: {err}.") from err
    script = _Script(module, tree, code)
    module.__doc__ = ast.get_docstring(tree, clean=False)
    script.execute(captured)
    _rename(vars(module).values())
    module.__name__ = "__main__"
    return script.notes()


class _Script:
    """A script on its way into a module."""

    def __init__(self, module: ModuleType, tree: ast.Module, code: CodeType) -> None:
        self._module, self._tree, self._code = module, tree, code
        self._names = vars(module)
        self._flags = code.co_flags & sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
        self._remarks: list[str] = []
        self._filled: list[str] = []
        self._failed: list[tuple[ast.stmt, BaseException]] = []

    def execute(self, captured: Captured) -> None:
        """Define what can be defined, fill in what was captured, and try again what failed for want of it."""
        if self._run_as_import():
            self._define(self._held_back())
        elif self._define(self._tree.body) and not self._remarks:
            self._remarks.append("it has no __name__ guard, so only its imports, definitions and constants were executed")
        self._fill(captured(self._module) if callable(captured) else captured)
        failed, self._failed = self._failed, []
        for statement, _ in failed:
            self._define_again(statement)

    def notes(self) -> list[str]:
        """Return what was left out, filled in and not found, in one line; nothing when a plain import would have given the same."""
        parts = list(self._remarks)
        if self._filled:
            parts.append(f"from the capture: {', '.join(sorted(self._filled))}")
        if missing := list(self._missing()):
            parts.append(f"not defined: {', '.join(missing)}")
        return [f"{self._module.__file__}: {'; '.join(parts)}"] if parts else []

    def _run_as_import(self) -> bool:
        """Execute all of a script that has a guard; False when it has none, or cannot be imported today."""
        if not has_guard(self._tree):
            return False
        before = dict(self._names)
        try:
            exec(self._code, self._names)  # noqa: S102
        except (Exception, SystemExit) as err:
            self._names.clear()
            self._names.update(before)
            self._remarks.append(f"its top level raised {_in_one_line(err)}, so only its imports, definitions and constants were executed")
            return False
        return True

    def _held_back(self) -> list[ast.stmt]:
        return [statement for node in self._tree.body if isinstance(node, ast.If) and is_guard(node.test) for statement in node.body]

    def _define(self, statements: Iterable[ast.stmt]) -> bool:
        """Execute what defines something; return whether anything else was passed over."""
        passed_over = False
        for statement in statements:
            found = definitions(statement, self._names)
            passed_over = passed_over or not (found or _is_inert(statement))
            for definition in found:
                try:
                    exec(self._compile(definition), self._names)  # noqa: S102
                except (Exception, SystemExit) as err:
                    self._failed.append((definition, err))
        return passed_over

    def _fill(self, captured: Mapping[str, Any]) -> None:
        for name, value in captured.items():
            if name not in self._names:
                self._names[name] = value
                self._filled.append(name)

    def _define_again(self, statement: ast.stmt) -> None:
        """Try again what failed, and then without the decorators that fail, outermost first: a replay enters below `@ckpt` anyway."""
        names = _stored(self._compile(statement))
        if isinstance(statement, ast.Assign | ast.AnnAssign) and names <= set(self._filled):
            return
        error: BaseException | None = None
        for attempt, dropped in _with_fewer_decorators(statement):
            try:
                exec(self._compile(attempt), self._names)  # noqa: S102
            except (Exception, SystemExit) as err:
                error = error or err
                continue
            if error is not None:
                self._remarks.append(f"{', '.join(names)} is without {dropped} ({_in_one_line(error)})")
            self._filled = [name for name in self._filled if name not in names]
            return
        if error is not None:
            self._failed.append((statement, error))

    def _missing(self) -> Iterator[str]:
        """Yield the names that functions of the script look for in vain, and the definitions that failed, with the reason."""
        reasons = {name: _in_one_line(err) for statement, err in self._failed for name in _stored(self._compile(statement))}
        for name in sorted((_stored(self._code) & _loaded_inside(self._code) | reasons.keys()) - self._names.keys()):
            yield f"{name} ({reasons[name]})" if name in reasons else name

    def _compile(self, statement: ast.stmt) -> CodeType:
        code: CodeType = compile(ast.Module([statement], []), str(self._module.__file__), "exec", self._flags, dont_inherit=True)
        return code


def _is_inert(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))


def _with_fewer_decorators(statement: ast.stmt) -> Iterator[tuple[ast.stmt, str]]:
    """Yield a definition, then the same without its first decorator, its first two and so on, with what was left out."""
    yield statement, ""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        for count in range(1, len(statement.decorator_list) + 1):
            attempt = copy.copy(statement)
            attempt.decorator_list = statement.decorator_list[count:]
            yield attempt, ", ".join(f"@{ast.unparse(decorator)}" for decorator in statement.decorator_list[:count])


def _stored(code: CodeType) -> set[str]:
    return {instruction.argval for instruction in dis.get_instructions(code) if instruction.opname == "STORE_NAME"}


def _loaded_inside(code: CodeType) -> set[str]:
    """Return the global names that the functions and classes in `code` use."""
    names: set[str] = set()
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            loads = (step for step in dis.get_instructions(inner) if step.opname in {"LOAD_GLOBAL", "LOAD_NAME"})
            names |= {step.argval for step in loads} | _loaded_inside(inner)
    return names


def _in_one_line(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())[:200]
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _rename(values: Iterable[Any]) -> None:
    """Give classes and functions that were made under the private name the one they had in the program."""
    waiting, seen = list(values), set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        try:
            waiting.extend(_renamed(value, type(value)))
        except Exception:  # noqa: S112  an object that will not be renamed keeps a name that is found too
            continue


def _renamed(value: Any, kind: type) -> Iterable[Any]:
    """Rename one object, and return those inside it that may need it. `isinstance` would ask the object."""
    if issubclass(kind, staticmethod | classmethod):
        return [value.__func__]
    if issubclass(kind, property):
        return [value.fget, value.fset, value.fdel]
    if issubclass(kind, type):
        names = type.__getattribute__(value, "__dict__")
        if names.get("__module__") != PRIVATE:
            return ()
        type.__setattr__(value, "__module__", "__main__")
        return list(names.values())
    if issubclass(kind, ModuleType):
        return ()
    names = object.__getattribute__(value, "__dict__")
    if kind is FunctionType and value.__module__ == PRIVATE:
        value.__module__ = "__main__"
    elif names.get("__module__") == PRIVATE:
        names["__module__"] = "__main__"
    return [names["__wrapped__"]] if "__wrapped__" in names else ()
