"""Real processes for the tests: scripts, and the command line in both spellings."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a process that imports this checkout."""
    ours = {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "", "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**os.environ, **ours, **(more or {})}


def python(
    *arguments: str | Path, cwd: Path, stdin: str = "", check: bool = True, timeout: float = 60, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python in `cwd` and return what it printed; with `check`, fail when it does."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        env=environment(environ),
        timeout=timeout,
        check=False,
    )
    assert not check or done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done


def ckpt(
    *arguments: str | Path, cwd: Path, stdin: str = "", check: bool = True, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line in `cwd`."""
    return python("-m", "ckpt", *arguments, cwd=cwd, stdin=stdin, check=check, environ=environ)


def run_all(commands: Sequence[Sequence[str | Path]], cwd: Path, environ: Mapping[str, str] | None = None) -> list[int]:
    """Run Python processes at the same time and return their exit codes."""
    running = [subprocess.Popen([sys.executable, *map(str, command)], cwd=cwd, env=environment(environ)) for command in commands]
    return [process.wait(timeout=120) for process in running]


@contextmanager
def started(*arguments: str | Path, cwd: Path, pass_fds: Sequence[int] = ()) -> Iterator[subprocess.Popen[str]]:
    """Give a Python process in a group of its own, which goes on while the block does."""
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=pass_fds,
        process_group=0,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def is_running(pid: int) -> bool:
    """Whether a process is there, and not only waiting to be forgotten."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def wait_until_gone(*pids: int) -> None:
    """Return when none of these processes runs; fail when one still does after half a minute."""
    deadline = time.monotonic() + 30
    while any(map(is_running, pids)):
        assert time.monotonic() < deadline, "still running"
        time.sleep(0.05)
