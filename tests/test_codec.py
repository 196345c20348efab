"""The codec: whatever is put in, everything around it comes out again."""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import os
import pickle
import pickletools
import shutil
import subprocess
import sys
import threading
import time
import types
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import cloudpickle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt._model import codec, sinks, verbs
from ckpt._model.codec import Encoded, Limits, Surroundings, decode, encode
from ckpt._model.layout import fields_of
from ckpt._model.placeholder import Placeholder
from ckpt._model.reducing import RobustPickler
from ckpt._model.sinks import Sink
from ckpt._model.thorough import ThoroughPickler
from ckpt.errors import CkptError, DamagedError, PlaceholderError
from tests import hostile
from tests.hostile import GONE, LIVE, VALUES, HashedNode, Material, Node, SlottedNode
from tests.packages import installed, prepare
from tests.processes import ROOT, environment, python

prepare("numpy", "pydantic")


@pytest.fixture(autouse=True, scope="module")
def nothing_left_behind() -> Iterator[None]:
    """Hostile objects in cycles are gone before other tests look at all objects there are."""
    yield
    gc.collect()


@pytest.fixture
def material(tmp_path: Path) -> Iterator[Material]:
    made = Material(tmp_path)
    yield made
    made.close()


class Around:
    """An object that holds a value, as `self` does."""

    def __init__(self, held: Any) -> None:
        self.held = held
        self.rows = [1, 2]
        self.me = self


def again(root: Any, **limits: Any) -> Any:
    """Return `root` as it comes out again, its own dicts and lists being those of a recorder."""
    encoded = encoded_of(root, **limits)
    return decode(encoded.stream, encoded.buffers)


def encoded_of(root: Any, **limits: Any) -> Encoded:
    containers = [part for part in root.values() if type(part) in (dict, list)] if type(root) is dict else []
    return encode(root, containers, Limits(**limits))


def back(value: Any) -> Any:
    """Return one value as it comes out again."""
    return again({"args": [value]})["args"][0]


# Hostile and awkward values


@pytest.mark.parametrize("name", VALUES)
def test_a_hostile_value_costs_only_itself(name: str, material: Material) -> None:
    """Wherever it lies, its neighbours and the object around it stay live and the same."""
    make, expected = VALUES[name]
    value, shared = make(material), [1]
    around = Around(value)
    args = again({"args": [shared, value, around, {"key": value, "shared": shared}, (value,)], "kwargs": {}})["args"]
    loaded = args[1]
    assert args[0] == [1]
    assert args[0] is args[3]["shared"]
    assert type(args[2]) is Around
    assert args[2].me is args[2]
    assert args[2].rows == [1, 2]
    if type(value) is not int:
        assert loaded is args[2].held
        assert loaded is args[3]["key"]
        assert loaded is args[4][0]
    assert expected not in (GONE, LIVE) or issubclass(type(loaded), Placeholder) == (expected == GONE)
    if issubclass(type(loaded), Placeholder):
        assert "placeholder for" in repr(loaded)
        assert loaded.ckpt_reason


@pytest.mark.parametrize("name", VALUES)
def test_encoding_alters_no_live_object(name: str, material: Material) -> None:
    """The fields of every object are the same objects afterwards, whoever refused."""
    value = VALUES[name][0](material)
    around, args, kwargs = Around(value), [value, [value]], {"key": value}

    def fields() -> list[tuple[str, int]]:
        parts = [*fields_of(around).items(), *fields_of(value).items()]
        return [(name, id(part)) for name, part in parts if type(part) is not int]  # C members make them anew each time

    before = fields()
    encode({"args": args, "kwargs": kwargs}, [args, kwargs], Limits())
    assert fields() == before
    assert args[0] is value
    assert args[1][0] is value
    assert kwargs["key"] is value


@pytest.mark.parametrize("name", VALUES)
def test_a_hostile_value_may_lie_in_an_exception_a_closure_and_a_key(name: str, material: Material) -> None:
    """No place is worse than another."""
    value = VALUES[name][0](material)
    error = ValueError("fine")
    error.extra = value  # type: ignore[attr-defined]
    error.__cause__ = KeyError(value)

    def closure() -> Any:
        return value, good

    good = [1]
    loaded_error, loaded_closure, loaded_good = again({"args": [error, closure, good]})["args"]
    assert (type(loaded_error), loaded_error.args) == (ValueError, ("fine",))
    assert type(loaded_error.__cause__) is KeyError
    assert loaded_closure()[1] is loaded_good


def test_all_of_them_at_once_cost_only_themselves(material: Material) -> None:
    """A stream with every hostile value there is opens, and holds every neighbour."""
    values = {name: make(material) for name, (make, _) in VALUES.items()}
    loaded = again({"args": [values, "after"]})["args"]
    assert loaded[1] == "after"
    assert list(loaded[0]) == list(values)
    for name, (_, expected) in VALUES.items():
        if expected in (GONE, LIVE):
            assert issubclass(type(loaded[0][name]), Placeholder) == (expected == GONE), name


OPEN = """
import pickle, sys, warnings
from pathlib import Path
from ckpt._model.codec import decode
from ckpt._model.placeholder import Placeholder
streams = pickle.loads(Path(sys.argv[1]).read_bytes())
found = {}
for name, stream in streams.items():
    before, value, after = decode(stream)["args"]
    assert before is after and before == [1], name
    found[name] = issubclass(type(value), Placeholder)
    del value
print(found)
"""


def test_a_fresh_process_opens_them_all_and_touches_no_file_of_the_users(material: Material, tmp_path: Path) -> None:
    """What was an open file stays closed, unread and uncut; a temporary file is not deleted a second time."""
    streams, shared = {}, [1]
    for name, (make, _) in VALUES.items():
        streams[name] = encoded_of({"args": [shared, make(material), shared]}).stream
    (tmp_path / "streams").write_bytes(pickle.dumps(streams))

    def files() -> dict[str, tuple[int, int, bytes]]:
        found = [path for path in tmp_path.rglob("*") if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size, path.read_bytes()) for path in found}

    before = files()
    done = python("-c", OPEN, tmp_path / "streams", cwd=tmp_path)
    assert files() == before
    found = eval(done.stdout)
    for name, (_, expected) in VALUES.items():
        if expected in (GONE, LIVE):
            assert found[name] == (expected == GONE), name
    assert "Traceback" not in done.stderr, done.stderr


