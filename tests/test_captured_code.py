"""The code as it was: projects captured, changed on disk, and replayed from the texts that the capture keeps."""

from __future__ import annotations

import importlib.util
import json
import marshal
import os
import sys
from pathlib import Path

import pytest

from ckpt._replaying.captured_code import CapturedProject
from tests import processes
from tests.workplace import Project, last

MODELS = """
class Point:
    def __init__(self, x):
        self.x = x

    def scaled(self):
        from . import late
        return late.SCALE // self.x  # as it was
"""
CALC = """
import ckpt
from .models import Point
from . import models as same
from .. import tools
from outer.space.deep import OFFSET

@ckpt.ckpt
def work(point):
    assert isinstance(point, Point) and same.Point is Point
    return tools.twice(point.scaled()) + OFFSET
"""
JOB = """
from project.inner.calc import work
from project.inner.models import Point
from project.inner import late

if __name__ == "__main__":
    work(Point(0))
"""


@pytest.fixture
def project(home: Path, tmp_path: Path) -> Project:
    """A project with packages, relative imports and a package without `__init__.py`, whose call has failed; then its files change."""
    project = Project(tmp_path / "work")
    project.write("project/__init__.py", "NAME = 'then'\n")
    project.write("project/tools.py", "def twice(n):\n    return n * 2\n")
    project.write("project/inner/__init__.py", "")
    project.write("project/inner/models.py", MODELS)
    project.write("project/inner/late.py", "SCALE = 10\n")
    project.write("project/inner/calc.py", CALC)
    project.write("outer/space/deep.py", "OFFSET = 1\n")
    project.write("job.py", JOB)
    project.python("job.py")
    assert project.store.find().status == "failed"
    return project


def change(project: Project) -> None:
    """Mend the failure, move lines, and break everything that is not to be imported."""
    project.write("project/inner/models.py", "# moved\n\n" + MODELS.replace("// self.x  # as it was", "* 2  # as it is"))
    project.write("project/inner/late.py", "SCALE = 3\n")
    project.write("project/tools.py", "def twice(n):\n    return n * 200\n")


def test_a_replay_runs_the_captured_code_or_todays(project: Project) -> None:
    """With `--code captured` the failure comes back, in the captured text, although the disk is mended; without it the call is fixed."""
    change(project)
    done = project.ckpt("run", "--code", "captured")
    assert done.returncode == 1
    assert last(done).startswith("same failure: ZeroDivisionError")
    assert "return late.SCALE // self.x  # as it was" in done.stderr
    done = project.ckpt("run")
    assert (done.returncode, done.stdout) == (0, "1201\n")


def test_modules_that_are_gone_are_imported_all_the_same(project: Project) -> None:
    """Nothing of the project needs to be on disk."""
    for path in sorted(project.path.rglob("*.py")):
        path.unlink()
    done = project.ckpt("run", "--code", "captured")
    assert last(done).startswith("same failure: ZeroDivisionError")
    assert "# as it was" in done.stderr
    assert last(project.ckpt("run")).startswith("cannot replay: ")


def test_no_pyc_is_read_or_written(project: Project) -> None:
    """Compiled files beside the sources say something else, and are passed over; none is added."""
    bad = compile("raise SystemExit('a .pyc was read')", "x", "exec")
    unchecked = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8) + marshal.dumps(bad)
    for path in sorted(project.path.rglob("*.py")):
        compiled = Path(importlib.util.cache_from_source(str(path)))
        compiled.parent.mkdir(exist_ok=True)
        compiled.write_bytes(unchecked)
    before = {path: path.read_bytes() for path in project.path.rglob("*.pyc")}
    done = project.ckpt("run", "--code", "captured", PYTHONDONTWRITEBYTECODE="")
    assert last(done).startswith("same failure: ZeroDivisionError")
    assert {path: path.read_bytes() for path in project.path.rglob("*.pyc")} == before


