"""The values of a capture as live objects, each moment loaded when it is first asked for.

Loading runs foreign code: it imports the modules that the values name and calls their constructors. What cannot be loaded is a
placeholder in its place; everything else loads all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from typing import Any

from ckpt._model.codec import decode
from ckpt._model.loading import Surroundings
from ckpt._model.record import Manifest
from ckpt._model.redact import MARK
from ckpt._replaying import namespaces
from ckpt._replaying.descriptions import as_described
from ckpt._replaying.modules import is_same_python
from ckpt._replaying.setting import Setting
from ckpt._store.stored import Moment, Stored
from ckpt.errors import CannotReplayError

#: Today's object for a class or function that was kept by value, given its module and qualname; or None for the captured one.
Resolve = Callable[[str, str], object | None]
_MASKED = re.compile(MARK.encode())


class Values:
    """The values of one capture, of the code in `setting`."""

    def __init__(self, stored: Stored, setting: Setting) -> None:
        self._stored, self._setting = stored, setting
        #: Whether a placeholder, or a text with a secret in it masked, was among what has been loaded.
        self.has_gaps = False

    @cached_property
    def manifest(self) -> Manifest | None:
        """The records of the failure; None for a capture without one."""
        return self._stored.failure.manifest() if self._stored.failure is not None else None

    @cached_property
    def of_failure(self) -> dict[str, Any]:
        """What was there when the call failed: `exceptions`, `locals` and `globals`, by the numbers in the manifest, and the arguments."""
        assert self._stored.failure is not None
        if not self._stored.has_values and self.manifest is not None:
            return as_described(self.manifest)
        made: dict[tuple[str, str], object] = {}
        values = {"exceptions": [], "locals": [], "globals": []} | self.decoded(self._stored.failure, captured_ones, made)
        if isinstance(values["globals"], list):
            namespaces.complete(values["globals"], made)
        return values

    def of_call(self, resolve: Resolve) -> dict[str, Any]:
        """Return `args` and `kwargs`: as they were at entry when entry was recorded, else as they were at the failure.

        Raises `CannotReplayError` when neither was kept.
        """
        moment = self._stored.entry or self._stored.failure
        if moment is None:
            raise CannotReplayError(f"The arguments of {self._stored.header.name} were not kept.")
        values = self.of_failure if moment is self._stored.failure and resolve is captured_ones else self.decoded(moment, resolve)
        if moment is self._stored.failure and self._stored.view is not None and self.manifest is not None:
            inner = self.manifest.call_at(self._stored.view)
            return values["inner"][inner] if inner is not None else values
        return values

    def function(self, resolve: Resolve) -> Any:
        """Return the captured function where it was kept by value; None where an import finds it."""
        read = self._stored.function
        if read is None:
            return None
        return decode(read(), (), self._surroundings(resolve, {}))["function"]

    def decoded(self, moment: Moment, resolve: Resolve, made: dict[tuple[str, str], object] | None = None) -> dict[str, Any]:
        """Return the values of a moment; classes and functions that were kept by value, and have been made, are put into `made`."""
        self._stored.check_values()
        surroundings = self._surroundings(resolve, made if made is not None else {})
        with self._setting.entered():
            stream = moment.stream()
            values = decode(stream, moment.buffers(), surroundings)
        self.has_gaps |= surroundings.has_gaps or _MASKED.search(stream) is not None
        return values if isinstance(values, dict) else {}

    def _surroundings(self, resolve: Resolve, made: dict[tuple[str, str], object]) -> Surroundings:
        return Surroundings(same_python=is_same_python(self._setting.process), resolve=resolve, made=made)


def captured_ones(module: str, qualname: str) -> object | None:
    """Take classes and functions that were kept by value as they were captured."""
    return None


def part(values: dict[str, Any], key: str, kind: type) -> Any:
    """Return one of the values; raise `CannotReplayError` when it is not what it was."""
    found = values.get(key)
    if not isinstance(found, kind):
        raise CannotReplayError("The arguments cannot be loaded.", hint="ckpt show")
    return found


__all__ = ["Resolve", "Values", "captured_ones", "part"]