def test_a_placeholder_says_what_it_was_and_refuses_to_be_used() -> None:
    """Type, description and reason survive; printing it is harmless, everything else is one clear error.

    It is equal to itself. What else it is equal to nobody can tell: a False would let a replay go another way than the call went.
    """
    placeholder = back(threading.Lock())
    assert "_thread.lock" in repr(placeholder)
    assert "cannot pickle" in placeholder.ckpt_reason
    assert placeholder == placeholder  # noqa: PLR0124
    assert {placeholder: 1}[placeholder]
    uses: list[Callable[[], object]] = [
        lambda: placeholder.acquire,
        placeholder.__call__,
        lambda: len(placeholder),
        lambda: bool(placeholder),
        lambda: placeholder + 1,
        lambda: 1 + placeholder,
        lambda: placeholder[0],
        lambda: list(placeholder),
        placeholder.__enter__,
        lambda: setattr(placeholder, "field", 1),
        lambda: int(placeholder),
        lambda: os.fspath(placeholder),
        lambda: placeholder < 1,
        lambda: placeholder == 1,
        lambda: 1 == placeholder,  # noqa: SIM300
        lambda: placeholder != placeholder.ckpt_type,
        lambda: 1 in placeholder,
    ]
    for use in uses:
        with pytest.raises(PlaceholderError, match="only a placeholder"):
            use()
    assert not hasattr(placeholder, "acquire")


def test_a_placeholder_goes_through_again() -> None:
    """What was lost once is still known for what it was the second time, also to the plain pickler."""
    first = back(threading.Lock())
    for second in (back(first), back([first, lambda: 1])[0], copy.deepcopy(first)):
        assert type(second) is Placeholder
        assert (second.ckpt_type, second.ckpt_reason) == (first.ckpt_type, first.ckpt_reason)
    stream = encoded_of({"args": [first]}).stream
    assert b"placeholder.Placeholder" not in stream
    assert b"ckpt._model.placeholder" not in stream


def test_streams_name_nothing_of_ours_but_the_verbs(material: Material) -> None:
    """The rooms may be rebuilt: what a stream says of ckpt is one module and the verbs in it."""
    stream = encoded_of({"args": [make(material) for make, _ in VALUES.values()]}).stream
    names, file = set(), io.BytesIO(stream)
    while file.tell() < len(stream):
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name == "SHORT_BINUNICODE" and str(argument).startswith("ckpt"):
                names.add(argument)
    assert names - {verbs.DEEP} == {"ckpt._model.verbs"}


# Identity


def test_what_was_one_object_is_one_object() -> None:
    """Across arguments, frames and exceptions of one moment."""
    shared, lock = {"rows": [1]}, threading.Lock()
    error = ValueError(shared)
    root = {"args": [shared, lock], "locals": [{"x": shared, "y": lock}, {"z": [shared, lock]}], "exceptions": [error], "same": error}
    loaded = decode(encode(root, [], Limits()).stream)
    assert loaded["args"][0] is loaded["locals"][0]["x"]
    assert loaded["args"][0] is loaded["locals"][1]["z"][0]
    assert loaded["args"][0] is loaded["exceptions"][0].args[0]
    assert loaded["args"][1] is loaded["locals"][0]["y"]
    assert loaded["args"][1] is loaded["locals"][1]["z"][1]
    assert loaded["exceptions"][0] is loaded["same"]


@pytest.mark.parametrize("pickler", ["robust", "thorough", "deep"])
def test_every_pickler_keeps_cycles(pickler: str) -> None:
    """Through objects, lists, dicts, sets and tuples."""
    recursive = hostile.Recursive()
    held: list[Any] = []
    cycle = (held, {"back": held}, {recursive})
    held.append(cycle)
    loaded, same = _through(pickler, (cycle, recursive))
    assert loaded[0][0] is loaded
    assert loaded[1]["back"] is loaded[0]
    assert loaded[2] == {same}
    assert same.me is same
    assert same.all[0] is same
    assert same.named["me"] is same


def _through(pickler: str, root: Any) -> Any:
    sink = Sink(1 << 30, None)
    if pickler == "robust":
        RobustPickler(sink, sink.take_buffer, (), {}).dump(root)
    else:
        ThoroughPickler(sink, sink.take_buffer, (), {}, left_out={}, is_deep=pickler == "deep").dump(root)
    return decode(b"".join(sink.chunks), sink.buffers)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.decimals(allow_nan=False),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.tuples(inner, inner)
        | st.frozensets(st.integers())
        | inner.map(lambda v: hostile.Slotted(1, v))
    ),
    max_leaves=30,
)


@given(plain)
@settings(max_examples=60, deadline=None)
def test_every_pickler_gives_back_what_is_equal(value: Any) -> None:
    """Plain, robust, thorough and deep write different streams of the same values."""
    assert back(value) == value
    for pickler in ("robust", "thorough", "deep"):
        assert _through(pickler, value) == value


def test_closures_go_on_sharing_their_variables() -> None:
    """Two functions over one variable see each other's changes after loading, too."""

    def counter() -> tuple[Callable[[], int], Callable[[], int]]:
        count = 0

        def up() -> int:
            nonlocal count
            count += 1
            return count

        def look() -> int:
            return count

        return up, look

    up, look = back(counter())
    up()
    assert look() == 1


def test_a_function_kept_by_value_has_the_globals_of_its_module_by_reference() -> None:
    """A closure made in a module that can be imported drags nothing of it along, and sees the module as it is."""
    module = types.ModuleType("some_importable_module")
    sys.modules[module.__name__] = module
    exec("big = ['x' * 1000] * 1000\ndef make():\n    def inner():\n        return big\n    return inner\n", vars(module))
    try:
        encoded = encoded_of({"args": [module.make()]})
        assert len(encoded.stream) < 2000
        assert decode(encoded.stream)["args"][0]() is module.big
    finally:
        del sys.modules[module.__name__]
    without = decode(encoded.stream)["args"][0]
    with pytest.raises(NameError):
        without()


# By value, in a fresh process

