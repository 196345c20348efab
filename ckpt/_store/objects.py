"""Large buffers, streams and texts of a store, once each, shared by all captures.

An object appears complete under its name, vanishes only by unlink, and is never truncated or overwritten. `t-<sha256>` is found by its
content; `b-<size>-<sample>` by its size and a few sampled pages, and then compared exactly, since hashing a large buffer costs more than
writing it. Raw buffers execute nothing, so nothing signs them.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import stat
import time
from collections.abc import Collection

from ckpt._model.interrupts import let_pass
from ckpt._store.content import NAME, PIECE, Read, buffer_name, is_name_of, pieces_of, stem_of
from ckpt._store.files import is_private, open_file, read_at
from ckpt._store.journal import Data
from ckpt._store.spill import TEMPORARY, ObjectWriter, begin, publish, write_all
from ckpt.errors import DamagedError

__all__ = ["ObjectWriter", "Objects"]

#: Buffers are written in pieces of this size.
CHUNK = 16 << 20
#: Seconds after which an unfinished file belongs to nobody.
DAY = 24 * 3600.0


class Objects:
    """The objects in one directory, which the store has made."""

    def __init__(self, path: str) -> None:
        self.path = path

    def put_buffer(self, view: Data, *, sync: bool = False) -> str:
        """Keep the bytes of `view`, without copying them, and return their name; raise OSError when they cannot be written."""
        data = memoryview(view).cast("B")
        return self._put(buffer_name(data), len(data), lambda length, at: data[at : at + length], sync)

    def put_copy(self, name: str, size: int, read: Read, *, sync: bool = False) -> str:
        """Keep an object of another place, which `read` gives piece by piece; return its name here.

        A raw buffer whose name is taken here, by other bytes, gets another. Raises `DamagedError` when the bytes are not those of `name`.
        """
        if name.startswith("b-"):
            if not is_name_of(name, size, read):
                raise DamagedError(f"The object {name!r} is not what was written.")
            return self._put(stem_of(name), size, read, sync)
        if self._is_whole(name, size) and self.freshen(name):
            return name
        writer = self.writer()
        try:
            for piece in pieces_of(size, read):
                writer.write(piece)
            if writer.name != name:
                raise DamagedError(f"The object {name!r} is not what was written.")
            return writer.publish(sync=sync)
        finally:
            writer.discard()

    def _put(self, stem: str, size: int, read: Read, sync: bool) -> str:
        """Keep a raw buffer under `stem`, or under the next name that is free."""
        name = stem
        count = 0
        written: str | None = None
        try:
            while True:
                if self.freshen(name):
                    if self._is_same(name, size, read):
                        return name
                else:
                    written = written or self._write(size, read, sync)
                    if publish(written, os.path.join(self.path, name)):
                        written = None
                        return name
                    if self._is_same(name, size, read):
                        return name
                count += 1
                name = f"{stem}-{count}"
        finally:
            if written:
                os.unlink(written)

    def put_text(self, data: bytes, *, sync: bool = False) -> str:
        """Keep `data` under the SHA-256 of its content, and return its name."""
        name = f"t-{hashlib.sha256(data).hexdigest()}"
        if self._is_whole(name, len(data)) and self.freshen(name):
            return name
        writer = self.writer()
        try:
            writer.write(data)
            return writer.publish(sync=sync)
        finally:
            writer.discard()

    def writer(self) -> ObjectWriter:
        """Return a new file for a stream that is too large for the memory; it gets its name when it is published."""
        return ObjectWriter(self.path)

    def size(self, name: str) -> int:
        """Return the size of an object; raise `DamagedError` when it is missing."""
        descriptor, size = self._open(name)
        os.close(descriptor)
        return size

    def piece(self, name: str, length: int, at: int) -> bytes:
        """Return `length` bytes of an object from its offset `at`; fewer only where it ends."""
        descriptor, _ = self._open(name)
        try:
            return read_at(descriptor, length, at)
        finally:
            os.close(descriptor)

    def map(self, name: str) -> memoryview:
        """Return the bytes of an object, mapped privately: writable, and nothing that is written reaches the store."""
        descriptor, size = self._open(name)
        try:
            if name.startswith("b-") and size != int(name.split("-")[1], 16):
                raise DamagedError(f"The object {name!r} has {size} bytes, which is not what was written.", hint="ckpt info")
            return memoryview(mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY) if size else bytearray())
        finally:
            os.close(descriptor)

    def read(self, name: str, limit: int = 1 << 40) -> bytes:
        """Return the bytes of an object of at most `limit` bytes; one that is found by its content is checked.

        Raises `DamagedError` when it is missing, larger, or not what was written.
        """
        descriptor, size = self._open(name)
        try:
            data = read_at(descriptor, size, 0) if size <= limit else b""
        finally:
            os.close(descriptor)
        if len(data) != size or (name.startswith("t-") and hashlib.sha256(data).hexdigest() != name[2:]):
            raise DamagedError(f"The object {name!r} is not what was written.", hint="ckpt info")
        return data

    def check(self, name: str) -> None:
        """Raise `DamagedError` unless the object is there and, as far as its name tells, what was written. It is read piece by piece."""
        if name.startswith("b-"):
            self.map(name)
        elif not is_name_of(name, self.size(name), lambda length, at: self.piece(name, length, at)):
            raise DamagedError(f"The object {name!r} is not what was written.", hint="ckpt info")

    def names(self) -> dict[str, int]:
        """Return the objects that are there, each with its size."""
        sizes = {}
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.path) as entries:
            for entry in entries:
                if NAME.fullmatch(entry.name):
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(status.st_mode):  # what somebody put in the place of a file is none of ours
                            sizes[entry.name] = status.st_size
        return sizes

    def is_private(self, name: str = "") -> bool:
        """Return whether nobody but this user can change the store, its directory, its journals and its objects, and the object `name`."""
        store = os.path.dirname(self.path)
        places = (store, os.path.join(store, "journals"), self.path, os.path.join(self.path, name))
        return all(is_private(os.stat(place)) for place in places if os.path.exists(place))

    def collect(self, living: Collection[str], oldest: float) -> list[str]:
        """Remove what is neither in `living` nor was used since the time `oldest`, unfinished files too; return what was removed.

        A writer freshens what it finds, and only later writes the line that names it: what was used lately has to stay.
        """
        self._give_back()
        removed = [name for name in self.names() if name not in living and _remove(os.path.join(self.path, name), oldest)]
        for path in self.unfinished(min(oldest, time.time() - DAY)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
                removed.append(os.path.basename(path))
        return removed

    def _give_back(self) -> None:
        """Give their names back to objects that a collector had put aside when it was killed; there is one collector at a time."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.path) as entries:
            for entry in entries:
                name = entry.name.removeprefix(TEMPORARY)
                if name != entry.name and NAME.fullmatch(name) and not publish(entry.path, os.path.join(self.path, name)):
                    os.unlink(entry.path)

    def unfinished(self, oldest: float) -> list[str]:
        """Return the files that were begun before `oldest` and never got a name."""
        found = []
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.path) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if entry.name.startswith(TEMPORARY) and entry.stat(follow_symlinks=False).st_mtime < oldest:
                        found.append(entry.path)
        return found

    def _open(self, name: str) -> tuple[int, int]:
        """Open an object; names come out of files, so they are looked at first."""
        if not NAME.fullmatch(name):
            raise DamagedError(f"{name!r} is not the name of an object.")
        try:
            return open_file(os.path.join(self.path, name))
        except FileNotFoundError:
            raise DamagedError(f"The object {name!r} is missing.", hint="ckpt info") from None

    def freshen(self, name: str) -> bool:
        """Return whether the object is there; if so it counts as used just now."""
        try:
            os.utime(os.path.join(self.path, name), follow_symlinks=False)
        except OSError as err:
            let_pass(err)
            return False
        return True

    def _is_whole(self, name: str, size: int) -> bool:
        try:
            return self.size(name) == size
        except DamagedError:
            return False

    def _is_same(self, name: str, size: int, read: Read) -> bool:
        """Return whether the object holds exactly the bytes that `read` gives."""
        try:
            descriptor, found = self._open(name)
        except DamagedError:
            return False
        with open(descriptor, "rb", buffering=0) as file:
            mine = bytearray(min(PIECE, size))
            at = 0
            while found == size and at < size:
                if size - at < len(mine):
                    del mine[size - at :]
                if file.readinto(mine) != len(mine) or mine != read(len(mine), at):
                    return False
                at += len(mine)
        return found == size

    def _write(self, size: int, read: Read, sync: bool) -> str:
        descriptor, path = begin(self.path)
        try:
            for piece in pieces_of(size, read, CHUNK):
                write_all(descriptor, memoryview(piece))
            if sync:
                os.fsync(descriptor)
        except BaseException:
            os.unlink(path)
            raise
        finally:
            os.close(descriptor)
        return path


def _remove(path: str, oldest: float) -> bool:
    """Remove a file that was not used since `oldest`, also when a writer freshens it at this very moment."""
    aside = os.path.join(os.path.dirname(path), f"{TEMPORARY}{os.path.basename(path)}")
    try:
        if os.stat(path, follow_symlinks=False).st_mtime > oldest:
            return False
        os.rename(path, aside)  # from now on a writer does not find it, and writes it anew
        if os.stat(aside, follow_symlinks=False).st_mtime > oldest and publish(aside, path):
            return False
        os.unlink(aside)
    except FileNotFoundError:
        return False
    return True
