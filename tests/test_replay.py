"""Verdicts: a call made again, in this process or in one of its own, one or many at a time."""

from __future__ import annotations

import json
import platform
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ckpt._replaying.changes import changed, parse_changes
from ckpt.errors import UsageError
from tests import processes
from tests.workplace import Project, last

SHOP = """
import os, sys, time
import ckpt

class Shut(Exception):
    pass

@ckpt.ckpt(active=False)
def price(n, *, rate=1, **more):
    return helper(n) * rate

def helper(n):
    return 10 // n

@ckpt.ckpt
def stock(n):
    return [n] * 3

@ckpt.ckpt
def dies(n):
    os.kill(os.getpid(), n)
    return "alive"

@ckpt.ckpt
def hangs(seconds):
    time.sleep(seconds)

@ckpt.ckpt
def leaves(code):
    sys.exit(code)
"""


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> Project:
    """A project with a module of captured functions, and nothing captured yet."""
    project = Project(tmp_path / "project")
    project.write("shop.py", SHOP)
    return project


# The verdict


@pytest.mark.parametrize(
    ("old", "new", "verdict", "detail"),
    [
        ("10 // n", "10 // max(n, 1)", "fixed", "it raised ZeroDivisionError: .* then, and returns now"),
        ("10 // n", "20 // n", "same failure", "ZeroDivisionError: integer division or modulo by zero"),
        ("10 // n", "[][n]", "different failure", "ZeroDivisionError then, IndexError now: list index out of range"),
        ("helper(n) * rate", "10 // n * rate", "different failure", "raised in helper then, in price now: .*"),
        ("10 // n", "10 % n", "different failure", "'integer division or modulo by zero' then, 'integer modulo by zero' now"),
        ("def price", "def prices", "cannot replay", "There is no 'price' in module 'shop' today."),
        ("import os, sys, time", "import os, sys, time, nowhere", "cannot replay", "Module 'shop' cannot be imported today: .*nowhere.*"),
    ],
)
def test_the_verdict_says_what_differs(shop: Project, old: str, new: str, verdict: str, detail: str) -> None:
    """Same means: same type, same innermost project function, and the same line or message; else the line says which of these differs."""
    shop.call("import shop; shop.price(0)")
    shop.edit("shop.py", old, new)
    done = shop.ckpt("run")
    assert re.fullmatch(rf"{verdict}: {detail}( \[[\d.]+ [mu]s\])?", last(done))
    assert done.returncode == (0 if verdict == "fixed" else 1)


@pytest.mark.parametrize(
    ("new", "verdict", "detail"),
    [
        ("[n] * 3", "still passes", "it returns as it did"),
        ("[n] * 2", "still passes", "it returned [4, 4, 4] then, [4, 4] now"),
        ("(n,) * 3", "still passes", "it returned [4, 4, 4] then, (4, 4, 4) now"),
        ("[n] * 3 + [][0]", "new failure", "it returned then, and raises IndexError: list index out of range now"),
    ],
)
def test_a_call_that_returned_is_compared_by_what_it_returned(shop: Project, new: str, verdict: str, detail: str) -> None:
    """The description of what came back is compared, and a failure today is a new one."""
    shop.call("import shop; shop.stock(4)")
    shop.edit("shop.py", "[n] * 3", new)
    shown = shop.replay()
    assert (shown["verdict"], shown["detail"]) == (verdict, detail)


def test_a_long_value_that_changes_out_of_sight_is_told_by_its_length(shop: Project) -> None:
    """Two descriptions whose texts are cut alike are told apart by type and length."""
    shop.call("import shop; shop.stock(list(range(50)))")
    shop.edit("shop.py", "[n] * 3", "n[:-1]")
    shop.edit("shop.py", "def stock(n):\n", "def stock(n):\n    return n[:-1]\n")
    assert "(3)" not in shop.replay()["detail"]
    shop.call("import shop; shop.stock(list(range(50)))")
    shop.edit("shop.py", "    return n[:-1]\n    return", "    return n[:-2]\n    return")
    assert "list (49)" in shop.replay()["detail"]


