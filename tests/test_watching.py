"""`run --watch`: the verdict follows what is saved."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from subprocess import Popen
from threading import Thread

import pytest

from ckpt._replaying.watching import _Files
from tests import processes
from tests.workplace import Project

SHOP = "import ckpt\nimport tools\n\n\n@ckpt.ckpt\ndef price(n):\n    return tools.divide(n)\n"
TOOLS = "def divide(n):\n    print('dividing')\n    return 1 // n\n"


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> Project:
    """A project with a failure."""
    project = Project(tmp_path / "project")
    project.write("shop.py", SHOP)
    project.write("tools.py", TOOLS)
    project.call("import shop; shop.price(0)")
    return project


class Lines:
    """The lines of a process, as they come."""

    def __init__(self, process: Popen[str]) -> None:
        self._queue: SimpleQueue[str] = SimpleQueue()
        self.seen: list[str] = []
        Thread(target=self._read, args=(process,), daemon=True).start()

    def _read(self, process: Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._queue.put(line.rstrip("\n"))

    def until(self, pattern: str) -> str:
        """Return the next line that begins with what the pattern says."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                line = self._queue.get(timeout=0.1)
            except Empty:
                continue
            self.seen.append(line)
            if re.match(pattern, line):
                return line
        raise AssertionError(f"no {pattern!r} in {self.seen}")


@contextmanager
def watched(shop: Project, *verdicts: str) -> Iterator[Lines]:
    """Give the lines of a watch, from the verdicts on that it begins with."""
    with shop.running("run", "--watch") as process:
        lines = Lines(process)
        for verdict in verdicts:
            lines.until(verdict)
        yield lines
        assert process.poll() is None


def test_saving_the_fix_shows_fixed(shop: Project) -> None:
    """The verdict follows each save, in a fresh process each time; a file that does not compile is a verdict too."""
    with watched(shop, "same failure: ZeroDivisionError") as lines:
        assert "dividing" in lines.seen
        shop.edit("tools.py", "1 // n", "1 // (n or 1)")
        lines.until("fixed: ")
        assert "1" in lines.seen
        assert f"{shop.path / 'tools.py'} is saved, price runs again ..." in lines.seen
        shop.edit("tools.py", "def divide", "def divide(")
        lines.until("cannot replay: Module 'shop' cannot be imported today: SyntaxError")
        shop.write("tools.py", TOOLS)
        lines.until("same failure: ")
    assert [header.status for header in shop.store.headers()] == ["failed"]


def test_a_file_that_a_replay_begins_to_use_is_watched(shop: Project) -> None:
    """A module that was not there when the capture was made counts from the replay that imports it on."""
    shop.write("extra.py", "ZERO = 0\n")
    with watched(shop, "same failure: ") as lines:
        shop.edit("tools.py", "return 1 // n", "import extra; return 1 // extra.ZERO")
        assert "watching 3 files" in lines.until("watching ")
        lines.until("same failure: ")
        shop.write("extra.py", "ZERO = 5\n")
        lines.until("fixed: ")


def test_a_module_that_is_missing_is_waited_for(shop: Project) -> None:
    """A replay that ended for want of a module is made again once there is a file of its name."""
    shop.edit("tools.py", "def divide", "import extra.zero\n\ndef divide")
    with watched(shop, "cannot replay: ") as lines:
        shop.write("extra/__init__.py", "")
        lines.until("cannot replay: .*extra.zero")
        shop.write("extra/zero.py", "")
        lines.until("same failure: ")


def test_a_replay_that_is_overtaken_by_a_save_is_given_up(shop: Project) -> None:
    """A save during a long call ends that call and begins the next."""
    shop.edit("tools.py", "return 1 // n", "import time; open('begun', 'w').close(); time.sleep(60)")
    with watched(shop) as lines:
        while not (shop.path / "begun").exists():
            time.sleep(0.05)
        shop.write("tools.py", "def divide(n):\n    return 'quick'\n")
        lines.until("fixed: ")
        assert "'quick'" in lines.seen


def test_on_a_terminal_only_the_latest_verdict_is_there(shop: Project) -> None:
    """The screen is cleared before each verdict, and a Ctrl-C ends the watch with 130."""
    pexpect = pytest.importorskip("pexpect")
    environ = processes.environment(shop.environ | {"TERM": "xterm"})
    child = pexpect.spawn(sys.executable, ["-m", "ckpt", "run", "--watch"], cwd=str(shop.path), env=environ, encoding="utf-8", timeout=30)
    child.expect_exact("\x1b[2J")
    child.expect("same failure: ZeroDivisionError")
    shop.edit("tools.py", "1 // n", "1 // (n or 1)")
    child.expect_exact("\x1b[2J")
    child.expect("fixed: ")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


def test_files_count_as_saved_when_they_come_to_rest(tmp_path: Path) -> None:
    """A file that is replaced, removed or made is noticed, and all are taken as they are then."""
    file, other = tmp_path / "a.py", tmp_path / "b.py"
    file.write_text("1")
    files = _Files([str(file), str(other)])
    assert files.changed() is None
    other.write_text("new")
    assert files.changed() == str(other)
    files.settle()
    assert files.changed() is None
    replacement = tmp_path / "c"
    replacement.write_text("2")
    os.utime(replacement, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    replacement.replace(file)
    assert files.changed() == str(file)
    files.settle()
    file.unlink()
    assert files.wait() == str(file)
