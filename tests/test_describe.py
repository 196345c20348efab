"""Descriptions: short, safe, and of use to a person."""

from __future__ import annotations

import abc
import collections
import datetime as dt
import decimal
import enum
import fractions
import functools
import gc
import os
import re
import subprocess
import sys
import threading
import types
import typing
import uuid
import weakref
import zoneinfo
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

import ckpt
from ckpt._model.describe import describe, exception_text, instance_fields, one_line, type_name
from ckpt._model.layout import fields_of
from ckpt._model.record import Value
from ckpt._model.texts import TEXT_LIMIT
from tests import hostile
from tests.hostile import VALUES, Material
from tests.packages import installed, prepare

prepare("numpy", "pandas", "polars")


def text(value: object) -> str:
    return str(describe(value)["text"])


@pytest.fixture
def material(tmp_path: Path) -> Iterator[Material]:
    made = Material(tmp_path)
    yield made
    made.close()


@ckpt.ckpt
def captured(x: int) -> int:
    return x


class Shape(abc.ABC):  # noqa: B024  its metaclass is the point
    def __init__(self) -> None:
        self.sides = 4


class Permission(enum.Flag):
    READ = 1
    WRITE = 2


PLAIN: list[tuple[object, str, str]] = [
    (None, "NoneType", "None"),
    (True, "bool", "True"),
    (3, "int", "3"),
    (-1.5, "float", "-1.5"),
    (2j, "complex", "2j"),
    (float("nan"), "float", "nan"),
    ("it's", "str", '"it\'s"'),
    (b"x", "bytes", "b'x'"),
    (bytearray(b"x"), "bytearray", "bytearray(b'x')"),
    (range(3), "range", "range(0, 3)"),
    (..., "ellipsis", "Ellipsis"),
    ([1, "a"], "list", "[1, 'a']"),
    ((1,), "tuple", "(1,)"),
    ((), "tuple", "()"),
    ({1}, "set", "{1}"),
    (frozenset([1]), "frozenset", "frozenset({1})"),
    ({"a": 1}, "dict", "{'a': 1}"),
    ([[[1]]], "list", "[[[...]]]"),
    ({"a": {"b": {}}}, "dict", "{'a': {'b': {...}}}"),
    (collections.deque([1]), "collections.deque", "deque([1])"),
    (collections.Counter("aab"), "collections.Counter", "<Counter {'a': 2, 'b': 1}>"),
    (collections.defaultdict(list, a=[1]), "collections.defaultdict", "<defaultdict {'a': [1]}>"),
    (hostile.Pair(1, "x"), "tests.hostile.Pair", "Pair(left=1, right='x')"),
    (hostile.Slotted(1, [2]), "tests.hostile.Slotted", "<Slotted one=1, two=[2]>"),
    (hostile.Color.RED, "tests.hostile.Color", "<Color.RED>"),
    (hostile.Node("v"), "tests.hostile.Node", "<Node next=None, previous=None, value='v'>"),
    (Shape(), "tests.test_describe.Shape", "<Shape sides=4>"),
    (object(), "object", "<object>"),
    (KeyError("key"), "KeyError", "KeyError('key')"),
    (os.path.join, "function", "<function posixpath.join>"),
    (len, "builtin_function_or_method", "<built-in len>"),
    ([].append, "builtin_function_or_method", "<built-in append>"),
    (hostile.Locked().count, "method", "<bound method Locked.count>"),
    (captured, "function", "<function tests.test_describe.captured>"),
    (os, "module", "<module 'os'>"),
    (int, "type", "<class 'int'>"),
    (Shape, "abc.ABCMeta", "<class 'tests.test_describe.Shape'>"),
    (dt.date(2020, 1, 2), "datetime.date", "datetime.date(2020, 1, 2)"),
    (dt.datetime(2020, 1, 2, tzinfo=dt.UTC), "datetime.datetime", "datetime.datetime(2020, 1, 2, 0, 0, tzinfo=datetime.timezone.utc)"),
    (dt.timedelta(1), "datetime.timedelta", "datetime.timedelta(days=1)"),
    (decimal.Decimal("1.5"), "decimal.Decimal", "Decimal('1.5')"),
    (fractions.Fraction(1, 2), "fractions.Fraction", "Fraction(1, 2)"),
    (PurePosixPath("a/b"), type_name(PurePosixPath), "PurePosixPath('a/b')"),
    (uuid.UUID(int=1), "uuid.UUID", "UUID('00000000-0000-0000-0000-000000000001')"),
    (zoneinfo.ZoneInfo("UTC"), "zoneinfo.ZoneInfo", "zoneinfo.ZoneInfo(key='UTC')"),
    (re.compile("a+"), "re.Pattern", "re.compile('a+')"),
    (types.SimpleNamespace(a=1), "types.SimpleNamespace", "<SimpleNamespace a=1>"),
]


