"""Debuggers and shells on an opened capture: what is there, in the frame that is asked for, with the notes said first."""

from __future__ import annotations

import faulthandler
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Literal

import typer

from ckpt._cli import report, screen
from ckpt._cli.options import Debugger
from ckpt._cli.text import one_line
from ckpt.errors import CannotReplayError, CkptError, UsageError

if TYPE_CHECKING:
    from ckpt._replaying.rehydrate import Capture
    from ckpt._replaying.verdicts import Replay

#: Where the fault handler writes: it knows files by their numbers.
STDERR = 2


def opened_capture(name: str | None, code: str, *, trust: bool) -> Capture:
    """Return the capture that `name` means, with today's code or the captured, ready for use; another's only with `trust`."""
    from ckpt._cli.stores import opened
    from ckpt._replaying.rehydrate import open_capture

    capture = open_capture(opened(), name, code=code, trust=trust)
    capture.stored.check_values()
    return capture


def capture_to_look_at(name: str | None, code: str | None, *, trust: bool) -> Capture:
    """Return a capture as `opened_capture` does. One that was imported has the code it was made with, unless `code` says otherwise."""
    from ckpt._cli.stores import opened
    from ckpt._replaying.rehydrate import CAPTURED, CURRENT, open_capture

    store = opened()
    stored = store.get(store.find(name).id)
    if code is not None or not stored.is_imported:
        return open_capture(store, stored.header.id, code=code or CURRENT, trust=trust)
    capture = open_capture(store, stored.header.id, code=CAPTURED, trust=trust)
    if stored.has_values:
        screen.say("note: imported, so the project's code is the captured one; --code current takes that of this machine")
    return capture


def post_mortem(capture: Capture, debugger: Debugger | None, frame: int | None, *, here: bool) -> None:
    """Open the debugger in the captured frames; raise `CkptError` for a capture without a failure."""
    from ckpt._replaying import debuggers

    with capture.surroundings(here=here), capture.sources():
        exception = _failure(capture, "debug", "--start")
        say_notes(capture)
        with capture.way_in() as above:
            debuggers.post_mortem(exception, debugger=debugger, frame=frame, above=above)


def call_under_debugger(capture: Capture, debugger: Debugger | None, *, at_start: bool, here: bool) -> None:
    """Call the function again under the debugger. What it returned is printed, and the verdict; when it raised, exit code 1."""
    from ckpt._replaying import debuggers
    from ckpt._replaying.calling import returned
    from ckpt._replaying.handling import Handled

    with capture.surroundings(here=here), capture.sources_in_use():
        target = capture.target()
        say_all(capture.replay_notes)
        stop: Literal["start", "failure"] = "start" if at_start else "failure"
        handled = Handled(capture)
        with handled.watched(), _told_of_a_crash():
            value = _returned_by(lambda: debuggers.run_call(target, debugger=debugger, stop=stop, code=capture.code))
        outcome = handled.judged(returned(capture, value))
        screen.write_lines(report.shielded(lambda: repr(value)))
    screen.say(report.verdict(outcome))
    raise typer.Exit(outcome.exit_code())


@contextmanager
def _told_of_a_crash() -> Iterator[None]:
    """Let a call that takes this process along say where, on standard error; there is nobody left for a verdict."""
    if faulthandler.is_enabled():
        yield
        return
    faulthandler.enable(STDERR)
    try:
        yield
    finally:
        faulthandler.disable()


def _returned_by(call: Callable[[], Any]) -> Any:
    """Return what the user's function returned under the debugger. What it raised the person has seen: it is named, and that is all."""
    from ckpt._replaying.debuggers import QuitError

    try:
        return call()
    except QuitError:
        screen.say("the debugger was left before the call had ended")
        raise typer.Exit from None
    except CkptError:
        raise
    except (Exception, SystemExit) as err:  # anything: it is the user's
        screen.say(report.raised_line(err))
        raise typer.Exit(1) from err


