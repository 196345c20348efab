"""`ckpt diff` and `ckpt sources`: what of the code is kept and what has changed; and where values differ."""

from __future__ import annotations

import dataclasses
import enum
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ckpt._model.placeholder import Placeholder
from ckpt._replaying.value_diff import MOST, differences
from tests import processes
from tests.workplace import Project

SHOP = """import ckpt
import tools


@ckpt.ckpt
def price(items, rate=1):
    return tools.total(items) * rate
"""


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> Project:
    """A project of three modules, one of which has nothing to do with the failure that was captured."""
    project = Project(tmp_path / "project")
    project.write("aside.py", "NUMBER = 1\n")
    project.write("tools.py", "import aside\n\n\ndef total(items):\n    return sum(items)\n")
    project.write("shop.py", SHOP)
    project.write("never.py", "NUMBER = 1\n")
    project.call("import shop; shop.price([1, None])")
    return project


# Code


def test_a_file_that_was_not_kept_is_not_called_unchanged(shop: Project) -> None:
    """Of a file whose text was too large to keep, nobody can say whether it has changed."""
    shop.write("pyproject.toml", "[tool.ckpt]\nsource_file_limit = 30\n")
    shop.call("import shop; shop.price([1, None])")
    done = shop.ckpt("diff", "price")
    assert "shop.py was not kept, and cannot be compared: " in done.stdout
    assert "no differences" not in done.stderr


def test_what_changed_since_is_a_unified_diff_frames_first(shop: Project) -> None:
    """Changed files of the call are shown, those in its frames first and in their order; a file that was not loaded is not."""
    done = shop.ckpt("diff", "price")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "no differences\n")
    shop.edit("aside.py", "1", "2")
    shop.edit("never.py", "1", "2")
    shop.edit("tools.py", "return sum(items)", "return sum(filter(None, items))")
    shop.edit("shop.py", "* rate", "*  rate")
    done = shop.ckpt("diff", "price")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split("\t")[0] for line in lines if line.startswith(("---", "+++"))] == [
        "--- shop.py", "+++ shop.py", "--- tools.py", "+++ tools.py", "--- aside.py", "+++ aside.py",
    ]  # fmt: skip
    assert lines[0].split("\t")[1].startswith("captured 2")
    assert "-    return sum(items)\n+    return sum(filter(None, items))\n" in done.stdout
    assert "@@ -2,4 +2,4 @@" in done.stdout


def test_a_file_that_is_gone_is_named(shop: Project) -> None:
    """A file that is not there any more is one line."""
    (shop.path / "aside.py").unlink()
    assert shop.ckpt("diff").stdout == f"{shop.path / 'aside.py'}: gone\n"


def test_the_diff_can_be_applied_backwards(shop: Project) -> None:
    """What `diff` prints is a patch that leads back from the captured text."""
    shop.edit("tools.py", "return sum(items)", "items = list(items)\n    return sum(items)")
    patch = shop.ckpt("diff").stdout
    subprocess.run(["patch", "-R", "-p0", "-s"], cwd=shop.path, input=patch, text=True, check=True)
    assert shop.ckpt("diff").stderr == "no differences\n"


def test_a_diff_loads_nothing(shop: Project) -> None:
    """Nothing is imported and nothing is unpickled to compare texts and versions."""
    shop.write("tools.py", "raise SystemExit('imported')\n")
    assert "+raise SystemExit('imported')" in shop.ckpt("diff").stdout


def test_other_versions_of_packages_are_listed(shop: Project) -> None:
    """Package versions that differ stand below the files."""
    site = shop.path / "site-packages"
    shop.write("site-packages/fancy.py", "")
    info = shop.write("site-packages/fancy-1.0.dist-info/METADATA", "").parent
    path = f"{processes.ROOT}:{site}"
    shop.python("-c", "import fancy, shop; shop.price([None, None])", PYTHONPATH=path)
    info.rename(info.with_name("fancy-1.1.dist-info"))
    assert shop.ckpt("diff", PYTHONPATH=path).stdout == "fancy: 1.0 then, 1.1 now\n"


