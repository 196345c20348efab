"""Functions that no file has: those of cells, of `python -c`, of a program that came through a pipe, of a script's own `exec`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import processes
from tests.workplace import Project, last

TYPED = """
import ckpt

@ckpt.ckpt
def typed(n):
    half = n // 2
    return 1 / half

try:
    typed(1)
except ZeroDivisionError:
    pass
"""
CELLS = """
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell.instance().run_cell(TYPED)
"""
EXECUTED = """
exec(compile(TYPED, "<ipython-input-1>", "exec"), {"__name__": "__main__"})
"""
DIVISION = """
import ckpt

try:
    1 / 0
except ZeroDivisionError:
    ckpt.capture_exception(name="division")
"""
NOTE = "note: typed is called as it was captured: no import finds it"


def cells(project: Project) -> None:
    """Run it as a cell of IPython."""
    processes.python("-c", f"TYPED = {TYPED!r}{CELLS}", cwd=project.path, environ=project.environ)


def executed(project: Project) -> None:
    """Run it as a script that executes a text."""
    project.write("notebook.py", f"TYPED = {TYPED!r}{EXECUTED}")
    project.python("notebook.py", check=True)


def command(project: Project) -> None:
    """Run it as `python -c`."""
    project.python("-c", TYPED, check=True)


def piped(project: Project) -> None:
    """Run it as `python -`."""
    processes.python("-", cwd=project.path, stdin=TYPED, environ=project.environ)


RUNS = [cells, executed, command, piped]


@pytest.fixture
def project(home: Path, tmp_path: Path) -> Project:
    """A project without a file."""
    made = Project(tmp_path / "project")
    made.path.mkdir()
    return made


@pytest.mark.parametrize("run", RUNS)
def test_a_function_without_a_file_is_called_as_it_was_captured(project: Project, run: Callable[[Project], None]) -> None:
    """There is no newer one, and a note says so."""
    run(project)
    done = project.ckpt("run")
    assert last(done).startswith("same failure: ZeroDivisionError")
    assert NOTE in done.stderr.splitlines()


def test_a_function_that_is_gone_from_its_file_is_not_called_as_it_was(project: Project) -> None:
    """Code of a file has a newer state, in which it is gone."""
    project.write("script.py", TYPED)
    project.python("script.py", check=True)
    project.edit("script.py", "def typed", "def other")
    assert last(project.ckpt("run")) == "cannot replay: There is no 'typed' in module '__main__' today."


@pytest.mark.parametrize("options", [(), ("--timeout", "60")])
def test_a_traceback_shows_the_lines_that_no_file_has(project: Project, options: tuple[str, ...]) -> None:
    """They come from the capture, which has the text of a cell."""
    cells(project)
    assert "\n    return 1 / half\n" in project.ckpt("run", *options).stderr


@pytest.mark.parametrize("run", RUNS)
def test_no_test_is_written_of_a_function_without_a_file(project: Project, run: Callable[[Project], None]) -> None:
    """Whatever is mended, it would call what was captured."""
    run(project)
    for options in ([], ["--expect-failure"]):
        done = project.ckpt("test", "-o", "test_typed.py", *options)
        assert (done.returncode, done.stdout) == (1, "")
        what, hint = done.stderr.splitlines()
        assert what == "cannot replay: No file has 'typed': a test would call it as it was captured, whatever is mended."
        assert hint == "hint: put it into a file, and capture it there"
        assert not list(project.path.glob("test_*"))


@pytest.mark.parametrize("command", ["run", "test"])
def test_a_script_itself_is_no_function(project: Project, command: str) -> None:
    """What was captured at the top level is not run again; the line says what there is to do."""
    script = project.write("script.py", DIVISION)
    project.python("script.py", check=True)
    done = project.ckpt(command, "division", *(["-o", "test_it.py"] if command == "test" else []))
    assert done.returncode == 1
    line = f"'division' was captured at the top level of {script}, which is no function to be called again."
    assert line in done.stderr
    assert f"hint: ckpt debug {project.store.find().id} opens its frames; to make it again, run the program" in done.stderr
    assert "no __name__ guard" not in done.stderr
