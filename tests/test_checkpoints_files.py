"""Checkpoints as files: where they lie, that they are whole, what is in them, and how it comes back."""

from __future__ import annotations

import datetime as dt
import json
import os
import pickle
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt import checkpoints
from ckpt._model.placeholder import Placeholder
from ckpt.checkpoints import FileHandler, checkpoint, load, tags, with_checkpoint_tags
from ckpt.checkpoints.paths import NULL, key, parse
from ckpt.checkpoints.spilling import IN_MEMORY
from ckpt.errors import CkptWarning, DamagedError, ExistsError, NotFoundError, StoreError, UsageError
from tests.processes import environment, python

pytestmark = pytest.mark.usefixtures("names")


def files(directory: Path) -> list[str]:
    """Return the paths of all files below a directory, relative to it."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "path"


# Where they lie


@pytest.mark.smoke
def test_tags_in_order_then_the_parts_of_the_name(place: Path) -> None:
    """The path is that of the tags, outermost first, and of the name, however it was given."""
    checkpoints.register("MyPackage", ["foo"])
    checkpoints.config("MyPackage.foo", place)
    with tags(iteration=1), with_checkpoint_tags(("foo1", 1), ("foo2", 2)):
        checkpoint("MyPackage", "foo", 2.0)
    with with_checkpoint_tags(("foo1", 1), ("foo1", 2)):
        checkpoint("MyPackage.foo", 2.0)
    checkpoint("MyPackage.foo", 2.0)
    assert files(place) == ["MyPackage/foo.ckpt", "foo1=1/foo1=2/MyPackage/foo.ckpt", "iteration=1/foo1=1/foo2=2/MyPackage/foo.ckpt"]


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("2017-01-01", "t=2017-01-01"),
        (0.5, "t=0.5"),
        (1e-20, "t=1e-20"),
        (True, "t=true"),
        (1, "t=1"),
        (1.0, "t=1.0"),
        (None, f"t={NULL}"),
        (NULL, f"t=%5F{NULL[1:]}"),
        ("", "t="),
        ("größe", "t=größe"),
        ("../../etc/passwd", "t=..%2F..%2Fetc%2Fpasswd"),
        ("a=b", "t=a%3Db"),
        ("100%", "t=100%25"),
        ("%2F", "t=%252F"),
        ("a b\n\0", "t=a%20b%0A%00"),
        ("\\:*?\"<>|'", "t=%5C%3A%2A%3F%22%3C%3E%7C%27"),
        ("\ud800\u202e", "t=%ED%A0%80%E2%80%AE"),
        (np.float64(0.5), "t=0.5"),
        (np.int64(1), "t=1"),
        (dt.date(2017, 1, 1), "t=2017-01-01"),
        (dt.datetime(2017, 1, 1, 3, tzinfo=dt.UTC), "t=2017-01-01T03%3A00%3A00%2B00%3A00"),
    ],
)
def test_values_of_tags_in_paths(place: Path, value: Any, segment: str) -> None:
    """Whatever is not a letter, a digit or one of four marks is percent-encoded; the index has the value back as text."""
    handler = FileHandler(place, format="json")
    with tags(t=value):
        checkpoint(handler, "P.a", 1)
    assert files(place) == [f"{segment}/P/a.json"]
    (entry,) = index = checkpoints.index_checkpoint_files(place)
    assert entry.t == (value if isinstance(value, str | None) else unquote(segment.removeprefix("t=")))
    assert list(index.where(t=value)) == [entry]


@given(
    st.lists(st.tuples(st.text(min_size=1), st.none() | st.booleans() | st.integers() | st.floats() | st.text())),
    st.lists(st.text(min_size=1), min_size=1),
)
def test_no_tag_and_no_name_leaves_its_level(pairs: list[tuple[str, Any]], parts: list[str]) -> None:
    """Any tags and any name make exactly one level each, none of them special, and the tags can be read back."""
    name = ".".join(part.replace(".", "_") for part in parts)
    levels = key(name, tuple(pairs)).split("/")
    assert len(levels) == len(pairs) + len(parts)
    assert not {"", ".", ".."}.intersection(levels)
    assert not any("\0" in level or "\\" in level for level in levels)
    for level, (tag, value) in zip(levels, pairs, strict=False):
        assert parse(level) == (tag, value) or not isinstance(value, str | None)
    assert [parse(level) for level in levels[len(pairs) :]] == [None] * len(parts)


def test_a_name_stays_in_the_directory(place: Path) -> None:
    """Slashes, dots and equals signs in a name are encoded like those in tags, and read back."""
    handler = FileHandler(place)
    checkpoint(handler, "a/b.x=1.c d", 1)
    assert files(place) == ["a%2Fb/x%3D1/c%20d.ckpt"]
    (entry,) = checkpoints.index_checkpoint_files(place)
    assert (entry.prefixes, entry.checkpoint_name, entry.tags) == (("a/b", "x=1"), "c d", ())
    for wrong in ("..", "a/../b", "../a"):
        with pytest.raises(UsageError):
            checkpoint(handler, wrong, 1)


def test_a_tag_that_is_too_long_for_a_path_says_so(place: Path) -> None:
    """Before anything is written."""
    for letter, count in (("x", 300), ("ü", 130), ("/", 90)):
        with tags(t=letter * count), pytest.raises(UsageError, match=r"'t=.*too long"):
            checkpoint(FileHandler(place), "P.a", 1)
    assert not place.exists()


def test_a_relative_path_means_the_directory_of_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that changes its working directory later writes where it was told to."""
    monkeypatch.chdir(tmp_path)
    handler = FileHandler("./path")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    checkpoint(handler, "P.a", 1)
    checkpoint(FileHandler(f"file://{tmp_path}/url"), "P.a", 1)
    assert files(tmp_path / "path") == files(tmp_path / "url") == ["P/a.ckpt"]


