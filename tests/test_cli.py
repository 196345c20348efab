"""The commands, as a person meets them: real processes, real stores, both spellings."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pexpect
import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "commands.md"
COMMANDS = (
    "init",
    "info",
    "show",
    "run",
    "shell",
    "debug",
    "diff",
    "sources",
    "test",
    "plan",
    "graph",
    "clear",
    "check",
    "export",
    "import",
    "trust",
    "index",
    "snapshot",
)
#: Commands of a group, with its name.
SUBCOMMANDS = tuple(f"snapshot {name}" for name in ("create", "show", "run", "make-pyz", "from"))
NEWEST_TYPER = (0, 29)

JOB = r'''
import os
import sys
import threading
import time

import ckpt


@ckpt.ckpt
def mean(rows, scale=1):
    """The mean of some rows."""
    total = 0
    for row in rows:
        total += value(row) * scale
    print("mean is done")
    return {"mean": total / len(rows)}


def value(row):
    field = row["v"]
    try:
        return int(field)
    except ValueError as err:
        raise TypeError(f"bad \x1b[31m[bold]{field}") from err


@ckpt.ckpt(active=False)
def quiet(number):
    return 1 / number


@ckpt.ckpt
def dies(code):
    os._exit(code)


@ckpt.ckpt
def locked(lock):
    with lock:
        raise OSError("no")


@ckpt.ckpt
def slow(seconds):
    print("sleeping", flush=True)
    time.sleep(seconds)


@ckpt.ckpt
def hooked():
    return sys.excepthook is sys.__excepthook__


def attempt(function, *arguments):
    try:
        function(*arguments)
    except Exception:
        pass


if __name__ == "__main__":
    mean([{"v": 1}, {"v": 2}])
    attempt(quiet, 0)
    attempt(mean, [{"v": "1"}, {"v": "x"}])
'''


@dataclass
class Done:
    """What a process printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line on standard error."""
        return self.err.rstrip("\n").rpartition("\n")[2]


@dataclass
class Person:
    """Somebody with a home, a project with `job.py` in it, and the command `ckpt`."""

    home: Path

    @property
    def project(self) -> Path:
        return self.home / "project"

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        inherited = {key: text for key, text in os.environ.items() if not key.startswith(("PYCKPT", "_CKPT", "XDG_", "PYTEST", "COV_"))}
        own = {"HOME": str(self.home), "IPYTHONDIR": str(self.home / "ipython"), "PYTHONPATH": str(ROOT), "TERM": "dumb"}
        return inherited | own | {"PATH": f"{self.home / 'bin'}{os.pathsep}{inherited['PATH']}"} | dict(extra or {})

    def ckpt(self, *arguments: str, typed: str = "", cwd: Path | None = None, **environment: str) -> Done:
        """Run `ckpt` with these arguments, and with `typed` on its standard input."""
        return self.python("-m", "ckpt", *arguments, typed=typed, cwd=cwd, **environment)

    def python(self, *arguments: str, typed: str = "", cwd: Path | None = None, **environment: str) -> Done:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd or self.project,
            env=self.environment(environment),
            input=typed,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=120,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def captures(self, *arguments: str) -> list[dict[str, Any]]:
        """Return what `ckpt info --json` lists."""
        listed: list[dict[str, Any]] = json.loads(self.ckpt("info", "--json", *arguments).out)["captures"]
        return listed

    def call(self, statement: str) -> Done:
        """Run a statement of the project in a process of its own."""
        return self.python("-c", f"from job import *\n{statement}")


def settle(home: Path) -> Person:
    """Return a person with a project and an empty store."""
    person = Person(home)
    person.project.mkdir(parents=True)
    (person.project / "job.py").write_text(JOB)
    (home / "bin").mkdir()
    # What pip writes for the entry point.
    launcher = home / "bin" / "ckpt"
    launcher.write_text(f"#!{sys.executable}\nimport sys\nfrom ckpt.__main__ import main\nsys.exit(main())\n")
    launcher.chmod(0o755)
    assert person.ckpt("init").code == 0
    return person


@pytest.fixture(scope="module")
def looker(tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Somebody who only looks: the store holds a returned call, a failure of `quiet`, and a failure of `mean`."""
    person = settle(tmp_path_factory.mktemp("looker"))
    assert person.python("job.py").code == 0
    return person


@pytest.fixture
def person(tmp_path: Path) -> Person:
    """Somebody with a project and a store like that, who may change both."""
    person = settle(tmp_path / "home")
    assert person.python("job.py").code == 0
    return person


def tree(path: Path) -> dict[str, tuple[int, int]]:
    return {str(entry): (entry.lstat().st_size, entry.lstat().st_mtime_ns) for entry in sorted(path.rglob("*"))}


# Help, versions, spellings


@pytest.mark.smoke
def test_both_spellings_are_the_same_command(looker: Person) -> None:
    """`ckpt` and `python -m ckpt` print the same and end with the same code."""
    for arguments in (["--help"], ["--version"], ["info", "--json"], ["info", "--wrong"]):
        spelt = looker.ckpt(*arguments)
        launched = looker.python(str(looker.home / "bin" / "ckpt"), *arguments)
        assert (launched.code, launched.out, launched.err) == (spelt.code, spelt.out, spelt.err)
    assert looker.ckpt("--version").out.startswith("ckpt ")


