"""What a run would do, and why; found out from keys and from the first lines of stored results, without running or loading anything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ckpt.errors import DamagedError
from ckpt.pipeline.config import Config, checked
from ckpt.pipeline.graphs import Pipeline
from ckpt.pipeline.keys import slots
from ckpt.pipeline.places import Place, place_of
from ckpt.pipeline.results import Slot, check_head, read_head, reason

RUN, LOAD, SKIP = "run", "load", "skip"
#: How many stored results of a stage are compared with what is needed.
_COMPARED = 20
#: How many changes are told.
_TOLD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What would happen to one node: `action` is "run", "load" or "skip" (nobody needs it)."""

    stage: str
    action: str
    why: str


class Plan(tuple[Step, ...]):
    """The steps of a run, inputs before those that take them; as text, a table."""

    __slots__ = ()

    def to_json(self) -> list[dict[str, str]]:
        """Return the steps as plain data."""
        return [{"stage": step.stage, "action": step.action, "why": step.why} for step in self]

    def __str__(self) -> str:
        width = max((len(step.stage) for step in self), default=0)
        return "\n".join(f"{step.stage:{width}}  {step.action:4}  {step.why}".rstrip() for step in self)

    __repr__ = __str__


def plan(sink: Pipeline, config: Config | None) -> Plan:
    """Return what `sink(config)` would do. Raises `UsageError` as running it would."""
    config = checked(sink, config)
    if config is None:
        return Plan(Step(stage=node.stage.name, action=RUN, why="nothing is loaded without a Config") for node in sink.nodes())
    found, place = slots(sink, config), place_of(config)
    reasons = Reasons(place)
    steps: dict[Pipeline, Step] = {}
    waiting = [sink]
    while waiting:
        node = waiting.pop()
        if node not in steps:
            action, why = _step(found[node], place, reasons) if config.should_load(node.stage) else (RUN, "it is not to be loaded")
            steps[node] = Step(stage=node.stage.name, action=action, why=why)
            waiting += node.args if action == RUN else ()
    return Plan(steps.get(node) or Step(stage=node.stage.name, action=SKIP, why="nobody needs it") for node in sink.nodes())


def _step(slot: Slot, place: Place, reasons: Reasons) -> tuple[str, str]:
    """Return what happens to a node that may be loaded, and why."""
    if not slot.key:
        return RUN, slot.file
    try:
        check_head(slot, place.head(slot.file))
    except FileNotFoundError:
        return RUN, reasons.of(slot)
    except (OSError, DamagedError) as trouble:
        place.check()
        return RUN, f"the stored result cannot be used: {reason(trouble)}"
    return LOAD, "stored"


class Reasons:
    """Why there is no result for a slot, told from the results there are. The files are listed once."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._files: dict[str, list[str]] | None = None

    def of(self, slot: Slot) -> str:
        """Return why: what has changed since the stored result that is nearest to the slot, of the same function."""
        if not slot.key:
            return slot.file
        if self._files is None:
            self._files = self._listed()
        if not self._files:
            return "never stored"
        changes = sorted((_changes(json.loads(slot.made), made) for made in self._stored(slot, self._files)), key=len)
        return _in_words(changes[0]) if changes and changes[0] else "never stored"

    def _listed(self) -> dict[str, list[str]]:
        """Return the names of all results, by stage."""
        found: dict[str, list[str]] = {}
        with suppress(OSError):  # only the reason is lost
            for name in self._place.names():
                found.setdefault(name.rpartition("-")[0], []).append(name)
        return found

    def _stored(self, slot: Slot, files: Mapping[str, list[str]]) -> Iterator[Mapping[str, Any]]:
        for name in files.get(slot.file.rpartition("-")[0], ())[-_COMPARED:]:
            try:
                head = read_head(self._place.head(name))
            except (OSError, DamagedError):
                continue
            if (head.get("stage"), head.get("origin")) == (slot.stage, slot.origin) and isinstance(head.get("made"), dict):
                yield head["made"]


def _in_words(changes: Sequence[str]) -> str:
    more = len(changes) - _TOLD
    return ", ".join(changes[:_TOLD]) + (f", and {more} more" if more > 0 else "")


def _changes(now: Mapping[str, str], then: Mapping[str, Any]) -> list[str]:
    """Return what is different, in words, as far as it is of this stage; what it no longer goes to shows in its code."""
    changed = [f"{name} changed" for name, digest in now.items() if name in then and then[name] != digest]
    changed.sort(key=lambda text: not text.startswith("code"))
    return changed or [f"{name} is new" for name in now if name not in then] or [f"{name} is gone" for name in then if name not in now]
