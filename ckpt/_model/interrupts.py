"""Which exceptions that strike in our code belong to the program.

Whatever a hostile object raises while it is recorded costs that object and nothing else. A Ctrl-C, or an exception out of a signal handler
that the program installed, is not ours to keep: it only happened to arrive while our code ran.
"""

from __future__ import annotations

import contextlib
import functools
import opcode
import signal
from collections.abc import Callable
from types import CodeType, FunctionType, MethodType, TracebackType
from typing import Any

from ckpt._model.layout import definition_of

#: Past the `signal` module, which makes an enum of everything: there is one exception for every object that refuses.
_getsignal: Callable[[int], Any] = vars(signal)["_signal"].getsignal
_NUMBERS = tuple(map(int, signal.valid_signals()))
_RAISE = opcode.opmap["RAISE_VARARGS"]


def belongs_to_program(error: BaseException) -> bool:
    """Whether `error`, caught in our code, is a signal's and has to go on."""
    trail = _trail(error.__traceback__)
    handlers = _handler_codes()
    if handlers and any(entry.tb_frame.f_code is code for entry in trail for code in handlers):
        return True
    return isinstance(error, KeyboardInterrupt) and not (trail and _is_raise_statement(trail[-1]))


class tolerate(contextlib.suppress):  # noqa: N801  as the class it is derived from
    """`contextlib.suppress` for what only ckpt has to know: an exception that belongs to the program goes on."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, entry: TracebackType | None) -> bool:
        """Return whether the exception ends here."""
        return super().__exit__(kind, error, entry) and not (error is not None and belongs_to_program(error))


def let_pass(error: BaseException) -> None:
    """Raise `error` again when it belongs to the program."""
    if belongs_to_program(error):
        raise error


def _trail(entry: TracebackType | None) -> list[TracebackType]:
    trail = []
    while entry is not None:
        trail.append(entry)
        entry = entry.tb_next
    return trail


def _is_raise_statement(entry: TracebackType) -> bool:
    """Whether the line was left by a `raise`: Python's own handler of SIGINT has no frame and strikes at any other instruction."""
    code = entry.tb_frame.f_code.co_code
    return 0 <= entry.tb_lasti < len(code) and code[entry.tb_lasti] == _RAISE


def _handler_codes() -> list[CodeType]:
    codes = []
    for number in _NUMBERS:
        handler = _getsignal(number)
        while type(handler) is functools.partial:  # asyncio installs one
            handler = handler.func
        if type(handler) is MethodType:
            handler = handler.__func__
        if type(handler) is FunctionType:
            codes.append(handler.__code__)
        elif type(call := definition_of(type(handler), "__call__")) is FunctionType:
            codes.append(call.__code__)
    return codes
