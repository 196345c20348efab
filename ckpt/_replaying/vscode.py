"""VS Code as a debugger, through debugpy: it attaches to this process, on loopback only.

debugpy is imported when a session is opened, never with this module. The client stays attached until the process ends.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import TracebackType
from typing import Any

from ckpt._replaying.stubs import lone_frame
from ckpt.errors import DebuggerError

__all__ = ["attach", "stop_in"]

_INSTALL = "pip install 'debugpy>=1.8.22'"  # the extra `vscode`
#: VS Code's own default.
_PORT = 5678
_UNTOLD = "PYDEVD_DISABLE_FILE_VALIDATION"


def stop_in(exception: BaseException) -> None:
    """Wait for a client, stop it in the frames of `exception`'s traceback, and return when it goes on.

    Raises `DebuggerError` when debugpy is missing or too old.
    """
    with _quiet():
        debugpy = _debugpy()
        # What pydevd finds outermost it takes for the place where the thread stands, and says so in all it shows: unless it is its own.
        # Made before it watches new threads.
        root = lone_frame(os.path.join(os.path.dirname(debugpy.__file__), "_vendored", "pydevd", "pydevd.py"))
        traceback = TracebackType(exception.__traceback__, root, root.f_lasti, root.f_lineno)
        attach()
        debugpy.trigger_exception_handler((type(exception), exception, traceback), as_uncaught=False)


def attach() -> None:
    """Wait for a client, after it has been said how to make one; nothing when there is one already."""
    with _quiet():
        debugpy = _debugpy()
        if debugpy.is_client_connected():
            return
        try:
            host, port = debugpy.listen(("127.0.0.1", _PORT))
        except RuntimeError:  # taken
            host, port = debugpy.listen(("127.0.0.1", 0))
        _say(f"Waiting for VS Code on {host}:{port}; put this into .vscode/launch.json, among the configurations, and start it:")
        connect = f'"connect": {{"host": "{host}", "port": {port}}}'
        _say(f'{{"name": "ckpt", "type": "debugpy", "request": "attach", {connect}, "justMyCode": false}}')
        debugpy.wait_for_client()


def _debugpy() -> Any:
    try:
        debugpy = import_module("debugpy")
    except ImportError as err:
        raise DebuggerError("VS Code needs debugpy, which is not installed.", hint=_INSTALL) from err
    if not hasattr(debugpy, "trigger_exception_handler"):
        raise DebuggerError(f"VS Code needs a newer debugpy than {getattr(debugpy, '__version__', 'this one')}.", hint=_INSTALL)
    return debugpy


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep debugpy from warning, in four lines, that breakpoints in frozen modules of the standard library are missed."""
    before = os.environ.get(_UNTOLD)
    os.environ[_UNTOLD] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_UNTOLD]
        else:
            os.environ[_UNTOLD] = before


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
