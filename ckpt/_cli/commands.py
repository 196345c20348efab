"""The commands as a Typer application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ckpt._cli import comparing, exporting, indexing, keeping, looking, pipelines, replaying, running, snapshots, writing
from ckpt._cli.exits import exit_codes
from ckpt._cli.screen import name_store, write

#: In the order of `ckpt --help`: that in which they are needed.
COMMANDS: tuple[Callable[..., None], ...] = (
    keeping.init,
    looking.info,
    looking.show,
    running.run,
    replaying.shell,
    replaying.debug,
    comparing.diff,
    comparing.sources,
    writing.test,
    pipelines.plan,
    pipelines.graph,
    keeping.clear,
    keeping.check,
    exporting.export,
    exporting.import_,
    keeping.trust,
    indexing.index,
)


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
    ckpt_dir: Annotated[
        str | None, typer.Option("--ckpt-dir", metavar="PATH", help="The store, in place of the one that is found.")
    ] = None,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Look at captured calls, debug them, and call them again on today's code."""
    name_store(ckpt_dir)
    if ckpt_dir is not None:
        from ckpt._store.location import set_ckpt_dir

        set_ckpt_dir(ckpt_dir)


for _command in COMMANDS:
    app.command(_command.__name__.rstrip("_"))(_command)
app.add_typer(snapshots.app, name="snapshot")
