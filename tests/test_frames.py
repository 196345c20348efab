from __future__ import annotations

import ast
import inspect
import io
import json
import linecache
import os
import pdb  # noqa: T100 - a debugger is a reader of frames
import re
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest

from ckpt._model.record import Entry, Frame, Manifest, Raised
from ckpt._replaying.frames import rebuild
from ckpt._replaying.texts import show_sources
from ckpt.errors import DamagedError

# A recorder as small as can be: what the real one keeps, without a store and without pickles.


class Recorded(NamedTuple):
    manifest: Manifest
    exceptions: list[Any]
    locals: list[Any]
    globals: list[Any]

    def rebuild(self, view: tuple[int, int] = (0, 0)) -> BaseException:
        return rebuild(self.manifest, self.exceptions, self.locals, self.globals, view).exception


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
        known: list[int | None] | None = None if None in positions else [part or 0 for part in positions]
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
        def inner():
            try:
                raise ExceptionGroup("several", [ValueError(1), TypeError(2), KeyError(3)])
            except* ValueError as group:
                raise RuntimeError("in except*")

        def fail():
            inner()
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
    with pytest.raises(BaseException) as info:  # noqa: PT011 - any will do
        function()
    return info.value.with_traceback(info.tb.tb_next)


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
    """`pdb` prints the same for the whole tour of a failure."""
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


PROMPT = """
    import math
    LIMIT = 4

    class Acc:
        def __init__(self, total):
            self.total = total
        def __repr__(self):
            return f"<Acc {self.total}>"
        def add(self, __n, *more, scale=1):
            __twice = 2 * __n
            rows = [{"n": n} for n in more]
            return sum(row["m"] * LIMIT for row in rows) + math.pi

    def fail():
        acc = Acc(3)
        return acc.add(5, 1, 2, scale=7)
    """


@pytest.fixture
def prompt(tmp_path: Path) -> BaseException:
    """A rebuilt failure in which the frame with the interesting variables is one up from the last."""
    return record(caught(load(PROMPT, tmp_path / "shape.py")["fail"])).rebuild()


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("p (lambda q: q + scale)(1)", "8"),
        ("p [n * scale for n in more]", "[7, 14]"),
        ("p sum(n for n in more if n < scale)", "3"),
        ("p sorted(more, key=lambda n: -n * scale)", "[2, 1]"),
        ("p {n: [m + scale for m in more] for n in more}", "{1: [8, 9], 2: [8, 9]}"),
        ("!f = lambda: scale + self.total;; p f()", "10"),
        ("!def g(): return [rows[0], _Acc__twice][1];; p g()", "10"),
        ("!scale = 100;; p scale, (lambda: scale)()", "(100, 100)"),
        ("!new = 6;; p (lambda: new * scale)()", "42"),
        ("!import os.path as way;; p (lambda: way.basename('a/b'))()", "'b'"),
        ("!global LIMIT; LIMIT = 9;; p LIMIT, (lambda: LIMIT)()", "(9, 9)"),
        ("p LIMIT, math.floor(math.pi), (lambda: math.floor(LIMIT))()", "(4, 3, 4)"),
        ("p __name__, __file__[-8:]", "('shape', 'shape.py')"),
        ("p len(more), isinstance(self, type(self))", "(2, True)"),
        ("p (lambda: nothing)()", "*** NameError: name 'nothing' is not defined"),
        ("p 'scale' in globals(), 'LIMIT' in globals()", "(False, True)"),
    ],
)
def test_what_is_typed_at_a_prompt_finds_variables_and_globals(prompt: BaseException, typed: str, answer: str) -> None:
    """Lambdas, comprehensions and functions typed at the prompt see the frame's variables on every Python."""
    lines = session(prompt, "up", typed).strip().splitlines()

    assert lines[-1] == answer


def test_assignments_at_a_prompt_last_as_long_as_live_ones(tmp_path: Path) -> None:
    """Also across `up` and `down`, where Pythons differ."""
    live = caught(load(PROMPT, tmp_path / "shape.py")["fail"])
    recorded = record(live)
    commands = ("up", "!scale = 5", "!made = 6", "p scale, made", "up", "p acc.total", "down", "p scale, made", "args", "whatis made")

    assert session(recorded.rebuild(), *commands) == session(live, *commands)


