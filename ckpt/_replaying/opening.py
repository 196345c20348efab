"""The Python side of the command line: list the captures, open one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckpt._store.location import get_ckpt_dir
from ckpt._store.store import Store
from ckpt.errors import UsageError

if TYPE_CHECKING:
    from ckpt._model.record import Json
    from ckpt._replaying.rehydrate import Capture


def captures(name: str | None = None) -> list[Json]:
    """Return the headers of all captures, or of those called `name` or `module.name`, by time of entry: a plain table, one mapping each.

    Nothing is loaded and nothing is imported. Times are seconds since the epoch, durations seconds, sizes bytes.
    """
    found = Store(get_ckpt_dir()).headers()
    return [header.to_json() for header in found if name is None or name in {header.name, f"{header.module}.{header.name}"}]


def load(name: str | os.PathLike[str] | None = None, *, code: str | os.PathLike[str] = "current", trust: bool = False) -> Capture:
    """Return a capture, opened when its parts are first used: a name, `module.name`, `name~2`, an id or a prefix of one, or None.

    Classes and functions are today's, those of a module of the same name where an imported capture's project is not here: `notes` says
    where they are not as captured. `code` may say otherwise: `captured`, or a folder with a copy of the project. A path object
    (`pathlib.Path`) means a `.ckpt` file that holds one. To open a capture runs what is in it: one that this user neither made nor
    accepted is refused with `UntrustedError`, unless `trust`. Raises `NotFoundError` when there is none.
    """
    from ckpt._replaying.rehydrate import Capture, open_capture  # listing loads nothing

    if name is not None and not isinstance(name, str | os.PathLike):
        raise UsageError(f"A capture is asked for by a name, an id or a path, not {name!r}.", hint="ckpt.load('NAME')")
    if isinstance(name, os.PathLike):
        from ckpt._store.capture_file import CaptureFile

        file = CaptureFile(os.fspath(name))
        return Capture(file, file.only(), code=os.fspath(code), trust=trust)
    return open_capture(Store(get_ckpt_dir()), name, code=os.fspath(code), trust=trust)
