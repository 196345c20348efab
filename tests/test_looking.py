"""Looking never executes: what lists, shows, completes or checks captures neither unpickles nor imports nor compiles what is in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.workplace import Project

#: Its class leaves a mark when an object of it is loaded, the module when it is imported.
TRAP = """
import os

if os.environ.get("ARMED"):
    os.mkdir("imported")


class Trap:
    def __reduce__(self):
        return os.mkdir, ("unpickled",)
"""
JOB = """
import ckpt
from trap import Trap


@ckpt.ckpt
def spring(trap, words):
    held = {"trap": Trap(), "words": words}
    return held["missing"]


@ckpt.ckpt
def rest(trap):
    return trap


rest(Trap())
try:
    spring(Trap(), [str(number) for number in range(400_000)])
except KeyError:
    pass
"""
#: Runs the command line and prints what it did that it must not: every class or function that a pickle asks for, every import and every
#: compilation of the project's files.
WATCHED = """
import json, os, sys
here = os.getcwd()
seen = []

def watch(event, arguments):
    if event in {"pickle.find_class", "marshal.loads"} and not (event == "marshal.loads" and importing()):
        seen.append([event, [repr(each)[:80] for each in arguments]])
    elif event == "import" and arguments[0] in {"trap", "job"}:
        seen.append([event, arguments[0]])
    elif event == "compile" and str(arguments[1]).startswith(here):
        seen.append([event, str(arguments[1])])

def importing():
    frame = sys._getframe()
    while frame is not None:
        if "importlib" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False

from ckpt._cli.app import main
sys.addaudithook(watch)
try:
    main()
except SystemExit as end:
    code = end.code
else:
    code = 0
sys.stdout.flush()
with open(os.environ["SEEN"], "w") as file:
    json.dump([code or 0, seen], file)
"""
LOOKING = [
    ["info"],
    ["info", "spring"],
    ["info", "--json"],
    ["info", "-n", "1"],
    ["show"],
    ["show", "rest"],
    ["show", "--json"],
    ["show", "--threads"],
    ["sources"],
    ["diff"],
    ["diff", "--help"],
    ["check"],
    ["trust", "spring"],
    ["export", "spring", "rest", "-o", "out.ckpt"],
    ["export", "--last", "2", "--no-values", "-o", "bare.ckpt"],
    ["import", "given.ckpt"],
    ["snapshot", "from", "spring", "-o", "code.zip"],
    ["clear", "rest", "--yes"],
    ["--help"],
]


@pytest.fixture(scope="module")
def trapped(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose captures leave a mark when anything of them is loaded; they are signed: only looking keeps them shut."""
    project = Project(tmp_path_factory.mktemp("trapped"))
    project.write("trap.py", TRAP)
    project.write("job.py", JOB)
    project.write("watched.py", WATCHED)
    done = project.python("job.py")
    assert done.returncode == 0, done.stderr
    assert project.ckpt("export", "spring", "-o", "given.ckpt").returncode == 0
    return project


def marks(project: Project) -> list[str]:
    return [name for name in ("imported", "unpickled") if (project.path / name).exists()]


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
def test_looking_executes_nothing(trapped: Project, command: list[str], tmp_path: Path) -> None:
    """No pickle asks for a name, no module of the project is imported or compiled, and nothing is marked."""
    done = trapped.python("watched.py", *command, ARMED="1", SEEN=str(tmp_path / "seen"))
    code, seen = json.loads((tmp_path / "seen").read_text())
    assert (code, seen, marks(trapped)) == (0, [], []), done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_executes_nothing(trapped: Project, shell: str, tmp_path: Path) -> None:
    """Nor is anything loaded to offer the names of captures."""
    words: dict[str, Any] = {
        "COMP_WORDS": "ckpt show ",
        "COMP_CWORD": "2",
        "_TYPER_COMPLETE_ARGS": "ckpt show ",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = trapped.python("watched.py", ARMED="1", SEEN=str(tmp_path / "seen"), _CKPT_COMPLETE=f"complete_{shell}", **words)
    assert "spring" in done.stdout
    assert json.loads((tmp_path / "seen").read_text())[1] == []
    assert marks(trapped) == []


def test_from_python_looking_executes_nothing(trapped: Project, tmp_path: Path) -> None:
    """Neither do `ckpt.captures()` and the header of what `ckpt.load` returns."""
    program = (
        "import sys\nseen = []\nimport ckpt\nckpt.captures\n"
        "sys.addaudithook(lambda event, args: seen.append(event) if event == 'pickle.find_class' else None)\n"
        "print(len(ckpt.captures()), ckpt.load('spring').header.exception, seen)"
    )
    done = trapped.python("-c", program, check=True, ARMED="1")
    assert done.stdout.split()[1:] == ["KeyError:", "'missing'", "[]"]
    assert marks(trapped) == []


def test_the_traps_would_spring(trapped: Project) -> None:
    """Replaying does import and load, and that leaves the marks: the tests above look at something that can be seen."""
    trapped.ckpt("run", "spring", ARMED="1")
    assert marks(trapped) == ["imported", "unpickled"]
    for name in marks(trapped):
        (trapped.path / name).rmdir()
