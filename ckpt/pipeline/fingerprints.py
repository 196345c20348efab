"""What makes the result of a stage, apart from its inputs: its code, the code of the project it goes to, and the values that code reads.

A fingerprint is taken once and then only looked over: as long as the names lead to the same functions and values, it holds. Values that
can change in place are digested again for each run. What the stages of a run change in them does not make the stages others: a list that a
stage appends to is, for the next run in this process, the list that it was for the first.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import CellType, FunctionType
from typing import Any

from ckpt.pipeline.ours import AROUND_FUNCTIONS, members, named, token
from ckpt.pipeline.values import UnhashableError, digest

#: Stands for a name that leads nowhere.
MISSING: Any = object()


@dataclass(slots=True, kw_only=True)
class Memory:
    """What a process remembers of a stage from one fingerprint to the next."""

    #: What runs have made of values that can change in place, by `id()`: the value, its state now, and the digest it had before.
    settled: dict[int, tuple[Any, str, str]] = field(default_factory=dict)
    #: Names that the code itself sets, with the digest of what they led to at first; the holder keeps its `id()` its own.
    first: dict[tuple[int, str], tuple[Any, str]] = field(default_factory=dict)

    def identity(self, value: Any, state: str, now: str) -> str:
        """Return the digest that a value counts with, whose state and digest are these."""
        settled = self.settled.get(id(value))
        return settled[2] if settled is not None and settled[0] is value and settled[1] == state else now


@dataclass(slots=True, kw_only=True)
class Fingerprint:
    """What a stage's results depend on, and what tells that it is still so."""

    #: Each part with its digest: "code", "code of clean", "value of RATE".
    parts: dict[str, str]
    memory: Memory
    #: The file and the name of the function: tells a stage from another one of its name.
    origin: str = ""
    #: Why it cannot be taken; empty when it can.
    refusal: str = ""
    #: A namespace, a name in it, and the object it led to.
    names: list[tuple[Mapping[str, Any], str, Any]] = field(default_factory=list)
    cells: list[tuple[CellType, Any]] = field(default_factory=list)
    functions: list[tuple[FunctionType, Any, Any]] = field(default_factory=list)
    #: Values that can change in place, classes among them, each with its state and its digest.
    live: list[tuple[Any, str, str]] = field(default_factory=list)

    def is_current(self) -> bool:
        """Whether nothing of it has changed."""
        return (
            all(function.__code__ is code and function.__defaults__ is defaults for function, code, defaults in self.functions)
            and all(namespace.get(name, MISSING) is value for namespace, name, value in self.names)
            and all(contents(cell) is value for cell, value in self.cells)
            and all(state_of(value) == state for value, state, _ in self.live)
        )

    def settle(self) -> None:
        """Take what a run has changed in live values for what they were."""
        for value, state, held in self.live:
            now = state_of(value)
            if now != state:
                self.memory.settled[id(value)] = (value, now, held)


def state_of(value: Any) -> str:
    """Return a digest of what a value, or a class, holds now; it holds for this process, and tells a function from its namesake."""
    if isinstance(value, type):  # which functions it has, their names in it tell
        value = {name: None if isinstance(each, AROUND_FUNCTIONS) else each for name, each in members(value).items()}
    try:
        return digest(value, _refer)
    except UnhashableError as refusal:
        return str(refusal)


def _refer(value: Any) -> str | None:
    found = named(value)
    return None if found is None else f"{token(found)} {id(found)}"


def origin_of(function: Any) -> str:
    """Return the file and the name of a function; nothing for what has none, such as a cell of a notebook."""
    code = getattr(function, "__code__", None)
    if code is None or not os.path.isfile(code.co_filename):
        return ""
    return f"{os.path.basename(code.co_filename)}:{function.__qualname__}"


def contents(cell: CellType) -> Any:
    """Return what a closed-over variable holds."""
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING
