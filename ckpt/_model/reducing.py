"""The pickler that gets through anything: what refuses becomes a placeholder, and everything around it stays.

It is cloudpickle's C pickler with its hook on top: the hook sees every object that is not an exact builtin container, text or number, asks it
for its reduction inside a fence, and checks the answer before the C code relies on it. Functions and classes that cannot be imported
go by value. `_VERBS` are the functions of ours that a stream calls when it is loaded; `loading` answers to their names.
"""

from __future__ import annotations

import copyreg
import functools
import io
import pickle
import sys
from collections.abc import Callable, Iterable
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    TracebackType,
)
from typing import Any

import cloudpickle

from ckpt._model.describe import describe, type_name
from ckpt._model.interrupts import belongs_to_program
from ckpt._model.placeholder import Placeholder
from ckpt._model.record import WRAPPER_FILE

MAIN_NAMES = frozenset({"__main__", "__mp_main__"})

_NEVER_KEPT: dict[type, str] = {
    FrameType: "a running frame",
    TracebackType: "a traceback of running frames",
    GeneratorType: "a generator cannot be kept half-way",
    CoroutineType: "a coroutine cannot be kept half-way",
    AsyncGeneratorType: "an asynchronous generator cannot be kept half-way",
    super: "super() is bound to a running frame",
}
#: Live resources, kept as a whole as placeholders: their parts are useless, and some make noise when they are thrown away.
_RESOURCES: tuple[tuple[str, str, str], ...] = (
    ("io", "IOBase", "an open file"),
    ("threading", "Thread", "a thread"),
    ("threading", "local", "values of one thread"),
    ("socket", "socket", "a socket"),
    ("asyncio", "AbstractEventLoop", "an event loop"),
    ("asyncio", "Future", "a future or task of a running loop"),
    ("concurrent.futures", "Executor", "an executor with running workers"),
    ("concurrent.futures", "Future", "a future of a running executor"),
    ("subprocess", "Popen", "a child process"),
    ("multiprocessing.process", "BaseProcess", "a child process"),
    ("logging", "Handler", "a logging handler with its lock and file"),
    ("sqlite3", "Connection", "a database connection"),
)


def _verb(name: str) -> Callable[..., Any]:
    """Return the function that a stream names; `loading` puts the real one in its place."""

    def verb(*args: Any) -> Any:
        raise pickle.UnpicklingError(f"This stream can only be loaded by ckpt ({name}).")

    verb.__name__ = verb.__qualname__ = name
    verb.__module__ = __name__
    return verb


#: (type, description, reason) -> a placeholder
stream_placeholder = _verb("stream_placeholder")
#: (module, qualname, function, args) -> today's object of that name, or function(*args)
stream_by_value = _verb("stream_by_value")
#: (object, (setter, state)) -> None; nothing when today's object was taken
stream_by_value_state = _verb("stream_by_value_state")
#: (class, args) -> an exception, built without running its own constructor
stream_exception = _verb("stream_exception")
#: (exception, state) -> None
stream_exception_state = _verb("stream_exception_state")
#: (function, self) -> a bound method
stream_method = _verb("stream_method")
#: (value,) -> value; what a wrapper of ours stands for
stream_same = _verb("stream_same")
#: (bytes,) -> what dill makes of them
stream_dill = _verb("stream_dill")
#: (name,) -> the module of that name, imported
stream_module = _verb("stream_module")


class ModuleReference:
    """Stands for a module in values that are about to be encoded, so that the C pickler need not refuse it."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        return stream_module, (self.name,)


def module_reference(module: ModuleType) -> ModuleReference | Placeholder:
    """Return what stands for `module` in a stream: its name, or a placeholder for one made by hand."""
    name = vars(module).get("__name__")
    if type(name) is str and sys.modules.get(name) is module and name not in MAIN_NAMES:
        return ModuleReference(name)
    return Placeholder("module", describe(module)["text"], "a module that cannot be imported")


def exception_dispatch(chain: Iterable[BaseException]) -> dict[type, Any] | None:
    """Return a dispatch table that keeps the exceptions of `chain` whole; None for an empty chain."""
    kinds = {type(error): reduce_exception for error in chain}
    return {**copyreg.dispatch_table, **kinds} if kinds else None


def reduce_exception(error: BaseException) -> tuple[Any, ...]:
    """Return a reduction that does not need the exception's own constructor and loses nothing but the traceback."""
    kind = type(error)
    state = {
        "args": error.args,
        "dict": dict(_instance_dict(error)),
        "members": _members(error),
        "cause": error.__cause__,
        "context": error.__context__,
        "suppress": error.__suppress_context__,
    }
    args = (error.message, error.exceptions) if isinstance(error, BaseExceptionGroup) else error.args
    return (stream_exception, (kind, args), state, None, None, stream_exception_state)