MAIN = '''
import dataclasses, enum, functools, os.path, pickle, sys, threading, typing
from collections import namedtuple
import ckpt
from ckpt._model.codec import Limits, encode

LIMIT = 10
lock = threading.Lock()

class Base:
    counted = 0
    def __init__(self, x):
        self.x = x
        Base.counted += 1
    def double(self):
        return self.x * 2
    @staticmethod
    def helper():
        return LIMIT
    @classmethod
    def made(cls):
        return cls(5)
    @property
    def twice(self):
        return self.double()

class Child(Base):
    def double(self):
        return super().double() + 1

class Slots:
    __slots__ = ("a", "b")

@dataclasses.dataclass
class Row:
    name: str
    tags: list = dataclasses.field(default_factory=list)

@dataclasses.dataclass(slots=True, frozen=True)
class Point:
    x: int

class Color(enum.Enum):
    RED = 1
    BLUE = 2

Pair = namedtuple("Pair", "left right")

class Failure(Exception):
    def __init__(self, code, detail):
        super().__init__(f"{code}: {detail}")
        self.code = code

class Meta(type):
    def __call__(cls, *args):
        made = super().__call__(*args)
        made.by_meta = True
        return made

class OfMeta(metaclass=Meta):
    pass

class Text(str):
    pass

class Rows(list):
    pass

class Named(dict):
    pass

def even(n):
    return n == 0 or odd(n - 1)

def odd(n):
    return n != 0 and even(n - 1)

def uses_lock(n, *, limit=LIMIT):
    """Its doc."""
    assert lock is not None
    return min(n, limit)

@ckpt.ckpt
def captured(n):
    return n + LIMIT

@functools.lru_cache(maxsize=3)
def cached(n):
    return n + LIMIT

def later(n):
    yield from range(n)

slots = Slots()
slots.a = 1
values = {
    "child": Child(3), "base": Base(4), "slots": slots, "row": Row("a", [1]), "point": Point(1), "color": Color.BLUE,
    "pair": Pair(1, 2), "failure": Failure(3, "x"), "of_meta": OfMeta(), "text": Text("t"), "rows": Rows([1]), "named": Named(a=1),
    "even": even, "uses_lock": uses_lock, "captured": captured, "cached": cached, "later": later, "method": Child(7).double, "class": Child,
    "lambda": lambda n: n + LIMIT, "join": lambda *parts: os.path.join(*parts), "names": [Child, Color, Row],
    "partial": functools.partial(uses_lock, 50), "alias": typing.Optional[Row],
}
stream = encode({"args": [values]}, [], Limits()).stream
with open(sys.argv[1], "wb") as file:
    file.write(stream)
'''
LOOK = """
import sys
from pathlib import Path
from ckpt._model.codec import decode, Surroundings
from ckpt._model.placeholder import Placeholder
from ckpt.errors import PlaceholderError
v = decode(Path(sys.argv[1]).read_bytes(), (), Surroundings(same_python=True))["args"][0]
"""
USE = """
assert v["child"].double() == 7 and v["child"].twice == 7 and v["base"].double() == 8
assert type(v["child"]).made().x == 5 and v["child"].helper() == 10
assert isinstance(v["child"], type(v["base"])) and type(v["child"]) is v["class"] is v["names"][0]
assert type(v["base"]).counted >= 2
assert v["slots"].a == 1 and not hasattr(v["slots"], "b")
assert v["row"] == type(v["row"])("a", [1]) and repr(v["row"]) == "Row(name='a', tags=[1])"
assert v["point"].x == 1 and v["point"] == type(v["point"])(1)
assert v["color"] is v["names"][1].BLUE and v["names"][1](2) is v["color"]
assert v["pair"].right == 2 and v["pair"]._replace(left=5).left == 5
assert v["failure"].code == 3 and str(v["failure"]) == "3: x"
assert v["of_meta"].by_meta and type(v["of_meta"])().by_meta
assert v["text"] == "t" and v["rows"] == [1] and v["named"] == {"a": 1}
assert v["even"](10) is True and v["even"](7) is False
assert v["uses_lock"].__doc__ == "Its doc." and v["uses_lock"].__kwdefaults__ == {"limit": 10} and v["uses_lock"](50) == 10
assert v["captured"](1) == 11 and v["cached"](1) == 11 and v["cached"].cache_parameters()["maxsize"] == 3
assert list(v["later"](3)) == [0, 1, 2] and v["method"]() == 15 and v["lambda"](1) == 11
assert v["join"]("a", "b") and v["partial"]() == 10 and v["alias"].__args__[0] is v["names"][2]
print("all")
"""


@pytest.fixture(scope="module")
def from_main(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stream with the functions and classes of a script."""
    folder = tmp_path_factory.mktemp("main")
    (folder / "job.py").write_text(MAIN)
    python("job.py", "stream", cwd=folder)
    return folder / "stream"


def test_functions_and_classes_of_a_script_are_live_in_another_process(from_main: Path, tmp_path: Path) -> None:
    """Methods, `super()`, properties, defaults, globals, recursion, enums, dataclasses, exceptions: all as they were."""
    assert python("-c", LOOK + USE, from_main, cwd=tmp_path).stdout == "all\n"


@pytest.fixture
def other_python(tmp_path: Path) -> tuple[str, dict[str, str]]:
    """An interpreter of another minor version, and the environment in which it finds ckpt and what loading needs."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "cloudpickle").symlink_to(Path(cloudpickle.__file__).parent)
    named = os.environ.get("CKPT_TEST_PYTHONS", "").split(os.pathsep)
    for found in filter(None, (*named, *(shutil.which(f"python3.{minor}") for minor in range(11, 15)))):
        asked = subprocess.run([found, "-c", "import sys; print(sys.version_info[1])"], check=False, capture_output=True, text=True)
        if asked.returncode == 0 and int(asked.stdout) != sys.version_info[1]:
            return found, environment() | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path / "packages")])}
    pytest.skip("no interpreter of another minor version was found; CKPT_TEST_PYTHONS can name some")


