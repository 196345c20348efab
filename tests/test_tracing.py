"""`run --trace` and `--profile`: what a replay does, line by line, and where its time goes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from ckpt._replaying import tracing as room
from ckpt._replaying.profiling import _HOUSE, _ours, profiled
from ckpt._replaying.tracing import tracing
from tests.workplace import Project, last

SHOP = """import json
import ckpt


def helper(item):
    doubled = item * 2
    return doubled


@ckpt.ckpt
def price(items):
    total = 0
    names = [str(item) for item in items]
    for item in items:
        total += helper(item)
    del names
    return json.dumps(total)
"""


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> Project:
    """A project with a call that returned, and one that failed."""
    project = Project(tmp_path / "project")
    project.write("shop.py", SHOP)
    project.python("-c", "import shop; shop.price([1, 2]); shop.price([None])")
    return project


def test_a_trace_shows_each_line_and_what_it_changes(shop: Project) -> None:
    """The lines of the captured function alone, in the order in which they run, each followed by the variables that it changed."""
    done = shop.ckpt("run", "--trace", "price~1")
    assert (done.returncode, done.stdout) == (0, "'6'\n")
    assert done.stderr.splitlines()[:-1] == [
        "call price, shop.py:10",
        "    items = [1, 2]",
        "shop.py:12  total = 0",
        "    total = 0",
        "shop.py:13  names = [str(item) for item in items]",
        "    names = ['1', '2']",
        "shop.py:14  for item in items:",
        "    item = 1",
        "shop.py:15  total += helper(item)",
        "    total = 2",
        "shop.py:14  for item in items:",
        "    item = 2",
        "shop.py:15  total += helper(item)",
        "    total = 6",
        "shop.py:14  for item in items:",
        "shop.py:16  del names",
        "    names is deleted",
        "shop.py:17  return json.dumps(total)",
        "    -> '6'",
    ]
    assert last(done).startswith("still passes: ")


def test_a_trace_goes_down_into_the_project_as_far_as_it_is_told(shop: Project) -> None:
    """With `--depth` the project's functions below are followed, the library's never; a failure shows where it passes."""
    done = shop.ckpt("run", "--trace", "--depth", "1")
    told = [line for line in done.stderr.splitlines() if not line.startswith(("Traceback", "  File", "    return", "       "))]
    begin = told.index("  call helper, shop.py:5")
    assert told[begin : begin + 6] == [
        "  call helper, shop.py:5",
        "      item = None",
        "  shop.py:6  doubled = item * 2",
        "      raised TypeError: unsupported operand type(s) for *: 'NoneType' and 'int'",
        "    raised TypeError: unsupported operand type(s) for *: 'NoneType' and 'int'",
        told[begin + 5],
    ]
    done = shop.ckpt("run", "--trace", "--depth", "5", "price~1")
    assert "json/" not in done.stderr
    assert "dumps, " not in done.stderr


def test_a_profile_shows_where_the_time_went(shop: Project) -> None:
    """The functions of the call with their calls and times, without ckpt's own."""
    done = shop.ckpt("run", "--profile", "price~1")
    head, *rows = done.stderr.splitlines()[:-1]
    assert head.split() == ["calls", "own", "total", "function"]
    assert re.fullmatch(r" +1 +[\d.]+ ms +[\d.]+ ms  (\w+\.)?price \(shop.py:10\)", rows[0])
    assert any(re.fullmatch(r" +2 +[\d.]+ ms +[\d.]+ ms  helper \(shop.py:5\)", row) for row in rows)
    assert not any("contextlib" in row or "_replaying" in row for row in rows)
    assert done.stdout == "'6'\n"


def test_a_died_call_is_traced_in_its_own_process(shop: Project) -> None:
    """What is shown comes from the child that replays."""
    shop.write("crash.py", "import ckpt, os\n@ckpt.ckpt\ndef work():\n    here = 1\n    os._exit(here)\n")
    shop.call("import crash; crash.work()")
    done = shop.ckpt("run", "--trace", "work")
    assert "crash.py:5  os._exit(here)" in done.stderr
    assert last(done) == "same failure: its process died again (exit code 1)"


def observed(function: Callable[[], Any], capsys: pytest.CaptureFixture[str], depth: int = 0) -> list[str]:
    """Return the lines of a trace of `function` in this process."""
    code: CodeType = function.__code__
    before = sys.gettrace()
    try:
        tracing(depth)(function, code)
    finally:
        assert sys.gettrace() is before
    return capsys.readouterr().err.splitlines()


