"""What a handler makes of values when they come, so that what the program does to them afterwards does not show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

Made = TypeVar("Made")


class Staged(NamedTuple):
    """What a handler has made of a value already, for a session that gives it back later."""

    made: Any


def staged(values: Mapping[str, Any], make: Callable[[str, Any], object]) -> dict[str, Any]:
    """Return what `make` makes of each value, given its name, to be handed to `unstaged` later."""
    return {name: Staged(make(name, value)) for name, value in values.items()}


def unstaged(values: Mapping[str, Any], make: Callable[[str, Any], Made]) -> dict[str, Made]:
    """Return what `make` makes of each value, or made of it when it was staged."""
    return {name: value.made if type(value) is Staged else make(name, value) for name, value in values.items()}
