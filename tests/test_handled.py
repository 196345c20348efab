"""Replays of exceptions that the program handles itself, with `capture_exception` in the `except` block."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.workplace import Project, last

ETL = """
import ckpt

def parse_all(rows):
    good = []
    for row in rows:
        try:
            good.append(float(row["price"]))
        except Exception:
            ckpt.capture_exception()
    return good

if __name__ == "__main__":
    print(parse_all([{"price": "1.5"}, {"price": "n/a"}]))
"""
PARSE = 'float(row["price"])'
SAME = r"same failure: it handles ValueError: could not convert string to float: 'n/a', as it did then( \[[\d.]+ [mu]s\])?"


@pytest.fixture
def etl(home: Path, tmp_path: Path) -> Project:
    """A script that has handled one exception, which is captured."""
    project = Project(tmp_path / "project")
    project.write("etl.py", ETL)
    assert project.python("etl.py").stdout == "[1.5]\n"
    return project


def test_what_is_handled_again_is_the_same_failure(etl: Project) -> None:
    """The call returned then, too: only that the exception is not handled any more says that it is fixed."""
    done = etl.ckpt("run")
    assert (done.returncode, done.stdout) == (1, "[1.5]\n")
    assert re.fullmatch(SAME, last(done))
    assert "@ckpt is gone" not in done.stderr
    assert etl.ckpt("run", PYCKPT_DISABLE="1").returncode == 1


@pytest.mark.parametrize("options", [("--bisect",), ("--all",), ("--timeout", "60"), ("--code", "captured")])
def test_every_kind_of_replay_sees_what_is_handled_again(etl: Project, options: tuple[str, ...]) -> None:
    """In a process of its own too, and for `git bisect` it is the commit's failure."""
    done = etl.ckpt("run", "parse_all", *options)
    assert done.returncode == 1
    assert "same failure" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("new", "code", "bisect", "line"),
    [
        ('float(row["price"].replace("n/a", "nan"))', 0, 0, "fixed: it handled ValueError: .* then, and does not now"),
        ("next(iter([]))", 0, 0, "fixed: it handled ValueError: .* then, and does not now; it handles StopIteration"),
        ("exit(3)", 1, 125, "different failure: ValueError then, SystemExit now: 3"),
    ],
)
def test_what_is_not_handled_again_is_fixed_when_the_call_returns(etl: Project, new: str, code: int, bisect: int, line: str) -> None:
    """Another exception that is handled is said; one that leaves the call is compared as ever."""
    etl.edit("etl.py", PARSE, new)
    done = etl.ckpt("run")
    assert done.returncode == code
    assert re.fullmatch(rf"{line}( \[[\d.]+ [mu]s\])?", last(done))
    assert etl.ckpt("run", "--bisect").returncode == bisect


def test_a_placeholder_that_the_call_handles_says_nothing(home: Path, tmp_path: Path) -> None:
    """An `except` block takes the error of a placeholder for one of its own; the verdict does not."""
    project = Project(tmp_path / "project")
    project.write("etl.py", ETL.replace('{"price": "n/a"}', '{"price": "n/a", "lock": __import__("threading").Lock()}'))
    project.python("etl.py", check=True)
    project.edit("etl.py", PARSE, '"lock" in row and row["lock"].acquire()')
    done = project.ckpt("run")
    assert last(done).startswith("cannot replay: This _thread.lock is only a placeholder")
    assert done.returncode == 1


def test_a_replay_in_python_sees_what_is_handled_and_records_nothing(etl: Project) -> None:
    """The verdict of `Capture.replay` is that of the command."""
    done = etl.python("-c", "import ckpt; print(ckpt.load('parse_all').replay().verdict, len(ckpt.captures()))", check=True)
    assert done.stdout == "same failure 1\n"


def test_a_test_of_what_was_handled_fails_until_it_is_mended(etl: Project) -> None:
    """The written test passes when the exception is not handled any more, from any directory."""
    done = etl.ckpt("test", "parse_all", "-o", "tests/test_it.py")
    assert done.returncode == 0
    run = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_it.py")
    failed = etl.python(*run)
    assert failed.returncode == 1
    assert "could not convert string to float: 'n/a'" in failed.stdout
    etl.edit("etl.py", PARSE, 'float(row["price"].replace("n/a", "nan"))')
    assert etl.python(*run, PYCKPT_DISABLE="1").returncode == 0


def test_a_test_may_expect_that_the_exception_is_handled_again(etl: Project) -> None:
    """`--expect-failure` turns the test round."""
    etl.ckpt("test", "parse_all", "-o", "test_it.py", "--expect-failure")
    run = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py")
    assert etl.python(*run).returncode == 0
    etl.edit("etl.py", PARSE, "0")
    assert etl.python(*run).returncode == 1


def test_a_test_takes_other_values_for_the_arguments(etl: Project) -> None:
    """`--set` gives them."""
    etl.ckpt("test", "parse_all", "-o", "test_it.py", "--set", "rows=[{'price': '2'}]")
    assert etl.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py").returncode == 0


def test_a_debugger_has_nothing_to_stop_at_when_the_exception_is_handled(etl: Project) -> None:
    """The call returns under the debugger, too; the verdict says what it handled."""
    done = etl.ckpt("debug", "--rerun")
    assert (done.returncode, done.stdout) == (1, "[1.5]\n")
    assert re.fullmatch(SAME, last(done))
