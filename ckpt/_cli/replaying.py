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
        _call_under_debugger(_opened(name), None, at_start=start, here=here)
    elif args:
        _shell_with_arguments(_opened(name), here=here)
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
        _shell_with_arguments(capture, here=False)
    else:
        _shell_with_locals(capture, frame or 0)


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
        _call_under_debugger(capture, debugger, at_start=start, here=here)
    else:
        _post_mortem(capture, debugger, frame, here=here)


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
        _say_notes(capture)
    if as_json:
        screen.write(report.replayed(capture.header, outcome, text))
    elif text is not None:
        screen.write_lines(text)
    screen.say(report.verdict(outcome))
    if then_shell:
        _shell_after(capture, outcome, here=here)
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
        say_traceback(exception.with_traceback(_first_entry(exception)))


def _post_mortem(capture: Capture, debugger: Debugger | None, frame: int | None, *, here: bool) -> None:
    from ckpt._replaying import debuggers

    with capture.surroundings(here=here), capture.sources():
        exception = _failure(capture, "debug", "--start")
        _say_notes(capture)
        debuggers.post_mortem(exception, debugger=debugger, frame=frame)


def _call_under_debugger(capture: Capture, debugger: Debugger | None, *, at_start: bool, here: bool) -> None:
    from ckpt._cli import report, screen
    from ckpt._replaying import debuggers

    with capture.surroundings(here=here):
        target = capture.target()
        _say_notes(capture)
        stop: Literal["start", "failure"] = "start" if at_start else "failure"
        raised = _raised_by(lambda: debuggers.run_call(target, debugger=debugger, stop=stop, code=capture.code))
    if raised is not None:
        screen.say(report.raised_line(raised))
        raise typer.Exit(1)


def _raised_by(call: Callable[[], object]) -> BaseException | None:
    """Return what the user's function raised under the debugger, where the person has already seen it; None when it returned."""
    from ckpt._cli.screen import say
    from ckpt._replaying.debuggers import QuitError

    try:
        call()
    except QuitError:
        say("the debugger was left before the call had ended")
    except CkptError:
        raise
    except (Exception, SystemExit) as err:  # anything: it is the user's
        return err
    return None


def _shell_with_locals(capture: Capture, number: int) -> None:
    with capture.surroundings(), capture.sources():
        exception = _failure(capture, "shell", "--args")
        if not 0 <= number < len(capture.frames):
            raise UsageError(f"There is no frame {number}.", hint=f"frames go from 0 to {len(capture.frames) - 1}: --frame N")
        frame = capture.frames[number]
        title = f"Frame {number} of {len(capture.frames)}, {frame.record.qualname}, at the failure of {capture.header.name}"
        _shell(capture, title, frame.locals, frame.globals, exception)


def _shell_with_arguments(capture: Capture, *, here: bool) -> None:
    with capture.surroundings(here=here):
        _shell(capture, f"The arguments of {capture.header.name}", _named_arguments(capture), {}, None)


def _shell_after(capture: Capture, outcome: Replay, *, here: bool) -> None:
    """Open the shell on what a replay left: the variables of the call when it raised, else the arguments and `result`."""
    with capture.surroundings(here=here):
        entry = _first_entry(outcome.exception)
        if entry is not None:
            held, around = dict(entry.tb_frame.f_locals), entry.tb_frame.f_globals
            _shell(capture, f"The replay of {capture.header.name}, at its failure", held, around, outcome.exception)
        elif outcome.has_returned:
            given = {**_named_arguments(capture), "result": outcome.value}
            _shell(capture, f"The replay of {capture.header.name}, after it returned", given, {}, None)


def _shell(capture: Capture, title: str, names: dict[str, Any], around: dict[str, Any], exception: BaseException | None) -> None:
    from ckpt._cli.text import one_line
    from ckpt._replaying import debuggers

    _say_notes(capture)
    module = ModuleType(str(around.get("__name__") or capture.header.module or "__main__"))
    vars(module).update(around)
    listed = ", ".join(name for name in names if not name.startswith("__"))
    debuggers.shell(names, banner=one_line(f"{title}: {listed}"), module=module, exception=exception)


def _named_arguments(capture: Capture) -> dict[str, Any]:
    """Return the captured arguments under the names of their parameters; those of a `*args` together under `args`."""
    stored = capture.stored
    if stored.entry is not None:
        described = stored.entry.manifest().arguments
    else:
        assert stored.failure is not None
        manifest = stored.failure.manifest()
        inner = manifest.call_at(stored.view)
        described = manifest.arguments if inner is None else manifest.inner[inner].arguments
    named: dict[str, Any] = {}
    for value, record in zip_longest(capture.args, described[: len(capture.args)]):
        if record is None or not record.name.isidentifier():
            named["args"] = (*named.get("args", ()), value)
        else:
            named[record.name] = value
    return named | capture.kwargs


def _first_entry(exception: BaseException | None) -> TracebackType | None:
    """Return the outermost traceback entry of a replay's failure that is not ckpt's own; None when there is none."""
    entry = exception.__traceback__ if exception is not None else None
    while entry is not None and str(entry.tb_frame.f_globals.get("__name__", "")).partition(".")[0] == "ckpt":
        entry = entry.tb_next
    return entry


def _failure(capture: Capture, command: str, option: str) -> BaseException:
    """Return the rebuilt exception; raise `CkptError` for a capture without one, with the command that opens what is there."""
    exception = capture.exception
    if exception is not None:
        return exception
    header = capture.header
    ended = {"died": "its process died", "running": "it is still running", "returned": "it returned"}.get(header.status, header.status)
    raise CkptError(
        f"The capture {header.id} of {header.name!r} holds the arguments and no failure: {ended}.",
        hint=f"ckpt {command} {header.id} {option}",
    )


def _say_notes(capture: Capture) -> None:
    from ckpt._cli.screen import say
    from ckpt._cli.text import one_line

    for note in capture.notes:
        say(f"note: {one_line(note)}")


def _only_one(options: dict[str, bool]) -> None:
    given = [option for option, is_given in options.items() if is_given]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other.")


def _only_with(leader: str, is_given: bool, options: dict[str, bool]) -> None:
    for option, is_set in options.items():
        if is_set and not is_given:
            raise UsageError(f"{option} goes with {leader}.")
