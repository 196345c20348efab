"""The parameters of `@ckpt`, checked, and the names that captures may have."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, fields

from ckpt._model.record import NAME
from ckpt.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `@ckpt` was given. Raises `UsageError` for what cannot work."""

    name: str | None = None
    active: bool | Callable[..., bool] = True
    on_error: bool = True
    save_locals: bool = True
    callers: bool = False
    keep: int = 10
    max_bytes: int | None = None
    exclude: tuple[type, ...] = ()

    def __post_init__(self) -> None:
        name: object = self.name  # what a program without a type checker gave
        if name is not None and not (isinstance(name, str) and NAME.fullmatch(name)):
            raise UsageError(f"{name!r} cannot be the name of a capture.", hint="use letters, digits and _ . = + @ -, at most 128")
        if not (isinstance(self.active, bool) or callable(self.active)):
            raise UsageError(f"active is a bool or a function, not {self.active!r}.")
        for field in ("keep", "max_bytes"):
            value = getattr(self, field)
            if (type(value) is not int or value < 1) and not (value is None and field == "max_bytes"):
                raise UsageError(f"{field} is a whole number from 1, not {value!r}.")
        exclude: object = self.exclude
        if not (isinstance(exclude, tuple) and all(isinstance(kind, type) for kind in exclude)):
            raise UsageError(f"exclude is a tuple of types, not {exclude!r}.", hint="exclude=(MyType,)")


#: What `@ckpt` takes.
PARAMETERS = frozenset(field.name for field in fields(Options))


def is_disabled() -> bool:
    """Whether `PYCKPT_DISABLE` switches ckpt off."""
    return os.environ.get("PYCKPT_DISABLE", "0") not in {"", "0"}


def default_name(qualname: str) -> str:
    """Return the name of the captures of a function: its qualified name, in the letters that a name may have."""
    name = qualname.replace("<locals>.", "").replace("<lambda>", "lambda").replace("<module>", "module")
    name = re.sub(r"[^\w.=+@-]", "_", name)[:128]
    return name if NAME.fullmatch(name) else f"f{name}"[:128]
