"""The command `ckpt`: its commands, and the one map from errors to exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from ckpt._cli import keeping, looking, replaying
from ckpt._cli.completion import VARIABLE, script
from ckpt._cli.screen import complain, write
from ckpt.errors import CannotReplayError, CkptError, PlaceholderError, UsageError

#: In the order of `ckpt --help`: that in which they are needed.
COMMANDS: tuple[Callable[..., None], ...] = (
    keeping.init,
    looking.info,
    looking.show,
    replaying.run,
    replaying.shell,
    replaying.debug,
    keeping.clear,
    keeping.check,
)


@contextmanager
def exit_codes() -> Iterator[None]:
    """End the process as an error inside demands: 1 what ckpt could not do, 2 wrong usage, 130 interrupted; a closed pipe is no error to tell."""
    try:
        yield
        sys.stdout and sys.stdout.flush()
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


class Commands(TyperGroup):
    """The group of all commands; errors are mapped here, before Typer makes its own of them."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that `ctx` names."""
        with exit_codes():
            return super().invoke(ctx)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from ckpt._version import VERSION

        write(f"ckpt {VERSION}")
        raise typer.Exit


@app.callback()
def _ckpt(
    ckpt_dir: Annotated[str | None, typer.Option("--ckpt-dir", metavar="PATH", help="The store, in place of the one that is found.")] = None,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Look at captured calls, debug them, and call them again on today's code."""
    if ckpt_dir is not None:
        from ckpt._store.location import set_ckpt_dir

        set_ckpt_dir(ckpt_dir)


for _command in COMMANDS:
    app.command()(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    if text := script(os.environ.get(VARIABLE, "")):
        sys.stdout.write(text)
        return
    # Not app(): it would put Typer's excepthook in the place of the one that a replayed program finds.
    get_command(app)(args=None if arguments is None else list(arguments), prog_name="ckpt")
