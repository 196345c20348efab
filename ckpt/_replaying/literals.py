"""Values that a person would write down: those whose `repr` is short, a literal, and gives back exactly the same."""

from __future__ import annotations

import math

#: Characters of a literal that is still short.
LIMIT = 200
_DEPTH = 10


def literal(value: object) -> str | None:
    """Return the text of a literal for `value`; None when there is no short one that is exact."""
    if not _is_exact(value, _DEPTH, set()):
        return None
    text = repr(value)
    return text if len(text) <= LIMIT else None


def shares_nothing(values: list[object]) -> bool:
    """Whether no list, dict or set is in several of the values, or several times in one: literals would make two of it."""
    seen: set[int] = set()
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if type(value) in {list, dict, set}:
            if id(value) in seen:
                return False
            seen.add(id(value))
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += value
    return True


def _is_exact(value: object, depth: int, above: set[int]) -> bool:
    kind = type(value)
    if kind is float:
        return math.isfinite(value)  # type: ignore[arg-type]
    if value is None or kind in {bool, int, str, bytes}:
        return kind not in {str, bytes} or len(value) <= LIMIT  # type: ignore[arg-type]
    if kind not in {list, tuple, dict, set} or not depth or len(value) > LIMIT or id(value) in above:  # type: ignore[arg-type]
        return False
    if kind is set and not value:
        return False  # it has no literal
    inside = [*value, *value.values()] if isinstance(value, dict) else list(value)  # type: ignore[call-overload]
    return all(_is_exact(item, depth - 1, above | {id(value)}) for item in inside)
