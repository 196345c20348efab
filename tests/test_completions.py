"""Completion in the real shells: commands, options, names of captures, and nothing else, whatever stands in a store."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from ckpt._cli.shells import FILES, SCRIPTS, offered
from ckpt._store.journal import encode

ROOT = Path(__file__).resolve().parent.parent
#: Names that a foreign store may hold, each of which would touch `X` if a shell ever evaluated it; and the like.
HOSTILE = (
    r"evil$(touch X)",
    r"evil\$(touch X)",
    "evil`touch X`",
    r"evil\`touch X\`",
    "evil'; touch X; '",
    'evil"; touch X; "',
    r"evil\";touch${IFS}X;\"",
    "evil)) ; touch X ; ((",
    "evil:$(touch X)",
    "evil;touch X",
    "evil\ntouch X",
    "evil\x1b[31m",
    "evil*",
    "evil/../X",
    "-evil",
    "evil\ud800",
    "evil\u202e",
    "e" * 200,
)
SAFE = ("mean", "Class.method", "größe", "a=1+2@home-x")


def event(**body: Any) -> bytes:
    at = 0 if "parts" in body else None
    return encode(json.dumps(body, separators=(",", ":")).encode(), at, "")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a store that somebody else has filled, and the command `ckpt` in `bin`."""
    place = tmp_path_factory.mktemp("place")
    journals = place / ".pyckpt" / "journals"
    journals.mkdir(parents=True)
    (place / ".pyckpt").chmod(0o700)
    lines = [event(event="opened", format=1, host="h", boot="", pid=1, user="u", time=1.0, python="3.13.0", ckpt="0")]
    for number, name in enumerate((*SAFE, *HOSTILE)):
        call = {"id": f"{number:016x}", "name": name, "module": "m", "qualname": name, "time": 2.0 + number, "keep": 10, "tags": []}
        failed = call | {"exception": "E: $(touch X) secret", "process": "", "buffers": [], "stream": None, "sources": [], "parts": []}
        lines.append(event(event="failed", **failed))
    (journals / "20260101T000000-h-1-aa.jsonl").write_bytes(b"".join(lines))
    (journals / "20260101T000000-h-1-aa.bin").touch()
    (place / "bin").mkdir()
    launcher = place / "bin" / "ckpt"
    launcher.write_text(f"#!{sys.executable}\nimport sys\nfrom ckpt.__main__ import main\nsys.exit(main())\n")
    launcher.chmod(0o755)
    return place


def environment(place: Path, **extra: str) -> dict[str, str]:
    inherited = {key: text for key, text in os.environ.items() if not key.startswith(("PYCKPT", "_CKPT", "XDG_", "LC_", "PYTEST"))}
    own = {"HOME": str(place), "PYTHONPATH": str(ROOT), "PATH": f"{place / 'bin'}{os.pathsep}{inherited['PATH']}", "LANG": "C.UTF-8"}
    return inherited | own | extra


def needed(shell: str) -> str:
    """Return the path of a shell; skip the test where there is none."""
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed here")
    return path


@pytest.mark.smoke
@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_scripts_are_what_the_program_generates(place: Path, shell: str) -> None:
    """`completions/` holds what `_CKPT_COMPLETE=source_SHELL ckpt` prints."""
    command = [sys.executable, "-m", "ckpt"]
    asked = environment(place, _CKPT_COMPLETE=f"source_{shell}")
    printed = subprocess.run(command, env=asked, capture_output=True, check=True).stdout.decode()
    assert (ROOT / "completions" / FILES[shell]).read_text(encoding="utf-8") == printed, "write it anew: python tests/test_completions.py"


def test_names_are_checked_where_they_are_handed_out() -> None:
    """A store passes over hostile names by itself; even if it listed them, none would be offered."""
    assert offered([*HOSTILE, *SAFE, *SAFE], "") == [*SAFE]
    assert offered(HOSTILE, "evil") == []


