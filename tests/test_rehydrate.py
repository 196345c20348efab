"""Opening captures: live objects, the function found again, identity of a script's classes."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

import ckpt
from ckpt._store.store import Store
from tests.processes import python

LOOK = """
import json, sys, traceback, ckpt
"""


def ask(code: str, cwd: Path, store: Store) -> str:
    """Return what a fresh process prints that opens captures."""
    return python("-c", f"{LOOK}\n{code}", cwd=cwd, environ={"PYCKPT_DIR": store.path}).stdout.strip()


SCRIPT = """
import dataclasses, os, sys
import ckpt

MARK = "ran.txt"
SCALE = 3

@dataclasses.dataclass
class Point:
    x: int

class Mine(ValueError):
    def __init__(self, point, *, why):
        super().__init__(f"{point}: {why}")
        self.point, self.why = point, why

@ckpt.ckpt(active=False)
def work(point):
    if not isinstance(point, Point):
        raise TypeError("another Point")
    scaled = point.x * SCALE
    if scaled > 5:
        raise Mine(point, why="too big")
    return scaled
"""

GUARDED = f"""{SCRIPT}
if __name__ == "__main__":
    with open(MARK, "a") as file: file.write("x")
    work(Point(2))
"""
UNGUARDED = f"""{SCRIPT}
with open(MARK, "a") as file: file.write("x")
prepared = [Point(2)]
work(prepared[0])
"""


@pytest.mark.parametrize("text", [GUARDED, UNGUARDED], ids=["guarded", "unguarded"])
def test_a_scripts_failure_opens_and_replays_in_another_process(
    text: str, store: Store, script: Callable[[str], Path], tmp_path: Path
) -> None:
    """Its classes keep their identity, and the script is not run again."""
    python(script(text), cwd=tmp_path, check=False, environ={"PYCKPT_DIR": store.path})

    shown = ask(
        "c = ckpt.load(); e = c.exception; print(type(e).__name__, e.why, e.point is c.locals['point'], c.args[0].x, c.replay().verdict)",
        tmp_path,
        store,
    )

    assert shown == "Mine too big True 2 same failure"
    assert (tmp_path / "ran.txt").read_text() == "x"


def test_the_fix_is_seen_by_the_next_replay(store: Store, script: Callable[[str], Path], tmp_path: Path) -> None:
    """Saving the mended script within the same second makes the replay say fixed."""
    path = script(GUARDED)
    python(path, cwd=tmp_path, check=False, environ={"PYCKPT_DIR": store.path})
    path.write_text(GUARDED.replace("scaled > 5", "scaled > 7"))

    shown = ask("c = ckpt.load('work'); r = c.replay(); print(r.verdict, r.value, *c.notes, sep=' | ')", tmp_path, store)

    assert shown.startswith("fixed | 6 | ")
    assert "has changed since" in shown
    assert (tmp_path / "ran.txt").read_text() == "x"


def test_a_module_run_with_m_is_found_again(store: Store, tmp_path: Path) -> None:
    """`python -m pkg.job` with relative imports, in a package that is not installed."""
    package = tmp_path / "src" / "pkg"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "helper.py").write_text("class Thing:\n    def __init__(self, n): self.n = n\n")
    (package / "job.py").write_text(
        "import ckpt\nfrom .helper import Thing\n"
        "@ckpt.ckpt(active=False)\ndef work(thing):\n    assert type(thing) is Thing\n    return 1 // thing.n\n"
        "if __name__ == '__main__':\n    work(Thing(0))\n"
    )
    python("-m", "pkg.job", cwd=tmp_path / "src", check=False, environ={"PYCKPT_DIR": store.path})

    assert ask("r = ckpt.load().replay(); print(r.verdict, r.detail)", tmp_path, store) == (
        "same failure ZeroDivisionError: integer division or modulo by zero"
    )


def test_a_function_of_a_prompt_is_kept_by_value(store: Store, tmp_path: Path) -> None:
    """What has no file anywhere can be opened and called all the same."""
    code = (
        "import ckpt\nfactor = 2\nclass Held:\n    n = 0\n"
        "@ckpt.ckpt(active=False)\ndef work(held):\n    return factor // held.n\nwork(Held())\n"
    )
    python("-c", code, cwd=tmp_path, check=False, environ={"PYCKPT_DIR": store.path})

    assert ask("c = ckpt.load(); print(c.replay().verdict, c.locals['held'].n)", tmp_path, store) == "same failure 0"


def test_a_method_of_an_importable_class_is_called_below_its_decorators(store: Store, tmp_path: Path) -> None:
    """A replay enters where the capture was made."""
    (tmp_path / "shop.py").write_text(
        "import functools, ckpt\n"
        "def loud(f):\n    @functools.wraps(f)\n    def g(*a, **k):\n        print('above', end=' ')\n"
        "        return f(*a, **k)\n    return g\n"
        "class Shop:\n    def __init__(self, n): self.n = n\n"
        "    @loud\n    @ckpt.ckpt\n    def price(self, k, *, times=1): return self.n // k * times\n"
    )
    python("-c", "import shop; shop.Shop(6).price(3, times=2)", cwd=tmp_path, environ={"PYCKPT_DIR": store.path})

    assert ask("r = ckpt.load().replay(); print(r.verdict, r.value, r.detail)", tmp_path, store) == "still passes 4 it returns as it did"


@pytest.mark.parametrize(
    ("flavour", "expected"),
    [
        ("async def work(n):\n    return 1 // n", "same failure"),
        ("def work(n):\n    yield 1\n    yield 1 // n", "same failure"),
        ("async def work(n):\n    yield 1\n    yield 1 // n", "same failure"),
    ],
)
def test_coroutines_and_generators_are_replayed_to_their_end(flavour: str, expected: str, store: Store, tmp_path: Path) -> None:
    """The failure lies in the body, and so the body is run."""
    (tmp_path / "flow.py").write_text(f"import ckpt\n@ckpt.ckpt\n{flavour}\n")
    drive = "import flow, asyncio, inspect\nfrom ckpt._replaying.callee import run_to_the_end\nrun_to_the_end(flow.work(0))"
    python("-c", drive, cwd=tmp_path, check=False, environ={"PYCKPT_DIR": store.path})

    assert ask("print(ckpt.load().replay().verdict)", tmp_path, store) == expected


def test_a_died_capture_is_replayed_in_a_child_process(store: Store, tmp_path: Path) -> None:
    """It may die again without taking the asking process along, and says fixed when it does not."""
    module = tmp_path / "crash.py"
    module.write_text("import os, ckpt\n@ckpt.ckpt\ndef work(n):\n    os.kill(os.getpid(), n)\n    return 'alive'\n")
    python("-c", "import crash; crash.work(9)", cwd=tmp_path, check=False, environ={"PYCKPT_DIR": store.path})

    look = "r = ckpt.load().replay(); print(r.verdict, r.detail, r.text, sep=' | ')"
    assert ask(look, tmp_path, store) == "same failure | its process died again (signal 9) | None"
    module.write_text(module.read_text().replace("os.kill(os.getpid(), n)", "pass"))
    assert ask(look, tmp_path, store) == "fixed | its process died then, and returns now | 'alive'"


def test_what_is_gone_cannot_be_replayed_but_still_opens(store: Store, tmp_path: Path) -> None:
    """A function that is gone gives the verdict, and its frames open."""
    module = tmp_path / "shop.py"
    module.write_text("import ckpt\n@ckpt.ckpt\ndef price(n):\n    return 1 // n\n")
    python("-c", "import shop; shop.price(0)", cwd=tmp_path, check=False, environ={"PYCKPT_DIR": store.path})
    module.write_text("def prices(n): pass\n")

    shown = ask("c = ckpt.load(); r = c.replay(); print(r.verdict, c.locals, r.exception.hint)", tmp_path, store)

    assert shown.startswith("cannot replay {'n': 0}")
    assert "prices" in shown


def test_a_placeholder_that_a_replay_touches_cannot_be_replayed(store: Store, tmp_path: Path) -> None:
    """A replay that needs what was not kept does not pretend to have failed."""
    (tmp_path / "shop.py").write_text("import ckpt\n@ckpt.ckpt\ndef use(lock):\n    with lock: return 1\n")
    python("-c", "import shop, threading; shop.use(threading.Lock())", cwd=tmp_path, environ={"PYCKPT_DIR": store.path})

    shown = ask("c = ckpt.load(); r = c.replay(); print(r.verdict, r.detail, *c.notes, sep=' | ')", tmp_path, store)

    assert shown.startswith("cannot replay | This _thread.lock is only a placeholder")
    assert "the argument lock is a placeholder" in shown


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ("def price(n):\n    return 2 // n\n", "same failure"),  # other line text, same message
        ("def price(n):\n    raise KeyError(n)\n", "different failure"),
        ("def helper(n):\n    return 1 // n\ndef price(n):\n    return helper(n)\n", "different failure"),
        ("def price(n):\n    return 5\n", "fixed"),
    ],
)
def test_the_verdict_compares_type_place_and_message(changed: str, verdict: str, store: Store, tmp_path: Path) -> None:
    """Same means: same type, same innermost project function, and the same line or message."""
    module = tmp_path / "shop.py"
    module.write_text("import ckpt\n@ckpt.ckpt\ndef price(n):\n    return 1 // n\n")
    python("-c", "import shop; shop.price(0)", cwd=tmp_path, check=False, environ={"PYCKPT_DIR": store.path})
    module.write_text(f"import ckpt\n{changed.replace('def price', '@ckpt.ckpt' + chr(10) + 'def price')}")

    assert ask("print(ckpt.load().replay().verdict)", tmp_path, store) == verdict


def test_a_replay_records_nothing_in_child_processes_neither(store: Store, tmp_path: Path) -> None:
    """Replaying a captured call that calls captured calls leaves the store as it was."""
    (tmp_path / "shop.py").write_text(
        "import subprocess, sys, ckpt\n@ckpt.ckpt\ndef inner(n): return n\n"
        "@ckpt.ckpt\ndef outer(n):\n    subprocess.run([sys.executable, '-c', 'import shop; shop.inner(1)'], check=True)\n"
        "    return inner(n)\n"
    )
    python("-c", "import shop; shop.outer(2)", cwd=tmp_path, environ={"PYCKPT_DIR": store.path})
    before = len(store.headers())

    assert ask("print(ckpt.load('outer').replay().verdict)", tmp_path, store) == "still passes"
    assert (before, len(store.headers())) == (3, 3)


def test_a_replay_runs_in_the_captured_working_directory(store: Store, tmp_path: Path) -> None:
    """Relative paths mean what they meant, unless asked otherwise."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "data.txt").write_text("5")
    (work / "shop.py").write_text("import ckpt\n@ckpt.ckpt\ndef read(): return open('data.txt').read()\n")
    python("-c", "import shop; shop.read()", cwd=work, environ={"PYCKPT_DIR": store.path})

    assert ask("import os; d = os.getcwd(); print(ckpt.load().replay().value, os.getcwd() == d)", tmp_path, store) == "5 True"