def test_another_python_version_loads_what_needs_no_bytecode(
    from_main: Path, tmp_path: Path, other_python: tuple[str, dict[str, str]]
) -> None:
    """Functions kept by value become placeholders, also as methods; data stays, and nothing crashes."""
    look = """
assert type(v["even"]) is Placeholder and "another Python version" in v["even"].ckpt_reason
assert type(v["lambda"]) is Placeholder and type(v["captured"]) is Placeholder
assert v["child"].x == 3 and v["row"].name == "a" and v["point"].x == 1 and v["slots"].a == 1
assert v["color"] is v["names"][1].BLUE and v["pair"].right == 2 and v["rows"] == [1] and v["named"] == {"a": 1}
assert v["failure"].args == ("3: x",) and v["failure"].code == 3
try:
    v["child"].double()
except PlaceholderError as error:
    assert "another Python version" in str(error)
else:
    raise AssertionError
print("some")
"""
    interpreter, where = other_python
    done = subprocess.run([interpreter, "-c", LOOK + look, from_main], cwd=tmp_path, env=where, capture_output=True, text=True, check=False)
    assert done.stdout == "some\n", done.stderr


def test_in_the_same_process_a_class_kept_by_value_is_the_live_one_and_unaltered() -> None:
    """Loading a capture does not set the attributes of a live class back to what they were."""

    class Counted:
        made = 0

    encoded = encoded_of({"args": [Counted()]})
    Counted.made = 5
    loaded = decode(encoded.stream)["args"][0]
    assert type(loaded) is Counted
    assert Counted.made == 5


def test_a_class_that_is_loaded_twice_is_one_class(from_main: Path, tmp_path: Path) -> None:
    """What was kept at entry and what was kept at the failure are of the same class."""
    look = """
w = decode(Path(sys.argv[1]).read_bytes())["args"][0]
assert type(v["child"]) is type(w["child"])
assert w["color"] is v["color"]
print("one")
"""
    assert python("-c", LOOK + look, from_main, cwd=tmp_path).stdout == "one\n"


def test_todays_class_takes_the_place_of_the_captured_one(from_main: Path) -> None:
    """`resolve` decides, by module and qualified name, and then nothing of the captured class is used."""

    class Today:
        counted = 77

        def double(self) -> str:
            return "today"

    resolved = decode(from_main.read_bytes(), (), Surroundings(resolve=lambda module, qualname: Today if qualname == "Child" else None))[
        "args"
    ][0]
    assert resolved["child"].double() == "today"
    assert resolved["class"] is Today
    assert Today.counted == 77
    assert resolved["base"].double() == 8


# Gone when loaded

SHAPES = """
import dataclasses, enum
class Plain:
    def __init__(self): self.x = 1; self.rows = [1, 2]
class Slots:
    __slots__ = ("a",)
class Names(dict): pass
class Rows(list): pass
class Text(str): pass
class Color(enum.Enum):
    RED = 1
class Failure(ValueError):
    def __init__(self, code): super().__init__(f"code {code}"); self.code = code
class Reduces:
    def __reduce__(self): return make, (1, 2)
def make(*args): return Plain()
"""
SHAPED = """
import shapes
slots = shapes.Slots(); slots.a = 5
rows, names = shapes.Rows([1, 2]), shapes.Names(a=1)
rows.extra = "extra"
error = shapes.Failure(3)
error.__cause__ = KeyError("cause")
values = [shapes.Plain(), slots, names, rows, shapes.Text("t"), shapes.Color.RED, error, shapes.Reduces(), shapes.make, shapes.Plain]
values.append("neighbour")
from ckpt._model.codec import Limits, encode
import sys
with open("stream", "wb") as file:
    file.write(encode({"args": [values]}, [], Limits()).stream)
"""


@pytest.fixture
def shaped(tmp_path: Path) -> Path:
    """A stream with objects of a module that is about to go."""
    (tmp_path / "shapes.py").write_text(SHAPES)
    python("-c", SHAPED, cwd=tmp_path)
    return tmp_path / "stream"


@pytest.mark.parametrize("what", ["module", "names"])
def test_objects_whose_class_is_gone_keep_their_data(shaped: Path, what: str) -> None:
    """Fields, items and arguments are there to look at; using one says that its class is gone, and why."""
    (shaped.parent / "shapes.py").write_text("") if what == "names" else (shaped.parent / "shapes.py").unlink()
    look = """
plain, slots, names, rows, text, color, error, reduces, function, cls, neighbour = v
assert neighbour == "neighbour"
assert plain.x == 1 and plain.rows == [1, 2] and slots.a == 5
assert names.ckpt_items == {"a": 1} and rows.ckpt_items == [1, 2] and rows.extra == "extra"
assert text.ckpt_arguments == ("t",) and color.ckpt_arguments == (1,) and reduces.ckpt_arguments == (1, 2)
assert type(error).__name__ == "Failure" and isinstance(error, ValueError) and str(error) == "code 3" and error.code == 3
assert type(error.__cause__) is KeyError
for gone in (plain, slots, names, rows, text, color, reduces):
    assert isinstance(gone, Placeholder) and "shapes" in repr(gone), gone
    try: gone.other
    except PlaceholderError as err: assert "shapes" in str(err)
    else: raise AssertionError
for gone in (function, cls):
    assert "shapes" in repr(gone)
    try: gone(1)
    except PlaceholderError as err: assert "shapes" in str(err)
    else: raise AssertionError
print("kept")
"""
    assert python("-c", LOOK + look, shaped, cwd=shaped.parent).stdout == "kept\n"


@pytest.mark.parametrize("text", ["raise SystemExit(3)", "import no_such_module_at_all", "raise KeyboardInterrupt", "def broken(:"])
def test_a_module_that_cannot_be_imported_any_more_is_gone(shaped: Path, text: str) -> None:
    """Whatever its import raises, it costs its own objects only."""
    (shaped.parent / "shapes.py").write_text(text)
    done = python("-c", LOOK + "assert v[0].x == 1 and v[-1] == 'neighbour'\nprint('kept')", shaped, cwd=shaped.parent)
    assert done.stdout == "kept\n"


