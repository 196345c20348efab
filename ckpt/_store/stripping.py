"""A capture without its values, and without what it says of the machine it was made on: what may be shown to anybody.

What stays is named here, one by one: a field that a later version adds is left out until somebody has thought about it. Source texts are
what they were, and the descriptions of values are those that `ckpt show` prints: neither is looked into, except for the names of the
machine.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from ckpt._model.record import Json

__all__ = ["Hide", "stripped_event", "stripped_introduction", "stripped_manifest", "stripped_process"]

#: Of what a process says of itself when it begins; the other fields stay empty.
_INTRODUCTION = ("event", "format", "run", "pid", "time", "python", "ckpt")
_NOBODY = {"host": "", "boot": "", "user": ""}
#: Of its record: neither command line nor working directory, paths, user, host or interpreter.
_PROCESS = ("python", "implementation", "platform", "main", "packages", "commit", "files", "modules", "edited", "omitted", "limits")
#: Of an event. `process` and `parts` are new.
_EVENT = (
    "event",
    "id",
    "name",
    "module",
    "qualname",
    "keep",
    "time",
    "duration",
    "tags",
    "exception",
    "value",
    "view",
    "sources",
    "handled",
)
#: The home directory of anybody, as paths have it.
_HOME = re.compile(r"/(?:home|Users)/[^/\\\s\"'<>:,;()]+|/root(?![\w.-])|[A-Za-z]:(?:\\+|/)Users(?:\\+|/)[^/\\\s\"'<>:,;()]+")
#: Names of users and hosts that say nothing about anybody.
_ANYBODY = frozenset({"root", "user", "runner", "localhost"})
#: Names below so many characters are too often part of something else.
_SHORTEST = 3
#: Every text is searched for all of them: whoever wrote a record does not decide how long that takes.
MOST_ROOTS = 1000
#: What of a manifest is no text of the program's.
_WORDS = frozenset({"kind", "source", "type"})

_compact = json.JSONEncoder(separators=(",", ":")).encode


class Hide:
    """Takes the names of a machine out of texts: paths become relative to the working directory, homes `~`, user and host a placeholder.

    Raises ValueError for more directories than a process has.
    """

    def __init__(self, process: Json, opened: Json, home: str) -> None:
        self._roots = _either(_roots(process), r"(?:[\\/]+|(?![\w.-]))", r"(?<![\w.~-])")
        self._home = _either([home] if len(home) > 1 else [], r"(?![\w.-])")
        self._users = _word(_names(process.get("user"), opened.get("user")))
        self._hosts = _word(_names(process.get("host"), opened.get("host")))

    def __call__(self, text: str) -> str:
        """Return the text without the names."""
        text = self._roots.sub(lambda match: "" if match[0].endswith(("/", "\\")) else ".", text)
        text = _HOME.sub("~", self._home.sub("~", text))
        return self._hosts.sub("<host>", self._users.sub("<user>", text))

    def everywhere(self, data: Any) -> Any:
        """Return JSON data with the names taken out of all texts, those that are keys too."""
        if isinstance(data, str):
            return self(data)
        if isinstance(data, list):
            return [self.everywhere(item) for item in data]
        if isinstance(data, dict):
            return {self(key): value if key in _WORDS else self.everywhere(value) for key, value in data.items()}
        return data


def stripped_introduction(opened: Json) -> bytes:
    """Return what a process said of itself, without whose it was; as such it is another one, so that both can be in one store."""
    told = {key: opened[key] for key in _INTRODUCTION if key in opened}
    if any(opened.get(key) for key in _NOBODY):
        told["run"] = sha256(str(opened.get("run")).encode()).hexdigest()[:16]
    return _compact(told | _NOBODY).encode()


def stripped_process(process: Json, hide: Hide) -> bytes:
    """Return the record of a process: versions, and which source texts there are."""
    return _compact(hide.everywhere({key: process[key] for key in _PROCESS if key in process})).encode()


def stripped_manifest(manifest: bytes, hide: Hide) -> bytes:
    """Return a manifest: every frame, and every value as it is described. Raises ValueError or RecursionError when it makes no sense."""
    return _compact(hide.everywhere(json.loads(manifest))).encode()


def stripped_event(event: Json, hide: Hide, more: Json) -> bytes:
    """Return an event without values; `more` are the fields that say what it points to instead."""
    kept = {key: event[key] for key in _EVENT if key in event}
    kept |= {key: hide.everywhere(kept[key]) for key in ("tags", "exception", "value") if key in kept}
    return _compact(kept | more).encode()


def _roots(process: Json) -> list[str]:
    """Return the directories that the project's files are named from: the working directory, and those of the path outside of it."""
    listed = process.get("path") or ()
    if len(listed) > MOST_ROOTS:
        raise ValueError(f"a path of {len(listed)} entries")
    here, *others = [
        os.path.normpath(entry) if isinstance(entry, str) and len(entry) > 1 and os.path.isabs(entry) else ""
        for entry in (process.get("cwd"), *listed)
    ]
    around = [entry for entry in others if not _is_library(entry) and not (here and entry.startswith(f"{here}{os.sep}"))]
    return [root for root in (here, *around) if root]


def _is_library(path: str) -> bool:
    return "site-packages" in path or "dist-packages" in path or re.search(r"python\d[\d.]*(?:\.zip|[\\/]|$)", path) is not None


def _names(*given: object) -> Iterator[str]:
    """Yield the names worth hiding; of a host's also the first part."""
    for name in given:
        if isinstance(name, str):
            yield from (part for part in (name, name.partition(".")[0]) if len(part) >= _SHORTEST and not part.isdecimal())


def _word(names: Iterator[str]) -> re.Pattern[str]:
    return _either([name for name in names if name.lower() not in _ANYBODY], r"(?![A-Za-z0-9])", r"(?<![A-Za-z0-9])", re.IGNORECASE)


def _either(texts: list[str], after: str, before: str = "", flags: int = 0) -> re.Pattern[str]:
    """Return a pattern of any of these texts, the longest first; one that fits nothing when there are none."""
    found = "|".join(re.escape(text) for text in sorted(set(texts), key=len, reverse=True))
    return re.compile(f"{before}(?:{found}){after}" if found else r"(?!)", flags)
