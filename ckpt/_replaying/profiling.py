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
_HOUSE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")

_Key = tuple[str, int, str]
_Stats = dict[_Key, tuple[int, int, float, float, dict[_Key, object]]]


def profiled(call: Callable[[], Any], code: CodeType | None) -> Any:
    """Return what `call` returns; tell on standard error in which functions it spent its time."""
    profile = cProfile.Profile()
    try:
        return _watched(profile, call)
    finally:
        if sys.stderr is not None:
            sys.stderr.write("\n".join(_table(pstats.Stats(profile).stats, code)) + "\n")  # type: ignore[attr-defined]


def _watched(profile: cProfile.Profile, call: Callable[[], Any]) -> Any:
    profile.enable()
    try:
        return call()
    finally:
        profile.disable()


def _table(stats: _Stats, code: CodeType | None) -> Iterator[str]:
    ours = _ours(stats, code)
    found = [(total, own, calls, key) for key, (_, calls, own, total, _) in stats.items() if key not in ours]
    found.sort(reverse=True)
    yield f"{'calls':>9} {'own':>11} {'total':>11}  function"
    for total, own, calls, key in found[:MOST]:
        yield f"{calls:>9} {own * 1e3:>8.3f} ms {total * 1e3:>8.3f} ms  {_name(key)}"
    if len(found) > MOST:
        yield f"... and {len(found) - MOST} more functions"


def _ours(stats: _Stats, code: CodeType | None) -> set[_Key]:
    """Return the functions of ckpt, and those that only it calls; not the captured function."""
    captured = (code.co_filename, code.co_firstlineno) if code is not None else None
    ours = {key for key in stats if key[0].startswith(_HOUSE) or "_lsprof.Profiler" in key[2]}
    while True:
        more = {key for key, (*_, callers) in stats.items() if key[:2] != captured and callers and ours.issuperset(callers)} - ours
        if not more:
            return ours
        ours |= more


def _name(key: _Key) -> str:
    file, line, name = key
    shown = name if file == "~" else f"{name} ({os.path.basename(file)}:{line})"
    return shown if shown.isprintable() else repr(shown)