def test_a_class_that_has_changed_costs_its_own_objects_at_most(shaped: Path) -> None:
    """A constructor that wants more, slots that are gone, an enum without the member: each is live, or a placeholder with what it held."""
    changed = """
import enum
class Plain:
    __slots__ = ()
class Slots:
    def __setstate__(self, state): raise RuntimeError("no")
class Names(list): pass
class Rows(dict): pass
class Text(int): pass
class Color(enum.Enum):
    BLUE = 2
class Failure(ValueError):
    def __init__(self, one, two, three): raise RuntimeError
def make(): return 1
"""
    (shaped.parent / "shapes.py").write_text(changed)
    look = """
plain, slots, names, rows, text, color, error, reduces, function, cls, neighbour = v
assert neighbour == "neighbour" and error.code == 3 and str(error) == "code 3"
for gone in (plain, slots, text, color, reduces):
    assert isinstance(gone, Placeholder), gone
assert "Color" in repr(color)
assert (plain.x, plain.rows, slots.a) == (1, [1, 2], 5)
changed, refuses = "an object of a class that has changed (--code captured", "an object that refuses its state: RuntimeError: no"
for gone, told in (plain, changed), (slots, refuses):
    assert repr(gone).startswith("<placeholder for shapes.")
    try: gone.other
    except PlaceholderError as err: assert told in str(err), err
    else: raise AssertionError
print("kept")
"""
    assert python("-c", LOOK + look, shaped, cwd=shaped.parent).stdout == "kept\n"


@pytest.mark.parametrize("stream", [b"", b"junk", b"\x80\x05.", b"\x80\x05]\x94", b"\x80\x05\x8c\x05hello", pickle.dumps([1])[:-3]])
def test_a_broken_stream_is_damage(stream: bytes) -> None:
    """What was not written by `encode` is one clear error."""
    with pytest.raises(DamagedError, match="cannot be loaded"):
        decode(stream)


def test_any_cut_of_a_stream_is_damage(material: Material) -> None:
    """A stream that ends early raises nothing else."""
    stream = encoded_of(
        {"args": [VALUES[name][0](material) for name in ("lock", "closure over a lock", "exception", "recursive object")]}
    ).stream
    for end in range(0, len(stream) - 1, 7):
        with pytest.raises(DamagedError):
            decode(stream[:end])


# Depth

DEPTH = 100_000


def nested(wrap: Callable[[Any], Any], inner: Any) -> Any:
    for _ in range(DEPTH):
        inner = wrap(inner)
    return inner


def chain(kind: type, *, is_double: bool = False) -> Any:
    first = last = kind()
    for number in range(DEPTH):
        last.next = kind(number)
        if is_double:
            last.next.previous = last
        last = last.next
    return first