def test_what_leaves_a_call_without_failing_is_compared_too(shop: Project) -> None:
    """A call that was left by SystemExit is left by it again, or returns now."""
    shop.call("import shop; shop.leaves(3)")
    assert shop.replay()["detail"] == "it is left by SystemExit: 3, as it was then"
    shop.edit("shop.py", "sys.exit(code)", "raise OSError(code)")
    assert shop.replay()["detail"] == "it was left by SystemExit: 3 then, and raises OSError: 3 now"
    shop.edit("shop.py", "raise OSError(code)", "return code")
    assert (shop.replay()["verdict"], shop.replay()["detail"]) == ("still passes", "it was left by SystemExit: 3 then, and returns now")


def test_a_generator_that_was_not_exhausted_and_a_cancelled_coroutine_are_told_in_words(shop: Project) -> None:
    """How a call was left that was no failure is said as a person would say it."""
    shop.write(
        "left.py",
        """
import asyncio
import ckpt

@ckpt.ckpt
def items():
    yield from range(3)

@ckpt.ckpt
async def waits():
    return await asyncio.sleep(0.01)

async def cancel():
    task = asyncio.ensure_future(waits())
    await asyncio.sleep(0)
    task.cancel()
""",
    )
    shop.call("import left; next(left.items())")
    assert shop.replay("items")["detail"] == "not all of its items were taken then, and returns now"
    shop.call("import asyncio, left; asyncio.run(left.cancel())")
    assert shop.replay("waits")["detail"] == "it was cancelled then, and returns now"


def test_an_exception_that_is_no_exception_class_is_a_verdict_too(shop: Project) -> None:
    """A cancellation or another direct child of BaseException does not end ckpt."""
    shop.call("import shop; shop.price(0)")
    shop.edit("shop.py", "10 // n", "(_ for _ in ()).throw(GeneratorExit)")
    assert shop.replay()["verdict"] == "different failure"


def test_a_placeholder_that_is_touched_inside_a_group_is_no_failure_of_the_call(shop: Project) -> None:
    """What was not kept is found among the members of a group, and behind a cause that hides the context."""
    shop.write(
        "grouped.py",
        """
import ckpt

@ckpt.ckpt
def work(lock):
    errors = []
    try:
        with lock:
            pass
        lock.missing
    except Exception as error:
        errors.append(error)
    try:
        raise ExceptionGroup("many", [ValueError(1), *errors])
    except ExceptionGroup as error:
        raise KeyError("outer") from error
""",
    )
    shop.call("import grouped, threading; grouped.work(threading.Lock())")
    assert shop.replay()["verdict"] == "cannot replay"


def test_groups_are_the_same_when_their_members_are_of_the_same_types(shop: Project) -> None:
    """The order of the members does not count, their types and how many they are do."""
    text = "import ckpt\n\n@ckpt.ckpt\ndef work():\n    kinds = [KeyError, ValueError, KeyError]\n"
    shop.write("grouped.py", text + "    raise ExceptionGroup('many', [kind() for kind in kinds])\n")
    shop.call("import grouped; grouped.work()")
    assert shop.replay()["verdict"] == "same failure"
    shop.edit("grouped.py", "KeyError, ValueError, KeyError", "ValueError, KeyError, KeyError")
    assert shop.replay()["verdict"] == "same failure"
    shop.edit("grouped.py", "ValueError, KeyError, KeyError", "ValueError, KeyError")
    shown = shop.replay()
    assert shown["verdict"] == "different failure"
    assert shown["detail"].startswith("2 KeyError, ValueError in the group then, KeyError, ValueError now: ")


def test_where_a_recursion_meets_its_limit_does_not_count(shop: Project) -> None:
    """A RecursionError is the same in whichever function of the cycle it is raised."""
    shop.call("import shop; shop.price(0)")
    shop.write("endless.py", "import ckpt\n\n@ckpt.ckpt\ndef ping(n):\n    return helper(n)\n\ndef helper(n):\n    return helper(n)\n")
    shop.call("import endless; endless.ping(0)")
    shop.edit(
        "endless.py", "return helper(n)\n\ndef helper(n):\n    return helper(n)", "return other(n)\n\ndef other(n):\n    return [other(n)]"
    )
    assert shop.replay("ping")["verdict"] == "same failure"


