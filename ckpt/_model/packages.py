"""Which versions of installed packages there are, told from the names of directories: nothing is imported."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from ckpt._model.interrupts import let_pass

_INFO = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(?:-[^-]+)*\.(?:dist|egg)-info")


def versions_on(path: Iterable[object]) -> dict[str, str]:
    """Return name -> version of the distributions on `path`, as `sys.path` finds them; names in lower case, with `_` for `-` and `.`."""
    found: dict[str, str] = {}
    for entry in path:
        try:
            names = os.listdir(entry) if type(entry) is str and entry else ()
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            let_pass(error)
            continue
        for name in names:
            match = _INFO.fullmatch(name) if name.endswith("-info") else None
            if match is not None:
                found.setdefault(canonical(match["name"]), match["version"])
    return found


def canonical(name: str) -> str:
    """Return how a distribution or module is looked up."""
    return re.sub(r"[-_.]+", "_", name).lower()
