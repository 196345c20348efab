"""What a snapshot says of the place it was made in: Python, installed packages, commit.

No times and no paths: the same place gives the same record.
"""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

#: The number in each snapshot's record.
FORMAT = 1


def describe(*, commit: str | None, is_dirty: bool | None, libraries: list[str]) -> dict[str, Any]:
    """Return the record of a snapshot: `dirty` says whether it holds anything that the commit does not."""
    return {
        "format": FORMAT,
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "packages": installed_packages(),
        "commit": commit,
        "dirty": is_dirty,
        "libraries": libraries,
    }


def installed_packages() -> dict[str, str]:
    """Return name -> version of all packages that are installed on `sys.path`, as the names of their metadata directories tell.

    `importlib.metadata` would parse a file of each, descriptions included: a hundred times slower, for the same two words.
    """
    found: dict[str, str] = {}
    for entry in reversed(sys.path):
        try:
            names = os.listdir(entry or ".")
        except OSError:
            continue
        found |= dict(filter(None, map(_package, sorted(names))))
    return dict(sorted(found.items()))


def _package(directory: str) -> tuple[str, str] | None:
    stem, suffix = os.path.splitext(directory)
    if suffix not in {".dist-info", ".egg-info"}:
        return None
    name, dash, version = stem.partition("-")
    return (name.replace("_", "-").lower(), version.partition("-")[0]) if dash else None


def requirements(packages: dict[str, str]) -> str:
    """Return packages as `pip install -r` reads them."""
    return "".join(f"{name}=={version}\n" for name, version in packages.items())