def test_a_call_that_raises_a_keyboard_interrupt_by_itself(shop: Project) -> None:
    """In a process of its own it is what the call raised; in this one it may be a Ctrl-C, and one line says what ended the replay."""
    shop.call("import shop; shop.price(0)")
    shop.edit("shop.py", "10 // n", "(_ for _ in ()).throw(KeyboardInterrupt)")
    assert shop.replay("--timeout", "30")["detail"] == "ZeroDivisionError then, KeyboardInterrupt now:"
    shop.call("import shop; shop.price(1)")
    assert shop.store.find().exception == "KeyboardInterrupt"
    assert shop.replay("--timeout", "30")["verdict"] == "same failure"
    done = shop.ckpt("run")
    assert (done.returncode, done.stdout) == (130, "")
    assert last(done) == "interrupted: a KeyboardInterrupt ended the replay; with --timeout, one that the call raises by itself is compared"
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("options", [[], ["--timeout", "30"]], ids=["here", "in a child"])
def test_a_call_that_closes_its_streams_has_a_verdict_all_the_same(shop: Project, options: list[str]) -> None:
    """Results and messages still come, and so does the JSON."""
    shop.call("import shop; shop.stock(1)")
    shop.edit("shop.py", "return [n] * 3", "sys.stdout.close(); sys.stderr.close(); return [n] * 3")
    done = shop.ckpt("run", *options)
    assert (done.returncode, done.stdout) == (0, "[1, 1, 1]\n")
    assert last(done).startswith("still passes: it returns as it did")
    assert shop.replay(*options)["verdict"] == "still passes"
    shop.edit("shop.py", "sys.stderr.close(); return", "sys.stderr.close(); 1 // 0; return")
    assert shop.replay(*options)["verdict"] == "new failure"


@pytest.mark.parametrize("options", [[], ["--profile"], ["--timeout", "30"], ["--timeout", "30", "--profile"]])
def test_a_traceback_begins_at_the_captured_function(shop: Project, options: list[str]) -> None:
    """Decorators, event loops and the profiler, through which the call came, are not shown."""
    shop.write(
        "layers.py",
        """
import functools
import ckpt

def twice(function):
    @functools.wraps(function)
    def around(*args):
        return function(*args)
    return around

@twice
@ckpt.ckpt
def plain(n):
    return 1 // n

@ckpt.ckpt
async def later(n):
    return 1 // n
""",
    )
    shop.call("import layers; layers.plain(0)")
    shop.call("import asyncio, layers; asyncio.run(layers.later(0))")
    for name in ("plain", "later"):
        told = re.findall(r"^  File .*", shop.ckpt("run", *options, name).stderr, re.MULTILINE)
        assert len(told) == 1, told
        assert told[0].endswith(f", in {name}")


def test_the_verdict_as_json(shop: Project) -> None:
    """`--json` prints one object with the verdict, what differs, the failure, and what to know about the replay."""
    shop.call("import shop; shop.price(0)")
    shown = shop.replay()
    assert shown.pop("duration") > 0
    assert shown.pop("id") == shop.store.find().id
    assert shown == {
        "name": "price",
        "verdict": "same failure",
        "detail": "ZeroDivisionError: integer division or modulo by zero",
        "repr": None,
        "exception": {"type": "ZeroDivisionError", "message": "integer division or modulo by zero"},
        "notes": [],
    }


# Calls that may take the process with them


def test_a_call_that_died_is_replayed_in_a_process_of_its_own(shop: Project) -> None:
    """It dies again, alone; mended, it is fixed, and what it returned is printed."""
    shop.call("import shop; shop.dies(9)")
    assert last(shop.ckpt("run")) == "same failure: its process died again (signal 9)"
    shop.edit("shop.py", "os.kill(os.getpid(), n)", "pass")
    done = shop.ckpt("run")
    assert (done.returncode, done.stdout) == (0, "'alive'\n")
    assert last(done).startswith("fixed: its process died then, and returns now")


