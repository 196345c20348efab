"""User modules and `__main__`, found again: real programs run first, and are replayed in other processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import ckpt.errors
from ckpt._replaying.modules import as_main, import_root, load_main, project_path
from ckpt.errors import CannotReplayError

REPOSITORY = str(Path(ckpt.errors.__file__).parents[1])
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}.0"

#: What a program imports to say what a capture would say of its process.
WITNESS = """
import json, os
from ckpt._recording.process import describe_process
if "WITNESS" in os.environ:
    with open(os.environ["WITNESS"], "w") as file:
        json.dump(describe_process({}), file)
"""

#: What every replaying process begins with.
REPLAY = """
import json, sys
from ckpt._replaying.functions import find_callable, resolver
from ckpt._replaying.modules import as_main, load_main, project_path
with open(sys.argv[1]) as file:
    process = json.load(file)
sys.argv = ["ckpt", "run"]
"""


class Program:
    """A directory with a program in it, which can be run, edited, and replayed from elsewhere."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "project"
        self.elsewhere = directory / "elsewhere"
        self.record = directory / "process.json"
        for path in (self.directory, self.elsewhere):
            path.mkdir()
        (directory / "witness").mkdir()
        (directory / "witness" / "witness.py").write_text(WITNESS, encoding="utf-8")
        paths = os.pathsep.join([str(directory / "witness"), REPOSITORY])
        self.environ = {**os.environ, "PYTHONPATH": paths, "PYCKPT_DIR": str(directory / "store")}
        self.environ.pop("PYTHONDONTWRITEBYTECODE", None)

    def write(self, name: str, text: str) -> Path:
        """Write one file of the program."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def run(self, *arguments: str) -> str:
        """Run the program as its user does; return what it wrote to standard error."""
        environ = {**self.environ, "WITNESS": str(self.record)}
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=self.directory, env=environ, capture_output=True, text=True, check=False).stderr

    def replay(self, text: str, *, prelude: str = "") -> str:
        """Run `text` in another process, in another directory; return its standard output."""
        command = [sys.executable, "-c", prelude + REPLAY + text, str(self.record)]
        environ = {**self.environ, "PYTHONPATH": REPOSITORY}
        ran = subprocess.run(command, cwd=self.elsewhere, env=environ, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@pytest.fixture(name="program")
def make_program(tmp_path: Path) -> Program:
    """Give an empty program."""
    return Program(tmp_path)


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """Whatever a test does, the import system is as it was found."""
    before = (sys.path, list(sys.path), list(sys.meta_path), sys.modules["__main__"], sys.argv)
    yield
    for name in [name for name in sys.modules if name.startswith(("replayed_", "__ckpt_main__"))]:
        del sys.modules[name]
    assert (sys.path, list(sys.path), list(sys.meta_path), sys.modules["__main__"], sys.argv) == before


def record(directory: Path, **more: Any) -> dict[str, Any]:
    """Return what a capture says of a process that had `directory` on its path."""
    return {"python": PYTHON, "argv": ["job.py"], "cwd": str(directory), "path": [str(directory)], "main": {}, "files": {}, **more}


# --- the path


def test_captured_entries_come_last_and_are_given_back(tmp_path: Path) -> None:
    """Entries that exist are appended once, roots after them, and whatever was done to the path meanwhile is undone."""
    (tmp_path / "a").mkdir()
    (tmp_path / "root").mkdir()
    before, the_list = list(sys.path), sys.path
    process = record(tmp_path, path=[str(tmp_path / "a"), str(tmp_path / "gone"), before[-1], 7, str(tmp_path / "a")])
    with project_path(process, [str(tmp_path / "root"), str(tmp_path / "a")]):
        assert sys.path == [*before, str(tmp_path / "a"), str(tmp_path / "root")]
        sys.path.insert(0, "/mine")
        sys.path = ["/another", "list"]
    assert sys.path is the_list
    assert sys.path == before


def test_the_path_is_given_back_after_an_error(tmp_path: Path) -> None:
    """An exception inside goes on, and the path is as before."""
    before = list(sys.path), list(sys.meta_path)
    with pytest.raises(ZeroDivisionError), project_path(record(tmp_path)), project_path(record(tmp_path)):
        raise ZeroDivisionError
    assert (list(sys.path), list(sys.meta_path)) == before


def test_another_interpreters_own_directories_stay_away(tmp_path: Path) -> None:
    """A standard library is never taken over, installed packages only from the same version of Python."""
    standard = tmp_path / "lib" / "python3.99"
    installed = standard / "site-packages"
    (standard / "lib-dynload").mkdir(parents=True)
    installed.mkdir()
    (standard / "os.py").touch()
    path = [str(standard), str(standard / "lib-dynload"), str(installed)]
    with project_path(record(tmp_path, path=path, python="3.99.0")):
        assert not set(path) & set(sys.path)
    with project_path(record(tmp_path, path=path)):
        assert set(path) & set(sys.path) == {str(installed)}
    with project_path({}):
        assert not set(path) & set(sys.path)


def test_the_scripts_own_helper_is_found_before_an_installed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stood before the installed packages when it was captured still does; a package's name is not taken by a directory of data."""
    mine, installed = tmp_path / "mine", tmp_path / "site-packages"
    for directory, text in ((mine, "WHOSE = 'mine'\n"), (installed, "WHOSE = 'installed'\n")):
        directory.mkdir()
        (directory / "replayed_helper.py").write_text(text, encoding="utf-8")
    (mine / "replayed_data").mkdir()
    (installed / "replayed_data.py").write_text("WHOSE = 'installed'\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(installed), *sys.path])
    with project_path(record(tmp_path, path=[str(mine), str(installed)])):
        import replayed_data  # type: ignore[import-not-found]
        import replayed_helper  # type: ignore[import-not-found]
    assert replayed_helper.WHOSE == "mine"
    assert replayed_data.WHOSE == "installed"


def test_what_ckpt_needs_cannot_be_shadowed(program: Program) -> None:
    """Files of the project with the names of our dependencies or of the standard library do not come before them."""
    for name in ("rich", "queue", "IPython"):
        program.write(f"{name}.py", "raise SystemExit('shadowed')\n")
    program.write("job.py", "import witness\n")
    program.run("-P", "job.py")
    process = json.loads(program.record.read_text())
    process["path"].insert(0, str(program.directory))
    program.record.write_text(json.dumps(process))
    assert program.replay("with project_path(process):\n    import rich, queue, IPython\n    print(rich.__all__[0])\n") == "get_console\n"


@pytest.mark.parametrize(
    ("module", "file", "root"),
    [
        ("mod", "/p/mod.py", "/p"),
        ("pkg.sub.mod", "/p/src/pkg/sub/mod.py", "/p/src"),
        ("pkg.sub", "/p/src/pkg/sub/__init__.py", "/p/src"),
        ("pkg.mod", "/p/other/mod.py", None),
        ("__main__", "/p/job.py", None),
        ("pkg.mod", "<string>", None),
    ],
)
def test_the_root_of_an_import_is_told_from_the_modules_name(module: str, file: str, root: str | None) -> None:
    """It is the directory above the outermost package, for a file that bears the module's name."""
    assert import_root(module, file) == root


# --- modules from their text


def test_a_stale_pyc_is_not_used_and_none_is_written(program: Program) -> None:
    """A module edited within the second, to the same size, is replayed as it stands on disk, and its `.pyc` stays as it was."""
    helper = program.write("helper.py", "ANSWER = 1\n")
    program.write("job.py", "import helper, witness\n")
    program.run("job.py")
    (cached,) = (program.directory / "__pycache__").iterdir()
    stamp, old = helper.stat().st_mtime_ns, cached.read_bytes()
    helper.write_text("ANSWER = 2\n", encoding="utf-8")
    os.utime(helper, ns=(stamp, stamp))
    new = program.write("newer.py", "")
    text = "import helper, newer; print(helper.ANSWER, helper.__file__, newer.__cached__ is not None)"
    assert program.replay(f"with project_path(process): {text}") == f"2 {helper} True\n"
    assert program.replay(f"sys.path.append({str(program.directory)!r})\n{text}").startswith("1 ")
    assert cached.read_bytes() == old
    for path in (program.directory / "__pycache__").iterdir():
        path.unlink()
    program.replay(f"with project_path(process): {text}")
    assert list((program.directory / "__pycache__").iterdir()) == []
    assert new.exists()


def test_packages_in_every_layout_are_found(program: Program) -> None:
    """A package in `src` that is not installed, a namespace package, and relative imports work through the captured path."""
    program.write("src/replayed_pkg/__init__.py", "")
    program.write("src/replayed_pkg/mod.py", "from .other import f\n")
    program.write("src/replayed_pkg/other.py", "import ckpt\n@ckpt.ckpt(active=False)\ndef f(x): return x + 1\n")
    program.write("src/replayed_space/inner/deep.py", "def f(x): return x - 1\n")
    program.write("job.py", "import sys\nsys.path.insert(0, 'src')\nimport replayed_pkg.mod, replayed_space.inner.deep, witness\n")
    program.run("job.py")
    text = """
with project_path(process):
    function, notes = find_callable("replayed_pkg.other", "f")
    print(function(1), notes, function.__globals__["__spec__"].parent)
    print(find_callable("replayed_space.inner.deep", "f")[0](1))
"""
    assert program.replay(text) == "2 [] replayed_pkg\n0\n"


def test_finders_of_others_are_asked_too(tmp_path: Path) -> None:
    """A module that an editable install's finder knows is loaded from its text as well; libraries are left alone."""
    (tmp_path / "replayed_editable.py").write_text("X = 1\n", encoding="utf-8")

    class Editable:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> Any:
            return PathFinder.find_spec(name, [str(tmp_path)]) if name == "replayed_editable" else None

    sys.meta_path.append(Editable)
    try:
        with project_path(record(tmp_path, path=[])):
            import replayed_editable  # type: ignore[import-not-found]

            sys.modules.pop("this", None)
            spec = find_spec("this")
    finally:
        sys.meta_path.remove(Editable)
    assert replayed_editable.X == 1
    assert not (tmp_path / "__pycache__").exists()
    assert spec is not None
    assert type(spec.loader) is SourceFileLoader


# --- scripts

GUARDED = """
from __future__ import annotations
import ckpt, dataclasses, enum, pickle, traceback, typing
import witness

class Colour(enum.Enum):
    RED = 1

@dataclasses.dataclass
class Point:
    x: int
    parent: typing.Optional[Point] = None
    class Inner:
        pass

class BadRow(ValueError):
    pass

class Pair(typing.NamedTuple):
    a: int

@ckpt.ckpt(active=False)
def shift(point: Point, by: int) -> Point:
    if by < 0:
        raise BadRow(by)
    return Point(point.x + by + STEP, point)

if __name__ == "__main__":
    STEP = 10
    config = open("mark", "a").write("ran ")
    def late(x): return x
    raise SystemExit(str(shift(Point(1), -1)))
"""


def test_a_guarded_script_is_there_without_its_run(program: Program) -> None:
    """Its top level runs, what the guard holds back does not, save its definitions; its classes are those of `__main__`."""
    program.write("job.py", GUARDED)
    assert "BadRow" in program.run("job.py", "--fast")
    text = """
before = sys.modules["__main__"]
with project_path(process):
    main, notes = load_main(process, {"config": 7, "shift": None})
    assert sys.modules["__main__"] is before and sys.argv == ["ckpt", "run"]
    function, more = find_callable("__main__", "shift", main)
    print(notes, more)
    print(main.__name__, main.config, main.late(3), function(main.Point(1), 2).x)
    print(main.Point.__module__, main.Point.Inner.__module__, main.BadRow.__module__, main.shift.__module__, main.Colour.__module__)
    assert resolver(main)("__main__", "Point.Inner") is main.Point.Inner
    with as_main(main, process):
        import __main__, pickle, traceback, typing
        assert __main__ is main and sys.argv == ["job.py", "--fast"]
        for value in (main.Point(1), main.Colour.RED, main.Pair(1), main.Point.Inner, main.BadRow, main.shift):
            assert type(pickle.loads(pickle.dumps(value))) is type(value)
        print(typing.get_type_hints(main.Point)["parent"])
        try:
            function(main.Point(1), -1)
        except main.BadRow as err:
            print(traceback.format_exception_only(err))
    assert sys.modules["__main__"] is before
"""
    file = program.directory / "job.py"
    assert program.replay(text).splitlines() == [
        f"['{file}: from the capture: config'] []",
        "__main__ 7 3 13",
        "__main__ __main__ __main__ __main__ __main__",
        "typing.Optional[__main__.Point]",
        r"['BadRow: -1\n']",
    ]
    assert (program.directory / "mark").read_text() == "ran "


def test_a_decorator_that_runs_main_programs_does_not_run_this_one(program: Program) -> None:
    """While its top level is executed the script is no `__main__`, not even to those who look at a function's module."""
    program.write(
        "job.py",
        """
import witness
def automain(function):
    if function.__module__ == "__main__":
        open("mark", "a").write("ran ")
    return function
@automain
def main(): pass
if __name__ == "__main__": pass
""",
    )
    program.run("job.py")
    assert program.replay("with project_path(process): print(load_main(process, {})[0].main.__module__)") == "__main__\n"
    assert (program.directory / "mark").read_text() == "ran "


UNGUARDED = '''
"""A script that just runs."""
from __future__ import annotations
import ckpt, functools, threading
import witness, helper
from typing import TYPE_CHECKING, Generic, TypeVar
if TYPE_CHECKING:
    import no_such_module
try:
    import no_such_library
except ImportError:
    no_such_library = None
T = TypeVar("T")
LOCK = threading.Lock()
LIMIT = 3
open("mark", "a").write("ran ")
rows = helper.load()
app = helper.App()

class Row(Generic[T]):
    values: list[T]
    def __init__(self, *values): self.values = values

@app.command
@ckpt.ckpt(active=False)
@functools.wraps(len)
def summary(row: Row, *rest):
    with LOCK:
        return sum(row.values) + LIMIT + len(rows) + offset + unused

@app.gone()
def helper_of(x): return x

offset = helper.load()[0]
unused = missing = helper.load()[1]
print("summing")
for number in range(3):
    summary(Row(1, 2, number, None))
'''


def test_a_script_without_a_guard_is_not_run_again(program: Program) -> None:
    """Only imports, definitions and constants are executed; what only a run gives comes from the capture, and one line says so."""
    program.write("job.py", UNGUARDED)
    program.write(
        "helper.py", "def load(): return [5, 6]\nclass App:\n    def command(self, f): return f\n    gone = lambda self: self.command\n"
    )
    assert "unsupported operand" in program.run("job.py")
    text = """
class App:
    def command(self, f): return f
with project_path(process):
    main, notes = load_main(process, {"rows": [1], "offset": 100, "app": App(), "LIMIT": 9})
    function, more = find_callable("__main__", "summary", main)
    main.unused = 1000
    print(function(main.Row(1, 2)), main.__doc__, main.no_such_library)
    print(isinstance(main.Row(1), main.Row), main.Row.__module__, main.helper_of(3), more)
    print(notes[0])
"""
    file = program.directory / "job.py"
    assert program.replay(text).splitlines() == [
        "1107 A script that just runs. None",
        "True __main__ 3 []",
        (
            f"{file}: it has no __name__ guard, so only its imports, definitions and constants were executed; "
            "helper_of is without @app.gone() (AttributeError: 'App' object has no attribute 'gone'); "
            "from the capture: app, offset, rows; not defined: unused"
        ),
    ]
    assert (program.directory / "mark").read_text() == "ran "
    alone = program.replay("with project_path(process):\n    main, notes = load_main(process, {})\n    print(notes[0])\n")
    assert "summary is without @app.command (NameError: name 'app' is not defined)" in alone
    assert alone.endswith("not defined: offset, rows, unused\n")


def test_captured_values_are_of_the_scripts_classes(program: Program) -> None:
    """What comes from the capture can be made when the script's classes are there, and definitions that failed get a second chance."""
    program.write("job.py", "import witness\nclass Row: pass\nrow = make()\nclass Kind(type(row)): pass\ndef f(): return row\nrun()\n")
    program.run("job.py")
    text = """
def captured(module):
    return {"row": module.Row(), "__name__": "no", "__file__": "no"}
with project_path(process):
    main, notes = load_main(process, captured)
    print(isinstance(main.f(), main.Row), issubclass(main.Kind, main.Row), main.__name__, notes[0].rpartition("; ")[2])
"""
    assert program.replay(text) == "True True __main__ from the capture: row\n"


def test_a_definition_that_fails_is_named_with_its_reason(program: Program) -> None:
    """What cannot be defined today costs only itself; a class that is in the capture takes its place."""
    program.write("job.py", "import witness, no_such_thing\nclass A(nothing.B): pass\nclass C(nothing.D): pass\ndef f(): return A, C\n")
    program.run("job.py")
    text = """
with project_path(process):
    main, notes = load_main(process, {"C": 3})
    print(main.C, notes[0].partition(": ")[2])
"""
    program.record.write_text(json.dumps(record(program.directory, main={"file": str(program.directory / "job.py"), "name": None})))
    assert program.replay(text, prelude="import sys, types; sys.modules['witness'] = types.ModuleType('witness')\n") == (
        "3 from the capture: C; not defined: A (NameError: name 'nothing' is not defined), "
        "no_such_thing (ModuleNotFoundError: No module named 'no_such_thing')\n"
    )


def test_a_guarded_script_that_cannot_be_imported_gives_its_definitions(program: Program) -> None:
    """When its top level raises or leaves today, what can be defined is, and the reason is said."""
    text = "import witness\nimport sys\nN = 3\nopen(sys.argv[1])\nsys.exit\ndef f(): return N\nif __name__ == '__main__':\n    f()\n"
    file = program.write("job.py", text)
    program.write("given", "")
    program.run("job.py", "given")
    (program.directory / "given").unlink()
    output = program.replay("with project_path(process):\n    main, notes = load_main(process, {})\n    print(main.f(), notes)\n")
    assert output == (
        f"3 [\"{file}: its top level raised FileNotFoundError: [Errno 2] No such file or directory: 'given', "
        'so only its imports, definitions and constants were executed"]\n'
    )
    file.write_text(text.replace("open(sys.argv[1])", "sys.exit(1)"), encoding="utf-8")
    assert "its top level raised SystemExit: 1" in program.replay("with project_path(process): print(load_main(process, {})[1])")


@pytest.mark.parametrize("guard", ["if __name__ == '__main__':\n    ", ""])
def test_relative_imports_work_after_python_m(program: Program, guard: str) -> None:
    """A module that was started with `-m` is in its package again, with a guard or without."""
    program.write("replayed_pkg/__init__.py", "")
    program.write("replayed_pkg/near.py", "ADD = 5\n")
    program.write(
        "replayed_pkg/__main__.py",
        "import ckpt, witness\nfrom . import near\nclass Row: pass\n"
        "@ckpt.ckpt(active=False)\ndef f(x):\n    from .near import ADD\n    return x + ADD + near.ADD\n" + guard + "f(None)\n",
    )
    program.write("replayed_pkg/mod.py", (program.directory / "replayed_pkg" / "__main__.py").read_text())
    text = """
with project_path(process):
    main, notes = load_main(process, {})
    print(main.__package__, main.__spec__.name, find_callable("__main__", "f", main)[0](1), main.Row.__module__)
"""
    for name in ("replayed_pkg", "replayed_pkg.mod"):
        assert "unsupported operand" in program.run("-m", name)
        full = name if "." in name else f"{name}.__main__"
        assert program.replay(text) == f"replayed_pkg {full} 11 __main__\n"


def test_a_notebook_and_a_prompt_have_no_script(program: Program) -> None:
    """Without a file there is no module, and no complaint."""
    assert load_main({}, {}) == (None, [])
    assert load_main({"main": {"file": None, "name": None}}, {}) == (None, [])
    program.run("-c", "import witness")
    assert load_main(json.loads(program.record.read_text()), {}) == (None, [])


def test_a_directory_that_is_run_is_found(program: Program) -> None:
    """`python DIRECTORY` and a zip file run a `__main__.py`, whose module has no name of its own."""
    program.write("app/__main__.py", "import ckpt, witness\nimport beside\ndef f(): return beside.X\n")
    program.write("app/beside.py", "X = 'beside'\n")
    text = "with project_path(process): print(load_main(process, {})[0].f())"
    program.run("app")
    assert program.replay(text) == "beside\n"
    subprocess.run([sys.executable, "-m", "zipapp", "app", "-o", "app.pyz"], cwd=program.directory, check=True)
    program.run("app.pyz")
    assert json.loads(program.record.read_text())["main"]["file"].endswith(os.path.join("app.pyz", "__main__.py"))
    assert program.replay(text) == "beside\n"


def test_a_script_that_is_gone_or_broken_is_said(tmp_path: Path) -> None:
    """There is one clear error, and nothing of the attempt stays."""
    script = tmp_path / "job.py"
    process = record(tmp_path, main={"file": str(script), "name": None})
    with pytest.raises(CannotReplayError, match=r"job\.py' cannot be read: No such file") as caught:
        load_main(process, {})
    assert caught.value.hint
    for text in ("def f(:\n", "x = '\0'\n", "# -*- coding: no-such -*-\n"):
        script.write_text(text, encoding="utf-8")
        with pytest.raises(CannotReplayError, match=r"job\.py' cannot be compiled"):
            load_main(process, {})
    script.write_text("class A: pass\n", encoding="utf-8")
    with pytest.raises(ZeroDivisionError):
        load_main(process, lambda module: {"x": 1 // 0})
    assert "__ckpt_main__" not in sys.modules


def test_the_coding_of_a_script_is_honoured(tmp_path: Path) -> None:
    """The bytes are decoded as Python does."""
    script = tmp_path / "job.py"
    script.write_bytes("# -*- coding: latin-1 -*-\nX = 'ä'\n".encode("latin-1"))
    main, notes = load_main(record(tmp_path, main={"file": str(script), "name": None}), {})
    assert main is not None
    assert main.X == "ä"
    assert notes == []


def test_in_the_process_of_the_script_its_own_main_is_used(program: Program) -> None:
    """A script that opens its own capture gets the classes it has."""
    program.write(
        "job.py",
        "import json, os, witness, __main__\nfrom ckpt._replaying.modules import load_main\n"
        "main, notes = load_main(json.load(open(os.environ['WITNESS'])), {})\nassert main is __main__ and notes == []\n",
    )
    assert program.run("job.py") == ""


def test_spawned_processes_find_the_script(program: Program) -> None:
    """While it stands for `__main__`, functions of the script can be sent to processes that multiprocessing spawns."""
    program.write(
        "job.py",
        "import multiprocessing\nclass Row:\n    x = 4\ndef work(row): return row.x\n"
        "def f(rows):\n    with multiprocessing.get_context('spawn').Pool(1) as pool:\n        return pool.map(work, rows)\n"
        "if __name__ == '__main__':\n    import witness\n    f([Row()])\n",
    )
    assert program.run("job.py") == ""
    text = """
with project_path(process):
    main, notes = load_main(process, {})
    with as_main(main, process):
        print(main.f([main.Row(), main.Row()]))
"""
    assert program.replay(text) == "[4, 4]\n"


def assert_arguments_and_fail(expected: list[str]) -> None:
    assert sys.argv == expected
    raise ZeroDivisionError


def test_main_is_given_back_after_an_error(tmp_path: Path) -> None:
    """An exception inside goes on; `__main__` and the command line are as before."""
    before = sys.modules["__main__"], sys.argv
    with pytest.raises(ZeroDivisionError), as_main(ModuleType("__main__"), record(tmp_path)):
        assert_arguments_and_fail(["job.py"])
    with as_main(None, {}):
        assert (sys.modules["__main__"], sys.argv) == before
    assert (sys.modules["__main__"], sys.argv) == before


def test_hostile_objects_of_a_script_do_not_stop_it(tmp_path: Path) -> None:
    """Objects that refuse to be looked at or renamed stay as they are."""
    script = tmp_path / "job.py"
    script.write_text(
        """
import functools
class Acting:
    def __getattribute__(self, name): raise SystemError(name)
    def __eq__(self, other): raise SystemError("eq")
    __hash__ = None
class Meta(type):
    def __setattr__(cls, name, value): raise SystemError(name)
class Fixed(metaclass=Meta): pass
@functools.lru_cache
def cached(): pass
class Slots:
    __slots__ = ()
if __name__ == "__main__": pass
acting, slots = Acting(), Slots()
""",
        encoding="utf-8",
    )
    main, notes = load_main(record(tmp_path, main={"file": str(script), "name": None}), {})
    assert main is not None
    assert (main.Fixed.__module__, main.cached.__module__, notes) == ("__main__", "__main__", [])
