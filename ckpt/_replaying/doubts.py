"""Why a replay can show something else than the first run did, as far as the records tell: one line each. Nothing is loaded."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib.metadata import packages_distributions
from importlib.util import find_spec

from ckpt._model.packages import canonical, versions_on
from ckpt._model.record import Json, Value
from ckpt._model.redact import MARK
from ckpt._model.sources import TOO_LATE
from ckpt._replaying.arguments import described
from ckpt._replaying.modules import is_same_python
from ckpt._replaying.steps import way_out
from ckpt._replaying.texts import on_disk
from ckpt._store.stored import Stored

#: Types whose values no call can have changed.
_FIXED = frozenset({"NoneType", "bool", "int", "float", "complex", "str", "bytes", "type", "function", "range"})
#: Lines about packages, before the rest is only counted.
_MOST = 10


def doubts(stored: Stored, changes: Collection[str] = ()) -> list[str]:
    """Return the reasons. Arguments named in `changes` are given other values, and raise no doubt."""
    process = stored.process
    of_process = (*other_python(process), *_of_packages(process), *late_sources(process))
    return [*of_process, *_of_arguments(stored, changes), *_of_directory(process)]


def other_python(process: Json) -> list[str]:
    """Return the line about another minor version of Python; none for the same."""
    if is_same_python(process):
        return []
    return [f"captured on Python {process.get('python', '?')}, opened on {platform.python_version()}"]


def changed_packages(process: Json, *, thorough: bool = False) -> list[tuple[str, str, str]]:
    """Return name, version then and version now of the packages whose version is another today, empty for one that is gone.

    Nothing is imported. A package that is named otherwise than its distribution is looked at where it is loaded, or, when that is to be
    `thorough`, in the files of all distributions, which takes its time; else it is passed over.
    """
    tops = {module.partition(".")[0] for module in process.get("modules") or ()}
    then = {name: version for name, version in (process.get("packages") or {}).items() if name not in tops and name != "ckpt"}
    installed = versions_on([*sys.path, *(process.get("path") or ())])
    unknown = [name for name in then if canonical(name) not in installed]
    distributions = packages_distributions() if unknown and thorough else {}
    now = {name: installed.get(canonical(name)) or _loaded(name) or _listed(distributions.get(name), installed) for name in then}
    changed = [(name, then[name], now[name]) for name in sorted(then) if not _is_same(then[name], now[name])]
    return [(name, before, after) for name, before, after in changed if after or not _is_there(name)]


def _is_there(package: str) -> bool:
    try:
        return "." not in package and find_spec(package) is not None  # looking for what is in a package would import it
    except (ImportError, ValueError, AttributeError):  # what a finder of others makes of it
        return False


def _loaded(package: str) -> str:
    version = getattr(sys.modules.get(package), "__dict__", {}).get("__version__")
    return version if isinstance(version, str) else ""


def _listed(names: list[str] | None, installed: dict[str, str]) -> str:
    return next((installed[canonical(name)] for name in names or () if canonical(name) in installed), "")


def _is_same(then: str, now: str) -> bool:
    """Whether two versions are one; what a package calls itself may be shorter than what it was installed as."""
    return then == now or (bool(now) and (now.startswith((f"{then}.", f"{then}+")) or then.startswith((f"{now}.", f"{now}+"))))


def _of_packages(process: Json) -> Iterator[str]:
    found = changed_packages(process)
    for name, then, now in found[:_MOST]:
        yield f"{name} {then} was used then, {now or 'none'} is installed now"
    if len(found) > _MOST:
        yield f"{len(found) - _MOST} more packages have another version: ckpt diff"


def late_sources(process: Json) -> Iterator[str]:
    """Yield a line for each source file that was read too late to be sure that its text is what was imported."""
    for file, what in (process.get("edited") or {}).items():
        if what == TOO_LATE:
            yield f"{file} was written while the program ran: the text that was kept may be another than the imported one"


def changed_sources(stored: Stored, texts: Mapping[str, Callable[[], str]]) -> Iterator[str]:
    """Yield a line for each of the captured texts, under the names of their files, that is another on disk, or is there no more."""
    for file, read in texts.items():
        now = on_disk(file) if not file.startswith("<") else read()
        if now is None and not stored.is_imported:  # what was made elsewhere was never here
            yield f"{file} is gone"
        elif now is not None and now != read():
            yield f"{file} has changed since the capture"


def other_modules(stored: Stored) -> Iterator[str]:
    """Yield a line for each project module that is loaded here from a file elsewhere, with another text than the captured one."""
    process = stored.process
    texts = process.get("files") or {}
    for name, file in (process.get("modules") or {}).items():
        found = getattr(sys.modules.get(name), "__dict__", {}).get("__file__")
        if isinstance(found, str) and found != file and file in texts:
            now = on_disk(found)
            if now is not None and now != stored.source(texts[file]):
                yield f"the module {name} is that of {found}, which is not as captured"


def missing_arguments(stored: Stored, changes: Collection[str] = ()) -> list[str]:
    """Return a line for each argument that was not kept."""
    found = [value for value in described(stored) if value.reason and value.name not in changes]
    return [f"the argument {value.name} is a placeholder: {value.reason}{_way_out(value)}" for value in found]


def _way_out(value: Value) -> str:
    """Return how to give what was not kept because it is secret; nothing for other placeholders."""
    return way_out(value.name, value.type) if value.text == MARK else ""


def _of_arguments(stored: Stored, changes: Collection[str]) -> Iterator[str]:
    yield from missing_arguments(stored, changes)
    yield from changed_already(stored, changes)


def changed_already(stored: Stored, changes: Collection[str] = ()) -> list[str]:
    """Return the line about arguments that were kept when the call had failed, and so after it may have changed them; none for others."""
    given = [value for value in described(stored) if value.name not in changes]
    may_differ = [value.name for value in given if not value.reason and value.type not in _FIXED]
    if stored.entry is not None or stored.failure is None or not may_differ:
        return []
    return [f"only the failure was recorded: what the call itself changed in {', '.join(may_differ)} is changed already"]


def _of_directory(process: Json) -> Iterator[str]:
    directory = process.get("cwd")
    if directory and not os.path.isdir(directory):
        yield f"the directory it ran in, {directory}, is gone: it runs in this one"
