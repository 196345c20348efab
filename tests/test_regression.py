"""`ckpt test`: a capture becomes a test that fails before the fix and passes after it, without the store."""

from __future__ import annotations

import ast
import math
import shutil
import subprocess
from pathlib import Path

import pytest

import ckpt
from ckpt._replaying.literals import literal, shares_nothing
from ckpt._replaying.regression import _checked
from ckpt.errors import CannotReplayError, DamagedError, NotFoundError
from tests.workplace import Project, last

SHOP = """
import asyncio
import ckpt


class Wrong(ValueError):
    pass


class Shop:
    def __init__(self, rate):
        self.rate = rate

    @ckpt.ckpt
    def price(self, item, *, times=1):
        return item["price"] * self.rate * times

    @classmethod
    @ckpt.ckpt
    def make(cls, rates):
        return cls(1 / len(rates))

    @staticmethod
    @ckpt.ckpt
    def check(code):
        raise Wrong(f"{code} at 0x7f0123456789")


@ckpt.ckpt(active=False)
def load(path, rows=None, *rest, sep=",", **more):
    return [path.split(sep) for _ in rows]


@ckpt.ckpt
async def fetch(n):
    return 1 // n


@ckpt.ckpt
def numbers(n):
    yield 1 // n


@ckpt.ckpt
async def stream(n):
    yield 1 // n


@ckpt.ckpt
def same(one, other):
    one.append(1)
    if len(other) == 1:
        raise IndexError
"""


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> Project:
    """A project that is not installed, in a layout with `src`."""
    project = Project(tmp_path / "project")
    project.write("src/shop.py", SHOP)
    return project


def call(project: Project, statement: str) -> None:
    """Run a statement with the project's modules, which may fail."""
    project.python("-c", f"import sys; sys.path.insert(0, 'src'); import shop; {statement}")


