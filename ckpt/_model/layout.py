"""What Python itself knows of a type and of an object's fields, read past everything that a class or metaclass can say about it.

A metaclass may lie in `__module__`, `__mro__` or `__hash__`, a class in `__class__`, `__dict__` or `__getattribute__`: no code of theirs
runs.
"""

from __future__ import annotations

import sys
from abc import ABCMeta
from collections.abc import Callable, Iterable, Iterator
from enum import EnumMeta
from types import GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

_HEAP_TYPE = 1 << 9

_module = type.__dict__["__module__"].__get__
_qualname = type.__dict__["__qualname__"].__get__
_flags = type.__dict__["__flags__"].__get__
#: The dictionary of a module.
namespace_of: Callable[[ModuleType], dict[str, Any]] = vars(ModuleType)["__dict__"].__get__
#: The bases of a type in the order of method resolution, itself first.
bases_of: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
#: The dictionary of a type, read-only.
attributes_of: Callable[[type], dict[str, Any]] = type.__dict__["__dict__"].__get__
#: The base that decides the layout of a type's objects; None for `object`.
layout_base_of: Callable[[type], type | None] = type.__dict__["__base__"].__get__


def module_of(kind: type) -> str:
    """Return the name of the module a type says it is of; empty when it says nothing sensible."""
    try:
        module = _module(kind)
    except AttributeError:
        return ""
    return module if type(module) is str else ""


def name_of(kind: type) -> str:
    """Return the qualified name of a type."""
    return str.__str__(_qualname(kind))


def type_name(kind: type) -> str:
    """Return `module.qualname` of a type; builtins without their module."""
    module, name = module_of(kind), name_of(kind)
    return name if module in {"builtins", ""} else f"{module}.{name}"


def is_built_in(kind: type) -> bool:
    """Whether a type is part of the interpreter or of a C extension, and cannot be changed; false for classes."""
    return not _flags(kind) & _HEAP_TYPE


def has_plain_hash(kind: type) -> bool:
    """Whether a type can be looked up in a dict without running a metaclass's own code."""
    meta = type(kind)
    return meta is type or meta is ABCMeta or meta is EnumMeta


def is_one_of(kind: type, kinds: Iterable[type]) -> bool:
    """Whether `kind` is among `kinds`. `in` would ask a metaclass for `__eq__` or `__hash__`."""
    return any(kind is other for other in kinds)


def found_in(module: str, name: str) -> Any:
    """Return what a module that is already imported has under `name`; None when there is no such thing. Runs no `__getattr__`."""
    found = sys.modules.get(module)
    return namespace_of(found).get(name) if found is not None and issubclass(type(found), ModuleType) else None


def definition_of(kind: type, name: str) -> Any:
    """Return what a class or the first of its bases defines under `name`, unbound; None when none does."""
    for base in bases_of(kind):
        attributes = attributes_of(base)
        if name in attributes:
            return attributes[name]
    return None


#: For a class: the places of its slots and of its objects' dictionary, as index of the base and name. No reference to the class is held.
_Layout = tuple[tuple[int, str], ...]
_layouts: WeakKeyDictionary[type, _Layout] = WeakKeyDictionary()


def fields_of(value: object) -> dict[str, Any]:
    """Return the fields in an object's slots and dictionary."""
    fields: dict[str, Any] = {}
    bases = bases_of(type(value))
    for index, name in _layout_of(type(value)):
        try:
            held = attributes_of(bases[index])[name].__get__(value)
        except AttributeError:
            continue  # a slot that is not filled
        if name != "__dict__":
            fields[name] = held
        elif held:
            fields.update([(key, item) for key, item in tuple(held.items()) if type(key) is str])
    return fields


def dictionary_of(kind: type) -> Callable[[Any], dict[str, Any]] | None:
    """Return what gives the dictionary of an object of a class whose objects have nothing else; None for other classes."""
    layout = _layout_of(kind)
    if len(layout) != 1 or layout[0][1] != "__dict__":
        return None
    return attributes_of(bases_of(kind)[layout[0][0]])["__dict__"].__get__  # type: ignore[no-any-return]


def _layout_of(kind: type) -> _Layout:
    if not has_plain_hash(kind):
        return tuple(_read_layout(kind))
    found = _layouts.get(kind)
    if found is None:
        found = _layouts[kind] = tuple(_read_layout(kind))
    return found


def _read_layout(kind: type) -> Iterator[tuple[int, str]]:
    for index, base in enumerate(bases_of(kind)):
        for name, member in tuple(attributes_of(base).items()):
            is_member = type(member) is MemberDescriptorType
            if name == "__dict__":
                is_member = is_member or type(member) is GetSetDescriptorType
            elif is_built_in(base):
                continue
            if is_member:
                yield index, name
