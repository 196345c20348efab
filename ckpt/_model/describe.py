"""A live value as bounded text, without running any code of the user's.

Builtins and a table of known types are described by us; everything else by its type and fields, one level deep. No `__repr__`, `__len__`,
`__iter__` or property written by the user runs: what is read is read through the slots of the builtin types themselves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from enum import Enum
from itertools import islice
from types import BuiltinFunctionType, FunctionType, GetSetDescriptorType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

from ckpt._model.record import WRAPPER_FILE, Json

#: Bounds of a description: characters in all, characters of one text, items of one container, fields of one object.
TEXT_LIMIT = 400
STRING_LIMIT = 160
ITEM_LIMIT = 8
#: How deep containers and objects are opened.
DEPTH_LIMIT = 2
#: Python refuses to print integers of more decimal digits than 4,300; ours are cut long before.
INT_BITS_LIMIT = 512

#: Types of the standard library and of numpy whose own `__repr__` is short and runs no foreign code.
_REPR_IS_SAFE = {
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "pathlib": {"PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath"},
    "pathlib._local": {"PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath"},
    "re": {"Pattern"},
    "uuid": {"UUID"},
    "zoneinfo": {"ZoneInfo"},
}


def describe(value: object, name: str = "") -> Json:
    """Return the JSON form of a `record.Value` for `value`. Never raises."""
    kind = type(value)
    try:
        described: Json = {"name": name, "type": type_name(kind), "text": _text(value, DEPTH_LIMIT)[:TEXT_LIMIT]}
        described |= _measures(value, kind)
    except Exception as error:  # a type that lies about itself: even its name is a trap
        described = {"name": name, "type": "?", "text": f"<cannot be described: {type(error).__name__}>"}
    return described


def type_name(kind: type) -> str:
    """Return `module.qualname` of a type; builtins without their module."""
    module = type.__getattribute__(kind, "__module__")
    name = type.__getattribute__(kind, "__qualname__")
    return name if module == "builtins" or type(module) is not str else f"{module}.{name}"


def one_line(error: BaseException) -> str:
    """Return type and message of an exception in one bounded line."""
    lines = (exception_text(error) or "").splitlines()
    head = type_name(type(error))
    return f"{head}: {lines[0]}"[:TEXT_LIMIT] if lines else head


def exception_text(error: BaseException) -> str:
    """Return `str(error)` where that runs no user code, else a text of its args; bounded."""
    maker = next(cls.__dict__["__str__"] for cls in type(error).__mro__ if "__str__" in cls.__dict__)
    args = BaseException.args.__get__(error)  # type: ignore[attr-defined]
    if type(maker) is FunctionType or any(type(arg) not in _LEAVES for arg in args):
        return ", ".join(arg[:10_000] if type(arg) is str else _text(arg, DEPTH_LIMIT) for arg in args)
    return str(error)[:10_000]


def _text(value: object, depth: int) -> str:
    maker = _MAKERS.get(type(value))
    return maker(value, depth) if maker is not None else _object(value, depth)


def _measures(value: Any, kind: type) -> Json:
    if kind in _SIZED:
        return {"length": len(value)}
    if (module := type.__getattribute__(kind, "__module__")) in _TABLES and kind.__name__ in _TABLES[module]:
        return {"shape": list(value.shape), "size": _nbytes(value)}
    return {}


def _nbytes(value: Any) -> int | None:
    size = getattr(value, "nbytes", None)
    return size if type(size) is int else None


def _int(value: Any, depth: int) -> str:
    return repr(value) if value.bit_length() <= INT_BITS_LIMIT else f"<int of {value.bit_length()} bits>"


def _string(value: Any, depth: int) -> str:
    return repr(value) if len(value) <= STRING_LIMIT else f"{value[:STRING_LIMIT]!r}..."


def _bytearray(value: Any, depth: int) -> str:
    return f"bytearray({_string(bytes(value[: STRING_LIMIT + 1]), depth)})"


def _items(values: Iterable[object], length: int, depth: int) -> str:
    shown = [_text(value, depth - 1) for value in islice(values, ITEM_LIMIT)]
    return ", ".join([*shown, "..."] if length > ITEM_LIMIT else shown)


def _list(value: Any, depth: int) -> str:
    return f"[{_items(value, len(value), depth)}]" if depth else "[...]"


def _tuple(value: Any, depth: int) -> str:
    if not depth:
        return "(...)"
    return f"({_items(value, len(value), depth)}{',' if len(value) == 1 else ''})"


def _set(value: Any, depth: int) -> str:
    inner = _items(tuple(value), len(value), depth) if depth else "..."
    return f"{{{inner}}}" if type(value) is set else f"frozenset({{{inner}}})"


def _dict(value: Any, depth: int) -> str:
    if not depth:
        return "{...}"
    pairs = [f"{_text(key, depth - 1)}: {_text(item, depth - 1)}" for key, item in islice(tuple(value.items()), ITEM_LIMIT)]
    return f"{{{', '.join([*pairs, '...'] if len(value) > ITEM_LIMIT else pairs)}}}"


def _function(value: Any, depth: int) -> str:
    function = value.__wrapped__ if value.__code__.co_filename == WRAPPER_FILE else value
    return f"<function {function.__module__}.{function.__qualname__}>"


def _method(value: Any, depth: int) -> str:
    return f"<bound method {getattr(value.__func__, '__qualname__', '?')}>"


def _module(value: Any, depth: int) -> str:
    return f"<module {ModuleType.__getattribute__(value, '__name__')!r}>"


def _object(value: object, depth: int) -> str:
    kind = type(value)
    module, name = type.__getattribute__(kind, "__module__"), type.__getattribute__(kind, "__qualname__")
    if issubclass(kind, type):
        return f"<class {type_name(value)!r}>"  # type: ignore[arg-type]
    if _is_genuine(kind, module, name):
        return repr(value)[:TEXT_LIMIT]
    if module in _TABLES and name in _TABLES[module]:
        return _table(value, name)
    if module == "numpy" and issubclass(kind, sys.modules["numpy"].generic) and kind.__flags__ & (1 << 9) == 0:
        return repr(value)[:TEXT_LIMIT]
    if issubclass(kind, Enum):
        return f"<{name}.{instance_fields(value, kind).get('_name_', '?')}>"
    if issubclass(kind, BaseException):
        return f"{name}({_items(value.args, len(value.args), depth)})" if depth else f"{name}(...)"
    return f"<{name}{_fields(value, kind, depth)}>"


def _is_genuine(kind: type, module: str, name: str) -> bool:
    return name in _REPR_IS_SAFE.get(module, ()) and vars(sys.modules.get(module, sys)).get(name) is kind


def _fields(value: object, kind: type, depth: int) -> str:
    fields = instance_fields(value, kind)
    if not fields or not depth:
        return " ..." if fields else ""
    shown = [f"{name}={_text(item, depth - 1)}" for name, item in islice(fields.items(), ITEM_LIMIT)]
    return " " + ", ".join([*shown, "..."] if len(fields) > ITEM_LIMIT else shown)


def instance_fields(value: object, kind: type) -> dict[str, object]:
    """Return the fields in an object's slots and dictionary, read without any code of its class."""
    fields: dict[str, object] = {}
    for base in type.__dict__["__mro__"].__get__(kind):
        for name, member in tuple(type.__dict__["__dict__"].__get__(base).items()):
            if type(member) is MemberDescriptorType and base.__flags__ & (1 << 9):
                try:
                    fields[name] = member.__get__(value)
                except AttributeError:
                    continue  # a slot that is not filled
            elif name == "__dict__" and type(member) is GetSetDescriptorType:
                fields.update((key, item) for key, item in tuple(member.__get__(value).items()) if type(key) is str)
    return fields