@pytest.mark.parametrize(("value", "kind", "expected"), PLAIN, ids=[f"{kind}-{number}" for number, (_, kind, _) in enumerate(PLAIN)])
def test_a_value_is_told_as_a_person_would_write_it(value: object, kind: str, expected: str) -> None:
    """Builtins and well-known types as their source, objects by type and fields."""
    described = describe(value, "name")
    assert (described["name"], described["type"], described["text"]) == ("name", kind, expected)
    assert Value.from_json(described).text == expected


def test_lengths_are_those_of_the_builtin() -> None:
    """Of texts and containers, and of objects derived from them, whatever their own `__len__` says."""

    class Lying(list[int]):
        def __len__(self) -> int:
            raise RuntimeError

        def __iter__(self) -> Any:
            raise RuntimeError

    assert [describe(value).get("length") for value in ("abc", [1], {"a": 1}, {1, 2}, (), b"x", 3)] == [3, 1, 1, 2, 0, 1, None]
    assert describe(Lying([1, 2])) == {
        "name": "",
        "type": f"{__name__}.{Lying.__qualname__}",
        "text": f"<{Lying.__qualname__} [1, 2]>",
        "length": 2,
    }


@pytest.mark.parametrize("name", VALUES)
def test_no_code_of_a_hostile_value_runs(name: str, material: Material) -> None:
    """Nothing they define is called, and whatever they are, there is a description."""
    value = VALUES[name][0](material)
    hostile.ran.clear()
    for held in (value, [value], {"key": value}, hostile.Node(value), ValueError(value)):
        described = describe(held, "name")
        assert described["name"] == "name"
        assert type(described["text"]) is str
        assert type(described["type"]) is str
        assert len(described["text"]) <= TEXT_LIMIT
    exception_text(ValueError(value))
    one_line(ValueError(value))
    assert hostile.ran == []


class Loud(str):
    """A text in which every method of one's own is heard."""

    __slots__ = ()

    def _heard(self, *args: object) -> Any:
        hostile.ran.append("Loud")
        raise RuntimeError

    __repr__ = __str__ = __format__ = __len__ = __getitem__ = __iter__ = __hash__ = __eq__ = splitlines = _heard  # type: ignore[assignment]


class LoudInt(int):
    __repr__ = __str__ = __format__ = __index__ = bit_length = Loud._heard


class LoudZone(dt.tzinfo):
    __repr__ = utcoffset = dst = tzname = Loud._heard


def loud_function() -> Any:
    function: Any = lambda: 1  # noqa: E731
    function.__module__ = Loud("module")
    return function


def loud_class() -> type:
    return type("Kind", (), {"__module__": Loud("module"), "__qualname__": Loud("Kind")})


class Hashable(Loud):
    __slots__ = ()

    def __hash__(self) -> Any:  # type: ignore[override]
        return 1

    def __eq__(self, *other: object) -> Any:
        return self is other[0]


LOUD: dict[str, Callable[[], object]] = {
    "str": lambda: Loud("x" * 1000),
    "int": lambda: LoudInt(3),
    "zone": lambda: dt.datetime(2020, 1, 1, tzinfo=LoudZone()),
    "time with zone": lambda: dt.time(1, tzinfo=LoudZone()),
    "pattern": lambda: re.compile(type("Text", (str,), {"__repr__": Loud._heard})("a+")),
    "function": loud_function,
    "method": lambda: types.MethodType(loud_function(), 1),
    "method of an object": lambda: types.MethodType(hostile.Everything(), 1),
    "object of a class with a loud name": lambda: object.__new__(loud_class()),
    "class with a loud name": loud_class,
    "frozenset": lambda: frozenset([Hashable("x")]),
    "module": lambda: _module_with(Loud("name")),
    "builtin method of a class": lambda: hostile.OfHostileMeta.__new__,
    "dict": lambda: {"key": Loud("x")},
}


def _module_with(name: object) -> types.ModuleType:
    module = types.ModuleType("quiet")
    vars(module)["__name__"] = name
    vars(module)["__getattr__"] = Loud._heard
    return module


