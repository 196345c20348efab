"""Exceptions both ways: reduced whole, and built again without a constructor written in Python.

Kept are the class, args, fields and notes, the C members of the builtin bases (`errno`, `obj`, `value`, ...), which pickle and copy lose,
cause and context. The traceback is not: its frames are records.
"""

from __future__ import annotations

import builtins
import pickle
from types import BuiltinFunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any, cast

from ckpt._model.interrupts import let_pass
from ckpt._model.layout import attributes_of, bases_of, definition_of, fields_of, is_one_of, layout_base_of, module_of
from ckpt._model.texts import args_of
from ckpt._model.verbs import stream_exception, stream_exception_state
from ckpt.errors import PlaceholderError

_OWN = vars(BaseException)
_GROUP = vars(BaseExceptionGroup)


def reduce_exception(error: BaseException) -> tuple[Any, ...]:
    """Return a reduction that loses nothing but the traceback. Runs no code of the exception's class, unless that is made in C."""
    state = {
        "args": args_of(error),
        "fields": fields_of(error),
        "members": _members(error),
        "cause": _OWN["__cause__"].__get__(error),
        "context": _OWN["__context__"].__get__(error),
        "suppress": _OWN["__suppress_context__"].__get__(error),
    }
    return (*_making(error), state, None, None, stream_exception_state)


def _making(error: BaseException) -> tuple[Any, Any]:
    kind = type(error)
    if _has_foreign_constructor(kind):
        reduced = error.__reduce_ex__(5)
        if type(reduced) is not tuple or len(reduced) < 2:  # noqa: PLR2004
            raise pickle.PicklingError("its reduction is not one")
        return reduced[0], reduced[1]
    args = args_of(error)
    if issubclass(kind, BaseExceptionGroup):
        args = (_GROUP["message"].__get__(error), _GROUP["exceptions"].__get__(error))
    return stream_exception, (kind, args, builtin_base(kind).__name__)


def _has_foreign_constructor(kind: type) -> bool:
    """Whether only a C extension can make objects of this class, as with the `ValidationError` of pydantic."""
    for base in bases_of(kind):
        if type(attributes_of(base).get("__new__")) is BuiltinFunctionType:
            return module_of(base) != "builtins"
    return False


def builtin_base(kind: type) -> type[BaseException]:
    """Return the builtin exception that an exception class is built on."""
    base: type | None = kind
    while base is not None and module_of(base) != "builtins":
        base = layout_base_of(base)
    return base if base is not None and issubclass(base, BaseException) else Exception


def _members(error: BaseException) -> dict[str, Any]:
    members = {}
    for name, member in _member_descriptors(type(error)).items():
        try:
            value = member.__get__(error)
        except AttributeError:
            continue  # one that is not set
        if value is not None:  # to set None is not the same as to leave it unset
            members[name] = value
    return members


def _member_descriptors(kind: type) -> dict[str, Any]:
    return {
        name: member
        for base in bases_of(kind)
        if module_of(base) == "builtins" and not is_one_of(base, (BaseException, BaseExceptionGroup, object))
        for name, member in attributes_of(base).items()
        if is_one_of(type(member), (MemberDescriptorType, GetSetDescriptorType))
    }


def build_exception(kind: type, args: tuple[Any, ...]) -> BaseException:
    """Return an exception of class `kind` without running a constructor written in Python."""
    if not issubclass(kind, BaseException):
        raise TypeError(f"{kind!r} is no exception class")
    base = builtin_base(kind)
    if issubclass(base, BaseExceptionGroup):
        made: BaseException = vars(BaseExceptionGroup)["__new__"](kind, args[0], [_as_exception(member) for member in args[1]])
        return made
    try:
        error = base.__new__(kind, *args)
        base.__init__(error, *args)
    except Exception as trouble:  # the args were changed after it was made; they are part of its state too
        let_pass(trouble)
        error = base.__new__(kind)
    return error


def _as_exception(member: object) -> BaseException:
    return cast("BaseException", member) if issubclass(type(member), BaseException) else PlaceholderError(repr(member))


def give_state(error: BaseException, state: dict[str, Any]) -> None:
    """Give a built exception everything but its class."""
    _OWN["args"].__set__(error, state["args"])
    fields = _OWN["__dict__"].__get__(error)
    for name, value in state["fields"].items():
        slot = definition_of(type(error), name)
        if type(slot) is MemberDescriptorType:
            slot.__set__(error, value)
        else:
            fields[name] = value
    members = _member_descriptors(type(error))
    for name in members.keys() & state["members"].keys():
        try:
            members[name].__set__(error, state["members"][name])
        except (AttributeError, TypeError, ValueError):
            continue  # one that cannot be set came with the args
    for name in ("cause", "context"):
        linked = state[name]
        _OWN[f"__{name}__"].__set__(error, linked if issubclass(type(linked), BaseException) else None)
    _OWN["__suppress_context__"].__set__(error, state["suppress"])


def gone_exception(module: str, qualname: str, reason: str, base: str) -> type[BaseException]:
    """Return an exception class to stand for `module.qualname`, which cannot be imported; `base` is the builtin it was built on."""
    found = vars(builtins).get(base)
    kind = found if isinstance(found, type) and issubclass(found, BaseException) else Exception
    return type(qualname.rpartition(".")[2], (kind,), {"__module__": module, "__qualname__": qualname, "__doc__": reason})