def test_the_records_handed_in_are_not_changed(tmp_path: Path) -> None:
    """What a person assigns in a debugger does not reach the capture's own dicts."""
    recorded = record(caught(load(SHAPES["a module"], tmp_path / "shape.py")["fail"]))
    before = [dict(values) for values in recorded.locals + recorded.globals]

    session(recorded.rebuild(), "!x = 99", "!brand_new = 1", "up", "!global limit; limit = 5")

    assert [dict(values) for values in recorded.locals + recorded.globals] == before


def test_a_real_debugger_session_on_standard_input(tmp_path: Path) -> None:
    """A process whose standard input is a list of commands prints the same live and rebuilt."""
    program = f"""
        import pdb, sys
        from pathlib import Path
        import test_frames as t
        error = t.caught(t.load(t.PROMPT, Path({str(tmp_path / "shape.py")!r}))["fail"])
        error = t.record(error).rebuild() if sys.argv[1] == "rebuilt" else error
        pdb.post_mortem(error if sys.version_info >= (3, 13) else error.__traceback__)
        """
    commands = "where\nll\nup\nargs\np rows\n!scale += 1\np scale\nsource Acc\nwhatis self.add\nup\ndown\ndown\nl\nq\n"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])}
    printed = [
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), which],
            input=commands,
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            timeout=60,
            check=True,
        ).stdout
        for which in ("live", "rebuilt")
    ]

    assert "scale = 7" in printed[0]
    assert printed[1] == printed[0]


@pytest.mark.skipif(sys.version_info < (3, 13), reason="pdb has `exceptions` since 3.13")
@pytest.mark.parametrize("shape", ["an explicit cause", "an implicit context", "a cause from elsewhere"])
def test_a_debugger_walks_the_chain_of_exceptions(shape: str, tmp_path: Path) -> None:
    """The `exceptions` of pdb shows and enters the causes."""
    live = caught(load(SHAPES[shape], tmp_path / "shape.py")["fail"])
    commands = ("exceptions", "exceptions 0", "where", "ll", "p sorted(locals())", "exceptions 1", "where")
    recorded = record(live)

    assert session(recorded.rebuild(), *commands) == session(live, *commands)


def test_all_levels_of_a_recursion_share_one_code_object() -> None:
    """As they did live; and each has its own variables."""

    def down(n: int) -> float:
        if n < 2:
            last = n
            return 1 / last / 0
        return down(n - 1) + 1

    live = caught(lambda: down(700))
    recorded = record(live)
    rebuilt = recorded.rebuild()
    frames = [frame for frame, _ in traceback.walk_tb(rebuilt.__traceback__)][1:]

    assert len({frame.f_code for frame in frames}) == 1
    assert [frame.f_locals["n"] for frame in frames] == list(range(700, 0, -1))
    assert ["last" in frame.f_locals for frame in frames[-2:]] == [False, True]
    assert text_of(rebuilt) == text_of(live)


def test_variables_keep_their_order_whichever_frames_have_them() -> None:
    """Frames of one function that got differently far list what they have in the order of the function."""

    def step(depth: int, one: bool) -> float:
        if one:
            _first = depth
        _second = [depth]
        if not one:
            _third = depth
        return step(depth - 1, not one) if depth else 1 / depth

    recorded = record(caught(lambda: step(3, True)))
    frames = [frame for frame, _ in traceback.walk_tb(recorded.rebuild().__traceback__)]

    assert [list(frame.f_locals) for frame in frames] == [list(values) for values in recorded.locals]


@pytest.mark.parametrize("shape", ["the same frame twice", "an implicit context"])
def test_traceback_entries_of_one_frame_share_it(shape: str, tmp_path: Path) -> None:
    """What is assigned in a frame is seen from every traceback that runs through it."""
    rebuilt = record(caught(load(SHAPES[shape], tmp_path / "shape.py")["fail"])).rebuild()
    entries = [entry for error in _linked(rebuilt) for entry in traceback.walk_tb(error.__traceback__)]
    found = [(frame, line) for frame, line in entries if frame.f_code.co_name == "fail"]

    assert len({line for _, line in found}) == 2
    assert len({id(frame) for frame, _ in found}) == 1


