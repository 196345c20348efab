"""Debuggers and IPython, in real processes: fed through standard input, and in a real terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import termios
import time
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from ckpt._replaying import debuggers
from ckpt.errors import DebuggerError, UsageError

ROOT = Path(__file__).parents[1]

PROGRAM = """\
import asyncio, builtins, os, signal, sys, threading
from types import ModuleType
from ckpt._replaying import debuggers
from ckpt._replaying.interpreter import PATCHED
from ckpt.errors import CkptError

SCALE = 2

def inner(values, k):
    total = sum(values)
    return total / (k - k)

def outer(n):
    rows = list(range(n))
    try:
        return inner(rows, SCALE)
    except ZeroDivisionError as err:
        raise ValueError("bad rows") from err

def double(x):
    twice = x * SCALE
    return twice

async def later(x):
    await asyncio.sleep(0)
    return x + 1

def failure():
    try:
        outer(3)
    except ValueError as err:
        err.__traceback__ = err.__traceback__.tb_next
        return err

def state():
    return {
        "sys": {name: getattr(sys, name, None) for name in PATCHED},
        "builtins": dict(vars(builtins)),
        "main": sys.modules["__main__"],
        "path": sys.path[:],
        "trace": sys.gettrace(),
        "interrupt": signal.getsignal(signal.SIGINT),
        "environ": dict(os.environ),
        "cwd": os.getcwd(),
        "shell": "IPython" in sys.modules and sys.modules["IPython"].get_ipython() or None,
    }

def shell(exception=None, **names):
    debuggers.shell(names, banner="captured: outer", module=sys.modules["__main__"], exception=exception)
"""


class Desk:
    """A directory with a program, and the ways to run it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(path),
            "IPYTHONDIR": str(path / "ipython"),
            "PYTHONPATH": str(ROOT),
            "TERM": "dumb",
            "NO_COLOR": "1",
        }

    def put(self, name: str, text: str) -> Path:
        """Write a module beside the program, in front of everything else that can be imported."""
        file = self.path / "front" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
        self.environ["PYTHONPATH"] = os.pathsep.join([str(self.path / "front"), str(ROOT)])
        return file

    def program(self, ending: str) -> list[str]:
        """Write the program with `ending` after its definitions; return the command that runs it."""
        (self.path / "job.py").write_text(PROGRAM + "\n" + dedent(ending) + "\n")
        return [sys.executable, str(self.path / "job.py")]

    def feed(self, ending: str, *commands: str) -> subprocess.CompletedProcess[str]:
        """Run the program without a terminal, `commands` as its standard input."""
        return subprocess.run(
            self.program(ending),
            input="".join(f"{command}\n" for command in commands),
            capture_output=True,
            text=True,
            env=self.environ,
            cwd=self.path,
            timeout=60,
            check=False,
        )

    def sit(self, ending: str) -> Any:
        """Run the program in a terminal."""
        command, *arguments = self.program(ending)
        pexpect = import_module("pexpect")
        return pexpect.spawn(command, arguments, env=self.environ, cwd=str(self.path), encoding="utf-8", timeout=30, echo=False)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# Fed through standard input


def test_post_mortem_reads_its_commands_from_standard_input(desk: Desk) -> None:
    """Without a terminal, commands come from standard input and answers go to standard output; `q` leaves without a traceback."""
    run = desk.feed("debuggers.post_mortem(failure(), debugger='pdb'); print('went on')", "w", "p rows", "p SCALE", "q")
    assert (run.returncode, run.stderr) == (0, "")
    assert "outer()\n-> raise ValueError" in run.stdout
    assert "[0, 1, 2]" in run.stdout
    assert run.stdout.endswith("went on\n")


@pytest.mark.parametrize("debugger", [None, "pdb", "ipdb"])
def test_the_end_of_standard_input_ends_the_session(desk: Desk, debugger: str | None) -> None:
    """A session whose commands run out ends as if left with `q`."""
    run = desk.feed(f"debuggers.post_mortem(failure(), debugger={debugger!r}); print('went on')", "p rows")
    assert (run.returncode, run.stderr) == (0, "")
    assert "[0, 1, 2]" in run.stdout
    assert run.stdout.endswith("went on\n")


