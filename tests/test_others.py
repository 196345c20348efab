"""The threads and tasks around a failure: what is kept of them, and that keeping it runs no code of the program."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any, ClassVar

import pytest

import ckpt as package
from ckpt._model.record import Other
from ckpt._recording.others import OTHERS_LIMIT, STACK_LIMIT
from ckpt._store.store import Store
from tests.processes import ckpt, python
from tests.recursion import near_the_end_of_the_stack


def others(store: Store) -> list[Other]:
    """Return what was alive beside the newest failure, but for threads that other tests and their runner have left standing."""
    failure = store.get(store.find(None).id).failure
    assert failure is not None
    return [other for other in failure.manifest().others if any(place.file == __file__ for place in other.stack)]


@contextmanager
def waiting(count: int = 1, depth: int = 0) -> Iterator[None]:
    """Threads that stand still, `depth` calls down."""
    stop, ready = threading.Event(), threading.Semaphore(0)

    def sink(level: int) -> None:
        if level:
            sink(level - 1)
        else:
            ready.release()
            stop.wait()

    threads = [threading.Thread(target=sink, args=(depth,), name=f"worker {number}", daemon=number % 2 == 0) for number in range(count)]
    for thread in threads:
        thread.start()
        ready.acquire()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@package.ckpt(active=False)
def fail(x: int) -> float:
    return x / 0


def test_a_thread_is_kept_with_its_stack(store: Store) -> None:
    """Name, kind and each line of a thread that was waiting; not of the one that failed."""
    with waiting(2), pytest.raises(ZeroDivisionError):
        fail(1)
    found = others(store)
    assert [(other.kind, other.name, other.state) for other in found] == [("thread", "worker 1", ""), ("thread", "worker 0", "daemon")]
    own = [place for place in found[0].stack if place.file == __file__]
    assert [place.name for place in own] == ["sink"]
    assert Path(__file__).read_text().splitlines()[own[0].line - 1].strip() == "stop.wait()"


def test_alone_there_is_nothing_to_keep(store: Store) -> None:
    """A program without threads and tasks has none in its captures."""
    with pytest.raises(ZeroDivisionError):
        fail(1)
    assert others(store) == []


def test_a_thread_whose_stack_is_full_is_not_beside_itself(store: Store) -> None:
    """A failure near the end of the stack is recorded by another thread; the one that failed is not listed as one of the others."""
    with pytest.raises(ZeroDivisionError):
        near_the_end_of_the_stack(lambda: fail(1))
    assert others(store) == []


def test_what_is_kept_is_bounded(store: Store) -> None:
    """So many threads, and of each so many of its innermost frames."""
    with waiting(OTHERS_LIMIT + 5, depth=STACK_LIMIT + 5), pytest.raises(ZeroDivisionError):
        fail(1)
    found = others(store)
    assert len(found) == OTHERS_LIMIT
    assert {len(other.stack) for other in found} == {STACK_LIMIT}
    assert found[0].stack[-1].name == "wait"


def test_reading_threads_runs_no_code_of_theirs(store: Store) -> None:
    """A thread class that answers for its name is not asked; a thread that was not started by `threading` has no name."""

    class Nosy(threading.Thread):
        asked: ClassVar[list[str]] = []

        @property
        def name(self) -> str:
            self.asked.append("name")
            return "nosy"

        @name.setter
        def name(self, value: str) -> None:
            self.asked.append("set")

    stop = threading.Event()
    nosy = Nosy(target=lambda: stop.wait())  # noqa: PLW0108  a frame of this file
    Nosy.asked.clear()
    nosy.start()
    before = list(Nosy.asked)
    try:
        with pytest.raises(ZeroDivisionError):
            fail(1)
        assert Nosy.asked == before
        assert [other.kind for other in others(store)] == ["thread"]
    finally:
        stop.set()
        nosy.join()


TASKS = """
    import asyncio
    import ckpt

    class Odd(asyncio.Task):
        def get_name(self):
            raise AssertionError("asked")

    async def sleeper(seconds):
        await asyncio.sleep(seconds)

    async def waits():
        await sleeper(100)

    async def ended():
        return 1

    @ckpt.ckpt
    async def job(x):
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(waits(), name="side"), asyncio.create_task(ended()), Odd(waits(), loop=loop, name="odd")]
        await asyncio.sleep(0.01)
        return x / 0

    asyncio.run(job(1))
"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A directory with a capture that was made among tasks, and the environment that finds it."""
    path = tmp_path_factory.mktemp("tasks")
    (path / "job.py").write_text(dedent(TASKS).lstrip("\n"))
    environ = {"PYCKPT_DIR": str(path / ".pyckpt")}
    assert "ZeroDivisionError" in python("job.py", cwd=path, check=False, environ=environ).stderr
    return path, environ


def shown(tasks: tuple[Path, dict[str, str]], *options: str) -> str:
    path, environ = tasks
    return ckpt("show", "job", *options, cwd=path, environ=environ).stdout


def test_a_task_is_kept_with_what_it_awaits(tasks: tuple[Path, dict[str, str]]) -> None:
    """Each suspended coroutine down to the one that waits; tasks that have ended, and the failed one, are left out."""
    found: list[dict[str, Any]] = json.loads(shown(tasks, "--json"))["failure"]["others"]
    assert sorted(other["name"] for other in found) == ["odd", "side"]
    assert [place["name"] for place in found[0]["stack"]] == ["waits", "sleeper", "sleep"]


def test_the_page_names_them_and_threads_prints_them(tasks: tuple[Path, dict[str, str]]) -> None:
    """One line in `ckpt show` says that there were others; with `--threads`, each is there with its stack and source lines."""
    assert "2 tasks beside it: ckpt show --threads\n" in shown(tasks)
    told = shown(tasks, "--threads")
    assert "Task side\n" in told
    assert ", in sleeper\n    await asyncio.sleep(seconds)\n" in told
    assert "ZeroDivisionError" not in told
