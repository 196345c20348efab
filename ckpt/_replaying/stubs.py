"""Stubs: code that is compiled to leave a frame behind.

A stub takes the recorded variables and raises at the recorded position. All frames of a function share one code object, as they did
live: a stub holds no values, is handed those of one frame, and raises at one of many positions.
"""

from __future__ import annotations

import _thread
import ast
import itertools
import opcode
import operator
import sys
from collections import deque
from functools import cached_property, partial
from inspect import CO_NEWLOCALS, CO_OPTIMIZED
from types import CodeType, FrameType, FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ckpt._replaying.scopes import Shared, WithLocals, module_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ckpt._model.record import Frame

__all__ = ["Code", "Position", "Run", "line_only", "lone_frame", "make_apart"]

#: `(line, end_line, column, end_column)`; columns of -1 compile to unknown ones.
Position = tuple[int, int, int, int]
#: The name under which a stub finds, for as long as it runs, what one frame needs: which position, which values, which names are deleted,
#: and how to hand over the frame and to end.
_NEEDS = "__ckpt_needs__"
_RAISE = opcode.opmap["RAISE_VARARGS"]
#: How long, in seconds, stubs may take that take microseconds.
_PATIENCE = 60


def line_only(number: int) -> Position:
    """Return the position of a whole line."""
    return max(number, 0), max(number, 0), -1, -1


class _Stub(NamedTuple):
    code: CodeType
    offsets: dict[Position, int]


class Code:
    """What stands for one code object: compiled once for all its frames, with all that any of them needs."""

    def __init__(self, record: Frame) -> None:
        self.record = record
        #: Parameters, then variables; empty for frames whose variables are a namespace.
        self.names = list(record.parameters)
        #: Each with its number.
        self.positions: dict[Position, int] = {}
        self._always: set[str] | None = None
        self._served: set[tuple[str, ...]] = set()

    def serve(self, variables: dict[Any, Any], positions: tuple[Position, ...]) -> None:
        """Be able to make a frame that has these variables, and these positions."""
        for position in positions:
            self.positions.setdefault(position, len(self.positions))
        names = tuple(name for name in variables if isinstance(name, str))
        if self.record.kind == "function" and names not in self._served:
            self._served.add(names)
            self._always = set(names) if self._always is None else self._always.intersection(names)
            self._merge(names)

    def _merge(self, names: tuple[str, ...]) -> None:
        """Take in `names`, each behind the one before it: the order in which a frame lists its variables."""
        at = len(self.record.parameters)
        for name in names:
            if name not in self.names:
                self.names.insert(at, name)
            at = max(at, self.names.index(name) + 1)

    @cached_property
    def stub(self) -> _Stub:
        """Compiled code. Names are put in afterwards: `.0`, mangled and any other name will do."""
        tree = ast.parse(self._text())
        for node in ast.walk(tree):
            _place(node, line_only(self.record.first_line))
        raises = (node for node in ast.walk(tree) if isinstance(node, ast.Raise))
        for node, position in zip(raises, self.positions, strict=True):
            _place(node, position)
        constants = compile(tree, "<stub>", "exec", dont_inherit=True).co_consts
        code: CodeType = next(constant for constant in constants if isinstance(constant, CodeType))
        # Without these two flags a code runs in the namespace that it is given, as those of modules and classes do.
        flags = code.co_flags if self.record.kind == "function" else code.co_flags & ~(CO_OPTIMIZED | CO_NEWLOCALS)
        named = {"co_filename": self.record.file, "co_name": self.record.name, "co_qualname": self.record.qualname}
        code = code.replace(co_flags=flags, co_varnames=tuple(self.names), **named)  # type: ignore[arg-type]
        return _Stub(code, _offsets(code))

    def _text(self) -> str:
        names = [f"v{number}" for number in range(len(self.names))]
        lines = [f"def stub({_signature(self.record, names)}):"]
        lines += [f" {', '.join(names)}, = {_NEEDS}[1]"] if names else []
        optional = [number for number, name in enumerate(self.names) if name not in (self._always or ())]
        lines += [f" if {number} in {_NEEDS}[2]: del v{number}" for number in optional]
        # Whatever it needs, it needs no name of the program's for it.
        lines += [f" {_NEEDS}[3]({_NEEDS}[4]())"]
        lines += [f" if {_NEEDS}[0] == {number}: raise {_NEEDS}[5]" for number in self.positions.values()]
        return "\n".join([*lines, ""])


