"""What belongs to the key of a stage: everything of the project that its code goes to, however it gets there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, update_wrapper
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from ckpt import pipeline as chkpt
from ckpt._store.store import Store
from ckpt.errors import UsageError

LIBRARY = """
import functools

def scaled(by):
    def decorate(function):
        @functools.wraps(function)
        def call(*args):
            return function(*args) * by
        return call
    return decorate
"""
SETTINGS = """
RATE = 1

def clean():
    return "clean 1"
"""


@pytest.fixture(autouse=True)
def _store(store: Store) -> None:
    """Every test has a store of its own."""


class Project:
    """A module of a person's, imported anew after each edit, as in a process of its own."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.texts = {"reach_settings": SETTINGS, "reach_job": f"from ckpt import pipeline as chkpt\n{text}"}
        self.config = chkpt.Config(load=True, dir=path / "results", progress=False)

    def edit(self, old: str, new: str) -> None:
        found = [name for name, text in self.texts.items() if old in text]
        assert len(found) == 1
        self.texts[found[0]] = self.texts[found[0]].replace(old, new)

    def pipeline(self) -> chkpt.Pipeline:
        for name, text in self.texts.items():
            file = self.path / f"{name}.py"
            file.write_text(text)
            spec = spec_from_file_location(name, file)
            assert spec
            assert spec.loader
            module = sys.modules[name] = module_from_spec(spec)
            spec.loader.exec_module(module)
        return chkpt.Pipeline(sys.modules["reach_job"].__dict__["stage"])

    def step(self) -> tuple[str, str]:
        (step,) = self.pipeline().plan(self.config)
        return step.action, step.why


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Project]]:
    """Makes a project of one module with one stage, beside a library that is installed."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    installed = tmp_path / "lib" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "reach_library.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(installed))
    yield lambda text: Project(tmp_path, text)
    for name in ("reach_settings", "reach_job", "reach_library"):
        sys.modules.pop(name, None)


#: What a module says, what is changed in it, and what is said of it then.
WAYS: dict[str, tuple[str, str, str, str]] = {
    "a partial function": (
        "from functools import partial\ndef load(year): return year\nstage = chkpt.Stage(partial(load, 2024))",
        "2024",
        "2025",
        "what it is bound to changed",
    ),
    "a partial function with the looks of another": (
        "from functools import *\ndef load(year): return year\nstage = chkpt.Stage(update_wrapper(partial(load, 2024), load))",
        "2024",
        "2025",
        "what it is bound to changed",
    ),
    "a method": (
        "class Tax:\n def __init__(self, rate): self.rate = rate\n def apply(self): return self.rate\nstage = chkpt.Stage(Tax(1).apply)",
        "Tax(1)",
        "Tax(2)",
        "what it is bound to changed",
    ),
    "the code of a method": (
        "class Tax:\n def apply(self): return 1\nstage = chkpt.Stage(Tax().apply)",
        "return 1",
        "return 2",
        "code of Tax.apply changed",
    ),
    "a decorated method": (
        (
            "import reach_library\nclass Tax:\n def __init__(self, rate): self.rate = rate\n"
            " @reach_library.scaled(2)\n def apply(self): return self.rate\nstage = chkpt.Stage(Tax(1).apply)"
        ),
        "Tax(1)",
        "Tax(2)",
        "what it is bound to changed",
    ),
    "a method of a builtin type": (
        "stage = chkpt.Stage({'a': 1}.copy)",
        "'a': 1",
        "'a': 2",
        "what it is bound to changed",
    ),
    "an object that can be called": (
        "class Tax:\n def __init__(self, rate): self.rate = rate\n def __call__(self): return self.rate\nstage = chkpt.Stage(Tax(1))",
        "Tax(1)",
        "Tax(2)",
        "what it is bound to changed",
    ),
    "a decorator that is a class": (
        (
            "import functools\nclass Scaled:\n def __init__(self, call): functools.update_wrapper(self, call); self.by = 2\n"
            " def __call__(self): return self.__wrapped__() * self.by\n@Scaled\ndef one(): return 1\nstage = chkpt.Stage(one)"
        ),
        "* self.by",
        "* self.by * 10",
        "code of Scaled.__call__ changed",
    ),
    "what is written at the decorator of a library": (
        "import reach_library\n@chkpt.Stage.wrap()\n@reach_library.scaled(2)\ndef stage(): return 1",
        "scaled(2)",
        "scaled(3)",
        "code changed",
    ),
    "a constant of a module that is imported late": (
        "@chkpt.Stage.wrap()\ndef stage():\n import reach_settings\n return reach_settings.RATE",
        "RATE = 1",
        "RATE = 2",
        "value of RATE changed",
    ),
    "a module in a list": (
        "import reach_settings\nMODULES = [reach_settings]\n@chkpt.Stage.wrap()\ndef stage(): return [each.clean() for each in MODULES]",
        "clean 1",
        "clean 2",
        "code of clean changed",
    ),
    "a cached function in a dictionary": (
        (
            "import functools\n@functools.lru_cache\ndef one(): return 1\nTABLE = {'one': one}\n"
            "@chkpt.Stage.wrap()\ndef stage(): return TABLE['one']()"
        ),
        "return 1",
        "return 2",
        "code of one changed",
    ),
    "a stage in a list": (
        "@chkpt.Stage.wrap()\ndef one(): return 1\nSTAGES = [one]\n@chkpt.Stage.wrap()\ndef stage(): return STAGES[0]()",
        "return 1",
        "return 2",
        "code of one changed",
    ),
    "an implementation for a type": (
        (
            "import functools\n@functools.singledispatch\ndef told(x): return 0\n@told.register\ndef _(x: int): return 1\n"
            "@chkpt.Stage.wrap()\ndef stage(): return told(1)"
        ),
        "return 1",
        "return 2",
        "code of _ changed",
    ),
    "an implementation of a method for a type": (
        (
            "import functools\nclass Told:\n @functools.singledispatchmethod\n def told(self, x): return 0\n"
            " @told.register\n def _(self, x: int): return 1\n@chkpt.Stage.wrap()\ndef stage(): return Told().told(1)"
        ),
        "return 1",
        "return 2",
        "code of Told._ changed",
    ),
    "a value that the stage sets itself": (
        "COUNT = 1\n@chkpt.Stage.wrap()\ndef stage():\n global COUNT\n COUNT += 1\n return COUNT",
        "COUNT = 1",
        "COUNT = 5",
        "value of COUNT changed",
    ),
    "an attribute of a function": (
        "def one(): return one.rate\none.rate = 1\n@chkpt.Stage.wrap()\ndef stage(): return one()",
        "rate = 1",
        "rate = 2",
        "attributes of one changed",
    ),
    "a base class": (
        "class Base:\n def one(self): return 1\nclass Sub(Base): pass\n@chkpt.Stage.wrap()\ndef stage(): return Sub().one()",
        "return 1",
        "return 2",
        "code of Base.one changed",
    ),
    "a metaclass": (
        "class Meta(type):\n def one(cls): return 1\nclass Sub(metaclass=Meta): pass\n@chkpt.Stage.wrap()\ndef stage(): return Sub.one()",
        "return 1",
        "return 2",
        "code of Meta.one changed",
    ),
    "the setter of a property": (
        (
            "class Box:\n @property\n def one(self): return self.held\n @one.setter\n def one(self, value): self.held = value + 1\n"
            "@chkpt.Stage.wrap()\ndef stage():\n box = Box()\n box.one = 1\n return box.one"
        ),
        "value + 1",
        "value + 2",
        "code of Box.one changed",
    ),
    "a descriptor": (
        (
            "class Field:\n def __init__(self, held): self.held = held\n def __get__(self, box, kind): return self.held\n"
            "class Box:\n one = Field(1)\n@chkpt.Stage.wrap()\ndef stage(): return Box().one"
        ),
        "Field(1)",
        "Field(2)",
        "members of Box changed",
    ),
    "a partial method": (
        (
            "from functools import partialmethod\nclass Box:\n def one(self, x): return x\n two = partialmethod(one, 1)\n"
            "@chkpt.Stage.wrap()\ndef stage(): return Box().two()"
        ),
        "(one, 1)",
        "(one, 2)",
        "members of Box changed",
    ),
    "an enum": (
        "from enum import Enum\nclass Kind(Enum):\n A = 1\n@chkpt.Stage.wrap()\ndef stage(): return Kind.A.value",
        "A = 1",
        "A = 2",
        "members of Kind changed",
    ),
    "a field of a dataclass": (
        (
            "from dataclasses import *\n@dataclass\nclass Box:\n one: list = field(default_factory=lambda: [1])\n"
            "@chkpt.Stage.wrap()\ndef stage(): return Box().one"
        ),
        "[1]",
        "[2]",
        "code of Box.<lambda> changed",
    ),
    "a field of pydantic": (
        "import pydantic\nclass Box(pydantic.BaseModel):\n one: int = 1\n@chkpt.Stage.wrap()\ndef stage(): return Box().one",
        "int = 1",
        "int = 2",
        "members of Box changed",
    ),
    "a field of attrs": (
        "import attrs\n@attrs.define\nclass Box:\n one: int = 1\n@chkpt.Stage.wrap()\ndef stage(): return Box().one",
        "int = 1",
        "int = 2",
        "members of Box changed",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_a_stage_goes_to_counts(project: Callable[[str], Project], way: str) -> None:
    """Unchanged it is loaded by a new process; changed it makes the stage run, and is named."""
    text, old, new, reason = WAYS[way]
    found = project(text)
    before = found.pipeline()(found.config)
    assert found.step() == ("load", "stored")
    found.edit(old, new)
    action, why = found.step()
    assert action == "run"
    assert reason in why
    assert found.pipeline()(found.config) != before


HARMLESS = {
    "a decorator of ckpt": ("def one(): return 1\nstage = chkpt.Stage(one)", "def one", "import ckpt\n@ckpt.ckpt(keep=3)\ndef one"),
    "the options of the stage": ("@chkpt.Stage.wrap()\ndef stage(): return 1", "wrap()", "wrap(serializer='json')"),
}


@pytest.mark.parametrize("edit", HARMLESS)
def test_our_own_decorators_do_not_count(project: Callable[[str], Project], edit: str) -> None:
    """Captures can be switched on for a function without computing anything again."""
    text, old, new = HARMLESS[edit]
    found = project(text)
    found.pipeline()(found.config)
    found.edit(old, new)
    assert found.step() == ("load", "stored")


# Changes in a process that goes on, as in a notebook.


class Settings:
    rate = 1
    table: dict[str, int] = {"a": 1}  # noqa: RUF012  that it can be changed is the point

    def tax(self) -> int:
        return self.rate


def taxed() -> tuple[int, int]:
    return Settings().tax(), Settings.table["a"]


def doubled(settings: Settings) -> int:
    return 2 * settings.rate


IN_PROCESS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "an attribute of a class": lambda patch: patch.setattr(Settings, "rate", 2),
    "a value in a class": lambda patch: patch.setitem(Settings.table, "a", 2),
    "a method": lambda patch: patch.setattr(Settings, "tax", doubled),
    "a new attribute of a class": lambda patch: patch.setattr(Settings, "__getattribute__", lambda self, name: lambda: 5, raising=False),
}


@pytest.mark.parametrize("change", IN_PROCESS)
def test_a_class_that_is_changed_in_the_process_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """As in a notebook: what a class holds now is what counts, and undone, it is what it was."""
    pipeline, config = (
        chkpt.Pipeline(chkpt.Stage(taxed, name=tmp_path.name)),
        chkpt.Config(load=True, dir=tmp_path / "results", progress=False),
    )
    before = pipeline(config)
    assert pipeline.plan(config)[0].action == "load"
    with monkeypatch.context() as patch:
        IN_PROCESS[change](patch)
        assert pipeline.plan(config)[0].action == "run"
        assert pipeline(config) != before
    assert pipeline.plan(config)[0].why == "stored"
    assert pipeline(config) == before


def test_a_namesake_in_a_registry_counts(tmp_path: Path) -> None:
    """A function that takes the place of another of its name, in a dictionary, is another."""

    def made(result: int) -> Callable[[], int]:
        def clean() -> int:
            return result

        return clean

    registry = {"clean": made(1)}
    pipeline = chkpt.Pipeline(chkpt.Stage(lambda: next(each() for each in registry.values()), name="stage"))
    config = chkpt.Config(load=True, dir=tmp_path, progress=False)
    assert pipeline(config) == 1
    registry["clean"] = made(2)
    assert pipeline(config) == 2


def test_what_a_run_changes_in_a_class_does_not_make_the_stage_another(tmp_path: Path) -> None:
    """A counter in a class is for the next run what it was for the first."""

    class Counter:
        count = 0
        seen: list[int] = []  # noqa: RUF012  that it can be changed is the point

    def stage() -> int:
        Counter.count += 1
        Counter.seen.append(1)
        return Counter.count

    pipeline, config = chkpt.Pipeline(chkpt.Stage(stage)), chkpt.Config(load=True, dir=tmp_path, progress=False)
    assert [pipeline(config) for _ in range(3)] == [1, 1, 1]
    Counter.count = 7
    assert pipeline(config) == 8


@dataclass(eq=True)
class Tax:
    """Equal to others, and so without a hash."""

    rate: int

    def apply(self) -> int:
        return self.rate

    def __call__(self) -> int:
        return self.rate


CALLABLES: dict[str, Callable[[Tax], Callable[[], int]]] = {
    "a method": lambda tax: tax.apply,
    "an object": lambda tax: tax,
    "a partial function": lambda tax: partial(tax.apply),
    "a partial function that looks like another": lambda tax: update_wrapper(partial(tax.apply), test_a_namesake_in_a_registry_counts),
}


@pytest.mark.parametrize("kind", CALLABLES)
def test_stages_of_other_objects_are_others(tmp_path: Path, kind: str) -> None:
    """A stage is bound to one object: another one's result is never taken, and what changes in its own counts."""
    config = chkpt.Config(load=True, dir=tmp_path, progress=False)
    tax = Tax(1)
    stage = chkpt.Stage(CALLABLES[kind](tax), name="tax")
    assert (() >> stage)(config) == 1
    assert (() >> chkpt.Stage(CALLABLES[kind](Tax(2)), name="tax"))(config) == 2
    tax.rate = 3
    assert (() >> stage)(config) == 3


