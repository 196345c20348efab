"""Journals and objects of one directory as captures: list, get, find, clear, check. Knows no pickle and no traceback.

Reading changes nothing and makes nothing: a directory without journals is an empty store. Journals come and go while they are read (their
owners and one maintainer rewrite them): a reader drops duplicates by id and lists again when a file is gone.
"""

from __future__ import annotations

import gc
import json
import os
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from ckpt._model.record import Header
from ckpt._store import trust
from ckpt._store.captures import WRONG, Run, Trace, retain
from ckpt._store.files import host, is_held
from ckpt._store.finding import meant
from ckpt._store.journal import Finding, Line, Report, scan
from ckpt._store.location import store_inside
from ckpt._store.merging import Known, merge
from ckpt._store.objects import Objects
from ckpt._store.quota import excess
from ckpt._store.stored import Moment, Stored
from ckpt._store.upkeep import GRACE, Upkeep, is_due, leftovers, maintaining
from ckpt._store.writer import Journal
from ckpt.errors import DamagedError, NotFoundError, StoreError

__all__ = ["Finding", "Moment", "Store", "Stored"]

#: How often a reader begins anew when journals vanish under it.
TRIES = 20
#: Seconds by which the times of files may lag behind the clock.
TICK = 0.02


class Store:
    """The store in the directory `path`, which need not exist."""

    def __init__(self, path: str | os.PathLike[str], *, version: str = "") -> None:
        self.path = os.path.abspath(os.fspath(path))
        self.objects = Objects(os.path.join(self.path, "objects"))
        #: That of whoever writes.
        self.version = version
        self._journal: Journal | None = None
        self._scanned: dict[str, _Journal] = {}
        #: Whether what was read last is all there was at one moment.
        self._is_settled = False

    def journal(self) -> Journal:
        """Return the journal of this process in this store; its files appear with the first event.

        Raises `StoreError` when this user's key must not be used.
        """
        if self._journal is None:
            self._journal = Journal(self.path, trust.key(), version=self.version)
        return self._journal

    @property
    def sign(self) -> Callable[[bytes], str]:
        """Signs what this user says; with nothing when the key must not be used."""
        try:
            return trust.signer(trust.key())
        except StoreError:
            return trust.signer(None)

    def known(self) -> Known:
        """Return all that the journals say, of captures that do not live any more too."""
        return self._read()

    def headers(self) -> list[Header]:
        """Return the living captures by time of entry: of each function the newest `keep`, without the cleared ones."""
        return self._headers(self._living())

    def newest(self, count: int) -> tuple[list[Header], int]:
        """Return the newest `count` headers, as `headers` does, and how many captures there are; much quicker than all of them."""
        for check in (False, True):
            living = self._living(check=check)
            headers = self._headers(living[max(0, len(living) - count) :])
            if len(headers) == min(count, len(living)):
                break
        return headers, len(living)

    def get(self, id: str) -> Stored:
        """Return the capture with this id; raise `NotFoundError` when there is none, `DamagedError` when it makes no sense."""
        return self.getter()(id)

    def getter(self) -> Callable[[str], Stored]:
        """Return what gets captures as `get` does, of those that are there now: for whoever wants many."""
        known, sizes = self._read(), self.objects.names()

        def get(id: str) -> Stored:
            trace = known.traces.get(id)
            if trace is None or id in known.cleared:
                raise NotFoundError(f"No capture has the id {id!r}.", hint="ckpt info")
            try:
                return Stored(trace, self.objects, sizes)
            except WRONG as err:
                raise DamagedError(f"The capture {id!r} makes no sense.", hint="ckpt info") from err

        return get

    def find(self, text: str | None = None, *, newest_failure: bool = True) -> Header:
        """Return the capture that `text` means: a name, `module.name`, `name~2` (two before the newest), an id or a unique prefix of one.

        A name, and None, mean the newest failure, if there is one and `newest_failure`; else the newest. Raises `NotFoundError`.
        """
        sizes = self.objects.names()
        try:
            return self._found(self._living(check=False), text, newest_failure).header(sizes)
        except WRONG:  # what looked sound is not: again, with every line checked, among those that make sense
            sound = [trace for trace in self._living() if _has_header(trace, sizes)]
            return self._found(sound, text, newest_failure).header(sizes)

    def clear(self, ids: Collection[str]) -> int:
        """Delete captures and return how many there were; their bytes go as soon as no running process writes the files they lie in."""
        start = time.time() - TICK
        known = {trace.id for trace in self._living()}.intersection(ids)
        if known:
            body = json.dumps({"event": "cleared", "ids": sorted(known)}, separators=(",", ":")).encode()
            self.journal().append(body, sync=True)
            with maintaining(self.path) as alone:
                if alone:
                    self._look_after(start)
        return len(known)

    def fit(self, quota: int) -> int:
        """Delete the oldest captures that returned until the living ones take no more than `quota` bytes; return how many went."""
        ids = excess(self._living(), self.objects.names(), quota)
        return self.clear(ids) if ids else 0

    def maintain(self, *, thorough: bool = False) -> bool:
        """Merge ended journals that are many or mostly dead, and remove objects that nothing needs; return whether that was done.

        Cheap when it was done within the hour (unless `thorough`); left to another process that is at it. Raises OSError on a full disk.
        """
        if not thorough and not is_due(self.path):
            return False
        self._refuse_links()
        with maintaining(self.path) as alone:
            if alone:
                self._look_after(time.time() - GRACE)
            return alone

    def check(self) -> list[Finding]:
        """Return what is damaged, missing or left over; nothing for a sound store."""
        findings: list[Finding] = []
        for trace in self._living(findings.append):
            trace.check(self.objects, findings.append)
        oldest = time.time() - GRACE
        findings += [Finding(path, None, "left over by a killed process") for path in leftovers(self.path, oldest)]
        findings += [Finding(path, None, "left over by a killed process") for path in self.objects.unfinished(oldest)]
        return findings

    def _look_after(self, oldest: float) -> None:
        """Rewrite what is worth it, and remove objects that nothing needs and nobody has used since `oldest`."""
        ended = [path for path in self._paths() if is_held(path) is False]  # asked first: what is read then is all there will be
        known = self._read()
        if not self._is_settled:
            return  # what was not seen is not to be taken for unneeded
        living = retain(known.traces.values(), known.cleared)
        journals = {path: journal.lines for path, journal in self._scanned.items()}
        ours = {path: self._scanned[path].findings for path in ended if path in journals and _is_here(path, journals[path])}
        Upkeep(self.path, known, living, journals=journals, ended=ours).run(self.version, self.sign)
        past = time.time() - GRACE
        if set(journals).difference(ended, self._journal.paths() if self._journal else ()):
            oldest = past  # a running process may have put what it has not named yet
        for path in leftovers(self.path, past):
            with suppress(FileNotFoundError):
                os.unlink(path)
        if all(finding.offset is not None for journal in self._scanned.values() for finding in journal.findings):
            self.objects.collect({name for trace in living for name in trace.objects()}, oldest)

    def _found(self, living: list[Trace], text: str | None, newest_failure: bool) -> Trace:
        if not living:
            import shlex  # a recorder has no use for it

            inside = store_inside(self.path)
            hint = f"ckpt --ckpt-dir {shlex.quote(inside)} info" if inside else "ckpt info"
            raise NotFoundError(f"There are no captures in {self.path!r}.", hint=hint)
        return meant(living, text, newest_failure=newest_failure)

    def _headers(self, living: list[Trace]) -> list[Header]:
        sizes = self.objects.names()
        headers = []
        with _collector_paused():
            for trace in living:
                try:
                    headers.append(trace.header(sizes))
                except WRONG:
                    continue
        return headers

    def _living(self, report: Report | None = None, *, check: bool = True) -> list[Trace]:
        known = self._read(report, check=check)
        return retain(known.traces.values(), known.cleared)

    def _read(self, report: Report | None = None, *, check: bool = True) -> Known:
        """Return what the journals say; without `check` lines are taken at their word until somebody looks closer."""
        with _collector_paused():
            return self._merge(report, check)

    def _merge(self, report: Report | None, check: bool) -> Known:
        self._refuse_links()
        scanned: dict[str, _Journal] | None = None
        for _ in range(TRIES):
            paths = self._paths()
            try:
                scanned = {path: self._scan(path, check) for path in paths}
            except FileNotFoundError:
                continue
            # A directory that changes while it is listed may show neither the old name nor the new.
            self._is_settled = paths == self._paths()
            if self._is_settled:
                break
        if scanned is None:
            raise StoreError(f"The store {self.path!r} changes faster than it can be read.", hint="ckpt info")
        self._scanned = scanned
        findings = [finding for journal in scanned.values() for finding in journal.findings]
        known = merge([journal.lines for journal in scanned.values()], findings.append)
        if report:
            for finding in findings:
                report(finding)
        return known

    def _refuse_links(self) -> None:
        """Raise `StoreError` when a directory of the store is a link: nothing behind it is read or changed."""
        for name in ("journals", "objects"):
            path = os.path.join(self.path, name)
            with suppress(FileNotFoundError, NotADirectoryError):
                if stat.S_ISLNK(os.lstat(path).st_mode):
                    raise StoreError(f"The store {self.path!r} cannot be used: {path!r} is a link.", hint="ckpt --ckpt-dir PATH info")

    def _paths(self) -> list[str]:
        directory = os.path.join(self.path, "journals")
        try:
            return sorted(os.path.join(directory, name) for name in os.listdir(directory) if name.endswith(".jsonl"))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _scan(self, path: str, check: bool) -> _Journal:
        """Return a journal's events; what was read before is not read again, since journals only grow."""
        status = os.stat(path, follow_symlinks=False)
        mark = (status.st_ino, status.st_size, status.st_mtime_ns, check)
        known = self._scanned.get(path)
        if known and known.mark == mark:
            return known
        findings: list[Finding] = []
        return _Journal(mark, scan(path, findings.append, check=check), findings)


class _Journal(NamedTuple):
    """What was found in a journal when its file was of this identity, size and time."""

    mark: tuple[int, ...]
    lines: list[Line]
    findings: list[Finding]


def _is_here(path: str, lines: Sequence[Line]) -> bool:
    """Return whether an ended journal may be rewritten: it was written on this machine, in a format that is known.

    One of an earlier boot waits a day: another machine may have the same name.
    """
    with suppress(FileNotFoundError, *WRONG):
        runs = [Run(line.body) for line in lines if line.event == "opened"]
        if runs and all(run.is_known() for run in runs):
            waited = os.stat(path).st_mtime < time.time() - GRACE
            return runs[0].is_here() or (waited and runs[0].opened.get("host") == host())
    return False


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Let the cyclic collector rest while thousands of records are made, none of which is garbage: a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _has_header(trace: Trace, sizes: Mapping[str, int]) -> bool:
    try:
        trace.header(sizes)
    except WRONG:
        return False
    return True
