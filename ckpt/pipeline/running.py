"""A run: which nodes are needed, which are loaded, and the rest in an order that their inputs allow.

One thread decides everything; stages run in it, or on an executor. A claim is taken when all inputs are there, so that two runs cannot wait
for each other, and kept to the end of the run: whoever waits for it looks for the result, too.
"""

from __future__ import annotations

import contextvars
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from time import perf_counter
from typing import Any

from ckpt._recording.ground import warn
from ckpt.errors import DamagedError
from ckpt.pipeline.config import Config, checked
from ckpt.pipeline.delegating import how_to_debug, not_shared, received, task
from ckpt.pipeline.graphs import Pipeline
from ckpt.pipeline.keys import settle, slots
from ckpt.pipeline.places import place_of
from ckpt.pipeline.planning import Reasons
from ckpt.pipeline.results import NotKeptError
from ckpt.pipeline.shelf import Shelf
from ckpt.pipeline.turns import Turns
from ckpt.pipeline.watching import DONE, FAILED, LOADED, RUNNING, SKIPPED, WAITING, Silence, Watch, watch_over
from ckpt.pipeline.work import Answer, Keeping, Outcome, perform, work

_NOTHING = Config(load=False, store=False)


def run(sink: Pipeline, config: Config | None) -> Any:
    """Return the result of `sink`. Raises what its first failing stage raised, after the stages that do not depend on it."""
    config = checked(sink, config) or _NOTHING
    shelf = Shelf(slots(sink, config) if config.load or config.store else {}, place_of(config), config)
    with watch_over(sink, config.progress) as watch:
        if shelf.load(sink):
            watch.tell(sink, LOADED)
            return shelf.result(sink)
        started = _Run(sink, config, shelf, watch)
        try:
            return started.result()
        finally:
            started.close()
            settle(sink)


