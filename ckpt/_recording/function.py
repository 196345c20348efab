"""The captured function itself: where no import in another process finds it, it goes along with its captures."""

from __future__ import annotations

import functools
import sys
from typing import Any

from ckpt._model.codec import Limits, encode
from ckpt._model.reducing import MAIN_NAMES
from ckpt._model.secrets import Secrets
from ckpt._recording.concealing import secrets_in
from ckpt._recording.ground import Ground
from ckpt._recording.options import Options

#: What the qualified name of a partial ends with, below that of its function: no name leads to the partial.
PARTIAL = ".<partial>"


def names_of(function: object) -> tuple[str, str]:
    """Return the module and the qualified name of what `@ckpt` is put on; of a partial, those of the function below it, with `PARTIAL`."""
    below: Any = function
    while isinstance(below, functools.partial):
        below = below.func
    module, qualname = getattr(below, "__module__", None) or "", getattr(below, "__qualname__", None) or "call"
    return module, qualname if below is function else f"{qualname}{PARTIAL}"


class Function:
    """A function, or None for an exception that is captured without one."""

    def __init__(self, function: object, module: str, qualname: str) -> None:
        self._function = function
        self._module, self._qualname = module, qualname
        #: The ground on which it was last kept by value, and its name there; empty when an import finds it.
        self._kept: tuple[Ground | None, str] = (None, "")

    def unimportable(self) -> object:
        """Return the function when only its captures can bring it along, else None."""
        return None if self._function is None or self._is_found_by_name() else self._function

    def unlike_others(self) -> object:
        """Return the function when it must go with each call: no import finds it, and it has variables of its own; else None."""
        return self.unimportable() if getattr(self._function, "__closure__", None) is not None else None

    def name_on(self, here: Ground, options: Options, secrets: Secrets | None, *, nested: bool) -> str:
        """Return the name of the record that keeps the function for all captures of a process, made when needed; empty when none does."""
        if self._kept[0] is not here:
            if nested:
                return ""
            self._kept = (here, self._keep(here, options, secrets))
        return self._kept[1]

    def _is_found_by_name(self) -> bool:
        """Whether an import in another process finds the wrapper, and so the function under it."""
        found: Any = sys.modules.get(self._module) if self._module not in MAIN_NAMES else None
        for name in self._qualname.split("."):
            found = getattr(found, name, None)
        return found is not None

    def _keep(self, here: Ground, options: Options, secrets: Secrets | None) -> str:
        function = self.unimportable()
        if function is None:
            return ""
        limits = Limits(max_bytes=options.max_bytes or here.max_bytes, exclude=options.exclude)
        encoded = encode({"function": function}, [], limits, secrets=secrets, search=lambda _: secrets_in(function))
        return "" if encoded.buffers else here.journal.share("function", encoded.stream)
