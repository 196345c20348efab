"""Snapshots as zip files: the same files and the same record give the same bytes.

Times are fixed, names sorted, and of modes only the executable bit stays. Directories have entries of their own: before Python 3.13 a zip
file without them has no packages that lack an `__init__.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import stat
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pkgutil import get_data
from typing import IO, Any

from ckpt._model.sources import open_regular
from ckpt.codebase.rules import RECORD, LeftOut
from ckpt.codebase.selection import Item
from ckpt.errors import CkptError, DamagedError, NotFoundError, UsageError

#: The first moment that a zip file can tell.
_TIME = (1980, 1, 1, 0, 0, 0)
#: Text shrinks to 28 percent, with the default level to 23 percent, in half the time.
_LEVEL = 1
#: What a snapshot may hold unpacked: this much, and that many times its own size.
_FREE, _RATIO = 64 << 20, 100
#: Larger files are not read as a whole.
_WHOLE = 16 << 20
#: What `zipfile` raises for a file that is damaged, encrypted (RuntimeError), or made in a way that it does not know. Each module that
#: unpacks has an exception of its own; that of `lzma`, which not every Python has, is there when `zipfile` has found it.
DAMAGE: tuple[type[Exception], ...] = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
DAMAGE += (sys.modules["lzma"].LZMAError,) if "lzma" in sys.modules else ()
#: What reading the record raises: it may be no JSON.
_UNREADABLE: tuple[type[Exception], ...] = (*DAMAGE, OSError, ValueError)
MAIN = "__main__.py"
SHEBANG = b"#!/usr/bin/env python3\n"

#: Told how many bytes are in, and how many there are.
Progress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What goes into a snapshot: the record, files on disk, and texts that are on no disk."""

    record: Mapping[str, Any]
    items: Sequence[Item] = ()
    texts: Mapping[str, bytes] = field(default_factory=dict)


def write(output: str, contents: Contents, *, is_program: bool = False, progress: Progress | None = None) -> list[LeftOut]:
    """Write a snapshot, whole or not at all; return which files could not be read. With `is_program` it can be started by its name.

    Raises `UsageError` when the place to write to is not there, `CkptError` when writing fails.
    """
    with _replacing(output, SHEBANG if is_program else b"") as file, zipfile.ZipFile(file, "w") as archive:
        _put(archive, RECORD, json.dumps(contents.record, indent=1, sort_keys=True).encode())
        texts = dict(contents.texts)
        names = [*texts, *(item.name for item in contents.items)]
        entries: dict[str, Item | bytes | None] = dict.fromkeys(directories(names))
        entries.update({item.name: item for item in contents.items})
        entries.update(texts)
        return _put_all(archive, dict(sorted(entries.items())), progress)


def limit(size: int) -> int:
    """Return how many bytes a snapshot of `size` bytes may unpack to without being asked for: more would be a bomb."""
    return _FREE + _RATIO * size


def name_of(file: IO[bytes]) -> str:
    """Return a word that stands for the content of an open snapshot: `codebase_` and sixteen hexadecimal digits."""
    file.seek(0)
    return f"codebase_{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"  # type: ignore[arg-type]  # `IO` is all that it asks for


def launcher(entry: str = "") -> bytes:
    """Return the text of a snapshot's `__main__.py`, for a fixed entry point or for one that is told on the command line."""
    text = get_data(__package__, "launching.py")
    assert text is not None
    return text.replace(b'ENTRY = ""', f"ENTRY = {entry!r}".encode(), 1)


def directories(names: Sequence[str]) -> set[str]:
    """Return all directories that files of these names lie in, each with a slash at its end."""
    found: set[str] = set()
    for name in names:
        directory = name.rpartition("/")[0]
        while directory and f"{directory}/" not in found:
            found.add(f"{directory}/")
            directory = directory.rpartition("/")[0]
    return found


