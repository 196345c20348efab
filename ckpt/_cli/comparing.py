"""`diff` and `sources`: what of the code is kept, and what has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from ckpt._cli import screen
from ckpt._cli.completion import capture_names
from ckpt._cli.options import Name, Trust
from ckpt._cli.text import lines, one_line
from ckpt._model.units import size

if TYPE_CHECKING:
    from ckpt._cli.tower import Line
    from ckpt._replaying.code_diff import FileDiff
    from ckpt._store.store import Store, Stored

Other = Annotated[
    str | None,
    typer.Argument(
        metavar="OTHER", show_default=False, autocompletion=capture_names, help="Another capture, to be compared in place of the disk."
    ),
]


def diff(name: Name = None, other: Other = None, trust: Trust = False) -> None:
    """Show what changed in the code since.

    A unified diff of the project files that the captured call had loaded, those in its frames first, and the packages whose version is
    another. With OTHER: the same between two captures, and which arguments differ by content. Without NAME: the newest failure. Only to
    compare arguments are captures opened.
    """
    from ckpt._cli.stores import opened
    from ckpt._replaying import code_diff

    store = opened()
    one = store.get(store.find(name).id)
    if other is None:
        told = [*_of_files(code_diff.since(one)), *_unknown(one), *_of_packages(one)]
    else:
        second = store.get(store.find(other).id)
        code = [*_of_files(code_diff.between(one, second)), *_between_packages(one, second)]
        told = [*code, *_of_arguments(store, one, second, trust=trust)]
    if told:
        screen.show_lines(told)
    else:
        screen.say("no differences")


def sources(name: Name = None) -> None:
    """List the source files that a capture keeps.

    One line for each project file that was loaded: kept, kept too late to be sure that it is what was imported, or passed over and why.
    Which files are the project's, and how large they may be, is set in [tool.ckpt] of pyproject.toml.
    """
    from ckpt._cli.stores import opened

    store = opened()
    stored = store.get(store.find(name).id)
    screen.write("\n".join(_listed(store, stored)))


def _listed(store: Store, stored: Stored) -> Iterator[str]:
    process, sizes = stored.process, store.objects.names()
    edited = process.get("edited") or {}
    for file, text in sorted((process.get("files") or {}).items()):
        state = f"  changed on disk while the program ran: {edited[file]}" if file in edited else ""
        yield one_line(f"{size(sizes.get(text, 0)):>10}  {file}{state}")
    for file, reason in sorted((process.get("omitted") or {}).items()):
        yield one_line(f"{'not kept':>10}  {file}  {reason}")
    limits = {name: value for name, value in (process.get("limits") or {}).items() if value is not None and abs(value) < 2**63}
    yield one_line(f"limits: {', '.join(f'{name} = {size(value)}' for name, value in limits.items())}")


def _of_files(found: Iterable[FileDiff]) -> Iterator[Line]:
    for each in found:
        if each.status != "changed":
            yield "bold", one_line(f"{each.file}: {each.status}")
        for line in each.lines:
            yield _style(line), " ".join(lines(line))


def _style(line: str) -> str:
    if line.startswith(("---", "+++")):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")


def _unknown(stored: Stored) -> Iterator[Line]:
    """Yield a line for each file of which it cannot be said whether it has changed."""
    from ckpt._replaying.doubts import late_sources

    yield from (("yellow", one_line(line)) for line in late_sources(stored.process))
    for file, reason in sorted((stored.process.get("omitted") or {}).items()):
        yield "yellow", one_line(f"{file} was not kept, and cannot be compared: {reason}")


def _of_packages(stored: Stored) -> Iterator[Line]:
    from ckpt._replaying.doubts import changed_packages

    for package, then, now in changed_packages(stored.process, thorough=True):
        yield "yellow", one_line(f"{package}: {then} then, {now or 'not installed'} now")


def _between_packages(one: Stored, other: Stored) -> Iterator[Line]:
    first, second = one.process.get("packages") or {}, other.process.get("packages") or {}
    for package in sorted(first.keys() | second.keys()):
        versions = first.get(package), second.get(package)
        if None in versions:
            yield "yellow", one_line(f"{package}: {versions[0] or versions[1]}, only in {(one if versions[0] else other).header.id}")
        elif versions[0] != versions[1]:
            yield "yellow", one_line(f"{package}: {versions[0]} in {one.header.id}, {versions[1]} in {other.header.id}")


def _of_arguments(store: Store, one: Stored, other: Stored, *, trust: bool) -> Iterator[Line]:
    from ckpt._replaying.arguments import argument_differences
    from ckpt._replaying.doubts import changed_already
    from ckpt._replaying.rehydrate import Capture
    from ckpt.errors import CkptError

    try:
        first, second = (Capture(store, each.header.id, trust=trust) for each in (one, other))
        differences = list(argument_differences(first, second))
        yield from (("", one_line(line)) for line in differences)
        for each in (one, other) if differences else ():
            yield from (("yellow", one_line(f"{each.header.id}: {line}")) for line in changed_already(each))
    except CkptError as err:
        yield "yellow", one_line(f"The arguments cannot be compared: {err.message}")
