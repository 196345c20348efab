"""`checkpoint`: nothing while its name rests, else values and tags to a handler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ckpt._model.replaying import switch
from ckpt._model.tags import current_tags
from ckpt.checkpoints.paths import checked
from ckpt.checkpoints.registry import Handler, handler_of, is_handler, resting, resting_under
from ckpt.errors import UsageError


class _Nothing:
    """What a parameter is that was not given; None is data."""

    def __repr__(self) -> str:
        return "<nothing>"


NOTHING: Any = _Nothing()


def checkpoint(first: Any, second: Any = NOTHING, third: Any = NOTHING, /, **values: Any) -> None:
    """Keep data under a name, when the application has configured that name; else do nothing.

    `checkpoint("MyPackage", "foo", data)`, `checkpoint("MyPackage.foo", data)`, or with values in place of `data`: `x=x, y=y`. A dict whose
    keys are texts is such values; anything else is the value `data`. Two texts without keywords are a name and its data. With a handler in
    place of the prefix the name need not be configured.

    What the handler raises goes to the caller: a checkpoint that is switched on and cannot be written is a `CkptError` here. While a
    capture is replayed nothing is kept.
    """
    try:
        if third is not NOTHING or (values and type(second) is str):
            return resting_under[first][second]
        return resting[first]
    except (KeyError, TypeError):
        pass  # not a name, or not one that is known to rest
    return _fire(first, second, third, values)


def values_of(data: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is to be kept, each value under its name."""
    if data is NOTHING:
        return dict(values)
    if isinstance(data, dict) and all(isinstance(name, str) for name in data):
        return dict(data)
    return {"data": data}


def check_form(data: Any, values: Mapping[str, Any], hint: str = 'checkpoint("MyPackage.foo", data=data, x=x)') -> None:
    """Raise `UsageError` when it is not clear what is to be kept. The data itself is not looked at."""
    if values and data is not NOTHING:
        raise UsageError("A checkpoint holds data, or values by keyword, not both.", hint=hint)


def _fire(first: Any, second: Any, third: Any, values: Mapping[str, Any]) -> None:
    handler: Handler | None
    if isinstance(first, str):
        has_prefix = third is not NOTHING or (bool(values) and issubclass(type(second), str))
        data = third if has_prefix else second
        check_form(data, values)
        name, handler = handler_of(first, second) if has_prefix else handler_of(first)
    elif is_handler(first):
        name, handler, data = checked(second), first, third
        check_form(data, values, 'checkpoint(handler, "MyPackage.foo", x=x): after a handler the name is one text')
    else:
        raise UsageError(f"A checkpoint has a name, not {first!r}.", hint='checkpoint("MyPackage.foo", data)')
    if handler is not None and not switch.on:
        handler.put(name, current_tags(), values_of(data, values))
