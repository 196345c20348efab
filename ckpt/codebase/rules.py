"""What a snapshot leaves out, and why. Only names, sizes and kinds of files count; nothing is read but the first bytes of archives."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ckpt.errors import UsageError

#: The record of a snapshot, its first entry: by it a snapshot is known, and left out of the next one.
RECORD = ".ckpt-snapshot.json"

#: Directories that are never code.
_NEVER = {
    ".git": "version control",
    ".hg": "version control",
    ".svn": "version control",
    ".pyckpt": "captures",
    "__pycache__": "compiled code",
    ".ipynb_checkpoints": "copies that Jupyter makes",
    ".aws": "it may hold secrets",
    ".gnupg": "it may hold secrets",
    ".kube": "it may hold secrets",
    ".ssh": "it may hold secrets",
}
_SECRET = re.compile(
    r"""\.env(?!\.(?:example|sample|template|dist)$)(?:\..+)? | .+\.env | \.envrc | [._]netrc | \.pypirc | \.pgpass | \.htpasswd
    | \.git-credentials | id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)? | .+\.(?:pem|key|p12|pfx|jks|keystore|ppk|kdbx|gpg) | kubeconfig
    | (?:credentials?|secrets?|client_secret.*)(?:\.(?:json|toml|ya?ml|ini|cfg|csv))? | service[_-]account.*\.json""",
    re.VERBOSE | re.IGNORECASE,
)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]|^[A-Za-z]:")
_COMPILED = (".pyc", ".pyo")
_ARCHIVES = (".zip", ".pyz")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}

#: What `shutil.copytree` takes: a directory and the names in it; gives the names to leave out.
Ignore = Callable[[str, list[str]], Iterable[str]]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class LeftOut:
    """A file or, with a slash at its end, a directory that is not in a snapshot."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the caller leaves out, besides what never goes in."""

    ignore: tuple[Ignore, ...] = ()
    #: Patterns for a name, or with a slash in them for a path from the top.
    ignore_patterns: tuple[str, ...] = field(default=())
    py_only: bool = False
    #: In bytes.
    ignore_larger_than: int | None = None


def parse_size(size: float | str | None) -> int | None:
    """Return bytes for `"100K"`, `"1M"`, `"2.5g"` (powers of ten) or a number; None for None. Raises `UsageError` for anything else."""
    if size is None or isinstance(size, int | float):
        return None if size is None else int(size)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)b?", size.strip().lower(), re.ASCII)
    if match is None:
        raise UsageError(f"{size!r} is no size.", hint="a number and K, M or G: 1M")
    return int(float(match[1]) * _UNITS[match[2]])


def why_not_directory(path: str, name: str) -> str:
    """Return why nothing in the directory at `path` goes into a snapshot; an empty text when it may."""
    if name in _NEVER:
        return _NEVER[name]
    if os.path.exists(os.path.join(path, "pyvenv.cfg")) or os.path.isdir(os.path.join(path, "conda-meta")):
        return "a virtual environment"
    return ""


def why_not_name(name: str) -> str:
    """Return why a file of that name stays out of a snapshot; an empty text when it may go in."""
    if _SECRET.fullmatch(name):
        return "it may hold a secret; it is taken only when it is named"
    if name.endswith(_COMPILED):
        return "compiled code"
    return ""


def why_not_path(path: str) -> str:
    """Return why nothing is unpacked from a snapshot under this path; an empty text for one that means the same everywhere."""
    if path.startswith("/") or _UNSAFE.search(path):
        return "no relative path on every system"
    if any(part in {"", ".", ".."} for part in path.removesuffix("/").split("/")):
        return "it leads out of the snapshot"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is no text"
    return ""


def why_not_pattern(path: str, patterns: Iterable[str]) -> str:
    """Return which of the caller's patterns leaves out the file or directory at `path`, relative to the top."""
    name = path.rpartition("/")[2]
    for pattern in patterns:
        wanted = pattern.removeprefix("./").strip("/")
        if fnmatch.fnmatch(path if "/" in wanted else name, wanted):
            return f"the pattern {pattern}"
    return ""


def why_not_file(path: str, status: os.stat_result, rules: Rules) -> str:
    """Return why the file at `path` stays out, by its kind, size and suffix; an empty text when it may go in."""
    if not stat.S_ISREG(status.st_mode):
        return "no regular file"
    limit = rules.ignore_larger_than
    if limit is not None and status.st_size > limit:
        return f"larger than {limit:,} bytes"
    if rules.py_only and not path.endswith(".py"):
        return "no .py file"
    return "a snapshot itself" if path.endswith(_ARCHIVES) and is_snapshot(path) else ""


def is_snapshot(path: str) -> bool:
    """Whether the file at `path` is an archive whose first entry is a snapshot's record."""
    try:
        with open(path, "rb") as file:
            return RECORD.encode() in file.read(256)
    except OSError:
        return False