def test_where_a_call_crashes_is_told(shop: Project) -> None:
    """The Python stack of a segmentation fault comes before the verdict, down to the captured function; of a kill there is none."""
    shop.call(f"import shop; shop.dies({signal.SIGSEGV:d})")
    done = shop.ckpt("run")
    assert done.stderr.startswith("Fatal Python error: Segmentation fault\n")
    assert re.search(r'File ".*shop.py", line \d+ in dies\nsame failure: its process died again \(signal 11\)\n$', done.stderr)
    assert not re.search("replay.py|calling.py|Extension modules", done.stderr)
    shop.call("import shop; shop.dies(9)")
    assert shop.ckpt("run").stderr == "same failure: its process died again (signal 9)\n"


def test_why_a_replay_can_lie_is_said_of_one_that_does_not_end_too(shop: Project) -> None:
    """What was known when the call began is said also when it hangs, or takes its process along."""
    shop.call("import shop; shop.price([0])")
    shop.edit("shop.py", "10 // n", "time.sleep(60)")
    note = "only the failure was recorded: what the call itself changed in n is changed already"
    assert shop.replay("--timeout", "5")["notes"] == [note]
    shop.edit("shop.py", "time.sleep(60)", "os._exit(1)")
    assert shop.replay("--timeout", "30")["notes"] == [note]


def test_a_hang_is_ended_after_its_time(shop: Project) -> None:
    """`--timeout` ends the call and says where it hung; for a call that a person had interrupted that is the same failure."""
    with subprocess.Popen(
        [sys.executable, "-c", "import shop; shop.hangs(60)"],
        cwd=shop.path,
        env=processes.environment(shop.environ),
        stderr=subprocess.DEVNULL,
    ) as hanging:
        while not shop.store.headers():
            time.sleep(0.05)
        hanging.send_signal(signal.SIGINT)
    assert shop.store.find().exception == "KeyboardInterrupt"
    done = shop.ckpt("run", "--timeout", "5")
    assert done.returncode == 1
    assert last(done) == "same failure: it raised KeyboardInterrupt then, and it is still running after 5 s [5 s]"
    assert re.search(r'File ".*shop.py", line \d+ in hangs\n(note: .*\n)*same failure: ', done.stderr)
    shop.edit("shop.py", "time.sleep(seconds)", "return 'awake'")
    done = shop.ckpt("run", "--timeout", "10")
    assert (done.returncode, done.stdout) == (0, "'awake'\n")
    assert last(done).startswith("fixed: ")


def test_a_hang_of_a_call_that_failed_is_a_different_failure(shop: Project) -> None:
    """A call that raised and now hangs does not do the same; of one that hangs while it is imported nothing can be said."""
    shop.call("import shop; shop.price(0)")
    shop.edit("shop.py", "10 // n", "time.sleep(60)")
    assert shop.replay("--timeout", "5")["verdict"] == "different failure"
    shop.edit("shop.py", "class Shut", "time.sleep(60)\n\nclass Shut")
    told = shop.replay("--timeout", "3")
    assert (told["verdict"], told["detail"]) == ("cannot replay", "it is still loading after 3 s")


def test_any_time_may_be_given(shop: Project) -> None:
    """Next to all time ends nothing."""
    shop.call("import shop; shop.stock(1)")
    assert shop.replay("--timeout", "1e300")["verdict"] == "still passes"


def test_what_a_hanging_call_has_started_is_ended_with_it(shop: Project) -> None:
    """No child process of a call that was ended goes on."""
    shop.call("import shop; shop.stock(0)")
    shop.edit("shop.py", "return [n] * 3", "import subprocess; subprocess.run(['sh', '-c', 'echo $$ > pid; exec sleep 60'])")
    shop.replay("--timeout", "5")
    processes.wait_until_gone(int((shop.path / "pid").read_text()))


