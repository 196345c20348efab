"""The other threads and tasks that were alive at a failure, as Python would print their stacks. Pure functions of a manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from ckpt._cli.text import one_line, plural
from ckpt._cli.tower import Line
from ckpt._model.record import Other, Place

#: Gives a line of the source that a place lies in, as it was captured; empty when it was not kept.
PlaceLine = Callable[[Place, int], str]


def counted(others: Sequence[Other]) -> str:
    """Return how many threads and tasks there were: `2 threads and 1 task`; nothing for none."""
    kinds = Counter(other.kind for other in others)
    return " and ".join(plural(count, one_line(kind)) for kind, count in kinds.items())


def mention(others: Sequence[Other]) -> list[Line]:
    """Return the line that says that there were others, and how to see them."""
    return [("dim", f"{counted(others)} beside it: ckpt show --threads")] if others else []


def stacks(others: Sequence[Other], source_line: PlaceLine) -> list[Line]:
    """Return the stack of each, after an empty line."""
    return [line for other in others for line in (("", ""), *_stack(other, source_line))] or [("", ""), ("", "No other threads or tasks.")]


def _stack(other: Other, source_line: PlaceLine) -> Iterator[Line]:
    name = f" {other.name}" if other.name else ""
    state = f" ({other.state})" if other.state else ""
    yield "bold", one_line(f"{other.kind.capitalize()}{name}{state}")
    for place in other.stack:
        yield "cyan", one_line(f'  File "{place.file}", line {place.line}, in {place.name}')
        if text := source_line(place, place.line).strip():
            yield "", one_line(f"    {text}")