def test_a_frame_that_was_still_running_stands_where_it_stood() -> None:
    """Debuggers mark both the line it had reached and the line that raised."""
    try:
        int("x")
    except ValueError as err:
        recorded = record(err)
        reached = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
    rebuilt = recorded.rebuild()

    assert rebuilt.__traceback__ is not None
    assert (innermost(rebuilt).f_lineno, rebuilt.__traceback__.tb_lineno) == (reached, reached - 2)


def edited(recorded: Recorded, change: Callable[[dict[str, Any]], object]) -> Recorded:
    """Return the record with its JSON form changed."""
    data = recorded.manifest.to_json()
    change(data)
    return recorded._replace(manifest=Manifest.from_json(data))


@pytest.mark.parametrize("positions", [None, [3, 3, -1, -1], [4, 3, 1, 2], [3, 3, 9, 2], [3, 3, None, None]])
def test_entries_without_columns_print_without_carets(positions: list[Any] | None, tmp_path: Path) -> None:
    """Also when what was recorded makes no sense."""
    recorded = record(caught(load("#\n#\ndef fail(x=0): return 1 / x\n", tmp_path / "shape.py")["fail"]))
    assert "^" in text_of(recorded.rebuild())

    printed = text_of(edited(recorded, lambda data: data["exceptions"][0]["traceback"][0].update(positions=positions)).rebuild())

    assert 'shape.py", line 3, in fail\n    def fail(x=0): return 1 / x\nZeroDivisionError' in printed


def test_line_zero_is_a_line() -> None:
    """Generated code has it."""
    tree = ast.parse("def fail(): return 1 / 0")
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt | ast.expr | ast.arg):
            node.lineno = node.end_lineno = 0
    names: dict[str, Any] = {}
    exec(compile(tree, "<generated>", "exec"), names)
    live = caught(names["fail"])

    assert 'File "<generated>", line 0, in fail' in text_of(live)
    assert text_of(record(live).rebuild()) == text_of(live)


def test_names_of_a_frame_may_be_anything(tmp_path: Path) -> None:
    """Also keywords, what a tool has put there, and a file that is not a name of a file."""
    recorded = record(caught(load("def fail(x=0): return 1 / x\n", tmp_path / "shape.py")["fail"]))
    odd = {"x": 0, "None": 1, "if": 2, "a b": 3, "": 4, "__ckpt_needs__": 5, "v0": 6, "\udc80": 7}
    recorded = edited(recorded, lambda data: data["frames"][0].update(file="a\udc80\n.py", name="<odd> ", qualname="", module=""))

    rebuilt = recorded._replace(locals=[{**odd, 5: "not a name"}]).rebuild()

    assert dict(innermost(rebuilt).f_locals) == odd
    assert innermost(rebuilt).f_code.co_filename == "a\udc80\n.py"


def test_variables_that_could_not_be_loaded_are_left_out(tmp_path: Path) -> None:
    """The frames and the text are there."""
    live = caught(load(PROMPT, tmp_path / "shape.py")["fail"])

    rebuilt = record(live)._replace(locals=[object()], globals=[]).rebuild()

    assert text_of(rebuilt) == text_of(live)
    assert [dict(frame.f_locals) for frame, _ in traceback.walk_tb(rebuilt.__traceback__)] == [{}, {}, {}]


def test_an_exception_that_refuses_to_be_set_gets_its_traceback() -> None:
    """A frozen dataclass can be raised, so it can be rebuilt."""

    @dataclass(frozen=True)
    class FrozenError(Exception):
        code: int

    def fail() -> None:
        raise BaseException.__new__(FrozenError, 3)

    with pytest.raises(FrozenError) as info:
        fail()
    recorded = record(info.value)
    live = text_of(info.value)

    assert text_of(recorded._replace(exceptions=[BaseException.__new__(FrozenError, 3)]).rebuild()) == live


def test_rebuilding_leaves_the_exception_at_hand_alone(prompt: BaseException) -> None:
    """Inside an `except` block, too."""
    recorded = record(prompt)
    try:
        int("x")
    except ValueError as err:
        before, rebuilt, after = text_of(err), recorded.rebuild(), text_of(err)

    assert after == before
    assert rebuilt.__context__ is None


