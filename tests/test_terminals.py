"""Captures opened in a real terminal: ipdb, IPython and pudb, as a person meets them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.processes import ROOT, python

PROGRAM = """
    import ckpt

    SCALE = 2

    def ratio(values, k):
        total = sum(values)
        return total / (k - k)

    @ckpt.ckpt
    def job(n):
        rows = list(range(n))
        return ratio(rows, SCALE)

    job(4)
"""


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A directory with a captured failure."""
    (tmp_path / "job.py").write_text(dedent(PROGRAM).lstrip("\n"))
    python("job.py", cwd=tmp_path, check=False, environ=environment(tmp_path))
    return tmp_path


def environment(path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(path),
        "XDG_CONFIG_HOME": str(path / ".config"),
        "XDG_STATE_HOME": str(path / "state"),
        "IPYTHONDIR": str(path / "ipython"),
        "PYTHONPATH": str(ROOT),
        "PYCKPT_DIR": str(path / ".pyckpt"),
        "TERM": "dumb",
        "NO_COLOR": "1",
    }


@pytest.fixture
def sit(desk: Path) -> Iterator[Callable[..., Any]]:
    """Runs the command line in a terminal; it is gone when the test ends."""
    pexpect, opened = import_module("pexpect"), []

    def run(*arguments: str) -> Any:
        command = ["-m", "ckpt", *arguments]
        opened.append(
            pexpect.spawn(sys.executable, command, env=environment(desk), cwd=str(desk), encoding="utf-8", timeout=30, echo=False)
        )
        return opened[-1]

    yield run
    for terminal in opened:
        terminal.close(force=True)


def converse(terminal: Any, prompt: str, *turns: tuple[str, str]) -> None:
    """Type each command at the prompt and wait for its answer."""
    for command, answer in turns:
        terminal.expect(prompt)
        terminal.sendline(command)
        terminal.expect_exact(answer)


def test_ipdb_is_what_opens_in_a_terminal(sit: Callable[..., Any]) -> None:
    """`ckpt debug` in a terminal is ipdb: where with the callers, up, down, values, scopes of the prompt, `q`."""
    terminal = sit("debug")
    converse(
        terminal,
        "ipdb> ",
        ("w", "ratio(rows, SCALE)"),
        ("p total, k", "(6, 2)"),
        ("[value * k for value in values]", "[0, 2, 4, 6]"),
        ("(lambda: total + k)()", "8"),
        ("u", "ratio(rows, SCALE)"),
        ("p rows", "[0, 1, 2, 3]"),
        ("u", "job(4)"),
        ("u", "Oldest frame"),
        ("q", ""),
    )
    terminal.expect(import_module("pexpect").EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_what_ipdb_assigns_stays_as_far_as_live(sit: Callable[..., Any]) -> None:
    """A new name and a changed object are there after moving between frames, on every Python; a changed name is from 3.13 on."""
    terminal = sit("debug")
    converse(
        terminal,
        "ipdb> ",
        ("!fresh = k + 40; values.append(9)", ""),
        ("!total = 100", ""),
        ("p total", "100"),
        ("u", "ratio(rows, SCALE)"),
        ("p rows", "[0, 1, 2, 3, 9]"),
        ("d", "total / (k - k)"),
        ("p fresh", "42"),
        ("p total", "100" if sys.version_info >= (3, 13) else "6"),
    )


def test_debug_in_the_shell_opens_the_failure(sit: Callable[..., Any]) -> None:
    """`ckpt shell` has the variables of the captured function; `%debug` there opens its frames, and comes back."""
    terminal = sit("shell")
    prompt = r"In \[\d+\]: "
    converse(terminal, prompt, ("sum(rows) * SCALE", "12"), ("%debug", "total / (k - k)"))
    converse(terminal, "ipdb> ", ("p total", "6"), ("u", "ratio(rows, SCALE)"), ("p n", "4"), ("q", ""))
    converse(terminal, prompt, ("[row + n for row in rows]", "[4, 5, 6, 7]"), ("exit", ""))
    terminal.expect(import_module("pexpect").EOF)


@pytest.mark.skipif(shutil.which("tmux") is None or find_spec("pudb") is None, reason="needs tmux and pudb")
def test_pudb_in_a_terminal(desk: Path) -> None:
    """Pudb paints the captured source, the stack with its callers and the variables; `u` goes up, `q` leaves."""
    settings = desk / ".config" / "pudb" / "pudb.cfg"
    settings.parent.mkdir(parents=True)
    settings.write_text("[pudb]\nseen_welcome = e999\nprompt_on_quit = False\n")
    command = f"{sys.executable} -m ckpt debug --debugger pudb; echo left; sleep 60"
    environ = environment(desk) | {"TERM": "screen"}
    tmux = ["tmux", "-L", f"ckpt-{os.getpid()}", "-f", os.devnull]  # the path of a socket must be short
    subprocess.run([*tmux, "new-session", "-d", "-x", "140", "-y", "45", command], env=environ, cwd=desk, check=True)
    try:
        _wait_for(tmux, "return total / (k - k)", ">> ratio job.py:7", "job job.py:12", "<module> job.py:14", "total: 6")
        subprocess.run([*tmux, "send-keys", "u"], check=True)
        _wait_for(tmux, ">> job job.py:12", "rows: list (4)")
        subprocess.run([*tmux, "send-keys", "q"], check=True)
        _wait_for(tmux, "left")
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)


def _wait_for(tmux: list[str], *texts: str) -> None:
    """Wait until the screen shows all texts."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        screen = subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=True).stdout
        if all(text in screen for text in texts):
            return
        time.sleep(0.1)
    raise AssertionError(screen)