def test_the_debugger_shows_the_captured_text(project: Project) -> None:
    """`debug --start --code captured` stops in the captured code, and `ll` and `w` show it, whatever the disk has."""
    change(project)
    project.write("project/inner/calc.py", "# all is new\n" * 30)
    typed = "ll\nb project/inner/models.py:8\nc\nll\nq\n"
    done = processes.ckpt(
        "debug", "--start", "--code", "captured", "--debugger", "pdb", cwd=project.path, stdin=typed, check=False, environ=project.environ
    )
    assert "return tools.twice(point.scaled()) + OFFSET" in done.stdout
    assert "return late.SCALE // self.x  # as it was" in done.stdout
    assert "all is new" not in done.stdout


def test_the_shell_has_objects_of_the_captured_classes(project: Project) -> None:
    """`shell --code captured` opens values of the classes as they were, with their source."""
    change(project)
    typed = "import inspect\nprint('SOURCE', inspect.getsource(type(point)))\nexit\n"
    environ = project.environ | {"TERM": "dumb", "IPYTHONDIR": str(project.path / "ipython")}
    done = processes.ckpt("shell", "--code", "captured", cwd=project.path, stdin=typed, check=False, environ=environ)
    assert "# as it was" in done.stdout.partition("SOURCE")[2]
    done = processes.ckpt("shell", "--args", "--code", "captured", cwd=project.path, stdin=typed, check=False, environ=environ)
    assert "# as it was" in done.stdout.partition("SOURCE")[2]


def test_a_script_is_its_captured_text(home: Path, tmp_path: Path) -> None:
    """What a script defines is taken from its captured text, and its classes keep their identity."""
    project = Project(tmp_path / "work")
    text = (
        "import ckpt\nclass Own: pass\n@ckpt.ckpt\ndef work(own):\n    assert isinstance(own, Own)\n    return 1 // 0  # then\n"
        "if __name__ == '__main__':\n    work(Own())\n"
    )
    project.write("job.py", text)
    project.python("job.py")
    project.write("job.py", text.replace("1 // 0  # then", "1"))
    done = project.ckpt("run", "--code", "captured")
    assert last(done).startswith("same failure: ZeroDivisionError")
    assert "return 1 // 0  # then" in done.stderr
    (project.path / "job.py").unlink()
    assert last(project.ckpt("run", "--code", "captured")).startswith("same failure: ZeroDivisionError")


def test_a_module_run_with_m_is_its_captured_text(home: Path, tmp_path: Path) -> None:
    """`python -m pkg.job` with relative imports."""
    project = Project(tmp_path / "work")
    project.write("pkg/__init__.py", "")
    project.write("pkg/helper.py", "def divide(n):\n    return 1 // n\n")
    project.write(
        "pkg/job.py",
        "import ckpt\nfrom .helper import divide\n@ckpt.ckpt\ndef work(n):\n    return divide(n)\n"
        "if __name__ == '__main__':\n    work(0)\n",
    )
    project.python("-m", "pkg.job")
    for path in sorted((project.path / "pkg").iterdir()):
        path.write_text("raise SystemExit\n")
    assert project.replay("--code", "captured")["verdict"] == "same failure"


def test_what_was_not_loaded_comes_from_disk_and_is_said(home: Path, tmp_path: Path) -> None:
    """A module that was first imported inside the call, or was too large to keep, is named."""
    project = Project(tmp_path / "work")
    project.write("pyproject.toml", '[tool.ckpt]\nsource_file_limit = "1kB"\n')
    project.write("big.py", f"NUMBER = 1\n#{'x' * 1000}\n")
    project.write("late.py", "NUMBER = 2\n")
    project.write("shop.py", "import big, ckpt\n@ckpt.ckpt\ndef work():\n    import late\n    return big.NUMBER + late.NUMBER\n")
    project.call("import shop; shop.work()")
    shown = project.replay("--code", "captured")
    assert (shown["verdict"], shown["repr"]) == ("still passes", "3")
    assert shown["notes"] == [
        "big is imported from disk: it holds more than source_file_limit = 1000 bytes",
        "late is imported from disk: it was not loaded when the capture was made",
    ]


