"""Bytes and buffers -> live values, so that what cannot be loaded costs only itself.

The C unpickler comes first. When anything in the stream raises, the same stream is loaded again by a `GuardedUnpickler`, slower and in
Python, which fences every call the stream makes and puts a placeholder where one fails. Classes that are gone get a stand-in in both.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import CodeType, FunctionType, MethodType
from typing import Any

from ckpt._model.describe import type_name
from ckpt._model.interrupts import belongs_to_program
from ckpt._model.lazy import imported_when_used
from ckpt._model.placeholder import Placeholder, gone_class
from ckpt.errors import DamagedError

#: The rooms under whose names streams know our verbs, today's and those of earlier releases.
_VERB_MODULES = frozenset({"ckpt._model.reducing"})


@dataclass(slots=True, kw_only=True)
class Surroundings:
    """What a stream may rely on where it is loaded."""

    #: Whether bytecode in the stream runs on this Python.
    same_python: bool = True
    #: Today's object for a class or function that was kept by value: `(module, qualname)` -> object, or None to use the one in the stream.
    resolve: Callable[[str, str], object | None] = lambda module, qualname: None
    #: The classes and functions that were kept by value and have been made, under the same two names.
    made: dict[tuple[str, str], object] = field(default_factory=dict)
    #: Whether all of it must come back: nothing takes the place of what cannot be loaded, and `DamagedError` says so.
    is_whole: bool = False


def load(stream: bytes | memoryview, buffers: Sequence[memoryview], surroundings: Surroundings) -> Any:
    """Return the root of `stream`. Raises `DamagedError` when the stream itself is broken."""
    if surroundings.is_whole:
        try:
            return _WholeUnpickler(io.BytesIO(stream), buffers, surroundings).load()
        except Exception as error:
            raise DamagedError(f"The values cannot be loaded: {type_name(type(error))}: {error}.") from error
    try:
        return _Unpickler(io.BytesIO(stream), buffers, surroundings).load()
    except BaseException as error:
        if belongs_to_program(error):
            raise
    try:
        return GuardedUnpickler(io.BytesIO(stream), buffers, surroundings).load()
    except Exception as error:
        raise DamagedError(f"The values cannot be loaded: {type_name(type(error))}: {error}.") from error


class _NeedsGuardError(Exception):
    """The stream calls a constructor that must not run: only the guarded unpickler can tell the call from the class."""


class _Verbs:
    """The functions that a stream of ours calls by name, bound to where it is loaded."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        #: By-value objects that today's took the place of; their recorded state is not wanted.
        self._resolved: list[object] = []

    def stream_placeholder(self, type_name: str, description: str, reason: str) -> Placeholder:
        return Placeholder(type_name, description, reason)

    def stream_by_value(self, module: str, qualname: str, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        found = self._surroundings.resolve(module, qualname)
        if found is not None:
            self._resolved.append(found)
            return found
        if function is FunctionType and not (self._surroundings.same_python and type(args[0]) is CodeType):
            return Placeholder("function", f"{module}.{qualname}", "its bytecode is of another Python version")
        made = self._surroundings.made[module, qualname] = function(*args)
        return made

    def stream_by_value_state(self, obj: Any, setter_and_state: tuple[Callable[..., Any], Any]) -> None:
        setter, state = setter_and_state
        if not isinstance(obj, Placeholder) and not any(obj is found for found in self._resolved):
            setter(obj, state)

    def stream_exception(self, kind: type[BaseException], args: tuple[Any, ...]) -> BaseException:
        return build_exception(kind, args)

    def stream_exception_state(self, error: BaseException, state: dict[str, Any]) -> None:
        if isinstance(error, Placeholder):
            return
        # Past a `__setattr__` of the user's: a frozen dataclass can be an exception.
        fields = vars(BaseException)
        fields["args"].__set__(error, state["args"])
        fields["__dict__"].__get__(error).update(state["dict"])
        for name, value in state["members"].items():
            _set_member(error, name, value)
        for name in ("cause", "context"):
            linked = state[name]
            fields[f"__{name}__"].__set__(error, linked if isinstance(linked, BaseException) else None)
        fields["__suppress_context__"].__set__(error, state["suppress"])

    def stream_method(self, function: Any, instance: Any) -> Any:
        return MethodType(function, instance)

    def stream_same(self, value: Any) -> Any:
        return value

    def stream_module(self, name: str) -> Any:
        return import_module(name) if self._surroundings.is_whole else imported_when_used(name)

    def stream_dill(self, data: bytes) -> Any:
        import dill  # noqa: PLC0415  only a stream with something of dill's needs it

        dill.extend(use_dill=False)
        return dill.loads(data)


def _set_member(error: BaseException, name: str, value: Any) -> None:
    member: Any = next((vars(base)[name] for base in type(error).__mro__ if name in vars(base)), None)
    if member is None:  # a slot of a class that came by value, where cloudpickle has made none
        vars(BaseException)["__dict__"].__get__(error)[name] = value
        return
    try:
        member.__set__(error, value)
    except (AttributeError, TypeError):
        return  # read-only ones (`exceptions` of a group) came with the constructor


def build_exception(kind: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    """Return an exception of class `kind` without running a constructor written in Python."""
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        raise TypeError(f"{kind!r} is no exception class")
    builtin = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    try:
        error: BaseException = builtin.__new__(kind, *args)
        builtin.__init__(error, *args)  # type: ignore[misc]
    except TypeError:
        error = BaseException.__new__(kind, *args)
    return error


class _FindClass:
    """Names in a stream -> classes and functions, for both unpicklers."""

    _verbs: _Verbs
    _guarded = False

    def find_class(self, module: str, name: str) -> Any:
        if module in _VERB_MODULES and name.startswith("stream_"):
            return getattr(self._verbs, name)
        try:
            found = super().find_class(module, name)  # type: ignore[misc]
        except BaseException as error:
            if belongs_to_program(error):
                raise
            return gone_class(module, name, _why_gone(error, module, name))
        if not self._guarded and _has_own_constructor(found):
            raise _NeedsGuardError
        return found


def _why_gone(error: BaseException, module: str, name: str) -> str:
    if isinstance(error, AttributeError):
        return f"there is no {name} in {module} any more"
    return f"{module} cannot be imported: {type_name(type(error))}: {error}"


def _has_own_constructor(found: object) -> bool:
    """Whether calling an exception class with its `args` may not give the exception back."""
    return (
        isinstance(found, type)
        and issubclass(found, BaseException)
        and any(("__init__" in vars(base) or "__new__" in vars(base)) for base in found.__mro__ if base.__module__ != "builtins")
    )


class _Unpickler(_FindClass, pickle.Unpickler):
    def __init__(self, file: io.BytesIO, buffers: Sequence[memoryview], surroundings: Surroundings) -> None:
        super().__init__(file, buffers=buffers)
        self._verbs = _Verbs(surroundings)


class _WholeUnpickler(_Unpickler):
    """Puts nothing in the place of what is gone."""

    def find_class(self, module: str, name: str) -> Any:
        if module in _VERB_MODULES and name.startswith("stream_"):
            return getattr(self._verbs, name)
        return pickle.Unpickler.find_class(self, module, name)


class GuardedUnpickler(_FindClass, pickle._Unpickler):  # type: ignore[name-defined, misc]  # noqa: SLF001
    """The unpickler of the `pickle` module in Python, with a fence around every call that a stream makes."""

    _guarded = True
    dispatch = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]  # noqa: RUF012, SLF001

    def __init__(self, file: io.BytesIO, buffers: Sequence[memoryview], surroundings: Surroundings) -> None:
        super().__init__(file, buffers=buffers)
        self._verbs = _Verbs(surroundings)

    def _call(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if isinstance(function, type) and issubclass(function, BaseException):
            return build_exception(function, args)
        try:
            return function(*args)
        except BaseException as error:
            if belongs_to_program(error):
                raise
            return _failed(getattr(function, "__qualname__", type_name(type(function))), args, error)

    def load_reduce(self) -> None:
        args = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], args)

    def load_newobj(self) -> None:
        args = self.stack.pop()
        cls = self.stack.pop()
        self.append(self._new(cls, args, {}))

    def load_newobj_ex(self) -> None:
        kwargs = self.stack.pop()
        args = self.stack.pop()
        cls = self.stack.pop()
        self.append(self._new(cls, args, kwargs))

    def _new(self, cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return cls.__new__(cls, *args, **kwargs)
        except BaseException as error:
            if belongs_to_program(error):
                raise
            return _failed(getattr(cls, "__qualname__", "?"), args, error)

    def _fill(self, fill: Callable[[Any], None], depth: int) -> None:
        """Run an opcode that fills the object at `depth` of the stack; when the object refuses, a placeholder takes its place."""
        obj = self.stack[depth] if depth else self.metastack[-1][-1]
        try:
            fill(self)
        except BaseException as error:
            if belongs_to_program(error):
                raise
            self._replace(obj, _failed(type_name(type(obj)), (), error))

    def _replace(self, obj: Any, placeholder: Placeholder) -> None:
        while not (self.stack and self.stack[-1] is obj):
            if not self.stack:
                self.stack = self.metastack.pop()
                self.append = self.stack.append
            else:
                self.stack.pop()
        self.stack[-1] = placeholder
        for key, value in list(self.memo.items()):
            if value is obj:
                self.memo[key] = placeholder


def _failed(name: str, args: tuple[Any, ...], error: BaseException) -> Placeholder:
    return Placeholder(name, f"one that could not be made again from {len(args)} arguments", f"{type_name(type(error))}: {error}")


def _guard(opcode: bytes, depth: int) -> None:
    original = pickle._Unpickler.dispatch[opcode[0]]  # type: ignore[attr-defined]  # noqa: SLF001

    def guarded(unpickler: GuardedUnpickler) -> None:
        unpickler._fill(original, depth)  # noqa: SLF001

    GuardedUnpickler.dispatch[opcode[0]] = guarded


GuardedUnpickler.dispatch[pickle.REDUCE[0]] = GuardedUnpickler.load_reduce
GuardedUnpickler.dispatch[pickle.NEWOBJ[0]] = GuardedUnpickler.load_newobj
GuardedUnpickler.dispatch[pickle.NEWOBJ_EX[0]] = GuardedUnpickler.load_newobj_ex
for _opcode, _depth in ((pickle.BUILD, -2), (pickle.APPEND, -2), (pickle.SETITEM, -3), (pickle.APPENDS, 0), (pickle.SETITEMS, 0), (pickle.ADDITEMS, 0)):
    _guard(_opcode, _depth)

__all__ = ["GuardedUnpickler", "Surroundings", "build_exception", "load"]