def pytest_of(project: Project, *files: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on the files, without the store."""
    away = project.path / ".pyckpt"
    if away.exists():
        away.rename(project.path / "away")
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    return project.python(*command, PYCKPT_DIR=str(project.path / "another"), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")


def test_a_written_test_fails_before_the_fix_and_passes_after(shop: Project) -> None:
    """Arguments with short literals stand in the test; it needs neither the store nor a file beside it."""
    call(shop, "shop.load('a,b')")
    done = shop.ckpt("test", "load", "-o", "tests/test_load.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert "only the failure" not in (shop.path / "tests" / "test_load.py").read_text()
    assert done.stdout == f"{shop.path / 'tests' / 'test_load.py'}\n"
    text = (shop.path / "tests" / "test_load.py").read_text()
    assert '    shop.load("a,b", None, sep=",")\n'.replace('"', "'") in text
    assert "ckpt.load" not in text
    assert pytest_of(shop, "tests").returncode == 1
    shop.edit("src/shop.py", "in rows]", "in rows or ()]")
    assert pytest_of(shop, "tests").returncode == 0


def test_the_failure_can_be_pinned(shop: Project) -> None:
    """With `--expect-failure` the test passes as long as the call fails as it did: type and message, addresses aside."""
    call(shop, "shop.Shop.check('a.b')")
    assert shop.ckpt("test", "-o", "tests/test_check.py", "--expect-failure").returncode == 0
    text = (shop.path / "tests" / "test_check.py").read_text()
    assert r"with pytest.raises(shop.Wrong, match='a\\.b\\ at\\ .*'):" in text
    assert pytest_of(shop, "tests").returncode == 0
    shop.edit("src/shop.py", 'f"{code} at 0x7f0123456789"', '"else"')
    assert pytest_of(shop, "tests").returncode == 1


def test_other_arguments_come_from_a_capture_file(shop: Project) -> None:
    """What has no short literal is loaded from a file beside the test, with the classes of today's module."""
    call(shop, "shop.Shop(2).price({'name': 'pot'}, times=3)")
    done = shop.ckpt("test", "-o", "tests/test_price.py")
    assert done.stdout.splitlines()[1] == f"{shop.path / 'tests' / 'test_price.ckpt'}"
    text = (shop.path / "tests" / "test_price.py").read_text()
    assert "arguments = capture.arguments(shop.Shop.price)\n    shop.Shop.price(arguments[\"self\"], {'name': 'pot'}, times=3)\n" in text
    moved = Project(shop.path.parent / "moved")
    shutil.copytree(shop.path, moved.path, ignore=shutil.ignore_patterns(".pyckpt"))
    shop.path.rename(shop.path.with_name("gone"))
    assert pytest_of(moved, "tests").returncode == 1
    moved.edit("src/shop.py", 'item["price"]', 'item.get("price", 0)')
    assert pytest_of(moved, "tests").returncode == 0


@pytest.mark.parametrize(
    ("statement", "called"),
    [
        ("shop.Shop.make([])", 'shop.Shop.make.__func__(arguments["cls"], [])'),
        ("asyncio.run(shop.fetch(0))", "asyncio.run(shop.fetch(0))"),
        ("list(shop.numbers(0))", "list(shop.numbers(0))"),
        ("asyncio.run(anext(shop.stream(0)))", "asyncio.run(collect())"),
        ("x = []; shop.same(x, x)", 'shop.same(arguments["one"], arguments["other"])'),
        (f"shop.load('{'x' * 90}', [1], 2, sep='')", "            [1],  # rows\n            2,  # *2\n            sep='',\n        )\n"),
    ],
    ids=["classmethod", "coroutine", "generator", "async generator", "shared argument", "long call"],
)
def test_every_kind_of_function_is_called_in_its_way(shop: Project, statement: str, called: str) -> None:
    """Coroutines run, generators are exhausted, a class method gets its class, and what was one object is one."""
    call(shop, f"import asyncio; {statement}")
    assert shop.ckpt("test", "-o", "test_it.py", "--expect-failure").returncode == 0
    text = (shop.path / "test_it.py").read_text()
    assert called in text
    assert pytest_of(shop, "test_it.py").returncode == 0, text


def test_a_script_with_a_guard_is_imported(home: Path, tmp_path: Path) -> None:
    """What a script defines is called; its objects are of the imported script's classes."""
    project = Project(tmp_path / "project")
    text = (
        "import ckpt\nclass Own: pass\nclass Mine(Exception): pass\n"
        "@ckpt.ckpt\ndef work(own):\n    assert type(own) is Own\n    raise Mine('no')\n"
        "if __name__ == '__main__':\n    work(Own())\n"
    )
    project.write("job.py", text)
    project.python("job.py")
    project.ckpt("test", "-o", "tests/test_work.py")
    project.ckpt("test", "-o", "tests/test_pinned.py", "--expect-failure")
    assert "pytest.raises(job.Mine, " in (project.path / "tests" / "test_pinned.py").read_text()
    assert pytest_of(project, "tests/test_work.py").returncode == 1
    assert pytest_of(project, "tests/test_pinned.py").returncode == 0
    project.write("job.py", text.replace("raise Mine('no')", "return 1"))
    assert pytest_of(project, "tests/test_work.py").returncode == 0


def test_what_its_name_does_not_lead_to_is_called_through_the_capture(home: Path, tmp_path: Path) -> None:
    """Below a decorator that changes the arguments, and in a script that would run, the test makes the captured call, and says so."""
    project = Project(tmp_path / "project")
    project.write(
        "shop.py", "import ckpt\ndef twice(f):\n    return lambda n: f(n, n)\n@twice\n@ckpt.ckpt\ndef work(a, b):\n    return a // b\n"
    )
    project.call("import shop; shop.work(0)")
    project.write("job.py", "import ckpt\n@ckpt.ckpt\ndef job(a):\n    return 1 // a\nopen('ran', 'a').write('x')\njob(0)\n")
    project.python("job.py")
    for name in ("work", "job"):
        done = project.ckpt("test", name, "-o", f"tests/test_{name}.py")
        assert done.stderr.startswith("note: the test calls the function through the capture")
        assert "    capture.call()\n" in (project.path / f"tests/test_{name}.py").read_text()
    assert pytest_of(project, "tests").stdout.count("ZeroDivisionError: integer") >= 2
    project.edit("shop.py", "a // b", "a")
    project.edit("job.py", "1 // a", "a")
    assert pytest_of(project, "tests").returncode == 0
    assert (project.path / "ran").read_text() == "x"
    moved = Project(project.path.parent / "moved")
    shutil.copytree(project.path, moved.path)
    moved.edit("job.py", "a\nopen", "a + []\nopen")
    assert pytest_of(moved, "tests/test_job.py").returncode == 1
    assert pytest_of(project, "tests/test_job.py").returncode == 0
    project.path.rename(project.path.with_name("gone"))
    assert pytest_of(moved, "tests/test_work.py").returncode == 0
    moved.edit("shop.py", "return a", "return a + []")
    assert pytest_of(moved, "tests/test_work.py").returncode == 1


def test_a_script_that_is_named_like_its_folder_is_the_one_that_is_called(home: Path, tmp_path: Path) -> None:
    """Another file whose path has the same end is not taken for it."""
    project = Project(tmp_path / "job")
    text = "import ckpt\n@ckpt.ckpt\ndef job(a):\n    return 1 // a\nprint()\njob(0)\n"
    project.write("job.py", text)
    project.write("job/job.py", text.replace("1 // a", "a"))
    project.python("job.py")
    assert project.ckpt("test", "-o", "test_job.py").returncode == 0
    assert pytest_of(project, "test_job.py").returncode == 1


def test_what_cannot_become_a_test_is_said(shop: Project) -> None:
    """A function made while its program ran, an argument that was not kept, a failure that was none, a file that is there."""
    call(shop, "import ckpt; ckpt.ckpt(name='made')((lambda: (lambda: 1))())()")
    assert "no other file can import it" in last(shop.ckpt("test", "made", "-o", "test_a.py"))
    call(shop, "import threading; shop.load(threading.Lock())")
    assert "The argument path was not kept" in last(shop.ckpt("test", "load", "-o", "test_a.py"))
    call(shop, "list(shop.numbers(1))")
    done = shop.ckpt("test", "numbers", "-o", "test_a.py", "--expect-failure")
    assert (done.returncode, "did not raise" in done.stderr) == (2, True)
    shop.write("test_a.py", "mine\n")
    done = shop.ckpt("test", "numbers", "-o", "test_a.py")
    assert (done.returncode, (shop.path / "test_a.py").read_text()) == (2, "mine\n")
    assert shop.ckpt("test", "numbers", "-o", "test_a.py", "--force").returncode == 0
    assert shop.ckpt("test", "numbers").returncode == 2


def test_a_placeholder_inside_an_argument_is_said(shop: Project) -> None:
    """A test can be written all the same: perhaps it does not need what was not kept."""
    call(shop, "import threading; shop.load(None, [{'lock': threading.Lock()}])")
    done = shop.ckpt("test", "-o", "tests/test_load.py")
    assert done.returncode == 0
    why = "TypeError: cannot pickle '_thread.lock' object"
    changed = "note: only the failure was recorded: what the call itself changed in rows is changed already"
    assert done.stderr == f"{changed}\nnote: rows[0]['lock'] is a placeholder: {why}; a test that needs it fails\n"


def test_that_the_arguments_may_be_changed_already_is_said(shop: Project) -> None:
    """Where only the failure was recorded, the command says so, and the test that it writes."""
    call(shop, "shop.load([], [1])")
    done = shop.ckpt("test", "-o", "tests/test_load.py")
    why = "only the failure was recorded: what the call itself changed in path, rows is changed already"
    assert (done.returncode, done.stderr) == (0, f"note: {why}\n")
    assert f"    # {why}\n    shop.load([], [1], sep=',')\n" in (shop.path / "tests" / "test_load.py").read_text()
    assert pytest_of(shop, "tests").returncode == 1


def test_a_file_that_holds_no_capture_is_said(tmp_path: Path) -> None:
    """A capture file that is missing, or is something else, raises an error of ckpt's."""
    with pytest.raises(NotFoundError):
        ckpt.load(tmp_path / "nothing.ckpt")
    (tmp_path / "other.ckpt").write_text("something else\n")
    with pytest.raises(DamagedError):
        ckpt.load(tmp_path / "other.ckpt")


# Literals


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [None, True, 1, -1.5, 1e300, -0.0, "text\n\x00\ud800'\"", b"bytes", [], (), {}, (1,), [1, (2, {"a": {3}})], {1, 2}, {(1, 2): [None]}],
)
def test_a_literal_gives_back_exactly_the_value(value: object) -> None:
    """Evaluated as a literal, the text is the value again, type by type."""
    text = literal(value)
    assert text is not None
    assert repr(ast.literal_eval(text)) == repr(value)


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        1j,
        set(),
        frozenset({1}),
        Text("a"),
        "x" * 300,
        list(range(200)),
        [object()],
        range(3),
        ...,
        int,
        {1: {2: [Text("a")]}},
    ],
)
def test_what_has_no_short_exact_literal_has_none(value: object) -> None:
    """Subclasses, long values and what literals cannot say are left to a capture file."""
    assert literal(value) is None


