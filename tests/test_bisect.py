"""`git bisect run ckpt run NAME --bisect`, on a real history."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import processes
from tests.workplace import Project

SHOP = """import ckpt
import tools

@ckpt.ckpt
def price(n):
    return tools.divide(n)
"""
#: What `tools.py` is from commit to commit.
FAILS, BREAKS, OTHERWISE, WORKS = (
    "def divide(n):\n    return 1 // n\n",
    "def divide(n:\n",
    "def divide(n):\n    return {}[n]\n",
    "def divide(n):\n    return 1 // (n or 1)\n",
)
HISTORY = [FAILS] * 5 + [BREAKS] * 5 + [OTHERWISE] + [FAILS] * 3 + [WORKS] * 6
FIXED_IN = 14


@pytest.fixture
def history(home: Path, tmp_path: Path) -> Project:
    """A git repository with twenty commits, the call that failed at its first captured."""
    project = Project(tmp_path / "repository")
    project.write("shop.py", SHOP)
    project.write(".gitignore", "__pycache__\n.pyckpt\n")
    git(project, "init", "-q")
    for number, text in enumerate(HISTORY):
        project.write("tools.py", f"# {number}\n{text}")
        git(project, "add", "-A")
        git(project, "commit", "-q", "-m", str(number))
        if number == 0:
            project.call("import shop; shop.price(0)")
    return project


def git(project: Project, *arguments: str, check: bool = True) -> str:
    """Run git in the repository, as somebody."""
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "PYTHONDONTWRITEBYTECODE": ""}
    names = {f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environ = processes.environment(project.environ | own | names)
    command = ["git", "-c", "advice.detachedHead=false", *arguments]
    done = subprocess.run(command, cwd=project.path, env=environ, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_bisect_finds_the_commit_that_fixed_it(history: Project) -> None:
    """Of twenty commits, some of which cannot import and one of which fails otherwise, the one that made the call return is found."""
    git(history, "bisect", "start", "--term-old=broken", "--term-new=fixed")
    git(history, "bisect", "fixed", "HEAD")
    git(history, "bisect", "broken", "HEAD~19")
    # `git bisect run` takes 0 for old: the replay's answer is turned round.
    turned = f'"{sys.executable}" -m ckpt run price --bisect; code=$?; [ $code = 0 ] && exit 1; [ $code = 1 ] && exit 0; exit $code'
    told = git(history, "bisect", "run", "sh", "-c", turned)
    assert "is the first fixed commit" in told
    assert git(history, "show", "-s", "--format=%s", "refs/bisect/fixed").strip() == str(FIXED_IN)
    assert "refs/bisect/skip-" in git(history, "for-each-ref")


def test_bisect_finds_the_commit_that_broke_it(history: Project) -> None:
    """With `--bisect` as it is, exit code 0 is good and 1 is bad; what says nothing is passed over."""
    for number, text in enumerate((WORKS, BREAKS, WORKS, WORKS, FAILS, BREAKS, FAILS, FAILS)):
        history.write("tools.py", f"# {number}, again\n{text}")
        git(history, "commit", "-aqm", f"again {number}")
    git(history, "bisect", "start", "HEAD", "HEAD~8")
    told = git(history, "bisect", "run", sys.executable, "-m", "ckpt", "run", "price", "--bisect")
    assert "is the first bad commit" in told
    assert git(history, "show", "-s", "--format=%s", "refs/bisect/bad").strip() == "again 4"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (WORKS, 0),
        (FAILS, 1),
        (OTHERWISE, 125),
        (BREAKS, 125),
        ("def divide(n):\n    import time; time.sleep(60)\n", 125),
        ("import os\ndef divide(n):\n    os._exit(3)\n", 125),
    ],
    ids=["returns", "same failure", "different failure", "no import", "hangs", "dies"],
)
def test_the_exit_code_says_what_git_is_to_think(home: Path, tmp_path: Path, text: str, code: int) -> None:
    """0 where it returns, 1 for the same failure, 125 where the replay says nothing about it."""
    project = Project(tmp_path / "project")
    project.write("shop.py", SHOP)
    project.write("tools.py", FAILS)
    project.call("import shop; shop.price(0)")
    project.write("tools.py", text)
    # Only the call that hangs waits for its time; the one that dies needs no more than a process of its own.
    timeout = "3" if "sleep" in text else "60"
    assert project.ckpt("run", "price", "--bisect", "--timeout", timeout).returncode == code


def test_a_new_failure_is_bad(home: Path, tmp_path: Path) -> None:
    """For a call that returned, the commit at which it raises is the one that broke it."""
    project = Project(tmp_path / "project")
    project.write("shop.py", SHOP)
    project.write("tools.py", WORKS)
    project.call("import shop; shop.price(0)")
    project.write("tools.py", FAILS)
    assert project.ckpt("run", "price", "--bisect").returncode == 1


@pytest.mark.parametrize(
    "arguments", [["nothing"], ["price", "--set", "x=1"], ["price", "--set", "x=1", "--timeout", "60"], ["price", "--set", "n"]]
)
def test_a_mistake_stops_the_search(home: Path, tmp_path: Path, arguments: list[str]) -> None:
    """What is wrong with the command itself is an exit code that ends `git bisect run`, and no answer about a commit."""
    project = Project(tmp_path / "project")
    project.write("shop.py", SHOP)
    project.write("tools.py", FAILS)
    project.call("import shop; shop.price(0)")
    assert project.ckpt("run", "--bisect", *arguments).returncode == 128
