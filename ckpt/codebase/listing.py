"""Which files lie in a folder: as git sees them in a checkout, else all that no `.gitignore` names."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ckpt.codebase.gitignore import Pattern, is_ignored, parse
from ckpt.codebase.rules import LeftOut, why_not_directory

#: Set where git itself runs us, in a hook: they would lead away from the folder.
_MISLEADING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_NAMESPACE")
#: A checkout's own configuration must not start a program while we look.
_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.quotepath=false")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The files of a folder: paths relative to it, with slashes, sorted."""

    files: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()
    #: The commit that is checked out, and whether a tracked file differs from it; None outside a checkout.
    commit: str | None = None
    is_changed: bool | None = None
    #: The files that git does not track.
    untracked: frozenset[str] = frozenset()
    #: What a person should know about how it was made.
    note: str = ""


def list_folder(folder: str) -> Listing:
    """Return the files of `folder`: tracked ones and those that git does not ignore; without git, by the `.gitignore` files in it."""
    if not _is_in_checkout(folder):
        return _walk(folder)
    try:
        return _list_checkout(folder) or _walk(folder)
    except OSError as err:
        return replace(_walk(folder), note=f"git cannot be started ({err.strerror}): no commit is recorded, and .gitignore files decide")


def _list_checkout(folder: str) -> Listing | None:
    """Return what git says; None where it says nothing, as of a folder that is ignored as a whole. Raises `OSError` where git is not."""
    running = [
        _start(folder, "ls-files", "-z", "-t", "--cached", "--others", "--exclude-standard"),
        _start(folder, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"),
        _start(folder, "status", "-z", "--porcelain=v2", "--branch", "--untracked-files=no"),
    ]
    listed, ignored, status = (process.communicate()[0].decode("utf-8", "surrogateescape") for process in running)
    if any(process.returncode for process in running) or "./" in ignored.split("\0"):
        return None
    tagged = [(entry[0], entry[2:]) for entry in listed.split("\0") if entry]
    lines = [line for line in status.split("\0") if line]
    found = Listing(
        files=tuple(sorted({path for _, path in tagged})),
        left_out=tuple(_ignored(folder, ignored.split("\0"))),
        commit=next((line.split(" ")[2] for line in lines if line.startswith("# branch.oid ")), None),
        is_changed=any(not line.startswith("#") for line in lines),
        untracked=frozenset(path for tag, path in tagged if tag == "?"),
    )
    return _with_repositories_inside(folder, found)


def _ignored(folder: str, paths: Iterable[str]) -> list[LeftOut]:
    """Return what git ignores; of a directory only itself, with the reason why nothing in it would go in anyway, if there is one."""
    reasons: dict[str, str] = {}
    found: dict[str, str] = {}
    for path in sorted(filter(None, paths)):
        for directory in _directories(path):
            if directory not in reasons:
                reasons[directory] = why_not_directory(os.path.join(folder, directory), os.path.basename(directory[:-1]))
            if reasons[directory]:
                found[directory] = reasons[directory]
                break
        else:
            found[path] = reasons[path] = "ignored by git"
    return [LeftOut(path=path, reason=reason) for path, reason in found.items()]


def _directories(path: str) -> list[str]:
    """Return the directories of `path`, from the top down, and itself when it is one; each has a slash at its end."""
    parts = path.split("/")[:-1]
    return [f"{'/'.join(parts[: number + 1])}/" for number in range(len(parts))]


def _is_in_checkout(folder: str) -> bool:
    directory = os.path.realpath(folder)
    while not os.path.exists(os.path.join(directory, ".git")):
        if directory == os.path.dirname(directory):
            return False
        directory = os.path.dirname(directory)
    return True


def _start(folder: str, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name not in _MISLEADING} | {"GIT_OPTIONAL_LOCKS": "0"}
    return subprocess.Popen(  # noqa: S603 - git, with our own arguments
        [*_GIT, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _with_repositories_inside(folder: str, listing: Listing) -> Listing:
    """Put the files of submodules, and of repositories that only lie there, in the place of their directories."""
    inside = [path for path in listing.files if path.endswith("/") or _is_repository(os.path.join(folder, path))]
    if not inside:
        return listing
    files, left_out, untracked = set(listing.files).difference(inside), list(listing.left_out), set(listing.untracked).difference(inside)
    for path in (path.rstrip("/") for path in inside):
        deeper = list_folder(os.path.join(folder, path))
        files |= {f"{path}/{name}" for name in deeper.files}
        untracked |= {f"{path}/{name}" for name in deeper.untracked}
        left_out += [LeftOut(path=f"{path}/{one.path}", reason=one.reason) for one in deeper.left_out]
    return Listing(
        files=tuple(sorted(files)),
        left_out=tuple(left_out),
        commit=listing.commit,
        is_changed=listing.is_changed,
        untracked=frozenset(untracked),
    )


def _is_repository(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _walk(folder: str) -> Listing:
    left_out: list[LeftOut] = []
    files = sorted(_files_below(folder, "", (), left_out))
    return Listing(files=tuple(files), left_out=tuple(sorted(left_out)))


def _files_below(folder: str, inside: str, layers: Sequence[tuple[str, Sequence[Pattern]]], left_out: list[LeftOut]) -> Iterator[str]:
    """Yield the files under `inside` (empty for the top, else with a slash at its end)."""
    path = os.path.join(folder, inside)
    own = _patterns(os.path.join(path, ".gitignore"))
    layers = [*layers, (inside, own)] if own else layers
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError as err:
        left_out.append(LeftOut(path=inside or ".", reason=f"cannot be read: {err.strerror}"))
        return
    for entry in entries:
        name, is_directory = f"{inside}{entry.name}", entry.is_dir(follow_symlinks=False)
        reason = why_not_directory(entry.path, entry.name) if is_directory else ""
        if not reason and is_ignored(layers, name, is_directory=is_directory):
            reason = "ignored by .gitignore"
        if reason:
            left_out.append(LeftOut(path=f"{name}/" if is_directory else name, reason=reason))
        elif not is_directory:
            yield name
        else:
            yield from _files_below(folder, f"{name}/", layers, left_out)


def _patterns(file: str) -> list[Pattern]:
    try:
        with open(file, "rb") as opened:
            return parse(opened.read())
    except OSError:
        return []
