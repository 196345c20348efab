"""No replay in a process of its own outlives the ckpt that began it."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests import processes
from tests.workplace import Project

#: Tells its own process and one that it has started, and goes on for ever, in the way that the file `how` says.
SHOP = """
import os, re, subprocess, time
import ckpt

@ckpt.ckpt
def work(pause=False):
    if pause:
        return
    if not os.path.exists("how"):
        os.kill(os.getpid(), 9)
    started = subprocess.Popen(["sleep", "600"])
    with open("new", "w") as file:
        file.write(f"{os.getpid()} {started.pid}")
    os.rename("new", "pids")
    exec(open("how").read())
"""
SLEEPS, HOLDS_THE_INTERPRETER = "time.sleep(600)", "re.match('(a+)+$', 'a' * 60 + 'b')"


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> Project:
    """A project with a call that died, and would go on for ever today."""
    project = Project(tmp_path / "project")
    project.write("shop.py", SHOP)
    project.call("import shop; shop.work()")
    project.write("how", SLEEPS)
    return project


def told(shop: Project) -> list[int]:
    """Wait for the replay to begin, and return the ids of its process and of the one that it has started."""
    deadline = time.monotonic() + 60
    while not (shop.path / "pids").exists():
        assert time.monotonic() < deadline, "no replay has begun"
        time.sleep(0.05)
    return [int(pid) for pid in (shop.path / "pids").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda number: number.name)
@pytest.mark.parametrize("options", [[], ["--timeout", "600"], ["--watch"], ["--all"]], ids=" ".join)
def test_a_signal_that_ends_ckpt_ends_the_replay_too(shop: Project, options: list[str], number: signal.Signals) -> None:
    """Neither the process of a replay nor what it has started is left, also when ckpt itself could do nothing about it."""
    with shop.running("run", *options) as process:
        pids = told(shop)
        process.send_signal(number)
        assert process.wait(timeout=30) == -number
    processes.wait_until_gone(*pids)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel does it on Linux only")
def test_a_replay_that_never_lets_go_of_the_interpreter_ends_too(shop: Project) -> None:
    """A call that is inside C code, where no thread of Python gets a turn, is ended with ckpt as any other."""
    shop.write("how", HOLDS_THE_INTERPRETER)
    with shop.running("run") as process:
        pids = told(shop)
        process.kill()
    processes.wait_until_gone(*pids)


def test_what_a_call_leaves_behind_ends_with_its_replay(shop: Project) -> None:
    """A process that the call has started, and not waited for, does not go on after the verdict."""
    shop.write("how", "")
    assert shop.replay()["verdict"] == "fixed"
    processes.wait_until_gone(told(shop)[1])


def test_a_thread_does_it_where_the_kernel_does_not(tmp_path: Path) -> None:
    """Without the signal that Linux sends, the process ends all the same."""
    script = "import fcntl, sys, time; vars(fcntl).pop('F_SETSIG', None)\n"
    script += "from ckpt._replaying.lifeline import hang_on; hang_on(int(sys.argv[1])); print('ready', flush=True); time.sleep(600)"
    held, lifeline = os.pipe()
    with processes.started("-c", script, str(held), cwd=tmp_path, pass_fds=(held,)) as process:
        os.close(held)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.close(lifeline)
        assert process.wait(timeout=30) == -signal.SIGKILL


def test_a_process_whose_ckpt_is_gone_before_it_begins_ends_at_once(tmp_path: Path) -> None:
    """The end of the pipe may be closed before anybody looks."""
    script = "import sys, time; from ckpt._replaying.lifeline import hang_on; hang_on(int(sys.argv[1])); time.sleep(600)"
    held, lifeline = os.pipe()
    os.close(lifeline)
    with processes.started("-c", script, str(held), cwd=tmp_path, pass_fds=(held,)) as process:
        os.close(held)
        assert process.wait(timeout=30) == -signal.SIGKILL
