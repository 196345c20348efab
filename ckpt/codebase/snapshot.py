"""Making snapshots: a folder, and what it needs besides, as one file."""

from __future__ import annotations

import logging
import os
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ckpt.codebase import archive, surroundings
from ckpt.codebase.archive import MAIN, Contents, Progress
from ckpt.codebase.rules import RECORD, Ignore, LeftOut, Rules, parse_size
from ckpt.codebase.selection import Given, Item, Selection
from ckpt.errors import UsageError

Path = str | os.PathLike[str]
_log = logging.getLogger("ckpt.codebase")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What went into a snapshot and what did not; as text, a few lines for a person."""

    path: str
    files: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    #: Bytes, before and after.
    size: int
    size_of_zip: int
    commit: str | None = None
    is_dirty: bool | None = None
    #: What a person should know before using it, one line each.
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.path}: {len(self.files)} files, {self.size:,} bytes, {self.size_of_zip:,} bytes as a zip file"]
        if self.commit:
            lines.append(f"commit {self.commit}{', with changes' if self.is_dirty else ''}")
        return "\n".join([*lines, *(f"left out: {line}" for line in summary(self.left_out)), *(f"note: {note}" for note in self.notes)])

    __repr__ = __str__


def summary(left_out: Iterable[LeftOut], shown: int = 3) -> list[str]:
    """Return one line for each reason: how many were left out, and the first of them."""
    found = sorted(left_out)
    lines = []
    for reason, count in Counter(one.reason for one in found).most_common():
        paths = [one.path for one in found if one.reason == reason][:shown]
        lines.append(f"{', '.join(paths)}{f' and {count - shown} more' if count > shown else ''} ({reason})")
    return lines


def checkpoint(  # noqa: PLR0913, PLR0917 - the parameters of codesave, under their names and in their order
    main_folder: Path | None,
    output_zipname: Path | None = None,
    extra_libraries: Iterable[Path] | Path = (),
    extra_pythonpath: Iterable[Path] | Path = (),
    extra_files: Iterable[Path] | Path = (),
    ignore: Iterable[Ignore] | Ignore = (),
    ignore_patterns: Iterable[str] | str = (),
    py_only: bool = False,
    ignore_larger_than: float | str | None = None,
    verbose: bool = True,
    *,
    launcher: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Write all code of `main_folder` to the zip file `output_zipname`, and return what went in and what was left out.

    In a git checkout that is what git tracks or does not ignore, elsewhere what no `.gitignore` names; never `.git`, captures, virtual
    environments, and files that hold keys or are called `.env`. A `launcher` (`train.py`, `package.module`, `module:function`) makes the
    snapshot a program with that entry point.

    Args:
        main_folder: Its contents lie at the top of the snapshot. None when only libraries are wanted.
        output_zipname: The file to write; it is replaced as a whole.
        extra_libraries: Modules and packages from elsewhere, put at the top under their own names.
        extra_pythonpath: Directories all of whose modules and packages are put at the top.
        extra_files: Files and directories put at the top whatever the rules say.
        ignore: Functions as `shutil.copytree` takes them.
        ignore_patterns: Patterns of names or, with a slash, of paths.
        py_only: Take nothing but `.py` files.
        ignore_larger_than: Bytes, or a text such as `"1M"`.
        verbose: Log the report.
        progress: Called with the bytes that are in and all bytes.

    Raises `UsageError` for a folder that is not there, when no file of it goes in, and for a place that cannot be written to.
    """
    if output_zipname is None:
        raise UsageError("A snapshot needs a file to go to.", hint="checkpoint('codebase/', output_zipname='codebase.zip')")
    given = Given(
        main_folder=None if main_folder is None else os.fspath(main_folder),
        extra_libraries=_paths(extra_libraries),
        extra_pythonpath=_paths(extra_pythonpath),
        extra_files=_paths(extra_files),
    )
    if given.main_folder is None and not (given.extra_libraries or given.extra_pythonpath):
        raise UsageError("A snapshot needs a folder, or libraries.", hint="checkpoint('codebase/', output_zipname='codebase.zip')")
    rules = Rules(
        ignore=(ignore,) if callable(ignore) else tuple(ignore),
        ignore_patterns=(ignore_patterns,) if isinstance(ignore_patterns, str) else tuple(ignore_patterns),
        py_only=py_only,
        ignore_larger_than=parse_size(ignore_larger_than),
    )
    output = os.path.expanduser(os.fspath(output_zipname))
    report = _write(Selection(rules, output).take(given), output, launcher, progress)
    if verbose:
        _log.info("%s", report)
    return report


