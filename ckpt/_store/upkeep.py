"""Keeping a store small: ended journals that are many or mostly dead become one, with their living records, signatures unchanged.

One maintainer at a time, never waited for. The new pair is complete, and on the disk, before an old one is unlinked: a kill at any instant
leaves each record at least once, and readers drop duplicates.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial

from ckpt._store.captures import WRONG, Trace
from ckpt._store.files import SAFE, open_file, read_at, try_lock
from ckpt._store.journal import TORN, Finding, Line, bin_of, bytes_of
from ckpt._store.merging import Known
from ckpt._store.pair import unlink
from ckpt._store.rewrite import complete_journal, copy
from ckpt.errors import DamagedError

__all__ = ["GRACE", "Upkeep", "is_due", "leftovers", "maintaining"]

#: Seconds after which what nothing points to may go.
GRACE = 24 * 3600.0
#: Seconds after which a store is looked after again, unless it has very many journals.
PERIOD, CROWD = 3600.0, 64
#: Ended journals below SMALL bytes are merged when there are MANY of them.
SMALL, MANY = 1 << 20, 16
LOCK = ".maintain"


@contextlib.contextmanager
def maintaining(store: str) -> Iterator[bool]:
    """Say whether this is the one maintainer of `store`, for as long as the block runs; never waits."""
    try:
        descriptor = os.open(os.path.join(store, "journals", LOCK), os.O_RDWR | os.O_CREAT | SAFE, 0o600)
    except OSError:
        yield False
        return
    try:
        if try_lock(descriptor, shared=False):
            yield True
            os.utime(descriptor)
        else:
            yield False
    finally:
        os.close(descriptor)


def is_due(store: str) -> bool:
    """Return whether nobody has looked after the store for long, or it has very many journals; a matter of microseconds."""
    directory = os.path.join(store, "journals")
    try:
        if sum(name.endswith(".jsonl") for name in os.listdir(directory)) > CROWD:
            return True
        return time.time() - os.stat(os.path.join(directory, LOCK)).st_mtime > PERIOD
    except FileNotFoundError:
        return os.path.isdir(directory)
    except OSError:
        return False


class Upkeep:
    """One look after a store: `known` is what all `journals` say, `living` the captures to keep.

    `ended` names the journals that nobody writes any more, and what is wrong with each.
    """

    def __init__(
        self,
        store: str,
        known: Known,
        living: Sequence[Trace],
        *,
        journals: Mapping[str, Sequence[Line]],
        ended: Mapping[str, Sequence[Finding]],
    ) -> None:
        self._store = store
        self._cleared = known.cleared
        self._journals = journals
        self._ended = ended
        self._living = {id(line) for trace in living for line in trace.lines()}
        self._living |= {id(trace.carried.line) for trace in living if trace.carried}
        self._named = {name for trace in living for name in trace.refers_to()}

    def run(self, version: str, sign: Callable[[bytes], str]) -> None:
        """Rewrite what is worth it as one new journal, then remove the old ones. Raises OSError; nothing is lost then."""
        chosen = self._chosen()
        remaining = {line.id for path, lines in self._journals.items() if path not in chosen for line in lines}
        kept = {path: self._kept(path, remaining) for path in chosen}
        if any(kept.values()):
            self._merge(kept, version, sign)
        for path in chosen:
            unlink(path)

    def _chosen(self) -> list[str]:
        """Return which ended journals to rewrite: those with cleared captures, those mostly dead or torn, and the small ones when many."""
        chosen, small = [], []
        for path, findings in self._ended.items():
            total = _size(path)
            try:
                kept = sum(len(line.piece) + bytes_of(line.body) for line in self._kept(path, frozenset()))
            except WRONG:
                continue
            if not _has_bytes(path):
                continue
            if any(line.id in self._cleared for line in self._journals[path]):
                chosen.append(path)
            elif any(finding.what != TORN for finding in findings):
                continue  # damage stays, for somebody to look at
            elif findings or kept * 2 < total:
                chosen.append(path)
            elif total < SMALL:
                small.append(path)
        return sorted(chosen + small) if len(small) >= MANY else sorted(chosen)

    def _kept(self, path: str, remaining: AbstractSet[str | None]) -> list[Line]:
        """Return the lines of a journal that have to stay: living ones, what they refer to, and who wrote them.

        A line that clears captures stays while one of them is in a journal that is not rewritten: `remaining` are the captures in those.
        """
        kept: list[Line] = []
        frame: list[Line] = []
        for line in self._journals[path]:
            if line.event == "opened":
                frame = [line]
            elif line.event == "closed":
                if not frame:
                    kept.append(line)
            elif line.event == "shared":
                if line.body["parts"][0][1] in self._named:
                    kept.append(line)
            elif id(line) in self._living or (line.event == "cleared" and not remaining.isdisjoint(line.body["ids"])):
                kept += frame
                frame = []
                kept.append(line)
        return kept

    def _merge(self, kept: Mapping[str, Sequence[Line]], version: str, sign: Callable[[bytes], str]) -> None:
        named = set(self._named)
        with complete_journal(self._store, version, sign) as put:
            for path, lines in kept.items():
                copy(lines, partial(_read, bin_of(path)), put, named)


def leftovers(store: str, oldest: float) -> list[str]:
    """Return the files among the journals that a killed process left behind before `oldest`, and that belong to no journal."""
    directory = os.path.join(store, "journals")
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        for entry in entries:
            stem, _, kind = entry.name.rpartition(".")
            if kind == "tmp" or (kind == "bin" and _is_gone(f"{directory}/{stem}.jsonl")):
                with contextlib.suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime < oldest:
                        found.append(entry.path)
    return found


def _has_bytes(path: str) -> bool:
    """Return whether the bytes of a journal can be read, or are gone for good. Raises OSError where that may be another time."""
    with contextlib.suppress(FileNotFoundError):
        try:
            os.close(open_file(bin_of(path))[0])
        except DamagedError:
            return False
    return True


def _is_gone(path: str) -> bool:
    """Return whether nothing has this name; raise OSError where that cannot be told."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return True
    return False


def _read(path: str, length: int, at: int) -> bytes:
    """Return up to `length` bytes at the offset `at`; none of a file that is not there."""
    with contextlib.suppress(FileNotFoundError):
        descriptor, _ = open_file(path)
        try:
            return read_at(descriptor, length, at)
        finally:
            os.close(descriptor)
    return b""


def _size(path: str) -> int:
    """Return the bytes of both files of a journal."""
    size = 0
    for name in (path, bin_of(path)):
        with contextlib.suppress(FileNotFoundError):
            size += os.stat(name, follow_symlinks=False).st_size
    return size