def test_two_stages_of_one_method_are_one_node() -> None:
    """A method is made anew each time one asks for it; of equal objects, each is its own."""
    tax, equal = Tax(1), Tax(1)
    assert (() >> chkpt.Stage(tax.apply)) is (() >> chkpt.Stage(tax.apply))
    assert (() >> chkpt.Stage(tax.apply)) is not (() >> chkpt.Stage(equal.apply))
    assert (() >> chkpt.Stage(tax)) is not (() >> chkpt.Stage(equal))


def test_what_a_stage_is_bound_to_may_be_unhashable(tmp_path: Path) -> None:
    """An open file says nothing about what is in it: computed again, and that is said."""
    with (tmp_path / "lines").open("w+") as file:
        pipeline, config = chkpt.Pipeline(chkpt.Stage(partial(str, file), name="len")), chkpt.Config(load=True, dir=tmp_path)
        (step,) = pipeline.plan(config)
        assert (step.action, step.why[:46]) == ("run", "what it is bound to cannot be hashed: TypeErro")
        with pytest.raises(UsageError, match="The result of 'len' is not stored: what it is bound to"):
            config.get_checkpoint_path(pipeline)


def test_an_input_that_cannot_be_hashed_is_named(tmp_path: Path) -> None:
    """Of several that one parameter takes, with its place among them."""
    with (tmp_path / "open").open("w") as file:
        held: Any = file
        one, other = chkpt.Stage(lambda: 1, name="one"), chkpt.Stage(lambda: held, name="other")
        plan = ((one, other) >> chkpt.Stage(lambda *a: a, name="all")).plan(chkpt.Config(load=True, dir=tmp_path))
    assert plan[-1].why == "input a[1] cannot be hashed"
