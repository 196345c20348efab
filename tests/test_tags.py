"""Tags: what is recorded inside a block bears them."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import json
import threading
from collections.abc import AsyncIterator, Generator
from enum import StrEnum
from typing import Any

import pytest

import ckpt
from ckpt._model.tags import current_tags, tags, tags_json
from ckpt.errors import UsageError


class Stage(StrEnum):
    FIRST = "first"


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


@pytest.mark.parametrize("value", [[1], {}, object(), b"x", 2j, len])
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
