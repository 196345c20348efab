"""Stages at the same time: in threads, in processes, on other machines, and in two programs that need the same result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import ckpt
from ckpt import pipeline as chkpt
from ckpt._store.store import Store
from ckpt.pipeline import claims
from ckpt.pipeline.claims import Claims
from tests.processes import ROOT, environment, python

JOB = """
import os
import sys
import threading
from ckpt import pipeline as chkpt


class Box:
    def __init__(self, value):
        self.value = value


@chkpt.Stage.wrap()
def first():
    return [1, 2, 3]


@chkpt.Stage.wrap()
def left(values):
    return Box((sum(values), os.getpid()))


@chkpt.Stage.wrap()
def right(values):
    return tuple(values)


@chkpt.Stage.wrap()
def both(left, right):
    return left.value[0], right, type(left) is Box, os.getpid() != left.value[1]


@chkpt.Stage.wrap()
def fresh():
    return [1]


@chkpt.Stage.wrap()
def sizes(one, other):
    return len(one), len(other)


@chkpt.Stage.wrap()
def broken(values):
    wanted = values[0] + 41
    raise KeyError(wanted)


@chkpt.Stage.wrap()
def gone(values):
    os._exit(7)


@chkpt.Stage.wrap()
def lock(values):
    return threading.Lock()


pipeline = (first >> left, first >> right) >> both
late = (first >> right, (first, fresh) >> sizes) >> sizes
failing = (first >> broken, first >> right) >> both
dying = (first >> gone, first >> right) >> both
stuck = first >> lock
"""


@pytest.fixture(autouse=True)
def _store(store: Store) -> None:
    """Every test has a store of its own."""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module that workers can import too."""
    (tmp_path / "parallel_job.py").write_text(JOB)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(ckpt.__file__).parent.parent}")
    import parallel_job  # type: ignore[import-not-found]

    yield parallel_job
    del sys.modules["parallel_job"]


def spawned() -> Executor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def of_loky() -> Executor:
    executor: Executor = pytest.importorskip("loky").ProcessPoolExecutor(1)
    return executor


EXECUTORS: dict[str, Callable[[], Executor]] = {"threads": lambda: ThreadPoolExecutor(2), "processes": spawned, "loky": of_loky}


@pytest.fixture(scope="module")
def workers() -> Iterator[Executor]:
    """One process, for all tests of this module that only need one."""
    with spawned() as executor:
        yield executor


@pytest.mark.parametrize("kind", EXECUTORS)
def test_a_pipeline_runs_on_any_executor(kind: str, job: Any, tmp_path: Path) -> None:
    """Threads, processes or loky: the same result, live objects between the stages, and the results are kept."""
    with EXECUTORS[kind]() as executor:
        config = chkpt.Config(load=True, dir=tmp_path / "results", executor=executor)
        assert job.pipeline(config) == (6, (1, 2, 3), True, False)
        assert {step.action for step in job.pipeline.plan(config)} == {"skip", "load"}
        assert job.pipeline(config) == (6, (1, 2, 3), True, False)
    assert len(list((tmp_path / "results").glob("[a-z]*"))) == 4


def test_without_storing_results_come_back_from_the_workers(job: Any) -> None:
    """`store=False` leaves no file: results travel."""
    with spawned() as executor:
        assert job.pipeline(chkpt.Config(store=False, executor=executor)) == (6, (1, 2, 3), True, False)


def test_independent_stages_run_at_the_same_time() -> None:
    """Two stages that wait for each other both end."""
    meeting = threading.Barrier(2, timeout=20)
    one, two = (chkpt.Stage(meeting.wait, name=name) for name in ("one", "two"))
    with ThreadPoolExecutor(2) as executor:
        result = ((one, two) >> chkpt.Stage(lambda a, b: sorted([a, b])))(chkpt.Config(store=False, executor=executor))
    assert result == [0, 1]


def test_tags_go_with_the_stages(job: Any, tmp_path: Path) -> None:
    """What is tagged where the pipeline is called is tagged in the captures, in threads too."""
    with ThreadPoolExecutor(1) as executor, ckpt.tags(run="blue"), pytest.raises(KeyError):
        job.failing(chkpt.Config(executor=executor))
    (capture,) = ckpt.captures("broken")
    assert capture["tags"] == [["run", "blue"]]


