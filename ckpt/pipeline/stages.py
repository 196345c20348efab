"""Functions as stages: what a graph is made of."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from types import BuiltinMethodType, FunctionType, MethodType, MethodWrapperType
from typing import TYPE_CHECKING, Any

from ckpt._recording.options import default_name
from ckpt.errors import UsageError

if TYPE_CHECKING:
    from ckpt.pipeline.graphs import Pipeline

SERIALIZERS = ("json", "pickle")
#: Made anew whenever one asks for them, and equal when they are bound to the very same object.
_BOUND = (MethodType, BuiltinMethodType, MethodWrapperType)


class Stage:
    """A function as a node of pipelines; made with `@Stage.wrap()`.

    `func` is the function itself. Two stages of one function are equal. Raises `UsageError` for what cannot be a stage.
    """

    __slots__ = ("__weakref__", "_call", "func", "known", "least", "most", "name", "parameters", "serializer")

    def __init__(self, func: Callable[..., Any], *, name: str | None = None, serializer: str | None = None) -> None:
        given: object = name
        if not callable(func):
            raise UsageError(f"A stage is made of a function, not of {func!r}.", hint="@Stage.wrap() above a def")
        if given is not None and not isinstance(given, str):
            raise UsageError(f"name is a text, not {given!r}.", hint='@Stage.wrap(name="...")')
        if serializer is not None and serializer not in SERIALIZERS:
            raise UsageError(f"serializer is 'json' or 'pickle', not {serializer!r}.")
        self.func = func
        self.name: str = name or _name_of(func)
        self.serializer = serializer
        #: The names of the inputs, how many there must be at least, and how many there may be (None: any number).
        self.parameters, self.least, self.most = _inputs(self.name, func)
        #: What `fingerprints` knows of the function.
        self.known: Any = None
        self._call: Callable[..., Any] | None = None

    @staticmethod
    def wrap(*, name: str | None = None, serializer: str | None = None) -> Callable[[Callable[..., Any]], Stage]:
        """Return a decorator that makes a stage of a function.

        Args:
            name: what the stage is called, in its results' files too; the function's name by default.
            serializer: "json" or "pickle" fixes how its results are kept; by default JSON where that gives back the same, else pickle.
        """
        return lambda func: Stage(func, name=name, serializer=serializer)

    @property
    def capture_name(self) -> str:
        """The name under which failures of this stage are captured."""
        return default_name(self.name)

    @property
    def place(self) -> tuple[str, int]:
        """The file and the line that warnings about this stage point to."""
        code = getattr(self.func, "__code__", None)
        return (code.co_filename, code.co_firstlineno) if code is not None else ("<ckpt>", 1)

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        """The function, with the captures of its failures: what pipelines call."""
        if self._call is None:
            self._call = _captured(self.func, self.capture_name)
        return self._call

    def input_name(self, number: int, count: int = 0) -> str:
        """Return the name of the parameter that takes an input; of one that takes several of `count`, with its place among them."""
        last = len(self.parameters) - 1
        name = self.parameters[min(number, last)]
        return f"{name}[{number - last}]" if number >= last and count > len(self.parameters) else name

    def __call__(self, *args: Any) -> Any:
        """Call the function itself."""
        return self.func(*args)

    def __rshift__(self, other: Any) -> Pipeline:
        return _compose(other, self)

    def __lshift__(self, other: Any) -> Pipeline:
        return _compose(self, other)

    def __rrshift__(self, other: Any) -> Pipeline:
        return _compose(self, other)

    def __rlshift__(self, other: Any) -> Pipeline:
        return _compose(other, self)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Stage) and _is_same(self.func, other.func) and (self.name, self.serializer) == (other.name, other.serializer)
        )

    def __hash__(self) -> int:
        return hash(self.func) if isinstance(self.func, _BOUND) else id(self.func)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"Stage[{self.name}]"

    def __reduce__(self) -> tuple[Any, ...]:
        """By name where an import finds the stage: its module holds it under the name of the function, which no pickle would find."""
        module, path = getattr(self.func, "__module__", None), getattr(self.func, "__qualname__", "")
        if module not in {None, "__main__", "__mp_main__"} and _found(sys.modules.get(module), path) is self:
            return find_stage, (module, path)
        return make_stage, (self.func, self.name, self.serializer)


def find_stage(module: str, path: str) -> Any:
    """Return the stage that a module has under a name."""
    return _found(import_module(module), path)


def make_stage(func: Callable[..., Any], name: str, serializer: str | None) -> Stage:
    """Return a stage that no import finds."""
    return Stage(func, name=name, serializer=serializer)


def _compose(stage: Any, written: Any) -> Pipeline:
    from ckpt.pipeline.graphs import compose

    return compose(stage, written)


def _found(holder: Any, path: str) -> Any:
    for name in path.split("."):
        holder = getattr(holder, name, None)
    return holder


def _is_same(one: Any, other: Any) -> bool:
    """Whether two callables are one; whether they are equal, only they themselves could say, and they might say anything."""
    return one is other or (isinstance(one, _BOUND) and isinstance(other, _BOUND) and bool(one == other))


def _name_of(func: Any) -> str:
    inner = func.func if isinstance(func, partial) else func
    return getattr(inner, "__name__", "") or type(inner).__name__


def _captured(func: Any, name: str) -> Callable[..., Any]:
    """Return a callable with the captures of its failures; a method's hold its object."""
    from ckpt._recording.decorator import ckpt

    capture: Any = ckpt(active=False, name=name)
    if isinstance(func, MethodType) and isinstance(func.__func__, FunctionType):
        return MethodType(capture(func.__func__), func.__self__)
    # The decorator takes functions; of another object the call is one.
    found: Callable[..., Any] = capture(func if isinstance(func, FunctionType) else partial(func))
    return found


def _inputs(name: str, func: Callable[..., Any]) -> tuple[tuple[str, ...], int, int | None]:
    """Return the names of the parameters that inputs can fill, and how many inputs there must be and may be."""
    if inspect.iscoroutinefunction(func) or inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        raise UsageError(f"The stage {name!r} must return its result: an async function or a generator cannot be kept.")
    try:
        # What a partial function wraps has parameters that are filled already.
        parameters = inspect.signature(func, follow_wrapped=not isinstance(func, partial)).parameters.values()
    except (TypeError, ValueError):  # a builtin that does not say
        return ("input",), 0, None
    ours = [each for each in parameters if each.kind in {each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD}]
    variable = [each.name for each in parameters if each.kind is each.VAR_POSITIONAL]
    stuck = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.default is each.empty]
    if stuck:
        raise UsageError(f"The stage {name!r} has a keyword-only parameter that nothing can fill: {', '.join(stuck)}.")
    least = sum(each.default is each.empty for each in ours)
    return (*(each.name for each in ours), *variable), least, None if variable else len(ours)
