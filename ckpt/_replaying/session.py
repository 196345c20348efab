"""A session of ipdb, pdb or pudb: the debugger's own class, and what ckpt adds to it.

Debuggers are imported when one is opened, never with this module. One that is missing or broken gives way to the next, with one line on
standard error; `pdb` is the standard library's, whatever shadows it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ckpt._replaying.interpreter import given_back, has_terminal, is_plain, module_put, say, shell_let_go, standard, why
from ckpt._replaying.tracebacks import is_ours
from ckpt.errors import CkptError, DebuggerError

if TYPE_CHECKING:
    from bdb import Bdb as _Bdb
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType, TracebackType
else:
    _Bdb = object

__all__ = ["QuitError", "Session", "give_way", "opened"]

T = TypeVar("T")


class QuitError(CkptError):
    """The person left the debugger before the call had ended, so that there is no result. Not a failure of the call."""


class Session(_Bdb):
    """What ckpt adds to a debugger's own class: where it starts, which frames it passes over, and whether it was quit."""

    name = ""
    #: Index of the traceback entry to start at.
    start: int | None = None
    #: Whether the first line to stop at is still ahead, and the code it lies in (None: any that is not ours).
    is_ahead = False
    code: CodeType | None = None
    was_quit = False

    def get_stack(self, f: FrameType | None, t: TracebackType | None) -> tuple[list[tuple[FrameType, int]], int]:
        stack, index = super().get_stack(f, t)
        if self.start is not None:
            index, self.start = self.start, None
        return stack, index

    # Not Bdb's `skip=`: IPython announces each frame that it passes over for that reason.
    def stop_here(self, frame: FrameType) -> bool:
        if is_ours(frame) or (self.is_ahead and self.code not in (None, frame.f_code)):
            return False
        return super().stop_here(frame)

    # The event of the call comes before that of its first line, and would show the `def` line.
    def user_call(self, frame: FrameType, argument_list: None) -> None:
        if not self.is_ahead:
            super().user_call(frame, argument_list)

    def user_line(self, frame: FrameType) -> None:
        if self.is_ahead:
            self.is_ahead = False
            self.botframe = frame  # `where` begins here, not in our frames
        super().user_line(frame)

    def set_quit(self) -> None:
        self.was_quit = True
        super().set_quit()

    def do_run(self, _arg: str) -> None:
        """Say that there is no program to start again: what pdb does here ends in a traceback."""
        self.error("There is no program to restart here; leave with q.")  # type: ignore[attr-defined]

    do_restart = do_run

    def look_at(self, exception: BaseException) -> None:
        """Interact in the frames of `exception`."""
        subject: Any = exception.__traceback__
        if hasattr(self, "do_exceptions"):  # pdb from 3.13 on, IPython's on all: it walks causes and contexts
            subject = exception
        elif hasattr(self, "ui"):  # pudb
            subject = (type(exception), exception, exception.__traceback__)
        self.interaction(None, subject)  # type: ignore[attr-defined]

    def step_through(self, call: Callable[[], T], code: CodeType | None) -> T:
        """Return what `call` returns; the session begins at the first line of `code`."""
        self.is_ahead, self.code = True, code
        try:
            result = self.runcall(call)
        except BaseException:
            if not self.was_quit:
                raise
        if self.was_quit:
            raise QuitError("The debugger was left before the call had ended.")
        if self.is_ahead:
            say("The call ended without reaching a line to stop at.")
        return result  # type: ignore[return-value]


class _Base(NamedTuple):
    """A debugger's own class, and what to make it with."""

    cls: type
    options: dict[str, Any]


@contextmanager
def opened(debugger: str | None) -> Iterator[Session]:
    """Give a session of the wanted debugger, or of the next that can be used; the process is as it was at the end."""
    with given_back(), shell_let_go():
        # What IPython patches while it is made (`__main__`, `sys.path`) must not be seen by the program under the debugger.
        with given_back():
            session = _session(debugger or _best())
        try:
            yield session
        finally:
            getattr(session, "_current_debugger", []).clear()  # pudb allows one instance at a time
            if executor := getattr(session, "thread_executor", None):  # where ipdb prompts in a terminal
                executor.shutdown(wait=False)


def _session(name: str) -> Session:
    try:
        base = _BASES[name]()
        session = type("Session", (Session, base.cls), {"name": name})(**base.options)
    except Exception as err:
        return _session(give_way(name, err))
    assert isinstance(session, Session)
    return session


def give_way(name: str, err: Exception) -> str:
    """Say why the debugger cannot be used, and return the name of the next; raise `DebuggerError` when there is none."""
    if name == "pdb":
        raise DebuggerError(f"No debugger can be used: {why(err)}.") from err
    following = "pdb" if name == "ipdb" else _best()
    say(f"{name} cannot be used ({why(err)}); {following} instead.")
    return following


def _best() -> str:
    return "ipdb" if has_terminal() else "pdb"


def _pdb() -> _Base:
    return _Base(standard("pdb").Pdb, {})


def _ipdb() -> _Base:
    pdb = standard("pdb")
    with module_put("pdb", pdb):
        ipdb = import_module("ipdb.__main__")
        # With the user's IPython configuration, and a plain one without a terminal; ipdb's public functions tell no class.
        cls = ipdb._get_debugger_cls()  # noqa: SLF001
    if not issubclass(cls, pdb.Pdb):
        raise ImportError("IPython was loaded with another pdb")  # noqa: TRY004 - nobody passed a wrong argument
    if is_plain():
        import_module("IPython").get_ipython().colors = "nocolor"
    return _Base(cls, {"context": os.environ.get("IPDB_CONTEXT_SIZE") or ipdb.get_context_from_config()})


def _pudb() -> _Base:
    if not has_terminal():
        raise DebuggerError("it needs a terminal")
    return _Base(import_module("pudb.debugger").Debugger, {})


_BASES = {"pdb": _pdb, "ipdb": _ipdb, "pudb": _pudb}