def _instance_dict(error: BaseException) -> dict[str, Any]:
    return BaseException.__dict__["__dict__"].__get__(error)  # type: ignore[no-any-return]


def _members(error: BaseException) -> dict[str, Any]:
    """Return what does not lie in the `__dict__`: C fields of the builtin bases (`errno`, `name`, `obj`, ...), and slots of the others."""
    members = {}
    for base in type(error).__mro__:
        if base not in (BaseException, object):
            kinds = (MemberDescriptorType, GetSetDescriptorType) if base.__module__ == "builtins" else (MemberDescriptorType,)
            for name, member in vars(base).items():
                if type(member) in kinds:
                    try:
                        value = member.__get__(error)
                    except AttributeError:
                        continue
                    if value is not None:
                        members[name] = value
    return members


class RobustPickler(cloudpickle.Pickler):
    """A C pickler that replaces what it cannot keep. `lost` receives the reason for every replaced object, by `id()`."""

    def __init__(
        self, file: Any, take_buffer: Callable[[pickle.PickleBuffer], bool], exclude: tuple[type, ...], lost: dict[int, str]
    ) -> None:
        super().__init__(file, 5, buffer_callback=take_buffer)
        self._exclude = exclude
        self._lost = lost
        self._resources = _loaded_resources()
        #: Types whose objects the C pickler handles alone, because one of them has shown that it works.
        self._proven: set[type] = set()
        #: Results of reducing that must live as long as the memo, which knows objects by their address.
        self._alive: list[object] = []

    def dump(self, obj: Any) -> None:
        """Write `obj`; unlike cloudpickle's own, let a RecursionError be one."""
        pickle.Pickler.dump(self, obj)

    def reducer_override(self, obj: Any) -> Any:
        """Return how `obj` is kept; called by the C pickler for everything that is not an exact builtin."""
        kind = type(obj)
        if kind in self._proven:
            return NotImplemented
        try:
            return self._reduce(obj, kind)
        except RecursionError:
            raise
        except BaseException as error:
            if belongs_to_program(error):
                raise
            return self._give_up(obj, f"{type_name(type(error))}: {_safe_message(error)}")

    def _reduce(self, obj: Any, kind: type) -> Any:
        reason = self._refusal(obj, kind)
        if reason is not None:
            return self._give_up(obj, reason)
        special = _SPECIAL.get(kind)
        if special is not None:
            return special(self, obj)
        if issubclass(kind, type):
            return self._reduce_class(obj)
        if issubclass(kind, BaseException):
            return reduce_exception(obj)
        return self._reduce_object(obj, kind)

    def _refusal(self, obj: Any, kind: type) -> str | None:
        if kind in _NEVER_KEPT:
            return _NEVER_KEPT[kind]
        if self._exclude and issubclass(kind, self._exclude):
            return "excluded"
        if kind not in _IN_MEMORY_FILES:
            for resource, reason in self._resources:
                if issubclass(kind, resource):
                    return reason
        return None

    def _give_up(self, obj: Any, reason: str) -> Any:
        described = describe(obj)
        self._lost[id(obj)] = reason
        self._alive.append(obj)
        return stream_placeholder, (described["type"], described["text"], reason)

    def reduce_function(self, function: FunctionType) -> Any:
        """Return a reference to a function that can be imported, else its code, globals and closure by value."""
        if function.__code__.co_filename == WRAPPER_FILE:
            wrapped = function.__wrapped__  # type: ignore[attr-defined]
            return NotImplemented if is_importable(function) else (stream_same, (wrapped,))
        if is_importable(function):
            return NotImplemented
        return self._by_value(function, self._dynamic_function_reduce(function))

    def _reduce_class(self, cls: type) -> Any:
        if is_importable(cls):
            return NotImplemented
        reduced = super().reducer_override(cls)
        if isinstance(reduced, tuple) and len(reduced) == 6:  # noqa: PLR2004
            return self._by_value(cls, reduced)
        return reduced

    def _by_value(self, obj: Any, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
        function, args, state, _, _, setter = reduced
        self._alive.append(reduced)
        named = (obj.__module__, obj.__qualname__, function, args)
        return (stream_by_value, named, (setter, state), None, None, stream_by_value_state)

    def reduce_method(self, method: MethodType) -> Any:
        """Return a bound method as function and object: looking its name up again may find another, or fail."""
        return (stream_method, (method.__func__, method.__self__))

    def reduce_module(self, module: ModuleType) -> Any:
        """Return a reference to a module that can be imported; one made by hand is a placeholder."""
        held = module_reference(module)
        return self._give_up(module, held.ckpt_reason) if isinstance(held, Placeholder) else held.__reduce__()

    def reduce_memoryview(self, view: memoryview) -> Any:
        """Return a read-only view of a copy of the bytes."""
        return (memoryview, (view.tobytes(),))

    def reduce_with_dill(self, obj: Any) -> Any:
        """Return an `lru_cache`d function that cannot be imported: dill keeps its parameters and the function; the cache starts empty."""
        if is_importable(obj):
            return NotImplemented
        return (stream_dill, (_dill_dumps(obj),))

    def _reduce_object(self, obj: Any, kind: type) -> Any:
        reduce = self.dispatch_table.get(kind)
        reduced = reduce(obj) if reduce is not None else obj.__reduce_ex__(5)
        if reduce is None and _has_default_reduction(kind):
            self._proven.add(kind)
            return NotImplemented
        return self._checked(obj, reduced)

    def _checked(self, obj: Any, reduced: Any) -> Any:
        """Return `reduced` once it is certain that the C pickler will accept it."""
        if isinstance(reduced, str):
            return reduced if is_importable(obj, reduced) else self._give_up(obj, f"{reduced!r} cannot be imported")
        if not (isinstance(reduced, tuple) and 2 <= len(reduced) <= 6):  # noqa: PLR2004
            return self._give_up(obj, f"its reduction is {type_name(type(reduced))}")
        function, args, state, items, pairs, setter = (*reduced, None, None, None, None)[:6]
        if not callable(function) or type(args) is not tuple or not (setter is None or callable(setter)):
            return self._give_up(obj, "its reduction is not one")
        if getattr(function, "__name__", "") == "__newobj__" and not (args and args[0] is type(obj)):
            return self._give_up(obj, "its reduction makes an object of another class")
        kept = (
            function,
            args,
            state,
            None if items is None else iter(list(items)),
            None if pairs is None else iter([(key, value) for key, value in pairs]),
            setter,
        )
        self._alive.append((reduced, kept))
        return kept if setter is not None else kept[:5]


def is_importable(obj: Any, qualname: str | None = None) -> bool:
    """Whether importing `obj.__module__` and following its qualified name gives `obj` itself, in another process too."""
    module_name = getattr(obj, "__module__", None)
    path = qualname or getattr(obj, "__qualname__", None)
    if type(path) is not str:
        return False
    if type(module_name) is not str:
        module_name = pickle.whichmodule(obj, path)  # type: ignore[attr-defined]
    if module_name in MAIN_NAMES or module_name not in sys.modules:
        return False
    found: Any = sys.modules[module_name]
    for name in path.split("."):
        found = getattr(found, name, None)
    return found is obj


def _loaded_resources() -> list[tuple[type, str]]:
    loaded = []
    for module, name, reason in _RESOURCES:
        kind = vars(sys.modules[module]).get(name) if module in sys.modules else None
        if isinstance(kind, type):
            loaded.append((kind, reason))
    return loaded


def _has_default_reduction(kind: type) -> bool:
    """Whether objects of a class defined in Python are reduced by `object` alone, without any code of the class."""
    if not kind.__flags__ & (1 << 9) or kind.__getattribute__ is not object.__getattribute__:
        return False
    if kind in copyreg.dispatch_table or any(hasattr(kind, name) for name in ("__getnewargs_ex__", "__getnewargs__", "__setstate__")):
        return False
    if issubclass(kind, dict) and kind.items is not dict.items:  # type: ignore[comparison-overlap]
        return False
    if issubclass(kind, list) and kind.__iter__ is not list.__iter__:
        return False
    return (
        kind.__reduce_ex__ is object.__reduce_ex__
        and kind.__reduce__ is object.__reduce__
        and getattr(kind, "__getstate__", None) is object.__getstate__
        and isinstance(kind.__dict__.get("__class__", kind), type)
    )


def _safe_message(error: BaseException) -> str:
    args = error.args
    return str(args[0])[:200] if args and type(args[0]) is str else ""


def _dill_dumps(obj: Any) -> bytes:
    import dill  # noqa: PLC0415  50 ms, and few captures need it

    dill.extend(use_dill=False)  # importing dill adds its types to the pickle module's own Python pickler: taken back at once
    return dill.dumps(obj, protocol=5, recurse=True)  # type: ignore[no-any-return]


_LRU_CACHE = type(functools.lru_cache(lambda: None))
_IN_MEMORY_FILES = frozenset({io.BytesIO, io.StringIO})
_SPECIAL: dict[type, Callable[[RobustPickler, Any], Any]] = {
    FunctionType: RobustPickler.reduce_function,
    MethodType: RobustPickler.reduce_method,
    ModuleType: RobustPickler.reduce_module,
    memoryview: RobustPickler.reduce_memoryview,
    _LRU_CACHE: RobustPickler.reduce_with_dill,
    BuiltinFunctionType: lambda pickler, function: pickler._checked(function, function.__reduce_ex__(5)),  # noqa: SLF001
    ModuleReference: lambda pickler, held: held.__reduce__(),
    Placeholder: lambda pickler, held: (stream_placeholder, (held.ckpt_type, held.ckpt_description, held.ckpt_reason)),
}
