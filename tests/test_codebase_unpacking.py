"""Zip files are unpacked into a cache once; hostile ones are refused."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import time
import zipfile
from pathlib import Path

import pytest

from ckpt.codebase import Codebase, UniqueCodebase, checkpoint
from ckpt.codebase.archive import read
from ckpt.codebase.extraction import launcher_in, unpack
from ckpt.codebase.rules import RECORD
from ckpt.errors import CkptError, DamagedError, NotFoundError, UsageError
from tests.processes import run_all
from tests.projects import codebase


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ckpt" / "codebases"


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    checkpoint(codebase(tmp_path / "tree"), tmp_path / "a.zip")
    return tmp_path / "a.zip"


def crafted(path: Path, *entries: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    """Write a zip file that no tool would write."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


def unpacked(cache: Path) -> list[str]:
    """Return what lies in the cache."""
    return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


def entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def test_the_same_content_is_unpacked_once(zipped: Path, tmp_path: Path, cache: Path) -> None:
    """Another file with the same bytes is the same directory, and nothing in it is written again."""
    first = unpack(zipped)
    before = {path: path.stat().st_mtime_ns for path in Path(first.directory).rglob("*")}
    (tmp_path / "b.zip").write_bytes(zipped.read_bytes())
    assert unpack(tmp_path / "b.zip") == first
    assert {path: path.stat().st_mtime_ns for path in Path(first.directory).rglob("*")} == before
    assert len(list(cache.iterdir())) == 1


