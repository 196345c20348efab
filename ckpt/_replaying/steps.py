"""The way to a value inside an argument, as a person writes it: `config.db.password`, `rows[0]['api key']`.

A dot leads to an attribute, and into a dict to the key of that name. Nothing is evaluated.
"""

from __future__ import annotations

import ast
import difflib
import shlex
from collections.abc import Iterable, Mapping
from keyword import iskeyword
from typing import Any

from ckpt._model.describe import instance_fields
from ckpt._model.layout import definition_of
from ckpt._model.redact import words
from ckpt.errors import UsageError

#: An attribute or a key by its name, or a key or place in brackets.
Step = ast.Attribute | ast.Subscript


def parse(text: str) -> tuple[str, list[Step]] | None:
    """Return the name that a way begins with, and the steps from there; None for a text that is none."""
    if text.strip().isidentifier():  # a keyword is no expression
        return text.strip(), []
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    steps: list[Step] = []
    while isinstance(node, Step):
        if isinstance(node, ast.Subscript) and not _is_literal(node.slice):
            return None
        steps.append(node)
        node = node.value
    return (node.id, steps[::-1]) if isinstance(node, ast.Name) else None


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def put(arguments: dict[str, Any], way: str, value: Any) -> None:
    """Put a value in the place of an argument, or of what a way leads to in one, which is changed. Raises `UsageError` for a wrong way."""
    name, steps = parse(way) or (way, [])
    if not steps:
        arguments[name] = value
        return
    try:
        held = _followed(arguments.get(name), steps[:-1])
    except Exception as error:
        raise UsageError(f"{way!r} leads to nothing: {type(error).__name__}: {error}.") from error
    try:
        _set(held, steps[-1], value)
    except Exception as error:  # an object may have an opinion on what is set
        raise UsageError(f"{way!r} cannot be set: {type(error).__name__}: {error}.", hint=f"--set {name}=VALUE") from error


def novelty(arguments: Mapping[str, Any], way: str) -> str:
    """Return the line about a way into an argument that leads to a key or an attribute which is not there yet; nothing for other ways."""
    name, steps = parse(way) or (way, [])
    if not steps or name not in arguments:
        return ""
    try:
        held = _followed(arguments[name], steps[:-1])
        names = _names(held, steps[-1])
    except Exception:  # it leads nowhere, or an object has an opinion: `put` says so
        return ""
    if names is None:
        return ""
    key = _key(steps[-1])
    near = difflib.get_close_matches(str(key), names, 1)
    return f"{_spelled(name, steps[:-1])} had no {key!r} until now{f'; the nearest name is {near[0]!r}' if near else ''}"


def _names(held: Any, step: Step) -> list[str] | None:
    """Return the names that there are in the place of one that is not; None where it is there, or is no name."""
    key = _key(step)
    if isinstance(held, dict):
        return None if key in held else [each for each in held if isinstance(each, str)]
    return None if not isinstance(step, ast.Attribute) or hasattr(held, key) else list(instance_fields(held, type(held)))


def _followed(held: Any, steps: Iterable[Step]) -> Any:
    for step in steps:
        key = _key(step)
        held = getattr(held, key) if isinstance(step, ast.Attribute) and not isinstance(held, dict) else held[key]
    return held


def _set(held: Any, step: Step, value: Any) -> None:
    if not isinstance(step, ast.Attribute) or isinstance(held, dict):
        held[_key(step)] = value
    elif definition_of(type(held), "__setattr__") is object.__setattr__:
        setattr(held, step.attr, value)
    else:  # a frozen dataclass refuses; the captured one is not the program's any more
        object.__setattr__(held, step.attr, value)


#: Between what is missing and how to give it.
GIVE = "; give it to ckpt run with "


def way_out(way: str, kind: str) -> str:
    """Return how to give a secret of type `kind`, from the environment where that is a text; nothing where no way leads there."""
    name, steps = parse(way) or ("", [])
    if not name:
        return ""
    last = next((key for key in map(_key, reversed(steps)) if isinstance(key, str)), name)
    value = f"@env:{'_'.join(words(last)).upper()}" if kind == "str" else "VALUE"
    return f"{GIVE}--set {shlex.quote(f'{spelled(way)}={value}')}"


def ways_out(lines: Iterable[str]) -> list[str]:
    """Return how to give what is missing, as the lines about it say, each once."""
    return list(dict.fromkeys(line.partition(GIVE)[2] for line in lines if GIVE in line))


def spelled(way: str) -> str | None:
    """Return a way in its shortest form, dots for all keys that are names; None for a text that is none."""
    parsed = parse(way)
    return _spelled(*parsed) if parsed is not None else None


def _spelled(text: str, steps: Iterable[Step]) -> str:
    for key in map(_key, steps):
        if isinstance(key, str) and key.isidentifier() and not iskeyword(key):
            text += f".{key}"
        else:  # double quotes, for a shell has its own around them
            text += f'["{key}"]' if isinstance(key, str) and key.isprintable() and not {'"', "\\"} & set(key) else f"[{key!r}]"
    return text


def _key(step: Step) -> Any:
    return step.attr if isinstance(step, ast.Attribute) else ast.literal_eval(step.slice)