@pytest.mark.smoke
@pytest.mark.parametrize("command", [*COMMANDS, *SUBCOMMANDS])
def test_help_is_everywhere(looker: Person, tmp_path: Path, command: str) -> None:
    """Every command explains itself, without a store, and makes nothing."""
    done = looker.ckpt(*command.split(), "--help", cwd=tmp_path, HOME=str(tmp_path))
    assert done.code == 0
    assert done.out.startswith(f"Usage: ckpt {command}")
    assert list(tmp_path.iterdir()) == []


def test_without_a_command_there_is_help(looker: Person) -> None:
    """`ckpt` alone lists the commands, and that is wrong usage."""
    done = looker.ckpt()
    assert done.code == 2
    assert all(f"\n  {command} " in done.out + done.err for command in COMMANDS)


def generated() -> str:
    """Return the page that `docs/commands.md` is to be."""
    environment = os.environ | {"COLUMNS": "100", "PYTHONPATH": str(ROOT), "TERM": "dumb"}

    def told(*arguments: str) -> str:
        command = [sys.executable, "-m", "ckpt", *arguments, "--help"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    pages = [f"## ckpt {command}\n\n```text\n{told(*command.split())}\n```\n" for command in (*COMMANDS, *SUBCOMMANDS)]
    head = "# Commands\n\nWhat `ckpt --help` and `ckpt COMMAND --help` say; [usage.md](usage.md) shows them at work.\n"
    return "\n".join([head, f"```text\n{told()}\n```\n", *pages])


def test_the_page_of_commands_is_what_help_says() -> None:
    """`docs/commands.md` is made from `--help`."""
    if tuple(map(int, version("typer").split(".")[:2])) < NEWEST_TYPER:
        pytest.skip("older versions of Typer lay help out in another way")
    assert PAGE.read_text(encoding="utf-8") == generated(), "write it anew: python tests/test_cli.py"


# Looking


def test_info_without_a_store_says_what_to_do(looker: Person, tmp_path: Path) -> None:
    """Where there is no store, `info` names the place and the next step, and makes nothing."""
    done = looker.ckpt("info", cwd=tmp_path, HOME=str(tmp_path))
    assert done.code == 0
    found = "found by XDG: there is no .pyckpt from here upwards"
    assert done.out.startswith(f"{tmp_path}/.local/state/pyckpt  ({found}; 0 captures, 0 bytes)")
    assert "ckpt init" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_is_not_there_costs_nothing(looker: Person, tmp_path: Path) -> None:
    """Without a home directory captures lie in a temporary one, `info` says why, and they open as anybody's own do."""
    (tmp_path / "temporary").mkdir()
    (tmp_path / "job.py").write_text(JOB)
    environ = {"HOME": "/no/such", "TMPDIR": str(tmp_path / "temporary")}
    looker.python("-c", "from job import *\nattempt(quiet, 0)", cwd=tmp_path, **environ)
    done = looker.ckpt("info", cwd=tmp_path, **environ)
    place = tmp_path / "temporary" / f"pyckpt-{os.getuid()}" / "pyckpt"
    assert done.out.startswith(f"{place}  (temporary: there is no home directory '/no/such'; 1 capture, ")
    assert looker.ckpt("run", cwd=tmp_path, **environ).last.startswith("same failure: ")


@pytest.mark.parametrize("by_option", [True, False])
def test_a_store_that_is_named_is_the_one_that_init_makes(looker: Person, tmp_path: Path, by_option: bool) -> None:
    """Where the store that was named is not there yet, the hint makes that one, not `.pyckpt` here."""
    options, environ = (["--ckpt-dir", "a b"], {}) if by_option else ([], {"PYCKPT_DIR": "a b"})
    done = looker.ckpt(*options, "info", cwd=tmp_path, **environ)
    assert done.err == f"{tmp_path}/a b is not there yet; the first capture makes it, or: ckpt --ckpt-dir '{tmp_path}/a b' init\n"
    command = shlex.split(done.err.partition("ckpt --")[2])
    looker.ckpt(f"--{command[0]}", *command[1:], cwd=tmp_path, **environ)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a b"]


@pytest.mark.parametrize("command", [["info"], ["run"], ["run", "--all"], ["show"]], ids=" ".join)
def test_a_project_that_is_named_as_the_store_is_told(looker: Person, command: list[str]) -> None:
    """Whoever names the directory around `.pyckpt` is told of the store in it."""
    done = looker.ckpt("--ckpt-dir", str(looker.project), *command)
    assert done.err.splitlines()[-1] == f"hint: ckpt --ckpt-dir {looker.project}/.pyckpt info"


def test_info_of_an_empty_store_says_what_to_do(looker: Person, tmp_path: Path) -> None:
    """Where nothing was captured yet, `info` says how to."""
    looker.ckpt("init", cwd=tmp_path)
    done = looker.ckpt("info", cwd=tmp_path)
    assert done.code == 0
    assert "(found by search; 0 captures, " in done.out
    assert "@ckpt.ckpt" in done.err


@pytest.mark.smoke
def test_info_lists_by_time_of_entry(looker: Person) -> None:
    """One plain line for each capture, oldest first: id, name, status, time, age, duration, and how it ended."""
    done = looker.ckpt("info")
    store, head, *lines = done.out.splitlines()
    assert done.err == ""
    assert store.startswith(f"{looker.project}/.pyckpt  (found by search; 3 captures, ")
    assert head.split() == ["id", "name", "status", "when", "age", "duration", "exception", "or", "returned"]
    assert [line.split()[1:3] for line in lines] == [["mean", "returned"], ["quiet", "failed"], ["mean", "failed"]]
    assert lines[0].endswith("-> dict (1) = {'mean': 1.5}")
    assert lines[2].endswith(r"TypeError: bad \x1b[31m[bold]x")
    assert re.search(r" \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  +\d+ (s|min) ago  ", lines[1])


@pytest.mark.parametrize(("how", "option", "variable"), [("--ckpt-dir", True, False), ("PYCKPT_DIR", False, True)])
def test_info_says_how_the_store_was_found(looker: Person, tmp_path: Path, how: str, option: bool, variable: bool) -> None:
    """A store that the option or the variable gives is used from anywhere, and `info` says which gave it."""
    store = str(looker.project / ".pyckpt")
    environment = {"PYCKPT_DIR": store} if variable else {}
    done = looker.ckpt(*(["--ckpt-dir", store] if option else []), "info", cwd=tmp_path, **environment)
    assert done.out.startswith(f"{store}  (given by {how}; 3 captures, ")


def test_info_as_json(looker: Person) -> None:
    """`info --json` gives the store, how it was found, and the headers."""
    done = looker.ckpt("info", "--json")
    listed = json.loads(done.out)
    assert done.err == ""
    assert (listed["store"], listed["found_by"]) == (str(looker.project / ".pyckpt"), "search")
    assert [(one["name"], one["status"]) for one in listed["captures"]] == [("mean", "returned"), ("quiet", "failed"), ("mean", "failed")]
    assert listed["captures"][1]["exception"] == "ZeroDivisionError: division by zero"


def test_info_of_a_name_and_the_newest(looker: Person) -> None:
    """A name lists every match, `-n` only the newest; an id and `name~N` list one."""
    everything = looker.captures()
    assert looker.captures("mean") == [everything[0], everything[2]]
    assert looker.captures("__main__.mean") == [everything[0], everything[2]]
    assert looker.captures("-n", "1") == everything[2:]
    assert looker.captures("mean", "-n", "1") == everything[2:]
    assert looker.captures("-n", "0") == []
    assert looker.captures("mean~1") == everything[:1]
    assert looker.captures(everything[1]["id"][:8]) == everything[1:2]


def test_both_ways_to_info_are_one(looker: Person) -> None:
    """The quick way, which does without Typer, and Typer's give the same."""
    quick = looker.ckpt("info", "mean", "-n", "1", "--json")
    slow = looker.ckpt("--ckpt-dir", str(looker.project / ".pyckpt"), "info", "-n1", "--json", "--", "mean")
    assert json.loads(quick.out)["captures"] == json.loads(slow.out)["captures"]


@pytest.mark.parametrize("command", ["info", "show", "run", "shell", "debug", "clear"])
def test_a_wrong_name_gets_the_nearest(looker: Person, command: str) -> None:
    """A name that nothing has is one line on standard error, and a hint with the nearest one."""
    done = looker.ckpt(command, "maen")
    assert (done.code, done.out) == (1, "")
    error, hint = done.err.splitlines()
    assert error.startswith("error: No capture is named 'maen'")
    assert "'mean'" in error
    assert hint == "hint: ckpt info mean"


def test_show_is_the_traceback_with_variables(looker: Person) -> None:
    """`show` without a name shows the newest failure: cause first, each frame with source line and variables."""
    done = looker.ckpt("show")
    assert done.err == ""
    head, place, *lines = done.out.splitlines()
    assert head.startswith("mean  failed after ")
    assert place.startswith("__main__.mean  Python 3.")
    assert [line for line in lines if not line.strip().startswith("^")] == [
        "",
        "Traceback (most recent call last):",
        f'  File "{looker.project}/job.py", line 23, in value',
        "    return int(field)",
        "      row: dict (1) = {'v': 'x'}",
        "      field: str (1) = 'x'",
        "ValueError: invalid literal for int() with base 10: 'x'",
        "",
        "The above exception was the direct cause of the following exception:",
        "",
        "Traceback (most recent call last):",
        f'  File "{looker.project}/job.py", line 15, in mean',
        "    total += value(row) * scale",
        "      rows: list (2) = [{'v': '1'}, {'v': 'x'}]",
        "      scale: int = 1",
        "      total: int = 1",
        "      row: dict (1) = {'v': 'x'}",
        f'  File "{looker.project}/job.py", line 25, in value',
        r'    raise TypeError(f"bad \x1b[31m[bold]{field}") from err',
        "      row: dict (1) = {'v': 'x'}",
        "      field: str (1) = 'x'",
        r"TypeError: bad \x1b[31m[bold]x",
    ]


def test_show_of_a_call_that_returned(looker: Person) -> None:
    """Without a failure `show` shows the arguments at entry and what was returned."""
    lines = looker.ckpt("show", "mean~1").out.splitlines()
    assert lines[3:] == [
        "Called with:",
        "  rows: list (2) = [{'v': 1}, {'v': 2}]",
        "  scale: int = 1",
        "",
        "Returned: dict (1) = {'mean': 1.5}",
    ]


def test_show_as_json(looker: Person) -> None:
    """`show --json` is the header, the process, and the manifests of entry and failure."""
    shown = json.loads(looker.ckpt("show", "--json").out)
    assert shown["name"] == "mean"
    assert shown["entry"]["arguments"][0]["name"] == "rows"
    assert [raised["type"] for raised in shown["failure"]["exceptions"]] == ["TypeError", "ValueError"]
    assert shown["process"]["cwd"] == str(looker.project)


#: Runs a command and prints what was loaded and unpickled meanwhile.
WATCH = """
import sys
seen = []
sys.addaudithook(lambda event, _: seen.append(event) if event == "pickle.find_class" else None)
from ckpt._cli.app import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(*seen, *sys.modules, sep="\\n", file=sys.stderr)
"""
OPENING = {"dill", "cloudpickle", "IPython", "ipdb", "pdb", "job", "ckpt._model.codec", "ckpt._model.loading", "pickle.find_class"}


@pytest.mark.parametrize(
    "arguments", [["info"], ["info", "mean", "--json"], ["info", "--json", "-n1"], ["show"], ["show", "--json"], ["check"], ["--help"]]
)
def test_looking_loads_nothing(looker: Person, arguments: list[str]) -> None:
    """Looking commands import no pickler, no debugger and nothing of the user's, unpickle nothing, and change nothing."""
    before = tree(looker.project)
    done = looker.python("-c", WATCH, *arguments)
    loaded = set(done.err.splitlines())
    assert "ckpt._cli.app" in loaded
    assert loaded & OPENING == set()
    assert [name for name in loaded if name.startswith(("ckpt._replaying", "ckpt._recording"))] == []
    assert tree(looker.project) == before


def test_completion_loads_nothing(looker: Person) -> None:
    """Completing a name is looking too."""
    done = looker.python("-c", WATCH, _CKPT_COMPLETE="complete_bash", COMP_WORDS="ckpt\nshow\n", COMP_CWORD="2")
    assert done.out.split() == ["mean", "quiet"]
    assert set(done.err.splitlines()) & OPENING == set()


def test_info_does_without_typer(looker: Person) -> None:
    """A plain list in a pipe loads neither Typer nor rich."""
    done = looker.python("-c", WATCH, "info")
    assert [name for name in done.err.splitlines() if name.partition(".")[0] in {"typer", "click", "rich", "pydantic"}] == []


@pytest.mark.parametrize("name", ["grp", "json", "typer", "rich"])
def test_files_in_the_working_directory_are_not_run(looker: Person, tmp_path: Path, name: str) -> None:
    """Looking from a directory with a file named like a module that ckpt needs does not run that file."""
    (tmp_path / f"{name}.py").write_text("raise SystemExit('this file was run')")
    for command in ("info", "show", "--version"):
        done = looker.ckpt("--ckpt-dir", str(looker.project / ".pyckpt"), command, cwd=tmp_path)
        assert (done.code, done.err) == (0, "")


def test_a_lost_source_costs_only_its_lines(person: Person) -> None:
    """`show` works without the kept source texts, and `check` names what is missing."""
    assert person.ckpt("check").code == 0
    for text in (person.project / ".pyckpt" / "objects").glob("t-*"):
        text.unlink()
    shown = person.ckpt("show")
    assert shown.code == 0
    assert "      field: str (1) = 'x'" in shown.out.splitlines()
    assert "return int(field)" not in shown.out
    checked = person.ckpt("check")
    assert checked.code == 1
    assert checked.out != ""
    assert "finding" in checked.err


def test_a_damaged_store_is_listed_as_far_as_it_goes(person: Person) -> None:
    """A journal with a broken line lists the rest, and `check` names file and offset."""
    journal = min((person.project / ".pyckpt" / "journals").glob("*.jsonl"))
    data = journal.read_bytes().replace(b'"name":"quiet"', b'"name":"quiXt"')
    journal.write_bytes(data)
    assert [one["name"] for one in person.captures()] == ["mean", "mean"]
    checked = person.ckpt("check")
    assert checked.code == 1
    assert f"{journal}, byte " in checked.out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_will_do(person: Person, encoding: str) -> None:
    """Text that the stream cannot say is escaped; nothing raises."""
    person.call('attempt(quiet, "é数\\ud800")')
    for command in (["info"], ["show"], ["run"]):
        done = person.ckpt(*command, PYTHONIOENCODING=f"{encoding}:strict")
        assert 'Traceback (most recent call last):\n  File "<frozen' not in done.err
        assert done.code == (1 if command == ["run"] else 0)


def test_a_closed_pipe_is_quiet(looker: Person) -> None:
    """A reader that goes away (`ckpt show | head -1`) is not told about."""
    command = f"{sys.executable} -m ckpt show 2>err | true; {sys.executable} -m ckpt info 2>>err | true; cat err"
    done = subprocess.run(["sh", "-c", command], cwd=looker.project, env=looker.environment(), capture_output=True, text=True, check=True)
    (looker.project / "err").unlink()
    assert done.stdout == ""


def test_a_store_that_is_passed_over_is_told(looker: Person, tmp_path: Path) -> None:
    """A `.pyckpt` reached through a link is not used, and standard error says so."""
    (tmp_path / ".pyckpt").symlink_to(looker.project / ".pyckpt")
    done = looker.ckpt("info", cwd=tmp_path)
    assert "found by XDG" in done.out
    assert done.err.startswith("warning: The store ")


# A terminal


def on_terminal(person: Person, *arguments: str, **environment: str) -> str:
    """Return what `ckpt` prints on a terminal of 100 columns."""
    terminal: dict[str, str] = {"TERM": "xterm-256color", "COLUMNS": "100"}
    child = pexpect.spawn(
        sys.executable,
        ["-m", "ckpt", *arguments],
        cwd=str(person.project),
        env=person.environment(terminal | environment),
        dimensions=(40, 100),
        encoding="utf-8",
        timeout=60,
    )
    shown: str = child.read()
    return shown


def test_a_terminal_gets_colours_and_no_markup(looker: Person) -> None:
    """On a terminal the list is a table with coloured statuses; brackets and escapes of a message are text."""
    shown = on_terminal(looker, "info")
    assert re.search(r"\x1b\[[0-9;]*31mfailed", shown)
    assert r"TypeError: bad \x1b[31m[bo" in shown  # how much of it fits depends on how old the capture looks
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in shown.splitlines()[1:]) <= 100