def test_a_package_of_only_one_capture_is_listed(shop: Project) -> None:
    """Between two captures a package that one of them does not know is a line too."""
    shop.write("site-packages/fancy.py", "")
    shop.write("site-packages/fancy-1.0.dist-info/METADATA", "")
    shop.python("-c", "import fancy, shop; shop.price([None, None])", PYTHONPATH=f"{processes.ROOT}:{shop.path / 'site-packages'}")
    one, other = (shop.store.find(name).id for name in ("price~1", "price"))
    assert f"fancy: 1.0, only in {other}\n" in shop.ckpt("diff", one, other).stdout
    assert f"fancy: 1.0, only in {other}\n" in shop.ckpt("diff", other, one).stdout


def test_two_captures_differ_in_code_and_arguments(shop: Project) -> None:
    """`diff A B` shows the code that differs between them, and where the arguments differ by content."""
    shop.edit("tools.py", "return sum(items)", "return sum(items) + 0")
    shop.write("extra.py", "")
    shop.python("-c", "import extra, shop; shop.price([1, 2], rate=3)")
    first, second = (header.id for header in shop.store.headers())
    done = shop.ckpt("diff", "price~1", "price~0")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[:2] == [f"--- tools.py\t{first}", f"+++ tools.py\t{second}"]
    assert lines[-3:] == [f"{shop.path / 'extra.py'}: only in {second}", "items[1]: None -> 2", "rate: 1 -> 3"]
    assert shop.ckpt("diff", first, first).stderr == "no differences\n"


def test_arguments_of_a_class_that_is_gone_are_compared_by_what_they_held(shop: Project) -> None:
    """Fields, slots, items and the class itself: what was captured of them is there, whatever has become of the class."""
    row = "class Row:\n    def __init__(self, n): self.n = n\n"
    shop.write("kinds.py", f"{row}class Slot(Row):\n    __slots__ = ('n',)\nclass Rows(list): pass\nclass Table(dict): pass\n")
    shop.write("work.py", "import ckpt\n@ckpt.ckpt\ndef work(*args): return 1\n")
    program = "k.Row(n), k.Slot([n]), k.Rows([0, n]), k.Table(a=n), [k.Row(k.Row(n))], [k.Row, k.Slot][n - 1], 7"
    shop.call(f"import kinds as k, work\nfor n in 1, 2, 2: work.work({program})")
    shop.write("kinds.py", "")
    assert shop.ckpt("diff", "work~2", "work~1").stdout.splitlines() == [
        "*0.n: 1 -> 2",
        "*1.n[0]: 1 -> 2",
        "*2[1]: 1 -> 2",
        "*3['a']: 1 -> 2",
        "*4[0].n.n: 1 -> 2",
        "*5: <class 'kinds.Row'> -> <class 'kinds.Slot'>",
    ]
    done = shop.ckpt("diff", "work~1", "work~0")
    assert (done.stdout, done.stderr) == ("", "no differences\n")


def test_arguments_that_the_call_may_have_changed_are_said(shop: Project) -> None:
    """Where only the failure was recorded, what differs may have come to differ in the call."""
    shop.write("late.py", "import ckpt\n@ckpt.ckpt(active=False)\ndef work(items, n):\n    items.append(n)\n    raise ValueError\n")
    for n in (1, 2):
        shop.call(f"import late; late.work([], {n})")
    first, second = (shop.store.find(name).id for name in ("work~1", "work~0"))
    why = "only the failure was recorded: what the call itself changed in items is changed already"
    assert shop.ckpt("diff", first, second).stdout.splitlines() == ["items[0]: 1 -> 2", "n: 1 -> 2", f"{first}: {why}", f"{second}: {why}"]
    assert shop.ckpt("diff", first, first).stderr == "no differences\n"


def test_the_sources_that_are_kept_are_listed(shop: Project) -> None:
    """`ckpt sources` shows which files count as the project's, what was passed over and why, and the limits."""
    shop.write("pyproject.toml", '[tool.ckpt]\nsource_file_limit = "1kB"\nsource_exclude = ["aside.py"]\nsource_total_limit = 5000\n')
    shop.write("tools.py", f"import aside\n#{'x' * 1000}\ndef total(items): return 1\n")
    shop.python("-c", f"import shop, time; open('shop.py', 'w').write({SHOP.replace('rate', 'rates')!r}); shop.price([3])")
    done = shop.ckpt("sources", "price~0")
    assert [" ".join(line.split()) for line in done.stdout.splitlines()] == [
        f"{len(SHOP) + 2} bytes {shop.path}/shop.py changed on disk while the program ran: the text may be another than the imported one",
        f"not kept {shop.path}/tools.py it holds more than source_file_limit = 1000 bytes",
        "limits: source_file_limit = 1.0 kB, source_total_limit = 5.0 kB",
    ]


