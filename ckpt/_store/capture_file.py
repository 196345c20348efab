"""Captures in a `.ckpt` file: their records with their signatures, and the bytes they point to."""

from __future__ import annotations

import os
import shlex
import weakref

from ckpt._store.archive import Archive, File, sense
from ckpt._store.captures import Trace
from ckpt._store.journal import part
from ckpt._store.merging import merge
from ckpt._store.packing import Packing, as_written, check_sizes
from ckpt._store.stored import Stored
from ckpt.errors import DamagedError, NotFoundError


class CaptureFile(Archive):
    """The captures in the file `path`, which is open as long as this is. Raises `DamagedError` for another kind of file."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        try:
            source = File(self.path)
        except (OSError, ValueError) as err:  # ValueError: a NUL in the path
            why = err.strerror if isinstance(err, OSError) else err
            raise NotFoundError(f"The capture file {path!r} cannot be read: {why}.") from err
        self._file = source
        weakref.finalize(self, source.close)
        super().__init__(source)
        self._known = merge([self.lines], self.findings.append)
        with sense(self.path):
            for line in self.lines:
                check_sizes(line)

    def traces(self) -> list[Trace]:
        """Return the captures, in the order in which they stand in the file."""
        return list(self._known.traces.values())

    def only(self) -> str:
        """Return the id of the one capture in the file; raise `NotFoundError` when there is none, or more than one."""
        ids = list(self._known.traces)
        if len(ids) != 1:
            raise NotFoundError(
                f"{self.path!r} holds {len(ids) or 'no'} captures, not one.", hint=f"ckpt import {shlex.quote(self.path)}" if ids else ""
            )
        return ids[0]

    def get(self, id: str) -> Stored:
        """Return the capture with this id; raise `NotFoundError` when there is none."""
        trace = self._known.traces.get(id)
        if trace is None:
            raise NotFoundError(f"No capture in {self.path!r} has the id {id!r}.")
        return Stored(trace, self)

    def is_private(self, name: str = "") -> bool:
        """Return whether nobody but this user can change the file."""
        return self._file.is_private()

    def read(self, name: str) -> bytes:
        """Return the bytes of an object; raise `DamagedError` when it is not there."""
        if name not in self.names():
            raise DamagedError(f"{self.path!r} does not hold the object {name!r}.")
        data = bytes(self.map(name))
        if name.startswith("t-") and part(data)[1] != name[2:]:
            raise DamagedError(f"The object {name!r} in {self.path!r} is not what was written.")
        return data


def write_capture(stored: Stored, path: str) -> None:
    """Write what calling the function again needs into the file `path`, in one step: no frames, when entry was recorded."""
    packing = Packing(lambda body: "")
    if stored.introduction is not None:
        packing.introduce(as_written(stored.introduction))
    lines = stored.needed()
    for line in lines:
        packing.add(as_written(line))
    names = {name for line in lines for name in (*(line.body.get("buffers") or ()), line.body.get("stream")) if isinstance(name, str)}
    packing.hold(sorted(names), stored.objects, stored.objects.names())
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.writelines(packing.pieces())
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
