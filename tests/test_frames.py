from __future__ import annotations

import asyncio
import inspect
import io
import json
import linecache
import os
import pdb
import re
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest

from ckpt._model.record import Entry, Frame, Manifest, Raised
from ckpt._replaying.frames import rebuild, show_sources
from ckpt.errors import DamagedError

# A recorder as small as can be: what the real one keeps, without a store and without pickles.


class Recorded(NamedTuple):
    manifest: Manifest
    exceptions: list[Any]
    locals: list[Any]
    globals: list[Any]

    def rebuild(self, view: tuple[int, int] = (0, 0)) -> BaseException:
        return rebuild(self.manifest, self.exceptions, self.locals, self.globals, view)


def record(error: BaseException) -> Recorded:
    """Record `error` as it is now."""
    errors = _linked(error)
    numbers = {id(each): number for number, each in enumerate(errors)}
    frames: dict[FrameType, int] = {}
    raised = [_raised(each, numbers, frames) for each in errors]
    records = [_frame(frame, number) for frame, number in frames.items()]
    manifest = Manifest(exceptions=raised, frames=records)
    manifest = Manifest.from_json(json.loads(json.dumps(manifest.to_json())))
    outer = [{key: value for key, value in frame.f_globals.items() if key != "__builtins__"} for frame in frames]
    local = [around if frame.f_locals is frame.f_globals else dict(frame.f_locals) for frame, around in zip(frames, outer, strict=True)]
    return Recorded(manifest, _copies(errors), local, outer)


def _linked(error: BaseException) -> list[BaseException]:
    found = [error]
    for each in found:
        members = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        for link in (each.__cause__, each.__context__, *members):
            if link is not None and not any(link is known for known in found):
                found.append(link)
    return found


def _raised(error: BaseException, numbers: dict[int, int], frames: dict[FrameType, int]) -> Raised:
    kind = type(error)
    return Raised(
        type=kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}",
        text=str(error),
        notes=list(getattr(error, "__notes__", ())),
        cause=numbers.get(id(error.__cause__)),
        context=numbers.get(id(error.__context__)),
        suppress_context=error.__suppress_context__,
        members=[numbers[id(member)] for member in error.exceptions] if isinstance(error, BaseExceptionGroup) else [],
        traceback=list(_entries(error, frames)),
    )