def test_no_color_is_obeyed(looker: Person) -> None:
    """With `NO_COLOR` a terminal gets no colours."""
    for command in ("info", "show"):
        assert re.findall(r"\x1b\[[0-9;]*3\dm", on_terminal(looker, command, NO_COLOR="1")) == []


def test_a_simple_terminal_gets_plain_lines(looker: Person) -> None:
    """With `TERM=dumb` a terminal gets what a pipe gets."""
    shown = on_terminal(looker, "show", TERM="dumb")
    assert shown.replace("\r\n", "\n") == looker.ckpt("show").out


def test_clear_asks_on_a_terminal(person: Person) -> None:
    """On a terminal, deleting everything is asked about; `n` keeps it and `y` does it."""
    for answer, code, left in (("n", 1, 3), ("y", 0, 0)):
        child = pexpect.spawn(sys.executable, ["-m", "ckpt", "clear"], cwd=str(person.project), env=person.environment(), timeout=60)
        child.expect("Delete all 3 captures in .*y/N")
        child.sendline(answer)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == code
        assert len(person.captures()) == left


# Replaying


@pytest.mark.smoke
def test_run_tells_the_same_failure(looker: Person) -> None:
    """A replay that fails as before: traceback and verdict on standard error, nothing of ours in it, exit code 1."""
    done = looker.ckpt("run")
    assert done.code == 1
    assert done.last.startswith("same failure: TypeError: bad ")
    assert f'File "{looker.project}/job.py", line 15, in mean' in done.err
    assert "ckpt/_" not in done.err
    assert "\x1b" not in done.err
    assert done.out == ""


