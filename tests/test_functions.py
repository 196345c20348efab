"""The captured function, found in today's code."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from ckpt._model.record import WRAPPER_FILE
from ckpt._replaying.functions import find_callable, resolver
from ckpt.errors import CannotReplayError


def ckpt(function: Any) -> Any:
    """Stand in for the decorator, which does much more: this room only looks at the file in a wrapper's code."""
    if isinstance(function, staticmethod | classmethod):
        return type(function)(ckpt(function.__func__))

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    functools.update_wrapper(wrapper, function)
    wrapper.__code__ = wrapper.__code__.replace(co_filename=WRAPPER_FILE)
    return wrapper


def doubled(function: Callable[..., Any]) -> Any:
    """Decorate well: with the wrapped function named."""

    @functools.wraps(function)
    def inner(*args: Any) -> Any:
        return 2 * function(*args)

    return inner


def hiding(function: Callable[..., Any]) -> Any:
    """Decorate badly: without a word of what is wrapped."""

    def inner(*args: Any) -> Any:
        return [function(*args)]

    return inner


class Command:
    """What click and its kin make of a function."""

    def __init__(self, callback: Callable[..., Any]) -> None:
        self.callback = callback


TEXT = """
import functools

@ckpt
def plain(x): return x

@doubled
@ckpt
@doubled
def between(x): return x

@hiding
@ckpt
def hidden(x): return x

@Command
@ckpt
def command(x): return x

@functools.lru_cache
@ckpt
def cached(x): return x

def helper(x): return ("helper", x)
helper = ckpt(helper)

@hiding
def other(x): return helper(x)

@doubled
def gone(x): return x

value = 3

class Outer:
    class Inner:
        @ckpt
        def method(self, x): return ("method", x)

        @ckpt
        def __private(self, x): return ("private", x)

    @ckpt
    @staticmethod
    def static_above(x): return x

    @staticmethod
    @ckpt
    def static_below(x): return x

    @ckpt
    @classmethod
    def class_above(cls, x): return cls, x

    @classmethod
    @ckpt
    def class_below(cls, x): return cls, x

    @staticmethod
    def static_gone(x): return x

    @classmethod
    def class_gone(cls, x): return cls, x

    @property
    @ckpt
    def area(self): return "area"

    @property
    def width(self): return "width"

    @width.setter
    @ckpt
    def width(self, value): return value

    @functools.cached_property
    def height(self): return "height"

    @property
    @ckpt
    def both(self): return "get"

    @both.setter
    @ckpt
    def both(self, value): return "set"
"""


@pytest.fixture(name="module")
def make_module() -> Iterator[ModuleType]:
    """Give a module of decorated functions that can be imported by its name."""
    module = ModuleType("decorated_today")
    vars(module).update(ckpt=ckpt, doubled=doubled, hiding=hiding, Command=Command)
    sys.modules["decorated_today"] = module
    exec(TEXT, vars(module))
    yield module
    del sys.modules["decorated_today"]


@pytest.mark.parametrize(
    ("qualname", "args", "expected"),
    [
        ("plain", (1,), 1),
        ("between", (1,), 2),
        ("hidden", (1,), 1),
        ("command", (1,), 1),
        ("cached", (1,), 1),
        ("Outer.Inner.method", (None, 1), ("method", 1)),
        ("Outer.Inner.__private", (None, 1), ("private", 1)),
        ("Outer.static_above", (1,), 1),
        ("Outer.static_below", (1,), 1),
        ("Outer.class_above", ("cls", 1), ("cls", 1)),
        ("Outer.class_below", ("cls", 1), ("cls", 1)),
        ("Outer.area", (None,), "area"),
        ("Outer.width", (None, 3), 3),
    ],
)
@pytest.mark.usefixtures("module")
def test_the_call_enters_below_the_decorator(qualname: str, args: tuple[Any, ...], expected: object) -> None:
    """Decorators below `@ckpt` run, those above do not, and `self` or `cls` is the first argument."""
    function, notes = find_callable("decorated_today", qualname)
    assert isinstance(function, FunctionType)
    assert function.__code__.co_filename != WRAPPER_FILE
    assert function(*args) == expected
    assert notes == []


@pytest.mark.parametrize(
    ("qualname", "args", "expected"),
    [
        ("gone", (1,), 2),
        ("other", (1,), [("helper", 1)]),
        ("Outer.static_gone", (1,), 1),
        ("Outer.class_gone", ("cls", 1), ("cls", 1)),
        ("Outer.height", (None,), "height"),
    ],
)
@pytest.mark.usefixtures("module")
def test_without_the_decorator_the_function_of_that_name_is_called(qualname: str, args: tuple[Any, ...], expected: object) -> None:
    """One that has lost `@ckpt` is called with all its decorators, and that is said; using a captured one is not being one."""
    function, notes = find_callable("decorated_today", qualname)
    assert function(*args) == expected
    assert notes == [f"@ckpt is gone from '{qualname}' of module 'decorated_today': what has that name today is called."]


