"""What is stored of a result: JSON where that gives back the same, else a stream; whole, signed, and never anything else than it was."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ckpt import pipeline as chkpt
from ckpt._recording import ground
from ckpt._store.spill import TEMPORARY
from ckpt._store.store import Store
from ckpt.errors import CkptWarning
from ckpt.pipeline import places


@pytest.fixture(autouse=True)
def _store(store: Store) -> None:
    """Every test has a store of its own."""


@dataclass
class Point:
    x: int


class Stored:
    """A pipeline of one stage, and the file of its result."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.value: Any = None
        self.runs = 0
        self.config = chkpt.Config(load=True, dir=directory, progress=False, **options)
        # The function refers to this object, whose values change: so the name is the key here.
        self.pipeline = chkpt.Pipeline(chkpt.Stage(self._call, name="stage"))

    def _call(self) -> Any:
        self.runs += 1
        return self.value

    def __call__(self, value: Any) -> Any:
        self.value = value
        self.pipeline(self.config)
        return self.pipeline(self.config)

    @property
    def file(self) -> Path:
        return Path(self.config.get_checkpoint_path(self.pipeline))


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    return Stored(tmp_path / "results", key="name")


JSON = [None, True, 0, -5, 10**30, 1.5, -0.0, "text", "\ud800 \x00 ü", [], [1, [2, "3"]], {}, {"a": {"b": [None, 1.0]}}]


@pytest.mark.parametrize("value", JSON, ids=repr)
def test_json_where_that_gives_back_the_same(stored: Stored, value: Any) -> None:
    """What JSON keeps is kept as JSON, and the whole file is JSON, to be read with `jq .result`."""
    loaded = stored(value)
    assert (repr(loaded), stored.runs) == (repr(value), 1)
    document = json.loads(stored.file.read_bytes())
    assert (repr(document["result"]), document["as"], document["stage"]) == (repr(value), "json", "stage")


OTHERS = [(1, 2), {1: 2}, {"a": (1,)}, math.inf, {1, 2}, b"bytes", [Point(3)], 1 + 2j, range(3), [1, (2,)], {True: 1}, frozenset({"a"})]


@pytest.mark.parametrize("value", OTHERS, ids=repr)
def test_what_json_would_change_is_kept_as_it_is(stored: Stored, value: Any) -> None:
    """Tuples stay tuples, numbers as keys stay numbers, and objects stay objects."""
    loaded = stored(value)
    assert (loaded, type(loaded), stored.runs) == (value, type(value), 1)
    assert b'"as":"codec"' in stored.file.read_bytes()


def test_not_a_number_is_kept(stored: Stored) -> None:
    """NaN is no JSON, and equal to nothing."""
    assert math.isnan(stored(math.nan))


class Text(str):
    __slots__ = ()


def test_a_subclass_is_not_its_base(stored: Stored) -> None:
    """What JSON would make a plain text of stays what it is."""
    assert type(stored([Text("a")])[0]) is Text


def test_large_arrays_come_back_writable(stored: Stored) -> None:
    """Buffers follow the stream, are checked, and belong to who loads them."""
    array = np.arange(100_000.0)
    loaded = stored({"a": array, "again": array})
    assert (loaded["a"] == array).all()
    assert loaded["a"] is loaded["again"]
    loaded["a"][0] = 5


def test_a_serializer_can_be_fixed_per_stage_and_for_all(tmp_path: Path) -> None:
    """`serializer="pickle"` takes the stream for JSON's values too; what a stage says itself comes before what the Config says."""
    for stage, of_config, expected in ((None, "pickle", "codec"), ("json", "pickle", "json"), ("pickle", None, "codec")):
        config = chkpt.Config(dir=tmp_path, key="name", serializer=of_config)
        chkpt.Pipeline(chkpt.Stage(lambda: [1], name="one", serializer=stage))(config)
        assert f'"as":"{expected}"'.encode() in (tmp_path / "one").read_bytes()


def test_json_that_would_change_the_result_is_not_stored(tmp_path: Path) -> None:
    """With `serializer="json"` a tuple is returned as it is, and not stored, with one warning."""
    pipeline = chkpt.Pipeline(chkpt.Stage(lambda: (1, 2), name="pair", serializer="json"))
    with pytest.warns(CkptWarning, match="result of 'pair' is not stored: as JSON it would come back as something else"):
        assert pipeline(chkpt.Config(load=True, dir=tmp_path)) == (1, 2)
    assert not list(tmp_path.glob("pair*"))


