"""Checkpoints on a real S3-speaking server on loopback, and on other file systems of fsspec."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
from fsspec.implementations.local import LocalFileSystem

from ckpt import checkpoints
from ckpt._model.record import FORMAT
from ckpt.checkpoints import FileHandler, checkpoint, index_checkpoint_files, index_files, load, remote, spilling, tags
from ckpt.errors import DamagedError, ExistsError, NotFoundError, StoreError, UsageError
from tests.processes import ckpt, environment, python

pytest.importorskip("s3fs", reason="the extra ckpt[remote] is not installed")
pytest.importorskip("moto", reason="the S3 server of the tests is not installed")

pytestmark = pytest.mark.usefixtures("names")

#: Speaks S3 on loopback until its input ends; says where.
SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(*server.get_host_and_port(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The URL of a server of its own process, with an empty bucket."""
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as server:
        assert server.stdout
        told = server.stdout.readline().split()
        if not told:
            pytest.skip(f"the S3 server does not start: {server.communicate()[1][-500:]}")
        url = f"http://{told[0]}:{told[1]}"
        fsspec.filesystem("s3", **options_for(url)).mkdir("bucket")
        yield url
        server.terminate()


def options_for(endpoint: str) -> dict[str, Any]:
    return {"key": "test", "secret": "test", "endpoint_url": endpoint, "client_kwargs": {"region_name": "eu-central-1"}}


@pytest.fixture
def options(endpoint: str) -> dict[str, Any]:
    return options_for(endpoint)


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    return f"s3://bucket/{request.node.name.replace('[', '-').replace(']', '')}"


def test_checkpoints_on_s3(url: str, options: dict[str, Any]) -> None:
    """Configured like a directory, written, indexed, and loaded through the entries."""
    checkpoints.register("MyPackage", ["foo", "bar"])
    checkpoints.config("MyPackage.foo", url, storage_options=options)
    checkpoints.config("MyPackage.bar", f"{url}/", format="parquet", storage_options=options)
    array = np.arange(100_000)
    for iteration in (10, 9):
        with tags(iteration=iteration, note="a/b %=ü"):
            checkpoint("MyPackage.foo", x=array, iteration=iteration)
            checkpoint("MyPackage.bar", pd.DataFrame({"a": [iteration]}))
    index = index_checkpoint_files(url, storage_options=options)
    assert [(entry.iteration, entry.checkpoint_fullname) for entry in index] == [
        (iteration, name) for iteration in ("9", "10") for name in ("MyPackage.bar", "MyPackage.foo")
    ]
    assert index[1].checkpoint_path == f"{url}/iteration=9/note=a%2Fb%20%25%3Dü/MyPackage/foo.ckpt"
    assert {entry.note for entry in index} == {"a/b %=ü"}
    found = load(index[1])
    assert found["iteration"] == 9
    assert (found["x"] == array).all()
    found["x"][0] = 1
    assert load(index[2])["data"]["a"].tolist() == [10]
    assert checkpoints.header(index[3]).tags == [["iteration", 10], ["note", "a/b %=ü"]]
    assert load(index[3].checkpoint_path, "iteration", storage_options=options) == 10
    assert len(pd.DataFrame(list(index))) == 4


def test_overwriting_on_s3(url: str, options: dict[str, Any]) -> None:
    """Replaced, refused or numbered; to refuse is one request, so that of two writers only one wins."""
    for number in range(2):
        checkpoint(FileHandler(url, storage_options=options), "P.a", number)
    with pytest.raises(ExistsError, match=r"P/a.ckpt' is there already"):
        checkpoint(FileHandler(url, overwrite="error", storage_options=options), "P.a", 2)
    for number in range(2, 5):
        checkpoint(FileHandler(url, overwrite="number", storage_options=options), "P.a", number)
    index = index_checkpoint_files(url, storage_options=options)
    assert [entry.checkpoint_path.removeprefix(url) for entry in index] == ["/P/a.ckpt", "/P/a.2.ckpt", "/P/a.3.ckpt", "/P/a.4.ckpt"]
    assert [load(entry, "data") for entry in index] == [1, 2, 3, 4]


