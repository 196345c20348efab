"""How a value of each type is told: the texts of `describe`.

Builtins and a table of known types are told by us; everything else by its type and fields, one level deep. No `__repr__`, `__len__`,
`__iter__`, property or metaclass written by the user runs: what is read is read through the slots of the builtin types themselves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, cast
from weakref import WeakKeyDictionary

from ckpt._model.layout import (
    bases_of,
    definition_of,
    fields_of,
    found_in,
    has_plain_hash,
    is_built_in,
    module_of,
    name_of,
    namespace_of,
    type_name,
)
from ckpt._model.record import WRAPPER_FILE, Json
from ckpt._model.redact import MARK, holds_something, is_secret_key, without_passwords
from ckpt._model.tables import read_table, table_base

#: Bounds of a text: characters in all, characters of one text in it, items of one container, fields of one object.
TEXT_LIMIT = 400
STRING_LIMIT = 160
#: In so many characters of a text a URL is looked for: a password in it must not be cut in two.
_URL_LIMIT = 1000
ITEM_LIMIT = 8
#: How deep containers and objects are opened.
DEPTH_LIMIT = 2
#: Python refuses to print integers of more decimal digits than 4,300; ours are cut long before.
INT_BITS_LIMIT = 512

#: (value, how much deeper to open) -> text
Maker = Callable[[Any, int], str]
#: value -> the fields of its record that say how large it is
Measurer = Callable[[Any], Json]
#: Name of a type, and how its objects are told and measured.
Ways = tuple[str, Maker, Measurer | None]


def text_of(value: object, depth: int) -> str:
    """Return the text of a value that is part of another."""
    kind = type(value)
    found = EXACT.get(kind) if type(kind) is type else None
    return (found if found is not None else ways_of_class(kind))[1](value, depth)


def args_of(error: BaseException) -> tuple[Any, ...]:
    """Return the args of an exception, whatever its class says they are."""
    return vars(BaseException)["args"].__get__(error)  # type: ignore[no-any-return]


_ways: WeakKeyDictionary[type, Ways] = WeakKeyDictionary()


def ways_of_class(kind: type) -> Ways:
    """Return the name of a type that is not in `EXACT`, and how its objects are told and measured."""
    if not has_plain_hash(kind):
        return (type_name(kind), *_choose(kind))
    found = _ways.get(kind)
    if found is None:
        found = _ways[kind] = (type_name(kind), *_choose(kind))
    return found


def _choose(kind: type) -> tuple[Maker, Measurer | None]:  # noqa: PLR0911  a table of questions
    if issubclass(kind, type):
        return _class, None
    known = _KNOWN.get((module_of(kind), name_of(kind)))
    if known is not None and found_in(module_of(kind), name_of(kind)) is kind:
        return known, None
    if table_base(kind) is not None:
        return _table, _table_measures
    if issubclass(kind, ModuleType):
        return _module, None
    if issubclass(kind, Enum):
        return _enum, None
    if issubclass(kind, BaseException):
        return _exception, None
    if _is_numpy_scalar(kind):
        return _repr, None
    return (_derived, _derived_measures) if _builtin_base(kind) is not None else (_object, None)


def _is_numpy_scalar(kind: type) -> bool:
    """Whether the `repr` of a numpy scalar is short and runs nothing but numpy; that of a structured one shows its elements."""
    generic, void = found_in("numpy", "generic"), found_in("numpy", "void")
    if module_of(kind) != "numpy" or not is_built_in(kind) or type(generic) is not type or type(void) is not type:
        return False
    return issubclass(kind, generic) and not issubclass(kind, void)


# Builtins, by the methods of the builtin itself: the value may be of a subclass with methods of its own.


def _repr(value: Any, depth: int) -> str:
    return repr(value)[:TEXT_LIMIT]


def _int(value: Any, depth: int) -> str:
    if int.bit_length(value) <= INT_BITS_LIMIT:
        return int.__repr__(value)
    return f"<int of {int.bit_length(value)} bits>"


def _float(value: Any, depth: int) -> str:
    return float.__repr__(value)


def _complex(value: Any, depth: int) -> str:
    return complex.__repr__(value)


def _string(value: Any, depth: int) -> str:
    if str.__len__(value) > _URL_LIMIT:
        value = str.__getitem__(value, slice(_URL_LIMIT))
    if str.__contains__(value, "://"):
        value = without_passwords(str.__str__(value))
    return str.__repr__(value) if str.__len__(value) <= STRING_LIMIT else f"{str.__getitem__(value, slice(STRING_LIMIT))!r}..."


def _bytes(value: Any, depth: int) -> str:
    if bytes.__len__(value) > _URL_LIMIT:
        value = bytes.__getitem__(value, slice(_URL_LIMIT))
    if bytes.find(value, b"://") >= 0:
        value = without_passwords(bytes.decode(value, "latin-1")).encode("latin-1")
    return bytes.__repr__(value) if bytes.__len__(value) <= STRING_LIMIT else f"{bytes.__getitem__(value, slice(STRING_LIMIT))!r}..."


def _bytearray(value: Any, depth: int) -> str:
    return f"bytearray({_bytes(bytes(bytearray.__getitem__(value, slice(STRING_LIMIT + 1))), depth)})"


def _items(values: Iterable[object], length: int, depth: int) -> str:
    shown, room, depth = [], TEXT_LIMIT, depth - 1
    for value in values if length <= ITEM_LIMIT else islice(values, ITEM_LIMIT):
        kind = type(value)  # as in `text_of`
        found = EXACT.get(kind) if type(kind) is type else None
        text = (found if found is not None else ways_of_class(kind))[1](value, depth)
        shown.append(text)
        room -= len(text)
        if room < 0:
            break
    return ", ".join(shown if length == len(shown) else [*shown, "..."])


def _list(value: Any, depth: int) -> str:
    return f"[{_items(list.__iter__(value), list.__len__(value), depth)}]" if depth else "[...]"


def _tuple(value: Any, depth: int) -> str:
    if not depth:
        return "(...)"
    length = tuple.__len__(value)
    return f"({_items(tuple.__iter__(value), length, depth)}{',' if length == 1 else ''})"


def _set(value: Any, depth: int) -> str:
    return f"{{{_items(set.__iter__(value), set.__len__(value), depth) if depth else '...'}}}"


def _frozenset(value: Any, depth: int) -> str:
    return f"frozenset({{{_items(frozenset.__iter__(value), frozenset.__len__(value), depth) if depth else '...'}}})"


def _deque(value: Any, depth: int) -> str:
    return f"deque([{_items(deque.__iter__(value), deque.__len__(value), depth) if depth else '...'}])"


def _dict(value: Any, depth: int) -> str:
    if not depth:
        return "{...}"
    shown, room = [], TEXT_LIMIT
    for key, item in islice(dict.items(value), ITEM_LIMIT):
        text = f"{text_of(key, depth - 1)}: {_named(key, item, depth - 1)}"
        shown.append(text)
        room -= len(text)
        if room < 0:
            break
    return f"{{{', '.join(shown if dict.__len__(value) == len(shown) else [*shown, '...'])}}}"


def _named(name: object, value: object, depth: int) -> str:
    """Return the text of a value that has a name; under a secret one it is not told."""
    return MARK if is_secret_key(name) and holds_something(value) else text_of(value, depth)


def _function(value: Any, depth: int) -> str:
    function = value.__wrapped__ if value.__code__.co_filename == WRAPPER_FILE else value
    return f"<function {_name(function.__module__)}.{_name(function.__qualname__)}>"


def _builtin(value: Any, depth: int) -> str:
    return f"<built-in {_name(value.__name__)}>"


def _method(value: Any, depth: int) -> str:
    function = value.__func__
    return f"<bound method {_name(function.__qualname__) if type(function) is FunctionType else '?'}>"


def _module(value: Any, depth: int) -> str:
    return f"<module {_name(namespace_of(value).get('__name__'))!r}>"


def _name(name: object) -> str:
    return str.__str__(cast("str", name)) if issubclass(type(name), str) else "?"


# Everything else


def _class(value: Any, depth: int) -> str:
    return f"<class {type_name(value)!r}>"


def _moment(value: Any, depth: int) -> str:
    """Describe a date with a time; the time zone's `repr`, a part of its own, may be the user's."""
    zone = value.tzinfo
    if zone is None or (module_of(type(zone)), name_of(type(zone))) in {("datetime", "timezone"), ("zoneinfo", "ZoneInfo")}:
        return repr(value)
    return f"{value.replace(tzinfo=None)!r} in {type_name(type(zone))}"


def _pattern(value: Any, depth: int) -> str:
    return f"re.compile({text_of(value.pattern, depth)})"


def _table(value: Any, depth: int) -> str:
    base = table_base(type(value))
    return f"<{name_of(type(value))} {read_table(value, base).text}>" if base is not None else "?"


def _table_measures(value: Any) -> Json:
    base = table_base(type(value))
    assert base is not None
    _, shape, size = read_table(value, base)
    return {"shape": shape, "size": size}


def _enum(value: Any, depth: int) -> str:
    name = fields_of(value).get("_name_")
    return f"<{name_of(type(value))}.{name if type(name) is str else '?'}>"


def _exception(value: Any, depth: int) -> str:
    args = args_of(value)
    return f"{name_of(type(value))}({_items(args, len(args), depth) if depth else '...'})"


def _builtin_base(kind: type) -> type | None:
    return next((base for base in bases_of(kind) if type(base) is type and base in EXACT), None)


def _derived(value: Any, depth: int) -> str:
    """Describe an object of a class derived from a builtin, by what it is as that builtin."""
    kind = type(value)
    fields = definition_of(kind, "_fields")
    if issubclass(kind, tuple) and type(fields) is tuple and depth:
        pairs = zip(fields, tuple.__iter__(value), strict=False)
        return f"{name_of(kind)}({', '.join(f'{_name(name)}={_named(name, item, depth - 1)}' for name, item in islice(pairs, ITEM_LIMIT))})"
    base = _builtin_base(kind)
    assert base is not None
    return f"<{name_of(kind)} {EXACT[base][1](value, depth)}>"


def _derived_measures(value: Any) -> Json:
    base = _builtin_base(type(value))
    length = _builtin_length(base)
    return {} if length is None else {"length": length(value)}


def _builtin_length(base: type | None) -> Callable[[Any], int] | None:
    return definition_of(base, "__len__") if base is not None else None


def _object(value: Any, depth: int) -> str:
    fields = fields_of(value)
    if not fields or not depth:
        return f"<{name_of(type(value))}{' ...' if fields else ''}>"
    shown = [f"{name}={_named(name, item, depth - 1)}" for name, item in islice(fields.items(), ITEM_LIMIT)]
    return f"<{name_of(type(value))} {', '.join(shown if len(fields) <= ITEM_LIMIT else [*shown, '...'])}>"


def _length(value: Any) -> Json:
    return {"length": len(value)}


EXACT: dict[type, Ways] = {
    **{kind: (kind.__name__, _repr, None) for kind in (type(None), bool, range, type(...), type(NotImplemented))},
    int: ("int", _int, None),
    float: ("float", _float, None),
    complex: ("complex", _complex, None),
    str: ("str", _string, _length),
    bytes: ("bytes", _bytes, _length),
    bytearray: ("bytearray", _bytearray, _length),
    list: ("list", _list, _length),
    tuple: ("tuple", _tuple, _length),
    set: ("set", _set, _length),
    frozenset: ("frozenset", _frozenset, _length),
    dict: ("dict", _dict, _length),
    deque: ("collections.deque", _deque, _length),
    FunctionType: ("function", _function, None),
    MethodType: ("method", _method, None),
    BuiltinFunctionType: ("builtin_function_or_method", _builtin, None),
    ModuleType: ("module", _module, None),
    type: ("type", _class, None),
}
#: Types of the standard library whose own `__repr__` is short and runs no foreign code.
_KNOWN: dict[tuple[str, str], Maker] = {
    ("datetime", "datetime"): _moment,
    ("datetime", "time"): _moment,
    **{("datetime", name): _repr for name in ("date", "timedelta", "timezone")},
    **{
        (module, name): _repr
        for module in ("pathlib", "pathlib._local")
        for name in ("PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath")
    },
    **{("torch", name): _repr for name in ("dtype", "device", "Size")},
    ("decimal", "Decimal"): _repr,
    ("fractions", "Fraction"): _repr,
    ("re", "Pattern"): _pattern,
    ("uuid", "UUID"): _repr,
    ("zoneinfo", "ZoneInfo"): _repr,
}
