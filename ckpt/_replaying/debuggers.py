"""ipdb, pdb, pudb, VS Code and IPython behind one small protocol: `post_mortem`, `run_call`, `shell`.

Debuggers are imported when one is opened, never with this module. One that is missing or broken gives way to the next, with one line on
standard error; `pdb` is the standard library's, whatever shadows it. A debugger and IPython read the terminal when there is one, else
standard input, so that they can be scripted. What they patch in the process is given back when the session ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

from ckpt._replaying import vscode
from ckpt._replaying.interpreter import check_input
from ckpt._replaying.session import QuitError, give_way, opened
from ckpt._replaying.shell import shell
from ckpt._replaying.tracebacks import entries, users_part
from ckpt.errors import DebuggerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

__all__ = ["DEBUGGERS", "QuitError", "post_mortem", "run_call", "shell"]

T = TypeVar("T")

#: What `debugger=` may name.
DEBUGGERS = ("ipdb", "pdb", "pudb", "vscode")


def post_mortem(exception: BaseException, *, debugger: str | None = None, frame: int | None = None, above: int = 0) -> None:
    """Open the debugger in the frames of `exception`'s traceback and return when the person leaves it.

    Without `debugger` it is ipdb in a terminal and pdb without one, where ipdb would only be slower and fill the user's IPython directory.
    The session starts at the last traceback entry, or at entry number `frame`; the first `above` are callers, which have no number.
    Raises `UsageError` for a name or an entry that does not exist, `DebuggerError` when no debugger can be used.
    """
    _check(debugger)
    count = sum(1 for _ in entries(exception.__traceback__))
    if not count:
        raise DebuggerError(f"The {type(exception).__name__} has no frames to look at.")
    if frame is not None and not 0 <= frame < count - above:
        raise UsageError(f"There is no frame {frame}.", hint=f"frames go from 0 to {count - above - 1}")
    if debugger == "vscode":
        try:
            vscode.stop_in(exception)
        except DebuggerError as err:
            debugger = give_way(debugger, err)
        else:
            return
    with opened(debugger) as session:
        session.start = None if frame is None else above + frame
        session.reset()
        try:
            session.look_at(exception)
        except Exception as err:  # the debugger's own: pudb 2026.1 breaks in its preferences, which it shows first
            if session.name == "pdb":
                raise
            instead = give_way(session.name, err)
        else:
            return
    post_mortem(exception, debugger=instead, frame=frame, above=above)


def run_call(
    call: Callable[[], T],
    *,
    debugger: str | None = None,
    stop: Literal["start", "failure"],
    code: CodeType | None = None,
) -> T:
    """Return what `call` returns, called under the debugger.

    `stop="start"` stops at the first line of `code`, or, when that is None, at the first line that is not ckpt's own; raises `QuitError`
    when the person leaves before the end. `stop="failure"` opens the post-mortem when the call raises an `Exception` or
    is interrupted, and then raises that same exception, its traceback cut to begin in the same place.
    """
    _check(debugger)
    if stop == "failure":
        return _until_failure(call, debugger, code)
    if debugger == "vscode":
        raise DebuggerError(
            "VS Code cannot be told from here to stop at the first line.",
            hint="set a breakpoint there, then: ckpt debug --rerun --debugger vscode",
        )
    with opened(debugger) as session:
        return session.step_through(call, code)


def _until_failure(call: Callable[[], T], debugger: str | None, code: CodeType | None) -> T:
    if debugger == "vscode":
        try:
            vscode.attach()
        except DebuggerError as err:
            debugger = give_way(debugger, err)
    try:
        return call()
    except (Exception, KeyboardInterrupt) as failure:
        failure.__traceback__ = users_part(failure.__traceback__, code) or failure.__traceback__
        post_mortem(failure, debugger=debugger)
        raise


def _check(debugger: str | None) -> None:
    if debugger is not None and debugger not in DEBUGGERS:
        raise UsageError(f"There is no debugger {debugger!r}.", hint=f"one of {', '.join(DEBUGGERS)}")
    if debugger != "vscode":
        check_input()
