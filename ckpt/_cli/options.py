"""The arguments and options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ckpt._cli.completion import capture_names
from ckpt.errors import UsageError


class Debugger(StrEnum):
    """What --debugger may name."""

    ipdb = "ipdb"
    pdb = "pdb"
    pudb = "pudb"
    vscode = "vscode"


class Code(StrEnum):
    """What --code may name, besides snapshots."""

    current = "current"
    captured = "captured"


def _debugger(given: str) -> Debugger:
    if given not in set(Debugger):
        raise UsageError(f"There is no debugger {given!r}.", hint=f"one of {', '.join(Debugger)}")
    return Debugger(given)


def _code(given: str) -> str:
    """Return what a capture's code may be: one of the words, or the folder of a snapshot, unpacked when it is a zip file."""
    import os

    if given in set(Code) or os.path.isdir(given):
        return given
    if not os.path.exists(given):
        raise UsageError(f"There is no code {given!r}.", hint="current, captured, or the path of a snapshot")
    from ckpt.codebase.extraction import unpack

    return unpack(given).directory


Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        show_default=False,
        autocompletion=capture_names,
        help="A name, module.name, name~2 (two before the newest), or an id or its beginning, from 4 digits on.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Trust = Annotated[bool, typer.Option("--trust", help="Open it even if somebody else made it: that runs what they put there.")]
Here = Annotated[bool, typer.Option("--here", help="Run in this directory, not in the captured one.")]
UseDebugger = Annotated[
    Debugger | None,
    typer.Option(
        "--debugger",
        metavar=f"<{'|'.join(Debugger)}>",
        parser=_debugger,
        autocompletion=lambda: list(Debugger),
        help="Which debugger; without it, the best that can be used.",
    ),
]
AtFrame = Annotated[int | None, typer.Option("--frame", metavar="N", help="Frame number; 0 is the captured function.")]
UseCode = Annotated[
    str,
    typer.Option(
        "--code",
        metavar="CODE",
        parser=_code,
        show_default=False,
        autocompletion=lambda: list(Code),
        help="The project's code: current, captured (as it was), or a snapshot's (a zip file, a folder).",
    ),
]
LookCode = Annotated[
    str | None,
    typer.Option(
        "--code",
        metavar="CODE",
        parser=_code,
        show_default=False,
        autocompletion=lambda: list(Code),
        help="The project's code: current, captured (as it was; that of an imported capture by default), or a snapshot's.",
    ),
]


def only_one(options: dict[str, bool]) -> None:
    """Raise `UsageError` when more than one of these options is given."""
    given = [option for option, is_given in options.items() if is_given]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other.")


def only_with(leader: str, is_given: bool, options: dict[str, bool]) -> None:
    """Raise `UsageError` when one of these options is given without the one it belongs to."""
    for option, is_set in options.items():
        if is_set and not is_given:
            raise UsageError(f"{option} goes with {leader}.")