class _Run:
    """One run of a pipeline whose result is not stored."""

    def __init__(self, sink: Pipeline, config: Config, shelf: Shelf, watch: Watch) -> None:
        self._sink, self._config, self._shelf, self._watch = sink, config, shelf, watch
        self._nodes = sink.nodes()
        self._reasons = Reasons(shelf.place)
        self._turns = Turns(shelf.place, config.wait)
        #: Whether stages run where nothing of this process is to be had.
        self._is_remote = config.executor is not None and not isinstance(config.executor, ThreadPoolExecutor)
        #: Results that a worker could not read: here they are read themselves, not only their first lines.
        self._doubted: set[Pipeline] = set()
        #: Nodes that were begun again because their worker could not read an input, with that input.
        self._repeated: set[tuple[Pipeline, Pipeline]] = set()
        #: Of each node that has to run: how many inputs are not there yet. Of each result: who waits for it.
        self._missing: dict[Pipeline, int] = {}
        self._takers: dict[Pipeline, list[Pipeline]] = {}
        self._ready: deque[Pipeline] = deque()
        #: What runs on the executor, and since when.
        self._running: dict[Future[Any], tuple[Pipeline, float]] = {}
        self._ended: dict[Pipeline, Outcome] = {}

    def result(self) -> Any:
        """Run what has to run. Raises `StoreError` before the first stage when results are to be stored and cannot be."""
        self._need(self._sink)
        if any(self._keeping(node) for node in self._missing):
            self._shelf.place.prepare()
        while self._ready or self._running or self._turns.of_others:
            if self._ready:
                self._begin(self._ready.popleft())
            else:
                self._await()
        for node, count in self._missing.items():
            if count:
                self._watch.tell(node, SKIPPED, "an input is missing")
        for outcome in self._ended.values():
            if outcome.error is not None:
                raise outcome.error
        return self._shelf.result(self._sink)

    def close(self) -> None:
        """Let go of everything; only what already runs on an executor goes on."""
        for future in self._running:
            future.cancel()
        self._turns.close()

    # What is needed.

    def _need(self, wanted: Pipeline) -> None:
        """Load a result, or find out what has to run for it."""
        waiting, found = [wanted], set()
        while waiting:
            node = waiting.pop()
            if self._shelf.has(node) or self._is_under_way(node) or (node is not self._sink and self._load(node)):
                continue
            self._missing[node] = 0
            found.add(node)
            waiting += node.args
        for node in self._nodes if found else ():
            if node in found:
                self._watch.tell(node, WAITING)
                self._shelf.expect(node)
                self._wait_for(node, [each for each in set(node.args) if not self._shelf.has(each)])

    def _is_under_way(self, node: Pipeline) -> bool:
        """Whether a node will have its result in this run, or has failed; not one that had it, and that nobody seemed to need any more."""
        return node in self._missing and (node not in self._ended or self._ended[node].error is not None)

    def _wait_for(self, node: Pipeline, inputs: Iterable[Pipeline]) -> None:
        for each in inputs:
            self._missing[node] += 1
            self._takers.setdefault(each, []).append(node)
        if not self._missing[node]:
            self._ready.append(node)

    def _load(self, node: Pipeline) -> bool:
        """Load a stored result, or for a worker see that it is there; False when there is none that can be used."""
        is_loaded = self._shelf.load(node, is_for_worker=self._is_remote and node is not self._sink and node not in self._doubted)
        if is_loaded:
            self._watch.tell(node, LOADED)
        return is_loaded

    def _keeping(self, node: Pipeline) -> Keeping | None:
        """Return how the result of a node is stored; None when it is not."""
        slot = self._shelf.slots.get(node)
        if slot is None or not slot.key or not self._config.should_store(node.stage):
            return None
        return Keeping(slot, self._shelf.place, node.stage.serializer or self._config.serializer)

    # What happens to a node.

    def _begin(self, node: Pipeline) -> None:
        if absent := [each for each in set(node.args) if not self._shelf.has(each)]:  # one has turned out to be damaged
            self._wait_for(node, absent)
            return
        keeping = self._keeping(node)
        if keeping is not None and self._config.should_load(node.stage):
            is_new = node not in self._turns.of_others
            is_our_turn = self._turns.take(node, keeping.slot.file)
            if self._load(node):  # somebody else has computed it since
                self._turns.forget(node)
                self._shelf.release(node)
                self._pass_on(node)
                return
            if not is_our_turn:
                if is_new:
                    self._watch.tell(node, WAITING, "another run computes it")
                return
        self._watch.tell(node, RUNNING, self._why(node))
        if self._config.executor is None:
            self._end(node, perform(node.stage, self._shelf.take(node), keeping))
        else:
            self._submit(node, keeping, self._config.executor)

    def _why(self, node: Pipeline) -> str:
        """Return why a stage runs that could have been loaded, or why its result cannot be stored."""
        slot = self._shelf.slots.get(node)
        if slot is None or type(self._watch) is Silence or (slot.key and not self._config.should_load(node.stage)):
            return ""
        return self._shelf.refused.get(node) or self._reasons.of(slot)

    def _submit(self, node: Pipeline, keeping: Keeping | None, executor: Executor) -> None:
        began = perf_counter()
        try:
            if self._is_remote:
                future: Future[Any] = executor.submit(work, task(node.stage, self._shelf.addresses(node), self._shelf.place, keeping))
            else:
                call = contextvars.copy_context().run
                future = executor.submit(call, perform, node.stage, self._shelf.take(node), keeping)
        except NotKeptError as trouble:
            self._end(node, Outcome(error=TypeError(f"The stage {node.stage.name!r} or its inputs cannot leave this process: {trouble}")))
        except Exception as trouble:  # an executor that takes no more
            self._end(node, Outcome(error=trouble))
        else:
            self._running[future] = (node, began)

    def _end(self, node: Pipeline, outcome: Outcome) -> None:
        slot = self._shelf.slots.get(node)
        if slot is not None and outcome.size is None:
            self._turns.give(slot.file)
        if self._is_remote:
            self._shelf.release(node)
        self._ended[node] = outcome
        if outcome.trouble:
            warn(f"The result of {node.stage.name!r} is not stored: {outcome.trouble}", *node.stage.place)
        if outcome.error is not None:
            self._fail(node, outcome, outcome.error)
            return
        if not self._shelf.has(node):
            self._shelf.put(node, outcome.value)
        outcome.value = None
        self._watch.tell(node, DONE, outcome=outcome)
        self._pass_on(node)

    def _fail(self, node: Pipeline, outcome: Outcome, error: BaseException) -> None:
        self._watch.tell(node, FAILED, outcome=outcome)
        self._watch.say(how_to_debug(node.stage, outcome))
        if outcome.ends_run:
            raise error

    def _pass_on(self, node: Pipeline) -> None:
        """Let those go on that wait for a result."""
        for taker in self._takers.pop(node, ()):
            self._missing[taker] -= 1
            if not self._missing[taker]:
                self._ready.append(taker)

    # What is waited for.

    def _await(self) -> None:
        """Wait until a stage has ended, or for a moment when somebody else's is waited for."""
        others = list(self._turns.of_others)
        pause = self._turns.pause()
        if self._running:
            done, _ = wait(self._running, pause if others else None, FIRST_COMPLETED)
            for future in done:
                self._finish(*self._running.pop(future), future)
        else:
            time.sleep(pause)
        for node in others:
            self._begin(node)

    def _finish(self, node: Pipeline, began: float, future: Future[Any]) -> None:
        try:
            outcome = future.result()
        except Exception as trouble:  # a worker that is gone
            self._end(node, Outcome(error=trouble, took=perf_counter() - began, is_worker_gone=True))
            return
        if isinstance(outcome, Answer):
            outcome = self._taken(node, outcome)
        if outcome is not None:
            self._end(node, outcome)

    def _taken(self, node: Pipeline, answer: Answer) -> Outcome | None:
        """Return what a worker's answer says; None when an input has to be computed first."""
        outcome = answer.outcome
        if outcome is None:
            assert answer.missing is not None
            return self._repeat(node, node.args[answer.missing])
        received(answer, outcome)
        if answer.error is None and answer.value is None:
            self._shelf.put_stored(node)
            if node is self._sink:
                try:
                    self._shelf.fetch(node)
                except (OSError, DamagedError) as trouble:
                    outcome.error = not_shared(self._shelf.place, self._shelf.slots[node], outcome.host, trouble)
        return outcome

    def _repeat(self, node: Pipeline, missing: Pipeline) -> Outcome | None:
        """Begin a node again whose worker has not found an input; an outcome when that has been of no use before."""
        slots = self._shelf.slots
        if (node, missing) in self._repeated:
            return Outcome(error=not_shared(self._shelf.place, slots[missing], "another worker"))
        self._repeated.add((node, missing))
        self._turns.give(slots[node].file)
        if missing not in self._missing:  # its first line was good, and taken for the whole
            self._shelf.distrust(missing)
            self._doubted.add(missing)
            self._need(missing)
        self._ready.append(node)
        return None
