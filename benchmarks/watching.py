"""`ckpt run --watch`: how long after the save of a fix the verdict is there, for a call that takes no time itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from time import perf_counter

from benchmarks.measuring import Figure, Place, Seconds, alternate, run, timed

BROKEN = """
import ckpt

@ckpt.ckpt
def price(n):
    return 1 // n
"""
FIXED = BROKEN.replace("1 // n", "1 // (n or 1)")
#: A program that makes the same call in a fresh process: the least that a replay does.
CALL = "import sys; sys.path.insert(0, sys.argv[1]); import shop; shop.price(1)"


def measure(place: Place, rounds: int = 11) -> Iterator[Figure]:
    """Yield the time from save to verdict, next to the same call in a fresh process, and what it is at most."""
    project = _Project(place.directory)
    project.save(BROKEN)
    subprocess.run([sys.executable, "-c", CALL.replace("(1)", "(0)"), project.directory], check=False, stderr=subprocess.DEVNULL)
    with subprocess.Popen(
        [sys.executable, "-m", "ckpt", "run", "--watch"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as watch:
        try:
            pairs = alternate(lambda: project.fixed(watch), lambda: timed(run, "-c", CALL, project.directory), rounds)
        finally:
            watch.kill()
    yield Figure(what="run --watch, save to verdict", value=pairs.ratio, target=4.0, note=pairs.note)
    yield Figure(what="run --watch, the slowest", value=max(pairs.ours), unit="s", target=1.0)


class _Project:
    """A project of one module, which is saved over and over."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._file = os.path.join(directory, "shop.py")

    def save(self, text: str) -> None:
        with open(self._file, "w", encoding="utf-8") as file:
            file.write(text)

    def fixed(self, watch: subprocess.Popen[str]) -> Seconds:
        """Save the failing call, wait for its verdict, save the fix, and return how long the verdict of that takes."""
        self.save(BROKEN)
        _until("same failure: ", watch)
        began = perf_counter()
        self.save(FIXED)
        _until("fixed: ", watch)
        return perf_counter() - began


def _until(verdict: str, watch: subprocess.Popen[str]) -> None:
    assert watch.stderr is not None
    while not watch.stderr.readline().startswith(verdict):
        assert watch.poll() is None