@pytest.mark.parametrize("kind", EXECUTORS)
def test_a_failure_is_captured_where_it_happens(kind: str, job: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the worker, with its variables; the line is printed here, the exception is of its own type, and the rest is finished."""
    with EXECUTORS[kind]() as executor:
        config = chkpt.Config(load=True, dir=tmp_path / "results", executor=executor)
        with pytest.raises(KeyError) as caught:
            job.failing(config)
        assert caught.value.args == (42,)
        assert "ckpt debug broken" in capsys.readouterr().err.splitlines()
        assert ckpt.load("broken").locals == {"values": [1, 2, 3], "wanted": 42}
        assert [(step.stage, step.action) for step in job.failing.plan(config)] == [
            ("first", "load"),
            ("broken", "run"),
            ("right", "load"),
            ("both", "run"),
        ]
    if kind != "threads":
        assert "in broken" in "".join(caught.value.__notes__)


def test_a_worker_that_dies_fails_its_stage(job: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run ends with the executor's word for it, and does not hang."""
    from concurrent.futures.process import BrokenProcessPool

    with spawned() as executor, pytest.raises(BrokenProcessPool):
        job.dying(chkpt.Config(dir=tmp_path, executor=executor))
    lines = capsys.readouterr().err.splitlines()
    assert "no capture was made of gone: its worker has ended; without executor= the stage runs in this process" in lines
    assert not any("[gone] failed after 0 us" in line for line in lines)


def test_what_cannot_travel_fails_its_stage(job: Any, tmp_path: Path, workers: Executor) -> None:
    """A lock cannot leave its process, in neither direction, and the stage is named."""
    with pytest.raises(TypeError, match="the result cannot leave the worker"):
        job.stuck(chkpt.Config(store=False, executor=workers))
    lock = threading.Lock()
    with pytest.raises(TypeError, match="'locked' or its inputs cannot leave this process"):
        chkpt.Pipeline(chkpt.Stage(lambda: lock, name="locked"))(chkpt.Config(store=False, executor=workers))


def test_functions_that_no_import_finds_travel_too(workers: Executor) -> None:
    """A lambda goes by value, as from a notebook."""
    factor = 5
    pipeline = chkpt.Stage(lambda: 2, name="two") >> chkpt.Stage(lambda x: x * factor, name="scaled")
    assert pipeline(chkpt.Config(store=False, executor=workers)) == 10


def test_a_damaged_input_is_computed_again_for_the_worker(job: Any, tmp_path: Path, workers: Executor) -> None:
    """What the first line of a file promises, only reading it proves: the worker says so, and the run goes on."""
    config = chkpt.Config(load=["first", "left", "right"], dir=tmp_path / "results", executor=workers)
    job.pipeline(config)
    path = Path(config.get_checkpoint_path(job.pipeline.args[1]))
    path.write_bytes(path.read_bytes()[:-3])
    assert job.pipeline(config) == (6, (1, 2, 3), True, False)


def damage(config: chkpt.Config, node: chkpt.Stage | chkpt.Pipeline) -> None:
    """Cut a stored result, so that its first line is as good as before."""
    path = Path(config.get_checkpoint_path(node))
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize("store", [True, False])
def test_a_damaged_input_of_several_is_computed_again_once(job: Any, tmp_path: Path, workers: Executor, store: bool) -> None:
    """One worker finds it out, while others are on their way or still wait for another input."""
    config = chkpt.Config(load=["first"], store=store, dir=tmp_path / "results", executor=workers)
    job.late(chkpt.Config(dir=config.dir, progress=False))
    damage(config, job.first)
    assert job.late(config) == (3, 2)


def test_a_result_that_nobody_seemed_to_need_any_more_is_computed_again(job: Any, tmp_path: Path, workers: Executor) -> None:
    """What had been taken for loaded turns out to be damaged when its own input has been forgotten."""
    config = chkpt.Config(load=["right"], store=False, dir=tmp_path / "results", executor=workers)
    job.pipeline(chkpt.Config(dir=config.dir, progress=False))
    damage(config, job.pipeline.args[1])
    assert job.pipeline(config) == (6, (1, 2, 3), True, False)


@pytest.mark.parametrize("kind", EXECUTORS)
def test_one_result_in_two_places_is_two_there_too(kind: str, job: Any) -> None:
    """A worker gets an input that it takes twice as two objects, whether or not it shares our memory."""
    with EXECUTORS[kind]() as executor:
        stage = chkpt.Stage(lambda one, other: one is other, name="same")
        assert ((job.first,) * 2 >> stage)(chkpt.Config(store=False, executor=executor)) is False


DASK = """
import sys
from distributed import Client, LocalCluster
from ckpt import pipeline as chkpt
import parallel_job as job

if __name__ == "__main__":
    options = {"processes": True, "dashboard_address": ":0", "worker_dashboard_address": None}
    with LocalCluster(n_workers=1, threads_per_worker=2, **options) as cluster, Client(cluster) as client:
        config = chkpt.Config(load=True, dir=sys.argv[1], executor=client.get_executor())
        for _ in range(2):
            print(job.pipeline(config))
        try:
            job.failing(config)
        except KeyError as error:
            print(error.args)
"""


@pytest.mark.skipif(find_spec("distributed") is None, reason="Dask is not installed")
def test_a_dask_cluster(job: Any, tmp_path: Path) -> None:
    """A pipeline runs on a real cluster, with results under a URL that all share; its failures are captured there."""
    (tmp_path / "program.py").write_text(DASK)
    paths = f"{tmp_path}{os.pathsep}{ROOT}"
    done = python(
        "program.py", f"file://{tmp_path}/results", cwd=tmp_path, environ={"PYTHONPATH": paths, "PYCKPT_DIR": str(tmp_path / ".pyckpt")}
    )
    assert done.stdout.splitlines() == ["(6, (1, 2, 3), True, False)"] * 2 + ["(42,)"]
    assert "ckpt debug broken" in done.stderr.splitlines()
    assert done.stderr.count("[both] loaded") == 1
    assert ckpt.load("broken").locals["wanted"] == 42


# Two programs that need the same result.

SLOW = """
import os, sys, time
from pathlib import Path
from ckpt import pipeline as chkpt

here = Path.cwd()


@chkpt.Stage.wrap()
def slow():
    Path(f"begun-{os.getpid()}").touch()
    while not Path("go").exists():
        time.sleep(0.01)
    return [os.getpid()]


@chkpt.Stage.wrap()
def after(value):
    return value


config = chkpt.Config(load=True, dir="results", wait=float(os.environ.get("WAIT", "60")))
print(*(slow >> after)(config), os.getpid(), flush=True)
"""


class Programs:
    """Programs that run the same pipeline, in one directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "slow.py").write_text(SLOW)
        self.started: list[subprocess.Popen[str]] = []

    def start(self, **more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "slow.py"]
        made = subprocess.Popen(command, cwd=self.path, env=environment(more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.started.append(made)
        return made

    def until(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.01)

    def begun(self) -> list[Path]:
        return list(self.path.glob("begun-*"))

    def go(self) -> None:
        (self.path / "go").touch()


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    path = tmp_path / "programs"
    path.mkdir()
    made = Programs(path)
    yield made
    for program in made.started:
        program.kill()
        program.communicate()


def waits(program: subprocess.Popen[str]) -> None:
    """Wait until a program has said that another one computes what it needs."""
    assert program.stderr is not None
    while "[slow] waiting: another run computes it" not in program.stderr.readline():
        assert program.poll() is None


def test_two_processes_compute_a_result_once(programs: Programs) -> None:
    """The second waits, and loads what the first has stored."""
    first = programs.start()
    programs.until(programs.begun)
    second = programs.start()
    waits(second)
    programs.go()
    results = [program.communicate(timeout=60)[0].split() for program in (first, second)]
    assert [result[0] for result in results] == [str(first.pid)] * 2
    assert len(programs.begun()) == 1


def test_the_other_takes_over_when_the_first_dies(programs: Programs) -> None:
    """A killed process has no claim any more."""
    first = programs.start()
    programs.until(programs.begun)
    second = programs.start()
    waits(second)
    first.send_signal(signal.SIGKILL)
    programs.until(lambda: len(programs.begun()) == 2)
    programs.go()
    assert second.communicate(timeout=60)[0].split()[0] == str(second.pid)


def test_waiting_is_bounded(programs: Programs) -> None:
    """After `wait` seconds the result is computed here all the same."""
    programs.start()
    programs.until(programs.begun)
    programs.start(WAIT="0.05")
    programs.until(lambda: len(programs.begun()) == 2)


@pytest.mark.parametrize("has_byte_locks", [True, False])
def test_a_claim_is_one_runs_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_byte_locks: bool) -> None:
    """With locks on bytes of one file, and where the system has none, with a file for each: taken once, given back, taken again."""
    if not has_byte_locks:
        monkeypatch.setattr(claims, "_has_byte_locks", lambda: False)
    one, two = Claims(str(tmp_path)), Claims(str(tmp_path))
    assert (one.take("a"), two.take("a"), two.take("b"), one.take("b")) == (True, False, True, False)
    one.give("a")
    assert two.take("a")
    two.close()
    assert one.take("b")
    assert one.take("a")
    one.close()


def test_a_forked_child_does_not_give_the_claims_back(tmp_path: Path) -> None:
    """Nor does it keep them: they are the parent's alone."""
    one, two = Claims(str(tmp_path)), Claims(str(tmp_path))
    one.take("a")
    child = os.fork()
    if child == 0:
        one.give("a")
        os._exit(0)
    os.waitpid(child, 0)
    assert not two.take("a")
    one.close()
    assert two.take("a")
    two.close()


def test_where_no_claims_can_be_made_everybody_computes(tmp_path: Path) -> None:
    """A directory that is not there is no reason to fail."""
    assert Claims(str(tmp_path / "nowhere")).take("a")


def test_two_threads_compute_a_result_once(tmp_path: Path) -> None:
    """Runs in one process respect each other's claims as well."""
    runs: list[int] = []
    begun, go = threading.Event(), threading.Event()

    def slow() -> list[int]:
        runs.append(1)
        begun.set()
        assert go.wait(20)
        return [1]

    pipeline = chkpt.Pipeline(chkpt.Stage(slow))
    # Which objects the function goes to is not the point here: the name is the key.
    config = chkpt.Config(load=True, dir=tmp_path, key="name", progress=False)
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(pipeline, config)
        assert begun.wait(20)
        two = pool.submit(pipeline, config)
        go.set()
        assert one.result(20) == two.result(20) == [1]
    assert runs == [1]