@pytest.mark.parametrize("name", LOUD)
def test_names_and_parts_that_are_derived_from_builtins_are_read_past_their_methods(name: str) -> None:
    """A text that is the name of a class may be of a class with a `__format__` of its own."""
    value = LOUD[name]()
    hostile.ran.clear()
    described = describe(value)
    assert hostile.ran == []
    assert "cannot be described" not in described["text"]
    assert type(described["type"]) is str
    assert type(described["text"]) is str


def test_properties_and_descriptors_are_not_asked() -> None:
    """Only what lies in the dictionary and the slots is told."""

    class Sly:
        __slots__ = ("__dict__", "slot")

        def __init__(self) -> None:
            self.field = 1
            self.slot = 2

        @property
        def computed(self) -> int:
            raise RuntimeError

        def __getattr__(self, name: str) -> int:
            raise RuntimeError

    assert text(Sly()) == f"<{Sly.__qualname__} slot=2, field=1>"
    assert instance_fields(Sly(), Sly) == {"field": 1, "slot": 2}


def test_a_class_that_says_it_is_of_another_package_is_not_believed() -> None:
    """Only the very type that numpy or pandas has under its name is asked for its shape."""

    class ndarray:  # noqa: N801
        __module__ = "numpy"

        @property
        def shape(self) -> Any:
            raise RuntimeError

    ndarray.__qualname__ = "ndarray"
    assert text(ndarray()) == "<ndarray>"


def test_everything_is_bounded() -> None:
    """Time and length do not grow with the value."""
    for value in (
        "x" * 10**7,
        b"x" * 10**7,
        bytearray(b"x" * 10**7),
        [["y" * 1000] * 1000] * 1000,
        dict.fromkeys(range(10**5), "z" * 1000),
        set(range(10**6)),
    ):
        assert len(text(value)) <= TEXT_LIMIT
        assert "..." in text(value)
    assert text(10**6000) == "<int of 19932 bits>"
    wide = type("Wide", (), {})()
    vars(wide).update({f"field{n}": n for n in range(1000)})
    assert text(wide).endswith("field7=7, ...>")


def test_a_deep_value_is_cut_where_it_is_deep() -> None:
    """And a value that contains itself ends."""
    deep: list[Any] = []
    deep.append(deep)
    assert text(deep) == "[[[...]]]"
    node = hostile.Node()
    node.next = node
    assert text(node).startswith("<Node next=<Node next=<Node ...>")


def test_a_dict_that_changes_meanwhile_does_not_matter() -> None:
    """The worst that comes out is that it cannot be described."""
    changing = {n: n for n in range(100)}
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            changing.pop(50, None)
            changing[50] = 1

    thread = threading.Thread(target=change)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        for _ in range(2000):
            assert describe(changing)["type"] == "dict"
            assert describe(hostile.Node(changing))["type"] == "tests.hostile.Node"
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)


def test_a_description_keeps_nothing_alive_neither_object_nor_class() -> None:
    """What is remembered of a class goes with it."""

    def make() -> tuple[weakref.ref[Any], weakref.ref[Any]]:
        kind: Any = type("Short", (hostile.Locked,), {"__slots__": ("extra",)})
        value = kind()
        value.extra = 1
        describe(value)
        fields_of(value)
        return weakref.ref(value), weakref.ref(kind)

    refs = make()
    gc.collect()
    assert [ref() for ref in refs] == [None, None]


def test_exceptions_in_one_line() -> None:
    """Type and first line, bounded; without running a `__str__` of the user's."""

    class OwnError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert one_line(ValueError("first\nsecond")) == "ValueError: first"
    assert one_line(ValueError()) == "ValueError"
    assert one_line(KeyError("key")) == "KeyError: 'key'"
    assert one_line(hostile.ArgumentsError(3, detail="x")) == "tests.hostile.ArgumentsError: code 3: x"
    assert one_line(OwnError("why", 3)).endswith("OwnError: why, 3")
    assert len(one_line(ValueError("x" * 10**6))) <= TEXT_LIMIT
    assert len(exception_text(ValueError("x" * 10**6))) == 10_000
    assert one_line(ExceptionGroup("several", [ValueError(1)])) == "ExceptionGroup: several (1 sub-exception)"
    with pytest.raises(FileNotFoundError) as caught:
        Path("/no/such/file").read_text()
    assert one_line(caught.value) == "FileNotFoundError: [Errno 2] No such file or directory: '/no/such/file'"