def test_a_path_may_begin_with_the_home_directory(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For writing, for the index and for loading; an empty one, of a variable that is not set, is refused."""
    monkeypatch.chdir(home)
    checkpoint(FileHandler("~/kept"), "P.a", 1)
    checkpoint(FileHandler(Path("~/kept")), "P.b", 1)
    assert files(home / "kept") == ["P/a.ckpt", "P/b.ckpt"]
    assert [load(entry) for entry in checkpoints.index_checkpoint_files("~/kept")] == [{"data": 1}, {"data": 1}]
    assert load("~/kept/P/a.ckpt") == {"data": 1}
    for use in (FileHandler, checkpoints.index_checkpoint_files):
        with pytest.raises(UsageError, match="path is empty"):
            use("")


def test_a_handler_goes_to_another_process(place: Path) -> None:
    """As a pickle, also when it has been used, and writes to the same place there."""
    for form, value in (("pickle", 1), ("json", 1), ("parquet", [1])):
        handler = FileHandler(place, format=form, overwrite="number")
        checkpoint(handler, "P.a", value)
        checkpoint(pickle.loads(pickle.dumps(handler)), "P.a", value)
    assert len(files(place)) == 6


# Overwriting


def test_a_file_is_replaced_refused_or_numbered(place: Path) -> None:
    """As `overwrite` says; the numbers go on after the highest, and the index has the files in their order."""
    for number in range(3):
        checkpoint(FileHandler(place), "P.a", number)
    assert (files(place), load(place / "P/a.ckpt")) == (["P/a.ckpt"], {"data": 2})
    with pytest.raises(ExistsError, match="is there already") as caught:
        checkpoint(FileHandler(place, overwrite="error"), "P.a", 3)
    assert isinstance(caught.value, FileExistsError)
    assert load(place / "P/a.ckpt") == {"data": 2}
    handler = FileHandler(place, overwrite="number")
    for number in range(3, 12):
        checkpoint(handler, "P.a", number)
    os.unlink(place / "P/a.4.ckpt")
    checkpoint(FileHandler(place, overwrite="number"), "P.a", 12)
    index = checkpoints.index_checkpoint_files(place)
    assert [Path(entry.checkpoint_path).name for entry in index] == ["a.ckpt", *(f"a.{n}.ckpt" for n in (2, 3, 5, 6, 7, 8, 9, 10, 11))]
    assert [load(entry, "data") for entry in index] == [2, 3, 4, 6, 7, 8, 9, 10, 11, 12]
    assert {entry.checkpoint_fullname for entry in index} == {"P.a"}


def test_numbers_are_given_once(place: Path) -> None:
    """Threads and processes that write at the same time lose nothing to each other."""
    text = f"""
import sys
from ckpt.checkpoints import FileHandler, checkpoint
handler = FileHandler({str(place)!r}, overwrite="number")
for number in range(25):
    checkpoint(handler, "P.a", (sys.argv[1], number))
"""
    running = [subprocess.Popen([sys.executable, "-c", text, str(number)], env=environment()) for number in range(2)]
    handler = FileHandler(place, overwrite="number")

    def write(letter: str) -> None:
        for number in range(25):
            checkpoint(handler, "P.a", (letter, number))

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(60) for process in running] == [0, 0]
    assert sorted(load(entry, "data") for entry in checkpoints.index_checkpoint_files(place)) == sorted(
        (n, i) for n in "01ab" for i in range(25)
    )


# Whole or not at all


def test_readers_never_see_half_a_file(place: Path) -> None:
    """While a file is replaced over and over, each reader finds one version, complete."""
    handler = FileHandler(place)
    checkpoint(handler, "P.a", np.zeros(100_000))
    stop = threading.Event()

    def write() -> None:
        for number in range(1, 1_000_000):
            checkpoint(handler, "P.a", np.full(100_000, float(number)))
            if stop.is_set():
                return

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(40):
            array = load(place / "P/a.ckpt", "data")
            assert (array == array[0]).all()
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("overwrite", ["replace", "number"])
def test_a_killed_writer_leaves_what_was_there(place: Path, overwrite: str) -> None:
    """Whenever it is killed: no file under a checkpoint's name is half, and what is left over is no checkpoint."""
    text = f"""
import numpy as np
from ckpt.checkpoints import FileHandler, checkpoint
handler = FileHandler({str(place)!r}, overwrite={overwrite!r})
checkpoint(handler, "P.a", np.zeros(1_000_000))
print(flush=True)
for number in range(1, 1_000_000):
    checkpoint(handler, "P.a", np.full(1_000_000, float(number)))
"""
    for wait in (0.0, 0.013, 0.031):
        with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, env=environment()) as process:
            assert process.stdout
            process.stdout.readline()
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
        for entry in checkpoints.index_checkpoint_files(place):
            array = load(entry, "data")
            assert (array == array[0]).all()