def test_unpacked_files_are_this_users_alone(zipped: Path) -> None:
    """Nobody else can look, and nobody writes: what runs from the cache cannot change it by accident."""
    directory = Path(unpack(zipped).directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(directory.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.rglob("*.py")} == {0o400}


@pytest.mark.parametrize("harm", ["gone", "shorter"])
def test_a_damaged_cache_is_mended(zipped: Path, harm: str) -> None:
    """When a file in the cache is missing or has another size, the snapshot is unpacked again."""
    file = Path(unpack(zipped).directory, "src", "model.py")
    if harm == "gone":
        file.unlink()
    else:
        file.chmod(0o600)
        file.write_text("")
    with UniqueCodebase(zipped) as opened:
        assert opened.import_module("src.model").VERSION == 1


def test_what_nobody_uses_is_removed(zipped: Path, tmp_path: Path, cache: Path) -> None:
    """A month after it was last opened, an unpacked snapshot goes when another one is unpacked; one that was opened since stays."""
    old, used = unpack(zipped), unpack(crafted(tmp_path / "b.zip", ("b.py", b"")))
    for one in (old, used):
        os.utime(one.directory, (0, time.time() - 40 * 86400))
    unpack(tmp_path / "b.zip")
    new = unpack(crafted(tmp_path / "c.zip", ("c.py", b"")))
    assert {path.name for path in cache.iterdir()} == {used.name, new.name}


def test_many_processes_may_open_one_snapshot(zipped: Path, tmp_path: Path, cache: Path) -> None:
    """Those that start at the same time all get it whole, and leave one directory."""
    code = f"from ckpt.codebase import UniqueCodebase; assert UniqueCodebase({str(zipped)!r}).import_module('src.model').VERSION == 1"
    assert run_all([["-c", code]] * 4, tmp_path) == [0] * 4
    assert [path.name for path in cache.iterdir()] == [unpack(zipped).name]


def test_a_cache_that_others_can_write_to_is_refused(zipped: Path, cache: Path) -> None:
    """Code is not run from a place where somebody else may have put it."""
    unpack(zipped)
    cache.chmod(0o777)
    with pytest.raises(CkptError, match="not for this user alone") as raised:
        unpack(zipped)
    assert raised.value.hint == f"chmod 700 {cache}"
    cache.chmod(0o700)


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../up.py", "a/../../up.py", "a/./b.py", "a//b.py", "C:/x.py", "c:x.py", "a\\b.py", "\\\\host\\x", "..", "a\nb.py"],
)
def test_names_that_lead_out_are_refused(tmp_path: Path, cache: Path, name: str) -> None:
    """Absolute names, parents, drives, backslashes and control characters: nothing is unpacked at all."""
    path = crafted(tmp_path / "bad.zip", ("good.py", b""), (name, b"bad"))
    with pytest.raises(DamagedError, match=rf"bad\.zip' is refused for its entry {re.escape(repr(name))}: "):
        UniqueCodebase(path)
    with pytest.raises(DamagedError, match="refused"):
        Codebase(path)
    assert unpacked(cache) == []
    assert [file.name for file in tmp_path.iterdir() if file != tmp_path / "cache"] == ["bad.zip"]


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK], ids=["link", "fifo", "device", "socket"])
def test_links_and_devices_are_refused(tmp_path: Path, mode: int) -> None:
    """Only files and directories come out of a zip file."""
    with pytest.raises(DamagedError, match="refused"):
        unpack(crafted(tmp_path / "bad.zip", (entry("x", mode | 0o777), b"/etc/passwd")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a.py", "a.py"), ("a", "a/b.py"), ("a", "a/"), ("a/b.py", "a")])
def test_contradictions_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    """Two entries of one name, and a file where others need a directory, mean different things to different readers."""
    with pytest.raises(DamagedError, match="refused"):
        unpack(crafted(tmp_path / "bad.zip", *((name, b"") for name in names)))


def test_bombs_are_refused(tmp_path: Path, cache: Path) -> None:
    """What would unpack to more than a hundred times its size is not unpacked; the caller may allow it."""
    path = crafted(tmp_path / "bomb.zip", ("zeros", bytes(80 << 20)))
    with pytest.raises(DamagedError, match="would unpack to 83,886,080 bytes") as raised:
        unpack(path)
    assert raised.value.hint.startswith("--max-bytes 83886080, in Python max_bytes=83886080")
    assert repr(str(path)) in raised.value.message
    assert unpacked(cache) == []
    assert unpack(path, max_bytes=100 << 20).names == ("zeros",)


def test_a_lying_header_does_not_help(tmp_path: Path) -> None:
    """An entry that says that it is small and is not, is damaged; nothing of it stays."""
    path = crafted(tmp_path / "lie.zip", ("zeros", bytes(1 << 20)))
    data = path.read_bytes()
    path.write_bytes(data.replace((1 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(DamagedError):
        unpack(path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 not a zip file", bytes(100)])
def test_what_is_no_zip_file_is_said(tmp_path: Path, data: bytes) -> None:
    """Other files, and files that are not there, are errors of ours."""
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(DamagedError):
        unpack(tmp_path / "x.zip")
    with pytest.raises(NotFoundError):
        unpack(tmp_path / "nothing.zip")


def test_a_folder_is_no_snapshot(tmp_path: Path) -> None:
    """It is said how to make one of it."""
    (tmp_path / "my code").mkdir()
    with pytest.raises(UsageError, match="is a folder") as raised:
        unpack(tmp_path / "my code")
    assert raised.value.hint == f"ckpt snapshot create '{tmp_path / 'my code'}' -o codebase.zip"


@pytest.mark.parametrize("harm", ["a file", "no permission"])
def test_a_cache_that_cannot_be_made_is_not_taken_for_a_bad_snapshot(
    zipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    """The error names the cache and what moves it."""
    elsewhere = tmp_path / "elsewhere"
    if harm == "a file":
        elsewhere.write_text("")
    else:
        elsewhere = Path("/proc/nothing")
    monkeypatch.setenv("XDG_CACHE_HOME", str(elsewhere))
    with pytest.raises(CkptError, match="where snapshots are unpacked, cannot be made") as raised:
        unpack(zipped)
    assert str(elsewhere) in raised.value.message
    assert raised.value.hint == "export XDG_CACHE_HOME=DIRECTORY"


def test_the_launcher_of_an_earlier_ckpt_is_replaced(zipped: Path) -> None:
    """What starts the programs of an unpacked snapshot is always ours of today."""
    directory = unpack(zipped).directory
    launcher = Path(launcher_in(directory))
    text = launcher.read_bytes()
    launcher.write_bytes(b"old")
    assert Path(launcher_in(directory)).read_bytes() == text
    assert [path.name for path in Path(directory).glob(".ckpt-l*")] == [launcher.name]


def test_damaged_bytes_are_noticed(zipped: Path, cache: Path) -> None:
    """A snapshot of which a byte was changed is not loaded."""
    data = bytearray(zipped.read_bytes())
    data[len(data) // 2] ^= 255
    zipped.write_bytes(data)
    with pytest.raises(DamagedError):
        unpack(zipped)
    assert unpacked(cache) == []


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_is_an_error_of_ours_however_it_was_compressed(tmp_path: Path, method: int) -> None:
    """Each way to compress has exceptions of its own, and a byte here and there that says nothing; looking and unpacking meet them both."""
    path, record = tmp_path / "a.zip", {str(number): number for number in range(1000)}
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(RECORD, json.dumps(record))
    whole = path.read_bytes()
    outcomes = []
    begin = 30 + len(RECORD)  # the size of a local header, and the name in it
    for at in range(begin, whole.index(b"PK\x01\x02"), 31):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        for opened in (lambda: read(str(path)).record, lambda: json.loads(Path(unpack(path).directory, RECORD).read_bytes())):
            try:
                outcomes.append(opened() == record)
            except DamagedError:
                outcomes.append(None)
    assert set(outcomes) <= {None, True}
    assert outcomes.count(None) > len(outcomes) / 2


def test_a_zip_file_of_another_tool_is_a_snapshot_too(tmp_path: Path) -> None:
    """Any zip file with code in it can be opened: no record of ours and no directory entries are needed."""
    with UniqueCodebase(crafted(tmp_path / "other.zip", ("pkg/mod.py", b"X = 5\n"))) as opened:
        assert opened.import_module("pkg.mod").X == 5
    assert opened.library_name not in sys.modules
