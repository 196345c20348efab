"""Where the store is: each branch of the rule, and what is made."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ckpt._store import location
from ckpt._store.location import create, get_ckpt_dir, locate, resolve, set_ckpt_dir, state_directory
from ckpt.errors import StoreError, UsageError

is_root = pytest.mark.skipif(hasattr(os, "getuid") and os.getuid() != 0, reason="only root can give a directory to another user")


@pytest.fixture(autouse=True)
def unresolved() -> Iterator[None]:
    set_ckpt_dir(None)
    yield
    set_ckpt_dir(None)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_option_wins_over_everything(tmp_path: Path) -> None:
    """`--ckpt-dir` wins over the environment and over a store in the working directory."""
    (tmp_path / ".pyckpt").mkdir()
    found = locate("elsewhere", {"PYCKPT_DIR": "/env"}, str(tmp_path))
    assert (found.path, found.found_by, found.warnings) == (str(tmp_path / "elsewhere"), "option", ())


def test_the_environment_wins_over_the_search(tmp_path: Path) -> None:
    """`PYCKPT_DIR` wins over a store in the working directory; a leading `~` is the home directory."""
    (tmp_path / ".pyckpt").mkdir()
    found = locate(None, {"PYCKPT_DIR": "~/kept", "HOME": "/home/me"}, str(tmp_path))
    assert (found.path, found.found_by) == ("/home/me/kept", "PYCKPT_DIR")


def test_an_empty_variable_says_nothing(tmp_path: Path) -> None:
    """An empty `PYCKPT_DIR` is as good as none."""
    (tmp_path / ".pyckpt").mkdir()
    assert locate(None, {"PYCKPT_DIR": ""}, str(tmp_path)).found_by == "search"


def test_an_empty_option_is_wrong() -> None:
    """An empty option, as from an unset shell variable, does not turn the working directory into a store."""
    with pytest.raises(UsageError, match="empty"):
        locate("", {}, "/")


def test_the_nearest_store_upwards_is_found(tmp_path: Path) -> None:
    """The search goes from the working directory upwards and takes the nearest `.pyckpt`; a file of that name is none."""
    inner = tmp_path / "a" / "b" / "c"
    inner.mkdir(parents=True)
    (tmp_path / ".pyckpt").mkdir()
    (tmp_path / "a" / ".pyckpt").mkdir()
    (tmp_path / "a" / "b" / ".pyckpt").write_text("no store")
    found = locate(None, {}, str(inner))
    assert (found.path, found.found_by, found.warnings) == (str(tmp_path / "a" / ".pyckpt"), "search", ())


def test_a_store_behind_a_link_is_passed_over(tmp_path: Path) -> None:
    """A `.pyckpt` that is a link is passed over with a warning, and the search goes on."""
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / ".pyckpt").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (inner / ".pyckpt").symlink_to(tmp_path / "elsewhere")
    found = locate(None, {}, str(inner))
    assert found.path == str(tmp_path / ".pyckpt")
    assert len(found.warnings) == 1
    assert "link" in found.warnings[0]


@is_root
def test_a_store_of_another_user_is_passed_over(tmp_path: Path) -> None:
    """A `.pyckpt` that another user owns is passed over with a warning."""
    (tmp_path / ".pyckpt").mkdir()
    os.chown(tmp_path / ".pyckpt", 12345, -1)
    found = locate(None, {}, str(tmp_path), lambda: "/state")
    assert (found.path, found.found_by) == ("/state/pyckpt", "XDG")
    assert "another user" in found.warnings[0]


def test_without_a_store_the_state_directory_is_taken(tmp_path: Path) -> None:
    """Where no store is found, it is `pyckpt` in the user's state directory."""
    assert locate(None, {}, str(tmp_path), lambda: "/state").path == "/state/pyckpt"
    assert locate(None, {}, None, lambda: "/state").found_by == "XDG"


def test_the_state_directory_is_that_of_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is `XDG_STATE_HOME`, else `~/.local/state`; a relative path is ignored, and a home that is not there is none."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert state_directory() == "/xdg"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert state_directory() == str(tmp_path / ".local" / "state")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert state_directory() == str(tmp_path / ".local" / "state")
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))
    assert state_directory() is None


