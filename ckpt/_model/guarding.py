"""The unpickler of the `pickle` module in Python, with a fence around every call that a stream makes."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any

from ckpt._model.answers import Answers, FindsClass, set_state
from ckpt._model.describe import type_name
from ckpt._model.exceptions import build_exception
from ckpt._model.interrupts import let_pass
from ckpt._model.layout import definition_of, is_built_in, layout_base_of
from ckpt._model.placeholder import Placeholder

_Base: Any = pickle._Unpickler  # noqa: SLF001  typed as if it were the one in C


class GuardedUnpickler(FindsClass, _Base):  # type: ignore[misc]
    """Loads a stream, with a placeholder for every object that cannot be made or filled."""

    dispatch = dict(_Base.dispatch)  # noqa: RUF012

    def __init__(self, file: Any, buffers: Sequence[memoryview], answers: Answers) -> None:
        super().__init__(file, buffers=buffers)
        self.answers = answers

    def load_reduce(self) -> None:
        """Call a function with a tuple of arguments."""
        args = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], args)

    def load_newobj(self) -> None:
        """Make an object by its class's `__new__`."""
        args = self.stack.pop()
        self.append(self._new(self.stack.pop(), args, {}))

    def load_newobj_ex(self) -> None:
        """Make an object by its class's `__new__`, with keywords."""
        kwargs = self.stack.pop()
        args = self.stack.pop()
        self.append(self._new(self.stack.pop(), args, kwargs))

    def load_build(self) -> None:
        """Give an object its state; one whose class does not say how is not asked, lest its `__getattr__` answers.

        When the object refuses, one that has the fields takes its place.
        """
        obj, state = self.stack[-2:]
        try:
            if definition_of(type(obj), "__setstate__") is None:
                set_state(obj, self.stack.pop())
            else:
                super().load_build()
        except BaseException as error:
            let_pass(error)
            self._drop_down_to(obj)
            self._replace(obj, self.answers.with_state(type(obj), state, error))

    def _call(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        try:
            if isinstance(function, type) and issubclass(function, BaseException):
                return build_exception(function, args)
            return function(*args)
        except BaseException as error:
            let_pass(error)
            return _failed(getattr(function, "__qualname__", type_name(type(function))), args, error)

    def _new(self, cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return cls.__new__(cls, *args, **kwargs)
        except BaseException as error:
            let_pass(error)
            if isinstance(cls, type) and (made := _made_bare(cls, args)) is not None:
                return made
            return _failed(getattr(cls, "__qualname__", "?"), args, error)

    stack: list[Any]

    def fill(self, fill: Callable[[Any], None], depth: int) -> None:
        """Run an opcode that fills the object at `depth` of the stack; when the object refuses, a placeholder takes its place."""
        obj = self.stack[depth] if depth else self.metastack[-1][-1]
        if type(obj) is Placeholder:
            self._drop_down_to(obj)
            return
        try:
            fill(self)
        except BaseException as error:
            let_pass(error)
            self._drop_down_to(obj)
            self._replace(obj, _failed(type_name(type(obj)), (), error))

    def _drop_down_to(self, obj: Any) -> None:
        while not (self.stack and self.stack[-1] is obj):
            if not self.stack:
                self.stack = self.metastack.pop()
                self.append = self.stack.append
            else:
                self.stack.pop()

    def _replace(self, obj: Any, placeholder: Placeholder) -> None:
        self.stack[-1] = placeholder
        for key, value in list(self.memo.items()):
            if value is obj:
                self.memo[key] = placeholder


def _made_bare(cls: type, args: tuple[Any, ...]) -> Any:
    """Return an object of a class whose own `__new__` fails, where it needs nothing but its state; None for any other."""
    base: type | None = cls
    while base is not None and not is_built_in(base):
        base = layout_base_of(base)
    if base is tuple and type(definition_of(cls, "_fields")) is tuple:
        return tuple.__new__(cls, args)
    return object.__new__(cls) if base is object else None


def _failed(name: str, args: tuple[Any, ...], error: BaseException) -> Placeholder:
    made_of = f"one that could not be made again from {len(args)} arguments"
    return Placeholder(name, made_of, f"{type_name(type(error))}: {error}"[:300])


def _guard(opcode: bytes, depth: int) -> None:
    original = GuardedUnpickler.dispatch[opcode[0]]

    def guarded(unpickler: GuardedUnpickler) -> None:
        unpickler.fill(original, depth)

    GuardedUnpickler.dispatch[opcode[0]] = guarded


GuardedUnpickler.dispatch[pickle.REDUCE[0]] = GuardedUnpickler.load_reduce
GuardedUnpickler.dispatch[pickle.NEWOBJ[0]] = GuardedUnpickler.load_newobj
GuardedUnpickler.dispatch[pickle.NEWOBJ_EX[0]] = GuardedUnpickler.load_newobj_ex
GuardedUnpickler.dispatch[pickle.BUILD[0]] = GuardedUnpickler.load_build
#: How far down the stack the object lies that an opcode fills; 0: below the mark.
_FILLERS = {pickle.BUILD: -2, pickle.APPEND: -2, pickle.SETITEM: -3, pickle.APPENDS: 0, pickle.SETITEMS: 0, pickle.ADDITEMS: 0}
for _opcode, _depth in _FILLERS.items():
    _guard(_opcode, _depth)
