"""Which exceptions that strike while recording go on to the program."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from ckpt._model.codec import Limits, decode, encode
from ckpt._model.interrupts import belongs_to_program, let_pass, tolerate
from ckpt._model.placeholder import Placeholder
from tests.processes import python

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")


class TimedOutError(Exception):
    """What a program's own handler raises."""


def on_alarm(number: int, frame: FrameType | None) -> None:
    raise TimedOutError


class Handler:
    def __call__(self, number: int, frame: FrameType | None) -> None:
        raise TimedOutError

    def method(self, number: int, frame: FrameType | None) -> None:
        raise TimedOutError


def by_way_of_another(number: int, frame: FrameType | None) -> None:
    on_alarm(number, frame)


@pytest.fixture
def alarm() -> Iterator[Callable[[Any], object]]:
    """Installs a handler for SIGUSR1."""
    before = signal.getsignal(signal.SIGUSR1)
    yield functools.partial(signal.signal, signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


class Strikes:
    """While it is reduced, a signal comes."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        os.kill(os.getpid(), self.number)
        for _ in range(1000):
            time.sleep(0.001)
        return int, ()


class StrikesWhenLoaded:
    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        return _strike, (int(self.number),)


def _strike(number: int) -> None:
    Strikes(signal.Signals(number)).__reduce__()


HANDLERS: dict[str, Callable[[], Any]] = {
    "function": lambda: on_alarm,
    "through another": lambda: by_way_of_another,
    "object": Handler,
    "method": lambda: Handler().method,
    "partial": lambda: functools.partial(on_alarm),
    "partial of a method": lambda: functools.partial(functools.partial(Handler().method)),
    "lambda": lambda: lambda number, _: on_alarm(number, None),
}


@pytest.mark.parametrize("name", HANDLERS)
@pytest.mark.parametrize("exclude", [(), (Handler,)])
def test_what_a_signal_handler_raises_goes_on(name: str, exclude: tuple[type, ...], alarm: Callable[[Any], object]) -> None:
    """Out of the middle of a reducer, however the handler is made."""
    alarm(HANDLERS[name]())
    with pytest.raises(TimedOutError):
        encode({"args": ["before", Strikes(signal.SIGUSR1)]}, [], Limits(exclude=exclude))


def test_what_is_tolerated_of_the_system_is_not_of_a_handler(alarm: Callable[[Any], object]) -> None:
    """A handler's `TimeoutError` is an `OSError`, and strikes in the middle of system calls: it goes on, as it was raised."""

    def time_out(number: int, frame: FrameType | None) -> None:
        raise TimeoutError

    alarm(time_out)
    with tolerate(OSError):
        os.stat("nowhere")
    with pytest.raises(TimeoutError), tolerate(OSError):
        signal.raise_signal(signal.SIGUSR1)


def test_what_a_signal_handler_raises_while_loading_goes_on(alarm: Callable[[Any], object]) -> None:
    """Opening a capture can be timed out, too."""
    stream = encode({"args": [StrikesWhenLoaded(signal.SIGUSR1)]}, [], Limits()).stream
    alarm(on_alarm)
    with pytest.raises(TimedOutError):
        decode(stream)


@pytest.mark.parametrize("beside", [None, threading.Lock()])
def test_a_ctrl_c_goes_on(beside: object) -> None:
    """Python's own handler has no frame; its exception is known by not having been raised by any code."""
    with pytest.raises(KeyboardInterrupt):
        encode({"args": [beside, Strikes(signal.SIGINT)]}, [], Limits())
    stream = encode({"args": [StrikesWhenLoaded(signal.SIGINT)]}, [], Limits()).stream
    with pytest.raises(KeyboardInterrupt):
        decode(stream)


def test_a_ctrl_c_that_a_reducer_cleans_up_after_goes_on() -> None:
    """Through `finally`, `with` and a bare `raise`."""

    class Cleans:
        def __reduce__(self) -> Any:
            try:
                try:
                    return Strikes(signal.SIGINT).__reduce__()
                finally:
                    self.cleaned = 1
            except KeyboardInterrupt:
                self.cleaned = 2
                raise

    with pytest.raises(KeyboardInterrupt):
        encode({"args": [Cleans()]}, [], Limits())


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, TimedOutError, asyncio.CancelledError])
def test_what_a_reducer_raises_by_itself_costs_the_value(kind: type[BaseException]) -> None:
    """A `raise` in code that is no handler is that code's own."""

    class Raises:
        def __reduce__(self) -> Any:
            raise kind

    loaded = decode(encode({"args": ["before", Raises(), "after"]}, [], Limits()).stream)["args"]
    assert (loaded[0], type(loaded[1]), loaded[2]) == ("before", Placeholder, "after")


def test_asking_does_not_change_the_exception() -> None:
    """Neither its traceback nor anything else."""
    with pytest.raises(KeyboardInterrupt) as caught:
        Strikes(signal.SIGINT).__reduce__()
    error = caught.value
    traceback = error.__traceback__
    assert belongs_to_program(error)
    assert error.__traceback__ is traceback
    with pytest.raises(KeyboardInterrupt) as again:
        let_pass(error)
    assert again.value is error
    assert not belongs_to_program(ValueError("never raised"))
    let_pass(ValueError("never raised"))


def test_an_exception_of_a_ctrl_c_without_a_frame_is_the_programs() -> None:
    """There is no code that could have raised it."""
    assert belongs_to_program(KeyboardInterrupt())


ASYNCIO = """
import asyncio, os, signal, time
from ckpt._model.codec import Limits, encode

class Strikes:
    def __reduce__(self):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
        return int, ()

async def main():
    while True:
        encode({"args": [Strikes()]}, [], Limits())

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""


def test_two_ctrl_c_under_asyncio_go_on(tmp_path: Path) -> None:
    """Its runner cancels the main task at the first, and raises at the second, from a handler that is a `partial`."""
    assert python("-c", ASYNCIO, cwd=tmp_path).stdout == "interrupted\n"
