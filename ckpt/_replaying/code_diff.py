"""What changed in the project's code: between a capture and the disk, or between two captures. Reads texts only, and loads nothing."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from ckpt._model.sources import is_project
from ckpt._replaying.texts import on_disk
from ckpt._store.stored import Stored

#: Lines of which two texts are compared: the time that takes grows with the square of them, or worse.
_MOST = 20_000
#: Returns the text of a file; None when there is none.
Read = Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDiff:
    """How one file differs."""

    file: str
    #: `changed`, or where it is not to be found: `gone` today, `only in` one of two captures.
    status: str
    #: A unified diff, line by line; empty unless it has `changed`.
    lines: list[str]


def since(stored: Stored) -> list[FileDiff]:
    """Return how the project files of the captured call differ from those on disk: those in its frames first."""
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(stored.header.time))
    found = []
    for file, name in project_texts(stored).items():
        then, now = stored.source(name), _today(stored, file)
        if now is None:
            found.append(FileDiff(file=file, status="gone", lines=[]))
        elif then != now:
            found.append(_changed(shown_path(stored, file), file, (then, f"captured {when}"), (now, "now")))
    return found


def between(one: Stored, other: Stored) -> list[FileDiff]:
    """Return how the project files of two captured calls differ: those in the frames of the first come first."""
    first, second = project_texts(one), project_texts(other)
    found = []
    for file in dict.fromkeys([*first, *second]):
        if file not in first or file not in second:
            found.append(FileDiff(file=file, status=f"only in {(one if file in first else other).header.id}", lines=[]))
        elif first[file] != second[file]:  # names of texts are their hashes
            then, now = (one.source(first[file]), one.header.id), (other.source(second[file]), other.header.id)
            found.append(_changed(shown_path(one, file), file, then, now))
    return found


def _today(stored: Stored, file: str) -> str | None:
    """Return the text of a file as it is on disk; of one that lay on another machine, that of the same place below this directory."""
    now = on_disk(file)
    return on_disk(shown_path(stored, file)) if now is None and stored.is_imported else now


def project_texts(stored: Stored) -> dict[str, str]:
    """Return file -> name of its text, of the project's files that the call had loaded: those in its frames first."""
    frames = stored.failure.manifest().frames if stored.failure is not None else []
    kept: dict[str, str] = stored.process.get("files") or {}
    in_frames = {frame.file: frame.source for frame in frames if frame.source and (frame.file in kept or is_project(frame.file))}
    return in_frames | {file: name for file, name in sorted(kept.items()) if file not in in_frames}


def shown_path(stored: Stored, file: str) -> str:
    """Return a file as it was seen from the directory that the call ran in."""
    directory = stored.process.get("cwd") or ""
    return os.path.relpath(file, directory) if directory and file.startswith(f"{directory}{os.sep}") else file


def _changed(path: str, file: str, then: tuple[str, str], now: tuple[str, str]) -> FileDiff:
    old, new = _lines(then[0]), _lines(now[0])
    if min(len(old), len(new)) > _MOST:
        return FileDiff(file=file, status="changed, and too long to be compared line by line", lines=[])
    return FileDiff(file=file, status="changed", lines=list(difflib.unified_diff(old, new, path, path, then[1], now[1], lineterm="")))


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else [*lines[:-1], f"{lines[-1]}  (no newline at the end)"]