@pytest.mark.usefixtures("module")
def test_two_captured_functions_of_one_property_are_told() -> None:
    """A getter and a setter share their name: the getter is called, and a note says so."""
    function, notes = find_callable("decorated_today", "Outer.both")
    assert function(None) == "get"
    assert notes == ["'Outer.both' has several captured functions: the first is called."]


@pytest.mark.parametrize(
    ("qualname", "message", "hint"),
    [
        ("plian", "There is no 'plian' in module 'decorated_today' today.", "the nearest name is 'plain'"),
        ("Outer.Inner.metod", "There is no 'Outer.Inner.metod' in module 'decorated_today' today.", "the nearest name is 'method'"),
        ("Outer.area.x", "There is no 'Outer.area.x' in module 'decorated_today' today.", ""),
        ("value", "'value' of module 'decorated_today' is no function today: its type is 'int'.", ""),
        (
            "plain.<locals>.inner",
            "'plain.<locals>.inner' of module 'decorated_today' is made while its program runs: its name does not lead to it.",
            "",
        ),
        ("<lambda>", "'<lambda>' of module 'decorated_today' is made while its program runs: its name does not lead to it.", ""),
    ],
)
@pytest.mark.usefixtures("module")
def test_a_function_that_is_gone_is_named(qualname: str, message: str, hint: str) -> None:
    """The error says which name is missing where, and the nearest one that is there."""
    with pytest.raises(CannotReplayError) as caught:
        find_callable("decorated_today", qualname)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_module_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing module, a missing member of a package, and a module that raises are told apart."""
    package = tmp_path / "functions_pkg"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "summary.py").touch()
    (package / "broken.py").write_text("import no_such_library_at_all\n", encoding="utf-8")
    (package / "leaving.py").write_text("raise SystemExit('not today')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    expected = {
        "functions_pkgs": ("There is no module 'functions_pkgs' today.", "the nearest name is 'functions_pkg'"),
        "functions_pkg.sumary": ("There is no module 'functions_pkg.sumary' today.", "the nearest name is 'summary'"),
        "functions_pkg.broken": (
            "Module 'functions_pkg.broken' cannot be imported today: ModuleNotFoundError: No module named 'no_such_library_at_all'",
            f'{sys.executable} -c "import functions_pkg.broken"',
        ),
        "functions_pkg.leaving": (
            "Module 'functions_pkg.leaving' cannot be imported today: SystemExit: not today",
            f'{sys.executable} -c "import functions_pkg.leaving"',
        ),
    }
    for name, (message, hint) in expected.items():
        with pytest.raises(CannotReplayError) as caught:
            find_callable(name, "f")
        assert (caught.value.message, caught.value.hint) == (message, hint)
    for name in list(sys.modules):
        if name.startswith("functions_pkg"):
            del sys.modules[name]


def test_no_module_of_python_s_own_is_near_one_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a short name as for a long one, only what looks much like it is proposed, and nothing of the standard library."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "pkk.py").touch()
    for name, hint in {"pk": "the nearest name is 'pkk'", "pd": "", "cmd2": "", "abstract": ""}.items():
        monkeypatch.delitem(sys.modules, name, raising=False)
        with pytest.raises(CannotReplayError, match="There is no module") as caught:
            find_callable(name, "f")
        assert caught.value.hint == hint


def test_a_function_of_the_script_is_found_in_its_module(module: ModuleType) -> None:
    """`__main__`, in its process or in a spawned child, is the module that stands for it; without one there is nothing to find."""
    for name in ("__main__", "__mp_main__"):
        assert find_callable(name, "plain", module)[0] is vars(module)["plain"].__wrapped__
        with pytest.raises(CannotReplayError, match="notebook"):
            find_callable(name, "plain", None)


def test_an_object_that_answers_to_everything_ends_the_search(module: ModuleType) -> None:
    """A chain without an end, or one that raises, costs a bounded look."""

    class Endless:
        def __call__(self) -> str:
            return "called"

        def __getattr__(self, name: str) -> Any:
            if name == "fn":
                raise RuntimeError(name)
            return Endless()

    vars(module)["endless"] = Endless()
    function, notes = find_callable("decorated_today", "endless")
    assert function() == "called"
    assert len(notes) == 1


def test_todays_classes_and_functions_stand_for_the_captured_ones(module: ModuleType) -> None:
    """The resolver gives what the script has under a name, plain functions below static and class methods, and None for the rest."""
    resolve = resolver(module)
    outer: Any = vars(module)["Outer"]
    inner = outer.Inner
    assert resolve("__main__", "Outer") is outer
    assert resolve("__mp_main__", "Outer.Inner") is inner
    assert resolve("__main__", "plain") is vars(module)["plain"]
    assert resolve("__main__", "Outer.static_gone") is vars(outer)["static_gone"].__func__
    for module_name, qualname in (
        ("decorated_today", "Outer"),
        ("__main__", "gone.<locals>.inner"),
        ("__main__", "<lambda>"),
        ("__main__", "no"),
        ("__main__", "value"),
        ("__main__", "no.no"),
    ):
        assert resolve(module_name, qualname) is None
    assert resolver(None)("__main__", "Outer") is None
