"""Where the time of a replayed call goes."""

from __future__ import annotations

import cProfile
import os
import pstats
import sys
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

#: How many functions are told.
MOST = 25
_HOUSE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

_Key = tuple[str, int, str]


def profiled(call: Callable[[], Any], code: CodeType | None) -> Any:
    """Return what `call` returns; tell on standard error in which functions it spent its time."""
    profile = cProfile.Profile()
    try:
        return profile.runcall(call)
    finally:
        if sys.stderr is not None:
            sys.stderr.write("\n".join(_table(profile)) + "\n")


def _table(profile: cProfile.Profile) -> Iterator[str]:
    stats: dict[_Key, tuple[int, int, float, float, object]] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    found = [(total, own, calls, key) for key, (_, calls, own, total, _) in stats.items() if not _is_ours(key)]
    found.sort(reverse=True)
    yield f"{'calls':>9} {'own':>11} {'total':>11}  function"
    for total, own, calls, key in found[:MOST]:
        yield f"{calls:>9} {own * 1e3:>8.3f} ms {total * 1e3:>8.3f} ms  {_name(key)}"
    if len(found) > MOST:
        yield f"... and {len(found) - MOST} more functions"


def _is_ours(key: _Key) -> bool:
    file, _, name = key
    return file.startswith(_HOUSE) or name == "<method 'disable' of '_lsprof.Profiler' objects>"


def _name(key: _Key) -> str:
    file, line, name = key
    shown = name if file == "~" else f"{name} ({os.path.basename(file)}:{line})"
    return shown if shown.isprintable() else repr(shown)
