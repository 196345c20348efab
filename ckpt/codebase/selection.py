"""Which files make up a snapshot, under which names, and what stays out and why.

What is named goes in: files given as `extra_files` pass every rule. Of two files with one name the earlier source wins: files given by
name, the main folder, libraries, the search path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ckpt.codebase import rules
from ckpt.codebase.listing import Listing, list_folder
from ckpt.codebase.rules import LeftOut, Rules
from ckpt.errors import UsageError

_TAKEN = " has this name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A file on disk and its name in the snapshot."""

    name: str
    path: str
    size: int
    is_executable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Where the files of a snapshot come from."""

    main_folder: str | None
    extra_libraries: tuple[str, ...] = ()
    extra_pythonpath: tuple[str, ...] = ()
    extra_files: tuple[str, ...] = ()


@dataclass(slots=True)
class Selection:
    """The files of a snapshot by name. `output` is the snapshot's own file, which may lie in the tree."""

    rules: Rules
    output: str = ""
    items: dict[str, Item] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    #: Of the main folder's checkout; `is_dirty` when the snapshot holds anything that the commit does not.
    commit: str | None = None
    is_dirty: bool | None = None
    #: What a person should know, one line each.
    notes: list[str] = field(default_factory=list)

    def take(self, given: Given) -> Selection:
        """Take what the caller gave, in order of precedence. Raises `UsageError` for what is not there."""
        for path in given.extra_files:
            self._take_named(_existing(path))
        if given.main_folder is not None:
            self._take_main(_existing(given.main_folder))
        for path in given.extra_libraries:
            self._take_library(_existing(path))
        for path in given.extra_pythonpath:
            for library in _libraries(_existing(path)):
                self._take_library(library)
        self.left_out = sorted({one for one in self.left_out if one.path not in self.items or one.reason.endswith(_TAKEN)})
        return self

    def _take_main(self, folder: str) -> None:
        if not os.path.isdir(folder):
            raise UsageError(f"{folder!r} is no directory.", hint="a snapshot is of a folder; a single file is an extra file")
        listing = list_folder(folder)
        self.notes += [listing.note] if listing.note else []
        taken = self._take_folder(folder, "", listing)
        self.commit = listing.commit if listing.commit != "(initial)" else None
        if listing.is_changed is not None:
            self.is_dirty = listing.is_changed or any(name in listing.untracked for name in taken)

    def _take_library(self, path: str) -> None:
        name = os.path.basename(path)
        module = f"{name}.py" if os.path.isdir(path) else f"{name.removesuffix('.py')}/__init__.py"
        if module in self.items:  # the other form of a module of this name, from an earlier source
            self.left_out.append(LeftOut(path=f"{name}/" if os.path.isdir(path) else name, reason=self._taken(module)))
        elif os.path.isdir(path):
            self._take_folder(path, f"{name}/", list_folder(path))
        else:
            self._take_file(path, name)

    def _take_named(self, path: str) -> None:
        """Take a file whatever the rules say; of a directory what they let through, since none of its files was named."""
        name = os.path.basename(path)
        if os.path.isdir(path):
            self._take_library(path)
        elif reason := rules.why_not_path(name):
            self.left_out.append(LeftOut(path=name, reason=reason))
        else:
            self._add(name, path, os.stat(path))

    def _take_folder(self, folder: str, prefix: str, listing: Listing) -> list[str]:
        """Take the files of a listing that the rules let through; return their paths."""
        self.left_out += [LeftOut(path=prefix + one.path, reason=one.reason) for one in listing.left_out]
        folders = _Folders(folder, self.rules, listing.files)
        taken = []
        for path in listing.files:
            reason, where = folders.why_not(path)
            if reason:
                self.left_out.append(LeftOut(path=prefix + where, reason=reason))
            elif self._take_file(os.path.join(folder, path), prefix + path, folder):
                taken.append(path)
        return taken

    def _take_file(self, path: str, name: str, folder: str = "") -> bool:
        """Take one file unless a rule is against it; return whether it was taken."""
        reason = rules.why_not_path(name) or rules.why_not_name(os.path.basename(path)) or _why_not_link(path, folder)
        status = None if reason else _status(path)
        if not reason:
            reason = rules.why_not_file(path, status, self.rules) if status else "it is not there"
        if not reason and self.output and os.path.exists(self.output) and os.path.samefile(path, self.output):
            reason = "the snapshot itself"
        if not reason and name in self.items:
            if self.items[name].path == path:
                return False  # it was named
            reason = self._taken(name)
        if reason or status is None:
            self.left_out.append(LeftOut(path=name, reason=reason))
            return False
        self._add(name, path, status)
        return True

    def _taken(self, name: str) -> str:
        return f"{self.items[name].path}{_TAKEN}"

    def _add(self, name: str, path: str, status: os.stat_result) -> None:
        item = Item(name=name, path=path, size=status.st_size, is_executable=bool(status.st_mode & stat.S_IXUSR))
        self.items.setdefault(name, item)