def test_a_grandchild_that_lives_on_holds_nothing_up(shop: Project) -> None:
    """A process that the call leaves behind does not keep the verdict waiting."""
    shop.call("import shop; shop.dies(9)")
    shop.edit(
        "shop.py",
        "    os.kill(os.getpid(), n)\n",
        "    if os.fork() == 0: os.closerange(0, 3); time.sleep(30); os._exit(0)\n    os.kill(os.getpid(), n)\n",
    )
    begun = time.monotonic()
    assert shop.replay()["verdict"] == "same failure"
    assert time.monotonic() - begun < 20


# Other arguments


def test_arguments_are_changed_by_literals_and_by_the_environment(shop: Project) -> None:
    """`--set` takes Python literals, and texts from the environment; a name the function takes by `**` is one too."""
    shop.call("import shop; shop.price(0)")
    shop.edit("shop.py", "return helper(n) * rate", "return helper(n) * rate, more")
    shown = shop.replay("--set", "n=5", "--set", "rate=3", "--set", "key=@env:KEY", KEY="a secret")
    assert (shown["verdict"], shown["repr"]) == ("fixed", "(6, {'key': 'a secret'})")


def test_a_changed_argument_takes_the_place_of_one_that_was_not_kept(shop: Project) -> None:
    """With another value for a placeholder the call can be made, and nothing is said of it."""
    shop.call("import shop, threading; shop.price(threading.Lock())")
    assert shop.replay()["verdict"] == "cannot replay"
    shown = shop.replay("--set", "n=2")
    assert (shown["verdict"], shown["notes"]) == ("fixed", [])


LITERALS = "numbers, texts in quotes, None, True, False, and lists, tuples, dicts and sets of them; or @env:VARIABLE"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("rows", "'rows' is no change of an argument.", "--set rows=VALUE"),
        ("a b=1", "'a b=1' is no change of an argument.", "--set name=VALUE"),
        ("rows=abc", "'abc' is no Python literal.", """a text stands in quotes: --set 'rows="abc"'"""),
        ("rows=two words", "'two words' is no Python literal.", """a text stands in quotes: --set 'rows="two words"'"""),
        ("rows=", "'' is no Python literal.", """a text stands in quotes: --set 'rows=""'"""),
        ("rows=f()", "'f()' is no Python literal.", LITERALS),
        ("rows=[Row(1)]", "'[Row(1)]' is no Python literal.", LITERALS),
        ("rows=@env:", "@env: names no variable.", "--set rows=@env:VARIABLE"),
        ("rows=@env:NOWHERE", "There is no variable 'NOWHERE' in the environment.", "export NOWHERE=..."),
    ],
)
def test_a_change_that_cannot_be_understood_is_wrong_usage(text: str, message: str, hint: str) -> None:
    """Only `name=LITERAL` and `name=@env:VARIABLE` are changes; nothing is evaluated. The hint is what to write instead."""
    with pytest.raises(UsageError, match=re.escape(message)) as wrong:
        parse_changes([text], {})
    assert wrong.value.hint == hint


def test_a_change_keeps_the_other_arguments_where_they_were() -> None:
    """Positional-only, variable and keyword arguments stay what they are."""

    def take(a: int, /, b: int, *rest: int, c: int = 0, **more: int) -> None: ...

    assert changed(take, [1, 2, 3, 4], {"c": 5, "d": 6}, {"b": 7, "d": 8, "e": 9}) == ((1, 7, 3, 4), {"c": 5, "d": 8, "e": 9})
    with pytest.raises(UsageError, match="no single parameter 'rest' to set"):
        changed(take, [1], {}, {"rest": 1})


def test_a_change_of_an_unknown_argument_names_those_there_are(shop: Project) -> None:
    """A name the function has no parameter for is wrong usage, with a hint."""
    shop.call("import shop; shop.stock(1)")
    done = shop.ckpt("run", "--set", "m=1")
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        ["error: The function has no parameter 'm' to set.", "hint: it has n"],
    )


# Many at a time


