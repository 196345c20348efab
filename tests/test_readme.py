"""README.md and the pages under docs/ do what they say: their code blocks run in order, in real processes, and print what stands there.

A block of `console` holds commands after `$ ` and what they print; lines after `ipdb> ` or `In [1]: ` are typed into the command above.
`...` stands for anything; ids, times, durations, sizes and process numbers may differ. A block of `python` that begins with `# name.py` is
that file; another one runs as it is. A block of `diff` is the edit that the reader makes. `design.md` is for readers of the code, and
`commands.md` is what the program prints, compared elsewhere.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted(page for page in (ROOT / "docs").glob("*.md") if page.name not in {"commands.md", "design.md"})]

TYPED = re.compile(r"^(?:ipdb> |\(Pdb\) |In \[\d+\]: )", re.MULTILINE)
#: What is different each time, as it looks on a page, and what it may be in what is printed.
CHANGING = {
    r"\n?^ *\.\.\.$\n?": r"(?s:.*?)",
    r"\.\.\.": r".*?",
    r"\b[0-9a-f]{16}\b": r"[0-9a-f]{16}",
    r"\b[0-9a-f]{8}\b": r"[0-9a-f]{8}",
    r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    r"\b[\d.]+ (?:us|ms|s|min)\b": r"[\d.e+]+ (?:us|ms|s|min)",
    r"\b[\d.]+ (?:bytes|kB|MB)\b": r"[\d.]+ (?:bytes|kB|MB)",
    r"\bPython 3\.\d+\.\d+\b": r"Python 3\.\S+",
    r"\bpid \d+  \S+": r"pid \d+  \S+",
    r" {2,}": r" +",
}
CHANGES = re.compile("|".join(f"({pattern})" for pattern in CHANGING), re.MULTILINE)


@dataclass
class Machine:
    """A reader's machine: a home, a clone with the examples in it, and `python` and `ckpt` on the PATH."""

    home: Path
    clone: Path = field(init=False)

    def __post_init__(self) -> None:
        self.clone = self.home / "ckpt"
        shutil.copytree(ROOT / "examples", self.clone / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        for name, arguments in {"python": "", "ckpt": "-m ckpt"}.items():
            command = self.home / "bin" / name
            command.parent.mkdir(exist_ok=True)
            command.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
            command.chmod(0o755)

    def environment(self) -> dict[str, str]:
        """Return the reader's environment: nothing of ckpt, of XDG or of a terminal in it."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYCKPT", "XDG_", "PYTEST", "COV_", "VIRTUAL_ENV"))}
        path = f"{self.home / 'bin'}{os.pathsep}{inherited['PATH']}"
        python = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "IPYTHONDIR": str(self.home / "ipython")}
        return inherited | python | {"PATH": path, "HOME": str(self.home), "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "140"}

    def run(self, command: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """Run one line of shell in the clone, with `typed` as its input; standard error goes where standard output goes."""
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.clone,
            env=self.environment(),
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    def written(self, text: str) -> str:
        """Return what was printed, with the paths as they are in the pages."""
        return (
            text.replace(os.path.realpath(self.clone), "/home/you/ckpt")
            .replace(str(self.clone), "/home/you/ckpt")
            .replace(str(self.home), "/home/you")
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def blocks(page: Path, *languages: str) -> list[tuple[str, str]]:
    """Return language and text of the fenced blocks of `page`, in order."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [(language, text) for language, text in found if not languages or language in languages]


def first_command() -> str:
    """Return the README's first command: install, run the example, look."""
    return blocks(README, "sh")[0][1].strip()


def as_pattern(expected: str) -> re.Pattern[str]:
    """Return a pattern for `expected` in which what changes from run to run may change."""
    alternatives = list(CHANGING.values())
    parts, end = [], 0
    for match in CHANGES.finditer(expected):
        parts += [re.escape(expected[end : match.start()]), alternatives[(match.lastindex or 1) - 1]]
        end = match.end()
    return re.compile("".join([*parts, re.escape(expected[end:])]))


def without_padding(text: str) -> str:
    """Return `text` without blanks at the ends of lines, and without empty lines at either end."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def check_console(machine: Machine, block: str) -> None:
    """Run the commands of a console block; each must print what follows it."""
    for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, rest = step.partition("\n")
        lines = rest.splitlines()
        typed = [TYPED.sub("", line) for line in lines if TYPED.match(line)]
        printed = machine.written(machine.run(command, "".join(f"{line}\n" for line in typed)).stdout)
        if typed:
            # What is typed is not echoed by a pipe, and prompts stand before the answers: compare answer by answer.
            check_answers(command, rest, printed)
        else:
            expected, actual = without_padding(rest), without_padding(printed)
            if not as_pattern(expected).fullmatch(actual):
                pytest.fail(f"$ {command}\nprinted\n{actual}\nand the page says\n{expected}", pytrace=False)


def check_answers(command: str, rest: str, printed: str) -> None:
    """Find the lines of a dialogue, other than those typed, in what was printed, in their order."""
    position, actual = 0, without_padding(printed)
    for line in without_padding(rest).splitlines():
        if TYPED.match(line) or line.strip() in {"", "..."}:
            continue
        found = as_pattern(line).search(actual, position)
        if not found:
            pytest.fail(f"$ {command}\nprinted\n{actual}\nand the page says\n{line}", pytrace=False)
        position = found.end()


def check_python(machine: Machine, block: str) -> None:
    """Write the block to the file that its first line names, or run it."""
    named = re.match(r"# (\S+\.py)\n", block)
    if named:
        (machine.clone / named[1]).parent.mkdir(parents=True, exist_ok=True)
        (machine.clone / named[1]).write_text(block, encoding="utf-8")
        return
    script = machine.clone / "block.py"
    script.write_text(block, encoding="utf-8")
    done = machine.run("python block.py")
    assert done.returncode == 0, f"{block}\nprinted\n{done.stdout}"


def edit(clone: Path, block: str) -> None:
    """Make the edit that a diff block shows: one line out, one line in."""
    name = re.search(r"^\+\+\+ (\S+)", block, re.MULTILINE)
    old = re.search(r"^-(?!--)(.*\n)", block, re.MULTILINE)
    new = re.search(r"^\+(?!\+\+)(.*\n)", block, re.MULTILINE)
    assert name
    assert old
    assert new
    text = (clone / name[1]).read_text(encoding="utf-8")
    assert text.count(old[1]) == 1, f"{name[1]} has not exactly one line {old[1]!r}"
    (clone / name[1]).write_text(text.replace(old[1], new[1]), encoding="utf-8")


def walk(machine: Machine, page: Path) -> None:
    """Do what a reader of `page` does, block by block."""
    for language, block in blocks(page):
        if language == "console":
            check_console(machine, block)
        elif language == "python":
            check_python(machine, block)
        elif language == "diff":
            edit(machine.clone, block)


@pytest.mark.smoke
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_blocks_do_what_the_page_says(page: Path, machine: Machine) -> None:
    """Every block of the page runs, after those before it, and prints what stands there."""
    if page == README:
        machine.run(first_command().partition("pip install -q -e . && ")[2])
    walk(machine, page)


def test_every_block_is_one_that_is_run() -> None:
    """A block in a language that nobody runs would drift unseen."""
    assert {language for page in PAGES for language, _ in blocks(page)} <= {"console", "diff", "python", "sh", "toml", "yaml"}


def test_the_pages_name_only_files_that_exist() -> None:
    """A relative link leads to a file of the repository."""
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.skipif("CI" not in os.environ, reason="installs from the package index")
@pytest.mark.timeout(300)
def test_a_fresh_clone_comes_to_fixed_with_the_first_command_and_one_edit(tmp_path: Path) -> None:
    """Without anything installed: one command to the failure, one line changed, and `ckpt run` says fixed."""
    clone, home = tmp_path / "clone", tmp_path / "home"
    home.mkdir()
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", ".pyckpt"))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYCKPT", "PYTHON", "XDG_", "VIRTUAL_ENV"))}

    def bash(command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=clone,
            env=kept | {"HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout

    shown = bash(first_command())
    assert "summarise" in shown
    assert "renault lecar deluxe" in shown
    edit(clone, blocks(README, "diff")[0][1])
    assert bash(". .venv/bin/activate && ckpt run summarise 2>&1 >/dev/null").splitlines()[-1].startswith("fixed")
