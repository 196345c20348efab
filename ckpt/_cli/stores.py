"""The store that the commands of this process work on."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from ckpt._cli.screen import complain
from ckpt.errors import NotFoundError, StoreError

if TYPE_CHECKING:
    from ckpt._model.record import Header
    from ckpt._store.location import Location
    from ckpt._store.store import Store


def located() -> Location:
    """Return where the store is; those that were passed over are said on standard error."""
    from ckpt._store.location import resolve

    location = resolve()
    for warning in location.warnings:
        complain(warning, label="warning")
    if os.path.lexists(location.path) and not os.path.isdir(location.path):
        raise _no_directory(location)
    return location


def _no_directory(location: Location) -> StoreError:
    if location.found_by == "PYCKPT_DIR":
        what = f"{location.path!r}, which PYCKPT_DIR names, is no directory, and so no store."
        return StoreError(what, hint="unset PYCKPT_DIR, or have it name a directory")
    return StoreError(f"{location.path!r} is no directory, and so no store.", hint="ckpt --ckpt-dir PATH info")


def opened() -> Store:
    """Return the store, which need not exist."""
    from ckpt._store.store import Store
    from ckpt._version import VERSION

    return Store(located().path, version=VERSION)


def matching(store: Store, name: str | None) -> list[Header]:
    """Return all captures of a name, or the one that an id or `name~2` means, or all; raise `NotFoundError`."""
    headers = store.headers()
    if name is None:
        return headers
    return [header for header in headers if name in (header.name, f"{header.module}.{header.name}")] or [store.find(name)]


def fitting(store: Store, name: str | None) -> list[Header]:
    """Return the captures that `matching` does, or all that fit a pattern; raise `NotFoundError` when there are none."""
    from ckpt._replaying import batches

    is_pattern = name is not None and batches.is_pattern(name)
    found = batches.matching(store.headers(), name or "") if is_pattern else matching(store, name)
    if not found:
        if not name:
            return [store.find()]  # it says why there is none
        raise NotFoundError(f"No capture's name fits {name!r}.", hint="ckpt info")
    return found


def bytes_used(path: str) -> int:
    """Return what the files of the store take, in bytes; files that vanish meanwhile count nothing."""
    return sum(map(_bytes_in, (os.path.join(path, "journals"), os.path.join(path, "objects"))))


def _bytes_in(directory: str) -> int:
    total = 0
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    total += entry.stat(follow_symlinks=False).st_size
    except OSError:  # not there, or not ours to read
        return 0
    return total
