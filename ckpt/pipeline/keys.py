"""Which stored result belongs to a node: a key of its stage's code and, in the same way, of all that comes before it.

So it is known without reading any result whether the last one can be used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from ckpt.errors import UsageError
from ckpt.pipeline.config import Config
from ckpt.pipeline.fingerprints import MISSING, Fingerprint, contents
from ckpt.pipeline.graphs import Pipeline
from ckpt.pipeline.reach import fingerprint
from ckpt.pipeline.results import Slot, secret
from ckpt.pipeline.stages import Stage


class _Keys:
    """The keys of a graph, and what they were made of: together, since a graph of a hundred stages is looked over in each run."""

    def __init__(self, fingerprints: dict[Stage, Fingerprint]) -> None:
        self.fingerprints = fingerprints
        #: By what those share who use them.
        self.slots: dict[str | None, dict[Pipeline, Slot]] = {}
        #: The fingerprints with values that can change in place.
        self.live = [each for each in fingerprints.values() if each.live]
        self._functions = {id(one[0]): one for each in fingerprints.values() for one in each.functions}
        self._names = {(id(one[0]), one[1]): one for each in fingerprints.values() for one in each.names}
        self._cells = {id(one[0]): one for each in fingerprints.values() for one in each.cells}

    def is_current(self) -> bool:
        """Whether no fingerprint has changed."""
        for function, code, defaults in self._functions.values():
            if function.__code__ is not code or function.__defaults__ is not defaults:
                return False
        for namespace, name, value in self._names.values():
            if namespace.get(name, MISSING) is not value:
                return False
        return all(contents(cell) is value for cell, value in self._cells.values()) and all(each.is_current() for each in self.live)


def slots(sink: Pipeline, config: Config) -> Mapping[Pipeline, Slot]:
    """Return the place of each node's result. One whose key is empty cannot be stored; its file says why.

    Raises `UsageError` when names are keys and two nodes have one name.
    """
    return _named(sink, config) if config.key == "name" else _keyed(sink, config)


def settle(sink: Pipeline) -> None:
    """Take what a run has changed in the values that its stages read for what they were."""
    if isinstance(sink.keys, _Keys):
        for each in sink.keys.live:
            each.settle()


def _keyed(sink: Pipeline, config: Config) -> Mapping[Pipeline, Slot]:
    known = sink.keys
    if not isinstance(known, _Keys) or not known.is_current():
        known = sink.keys = _Keys({node.stage: fingerprint(node.stage) for node in sink.nodes()})
    found = known.slots.get(config.secret)
    if found is None:
        found = known.slots[config.secret] = {}
        for node in sink.nodes():
            found[node] = _slot(node, known.fingerprints[node.stage], [found[each] for each in node.args], config.secret)
    return found


def _slot(node: Pipeline, found: Fingerprint, inputs: Sequence[Slot], shared: str | None) -> Slot:
    stage, count = node.stage, len(inputs)
    refusal = found.refusal
    for number, each in enumerate(inputs):
        if not each.key and not refusal:
            refusal = f"input {stage.input_name(number, count)} cannot be hashed"
    if refusal:
        return Slot(stage.name, refusal, "", "{}", b"")
    parts = found.parts | {f"input {stage.input_name(number, count)}": each.key for number, each in enumerate(inputs)}
    made = json.dumps(parts, separators=(",", ":"))
    key = hashlib.sha256(f"{stage.name}{made}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return Slot(stage.name, f"{stage.capture_name}-{key}", key, made, secret(key, shared), found.origin)


def _named(sink: Pipeline, config: Config) -> Mapping[Pipeline, Slot]:
    found: dict[str, Slot] = {}
    made: dict[Pipeline, Slot] = {}
    for node in sink.nodes():
        stage = node.stage
        if stage.capture_name in found and (config.should_load(stage) or config.should_store(stage)):
            raise UsageError(
                f"Two nodes are called {stage.name!r}, and with key='name' each would get the other's result.",
                hint="give one another name: @Stage.wrap(name=...)",
            )
        key = f"name:{stage.capture_name}"
        found[stage.capture_name] = made[node] = Slot(stage.name, stage.capture_name, key, "{}", secret(key, config.secret))
    return made