class Failing:
    """Breaks a write off in the middle."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.write = os.write

    def __call__(self, descriptor: int, data: Any) -> int:
        self.after -= 1
        if self.after < 0:
            raise OSError(28, "No space left on device")
        return self.write(descriptor, data)


@pytest.mark.parametrize("after", [0, 1])
def test_a_full_disk_changes_nothing(place: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """The error says so, the earlier file stays, and nothing half is left. A full disk is made by hand: a real one needs root."""
    handler = FileHandler(place)
    checkpoint(handler, "P.a", 1)
    with monkeypatch.context() as full:
        full.setattr(os, "write", Failing(after))
        with pytest.raises(StoreError, match="No space left"):
            checkpoint(handler, "P.a", np.zeros(100_000))
    assert files(place) == ["P/a.ckpt"]
    assert load(place / "P/a.ckpt") == {"data": 1}


@pytest.mark.parametrize("value", [1, "x" * (IN_MEMORY + 1)], ids=["small", "large"])
def test_a_place_that_cannot_be_written_to_says_so(tmp_path: Path, value: Any) -> None:
    """A file where the directory should be."""
    (tmp_path / "path").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        checkpoint(FileHandler(tmp_path / "path"), "P.a", value)


#: Writes a large value of one kind, noting how much more memory the process has had than before; what it was and what the file takes.
WATCHED = """
import os, sys
import numpy as np, pandas as pd
from ckpt.checkpoints import FileHandler, checkpoint

def memory(what):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(what))