def test_without_a_terminal_the_debugger_is_pdb_and_ipython_stays_out(desk: Desk) -> None:
    """A scripted session opens pdb, loads no IPython and makes no IPython directory."""
    run = desk.feed("debuggers.post_mortem(failure()); print('IPython' in sys.modules)", "q")
    assert "(Pdb) " in run.stdout
    assert run.stdout.endswith("False\n")
    assert not (desk.path / "ipython").exists()


def test_ipdb_without_a_terminal_is_plain(desk: Desk) -> None:
    """Asked for by name, ipdb takes commands from standard input too, and sends no colours or cursor movements."""
    del desk.environ["NO_COLOR"]
    desk.environ["TERM"] = "xterm-256color"
    run = desk.feed("debuggers.post_mortem(failure(), debugger='ipdb')", "p rows", "exceptions", "ll", "q")
    assert (run.returncode, run.stderr) == (0, "")
    assert "ipdb> [0, 1, 2]" in run.stdout
    assert "0 ZeroDivisionError" in run.stdout
    assert "\x1b" not in run.stdout


@pytest.mark.skipif(sys.version_info < (3, 13), reason="pdb has `exceptions` from Python 3.13 on")
def test_pdb_walks_the_chain_of_exceptions(desk: Desk) -> None:
    """`exceptions` lists the cause, and goes to its frames."""
    run = desk.feed("debuggers.post_mortem(failure(), debugger='pdb')", "exceptions 0", "p total", "q")
    assert "\n(Pdb) 3\n" in run.stdout


@pytest.mark.parametrize("debugger", ["pdb", "ipdb"])
def test_a_session_starts_at_the_wanted_frame(desk: Desk, debugger: str) -> None:
    """`frame=0` starts in the first traceback entry; without it the session starts in the last."""
    ending = """
    error = failure().__cause__
    debuggers.post_mortem(error, debugger={0!r}, frame=0)
    debuggers.post_mortem(error, debugger={0!r})
    """
    run = desk.feed(ending.format(debugger), "p sorted(locals())", "q", "p sorted(locals())", "q")
    first, last = (line for line in run.stdout.splitlines() if "'" in line)
    assert "'n'" in first
    assert "'total'" in last


def test_pdb_has_nothing_to_restart(desk: Desk) -> None:
    """`restart`, which in plain pdb ends in a traceback, says so and stays."""
    run = desk.feed("debuggers.post_mortem(failure(), debugger='pdb')", "restart", "p rows", "q")
    assert (run.returncode, run.stderr) == (0, "")
    assert "no program to restart" in run.stdout
    assert "[0, 1, 2]" in run.stdout


@pytest.mark.parametrize("debugger", ["pdb", "ipdb"])
def test_start_stops_at_the_first_line_of_the_function(desk: Desk, debugger: str) -> None:
    """The first stop is the first line of the body; `where` shows no frame of ours; stepping past the end does not enter ours."""
    ending = f"print('result', debuggers.run_call(__import__('functools').partial(double, 4), debugger={debugger!r}, stop='start'))"
    run = desk.feed(ending, "w", "p x", *["n"] * 5)
    assert (run.returncode, run.stderr) == (0, "")
    first_stop = run.stdout.lower().partition("db")[0]
    assert "twice = x * scale" in first_stop
    assert "--call--" not in first_stop
    assert "debuggers.py" not in run.stdout
    assert "bdb.py" not in run.stdout
    assert run.stdout.endswith("result 8\n")


def test_start_finds_the_code_beneath_an_event_loop(desk: Desk) -> None:
    """Told which code, the session begins there, however many frames of others come first."""
    ending = "print('result', debuggers.run_call(lambda: asyncio.run(later(4)), stop='start', code=later.__code__))"
    run = desk.feed(ending, "w", "p x", "c")
    assert run.stderr == ""
    assert run.stdout.startswith(f"> {desk.path}/job.py")
    assert "await asyncio.sleep(0)" in run.stdout
    assert "runners.py" not in run.stdout
    assert run.stdout.endswith("result 5\n")


def test_a_call_that_never_reaches_the_code_says_so(desk: Desk) -> None:
    """When there was no line to stop at, one line says that, and the result is returned."""
    run = desk.feed("print('result', debuggers.run_call(lambda: sum([1, 2]), stop='start', code=outer.__code__))")
    assert (run.stdout, run.stderr) == ("result 3\n", "The call ended without reaching a line to stop at.\n")


