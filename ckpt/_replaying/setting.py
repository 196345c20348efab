"""The place in which a capture is opened: the project's code, the paths, the working directory. What is changed for it is given back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

from ckpt._model.replaying import replaying
from ckpt._replaying.captured_code import CapturedProject
from ckpt._replaying.folder_code import FolderProject
from ckpt._replaying.modules import Project
from ckpt._store.location import working_directory
from ckpt._store.stored import Stored
from ckpt.errors import UsageError

#: The code that a capture's values and function may be of: today's, or that which was loaded when it was made. Else the path of a folder.
CURRENT, CAPTURED = "current", "captured"


class Setting:
    """Where one capture is opened. `code` is `current`, `captured` or a folder; raises `UsageError` for anything else."""

    def __init__(self, stored: Stored, code: str) -> None:
        if code not in {CURRENT, CAPTURED} and not os.path.isdir(code):
            raise UsageError(f"There is no code {code!r}.", hint=f"{CURRENT}, {CAPTURED} or a folder")
        self._has_values = stored.has_values
        #: The user's code: as it is today, as it was, or that of a folder.
        self.project = _project(stored, code)
        self._entered = 0

    @property
    def process(self) -> dict[str, Any]:
        """What the capture says of the process it was made in, its files being where the code is."""
        return self.project.process

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let the project's modules be imported; inside another such block, and where there is nothing to load, nothing is done."""
        self._entered += 1
        try:
            with self.project.entered() if self._entered == 1 and self._has_values else nullcontext():
                yield
        finally:
            self._entered -= 1

    @contextmanager
    def surroundings(self, *, here: bool) -> Iterator[None]:
        """Let the capture be opened and replayed: nothing is recorded, in the captured working directory if it exists, unless `here`."""
        with ExitStack() as stack:
            stack.enter_context(replaying())
            stack.enter_context(self.entered())
            if not here and self._has_values:
                stack.enter_context(_directory(self.process.get("cwd", "")))
            yield


def _project(stored: Stored, code: str) -> Project:
    if code in {CURRENT, CAPTURED}:
        return CapturedProject(stored.process, stored.source) if code == CAPTURED else Project(stored.process)
    return FolderProject(stored.process, os.path.abspath(code), stored.header.module)


@contextmanager
def _directory(path: str) -> Iterator[None]:
    if not os.path.isdir(path):
        yield
        return
    before = working_directory()
    os.chdir(path)
    try:
        yield
    finally:
        if before:  # into a directory that is gone there is no way back
            os.chdir(before)


__all__ = ["CAPTURED", "CURRENT", "Setting"]
