"""Any code in a folder in the place of the project's: an unpacked snapshot, another checkout.

Its modules bear the names under which the folder gives them to `import`, and are read from there, data files beside them too. The captured
script is the file of the folder whose path has the same end; imports begin there too, and where the captured modules lie in the folder.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

from ckpt._model.record import Json
from ckpt._replaying.captured_code import CapturedProject
from ckpt._replaying.modules import import_root
from ckpt.errors import CannotReplayError

#: What a person calls the folder, which may be one that a zip file was unpacked to.
_GIVEN = "the code that --code names"


class FolderProject(CapturedProject):
    """The project in the texts below `folder`. `process` says of a capture's process where its code lies in the folder.

    Raises `CannotReplayError` when `needed`, the module of the captured function, is one of the project's and not in the folder.
    """

    def __init__(self, process: Json, folder: str, needed: str) -> None:
        self.code = folder
        roots = _roots(process, folder)
        modules = {module: file for root in reversed(roots) for module, file in _modules(root)}
        if needed in (process.get("modules") or {}) and needed not in modules:
            raise _missing(needed, process["modules"][needed], folder)
        files = {file: file for file in modules.values()}
        super().__init__(_moved(process, folder, roots) | {"files": files, "modules": modules, "omitted": {}}, _read)

    def text(self, file: str) -> bytes:
        """Return the text of a script or module of the folder; raise `CannotReplayError` when it is not in it."""
        try:
            return super().text(file)
        except CannotReplayError as err:
            raise _missing(os.path.basename(file), file, self.code) from err

    def notes(self) -> list[str]:
        """Return which modules of the user's do not come from the folder, one line each."""
        return [line.partition(": ")[0] + f": it is not in {_GIVEN}" for line in super().notes()]


def _missing(name: str, file: str, folder: str) -> CannotReplayError:
    """Return the error for what is not in the folder; the command in the hint looks for its file wherever else in there it may lie."""
    looking = shlex.join(["find", folder, "-name", os.path.basename(file)])
    return CannotReplayError(f"{name!r} is not in {_GIVEN}.", hint=f"{looking} looks for it at another place in there")


def _roots(process: Json, folder: str) -> list[str]:
    """Return where imports begin in the folder: where the captured modules and the script lie in it, and at its top."""
    known = [(module, _same_end(file, folder)) for module, file in (process.get("modules") or {}).items()]
    script = _same_end(str((process.get("main") or {}).get("file")), folder)
    found = [import_root(module, file) for module, file in known if file is not None]
    found += [os.path.dirname(script)] if script is not None else []
    return list(
        dict.fromkeys([*(root for root in found if root is not None and f"{root}{os.sep}".startswith(f"{folder}{os.sep}")), folder])
    )


def _modules(root: str) -> Iterator[tuple[str, str]]:
    """Yield module and file of all that can be imported with `root` on the path, packages without `__init__.py` included."""
    for directory, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name.isidentifier())
        parts = [] if directory == root else os.path.relpath(directory, root).split(os.sep)
        for name in sorted(names):
            stem, suffix = os.path.splitext(name)
            module = parts if stem == "__init__" else [*parts, stem]
            if suffix == ".py" and module and stem != "__main__":
                yield ".".join(module), os.path.join(directory, name)


def _moved(process: Json, folder: str, roots: list[str]) -> Json:
    """Return `process` as if the roots had been in front of its path, and its script in the folder."""
    main = process.get("main") or {}
    file = main.get("file")
    if isinstance(file, str):
        main = {**main, "file": _same_end(file, folder) or file}
    return {**process, "main": main, "path": [*roots, *(process.get("path") or ())]}


def _same_end(file: str, folder: str) -> str | None:
    """Return the file in `folder` whose path shares the longest end with `file`; that itself where it lies in there."""
    if file.startswith(f"{folder}{os.sep}") and os.path.isfile(file):
        return file
    parts = os.path.normpath(file).split(os.sep)
    candidates = (os.path.join(folder, *parts[number:]) for number in range(1, len(parts)))
    return next((path for path in candidates if os.path.isfile(path)), None)


def _read(file: str) -> str:
    with open(file, "rb") as opened:
        return opened.read().decode("utf-8", "surrogateescape")


__all__ = ["FolderProject"]