def test_every_match_is_replayed_in_parallel_oldest_first(shop: Project) -> None:
    """`--all` and a pattern replay each match in a process of its own; a line tells of each, and a table of all."""
    shop.call("import shop\nfor n in 1, 2: shop.stock(n)\ntry: shop.price(0)\nexcept ZeroDivisionError: shop.dies(9)")
    done = shop.ckpt("run", "--all", "-j", "3")
    assert done.returncode == 1
    rows = [re.split(r" {2,}", line) for line in done.stdout.splitlines()]
    assert [row[:3] for row in rows] == [
        ["id", "name", "verdict"],
        *([header.id[:8], header.name, verdict] for header, verdict in zip(shop.store.headers(), VERDICTS, strict=True)),
    ]
    assert sorted(line.split("  ")[0] for line in done.stderr.splitlines()[:4]) == ["1/4", "2/4", "3/4", "4/4"]
    assert last(done) == "4 replays: 2 still passes, 2 same failure"


VERDICTS = ["still passes", "still passes", "same failure", "same failure"]


def test_why_many_replays_can_lie_is_said_below_the_table(shop: Project) -> None:
    """Each reason is said once, with the captures that it is about; `--bisect` says it too."""
    note = "note: only the failure was recorded: what the call itself changed in n is changed already"
    shop.call("import shop; shop.stock(1)\ntry: shop.price([0])\nexcept TypeError: shop.price([1])")
    first, second = (header.id[:8] for header in shop.store.headers()[1:])
    done = shop.ckpt("run", "--all")
    assert done.stderr.splitlines()[3:] == [f"{note} ({first}, {second})", "3 replays: 2 same failure, 1 still passes"]
    assert f"{note} (all 2)" in shop.ckpt("run", "price*").stderr.splitlines()
    shop.call("import shop\nfor n in range(5):\n try: shop.price([n])\n except TypeError: pass")
    assert re.search(rf"{re.escape(note)} \((\w{{8}}, ){{4}}\w{{8}} and 2 more\)\n", shop.ckpt("run", "--all").stderr)
    assert note in shop.ckpt("run", "price", "--bisect").stderr.splitlines()


def test_a_pattern_chooses_by_name(shop: Project) -> None:
    """A name with a star means what fits it; exit code 0 when all of them return; as JSON, a list."""
    shop.call("import shop\nfor n in 1, 2: shop.stock(n)\nshop.price(0)")
    done = shop.ckpt("run", "shop.st*", "--json")
    assert done.returncode == 0
    assert [(one["name"], one["verdict"], one["repr"]) for one in json.loads(done.stdout)] == [
        ("stock", "still passes", "[1, 1, 1]"),
        ("stock", "still passes", "[2, 2, 2]"),
    ]
    done = shop.ckpt("run", "nothing*")
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "error: No capture's name fits 'nothing*'.")
    done = shop.ckpt("run", "--all", "stock", "--json", "-j", "1")
    assert len(json.loads(done.stdout)) == 2
    ids = [header.id[:8] for header in shop.store.headers()]
    assert done.stderr.splitlines()[:2] == [f"{number}/2  still passes  {ids[number - 1]}  stock" for number in (1, 2)]


def test_what_many_replays_print_is_not_mixed_up(shop: Project) -> None:
    """What the programs print is thrown away, and one that hangs is ended."""
    shop.call("import shop; shop.stock(1); shop.hangs(0)")
    shop.edit("shop.py", "def stock(n):\n", "def stock(n):\n    print('out'), print('err', file=sys.stderr)\n")
    shop.edit("shop.py", "time.sleep(seconds)", "time.sleep(60)")
    done = shop.ckpt("run", "--all", "--timeout", "5")
    assert done.returncode == 1
    assert not re.search("^(out|err)$", done.stdout + done.stderr, re.MULTILINE)
    assert "new failure" in done.stdout


