"""One way to warn, at the line of the program that called into this wing."""

from __future__ import annotations

import sys
import warnings

from ckpt.errors import CkptWarning


def warn(text: str, category: type[Warning] = CkptWarning) -> None:
    """Warn of `text` where the program called us."""
    level = 1
    while sys._getframe(level).f_globals.get("__name__", "").startswith(("ckpt.checkpoints", "functools")):
        level += 1
    warnings.warn(text, category, stacklevel=level + 1)