class _Folders:
    """What the rules say about the directories of a listing; each is asked once."""

    def __init__(self, top: str, asked: Rules, files: Iterable[str]) -> None:
        self._top = top
        self._rules = asked
        self._reasons: dict[str, tuple[str, str]] = {"": ("", "")}
        self._ignored: dict[str, set[str]] = {}
        self._names: dict[str, set[str]] = {}
        for path in files if asked.ignore else ():
            while path:
                directory, _, name = path.rpartition("/")
                self._names.setdefault(directory, set()).add(name)
                path = directory  # noqa: PLW2901 - upwards, to the top

    def why_not(self, path: str) -> tuple[str, str]:
        """Return why the file at `path` stays out, and the path that the reason holds for: its own or a directory's."""
        directory = path.rpartition("/")[0]
        if directory not in self._reasons:
            self._reasons[directory] = self._why_not_directory(directory)
        reason, where = self._reasons[directory]
        return (reason, where) if reason else (self._why_not(path), path)

    def _why_not_directory(self, path: str) -> tuple[str, str]:
        reason, where = self.why_not(path)  # of the directories around it, and by its own name
        if reason:
            return reason, where if where != path else f"{path}/"
        return rules.why_not_directory(os.path.join(self._top, path), path.rpartition("/")[2]), f"{path}/"

    def _why_not(self, path: str) -> str:
        reason = rules.why_not_pattern(path, self._rules.ignore_patterns)
        directory, _, name = path.rpartition("/")
        if not reason and self._rules.ignore and name in self._ignored_in(directory):
            reason = "ignore"
        return reason

    def _ignored_in(self, directory: str) -> set[str]:
        if directory not in self._ignored:
            names = sorted(self._names[directory])
            path = os.path.join(self._top, directory) if directory else self._top
            self._ignored[directory] = {str(name) for ignore in self._rules.ignore for name in ignore(path, list(names))}
        return self._ignored[directory]


def _existing(path: str) -> str:
    """Return the real path; raise `UsageError` when there is nothing."""
    found = os.path.realpath(os.path.expanduser(path))
    if not os.path.exists(found):
        raise UsageError(f"There is no {path!r}.")
    return found


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _why_not_link(path: str, folder: str) -> str:
    """Return why a link is not followed: it leads out of `folder`, to a directory, or nowhere."""
    if not os.path.islink(path):
        return ""
    target = os.path.realpath(path)
    if folder and os.path.commonpath([target, folder]) != folder:
        return f"a link that leads out of the folder, to {target}"
    if os.path.isdir(target):
        return "a link to a directory"
    # A secret under an innocent name.
    return rules.why_not_name(os.path.basename(target))


def _libraries(folder: str) -> Iterator[str]:
    """Yield the modules and packages in a directory of the search path."""
    if not os.path.isdir(folder):
        raise UsageError(f"{folder!r} is no directory.", hint="name a directory in which libraries lie")
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.endswith(".py") or (entry.is_dir() and _has_code(entry.path)):
            yield entry.path


def _has_code(folder: str) -> bool:
    if rules.why_not_directory(folder, os.path.basename(folder)):
        return False
    return any(name.endswith(".py") for _, _, names in os.walk(folder) for name in names)
