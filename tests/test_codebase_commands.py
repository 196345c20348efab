"""`ckpt snapshot`: create, show, run, make-pyz, from."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ckpt._cli.snapshots import Bar
from ckpt._replaying.rehydrate import open_capture
from ckpt._store.store import Store
from ckpt.codebase import UniqueCodebase, checkpoint
from ckpt.codebase.archive import read
from ckpt.codebase.captured import from_capture
from ckpt.errors import NotFoundError
from tests.processes import ckpt, environment, python
from tests.projects import codebase, plant, repository


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the small repository in it, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    codebase(tmp_path / "codebase")
    return tmp_path


def test_create_writes_a_snapshot_and_says_what_was_left_out(place: Path) -> None:
    """The path is the result; what is in it, the commit, and what is not in it and why go to standard error."""
    plant(place / "codebase", {".env": "A=1", "big.csv": "x" * 3000})
    repository(place / "codebase")
    plant(place / "lib", {"mylib.py": ""})
    options = ["--ignore-larger-than", "2K", "--extra-library", "lib/mylib.py", "--ignore", "eval.py", "-o", "codebase.zip"]
    done = ckpt("snapshot", "create", "codebase", *options, cwd=place)
    assert done.stdout == "codebase.zip\n"
    lines = done.stderr.splitlines()
    assert lines[0].startswith("6 files, ")
    assert ", commit " in lines[0]
    assert "left out: .env (it may hold a secret; it is taken only when it is named)" in lines
    assert "left out: big.csv (larger than 2,000 bytes)" in lines
    assert "left out: eval.py (the pattern eval.py)" in lines
    assert "mylib.py" in dict(read(str(place / "codebase.zip")).files)


def test_create_takes_only_python_when_asked(place: Path) -> None:
    """`--py-only` takes nothing but `.py` files, and what is named by `--extra-file` and found in `--extra-pythonpath`."""
    plant(place, {"data.bin": "x", "path/one.py": "", "path/two/deep.py": ""})
    ckpt("snapshot", "create", "codebase", "--py-only", "--extra-file", "data.bin", "--extra-pythonpath", "path", "-o", "a.zip", cwd=place)
    names = set(dict(read(str(place / "a.zip")).files))
    assert {"src/model.py", "data.bin", "one.py", "two/deep.py"} <= names
    assert "src/data.txt" not in names


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["create", "nothing"], 2),
        (["create", "codebase", "--ignore-larger-than", "big"], 2),
        (["create", "codebase", "-o", "no/where.zip"], 2),
        (["show", "nothing.zip"], 1),
        (["show", "codebase/train.py"], 1),
        (["run", "codebase/train.py", "train.py"], 1),
        (["make-pyz", "codebase", "nothing.py"], 2),
        (["from", "nothing"], 1),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(place: Path, arguments: list[str], code: int) -> None:
    """A wrong call ends with 2, what ckpt could not do with 1; there is no traceback and no file."""
    before = sorted(place.iterdir())
    done = ckpt("snapshot", *arguments, cwd=place, check=False, environ={"HOME": str(place), "XDG_STATE_HOME": str(place / "state")})
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert [path for path in sorted(place.iterdir()) if path.name != "cache"] == before


def test_show_describes_a_snapshot_without_running_it(place: Path) -> None:
    """Files with their sizes, Python, commit and packages, for a person and as JSON; any zip file can be looked at."""
    checkpoint(repository(place / "codebase"), place / "a.zip")
    shown = ckpt("snapshot", "show", "a.zip", cwd=place).stdout
    assert "  Python 3." in shown
    assert "src/model.py" in shown
    recorded = json.loads(ckpt("snapshot", "show", "a.zip", "--json", cwd=place).stdout)["packages"]
    assert "pytest" in recorded
    assert [entry for entry in (f"{name} {version}" for name, version in recorded.items()) if entry not in shown] == []
    assert max(map(len, shown.splitlines()[1:])) <= 100
    with UniqueCodebase(place / "a.zip") as opened:
        assert opened.library_name in shown.splitlines()[0]
    told = json.loads(ckpt("snapshot", "show", "a.zip", "--json", cwd=place).stdout)
    assert told["files"]["src/data.txt"] == len("data of version 1")
    assert told["dirty"] is False
    with zipfile.ZipFile(place / "b.zip", "w") as archive:
        archive.writestr("\x1b[31mred.py", "")
    shown = ckpt("snapshot", "show", "b.zip", cwd=place).stdout
    assert "not made by ckpt" in shown
    assert "\\x1b[31mred.py" in shown


def test_create_tells_everything_as_json(place: Path) -> None:
    """`--json` names every file that is in it, and every one that is not with its reason."""
    plant(place / "codebase", {f"log/{number}.log": "x" for number in range(5)} | {".env": ""})
    told = json.loads(ckpt("snapshot", "create", "codebase", "--ignore", "*.log", "--json", cwd=place).stdout)
    assert told["path"] == "codebase.zip"
    assert set(told["files"]) == {"src/model.py", "src/utils.py", "src/late.py", "src/data.txt", "train.py", "eval.py"}
    assert [one["path"] for one in told["left_out"] if one["reason"] == "the pattern *.log"] == [f"log/{number}.log" for number in range(5)]


def test_what_would_be_taken_for_a_bomb_can_be_run(place: Path) -> None:
    """A note says what opens it when it is made, and the option does."""
    plant(place / "codebase", {"src/rows.csv": bytes(80 << 20)})
    assert "note: it unpacks to more than a hundred times its size" in ckpt("snapshot", "create", "codebase", cwd=place).stderr
    refused = ckpt("snapshot", "run", "codebase.zip", "eval.py", cwd=place, check=False)
    assert refused.returncode == 1
    assert "hint: --max-bytes 8" in refused.stderr
    assert ckpt("snapshot", "run", "--max-bytes", "100M", "codebase.zip", "eval.py", cwd=place).stdout == "eval\n"


def test_run_runs_what_is_in_a_snapshot(place: Path) -> None:
    """Scripts, modules and functions run here, with their arguments, their data files and their exit code."""
    plant(
        place / "codebase",
        {"job.py": "import sys, os\nfrom src import model\nprint(model.data(), sys.argv[1:], os.getcwd())\nsys.exit(7)\n"},
    )
    checkpoint(place / "codebase", place / "a.zip")
    done = ckpt("snapshot", "run", "a.zip", "job.py", "--help", "-o", "x", cwd=place, check=False)
    assert (done.returncode, done.stdout) == (7, f"{{'data of version 1'}} ['--help', '-o', 'x'] {place}\n")
    assert ckpt("snapshot", "run", "a.zip", "train:main", cwd=place).stdout == "function 1\n"
    assert ckpt("snapshot", "run", "a.zip", "train", "y", cwd=place).stdout == "1 __main__ ['y'] True\n"


def test_a_failing_run_shows_its_own_source(place: Path) -> None:
    """The traceback names the unpacked file and shows its line."""
    plant(place / "codebase", {"bad.py": "1 / 0  # here\n"})
    checkpoint(place / "codebase", place / "a.zip")
    done = ckpt("snapshot", "run", "a.zip", "bad.py", cwd=place, check=False)
    assert done.returncode == 1
    assert "1 / 0  # here" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_signal_reaches_the_program(place: Path) -> None:
    """The program takes the place of `ckpt`: what the shell sends to it arrives, and its end is the program's."""
    plant(place / "codebase", {"wait.py": "import time\nprint('ready', flush=True)\ntime.sleep(60)\n"})
    checkpoint(place / "codebase", place / "a.zip")
    command = [sys.executable, "-m", "ckpt", "snapshot", "run", "a.zip", "wait.py"]
    with subprocess.Popen(command, cwd=place, env=environment(), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.terminate()
        assert running.wait(timeout=30) == -signal.SIGTERM


def test_make_pyz_makes_a_program(place: Path) -> None:
    """Of a folder or a snapshot, with a fixed entry point; data files beside the code, which cannot be opened there, are said."""
    done = ckpt("snapshot", "make-pyz", "codebase", "train.py", cwd=place)
    assert done.stdout == "codebase.pyz\n"
    assert done.stderr == "note: in a zip file open(__file__ ...) does not find src/data.txt; importlib.resources does\n"
    assert python("codebase.pyz", "a", cwd=place).stdout == "1 __main__ ['a'] True\n"
    ckpt("snapshot", "create", "codebase", "-o", "a.zip", "--launcher", "train:main", cwd=place)
    assert python("a.zip", cwd=place).stdout == "function 1\n"
    ckpt("snapshot", "make-pyz", "a.zip", "eval.py", "-o", "b.pyz", cwd=place)
    assert python("b.pyz", cwd=place).stdout == "eval\n"


# The code of a capture

SCRIPT = """
import ckpt
from src import late
from tools.helper import half

@ckpt.ckpt
def work(value):
    return half(value) + late.LATE

if __name__ == "__main__":
    try:
        work("x")
    except TypeError:
        pass
"""


@pytest.fixture
def captured(place: Path) -> Path:
    """A project whose script has failed in a captured function, and has been changed since."""
    project = place / "project"
    plant(
        project,
        {
            "scripts/job.py": SCRIPT,
            "lib/tools/__init__.py": "",
            "lib/tools/helper.py": "def half(value):\n    return value / 2  # as it was\n",
        },
    )
    plant(project, {"scripts/src/late.py": "LATE = 3\n", "scripts/unused.py": ""})
    ckpt("init", cwd=project)
    python("scripts/job.py", cwd=project, environ={"PYTHONPATH": os.pathsep.join([environment()["PYTHONPATH"], str(project / "lib")])})
    plant(project, {"lib/tools/helper.py": "def half(value):\n    return 0\n", "scripts/src/late.py": "LATE = 4\n"})
    return project


def test_from_writes_the_code_of_a_capture(captured: Path) -> None:
    """The modules as they were imported, each where an import finds it; what was not imported is not there."""
    done = ckpt("snapshot", "from", "work", "-o", "code.zip", cwd=captured)
    assert done.stdout == "code.zip\n"
    assert "note: a capture keeps source texts: data files that lay beside the code are not in it" in done.stderr.splitlines()
    found = read(str(captured / "code.zip"))
    assert {"job.py", "src/late.py", "tools/__init__.py", "tools/helper.py", "__main__.py"} == set(dict(found.files))
    assert found.record["python"] == ".".join(map(str, sys.version_info[:3]))
    with UniqueCodebase(captured / "code.zip") as opened:
        assert opened.import_module("src.late").LATE == 3
        assert opened.import_module("tools.helper").half(3) == 1.5
    python("code.zip", "job.py", cwd=captured)


def test_the_code_of_a_capture_gives_the_same_bytes_each_time(captured: Path) -> None:
    """It is made of what was kept: nothing on disk and no time goes into it."""
    store = Store(str(captured / ".pyckpt"))
    from_capture(store, "work", captured / "a.zip")
    (captured / "scripts" / "job.py").unlink()
    from_capture(store, None, captured / "b.zip")
    assert (captured / "a.zip").read_bytes() == (captured / "b.zip").read_bytes()


def test_there_is_no_code_of_what_was_not_captured(captured: Path) -> None:
    """A name that no capture has is an error, and nothing is written."""
    with pytest.raises(NotFoundError):
        from_capture(Store(str(captured / ".pyckpt")), "nothing", captured / "a.zip")
    assert not (captured / "a.zip").exists()


def test_a_capture_is_replayed_on_any_snapshot(captured: Path) -> None:
    """`ckpt run --code` takes a zip file or a folder: the fix in one version shows, the failure in another, whatever lies on disk."""
    ckpt("snapshot", "from", "work", "-o", "then.zip", cwd=captured)
    plant(captured / "fixed", {"job.py": SCRIPT, "src/late.py": "LATE = 5\n"})
    plant(captured / "fixed", {"tools/helper.py": "import os\ndef half(value):\n    return len(os.listdir(os.path.dirname(__file__)))\n"})
    checkpoint(captured / "fixed", captured / "fixed.zip")
    before = ckpt("run", "work", "--code", "then.zip", cwd=captured, check=False)
    assert before.returncode == 1
    assert "return value / 2  # as it was" in before.stderr
    assert before.stderr.splitlines()[-1].startswith("same failure")
    for code, listed in (("fixed.zip", 1), ("fixed", 1)):
        after = ckpt("run", "work", "--code", code, cwd=captured)
        assert after.stdout == f"{5 + listed}\n"
        assert after.stderr.splitlines()[-1].startswith("fixed")
    assert ckpt("run", "work", "--code", "current", cwd=captured).stdout == "4\n"


def test_a_snapshot_without_the_script_cannot_replay_it(captured: Path) -> None:
    """What is not in the snapshot is not taken from disk: a script that it lacks is said, and a path that leads nowhere is wrong usage."""
    checkpoint(plant(captured / "other", {"x.py": ""}), captured / "other.zip")
    done = ckpt("run", "work", "--code", "other.zip", cwd=captured, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("cannot replay: ")
    assert done.stderr.splitlines()[-1] == "cannot replay: 'job.py' is not in the code that --code names."
    done = ckpt("run", "work", "--code", "other", cwd=captured, check=False)
    assert f"hint: find {captured / 'other'} -name job.py looks for it" in done.stderr
    assert ckpt("run", "work", "--code", "nothing.zip", cwd=captured, check=False).returncode == 2


CALC = """
import ckpt
from shop.models import Basket

@ckpt.ckpt
def total(basket):
    return basket.total() / 0  # {where}

def main():
    try:
        total(Basket())
    except (ZeroDivisionError, ValueError):
        pass
"""
MODELS = """
class Basket:
    WHERE = "{where}"

    def total(self):
        if self.WHERE == "a snapshot":
            raise ValueError(self.WHERE)
        return 1
"""


def shop(folder: Path, where: str) -> Path:
    """Write a small project in a layout with `src`, in the version that a text names."""
    return plant(folder, {"src/shop/calc.py": CALC.format(where=where), "src/shop/models.py": MODELS.format(where=where), "notes.txt": ""})


@pytest.fixture
def sold(place: Path) -> Path:
    """A project whose packages lie in `src`, with a failure in one; a snapshot of another version of it, and one of something else."""
    project = shop(place / "project", "then")
    ckpt("init", cwd=project)
    python("-c", "import sys; sys.path.insert(0, 'src'); from shop.calc import main; main()", cwd=project)
    shop(project, "the disk")
    checkpoint(shop(place / "later", "a snapshot"), project / "shop.zip")
    checkpoint(place / "codebase", project / "other.zip")
    return project


SHELL = "print('found', type(basket).WHERE)\nexit\n"


@pytest.mark.parametrize(
    ("command", "typed", "expected"),
    [
        ("run", "", ["different failure: ZeroDivisionError then, ValueError now: a snapshot"]),
        ("run --timeout 60", "", ["different failure: ZeroDivisionError then, ValueError now: a snapshot"]),
        ("shell", SHELL, ["found a snapshot"]),
        ("shell --args", SHELL, ["found a snapshot"]),
        ("debug --debugger pdb", "p type(basket).WHERE\nq\n", ["'a snapshot'"]),
        ("debug --start --debugger pdb", "ll\np type(basket).WHERE\nq\n", ["return basket.total() / 0  # a snapshot", "'a snapshot'"]),
        ("debug --rerun --debugger pdb", "ll\nu\nll\nq\n", ["raise ValueError(self.WHERE)", "return basket.total() / 0  # a snapshot"]),
    ],
)
def test_every_command_that_opens_a_capture_takes_a_snapshots_code(sold: Path, command: str, typed: str, expected: list[str]) -> None:
    """`run`, `shell` and `debug` have the classes, functions and texts of the snapshot, wherever in it the packages lie."""
    environ = {"TERM": "dumb", "IPYTHONDIR": str(sold / "ipython")}
    done = ckpt(*command.split(), "total", "--code", "shop.zip", cwd=sold, stdin=typed, check=False, environ=environ)
    assert all(text in done.stdout + done.stderr for text in expected), done.stdout + done.stderr


@pytest.mark.parametrize(
    "command", ["run", "run --timeout 60", "run --all", "shell", "shell --args", "debug", "debug --start", "debug --rerun"]
)
def test_a_snapshot_of_something_else_is_refused(sold: Path, command: str) -> None:
    """Where the module of the captured function is not in the snapshot, that is said in a line; today's code does not take its place."""
    done = ckpt(*command.split(), "total", "--code", "other.zip", cwd=sold, check=False)
    assert done.returncode == 1
    assert re.search("cannot replay:? +'shop.calc' is not in the code that --code names.", done.stdout + done.stderr)
    assert "Traceback" not in done.stderr
    assert "ZeroDivisionError now" not in done.stderr


def test_a_call_that_died_is_replayed_on_a_snapshots_code(sold: Path) -> None:
    """In a process of its own the code is that of the folder too, not the captured."""
    plant(sold, {"src/shop/dies.py": "import os\nimport ckpt\n\n@ckpt.ckpt\ndef die():\n    os._exit(3)\n"})
    python("-c", "import sys; sys.path.insert(0, 'src'); from shop.dies import die; die()", cwd=sold, check=False)
    plant(sold / "fixed", {"shop/dies.py": "def die():\n    return 'alive'\n"})
    store = Store(str(sold / ".pyckpt"))
    shown = open_capture(store, "die", code=str(sold / "fixed")).replay()
    assert (shown.verdict, shown.text) == ("fixed", "'alive'")


# The bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("patience", "is_terminal", "is_shown"), [(0, True, True), (3600, True, False), (0, False, False)])
def test_a_bar_is_shown_on_a_terminal_when_it_takes_long(
    place: Path, monkeypatch: pytest.MonkeyPatch, patience: float, is_terminal: bool, is_shown: bool
) -> None:
    """After some time, and only for a person who looks."""
    screen = Terminal() if is_terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    seen: list[tuple[int, int]] = []
    with Bar(patience) as bar:

        def told(done: int, total: int) -> None:
            seen.append((done, total))
            bar(done, total)

        checkpoint(place / "codebase", place / "a.zip", progress=told)
    assert ("snapshot" in screen.getvalue()) is is_shown
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] > 0
