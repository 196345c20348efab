"""`run`: call captured functions again, in whichever way is asked for."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from ckpt._cli import report, screen, sessions
from ckpt._cli.options import AsJson, Code, Here, Name, Trust, UseCode, only_one, only_with
from ckpt.errors import CannotReplayError, CkptError, DamagedError, PlaceholderError, UsageError

if TYPE_CHECKING:
    from ckpt._model.record import Header
    from ckpt._replaying.calling import Request
    from ckpt._replaying.rehydrate import Capture
    from ckpt._replaying.verdicts import Replay
    from ckpt._store.store import Store

#: The exit code of an error that must end `git bisect run`, which takes those from 128 on for that.
STOP_BISECT = 128

Debug = Annotated[bool, typer.Option("--debug", help="The same as debug --rerun; with --start as debug --start.")]
Shell = Annotated[bool, typer.Option("--shell", help="Then open IPython, with --locals or --args.")]
AtStart = Annotated[bool, typer.Option("--start", help="With --debug: stop at the first line.")]
ShellArgs = Annotated[bool, typer.Option("--args", help="With --shell: the captured arguments; nothing is called.")]
ShellLocals = Annotated[bool, typer.Option("--locals", help="With --shell: the variables of the replay; the default.")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="ARG=VALUE", help="Another value: a Python literal, or @env:VARIABLE for a text.")
]
Timeout = Annotated[float | None, typer.Option("--timeout", metavar="S", help="End the call after S seconds.")]
Everything = Annotated[bool, typer.Option("--all", help="All captures that info lists, or those of NAME; as does a NAME with * in it.")]
Jobs = Annotated[int | None, typer.Option("-j", "--jobs", metavar="N", min=1, help="With --all: so many at a time.")]
Bisect = Annotated[bool, typer.Option("--bisect", help="For git bisect run: exit with 125 where the replay says nothing.")]
Watch = Annotated[bool, typer.Option("--watch", help="Again whenever a file of the project is saved.")]
Trace = Annotated[bool, typer.Option("--trace", help="Print each line that runs, with the variables it changes.")]
Depth = Annotated[int, typer.Option("--depth", metavar="N", min=0, help="With --trace: also N levels of the project's calls below.")]
Profile = Annotated[bool, typer.Option("--profile", help="Print where the time goes.")]


def run(  # noqa: PLR0913 - one parameter for each option
    name: Name = None,
    *,
    debug: Debug = False,
    start: AtStart = False,
    shell: Shell = False,
    args: ShellArgs = False,
    locals_: ShellLocals = False,
    code: UseCode = Code.current,
    changes: Changes = None,
    timeout: Timeout = None,
    everything: Everything = False,
    jobs: Jobs = None,
    bisect: Bisect = False,
    watch: Watch = False,
    trace: Trace = False,
    depth: Depth = 0,
    profile: Profile = False,
    here: Here = False,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Call the function again; give a verdict.

    The captured arguments, today's code. Without NAME: the newest failure, or the newest capture when none failed. What it returned is
    printed last; the verdict is the last line on standard error. Exit code 0 when the call returned, 1 when it raised, or handled once more
    what it had handed to capture_exception().
    """
    everything = everything or is_pattern(name)
    only_one({"--debug": debug, "--shell": shell, "--watch": watch, "--bisect": bisect, "--all": everything})
    only_one({"--debug": debug, "--shell": shell, "--watch": watch, "--json": as_json})
    only_one({"--debug": debug, "--shell": shell, "--trace": trace, "--profile": profile, "--all": everything})
    only_one({"--debug": debug, "--shell": shell, "--timeout": timeout is not None})
    only_with("--debug", debug, {"--start": start})
    only_with("--shell", shell, {"--args": args, "--locals": locals_})
    only_with("--trace", trace, {"--depth": depth > 0})
    only_with("--all", everything, {"--jobs": jobs is not None})
    with _bisecting() if bisect else nullcontext():
        from ckpt._store.trusted import check_trust

        store = _store()
        request = _request(store, code, changes, timeout, here=here)
        request = dataclasses.replace(request, trust=trust, trace=trace, depth=depth, profile=profile)
        if everything:
            _run_all(store, name, request, jobs or os.cpu_count() or 1, as_json=as_json)
        header = store.find(name)
        request = dataclasses.replace(request, id=header.id)
        stored = store.get(header.id)
        stored.check_values()
        if not trust:
            check_trust(stored)  # before a process is started for it
        if watch:
            from ckpt._cli.watcher import watch_on_screen

            watch_on_screen(store, header, request)
        elif debug:
            sessions.call_under_debugger(request.open(), None, at_start=start, here=here)
        elif args:
            sessions.shell_with_arguments(request.open(), here=here)
        else:
            _run(header, request, as_json=as_json, then_shell=shell, bisect=bisect)


