"""`plan` and `graph`: commands that import the module of a pipeline and run none of its stages."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ckpt._cli import report, screen
from ckpt._cli.options import AsJson
from ckpt.errors import CkptError, NotFoundError, UsageError

if TYPE_CHECKING:
    from ckpt.pipeline import Config, Pipeline

#: What an import goes through before it reaches the module.
_NOT_THEIRS = (__file__, importlib.__file__)

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

    module, name = _parts(where)
    found = _found(module, name)
    if isinstance(found, Stage):
        return Pipeline(found)
    if not isinstance(found, Pipeline):
        raise UsageError(f"{where!r} is no pipeline: its type is {type(found).__name__!r}.", hint=_suggestion(module))
    return found


def _config(where: str, name: str | None, directory: str | None) -> Config:
    from dataclasses import replace

    from ckpt.pipeline import Config

    found = _found(_parts(where)[0], name) if name is not None else Config(load=True)
    if not isinstance(found, Config):
        raise UsageError(f"{name!r} is no Config: its type is {type(found).__name__!r}.", hint="ckpt plan MODULE:PIPELINE --config NAME")
    return replace(found, dir=directory) if directory is not None else found


def _parts(where: str) -> tuple[ModuleType, str]:
    """Return the module and the name of `module:name`."""
    named, _, path = where.partition(":")
    module = _module(named)
    if not path:
        raise UsageError(f"{where!r} does not name a pipeline.", hint=_suggestion(module))
    return module, path


def _found(module: ModuleType, path: str) -> Any:
    found: Any = module
    for name in path.split("."):
        if not hasattr(found, name):
            raise NotFoundError(f"There is no {name!r} in module {module.__name__!r}.", hint=_suggestion(module))
        found = getattr(found, name)
    return found


def _suggestion(module: ModuleType) -> str:
    """Return a command with the pipelines of a module."""
    from ckpt.pipeline import Pipeline

    names = [name for name, value in vars(module).items() if isinstance(value, Pipeline)]
    if not names:
        return f"there is no pipeline in {module.__name__}: give one a name, pipeline = stage_a >> stage_b"
    others = f"   (or {', '.join(names[1:])})" if names[1:] else ""
    return f"ckpt plan {module.__name__}:{names[0]}{others}"


def _module(named: str) -> ModuleType:
    """Import a module by its name or its file; as for a script, its directory, or else this one, is the first that is searched."""
    directory, module = _place(named) if named.endswith(".py") else (os.getcwd(), named)
    if sys.path[0] != directory:
        sys.path.insert(0, directory)
    with screen.results_only(), _arguments(named):
        try:
            return import_module(module)
        except ModuleNotFoundError as err:
            if f"{module}.".startswith(f"{err.name}."):
                raise NotFoundError(f"There is no module {module!r}: {err}.", hint=f"a module that Python finds from {directory}") from err
            raise _broken(module, err) from err
        except Exception as err:
            raise _broken(module, err) from err
        except SystemExit as err:
            hint = "what only the program does belongs under: if __name__ == '__main__':"
            raise CkptError(f"{module!r} ends the program when it is imported, with {err.code!r}.", hint=hint) from err


def _place(file: str) -> tuple[str, str]:
    """Return the directory from which a file is imported, and its module's name: a package is imported from above it."""
    if not os.path.isfile(file):
        raise NotFoundError(f"There is no file {file!r}.", hint="ls *.py")
    directory, name = os.path.split(os.path.abspath(file.removesuffix(".py")))
    names = [] if name == "__init__" else [name]
    while os.path.isfile(os.path.join(directory, "__init__.py")):
        directory, package = os.path.split(directory)
        names.insert(0, package)
    return directory, ".".join(names)


@contextmanager
def _arguments(name: str) -> Iterator[None]:
    """Let a module that reads the command line find none: ours is not meant for it."""
    kept, sys.argv = sys.argv, [name]
    try:
        yield
    finally:
        sys.argv = kept


def _broken(module: str, trouble: Exception) -> CkptError:
    """Return the error for a module that cannot be imported, and show the module's part of the traceback."""
    entry = trouble.__traceback__
    while entry is not None and entry.tb_frame.f_code.co_filename.startswith((*_NOT_THEIRS, "<frozen")):
        entry = entry.tb_next
    screen.say_traceback(trouble.with_traceback(entry))
    said = f"{type(trouble).__name__}: {trouble}".partition("\n")[0]
    return CkptError(f"Importing {module!r} failed: {said}", hint=f'{sys.executable} -c "import {module}"')
