"""New objects on their way: written under a name that nobody looks for, then published complete, never over another."""

from __future__ import annotations

import contextlib
import hashlib
import os

from ckpt._model.interrupts import let_pass, tolerate
from ckpt._store.files import create_file
from ckpt._store.journal import Data
from ckpt._store.location import create

__all__ = ["TEMPORARY", "ObjectWriter", "begin", "publish", "write_all"]

TEMPORARY = ".tmp-"
#: Linux writes at most this much at once.
LARGEST = 1 << 30


class ObjectWriter:
    """A stream on its way into an object. Either `publish` or `discard` ends it; after either, `discard` does nothing."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._descriptor, self._pid = -1, os.getpid()
        self._descriptor, self._path = begin(directory)
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: Data) -> int:
        """Add `data`; raise OSError when it cannot be written."""
        view = memoryview(data).cast("B")
        write_all(self._descriptor, view)
        self._hash.update(view)
        self.size += len(view)
        return len(view)

    @property
    def name(self) -> str:
        """The name that the object gets for what has been written."""
        return f"t-{self._hash.hexdigest()}"

    def publish(self, *, sync: bool = False) -> str:
        """Give the object its name and return it."""
        name = self.name
        path = os.path.join(self._directory, name)
        if sync:
            os.fsync(self._descriptor)
        while not publish(self._path, path):
            with contextlib.suppress(FileNotFoundError):  # collected at this moment
                # The same content is there already, unless somebody cut it; then the whole one takes its place.
                if os.stat(path, follow_symlinks=False).st_size == self.size:
                    os.utime(path, follow_symlinks=False)
                else:
                    os.replace(self._path, path)
                break
        self.discard()
        return name

    def discard(self) -> None:
        """Remove what has no name."""
        if self._descriptor < 0:
            return
        descriptor, self._descriptor = self._descriptor, -1
        with tolerate(OSError):
            os.unlink(self._path)
        with tolerate(OSError):
            os.close(descriptor)

    def __del__(self) -> None:
        """Discard what whoever began it has lost on the way; not in a forked child, whose parent may be writing still."""
        try:
            if self._pid == os.getpid():
                self.discard()
        except Exception as trouble:  # whatever it is, nobody can be told here
            let_pass(trouble)


def begin(directory: str) -> tuple[int, str]:
    """Return the descriptor and the path of a new file in `directory`, which is made when somebody has removed the store."""
    path = os.path.join(directory, f"{TEMPORARY}{os.getpid()}-{os.urandom(6).hex()}")
    try:
        return create_file(path), path
    except FileNotFoundError:
        create(os.path.dirname(directory))
        return create_file(path), path


def write_all(descriptor: int, view: memoryview) -> None:
    """Write all of `view`, or raise OSError."""
    done = 0
    while done < len(view):
        done += os.write(descriptor, view[done : done + LARGEST])


def publish(temporary: str, path: str) -> bool:
    """Give a finished file its name; False when something has that name already."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as err:  # a file system without hard links: equal names mean equal content, so replacing does no harm
        let_pass(err)
        if os.path.lexists(path):
            return False
        os.rename(temporary, path)
        return True
    with tolerate(OSError):  # it is there, whatever else is
        os.unlink(temporary)
    return True
