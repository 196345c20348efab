"""A run: which nodes are needed, which are loaded, and the rest in an order that their inputs allow.

One thread decides everything; stages run in it, or on an executor. A claim is taken when all inputs are there, so that two runs cannot wait
for each other, and kept to the end of the run: whoever waits for it looks for the result, too.
"""

from __future__ import annotations

import contextvars
import time
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from typing import Any

from ckpt._model.describe import one_line
from ckpt._recording.ground import warn
from ckpt.errors import DamagedError
from ckpt.pipeline.claims import Claims
from ckpt.pipeline.config import Config
from ckpt.pipeline.delegating import how_to_debug, not_shared, received, task
from ckpt.pipeline.keys import settle, slots
from ckpt.pipeline.places import place_of
from ckpt.pipeline.planning import Reasons
from ckpt.pipeline.results import NotKeptError, Slot, check_head, unpack
from ckpt.pipeline.stages import Pipeline
from ckpt.pipeline.watching import DONE, FAILED, LOADED, RUNNING, SKIPPED, WAITING, Silence, Watch, watching
from ckpt.pipeline.work import Answer, Keeping, Outcome, Stored, perform, work

#: Seconds between two looks at a claim that somebody else holds: the first, and the longest.
_PAUSE, _LONGEST_PAUSE = 0.002, 0.2
_NOTHING = Config(load=False, store=False)


def run(sink: Pipeline, config: Config | None) -> Any:
    """Return the result of `sink`. Raises what its first failing stage raised, after the stages that do not depend on it."""
    nodes = sink.nodes()
    config = config or _NOTHING
    places = slots(sink, config) if config.load or config.store else {}
    with watching(nodes, config.progress) as watch:
        started = _Run(sink, config, places, watch)
        try:
            return started.result()
        finally:
            started.close()
            if started.has_run:
                settle(sink)


