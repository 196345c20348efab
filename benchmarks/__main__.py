"""Run the benchmarks and print one table.

    python -m benchmarks [--directory PATH] [NAME ...]

Names: hot_path, calls, failures, loading, commands, watching, snapshots, checkpoints, pipelines; and million, which takes about a minute
and only runs when it is named.
"""

from __future__ import annotations

import argparse
import os
import platform
from importlib import import_module

from benchmarks.measuring import Figure, place

USUAL = ("hot_path", "calls", "failures", "loading", "commands", "watching", "snapshots", "checkpoints", "pipelines")
NAMES = (*USUAL, "million")
WIDTH = 46


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure ckpt against named limits.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all but million by default")
    parser.add_argument("--directory", default=os.getcwd(), help="where to write: on a real disk; the working directory by default")
    chosen = parser.parse_args()
    unknown = set(chosen.names).difference(NAMES)
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    print(f"Python {platform.python_version()}\n\n{'':{WIDTH}} {'measured':>12} {'target':>9}")
    for name in chosen.names or USUAL:
        with place(os.path.abspath(chosen.directory)) as ground:
            for figure in import_module(f"benchmarks.{name}").measure(ground):
                print(_row(figure), flush=True)


def _row(figure: Figure) -> str:
    measured = f"{figure.value:.3g} {figure.unit}".strip()
    target = "" if figure.target is None else f"{figure.target:g}"
    verdict = "" if figure.target is None else "yes" if figure.is_reached else "NO"
    return f"{figure.what:{WIDTH}} {measured:>12} {target:>9}  {verdict:3}  {figure.note}".rstrip()


if __name__ == "__main__":
    main()