def test_run_tells_that_it_is_fixed(person: Person) -> None:
    """After the edit the replay returns: its repr is the last thing on standard output, `fixed` begins the last line of the other."""
    job = person.project / "job.py"
    job.write_text(job.read_text().replace("return int(field)", 'return int(field.replace("x", "3"))'))
    done = person.ckpt("run")
    assert done.code == 0
    assert done.last.startswith("fixed")
    assert done.out == "mean is done\n{'mean': 2.0}\n"


def test_run_of_a_call_that_returned(looker: Person) -> None:
    """A call that returned then and now still passes."""
    done = looker.ckpt("run", "mean~1")
    assert (done.code, done.out) == (0, "mean is done\n{'mean': 1.5}\n")
    assert done.last.startswith("still passes")


def test_run_as_json_prints_one_object(looker: Person) -> None:
    """With `--json` what the function prints goes to standard error, and one object to standard output."""
    passed = looker.ckpt("run", "mean~1", "--json")
    told = json.loads(passed.out)
    assert (passed.code, told["verdict"], told["repr"], told["exception"]) == (0, "still passes", "{'mean': 1.5}", None)
    assert "mean is done" in passed.err
    failed = looker.ckpt("run", "quiet", "--json")
    told = json.loads(failed.out)
    assert (failed.code, told["verdict"], told["repr"]) == (1, "same failure", None)
    assert told["exception"] == {"type": "ZeroDivisionError", "message": "division by zero"}


