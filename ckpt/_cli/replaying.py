"""`shell` and `debug`: commands that open a capture, and so run what it holds."""

from __future__ import annotations

from typing import Annotated

import typer

from ckpt._cli import sessions
from ckpt._cli.options import AtFrame, Code, Here, LookCode, Name, Trust, UseDebugger, only_one

Start = Annotated[bool, typer.Option("--start", help="Call the function again, and stop at its first line.")]
Rerun = Annotated[bool, typer.Option("--rerun", help="Call the function again, and stop where it fails.")]
Args = Annotated[bool, typer.Option("--args", help="The arguments, under the names of their parameters, and the function.")]
Locals = Annotated[bool, typer.Option("--locals", help="The variables of a frame at the failure; the default.")]


def shell(  # noqa: PLR0913 - one parameter for each option
    name: Name = None,
    *,
    args: Args = False,
    locals_: Locals = False,
    frame: AtFrame = None,
    code: LookCode = None,
    trust: Trust = False,
) -> None:
    """Open IPython among a failure's variables.

    Nothing is run again. Without NAME: the newest failure. Frame 0 is the captured function, the last one is the one that raised.
    """
    only_one({"--args": args, "--locals": locals_})
    only_one({"--args": args, "--frame": frame is not None})
    capture = sessions.capture_to_look_at(name, code, trust=trust)
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
    code: LookCode = None,
    trust: Trust = False,
) -> None:
    """Open a debugger in a failure's frames.

    Nothing is run again unless --start or --rerun says so. Without NAME: the newest failure. The session starts in the frame that
    raised, or in frame N.
    """
    only_one({"--start": start, "--rerun": rerun})
    only_one({"--start": start, "--rerun": rerun, "--frame": frame is not None})
    if start or rerun:
        capture = sessions.opened_capture(name, code or Code.current, trust=trust)
        sessions.call_under_debugger(capture, debugger, at_start=start, here=here)
    else:
        sessions.post_mortem(sessions.capture_to_look_at(name, code, trust=trust), debugger, frame, here=here)