def test_a_value_that_contains_itself_has_no_literal() -> None:
    """A cycle ends."""
    value: list[object] = []
    value.append(value)
    assert literal(value) is None


def test_shared_parts_are_seen() -> None:
    """A list that is in two places is one list, which literals would make two of."""
    shared = [1]
    assert shares_nothing([[1], [1], (1,), (1,), "a", "a"])
    assert not shares_nothing([shared, {"a": (shared,)}])
    assert not shares_nothing([[shared, shared]])


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("raise Outer.Inner(1)", "odd.Outer.Inner, match"),
        ("raise __import__('json').JSONDecodeError('no', '', 0)", "json.decoder.JSONDecodeError, match"),
        ("raise local()(1)", "Exception, match"),
        ("raise __import__('__main__').Mine(1)", "Exception, match"),
        ("raise KeyError(1)", "KeyError, match"),
    ],
)
def test_any_type_of_exception_can_be_pinned(shop: Project, statement: str, expected: str) -> None:
    """A nested class is found through its module; one that no import leads to is an `Exception`."""
    shop.write(
        "src/odd.py",
        "import ckpt\n\nclass Outer:\n    class Inner(ValueError): pass\n\ndef local():\n    class Hidden(ValueError): pass\n"
        f"    return Hidden\n\n@ckpt.ckpt\ndef work():\n    {statement}\n",
    )
    program = "import sys; sys.path.insert(0, 'src'); import odd\nclass Mine(Exception): pass\nodd.work()\n"
    shop.python(shop.write("main.py", program))
    done = shop.ckpt("test", "work", "-o", "tests/test_odd.py", "--expect-failure")
    assert done.returncode == 0, done.stderr
    assert f"pytest.raises({expected}=" in (shop.path / "tests" / "test_odd.py").read_text()
    if "Mine" not in statement:
        assert pytest_of(shop, "tests").returncode == 0


