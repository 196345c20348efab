"""Small projects for the tests of snapshots."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

#: The repository that codesave's README begins with, in the version that a number names; no package has an `__init__.py`.
MODEL = """
import os
import pickle
import importlib.resources
from dataclasses import dataclass
from importlib import import_module

import src.utils
import src.utils as aliased
from src import utils
from . import utils as relative

VERSION = {version}
TEXT = "please import src before you from src import anything"


@dataclass
class Model:
    size: int = VERSION

    def lazily(self):
        import src.late
        from src import late
        from src.late import LATE

        return src.late.LATE, late.LATE, LATE


def by_name():
    return import_module("src.late").LATE, import_module(".late", package="src").LATE


def data():
    with open(os.path.join(os.path.dirname(__file__), "data.txt")) as file:
        beside = file.read()
    named = importlib.resources.files("src").joinpath("data.txt").read_text()
    here = importlib.resources.files(__package__).joinpath("data.txt").read_text()
    return {{beside, named, here}}


def called(function):
    return function()


def copied(value):
    return pickle.loads(pickle.dumps(value))


def fail():
    raise ValueError("version {version}")  # line of version {version}


def whatever_you_want():
    return VERSION
"""
TRAIN = """
import sys
from src import model

def main():
    print("function", model.VERSION)

if __name__ == "__main__":
    print(model.VERSION, __name__, sys.argv[1:], sys.argv[0].endswith("train.py"))
"""


def plant(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files into a new or old folder and return it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def codebase(folder: Path, version: int = 1) -> Path:
    """Write the small repository in one of its versions."""
    return plant(
        folder,
        {
            "src/model.py": MODEL.format(version=version),
            "src/utils.py": f"from src import model\nUTILS = {version}\n\ndef again():\n    return model.VERSION\n",
            "src/late.py": f"LATE = {version}\n",
            "src/data.txt": f"data of version {version}",
            "train.py": TRAIN,
            "eval.py": "print('eval')\n",
        },
    )


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, as somebody without a configuration."""
    names = ("-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *names, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def repository(folder: Path) -> Path:
    """Make a folder a git checkout with all that is in it committed."""
    git(folder, "init", "-q")
    git(folder, "add", "-A", "-f")
    git(folder, "commit", "-q", "-m", "all")
    return folder
