"""What every test stands on: a store of its own, and the certainty that nothing of the process is left changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ckpt._recording import ground
from ckpt._store import location
from ckpt._store.store import Store
from ckpt.checkpoints import registry


def process_state() -> dict[str, object]:
    """Return what a well-behaved guest leaves as it found it."""
    return {
        "hooks": (sys.excepthook, sys.displayhook, sys.gettrace(), sys.getprofile()),
        "path": list(sys.path),
        "finders": list(sys.meta_path),
        "directory": os.getcwd(),
        "environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "main": sys.modules["__main__"],
        "recursion": sys.getrecursionlimit(),
    }


@pytest.fixture(autouse=True)
def given_back() -> Iterator[None]:
    """Whatever a test uses gives back the process as it found it."""
    before = process_state()
    yield
    assert process_state() == before


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
def names(home: Path) -> Iterator[None]:
    """No checkpoint has a name before the test, and none after it."""
    yield
    registry.disable()
    for known in (registry._handlers, registry._renamed, registry._rules, registry.resting, registry.resting_under):
        known.clear()


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a script for a process of its own."""

    def write(text: str) -> Path:
        path = tmp_path / "job.py"
        path.write_text(text)
        return path

    return write