def test_large_files_go_through_a_file_and_come_in_pieces(url: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The header of a large one costs its front, one value its own bytes."""
    monkeypatch.setattr(remote, "IN_MEMORY", 1000)
    checkpoint(FileHandler(url, storage_options=options), "P.a", large=np.arange(500_000), small=np.arange(20_000))
    (entry,) = index_checkpoint_files(url, storage_options=options)
    fetched: list[int] = []
    fs, _ = remote.filesystem(url, options)
    cat = fs.cat_file

    def count(path: str, start: int | None = None, end: int | None = None) -> bytes:
        data: bytes = cat(path, start=start, end=end)
        fetched.append(len(data))
        return data

    monkeypatch.setattr(fs, "cat_file", count)
    assert [value.name for value in checkpoints.header(entry).values] == ["large", "small"]  # noqa: PD011 - no table's
    assert sum(fetched) < 70_000
    assert load(entry, "small")[-1] == 19_999
    assert sum(fetched) < 400_000
    assert load(entry, "large")[-1] == 499_999


def in_a_fork(handler: FileHandler, number: int) -> None:
    with tags(process=number):
        checkpoint(handler, "P.a", number)


def test_a_forked_process_writes_to_s3(url: str, options: dict[str, Any]) -> None:
    """With connections of its own."""
    handler = FileHandler(url, storage_options=options)
    in_a_fork(handler, 0)
    context: Any = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork in a process that has threads: that is the point
        process = context.Process(target=in_a_fork, args=(handler, 1))
        process.start()
    process.join(60)
    assert process.exitcode == 0
    assert [load(entry) for entry in index_checkpoint_files(url, storage_options=options)] == [{"data": 0}, {"data": 1}]


def test_the_command_lists_what_is_on_s3(url: str, endpoint: str, options: dict[str, Any], tmp_path: Path) -> None:
    """With credentials and endpoint from the environment, as for every tool."""
    checkpoint(FileHandler(url, storage_options=options), "P.a", 1)
    environ = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    assert f"{url}/P/a.ckpt" in ckpt("index", url, cwd=tmp_path, environ=environ).stdout


def test_what_is_wrong_on_s3_is_said(url: str, options: dict[str, Any]) -> None:
    """No bucket, no file, nothing to index, a file that is damaged, a URL of no kind."""
    with pytest.raises(StoreError, match="cannot be written"):
        checkpoint(FileHandler("s3://nowhere/x", storage_options=options), "P.a", 1)
    with pytest.raises(NotFoundError):
        load(f"{url}/P/a.ckpt", storage_options=options)
    with pytest.raises(NotFoundError):
        index_checkpoint_files(url, storage_options=options)
    fsspec.filesystem("s3", **options).pipe_file(f"{url}/bad.ckpt", b"x" * FORMAT)
    with pytest.raises(DamagedError):
        load(f"{url}/bad.ckpt", storage_options=options)
    with pytest.raises(UsageError, match="no path that fsspec knows"):
        FileHandler("nothing://x")


def test_what_the_libraries_below_raise_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server, no credentials, all buckets at once: one line in Python and on the command line, and no traceback of theirs."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    nobody = options_for("http://127.0.0.1:9") | {"config_kwargs": {"retries": {"max_attempts": 0}}}
    for options, match in ((nobody, "connect"), ({"skip_instance_cache": True}, "credentials")):
        uses: list[Callable[[], object]] = [
            partial(checkpoint, FileHandler("s3://bucket/x", storage_options=options), "P.a", 1),
            partial(index_checkpoint_files, "s3://bucket/x", storage_options=options),
            partial(load, "s3://bucket/x/P/a.ckpt", storage_options=options),
            partial(checkpoints.header, "s3://bucket/x/P/a.ckpt", storage_options=options),
        ]
        for use in uses:
            with pytest.raises(StoreError, match=match) as caught:
                use()
            assert "storage_options" in caught.value.hint
    done = ckpt("index", "s3://bucket/x", cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]
    done = ckpt("index", "s3://", cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]


def test_a_bucket_that_is_not_there(endpoint: str, options: dict[str, Any], tmp_path: Path) -> None:
    """Nothing is found in it, and that is what is said."""
    for url in ("s3://nowhere", "s3://nowhere/x"):
        with pytest.raises(NotFoundError, match="nothing at"):
            index_checkpoint_files(url, storage_options=options)
    with pytest.raises(NotFoundError, match="no file"):
        load("s3://nowhere/x.ckpt", storage_options=options)


@pytest.mark.parametrize(("url", "package"), [("gs://bucket/x", "gcsfs"), ("s3://bucket/x", "'ckpt[remote]'")])
def test_the_hint_names_the_package_that_is_missing(url: str, package: str, tmp_path: Path) -> None:
    """Only that for S3 comes with the extra."""
    text = f"""
import sys
sys.modules["gcsfs"] = sys.modules["s3fs"] = None
from ckpt.checkpoints import FileHandler
from ckpt.errors import UsageError
try:
    FileHandler({url!r})
except UsageError as err:
    print(err.hint)
"""
    assert python("-c", text, cwd=tmp_path).stdout == f"pip install {package}\n"


def test_large_pickled_values_on_s3(url: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that fit into one upload, those that do not, and those that do not fit into memory."""
    monkeypatch.setattr(spilling, "IN_MEMORY", 10_000_000)
    for name, size in (("a", 2_000_000), ("b", 9_000_000), ("c", 12_000_000)):
        checkpoint(FileHandler(url, storage_options=options), f"P.{name}", text="x" * size, small=1)
    assert [load(entry) for entry in index_checkpoint_files(url, storage_options=options)] == [
        {"text": "x" * size, "small": 1} for size in (2_000_000, 9_000_000, 12_000_000)
    ]


def test_any_file_system_of_fsspec(tmp_path: Path) -> None:
    """In memory, as another kind of store."""
    handler = FileHandler("memory://place")
    with tags(iteration=1):
        checkpoint(handler, "P.a", 1)
    checkpoint(FileHandler("memory://place", overwrite="number"), "P.b", 2)
    checkpoint(FileHandler("memory://place", overwrite="number"), "P.b", 3)
    index = index_checkpoint_files("memory://place")
    assert [(entry.checkpoint_name, load(entry, "data")) for entry in index] == [("b", 2), ("b", 3), ("a", 1)]
    assert len(index_files("memory://place/iteration=1")) == 1


class Elsewhere(LocalFileSystem):  # type: ignore[misc]
    """A file system without atomic uploads, such as SFTP: what is under way shows."""

    protocol = "elsewhere"
    failing = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(LocalFileSystem._strip_protocol(path.removeprefix("elsewhere://")))

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        with open(path, "wb") as file:
            file.write(value[: len(value) // 2])
            if Elsewhere.failing:
                raise OSError("connection lost")
            file.write(value[len(value) // 2 :])


def test_without_atomic_uploads_a_file_is_moved(tmp_path: Path) -> None:
    """An upload that breaks off leaves the earlier file, and nothing that is taken for a checkpoint."""
    fsspec.register_implementation("elsewhere", Elsewhere, clobber=True)
    url = f"elsewhere://{tmp_path}/place"
    checkpoint(FileHandler(url), "P.a", 1)
    with pytest.raises(ExistsError):
        checkpoint(FileHandler(url, overwrite="error"), "P.a", 2)
    Elsewhere.failing = True
    try:
        with pytest.raises(StoreError, match="connection lost"):
            checkpoint(FileHandler(url), "P.a", 3)
    finally:
        Elsewhere.failing = False
    assert [load(entry) for entry in index_checkpoint_files(f"{tmp_path}/place")] == [{"data": 1}]
