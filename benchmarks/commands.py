"""Whole processes: listing ten thousand captures, and importing the package."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from benchmarks import material
from benchmarks.measuring import Figure, Place, alternate, run, timed

CAPTURES = 10_000
#: What the list is compared with: the least that a program with Typer and a rich table does.
EMPTY_APP = """
import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer()

@app.command()
def info() -> None:
    table = Table("id", "name", "status")
    table.add_row("0", "train", "failed")
    Console().print(table)

app()
"""


def measure(place: Place, rounds: int = 21) -> Iterator[Figure]:
    """Yield the figures for `ckpt info`, and for what an import adds to a bare interpreter."""
    for number in range(CAPTURES):
        material.kept(number)
    app = os.path.join(place.directory, "app.py")
    with open(app, "w", encoding="utf-8") as file:
        file.write(EMPTY_APP)
    pairs = alternate(_process("-m", "ckpt", "info"), _process(app), rounds)
    yield Figure(what=f"ckpt info on {CAPTURES:,} captures", value=pairs.ratio, target=1.3, note=pairs.note)
    pairs = alternate(_process("-m", "ckpt", "info", "kept"), _process(app), rounds)
    yield Figure(what=f"ckpt info NAME on {CAPTURES:,} captures", value=pairs.ratio, note=pairs.note)
    for code, target in (("import ckpt", 10.0), ("import ckpt; ckpt.ckpt", None)):
        pairs = alternate(_process("-c", code), _process("-c", "pass"), 2 * rounds)
        yield Figure(what=code, value=pairs.difference * 1e3, unit="ms more", target=target, note=pairs.note)


def _process(*args: str) -> Callable[[], float]:
    return lambda: timed(run, *args)