@pytest.mark.parametrize("commands", [["q"], ["n", "q"], []], ids=["at once", "later", "end of input"])
def test_leaving_a_started_call_is_a_quit_not_a_failure(desk: Desk, commands: list[str]) -> None:
    """Who leaves before the end gets `QuitError`, also when the program swallows what the debugger raises in it."""
    ending = """
    def stubborn():
        try:
            return double(4)
        except Exception:
            return "swallowed"

    for function in double, stubborn:
        try:
            print(debuggers.run_call(lambda: function(4) if function is double else function(), stop="start", code=double.__code__))
        except debuggers.QuitError as quit:
            print("quit:", quit)
    """
    run = desk.feed(ending, *commands, *commands)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count("quit: The debugger was left before the call had ended.") == 2


def test_failure_opens_the_post_mortem_and_raises_the_same_exception(desk: Desk) -> None:
    """The call runs until it fails; after the session the same exception is raised, its traceback beginning with the call."""
    ending = """
    raised = []
    def call():
        try:
            outer(3)
        except ValueError as error:
            raised.append(error)
            raise
    try:
        debuggers.run_call(call, stop="failure", code=outer.__code__)
    except ValueError as error:
        assert error is raised[0]
        names = []
        entry = error.__traceback__
        while entry: names.append(entry.tb_frame.f_code.co_name); entry = entry.tb_next
        print(names)
    print(debuggers.run_call(lambda: double(2), stop="failure"))
    """
    run = desk.feed(ending, "w", "p rows", "q")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count("outer()") == 2
    assert "call()" not in run.stdout
    assert "[0, 1, 2]" in run.stdout
    assert run.stdout.endswith("'outer']\n4\n")


def test_an_interrupted_call_is_looked_at_and_an_exit_is_not(desk: Desk) -> None:
    """Ctrl-C shows where the call hangs; `SystemExit` is no failure and opens nothing."""
    ending = """
    def hang():
        where = "here"
        signal.raise_signal(signal.SIGINT)
    try:
        debuggers.run_call(hang, stop="failure")
    except KeyboardInterrupt:
        print("interrupted")
    debuggers.run_call(lambda: sys.exit(5), stop="failure")
    """
    run = desk.feed(ending, "p where", "q")
    assert "(Pdb) 'here'" in run.stdout
    assert run.stdout.endswith("interrupted\n")
    assert run.returncode == 5


# Missing, broken, shadowed


def test_a_broken_ipdb_gives_way_to_pdb(desk: Desk) -> None:
    """One line says why ipdb cannot be used, and pdb opens."""
    desk.put("ipdb/__init__.py", "raise AttributeError('no such theme')")
    run = desk.feed("debuggers.post_mortem(failure(), debugger='ipdb')", "p rows", "q")
    assert run.stderr == "ipdb cannot be used (AttributeError: no such theme); pdb instead.\n"
    assert "(Pdb) [0, 1, 2]" in run.stdout


def test_a_missing_debugger_is_named_with_what_to_install(desk: Desk) -> None:
    """The line about a missing package says how to get it."""
    desk.put("ipdb/__init__.py", "raise ModuleNotFoundError(\"No module named 'ipdb'\", name='ipdb')")
    run = desk.feed("debuggers.post_mortem(failure(), debugger='ipdb')", "q")
    assert "pip install ipdb" in run.stderr
    assert run.stderr.count("\n") == 1


def test_pudb_needs_a_terminal(desk: Desk) -> None:
    """Without a terminal pudb gives way, with one line."""
    run = desk.feed("debuggers.post_mortem(failure(), debugger='pudb')", "p rows", "q")
    assert run.stderr == "pudb cannot be used (it needs a terminal); pdb instead.\n"
    assert "(Pdb) [0, 1, 2]" in run.stdout


@pytest.mark.parametrize("debugger", ["pdb", "ipdb"])
def test_a_shadowed_pdb_does_no_harm(desk: Desk, debugger: str) -> None:
    """What pdbpp does, a `pdb` in front of the standard library's that cannot even be imported, costs one line."""
    shadow = desk.put("pdb.py", "raise AttributeError(\"module 'pdb' has no attribute 'itertools'\")")
    run = desk.feed(f"debuggers.post_mortem(failure(), debugger={debugger!r}); print('pdb' in sys.modules)", "p rows", "q")
    assert run.stderr == f"pdb is shadowed by {shadow}; the standard library's instead.\n"
    assert "db> [0, 1, 2]" in run.stdout or "(Pdb) [0, 1, 2]" in run.stdout
    assert run.stdout.endswith("False\n")