# Values


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = 0


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Slotted:
    __slots__ = ("a",)

    def __init__(self, a: object) -> None:
        self.a = a

    def __eq__(self, other: object) -> bool:
        raise AssertionError("no code of theirs is asked")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        (1, 1, []),
        (1, 2, ["v: 1 -> 2"]),
        (1, True, ["v: 1 -> True"]),
        (1, 1.0, ["v: 1 -> 1.0"]),
        (float("nan"), float("nan"), []),
        (0.0, -0.0, ["v: 0.0 -> -0.0"]),
        ([1, [2, 3]], [1, [2, 4]], ["v[1][1]: 3 -> 4"]),
        ([1, 2], [1, 2, 3], ["v: 2 items -> 3"]),
        ([1], (1,), ["v: [1] -> (1,)"]),
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, ["v['a']: only then", "v['b']: 2 -> 3", "v['c']: only now"]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({1, 2}, {2, 1}, []),
        ({1}, {2}, ["v: {1} -> {2}"]),
        (Point(1), Point(1), []),
        (Point(1, [Point(2)]), Point(1, [Point(3)]), ["v.y[0].x: 2 -> 3"]),
        (Colour.RED, Colour.RED, []),
        (Slotted(1), Slotted(2), ["v.a: 1 -> 2"]),
        (b"x" * 100, b"x" * 99 + b"y", ["v: another bytes, " + repr(b"x" * 100)[:80] + "..."]),
        (range(3), range(4), ["v: range(0, 3) -> range(0, 4)"]),
        (Placeholder("lock", "<lock>", "why"), Placeholder("lock", "<lock>", "another reason"), ["v: cannot be compared: why"]),
        (Placeholder("lock", "<lock>", "why"), Placeholder("lock", "<locked>", "why"), ["v: <lock> -> <locked>"]),
        (
            [1, *(Placeholder("lock", "<lock>", "why") for _ in range(3))],
            [2, *(Placeholder("lock", "<lock>", "why") for _ in range(3))],
            ["v[0]: 1 -> 2", "v[1]: cannot be compared: why (and 2 more in v)"],
        ),
        (len, max, ["v: <built-in len> -> <built-in max>"]),
    ],
)
def test_values_differ_by_content(then: object, now: object, expected: list[str]) -> None:
    """The first places where two values differ are named; equal content is no difference, whatever `==` says."""
    assert differences(then, now, "v") == expected


def test_arrays_and_tables_differ_by_what_they_hold() -> None:
    """How an array or table lies in memory makes no difference; what it holds does."""
    array = np.arange(6.0).reshape(2, 3)
    assert differences(array, np.asfortranarray(array), "v") == []
    assert "float32" in differences(array, array.astype("float32"), "v")[0]
    assert differences([array], [array + 1], "v")[0].startswith("v[0]: <ndarray 2x3 float64")
    assert differences(np.array([1, "a"], dtype=object), np.array([1, "a"], dtype=object), "v") == []
    table = pd.DataFrame({"a": [1, None], "b": ["x", "y"]})
    assert differences(table, table.copy(), "v") == []
    assert len(differences(table, table.assign(a=[1, 2]), "v")) == 1


def test_a_value_that_contains_itself_is_walked_once() -> None:
    """Cycles end, and what differs in them is found."""
    one: list[Any] = [1]
    other: list[Any] = [2]
    one.append(one)
    other.append(other)
    assert differences(one, other, "v") == ["v[0]: 1 -> 2"]


def test_many_differences_are_bounded() -> None:
    """Of a value that differs everywhere the first places are told."""
    found = differences(list(range(100)), list(range(1, 101)), "v")
    assert len(found) == MOST + 1
    assert found[-1] == "v: ... and more"
