"""Results under URLs: on a real S3-speaking server on loopback, and on other file systems of fsspec."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

import ckpt
from ckpt import pipeline as chkpt
from ckpt._store.store import Store
from ckpt.errors import CkptWarning, StoreError, UsageError
from tests.test_checkpoints_remote import endpoint, options_for

__all__ = ["endpoint"]

JOB = """
import os
from ckpt import pipeline as chkpt


@chkpt.Stage.wrap()
def first():
    return [1, 2, 3]


@chkpt.Stage.wrap()
def pair(values):
    return tuple(values), os.getpid()


@chkpt.Stage.wrap()
def last(values, pair):
    return len(values), pair[0], pair[1] != os.getpid()


pipeline = (first, first >> pair) >> last
"""


@pytest.fixture(autouse=True)
def _store(store: Store) -> None:
    """Every test has a store of its own."""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module that workers can import too."""
    (tmp_path / "remote_job.py").write_text(JOB)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(ckpt.__file__).parent.parent}")
    import remote_job  # type: ignore[import-not-found]

    yield remote_job
    del sys.modules["remote_job"]


@pytest.fixture
def on_s3(request: pytest.FixtureRequest, endpoint: str) -> Callable[..., chkpt.Config]:
    """Makes a Config whose results lie on the server."""
    url = f"s3://bucket/{request.node.name}"
    return lambda **more: chkpt.Config(load=True, dir=url, storage_options=options_for(endpoint), **more)


def listing(config: chkpt.Config) -> list[str]:
    system, root = fsspec.url_to_fs(config.dir, **config.storage_options)
    system.invalidate_cache()
    return sorted(path.rpartition("/")[2].partition("-")[0] for path in system.ls(root, detail=False))


def test_results_on_s3(job: Any, on_s3: Callable[..., chkpt.Config], capsys: pytest.CaptureFixture[str]) -> None:
    """Stored, planned with, and loaded: the last result only; JSON and streams alike."""
    config = on_s3()
    assert [step.why for step in job.pipeline.plan(config)] == ["never stored"] * 3
    assert job.pipeline(config) == (3, (1, 2, 3), False)
    assert listing(config) == ["first", "last", "pair"]
    capsys.readouterr()
    assert job.pipeline(config) == (3, (1, 2, 3), False)
    assert capsys.readouterr().err == "[last] loaded\n"
    assert [step.action for step in job.pipeline.plan(config)] == ["skip", "skip", "load"]


def test_on_s3_a_change_is_told(job: Any, on_s3: Callable[..., chkpt.Config]) -> None:
    """The results that are there say what is different now."""
    config = on_s3()
    job.pipeline(config)
    stage = chkpt.Stage(lambda values, pair: None, name="last")
    stage.func.__code__ = stage.func.__code__.replace(co_filename=job.__file__)
    stage.func.__qualname__ = "last"
    steps = ((job.first, job.first >> job.pair) >> stage).plan(config)
    assert [(step.action, step.why) for step in steps] == [("load", "stored"), ("load", "stored"), ("run", "code changed")]


def test_on_s3_a_damaged_result_is_computed_again(job: Any, on_s3: Callable[..., chkpt.Config]) -> None:
    """An object that somebody has changed is not returned, and replaced."""
    config = on_s3(progress=False)
    job.pipeline(config)
    system, _ = fsspec.url_to_fs(config.dir, **config.storage_options)
    path = config.get_checkpoint_path(job.pipeline)
    system.pipe_file(path, system.cat_file(path)[:-5])
    with pytest.warns(CkptWarning, match="its bytes are not what was written"):
        assert job.pipeline(config) == (3, (1, 2, 3), False)
    assert job.pipeline(config) == (3, (1, 2, 3), False)


def test_workers_meet_on_s3(job: Any, on_s3: Callable[..., chkpt.Config]) -> None:
    """Another process stores there what the next one loads, and the run loads the last."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        config = on_s3(executor=executor)
        assert job.pipeline(config) == (3, (1, 2, 3), False)
    assert listing(config) == ["first", "last", "pair"]
    assert job.pipeline(on_s3()) == (3, (1, 2, 3), False)


@pytest.mark.parametrize("load", [True, False])
def test_a_server_that_does_not_answer_is_said_before_anything_runs(job: Any, load: bool) -> None:
    """Not after each stage: hours may lie behind it."""
    options = options_for("http://127.0.0.1:9") | {"config_kwargs": {"retries": {"max_attempts": 0}}}
    runs: list[int] = []
    pipeline = chkpt.Pipeline(chkpt.Stage(lambda: runs.append(1), name="one"))
    with pytest.raises(StoreError, match=r"in 's3://bucket/nowhere': .*Could not connect"):
        pipeline(chkpt.Config(load=load, dir="s3://bucket/nowhere", storage_options=options, progress=False, key="name"))
    assert runs == []


def test_results_lie_under_a_url() -> None:
    """Any file system that fsspec knows will do."""
    config = chkpt.Config(load=True, dir="memory://results", key="name", progress=False)
    pipeline = chkpt.Pipeline(chkpt.Stage(lambda: (1, [2]), name="remote"))
    assert pipeline(config) == (1, [2])
    assert [step.action for step in pipeline.plan(config)] == ["load"]
    assert pipeline(config) == (1, [2])
    assert config.get_checkpoint_path(pipeline) == "memory://results/remote"


def test_where_files_grow_results_appear_by_a_new_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What breaks off while it is written leaves nothing under the name of a result; a cut connection would need a server."""
    config = chkpt.Config(load=True, dir=f"file://{tmp_path}/new/results", key="name", progress=False)
    pipeline = chkpt.Pipeline(chkpt.Stage(lambda: [1], name="one"))
    with monkeypatch.context() as patch:

        def break_off(self: LocalFileSystem, path: str, data: bytes, **options: Any) -> None:
            Path(path).write_bytes(data[:10])
            raise ConnectionError("cut")

        patch.setattr(LocalFileSystem, "pipe_file", break_off)
        with pytest.warns(CkptWarning, match="The result of 'one' is not stored: ConnectionError: cut"):
            assert pipeline(config) == [1]
    assert not (tmp_path / "new" / "results" / "one").exists()
    assert pipeline(config) == [1]
    assert (tmp_path / "new" / "results" / "one").exists()


def test_a_url_that_makes_no_sense_is_said() -> None:
    """In one line, before anything runs."""
    with pytest.raises(UsageError, match="Protocol not known"):
        chkpt.Pipeline(chkpt.Stage(lambda: [1], name="one"))(chkpt.Config(dir="nosuch://results"))


def test_without_a_directory_for_locks_everybody_computes(tmp_path: Path) -> None:
    """A machine on which nothing can be kept runs a pipeline all the same, with its results elsewhere."""
    (tmp_path / "file").write_text("")
    ckpt.set_ckpt_dir(tmp_path / "file" / "store")
    config = chkpt.Config(load=True, dir="memory://lockless", key="name", progress=False)
    pipeline = chkpt.Pipeline(chkpt.Stage(lambda: [1], name="one"))
    assert pipeline(config) == pipeline(config) == [1]
