"""What the verbs and names of a stream mean where it is loaded: the other half of `verbs`, for both unpicklers."""

from __future__ import annotations

import builtins
import marshal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import MAGIC_NUMBER
from types import CellType, CodeType, FunctionType, MemberDescriptorType, MethodType
from typing import Any

from ckpt._model import by_value
from ckpt._model.describe import type_name
from ckpt._model.exceptions import build_exception, give_state, gone_exception
from ckpt._model.interrupts import let_pass
from ckpt._model.layout import definition_of, module_of, name_of
from ckpt._model.lazy import imported_when_used
from ckpt._model.placeholder import Gone, GoneClass, Placeholder, gone_class, seal
from ckpt._model.tensors import build_storage, build_tensor
from ckpt.errors import DamagedError

_VERBS_MODULE = "ckpt._model.verbs"


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
    #: Set by the loading: whether there is a placeholder in what was loaded, or was for a moment.
    has_gaps: bool = False


class Answers:
    """The functions that a stream calls by name, for one loading of it."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        #: By-value objects that were there before the stream; the state it has for them is not wanted.
        self._settled: dict[int, object] = {}
        #: The ids of by-value classes that are made, but not yet filled.
        self._new_classes: dict[int, str] = {}
        self._gone: list[GoneClass] = []
        #: The classes that stand for those whose objects do not take their state, by what they are and why.
        self._unfit: dict[tuple[str, ...], GoneClass] = {}
        #: Containers by the number under which the stream mentions them.
        self._numbered: dict[int, Any] = {}

    def gone(self, module: str, name: str, reason: str) -> GoneClass:
        """Return a class to stand for one that is gone; raise where nothing may."""
        if self._surroundings.is_whole:
            raise DamagedError(f"{module}.{name} is gone: {reason}")
        kind = gone_class(module, name, reason)
        self._gone.append(kind)
        self._surroundings.has_gaps = True
        return kind

    def with_state(self, kind: type, state: Any, error: BaseException) -> Gone:
        """Return what stands for an object that does not take its state: it has the fields, as one of a class that is gone does."""
        what = "an object that refuses its state"
        if definition_of(kind, "__setstate__") is None:
            what = "an object of a class that has changed (--code captured has it as it was)"
        told = (module_of(kind), name_of(kind), _told(error), what)
        if told not in self._unfit:
            self._unfit[told] = gone_class(*told)
            self._gone.append(self._unfit[told])
        made: Gone = self._unfit[told]()
        made.__setstate__(state)
        return made

    def finish(self) -> None:
        """From now on, what stands for something that is gone refuses to be called."""
        for kind in self._gone:
            seal(kind)

    def _lost(self, type_name: str, description: str, reason: str) -> Placeholder:
        """Return a placeholder; raise where nothing may take a value's place."""
        if self._surroundings.is_whole:
            raise DamagedError(f"{description} cannot be loaded: {reason}")
        return self.stream_placeholder(type_name, description, reason)

    def _each(self, items: Any, do: Callable[[Any], object]) -> None:
        """Do what can be done for every item; one that refuses does not stop the others, unless all must come back."""
        for item in items:
            try:
                do(item)
            except BaseException as error:
                let_pass(error)
                if self._surroundings.is_whole:
                    raise

    def persistent(self, kind: str, number: int, *content: Any) -> Any:
        """Return a container that was written from a snapshot, or what stands for an object that was left out."""
        if kind == "lost" and content:
            self._numbered[number] = self.stream_placeholder(*content)
        elif kind == "instead" and content:
            self._numbered[number] = content[0]
        elif number not in self._numbered:
            self._numbered[number] = {} if kind == "dict" else set()
        found = self._numbered[number]
        if kind == "dict" and content:
            self._each(zip(*content, strict=True), lambda pair: found.__setitem__(*pair))
        elif kind == "set" and content:
            self._each(content[0], found.add)
        return found

    def give_state(self, obj: Any, setter: Callable[..., Any] | None, state: Any, items: list[Any] | None, pairs: list[Any] | None) -> None:
        """Give an object the state that had to wait."""
        if setter is not None:
            self._each([state], lambda held: setter(obj, held))
        elif state is not None:
            self._each([state], lambda held: set_state(obj, held))
        self._each([items] if items else [], lambda held: obj.extend(held))  # noqa: PLW0108  it may have no such method
        self._each(pairs or [], lambda pair: obj.__setitem__(*pair))

    def stream_placeholder(self, type_name: str, description: str, reason: str) -> Placeholder:
        self._surroundings.has_gaps = True
        return Placeholder(type_name, description, reason)

    def stream_by_value(self, module: str, qualname: str, make: Any, args: tuple[Any, ...], id: str) -> Any:
        found = self._surroundings.resolve(module, qualname)
        if found is None and id:
            found = by_value.known(id)
            if found is not None:
                self._surroundings.made[module, qualname] = found
        if found is not None:
            self._settled[builtins.id(found)] = found
            return found
        try:
            made = make(*args)
        except BaseException as error:
            let_pass(error)
            return self.gone(module, qualname, f"it cannot be made again: {_told(error)}")
        self._surroundings.made[module, qualname] = made
        if id and isinstance(made, type):
            self._new_classes[builtins.id(made)] = id
        return made

    def stream_class_state(self, cls: Any, state: dict[str, Any]) -> None:
        if builtins.id(cls) in self._settled or not isinstance(cls, type) or issubclass(cls, Gone):
            return
        registry = state.pop("_abc_impl", ())
        first_line = state.get("__firstlineno__")
        self._each(state.items(), lambda pair: setattr(cls, *pair))
        if first_line is not None:
            cls.__firstlineno__ = first_line  # type: ignore[attr-defined]  # setting `__module__` has removed it
        self._each(registry, lambda subclass: cls.register(subclass))  # type: ignore[attr-defined]  # noqa: PLW0108  only an ABC has it
        if (id := self._new_classes.get(builtins.id(cls))) is not None:
            by_value.remember(cls, id)

    def stream_function(self, code: Any, namespace: Any, cells: Any) -> Any:
        if type(code) is not CodeType:
            return code
        return FunctionType(code, namespace, closure=cells)

    def stream_function_state(self, function: Any, state: dict[str, Any]) -> None:
        if builtins.id(function) in self._settled or type(function) is not FunctionType:
            return
        for name in ("name", "qualname", "module", "doc", "defaults", "kwdefaults", "annotations"):
            setattr(function, f"__{name}__", state[name])
        function.__dict__.update(state["fields"])
        function.__globals__.update(state["globals"])
        self._each(state["imports"], import_module)

    def stream_code(self, data: bytes, magic: bytes) -> Any:
        if magic == MAGIC_NUMBER and self._surroundings.same_python:
            return marshal.loads(data)  # noqa: S302
        return self._lost("function", "a function kept by value", "its bytecode is of another Python version")

    def stream_namespace(self, module: str, held: dict[str, Any]) -> dict[str, Any]:
        try:
            return vars(import_module(module)) if module else {**held, "__builtins__": builtins}
        except BaseException as error:
            let_pass(error)
            self._lost("module", module, _told(error))
            return {"__name__": module, "__builtins__": builtins}

    def stream_cell(self) -> CellType:
        return CellType()

    def stream_cell_state(self, cell: CellType, contents: tuple[Any]) -> None:
        cell.cell_contents = contents[0]

    def stream_exception(self, kind: Any, args: tuple[Any, ...], base: str) -> BaseException:
        if not isinstance(kind, type):
            kind = gone_exception("", "UnknownError", repr(kind), base)
        elif issubclass(kind, Gone):
            kind = gone_exception(kind.__module__, kind.__qualname__, kind.__doc__ or "", base)
        return build_exception(kind, args)

    def stream_exception_state(self, error: Any, state: dict[str, Any]) -> None:
        if issubclass(type(error), BaseException):
            give_state(error, state)

    def stream_method(self, function: Any, instance: Any) -> Any:
        return MethodType(function, instance)

    def stream_new(self, cls: Any, *args: Any) -> Any:
        return cls.__new__(cls, *args)

    def stream_state(self, obj: Any, fields: dict[str, Any]) -> None:
        dictionary = definition_of(type(obj), "__dict__")
        for name, value in fields.items():
            slot = definition_of(type(obj), name)
            if type(slot) is MemberDescriptorType:
                slot.__set__(obj, value)
            elif dictionary is not None:
                dictionary.__get__(obj)[name] = value

    def stream_same(self, value: Any) -> Any:
        return value

    def stream_module(self, name: str) -> Any:
        try:
            return import_module(name) if self._surroundings.is_whole else imported_when_used(name)
        except BaseException as error:
            let_pass(error)
            return self._lost("module", f"the module {name!r}", _told(error))

    def stream_standard(self, name: str) -> Any:
        return getattr(sys, name)

    def stream_view(self, buffer: Any, form: str, shape: tuple[int, ...]) -> memoryview:
        view = memoryview(buffer).cast("B")
        try:
            return view.cast(form, shape)  # type: ignore[call-overload, no-any-return]
        except (TypeError, ValueError):
            return view

    def stream_storage(self, buffer: Any) -> Any:
        return build_storage(buffer)

    def stream_tensor(self, kind: Any, storage: Any, place: tuple[Any, ...], requires_grad: Any, device: str) -> Any:
        return build_tensor(kind, storage, place, requires_grad, device)

    def stream_gradient(self, tensor: Any, gradient: Any) -> None:
        if type(tensor) is not Placeholder and type(gradient) is not Placeholder:
            tensor.grad = gradient

    def stream_dill(self, data: bytes) -> Any:
        import dill

        dill.extend(use_dill=False)
        return dill.loads(data)


