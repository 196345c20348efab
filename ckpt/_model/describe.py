"""A live value, or an exception, as bounded text for the records; without running any code of the user's."""

from __future__ import annotations

import os
from types import FunctionType
from typing import Any

from ckpt._model.interrupts import belongs_to_program, let_pass
from ckpt._model.layout import attributes_of, bases_of, definition_of, fields_of, is_one_of, module_of, name_of, type_name
from ckpt._model.record import Json
from ckpt._model.redact import MARK, without_passwords
from ckpt._model.texts import DEPTH_LIMIT, EXACT, TEXT_LIMIT, args_of, ways_of_class

#: Most characters of an exception's message.
MESSAGE_LIMIT = 10_000

_TEXTS = frozenset({"str", "bytes", "bytearray"})
_LIBRARY = os.path.dirname(os.__file__) + os.sep


def describe(value: object, name: str = "") -> Json:
    """Return the JSON form of a `record.Value` for `value`. Raises nothing but RecursionError, at the end of the stack."""
    kind = type(value)
    try:
        found = EXACT.get(kind) if type(kind) is type else None
        typed, make, measure = found if found is not None else ways_of_class(kind)
        text = make(value, DEPTH_LIMIT)
        described: Json = {"name": name, "type": typed, "text": text if len(text) <= TEXT_LIMIT else text[:TEXT_LIMIT]}
        if measure is not None and not (MARK in text and typed in _TEXTS):  # a length would tell that of what is masked
            described.update(measure(value))
    except RecursionError:  # ours goes no deeper than `DEPTH_LIMIT`
        raise
    except Exception as error:  # another thread changed it, or its parts are not what they have to be
        let_pass(error)
        return {"name": name, "type": type_name(kind), "text": f"<cannot be described: {name_of(type(error))}>"}
    return described


def instance_fields(value: object, kind: type) -> dict[str, Any]:
    """Return the fields in an object's slots and dictionary, read without any code of its class."""
    return fields_of(value)


def one_line(error: BaseException) -> str:
    """Return type and message of an exception in one bounded line."""
    lines = exception_text(error).splitlines()
    head = type_name(type(error))
    return f"{head}: {lines[0]}"[:TEXT_LIMIT] if lines else head


def exception_text(error: BaseException) -> str:
    """Return `str(error)` where that runs no user code, else a text of its args; bounded. Never raises."""
    try:
        if _has_harmless_text(error):
            return without_passwords(str(error)[:MESSAGE_LIMIT])
    except BaseException as trouble:
        if belongs_to_program(trouble):
            raise
    args = args_of(error)
    texts = (arg[:MESSAGE_LIMIT] if type(arg) is str else describe(arg)["text"] for arg in args)
    return without_passwords(", ".join(texts)[:MESSAGE_LIMIT])


def _has_harmless_text(error: BaseException) -> bool:
    """Whether `str(error)` is made by Python or its standard library, of nothing but plain values."""
    maker = definition_of(type(error), "__str__")
    args = args_of(error) if not issubclass(type(error), BaseExceptionGroup) else ()  # a group tells how many, not which
    parts = [*args, *_members(error)]
    if type(maker) is FunctionType:
        file = maker.__code__.co_filename
        if not file.startswith(_LIBRARY) or "-packages" in file:
            return False
        parts += vars(BaseException)["__dict__"].__get__(error).values()
    return all(map(_is_harmless, parts))


def _members(error: BaseException) -> list[Any]:
    """Return the fields of builtin exceptions that their texts are made of."""
    parts = []
    for base in bases_of(type(error)):
        if module_of(base) == "builtins" and base is not BaseException:
            members = attributes_of(base)
            parts += [members[name].__get__(error) for name in _SHOWN if name in members]
    return parts


#: `obj`, `value` and `exceptions` are never shown.
_SHOWN = ("msg", "filename", "filename2", "lineno", "reason", "encoding", "object", "message", "strerror", "errno")
_PLAIN = (str, int, type(None), float, bool, bytes, complex)


def _is_harmless(value: object) -> bool:
    if type(value) is list or type(value) is tuple:
        return all(is_one_of(type(item), _PLAIN) for item in value)
    return is_one_of(type(value), _PLAIN)


__all__ = ["describe", "exception_text", "instance_fields", "one_line", "type_name"]