def is_pattern(name: str | None) -> bool:
    """Whether a name means every capture that fits it."""
    from ckpt._replaying import batches

    return name is not None and batches.is_pattern(name)


def _store() -> Store:
    from ckpt._cli.stores import opened

    return opened()


def _request(store: Store, code: str, changes: list[str] | None, timeout: float | None, *, here: bool) -> Request:
    """Return what is asked for, checked, but for the capture's id."""
    from ckpt._replaying.calling import Request
    from ckpt._replaying.changes import parse_changes

    parse_changes(changes or ())
    if timeout is not None and not 0 < timeout < math.inf:
        raise UsageError(f"--timeout is a number of seconds above 0, not {timeout:g}.")
    return Request(store=store.path, id="", code=str(code), changes=tuple(changes or ()), timeout=timeout, here=here)


def _run_all(store: Store, name: str | None, request: Request, jobs: int, *, as_json: bool) -> None:
    from ckpt._cli.batch import run_all

    raise typer.Exit(0 if run_all(store, name, request, jobs, as_json=as_json) else 1)


def _run(header: Header, request: Request, *, as_json: bool, then_shell: bool, bisect: bool) -> None:
    with screen.results_only() if as_json else nullcontext():
        outcome, text, capture = _replayed(header, request)
        sessions.say_before(outcome)
    if as_json:
        screen.write(report.replayed(header, outcome, text))
    elif text is not None:
        screen.write_lines(text)
    screen.say(report.verdict(outcome))
    if then_shell and capture is not None:
        sessions.shell_after(capture, outcome, here=request.here)
    raise typer.Exit(outcome.exit_code(bisect=bisect))


def _replayed(header: Header, request: Request) -> tuple[Replay, str | None, Capture | None]:
    """Return what a replay showed, the repr of what was returned, and the capture where it was opened in this process."""
    from ckpt._model.record import DIED
    from ckpt._replaying.calling import call_again
    from ckpt._replaying.replay import in_child
    from ckpt._replaying.verdicts import cannot

    if header.status == DIED or request.timeout is not None:
        outcome = in_child(request, header)
        if outcome.duration is None and (outcome.error or {}).get("type") == UsageError.__qualname__:
            raise UsageError(outcome.detail, hint=outcome.hint)
        return outcome, outcome.text, None
    capture = None
    try:
        capture = request.open()
        outcome = call_again(capture, here=request.here, observe=request.observe())
    except (CannotReplayError, DamagedError, PlaceholderError) as err:
        outcome = cannot(err)
    except KeyboardInterrupt:
        screen.complain(
            "a KeyboardInterrupt ended the replay; with --timeout, one that the call raises by itself is compared", label="interrupted"
        )
        raise
    if capture is not None:
        with capture.sources_in_use():
            _say_failure(outcome, capture)
    if not outcome.has_returned:
        return outcome, None, capture
    return outcome, report.shielded(lambda: repr(outcome.value)), capture


def _say_failure(outcome: Replay, capture: Capture) -> None:
    """Say what a replay raised, from the function's own frame on."""
    if outcome.exception is not None and outcome.duration is not None:
        screen.say_traceback(outcome.exception.with_traceback(sessions.first_entry(capture, outcome)))


@contextmanager
def _bisecting() -> Iterator[None]:
    """Give errors the exit codes that `git bisect run` understands: this commit says nothing, or stop."""
    from ckpt._replaying.verdicts import SAYS_NOTHING

    try:
        yield
    except typer.Exit:
        raise
    except (CannotReplayError, PlaceholderError, DamagedError) as err:
        screen.complain(err.message, err.hint, label="cannot replay")
        raise typer.Exit(SAYS_NOTHING) from err
    except CkptError as err:
        screen.complain(err.message, err.hint)
        raise typer.Exit(STOP_BISECT) from err
