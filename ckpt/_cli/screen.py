"""The two streams that commands write to: results on standard output, everything else on standard error.

Both take any text: what the encoding of a stream cannot say is written as a backslash escape.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from ckpt._cli.text import lines, one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

#: A command in a hint, up to where its options begin.
_COMMAND = re.compile(r"(?:^|(?<=[:;] ))ckpt (?=[a-z])")
#: What --ckpt-dir named, as it was typed.
_named: list[str] = []


def name_store(path: str | None) -> None:
    """Say which store --ckpt-dir names, or that it names none: the commands in hints are then about that one."""
    _named[:] = [] if path is None else [path]


def write(text: str) -> None:
    """Write a result, and a line end after it."""
    _put(sys.stdout, text)


def say(text: str) -> None:
    """Write a message for the person, and a line end after it."""
    _put(sys.stderr, text)


def write_lines(text: str) -> None:
    """Write a result that foreign code made, of any number of lines."""
    write("\n".join(lines(text)))


def say_traceback(exception: BaseException) -> None:
    """Write the traceback of what a replay raised, as Python does."""
    import traceback

    say("\n".join(lines("".join(traceback.format_exception(exception)).rstrip("\n"))))


def complain(message: str, hint: str = "", *, label: str = "error") -> None:
    """Write what went wrong in one line, and what to do next in another."""
    say(f"{label}: {one_line(message)}")
    if hint:
        advise(hint)


def advise(hint: str) -> None:
    """Write what to do next; a command in it names the store that this one was given."""
    option = "".join(f"--ckpt-dir {shlex.quote(path)} " for path in _named)
    say(f"hint: {one_line(_COMMAND.sub(lambda match: match[0] + option, hint))}")


def is_terminal(*, of_errors: bool = False) -> bool:
    """Whether results, or what goes to standard error, go to a terminal that can show more than plain lines."""
    stream = sys.stderr if of_errors else sys.stdout
    return stream is not None and not stream.closed and stream.isatty() and os.environ.get("TERM") != "dumb"


def show(renderable: RenderableType) -> None:
    """Write something of rich's to the terminal."""
    console().print(renderable)


def show_lines(texts: Iterable[tuple[str, str]]) -> None:
    """Write lines of a style and a text: with colours to a terminal, else plain; wrapped in neither."""
    if not is_terminal():
        write("\n".join(text for _, text in texts))
        return
    from rich.text import Text

    terminal = console()
    for style, text in texts:
        terminal.print(Text(text, style), soft_wrap=True)


def console(*, of_errors: bool = False) -> Console:
    """Return the terminal of standard output, or of standard error; without colours where `NO_COLOR` says so."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, stderr=of_errors)


@contextmanager
def results_only() -> Iterator[None]:
    """Whatever the process and its children write to standard output inside goes to standard error: only our result is left there."""
    if sys.stdout is None:
        yield
        return
    _flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        _flush()
        os.dup2(kept, 1)
        os.close(kept)


def _flush() -> None:
    """Flush standard output, unless a replayed call has closed it or taken it away."""
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def _put(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    if stream.closed:  # by a replayed call: Python leaves the descriptor behind it open
        with open(2 if stream is sys.stderr else 1, "w", encoding=stream.encoding, closefd=False) as again:
            _put(again, text)
        return
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def width() -> int:
    """Return how many columns the terminal has; 80 where that cannot be told."""
    return shutil.get_terminal_size().columns