def test_a_result_that_cannot_be_kept_whole_is_not_stored(stored: Stored) -> None:
    """One lock in it, and it is computed each time: nothing comes back with a hole in it."""
    with pytest.warns(CkptWarning, match="result of 'stage' is not stored: "):
        stored({"lock": threading.Lock(), "data": [1]})
    assert stored.runs == 2


class Evil:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def flip(data: bytes) -> bytes:
    return data[:-4] + bytes([data[-4] ^ 1]) + data[-3:]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "nothing in it": lambda data: b"",
    "cut in the first line": lambda data: data[:50],
    "cut in the result": lambda data: data[:-5],
    "a bit of the result": flip,
    "a bit of the first line": lambda data: data.replace(b'"took":0', b'"took":1'),
    "no signature": lambda data: data.replace(b',"sig":"', b',"gis":"'),
    "plain JSON, as chkpt writes it": lambda data: b'"123"',
    "a pickle": lambda data: b"\x80\x04cos\nsystem\n",
    "another format": lambda data: data.replace(b'"format":1', b'"format":2'),
    "JSON of another kind": lambda data: b"[1]\n",
    "bytes": lambda data: bytes(range(256)) * 300,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("value", [["a", 1], ("a", 1)], ids=["json", "stream"])
def test_a_damaged_file_is_computed_again_with_one_warning(stored: Stored, damage: str, value: Any) -> None:
    """Whatever has happened to the file: it is never returned, and a whole one takes its place."""
    stored(value)
    stored.file.write_bytes(DAMAGE[damage](stored.file.read_bytes()))
    with pytest.warns(CkptWarning, match="computed again") as warned:
        assert stored.pipeline(stored.config) == value
    assert len(warned) == 1
    assert stored.runs == 2
    assert stored.pipeline(stored.config) == value
    assert stored.runs == 2


def test_nothing_is_unpickled_that_was_not_signed(stored: Stored, tmp_path: Path) -> None:
    """What follows a good signature in the first line is as good as none: JSON would take it for what was signed."""
    stored((1, 2))
    line, _, _ = stored.file.read_bytes().partition(b"\n")
    evil = pickle.dumps(Evil(str(tmp_path / "was run")))
    added = b',"as":"codec","sizes":[%d],"sums":["%s"]}\n' % (len(evil), hashlib.sha256(evil).hexdigest().encode())
    stored.file.write_bytes(line[:-1] + added + evil)
    with pytest.warns(CkptWarning, match="it was not written by this user's ckpt"):
        assert stored.pipeline(stored.config) == (1, 2)
    assert not (tmp_path / "was run").exists()


