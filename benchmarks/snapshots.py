"""Snapshots: writing one of 3,000 files, and opening one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import zlib
from collections.abc import Iterator
from itertools import islice

from benchmarks.measuring import Figure, Place, alternate, timed
from ckpt.codebase import UniqueCodebase, checkpoint

FILES = 3000
#: The level that snapshots are compressed with.
LEVEL = 1


def measure(place: Place, rounds: int = 7) -> Iterator[Figure]:
    """Yield the figures for a folder, for the same folder as a git checkout, and for opening what was written."""
    tree, output = os.path.join(place.directory, "tree"), os.path.join(place.directory, "codebase.zip")
    os.environ["XDG_CACHE_HOME"] = os.path.join(place.directory, "cache")
    size = _plant(tree)
    what = f"snapshot of {FILES:,} files, {size / 1e6:.0f} MB"
    pairs = alternate(lambda: timed(checkpoint, tree, output), lambda: timed(_read_and_compress, tree), rounds)
    yield Figure(what=what, value=pairs.ratio, target=2, note=f"{pairs.note} to read and compress")
    for command in (("init", "-q"), ("add", "-A")):
        subprocess.run(["git", *command], cwd=tree, check=True)
    pairs = alternate(lambda: timed(checkpoint, tree, output), lambda: timed(_read_and_compress, tree), rounds)
    yield Figure(what=f"{what}, in git", value=pairs.ratio, target=2, note=f"{pairs.note} to read and compress")
    _open(output)
    pairs = alternate(lambda: timed(_open, output), lambda: timed(_read, output), rounds)
    yield Figure(what="open a snapshot again", value=pairs.ratio, note=f"{pairs.note} to read the zip file")


def _open(path: str) -> None:
    UniqueCodebase(path).close()


def _plant(tree: str) -> int:
    """Copy that many installed modules to `tree`; return their bytes."""
    library = sysconfig.get_path("purelib")
    modules = (
        os.path.join(folder, name) for folder, _, names in sorted(os.walk(library)) for name in sorted(names) if name.endswith(".py")
    )
    size = 0
    for module in islice((path for path in modules if os.path.getsize(path)), FILES):
        copy = os.path.join(tree, os.path.relpath(module, library))
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        shutil.copyfile(module, copy)
        size += os.path.getsize(copy)
    return size


def _read_and_compress(tree: str) -> None:
    """Do the least that a snapshot needs: read each file, compress it, write it out."""
    with open(f"{tree}.bytes", "wb") as output:
        for folder, _, names in os.walk(tree):
            if ".git" in folder:
                continue
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    output.write(zlib.compress(file.read(), LEVEL))


def _read(path: str) -> None:
    with open(path, "rb") as file:
        file.read()
