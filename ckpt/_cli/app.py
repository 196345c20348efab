"""The command `ckpt`: who answers."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ckpt._cli.exits import exit_codes
from ckpt._cli.shells import VARIABLE, script


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    with exit_codes():
        if VARIABLE in os.environ:
            _complete(os.environ[VARIABLE], given)
        elif not _list_quickly(given):
            _run_typer(given)


def _list_quickly(arguments: list[str]) -> bool:
    """Answer plain `ckpt info` without Typer, whose loading costs more than the list; return whether that is what was asked."""
    from ckpt._cli.listing import plain_listing

    listing = plain_listing(arguments)
    if listing is not None:
        listing.tell()
    return listing is not None


def _complete(instruction: str, arguments: list[str]) -> None:
    text = script(instruction)
    if text is None:
        _run_typer(arguments)  # it answers, and leaves
    else:
        sys.stdout.write(text)


def _run_typer(arguments: list[str]) -> None:
    from typer.main import get_command

    from ckpt._cli.commands import app

    # Not app(): it would put Typer's excepthook in the place of the one that a replayed program finds.
    get_command(app)(args=arguments, prog_name="ckpt")
