"""Any code in a folder in the place of the project's: an unpacked snapshot, another checkout.

Its modules bear the names under which the folder gives them to `import`, and are read from there, data files beside them too. The captured
script is the file of the folder whose path has the same end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from ckpt._model.record import Json
from ckpt._replaying.captured_code import CapturedProject
from ckpt.errors import CannotReplayError


class FolderProject(CapturedProject):
    """The project in the texts below `folder`. `process` says of a capture's process where its code lies in the folder."""

    def __init__(self, process: Json, folder: str) -> None:
        self.folder = folder
        modules = dict(_modules(folder))
        files = {file: file for file in modules.values()}
        super().__init__(_moved(process, folder) | {"files": files, "modules": modules, "omitted": {}}, _read)

    def text(self, file: str) -> bytes:
        """Return the text of a script or module of the folder; raise `CannotReplayError` when it is not in it."""
        try:
            return super().text(file)
        except CannotReplayError as err:
            raise CannotReplayError(f"{file!r} is not in {self.folder!r}.", hint="leave --code out") from err

    def notes(self) -> list[str]:
        """Return which modules of the user's do not come from the folder, one line each."""
        return [line.partition(": ")[0] + f": it is not in {self.folder}" for line in super().notes()]


def _modules(folder: str) -> Iterator[tuple[str, str]]:
    """Yield module and file of all that can be imported with `folder` on the path, packages without `__init__.py` included."""
    for directory, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name.isidentifier())
        parts = [] if directory == folder else os.path.relpath(directory, folder).split(os.sep)
        for name in sorted(names):
            stem, suffix = os.path.splitext(name)
            module = parts if stem == "__init__" else [*parts, stem]
            if suffix == ".py" and module and stem != "__main__":
                yield ".".join(module), os.path.join(directory, name)


def _moved(process: Json, folder: str) -> Json:
    """Return `process` as if the folder had been in front of its path, and its script in the folder."""
    main = process.get("main") or {}
    file = main.get("file")
    if isinstance(file, str):
        main = {**main, "file": _same_end(file, folder) or file}
    return {**process, "main": main, "path": [folder, *(process.get("path") or ())]}


def _same_end(file: str, folder: str) -> str | None:
    """Return the file in `folder` whose path shares the longest end with `file`."""
    parts = os.path.normpath(file).split(os.sep)
    candidates = (os.path.join(folder, *parts[number:]) for number in range(1, len(parts)))
    return next((path for path in candidates if os.path.isfile(path)), None)


def _read(file: str) -> str:
    with open(file, "rb") as opened:
        return opened.read().decode("utf-8", "surrogateescape")


__all__ = ["FolderProject"]
