"""`ckpt plan` and `ckpt graph`, and the table that a run shows on a terminal."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pexpect
import pytest

from tests.processes import ckpt, environment, python

JOB = """
import time
from ckpt import pipeline as chkpt

print("imported")


@chkpt.Stage.wrap()
def load():
    return [1, 2]


@chkpt.Stage.wrap()
def total(rows):
    print("adding up", flush=True)
    return sum(rows)


@chkpt.Stage.wrap()
def broken(rows):
    raise ValueError("no [rows]")


pipeline = load >> total
failing = (load >> total, load >> broken) >> chkpt.Stage(max, name="most")
config = chkpt.Config(load=["load"])

if __name__ == "__main__":
    (failing if "fail" in __import__("sys").argv else pipeline)(chkpt.Config(load=True))
"""


@pytest.fixture
def project(tmp_path: Path, home: Path) -> Path:
    """A directory with a store and a job."""
    (tmp_path / ".pyckpt").mkdir()
    (tmp_path / "job.py").write_text(JOB)
    return tmp_path


def test_plan_says_what_a_run_would_do(project: Path) -> None:
    """Before the first run everything runs, after it the last result is loaded; nothing is run for the answer."""
    before = ckpt("plan", "job:pipeline", cwd=project)
    assert before.stdout == "load   run   never stored\ntotal  run   never stored\n"
    assert before.stderr == "imported\n"
    assert not (project / ".pyckpt" / "pipelines").exists()
    python("job.py", cwd=project)
    after = ckpt("plan", "job.py:pipeline", "--json", cwd=project)
    assert [(step["stage"], step["action"], step["why"]) for step in json.loads(after.stdout)] == [
        ("load", "skip", "nobody needs it"),
        ("total", "load", "stored"),
    ]


def test_plan_takes_a_config_and_a_directory(project: Path) -> None:
    """`--config` names a Config of the module, `--dir` says where the results lie."""
    python("job.py", cwd=project)
    assert (
        ckpt("plan", "job:pipeline", "--config", "config", cwd=project).stdout
        == "load   load  stored\ntotal  run   it is not to be loaded\n"
    )
    assert ckpt("plan", "job:pipeline", "--dir", "elsewhere", cwd=project).stdout.count("never stored") == 2


def test_graph_prints_mermaid(project: Path) -> None:
    """Also of a single stage."""
    assert ckpt("graph", "job:pipeline", cwd=project).stdout.splitlines() == [
        "flowchart TD",
        '    n0["load"]',
        '    n1["total"]',
        '    n0 -->|"rows"| n1',
    ]
    assert ckpt("graph", "job:load", cwd=project).stdout.splitlines() == ["flowchart TD", '    n0["load"]']


@pytest.mark.parametrize(
    ("where", "code", "message"),
    [
        ("job", 2, "error: 'job' does not name a pipeline."),
        ("jop:pipeline", 1, "error: There is no module 'jop': No module named 'jop'."),
        ("jop.py:pipeline", 1, "error: There is no file 'jop.py'."),
        ("job:pipe", 1, "error: There is no 'pipe' in module 'job'."),
        ("job:chkpt", 2, "error: 'job:chkpt' is no pipeline: its type is 'module'."),
    ],
)
def test_what_is_no_pipeline_is_said(project: Path, where: str, code: int, message: str) -> None:
    """One line says what is wrong, the next what to do."""
    done = ckpt("plan", where, cwd=project, check=False)
    lines = [line for line in done.stderr.splitlines() if line != "imported"]
    assert (done.returncode, lines[0], lines[1][:6]) == (code, message, "hint: ")


def test_what_pipelines_there_are_is_suggested(project: Path) -> None:
    """A name that is not there, and none at all."""
    for where in ("job:pipe", "job"):
        done = ckpt("plan", where, cwd=project, check=False)
        assert done.stderr.splitlines()[-1] == "hint: ckpt plan job:pipeline   (or failing)"


def test_a_file_in_a_package_is_imported_as_part_of_it(project: Path) -> None:
    """Tab completion leads to the file; its relative imports work."""
    package = project / "sales" / "deep"
    package.mkdir(parents=True)
    for folder in (project / "sales", package):
        (folder / "__init__.py").write_text("")
    (package / "helpers.py").write_text("RATE = 2\n")
    (package / "flow.py").write_text(f"from .helpers import RATE\n{JOB}")
    assert ckpt("plan", "sales/deep/flow.py:pipeline", cwd=project).stdout == "load   run   never stored\ntotal  run   never stored\n"
    assert ckpt("plan", "flow.py:pipeline", cwd=package).stdout == "load   run   never stored\ntotal  run   never stored\n"


BROKEN = {
    "an import that is missing": ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
    "an error": ("def f():\n    raise RuntimeError('no')\nf()", "RuntimeError: no"),
    "no Python": ("def f(:", "SyntaxError: invalid syntax (broken.py, line 1)"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_module_that_cannot_be_imported_shows_its_own_traceback(project: Path, kind: str) -> None:
    """Without a line of ours, or of Python's import system."""
    text, said = BROKEN[kind]
    (project / "broken.py").write_text(text)
    done = ckpt("plan", "broken:pipeline", cwd=project, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2] == f"error: Importing 'broken' failed: {said}"
    assert set(re.findall(r'File "(.*?)"', done.stderr)) == {str(project / "broken.py")}