def test_run_of_what_cannot_be_replayed(person: Person) -> None:
    """A call whose argument was not kept cannot be replayed, and the last line says so."""
    person.call("attempt(locked, threading.Lock())")
    done = person.ckpt("run", "locked")
    assert (done.code, done.out) == (1, "")
    assert done.last.startswith("cannot replay: ")
    assert any(line.startswith("note: ") for line in done.err.splitlines())
    assert json.loads(person.ckpt("run", "locked", "--json").out)["verdict"] == "cannot replay"


def test_run_of_a_function_that_is_gone(person: Person) -> None:
    """A function that is not there any more cannot be replayed."""
    job = person.project / "job.py"
    job.write_text(job.read_text().replace("def quiet", "def silent").replace("quiet,", "silent,"))
    done = person.ckpt("run", "quiet")
    assert done.code == 1
    assert done.last.startswith("cannot replay: ")
    assert "Traceback" not in done.err


def test_run_of_a_call_that_died(person: Person) -> None:
    """A call that took its process with it is replayed without taking `ckpt` with it."""
    assert person.call("dies(3)").code == 3
    assert person.captures("dies")[0]["status"] == "died"
    done = person.ckpt("run", "dies")
    assert done.code == 1
    assert done.last.startswith("same failure: ")


def test_a_call_that_dies_under_the_debugger_says_where(person: Person) -> None:
    """A crash leaves nobody to give a verdict: the stack, with the line, is the last that is seen."""
    person.call("dies(3)")
    job = person.project / "job.py"
    job.write_text(job.read_text().replace("os._exit(code)", "os.kill(os.getpid(), 11)"))
    line = next(number for number, text in enumerate(job.read_text().splitlines(), 1) if "os.kill(os.getpid(), 11)" in text)
    done = person.ckpt("debug", "dies", "--rerun", typed="c\n")
    assert done.code == -11
    assert "Fatal Python error: Segmentation fault" in done.err
    assert f'File "{job}", line {line} in dies' in done.err


