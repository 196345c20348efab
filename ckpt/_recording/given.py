"""What a captured call was given: its arguments as live values in containers of ours, and as records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from ckpt._model.codec import Container
from ckpt._model.describe import describe
from ckpt._model.placeholder import Placeholder
from ckpt._recording.variables import variables_of
from ckpt._recording.wording import named_json

_VARARGS, _VARKW = 0x04, 0x08
_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})


@dataclass(slots=True)
class Given:
    """The arguments of one call, and its function where no import finds it."""

    function: object
    args: list[Any]
    kwargs: dict[str, Any]
    code: CodeType | None

    @classmethod
    def of(cls, function: object, wrapper: FrameType) -> Given:
        """Return what the call of a wrapper was given, from the wrapper's own variables, as it is now."""
        return cls(function, *bound_arguments(wrapper.f_code, variables_of(wrapper)), wrapper.f_code)

    def root(self) -> dict[str, Any]:
        """Return what goes into the stream."""
        held = {"args": self.args, "kwargs": self.kwargs}
        return held if self.function is None else held | {"function": self.function}

    def values(self) -> list[Any]:
        """Return all arguments, in the order of their records."""
        return [*self.args, *self.kwargs.values()]

    def texts(self) -> list[str]:
        """Return the arguments described as JSON, under the names of the parameters they went to."""
        return [named_json(value, name) for value, name in named(self.code, self.args, self.kwargs)]


def bound_arguments(code: CodeType, held: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments among a frame's variables, positional and by keyword; those that are deleted are left out."""
    names, end = code.co_varnames, code.co_argcount + code.co_kwonlyargcount
    args = [held[name] for name in names[: code.co_argcount] if name in held]
    kwargs = {name: held[name] for name in names[code.co_argcount : end] if name in held}
    if code.co_flags & _VARARGS:
        args += held.get(names[end], ())
    if code.co_flags & _VARKW:
        kwargs |= held.get(names[end + bool(code.co_flags & _VARARGS)], {})
    return args, kwargs


def named(code: CodeType | None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    """Yield each argument with the name of its parameter; those of a `*args` are named by their position."""
    names = code.co_varnames[: code.co_argcount] if code is not None else ()
    if len(args) > len(names):
        names += tuple(f"*{index}" for index in range(len(names), len(args)))
    yield from zip(args, names, strict=False)
    for name, value in kwargs.items():
        yield value, name


def is_plain(value: object) -> bool:
    """Whether encoding a value runs no foreign code, whatever it is."""
    return type(value) in _PLAIN


def keep_plain_values(containers: Sequence[Container], reason: str) -> None:
    """Put placeholders for everything but plain values, whose encoding runs no foreign code."""
    for container in containers:
        for key, value in list(enumerate(container)) if isinstance(container, list) else list(container.items()):
            if not is_plain(value) and type(value) is not Placeholder:
                described = describe(value)
                container[key] = Placeholder(described["type"], described["text"], reason)
