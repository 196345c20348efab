"""Where in the arguments of a replay placeholders stand."""

from __future__ import annotations

import threading
from collections import deque, namedtuple
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from ckpt._model.codec import Limits, Surroundings, decode, encode
from ckpt._replaying import gaps as room
from ckpt._replaying.gaps import gaps
from ckpt._replaying.steps import ways_out
from tests.workplace import Project

SHOP = """
import threading
import ckpt

class Row:
    def __init__(self, n):
        self.n, self.lock = n, threading.Lock()

@ckpt.ckpt
def count(rows, *more, **options):
    return len(rows)

@ckpt.ckpt(active=False)
def take(rows, name):
    with rows[1].lock:
        return 1 // 0
"""


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> Project:
    """A project with functions that are given objects with locks."""
    project = Project(tmp_path / "project")
    project.write("shop.py", SHOP)
    return project


LOST = "TypeError: cannot pickle '_thread.lock' object"


def test_a_placeholder_inside_an_argument_is_said_before_the_verdict(shop: Project) -> None:
    """One line each says where it is: in a list, an object, a dict, among variable arguments; in a process of its own too."""
    call = "shop.count([shop.Row(1)], [threading.Lock()], deep={'a': (1, threading.Lock())}, bare=threading.Lock())"
    shop.call(f"import shop, threading; {call}")
    for options in ([], ["--timeout", "30"]):
        assert (shown := shop.replay(*options))["verdict"] == "still passes"
        assert sorted(shown["notes"]) == [
            f"*1[0] is a placeholder: {LOST}",
            f"deep['a'][1] is a placeholder: {LOST}",
            f"rows[0].lock is a placeholder: {LOST}",
            f"the argument bare is a placeholder: {LOST}",
        ]


def test_the_place_of_the_placeholder_that_was_touched_is_told(shop: Project) -> None:
    """Of a call that could not be made to its end, the notes name the places, and the traceback ends in the line that touched one."""
    shop.call("import shop; shop.take([shop.Row(1), shop.Row(2)], threading.Lock())".replace("import", "import threading,"))
    for options in ([], ["--timeout", "30"]):
        done = shop.ckpt("run", *options)
        lines = done.stderr.splitlines()
        assert "    with rows[1].lock:" in lines
        assert not any("placeholder.py" in line for line in lines)
        assert f"note: rows[1].lock is a placeholder: {LOST}" in lines
        assert lines[-1].startswith("cannot replay: This _thread.lock is only a placeholder")


def test_a_class_that_is_gone_is_said_where_its_objects_are(shop: Project) -> None:
    """What was kept, and cannot be loaded today, is a gap as well."""
    shop.call("import shop; shop.count({'first': [shop.Row(1)]})")
    shop.edit("shop.py", "class Row", "class Line")
    shown = shop.replay()
    assert (shown["verdict"], shown["notes"]) == (
        "still passes",
        ["rows['first'][0] is a placeholder: there is no Row in shop any more"],
    )


def test_another_value_for_an_argument_leaves_nothing_to_say(shop: Project) -> None:
    """What stands in an argument that is changed is not in the call."""
    shop.call("import shop; shop.count([shop.Row(1)])")
    assert shop.replay("--set", "rows=[1]")["notes"] == []


def test_many_placeholders_are_counted(shop: Project) -> None:
    """Of a thousand the first are told, and how many more there are."""
    shop.call("import shop; shop.count([shop.Row(n) for n in range(1000)])")
    notes = shop.replay()["notes"]
    assert len(notes) == room.MOST + 1
    assert notes[:2] == [f"rows[{n}].lock is a placeholder: {LOST}" for n in (0, 1)]
    assert notes[-1] == f"{1000 - room.MOST} more values in the arguments were not kept"


# In one process

Point = namedtuple("Point", "x y")  # noqa: PYI024 - one that has no types


class Slotted:
    """Has a slot, and no dictionary."""

    __slots__ = ("held",)

    def __init__(self, held: object) -> None:
        self.held = held


LOCK = threading.Lock()


def closure() -> object:
    lock = LOCK
    return lambda: lock


#: Values with a lock in them, which cannot be kept, and where it is.
PLACES: list[tuple[object, str]] = [
    (LOCK, "v"),
    ([1, [2, LOCK]], "v[1][1]"),
    ({"key": {3: LOCK}}, "v['key'][3]"),
    ({LOCK: 1}, "inside v"),
    (Point(1, LOCK), "v[1]"),
    (deque([LOCK]), "v[0]"),
    (SimpleNamespace(a=SimpleNamespace(b=LOCK)), "v.a.b"),
    (Slotted([LOCK]), "v.held[0]"),
    (closure(), "v.lock"),
    ({1, (2, LOCK)}, "inside v"),
    (partial(print, LOCK), "v.args[0]"),
    ([LOCK, LOCK], "v[0]"),
]


@pytest.mark.parametrize(("value", "path"), PLACES, ids=[path for _, path in PLACES])
def test_the_path_to_a_placeholder(value: object, path: str) -> None:
    """Containers, objects with and without slots, functions: the path is what one would write."""
    surroundings = Surroundings()
    root = decode(encode({"v": value}, [], Limits()).stream, (), surroundings)
    assert surroundings.has_gaps
    assert [gap.place.removeprefix("the argument ") for gap in gaps(root)] == [path]


def test_what_is_in_a_tuple_is_given_with_it() -> None:
    """No item of a tuple can be set: the way ends before the outermost that holds nothing but tuples in between."""
    values = {"v": [(1, ("<redacted>@h", ["<redacted>@i"]))], "w": ("<redacted>@j", "<redacted>@k")}
    found = {gap.place: gap.line for gap in gaps(values)}
    assert {place: ways_out([line]) for place, line in found.items()} == {
        "in v[0][1][0]": ["--set 'v[0]=VALUE'"],
        "in v[0][1][1][0]": ["--set 'v[0][1][1][0]=@env:V'"],
        "in w[0]": ["--set w=VALUE"],
        "in w[1]": ["--set w=VALUE"],
    }
    assert ways_out(line for place, line in found.items() if " w" in place) == ["--set w=VALUE"]
