"""The arguments of a capture under the names of their parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from ckpt._model.record import Manifest, Value
from ckpt._replaying.value_diff import differences
from ckpt._store.stored import Stored

if TYPE_CHECKING:
    from ckpt._replaying.rehydrate import Capture


def described(stored: Stored) -> list[Value]:
    """Return the records of the arguments: those at entry when entry was recorded, else those at the failure."""
    moment = stored.entry or stored.failure
    manifest = moment.manifest() if moment is not None else Manifest()
    inner = manifest.call_at(stored.view) if moment is stored.failure else None
    return manifest.arguments if inner is None else manifest.inner[inner].arguments


def named(stored: Stored, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments under the names of their parameters; those of a `*args` are named `*` and their position."""
    records = described(stored)[: len(args)]
    found = {record.name if record is not None else f"*{place}": value for place, (value, record) in enumerate(zip_longest(args, records))}
    return found | dict(kwargs)


def argument_differences(one: Capture, other: Capture) -> Iterator[str]:
    """Yield where the arguments of two captures differ by content, one line each. Loads them; raises `CkptError` when that fails."""
    first, second = (named(each.stored, each.args, each.kwargs) for each in (one, other))
    for name in dict.fromkeys([*first, *second]):
        if name not in first or name not in second:
            yield f"{name}: only in {(one if name in first else other).header.id}"
        else:
            yield from differences(first[name], second[name], name)
