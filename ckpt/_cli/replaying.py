"""`run`, `shell` and `debug`: commands that open a capture, and so run what it holds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from itertools import zip_longest
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ckpt._cli.options import AsJson, AtFrame, Debugger, Here, Name, UseDebugger
from ckpt.errors import CannotReplayError, CkptError, PlaceholderError, UsageError

if TYPE_CHECKING:
    from ckpt._replaying.rehydrate import Capture
    from ckpt._replaying.replay import Replay

Start = Annotated[bool, typer.Option("--start", help="Call the function again, and stop at its first line.")]
Rerun = Annotated[bool, typer.Option("--rerun", help="Call the function again, and stop where it fails.")]
Debug = Annotated[bool, typer.Option("--debug", help="The same as debug --rerun; with --start as debug --start.")]
Shell = Annotated[bool, typer.Option("--shell", help="Then open IPython, with --locals or --args.")]
AtStart = Annotated[bool, typer.Option("--start", help="With --debug: stop at the first line.")]
ShellArgs = Annotated[bool, typer.Option("--args", help="With --shell: the captured arguments; nothing is called.")]
ShellLocals = Annotated[bool, typer.Option("--locals", help="With --shell: the variables of the replay; the default.")]
Args = Annotated[bool, typer.Option("--args", help="The arguments, under the names of their parameters.")]
Locals = Annotated[bool, typer.Option("--locals", help="The variables of a frame at the failure; the default.")]


def run(  # noqa: PLR0913 - one parameter for each option
    name: Name = None,
    *,
    debug: Debug = False,
    start: AtStart = False,
    shell: Shell = False,
    args: ShellArgs = False,
    locals_: ShellLocals = False,
    here: Here = False,
    as_json: AsJson = False,
) -> None:
    """Call the function again; give a verdict.

    The captured arguments, today's code. Without NAME: the newest failure, or the newest capture when none failed. What it returned is
    printed last; the verdict is the last line on standard error. Exit code 0 when the call returned, 1 when it raised.
    """
    _only_one({"--debug": debug, "--shell": shell, "--json": as_json})
    _only_with("--debug", debug, {"--start": start})
    _only_with("--shell", shell, {"--args": args, "--locals": locals_})
    if debug:
        sessions.call_under_debugger(_opened(name), None, at_start=start, here=here)
    elif args:
        sessions.shell_with_arguments(_opened(name), here=here)
    else:
        _run(name, here=here, as_json=as_json, then_shell=shell)


def shell(name: Name = None, args: Args = False, locals_: Locals = False, frame: AtFrame = None) -> None:
    """Open IPython among a failure's variables.

    Nothing is run again. Without NAME: the newest failure. Frame 0 is the captured function, the last one is the one that raised.
    """
    _only_one({"--args": args, "--locals": locals_})
    _only_one({"--args": args, "--frame": frame is not None})
    capture = _opened(name)
    if args:
        sessions.shell_with_arguments(capture, here=False)
    else:
        sessions.shell_with_locals(capture, frame or 0)


def debug(  # noqa: PLR0913 - one parameter for each option
    name: Name = None,
    *,
    start: Start = False,
    rerun: Rerun = False,
    debugger: UseDebugger = None,
    frame: AtFrame = None,
    here: Here = False,
) -> None:
    """Open a debugger in a failure's frames.

    Nothing is run again unless --start or --rerun says so. Without NAME: the newest failure. The session starts in the frame that
    raised, or in frame N.
    """
    _only_one({"--start": start, "--rerun": rerun})
    _only_one({"--start": start, "--rerun": rerun, "--frame": frame is not None})
    capture = _opened(name)
    if start or rerun:
        sessions.call_under_debugger(capture, debugger, at_start=start, here=here)
    else:
        sessions.post_mortem(capture, debugger, frame, here=here)


def _opened(name: str | None) -> Capture:
    """Return a capture, ready for use; what is different today has been said on standard error."""
    from ckpt._cli.stores import opened
    from ckpt._replaying.rehydrate import open_capture

    return open_capture(opened(), name)


def _run(name: str | None, *, here: bool, as_json: bool, then_shell: bool) -> None:
    from ckpt._cli import report, screen

    capture = _opened(name)
    with screen.results_only() if as_json else nullcontext():
        outcome, text = _replayed(capture, here=here)
        _say_failure(outcome.exception)
        sessions.say_notes(capture)
    if as_json:
        screen.write(report.replayed(capture.header, outcome, text))
    elif text is not None:
        screen.write_lines(text)
    screen.say(report.verdict(outcome))
    if then_shell:
        sessions.shell_after(capture, outcome, here=here)
    raise typer.Exit(0 if outcome.has_returned else 1)


def _replayed(capture: Capture, *, here: bool) -> tuple[Replay, str | None]:
    """Return what a replay showed, and the repr of what was returned."""
    from ckpt._cli.report import shielded
    from ckpt._replaying.replay import Replay, replay

    try:
        outcome = replay(capture, here=here)
    except (CannotReplayError, PlaceholderError) as err:
        return Replay(verdict="cannot replay", detail=err.message, has_returned=False, exception=err), None
    if not outcome.has_returned or outcome.text is not None:
        return outcome, outcome.text
    return outcome, shielded(lambda: repr(outcome.value))


def _say_failure(exception: BaseException | None) -> None:
    """Say what a replay raised, from the function's own frame on; of what kept ckpt from calling it, only what to do."""
    from ckpt._cli.screen import complain, say_traceback

    if isinstance(exception, CannotReplayError):
        if exception.hint:
            complain(exception.hint, label="hint")
    elif exception is not None:
        say_traceback(exception.with_traceback(sessions.first_entry(exception)))


def _only_one(options: dict[str, bool]) -> None:
    given = [option for option, is_given in options.items() if is_given]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other.")


def _only_with(leader: str, is_given: bool, options: dict[str, bool]) -> None:
    for option, is_set in options.items():
        if is_set and not is_given:
            raise UsageError(f"{option} goes with {leader}.")
