"""The graph that `>>` and `<<` make of stages.

A node is a stage with its inputs, which are finished nodes: so no graph can go round in a circle. Nodes are interned: the same stage with
the same inputs is one object, however often it is written, and comparing two of them costs nothing, however deep they are.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from ckpt.errors import UsageError
from ckpt.pipeline.stages import Stage

if TYPE_CHECKING:
    from ckpt.pipeline.config import Config
    from ckpt.pipeline.drawing import Graph
    from ckpt.pipeline.planning import Plan


class Pipeline:
    """A stage and its inputs: a graph with one result.

    Called, it runs what has to run and returns the result; `pipeline(Config(...))` says what is stored and loaded. Raises `UsageError`
    for inputs that are too many or too few, that are no stages, or that wait for the stage's own result.
    """

    __slots__ = ("__weakref__", "_order", "args", "keys", "open", "stage")

    stage: Stage
    args: tuple[Pipeline, ...]
    _order: tuple[Pipeline, ...]
    #: The stages in it that still wait for inputs.
    open: frozenset[Stage]
    #: What `keys` knows of it.
    keys: Any

    def __new__(cls, stage: Stage, args: Sequence[Stage | Pipeline] = ()) -> Pipeline:  # noqa: PYI034  nodes are interned, and have no subclasses
        """Return the node of a stage with these inputs: the one there is, if it was made before."""
        if not isinstance(stage, Stage):
            raise UsageError(f"A pipeline is made of a stage and its inputs, not of {stage!r}.", hint="Pipeline(stage, (input_stage,))")
        nodes = tuple(_node(each, stage) for each in args)
        _check_inputs(stage, nodes)
        return node_of(stage, nodes)

    def __call__(self, cfg: Config | None = None) -> Any:
        """Run the pipeline and return its result; without a Config nothing is stored or loaded.

        A stage that fails is captured, what does not depend on it is finished and kept, and then its exception is raised.
        """
        from ckpt.pipeline.running import run

        return run(self, cfg)

    def plan(self, cfg: Config | None = None) -> Plan:
        """Return which stages would run, which would be loaded, and why, without running any; its text is a table."""
        from ckpt.pipeline.planning import plan

        return plan(self, cfg)

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
        return compose(other, self)

    def __lshift__(self, other: Any) -> Pipeline:
        return compose(self, other)

    def __repr__(self) -> str:
        return f"Pipeline[{_written(self.stage, self.args)}]"

    def __reduce__(self) -> tuple[Any, ...]:
        return node_of, (self.stage, self.args)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """Return what a notebook shows: a picture."""
        return self.graph()._repr_mimebundle_()


_known: WeakValueDictionary[tuple[Stage, tuple[Pipeline, ...]], Pipeline] = WeakValueDictionary()
_lock = threading.Lock()


def node_of(stage: Stage, nodes: tuple[Pipeline, ...]) -> Pipeline:
    """Return the node of a stage with these inputs, or with none yet although it takes some: the one there is, if it was made before."""
    with _lock:
        found = _known.get((stage, nodes))
        if found is None:
            found = _known[stage, nodes] = object.__new__(Pipeline)
            found.stage, found.args, found._order, found.keys = stage, nodes, (), None
            waiting = {stage} if len(nodes) < stage.least else ()
            found.open = frozenset().union(waiting, *(node.open for node in nodes))
        return found


def compose(stage: Any, written: Any) -> Pipeline:
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
    return node_of(stage, nodes)


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
        return node_of(given, ())
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
