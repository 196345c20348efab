"""The arguments and options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ckpt._cli.completion import capture_names


class Debugger(StrEnum):
    """What --debugger may name."""

    ipdb = "ipdb"
    pdb = "pdb"
    pudb = "pudb"
    vscode = "vscode"


Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        show_default=False,
        autocompletion=capture_names,
        help="A name, module.name, name~2 (two before the newest), or an id or its beginning.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Here = Annotated[bool, typer.Option("--here", help="Run in this directory, not in the captured one.")]
UseDebugger = Annotated[Debugger | None, typer.Option("--debugger", help="Which debugger; without it, the best that can be used.")]
AtFrame = Annotated[int | None, typer.Option("--frame", metavar="N", help="Frame number; 0 is the captured function.")]
