"""Values that refuse, fail, lie or do harm when they are pickled or loaded: material for the tests of the codec and of descriptions."""

from __future__ import annotations

import abc
import array
import asyncio
import collections
import concurrent.futures
import contextlib
import contextvars
import ctypes
import dataclasses
import datetime as dt
import dbm.dumb
import enum
import functools
import io
import itertools
import logging
import mmap
import multiprocessing.shared_memory
import os
import pickle
import queue
import random
import re
import select
import shelve
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import types
import typing
import unittest.mock
import weakref
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import ckpt

#: Everything that ran although it must not have: code of these classes while something is only described.
ran: list[str] = []


def _raises(error: type[BaseException]) -> Callable[..., Any]:
    def method(self: object, *args: object) -> Any:
        ran.append(error.__name__)
        raise error("hostile")

    return method


def failing(method: str, error: type[BaseException]) -> object:
    """Return an object whose `method` raises `error`."""
    kind = type(f"Failing{method.strip('_').title()}", (), {"__module__": __name__, method: _raises(error)})
    return object.__new__(kind)


def answering(reduced: Any) -> object:
    """Return an object whose reducer answers with `reduced`."""

    class Answering:
        def __reduce_ex__(self, protocol: Any) -> Any:
            return reduced

    return Answering()


class Junk:
    """Callable, and that is all."""

    def __call__(self, *args: object) -> None:
        raise ValueError("called")


class FailsToLoad:
    """Pickles, and cannot be made again."""

    def __reduce__(self) -> Any:
        return _fail_to_make, ("here",)


def _fail_to_make(where: str) -> None:
    raise OSError(f"not {where}")


class ExitsWhenLoaded:
    def __reduce__(self) -> Any:
        return sys.exit, (3,)


class RefusesState:
    def __init__(self) -> None:
        self.kept = 1

    def __setstate__(self, state: Any) -> None:
        raise KeyError("state")


class NeedsArguments:
    def __new__(cls, one: object) -> typing.Self:
        return super().__new__(cls)

    def __init__(self, one: object) -> None:
        self.one = one


class RefusesItems(list[int]):
    def append(self, item: int) -> None:
        raise RuntimeError("no items")

    def extend(self, items: Any) -> None:
        raise RuntimeError("no items")


class RefusesKeys(dict[str, int]):
    def __setitem__(self, key: str, value: int) -> None:
        raise RuntimeError("no keys")