make = {
    "array": lambda: np.arange(16_000_000, dtype=float),
    "table": lambda: pd.DataFrame({"a": np.random.default_rng(0).random(16_000_000)}),
    "bytes": lambda: os.urandom(128_000_000),
    "texts": lambda: [f"{number:01000}" for number in range(128_000)],
}[sys.argv[1]]
handler = FileHandler("path", format=sys.argv[2])
checkpoint(handler, "P.first", [1])
value = make()
before = memory("VmRSS")
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
path = "path/P/a." + {"pickle": "ckpt"}.get(sys.argv[2], sys.argv[2])
checkpoint(handler, "P.a", value)
print(os.stat(path).st_size, memory("VmHWM") - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="the peak of memory is set back on Linux only")
@pytest.mark.parametrize(
    ("kind", "form"), [("array", "pickle"), ("table", "pickle"), ("bytes", "pickle"), ("texts", "pickle"), ("table", "parquet")]
)
def test_large_values_are_not_in_memory_twice(tmp_path: Path, kind: str, form: str) -> None:
    """Arrays are written from where they are, of what is pickled or compressed a part waits in memory; parquet adds a group of rows."""
    size, more = map(int, python("-c", WATCHED, kind, form, cwd=tmp_path).stdout.split())
    assert size > 4 * IN_MEMORY * 0.9
    assert more < size * (3 / 8 if form == "pickle" else 1)


def test_a_large_value_leaves_nothing_behind_where_it_cannot_be_kept(place: Path) -> None:
    """Neither in the directory nor open: what the first way of encoding began is forgotten when another is taken."""
    handler = FileHandler(place)
    before = len(os.listdir("/dev/fd"))
    with pytest.warns(CkptWarning, match="Not all of 'data'"):
        checkpoint(handler, "P.a", ["x" * (IN_MEMORY + 1), threading.Lock()])
    assert (files(place), len(os.listdir("/dev/fd"))) == (["P/a.ckpt"], before)
    found = load(place / "P/a.ckpt", "data")
    assert found[0] == "x" * (IN_MEMORY + 1)
    assert isinstance(found[1], Placeholder)


def test_a_disk_that_is_full_for_a_large_value(tmp_path: Path) -> None:
    """The same error as for a small one, whatever the format: files that are too large are refused by the system."""
    text = """
import resource
from ckpt.checkpoints import FileHandler, checkpoint, spilling
from ckpt.errors import StoreError
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
for spilling.IN_MEMORY in (spilling.IN_MEMORY, 2_000_000):
    for form, value in {"pickle": "x" * 5_000_000, "json": "x" * 5_000_000, "parquet": list(range(5_000_000))}.items():
        try:
            checkpoint(FileHandler("path", format=form), "P.a", value)
        except StoreError as error:
            print(form, error)
"""
    told = python("-c", text, cwd=tmp_path).stdout.splitlines()
    assert [line.split()[0] for line in told] == 2 * ["pickle", "json", "parquet"]
    assert all("written" in line and "too large" in line for line in told)
    assert files(tmp_path / "path") == []


def test_files_are_as_readable_as_the_umask_says(place: Path) -> None:
    """Checkpoints are results, and a group may share them."""
    before = os.umask(0o027)
    try:
        checkpoint(FileHandler(place), "P.a", 1)
    finally:
        os.umask(before)
    assert stat.S_IMODE((place / "P/a.ckpt").stat().st_mode) == 0o640


# Pickle


class Loaded:
    """Notes that it is loaded."""

    count = 0

    def __setstate__(self, state: Any) -> None:
        Loaded.count += 1

    def __getstate__(self) -> int:
        return 1


def test_values_of_any_kind_come_back(place: Path) -> None:
    """Functions, closures, classes, arrays and tables, with the names they had, in their order."""
    number = 7
    data: dict[str, Any] = {
        "function": lambda x: x + number,
        "nested": [{"a": (1, {2, 3})}],
        "array": np.arange(100_000),
        "table": pd.DataFrame({"a": range(20_000), "b": ["x"] * 20_000}),
        "polars": pl.DataFrame({"a": range(20_000)}),
        "path": Path("x"),
        "": 1,
    }
    checkpoint(FileHandler(place), "P.a", data)
    found = load(place / "P/a.ckpt")
    assert list(found) == list(data)
    assert found["function"](1) == 8
    assert found["nested"] == data["nested"]
    assert (found["array"] == data["array"]).all()
    pd.testing.assert_frame_equal(found["table"], data["table"])
    assert found["polars"].equals(data["polars"])
    assert found["path"] == data["path"]