def _entries(error: BaseException, frames: dict[FrameType, int]) -> Iterator[Entry]:
    entry = error.__traceback__
    while entry is not None:
        code = entry.tb_frame.f_code
        positions = list(code.co_positions())[entry.tb_lasti // 2]
        known = None if None in positions else [part or 0 for part in positions]
        yield Entry(frame=frames.setdefault(entry.tb_frame, len(frames)), line=entry.tb_lineno, positions=known)
        entry = entry.tb_next


def _frame(frame: FrameType, number: int) -> Frame:
    code = frame.f_code
    varargs, varkw = bool(code.co_flags & inspect.CO_VARARGS), bool(code.co_flags & inspect.CO_VARKEYWORDS)
    count = code.co_argcount + code.co_kwonlyargcount + varargs + varkw
    return Frame(
        file=code.co_filename,
        name=code.co_name,
        qualname=code.co_qualname,
        first_line=code.co_firstlineno,
        kind="function" if code.co_flags & inspect.CO_OPTIMIZED else "module" if code.co_name == "<module>" else "class",
        module=frame.f_globals.get("__name__", ""),
        argcount=code.co_argcount,
        posonly=code.co_posonlyargcount,
        kwonly=code.co_kwonlyargcount,
        varargs=varargs,
        varkw=varkw,
        parameters=list(code.co_varnames[:count]),
        globals=number,
        live_line=frame.f_lineno,
    )


def _copies(errors: list[BaseException]) -> list[Any]:
    copies: dict[int, BaseException] = {}
    return [_copy(error, copies) for error in errors]


def _copy(error: BaseException, copies: dict[int, BaseException]) -> BaseException:
    if id(error) in copies:
        return copies[id(error)]
    kind = type(error)
    if isinstance(error, BaseExceptionGroup):
        members = [_copy(member, copies) for member in error.exceptions]
        copy: BaseException = kind.__new__(kind, error.message, members)
    else:
        copy = kind.__new__(kind, *error.args)
        next(base for base in kind.__mro__ if base.__module__ == "builtins").__init__(copy, *error.args)  # type: ignore[misc]
    vars(copy).update(vars(error))
    for name in ("name", "obj", "path", "name_from", "filename", "filename2", "value"):
        if getattr(error, name, None) is not None:
            setattr(copy, name, getattr(error, name))
    copies[id(error)] = copy
    return copy


# Failures. Each text is a module of its own, whose `fail` fails.

SHAPES = {
    "a function": """
        def fail(a=1, b="x"):
            return a + b
        """,
    "calls across several lines": """
        def inner(**options):
            total = sum(
                value
                / options["zero"]
                for value in (1,
                              2)
            )
            return total

        def fail():
            return [
                inner(zero=0)
            ][0]
        """,
    "a method with super": """
        class Base:
            def run(self, x):
                return x["k"]["missing"]

        class Child(Base):
            def __repr__(self):
                return "<Child>"
            def run(self, x):
                return super().run(x) + 1

        def fail():
            Child().run({"k": {}})
        """,
    "mangled names": """
        class Box:
            def __init__(self):
                __hidden = 3
                self.__value = __hidden
                self.__gone
            def __repr__(self):
                return "<Box>"

        def fail():
            Box()
        """,
    "every kind of parameter": """
        def inner(a, b=2, /, c=3, *rest, d, e=5, **more):
            return a.nothing

        def fail():
            inner(1, 2, 3, 4, 5, d=6, f=7)
        """,
    "keyword-only parameters": """
        def inner(*, left, right=0):
            return left // right

        def fail():
            inner(left=1)
        """,
    "deleted parameters and variables": """
        def inner(a, b, *rest, **more):
            gone = kept = 1
            del gone, a, more
            return b[kept]

        def fail():
            inner(1, [], 2, k=3)
        """,
    "a closure": """
        def outer(n):
            factor = n * 2
            def inner(x):
                return factor / x
            return inner

        def fail():
            outer(1)(0)
        """,
    "a lambda": """
        double = lambda x, k=2: x["k"] * k

        def fail():
            return (lambda q: double(q))({})
        """,
    "comprehensions": """
        def inner(rows):
            return {r: [1 / (v - r) for v in rows] for r in rows}

        def fail():
            inner([1, 2])
        """,
    "a generator expression": """
        def fail(limit=3):
            return sum(1 / (limit - i) for i in range(5) if i)
        """,
    "a generator half-way": """
        def numbers(n):
            for i in range(n):
                yield 10 / (n - i - 2)

        def through(n):
            yield from numbers(n)

        def fail():
            for number in through(4):
                last = number
        """,
    "a class body": """
        def fail():
            class Config:
                '''A docstring.'''
                limit = 3
                bad = limit / 0
        """,
    "a module": """
        import sys
        limit = 2

        def fail():
            exec(compile("x = 1\\ny = x / 0\\n", "<config>", "exec"), {"__name__": "config"})
        """,
    "code in its own namespace": """
        def fail():
            exec(compile("x = 1\\nclass A:\\n    y = x / 0\\n", "<config>", "exec"), {"__name__": "config"}, {"q": 2})
        """,
    "an eval": """
        def fail(x=1):
            return eval("x / 0")
        """,
    "decorators": """
        import functools

        def twice(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return function(*args, **kwargs) * 2
            return wrapper

        @twice
        @twice
        def inner(
            x,
        ):
            return x.upper() % 5

        def fail():
            inner("a")
        """,
    "a syntax error": """
        def fail():
            compile("x = (1 +\\ny = 2", "<typed>", "exec")
        """,
    "an import error": """
        def fail():
            from collections import OrderedDcit
        """,
    "a missing module": """
        def fail():
            import no_such_module_anywhere
        """,
    "a name error": """
        def fail():
            total = 1
            return totl
        """,
    "a name error of a global": """
        LIMIT = 5

        def fail():
            LIMIT
            return LIMTI
        """,
    "an attribute error": """
        class Row:
            value = 1
            def __repr__(self):
                return "<Row>"

        def fail():
            return Row().valeu
        """,
    "an unbound variable": """
        def fail(flag=False):
            if flag:
                total = 1
            return total
        """,
    "an explicit cause": """
        def fail():
            try:
                {}["k"]
            except KeyError as err:
                raise ValueError("no k") from err
        """,
    "an implicit context": """
        def clean(data):
            return data.pop()

        def fail():
            data = []
            try:
                data[0]
            except IndexError:
                clean(data)
        """,
    "a context that is not shown": """
        def fail():
            try:
                {}["k"]
            except KeyError:
                raise ValueError("no k") from None
        """,
    "the same frame twice": """
        def inner():
            raise ValueError("first")

        def fail():
            try:
                inner()
            except ValueError as err:
                kept = err
            raise kept
        """,
    "a cause from elsewhere": """
        def fail():
            try:
                1 / 0
            except ZeroDivisionError as err:
                kept = err
            try:
                int("x")
            except ValueError:
                raise RuntimeError("both") from kept
        """,
    "cleaning up on the way": """
        import contextlib

        @contextlib.contextmanager
        def step(name):
            try:
                yield name
            finally:
                name = None

        def fail():
            with step("a") as a, step("b"):
                try:
                    a + 1
                finally:
                    done = True
        """,
    "an exception group": """
        def one(n):
            raise ValueError(n)

        def fail():
            errors = []
            for n in range(3):
                try:
                    one(n)
                except ValueError as err:
                    err.add_note(f"number {n}")
                    errors.append(err)
            raise ExceptionGroup("several", [*errors, ExceptionGroup("inner", [TypeError(1)])])
        """,
    "a group split by except*": """
        def fail():
            try:
                raise ExceptionGroup("several", [ValueError(1), TypeError(2), KeyError(3)])
            except* ValueError as group:
                raise RuntimeError("in except*")
        """,
    "notes": """
        def fail():
            error = ValueError("with notes")
            error.add_note("first")
            error.add_note("second\\nline")
            raise error
        """,
    "an exception of one's own": """
        class Odd(Exception):
            def __init__(self, code, *, detail):
                self.code, self.detail = code, detail
            def __str__(self):
                return f"{self.code}: {self.detail}"

        def fail():
            raise Odd(3, detail="d")
        """,
    "an OSError": """
        def fail():
            open("/no/such/file")
        """,
    "a unicode error": """
        def fail():
            "ä".encode("ascii")
        """,
    "tabs": """
        def fail(x=0):
        \tif True:
        \t\treturn 1 + (2\t/ x)
        """,
    "names and text beyond ASCII": """
        def berechne(größe, ñ):
            return "äöü" + "日本" + größe[ñ] + "ß"

        def fail():
            berechne({}, "ключ")
        """,
    "form feeds and separators in the text": """
        text = "a\u2028b"
        \fdef fail():
            return text["\u2029"]
        """,
    "a long line": """
        def fail(values=(1, 2)):
            return ["""
    + "0, " * 300
    + """values[7]]
        """,
    "a coroutine": """
        import asyncio

        async def inner(n):
            await asyncio.sleep(0)
            return 1 / n

        async def main():
            return await inner(0)

        def fail():
            asyncio.run(main())
        """,
    "an async generator": """
        import asyncio

        async def numbers():
            for n in (1, 0):
                yield 1 / n

        async def main():
            return [n async for n in numbers()]

        def fail():
            asyncio.run(main())
        """,
    "a task group": """
        import asyncio

        async def bad(n):
            raise ValueError(n)

        async def main():
            async with asyncio.TaskGroup() as group:
                group.create_task(bad(1))

        def fail():
            asyncio.run(main())
        """,
    "recursion": """
        def down(n):
            return down(n - 1) + 1 if n else 1 / n

        def fail():
            down(30)
        """,
    "many variables": "def fail():\n" + "".join(f"    v{n} = {n}\n" for n in range(700)) + "    return v0 / 0\n",
    "a comparison chain": """
        def fail(a=1, b=None):
            return 0 < a < b < 3
        """,
    "a subscript and a call": """
        def fail(table={"a": {"b": []}}):
            return table["a"]["b"][0]["c"].strip()
        """,
    "a raise of a class": """
        def fail():
            raise KeyboardInterrupt
        """,
    "an assertion": """
        def fail(x=1):
            assert x == 2, f"x is {x}"
        """,
    "an unpacking": """
        def fail(pair=(1, 2, 3)):
            a, b = pair
        """,
    "a callback from C": """
        def key(item):
            return item["weight"]

        def fail():
            return sorted([{}, {}], key=key)
        """,
    "a property and an operator": """
        class Vector:
            def __init__(self, x):
                self.x = x
            @property
            def size(self):
                return self.x ** "2"
            def __add__(self, other):
                return self.size + other.size
            def __repr__(self):
                return f"Vector({self.x})"

        def fail():
            return Vector(1) + Vector(2)
        """,
    "a match statement": """
        def fail(command=("go", 0)):
            match command:
                case ("go", distance):
                    return 1 / distance
        """,
}


def load(text: str, path: Path) -> dict[str, Any]:
    """Return the names of a module with this text."""
    text = textwrap.dedent(text.removeprefix("\n"))
    path.write_text(text, encoding="utf-8", newline="")
    names: dict[str, Any] = {"__name__": "shape", "__file__": str(path)}
    exec(compile(text, str(path), "exec", dont_inherit=True), names)
    return names


def caught(function: Callable[[], object]) -> BaseException:
    """Return what `function` raises, without the frame of this one."""
    try:
        function()
    except BaseException as err:
        assert err.__traceback__ is not None
        return err.with_traceback(err.__traceback__.tb_next)
    raise AssertionError("It did not fail.")


@pytest.fixture(params=SHAPES)
def live(request: pytest.FixtureRequest, tmp_path: Path) -> BaseException:
    return caught(load(SHAPES[request.param], tmp_path / "shape.py")["fail"])


def session(error: BaseException, *commands: str) -> str:
    """Return what a post-mortem prints for these commands."""
    printed = io.StringIO()
    debugger = pdb.Pdb(stdin=io.StringIO("\n".join([*commands, "q", ""])), stdout=printed, nosigint=True, readrc=False)
    debugger.reset()
    debugger.interaction(None, error if sys.version_info >= (3, 13) else error.__traceback__)  # type: ignore[arg-type]
    return printed.getvalue().replace("(Pdb) ", "\n")


def innermost(error: BaseException) -> FrameType:
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)][-1]


