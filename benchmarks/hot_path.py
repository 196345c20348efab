"""What `@ckpt(active=False)` adds to a call that does not fail, next to what an empty wrapper adds."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from statistics import median
from time import perf_counter
from typing import Any

import ckpt
from benchmarks.measuring import Figure, Place, duration

#: A body of this many loops takes about ten milliseconds.
LOOPS = 200_000
#: How each call is written, and the function that it calls.
CALLS = {
    "function": ("f(1, 2)", "def f(a, b): pass"),
    "keywords": ("f(a=1, b=2)", "def f(a, b): pass"),
    "defaults": ("f(1)", "def f(a, b=2, *, c=3): pass"),
    "keyword-only": ("f(1, c=2)", "def f(a, b=2, *, c=3): pass"),
    "method": ("o.f(1, 2)", "def f(self, a, b): pass"),
    "*args, **kwargs": ("f(1, 2, c=3)", "def f(*args, **kwargs): pass"),
}


def empty_wrapper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap as most decorators do."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def measure(place: Place, rounds: int = 41) -> Iterator[Figure]:
    """Yield the ratio of what is added for every way to call."""
    for kind, (call, definition) in CALLS.items():
        bare, empty, ours = (_loop(call, definition, decorate) for decorate in (lambda f: f, empty_wrapper, ckpt.ckpt(active=False)))
        added, limit = [], []
        for _ in range(rounds):
            base = bare()
            added.append(ours() - base)
            limit.append(empty() - base)
        ratio = median(a / b for a, b in zip(added, limit, strict=True))
        note = f"{duration(median(added) / LOOPS)} against {duration(median(limit) / LOOPS)}"
        # A function that takes anything can only be wrapped by one that takes anything: the limit itself.
        yield Figure(what=f"on-error mode, {kind}", value=ratio, target=None if "*" in kind else 0.5, note=note)


def _loop(call: str, definition: str, decorate: Callable[[Any], Any]) -> Callable[[], float]:
    """Return a function that times `LOOPS` calls, each written out so that nothing else is timed."""
    namespace: dict[str, Any] = {"clock": perf_counter}
    exec(definition, namespace)
    namespace["f"] = decorate(namespace["f"])
    namespace["o"] = type("Owner", (), {"f": namespace["f"]})()
    exec(f"def loop(f=f, o=o):\n began = clock()\n for _ in range({LOOPS}): {call}\n return clock() - began", namespace)
    loop: Callable[[], float] = namespace["loop"]
    return loop
