"""What fails while ckpt records, what runs out, and who comes in between: a sample of the loops that `.ci/soak` runs whole."""

from __future__ import annotations

import os

import pytest

from tests.faults.__main__ import ENVIRONMENT, SKIPPED
from tests.faults.loops import GROUPS
from tests.processes import ROOT, python

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="each trial is a forked child")


@pytest.mark.parametrize("group", GROUPS)
def test_whatever_fails_the_program_gets_its_own_outcome_and_the_store_stays_sound(group: str) -> None:
    """At steps evenly spaced over each loop: the result or the exception is the program's own, `check` finds nothing, all captures open."""
    done = python("-m", "tests.faults", "--alone", group, "--sample", "6", cwd=ROOT, check=False, timeout=170, environ=ENVIRONMENT)

    if SKIPPED in done.stdout:
        pytest.skip(done.stdout.partition(SKIPPED)[2].strip())
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_a_loop_that_finds_something_says_so() -> None:
    """A program that notices what it must not is found at every step."""
    code = (
        "import sys, tests.faults.programs as programs\n"
        "from tests.faults.__main__ import alone\n"
        "def noticed(): raise programs.NoticedError('the wrong result')\n"
        "programs.PROGRAMS[:] = [programs.Program(name='return', act=noticed)]\n"
        "sys.exit(alone('lines:OSError', 2))"
    )
    done = python("-c", code, cwd=ROOT, check=False, environ=ENVIRONMENT)

    assert done.returncode == 1
    assert "1 failures" in done.stdout
    assert "the wrong result" in done.stdout
