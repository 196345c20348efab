"""Which captures may be opened: one's own, and those that this user has accepted.

To open a capture is to run what its author put there: pickles, imports, source. So nothing of it is unpickled, imported or compiled before
`check_trust`. A signature covers the events of a capture, and those name everything else they need by SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import time

from ckpt._store import trust
from ckpt._store.files import is_private, open_file, read_at
from ckpt._store.location import make_directories
from ckpt._store.stored import Stored
from ckpt.errors import StoreError, UntrustedError

__all__ = ["accept", "check_trust", "fingerprint", "is_own"]

#: No host or user has more characters; what a capture says of its maker may.
LONGEST = 255


def check_trust(stored: Stored) -> None:
    """Raise `UntrustedError` unless the capture is this user's own, or was accepted; it names who made it, as far as the capture says.

    Raises `StoreError` when this user's key, or the list of what was accepted, is one that others can change.
    """
    if is_own(stored) or fingerprint(stored) in _accepted():
        return
    why = "is not signed with your key" if stored.objects.is_private() else "lies where others can write"
    raise UntrustedError(
        f"The capture {stored.header.id} of {stored.header.name!r} {why}; it says that it was made {made_by(stored)}.",
        hint=f"ckpt trust {stored.header.id}" if _path() else _once(stored),
    )


def made_by(stored: Stored) -> str:
    """Return who made a capture, and when, as it says itself."""
    host, user = (str(name or "?")[:LONGEST] for name in (stored.header.host, stored.opened.get("user")))
    entered = time.gmtime(max(0, min(stored.header.time, 2**33)))
    return f"on {host!r} by {user!r} at {time.strftime('%Y-%m-%d %H:%M:%S UTC', entered)}"


def is_own(stored: Stored) -> bool:
    """Return whether this user's ckpt wrote every event of the capture, and nobody else can change where it lies."""
    key = trust.present_key()
    signed = (line.fields() for line in stored.lines())
    return all(trust.is_signed(key, body, signature) for _, signature, body in signed) and stored.objects.is_private()


def fingerprint(stored: Stored) -> str:
    """Return the SHA-256, in hex, of the events of a capture: whatever is changed in it, this changes too."""
    digest = hashlib.sha256()
    for line in stored.lines():
        digest.update(hashlib.sha256(line.fields()[2]).digest())
    return digest.hexdigest()


def accept(stored: Stored) -> str:
    """Remember that this user trusts this capture as it is, and return its fingerprint. Raises `StoreError` where that cannot be kept."""
    found, path = fingerprint(stored), _path()
    if path is None:
        raise StoreError("There is no home directory to remember it in.", hint=_once(stored))
    if found not in _accepted():
        try:
            make_directories(os.path.dirname(path))
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
            with open(descriptor, "ab") as file:
                file.write(f"{found}\n".encode())
        except OSError as err:
            raise StoreError(f"{path!r} cannot be written: {err.strerror}.", hint=_once(stored)) from err
    return found


def _once(stored: Stored) -> str:
    """Return the command that opens a capture where nothing can be remembered."""
    return f"ckpt {'debug' if stored.header.exception else 'run'} {stored.header.id} --trust"


def _accepted() -> frozenset[str]:
    """Return the fingerprints of the captures that were accepted; raise `StoreError` when others can write the list."""
    path = _path()
    try:
        descriptor, size = open_file(path) if path else (None, 0)
    except FileNotFoundError:
        return frozenset()
    if descriptor is None:
        return frozenset()
    with open(descriptor, "rb", buffering=0):
        if not is_private(os.fstat(descriptor)):
            raise StoreError(f"Others can write {path!r}, the list of captures that you trust.", hint=f"rm {shlex.quote(str(path))}")
        return frozenset(read_at(descriptor, size, 0).decode("ascii", "replace").split())


def _path() -> str | None:
    """Return where the list lies: beside the key."""
    key = trust.key_path()
    return os.path.join(os.path.dirname(key), "trusted") if key else None