def test_a_shadowed_pdb_that_is_loaded_stays_loaded(desk: Desk) -> None:
    """A project's own `pdb` module, imported before, is the one that `import pdb` gives afterwards, and breaks nothing between."""
    desk.put("pdb.py", "class Pdb: pass")
    run = desk.feed("import pdb as own; debuggers.post_mortem(failure()); import pdb; print(pdb is own)", "p rows", "q")
    assert "(Pdb) [0, 1, 2]" in run.stdout
    assert run.stdout.endswith("True\n")


def test_a_projects_own_code_module_does_no_harm(desk: Desk) -> None:
    """A project's own `code`, which it has imported, stays its own, though pdb needs the standard library's."""
    desk.put("code.py", "MINE = 1")
    run = desk.feed("import code as own; debuggers.post_mortem(failure()); import code; print(code.MINE)", "p rows", "q")
    assert run.stderr == ""
    assert "(Pdb) [0, 1, 2]" in run.stdout
    assert run.stdout.endswith("1\n")


VSCODE_IS_MISSING = "vscode cannot be used (VS Code needs debugpy, which is not installed; pip install 'debugpy>=1.8.22'); pdb instead.\n"


@pytest.mark.parametrize(
    "ending",
    [
        "debuggers.post_mortem(failure(), debugger='vscode')",
        "try: debuggers.run_call(lambda: outer(3), debugger='vscode', stop='failure')\nexcept ValueError: pass",
    ],
    ids=["post-mortem", "run until it fails"],
)
def test_vscode_without_debugpy_gives_way(desk: Desk, ending: str) -> None:
    """The line names the command that installs what is missing, and the next debugger opens."""
    desk.put("debugpy.py", "raise ImportError('not here')")
    run = desk.feed(ending, "p rows", "q")
    assert run.stderr == VSCODE_IS_MISSING
    assert "(Pdb) [0, 1, 2]" in run.stdout


def test_wrong_names_and_frames_are_usage_errors() -> None:
    """A debugger that is not known, a frame that is not there, an exception without frames: errors that say so."""
    with pytest.raises(ZeroDivisionError) as failure:
        divmod(1, 0)
    with pytest.raises(UsageError, match="no debugger 'gdb'"):
        debuggers.post_mortem(failure.value, debugger="gdb")
    with pytest.raises(UsageError, match="no frame 1"):
        debuggers.post_mortem(failure.value, debugger="pdb", frame=1)
    with pytest.raises(UsageError, match="no debugger 'gdb'"):
        debuggers.run_call(int, debugger="gdb", stop="failure")
    with pytest.raises(DebuggerError, match="no frames"):
        debuggers.post_mortem(KeyError(1), debugger="pdb")


@pytest.mark.parametrize(
    "verb", ["post_mortem(failure())", "run_call(int, stop='start')", "shell({}, banner='', module=None, exception=None)"]
)
def test_a_closed_standard_input_is_said(desk: Desk, verb: str) -> None:
    """With nowhere to read from, the error says that."""
    ending = f"""
    sys.stdin.close()
    try:
        debuggers.{verb}
    except CkptError as err:
        print(type(err).__name__, err)
    """
    assert desk.feed(ending).stdout.startswith("DebuggerError Standard input is closed")


def test_the_room_loads_no_debugger() -> None:
    """Importing it loads neither a debugger nor IPython."""
    names = "pdb", "bdb", "ipdb", "IPython", "debugpy", "code"
    check = f"import sys, ckpt._replaying.debuggers; print([name for name in {names} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True)
    assert run.stdout == "[]\n"


# The shell


def test_the_shell_sees_locals_in_every_scope(desk: Desk) -> None:
    """Comprehensions, lambdas and nested functions see the locals and, beneath them, the module's names."""
    run = desk.feed(
        "shell(rows=[1, 2], n=10, SCALE=3)",
        "[row + n for row in rows]",
        "(lambda: rows * n)()[:3]",
        "def nested():",
        "    return sum(n * SCALE for _ in rows)",
        "",
        "nested()",
        "{row: double(n) for row in rows}",
        "n = 20",
        "list(n for _ in rows)",
        "%who",
    )
    assert (run.returncode, run.stderr) == (0, "")
    for answer in ("[11, 12]", "[1, 2, 1]", ": 60", "{1: 20, 2: 20}", "[20, 20]"):
        assert answer in run.stdout
    assert "SCALE\t n\t nested\t rows" in run.stdout


