"""The frames of a capture that holds no values: each variable is what was written down of it, and nothing is loaded for that."""

from __future__ import annotations

from typing import Any

from ckpt._model.placeholder import Placeholder
from ckpt._model.record import Manifest, Value

__all__ = ["as_described"]

REASON = "it was exported with --no-values"


class Described(Placeholder):
    """Stands for a value of which there is only the description, which is what it prints."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{self.ckpt_type}, only described: {self.ckpt_description}>"


def as_described(manifest: Manifest) -> dict[str, Any]:
    """Return what a failure's stream would have held, as far as `manifest` tells: the variables, and neither exceptions nor globals."""
    variables = [{value.name: _stand_in(value) for value in frame.locals} for frame in manifest.frames]
    return {"exceptions": [], "globals": [], "locals": variables}


def _stand_in(value: Value) -> Placeholder:
    if value.reason is not None:
        return Placeholder(value.type, value.text, value.reason)
    length = "" if value.length is None else f" ({value.length})"
    return Described(f"{value.type}{length}", value.text, REASON)