class _Run:
    """One run of a pipeline."""

    def __init__(self, sink: Pipeline, config: Config, places: Mapping[Pipeline, Slot], watch: Watch) -> None:
        self._sink, self._config, self._slots, self._watch = sink, config, places, watch
        self._place = place_of(config)
        self._reasons = Reasons(self._place)
        self._remote = config.executor if not isinstance(config.executor, ThreadPoolExecutor) else None
        #: Results at hand, and results that lie in their place for a worker to load.
        self._values: dict[Pipeline, Any] = {}
        self._stored: set[Pipeline] = set()
        #: Results that a worker could not read: here they are read themselves, not only their first lines.
        self._doubted: set[Pipeline] = set()
        #: Of each node that has to run: how many inputs are not there yet. Of each result: who still waits for it, and who needs it.
        self._missing: dict[Pipeline, int] = {}
        self._takers: dict[Pipeline, list[Pipeline]] = {}
        self._uses: dict[Pipeline, int] = {}
        self._ready: deque[Pipeline] = deque()
        self._running: dict[Future[Any], Pipeline] = {}
        #: Nodes that somebody else computes, and since when they are waited for.
        self._contested: dict[Pipeline, float] = {}
        self._claims: Claims | None = None
        self._pause = _PAUSE
        self._ended: dict[Pipeline, Outcome] = {}

    def result(self) -> Any:
        """Run what has to run."""
        self._need(self._sink)
        while self._ready or self._running or self._contested:
            if self._ready:
                self._begin(self._ready.popleft())
            else:
                self._await()
        for node in self._missing:
            if self._missing[node]:
                self._watch.tell(node, SKIPPED, "an input is missing")
        for outcome in self._ended.values():
            if outcome.error is not None:
                raise outcome.error
        return self._values[self._sink]

    @property
    def has_run(self) -> bool:
        """Whether any stage was called."""
        return bool(self._ended)

    def close(self) -> None:
        """Let go of everything; only what already runs on an executor goes on."""
        for future in self._running:
            future.cancel()
        if self._claims is not None:
            self._claims.close()

    # What is needed.

    def _need(self, wanted: Pipeline) -> None:
        """Load a result, or find out what has to run for it."""
        waiting, found = [wanted], set()
        while waiting:
            node = waiting.pop()
            if node in self._missing or self._is_there(node) or self._load(node):
                continue
            self._missing[node] = 0
            found.add(node)
            waiting += node.args
        for node in self._sink.nodes() if found else ():
            if node in found:
                self._enlist(node)

    def _enlist(self, node: Pipeline) -> None:
        """Let a node wait for its inputs."""
        inputs = set(node.args)
        for each in inputs:
            self._uses[each] = self._uses.get(each, 0) + 1
        self._wait_for(node, [each for each in inputs if not self._is_there(each)])

    def _wait_for(self, node: Pipeline, inputs: Iterable[Pipeline]) -> None:
        for each in inputs:
            self._missing[node] += 1
            self._takers.setdefault(each, []).append(node)
        if not self._missing[node]:
            self._ready.append(node)

    def _is_there(self, node: Pipeline) -> bool:
        return node in self._values or node in self._stored

    def _load(self, node: Pipeline) -> bool:
        """Load a stored result, or for a worker see that it is there; False when there is none that can be used."""
        slot = self._slots.get(node)
        if slot is None or not slot.key or not self._config.should_load(node.stage):
            return False
        try:
            if not self._place.has(slot.file):
                return False
            if self._remote is not None and node is not self._sink and node not in self._doubted:
                check_head(slot, self._place.head(slot.file))
                self._stored.add(node)
            else:
                self._values[node] = unpack(slot, self._place.read(slot.file))
        except FileNotFoundError:
            return False
        except (OSError, DamagedError) as trouble:
            warn(f"The stored result {self._place.path_of(slot.file)!r} is not used, and computed again: {one_line(trouble)}")
            return False
        self._watch.tell(node, LOADED)
        return True

    # What happens to a node.

    def _begin(self, node: Pipeline) -> None:
        slot, stage, config = self._slots.get(node), node.stage, self._config
        keeping = None
        if slot is not None and slot.key and config.should_store(stage):
            keeping = Keeping(slot, self._place, stage.serializer or config.serializer)
            if config.should_load(stage):
                is_ours = self._claim(node, slot)
                if self._load(node):  # somebody else has computed it since
                    self._contested.pop(node, None)
                    self._pass_on(node)
                    return
                if not is_ours:
                    return
        self._watch.tell(node, RUNNING, self._why(node, slot))
        if self._config.executor is None:
            self._end(node, perform(stage, [self._values[each] for each in node.args], keeping))
        else:
            self._submit(node, keeping, self._config.executor)

    def _why(self, node: Pipeline, slot: Slot | None) -> str:
        """Return why a stage runs that could have been loaded, or why its result cannot be stored."""
        if slot is None or type(self._watch) is Silence or (slot.key and not self._config.should_load(node.stage)):
            return ""
        return self._reasons.of(slot)

    def _submit(self, node: Pipeline, keeping: Keeping | None, executor: Executor) -> None:
        try:
            if self._remote is None:
                call = contextvars.copy_context().run
                future: Future[Any] = executor.submit(call, perform, node.stage, [self._values[each] for each in node.args], keeping)
            else:
                stored = [Stored(number, self._slots[each]) if each in self._stored else None for number, each in enumerate(node.args)]
                inputs = [given or self._values[each] for given, each in zip(stored, node.args, strict=True)]
                future = executor.submit(work, task(node.stage, inputs, self._place, keeping))
        except NotKeptError as trouble:
            self._end(node, Outcome(error=TypeError(f"The stage {node.stage.name!r} or its inputs cannot leave this process: {trouble}")))
        except Exception as trouble:  # an executor that takes no more
            self._end(node, Outcome(error=trouble))
        else:
            self._running[future] = node

    def _end(self, node: Pipeline, outcome: Outcome) -> None:
        if outcome.size is None:
            self._release(node)
        self._ended[node] = outcome
        if outcome.trouble:
            warn(f"The result of {node.stage.name!r} is not stored: {outcome.trouble}")
        if outcome.error is not None:
            self._watch.tell(node, FAILED, outcome=outcome)
            self._watch.say(how_to_debug(outcome) or f"no capture was made of {node.stage.name}")
            return
        if not self._is_there(node):
            self._values[node], outcome.value = outcome.value, None
        self._watch.tell(node, DONE, outcome=outcome)
        self._pass_on(node)

    def _pass_on(self, node: Pipeline) -> None:
        """Let those go on that wait for a result, and forget the inputs that nobody needs any more."""
        for taker in self._takers.pop(node, ()):
            self._missing[taker] -= 1
            if not self._missing[taker]:
                self._ready.append(taker)
        for each in set(node.args):
            self._uses[each] -= 1
            if not self._uses[each]:
                self._values.pop(each, None)

    # What is waited for.

    def _claim(self, node: Pipeline, slot: Slot) -> bool:
        """Take the claim of a node; without it, the node waits for whoever has it, but not for ever."""
        if self._claims is None:
            self._claims = Claims(self._place.claims())
        if self._claims.take(slot.file):
            self._contested.pop(node, None)
            return True
        if node not in self._contested:
            self._contested[node] = time.monotonic()
            self._watch.tell(node, WAITING, "another run computes it")
        if time.monotonic() - self._contested[node] < self._config.wait:
            return False
        del self._contested[node]
        return True

    def _release(self, node: Pipeline) -> None:
        if self._claims is not None:
            self._claims.give(self._slots[node].file)

    def _await(self) -> None:
        """Wait until a stage has ended, or for a moment when somebody else's is waited for."""
        if self._running:
            done, _ = wait(self._running, self._pause if self._contested else None, FIRST_COMPLETED)
            for future in done:
                self._finish(self._running.pop(future), future)
        else:
            time.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        for node in list(self._contested):
            self._begin(node)

    def _finish(self, node: Pipeline, future: Future[Any]) -> None:
        try:
            outcome = future.result()
        except Exception as trouble:  # a worker that is gone
            self._end(node, Outcome(error=trouble))
            return
        if isinstance(outcome, Answer):
            found = self._taken(node, outcome)
            if found is None:
                return
            outcome = found
        self._end(node, outcome)

    def _taken(self, node: Pipeline, answer: Answer) -> Outcome | None:
        """Return what a worker's answer says; None when an input has to be computed first."""
        outcome = answer.outcome
        if outcome is None:
            assert answer.missing is not None
            return self._repeat(node, node.args[answer.missing])
        received(answer, outcome)
        if answer.error is None and answer.value is None:
            self._stored.add(node)
            if node is self._sink:
                slot = self._slots[node]
                try:
                    self._values[node] = unpack(slot, self._place.read(slot.file))
                except (OSError, DamagedError) as trouble:
                    outcome.error = not_shared(self._place, slot, outcome.host, trouble)
        return outcome

    def _repeat(self, node: Pipeline, missing: Pipeline) -> Outcome | None:
        """Compute an input that a worker has not found; an outcome when that would not help."""
        if missing in self._ended:
            return Outcome(error=not_shared(self._place, self._slots[missing], "another worker"))
        self._release(node)
        self._stored.discard(missing)
        self._doubted.add(missing)
        if missing in self._missing:
            self._takers.setdefault(missing, []).append(node)
            self._missing[node] = 1
            return None
        self._need(missing)
        self._wait_for(node, [] if self._is_there(missing) else [missing])
        return None
