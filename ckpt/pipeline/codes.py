"""What the code of a function is, and which names it goes to.

The code is its syntax tree, so that comments, blank lines and moves do not count; its decorators are told apart from it. The tree is that
of the source only where the source, compiled, gives the very code that runs: a file may have been edited since it was imported. Elsewhere
(a lambda, a prompt, `exec`, rewritten tests) the bytecode, without its lines, stands for it. Names are read from the bytecode, where it is
plain which are global.
"""

from __future__ import annotations

import ast
import dis
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

from ckpt._model.sources import Sources

#: A name that is read, and the attributes that are read from it straight away: `helpers.clean` is ("helpers", "clean").
Chain = tuple[str, ...]
Function = ast.FunctionDef | ast.AsyncFunctionDef

_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_ATTRIBUTE = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_STORED = frozenset({"STORE_GLOBAL", "STORE_DEREF", "DELETE_GLOBAL", "DELETE_DEREF"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What is known of a code object."""

    digest: str
    #: The global names it reads.
    reads: frozenset[Chain]
    #: The modules it imports itself: level, name, names taken from it.
    imports: frozenset[tuple[int, str, tuple[str, ...]]]
    #: The names outside of it that it sets.
    writes: frozenset[str]
    #: Its decorators: each with the name that it begins with, and its syntax tree.
    decorators: tuple[tuple[Chain, str], ...]


#: By `id()`: code objects are equal when their trees are not, in annotations and defaults.
_known: dict[int, tuple[CodeType, Code]] = {}


def read(code: CodeType) -> Code:
    """Return what is known of `code`; the same each time."""
    held = _known.get(id(code))
    if held is None:
        nested = list(_nested(code))
        node = _tree(code)
        text = _text(node) if node is not None else repr(_bytecode(code))
        found = Code(
            digest=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32],
            reads=frozenset(chain for each in nested for chain in _reads(each)),
            imports=frozenset(imported for each in nested for imported in _imports(each)),
            writes=frozenset(one.argval for each in nested for one in dis.get_instructions(each) if one.opname in _STORED),
            decorators=tuple((_chain(each), ast.dump(each)) for each in node.decorator_list) if node is not None else (),
        )
        held = _known[id(code)] = (code, found)
    return held[1]


@dataclass(frozen=True, slots=True)
class _Text:
    """A source, parsed and compiled."""

    data: bytes
    #: The functions by name and first line, which is that of the first decorator; None for what is there twice.
    functions: dict[tuple[str, int], Function | None]
    codes: frozenset[CodeType]


_sources = Sources()
_texts: dict[str, _Text] = {}


def _tree(code: CodeType) -> Function | None:
    """Return the syntax tree that `code` was compiled from; None where that is not certain."""
    data = _sources.text_of(code.co_filename)
    if data is None or code.co_name == "<lambda>":
        return None
    known = _texts.get(code.co_filename)
    if known is None or known.data != data:
        known = _texts[code.co_filename] = _parsed(data)
    return known.functions.get((code.co_name, code.co_firstlineno)) if code in known.codes else None


def _text(node: Function) -> str:
    fields = {**dict(ast.iter_fields(node)), "decorator_list": []}
    return ast.dump(type(node)(**fields), annotate_fields=False)


def _chain(decorator: ast.expr) -> Chain:
    """Return the name that a decorator is called by: `helpers.scaled(2)` by ("helpers", "scaled"); nothing for other expressions."""
    names: list[str] = []
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else ()


def _parsed(data: bytes) -> _Text:
    functions: dict[tuple[str, int], Function | None] = {}
    try:
        tree = ast.parse(data)
        codes = frozenset(_nested(compile(tree, "<source>", "exec", dont_inherit=True)))
    except (SyntaxError, ValueError, RecursionError, MemoryError, Warning):  # it is not what runs
        return _Text(data, {}, frozenset())
    for node in ast.walk(tree):
        if isinstance(node, Function):
            place = node.name, min(each.lineno for each in (node, *node.decorator_list))
            functions[place] = None if place in functions else node
    return _Text(data, functions, codes)


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _nested(each)


def _bytecode(code: CodeType) -> tuple[Any, ...]:
    """Return what a code object does, without its place."""
    shape = code.co_flags, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_varnames
    names = code.co_name, code.co_names, code.co_freevars, code.co_cellvars
    # The body of a class keeps its first line as a constant, from Python 3.13 on.
    line = code.co_firstlineno if "__firstlineno__" in code.co_names else None
    return (*shape, *names, code.co_code, code.co_exceptiontable, [_constant(each) for each in code.co_consts if each is not line])


def _constant(value: Any) -> Any:
    if isinstance(value, CodeType):
        return _bytecode(value)
    if isinstance(value, frozenset):
        return sorted(map(repr, map(_constant, value)))
    return tuple(map(_constant, value)) if isinstance(value, tuple) else (type(value).__name__, value)


def _reads(code: CodeType) -> Iterator[Chain]:
    chain: Chain = ()
    for one in dis.get_instructions(code):
        if chain and one.opname in _ATTRIBUTE:
            chain = (*chain, one.argval)
        elif one.opname != "EXTENDED_ARG":
            if chain:
                yield chain
            chain = (one.argval,) if one.opname in _GLOBAL else ()


def _imports(code: CodeType) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Yield the imports inside a function: `IMPORT_NAME` comes after the constants for its level and for the names wanted."""
    before: list[dis.Instruction] = []
    for one in dis.get_instructions(code):
        if one.opname == "EXTENDED_ARG":
            continue
        if one.opname == "IMPORT_NAME":
            level, names = (each.argval for each in before[-2:])
            yield level, one.argval, names or ()
        before = [*before[-1:], one]
