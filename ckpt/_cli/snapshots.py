"""`snapshot create`, `show`, `run`, `make-pyz` and `from`: the code of an experiment as one file."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Annotated

import typer

from ckpt._cli.options import AsJson, Name
from ckpt._cli.screen import say, write
from ckpt._cli.text import one_line, plural
from ckpt._model.units import size

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ckpt.codebase.archive import Overview
    from ckpt.codebase.snapshot import Report

app = typer.Typer(no_args_is_help=True, help="Keep the code of an experiment as one file; look at it, run it.")

#: A bar is shown when writing takes longer, in seconds.
_PATIENCE = 1.0

#: Between a package and its version: a space at which no line is broken.
_TOGETHER = "\N{NO-BREAK SPACE}"

Folder = Annotated[str, typer.Argument(metavar="DIR", help="The folder whose contents go in.")]
Zip = Annotated[str, typer.Argument(metavar="ZIP", help="A snapshot.")]
Output = Annotated[str, typer.Option("--output", "-o", metavar="ZIP", help="The file to write.")]
Library = Annotated[list[str] | None, typer.Option("--extra-library", metavar="PATH", help="A module or package to put beside it.")]
PythonPath = Annotated[
    list[str] | None, typer.Option("--extra-pythonpath", metavar="DIR", help="A directory whose modules and packages are put beside it.")
]
File = Annotated[list[str] | None, typer.Option("--extra-file", metavar="PATH", help="A file to take whatever the rules say.")]
Ignore = Annotated[list[str] | None, typer.Option("--ignore", metavar="PATTERN", help="Names, or paths, to leave out.")]
PyOnly = Annotated[bool, typer.Option("--py-only", help="Take nothing but .py files.")]
Larger = Annotated[str | None, typer.Option("--ignore-larger-than", metavar="SIZE", help="Leave larger files out: 100K, 1M.")]
Launcher = Annotated[str | None, typer.Option("--launcher", metavar="ENTRY", help="What it runs: train.py, module or module:function.")]
Entry = Annotated[str, typer.Argument(metavar="ENTRY", help="train.py, package.module or module:function.")]
Most = Annotated[str | None, typer.Option("--max-bytes", metavar="SIZE", help="Unpack up to so much.")]
Arguments = Annotated[list[str] | None, typer.Argument(metavar="[ARGUMENT]...", help="The program's own.", show_default=False)]


@app.command()
def create(  # noqa: PLR0913 - one parameter for each option
    folder: Folder = ".",
    *,
    output: Output = "codebase.zip",
    py_only: PyOnly = False,
    ignore_larger_than: Larger = None,
    extra_library: Library = None,
    extra_pythonpath: PythonPath = None,
    extra_file: File = None,
    ignore: Ignore = None,
    launcher: Launcher = None,
    as_json: AsJson = False,
) -> None:
    """Write a snapshot of a folder.

    In a git checkout what git tracks or does not ignore, elsewhere what no .gitignore names; never keys, .env files, captures and virtual
    environments. What was left out, and why, is said on standard error; with --json all of it, file by file.
    """
    from ckpt.codebase import checkpoint

    with Bar() as bar:
        report = checkpoint(
            folder,
            output,
            extra_libraries=extra_library or (),
            extra_pythonpath=extra_pythonpath or (),
            extra_files=extra_file or (),
            ignore_patterns=ignore or (),
            py_only=py_only,
            ignore_larger_than=ignore_larger_than,
            verbose=False,
            launcher=launcher,
            progress=bar,
        )
    if as_json:
        write(json.dumps(dataclasses.asdict(report), indent=2))
        return
    _tell(report)
    if launcher is not None:
        _tell_of_data(report.path)


@app.command()
def show(path: Zip, as_json: AsJson = False) -> None:
    """Show what a snapshot holds.

    Its files and their sizes, and the Python, packages and commit it was made with. Nothing is run.
    """
    from ckpt.codebase.archive import read

    found = read(path)
    if as_json:
        write(json.dumps(found.record | {"name": found.name, "files": dict(found.files)}, indent=2))
        return
    for line in _description(path, found):
        write(one_line(line))


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "allow_interspersed_args": False})
def run(path: Zip, entry: Entry, arguments: Arguments = None, *, max_bytes: Most = None) -> None:
    """Run a script, module or function of a snapshot.

    In this directory, and by this Python. It is unpacked first, once, so that data files and compiled modules are found too.
    """
    from ckpt.codebase.extraction import launcher_in, unpack
    from ckpt.codebase.rules import parse_size

    launcher = launcher_in(unpack(path, max_bytes=parse_size(max_bytes)).directory)
    command = [sys.executable, launcher, entry, *(arguments or ())]
    sys.stdout.flush()
    if os.name == "posix":  # the program takes our place: signals, terminal and exit code are its own
        os.execv(sys.executable, command)  # noqa: S606 - what the person asked for
    import subprocess

    raise typer.Exit(subprocess.call(command))  # noqa: S603 - the same


@app.command("make-pyz")
def make_pyz(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A folder, or a snapshot.")],
    entry: Entry,
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="PYZ", help="The file to write; SOURCE.pyz by default.")] = None,
) -> None:
    """Make a program of a folder or a snapshot.

    It starts at ENTRY, by its own name or by python; ckpt need not be there.
    """
    from ckpt.codebase import make_pyz as make

    path = make(source, entry, output)
    write(one_line(path))
    _tell_of_data(path)


@app.command("from")
def from_(name: Name = None, output: Output = "code.zip") -> None:
    """Write a capture's code as a snapshot.

    The project's modules as they were imported by the captured process. A name with slashes is a run of Weights & Biases,
    entity/project/run: its code is downloaded.
    """
    if name is not None and "/" in name:
        from ckpt.codebase import zip_from_wandb

        write(one_line(zip_from_wandb(name, output)))
        return
    from ckpt._cli.stores import opened
    from ckpt.codebase.captured import from_capture

    _tell(from_capture(opened(), name, output))


class Bar:
    """A progress bar on a terminal, for what takes longer than a second; called with the bytes that are done and all bytes."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._visible_from = time.monotonic() + patience
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Bar:  # noqa: PYI034 - nobody inherits from it
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def __call__(self, done: int, total: int) -> None:
        if self._progress is None and time.monotonic() >= self._visible_from and sys.stderr is not None and sys.stderr.isatty():
            self._start(total)
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done)

    def _start(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

        console = Console(stderr=True)
        self._progress = Progress("snapshot", BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=console, transient=True)
        self._task = self._progress.add_task("snapshot", total=total)
        self._progress.start()


def _tell(report: Report) -> None:
    """Write where the snapshot is, and say what is in it and what is not."""
    from ckpt.codebase.snapshot import summary

    write(one_line(report.path))
    commit = f", commit {report.commit[:12]}{' with changes' if report.is_dirty else ''}" if report.commit else ""
    say(f"{plural(len(report.files), 'file')}, {size(report.size)}, as a zip file {size(report.size_of_zip)}{commit}")
    for line in summary(report.left_out):
        say(one_line(f"left out: {line}"))
    for note in report.notes:
        say(one_line(f"note: {note}"))


def _tell_of_data(path: str) -> None:
    """Say which files of a program do not work where they are, in a zip file."""
    from ckpt.codebase.archive import read
    from ckpt.codebase.names import beside_code

    names = beside_code([name for name, _ in read(path).files])
    if names:
        listed = f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"  # noqa: PLR2004 - as in a report
        say(one_line(f"note: in a zip file open(__file__ ...) does not find {listed}; importlib.resources does"))


def _description(path: str, found: Overview) -> list[str]:
    record, files = found.record, found.files
    head = f"{path}  {plural(len(files), 'file')}, {size(sum(length for _, length in files))}  {found.name}"
    if not record:
        return [f"{head}  (no record: not made by ckpt)", *(f"{size(length):>12}  {name}" for name, length in files)]
    commit, dirty = record.get("commit"), record.get("dirty")
    listed = record.get("packages")
    packages = [f"{name}{_TOGETHER}{version}" for name, version in listed.items()] if isinstance(listed, dict) else []
    return [
        f"{head}  Python {record.get('python', '?')}{f'  commit {str(commit)[:12]}' if commit else ''}{' with changes' if dirty else ''}",
        *(f"{size(length):>12}  {name}" for name, length in files),
        f"{plural(len(packages), 'package')} installed:",
        *(line.replace(_TOGETHER, " ") for line in _wrapped(", ".join(packages))),
    ]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