def test_run_leaves_the_excepthook_alone(person: Person) -> None:
    """The replayed program finds Python's own `sys.excepthook`, not Typer's."""
    person.call("hooked()")
    assert person.ckpt("run", "hooked").out == "True\n"


def test_an_interrupted_run_ends_with_130(person: Person) -> None:
    """Ctrl-C ends a replay, with exit code 130 and no traceback of ours."""
    person.call("slow(0)")
    text = (person.project / "job.py").read_text()
    (person.project / "job.py").write_text(text.replace("time.sleep(seconds)", "time.sleep(60)"))
    command = [sys.executable, "-m", "ckpt", "run", "slow"]
    with subprocess.Popen(
        command, cwd=person.project, env=person.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "sleeping\n"
        time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Traceback" not in err


@pytest.mark.smoke
def test_debug_opens_the_dead_frames(looker: Person) -> None:
    """`debug` reads commands from standard input: the last frame first, upwards from there."""
    done = looker.ckpt("debug", typed="p field\nup\np total, scale\nq\n")
    assert done.code == 0
    assert "'x'" in done.out
    assert "(1, 1)" in done.out


def test_debug_starts_where_it_is_told(looker: Person) -> None:
    """`--frame 0` starts in the captured function."""
    done = looker.ckpt("debug", "--frame", "0", "--debugger", "pdb", typed="p total\nq\n")
    assert "job.py(15)mean()" in done.out
    wrong = looker.ckpt("debug", "--frame", "9", typed="q\n")
    assert wrong.code == 2
    assert wrong.err.splitlines()[0] == "error: There is no frame 9."


@pytest.mark.parametrize("spelling", [["debug", "--start"], ["run", "--debug", "--start"]])
def test_debug_stops_at_the_first_line(looker: Person, spelling: list[str]) -> None:
    """With `--start` the function is called again and stops at its first line."""
    done = looker.ckpt(*spelling, "mean~1", typed="p rows\nn\np total\nq\n")
    assert "[{'v': 1}, {'v': 2}]" in done.out
    assert done.out.index("total = 0") < done.out.index("for row in rows")
    assert (done.code, done.last) == (0, "the debugger was left before the call had ended")


@pytest.mark.parametrize("spelling", [["debug", "--rerun"], ["run", "--debug"]])
def test_debug_reruns_until_it_fails(looker: Person, spelling: list[str]) -> None:
    """With `--rerun` the function is called again, and the debugger opens where it fails; exit code 1."""
    done = looker.ckpt(*spelling, typed="p field\nq\n")
    assert "'x'" in done.out
    assert (done.code, done.last) == (1, r"raised TypeError: bad \x1b[31m[bold]x")


def test_a_rerun_that_returns(looker: Person) -> None:
    """A rerun without failure opens nothing: it says what was returned, and what that means; exit code 0."""
    done = looker.ckpt("debug", "--rerun", "mean~1")
    assert (done.code, done.out, done.last) == (0, "mean is done\n{'mean': 1.5}\n", "still passes: it returns as it did")


@pytest.mark.smoke
def test_shell_has_the_variables(looker: Person) -> None:
    """`shell` is IPython among the variables and globals of a frame; a comprehension sees both."""
    done = looker.ckpt("shell", typed="[value(row) * scale * total for row in rows[:1]]\n")
    assert done.code == 0
    assert "[1]" in done.out
    assert "rows, scale, total, row" in done.out
    inner = looker.ckpt("shell", "--frame", "1", typed="field * 7\n")
    assert "'xxxxxxx'" in inner.out


def test_the_shell_with_arguments_has_the_function_too(person: Person) -> None:
    """It is today's, and calling it records nothing; objects of a script's classes are those that it knows."""
    text = """import ckpt

class Row:
    value = 0

@ckpt.ckpt
def total(rows):
    assert all(isinstance(row, Row) for row in rows)
    return len(rows) // 0

@ckpt.ckpt
def same(same):
    return same // 0

if __name__ == "__main__":
    for function, value in ((same, 1), (total, [Row()])):
        try:
            function(value)
        except ZeroDivisionError:
            pass
"""
    (person.project / "script.py").write_text(text)
    person.python("script.py")
    (person.project / "script.py").write_text(text.replace("len(rows) // 0", "len(rows) + 6000"))
    before = len(person.captures())
    assert "6001" in person.ckpt("shell", "total", "--args", typed="total(rows)\n").out
    assert "6002" in person.ckpt("shell", "same", "--args", typed="same + 6001\n").out
    assert len(person.captures()) == before


def test_the_shell_opens_on_the_arguments_of_a_function_that_is_gone(person: Person) -> None:
    """Without a function of today's there are the arguments all the same."""
    (person.project / "job.py").write_text("")
    done = person.ckpt("shell", "mean~1", "--args", typed="len(rows) + 6000\nmean\n")
    assert "6002" in done.out
    assert "NameError: name 'mean' is not defined" in done.out


def test_a_placeholder_that_is_touched_in_the_shell_ends_at_the_line_that_touched_it(person: Person) -> None:
    """The traceback goes as far as what was typed, or called there, and shows nothing of ckpt's own; the shell goes on."""
    text = "import threading, ckpt\n\ndef touch(lock):\n    return lock.locked()\n\n@ckpt.ckpt\ndef held(lock):\n    return 1 // 0\n"
    (person.project / "locks.py").write_text(text)
    person.call("import threading, locks; locks.held(threading.Lock())")
    done = person.ckpt("shell", "held", typed="lock.locked()\nimport locks; locks.touch(lock)\n6000 + 7\n")
    assert done.out.count("is only a placeholder") == 2
    assert "return lock.locked()" in done.out
    assert "placeholder.py" not in done.out
    assert "_refuse" not in done.out
    assert "6007" in done.out


@pytest.mark.parametrize("spelling", [["shell", "--args"], ["run", "--shell", "--args"]])
def test_shell_with_the_arguments(looker: Person, spelling: list[str]) -> None:
    """With `--args` the names of the parameters mean the arguments, and nothing is called."""
    done = looker.ckpt(*spelling, "mean~1", typed="len(rows) + 40\n")
    assert done.code == 0
    assert "42" in done.out
    assert "mean is done" not in done.out


def test_a_shell_has_the_arguments_as_they_are_set(looker: Person) -> None:
    """What `--set` puts in the place of an argument is what the shell shows, with `--args` and after a replay."""
    alone = looker.ckpt("run", "--shell", "--args", "--set", "rows=[{'v': 7}]", "mean~1", typed="rows[0]['v'] + 6000\n")
    assert "6007" in alone.out
    after = looker.ckpt("run", "--shell", "--set", "rows=[{'v': 7}]", "mean~1", typed="rows[0]['v'] + result['mean'] + 6000\n")
    assert "6014.0" in after.out


def test_the_shell_after_a_failure_is_in_the_captured_function(looker: Person) -> None:
    """The event loop that ran a coroutine is not what the shell shows."""
    text = "import asyncio, ckpt\n\n@ckpt.ckpt\nasync def halve(n):\n    half = n + 6000\n    return half // 0\n"
    (looker.project / "later.py").write_text(text)
    looker.call("import asyncio, later; asyncio.run(later.halve(7))")
    assert "6007" in looker.ckpt("run", "--shell", "halve", typed="half\n").out


def test_run_and_then_a_shell(looker: Person) -> None:
    """`run --shell` opens on what the replay left: its variables when it raised, `result` when it returned."""
    failed = looker.ckpt("run", "--shell", "mean", typed="total + 41\n")
    assert failed.code == 1
    assert "42" in failed.out
    passed = looker.ckpt("run", "--shell", "mean~1", typed="result['mean'] + 40\n")
    assert passed.code == 0
    assert "41.5" in passed.out


@pytest.mark.parametrize(("command", "instead"), [("shell", "--args"), ("debug", "--start")])
def test_a_capture_without_failure_names_the_other_command(looker: Person, command: str, instead: str) -> None:
    """Where there are no frames, the hint is the command that opens what there is."""
    done = looker.ckpt(command, "mean~1", typed="q\n")
    assert done.code == 1
    id = looker.captures()[0]["id"]
    assert done.err.splitlines() == [
        f"error: The capture {id} of 'mean' holds the arguments and no failure: it returned.",
        f"hint: ckpt {command} {id} {instead}",
    ]


# Wrong usage


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["info", "--nonsense"],
        ["info", "-n", "many"],
        ["info", "-n", "-1"],
        ["info", "a", "b"],
        ["debug", "--debugger", "bpdb"],
        ["debug", "--start", "--rerun"],
        ["debug", "--start", "--frame", "1"],
        ["shell", "--args", "--locals"],
        ["shell", "--args", "--frame", "1"],
        ["run", "--start"],
        ["run", "--args"],
        ["run", "--debug", "--shell"],
        ["run", "--debug", "--json"],
        ["clear", "--older-than", "yesterday"],
        ["clear"],
        ["--ckpt-dir"],
        ["run", "--timeout", "0"],
        ["run", "--timeout", "nan"],
    ],
)
def test_wrong_usage_ends_with_2(looker: Person, arguments: list[str]) -> None:
    """What cannot be meant is said on standard error, and nothing is done."""
    before = tree(looker.project)
    done = looker.ckpt(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err
    assert tree(looker.project) == before


# Keeping


def test_init_makes_a_private_store(looker: Person, tmp_path: Path) -> None:
    """`init` makes `.pyckpt` here, for this user only, ignored by git; twice is harmless; its path is the result."""
    for _ in range(2):
        done = looker.ckpt("init", cwd=tmp_path)
        assert (done.code, done.out, done.err) == (0, f"{tmp_path}/.pyckpt\n", "")
    assert (tmp_path / ".pyckpt").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / ".pyckpt" / ".gitignore").read_text() == "*\n"