def test_keyword_arguments_of_any_name_are_passed(shop: Project) -> None:
    """What is no identifier is passed by `**`, whether its value stands in the test or in the file beside it."""
    call(shop, """shop.load('a,b', **{'a-b': 1, 'class': 2, 'say "x"': {1: object()}})""")
    for extra, text in (("test_one.py", None), ("test_two.py", 1)):
        if text:
            call(shop, """shop.load('a,b', **{'a-b': 1, 'class': 2, 'say "x"': 3})""")
        assert shop.ckpt("test", "load", "-o", f"tests/{extra}").returncode == 0
        written = (shop.path / "tests" / extra).read_text()
        ast.parse(written)
        assert '**{"a-b": ' in written
        assert '**{"class": ' in written
    shop.edit("src/shop.py", "in rows]", "in rows or ()]")
    assert pytest_of(shop, "tests").returncode == 0


def test_a_text_that_is_no_python_is_not_written() -> None:
    """Whatever comes in the way, no file is left that cannot be imported."""
    assert _checked("a = 1") == "a = 1"
    with pytest.raises(CannotReplayError, match="no Python"):
        _checked("import my-script")


@pytest.mark.parametrize("place", ["/proc", "job.py/tests"])
def test_where_nothing_can_be_written_the_target_is_named(home: Path, tmp_path: Path, place: str) -> None:
    """The error names the file that was asked for, not one that ckpt would have made on the way."""
    project = Project(tmp_path / "project")
    project.write("job.py", "import ckpt\n\n@ckpt.ckpt\ndef total(rows):\n    return sum(rows)\n")
    project.call("import job; job.total([object()])")
    target = project.path / place / "test_total.py"
    done = project.ckpt("test", "-o", str(target))
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith(f"error: {str(target)!r} cannot be written: ")
    assert ".tmp" not in done.stderr
