"""A user's project for the tests: files, a store of its own, programs and commands run in it as real processes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ckpt._store.store import Store
from tests import processes


@dataclass(frozen=True)
class Project:
    """A directory with a program in it."""

    path: Path

    @property
    def store(self) -> Store:
        return Store(self.path / ".pyckpt")

    @property
    def environ(self) -> dict[str, str]:
        return {"PYCKPT_DIR": str(self.path / ".pyckpt"), "HOME": str(self.path), "COLUMNS": "200"}

    def write(self, name: str, text: str) -> Path:
        """Write a file, and the directories that it needs."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def edit(self, name: str, old: str, new: str) -> None:
        """Change one place in a file."""
        text = (self.path / name).read_text(encoding="utf-8")
        assert text.count(old) == 1
        self.write(name, text.replace(old, new))

    def python(self, *arguments: str | Path, check: bool = False, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the project."""
        return processes.python(*arguments, cwd=self.path, check=check, environ=self.environ | environ)

    def call(self, statement: str) -> None:
        """Run a statement in a process of its own, which may fail."""
        self.python("-c", statement)

    def ckpt(self, *arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run the command line in the project."""
        return processes.ckpt(*arguments, cwd=self.path, check=False, environ=self.environ | environ)

    def replay(self, *arguments: str, **environ: str) -> dict[str, Any]:
        """Return the JSON of `ckpt run`."""
        done = self.ckpt("run", "--json", *arguments, **environ)
        assert done.stdout, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (0 if told["exception"] is None and told["repr"] is not None else 1)
        return told

    @contextmanager
    def running(self, *arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
        """Give a command that goes on while the test does; it is ended with the block."""
        import sys

        process = subprocess.Popen(
            [sys.executable, "-m", "ckpt", *arguments],
            cwd=self.path,
            env=processes.environment(self.environ | environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def last(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last line on standard error."""
    return done.stderr.rstrip("\n").rpartition("\n")[2]