def test_without_a_home_the_temporary_directory_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without home it is a directory of this user under the temporary one; one that somebody has planted there is refused."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = locate(None, {"HOME": "/no/such"}, None)
    own = Path(found.path).parent
    assert (own.parent, found.found_by, found.reason) == (tmp_path, "temporary", "there is no home directory '/no/such'")
    create(found.path)
    assert (mode(own), mode(Path(found.path))) == (0o700, 0o700)
    assert locate(None, {"HOME": "/no/such"}, None) == found
    own.rename(tmp_path / "aside")
    own.symlink_to(tmp_path / "aside")
    with pytest.raises(StoreError, match="link"):
        locate(None, {}, None)


def test_looking_makes_nothing(tmp_path: Path, home: Path) -> None:
    """To locate a store makes no file and no directory."""
    (tmp_path / "work").mkdir()
    before = sorted(tmp_path.rglob("*"))
    locate(None, {}, str(tmp_path / "work"), state_directory)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_a_store_is_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """Every directory that is made is 0700 and the `.gitignore` 0600, parents included; twice is harmless."""
    path = tmp_path / "new" / "deep" / ".pyckpt"
    old = os.umask(umask)
    try:
        create(str(path))
        create(str(path))
    finally:
        os.umask(old)
    made = [tmp_path / "new", tmp_path / "new" / "deep", path, path / "journals", path / "objects"]
    assert [mode(directory) for directory in made] == [0o700] * 5
    assert mode(path / ".gitignore") == 0o600
    assert (path / ".gitignore").read_text() == "*\n"


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    """A directory that is there keeps its mode, and a `.gitignore` its text."""
    tmp_path.chmod(0o755)
    (tmp_path / ".gitignore").write_text("mine")
    create(str(tmp_path))
    assert mode(tmp_path) == 0o755
    assert (tmp_path / ".gitignore").read_text() == "mine"


@pytest.mark.parametrize("name", ["journals", "objects"])
def test_a_planted_link_is_refused(tmp_path: Path, name: str) -> None:
    """A link where a directory of the store should be is refused, and nothing is written behind it."""
    (tmp_path / "target").mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / name).symlink_to(tmp_path / "target")
    with pytest.raises(StoreError):
        create(str(tmp_path / "store"))
    assert list((tmp_path / "target").iterdir()) == []


@pytest.mark.parametrize("path", ["/proc/none/store", "with\0nul", "/dev/null/store"])
def test_what_cannot_be_made_is_said(path: str) -> None:
    """A store that cannot be made is a `StoreError` with a hint."""
    with pytest.raises(StoreError) as caught:
        create(path)
    assert caught.value.hint


def test_the_store_of_a_process_is_fixed_once_used(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found first holds for the process, until `set_ckpt_dir` says otherwise."""
    monkeypatch.setenv("PYCKPT_DIR", str(tmp_path / "one"))
    assert get_ckpt_dir() == str(tmp_path / "one")
    monkeypatch.setenv("PYCKPT_DIR", str(tmp_path / "two"))
    assert get_ckpt_dir() == str(tmp_path / "one")
    set_ckpt_dir(tmp_path / "three")
    assert (resolve().path, resolve().found_by) == (str(tmp_path / "three"), "option")
    set_ckpt_dir(None)
    assert get_ckpt_dir() == str(tmp_path / "two")


def test_a_store_is_a_path() -> None:
    """`set_ckpt_dir` takes paths only, and says so."""
    with pytest.raises(UsageError, match="path"):
        set_ckpt_dir(3)  # type: ignore[arg-type]


def test_a_deleted_working_directory_is_survived(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a working directory that was deleted the state directory is taken."""
    (tmp_path / "gone").mkdir()
    old = os.getcwd()
    os.chdir(tmp_path / "gone")
    try:
        (tmp_path / "gone").rmdir()
        assert location.locate().path == str(home / ".local" / "state" / "pyckpt")
    finally:
        os.chdir(old)