def test_exceptions_that_follow_from_themselves_do_not_hang() -> None:
    """An exception that is its own context, and a ring of causes."""
    first, second = ValueError("first"), TypeError("second")
    first.__context__ = first
    first.__cause__, second.__cause__ = second, first
    recorded = record(first)

    rebuilt = recorded.rebuild()

    assert rebuilt.__context__ is rebuilt
    assert rebuilt.__cause__ is not None
    assert rebuilt.__cause__.__cause__ is rebuilt
    assert text_of(rebuilt) == text_of(first)


class Unloadable:
    """Like a placeholder, down to the lie about its class."""

    def __getattribute__(self, name: str) -> Any:
        return ValueError if name == "__class__" else super().__getattribute__(name)


@pytest.mark.parametrize("shape", [name for name in SHAPES if "error" not in name and name != "mangled names"])
def test_an_exception_that_could_not_be_loaded_prints_the_same(shape: str, tmp_path: Path) -> None:
    """A made-up type of the same name, groups and their members included; only suggestions ("Did you mean") need the real one."""
    live = caught(load(SHAPES[shape], tmp_path / "shape.py")["fail"])
    recorded = record(live)

    rebuilt = recorded._replace(exceptions=[Unloadable() for _ in recorded.exceptions]).rebuild()

    assert text_of(rebuilt) == text_of(live)
    assert isinstance(rebuilt, BaseException)


@pytest.mark.parametrize(
    ("qualified", "printed"),
    [
        ("KeyError", "KeyError: text"),
        ("pkg.errors.Odd", "pkg.errors.Odd: text"),
        ("pkg.make.<locals>.Odd", "pkg.make.<locals>.Odd: text"),
        ("__main__.Outer.Inner", "Outer.Inner: text"),
        ("SyntaxError", "SyntaxError: text"),
        ("UnicodeDecodeError", "UnicodeDecodeError: text"),
        ("OSError", "OSError: text"),
        ("ExceptionGroup", "ExceptionGroup: text"),
        ("print", "print: text"),
    ],
)
def test_stand_ins_print_the_recorded_type_and_text(qualified: str, printed: str) -> None:
    """As `traceback` would have printed the original."""
    manifest = Manifest(exceptions=[Raised(type=qualified, text="text", notes=["a note"])])

    assert text_of(rebuild(manifest, [], [], []).exception) == f"{printed}\na note\n"


def test_a_stand_in_for_a_builtin_is_caught_as_one() -> None:
    """`except KeyError` takes it."""
    with pytest.raises(KeyError):
        raise rebuild(Manifest(exceptions=[Raised(type="KeyError", text="'k'")]), [object()], [], []).exception


def test_a_group_recorded_as_its_own_member_does_not_hang() -> None:
    """Damage is no reason to recurse for ever."""
    manifest = Manifest(exceptions=[Raised(type="ExceptionGroup", text="text", members=[0])])

    assert "text" in text_of(rebuild(manifest, [], [], []).exception)


def test_a_view_begins_where_the_inner_capture_began(tmp_path: Path) -> None:
    """The exception that it names, without the first entries of its traceback."""
    recorded = record(caught(load(SHAPES["an implicit context"], tmp_path / "shape.py")["fail"]))

    inner = recorded.rebuild((0, 1))
    assert [frame.f_code.co_name for frame, _ in traceback.walk_tb(inner.__traceback__)] == ["clean"]
    assert inner.__context__ is not None
    assert inner.__context__.__traceback__ is not None
    assert type(recorded.rebuild((1, 0))) is IndexError


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(exceptions=[]),
        lambda data: data.update(frames=[]),
        lambda data: data["exceptions"][0].update(cause=7),
        lambda data: data["exceptions"][0].update(members=[-1]),
        lambda data: data["exceptions"][0]["traceback"][0].update(frame=-1),
        lambda data: data["frames"][0].update(argcount=3),
        lambda data: data["frames"][0].update(posonly=3),
        lambda data: data["frames"][0].update(posonly=-1),
        lambda data: data["frames"][0].update(parameters=["a", "a"], argcount=0, kwonly=2),
        lambda data: data["frames"][0].update(parameters=["a"], argcount=1, kind="module"),
        lambda data: data["frames"][0].update(live_line=2**40),
        lambda data: data["exceptions"][0]["traceback"][0].update(line=10**400),
    ],
)
def test_a_record_that_points_nowhere_is_damaged(change: Callable[[dict[str, Any]], object], tmp_path: Path) -> None:
    """And is said to be, before anything is built."""
    recorded = record(caught(load(SHAPES["a function"], tmp_path / "shape.py")["fail"]))

    with pytest.raises(DamagedError):
        edited(recorded, change).rebuild()
    with pytest.raises(DamagedError):
        recorded.rebuild((0, 9))