def test_the_header_is_readable_without_unpickling(place: Path) -> None:
    """Name, tags, time, versions and a description of each value; with two lines of shell as well."""
    with tags(iteration=1, note="x"):
        checkpoint(FileHandler(place), "P.a", x=np.zeros((100, 100)), trap=Loaded(), text="secret", big=np.zeros(100_000))
    (entry,) = checkpoints.index_checkpoint_files(place)
    before = Loaded.count
    header = checkpoints.header(entry)
    assert Loaded.count == before
    assert (header.name, header.tags) == ("P.a", [["iteration", 1], ["note", "x"]])
    assert abs(header.time - time.time()) < 60
    assert header.python == sys.version.split()[0]
    assert [(value.name, value.type, value.shape) for value in header.values] == [  # noqa: PD011 - no table's
        ("x", "numpy.ndarray", [100, 100]),
        ("trap", f"{__name__}.Loaded", None),
        ("text", "str", None),
        ("big", "numpy.ndarray", [100_000]),
    ]
    shown = subprocess.run(["head", "-n", "2", entry.checkpoint_path], capture_output=True, text=True, check=True).stdout
    assert [json.loads(line)["body"]["event"] for line in shown.splitlines()] == ["archive", "checkpoint"]
    assert json.loads(shown.splitlines()[1])["body"]["name"] == "P.a"


def test_a_value_is_loaded_alone(place: Path) -> None:
    """Of the others nothing is unpickled; a value that is not there says so."""
    checkpoint(FileHandler(place), "P.a", x=1, trap=Loaded(), y=np.arange(100_000))
    before = Loaded.count
    assert load(place / "P/a.ckpt", "x") == 1
    assert load(place / "P/a.ckpt", "y")[-1] == 99_999
    assert Loaded.count == before
    load(place / "P/a.ckpt", "trap")
    assert Loaded.count == before + 1
    with pytest.raises(NotFoundError, match="no value 'z'"):
        load(place / "P/a.ckpt", "z")


def test_large_arrays_are_mapped_and_writable(place: Path) -> None:
    """What is written into them reaches neither the file nor the next who loads it, and the file may go meanwhile."""
    checkpoint(FileHandler(place), "P.a", x=np.arange(1_000_000), same=np.arange(1_000_000))
    assert (place / "P/a.ckpt").stat().st_size < 9_000_000
    array = load(place / "P/a.ckpt", "x")
    assert not array.flags.owndata
    assert array.flags.writeable
    assert array.ctypes.data % 64 == 0
    array[0] = 7
    checkpoint(FileHandler(place), "P.a", x=np.zeros(10))
    os.unlink(place / "P/a.ckpt")
    assert array[0] == 7
    assert array[1:].sum() == sum(range(1_000_000))


def test_what_cannot_be_kept_is_a_placeholder_and_warned_of(place: Path) -> None:
    """Its neighbours are kept; the warning names value, checkpoint, reason and the line that called."""
    handler = FileHandler(place)
    with pytest.warns(CkptWarning, match=r"'generator' in the checkpoint 'P.a'.*half-way") as said:
        checkpoint(handler, "P.a", x=1, generator=(n for n in "ab"))
    assert said[0].filename == __file__
    with pytest.warns(CkptWarning, match="Not all of 'nested'"):
        checkpoint(handler, "P.b", nested=[1, threading.current_thread()])
    found = load(place / "P/a.ckpt")
    assert found["x"] == 1
    assert isinstance(found["generator"], Placeholder)
    assert load(place / "P/b.ckpt", "nested")[0] == 1
    with pytest.warns(CkptWarning, match="'lock' in the checkpoint 'P.c'"):
        checkpoint(handler, "P.c", x=1, lock=threading.Lock())
    for name, reasons in {"a": {"x": None, "generator": "half-way"}, "c": {"x": None, "lock": "cannot pickle"}}.items():
        told = {value.name: value.reason for value in checkpoints.header(place / f"P/{name}.ckpt").values}  # noqa: PD011 - no table's
        assert told.keys() == reasons.keys()
        assert all(told[each] is None if reason is None else reason in str(told[each]) for each, reason in reasons.items())


