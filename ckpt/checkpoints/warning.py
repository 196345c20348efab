"""One way to warn, at the line of the program that called into this wing."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping

from ckpt.errors import CkptWarning


def warn(text: str, category: type[Warning] = CkptWarning) -> None:
    """Warn of `text` where the program called us."""
    level = 1
    while sys._getframe(level).f_globals.get("__name__", "").startswith(("ckpt.checkpoints", "functools")):
        level += 1
    warnings.warn(text, category, stacklevel=level + 1)


def warn_of_losses(name: str, reasons: Mapping[str, str]) -> None:
    """Warn of each value in the checkpoint `name` that was not kept as a whole, given why; an empty text for one that was."""
    for value, reason in reasons.items():
        if reason:
            warn(f"Not all of {value!r} in the checkpoint {name!r} could be kept: {reason}")