def test_the_shell_is_quiet(desk: Desk) -> None:
    """The banner is the given one: no tip, no advertisement; without a terminal no escape, no question and no history at the end."""
    del desk.environ["NO_COLOR"]
    desk.environ["TERM"] = "xterm-256color"
    run = desk.feed("shell(n=10)", "n")
    assert run.stdout == "captured: outer\n\nIn [1]: Out[1]: 10\n\nIn [2]: "
    assert run.stderr == ""
    assert not list(desk.path.glob("ipython/**/history.sqlite"))


def test_the_shells_debug_opens_the_captured_failure(desk: Desk) -> None:
    """`%debug` opens the frames of the exception, and, after a mistake at the prompt, those of the mistake."""
    look = "p 'rows' in dir()"
    run = desk.feed("shell(failure())", "%debug", look, "q", "mistake()", "%debug", look, "q", "import sys; sys.last_value", "exit")
    assert run.returncode == 0
    assert [line for line in run.stdout.splitlines() if line.startswith("ipdb> ") and line != "ipdb> "] == ["ipdb> True", "ipdb> False"]
    assert "NameError" in run.stdout.rpartition("Out[")[2]


def test_a_name_assigned_in_the_shell_stays_there(desk: Desk) -> None:
    """Neither the module nor the given names are changed by what happens at the prompt."""
    run = desk.feed("shell(n=10); print(SCALE, 'n' in globals())", "SCALE = 99", "exit")
    assert run.stdout.endswith("2 False\n")


@pytest.mark.parametrize("broken", ["IPython/__init__.py", "IPython.py"])
def test_without_ipython_there_is_the_plain_console(desk: Desk, broken: str) -> None:
    """One line says why IPython cannot be used; the console sees the same names, in every scope."""
    desk.put(broken, "raise ImportError('broken on purpose')")
    run = desk.feed("shell(rows=[1, 2]); print('went on')", "[double(row) for row in rows]", "(lambda: rows)()", "exit()")
    assert "IPython cannot be used (ImportError: broken on purpose); the plain Python console instead.\n" in run.stderr
    assert "captured: outer" in run.stderr
    assert "[2, 4]" in run.stdout
    assert "[1, 2]" in run.stdout
    assert run.stdout.endswith("went on\n")


def test_the_shell_leaves_a_running_ipython_alone(desk: Desk) -> None:
    """Opened from inside IPython, the shell is another one, and the first is back afterwards."""
    ending = """
    from IPython.core.interactiveshell import InteractiveShell
    first = InteractiveShell.instance()
    shell(n=10)
    debuggers.post_mortem(failure(), debugger="ipdb")
    print(sys.modules["IPython"].get_ipython() is first)
    """
    run = desk.feed(ending, "n", "get_ipython() is None", "exit", "p rows", "q")
    assert "Out[1]: 10" in run.stdout
    assert "Out[2]: False" in run.stdout
    assert "[0, 1, 2]" in run.stdout
    assert run.stdout.endswith("True\n")


# What is patched is given back


@pytest.mark.parametrize(
    ("verb", "commands"),
    [
        ("post_mortem(failure(), debugger='pdb')", ["p rows", "c"]),
        ("post_mortem(failure(), debugger='ipdb')", ["p rows", "c"]),
        ("run_call(lambda: double(4), debugger='pdb', stop='start')", ["c"]),
        ("run_call(lambda: double(4), debugger='ipdb', stop='start')", ["n", "c"]),
        ("shell({'n': 1}, banner='', module=ModuleType('mine'), exception=failure())", ["n", "1/0", "%debug", "q", "exit"]),
    ],
)
def test_the_process_is_as_it_was(desk: Desk, verb: str, commands: list[str]) -> None:
    """Hooks, `sys.last_*`, builtins, `__main__`, path, tracing, the handler of Ctrl-C and the registered shell are as before."""
    ending = f"""
    sys.last_type = sys.last_value = "mine"
    sys.settrace(lambda *_: None)
    before = state()
    debuggers.{verb}
    after = state()
    print("CHANGED", [key for key in before if before[key] != after[key]])
    """
    run = desk.feed(ending, *commands)
    assert run.returncode == 0
    assert run.stdout.endswith("CHANGED []\n"), run.stdout