def test_texts_of_exceptions_of_the_standard_library_are_its_own() -> None:
    """Where nothing but plain values goes into them."""
    failed = subprocess.CalledProcessError(3, ["cmd", "arg"])
    assert exception_text(failed) == str(failed)
    assert exception_text(subprocess.CalledProcessError(3, [hostile.Everything()])).startswith("3, ")
    assert exception_text(ImportError("no module", name="x")) == "no module"
    assert exception_text(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")).startswith("'utf-8' codec can't decode")
    assert exception_text(SyntaxError("bad", ("file.py", 3, 5, "text", 3, 6))) == "bad (file.py, line 3)"


@pytest.mark.parametrize(
    "make",
    [
        lambda: OSError(2, "no", hostile.Everything()),
        lambda: ImportError(hostile.Everything()),
        lambda: hostile.HostileError("x"),
        lambda: ValueError(Loud("x")),
        lambda: SyntaxError(Loud("x")),
        lambda: ValueError(10**5000),
        lambda: KeyError(hostile.OfHostileMeta()),
    ],
)
def test_no_exception_has_a_text_that_runs_code(make: Callable[[], BaseException]) -> None:
    """Neither its parts nor its class are asked."""
    error = make()
    hostile.ran.clear()
    assert type(exception_text(error)) is str
    assert type(one_line(error)) is str
    assert hostile.ran == []


def test_type_names_are_those_of_the_type_itself() -> None:
    """Past metaclasses and strange modules."""
    assert type_name(int) == "int"
    assert type_name(hostile.OfHostileMeta) == "tests.hostile.OfHostileMeta"
    assert type_name(type("Strange", (), {"__module__": 3})) == "Strange"
    assert type_name(typing.cast("type", functools.partial)) == "functools.partial"


def test_what_a_data_class_knows_of_itself_is_told() -> None:
    """Fields first to last, flags by name."""
    assert text(Permission.READ | Permission.WRITE) in {"<Permission.READ|WRITE>", "<Permission.?>"}
    assert text(hostile.FrozenSlotted(5)) == "<FrozenSlotted one=5>"


# Arrays and tables


def test_arrays_tell_shape_type_and_size() -> None:
    """Those derived from numpy's as well, past methods of their own."""
    numpy = installed("numpy")

    class Sub(numpy.ndarray):  # type: ignore[misc, name-defined]
        @property
        def shape(self) -> Any:
            raise RuntimeError

        dtype = size = nbytes = shape

    array = numpy.zeros((1000, 3))
    assert describe(array) == {"name": "", "type": "numpy.ndarray", "text": "<ndarray 1000x3 float64>", "shape": [1000, 3], "size": 24000}
    assert describe(array.view(Sub))["shape"] == [1000, 3]
    assert text(numpy.array([1, 2])) == "<ndarray 2 int64 [1, 2]>"
    assert text(numpy.array(1.5)) == "<ndarray scalar float64 1.5>"
    objects = numpy.empty(1, dtype=object)
    objects[0] = hostile.OfHostileMeta()
    assert text(objects) == "<ndarray 1 object>"
    assert text(numpy.float64(1.5)) == "np.float64(1.5)"
    structured = numpy.array([(1, hostile.Node())], dtype=[("a", int), ("b", object)])
    assert "Node" not in text(structured[0])


def test_tables_tell_shape_and_columns() -> None:
    """Pandas and polars, and classes derived from theirs."""
    pandas = installed("pandas")

    class Sub(pandas.DataFrame):  # type: ignore[misc, name-defined]
        @property
        def shape(self) -> Any:
            raise RuntimeError

        columns = index = shape

    frame = pandas.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    assert text(frame) == "<DataFrame 3x2: a, b>"
    assert describe(frame)["shape"] == [3, 2]
    sub = Sub.__new__(Sub)
    object.__setattr__(sub, "_mgr", frame._mgr)
    assert describe(sub)["shape"] == [3, 2]
    assert text(frame["a"]) == "<Series 3 int64>"
    assert text(pandas.DataFrame({hostile.Node(): [1]})) == "<DataFrame 1x1: tests.hostile.Node>"
    polars = installed("polars")
    assert text(polars.DataFrame({"a": [1]})) == "<DataFrame 1x1: a>"
    assert text(polars.Series([1])) == "<Series 1 Int64>"
