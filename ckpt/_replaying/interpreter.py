"""The interpreter around a debugger or a shell: its terminal, its own standard library, and what is patched in it, which is given back."""

from __future__ import annotations

import builtins
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from ckpt.errors import CkptError, DebuggerError

__all__ = ["PATCHED", "check_input", "given_back", "has_terminal", "is_plain", "module_put", "say", "shell_let_go", "standard", "why"]

#: What debuggers and IPython leave changed in `sys`.
PATCHED = ("excepthook", "displayhook", "last_exc", "last_type", "last_value", "last_traceback", "ps1", "ps2", "ps3")
_ABSENT = object()
#: Where the standard library lies.
_STANDARD = os.path.dirname(os.__file__)


def has_terminal() -> bool:
    """Whether a person sits at both ends."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def is_plain() -> bool:
    """Whether output must be free of colours and cursor movements."""
    return not has_terminal() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def check_input() -> None:
    """Raise `DebuggerError` where no commands can be read."""
    if sys.stdin is None or sys.stdin.closed:
        raise DebuggerError("Standard input is closed; there is nowhere to read commands from.")


def say(line: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(f"{line}\n")


def why(error: Exception) -> str:
    """Return in one line why something cannot be used, and what to install."""
    if isinstance(error, CkptError):
        return "; ".join(filter(None, (error.message.rstrip("."), error.hint)))
    hint = f"; pip install {error.name}" if isinstance(error, ModuleNotFoundError) and error.name in ("ipdb", "pudb", "IPython") else ""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}{hint}"


@contextmanager
def given_back() -> Iterator[None]:
    """Give back what debuggers and IPython patch in the process: hooks, `sys.last_*`, builtins, `__main__`, path, tracing, Ctrl-C."""
    found = {name: getattr(sys, name, _ABSENT) for name in PATCHED}
    names, main, path, trace = dict(vars(builtins)), sys.modules.get("__main__"), sys.path[:], sys.gettrace()
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        for name, value in found.items():
            if value is not _ABSENT:
                setattr(sys, name, value)
            elif hasattr(sys, name):
                delattr(sys, name)
        vars(builtins).update(names)
        for name in vars(builtins).keys() - names.keys():
            delattr(builtins, name)
        if main is not None:
            sys.modules["__main__"] = main
        sys.path[:] = path
        if sys.gettrace() is not trace:
            sys.settrace(trace)
        if interrupt is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, interrupt)


@contextmanager
def shell_let_go(*, apart: bool = False) -> Iterator[None]:
    """Unregister the IPython shell that was made inside; with `apart`, also keep one that is already running out of its way."""
    running = _running_shell()
    if running is not None and apart:
        type(running).clear_instance()
    try:
        yield
    finally:
        made = _running_shell()
        if made is not None and made is not running:
            type(made).clear_instance()
        if running is not None and apart:
            for cls in type(running)._walk_mro():  # noqa: SLF001 - as IPython's own `embed` does
                cls._instance = running


def _running_shell() -> Any:
    """Return the registered IPython shell; None when there is none, or when IPython is not loaded."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


@cache
def standard(name: str) -> ModuleType:
    """Return the standard library's module, and say so when another stands in front of it.

    A project has its own `code.py` or `cmd.py`, on which pdb would break; pdbpp puts its own `pdb` first (0.12.1 cannot be imported
    on 3.13, and breaks ipdb with IPython 9 on 3.11 and 3.12).
    """
    path = sys.path[:]
    with ExitStack() as hidden:
        for needed in {"bdb", "cmd", "code", name}:
            if shadow := _shadow(needed):
                hidden.enter_context(module_put(needed, None))
                if needed == name:
                    say(f"{name} is shadowed by {shadow}; the standard library's instead.")
        sys.path.insert(0, _STANDARD)
        try:
            return import_module(name)
        finally:
            sys.path[:] = path


def _shadow(name: str) -> str:
    """Return the file that `import name` gives in place of the standard library's; empty when it gives that."""
    loaded = sys.modules.get(name)
    spec = find_spec(name) if loaded is None else None
    file = (spec and spec.origin) or getattr(loaded, "__file__", None) or ""
    return "" if os.path.dirname(file) == _STANDARD else file or repr(loaded)


@contextmanager
def module_put(name: str, module: ModuleType | None) -> Iterator[None]:
    """`import name` gives `module` inside, or is done anew when that is None; afterwards what was there before is back."""
    before = sys.modules.pop(name, None)
    if module is not None:
        sys.modules[name] = module
    try:
        yield
    finally:
        sys.modules.pop(name, None)
        if before is not None:
            sys.modules[name] = before
