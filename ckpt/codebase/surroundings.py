"""What a snapshot says of the place it was made in: Python, installed packages, commit.

No times and no paths: the same place gives the same record.
"""

from __future__ import annotations

import platform
import sys
from typing import Any

from ckpt._model.packages import versions_on

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
    """Return name -> version of all packages that are installed on `sys.path`, sorted."""
    return {name.replace("_", "-"): version for name, version in sorted(versions_on(sys.path).items())}


def requirements(packages: dict[str, str]) -> str:
    """Return packages as `pip install -r` reads them."""
    return "".join(f"{name}=={version}\n" for name, version in packages.items())
