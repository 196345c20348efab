"""One capture in a `.ckpt` file: its records with their signatures, and the bytes they point to, without the project's source texts."""

from __future__ import annotations

import json
import os
import weakref

from ckpt._store.archive import Archive, Entry, File, pack
from ckpt._store.journal import Line, part
from ckpt._store.merging import merge
from ckpt._store.stored import Stored
from ckpt.errors import DamagedError, NotFoundError


class CaptureFile(Archive):
    """The captures in the file `path`, which is open as long as this is. Raises `DamagedError` for another kind of file."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        try:
            source = File(self.path)
        except OSError as err:
            raise NotFoundError(f"The capture file {path!r} cannot be read: {err.strerror}.") from err
        self.is_private = source.is_private
        weakref.finalize(self, source.close)
        super().__init__(source)
        self._known = merge([self.lines], self.findings.append)

    def only(self) -> str:
        """Return the id of the one capture in the file; raise `NotFoundError` when there is none, or more than one."""
        ids = list(self._known.traces)
        if len(ids) != 1:
            raise NotFoundError(f"{self.path!r} holds {len(ids) or 'no'} captures, not one.")
        return ids[0]

    def get(self, id: str) -> Stored:
        """Return the capture with this id; raise `NotFoundError` when there is none."""
        trace = self._known.traces.get(id)
        if trace is None:
            raise NotFoundError(f"No capture in {self.path!r} has the id {id!r}.")
        return Stored(trace, self)

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
    opened = json.dumps(stored.opened, separators=(",", ":")).encode()
    lines = stored.needed()
    entries = [Entry(opened, "") if stored.opened else None, *(_entry(line) for line in lines)]
    names = {name for line in lines for name in (*(line.body.get("buffers") or ()), line.body.get("stream")) if isinstance(name, str)}
    objects = {name: stored.objects.map(name) for name in sorted(names)}
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.writelines(pack([entry for entry in entries if entry is not None], objects, lambda body: ""))
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _entry(line: Line) -> Entry:
    _, signature, body = line.fields()
    return Entry(body, signature, [line.read(index) for index in range(len(line.body.get("parts") or ()))])