def _signature(record: Frame, names: Sequence[str]) -> str:
    keywords_from, rest_from = record.argcount, record.argcount + record.kwonly
    parts = [*names[: record.posonly], *(["/"] if record.posonly else []), *names[record.posonly : keywords_from]]
    if record.varargs:
        parts.append("*" + names[rest_from])
    elif record.kwonly:
        parts.append("*")
    parts += names[keywords_from:rest_from]
    if record.varkw:
        parts.append("**" + names[rest_from + record.varargs])
    return ", ".join(parts)


def _place(node: ast.AST, position: Position) -> None:
    if hasattr(node, "lineno"):
        node.lineno, node.end_lineno, node.col_offset, node.end_col_offset = position  # type: ignore[attr-defined]


def _offsets(code: CodeType) -> dict[Position, int]:
    found: dict[Position, int] = {}
    for place, operation, offset in zip(code.co_positions(), code.co_code[::2], itertools.count(0, 2), strict=False):
        if operation == _RAISE:
            line, end_line, column, end_column = (-1 if part is None else part for part in place)
            found[line, end_line, column, end_column] = offset
    return found


class Run:
    """A stub with all that it needs to become one frame."""

    def __init__(self, scope: Shared, call: Callable[[], object], needs: tuple[object, ...]) -> None:
        self.scope = scope
        self.call = call
        self._frames: list[FrameType] = []
        scope[_NEEDS] = (*needs, self._frames.append, sys._getframe, StopIteration)

    @classmethod
    def of(cls, code: Code, end: Position, variables: dict[str, Any], outer: dict[str, Any]) -> Self:
        """Return the run that ends at `end`, with the frame's variables and its module's names."""
        record, stub, number = code.record, code.stub.code, code.positions[end]
        names = module_names(record, outer)
        if record.kind == "function":
            scope = WithLocals(names)
            values = [variables.get(name) for name in code.names]
            missing = {index for index, name in enumerate(code.names) if name not in variables}
            keywords = dict.fromkeys(record.parameters[record.argcount : record.argcount + record.kwonly])
            call = partial(FunctionType(stub, scope), *(None,) * record.argcount, **keywords)
            return cls(scope, call, (number, values, missing))
        if variables is outer or (record.kind == "module" and not variables):
            # A module: one dict is both, by which debuggers know it; what is typed at a prompt needs no help here. One that is kept
            # without its variables has those that other frames name.
            whole = Shared(names)
            return cls(whole, partial(exec, stub, whole, whole), (number, (), ()))
        scope = WithLocals(names)
        return cls(scope, partial(exec, stub, scope, dict(variables)), (number, (), ()))

    @property
    def frame(self) -> FrameType:
        """The frame that the call has left behind."""
        if len(self._frames) != 1:
            raise AssertionError("A stub did not come to its end.")
        return self._frames[0]

    def settle(self, scopes: list[Shared]) -> None:
        """Take away what only the stub needed; `scopes` are the globals of all frames of the module, among which it puts its own."""
        del self.scope[_NEEDS]
        if isinstance(self.scope, WithLocals):
            # Read once: on 3.11 and 3.12 each reading overwrites what was assigned at a prompt.
            self.scope.locals = self.frame.f_locals
        self.scope.scopes = scopes
        scopes.append(self.scope)


def make_apart(calls: Sequence[Callable[[], object]]) -> None:
    """Make calls that end in a StopIteration, on a thread that is C from the bottom up to them: no frame of ours is behind theirs.

    VS Code shows what is behind the first frame of a traceback. `next` swallows the StopIteration, and `deque` is the loop.
    """
    done = _thread.allocate_lock()
    done.acquire()
    each = map(next, [map(operator.call, (call,)) for call in calls], itertools.repeat(None))
    work = itertools.chain(each, map(operator.call, (done.release,)))
    _thread.start_new_thread(deque, (work, 0))
    done.acquire(timeout=_PATIENCE)


def lone_frame(file: str) -> FrameType:
    """Return a frame of a module that lies in `file`, with nothing in it and nothing behind it."""
    scope = Shared({})
    run = Run(scope, partial(exec, compile(f"{_NEEDS}[0]({_NEEDS}[1]())\nraise {_NEEDS}[2]\n", file, "exec"), scope), ())
    make_apart([run.call])
    run.settle([])
    return run.frame
