"""One process's own journal: append-only, never waited for, rewritten by its owner when most of it is dead.

Bytes first, then the line: the line is the commit. The one locked step is to reserve an offset; nothing is called inside it that could run
foreign code, and the lock may be taken again by a signal handler that strikes meanwhile.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable, Sequence
from functools import cache, partial

from ckpt._model.interrupts import let_pass
from ckpt._model.record import Json
from ckpt._store import trust
from ckpt._store.files import read_at
from ckpt._store.journal import Data, Line, decode, encode, part
from ckpt._store.pair import Pair, close_inherited, go_on, introduction, wait_for_files
from ckpt._store.retention import Keep, Retention
from ckpt._store.rewrite import copy, shared_of

__all__ = ["Journal", "Keep"]

#: A journal is rewritten when this many bytes of it, and more than half, are dead.
ROTATE = 4 << 20
#: How often an append begins anew when its files are taken away.
TRIES = 3

Views = Sequence[tuple[str, bytes]]


class Journal:
    """The journal of this process in the store `directory`. Threads, signal handlers and forked children may use it.

    The files appear with the first event. `key` signs (None: unsigned), `version` is noted. `run` names what this process wrote, whatever
    files it lies in.
    """

    def __init__(self, directory: str, key: bytes | None, *, version: str = "", rotate: int = ROTATE) -> None:
        self.directory = directory
        self._sign = trust.signer(key)
        self.version = version
        self._rotate_at = rotate
        self._shared: dict[str, tuple[bytes, bytes, Callable[[], object] | None]] = {}
        self._reset()

    def _reset(self) -> None:
        """Begin anew, as a forked child does."""
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self.run = ""
        self._pair: Pair | None = None
        self._pairs: list[Pair] = []
        self._rotating = False
        self._retention = Retention()

    def open(self) -> None:
        """Let the journal appear, before anything is put among the objects: from then on they are left alone."""
        with self._lock:
            if self._pair is None:
                self._start()

    def share(self, kind: str, data: bytes, objects: Sequence[str] = (), renew: Callable[[], object] | None = None) -> str:
        """Keep `data` for the events that will name it in `shared`, and return the name: its SHA-256.

        `objects` are what it points to; `renew` puts them again, and is called before `data` goes into a new pair: the last one may have
        been taken away with the whole store.
        """
        name = part(data)[1]
        body: Json = {"event": "shared", "kind": kind, "parts": [part(data)]}
        self._shared[name] = (_compact(body | {"sources": list(objects)} if objects else body), data, renew)
        return name

    def append(  # noqa: PLR0913 - a record made for each call would cost as much as the line
        self,
        body: bytes,
        parts: Sequence[Data] = (),
        *,
        keep: Keep | None = None,
        shared: Sequence[str] = (),
        views: Views = (),
        sync: bool = False,
    ) -> int | None:
        """Write one event and return the offset of its parts (None without parts); raise OSError or `StoreError` when that fails.

        `body` is compact JSON that names `parts` by `part()`. `shared` are names from `share()` that the body refers to: they are
        written first where this journal does not have them yet. `views` are ids and bodies of further captures whose failure lies in the
        same parts. With `sync` the event is on the disk when this returns.
        """
        data = b"" if not parts else parts[0] if len(parts) == 1 and type(parts[0]) is bytes else b"".join(parts)
        length = len(data)
        pair: Pair | None
        for _ in range(TRIES):
            if self._pid != os.getpid():  # forked behind Python's back
                self.forked()
            pair, written = None, 0
            try:
                with self._lock:
                    current = self._pair or self._start()
                    # No call from here on: a signal handler that appends cannot come in between, another thread is locked out.
                    at = current.end
                    current.end = at + length
                    current.flying += 1
                    pair = current
                if pair.is_ours(both=bool(parts)):
                    place = at if parts else None
                    lines = encode(body, place, self._sign(body))
                    if views or not pair.shared.issuperset(shared):
                        lines += self._also(pair, place, views, shared)
                    pair.write(at, data, lines)
                    if sync:
                        pair.sync()
                    written = len(lines) + length
                    return place
            finally:
                if pair is not None:
                    self._land(pair, written, keep)
        raise OSError(errno.EBADF, "the journal's files are closed as soon as they are opened")

    def close(self) -> None:
        """Say that the process ended cleanly and close the files; a later event begins a new pair."""
        with self._lock:
            pairs, self._pairs, self._pair, self.run = self._pairs, [], None, ""
            _journals.discard(self)
        body = _compact({"event": "closed"})
        for pair in pairs:
            try:
                if pair.pid == os.getpid() and pair.is_ours():
                    pair.write(0, b"", encode(body, None, self._sign(body)))
            except OSError:
                if pair.cut and not pair.flying:
                    pair.mend()
            if not pair.flying:  # else a thread is about to write to these numbers
                pair.close()

    def paths(self) -> list[str]:
        """Return the `.jsonl` files that this process writes at the moment."""
        return [pair.path for pair in self._pairs]

    def _land(self, pair: Pair, written: int, keep: Keep | None = None) -> None:
        """Account for an append that is over; `written` is 0 for one that failed."""
        with self._lock:
            pair.flying -= 1
            pair.written += written
            if pair.cut and not pair.flying and pair.is_ours():
                pair.mend()
            if keep is not None and written:
                for id, size in self._retention.note(keep, written):
                    self._bury(id, size)
            is_due = pair.retired and not (pair.flying or pair.carried)
        if not written:
            self._inspect(pair)
        if is_due:
            self._carry(pair)
        elif pair.dead_bytes > pair.threshold and pair.dead_bytes * 2 > pair.written:
            self._rotate(pair)

    def _bury(self, id: str, size: int) -> None:
        for pair in self._pairs:
            pair.dead.add(id)
        if self._pair:
            self._pair.dead_bytes += size

    def _inspect(self, pair: Pair) -> None:
        """Let go of a pair that is not ours any more; its numbers may belong to the program now."""
        if not pair.is_ours():
            with self._lock:
                self._forget(pair)

    def _forget(self, pair: Pair) -> None:
        if pair in self._pairs:
            self._pairs.remove(pair)
        if self._pair is pair:
            self._pair = None

    def _start(self) -> Pair:
        """Begin a new pair and make it the current one."""
        _watch()
        _journals.add(self)
        pair = self._open()
        if self._pair is not None:  # a signal handler was quicker
            pair.discard()
            return self._pair
        self._pairs.append(pair)
        self._pair = pair
        return pair

    def _open(self) -> Pair:
        """Return a new pair that begins with who writes it."""
        pair = Pair(self.directory, self._rotate_at)
        try:
            self.run = self.run or os.urandom(8).hex()
            body = introduction(self.run, self.version)
            pair.write(0, b"", encode(body, None, self._sign(body)))
            pair.appear()
        except BaseException:
            pair.discard()
            raise
        return pair

    def _also(self, pair: Pair, place: int | None, views: Views, shared: Sequence[str]) -> bytes:
        """Write the shared records that `pair` does not have yet; return the lines of the views."""
        for name in shared:
            if name not in pair.shared:
                body, data, renew = self._shared[name]
                if renew:
                    renew()
                self._put(pair, body, self._sign(body), data)
                pair.shared.add(name)
        return b"".join(encode(view, place, self._sign(view)) for _, view in views)

    def _put(self, pair: Pair, body: bytes, signature: str, data: bytes, at: int | None = None) -> int | None:
        """Write an event with its parts (or with those at `at`) to `pair`, in which the caller has an append under way."""
        if data:
            with self._lock:
                at = pair.end
                pair.end = at + len(data)
        line = encode(body, at, signature)
        pair.write(at or 0, data, line)
        pair.written += len(line) + len(data)
        return at

    def _rotate(self, old: Pair) -> None:
        """Let a new pair take over from `old`, whose living records follow when no append to it is under way.

        Never fails: the record that this follows is written.
        """
        is_mine = False
        try:
            with self._lock:
                if self._rotating or self._pair is not old:
                    return
                self._rotating = is_mine = True
                due = [pair for pair in self._pairs if pair.retired]  # what went wrong the last time
            if self._take_over(old):
                due.append(old)
        except Exception as trouble:  # a full disk: go on with the old one, and try again much later
            let_pass(trouble)
            old.threshold *= 2
            return
        finally:
            if is_mine:
                self._rotating = False
        for pair in due:
            self._carry(pair)

    def _take_over(self, old: Pair) -> bool:
        """Make a new pair the current one; return whether `old` can be carried at once."""
        new = self._open()
        with self._lock:
            self._pairs.append(new)
            self._pair = new
            old.retired = True
            return not old.flying

    def _carry(self, old: Pair) -> None:
        """Copy the living records of `old`, which nobody writes to any more, to the current pair, and remove `old`.

        Whatever goes wrong leaves `old` where it is: readers drop duplicates. Never fails.
        """
        new: Pair | None = None
        done = False
        try:
            with self._lock:
                if old.carried or old.flying:
                    return
                current = self._pair or self._start()
                current.flying += 1
                old.carried, new = True, current
            self._copy(old, new)
            old.unlink()
            with self._lock:
                self._forget(old)
            old.close()
            done = True
        except Exception as trouble:
            let_pass(trouble)
            if new is not None:
                new.threshold *= 2
        finally:
            if new is not None:
                old.carried = done
                self._land(new, 1)

    def _copy(self, old: Pair, new: Pair) -> None:
        if not old.is_ours():
            raise OSError(errno.EBADF, "not our file any more")
        data = read_at(old.line, os.fstat(old.line).st_size, 0)
        lines = _living(decode(old.path, data, check=False, skip=old.dead), old)
        copy(lines, partial(read_at, old.bin), partial(self._put, new), shared_of(lines) - new.shared)
        new.shared |= shared_of(lines)
        if old.synced:
            new.sync()

    def forked(self) -> None:
        """Begin anew in a child, without the parent's files."""
        close_inherited()
        _journals.discard(self)
        self._reset()


def _living(lines: Sequence[Line], old: Pair) -> list[Line]:
    """Return which `lines` of `old` have to be carried on: of several failures of one capture one, that in an outer one's bytes."""
    failures: dict[str | None, Line] = {}
    for line in lines:
        if line.event == "failed" and (line.id not in failures or "view" in line.body):
            failures[line.id] = line
    living = [line for line in lines if line.id not in old.dead and line.event not in {"opened", "closed"}]
    return [line for line in living if line.event != "failed" or failures.get(line.id) is line]


def _compact(body: Json) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


#: Those with open files.
_journals: set[Journal] = set()


@cache
def _watch() -> None:
    """Follow forks and the end of the process, from the first journal on."""
    import atexit

    atexit.register(_close_all)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=wait_for_files, after_in_parent=go_on, after_in_child=_fork_all)


def _close_all() -> None:
    try:
        for journal in list(_journals):
            journal.close()
    except Exception:  # at exit nothing may be said
        return


def _fork_all() -> None:
    close_inherited()
    for journal in list(_journals):
        journal.forked()