def shell_with_locals(capture: Capture, number: int) -> None:
    """Open the shell on the variables of frame `number`; raise `UsageError` when there is no such frame."""
    capture.stored.check_values()
    with capture.surroundings(), capture.sources():
        exception = _failure(capture, "shell", "--args")
        if not 0 <= number < len(capture.frames):
            raise UsageError(f"There is no frame {number}.", hint=f"frames go from 0 to {len(capture.frames) - 1}: --frame N")
        frame = capture.frames[number]
        title = f"Frame {number} of {len(capture.frames)}, {frame.record.qualname}, at the failure of {capture.header.name}"
        _shell(capture, title, frame.locals, frame.globals, exception)


def shell_with_arguments(capture: Capture, *, here: bool) -> None:
    """Open the shell on the captured arguments, with the function where it is there today."""
    with capture.surroundings(here=here), capture.sources_in_use():
        _shell(capture, f"The arguments of {capture.header.name}", _with_function(capture), {}, None)


def shell_after(capture: Capture, outcome: Replay, *, here: bool) -> None:
    """Open the shell on what a replay left: the variables of the call when it raised, else the arguments and `result`."""
    with capture.surroundings(here=here), capture.sources_in_use():
        entry = first_entry(capture, outcome)
        if entry is not None:
            held, around = dict(entry.tb_frame.f_locals), entry.tb_frame.f_globals
            _shell(capture, f"The replay of {capture.header.name}, at its failure", held, around, outcome.exception)
        elif outcome.has_returned:
            given = {**_named_arguments(capture, capture.args, capture.kwargs), "result": outcome.value}
            _shell(capture, f"The replay of {capture.header.name}, after it returned", given, {}, None)


def _shell(capture: Capture, title: str, names: dict[str, Any], around: dict[str, Any], exception: BaseException | None) -> None:
    from ckpt._replaying import debuggers

    say_notes(capture)
    module = ModuleType(str(around.get("__name__") or capture.header.module or "__main__"))
    vars(module).update(around)
    listed = ", ".join(name for name in names if not name.startswith("__"))
    debuggers.shell(names, banner=one_line(f"{title}: {listed}"), module=module, exception=exception)


def _with_function(capture: Capture) -> dict[str, Any]:
    """Return the arguments under the names of their parameters, and the function under its own, where no argument has that."""
    try:
        function, args, kwargs = capture.todays()
    except CannotReplayError:
        return _named_arguments(capture, capture.args, capture.kwargs)
    name = capture.header.qualname.rpartition(".")[2]
    return ({name: function} if name.isidentifier() else {}) | _named_arguments(capture, args, kwargs)


def _named_arguments(capture: Capture, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments under the names of their parameters, changed as is wanted; those of a `*args` together under `args`."""
    from ckpt._replaying.arguments import described
    from ckpt._replaying.changes import with_changes

    named: dict[str, Any] = {}
    for value, record in zip_longest(args, described(capture.stored)[: len(args)]):
        if record is None or not record.name.isidentifier():
            named["args"] = (*named.get("args", ()), value)
        else:
            named[record.name] = value
    return with_changes(named | kwargs, capture.changes)


def first_entry(capture: Capture, outcome: Replay) -> TracebackType | None:
    """Return the traceback entry of a replay's failure that is the captured function's; None when nothing of the user's is in it."""
    from ckpt._replaying.tracebacks import users_part

    if outcome.exception is None or outcome.duration is None:
        return None
    return users_part(outcome.exception.__traceback__, capture.code)


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


def say_notes(capture: Capture) -> None:
    """Say what a person should know before trusting what is shown."""
    say_all(capture.notes)


def say_before(outcome: Replay) -> None:
    """Say what comes before a verdict: where the call hung or crashed, why it may differ, and what to do when it could not be made."""
    for line in outcome.stack:
        screen.say(one_line(line))
    say_all(outcome.notes)
    if outcome.hint:
        screen.advise(outcome.hint)


def say_all(notes: Iterable[str]) -> None:
    """Say notes, one line each."""
    for note in notes:
        screen.say(f"note: {one_line(note)}")