def text_of(error: BaseException, **options: Any) -> str:
    return "".join(traceback.TracebackException.from_exception(error, **options).format())


def test_a_rebuilt_failure_prints_what_the_live_one_printed(live: BaseException) -> None:
    """Byte for byte, carets included."""
    rebuilt = record(live).rebuild()

    assert rebuilt is not live
    assert "".join(traceback.format_exception(rebuilt)) == "".join(traceback.format_exception(live))


def test_a_rebuilt_failure_prints_the_same_variables(live: BaseException) -> None:
    """All frames have the live ones' variables, in their order."""
    rebuilt = record(live).rebuild()

    assert text_of(rebuilt, capture_locals=True) == text_of(live, capture_locals=True)


def test_variables_are_the_very_objects_that_were_recorded(live: BaseException) -> None:
    """No value is copied on its way into a frame."""
    recorded = record(live)
    frames = {id(frame): frame for frame, _ in traceback.walk_tb(recorded.rebuild().__traceback__)}

    for frame, values in zip(frames.values(), recorded.locals, strict=False):
        if frame.f_code.co_name != "<module>":
            assert list(frame.f_locals) == list(values)
        assert all(frame.f_locals[name] is value for name, value in values.items())


LOOK = ("where", "ll", "l", "args", "p sorted(locals())", "up", "ll", "args", "p sorted(locals())", "up", "ll", "args", "down", "where")


def test_a_debugger_shows_what_it_would_have_shown_live(live: BaseException) -> None:
    """pdb prints the same for the whole tour of a failure."""
    recorded = record(live)

    assert session(recorded.rebuild(), *LOOK) == session(live, *LOOK)


def test_ipython_and_rich_show_what_they_would_have_shown_live(live: BaseException) -> None:
    """The big traceback printers take a rebuilt failure for a real one."""
    recorded = record(live)
    rebuilt = recorded.rebuild()

    assert rich_text(rebuilt) == rich_text(live)
    assert verbose_text(rebuilt) == verbose_text(live)


def rich_text(error: BaseException) -> str:
    from rich.console import Console
    from rich.traceback import Traceback

    console = Console(file=io.StringIO(), width=120, record=True)
    console.print(Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True))
    return console.export_text()


def verbose_text(error: BaseException) -> str:
    from IPython.core.ultratb import VerboseTB

    text: str = VerboseTB().text(type(error), error, error.__traceback__)
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
