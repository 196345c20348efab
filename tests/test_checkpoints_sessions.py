"""Sessions: staged values, written once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ckpt import checkpoints
from ckpt.checkpoints import DictHandler, FileHandler, Session, load, tags
from ckpt.errors import ExistsError, UsageError

pytestmark = pytest.mark.usefixtures("names")


class Counting(DictHandler):
    """Counts how often it is written to."""

    def __init__(self) -> None:
        super().__init__(force=True)
        self.count = 0

    def put(self, name: str, tags: Any, values: Mapping[str, Any]) -> None:
        self.count += 1
        super().put(name, tags, values)


@pytest.fixture
def handler() -> Counting:
    checkpoints.register("P", ["a", "b"])
    handler = Counting()
    checkpoints.config("P", handler)
    return handler


@pytest.mark.parametrize("names", [("P.a",), ("P", "a")])
def test_values_are_written_once_at_the_end(handler: Counting, names: tuple[str, ...]) -> None:
    """In all forms of a checkpoint; a value that comes again takes the place of the earlier one."""
    with Session(*names) as session:
        session.checkpoint(x=1)
        session.checkpoint({"y": 2, "z": 3})
        session.checkpoint("data")
        session.checkpoint(x=4)
        assert handler.count == 0
    assert handler.objects == {"P/a": {"x": 4, "y": 2, "z": 3, "data": "data"}}
    assert handler.count == 1


@pytest.mark.parametrize("names", [(["P.a", "P.b"],), ("P", ["a", "b"])])
def test_a_session_of_several_names(handler: Counting, names: tuple[Any, ...]) -> None:
    """The block gets one session for each, in order, and each is written once."""
    with Session(*names) as (a, b):
        for number in range(3):
            a.checkpoint({str(number): number})
            b.checkpoint(number)
    assert handler.objects == {"P/a": {"0": 0, "1": 1, "2": 2}, "P/b": {"data": 2}}
    assert handler.count == 2
    with pytest.raises(UsageError, match="one for each"):
        Session(*names).checkpoint(1)


def test_each_combination_of_tags_is_a_file_of_its_own(handler: Counting) -> None:
    """Tags are those of the moment when a value is staged, also where they only look alike."""
    with Session("P.a") as session, tags(outer=1):
        for inner in (1, True, "2"):
            with tags(inner=inner):
                session.checkpoint(x=inner)
        for inner in (1, True):
            with tags(inner=inner):
                session.checkpoint(y=inner)
        session.checkpoint(x=0)
    assert handler.objects == {
        "outer=1/inner=1/P/a": {"x": 1, "y": 1},
        "outer=1/inner=true/P/a": {"x": True, "y": True},
        "outer=1/inner=2/P/a": {"x": "2"},
        "outer=1/P/a": {"x": 0},
    }
    assert handler.count == 4


def test_nothing_is_written_when_the_block_raises(handler: Counting) -> None:
    """Unless that is asked for; the exception goes on either way."""

    def fail(session: Session, error: type[BaseException]) -> None:
        with session:
            session.checkpoint(x=1)
            raise error

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            fail(Session("P.a"), error)
    assert handler.objects == {}
    with pytest.raises(KeyboardInterrupt):
        fail(Session("P.a", commit_on_error=True), KeyboardInterrupt)
    assert handler.objects == {"P/a": {"x": 1}}


def test_commit_works_without_the_block(handler: Counting) -> None:
    """What is staged later goes into the same file with what was there; what is written already is not written again."""
    session = Session("P.a")
    session.checkpoint(x=1)
    session.commit()
    session.commit()
    assert (handler.objects, handler.count) == ({"P/a": {"x": 1}}, 1)
    with session:
        session.checkpoint(y=2)
    assert (handler.objects, handler.count) == ({"P/a": {"x": 1, "y": 2}}, 2)


def test_a_commit_that_fails_can_be_tried_again(handler: Counting) -> None:
    """The values stay staged."""
    session = Session("P.a")
    session.checkpoint(x=1)
    handler.objects = None  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        session.commit()
    handler.objects = {}
    session.commit()
    assert handler.objects == {"P/a": {"x": 1}}


def test_a_second_commit_is_a_second_write(tmp_path: Path) -> None:
    """Of all that was staged: the file that is there is replaced, refused or kept beside it, as the handler says."""

    def commit_twice(handler: checkpoints.Handler) -> None:
        checkpoints.config(handler, "P")
        session = Session("P.a")
        session.checkpoint(x=1)
        session.commit()
        session.checkpoint(y=2)
        session.commit()

    checkpoints.register("P", ["a"])
    commit_twice(FileHandler(tmp_path / "replace"))
    assert [load(entry) for entry in checkpoints.index_checkpoint_files(tmp_path / "replace")] == [{"x": 1, "y": 2}]
    commit_twice(FileHandler(tmp_path / "number", overwrite="number"))
    assert [load(entry) for entry in checkpoints.index_checkpoint_files(tmp_path / "number")] == [{"x": 1}, {"x": 1, "y": 2}]
    for refusing in (FileHandler(tmp_path / "error", overwrite="error"), DictHandler()):
        with pytest.raises(ExistsError):
            commit_twice(refusing)


def test_an_unconfigured_session_does_nothing() -> None:
    """It registers its name when it is used, and one that is switched on meanwhile stages from then on."""
    handler = DictHandler()
    with Session("P.a") as session:
        session.checkpoint(x=1)
        assert checkpoints.available() == ["P.a"]
        checkpoints.config(handler, "P.a")
        session.checkpoint(y=2)
    assert handler.objects == {"P/a": {"y": 2}}


def test_a_session_follows_a_new_name(handler: Counting) -> None:
    """A library that still uses the old name writes to the new one."""
    checkpoints.deprecate("P", "old", "a")
    with Session("P.old") as session:
        session.checkpoint(x=1)
    assert handler.objects == {"P/a": {"x": 1}}


def test_what_a_session_cannot_be() -> None:
    """Names that are none, and data with values."""
    wrong: tuple[Any, ...]
    for wrong in (("P.",), ("P", [""]), (7,)):
        with pytest.raises(UsageError):
            Session(*wrong)
    with pytest.raises(UsageError):
        Session("P.a").checkpoint(1, x=2)


def test_a_dict_holds_the_values_as_they_were_staged() -> None:
    """As a file does; a handler that has no `stage` is given what they are at the end."""

    class Noting:
        def put(self, name: str, tags: Any, values: Mapping[str, Any]) -> None:
            self.noted = dict(values)

    noting, keeping = Noting(), DictHandler()
    checkpoints.register("P", ["a", "b"])
    checkpoints.config("P.a", keeping)
    checkpoints.config("P.b", noting)
    items = [1]
    with Session("P", ["a", "b"]) as sessions:
        for session in sessions:
            session.checkpoint(items)
        items.append(2)
    assert (keeping.objects["P/a"], noting.noted) == ({"data": [1]}, {"data": [1, 2]})


@pytest.mark.parametrize("form", ["pickle", "parquet", "json"])
def test_files_hold_the_values_as_they_were_staged(tmp_path: Path, form: str) -> None:
    """What the program does to a value afterwards does not show: small or large, in a list, an array or a table."""
    checkpoints.register("P.a")
    checkpoints.config("P.a", tmp_path, format=form)
    items, array = [0] * 50_000, np.zeros(50_000)
    table = pd.DataFrame({"a": np.zeros(50_000)})
    staged: dict[str, Any] = {"items": items} if form == "json" else {"items": items, "array": array}
    with Session("P.a") as session:
        session.checkpoint(staged)
        if form != "json":
            with tags(kind="table"):
                session.checkpoint(table)
        assert list(tmp_path.rglob("*.*")) == []
        items[0], array[0] = 1, 1.0
        table.loc[0, "a"] = 1.0
    index = {entry.tags: load(entry) for entry in checkpoints.index_checkpoint_files(tmp_path)}
    assert index[()]["items"][0] == 0
    if form != "json":
        assert index[()]["array"][0] == 0.0
        assert index[("kind", "table"),]["data"]["a"][0] == 0.0
