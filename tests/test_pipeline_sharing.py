"""Each input is its taker's own: what a stage changes in it, nobody else sees."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest

from ckpt import pipeline as chkpt
from ckpt._store.store import Store
from ckpt.errors import CkptWarning


@pytest.fixture(autouse=True)
def _store(store: Store) -> None:
    """Every test has a store of its own."""


def rows() -> list[int]:
    return [3, 1, 2]


def top(rows: list[int]) -> int:
    rows.sort(reverse=True)
    rows.append(99)
    return rows[0]


def count(rows: list[int]) -> list[int]:
    return list(rows)


def both(top: object, count: object) -> tuple[object, object]:
    return top, count


def spawned() -> Executor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


EXECUTORS: dict[str, Callable[[], Any]] = {
    "none": lambda: nullcontext(None),
    "threads": lambda: ThreadPoolExecutor(2),
    "processes": spawned,
}


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("kind", EXECUTORS)
def test_a_stage_that_changes_its_input_changes_it_for_nobody_else(tmp_path: Path, kind: str, store: bool) -> None:
    """Cold, partly warm, in threads and in processes: the same result."""
    source, sort, look = chkpt.Stage(rows), chkpt.Stage(top), chkpt.Stage(count)
    first, second = (source >> sort, source >> look) >> chkpt.Stage(both), (source >> look, source >> sort) >> chkpt.Stage(both)
    with EXECUTORS[kind]() as executor:
        config = chkpt.Config(load=store, store=store, dir=tmp_path / "results", executor=executor, progress=False)
        assert first(config) == (3, [3, 1, 2])
        assert second(config) == ([3, 1, 2], 3)
        for file in (tmp_path / "results").glob("[!r]*") if store else ():
            file.unlink()
        assert first(config) == (3, [3, 1, 2])
        assert second(config) == ([3, 1, 2], 3)


def test_a_table_that_a_stage_adds_a_column_to(tmp_path: Path) -> None:
    """The commonest slip with pandas, in a stage that returns what it was given."""

    def table() -> pd.DataFrame:
        return pd.DataFrame({"a": [1, 2]})

    def wider(table: pd.DataFrame) -> pd.DataFrame:
        table["b"] = table["a"] * 2
        return table

    def columns(table: pd.DataFrame) -> list[str]:
        return list(table.columns)

    source, read = chkpt.Stage(table), chkpt.Stage(columns)
    pipeline = (source >> chkpt.Stage(wider) >> read, source >> read) >> chkpt.Stage(both)
    assert pipeline() == (["a", "b"], ["a"])
    assert pipeline(chkpt.Config(dir=tmp_path, progress=False)) == (["a", "b"], ["a"])


def test_one_stage_that_takes_a_result_twice_has_two() -> None:
    """As if it had been computed for each."""
    assert ((chkpt.Stage(rows),) * 2 >> chkpt.Stage(lambda a, b: (a.clear(), b), name="stage"))() == (None, [3, 1, 2])


class Costly:
    """Says when it is copied."""

    copies: ClassVar[list[int]] = []

    def __deepcopy__(self, memo: object) -> Costly:
        self.copies.append(1)
        return Costly()


@pytest.fixture
def copies() -> list[int]:
    """How often a result was copied."""
    Costly.copies.clear()
    return Costly.copies


@pytest.mark.parametrize("takers", [1, 2, 3])
def test_the_last_taker_gets_the_result_itself(copies: list[int], takers: int) -> None:
    """A result that one stage takes is not copied, and the stage runs once however many take it."""
    runs: list[int] = []
    made: list[Costly] = []

    def costly() -> Costly:
        runs.append(1)
        made.append(Costly())
        return made[0]

    stage = chkpt.Stage(costly)
    ends = tuple(stage >> chkpt.Stage(lambda given: given is made[0], name=f"end{number}") for number in range(takers))
    assert (ends >> chkpt.Stage(lambda *ends: ends, name="all"))() == (False,) * (takers - 1) + (True,)
    assert (len(runs), len(copies)) == (1, takers - 1)


def test_a_result_that_cannot_be_copied_is_shared_and_that_is_said() -> None:
    """A lock, a connection or a generator is one for all."""
    source = chkpt.Stage(lambda: (threading.Lock(), [1]), name="guarded")
    pipeline = (source >> chkpt.Stage(id, name="one"), source >> chkpt.Stage(id, name="two")) >> chkpt.Stage(both)
    with pytest.warns(CkptWarning, match="The result of 'guarded' cannot be copied, so that all stages that take it share it: TypeError"):
        one, two = pipeline()
    assert one == two


def test_a_loaded_result_is_each_takers_own_too(tmp_path: Path) -> None:
    """Not only one that was computed in the same run."""
    source = chkpt.Stage(rows)
    config = chkpt.Config(load=["rows"], dir=tmp_path, progress=False)
    pipeline = (source >> chkpt.Stage(top), source >> chkpt.Stage(count)) >> chkpt.Stage(both)
    assert pipeline(config) == pipeline(config) == (3, [3, 1, 2])
