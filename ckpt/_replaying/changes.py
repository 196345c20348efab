"""Other values in the place of captured arguments, or in them, for a replay: `limit=10`, `config.password=@env:PASSWORD`."""

from __future__ import annotations

import ast
import inspect
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ckpt._replaying import steps
from ckpt.errors import CannotReplayError, UsageError

#: What a value begins with that stands in the environment.
FROM_ENVIRONMENT = "@env:"


def parse_changes(texts: Iterable[str], environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return name -> value of `name=LITERAL` and `name=@env:VARIABLE`, which is a text. Raises `UsageError` for anything else.

    In the place of a name there may be a way into an argument, as `steps` knows them.
    """
    return {way: _value(way, value, os.environ if environ is None else environ) for way, value in _told(texts)}


def expressions(texts: Iterable[str]) -> dict[str, str]:
    """Return name -> a Python expression of the value; a variable need not be in the environment yet. Raises as `parse_changes`."""
    found = {}
    for way, value in _told(texts):
        is_variable = value.startswith(FROM_ENVIRONMENT)
        found[way] = f"os.environ[{quoted(value.removeprefix(FROM_ENVIRONMENT))}]" if is_variable else repr(_value(way, value, {}))
    return found


def quoted(text: str) -> str:
    """Return a text as it stands in a program, in double quotes where nothing has to be escaped."""
    return f'"{text}"' if text.isascii() and text.isprintable() and not {'"', "\\"} & set(text) else ascii(text)


def _told(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        way, value = _split(text)
        if way is None:
            name = text.partition("=")[0].strip()
            raise UsageError(f"{text!r} is no change of an argument.", hint=f"--set {name if name.isidentifier() else 'name'}=VALUE")
        yield way, value.strip()


def _split(text: str) -> tuple[str | None, str]:
    """Return what is to be changed and the new value, as they are written; a key may have an equals sign in it."""
    at = text.find("=")
    while at >= 0:
        way = steps.spelled(text[:at])
        if way is not None:
            return way, text[at + 1 :]
        at = text.find("=", at + 1)
    return None, ""


def _value(name: str, text: str, environ: Mapping[str, str]) -> Any:
    if text.startswith(FROM_ENVIRONMENT):
        variable = text.removeprefix(FROM_ENVIRONMENT)
        if not variable:
            raise UsageError(f"{FROM_ENVIRONMENT} names no variable.", hint=f"--set {name}={FROM_ENVIRONMENT}VARIABLE")
        if variable not in environ:
            raise UsageError(f"There is no variable {variable!r} in the environment.", hint=f"export {variable}=...")
        return environ[variable]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise UsageError(f"{text!r} is no Python literal.", hint=_literally(name, text)) from None


def _literally(name: str, text: str) -> str:
    """Return what to write in the place of a text that is no literal: the same in quotes, unless it is meant to be evaluated."""
    try:
        is_evaluated = not isinstance(ast.parse(text, mode="eval").body, ast.Name)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        is_evaluated = False
    if is_evaluated:
        return f"numbers, texts in quotes, None, True, False, and lists, tuples, dicts and sets of them; or {FROM_ENVIRONMENT}VARIABLE"
    quoted = repr(text) if {'"', "\\"} & set(text) else f'"{text}"'
    return f"a text stands in quotes: --set {shlex.quote(f'{name}={quoted}')}"


def changed(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], changes: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return the arguments of a call of `function` with `changes` in them, by the names of its parameters.

    Raises `UsageError` for a name that the function has no parameter for, `CannotReplayError` when the arguments do not fit it today.
    """
    if not changes:
        return args, kwargs
    try:
        signature = inspect.signature(function)
    except ValueError as error:  # some in C
        raise UsageError("The function does not tell the names of its parameters, so that none can be set.") from error
    try:
        bound = signature.bind_partial(*args, **kwargs)
    except TypeError as error:
        raise CannotReplayError(f"The captured arguments do not fit the function today: {error}.") from error
    for way, value in changes.items():
        name, _ = steps.parse(way) or (way, [])
        parameter = signature.parameters.get(name)
        rest = next((each.name for each in signature.parameters.values() if each.kind is each.VAR_KEYWORD), None)
        if parameter is not None and parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            steps.put(bound.arguments, way, value)
        elif rest is not None and parameter is None:
            bound.arguments[rest] = {**bound.arguments.get(rest, {})}
            steps.put(bound.arguments[rest], way, value)
        else:
            what = "no parameter" if parameter is None else "no single parameter"
            raise UsageError(f"The function has {what} {name!r} to set.", hint=_settable(signature))
    # In the order of the parameters: what follows one that is missing is passed by name.
    ordered = {name: bound.arguments[name] for name in signature.parameters if name in bound.arguments}
    bound = inspect.BoundArguments(signature, ordered)
    return bound.args, bound.kwargs


def with_changes(named: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments under their names with `changes` in them. Raises `UsageError` for one that leads nowhere."""
    found = dict(named)
    for way, value in changes.items():
        steps.put(found, way, value)
    return found


def new_places(named: Mapping[str, Any], changes: Mapping[str, Any]) -> list[str]:
    """Return a line for each of the changes inside the arguments, under their names, that puts something where nothing was."""
    inside = [way for way in changes if (steps.parse(way) or (way, []))[0] not in changes]
    return [line for line in (steps.novelty(named, way) for way in inside) if line]


def _settable(signature: inspect.Signature) -> str:
    names = [each.name for each in signature.parameters.values() if each.kind not in {each.VAR_POSITIONAL, each.VAR_KEYWORD}]
    return f"it has {', '.join(names)}" if names else ""
