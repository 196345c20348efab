"""What a program does with ckpt while something fails, and whether it then gets what is its own: its result, its exception."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import ckpt
from ckpt import capture_exception
from ckpt._recording.ground import ground
from ckpt._store import trust
from ckpt._store.location import get_ckpt_dir
from ckpt._store.store import Store
from tests.recursion import near_the_end_of_the_stack

#: Above both thresholds: a buffer that becomes an object, a stream that goes straight to a file.
ARRAY = np.arange(20_000.0)
TEXTS = [f"{number:040000d}" for number in range(30)]


class NoticedError(AssertionError):
    """The program got something else than its own outcome."""


def nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program: what it does before anything fails, and what it does while something does."""

    name: str
    act: Callable[[], None]
    prepare: Callable[[], None] = nothing
    #: How many functions it captures, each of which may warn once.
    captures: int = 1
    #: Whether it is a command of ckpt itself, which says that something went wrong; a capture never does.
    is_command: bool = False
    #: Whether all that it does is fenced by the recorder.
    is_fenced: bool = True
    #: Whether calls that returned may go: it deletes some.
    clears: bool = False
    #: Whether it makes a key of its own.
    forgets_key: bool = False
    #: Whether the store holds so many ended journals that they are worth merging.
    is_crowded: bool = False


@ckpt.ckpt(keep=100)
def give(value: object) -> object:
    return value


@ckpt.ckpt(keep=100)
def fail(error: Exception, array: Any, texts: list[str]) -> None:
    doubled = array * 2
    assert doubled is not array
    raise error


@ckpt.ckpt(active=False)
def outer(error: Exception) -> None:
    inner(error, [1, 2])


@ckpt.ckpt(keep=100)
def inner(error: Exception, numbers: list[int]) -> None:
    raise error


@ckpt.ckpt(keep=100_000)
def tell(number: int) -> int:
    return number


@ckpt.ckpt(keep=1)
def churn(number: int, ballast: bytes) -> int:
    return number


def gives(value: object = None) -> None:
    """Call a function that returns its argument."""
    value = value or [["the", "very", "same"]]
    if give(value) is not value:
        raise NoticedError("another object came back")


def raises(function: Callable[..., object], *args: object) -> None:
    """Call a function that raises its first argument."""
    error, handled = ValueError("the program's own"), sys.exception()
    try:
        function(error, *args)
    except ValueError as caught:
        if caught is not error or caught.__context__ is not handled or caught.__cause__ is not None:
            raise NoticedError(f"{caught!r} came out, with {caught.__context__!r}") from None
    else:
        raise NoticedError("nothing was raised")


def fails() -> None:
    raises(fail, ARRAY, TEXTS)


def dives() -> None:
    """Fail where the program's recursion has left thirty frames of the stack."""
    near_the_end_of_the_stack(lambda: raises(inner, [1, 2]), frames=30)


def handles() -> None:
    """Capture an exception that the program handles itself."""
    try:
        vars(ckpt)["no such name"]
    except KeyError as error:
        capture_exception(name="handled")
        if error is not sys.exception():
            raise NoticedError("another exception is being handled") from None


def forget_key() -> None:
    """Be a user for whom nothing was ever captured."""
    trust._keys.clear()
    path = trust.key_path()
    assert path is not None
    os.unlink(path)


def come_close() -> None:
    """Fill the journal until it is about to be rewritten, with something in it that stays."""
    gives()
    here = ground()
    assert here is not None
    pair = here.journal._pair
    assert pair is not None
    while pair.dead_bytes < 20_000:
        churn(1, b"x" * 500)
    here.journal._rotate_at = pair.threshold = 20_500


def rotates() -> None:
    """Call until the journal has been rewritten, and once more."""
    for number in range(3):
        if churn(number, b"x" * 500) != number:
            raise NoticedError("another number came back")


def maintains() -> None:
    Store(get_ckpt_dir()).maintain(thorough=True)


def clears() -> None:
    found = Store(get_ckpt_dir())
    found.clear([header.id for header in found.headers() if header.name == "give"])


def exits() -> None:
    """End as an interpreter does."""
    atexit._run_exitfuncs()


PROGRAMS = [
    Program(name="first", act=gives, prepare=forget_key, forgets_key=True),
    Program(name="return", act=gives, prepare=gives),
    Program(name="failure", act=fails, prepare=gives),
    Program(name="nested", act=lambda: raises(outer), prepare=gives, captures=2),
    Program(name="deep", act=dives, prepare=gives),
    Program(name="handled", act=handles, prepare=gives),
    Program(name="rotation", act=rotates, prepare=come_close),
    Program(name="exit", act=exits, prepare=gives, is_fenced=False, clears=True, is_crowded=True),
    Program(name="maintain", act=maintains, is_command=True, is_fenced=False, is_crowded=True),
    Program(name="clear", act=clears, prepare=gives, is_command=True, is_fenced=False, clears=True),
]