def test_a_call_under_ipdb_runs_in_the_process_as_it_was(desk: Desk) -> None:
    """What IPython patches while it is set up is out of the program's sight before the call begins."""
    ending = """
    before = state()
    def look():
        during = state()
        return [key for key in ("main", "path", "builtins", "environ") if before[key] != during[key]]
    print("CHANGED", debuggers.run_call(look, debugger="ipdb", stop="start"))
    """
    assert desk.feed(ending, "c").stdout.endswith("CHANGED []\n")


# In a terminal


def test_ipdb_in_a_terminal(desk: Desk) -> None:
    """In a terminal, without a name, it is ipdb: where, up, p, ll, assignment, exceptions, and `q` goes on with the program."""
    terminal = desk.sit("debuggers.post_mortem(failure()); print('went', 'on')")
    for command, answer in [
        ("w", "raise ValueError"),
        ("p rows", "[0, 1, 2]"),
        ("exceptions", "0 ZeroDivisionError"),
        ("!extra = rows[2] + 40; print(extra)", "42"),
        ("p extra + 1", "43"),
        ("q", "went on"),
    ]:
        terminal.expect_exact("ipdb> ")
        terminal.sendline(command)
        terminal.expect_exact(answer)
    terminal.expect(import_module("pexpect").EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_ctrl_d_leaves_ipdb(desk: Desk) -> None:
    """Ctrl-D at the prompt of a terminal ends the session as `q` does."""
    terminal = desk.sit("debuggers.post_mortem(failure(), debugger='ipdb'); print('went', 'on')")
    terminal.expect_exact("ipdb> ")
    while termios.tcgetattr(terminal.child_fd)[3] & termios.ICANON:  # prompt_toolkit paints the prompt before it takes the keys
        time.sleep(0.01)
    terminal.sendeof()
    terminal.expect_exact("went on")


def test_start_in_a_terminal(desk: Desk) -> None:
    """Stepping works in ipdb in a terminal, and the result comes back."""
    terminal = desk.sit("print('result', debuggers.run_call(lambda: double(4), stop='start', code=double.__code__))")
    for command, answer in [("p x", "4"), ("n", "return twice"), ("p twice", "8"), ("c", "result 8")]:
        terminal.expect_exact("ipdb> ")
        terminal.sendline(command)
        terminal.expect_exact(answer)


def test_the_shell_in_a_terminal(desk: Desk) -> None:
    """IPython in a terminal: banner, locals in every scope, `%debug`, and `exit` goes on with the program."""
    terminal = desk.sit("shell(failure(), rows=[1, 2], n=10); print('went', 'on')")
    terminal.expect_exact("captured: outer")
    for command, answer in [("[row + n for row in rows]", "[11, 12]"), ("(lambda: n + 1)()", "11"), ("%debug", "raise ValueError")]:
        terminal.expect(r"In \[\d+\]: ")
        terminal.sendline(command)
        terminal.expect_exact(answer)
    terminal.expect_exact("ipdb> ")
    terminal.sendline("q")
    terminal.expect(r"In \[\d+\]: ")
    terminal.sendline("exit")
    terminal.expect_exact("went on")
    assert "Tip" not in terminal.before


def test_a_debugger_that_breaks_gives_way(desk: Desk) -> None:
    """One that opens and then breaks by itself, as pudb 2026.1 does in its first dialog, gives way to the next."""
    desk.put("pudb/__init__.py", "")
    desk.put(
        "pudb/debugger.py",
        """
        from bdb import Bdb
        class Debugger(Bdb):
            ui = None
            def interaction(self, frame, subject):
                kind, exception, traceback = subject
                raise ValueError("zip() argument 2 is longer")
        """,
    )
    terminal = desk.sit("debuggers.post_mortem(failure(), debugger='pudb'); print('went', 'on')")
    terminal.expect_exact("pudb cannot be used (ValueError: zip() argument 2 is longer); ipdb instead.")
    terminal.expect_exact("ipdb> ")
    terminal.sendline("q")
    terminal.expect_exact("went on")
