"""Functions as stages, and the graph that `>>` and `<<` make of them.

A node is a stage with its inputs, which are finished nodes: so no graph can go round in a circle. Nodes are interned: the same stage with
the same inputs is one object, however often it is written, and comparing two of them costs nothing, however deep they are.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakValueDictionary

from ckpt._recording.options import default_name
from ckpt.errors import UsageError

if TYPE_CHECKING:
    from ckpt.pipeline.config import Config
    from ckpt.pipeline.drawing import Graph
    from ckpt.pipeline.planning import Plan

SERIALIZERS = ("json", "pickle")


class Stage:
    """A function as a node of pipelines; made with `@Stage.wrap()`.

    `func` is the function itself. Two stages of one function are equal. Raises `UsageError` for what cannot be a stage.
    """

    __slots__ = ("__weakref__", "_call", "func", "known", "least", "most", "name", "parameters", "serializer")

    def __init__(self, func: Callable[..., Any], *, name: str | None = None, serializer: str | None = None) -> None:
        if not callable(func):
            raise UsageError(f"A stage is made of a function, not of {func!r}.", hint="@Stage.wrap() above a def")
        if serializer is not None and serializer not in SERIALIZERS:
            raise UsageError(f"serializer is 'json' or 'pickle', not {serializer!r}.")
        self.func = func
        self.name: str = name or getattr(func, "__name__", "") or type(func).__name__
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
    def __wrapped__(self) -> Callable[..., Any]:
        """The function, with the captures of its failures: what pipelines call."""
        if self._call is None:
            from ckpt._recording.decorator import ckpt

            try:
                self._call = ckpt(active=False, name=self.capture_name)(self.func)
            except UsageError:  # an object that can be called: there is no function to capture
                self._call = self.func
        return self._call

    def input_name(self, number: int) -> str:
        """Return the name of the parameter that takes an input."""
        return self.parameters[min(number, len(self.parameters) - 1)]

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
        return isinstance(other, Stage) and (self.func, self.name, self.serializer) == (other.func, other.name, other.serializer)

    def __hash__(self) -> int:
        return hash((self.func, self.name))

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


def _found(holder: Any, path: str) -> Any:
    for name in path.split("."):
        holder = getattr(holder, name, None)
    return holder


def _inputs(name: str, func: Callable[..., Any]) -> tuple[tuple[str, ...], int, int | None]:
    """Return the names of the parameters that inputs can fill, and how many inputs there must be and may be."""
    if inspect.iscoroutinefunction(func) or inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        raise UsageError(f"The stage {name!r} must return its result: an async function or a generator cannot be kept.")
    try:
        parameters = inspect.signature(func).parameters.values()
    except (TypeError, ValueError):  # a builtin that does not say
        return ("input",), 0, None
    ours = [each for each in parameters if each.kind in {each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD}]
    variable = [each.name for each in parameters if each.kind is each.VAR_POSITIONAL]
    stuck = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.default is each.empty]
    if stuck:
        raise UsageError(f"The stage {name!r} has a keyword-only parameter that nothing can fill: {', '.join(stuck)}.")
    least = sum(each.default is each.empty for each in ours)
    return (*(each.name for each in ours), *variable), least, None if variable else len(ours)


class Pipeline:
    """A stage and its inputs: a graph with one result.

    Called, it runs what has to run and returns the result; `pipeline(Config(...))` says what is stored and loaded. Raises `UsageError`
    for inputs that are too many or too few, that are no stages, or that wait for the stage's own result.
    """

    __slots__ = ("__weakref__", "_order", "args", "keys", "open", "stage")

    _known: ClassVar[WeakValueDictionary[tuple[Stage, tuple[Pipeline, ...]], Pipeline]] = WeakValueDictionary()
    _lock: ClassVar[threading.Lock] = threading.Lock()

    stage: Stage
    args: tuple[Pipeline, ...]
    _order: tuple[Pipeline, ...]
    #: The stages in it that still wait for inputs.
    open: frozenset[Stage]
    #: What `keys` knows of it.
    keys: Any

    def __new__(cls, stage: Stage, args: Sequence[Stage | Pipeline] = ()) -> Pipeline:  # noqa: PYI034  nodes are interned, and have no subclasses
        """Return the node of a stage with these inputs: the one there is, if it was made before."""
        nodes = tuple(_node(each, stage) for each in args)
        if nodes:
            _check_inputs(stage, nodes)
        with cls._lock:
            found = cls._known.get((stage, nodes))
            if found is None:
                found = cls._known[stage, nodes] = super().__new__(cls)
                found.stage, found.args, found._order, found.keys = stage, nodes, (), None
                waiting = {stage} if len(nodes) < stage.least else ()
                found.open = frozenset().union(waiting, *(node.open for node in nodes))
            return found

    def __call__(self, config: Config | None = None) -> Any:
        """Run the pipeline and return its result; without a `config` nothing is stored or loaded.

        A stage that fails is captured, what does not depend on it is finished and kept, and then its exception is raised.
        """
        from ckpt.pipeline.running import run

        return run(self, config)

    def plan(self, config: Config | None = None) -> Plan:
        """Return which stages would run, which would be loaded, and why, without running any; its text is a table."""
        from ckpt.pipeline.planning import plan

        return plan(self, config)

    def graph(self) -> Graph:
        """Return the graph as a Mermaid text, which shows as a picture in a notebook."""
        from ckpt.pipeline.drawing import Graph

        return Graph.of(self)

    def nodes(self) -> tuple[Pipeline, ...]:
        """Return all nodes, each once, inputs before those that take them. Raises `UsageError` for a stage without its inputs."""
        for stage in self.open:
            raise UsageError(f"The stage {stage.name!r} takes {_count(stage)} and has none.", hint=f"somewhere >> {stage.name}")
        if not self._order:
            self._order = tuple(_post_order(self))
        return self._order

    def __rshift__(self, other: Any) -> Pipeline:
        return _compose(other, self)

    def __lshift__(self, other: Any) -> Pipeline:
        return _compose(self, other)

    def __repr__(self) -> str:
        return f"Pipeline[{_written(self.stage, self.args)}]"

    def __reduce__(self) -> tuple[Any, ...]:
        return Pipeline, (self.stage, self.args)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """Return what a notebook shows: a picture."""
        return self.graph()._repr_mimebundle_()


def _compose(stage: Any, written: Any) -> Pipeline:
    """Return `written >> stage`. Raises `UsageError` where it is written.

    A stage that lacks inputs may stand in a tuple, as in the examples that come with chkpt; then running it is the error.
    """
    if isinstance(stage, Pipeline):
        raise UsageError(f"{_written(stage.stage, stage.args)} has its inputs already.", hint="compose from the first stages to the last")
    if not isinstance(stage, Stage):
        raise _no_stage(stage, written)
    is_tuple = isinstance(written, tuple | list)
    nodes = tuple(_node(each, stage) for each in (written if is_tuple else (written,)))
    _check_inputs(stage, nodes)
    if not is_tuple and isinstance(written, Stage) and written.least:
        raise UsageError(f"The stage {written.name!r} takes {_count(written)} and has none in {_written(stage, nodes)}.")
    return Pipeline(stage, nodes)


def _check_inputs(stage: Stage, nodes: Sequence[Pipeline]) -> None:
    if len(nodes) < stage.least or (stage.most is not None and len(nodes) > stage.most):
        raise UsageError(f"The stage {stage.name!r} takes {_count(stage)} and gets {len(nodes)} in {_written(stage, nodes)}.")
    for node in nodes:
        if stage in node.open:
            raise UsageError(f"A cycle: {stage.name!r} waits for its own result in {_written(stage, nodes)}.")


def _node(given: Any, stage: Any) -> Pipeline:
    if isinstance(given, Pipeline):
        return given
    if isinstance(given, Stage):
        return Pipeline(given)
    raise _no_stage(given, stage)


def _no_stage(given: Any, partner: Any) -> UsageError:
    name = getattr(given, "__name__", None) or repr(given)
    beside = getattr(getattr(partner, "stage", partner), "name", None) or repr(partner)
    return UsageError(f"{name} is no stage, beside {beside!r}.", hint="put @Stage.wrap() above its def")


def _count(stage: Stage) -> str:
    if stage.most is None:
        return f"{stage.least} or more inputs"
    names = f" ({', '.join(stage.parameters)})" if stage.parameters else ""
    if stage.least == stage.most:
        return f"{stage.least} input{'s' * (stage.least != 1)}{names}"
    return f"{stage.least} to {stage.most} inputs{names}"


def _written(stage: Stage, nodes: Sequence[Pipeline]) -> str:
    """Return a node as it can be written, one level deep."""
    names = [node.stage.name for node in nodes]
    return f"{names[0]} >> {stage.name}" if len(names) == 1 else f"({', '.join(names)}) >> {stage.name}"


def _post_order(sink: Pipeline) -> Iterator[Pipeline]:
    """Yield inputs before those that take them; without recursion, since a chain can be long."""
    seen: set[Pipeline] = set()
    waiting: list[tuple[Pipeline, bool]] = [(sink, False)]
    while waiting:
        node, is_ready = waiting.pop()
        if is_ready:
            yield node
        elif node not in seen:
            seen.add(node)
            waiting.append((node, True))
            waiting += ((each, False) for each in reversed(node.args) if each not in seen)
