"""Tags: what is recorded inside a block bears them."""

from __future__ import annotations

import asyncio
import contextvars
import datetime as dt
import functools
import json
import threading
from collections.abc import AsyncIterator, Generator
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

import ckpt
from ckpt._model.tags import current_tags, only_tags, tags, tags_json, with_checkpoint_tags
from ckpt.errors import UsageError


class Stage(StrEnum):
    FIRST = "first"


class Level(IntEnum):
    LOW = 3


class Colour(Enum):
    RED = object()


class Right(Flag):
    READ = 1
    WRITE = 2


def test_the_front_door_has_them() -> None:
    """`ckpt.tags` is this."""
    assert ckpt.tags is tags


def test_tags_nest_and_repeat_outermost_first() -> None:
    """The same name further in does not replace the one further out, and each block gives back what it found."""
    assert current_tags() == ()
    assert tags_json() == "[]"
    with tags(iteration=1, name="x"):
        with tags(iteration=2):
            assert current_tags() == (("iteration", 1), ("name", "x"), ("iteration", 2))
            assert tags_json() == '[["iteration",1],["name","x"],["iteration",2]]'
        assert current_tags() == (("iteration", 1), ("name", "x"))
    assert current_tags() == ()


def test_an_error_in_the_block_gives_them_back_and_goes_on() -> None:
    """As it was raised."""
    error = LookupError()
    with pytest.raises(LookupError) as caught, tags(x=1):
        raise error
    assert caught.value is error
    assert current_tags() == ()


@pytest.mark.parametrize("value", [[1], {}, object(), b"x", 2j, len, np.zeros(1), np.array(1), np.complex64(1), pd.NA, Path])
def test_what_is_no_text_and_no_number_is_refused(value: Any) -> None:
    """With what to write instead; nothing is tagged."""
    with pytest.raises(UsageError, match="The tag 'x' is a") as caught, tags(y=1, x=value):
        raise AssertionError
    assert caught.value.hint == "give a text or a number: ckpt.tags(x=str(...))"
    assert current_tags() == ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        ("\ud800\n\x1b", "\ud800\n\x1b"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (Stage.FIRST, "first"),
        (10**4000, 10**4000),
        (10**5000, hex(10**5000)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_tags_are_json_that_every_reader_knows(value: Any, expected: Any) -> None:
    """What JSON does not have, or Python does not print, is a text."""

    def refuse(constant: str) -> Any:
        raise AssertionError(constant)

    with tags(x=value):
        text = tags_json()
    assert text.isascii()
    assert json.loads(text, parse_constant=refuse) == [["x", expected]]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(1), 1),
        (np.uint8(1), 1),
        (np.float64(0.1), 0.1),
        (np.float32(0.1), 0.1),
        (np.float16("inf"), "inf"),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.datetime64("2017-01-01"), "2017-01-01"),
        (np.timedelta64(3, "D"), "3 days"),
        (dt.date(2017, 1, 1), "2017-01-01"),
        (dt.time(3, 30), "03:30:00"),
        (dt.datetime(2017, 1, 1, 3, tzinfo=dt.UTC), "2017-01-01T03:00:00+00:00"),
        (dt.timedelta(days=1, hours=2), "1 day, 2:00:00"),
        (pd.Timestamp("2017-01-01 03:00"), "2017-01-01T03:00:00"),
        (Level.LOW, 3),
        (Colour.RED, "RED"),
        (Right.READ | Right.WRITE, "READ|WRITE"),
        (Right(0), "0"),
        (Decimal("1.50"), "1.50"),
        (Fraction(1, 3), "1/3"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("a/b"), "a/b"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_stands_for_a_text_or_a_number_is_one(value: Any, expected: Any) -> None:
    """Scalars of numpy are numbers, dates ISO 8601, members of an enumeration their names; so they are held, and so they are recorded."""
    with tags(x=value):
        assert json.loads(tags_json()) == [["x", expected]]
        (held,) = dict(current_tags()).values()
    assert isinstance(held, str | int | float)


def test_only_these_tags() -> None:
    """In the place of all others, also of none, until the block ends."""
    with tags(x=1):
        handed = current_tags()
        with only_tags(*handed, ("y", dt.date(2017, 1, 1))):
            assert current_tags() == (("x", 1), ("y", "2017-01-01"))
            with tags(x=2):
                assert current_tags() == (("x", 1), ("y", "2017-01-01"), ("x", 2))
        with only_tags():
            assert current_tags() == ()
        with pytest.raises(UsageError), only_tags(("x", [])):
            raise AssertionError
        assert current_tags() == handed
    with only_tags(*handed), with_checkpoint_tags():
        assert current_tags() == handed


def test_threads_begin_without_and_keep_their_own() -> None:
    """Unless they are given the context."""
    seen: list[Any] = []

    def look() -> None:
        seen.append(current_tags())

    with tags(x=1):
        for target in (look, functools.partial(contextvars.copy_context().run, look)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert seen[1] == (("x", 1),)
    assert seen[0] in {(), (("x", 1),)}  # a build of Python may hand contexts on to threads


def test_tasks_keep_their_own() -> None:
    """What one tags, another does not see."""

    async def work(number: int) -> Any:
        with tags(number=number):
            await asyncio.sleep(0)
            return current_tags()

    async def main() -> Any:
        with tags(outer=0):
            return await asyncio.gather(*map(work, range(3)))

    assert asyncio.run(main()) == [(("outer", 0), ("number", n)) for n in range(3)]


def test_a_generator_that_is_ended_elsewhere_does_not_fail() -> None:
    """A context that never had the tags has none to give back."""

    def generate() -> Generator[int]:
        with tags(x=1):
            yield 1

    generator = generate()
    contextvars.copy_context().run(next, generator)
    generator.close()
    assert current_tags() == ()

    async def generate_async() -> AsyncIterator[int]:
        with tags(x=1):
            yield 1

    async def main() -> Any:
        asynchronous: Any = generate_async()
        await asyncio.create_task(asynchronous.__anext__())
        await asynchronous.aclose()
        return current_tags()

    assert asyncio.run(main()) == ()
