"""Zip files unpacked into a cache, by content: what was unpacked once is only looked at the next time.

Nothing in a zip file is trusted before it is checked: no entry leaves its directory, none is a link, none is larger than it may be.
"""

from __future__ import annotations

import os
import pathlib
import secrets
import shlex
import shutil
import stat
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

from ckpt._store.location import make_directories
from ckpt.codebase import archive
from ckpt.codebase.rules import why_not_path
from ckpt.errors import CkptError, DamagedError, NotFoundError, UsageError

_MOST_FILES = 200_000
#: What nobody has opened for so long, in seconds, goes when something else is unpacked.
_UNUSED = 30 * 86400
#: A launcher beside the unpacked files.
LAUNCHER = ".ckpt-launcher.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """An unpacked snapshot: a directory that nobody writes to, whose name tells its content."""

    directory: str
    #: Files, relative to the directory, with slashes.
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        """The word that stands for its content."""
        return os.path.basename(self.directory)


def unpack(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> Unpacked:
    """Return the content of a zip file in the cache, unpacked now if it is not there.

    Raises `NotFoundError` when there is no such file, `DamagedError` for what is no zip file or one that must not be unpacked: names
    that leave its directory, links, two entries of one name, or more than `max_bytes` (64 MiB and a hundred times its own size).
    """
    path = os.path.expanduser(os.fspath(path))
    if os.path.isdir(path):
        raise UsageError(f"{path!r} is a folder, not a snapshot.", hint=f"ckpt snapshot create {shlex.quote(path)} -o codebase.zip")
    cache = cache_directory()
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as zipped:
            size = os.fstat(file.fileno()).st_size
            entries = zipped.infolist()
            _check(path, entries, archive.limit(size) if max_bytes is None else max_bytes)
            directory = os.path.join(cache, archive.name_of(file))
            if _is_whole(directory, entries):
                os.utime(directory)
            else:
                _remove_unused(cache)
                _unpack_to(directory, zipped, entries)
    except FileNotFoundError as err:
        raise NotFoundError(f"There is no snapshot {path!r}.") from err
    except archive.DAMAGE as err:
        raise DamagedError(f"{path!r} cannot be unpacked: {err}.") from err
    except OSError as err:
        raise CkptError(f"{path!r} cannot be unpacked: {err.strerror or err}.") from err
    return Unpacked(directory=directory, names=tuple(entry.filename for entry in entries if not entry.is_dir()))


def launcher_in(directory: str) -> str:
    """Return the path of a launcher in the directory of an unpacked snapshot, whose own `__main__.py` may be another program."""
    path, text = os.path.join(directory, LAUNCHER), archive.launcher()
    if not os.path.exists(path) or pathlib.Path(path).read_bytes() != text:  # that of an earlier ckpt
        temporary = f"{path}.{secrets.token_hex(4)}"
        pathlib.Path(temporary).write_bytes(text)
        os.replace(temporary, path)
    return path


def _check(path: str, entries: Sequence[zipfile.ZipInfo], max_bytes: int) -> None:
    """Raise `DamagedError` when the entries of a zip file must not be unpacked."""
    if len(entries) > _MOST_FILES:
        raise DamagedError(f"{path!r} is refused: it has {len(entries):,} entries.")
    if (total := sum(entry.file_size for entry in entries)) > max_bytes:
        hint = f"--max-bytes {total}, in Python max_bytes={total}; where neither is to be had, unzip it: a folder is taken there"
        raise DamagedError(f"{path!r} is refused: it would unpack to {total:,} bytes.", hint=hint)
    names: set[str] = set()
    for entry in entries:
        reason = _why_not(entry)
        name = entry.filename.rstrip("/")
        if not reason and name in names:
            reason = "a second entry of that name"
        if reason:
            raise DamagedError(f"{path!r} is refused for its entry {entry.orig_filename!r}: {reason}.")
        names.add(name)
    files = {entry.filename for entry in entries if not entry.is_dir()}
    needed = {name.rstrip("/") for name in archive.directories([entry.filename for entry in entries])}
    if clash := files & needed:
        raise DamagedError(f"{path!r} is refused for its entry {min(clash)!r}: it is a file and a directory.")


def cache_directory() -> str:
    """Return this user's directory for unpacked snapshots, made for this user alone. Raises `CkptError`."""
    from platformdirs import user_cache_dir

    path = user_cache_dir("ckpt", appauthor=False)
    if not os.path.isabs(path):  # there is no home
        path = _temporary()
    path = os.path.join(path, "codebases")
    try:
        make_directories(path)
        status = os.lstat(path)
    except OSError as err:
        raise CkptError(
            f"{path!r}, where snapshots are unpacked, cannot be made: {err.strerror or err}.", hint="export XDG_CACHE_HOME=DIRECTORY"
        ) from err
    if not stat.S_ISDIR(status.st_mode) or (hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022)):
        raise CkptError(f"{path!r} is not for this user alone.", hint=f"chmod 700 {shlex.quote(path)}")
    return path


def _temporary() -> str:
    import tempfile

    return os.path.join(tempfile.gettempdir(), f"ckpt-{os.getuid() if hasattr(os, 'getuid') else 'user'}")


def _why_not(entry: zipfile.ZipInfo) -> str:
    if reason := why_not_path(entry.orig_filename):
        return reason
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        return "it is compressed in an unusual way"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind and kind not in {stat.S_IFREG, stat.S_IFDIR}:
        return "a link" if kind == stat.S_IFLNK else "no regular file"
    return ""


def _is_whole(directory: str, entries: Sequence[zipfile.ZipInfo]) -> bool:
    """Whether what lies in the cache still has every file, in its size: a program may have written to its own directory."""
    try:
        if not stat.S_ISDIR(os.lstat(directory).st_mode):
            return False
        return all(os.stat(os.path.join(directory, one.filename)).st_size == one.file_size for one in entries if not one.is_dir())
    except OSError:
        return False


def _unpack_to(directory: str, zipped: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Unpack beside `directory` and rename: another process sees it whole or not at all."""
    temporary = f"{directory}.{secrets.token_hex(4)}"
    try:
        for name in ("", *sorted(archive.directories([entry.filename for entry in entries]))):
            os.mkdir(os.path.join(temporary, name), 0o700)
        for entry in entries:
            if not entry.is_dir():
                _write(os.path.join(temporary, entry.filename), zipped, entry)
        if os.path.lexists(directory) and not _is_whole(directory, entries):
            os.rename(directory, f"{temporary}.old")
        try:
            os.rename(temporary, directory)
        except OSError:
            if not _is_whole(directory, entries):  # somebody else has not been quicker
                raise
    finally:
        for leftover in (temporary, f"{temporary}.old"):
            shutil.rmtree(leftover, ignore_errors=True)


def _remove_unused(cache: str) -> None:
    limit = time.time() - _UNUSED
    for entry in os.scandir(cache):
        if entry.stat(follow_symlinks=False).st_mtime < limit:
            shutil.rmtree(entry.path, ignore_errors=True)


def _write(path: str, zipped: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Write one file, read-only: what runs from the cache must not change it."""
    mode = 0o500 if entry.external_attr >> 16 & stat.S_IXUSR else 0o400
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    with open(descriptor, "wb") as file, zipped.open(entry) as source:
        shutil.copyfileobj(source, file, 1 << 20)