def set_state(obj: Any, state: Any) -> None:
    """Do what the opcode BUILD does, without asking an object for a `__setstate__` that its class does not define."""
    if definition_of(type(obj), "__setstate__") is not None:
        obj.__setstate__(state)
        return
    fields, slots = state if type(state) is tuple else (state, None)
    if fields:
        vars(obj).update(fields)
    for name, value in (slots or {}).items():
        setattr(obj, name, value)


def _told(error: BaseException) -> str:
    return f"{type_name(type(error))}: {error}"[:300]


class FindsClass:
    """The names in a stream, for both unpicklers."""

    answers: Answers

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name in the stream means: one of our verbs, or what an import finds; a stand-in where it finds nothing."""
        if module == _VERBS_MODULE:
            return getattr(self.answers, name)
        try:
            return super().find_class(module, name)  # type: ignore[misc]
        except BaseException as error:
            let_pass(error)
            return self.answers.gone(module, name, _why_gone(error, module, name))

    def persistent_load(self, pid: tuple[Any, ...]) -> Any:
        """Return what the thorough pickler wrote under a number."""
        return self.answers.persistent(*pid)


def _why_gone(error: BaseException, module: str, name: str) -> str:
    if isinstance(error, AttributeError):
        return f"there is no {name} in {module} any more"
    return f"{module} cannot be imported: {_told(error)}"