def test_classes_of_a_script_come_back_in_another(tmp_path: Path) -> None:
    """They go by value; where today's script has the class, it is that one."""
    (tmp_path / "write.py").write_text(
        "from ckpt.checkpoints import FileHandler, checkpoint\n"
        "class Row:\n    def __init__(self, a): self.a = a\n    def double(self): return 2 * self.a\n"
        "if __name__ == '__main__':\n    checkpoint(FileHandler('path'), 'P.a', Row(4))\n"
        "    from ckpt.checkpoints import load\n    print(type(load('path/P/a.ckpt', 'data')) is Row)\n"
    )
    (tmp_path / "read.py").write_text("from ckpt.checkpoints import load\nprint(load('path/P/a.ckpt', 'data').double())\n")
    assert python("write.py", cwd=tmp_path).stdout == "True\n"
    assert python("read.py", cwd=tmp_path).stdout == "8\n"


def test_an_unreadable_key_costs_only_the_signature(place: Path, home: Path) -> None:
    """The file is written unsigned, and that is warned of."""
    path = home / ".local/state/ckpt/key"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"k" * 32)
    path.chmod(0o644)
    handler = FileHandler(place)
    with pytest.warns(CkptWarning, match="not signed: .*read by others") as said:
        checkpoint(handler, "P.a", 1)
    assert said[0].filename == __file__
    checkpoint(handler, "P.a", 1)
    assert b'"sig":""' in (place / "P/a.ckpt").read_bytes()
    assert load(place / "P/a.ckpt", trust=True) == {"data": 1}
    with pytest.raises(StoreError, match="read by others"):
        load(place / "P/a.ckpt")


# JSON and parquet


def test_json(place: Path) -> None:
    """One object, readable by anything; what JSON cannot say is an error that names the value, and nothing is written."""
    handler = FileHandler(place, format="json", indent=2)
    values = {"x": [1, 2.5, None, True], "größe": {"a": "b"}, 'quo"te': 1, "half \ud800": "\udfff"}
    checkpoint(handler, "P.a", values)
    assert json.loads((place / "P/a.json").read_text(encoding="utf-8")) == values
    checkpoint(handler, "P.none", {})
    assert load(place / "P/none.json") == {}
    assert load(place / "P/a.json", "größe") == {"a": "b"}
    for wrong in (np.zeros(3), {1, 2}, float("nan"), object()):
        with pytest.raises(UsageError, match=r"The value 'wrong'.*cannot be written as JSON"):
            checkpoint(handler, "P.b", x=1, wrong=wrong)
    with pytest.raises(UsageError, match="has no header"):
        checkpoints.header(place / "P/a.json")
    assert files(place) == ["P/a.json", "P/none.json"]
    checkpoint(handler, "P.changed", {"keys": {1: (2,)}})
    assert load(place / "P/changed.json") == {"keys": {"1": [2]}}


TABLES: list[tuple[Any, Callable[[Any, Any], object]]] = [
    (pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=["r", "s"]), pd.testing.assert_frame_equal),
    (pl.DataFrame({"a": [1, 2], "b": ["x", None]}), lambda one, other: one.equals(other) or pytest.fail("differs")),
    (pa.table({"a": [1, 2]}), lambda one, other: one.equals(other) or pytest.fail("differs")),
]


@pytest.mark.parametrize(("table", "check"), TABLES, ids=["pandas", "polars", "pyarrow"])
def test_a_table_as_parquet(place: Path, table: Any, check: Callable[[Any, Any], object]) -> None:
    """What comes back is of the kind that was given, and other programs read the same file."""
    checkpoint(FileHandler(place, format="parquet"), "P.a", table)
    checkpoint(FileHandler(place, format="parquet", compression="gzip"), "P.b", named=table)
    check(load(place / "P/a.parquet", "data"), table)
    assert list(load(place / "P/b.parquet")) == ["named"]
    assert pl.read_parquet(place / "P/a.parquet")["a"].to_list() == [1, 2]
    with pytest.raises(NotFoundError):
        load(place / "P/a.parquet", "named")


