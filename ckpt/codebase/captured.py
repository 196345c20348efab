"""The code of a capture as a snapshot: the source texts that were kept with it. Nothing is loaded and nothing is imported."""

from __future__ import annotations

import os
from typing import Any

from ckpt._model.sources import is_project
from ckpt._store.store import Store
from ckpt._store.stored import Stored
from ckpt.codebase import archive, surroundings
from ckpt.codebase.archive import MAIN, Contents
from ckpt.codebase.rules import LeftOut
from ckpt.codebase.snapshot import Path, Report, libraries_of
from ckpt.errors import NotFoundError

#: Where files go that no entry of the captured `sys.path` leads to.
_OUTSIDE = "outside"
#: No path of a file has more characters.
_LONGEST = 4096


def from_capture(store: Store, name: str | None, output_zipname: Path) -> Report:
    """Write a snapshot of a capture's code: the project's modules as they were imported, each where an import finds it.

    `name` is a name, `module.name`, `name~2`, an id or None for the newest. Raises `NotFoundError` when there is no such capture, or when
    no source was kept with it.
    """
    stored = store.get(store.find(name).id)
    texts, left_out = _laid_out(_sources(stored), _Places(stored.process))
    if not texts:
        raise NotFoundError(f"No source was kept with the capture {stored.header.id!r}.")
    names = list(texts)
    record = _record(stored.process, names)
    texts.setdefault(MAIN, archive.launcher())
    output = os.path.expanduser(os.fspath(output_zipname))
    archive.write(output, Contents(record=record, texts=texts))
    return Report(
        path=output,
        files=tuple(sorted(names)),
        left_out=tuple(left_out),
        size=sum(len(texts[name]) for name in names),
        size_of_zip=os.path.getsize(output),
        commit=record["commit"],
        notes=("a capture keeps source texts: data files that lay beside the code are not in it",),
    )


def _sources(stored: Stored) -> dict[str, bytes]:
    """Return file -> text of the modules that were loaded, and of what stands in the frames besides, such as the cells of a notebook."""
    names = {file: name for file, name in (stored.process.get("files") or {}).items() if isinstance(name, str)}
    for frame in stored.failure.manifest().frames if stored.failure is not None else ():
        if frame.source and is_project(frame.file):
            names.setdefault(frame.file, frame.source)
    return {file: stored.source(name).encode("utf-8", "surrogateescape") for file, name in sorted(names.items()) if len(file) <= _LONGEST}


def _laid_out(sources: dict[str, bytes], places: _Places) -> tuple[dict[str, bytes], list[LeftOut]]:
    """Return the texts under their names in the snapshot. Of two with one name, the one that an import would have found stays."""
    texts: dict[str, bytes] = {}
    left_out = []
    for file in sorted(sources, key=places.rank):
        name = places.name(file)
        if name in texts:
            left_out.append(LeftOut(path=file, reason=f"another file is {name}"))
        else:
            texts[name] = sources[file]
    return texts, left_out


class _Places:
    """Where the files of a captured process lie in a snapshot: under the names of their modules, the others below the roots of its path."""

    def __init__(self, process: dict[str, Any]) -> None:
        modules = process.get("modules") or {}
        self._modules = {file: module for module, file in modules.items() if all(part.isidentifier() for part in module.split("."))}
        entries = [*(process.get("path") or ()), process.get("cwd")]
        self._roots = list(dict.fromkeys(os.path.normpath(one) for one in entries if isinstance(one, str) and os.path.isabs(one)))

    def name(self, file: str) -> str:
        if file in self._modules:
            base, suffix = os.path.splitext(os.path.basename(file))
            path = self._modules[file].replace(".", "/")
            return f"{path}/__init__{suffix}" if base == "__init__" else f"{path}{suffix}"
        root = self._root(file)
        inside = os.path.relpath(file, root) if root is not None else os.path.join(_OUTSIDE, os.path.splitdrive(file)[1].lstrip("/\\"))
        plain = os.path.normpath(inside).replace(os.sep, "/").replace("../", "")
        return plain.encode("utf-8", "backslashreplace").decode()

    def rank(self, file: str) -> tuple[bool, int, str]:
        """Return what sorts modules first, and the others as their roots stand on the path."""
        root = self._root(file)
        return (file not in self._modules, len(self._roots) if root is None else self._roots.index(root), file)

    def _root(self, file: str) -> str | None:
        """Return the innermost root: of `/project` and `/project/src`, a script in the latter was started there."""
        around = [root for root in self._roots if os.path.normpath(file).startswith(f"{root.rstrip(os.sep)}{os.sep}")]
        return max(around, key=len, default=None)


def _record(process: dict[str, Any], names: list[str]) -> dict[str, Any]:
    kept = {key: process.get(key) for key in ("python", "implementation", "commit")}
    packages = process.get("packages")
    return kept | {
        "format": surroundings.FORMAT,
        "packages": packages if isinstance(packages, dict) else {},
        "dirty": None,
        "libraries": libraries_of(names),
    }
