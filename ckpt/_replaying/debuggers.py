"""ipdb, pdb, pudb, VS Code and IPython behind one small protocol: `post_mortem`, `run_call`, `shell`.

Debuggers are imported when one is opened, never with this module. One that is missing or broken gives way to the next, with one line on
standard error; `pdb` is the standard library's, whatever shadows it. A debugger and IPython read the terminal when there is one, else
standard input, so that they can be scripted. What they patch in the process is given back when the session ends.
"""

from __future__ import annotations

import builtins
import os
import signal
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from ckpt._replaying import vscode
from ckpt.errors import CkptError, DebuggerError, UsageError

if TYPE_CHECKING:
    from bdb import Bdb as _Bdb
    from collections.abc import Callable, Iterator, Mapping
    from types import CodeType, FrameType, TracebackType
else:
    _Bdb = object

__all__ = ["DEBUGGERS", "QuitError", "post_mortem", "run_call", "shell"]

T = TypeVar("T")

#: What `debugger=` may name.
DEBUGGERS = ("ipdb", "pdb", "pudb", "vscode")

#: Who takes over from a debugger that cannot be used.
_NEXT = {"pudb": "ipdb", "ipdb": "pdb"}
#: What debuggers and IPython leave changed in `sys`.
_PATCHED = ("excepthook", "displayhook", "last_exc", "last_type", "last_value", "last_traceback", "ps1", "ps2", "ps3")
_ABSENT = object()
#: Where the standard library lies.
_STANDARD = os.path.dirname(os.__file__)


class QuitError(CkptError):
    """The person left the debugger before the call had ended, so that there is no result. Not a failure of the call."""


def post_mortem(exception: BaseException, *, debugger: str | None = None, frame: int | None = None, above: int = 0) -> None:
    """Open the debugger in the frames of `exception`'s traceback and return when the person leaves it.

    Without `debugger` it is ipdb in a terminal and pdb without one, where ipdb would only be slower and fill the user's IPython directory.
    The session starts at the last traceback entry, or at entry number `frame`; the first `above` are callers, which have no number.
    Raises `UsageError` for a name or an entry that does not exist, `DebuggerError` when no debugger can be used.
    """
    _check(debugger)
    entries = sum(1 for _ in _entries(exception.__traceback__))
    if not entries:
        raise DebuggerError(f"The {type(exception).__name__} has no frames to look at.")
    if frame is not None and not 0 <= frame < entries - above:
        raise UsageError(f"There is no frame {frame}.", hint=f"frames go from 0 to {entries - above - 1}")
    if debugger == "vscode":
        vscode.stop_in(exception)
        return
    with _opened(debugger) as session:
        session.start = None if frame is None else above + frame
        session.reset()
        try:
            session.look_at(exception)
        except Exception as err:  # the debugger's own: pudb 2026.1 breaks in its preferences, which it shows first
            if session.name not in _NEXT:
                raise
            instead = _give_way(session.name, err)
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
    with _opened(debugger) as session:
        return session.step_through(call, code)


def shell(namespace: Mapping[str, Any], *, banner: str, module: ModuleType | None, exception: BaseException | None) -> None:
    """Open IPython among the names of `namespace`, over those of `module`, and return when the person leaves it.

    Locals and globals are one dict there, so that comprehensions, lambdas and nested functions see every name; it is a copy: what is
    assigned at the prompt stays there. With an `exception`, `%debug` opens its frames. Without IPython: the plain Python console.
    """
    _check(None)
    with _given_back(), ExitStack() as shells:
        _set_last(exception)
        try:
            ipython = shells.enter_context(_ipython(namespace, module))
        except Exception as err:
            _say(f"IPython cannot be used ({_reason(err)}); the plain Python console instead.")
            _console(_merged(namespace, module), banner)
        else:
            ipython.show_banner(banner + "\n")
            ipython.mainloop()