class HostileItems(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("no items")


class EndlessGetattr:
    """The classic mistake: `__getattr__` looks at a field that an empty object does not have."""

    def __init__(self) -> None:
        self.inner = {"x": 1}

    def __getattr__(self, name: str) -> Any:
        return self.inner[name]


class EndlessState:
    def __getstate__(self) -> Any:
        return self.__getstate__()


class MutatingReducer:
    def __init__(self) -> None:
        self.parts = [1, 2, 3]

    def __reduce__(self) -> Any:
        self.parts.append(len(self.parts))
        return MutatingReducer, ()


class HostileItemIterator:
    def __reduce__(self) -> Any:
        return list, (), None, self._items()

    def _items(self) -> Iterator[int]:
        yield 1
        raise RuntimeError("no more")


class HostilePairs:
    def __reduce__(self) -> Any:
        return dict, (), None, None, iter([1, 2])


class LyingClass:
    """Says that it is another class, as proxies do."""

    def __init__(self) -> None:
        self.kept = 1

    @property
    def __class__(self) -> Any:
        return int

    @__class__.setter
    def __class__(self, value: Any) -> None:
        raise TypeError


class ClassThatRaises:
    @property
    def __class__(self) -> Any:
        raise RuntimeError("no class")

    @__class__.setter
    def __class__(self, value: Any) -> None:
        raise TypeError


class HidesItsDict:
    __dict__ = property(_raises(RuntimeError))


class HostileMeta(type):
    """A metaclass in which everything raises that may be asked of a class."""

    def __getattribute__(cls, name: str) -> Any:
        if name in {"__class__", "__new__", "__init__", "__mro__", "__setstate__", "__dict__", "__abstractmethods__"}:
            return super().__getattribute__(name)
        ran.append(name)
        raise RuntimeError(name)

    __hash__ = _raises(RuntimeError)
    __eq__ = _raises(RuntimeError)
    __repr__ = _raises(RuntimeError)
    __instancecheck__ = _raises(RuntimeError)
    __subclasscheck__ = _raises(RuntimeError)


class OfHostileMeta(metaclass=HostileMeta):
    """Its class answers no question."""


class Everything:
    """An object in which everything raises that a tool may ask for."""

    def __getattribute__(self, name: str) -> Any:
        ran.append(name)
        raise SystemExit(name)

    __repr__ = __str__ = __bool__ = __len__ = __iter__ = __dir__ = __hash__ = __eq__ = __call__ = _raises(SystemExit)
    __format__ = __getitem__ = __contains__ = __enter__ = __fspath__ = __index__ = __int__ = _raises(SystemExit)


class Color(enum.Enum):
    RED = 1
    GREEN = {"a": [1]}  # noqa: RUF012  an unhashable value


class Permission(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass(slots=True)
class Slotted:
    one: int
    two: Any


@dataclasses.dataclass(frozen=True, slots=True)
class FrozenSlotted:
    one: int


Pair = collections.namedtuple("Pair", ["left", "right"])  # noqa: PYI024


class Typed(typing.NamedTuple):
    name: str
    value: Any


class Abstract(abc.ABC):
    @abc.abstractmethod
    def run(self) -> int: ...


class Concrete(Abstract):
    def __init__(self) -> None:
        self.kept = 5

    def run(self) -> int:
        return self.kept


class ArgumentsError(Exception):
    def __init__(self, code: int, *, detail: str) -> None:
        super().__init__(f"code {code}: {detail}")
        self.code = code
        self.detail = detail


class SlottedError(ValueError):
    __slots__ = ("place",)
    place: int


class HostileError(Exception):
    args = property(_raises(RuntimeError))
    __str__ = _raises(RuntimeError)
    __reduce__ = _raises(RuntimeError)


class Recursive:
    def __init__(self) -> None:
        self.me = self
        self.all = [self]
        self.named = {"me": self}


class Locked:
    """A class as people write them: useful fields beside a lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rows = [1, 2]

    def count(self) -> int:
        return len(self.rows)


class Node:
    def __init__(self, value: Any = None) -> None:
        self.next: Any = None
        self.previous: Any = None
        self.value = value


class SlottedNode:
    __slots__ = ("next", "previous", "value")

    def __init__(self, value: Any = None) -> None:
        self.next = self.previous = None
        self.value = value


class HashedNode(Node):
    def __hash__(self) -> int:
        return hash(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HashedNode) and self.value == other.value


class CatchAll:
    """Answers to every name."""

    def __init__(self) -> None:
        self.kept = 1

    def __getattr__(self, name: str) -> Any:
        return lambda *args: ("caught", name)


class Descriptor:
    prop = property(_raises(RuntimeError))

    def __init__(self) -> None:
        self.kept = 1


def half_way() -> Iterator[int]:
    yield 1
    yield 2


async def half_way_async() -> AsyncIterator[int]:
    yield 1


async def coroutine() -> int:
    return 1


def _started(generator: Any) -> Any:
    next(generator)
    return generator


@functools.lru_cache(maxsize=7)
def cached(x: int) -> int:
    return x + 1


@ckpt.ckpt
def captured(x: int) -> int:
    return x


def _closure_over_a_lock() -> Any:
    lock, rows = threading.Lock(), [1, 2]

    def count() -> int:
        assert lock is not None
        return len(rows)

    return count


def _frame() -> Any:
    return sys._getframe()


def _super() -> Any:
    class Child(Locked):
        def give(self) -> Any:
            return super()

    return Child().give()


def _raised() -> Any:
    def fail() -> None:
        raise ArgumentsError(3, detail="here") from KeyError("cause")

    try:
        fail()
    except ArgumentsError as error:
        error.add_note("a note")
        return error


def _self_containing() -> list[Any]:
    held: list[Any] = [1]
    held.append(held)
    return held


class Material:
    """Makes the values, and closes what has to be closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = contextlib.ExitStack()

    def close(self) -> None:
        self._stack.close()

    def file(self, mode: str) -> Any:
        target = self.path / f"user-{mode.replace('+', 'plus')}.txt"
        target.write_text("precious")
        opened: Any = self.kept(target.open(mode))
        if "w" in mode:
            opened.write("written")
            opened.flush()
        return opened

    def kept(self, manager: Any) -> Any:
        return self._stack.enter_context(manager)

    def thread(self) -> threading.Thread:
        return threading.Thread(target=print, name="never started")

    def loop(self) -> Any:
        loop = asyncio.new_event_loop()
        self._stack.callback(loop.close)
        return loop

    def future(self) -> Any:
        return self.loop().create_future()

    def executor(self) -> Any:
        return self.kept(concurrent.futures.ThreadPoolExecutor(1))

    def mapped(self) -> Any:
        target = self.path / "mapped"
        target.write_bytes(b"x" * 4096)
        opened = self.kept(target.open("r+b"))
        return self.kept(mmap.mmap(opened.fileno(), 0))

    def archive(self) -> Any:
        return self.kept(zipfile.ZipFile(self.path / "user.zip", "w"))

    def shared(self) -> Any:
        memory = multiprocessing.shared_memory.SharedMemory(create=True, size=16)
        self._stack.callback(memory.unlink)
        self._stack.callback(memory.close)
        return memory

    def database(self) -> Any:
        database: Any = self.kept(dbm.dumb.open(str(self.path / "dumb"), "c"))  # noqa: SIM115  closed with all the rest
        database["key"] = b"value"
        return database

    def directory(self) -> Any:
        directory = tempfile.TemporaryDirectory(dir=self.path)
        self._stack.callback(directory.cleanup)
        return directory

    def temporary(self) -> Any:
        return self.kept(tempfile.NamedTemporaryFile(dir=self.path))

    def process(self) -> Any:
        process = subprocess.Popen([sys.executable, "-c", ""])
        self._stack.callback(process.wait)
        return process

    def coroutine(self) -> Any:
        made = coroutine()
        self._stack.callback(made.close)
        return made

    def handler(self) -> Any:
        handler = logging.FileHandler(self.path / "log.txt")
        self._stack.callback(handler.close)
        return handler

    def server(self) -> Any:
        return self.kept(socket.create_server(("127.0.0.1", 0)))

    def descriptor(self) -> Any:
        poller = select.epoll() if hasattr(select, "epoll") else select.poll()
        if hasattr(poller, "close"):
            self._stack.callback(poller.close)
        return poller


GONE = "placeholder"
#: Some part of it is a placeholder, or the whole.
PART = "part"
LIVE = "live"

Make = Callable[[Material], Any]

VALUES: dict[str, tuple[Make, str]] = {
    # Running code
    "generator": (lambda m: _started(half_way()), GONE),
    "generator not begun": (lambda m: half_way(), GONE),
    "generator expression": (lambda m: (x for x in [1]), GONE),
    "async generator": (lambda m: half_way_async(), GONE),
    "coroutine": (lambda m: m.coroutine(), GONE),
    "frame": (lambda m: _frame(), GONE),
    "traceback": (lambda m: _raised().__traceback__, GONE),
    "super": (lambda m: _super(), GONE),
    # Live resources
    "lock": (lambda m: threading.Lock(), GONE),
    "rlock": (lambda m: threading.RLock(), GONE),
    "condition": (lambda m: threading.Condition(), PART),
    "event": (lambda m: threading.Event(), PART),
    "semaphore": (lambda m: threading.Semaphore(), PART),
    "barrier": (lambda m: threading.Barrier(2), PART),
    "thread": (lambda m: m.thread(), GONE),
    "current thread": (lambda m: threading.current_thread(), GONE),
    "thread-local": (lambda m: threading.local(), GONE),
    "socket": (lambda m: m.server(), GONE),
    "file r": (lambda m: m.file("r"), GONE),
    "file w": (lambda m: m.file("w"), GONE),
    "file w+": (lambda m: m.file("w+"), GONE),
    "file a": (lambda m: m.file("a"), GONE),
    "file rb": (lambda m: m.file("rb"), GONE),
    "file r+b": (lambda m: m.file("r+b"), GONE),
    "raw file": (lambda m: m.file("rb").raw, GONE),
    "temporary file": (lambda m: m.temporary(), GONE),
    "temporary directory": (lambda m: m.directory(), GONE),
    "mmap": (lambda m: m.mapped(), GONE),
    "archive": (lambda m: m.archive(), GONE),
    "shared memory": (lambda m: m.shared(), GONE),
    "changed database file": (lambda m: m.database(), GONE),
    "shelf": (lambda m: m.kept(shelve.open(str(m.path / "shelf"))), GONE),  # noqa: SIM115  closed with all the rest
    "library": (lambda m: ctypes.CDLL(None), GONE),
    "sqlite connection": (lambda m: m.kept(contextlib.closing(sqlite3.connect(":memory:"))), GONE),
    "sqlite cursor": (lambda m: m.kept(contextlib.closing(sqlite3.connect(":memory:"))).cursor(), GONE),
    "event loop": (lambda m: m.loop(), GONE),
    "future": (lambda m: m.future(), GONE),
    "pool": (lambda m: m.executor(), GONE),
    "pool future": (lambda m: m.executor().submit(int), GONE),
    "process": (lambda m: m.process(), GONE),
    "logging handler": (lambda m: m.handler(), GONE),
    "poller": (lambda m: m.descriptor(), GONE),
    "scandir": (lambda m: m.kept(os.scandir(m.path)), GONE),
    "queue": (lambda m: queue.Queue(), PART),
    "simple queue": (lambda m: queue.SimpleQueue(), GONE),
    "asyncio queue": (lambda m: asyncio.Queue(), LIVE),
    "context variable": (lambda m: contextvars.ContextVar("x"), GONE),
    "context": (lambda m: contextvars.copy_context(), GONE),
    "weakref": (lambda m: weakref.ref(Locked), GONE),
    "dead weak proxy": (lambda m: weakref.proxy(Locked()), GONE),
    "weak dictionary": (lambda m: weakref.WeakValueDictionary(), PART),
    "ctypes pointer": (lambda m: ctypes.pointer(ctypes.c_int(3)), GONE),
    "ctypes callback": (lambda m: ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 1), GONE),
    "ctypes int": (lambda m: ctypes.c_int(3), LIVE),
    "module by hand": (lambda m: types.ModuleType("made_by_hand"), GONE),
    "mock": (lambda m: unittest.mock.MagicMock(), PART),
    "mock with spec": (lambda m: unittest.mock.Mock(spec=Locked), PART),
    # Methods that raise
    **{
        f"{error.__name__} in {method}": ((lambda m, method=method, error=error: failing(method, error)), GONE)  # type: ignore[misc]
        for method in ("__reduce__", "__reduce_ex__", "__getstate__", "__getattribute__")
        for error in (
            RuntimeError,
            SystemExit,
            KeyboardInterrupt,
            GeneratorExit,
            MemoryError,
            AttributeError,
            RecursionError,
            StopIteration,
        )
    },
    **{
        f"SystemExit in {method}": ((lambda m, method=method: failing(method, SystemExit)), LIVE)  # type: ignore[misc]
        for method in (
            "__repr__",
            "__eq__",
            "__hash__",
            "__len__",
            "__bool__",
            "__iter__",
            "__dir__",
            "__str__",
            "__call__",
            "__del__x",
            "__format__",
        )
    },
    "everything raises": (lambda m: Everything(), GONE),
    "class raises": (lambda m: ClassThatRaises(), PART),
    "class lies": (lambda m: LyingClass(), LIVE),
    "hides its dict": (lambda m: HidesItsDict(), LIVE),
    "hostile metaclass": (lambda m: OfHostileMeta(), PART),
    "class of hostile metaclass": (lambda m: OfHostileMeta, PART),
    "property that raises": (lambda m: Descriptor(), LIVE),
    "catches every name": (lambda m: CatchAll(), LIVE),
    "endless getattr": (lambda m: EndlessGetattr(), LIVE),
    "endless state": (lambda m: EndlessState(), GONE),
    "mutating reducer": (lambda m: MutatingReducer(), LIVE),
    # Reducers that answer with junk
    "reduces to None": (lambda m: answering(None), GONE),
    "reduces to a number": (lambda m: answering(3), GONE),
    "reduces to a name": (lambda m: answering("no such name"), GONE),
    "reduces to an empty name": (lambda m: answering(""), GONE),
    "reduces to ()": (lambda m: answering(()), GONE),
    "reduces to one": (lambda m: answering((int,)), GONE),
    "reduces to seven": (lambda m: answering((int, (), None, None, None, None, None)), GONE),
    "reduces to a list": (lambda m: answering([int, ()]), GONE),
    "reduces to no callable": (lambda m: answering((3, ())), GONE),
    "reduces to args that are none": (lambda m: answering((int, [1])), GONE),
    "reduces to None as args": (lambda m: answering((int, None)), GONE),
    "reduces to junk items": (lambda m: answering((list, (), None, 3)), GONE),
    "reduces to junk pairs": (lambda m: HostilePairs(), GONE),
    "reduces to items that raise": (lambda m: HostileItemIterator(), GONE),
    "reduces to a junk setter": (lambda m: answering((list, (), 1, None, None, 3)), GONE),
    "reduces to a lambda": (lambda m: answering((lambda: 1, ())), LIVE),
    "reduces to another class": (lambda m: answering((pickle.loads, (pickle.dumps(1),))), LIVE),
    "reduces to itself": (lambda m: _reduces_to_itself(), GONE),
    "reduces to a lock": (lambda m: answering((list, ([threading.Lock()],))), LIVE),
    # Pickles, and fails to load
    "fails to load": (lambda m: FailsToLoad(), GONE),
    "exits when loaded": (lambda m: ExitsWhenLoaded(), GONE),
    "refuses its state": (lambda m: RefusesState(), GONE),
    "needs arguments": (lambda m: NeedsArguments(1), LIVE),
    "refuses items": (lambda m: RefusesItems([1]), GONE),
    "refuses keys": (lambda m: RefusesKeys({"a": 1}), GONE),
    "junk callable": (lambda m: answering((Junk(), ())), GONE),
    # Awkward, and live
    "hostile items()": (lambda m: HostileItems(a=1), GONE),
    "object around a lock": (lambda m: Locked(), LIVE),
    "bound method around a lock": (lambda m: Locked().count, LIVE),
    "closure over a lock": (lambda m: _closure_over_a_lock(), LIVE),
    "partial over a lock": (lambda m: functools.partial(print, threading.Lock()), LIVE),
    "lambda": (lambda m: lambda x: x + 1, LIVE),
    "lru_cache": (lambda m: cached, LIVE),
    "local lru_cache": (lambda m: functools.lru_cache(maxsize=3)(lambda x: x + 1), LIVE),
    "captured function": (lambda m: captured, LIVE),
    "captured lambda": (lambda m: ckpt.ckpt(lambda x: x), LIVE),
    "exception": (lambda m: _raised(), LIVE),
    "slotted exception": (lambda m: _with_place(), LIVE),
    "hostile exception": (lambda m: HostileError("x"), LIVE),
    "exception with a lock": (lambda m: ValueError(threading.Lock()), LIVE),
    "exception group": (lambda m: ExceptionGroup("several", [ValueError(1), ArgumentsError(1, detail="x")]), LIVE),
    "recursive object": (lambda m: Recursive(), LIVE),
    "list in itself": (lambda m: _self_containing(), LIVE),
    "enum": (lambda m: Color.GREEN, LIVE),
    "flag": (lambda m: Permission.READ | Permission.WRITE, LIVE),
    "local enum": (lambda m: enum.Enum("Local", {"A": 1}).A, LIVE),  # type: ignore[attr-defined]
    "slotted dataclass": (lambda m: Slotted(1, [2]), LIVE),
    "frozen slotted dataclass": (lambda m: FrozenSlotted(1), LIVE),
    "namedtuple": (lambda m: Pair(1, [2]), LIVE),
    "typed namedtuple": (lambda m: Typed("a", 1), LIVE),
    "abstract class": (lambda m: Abstract, LIVE),
    "concrete": (lambda m: Concrete(), LIVE),
    "local class": (lambda m: type("Local", (Locked,), {"x": 1})(), LIVE),
    "generic alias": (lambda m: list[int], LIVE),
    "typing alias": (lambda m: typing.Optional[int], LIVE),  # noqa: UP045
    "union": (lambda m: int | None, LIVE),
    "type variable": (lambda m: typing.TypeVar("T"), LIVE),
    "property": (lambda m: Descriptor.__dict__["prop"], LIVE),
    "classmethod object": (lambda m: classmethod(lambda cls: 1), LIVE),
    "slot descriptor": (lambda m: Slotted.__dict__["one"], LIVE),
    "builtin method": (lambda m: [1, 2].append, LIVE),
    "slot wrapper": (lambda m: int.__add__, LIVE),
    "method descriptor": (lambda m: str.join, LIVE),
    "standard output": (lambda m: sys.stdout, LIVE),
    "in-memory file": (lambda m: io.BytesIO(b"x"), LIVE),
    "memoryview": (lambda m: memoryview(bytearray(b"abc"))[::1], LIVE),
    "memoryview in pieces": (lambda m: memoryview(bytearray(b"abcd"))[::2], LIVE),
    "released memoryview": (lambda m: _released(), GONE),
    "mapping proxy": (lambda m: types.MappingProxyType({"a": 1}), LIVE),
    "dict keys": (lambda m: {"a": 1}.keys(), LIVE),
    "namespace": (lambda m: types.SimpleNamespace(a=1, lock=threading.Lock()), LIVE),
    "ellipsis": (lambda m: ..., LIVE),
    "not implemented": (lambda m: NotImplemented, LIVE),
    "none type": (lambda m: type(None), LIVE),
    "function type": (lambda m: types.FunctionType, LIVE),
    "unreachable type": (lambda m: type({}.keys().__iter__()), PART),
    "module": (lambda m: os.path, LIVE),
    "code": (lambda m: half_way.__code__, LIVE),
    "regex": (lambda m: re.compile(r"\w+"), LIVE),
    "match": (lambda m: re.match("a", "a"), GONE),
    "logger": (lambda m: logging.getLogger("some.logger"), LIVE),
    "datetime with own zone": (
        lambda m: dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1), "here")),
        LIVE,
    ),
    "array": (lambda m: array.array("d", [1.0]), LIVE),
    "deque": (lambda m: collections.deque([1], maxlen=3), LIVE),
    "ordered": (lambda m: collections.OrderedDict(a=1), LIVE),
    "default dict": (lambda m: collections.defaultdict(lambda: 3, a=1), LIVE),
    "counter": (lambda m: collections.Counter("abca"), LIVE),
    "chain map": (lambda m: collections.ChainMap({"a": 1}), LIVE),
    "random": (lambda m: random.Random(1), LIVE),
    "list iterator": (lambda m: iter([1, 2, 3]), LIVE),
    "count": (lambda m: itertools.count(3), PART),
    "exit stack": (lambda m: contextlib.ExitStack(), LIVE),
    "huge int": (lambda m: 10**5000, LIVE),
    "surrogates": (lambda m: "\ud800 \x00 \x1b", LIVE),
    "type with a strange module": (lambda m: type("Strange", (), {"__module__": 3})(), LIVE),
    "type of no module": (lambda m: type("Strange", (), {"__module__": "no.such.module"})(), LIVE),
}


def _released() -> memoryview:
    view = memoryview(b"abc")
    view.release()
    return view


def _with_place() -> SlottedError:
    error = SlottedError("x")
    error.place = 3
    return error


def _reduces_to_itself() -> object:
    class Same:
        def __reduce__(self) -> Any:
            return Same, (self,)

    return Same()