def test_a_rebuilt_traceback_is_the_live_one(store: Store, tmp_path: Path) -> None:
    """What `traceback` prints in another process, with the file gone, is what it printed live below the captured function."""
    (tmp_path / "shop.py").write_text(
        "import ckpt\ndef deep(rows, key):\n    return sum(row[key] + 1 for row in rows)\n"
        "@ckpt.ckpt(active=False)\ndef top(rows):\n    try:\n        return deep(rows, 'x')\n"
        "    except KeyError as e:\n        raise ValueError('worse') from e\n"
    )
    live = python(
        "-c",
        "import shop, traceback\ntry: shop.top([{'x': 1}, {}])\n"
        "except ValueError as e:\n e.__traceback__ = e.__traceback__.tb_next.tb_next; traceback.print_exception(e)",
        cwd=tmp_path,
        environ={"PYCKPT_DIR": store.path},
    ).stderr
    (tmp_path / "shop.py").unlink()

    shown = ask("c = ckpt.load()\nwith c.sources(): print(''.join(traceback.format_exception(c.exception)))", tmp_path, store)

    assert shown == live.strip()


def test_large_arrays_are_mapped_and_writable_and_the_store_keeps_their_bytes(store: Store) -> None:
    """Loading does not copy, writing to what was loaded does not reach the store, and equal bytes are there once."""
    numpy = pytest.importorskip("numpy")

    @ckpt.ckpt(name="take")
    def take(array: object) -> None:
        return

    array = numpy.arange(200_000.0)
    take(array), take(array.copy())
    loaded = ckpt.load("take").args[0]
    loaded[0] = -1

    assert (ckpt.load("take").args[0] == array).all()
    assert len([name for name in os.listdir(Path(store.path) / "objects") if name.startswith("b-")]) == 1


