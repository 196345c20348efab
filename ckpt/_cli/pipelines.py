"""`plan` and `graph`: commands that import the module of a pipeline and run none of its stages."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ckpt._cli import report, screen
from ckpt._cli.options import AsJson
from ckpt.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from ckpt.pipeline import Config, Pipeline

Where = Annotated[
    str, typer.Argument(metavar="MODULE:PIPELINE", show_default=False, help="A module, or its file, and the name of a pipeline in it.")
]
ConfigName = Annotated[
    str | None, typer.Option("--config", metavar="NAME", help="The name of a Config in the module; by default, Config(load=True).")
]
ResultsDir = Annotated[str | None, typer.Option("--dir", metavar="PATH", help="Where the results lie: a directory or an fsspec URL.")]


def plan(where: Where, config: ConfigName = None, directory: ResultsDir = None, as_json: AsJson = False) -> None:
    """Say which stages of a pipeline would run.

    Each stage with what would happen to it (run, load or skip) and why. Imports the module, and runs nothing.
    """
    pipeline = _pipeline(where)
    made = pipeline.plan(_config(where, config, directory))
    if as_json:
        screen.write(report.as_json(made.to_json()))
    else:
        screen.write_lines(str(made))


def graph(where: Where) -> None:
    """Print a pipeline as a Mermaid graph.

    Imports the module, and runs nothing.
    """
    screen.write_lines(str(_pipeline(where).graph()))


def _pipeline(where: str) -> Pipeline:
    from ckpt.pipeline import Pipeline, Stage

    found = _found(where)
    if isinstance(found, Stage):
        return Pipeline(found)
    if not isinstance(found, Pipeline):
        raise UsageError(f"{where!r} is no pipeline: its type is {type(found).__name__!r}.", hint="ckpt plan MODULE:PIPELINE")
    return found


def _config(where: str, name: str | None, directory: str | None) -> Config:
    from dataclasses import replace

    from ckpt.pipeline import Config

    found = _found(f"{where.rpartition(':')[0]}:{name}") if name is not None else Config(load=True)
    if not isinstance(found, Config):
        raise UsageError(f"{name!r} is no Config: its type is {type(found).__name__!r}.", hint="ckpt plan MODULE:PIPELINE --config NAME")
    return replace(found, dir=directory) if directory is not None else found


def _found(where: str) -> Any:
    """Return what `module:name` names; as for a script, its directory, or else this one, is the first that is searched."""
    module, colon, path = where.rpartition(":")
    if not (colon and module and path):
        raise UsageError(f"{where!r} does not name a pipeline.", hint="ckpt plan MODULE:PIPELINE")
    directory = os.getcwd()
    if module.endswith(".py"):
        directory, module = os.path.split(os.path.abspath(module[: -len(".py")]))
    if sys.path[0] != directory:
        sys.path.insert(0, directory)
    with screen.results_only():
        try:
            found: Any = import_module(module)
        except ModuleNotFoundError as err:
            raise NotFoundError(f"There is no module {module!r}: {err}.", hint=f"a module that Python finds from {directory}") from err
    for name in path.split("."):
        if not hasattr(found, name):
            raise NotFoundError(
                f"There is no {name!r} in module {module!r}.", hint=f'{sys.executable} -c "import {module}; help({module})"'
            )
        found = getattr(found, name)
    return found
