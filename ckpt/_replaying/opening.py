"""The Python side of the command line: list the captures, open one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt._store.location import get_ckpt_dir
from ckpt._store.store import Store

if TYPE_CHECKING:
    from ckpt._model.record import Json
    from ckpt._replaying.rehydrate import Capture


def captures(name: str | None = None) -> list[Json]:
    """Return the headers of all captures, or of those called `name` or `module.name`, by time of entry: a plain table, one mapping each.

    Nothing is loaded and nothing is imported. Times are seconds since the epoch, durations seconds, sizes bytes.
    """
    found = Store(get_ckpt_dir()).headers()
    return [header.to_json() for header in found if name is None or name in {header.name, f"{header.module}.{header.name}"}]


def load(name: str | None = None) -> Capture:
    """Return a capture, opened when its parts are first used: a name, `module.name`, `name~2`, an id or a prefix of one, or None.

    Raises `NotFoundError`, a `CkptError`, when there is none.
    """
    from ckpt._replaying.rehydrate import open_capture  # listing loads nothing

    return open_capture(Store(get_ckpt_dir()), name)
