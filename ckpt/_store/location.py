"""Where the store is, and which rule found it.

`locate` only looks; `create` is the one place that makes directories of a store. The store of the running process is resolved when first
needed and then fixed, so that a later `chdir` or a change of the environment does not scatter captures.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ckpt._model.interrupts import let_pass, tolerate
from ckpt.errors import StoreError, UsageError

__all__ = [
    "DIRECTORY",
    "Location",
    "create",
    "get_ckpt_dir",
    "locate",
    "make_directories",
    "resolve",
    "set_ckpt_dir",
    "state_directory",
    "store_inside",
    "temporary_directory",
    "working_directory",
]

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
    #: Why it is no better place, where it is a temporary one.
    reason: str = ""
    #: Stores that were passed over, each with the reason.
    warnings: tuple[str, ...] = ()


def locate(
    option: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: str | None = None,
    state: Callable[[], str | None] = lambda: None,
) -> Location:
    """Return where the store is: the option, `PYCKPT_DIR`, the nearest `.pyckpt` upwards, the user's state directory, a temporary one.

    A pure function of its arguments and the file system, which it reads and never changes. `state` says where this user's programs keep
    their state. Without `environ` all is that of the process. Raises `StoreError` when no rule gives a directory, `UsageError` for an
    empty option.
    """
    if environ is None:
        environ, cwd, state = os.environ, working_directory(), state_directory
    named = environ.get("PYCKPT_DIR", "") if option is None else os.fspath(option)
    if option is not None and not named:
        raise UsageError("The path of the store is empty.", hint="ckpt --ckpt-dir PATH info")
    if named:
        return Location(path=_absolute(named, environ, cwd), found_by="PYCKPT_DIR" if option is None else "option")
    warnings: list[str] = []
    path, found_by = _search(cwd, warnings) if cwd else None, "search"
    if path:
        return Location(path=path, found_by=found_by, warnings=tuple(warnings))
    home = state()
    if home:
        return Location(path=os.path.join(home, "pyckpt"), found_by="XDG", warnings=tuple(warnings))
    missing = f"there is no home directory {environ.get('HOME') or os.path.expanduser('~')!r}"
    return Location(
        path=os.path.join(temporary_directory(environ), "pyckpt"), found_by="temporary", reason=missing, warnings=tuple(warnings)
    )


def state_directory() -> str | None:
    """Return where programs of this user keep their state, by the rules of XDG also on macOS; None when there is no home."""
    if sys.platform == "win32":
        from platformdirs import user_state_dir

        return user_state_dir(appauthor=False)
    from platformdirs.unix import Unix

    path = Unix().user_state_dir
    if os.path.isabs(path) and not path.startswith(os.path.expanduser("~")):
        return path
    home = os.path.expanduser("~")
    if not os.path.isabs(home) or not os.path.isdir(home):
        return None
    return path if os.path.isabs(path) else os.path.join(home, ".local", "state")  # XDG: a relative path is to be ignored


def create(path: str) -> None:
    """Make the store's directories (0700, whatever the umask) and its `.gitignore`; harmless when they are there.

    Raises `StoreError` when a part cannot be made, or is a link or a file where a directory of the store should be.
    """
    try:
        make_directories(path)
        for name in ("journals", "objects"):
            _make_directory(os.path.join(path, name))
        _make_ignore(os.path.join(path, ".gitignore"))
    except FileExistsError as err:
        raise StoreError(f"The store {path!r} cannot be made: {err.filename!r} is no directory.", hint="ckpt --ckpt-dir PATH init") from err
    except (OSError, ValueError) as err:  # ValueError: a NUL in the path
        let_pass(err)
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
        raise UsageError(f"A store is a path, not {path!r}.", hint="ckpt.set_ckpt_dir('PATH')")
    _Process.location = locate(path, os.environ, working_directory())


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


def store_inside(directory: str) -> str | None:
    """Return the store that a search from `directory` would find in it; None when there is none."""
    path = os.path.join(directory, DIRECTORY)
    return path if _why_not(path) is None else None


def _why_not(path: str) -> str | None:
    """Return None for a usable store, an empty text when there is none at `path`, else what is wrong with it."""
    try:
        status = os.lstat(path)
    except (OSError, ValueError) as err:
        let_pass(err)
        return ""
    if stat.S_ISLNK(status.st_mode):
        return "it is a link"
    if not stat.S_ISDIR(status.st_mode):
        return ""
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        return "another user owns it"
    return None


def make_directories(path: str) -> None:
    """Make `path` and what is missing above it, for this user alone; what is there may be reached through a link."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # `os.path.isdir` would keep what a signal handler raises
        if stat.S_ISDIR(os.stat(path).st_mode):
            return
    if os.path.dirname(path) != path:
        make_directories(os.path.dirname(path))
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


def _absolute(path: str, environ: Mapping[str, str], cwd: str | None) -> str:
    """Return the path that a person means, with a leading `~` as a shell reads it."""
    if path == "~" or path.startswith("~/"):
        path = environ.get("HOME", "~") + path[1:]
    return os.path.normpath(os.path.join(cwd or os.sep, path))


def working_directory() -> str:
    """Return the working directory, or an empty text when it is gone."""
    with tolerate(OSError):
        return os.getcwd()
    return ""


def temporary_directory(environ: Mapping[str, str]) -> str:
    """Return what takes the place of the state directory where there is no home: this user's directory under the temporary one.

    Raises `StoreError` when somebody else sits there.
    """
    import tempfile

    user = os.getuid() if hasattr(os, "getuid") else environ.get("USERNAME", "user")
    path = os.path.join(tempfile.gettempdir(), f"pyckpt-{user}")
    reason = _why_not(path)
    if reason:
        raise StoreError(f"There is no home directory, and {path!r} cannot be used: {reason}.", hint="export XDG_STATE_HOME=PATH")
    return path