class _Session(_Bdb):
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
        if _is_ours(frame) or (self.is_ahead and self.code not in (None, frame.f_code)):
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
            _say("The call ended without reaching a line to stop at.")
        return result  # type: ignore[return-value]


def _until_failure(call: Callable[[], T], debugger: str | None, code: CodeType | None) -> T:
    if debugger == "vscode":
        vscode.attach()
    try:
        return call()
    except (Exception, KeyboardInterrupt) as failure:
        failure.__traceback__ = _from_call(failure.__traceback__, code)
        post_mortem(failure, debugger=debugger)
        raise


def _from_call(traceback: TracebackType | None, code: CodeType | None) -> TracebackType | None:
    """Return `traceback` from `code` on, or, where that is not in it, from below the frames of ckpt; else all of it."""
    entries = list(_entries(traceback))
    below = (entry for entry in entries if not _is_ours(entry.tb_frame))
    return next((entry for entry in entries if entry.tb_frame.f_code is code), None) or next(below, traceback)


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__")
    return isinstance(name, str) and (name in ("ckpt", "bdb") or name.startswith("ckpt."))


def _entries(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


class _Base(NamedTuple):
    """A debugger's own class, and what to make it with."""

    cls: type
    options: dict[str, Any]


@contextmanager
def _opened(debugger: str | None) -> Iterator[_Session]:
    """Give a session of the wanted debugger, or of the next that can be used; the process is as it was at the end."""
    with _given_back(), _shell_let_go():
        # What IPython patches while it is made (`__main__`, `sys.path`) must not be seen by the program under the debugger.
        with _given_back():
            session = _session(debugger or ("ipdb" if _has_terminal() else "pdb"))
        try:
            yield session
        finally:
            getattr(session, "_current_debugger", []).clear()  # pudb allows one instance at a time
            if executor := getattr(session, "thread_executor", None):  # where ipdb prompts in a terminal
                executor.shutdown(wait=False)


def _session(name: str) -> _Session:
    try:
        base = _BASES[name]()
        session = type("Session", (_Session, base.cls), {"name": name})(**base.options)
    except Exception as err:
        if name not in _NEXT:
            raise DebuggerError(f"No debugger can be used: {_reason(err)}.") from err
        return _session(_give_way(name, err))
    assert isinstance(session, _Session)
    return session


def _give_way(name: str, err: Exception) -> str:
    """Say why the debugger cannot be used; return the name of the next."""
    _say(f"{name} cannot be used ({_reason(err)}); {_NEXT[name]} instead.")
    return _NEXT[name]


def _pdb() -> _Base:
    return _Base(_standard("pdb").Pdb, {})


def _ipdb() -> _Base:
    pdb = _standard("pdb")
    with _module_put("pdb", pdb):
        ipdb = import_module("ipdb.__main__")
        # With the user's IPython configuration, and a plain one without a terminal; ipdb's public functions tell no class.
        cls = ipdb._get_debugger_cls()  # noqa: SLF001
    if not issubclass(cls, pdb.Pdb):
        raise ImportError("IPython was loaded with another pdb")  # noqa: TRY004 - nobody passed a wrong argument
    if _is_plain():
        import_module("IPython").get_ipython().colors = "nocolor"
    return _Base(cls, {"context": os.environ.get("IPDB_CONTEXT_SIZE") or ipdb.get_context_from_config()})


def _pudb() -> _Base:
    if not _has_terminal():
        raise OSError("it needs a terminal")
    return _Base(import_module("pudb.debugger").Debugger, {})


_BASES = {"pdb": _pdb, "ipdb": _ipdb, "pudb": _pudb}


@cache
def _standard(name: str) -> ModuleType:
    """Return the standard library's module, and say so when another stands in front of it.

    A project has its own `code.py` or `cmd.py`, on which pdb would break; pdbpp puts its own `pdb` first (0.12.1 cannot be imported
    on 3.13, and breaks ipdb with IPython 9 on 3.11 and 3.12).
    """
    path = sys.path[:]
    with ExitStack() as hidden:
        for needed in {"bdb", "cmd", "code", name}:
            if shadow := _shadow(needed):
                hidden.enter_context(_module_put(needed, None))
                if needed == name:
                    _say(f"{name} is shadowed by {shadow}; the standard library's instead.")
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
def _module_put(name: str, module: ModuleType | None) -> Iterator[None]:
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


@contextmanager
def _ipython(namespace: Mapping[str, Any], module: ModuleType | None) -> Iterator[Any]:
    """Give a new IPython shell over the names, which `get_ipython()` returns until it is left."""
    with _module_put("pdb", _standard("pdb")):  # `%debug` stands on it
        embed = import_module("IPython.terminal.embed")
        import_module("IPython.terminal.debugger")
    user = ModuleType(module.__name__ if module is not None else "__main__")
    user.__dict__.update(_merged(namespace, module))
    with _shell_let_go(apart=True):
        ipython = embed.InteractiveShellEmbed.instance(config=_ipython_config(), user_module=user, user_ns=vars(user))
        # `%who` lists what was captured, not the module.
        ipython.user_ns_hidden.update({name: value for name, value in vars(user).items() if name not in namespace})
        ipython.events.register("post_run_cell", _follow_last)
        yield ipython


def _ipython_config() -> Any:
    """Return the user's IPython configuration, made quiet where there is no terminal or a simple one."""
    config = import_module("IPython.terminal.ipapp").load_default_config()
    config.InteractiveShellEmbed = config.TerminalInteractiveShell
    if _is_plain():
        config.InteractiveShellEmbed.colors = "nocolor"
        config.InteractiveShellEmbed.simple_prompt = True
    if not _has_terminal():
        config.InteractiveShellEmbed.confirm_exit = False
        config.HistoryManager.enabled = False
    return config


def _merged(namespace: Mapping[str, Any], module: ModuleType | None) -> dict[str, Any]:
    return {**(vars(module) if module is not None else {"__name__": "__main__"}), **namespace}


def _console(names: dict[str, Any], banner: str) -> None:
    with suppress(SystemExit):  # `exit()` at the prompt
        _standard("code").interact(banner=banner, local=names, exitmsg="")


def _set_last(exception: BaseException | None) -> None:
    if exception is not None:
        sys.last_type, sys.last_value, sys.last_traceback = type(exception), exception, exception.__traceback__
        _follow_last()


def _follow_last(_result: object = None) -> None:
    """Make `sys.last_exc` the last exception. IPython 8.30 reads it for `%debug`, but does not set it."""
    if sys.version_info >= (3, 12) and hasattr(sys, "last_value"):
        sys.last_exc = sys.last_value


@contextmanager
def _given_back() -> Iterator[None]:
    """Give back what debuggers and IPython patch in the process: hooks, `sys.last_*`, builtins, `__main__`, path, tracing, Ctrl-C."""
    found = {name: getattr(sys, name, _ABSENT) for name in _PATCHED}
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
def _shell_let_go(*, apart: bool = False) -> Iterator[None]:
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


def _check(debugger: str | None) -> None:
    if debugger is not None and debugger not in DEBUGGERS:
        raise UsageError(f"There is no debugger {debugger!r}.", hint=f"one of {', '.join(DEBUGGERS)}")
    if debugger != "vscode" and (sys.stdin is None or sys.stdin.closed):
        raise DebuggerError("Standard input is closed; there is nowhere to read commands from.")


def _has_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def _is_plain() -> bool:
    """Whether output must be free of colours and cursor movements."""
    return not _has_terminal() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def _reason(err: Exception) -> str:
    hint = f"; pip install {err.name}" if isinstance(err, ModuleNotFoundError) and err.name in ("ipdb", "pudb", "IPython") else ""
    return f"{type(err).__name__}: {str(err).partition(chr(10))[0]}{hint}"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