def make_pyz(source: Path, launcher: str, output: Path | None = None, **options: Any) -> str:
    """Make a snapshot that starts at `launcher`, of a folder (with the options of `checkpoint`) or of another snapshot; return its path.

    Without `output` it lies beside the source, with the suffix `.pyz`. Raises `UsageError` when the entry point is not in it.
    """
    source = os.path.expanduser(os.fspath(source))
    target = os.path.expanduser(os.fspath(output)) if output is not None else f"{os.path.splitext(source.rstrip('/'))[0] or 'codebase'}.pyz"
    if os.path.isdir(source):
        return checkpoint(source, target, launcher=launcher, **options).path
    if not zipfile.is_zipfile(source):
        raise UsageError(f"{source!r} is neither a folder nor a zip file.")
    with zipfile.ZipFile(source) as old:
        main = _main(launcher, old.namelist())
    archive.write_program(target, source, main)
    return target


def libraries_of(names: Iterable[str]) -> list[str]:
    """Return what can be imported from files of these names: modules and directories with modules in them, at the top."""
    found = {name.partition("/")[0] for name in names if name.endswith(".py")}
    return sorted({name.removesuffix(".py") for name in found} - {"__main__", "__init__"})


def _write(selection: Selection, output: str, launcher: str | None, progress: Progress | None) -> Report:
    items = dict(selection.items)
    if not items:
        why = summary(selection.left_out)
        raise UsageError("There is no file to put into a snapshot.", hint=f"left out: {why[0]}" if why else "")
    texts = {}
    if launcher is not None or MAIN not in items:
        texts[MAIN] = _main(launcher, items) if launcher is not None else archive.launcher()
        replaced = items.pop(MAIN, None)
        if replaced is not None:
            selection.left_out.append(LeftOut(path=MAIN, reason=f"the launcher for {launcher} stands in its place"))
    items.pop(RECORD, None)
    record = surroundings.describe(commit=selection.commit, is_dirty=selection.is_dirty, libraries=libraries_of(items))
    contents = Contents(record=record, items=tuple(items.values()), texts=texts)
    unread = archive.write(output, contents, is_program=launcher is not None, progress=progress)
    for one in unread:
        del items[one.path]
    return _report(output, list(items.values()), [*selection.left_out, *unread], selection)


def _report(output: str, taken: list[Item], left_out: list[LeftOut], selection: Selection) -> Report:
    size, size_of_zip = sum(item.size for item in taken), os.path.getsize(output)
    notes = list(selection.notes)
    if size > archive.limit(size_of_zip):
        allowed = f"--max-bytes {size + size_of_zip}, or in Python max_bytes={size + size_of_zip}"
        notes.append(f"it unpacks to more than a hundred times its size, which is refused as a bomb: opening it takes {allowed}")
    return Report(
        path=output,
        files=tuple(sorted(item.name for item in taken)),
        left_out=tuple(sorted(set(left_out))),
        size=size,
        size_of_zip=size_of_zip,
        commit=selection.commit,
        is_dirty=selection.is_dirty,
        notes=tuple(notes),
    )


def _main(entry: str, names: Iterable[str]) -> bytes:
    """Return the `__main__.py` for a fixed entry point: a script, module or function of the snapshot, or a script outside it."""
    known = set(names)
    module = entry.partition(":")[0]
    path = module.replace(".", "/")
    in_it = entry in known if entry.endswith(".py") else bool({f"{path}.py", f"{path}/__main__.py", f"{path}/__init__.py"} & known)
    if in_it or (":" not in entry and not entry.endswith(".py") and f"{path}/" in known):
        return archive.launcher(entry)
    if os.path.isfile(entry):
        with open(entry, "rb") as file:
            return file.read()
    raise UsageError(f"The entry point {entry!r} is not in the snapshot.", hint="train.py, package.module or package.module:function")


def _paths(given: Iterable[Path] | Path) -> tuple[str, ...]:
    return (os.fspath(given),) if isinstance(given, str | os.PathLike) else tuple(os.fspath(path) for path in given)
