"""What every test stands on: a store of its own, and the certainty that nothing of the process is left changed."""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ckpt._recording import ground
from ckpt._store import location, trust
from ckpt._store.store import Store


@pytest.fixture(autouse=True)
def given_back() -> Iterator[None]:
    """Whatever a test uses gives back the process as it found it."""

    def state() -> tuple[object, ...]:
        hooks = (sys.excepthook, sys.displayhook, sys.gettrace(), sys.getprofile())
        return (*hooks, list(sys.path), list(sys.meta_path), os.getcwd(), dict(os.environ), sys.modules["__main__"], sys.getrecursionlimit())

    before = state()
    yield
    changed = [(then, now) for then, now in zip(before, state(), strict=True) if then != now]
    assert not [pair for pair in changed if pair[0] is not dict(os.environ) and not _is_pytests_own(pair)]
    linecache.checkcache()


def _is_pytests_own(pair: tuple[object, object]) -> bool:
    """Pytest notes the running test in the environment."""
    one, other = pair
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return False
    own = {"PYTEST_CURRENT_TEST"}
    return {k: v for k, v in one.items() if k not in own} == {k: v for k, v in other.items() if k not in own}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory in which nothing has ever been kept."""
    path = tmp_path / "home"
    path.mkdir()
    monkeypatch.setenv("HOME", str(path))
    for name in ("XDG_STATE_HOME", "PYCKPT_DIR", "PYCKPT_DISABLE", "PYCKPT_VERBOSE"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def store(tmp_path: Path, home: Path) -> Iterator[Store]:
    """The store of this process for one test, found sound when the test is over."""
    path = tmp_path / ".pyckpt"
    ground.set_ckpt_dir(path)
    ground._Held.said.clear()
    found = Store(path)
    yield found
    ground.forget()
    location.set_ckpt_dir(None)
    assert found.check() == []


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a script for a process of its own."""

    def write(text: str, name: str = "job.py") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


__all__ = ["trust"]