def test_a_ctrl_c_ends_all_replays(shop: Project) -> None:
    """An interrupted batch ends with 130, and none of its processes goes on."""
    shop.call("import shop\nfor n in range(3): shop.stock(n)")
    shop.edit("shop.py", "return [n] * 3", "open(f'{os.getpid()}.pid', 'w').close(); time.sleep(60)")
    with shop.running("run", "--all", "-j", "2") as batch:
        while len(pids := [int(path.stem) for path in shop.path.glob("*.pid")]) < 2:
            time.sleep(0.05)
        batch.send_signal(signal.SIGINT)
        assert batch.wait(timeout=20) == 130
    processes.wait_until_gone(*pids)
    assert len(list(shop.path.glob("*.pid"))) == 2


def test_a_batch_on_a_terminal_shows_a_bar_and_a_table(shop: Project) -> None:
    """On a terminal there is progress while the replays run, and a table at the end."""
    pexpect = pytest.importorskip("pexpect")
    shop.call("import shop\nfor n in range(3): shop.stock(n)")
    environ = processes.environment(shop.environ | {"TERM": "xterm"})
    child = pexpect.spawn(
        sys.executable, ["-m", "ckpt", "run", "--all"], cwd=str(shop.path), env=environ, encoding="utf-8", timeout=30, dimensions=(40, 160)
    )
    child.expect("replaying")
    child.expect("[13]/3")
    child.expect("what differs")
    child.expect(pexpect.EOF)
    assert child.before.count("still passes") == 4
    assert "1/3  " not in child.before
    child.close()
    assert child.exitstatus == 0


@pytest.mark.skipif(sys.platform == "win32", reason="a directory that is in use cannot go there")
def test_a_replay_is_made_from_a_directory_that_is_gone(shop: Project) -> None:
    """A shell may stand in a directory that somebody has removed: a replay goes to its own, what needs this one says that it is gone."""
    shop.call("import shop; shop.price(0)")
    done = []
    for arguments in (["run"], ["test", "-o", "test_it.py"]):
        (shop.path / "gone").mkdir()
        command = ["sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", sys.executable, "-m", "ckpt", "--ckpt-dir", shop.store.path, *arguments]
        environ = processes.environment(shop.environ)
        done.append(subprocess.run(command, cwd=shop.path / "gone", env=environ, capture_output=True, text=True, check=False, timeout=60))
    assert last(done[0]).startswith("same failure: ")
    assert done[1].returncode == 1
    assert done[1].stderr == "error: The working directory does not exist any more.\n"


# What to know about a replay


def test_why_a_replay_can_lie_is_said_before_the_verdict(shop: Project) -> None:
    """Arguments that the call may have changed, that were not kept, another directory: one line each."""
    work = shop.path / "work"
    work.mkdir()
    shop.python("-c", "import os, shop, threading; os.chdir('work'); shop.price({'n': 0}, lock=threading.Lock())")
    work.rmdir()
    done = shop.ckpt("run")
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert len(notes) == 3
    assert notes[0].startswith("note: the argument lock is a placeholder: ")
    assert notes[1] == "note: only the failure was recorded: what the call itself changed in n is changed already"
    assert notes[2] == f"note: the directory it ran in, {work}, is gone: it runs in this one"
    assert last(done).startswith("same failure: ")


#: Lets a process say that it is another Python, as far as a capture tells: a second interpreter is not to be had everywhere.
OTHER_PYTHON = "import platform; platform.python_version = lambda: '3.9.18'; "


def test_another_minor_version_of_python_is_said(shop: Project) -> None:
    """A capture of another Python minor says so before the verdict, and in the JSON; another bugfix release is no other Python."""
    shop.call(f"{OTHER_PYTHON}import shop; shop.stock(1)")
    note = f"captured on Python 3.9.18, opened on {platform.python_version()}"
    done = shop.ckpt("run")
    assert done.stderr.splitlines()[:-1] == [f"note: {note}"]
    assert last(done).startswith("still passes: ")
    assert shop.replay("--timeout", "30")["notes"] == [note]
    same_minor = ".".join([*platform.python_version_tuple()[:2], "99"])
    shop.call(f"{OTHER_PYTHON.replace('3.9.18', same_minor)}import shop; shop.stock(1)")
    assert shop.replay()["notes"] == []


