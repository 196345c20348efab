"""Journals and objects of one directory as captures: list, get, find, clear, check. Knows no pickle and no traceback.

Reading changes nothing and makes nothing: a directory without journals is an empty store. Journals come and go while they are read (their
owners and one maintainer rewrite them): a reader drops duplicates by id and lists again when a file is gone.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Collection

from ckpt._model.record import Header, Json
from ckpt._store import trust
from ckpt._store.captures import Moment, Stored, Trace, merge, retain
from ckpt._store.journal import Finding, Line, scan
from ckpt._store.objects import Objects
from ckpt._store.writer import Journal
from ckpt.errors import NotFoundError

__all__ = ["Finding", "Moment", "Store", "Stored"]

#: How often a reader begins anew when journals vanish under it.
TRIES = 20
ID = re.compile(r"[0-9a-f]{4,16}", re.ASCII)


class Store:
    """The store in the directory `path`, which need not exist."""

    def __init__(self, path: str | os.PathLike[str], *, version: str = "") -> None:
        self.path = os.path.abspath(os.fspath(path))
        self.objects = Objects(os.path.join(self.path, "objects"))
        self._version = version
        self._journal: Journal | None = None
        self._scanned: dict[str, tuple[tuple[int, ...], list[Line], list[Finding]]] = {}

    def journal(self) -> Journal:
        """Return the journal of this process in this store; its files appear with the first event.

        Raises `StoreError` when this user's key must not be used.
        """
        if self._journal is None:
            self._journal = Journal(self.path, trust.key(), version=self._version)
        return self._journal

    def headers(self) -> list[Header]:
        """Return the living captures by time of entry: of each function the newest `keep`, without the cleared ones."""
        return [trace.header(sizes) for sizes in (self.objects.names(),) for trace in self._living()]

    def get(self, id: str) -> Stored:
        """Return the capture with this id; raise `NotFoundError` when there is none."""
        for trace in self._traces():
            if trace.id == id:
                return Stored(trace, self.objects)
        raise NotFoundError(f"No capture has the id {id!r}.", hint="ckpt info")

    def find(self, text: str | None = None, *, newest_failure: bool = True) -> Header:
        """Return the capture that `text` means: a name, `module.name`, `name~2` (two before the newest), an id, a unique prefix of one, or None.

        A name and None mean the newest failure, if there is one and `newest_failure`; else the newest. Raises `NotFoundError`.
        """
        headers = self.headers()
        if not headers:
            raise NotFoundError(f"There are no captures in {self.path!r}.", hint="ckpt info")
        if text is None:
            return _newest(headers, newest_failure)
        name, tilde, back = text.rpartition("~")
        if tilde and back.isdecimal() and (named := _named(headers, name)):
            if int(back) < len(named):
                return named[-1 - int(back)]
            raise NotFoundError(f"There are only {len(named)} captures named {name!r}.", hint=f"ckpt info {name}")
        if named := _named(headers, text):
            return _newest(named, newest_failure)
        return _by_id(headers, text)

    def clear(self, ids: Collection[str]) -> int:
        """Delete captures and return how many there were; their bytes go as soon as no running process writes the files they lie in."""
        known = {header.id for header in self.headers()}.intersection(ids)
        if known:
            body = json.dumps({"event": "cleared", "ids": sorted(known)}, separators=(",", ":")).encode()
            self.journal().append(body, sync=True)
        return len(known)

    def check(self) -> list[Finding]:
        """Return what is damaged, missing or left over; nothing for a sound store."""
        traces = self._traces()
        findings = [finding for _, _, found in self._scanned.values() for finding in found]
        for trace in traces:
            findings += trace.check(self.objects)
        return findings

    def _living(self) -> list[Trace]:
        return sorted(retain(self._traces()), key=lambda trace: trace.time)

    def _traces(self) -> list[Trace]:
        """Return all captures of the journals, those that retention drops included."""
        for _ in range(TRIES):
            paths = self._paths()
            try:
                scanned = {path: self._scan(path) for path in paths}
            except FileNotFoundError:
                continue
            if set(paths) <= set(self._paths()):
                break
        self._scanned = scanned
        return merge([lines for _, lines, _ in scanned.values()])

    def _paths(self) -> list[str]:
        directory = os.path.join(self.path, "journals")
        try:
            return sorted(os.path.join(directory, name) for name in os.listdir(directory) if name.endswith(".jsonl"))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _scan(self, path: str) -> tuple[tuple[int, ...], list[Line], list[Finding]]:
        """Return a journal's events; what was read before is not read again, since journals only grow."""
        status = os.stat(path, follow_symlinks=False)
        mark = (status.st_ino, status.st_size, status.st_mtime_ns)
        known = self._scanned.get(path)
        if known and known[0] == mark:
            return known
        findings: list[Finding] = []
        return mark, list(scan(path, findings.append)), findings


def _newest(headers: list[Header], failure: bool) -> Header:
    failures = [header for header in headers if header.is_failure] if failure else []
    return (failures or headers)[-1]


def _named(headers: list[Header], name: str) -> list[Header]:
    return [header for header in headers if name in (header.name, f"{header.module}.{header.name}")]


def _by_id(headers: list[Header], text: str) -> Header:
    found = [header for header in headers if header.id.startswith(text)] if ID.fullmatch(text) else []
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFoundError(f"{len(found)} captures have an id that begins with {text!r}.", hint="ckpt info")
    names = {header.name for header in headers}
    nearest = difflib.get_close_matches(text, names, 1, 0)
    raise NotFoundError(
        f"No capture is named {text!r}; there are {len(headers)}, and the nearest name is {nearest[0]!r}.", hint=f"ckpt info {nearest[0]}"
    )