def test_a_module_that_reads_the_command_line_finds_none(project: Path) -> None:
    """Ours is not meant for it; one that needs arguments is told so."""
    parse = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('{}')\nparser.parse_args()\n"
    (project / "free.py").write_text(parse.format("--n") + JOB)
    assert ckpt("plan", "free:pipeline", cwd=project).stdout.count("never stored") == 2
    (project / "strict.py").write_text(parse.format("n") + JOB)
    done = ckpt("plan", "strict:pipeline", cwd=project, check=False)
    assert done.returncode == 1
    assert "error: 'strict' ends the program when it is imported, with 2." in done.stderr.splitlines()


def on_a_terminal(project: Path, *arguments: str) -> str:
    """Return what a run leaves on a terminal."""
    more = {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    kept = {name: value for name, value in environment(more).items() if name not in {"CI", "GITHUB_ACTIONS"}}
    child = pexpect.spawn(
        sys.executable, ["job.py", *arguments], cwd=str(project), env=kept, encoding="utf-8", dimensions=(40, 100), timeout=60
    )
    text: str = child.read()
    child.close()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


def test_on_a_terminal_a_run_is_a_table(project: Path) -> None:
    """One row for each stage, with its state, time and size; what the stages print stands above it."""
    shown = on_a_terminal(project)
    last = shown[shown.rindex("stage") :]
    assert re.search(r"^load +done +[\d.]+ [mu]s +\d+ bytes", last, re.MULTILINE)
    assert re.search(r"^total +done +[\d.]+ [mu]s +\d+ bytes", last, re.MULTILINE)
    assert shown.index("adding up") < shown.rindex("stage")
    again = on_a_terminal(project)
    assert re.search(r"^load +not needed\s*$\n^total +loaded\s*$", again[again.rindex("stage") :], re.MULTILINE)


def test_on_a_terminal_a_failure_says_how_to_debug_it(project: Path) -> None:
    """The line stands above the table, and the table says what was not run."""
    shown = on_a_terminal(project, "fail")
    assert "ckpt debug broken" in shown
    table = shown[shown.rindex("stage  ") :]
    assert re.search(r"^broken +failed +.*ValueError: no \[rows\]", table, re.MULTILINE)
    assert re.search(r"^most +not run", table, re.MULTILINE)


MANY = """
import threading, time
from ckpt import pipeline as chkpt

go = threading.Event()


def made(number):
    def stage(*inputs):
        while number == 25 and input() != "go on":
            pass
        return number
    return chkpt.Stage(stage, name=f"stage{number}")


(tuple(chkpt.Pipeline(made(number)) for number in range(40)) >> chkpt.Stage(lambda *all: len(all), name="all"))(chkpt.Config(store=False))
"""


@pytest.mark.parametrize(("width", "has_reasons"), [(100, True), (40, False)])
def test_a_table_longer_than_the_terminal_shows_what_happens(project: Path, width: int, has_reasons: bool) -> None:
    """The running stage and the next ones, and how many others there are; when all is over, all of them."""
    (project / "job.py").write_text(MANY)
    more = {"TERM": "xterm-256color", "COLUMNS": str(width), "LINES": "12"}
    kept = {name: value for name, value in environment(more).items() if name not in {"CI", "GITHUB_ACTIONS"}}
    child = pexpect.spawn(
        sys.executable, ["job.py"], cwd=str(project), env=kept, encoding="utf-8", dimensions=(12, width), timeout=60, echo=False
    )
    child.expect(r"stage25 +running")
    child.expect(r"\.\.\. 25 done, \d+ waiting")
    child.sendline("go on")
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", child.read()).replace("\r", "")
    child.close()
    table = last[last.rindex("stage ") :]
    assert [line.split()[0] for line in table.splitlines() if line.strip()] == ["stage", *(f"stage{n}" for n in range(40)), "all"]
    assert ("why" in table.splitlines()[0]) == has_reasons


def test_a_dumb_terminal_gets_lines(project: Path) -> None:
    """Where nothing can be drawn over, lines are written."""
    child = pexpect.spawn(
        sys.executable,
        ["job.py"],
        cwd=str(project),
        env=environment({"TERM": "dumb"}) | {"PATH": os.environ["PATH"]},
        encoding="utf-8",
        timeout=60,
    )
    assert "[load] running: never stored" in child.read()
    child.close()