def test_installed_packages_are_todays(home: Path, tmp_path: Path) -> None:
    """A package outside the project is imported as it is now, also one that shares its namespace with the project."""
    project = Project(tmp_path / "work")
    site = project.path / "site-packages"
    project.write("site-packages/fancy.py", "VALUE = 'then'\n")
    project.write("site-packages/shared/installed.py", "VALUE = 'then'\n")
    project.write("shared/own.py", "VALUE = 'then'\n")
    project.write(
        "shop.py",
        "import ckpt, fancy, shared.installed, shared.own\n@ckpt.ckpt\ndef work():\n"
        "    return fancy.VALUE, shared.installed.VALUE, shared.own.VALUE\n",
    )
    path = {"PYTHONPATH": f"{processes.ROOT}:{site}"}
    project.python("-c", "import shop; shop.work()", check=True, **path)
    for name in ("site-packages/fancy.py", "site-packages/shared/installed.py", "shared/own.py"):
        project.write(name, "VALUE = 'now'\n")
    assert project.replay("--code", "captured", **path)["repr"] == "('now', 'now', 'then')"


def test_data_files_are_those_on_disk(home: Path, tmp_path: Path) -> None:
    """Modules bear their own file names, so that what lies beside them is found."""
    project = Project(tmp_path / "work")
    project.write("pkg/data.txt", "then")
    project.write(
        "pkg/__init__.py",
        "import ckpt, pathlib, importlib.resources\n@ckpt.ckpt\ndef work():\n"
        "    beside = pathlib.Path(__file__).with_name('data.txt').read_text()\n"
        "    return beside, importlib.resources.files(__name__).joinpath('data.txt').read_text(), __name__, __path__ != []\n",
    )
    project.call("import pkg; pkg.work()")
    project.write("pkg/data.txt", "now")
    project.write("pkg/__init__.py", "raise SystemExit\n")
    assert project.replay("--code", "captured")["repr"] == "('now', 'now', 'pkg', True)"


def test_two_codes_live_side_by_side_in_one_process(project: Project) -> None:
    """A capture opened with its own code and one opened with today's do not see each other's modules, and leave the process as it was."""
    change(project)
    look = """
import json, sys
import project.inner.models as todays
from ckpt._replaying.rehydrate import open_capture
from ckpt._store.store import Store
before, hooks = dict(sys.modules), list(sys.meta_path)
store = Store(sys.argv[1])
then, now = open_capture(store, code="captured"), open_capture(store, code="current")
kinds = [type(each.args[0]) for each in (then, now)]
verdicts = [each.replay().verdict for each in (then, now, then)]
again = type(then.args[0]) is kinds[0]
print(json.dumps([kinds[0] is todays.Point, kinds[1] is todays.Point, verdicts, again, sys.modules["project.inner.models"] is todays,
                  [name for name, module in before.items() if sys.modules.get(name) is not module], sys.meta_path == hooks]))
"""
    done = project.python("-c", look, str(project.path / ".pyckpt"), check=True)
    assert json.loads(done.stdout) == [False, True, ["same failure", "fixed", "same failure"], True, True, [], True]


def test_a_file_with_a_name_that_python_needs_takes_nobodys_place(tmp_path: Path) -> None:
    """A project's `json.py` or `rich.py` was shadowing something: neither is imported in its place."""
    names = {"/p/json.py": "t-1", "/p/rich.py": "t-2", "/p/mine.py": "t-3"}
    modules = {"json": "/p/json.py", "rich": "/p/rich.py", "mine": "/p/mine.py"}
    project = CapturedProject({"files": names, "modules": modules}, lambda name: "X = 1\n")
    with project.entered():
        import mine  # type: ignore[import-not-found]

        assert mine.X == 1
        assert sys.modules["json"] is json
        assert importlib.util.find_spec("rich.table") is not None
    assert "mine" not in sys.modules


def test_an_encoding_declared_in_the_text_is_used(tmp_path: Path) -> None:
    """The bytes of the file are what is kept."""
    data = "# -*- coding: latin-1 -*-\nX = 'ä'\n".encode("latin-1")
    process = {"files": {"/p/coded.py": "t-1"}, "modules": {"coded": "/p/coded.py"}}
    project = CapturedProject(process, lambda name: data.decode("utf-8", "surrogateescape"))
    with project.entered():
        import coded  # type: ignore[import-not-found]

        assert coded.X == "ä"
        assert os.path.basename(coded.__file__) == "coded.py"