def test_init_elsewhere(looker: Person, tmp_path: Path) -> None:
    """`--ckpt-dir` makes that store; one that cannot be made is one line."""
    assert looker.ckpt("--ckpt-dir", "deep/er", "init", cwd=tmp_path).out == f"{tmp_path}/deep/er\n"
    (tmp_path / "file").touch()
    done = looker.ckpt("--ckpt-dir", "file", "init", cwd=tmp_path)
    assert done.code == 1
    assert done.err.startswith("error: ")


def test_init_where_a_file_is_named_as_the_store(looker: Person, tmp_path: Path) -> None:
    """A file that `PYCKPT_DIR` names is no store, and the hint is what lets `init` make one."""
    (tmp_path / "file").touch()
    done = looker.ckpt("init", cwd=tmp_path, PYCKPT_DIR="file")
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines() == [
        f"error: '{tmp_path}/file', which PYCKPT_DIR names, is no directory, and so no store.",
        "hint: unset PYCKPT_DIR, or have it name a directory",
    ]


def test_a_debugger_that_there_is_not_is_told_in_one_line(looker: Person) -> None:
    """One line says what is wrong, and names those that there are."""
    done = looker.ckpt("debug", "--debugger", "foo")
    assert done.err.splitlines() == ["error: There is no debugger 'foo'.", "hint: one of ipdb, pdb, pudb, vscode"]


