"""The results of one run: those at hand, those that lie in their place, and who still needs them.

Each input is its taker's own. A stage may change what it is given, so of a result that several take, all but the last get a copy, which is
made before anybody has had the original; a worker that shares no memory with us gets one in any case.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from ckpt._model.describe import one_line
from ckpt._model.interrupts import let_pass
from ckpt._recording.ground import warn
from ckpt.errors import DamagedError
from ckpt.pipeline.config import Config
from ckpt.pipeline.graphs import Pipeline
from ckpt.pipeline.places import Place
from ckpt.pipeline.results import Slot, check_head, reason, unpack
from ckpt.pipeline.values import SCALARS
from ckpt.pipeline.work import Stored


class Shelf:
    """Where a run has its results."""

    def __init__(self, slots: Mapping[Pipeline, Slot], place: Place, config: Config) -> None:
        self.slots = slots
        self.place = place
        self._config = config
        self._values: dict[Pipeline, Any] = {}
        #: Results that lie in their place for a worker to load.
        self._stored: set[Pipeline] = set()
        #: How many inputs each result still has to be.
        self._uses: dict[Pipeline, int] = {}
        #: Why a stored result is not used.
        self.refused: dict[Pipeline, str] = {}
        #: Whether the place of the results has given any: then what goes wrong there is a matter of one result.
        self._has_answered = False

    def has(self, node: Pipeline) -> bool:
        """Whether a result is at hand, or in its place."""
        return node in self._values or node in self._stored

    def load(self, node: Pipeline, *, is_for_worker: bool = False) -> bool:
        """Load a stored result, or for a worker see that it is there; False when there is none that can be used.

        Raises `StoreError` when no results can be had from where they should lie.
        """
        slot = self.slots.get(node)
        if slot is None or not slot.key or not self._config.should_load(node.stage):
            return False
        try:
            if is_for_worker:
                check_head(slot, self.place.head(slot.file))
                self._stored.add(node)
            else:
                self._values[node] = unpack(slot, self.place.read(slot.file))
        except FileNotFoundError:
            self._has_answered = True
            return False
        except (OSError, DamagedError) as trouble:
            if not self._has_answered:
                self.place.check()
            self.refused[node] = f"the stored result cannot be used: {reason(trouble)}"
            path = self.place.path_of(slot.file)
            warn(f"The stored result {path!r} is not used, and computed again: {reason(trouble)}", *node.stage.place)
            return False
        self._has_answered = True
        return True

    def fetch(self, node: Pipeline) -> None:
        """Read a result that a worker has stored. Raises OSError and `DamagedError`."""
        slot = self.slots[node]
        self._values[node] = unpack(slot, self.place.read(slot.file))

    def put(self, node: Pipeline, value: Any) -> None:
        """Keep a result at hand."""
        self._values[node] = value

    def put_stored(self, node: Pipeline) -> None:
        """Know that a worker has stored a result."""
        self._stored.add(node)

    def distrust(self, node: Pipeline) -> None:
        """Forget that a result lies in its place."""
        self._stored.discard(node)

    def expect(self, node: Pipeline) -> None:
        """Know that a node will take its inputs."""
        for each in node.args:
            self._uses[each] = self._uses.get(each, 0) + 1

    def take(self, node: Pipeline) -> list[Any]:
        """Return the inputs of a node, each its own, and forget those that nobody needs any more."""
        return [self._handed(each) for each in node.args]

    def addresses(self, node: Pipeline) -> list[Any]:
        """Return the inputs of a node for a worker: a `Stored` for one that lies in its place, else the value."""
        return [self._address(each, number, is_first=each not in node.args[:number]) for number, each in enumerate(node.args)]

    def release(self, node: Pipeline) -> None:
        """Know that a node takes its inputs no more."""
        for each in node.args:
            self._uses[each] -= 1
            if not self._uses[each]:
                self._values.pop(each, None)

    def result(self, node: Pipeline) -> Any:
        """Return a result at hand."""
        return self._values[node]

    def _address(self, node: Pipeline, number: int, *, is_first: bool) -> Any:
        if node in self._stored:
            return Stored(number, self.slots[node])
        return self._values[node] if is_first else _copied(node, self._values[node])  # what goes twice would be one object there

    def _handed(self, node: Pipeline) -> Any:
        self._uses[node] -= 1
        return self._values.pop(node) if not self._uses[node] else _copied(node, self._values[node])


def _copied(node: Pipeline, value: Any) -> Any:
    """Return a copy; the value itself, with a warning, where there can be none."""
    if type(value) in SCALARS:
        return value
    try:
        return deepcopy(value)
    except Exception as trouble:
        let_pass(trouble)
        warn(
            f"The result of {node.stage.name!r} cannot be copied, so that all stages that take it share it: {one_line(trouble)}",
            *node.stage.place,
        )
        return value
