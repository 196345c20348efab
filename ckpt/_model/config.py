"""What `[tool.ckpt]` in a project's `pyproject.toml` says.

Data only: reading runs nothing. What makes no sense there is passed over, and said once by whoever asked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ckpt._model.interrupts import let_pass
from ckpt._model.redact import words

#: A `pyproject.toml` above this is no such file.
_LIMIT = 1 << 20
_SIZE = re.compile(r"(\d+)\s*(?:([kKMGT])(i?)B?|B)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of a project."""

    #: The file they were read from; empty when there is none with a table `[tool.ckpt]`.
    file: str = ""
    #: The largest source text that is kept, and what the texts of one process may hold together, in bytes.
    source_file_limit: int = 1 << 20
    source_total_limit: int = 50 << 20
    #: The most that one capture may hold where `@ckpt` does not say, and all captures of a store together, in bytes.
    max_bytes: int = 1 << 30
    quota: int = 10 << 30
    #: Absolute patterns of files that are the project's although they are installed, and of those that are not although they lie in it.
    source_include: tuple[str, ...] = ()
    source_exclude: tuple[str, ...] = ()
    #: Names, or words in them, that say that a value is secret, and words that do not.
    secret: tuple[str, ...] = ()
    not_secret: tuple[str, ...] = ()
    #: What in the table makes no sense, one line each.
    complaints: tuple[str, ...] = ()

    def decides(self, file: str) -> bool | None:
        """Return whether a pattern makes `file` the project's, or takes it out; None when none names it."""
        if any(fnmatchcase(file, pattern) for pattern in self.source_exclude):
            return False
        return True if any(fnmatchcase(file, pattern) for pattern in self.source_include) else None


def read_config(directory: str) -> Config:
    """Return the settings in the nearest `pyproject.toml` from `directory` upwards; the defaults when it has none of ours. Never raises."""
    file = _nearest(directory)
    try:
        with open(file, "rb") as opened:
            text = opened.read(_LIMIT)
        if not file or b"tool.ckpt" not in text:
            return Config()
        import tomllib

        table = tomllib.loads(text.decode()).get("tool", {}).get("ckpt", {})
    except (OSError, ValueError, AttributeError, ImportError) as error:
        let_pass(error)
        return Config(complaints=(f"{file} cannot be read, and nothing in it holds: {error}",)) if file else Config()
    return _config(file, table) if isinstance(table, dict) else Config(complaints=(f"{file}: [tool.ckpt] is no table",))


def _nearest(directory: str) -> str:
    while directory:
        file = os.path.join(directory, "pyproject.toml")
        if os.path.isfile(file):
            return file
        parent = os.path.dirname(directory)
        directory = parent if parent != directory else ""
    return ""


def _config(file: str, table: dict[str, Any]) -> Config:
    taken: dict[str, Any] = {}
    complaints = []
    for name, value in table.items():
        convert = _KINDS.get(name)
        if convert is None:
            complaints.append(f"{file}: [tool.ckpt] has no setting {name!r}")
            continue
        try:
            taken[name] = convert(value, os.path.dirname(file))
        except ValueError as error:
            complaints.append(f"{file}: {name} = {value!r} is no {error}")
    return Config(file=file, complaints=tuple(complaints), **taken)


def _size(value: object, root: str) -> int:
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is not None:
        number, unit, binary = match.groups()
        power = "kMGT".index(unit.replace("K", "k")) + 1 if unit else 0
        return int(number) * int((1024 if binary else 1000) ** power)
    if type(value) is not int or value < 0:
        raise ValueError('size: a number of bytes, or a text like "2MB"')
    return value


def _texts(value: object) -> list[str] | None:
    """Return a list of texts, or of the only one; None for anything else."""
    found: list[Any] = value if isinstance(value, list) else [value]
    return found if all(isinstance(text, str) for text in found) else None


def _patterns(value: object, root: str) -> tuple[str, ...]:
    """Return patterns, those that are relative made absolute; one that ends with a slash means everything below."""
    found = _texts(value)
    if found is None:
        raise ValueError("list of patterns")
    return tuple(os.path.join(root, f"{pattern}*" if pattern.endswith("/") else pattern) for pattern in found)


def _names(value: object, root: str) -> tuple[str, ...]:
    found = _texts(value)
    if found is None or not all(map(words, found)):
        raise ValueError('list of names, and has no effect: ["student_id"]')
    return tuple(found)


_KINDS: dict[str, Callable[[object, str], object]] = {
    "max_bytes": _size,
    "not_secret": _names,
    "quota": _size,
    "secret": _names,
    "source_file_limit": _size,
    "source_total_limit": _size,
    "source_include": _patterns,
    "source_exclude": _patterns,
}
