"""`python -m tests.faults`: all loops, a line for each, and exit code 1 when one of them found something."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

#: How much is said of what a loop found.
SHOWN = 20
#: What a group says that cannot run here.
SKIPPED = "skipped: "
#: A process that is forked must have one thread.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYCKPT_DISABLE": "0", "PYCKPT_VERBOSE": "0"}


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def alone(group: str, sample: int | None) -> int:
    """Run one group in this process; return its exit code."""
    from tests.faults.loops import NotHereError, run

    failed = False
    try:
        for report in run(group, sample):
            say(str(report))
            for each in list(dict.fromkeys(report.wrong))[:SHOWN]:
                say(f"    {each}")
            failed |= bool(report.wrong)
    except NotHereError as error:
        say(f"{group:<34}{SKIPPED}{error}")
    return int(failed)


def all_of(groups: list[str], sample: int | None, jobs: int) -> int:
    """Run each group in a process of its own, some at the same time; return 1 when one of them found something."""

    def start(group: str) -> int:
        command = [sys.executable, "-m", "tests.faults", "--alone", group, *([f"--sample={sample}"] if sample else [])]
        return subprocess.run(command, check=False, env=os.environ | ENVIRONMENT).returncode

    began = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        failed = sum(map(bool, pool.map(start, groups)))
    say(f"{len(groups)} groups, {failed} with failures, in {(time.monotonic() - began) / 60:.1f} min")
    return int(failed > 0)


def main() -> int:
    """Run what the command line says."""
    from tests.faults.loops import GROUPS

    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("groups", nargs="*", default=GROUPS, metavar="GROUP", help=f"one of {', '.join(GROUPS)}; all by default")
    parser.add_argument("--sample", type=int, metavar="N", help="about N steps of each loop, evenly spaced, instead of all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="how many groups run at the same time")
    parser.add_argument("--alone", action="store_true", help="run the one group in this process")
    given = parser.parse_args()
    if unknown := set(given.groups).difference(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    if given.alone:
        return alone(given.groups[0], given.sample)
    return all_of(given.groups, given.sample, given.jobs)


if __name__ == "__main__":
    sys.exit(main())