def _table(value: Any, name: str) -> str:
    shape = "x".join(str(length) for length in value.shape) or "scalar"
    if name in {"DataFrame", "LazyFrame"}:
        return f"<{name} {shape}: {', '.join(str(column) for column in list(value.columns)[:ITEM_LIMIT])}>"
    text = f"<{name} {shape} {value.dtype}"
    if name == "ndarray" and value.dtype.kind in "biuf" and 0 < value.size <= ITEM_LIMIT:
        text += f" {value.tolist()}"
    return text + ">"


#: Arrays and tables that tell their shape without work.
_TABLES = {
    "numpy": {"ndarray"},
    "pandas": {"DataFrame", "Series"},
    "pandas.core.frame": {"DataFrame"},
    "pandas.core.series": {"Series"},
    "polars.dataframe.frame": {"DataFrame"},
    "polars.series.series": {"Series"},
    "torch": {"Tensor"},
    "torch.nn.parameter": {"Parameter"},
}

_SIZED = frozenset({str, bytes, bytearray, list, tuple, set, frozenset, dict})


def _plain(value: object, depth: int) -> str:
    return repr(value)


_MAKERS: dict[type, Callable[[Any, int], str]] = {
    type(None): _plain,
    bool: _plain,
    float: _plain,
    complex: _plain,
    range: _plain,
    type(...): _plain,
    type(NotImplemented): _plain,
    int: _int,
    str: _string,
    bytes: _string,
    bytearray: _bytearray,
    list: _list,
    tuple: _tuple,
    set: _set,
    frozenset: _set,
    dict: _dict,
    FunctionType: _function,
    MethodType: _method,
    BuiltinFunctionType: lambda value, depth: f"<built-in {value.__qualname__}>",
    ModuleType: _module,
    type: lambda value, depth: f"<class {type_name(value)!r}>",
}
#: Values whose `str` and `repr` run no code of the user's.
_LEAVES = frozenset({type(None), bool, float, complex, int, str, bytes})