@pytest.mark.parametrize("shape", ["a function", "decorators", "form feeds and separators in the text", "tabs", "a long line"])
@pytest.mark.parametrize("fate", ["gone", "changed"])
def test_source_is_shown_as_it_was_recorded(shape: str, fate: str, tmp_path: Path) -> None:
    """Whether the file has changed or is gone: in tracebacks and in the debugger."""
    path = tmp_path / "shape.py"
    live = caught(load(SHAPES[shape], path)["fail"])
    recorded, printed, toured = record(live), text_of(live), session(live, *LOOK)
    text, times = path.read_text(encoding="utf-8"), path.stat()
    if fate == "gone":
        path.unlink()
    else:
        path.write_text("# another text\n" * 50, encoding="utf-8")
        # 3.13's pdb warns of a file that changes while it runs; this one changed between two sessions.
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    linecache.checkcache(str(path))

    rebuilt = recorded.rebuild()
    with show_sources({str(path): lambda: text}):
        assert text_of(rebuilt) == printed
        assert session(rebuilt, *LOOK) == toured
    assert text_of(rebuilt) != printed


def test_line_endings_of_a_source_do_not_matter() -> None:
    """Text from Windows, from old Macs and without a last newline."""
    with show_sources({"<a>": lambda: "one\r\ntwo\rthree\x0cstill three"}):
        assert linecache.getlines("<a>") == ["one\n", "two\n", "three\x0cstill three\n"]


def test_a_source_is_fetched_when_it_is_shown_and_only_once() -> None:
    """What nobody looks at costs nothing."""
    fetched: list[str] = []

    def fetch() -> str:
        fetched.append("text")
        return "one\n"

    with show_sources({__file__: fetch}):
        linecache.checkcache()
        linecache.lazycache(__file__, globals())
        assert fetched == []
        assert linecache.getline(__file__, 1) == linecache.getline(__file__, 1) == "one\n"
        linecache.checkcache()
        assert linecache.getline(__file__, 1) == "one\n"
    assert fetched == ["text"]


def test_a_position_of_any_size_is_printed(tmp_path: Path) -> None:
    """Nobody reads two thousand million lines to show where a frame was left."""
    recorded = record(caught(load(SHAPES["a function"], tmp_path / "shape.py")["fail"]))

    def stretch(data: dict[str, Any]) -> None:
        entry = data["exceptions"][0]["traceback"][-1]
        entry["positions"] = [entry["line"], 2**31 - 1, 0, 1]

    shown = "".join(traceback.format_exception(edited(recorded, stretch).rebuild()))
    assert f'File "{tmp_path / "shape.py"}", line ' in shown


@pytest.mark.parametrize("error", [DamagedError("The text is not what was written."), FileNotFoundError()])
def test_a_source_that_cannot_be_had_is_that_on_disk(error: Exception) -> None:
    """Better than none."""

    def fetch() -> str:
        raise error

    with show_sources({__file__: fetch, "<no file>": fetch}):
        assert linecache.getline(__file__, 1).startswith("from __future__")
        assert linecache.getlines("<no file>") == []


def test_linecache_is_given_back_as_it_was() -> None:
    """Also after an error, for files that it knew and for those that it did not."""
    linecache.getlines(__file__)
    before = linecache.cache[__file__]

    def look_and_fail() -> None:
        assert linecache.getlines("<other>") == ["two\n"]
        linecache.clearcache()
        int("x")

    with (
        pytest.raises(ValueError, match="x"),
        show_sources({__file__: lambda: "one", "<other>": lambda: "two", "<third>": lambda: "three"}),
    ):
        look_and_fail()

    assert {name: linecache.cache.get(name) for name in (__file__, "<other>", "<third>")} == {
        __file__: before,
        "<other>": None,
        "<third>": None,
    }
