"""The command `ckpt`: what answers, and the one map from errors to exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ckpt._cli.screen import complain
from ckpt._cli.shells import VARIABLE, script
from ckpt.errors import CannotReplayError, CkptError, PlaceholderError, UsageError


@contextmanager
def exit_codes() -> Iterator[None]:
    """End the process as an error inside demands: 1 what ckpt could not do, 2 wrong usage, 130 interrupted; a closed pipe is not told."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except CkptError as err:
        label = "cannot replay" if isinstance(err, CannotReplayError | PlaceholderError) else "error"
        complain(err.message, err.hint, label=label)
        sys.exit(2 if isinstance(err, UsageError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # What is still buffered must not fail once more while the interpreter exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)


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