def alternating() -> Any:
    node: Any = Node()
    for _ in range(DEPTH // 3):
        outer = Node()
        outer.next = [{"key": node}]
        node = outer
    return node


def parents() -> Any:
    first: dict[str, Any] = {"up": None}
    last = first
    for _ in range(DEPTH):
        last["down"] = {"up": last}
        last = last["down"]
    return first


def hashed() -> Any:
    first = last = HashedNode(-1)
    members = {first: 1}
    for number in range(DEPTH // 20):
        last.next = HashedNode(number)
        last = last.next
        members[last] = 1
    return [first, members]


def contexts() -> Any:
    error: BaseException | None = None
    for number in range(DEPTH // 10):
        outer = ValueError(number)
        outer.__context__ = error
        error = outer
    return error


def functions() -> Any:
    def wrap(inner: Any) -> Any:
        return lambda x: inner(x) + 1

    function = wrap(None)
    for _ in range(5000):
        function = wrap(function)
    return function


def untracked() -> Any:
    deep = nested(lambda inner: (inner,), 1)
    gc.collect()  # forgets tuples that hold nothing which could be in a cycle
    return deep


DEEP: dict[str, tuple[Callable[[], Any], str]] = {
    "list": (lambda: nested(lambda inner: [inner], 1), LIVE),
    "dict": (lambda: nested(lambda inner: {"key": inner}, 1), LIVE),
    "tuple": (lambda: nested(lambda inner: (inner,), 1), LIVE),
    "tuple the collector does not see": (untracked, LIVE),
    "frozenset": (lambda: nested(lambda inner: frozenset([inner]), 1), LIVE),
    "objects": (lambda: chain(Node), LIVE),
    "slotted objects": (lambda: chain(SlottedNode), LIVE),
    "doubly linked objects": (lambda: chain(Node, is_double=True), LIVE),
    "doubly linked slotted objects": (lambda: chain(SlottedNode, is_double=True), LIVE),
    "alternating": (alternating, LIVE),
    "in an attribute": (lambda: Around(nested(lambda inner: [inner], 1)), LIVE),
    "contexts of exceptions": (contexts, LIVE),
    "dicts with parents": (parents, "part"),
    "objects with a hash, as keys": (hashed, "part"),
    "functions": (functions, "part"),
}


@pytest.mark.parametrize("name", DEEP)
def test_nesting_however_deep_crashes_nothing_and_costs_no_neighbour(name: str) -> None:
    """A hundred thousand levels of nearly anything are kept; of what cannot be followed, that one value is lost."""
    make, expected = DEEP[name]
    value, good = make(), [1]
    args = again({"args": [good, value, [value], Around(good), threading.Lock(), good]})["args"]
    assert args[0] is args[5] is args[3].held
    assert args[0] == [1]
    assert args[1] is args[2][0]
    assert type(args[4]) is Placeholder
    assert expected != LIVE or type(args[1]) is type(value)
    assert type(args[1]) is not Placeholder or args[1].ckpt_reason == "nested too deep"


def test_a_doubly_linked_chain_is_whole_after_loading() -> None:
    """Every link is there, in both directions."""
    node = back(chain(Node, is_double=True))
    length = 0
    while node.next is not None:
        assert node.next.previous is node
        node, length = node.next, length + 1
    assert length == DEPTH


def test_a_deep_list_is_whole_after_loading() -> None:
    """Level by level."""
    value, depth = back(nested(lambda inner: [inner], "end")), 0
    while type(value) is list:
        value, depth = value[0], depth + 1
    assert (value, depth) == ("end", DEPTH)


def test_at_the_end_of_the_stack_it_is_the_recorders_trouble() -> None:
    """Who calls there has to find a fresh stack; nothing is made a placeholder for want of room."""

    def descend(levels: int, do: Callable[[], Any]) -> Any:
        return descend(levels - 1, do) if levels else do()

    def is_deep_enough(levels: int) -> bool:
        try:
            return bool(descend(levels, lambda: False))
        except RecursionError:
            return True

    end = next(levels for levels in range(sys.getrecursionlimit()) if is_deep_enough(levels))
    values = [{"a": [[[[[1]]]]]}, threading.Lock(), [Node([Node([1])])]]
    refused = 0
    for room in range(10, 400, 13):
        try:
            encoded = descend(end - room, lambda: encoded_of({"args": values}))
        except RecursionError:
            refused += 1
        else:
            assert list(encoded.lost) == [id(values[1])]
            assert decode(encoded.stream)["args"][2][0].value[0].value == [1]
    assert 0 < refused < 30


# Size


def test_above_max_bytes_the_biggest_value_becomes_a_placeholder_with_its_size() -> None:
    """The next biggest stays as soon as the rest fits."""
    loaded = again({"args": ["a" * 50_000, "b" * 300_000, "c" * 100_000], "kwargs": {"d": "d" * 10}}, max_bytes=200_000)
    small, biggest, big = loaded["args"]
    assert (small, big) == ("a" * 50_000, "c" * 100_000)
    assert type(biggest) is Placeholder
    assert "300,0" in biggest.ckpt_reason
    assert "max_bytes=200,000" in biggest.ckpt_reason
    assert loaded["kwargs"] == {"d": "d" * 10}


def test_the_biggest_part_goes_and_the_object_around_it_stays() -> None:
    """A large field costs the field, in however many places the object is seen; `lost` knows it."""
    around = Around(["x" * 100_000, "y" * 900_000])
    encoded = encoded_of({"args": [around], "locals": {"self": around, "text": "t", "big": around.held[1]}}, max_bytes=200_000)
    loaded = decode(encoded.stream)
    assert loaded["args"][0] is loaded["locals"]["self"]
    assert loaded["args"][0].rows == [1, 2]
    assert loaded["args"][0].held[0] == "x" * 100_000
    assert type(loaded["args"][0].held[1]) is Placeholder
    assert loaded["locals"]["big"] is loaded["args"][0].held[1]
    assert "900,0" in encoded.lost[id(around.held[1])]


def test_what_is_shared_by_many_frames_counts_once() -> None:
    """A large value that ten frames see fits if it fits once."""
    big = "x" * 150_000
    loaded = again({"locals": [{"rows": big} for _ in range(10)], "args": ["y" * 300_000]}, max_bytes=200_000)
    assert all(frame["rows"] == big for frame in loaded["locals"])
    assert type(loaded["args"][0]) is Placeholder


def test_many_values_that_are_each_small_enough_are_left_out_largest_first() -> None:
    """As many as have to go, go."""
    loaded = again({"args": [chr(97 + n) * 10_000 * (n + 1) for n in range(10)]}, max_bytes=120_000)
    kept = [type(value) is str for value in loaded["args"]]
    assert kept == [True] * 4 + [False] * 6 or (kept[0] and not kept[-1] and sum(kept) >= 3)


@pytest.mark.parametrize("limit", [1, 10, 100, 1000])
def test_even_an_absurd_limit_leaves_a_stream_that_opens(limit: int) -> None:
    """With nothing but placeholders in it."""
    loaded = again({"args": ["x" * 5000, Around(3)], "kwargs": {"y": "y" * 5000}}, max_bytes=limit)
    assert type(loaded["args"][0]) is Placeholder
    assert type(loaded["kwargs"]["y"]) is Placeholder


class SpillFile:
    """A spill file in memory."""

    def __init__(self, *, fails: bool = False) -> None:
        self.written = bytearray()
        self.is_discarded = False
        self.fails = fails

    def write(self, data: bytes | memoryview, /) -> int:
        if self.fails:
            raise OSError(28, "No space left on device")
        self.written += data
        return len(data)

    def discard(self) -> None:
        self.is_discarded = True


def test_a_stream_above_a_megabyte_goes_to_a_file_and_is_never_whole_in_memory() -> None:
    """In pieces, from the first byte on; a small one asks for no file."""
    spill = SpillFile()
    root = {"args": [["x" * 100 + str(n) for n in range(30_000)]]}
    encoded = encode(root, [], Limits(open_spill=lambda: spill))
    assert encoded.spill is spill
    assert encoded.stream == b""
    assert len(spill.written) > codec.SPILL_THRESHOLD
    assert decode(bytes(spill.written)) == root
    assert decode(memoryview(spill.written)) == root
    assert encode({"args": [1]}, [], Limits(open_spill=lambda: pytest.fail("opened"))).spill is None


def test_a_spill_file_is_discarded_when_another_pickler_has_to_begin_again() -> None:
    """No half-written file is left of the plain pickler's attempt."""
    spills: list[SpillFile] = []

    def open_spill() -> SpillFile:
        spills.append(SpillFile())
        return spills[-1]

    big = ["x" * 100 + str(n) for n in range(30_000)]
    encoded = encode({"args": [big, threading.Lock()]}, [], Limits(open_spill=open_spill))
    assert [spill.is_discarded for spill in spills] == [True, False]
    assert encoded.spill is spills[-1]
    assert decode(bytes(spills[-1].written))["args"][0] == big


def test_a_full_disk_is_the_recorders_trouble() -> None:
    """The error of the spill file comes out as it is, and costs no second attempt."""
    spills: list[SpillFile] = []

    def open_spill() -> SpillFile:
        spills.append(SpillFile(fails=True))
        return spills[-1]

    with pytest.raises(OSError, match="No space left"):
        encode({"args": [["x" * 100 + str(n) for n in range(30_000)]]}, [], Limits(open_spill=open_spill))
    assert [spill.is_discarded for spill in spills] == [True]


# Buffers


def test_large_buffers_leave_the_stream_without_a_copy() -> None:
    """The views in `Encoded.buffers` are those of the live object; small ones stay in the stream."""
    large, small = bytearray(codec.BUFFER_THRESHOLD), bytearray(codec.BUFFER_THRESHOLD - 1)
    encoded = encoded_of({"args": [pickle.PickleBuffer(large), pickle.PickleBuffer(small), memoryview(large)]})
    assert [view.nbytes for view in encoded.buffers] == [len(large), len(large)]
    assert len(encoded.stream) < len(small) + 1000
    large[0] = 7
    assert encoded.buffers[0][0] == 7
    loaded = decode(encoded.stream, [memoryview(bytearray(view)) for view in encoded.buffers])["args"]
    assert loaded[1] == small
    assert loaded[2].tobytes() == bytes(large)


def test_a_buffer_in_pieces_costs_only_itself() -> None:
    """The C pickler refuses it without asking anybody."""
    # Not among the hostile values, which lie in cycles: there it crashes Python 3.11.7 and 3.12.1 by itself, with nothing of ours running.
    loaded = again({"args": ["before", pickle.PickleBuffer(memoryview(bytearray(b"abcd"))[::2]), "after"]})["args"]
    assert (loaded[0], loaded[2]) == ("before", "after")
    assert loaded[1].ckpt_reason == "a buffer in pieces"


def test_a_memoryview_keeps_its_format_and_shape() -> None:
    """As a view of the same bytes."""
    view = memoryview(bytes(range(48))).cast("B").cast("i", (3, 4))
    loaded = back(view)
    assert (loaded.format, loaded.shape, loaded.tolist()) == (view.format, view.shape, view.tolist())


def test_an_array_takes_no_memory_to_encode_and_is_writable_when_loaded() -> None:
    """A hundred megabytes: not one of them is copied, with a lock beside them or without."""
    numpy = installed("numpy")
    import tracemalloc

    array = numpy.ones(12_500_000)
    for root in ({"args": [array, 1]}, {"args": [array, threading.Lock()]}):
        tracemalloc.start()
        encoded = encode(root, [root["args"]], Limits())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1_000_000
        assert [view.nbytes for view in encoded.buffers] == [array.nbytes]
        stored = [memoryview(bytearray(view)) for view in encoded.buffers]
        loaded = decode(encoded.stream, stored)["args"][0]
        loaded[0] = 5.0
        assert stored[0].cast("d")[0] == 5.0
        assert (loaded[1:] == 1.0).all()


def test_an_array_that_was_read_only_stays_so() -> None:
    """Writability is part of the value."""
    numpy = installed("numpy")
    array = numpy.zeros(100_000)
    array.flags.writeable = False
    encoded = encoded_of({"args": [array]})
    loaded = decode(encoded.stream, [memoryview(bytearray(view)) for view in encoded.buffers])["args"][0]
    assert not loaded.flags.writeable


# Other threads


def test_a_dict_that_another_thread_changes_meanwhile_is_kept_as_it_was_at_some_moment() -> None:
    """Nothing is lost, nothing raises."""
    changing: dict[str, Any] = {str(n): Around(n) for n in range(300)}
    members = {str(n) for n in range(300)}
    stop = threading.Event()

    def change() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            changing[f"new {number % 1000}"] = Around(number)
            members.add(f"new {number % 1000}")
            changing.pop(f"new {(number * 7) % 1000}", None)
            members.discard(f"new {(number * 7) % 1000}")

    interval = sys.getswitchinterval()
    thread = threading.Thread(target=change)
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        for _ in range(40):
            loaded = again({"args": [changing, members, "neighbour"], "kwargs": {"held": Around(changing)}})
            assert loaded["args"][2] == "neighbour"
            assert type(loaded["args"][0]) is dict
            assert loaded["args"][0]["299"].held == 299
            assert "299" in loaded["args"][1]
            assert loaded["kwargs"]["held"].held is loaded["args"][0]
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)


# Exceptions


def raised(error: BaseException) -> BaseException:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        fail()
    return caught.value


def os_error() -> BaseException:
    try:
        Path("/no/such/file").read_text()
    except OSError as error:
        return error
    raise AssertionError


class Held:
    here = 1


HELD = Held()

EXCEPTIONS: dict[str, tuple[Callable[[], BaseException], dict[str, Any]]] = {
    "OSError": (os_error, {"errno": 2, "filename": "/no/such/file", "strerror": "No such file or directory"}),
    "two files": (lambda: OSError(17, "exists", "a", None, "b"), {"filename": "a", "filename2": "b"}),
    "BlockingIOError": (lambda: BlockingIOError(11, "again", 7), {"characters_written": 7}),
    "AttributeError": (lambda: AttributeError("no", name="there", obj=HELD), {"name": "there"}),
    "NameError": (lambda: NameError("no", name="there"), {"name": "there"}),
    "ImportError": (lambda: ImportError("no", name="module", path="/path"), {"name": "module", "path": "/path", "msg": "no"}),
    "UnicodeDecodeError": (
        lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        {"encoding": "utf-8", "object": b"\xff", "start": 0, "end": 1, "reason": "bad"},
    ),
    "UnicodeEncodeError": (lambda: UnicodeEncodeError("ascii", "\xe4", 0, 1, "bad"), {"object": "\xe4", "reason": "bad"}),
    "SyntaxError": (
        lambda: SyntaxError("bad", ("file.py", 3, 5, "x = = 1", 3, 6)),
        {"msg": "bad", "filename": "file.py", "lineno": 3, "offset": 5, "text": "x = = 1", "end_lineno": 3, "end_offset": 6},
    ),
    "SystemExit": (lambda: SystemExit(3), {"code": 3}),
    "StopIteration": (lambda: StopIteration([1]), {"value": [1]}),
    "KeyError": (lambda: KeyError("key"), {}),
    "own arguments": (lambda: hostile.ArgumentsError(3, detail="x"), {"code": 3, "detail": "x"}),
    "slots": (hostile._with_place, {"place": 3}),
    "group": (lambda: ExceptionGroup("several", [ValueError(1), KeyError(2)]), {"message": "several"}),
    "base group": (lambda: BaseExceptionGroup("several", [KeyboardInterrupt(1)]), {"message": "several"}),
    "placeholder error": (lambda: PlaceholderError("no", hint="do"), {"message": "no", "hint": "do"}),
    "error of ours": (lambda: CkptError("no", hint="do"), {"hint": "do"}),
}


@pytest.mark.parametrize("pickler", ["plain", "robust", "deep"])
@pytest.mark.parametrize("name", EXCEPTIONS)
def test_exceptions_in_values_lose_nothing_but_the_traceback(name: str, pickler: str) -> None:
    """Args, C members, fields, notes, cause, context and suppression."""
    make, expected = EXCEPTIONS[name]
    error = raised(make())
    error.add_note("a note")
    error.__cause__, error.__context__ = KeyError("cause"), TypeError("context")
    loaded = back(error) if pickler == "plain" else _through(pickler, error)
    assert type(loaded) is type(error)
    assert (str(loaded), loaded.__notes__) == (str(error), error.__notes__)
    assert (type(loaded.__cause__), type(loaded.__context__), loaded.__suppress_context__) == (KeyError, TypeError, True)
    assert loaded.__traceback__ is None
    for field, value in expected.items():
        assert getattr(loaded, field) == value
    if not isinstance(error, BaseExceptionGroup):
        assert loaded.args == error.args


def test_the_object_of_an_attribute_error_is_the_object_among_the_values() -> None:
    """Identity reaches into the members of exceptions, and a lock there costs the lock."""
    held = Around(threading.Lock())
    loaded = again({"args": [held, AttributeError("no", name="x", obj=held)]})["args"]
    assert loaded[1].obj is loaded[0]
    assert type(loaded[0].held) is Placeholder


def test_members_of_a_group_keep_their_identity_and_cycles() -> None:
    """A member whose context is the group, and one that cannot be loaded."""
    member = hostile.ArgumentsError(1, detail="x")
    group = ExceptionGroup("several", [member, ExceptionGroup("inner", [ValueError(2)])])
    member.__context__ = group
    loaded = back(group)
    assert loaded.exceptions[0].__context__ is loaded
    assert loaded.exceptions[0].code == 1
    assert loaded.exceptions[1].exceptions[0].args == (2,)


def test_no_constructor_of_an_exception_runs() -> None:
    """Rebuilding an exception is not raising it again."""
    made: list[int] = []

    class CountingError(Exception):
        def __new__(cls, *args: object) -> Self:
            made.append(1)
            return super().__new__(cls, *args)

        def __init__(self, *args: object) -> None:
            made.append(2)
            super().__init__(*args)

    error = CountingError(1)
    made.clear()
    assert back(error).args == (1,)
    assert made == []


def test_an_exception_that_only_c_code_can_make_is_kept_by_its_own_reducer() -> None:
    """As the validation errors of pydantic, with cause and notes."""
    pydantic = installed("pydantic")
    with pytest.raises(pydantic.ValidationError) as caught:
        pydantic.TypeAdapter(int).validate_python("x")
    error = caught.value
    error.__cause__ = KeyError("cause")
    loaded = back(error)
    assert type(loaded) is pydantic.ValidationError
    assert str(loaded) == str(error)
    assert type(loaded.__cause__) is KeyError


# Exclusion


class Slow:
    """Blocks for ever when it is touched."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        time.sleep(1000)


class Slower(Slow):
    pass


@pytest.mark.parametrize("beside", [None, threading.Lock()])
def test_excluded_types_are_never_touched(beside: object) -> None:
    """Their objects, and those of derived classes, are placeholders; everything else is as ever."""
    loaded = again({"args": [Slow(), [Slower()], "neighbour", beside]}, exclude=(Slow,))["args"]
    assert type(loaded[0]) is Placeholder
    assert loaded[0].ckpt_reason == "excluded"
    assert type(loaded[1][0]) is Placeholder
    assert loaded[2] == "neighbour"


def test_plain_containers_are_not_excluded_but_what_is_derived_from_them_is() -> None:
    """Our own records of a call are made of them."""
    loaded = again({"args": [{"a": 1}, hostile.HostileItems(a=1), [1]]}, exclude=(dict, list, str))["args"]
    assert loaded[0] == {"a": 1}
    assert type(loaded[1]) is Placeholder
    assert loaded[2] == [1]


# Behaviour towards the process


def test_encoding_keeps_nothing_alive() -> None:
    """Not even until the next collection."""
    for make in (hostile.Locked, hostile.CatchAll, hostile.Concrete, lambda: hostile.Node(threading.Lock()), type("Local", (), {})):
        value = make()
        gone, root = weakref.ref(value), {"args": [value]}
        gc.collect()
        gc.disable()
        try:
            encode(root, [root["args"]], Limits())
            encode(root, [root["args"]], Limits(max_bytes=10))
            root.clear()
            del value
            assert gone() is None
        finally:
            gc.enable()


def test_the_collector_runs_again_after_loading() -> None:
    """Loading pauses it, and gives it back as it was."""
    decode(encoded_of({"args": [1]}).stream)
    assert gc.isenabled()
    gc.disable()
    try:
        with contextlib.suppress(DamagedError):
            decode(b"junk")
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_dill_is_left_as_it_was() -> None:
    """Keeping a cached function through dill does not change what the pickle module does."""
    before = dict(pickle._Pickler.dispatch)
    back(VALUES["local lru_cache"][0](None))  # type: ignore[arg-type]
    assert dict(pickle._Pickler.dispatch) == before


def test_a_name_of_main_is_found_wherever_it_lies_in_a_large_stream() -> None:
    """A long number makes a frame larger than frames usually are; `__main__` before it is still seen."""
    sink = Sink(1 << 30, None)
    main = types.ModuleType("__main__")
    function = types.FunctionType((lambda: 1).__code__, vars(main), "of_main")
    function.__module__, function.__qualname__ = "__main__", "of_main"
    vars(main)["of_main"] = function
    kept, sys.modules["__main__"] = sys.modules["__main__"], main
    try:
        pickle.Pickler(sink, 5).dump([function, 1 << 8 * 200_000, "x" * 300_000])
    finally:
        sys.modules["__main__"] = kept
    assert max(map(len, sink.chunks)) > sinks._FRAME_LIMIT
    assert sink.names_main
    quiet = Sink(1 << 30, None)
    pickle.Pickler(quiet, 5).dump(["__main__" + "x" * 300_000])
    assert not quiet.names_main


def test_the_room_has_the_names_that_others_use() -> None:
    """Recorder and rehydration rely on them."""
    assert {"encode", "decode", "Limits", "Encoded", "Surroundings", "Container", "Spill"} <= set(codec.__all__)
    assert ROOT.exists()