def test_headers_are_a_plain_table(store: Store) -> None:
    """`ckpt.captures()` is a list of mappings that JSON and pandas take."""

    @ckpt.ckpt(name="take")
    def take() -> int:
        return 1

    take()

    table = ckpt.captures("take")
    assert json.loads(json.dumps(table)) == table
    assert (table[0]["name"], table[0]["status"], ckpt.captures("other")) == ("take", "returned", [])


def test_a_wrong_name_says_the_nearest(store: Store) -> None:
    """A name that no capture has is answered with one that is."""

    @ckpt.ckpt(name="train")
    def train() -> None:
        return

    train()
    with pytest.raises(ckpt.CkptError) as raised:
        ckpt.load("trian")

    assert "train" in raised.value.hint


def test_the_exception_of_a_capture_can_be_raised(store: Store) -> None:
    """A rebuilt exception is one to `raise` and to catch."""

    @ckpt.ckpt(active=False, name="fails")
    def fails(x: int) -> None:
        raise LookupError(x)

    with pytest.raises(LookupError):
        fails(3)
    error = ckpt.load("fails").exception
    assert error is not None
    with pytest.raises(LookupError) as again:
        raise error

    frames = [frame for frame, _ in traceback.walk_tb(again.value.__traceback__)]
    assert frames[-1].f_locals["x"] == 3
    assert sys.exception() is None


NOTEBOOK = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("import ckpt\\nfactor = 2\\nclass Row:\\n    def __init__(self, n): self.n = n")
shell.run_cell("@ckpt.ckpt(active=False)\\ndef work(row):\\n    scaled = factor * row.n\\n    return 1 // scaled")
shell.run_cell("work(Row(0))")
"""


def test_a_notebooks_function_opens_with_its_source_and_replays(store: Store, script: Callable[[str], Path], tmp_path: Path) -> None:
    """Cells have no file: their text is kept, their classes and functions go by value."""
    environ = {"PYCKPT_DIR": store.path, "IPYTHONDIR": str(tmp_path / "ipython")}
    python(script(NOTEBOOK), cwd=tmp_path, environ=environ)

    shown = ask(
        "c = ckpt.load(); print(c.replay().verdict, c.locals['scaled'], c.args[0].n)\n"
        "with c.sources(): print(''.join(traceback.format_exception(c.exception)))",
        tmp_path,
        store,
    )

    assert shown.startswith("same failure 0 0")
    assert "    return 1 // scaled" in shown