def test_a_long_run_shows_its_beginning_and_its_end(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the first and the last lines it is said how many are left out."""
    monkeypatch.setattr(room, "FIRST", 5)
    monkeypatch.setattr(room, "LAST", 4)

    def work() -> None:
        for _number in range(100):
            pass

    lines = observed(work, capsys)
    assert len(lines) == 10
    assert re.fullmatch(r"\.\.\. \d+ lines left out \.\.\.", lines[5])
    assert lines[-1] == "    -> None"


def test_a_trace_runs_no_code_of_the_values(capsys: pytest.CaptureFixture[str]) -> None:
    """Variables are described, not printed: no `__repr__` and no `__eq__` of theirs runs; control characters are escaped."""

    class Loud:
        def __repr__(self) -> str:
            raise AssertionError

        __eq__ = __repr__  # type: ignore[assignment]
        __hash__ = None  # type: ignore[assignment]

    def work() -> None:
        loud = Loud()
        text = "\x1b[31m"
        del loud, text

    lines = observed(work, capsys)
    assert r"    text = '\x1b[31m'" in lines
    assert any(line.startswith("    loud = <") and "Loud" in line for line in lines)


def test_a_generator_is_followed_through_its_pauses(capsys: pytest.CaptureFixture[str]) -> None:
    """A function that is left and entered again is told once, and goes on where it was."""

    def numbers() -> Any:
        for number in range(2):
            yield number * 1

    def work() -> list[int]:
        return list(numbers())

    code = numbers.__code__
    tracing(0)(work, code)
    lines = [line.strip() for line in capsys.readouterr().err.splitlines()]
    assert sum(line.startswith("call ") for line in lines) == 1
    assert [line for line in lines if line.startswith(("number = ", "yields", "-> "))] == [
        "number = 0",
        "yields 0",
        "number = 1",
        "yields 1",
        "-> None",
    ]


def test_what_the_event_loop_does_meanwhile_is_not_told(shop: Project) -> None:
    """Of coroutines only lines and results are told: not that they wait, nor the exceptions by which Python says that something ended."""
    shop.write(
        "later.py",
        """import asyncio
import ckpt

class Two:
    def __iter__(self):
        self.left = 2
        return self
    def __next__(self):
        self.left -= 1
        if self.left < 0:
            raise StopIteration
        return self.left

async def items():
    for item in Two():
        await asyncio.sleep(0)
        yield item

async def last():
    await asyncio.sleep(0)
    return 7

@ckpt.ckpt
async def work():
    async for item in items():
        pass
    return await last()
""",
    )
    shop.call("import asyncio, later; asyncio.run(later.work())")
    told = [line for line in shop.ckpt("run", "work", "--trace", "--depth", "1").stderr.splitlines() if ".py:" not in line]
    assert told[:-1] == [
        *("      item = 1", "      yields", "    item = 1"),
        *("      item = 0", "      yields", "    item = 0"),
        *("      -> None", "      -> 7", "    -> 7"),
    ]


def test_a_change_behind_what_is_shown_of_a_container_leaves_a_sign(shop: Project) -> None:
    """Of a long container the first items and the length are told; other items behind them are said, other parts of an item are not."""
    shop.write(
        "long.py",
        """import ckpt

@ckpt.ckpt
def work(rows, table, few, many):
    rows[500] = -1
    rows.append(None)
    rows[50]["deep"] = 1
    table[70] = 7
    few[0] = float("1.5")
    many[9000] = -1
    many.pop()
""",
    )
    shop.call("import long; long.work([{} for _ in range(600)], dict.fromkeys(range(99)), [float('1.5')], [0] * 10_002)")
    told = shop.ckpt("run", "work", "--trace").stderr.splitlines()[5:-1]
    shown = "[{}, {}, {}, {}, {}, {}, {}, {}, ...]"
    keys = ", ".join(f"{number}: None" for number in range(8))
    assert [line.strip() for line in told if ".py:" not in line or "deep" in line or "many" in line] == [
        f"rows is changed behind {shown} (600)",
        f"rows = {shown} (601)",
        'long.py:7  rows[50]["deep"] = 1',
        f"table is changed behind {{{keys}, ...}} (99)",
        "long.py:10  many[9000] = -1",
        "long.py:11  many.pop()",
        f"many = [{'0, ' * 8}...] (10001)",
        "-> None",
    ]


def test_a_profile_of_a_failure_is_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    """What the call raises goes on, after the table."""

    def work() -> None:
        raise KeyError(1)

    with pytest.raises(KeyError):
        profiled(work, work.__code__)
    assert "work (test_tracing.py:" in capsys.readouterr().err


def test_a_folder_that_only_begins_like_ckpt_is_profiled() -> None:
    """Functions of `ckpt_tools` beside the package are the user's."""
    ours, users = (f"{_HOUSE}core.py", 1, "core"), (f"{_HOUSE.rstrip('/')}_tools/core.py", 1, "core")
    assert _ours({ours: (1, 1, 0.0, 0.0, {}), users: (1, 1, 0.0, 0.0, {})}, None) == {ours}