def test_a_timeout_is_longer_than_nothing(looker: Person) -> None:
    """A call that may take no time at all cannot be meant."""
    done = looker.ckpt("run", "--timeout", "0")
    assert done.err.splitlines() == ["error: --timeout is a number of seconds above 0, not 0."]


def test_init_says_when_another_store_is_in_force(looker: Person, tmp_path: Path) -> None:
    """A store that `PYCKPT_DIR` overrules is made all the same, and standard error says what is used."""
    done = looker.ckpt("init", cwd=tmp_path, PYCKPT_DIR=str(tmp_path / "other"))
    assert done.out == f"{tmp_path}/.pyckpt\n"
    assert done.err == f"note: captures go to {tmp_path}/other (PYCKPT_DIR)\n"


def test_clear_deletes_a_name(person: Person) -> None:
    """`clear NAME` deletes the captures of that name."""
    done = person.ckpt("clear", "mean")
    assert (done.code, done.out, done.err) == (0, "", "2 captures deleted\n")
    assert [one["name"] for one in person.captures()] == ["quiet"]


def test_clear_deletes_one(person: Person) -> None:
    """`clear ID` deletes that one."""
    first, *others = person.captures()
    assert person.ckpt("clear", first["id"]).err == "1 capture deleted\n"
    assert person.captures() == others


def test_clear_everything_needs_a_yes(person: Person) -> None:
    """Without a terminal, all captures go only with `--yes`."""
    refused = person.ckpt("clear", typed="y\n")
    assert refused.code == 2
    assert refused.err.splitlines()[1] == "hint: ckpt clear --yes"
    assert person.ckpt("clear", "--yes").err == "3 captures deleted\n"
    assert person.captures() == []
    assert person.ckpt("clear", "--yes").err == "0 captures deleted\n"


def test_clear_keeps_the_newest(person: Person) -> None:
    """`--keep N` leaves the newest N of each name."""
    everything = person.captures()
    assert person.ckpt("clear", "--keep", "1").err == "1 capture deleted\n"
    assert person.captures() == everything[1:]
    assert person.ckpt("clear", "mean", "--keep", "0").err == "1 capture deleted\n"


def test_clear_by_age(person: Person) -> None:
    """`--older-than` leaves what is younger."""
    assert person.ckpt("clear", "--older-than", "1d").err == "0 captures deleted\n"
    assert person.ckpt("clear", "--older-than", "0s").err == "3 captures deleted\n"


def test_clear_leaves_what_is_running(person: Person) -> None:
    """A call that has not ended yet is not deleted with the others, nor by its name, and that is said."""
    command = [sys.executable, "-c", "from job import *\nslow(60)"]
    with subprocess.Popen(command, cwd=person.project, env=person.environment(), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        done = person.ckpt("clear", "--yes")
        named = person.ckpt("clear", "slow")
        old = person.ckpt("clear", "--older-than", "1d")
        left = person.captures()
        child.kill()
    assert done.err == "3 captures deleted; 1 running capture stays\n"
    assert named.err == "0 captures deleted; 1 running capture stays\n"
    assert old.err == "0 captures deleted\n"
    assert [one["status"] for one in left] == ["running"]


if __name__ == "__main__":
    PAGE.write_text(generated(), encoding="utf-8")
