"""What is the same for a whole process, as data: written once per journal, and again only when it changes.

Everything is read without a subprocess and without touching a module's attributes through its own code.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from types import ModuleType

from ckpt._model.interrupts import let_pass
from ckpt._model.packages import canonical, versions_on
from ckpt._model.record import Json
from ckpt._model.redact import redacted_arguments
from ckpt._store.files import user
from ckpt._store.location import working_directory


def arguments() -> list[str]:
    """Return the arguments of the program, without what their names say is secret."""
    return redacted_arguments(sys.argv) if hasattr(sys, "argv") else []


def describe_process(sources: Json, argv: Sequence[str] | None = None) -> Json:
    """Return the process record; `sources` is what it says of the project's source files, among others the names of their texts."""
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "platform": sys.platform,
        "host": platform.node(),
        "user": user(),
        "pid": os.getpid(),
        "argv": arguments() if argv is None else argv,
        "executable": sys.executable,
        "cwd": working_directory(),
        "path": [os.path.abspath(entry) for entry in sys.path if type(entry) is str] if working_directory() else list(sys.path),
        "main": _main(),
        "packages": _packages(),
        "commit": _commit(working_directory()),
        **sources,
    }


def _main() -> Json:
    """Return where `__main__` comes from: a file, and the module name after `python -m`."""
    namespace = vars(sys.modules["__main__"]) if "__main__" in sys.modules else {}
    file, spec = namespace.get("__file__"), namespace.get("__spec__")
    name = getattr(spec, "name", None)
    if type(file) is not str or file == "<stdin>":  # what `python -` calls what it reads
        file = None
    return {
        "file": os.path.abspath(file) if file is not None and working_directory() else file,
        "name": name if type(name) is str else None,
    }


def _packages() -> dict[str, str]:
    """Return the versions of the top-level packages that are loaded: as they were installed, else as they call themselves."""
    versions, installed = {}, versions_on(sys.path)
    for name, module in list(sys.modules.items()):
        if "." not in name and type(module) is ModuleType and name not in sys.stdlib_module_names:
            version = installed.get(canonical(name)) or vars(module).get("__version__")
            if type(version) is str:
                versions[name] = version
    return versions


def _commit(directory: str) -> str | None:
    """Return the commit that a git work tree around `directory` is at."""
    while directory:
        git = os.path.join(directory, ".git")
        if os.path.exists(git):
            return _head(git)
        parent = os.path.dirname(directory)
        directory = parent if parent != directory else ""
    return None


def _head(git: str) -> str | None:
    try:
        if os.path.isfile(git):  # a linked work tree or a submodule: `gitdir: PATH`
            git = os.path.join(os.path.dirname(git), _read(git).partition("gitdir: ")[2])
        head = _read(os.path.join(git, "HEAD"))
        if not head.startswith("ref: "):
            return head
        common = os.path.join(git, _read(os.path.join(git, "commondir"))) if os.path.exists(os.path.join(git, "commondir")) else git
        return _reference(common, head.removeprefix("ref: "))
    except OSError as error:
        let_pass(error)
        return None


def _reference(git: str, name: str) -> str | None:
    path = os.path.join(git, name)
    if os.path.exists(path):
        return _read(path)
    packed = os.path.join(git, "packed-refs")
    lines = _read(packed).splitlines() if os.path.exists(packed) else []
    return next((line.split(" ")[0] for line in lines if line.endswith(f" {name}")), None)


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(1 << 20).strip()