def write_program(output: str, source: str, main: bytes) -> None:
    """Write the snapshot `source` once more, with `main` as its entry point. Raises as `write`."""
    with zipfile.ZipFile(source) as old, _replacing(output, SHEBANG) as file, zipfile.ZipFile(file, "w") as new:
        for info in old.infolist():
            if info.filename != MAIN:
                new.writestr(info, old.read(info), compresslevel=_LEVEL)
        _put(new, MAIN, main)


@contextmanager
def _replacing(output: str, head: bytes) -> Iterator[IO[bytes]]:
    """Give a new file that takes the place of `output` when all is well; `head` comes first and makes it executable."""
    folder = os.path.dirname(os.path.abspath(output))
    if not os.path.isdir(folder) or os.path.isdir(output):
        raise UsageError(f"{output!r} cannot be written: {'it is a directory' if os.path.isdir(output) else 'there is no such folder'}.")
    temporary = os.path.join(folder, f".{os.path.basename(output)}.{secrets.token_hex(4)}")
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with open(os.open(temporary, flags, 0o777 if head else 0o666), "w+b") as file:
            file.write(head)
            yield file
        os.replace(temporary, output)
    except OSError as err:
        raise CkptError(f"{output!r} cannot be written: {err.strerror or err}.") from err
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _put_all(archive: zipfile.ZipFile, entries: Mapping[str, Item | bytes | None], progress: Progress | None) -> list[LeftOut]:
    total, done, left_out = sum(item.size for item in entries.values() if isinstance(item, Item)), 0, []
    for name, entry in entries.items():
        if isinstance(entry, Item):
            if (reason := _put_file(archive, entry)) is not None:
                left_out.append(LeftOut(path=name, reason=reason))
            done += entry.size
            if progress is not None:
                progress(done, total)
        else:
            _put(archive, name, entry or b"")
    return left_out


def _put_file(archive: zipfile.ZipFile, item: Item) -> str | None:
    """Write one file; return why it could not be read."""
    try:
        descriptor = open_regular(item.path)
    except OSError as err:
        return f"cannot be read: {err.strerror or err}"
    with open(descriptor, "rb") as file:
        if item.size <= _WHOLE:
            _put(archive, item.name, file.read(), is_executable=item.is_executable)
        else:
            with archive.open(_entry(item.name, is_executable=item.is_executable), "w", force_zip64=True) as entry:
                shutil.copyfileobj(file, entry, 1 << 20)
    return None


def _put(archive: zipfile.ZipFile, name: str, data: bytes, *, is_executable: bool = False) -> None:
    archive.writestr(_entry(name, is_executable=is_executable), data, compresslevel=_LEVEL)


def _entry(name: str, *, is_executable: bool) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.create_system = 3  # Unix, wherever it is written
    if name.endswith("/"):
        entry.external_attr = (stat.S_IFDIR | 0o755) << 16 | 0x10
    else:
        entry.external_attr = (stat.S_IFREG | (0o755 if is_executable else 0o644)) << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What a zip file says of itself; `record` is empty when it is no snapshot of ours."""

    #: The package that its modules lie in when it is one of several versions, by which a pickle names it.
    name: str
    record: dict[str, Any]
    #: Name and size in bytes of each file, but the record.
    files: tuple[tuple[str, int], ...]


def read(path: str) -> Overview:
    """Return what is in a zip file, without unpacking it. Raises `NotFoundError` and `DamagedError`."""
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            files = tuple((entry.filename, entry.file_size) for entry in entries if not entry.is_dir() and entry.filename != RECORD)
            record = next((entry for entry in entries if entry.filename == RECORD), None)
            found = {} if record is None or record.file_size > _WHOLE else json.loads(archive.read(record))
            return Overview(name=name_of(file), record=found if isinstance(found, dict) else {}, files=files)
    except FileNotFoundError as err:
        raise NotFoundError(f"There is no snapshot {path!r}.") from err
    except _UNREADABLE as err:
        raise DamagedError(f"{path!r} cannot be read: {err}.") from err
