"""Checkpoints kept in a dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ckpt._model.tags import Tags
from ckpt.checkpoints.copies import copied, is_same
from ckpt.checkpoints.paths import key
from ckpt.checkpoints.staging import staged, unstaged
from ckpt.checkpoints.warning import warn_of_losses
from ckpt.errors import ExistsError


class DictHandler:
    """Keeps values in `objects`: a dict of them for each path, such as `date=2017-01-01/MyPackage/foo`.

    They are copies, what a file would give back: what the program does to its own afterwards does not show, and what a file cannot keep is
    a placeholder, and warned of. To store other values under a path that is taken raises `ExistsError`, unless `force`.
    """

    def __init__(self, objects: dict[str, dict[str, Any]] | None = None, force: bool = False) -> None:
        self.objects = {} if objects is None else objects
        self.force = force

    def stage(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return `values` as they are now, for a `put` that comes later."""
        return staged(values, copied)

    def put(self, name: str, tags: Tags, values: Mapping[str, Any]) -> None:
        """Keep `values` under the path of `name` and `tags`."""
        path, copies = key(name, tags), unstaged(values, copied)
        kept = {each: copy.value for each, copy in copies.items()}
        held = self.objects.setdefault(path, kept)
        if self.force:
            self.objects[path] = kept
        elif held is not kept and not _is_same(held, kept):
            raise ExistsError(f"Other values are stored under {path!r} already.", hint="DictHandler(force=True), or tags that differ")
        warn_of_losses(name, {each: copy.lost for each, copy in copies.items()})


def _is_same(held: Mapping[str, Any], kept: Mapping[str, Any]) -> bool:
    return held.keys() == kept.keys() and all(is_same(held[name], kept[name]) for name in kept)