def test_a_function_of_another_python_that_no_import_finds_cannot_be_replayed(shop: Project) -> None:
    """Bytecode is of one Python: the line says so, where only the captured function itself could be called."""
    shop.write("inner.py", "import ckpt\n\ndef make():\n    @ckpt.ckpt\n    def inner(n):\n        return 1 // n\n    return inner\n")
    shop.call(f"{OTHER_PYTHON}import inner; inner.make()(1)")
    assert (shown := shop.replay())["verdict"] == "cannot replay"
    assert "its bytecode is of another Python version" in shown["detail"]


def test_another_version_of_a_package_is_said(shop: Project) -> None:
    """Packages whose installed version is another today are named, whether they are loaded or not, and none is imported to find out."""
    site = shop.path / "site-packages"
    package = "__version__ = '1.0'\n"
    shop.write("site-packages/fancy/__init__.py", package)
    info = shop.write("site-packages/fancy-1.0.dist-info/METADATA", "Name: fancy\nVersion: 1.0\n").parent
    shop.write("site-packages/same/__init__.py", package)
    shop.python("-c", "import fancy, same, shop; shop.stock(1)", PYTHONPATH=f"{processes.ROOT}:{site}")
    info.rename(info.with_name("fancy-2.0.dist-info"))
    shop.write("site-packages/fancy/__init__.py", "raise SystemExit('imported')\n")
    notes = shop.replay(PYTHONPATH=f"{processes.ROOT}:{site}")["notes"]
    assert notes == ["fancy 1.0 was used then, 2.0 is installed now"]


def test_a_file_that_was_written_while_the_program_ran_is_said(shop: Project) -> None:
    """When the kept text may not be what was imported, the replay says so."""
    shop.python("-c", "import shop; open('shop.py', 'a').write('def more(): pass\\n'); shop.stock(1)")
    assert shop.replay()["notes"] == []
    shop.write("shop.py", SHOP)
    shop.python("-c", f"import shop; open('shop.py', 'w').write({SHOP.replace('* 3', '* 4')!r}); shop.stock(1)")
    assert shop.replay()["notes"] == [
        f"{shop.path / 'shop.py'} was written while the program ran: the text that was kept may be another than the imported one"
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--watch", "--json"],
        ["--all", "--debug"],
        ["--all", "--trace"],
        ["--trace", "--profile"],
        ["--depth", "1"],
        ["-j", "2"],
        ["--bisect", "--all"],
        ["--timeout", "1", "--debug"],
        ["--code", "tomorrow"],
    ],
)
def test_options_that_exclude_each_other_are_wrong_usage(home: Path, tmp_path: Path, arguments: list[str]) -> None:
    """What cannot be meant together ends with exit code 2."""
    done = processes.ckpt("run", *arguments, cwd=tmp_path, check=False)
    assert done.returncode == 2


WAITING = """
import asyncio
import ckpt

@ckpt.ckpt
async def consume(n):
    asyncio.get_running_loop().create_task(beside(), name="the other")
    queue = asyncio.Queue()
    return await reader(queue)

async def reader(queue):
    return await queue.get()

async def beside():
    await asyncio.sleep(600)

async def main():
    task = asyncio.create_task(consume(1))
    await asyncio.sleep(0.01)
    task.cancel()

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_coroutine_that_hangs_names_the_lines_that_wait(home: Path, tmp_path: Path) -> None:
    """Each task is told with its own lines; those of asyncio and ckpt say nothing."""
    project = Project(tmp_path / "project")
    script = project.write("waiting.py", WAITING)
    project.python("waiting.py", check=True)
    lines = project.ckpt("run", "--timeout", "5").stderr.splitlines()
    assert [f'  File "{script}", line {number} in {name}' for number, name in ((12, "reader"), (9, "consume"))] == lines[1:3]
    assert re.fullmatch(r"Task 'Task-\d+' \(most recent await first\):", lines[0])
    other = lines.index("Task 'the other' (most recent await first):")
    assert lines[other + 1] == f'  File "{script}", line 15 in beside'
    assert not [line for line in lines if "callee.py" in line or "asyncio" in line]
