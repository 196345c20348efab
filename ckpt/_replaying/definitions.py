"""Which statements of a script only define something, and may be executed again in a replay.

Imports, functions, classes and constants do. A call does not, whatever it is named, except for a table of calls that only make a value;
a decorator, a default, a base class and the body of a class belong to their definition.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, cast

#: Calls that only make a value which the definitions around them need: locks cannot be kept in a capture, type variables are base classes.
_HARMLESS = frozenset(
    f"{module}.{name}"
    for module, names in {
        "_contextvars": "ContextVar",
        "_queue": "SimpleQueue",
        "_thread": "RLock _local allocate_lock lock",
        "builtins": (
            "bool bytearray bytes complex dict float frozenset int list mappingproxy object range set slice str tuple type SimpleNamespace"
        ),
        "collections": "Counter OrderedDict defaultdict deque namedtuple",
        "datetime": "date datetime time timedelta timezone",
        "decimal": "Decimal",
        "enum": "Enum Flag IntEnum IntFlag StrEnum auto",
        "fractions": "Fraction",
        "functools": "partial",
        "logging": "getLogger",
        "ntpath": "abspath basename dirname join",
        "operator": "attrgetter itemgetter",
        "pathlib": "Path PurePath",
        "pathlib._local": "Path PurePath",
        "posixpath": "abspath basename dirname join",
        "queue": "LifoQueue PriorityQueue Queue",
        "re": "compile",
        "threading": "Barrier BoundedSemaphore Condition Event RLock Semaphore",
        "types": "MappingProxyType SimpleNamespace",
        "typing": "NamedTuple NewType ParamSpec TypeVar TypeVarTuple TypedDict",
        "typing_extensions": "NamedTuple NewType ParamSpec TypeVar TypeVarTuple TypedDict",
        "uuid": "UUID",
    }.items()
    for name in names.split()
)
_NAMED = ("FunctionDef", "AsyncFunctionDef", "ClassDef")
_DEFINITIONS = tuple(getattr(ast, name) for name in ("Import", "ImportFrom", *_NAMED, "TypeAlias") if hasattr(ast, name))
_SCOPES = (*(getattr(ast, name) for name in _NAMED), ast.Lambda)

Names = Mapping[str, Any]


def definitions(statement: ast.stmt, names: Names) -> list[ast.stmt]:
    """Return what of `statement` only defines something; `names` are the global names at that point of the script.

    A guard and a `with` give their bodies, one by one. An `if` and a `try` come back whole, without what is no definition in them.
    """
    if isinstance(statement, _DEFINITIONS) or _is_constant(statement, names):
        return [statement]
    if isinstance(statement, ast.With | ast.AsyncWith) or (isinstance(statement, ast.If) and is_guard(statement.test)):
        return _all(statement.body, names)
    if isinstance(statement, ast.If) and _only_makes_a_value(statement.test, names):
        body, other = _all(statement.body, names), _all(statement.orelse, names)
        return [ast.copy_location(ast.If(statement.test, body or [_nothing(statement)], other), statement)] if body or other else []
    if isinstance(statement, ast.Try | ast.TryStar):
        return _of_try(statement, names)
    return []


def is_guard(test: ast.expr) -> bool:
    """Whether `test` is `__name__ == "__main__"`, perhaps with more behind an `and`."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(is_guard(value) for value in test.values)
    if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], ast.Eq):
        return False
    return {ast.unparse(test.left), ast.unparse(test.comparators[0])} == {"__name__", "'__main__'"}


def has_guard(tree: ast.Module) -> bool:
    """Whether a script asks for its `__name__` to decide what it does: it can be imported without being run."""
    comparisons = (node for node in _top_level(tree) if isinstance(node, ast.Compare))
    return any(isinstance(node, ast.Name) and node.id == "__name__" for comparison in comparisons for node in ast.walk(comparison))


def _top_level(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, _SCOPES):
            yield node
            yield from _top_level(node)


def _all(statements: list[ast.stmt], names: Names) -> list[ast.stmt]:
    return [piece for statement in statements for piece in definitions(statement, names)]


def _nothing(near: ast.stmt) -> ast.stmt:
    return ast.copy_location(ast.Pass(), near)


def _of_try(statement: ast.Try | ast.TryStar, names: Names) -> list[ast.stmt]:
    body, final = _all(statement.body, names), _all(statement.finalbody, names)
    if not body:
        return final
    handlers = [
        ast.copy_location(ast.ExceptHandler(handler.type, handler.name, _all(handler.body, names) or [_nothing(handler.body[0])]), handler)
        for handler in statement.handlers
    ]
    other = _all(statement.orelse, names)
    if not handlers and not final:
        return body + other
    kind = cast(type[ast.Try], type(statement))
    return [ast.copy_location(kind(body, handlers, other, final), statement)]


def _is_constant(statement: ast.stmt, names: Names) -> bool:
    if isinstance(statement, ast.AnnAssign):
        return isinstance(statement.target, ast.Name) and (statement.value is None or _only_makes_a_value(statement.value, names))
    if not isinstance(statement, ast.Assign) or not _only_makes_a_value(statement.value, names):
        return False
    plain = ast.Name | ast.Tuple | ast.List | ast.Starred | ast.Store
    return all(isinstance(node, plain) for target in statement.targets for node in ast.walk(target))


def _only_makes_a_value(node: ast.AST, names: Names) -> bool:
    if isinstance(node, ast.Await):
        return False
    if isinstance(node, ast.Call) and not _is_harmless(node.func, names):
        return False
    if isinstance(node, ast.Lambda):
        return _only_makes_a_value(node.args, names)
    return all(_only_makes_a_value(child, names) for child in ast.iter_child_nodes(node))


def _is_harmless(function: ast.expr, names: Names) -> bool:
    found = _look_up(function, names)
    try:
        return f"{found.__module__}.{found.__qualname__}" in _HARMLESS
    except Exception:
        return False


def _look_up(expression: ast.expr, names: Names) -> Any:
    """Return what a dotted name stands for, through modules only; None when it is something else."""
    if isinstance(expression, ast.Name):
        return names.get(expression.id, vars(builtins).get(expression.id))
    if isinstance(expression, ast.Attribute):
        owner = _look_up(expression.value, names)
        return vars(owner).get(expression.attr) if isinstance(owner, ModuleType) else None
    return None