def test_a_damaged_result_is_why_the_stage_runs(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    """The line of the run says the same as the plan, and the warning points to the stage."""
    stored([1])
    stored.file.write_bytes(stored.file.read_bytes()[:-5])
    with pytest.warns(CkptWarning) as warned:
        stored.pipeline(replace(stored.config, progress=True))
    assert warned[0].filename == __file__
    assert "[stage] running: the stored result cannot be used: its bytes are not what was written" in capsys.readouterr().err


@pytest.mark.parametrize("value", [{"password": "x"}, ({"api_key": "x"}, [("token", "y")])])
def test_a_result_is_kept_whatever_its_parts_are_called(stored: Stored, value: Any) -> None:
    """What is left out of captures because it is secret is part of a result: it comes back as it was."""
    assert stored(value) == value
    assert stored.runs == 1


@pytest.mark.parametrize("kind", ["a link", "a pipe"])
def test_what_is_no_file_is_not_read(stored: Stored, tmp_path: Path, kind: str) -> None:
    """A link is not followed and a pipe not waited for."""
    stored([1])
    stored.file.rename(tmp_path / "elsewhere")
    if kind == "a link":
        stored.file.symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(stored.file)
    with pytest.warns(CkptWarning, match="computed again"):
        stored.pipeline(stored.config)
    assert stored.runs == 2
    assert not stored.file.is_symlink()


def test_a_directory_in_the_place_of_a_file_costs_the_storing(stored: Stored) -> None:
    """The run goes on, with a warning for what could not be read and one for what could not be written."""
    stored.file.mkdir(parents=True)
    with pytest.warns(CkptWarning) as warned:
        assert stored.pipeline(stored.config) is None
    assert sorted(str(each.message).partition("'")[0] for each in warned) == ["The result of ", "The stored result "]


def test_a_result_of_another_is_not_taken(tmp_path: Path) -> None:
    """A file that was renamed is that of another stage, and a file of another user is signed with another key."""
    config = chkpt.Config(load=True, dir=tmp_path, key="name")
    chkpt.Pipeline(chkpt.Stage(lambda: "theirs", name="theirs"))(config)
    (tmp_path / "theirs").rename(tmp_path / "ours")
    with pytest.warns(CkptWarning, match="it is the result of something else"):
        assert chkpt.Pipeline(chkpt.Stage(lambda: "ours", name="ours"))(config) == "ours"


def test_another_users_result_is_not_taken(stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpickling runs what a file says: only what this user's ckpt wrote is unpickled."""
    stored((1,))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    with pytest.warns(CkptWarning, match="it was not written by this user's ckpt"):
        stored.pipeline(stored.config)
    assert stored.runs == 2


def test_those_who_share_a_secret_use_each_others_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A team, a CI or a second machine: with the secret of the others, and with no other one."""
    ours, theirs = (Stored(tmp_path / "shared", key="name", secret=text) for text in ("between us", "between them"))
    assert "between us" not in repr(ours.config)
    ours((1,))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user"))
    assert ours.pipeline(ours.config) == (1,)
    assert ours.runs == 1
    theirs.value = (2,)
    with pytest.warns(CkptWarning, match="nor with the secret of the Config"):
        assert theirs.pipeline(theirs.config) == (2,)


def test_a_secret_says_whose_result_it_is_with_code_as_key_too(tmp_path: Path) -> None:
    """One pipeline, one process, two Configs."""
    runs: list[int] = []
    pipeline = chkpt.Pipeline(chkpt.Stage(list, name="empty"))
    for text in ("one", "one", "other"):
        with pytest.warns(CkptWarning, match="not used") if text == "other" else nullcontext():
            pipeline(chkpt.Config(load=True, dir=tmp_path, secret=text, progress=False))
        runs.append((tmp_path / Path(chkpt.Config(dir=tmp_path).get_checkpoint_path(pipeline)).name).stat().st_mtime_ns)
    assert runs[0] == runs[1] != runs[2]


@pytest.fixture
def shapes() -> Iterator[ModuleType]:
    """A module with a class, which may be gone later."""
    module = ModuleType("shapes")
    module.Box = type("Box", (), {"__module__": "shapes"})  # type: ignore[attr-defined]
    sys.modules["shapes"] = module
    yield module
    sys.modules.pop("shapes", None)


def test_a_result_whose_class_is_gone_is_computed_again(stored: Stored, shapes: ModuleType) -> None:
    """No stand-in takes the place of what cannot be loaded."""
    stored([shapes.Box()])
    del shapes.Box
    stored.value = "without it"
    with pytest.warns(CkptWarning, match="computed again"):
        assert stored.pipeline(stored.config) == "without it"


def test_a_full_disk_costs_the_storing_not_the_run(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written leaves nothing behind; a real full disk would need a mount."""

    def full(descriptor: int, view: memoryview) -> None:
        os.write(descriptor, view[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(places, "write_all", full)
    with pytest.warns(CkptWarning, match="No space left"):
        assert stored([1]) == [1]
    assert [path for path in stored.file.parent.iterdir() if not path.name.startswith(".ckpt-claims")] == []


def test_what_a_killed_process_left_is_removed(stored: Stored) -> None:
    """An unfinished file of the day before goes when the results are listed; one that is being written stays."""
    stored([1])
    old, new = (stored.file.parent / f"{TEMPORARY}{name}" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    assert sorted(places.place_of(stored.config).names()) == [".ckpt-claims", "stage"]
    assert (old.exists(), new.exists()) == (False, True)


def test_results_appear_whole(tmp_path: Path) -> None:
    """Whoever looks while another writes sees nothing, or all of it."""
    values = [["x" * 200_000, number] for number in range(30)]
    config = chkpt.Config(dir=tmp_path, key="name", progress=False)
    done = threading.Event()
    seen: list[int] = []

    def look() -> None:
        while not done.is_set():
            try:
                seen.append(json.loads((tmp_path / "stage").read_bytes())["result"][1])
            except FileNotFoundError:
                continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for value in values:
            chkpt.Pipeline(chkpt.Stage(lambda value=value: value, name="stage"))(config)
    finally:
        done.set()
        thread.join()
    assert seen == sorted(seen)


def test_without_a_home_results_are_this_processs_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no key can be kept, results are loaded by the process that wrote them."""
    monkeypatch.setattr("ckpt._store.trust.key", lambda: None)
    stored = Stored(tmp_path, key="name")
    assert (stored((1,)), stored.runs) == ((1,), 1)
    ground._Held.said.clear()