@pytest.mark.smoke
@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_program_offers_safe_names_only(place: Path, shell: str) -> None:
    """What the shells are given holds the safe names, and nothing of hostile names and messages."""
    asked = {
        "_CKPT_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "ckpt\nshow\n",
        "COMP_CWORD": "2",
        "_TYPER_COMPLETE_ARGS": "ckpt show ",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = subprocess.run(
        [sys.executable, "-m", "ckpt"], cwd=place, env=environment(place, **asked), capture_output=True, text=True, check=False
    )
    assert all(name in done.stdout for name in SAFE)
    assert not re.search(r"evil|touch|secret|\x1b", done.stdout)
    assert done.stderr == ""


def test_a_broken_store_offers_nothing(place: Path, tmp_path: Path) -> None:
    """Where the store cannot be read, completion is silent."""
    (tmp_path / "file").touch()
    asked = environment(place, _CKPT_COMPLETE="complete_bash", COMP_WORDS="ckpt\n--ckpt-dir\nfile\nshow\n", COMP_CWORD="4")
    done = subprocess.run([sys.executable, "-m", "ckpt"], cwd=tmp_path, env=asked, capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == "\n"


class Shell:
    """An interactive shell in a terminal, with the script of `completions/` loaded as its users load it."""

    def __init__(self, place: Path, path: str, arguments: list[str], setup: list[str]) -> None:
        terminal = environment(place, TERM="dumb", PS1="ready> ", PROMPT="ready> ", INPUTRC="/dev/null")
        self.child = pexpect.spawn(path, arguments, cwd=str(place), env=terminal, dimensions=(50, 160), encoding="utf-8", timeout=20)
        for line in setup:
            self.child.sendline(line)
        self.child.sendline("echo be''gin")
        self.child.expect("begin\r\n")

    def offered(self, line: str, *expected: str) -> str:
        """Type `line` and TAB; return what has been shown when all of `expected` is, and give the line up."""
        self.child.send(f"{line}\t")
        shown = ""
        while missing := [text for text in expected if text not in shown]:
            self.child.expect([re.escape(text) for text in missing])
            shown += self.child.before + self.child.after
        self.child.send("\x15")
        self.child.sendline("echo en''d")
        self.child.expect("end\r\n")
        return shown + str(self.child.before)

    def close(self) -> None:
        self.child.close(force=True)


@pytest.fixture
def bash(place: Path) -> Iterator[Shell]:
    script = ROOT / "completions" / FILES["bash"]
    shell = Shell(
        place, needed("bash"), ["--norc", "-i"], ["bind 'set bell-style none'", "bind 'set show-all-if-ambiguous on'", f"source {script}"]
    )
    yield shell
    shell.close()


@pytest.fixture
def zsh(place: Path) -> Iterator[Shell]:
    setup = [
        f"fpath=({ROOT / 'completions'} $fpath)",
        "autoload -Uz compinit && compinit -u -D",
        "setopt no_beep no_auto_menu no_always_last_prompt",
    ]
    shell = Shell(place, needed("zsh"), ["-f", "-i"], setup)
    yield shell
    shell.close()


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shells_complete(shell: str, place: Path, request: pytest.FixtureRequest) -> None:
    """Commands, options, their values and safe names are offered, from the first TAB on; nothing else acts or appears."""
    opened: Shell = request.getfixturevalue(shell)
    opened.offered("ckpt sh", "shell", "show")
    opened.offered("ckpt debug --re", "--rerun")
    opened.offered("ckpt debug --debugger ", "ipdb", "pudb", "vscode")
    shown = opened.offered("ckpt show ", *SAFE)
    shown += opened.offered("ckpt run --json C", "Class.method")
    assert not re.search(r"evil|touch|secret", shown)
    assert not (place / "X").exists()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ckpt sh", ["shell", "show"]),
        ("ckpt debug --re", ["--rerun"]),
        ("ckpt debug --debugger p", ["pdb", "pudb"]),
        ("ckpt show C", ["Class.method"]),
        ("ckpt show ", sorted(SAFE)),
        ("ckpt show evil", []),
    ],
)
def test_fish_completes(place: Path, line: str, expected: list[str]) -> None:
    """In fish the same is offered, and nothing that stands in a store is run."""
    script = ROOT / "completions" / FILES["fish"]
    command = [needed("fish"), "--no-config", "-c", f"source {script}; complete -C '{line}'"]
    done = subprocess.run(command, cwd=place, env=environment(place), capture_output=True, text=True, encoding="utf-8", check=False)
    offered = sorted(candidate.partition("\t")[0] for candidate in done.stdout.splitlines())
    assert offered == expected
    assert not (place / "X").exists()


if __name__ == "__main__":
    for shell, text in SCRIPTS.items():
        (ROOT / "completions" / FILES[shell]).write_text(text, encoding="utf-8")
