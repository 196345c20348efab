"""Source texts: read from the disk, and shown under the names of their files wherever a debugger or a traceback asks for them."""

from __future__ import annotations

import io
import linecache
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from ckpt._model.sources import open_regular
from ckpt.errors import CkptError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["on_disk", "show_sources"]

#: Where in an entry of `linecache` the lines are.
_LINES = 2
#: No source text has more bytes.
_LIMIT = 64 << 20


def on_disk(file: str) -> str | None:
    """Return the text of a file as it is now; None when there is none, or what is there is no source text.

    Names of files come out of records: a FIFO is not waited for, and what has no end is not read to it.
    """
    try:
        with open(file, "rb", opener=lambda path, _: open_regular(path)) as opened:
            text = opened.read(_LIMIT + 1)
    except (OSError, ValueError):
        return None
    return text.decode("utf-8", "surrogateescape") if len(text) <= _LIMIT else None


@contextmanager
def show_sources(texts: Mapping[str, Callable[[], str]]) -> Iterator[None]:
    """Show these texts as the source of the files they are named by, whatever the disk has, until the context ends.

    A text is asked for when its first line is printed, and only once. One that cannot be had (`CkptError`, `OSError`) is
    replaced by what is on disk.
    """
    cache: dict[str, Any] = linecache.cache
    before = {name: cache.get(name) for name in texts}
    cache.update({name: _Source(name, fetch) for name, fetch in texts.items()})
    try:
        yield
    finally:
        for name, entry in before.items():
            cache.pop(name, None)
            if entry is not None:
                cache[name] = entry


class _Source(tuple[Any, ...]):  # noqa: SLOT001 - a tuple can have no slots
    """A `linecache` entry that gets its lines when they are first asked for.

    The entries of `linecache` itself that are lazy (a tuple of one function) are passed over while a file of that name exists.
    """

    fetch: Callable[[], str]

    def __new__(cls, name: str, fetch: Callable[[], str]) -> Self:
        # Without a time of modification, an entry is never checked against the disk.
        entry = super().__new__(cls, (0, None, [], name))
        entry.fetch = fetch
        return entry

    def __getitem__(self, index: Any) -> Any:
        return self._lines() if index == _LINES else super().__getitem__(index)

    def _lines(self) -> list[str]:
        name = super().__getitem__(_LINES + 1)
        cache: dict[str, Any] = linecache.cache
        try:
            text = self.fetch()
        except (CkptError, OSError):
            cache.pop(name, None)
            return linecache.getlines(name)
        # Not `splitlines`, which splits at form feeds and more.
        lines = io.StringIO(text, newline=None).readlines()
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        cache[name] = (len(text), None, lines, name)
        return lines
