"""What a replay says of code that is not there any more, or is no Python: `cannot replay`, what is gone, and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import processes
from tests.workplace import Project, last

SHOP = """
import ckpt

class Row:
    def __init__(self, n):
        self.n = n

class Till:
    @ckpt.ckpt
    def price(self, row):
        return 1 // row.n

if __name__ == "__main__":
    Till().price(Row(0))
"""

SLOTS = """
from dataclasses import dataclass
import ckpt

@dataclass(slots=True)
class Row:
    id: int
    amount: str

@ckpt.ckpt
def f(rows):
    for r in rows:
        float(r.amount)
"""


@pytest.fixture(params=["module", "script"])
def shop(request: pytest.FixtureRequest, home: Path, tmp_path: Path) -> Project:
    """A project with a failure of a method, called from elsewhere or from the script itself."""
    project = Project(tmp_path / "project")
    project.write("shop.py", SHOP)
    if request.param == "module":
        project.call("import shop; shop.Till().price(shop.Row(0))")
    else:
        project.python("shop.py")
    return project


def refused(shop: Project, line: str, hint: str) -> None:
    """Check what a replay says, in this process and in one of its own."""
    for options in ([], ["--timeout", "30"]):
        done = shop.ckpt("run", *options)
        assert done.returncode == 1
        assert re.fullmatch(f"cannot replay: {line}", last(done))
        assert [each for each in done.stderr.splitlines() if each.startswith("hint: ")] == ([f"hint: {hint}"] if hint else [])
        assert "Traceback" not in done.stderr


def test_a_file_that_is_no_python_any_more(shop: Project) -> None:
    """The line tells where the mistake is."""
    shop.edit("shop.py", "def price(self", "def price((self")
    done = shop.ckpt("run")
    assert re.match(r"cannot replay: .*(cannot be imported today: SyntaxError|cannot be compiled): .*\(shop.py, line 10\)", last(done))
    assert shop.replay("--timeout", "30")["verdict"] == "cannot replay"


def test_a_file_that_is_gone(shop: Project) -> None:
    """The module or the script is named, and what can be opened without it."""
    (shop.path / "shop.py").unlink()
    if shop.store.find().module == "shop":
        refused(shop, "There is no module 'shop' today.", "")
    else:
        line = f"The script '{shop.path / 'shop.py'}' cannot be read: No such file or directory."
        refused(shop, line, "ckpt debug opens the captured frames without it")


def test_the_debugger_says_that_a_file_is_gone(shop: Project) -> None:
    """Its captured text is shown all the same; one that is there, and is another, has changed."""
    for change, note in (
        ((shop.path / "shop.py").unlink, "is gone"),
        (lambda: shop.write("shop.py", "\n"), "has changed since the capture"),
    ):
        change()
        done = shop.ckpt("debug")
        assert f"note: {shop.path / 'shop.py'} {note}" in done.stderr.splitlines()
        assert "return 1 // row.n" in done.stdout


def test_a_function_that_has_another_name(shop: Project) -> None:
    """The nearest name is the hint."""
    shop.edit("shop.py", "def price", "def prices")
    refused(shop, f"There is no 'Till.price' in module '{shop.store.find().module}' today.", "the nearest name is 'prices'")


def test_no_shell_opens_where_nothing_was_called(shop: Project) -> None:
    """There are no variables of a replay that was not made."""
    shop.edit("shop.py", "def price", "def prices")
    done = shop.ckpt("run", "--shell")
    assert (done.returncode, done.stdout) == (1, "")
    assert last(done).startswith("cannot replay: ")


def test_a_class_that_has_another_name(shop: Project) -> None:
    """A method is gone with its class."""
    shop.write("shop.py", SHOP.replace("Till", "Desk"))
    refused(shop, f"There is no 'Till.price' in module '{shop.store.find().module}' today.", "")


def test_parameters_that_the_captured_arguments_do_not_fit(shop: Project) -> None:
    """The hint gives the arguments that are missing; with them the call is made."""
    shop.edit("shop.py", "(self, row)", "(self, row, currency)")
    fit = "The captured arguments do not fit 'Till.price' today: "
    refused(shop, f"{fit}missing a required argument: 'currency'.", "--set currency=VALUE")
    assert shop.replay("--set", "currency='EUR'")["verdict"] == "same failure"
    shop.edit("shop.py", "(self, row, currency)", "(self)")
    refused(shop, f"{fit}too many positional arguments.", "ckpt diff")


def test_a_decorator_that_gives_arguments_itself_is_believed(home: Path, tmp_path: Path) -> None:
    """What the function under a decorator takes says nothing about what the decorator takes."""
    project = Project(tmp_path / "project")
    text = "import functools\nimport ckpt\n\ndef given(function):\n    @functools.wraps(function)\n    def around(n):\n"
    text += "        return function(0, n)\n    return around\n\n@ckpt.ckpt\n@given\ndef work(zero, n):\n    return n // zero\n"
    project.write("job.py", text)
    project.call("import job; job.work(5)")
    assert project.replay()["verdict"] == "same failure"


def test_values_that_are_damaged_are_no_arguments(shop: Project) -> None:
    """Where the bytes are not what was written, nothing is called."""
    for file in (shop.path / ".pyckpt" / "journals").glob("*.bin"):
        file.write_bytes(bytes(file.stat().st_size))
    for options in ([], ["--timeout", "30"]):
        done = shop.ckpt("run", *options)
        assert done.returncode == 1
        assert last(done).startswith("cannot replay: ")


def test_a_class_whose_fields_have_changed_keeps_those_it_had(home: Path, tmp_path: Path) -> None:
    """All are readable, the one that is gone too; what uses the object is told how to have the class as it was."""
    project = Project(tmp_path / "project")
    project.write("m.py", SLOTS)
    project.write("go.py", "import m; m.f([m.Row(1, '2'), m.Row(2, 'x')])")
    project.python("go.py")
    project.write("m.py", SLOTS.replace("amount: str", "value: str"))
    look = """
import ckpt
rows = ckpt.load("f").locals["rows"]
print([(row.id, row.amount) for row in rows], type(rows[0]) is type(rows[1]))
try: rows[0].value
except ckpt.errors.PlaceholderError as error: print(error)
"""
    fields, told = project.python("-c", look, check=True).stdout.splitlines()
    assert fields == "[(1, '2'), (2, 'x')] True"
    assert told.startswith("This m.Row is only a placeholder, an object of a class that has changed (--code captured has it as it was): ")
    notes = project.ckpt("run").stderr
    assert "note: rows[0] is a placeholder: AttributeError" in notes
    debug = ("debug", "--code", "captured")
    assert "(Pdb) Row(id=2, amount='x')" in processes.ckpt(*debug, cwd=project.path, stdin="p r\nq\n", environ=project.environ).stdout
