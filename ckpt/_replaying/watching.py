"""Replay again whenever a file of the project is saved, in a fresh process each time."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from ckpt._model.record import Header
from ckpt._replaying.calling import Request
from ckpt._replaying.replay import in_child
from ckpt._replaying.verdicts import Replay

#: Seconds between two looks at the files, and for which they must be at rest before a replay begins: editors write in steps.
PAUSE, REST = 0.1, 0.05
#: What is shown of what a replay prints, from its end.
OUTPUT_LIMIT = 64 << 10

_Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Shown:
    """One replay: what it showed, what it printed, and how many files are watched from now on."""

    replay: Replay
    output: str
    files: int


@dataclass(frozen=True, slots=True)
class Saved:
    """A file has been saved; a replay begins."""

    file: str


def watch(request: Request, header: Header, files: Iterable[str]) -> Iterator[Shown | Saved]:
    """Yield what a replay shows, and then, for ever, what has been saved and what the next one shows.

    `files` are those to watch from the beginning; what a replay uses is watched too. A replay during which a file is saved is given up
    for the next.
    """
    watched = _Files(files)
    while True:
        with tempfile.TemporaryFile() as output:
            replay = in_child(request, header, output=output, is_over=lambda: watched.changed() is not None)
            text = _end_of(output)
        saved = watched.changed()
        if saved is None:
            watched.add(replay.files)
            yield Shown(replay, text, len(watched))
            saved = watched.wait()
        watched.settle()
        yield Saved(saved)


class _Files:
    """Files, and the state in which they were when the current replay began."""

    def __init__(self, files: Iterable[str]) -> None:
        self._stamps = {file: _stamp(file) for file in files}

    def __len__(self) -> int:
        return len(self._stamps)

    def add(self, files: Iterable[str]) -> None:
        for file in files:
            self._stamps.setdefault(file, _stamp(file))

    def changed(self) -> str | None:
        """Return a file that is not as it was; None when all are."""
        return next((file for file, stamp in self._stamps.items() if _stamp(file) != stamp), None)

    def wait(self) -> str:
        while (file := self.changed()) is None:
            time.sleep(PAUSE)
        return file

    def settle(self) -> None:
        """Take the files as they are once they are at rest."""
        while self.changed() is not None:
            self._stamps = {file: _stamp(file) for file in self._stamps}
            time.sleep(REST)


def _stamp(file: str) -> _Stamp:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _end_of(output: IO[bytes]) -> str:
    output.seek(max(0, output.seek(0, os.SEEK_END) - OUTPUT_LIMIT))
    return output.read().decode("utf-8", "replace")