def test_columns_as_parquet(place: Path) -> None:
    """Values of one length are columns under their names; each comes back as what it was, also alone."""
    values = {
        "list": [1, 2],
        "array": np.array([1.5, 2.5]),
        "series": pd.Series([1, 2]),
        "polars": pl.Series(["a", "b"]),
        "arrow": pa.chunked_array([[1, 2]]),
    }
    checkpoint(FileHandler(place, format="parquet"), "P.a", **values)
    found = load(place / "P/a.parquet")
    assert {name: type(value) for name, value in found.items()} == {name: type(value) for name, value in values.items()}
    assert all(list(found[name]) == list(values[name]) for name in ("list", "array", "series", "polars"))
    assert pl.read_parquet(place / "P/a.parquet").columns == list(values)
    assert load(place / "P/a.parquet", "list") == [1, 2]


def test_what_is_no_table_is_refused(place: Path) -> None:
    """A scalar, columns of different lengths, two tables: an error that names what is wrong, and no file."""
    handler, table = FileHandler(place, format="parquet"), pd.DataFrame({"a": [1]})
    for wrong in ({"x": 1}, {"x": [1], "y": [1, 2]}, {"x": table, "y": table}, {"x": [1], "y": table}, {"x": [object()]}):
        with pytest.raises(UsageError):
            checkpoint(handler, "P.a", wrong)
    assert not place.exists()
    with pytest.raises(UsageError, match="compression"):
        FileHandler(place, format="parquet", compression="none such")
    with pytest.raises(UsageError, match="unknown"):
        FileHandler(place, format="parquet", unknown=1)


def test_parquet_of_another_program_is_a_table(place: Path) -> None:
    """`load` reads it as a table of arrow's."""
    place.mkdir()
    pl.DataFrame({"a": [1]}).write_parquet(place / "a.parquet")
    assert load(place / "a.parquet")["data"].to_pydict() == {"a": [1]}


@pytest.mark.parametrize(
    ("options", "package", "hint"),
    [({"format": "parquet"}, "pyarrow", "ckpt[parquet]"), ({}, "fsspec", "ckpt[remote]"), ({}, "s3fs", "ckpt[remote]")],
)
def test_a_missing_extra_is_said_when_it_is_configured(tmp_path: Path, options: dict[str, str], package: str, hint: str) -> None:
    """Not hours later, when the checkpoint fires."""
    path = "./path" if options else "s3://bucket/prefix"
    text = f"""
import sys
sys.modules[{package!r}] = None
from ckpt import checkpoints
checkpoints.register("P.a")
try:
    checkpoints.config("P.a", {path!r}, **{options!r})
except checkpoints.registry.UsageError as err:
    print(err.message, err.hint)
"""
    done = python("-c", text, cwd=tmp_path)
    assert package in done.stdout
    assert hint in done.stdout


# Loading


def test_what_cannot_be_loaded_says_why(place: Path) -> None:
    """No such file, another kind of file, a damaged one."""
    place.mkdir()
    with pytest.raises(NotFoundError, match="There is no file"):
        load(place / "a.ckpt")
    with pytest.raises(UsageError, match="no file of a checkpoint"):
        load(place / "a.txt")
    for name, data in {"a.ckpt": b"x", "b.ckpt": b"", "c.json": b"{", "d.json": b"[1]", "e.parquet": b"PAR1"}.items():
        (place / name).write_bytes(data)
        with pytest.raises(DamagedError):
            load(place / name)
    os.mkfifo(place / "f.ckpt")
    with pytest.raises(DamagedError, match="regular file"):
        load(place / "f.ckpt")
    with pytest.raises(DamagedError):
        load(f"{place}/a.ckpt")
    with pytest.raises(UsageError, match="neither an entry of an index nor a path"):
        load(checkpoints.index_checkpoint_files(place))  # type: ignore[arg-type]
    (place / "locked.json").write_text("{}")
    (place / "locked.json").chmod(0)
    if os.geteuid():
        with pytest.raises(StoreError, match="cannot be read"):
            load(place / "locked.json")
