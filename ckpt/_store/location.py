"""Where the store is, and which rule found it.

`locate` only looks; `create` is the one place that makes directories of a store. The store of the running process is resolved when first
needed and then fixed, so that a later `chdir` or a change of the environment does not scatter captures.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

from ckpt.errors import StoreError, UsageError

__all__ = ["DIRECTORY", "Location", "create", "get_ckpt_dir", "locate", "resolve", "set_ckpt_dir"]

#: The name that is searched for from the working directory upwards.
DIRECTORY = ".pyckpt"
#: Made in every store, so that it never lands in a repository.
IGNORE = b"*\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A store's directory, absolute; it need not exist yet."""

    path: str
    #: `option`, `PYCKPT_DIR`, `search`, `XDG` or `temporary`.
    found_by: str
    #: Stores that were passed over, each with the reason.
    warnings: tuple[str, ...] = ()


def locate(
    option: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: str | None = None,
    home: str | None = None,
) -> Location:
    """Return where the store is: the option, `PYCKPT_DIR`, the nearest `.pyckpt` upwards, the state directory, a temporary one.

    A pure function of its arguments and the file system, which it reads and never changes. Without `environ` it takes those of the
    process, the working directory and the home directory included. Raises `StoreError` when no rule gives a directory.
    """
    if environ is None:
        environ, cwd, home = os.environ, _working_directory(), _home(os.environ)
    if option is not None:
        return Location(path=_absolute(os.fspath(option), cwd, home), found_by="option")
    if environ.get("PYCKPT_DIR"):
        return Location(path=_absolute(environ["PYCKPT_DIR"], cwd, home), found_by="PYCKPT_DIR")
    warnings: list[str] = []
    found = _search(cwd, warnings) if cwd else None
    if found:
        return Location(path=found, found_by="search", warnings=tuple(warnings))
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):  # the XDG specification: a relative path is to be ignored
        state = os.path.join(home, ".local", "state") if home else ""
    if state:
        return Location(path=os.path.join(state, "pyckpt"), found_by="XDG", warnings=tuple(warnings))
    return Location(path=_temporary(environ), found_by="temporary", warnings=tuple(warnings))


def create(path: str) -> None:
    """Make the store's directories (0700, whatever the umask) and its `.gitignore`; harmless when they are there.

    Raises `StoreError` when a part cannot be made, or is a link or a file where a directory of the store should be.
    """
    try:
        _make_directories(path)
        for name in ("journals", "objects"):
            _make_directory(os.path.join(path, name))
        _make_ignore(os.path.join(path, ".gitignore"))
    except (OSError, ValueError) as err:  # ValueError: a NUL in the path
        raise StoreError(f"The store {path!r} cannot be made: {err}.", hint="ckpt --ckpt-dir PATH init") from err


class _Process:
    """What holds for this process."""

    location: Location | None = None


def resolve() -> Location:
    """Return the store of this process: what `set_ckpt_dir` said, else what `locate` finds now; the same from then on."""
    if _Process.location is None:
        _Process.location = locate()
    return _Process.location


def get_ckpt_dir() -> str:
    """Return the directory in which this process keeps its captures; it need not exist yet."""
    return resolve().path


def set_ckpt_dir(path: str | os.PathLike[str] | None) -> None:
    """Keep and look for captures in `path` from now on; None goes back to the rules. Nothing is made until something is captured."""
    if path is None:
        _Process.location = None
        return
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"A store is a path, not a {type(path).__name__}.", hint="ckpt.set_ckpt_dir('PATH')")
    _Process.location = locate(path, os.environ, _working_directory(), _home(os.environ))


def _search(cwd: str, warnings: list[str]) -> str | None:
    """Return the nearest usable `.pyckpt` from `cwd` upwards; those passed over go to `warnings`."""
    directory = cwd
    while True:
        path = os.path.join(directory, DIRECTORY)
        reason = _why_not(path)
        if reason is None:
            return path
        if reason:
            warnings.append(f"The store {path!r} is passed over: {reason}.")
        parent = os.path.dirname(directory)
        if parent == directory:
            return None
        directory = parent


def _why_not(path: str) -> str | None:
    """Return None for a usable store, an empty text when there is none at `path`, else what is wrong with it."""
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return ""
    if stat.S_ISLNK(status.st_mode):
        return "it is a link"
    if not stat.S_ISDIR(status.st_mode):
        return ""
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        return "another user owns it"
    return None


def _make_directories(path: str) -> None:
    """Make `path` and what is missing above it; a store that was named may be reached through a link."""
    if os.path.isdir(path):
        return
    if os.path.dirname(path) != path:
        _make_directories(os.path.dirname(path))
    _make_directory(path)


def _make_directory(path: str) -> None:
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise
    else:
        os.chmod(path, 0o700)  # a strict umask takes bits away


def _make_ignore(path: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except FileExistsError:
        return
    try:
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, 0o600)
        os.write(descriptor, IGNORE)
    finally:
        os.close(descriptor)


def _absolute(path: str, cwd: str | None, home: str | None) -> str:
    if path == "~" or path.startswith(("~/", "~" + os.sep)):
        path = (home or "~") + path[1:]
    return os.path.normpath(os.path.join(cwd or os.sep, path))


def _working_directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # deleted
        return None


def _home(environ: Mapping[str, str]) -> str | None:
    """Return the home directory when there is one that exists."""
    home = environ.get("HOME") or os.path.expanduser("~")
    return home if os.path.isabs(home) and os.path.isdir(home) else None


def _temporary(environ: Mapping[str, str]) -> str:
    """Return this user's directory under the temporary one; raise `StoreError` when somebody else sits there."""
    user = os.getuid() if hasattr(os, "getuid") else environ.get("USERNAME", "user")
    path = os.path.join(tempfile.gettempdir(), f"pyckpt-{user}")
    reason = _why_not(path)
    if reason:
        raise StoreError(f"There is no home directory, and {path!r} cannot be used: {reason}.", hint="export PYCKPT_DIR=PATH")
    return path
