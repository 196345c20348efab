"""Other values in the place of captured arguments, for a replay: `limit=10`, `key=@env:API_KEY`."""

from __future__ import annotations

import ast
import difflib
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ckpt.errors import CannotReplayError, UsageError

#: What a value begins with that stands in the environment.
FROM_ENVIRONMENT = "@env:"


def parse_changes(texts: Iterable[str], environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return name -> value of `name=LITERAL` and `name=@env:VARIABLE`, which is a text. Raises `UsageError` for anything else."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise UsageError(f"{text!r} is no change of an argument.", hint="--set name=VALUE")
        found[name] = _value(name, value.strip(), os.environ if environ is None else environ)
    return found


def _value(name: str, text: str, environ: Mapping[str, str]) -> Any:
    if text.startswith(FROM_ENVIRONMENT):
        variable = text.removeprefix(FROM_ENVIRONMENT)
        if variable not in environ:
            raise UsageError(f"There is no variable {variable!r} in the environment.", hint=f"export {variable}=...")
        return environ[variable]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise UsageError(f"{text!r} is no Python literal.", hint=f"a text stands in quotes: --set '{name}=\"text\"'") from None


def changed(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], changes: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return the arguments of a call of `function` with `changes` in them, by the names of its parameters.

    Raises `UsageError` for a name that the function has no parameter for, `CannotReplayError` when the arguments do not fit it today.
    """
    if not changes:
        return args, kwargs
    signature = inspect.signature(function)
    try:
        bound = signature.bind_partial(*args, **kwargs)
    except TypeError as error:
        raise CannotReplayError(f"The captured arguments do not fit the function today: {error}.") from error
    for name, value in changes.items():
        parameter = signature.parameters.get(name)
        rest = next((each.name for each in signature.parameters.values() if each.kind is each.VAR_KEYWORD), None)
        if parameter is not None and parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            bound.arguments[name] = value
        elif rest is not None and parameter is None:
            bound.arguments[rest] = {**bound.arguments.get(rest, {}), name: value}
        else:
            raise UsageError(f"The function has no parameter {name!r} to set.", hint=_nearest(name, signature))
    # In the order of the parameters: what follows one that is missing is passed by name.
    ordered = {name: bound.arguments[name] for name in signature.parameters if name in bound.arguments}
    bound = inspect.BoundArguments(signature, ordered)
    return bound.args, bound.kwargs


def _nearest(name: str, signature: inspect.Signature) -> str:
    near = difflib.get_close_matches(name, signature.parameters, 1, 0)
    return f"the nearest name is {near[0]!r}" if near else ""
