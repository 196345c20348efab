"""Snapshots and Weights & Biases: up with the run that is active, down by the run's path. Needs the extra `ckpt[wandb]`."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from typing import Any

from ckpt.codebase import surroundings
from ckpt.codebase.loading import PlainInside
from ckpt.codebase.rules import Ignore
from ckpt.codebase.snapshot import Path, Report, checkpoint
from ckpt.errors import CkptError, NotFoundError, UsageError

#: `entity/project/run_id`, of which wandb knows the first parts by itself, or as the address of a run has it.
_PATH = re.compile(r"/?(?!\.)[\w.-]+(?:/(?!\.)[\w.-]+){0,3}")
#: The name of a snapshot among the files of a run.
FILE = "codebase.zip"


def checkpoint_to_wandb(  # noqa: PLR0913, PLR0917 - the parameters of codesave, under their names and in their order
    main_folder: Path | None,
    output_directory: Path | None = None,
    extra_libraries: Iterable[Path] | Path = (),
    extra_pythonpath: Iterable[Path] | Path = (),
    ignore: Iterable[Ignore] | Ignore = (),
    ignore_patterns: Iterable[str] | str = (),
    py_only: bool = False,
    ignore_larger_than: float | str | None = "100K",
    verbose: bool = True,
    codebase_zipname: str = FILE,
    *,
    extra_files: Iterable[Path] | Path = (),
) -> Report:
    """Write a snapshot as `checkpoint` does, and upload it to the active run, with a list of the installed packages.

    It lies in `output_directory`, by default that of the run. What is larger than 100 kB is left out unless `ignore_larger_than` says
    otherwise. Raises `UsageError` when no run is active.
    """
    run = _wandb().run
    if run is None:
        raise UsageError("No run is active.", hint="wandb.init()")
    directory = os.path.abspath(os.path.expanduser(os.fspath(output_directory or run.dir)))
    report = checkpoint(
        main_folder,
        os.path.join(directory, codebase_zipname),
        extra_libraries=extra_libraries,
        extra_pythonpath=extra_pythonpath,
        extra_files=extra_files,
        ignore=ignore,
        ignore_patterns=ignore_patterns,
        py_only=py_only,
        ignore_larger_than=ignore_larger_than,
        verbose=verbose,
    )
    packages = os.path.join(directory, "packages.txt")
    with open(packages, "w", encoding="utf-8") as file:
        file.write(surroundings.requirements(surroundings.installed_packages()))
    for path in (report.path, packages):
        run.save(path, base_path=directory, policy="now")
    return report


def download_from_wandb(wandb_path: str, output_zipname: Path | None = None, wandb_filename: str = FILE, api: Any = None) -> str:
    """Download what `checkpoint_to_wandb` has uploaded to the run `entity/project/run_id`; return the path of the zip file.

    Without `output_zipname` that is a temporary file, which is the caller's. Raises `NotFoundError` when the run has no such file.
    """
    run = _run(wandb_path, api)
    with tempfile.TemporaryDirectory() as directory:
        if not any(file.name == wandb_filename for file in run.files([wandb_filename])):
            raise NotFoundError(
                f"The run {wandb_path!r} has no file {wandb_filename!r}.", hint="zip_from_wandb_artifact() takes what log_code() has logged"
            )
        run.file(wandb_filename).download(directory, replace=True)
        return shutil.copyfile(os.path.join(directory, wandb_filename), _output(output_zipname))


def load_codebase_from_wandb(runname: str, wandb_filename: str = FILE, output_zipname: Path | None = None, api: Any = None) -> str:
    """Do what `download_from_wandb` does: its name in the first generation."""
    return download_from_wandb(runname, output_zipname, wandb_filename, api)


def zip_from_wandb_artifact(wandb_path: str, output_zipname: Path | None = None, api: Any = None) -> str:
    """Make a snapshot of what `run.log_code()` has logged, in its newest version; return the path of the zip file.

    Without `output_zipname` that is a temporary file, which is the caller's. Raises `NotFoundError` when the run has logged no code.
    """
    artifacts = [one for one in _run(wandb_path, api).logged_artifacts() if one.type == "code"]
    if not artifacts:
        raise NotFoundError(f"The run {wandb_path!r} has logged no code.", hint="wandb.run.log_code('codebase/')")
    with tempfile.TemporaryDirectory() as directory:
        artifacts[-1].download(directory)
        return checkpoint(directory, _output(output_zipname), verbose=False).path


def zip_from_wandb(wandb_path: str, output_zipname: Path | None = None, api: Any = None, artifact: bool | None = None) -> str:
    """Download a run's code: `codebase.zip` when it has one, else what it has logged with `log_code`; `artifact` decides otherwise."""
    if artifact is None:
        artifact = not any(file.name == FILE for file in _run(wandb_path, api).files([FILE]))
    download = zip_from_wandb_artifact if artifact else download_from_wandb
    return download(wandb_path, output_zipname, api=api)


class WandBCodebase(PlainInside):
    """The code of a run, as a `UniqueCodebase`. Inside its `with` block plain `import` statements find it too."""

    def __init__(self, wandb_path: str, api: Any = None, artifact: bool | None = None, make_unique: bool = True) -> None:
        with tempfile.TemporaryDirectory() as directory:
            super().__init__(zip_from_wandb(wandb_path, os.path.join(directory, FILE), api, artifact), make_unique=make_unique)
        self.zip_name = wandb_path


def _wandb() -> Any:
    try:
        import wandb
    except ImportError as err:
        raise UsageError("wandb is not installed.", hint="pip install 'ckpt[wandb]'") from err
    return wandb


def _run(path: str, api: Any) -> Any:
    """Return a run by its path. Raises `UsageError` for what is no path of a run, `CkptError` for one that cannot be asked for."""
    if not _PATH.fullmatch(path):
        raise UsageError(f"{path!r} is no run of Weights & Biases.", hint="entity/project/run_id")
    wandb = _wandb()
    try:
        return (wandb.Api() if api is None else api).run(path)
    except Exception as err:  # wandb's own, and those of what it is built on
        raise CkptError(f"The run {path!r} cannot be read: {err}.", hint="wandb login") from err


def _output(path: Path | None) -> str:
    if path is not None:
        return os.path.expanduser(os.fspath(path))
    descriptor, name = tempfile.mkstemp(suffix=".zip")
    os.close(descriptor)
    return name
