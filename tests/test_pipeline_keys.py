"""When a stored result is used: the code, the code it goes to, the values that code reads, and the inputs are the same."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ckpt import pipeline as chkpt
from ckpt._store.store import Store
from ckpt.errors import UsageError
from tests.processes import python

JOB = """
import math
from ckpt import pipeline as chkpt
import job_helpers

RATE = 2
RATES = {"a": 1, "b": [2]}


def total(values):
    return sum(values) * RATE


class Table:
    factor = 3

    def grown(self, value):
        return value * self.factor


@chkpt.Stage.wrap()
def numbers():
    return [1, 2, 3]


@chkpt.Stage.wrap()
def scaled(values, power=1):
    return [job_helpers.clean(value) * RATES["a"] for value in values]


@chkpt.Stage.wrap()
def summed(values):
    return Table().grown(total(values)) + math.floor(0.5)


pipeline = numbers >> scaled >> summed
"""
HELPERS = """
LIMIT = 100

def clean(value):
    return min(value, LIMIT)

def unused(value):
    return value
"""


@pytest.fixture(autouse=True)
def _store(store: Store) -> None:
    """Every test has a store of its own."""


class Project:
    """Two modules of a person's, imported anew after each edit, as in a process of their own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.texts = {"job": JOB, "job_helpers": HELPERS}
        self.config = chkpt.Config(load=True, dir=path / "results", progress=False)

    def edit(self, old: str, new: str, module: str = "job") -> None:
        assert self.texts[module].count(old) == 1
        self.texts[module] = self.texts[module].replace(old, new)

    def pipeline(self) -> chkpt.Pipeline:
        for name in ("job_helpers", "job"):
            self._import(name)
        found: chkpt.Pipeline = sys.modules["job"].pipeline
        return found

    def _import(self, name: str) -> ModuleType:
        file = self.path / f"{name}.py"
        file.write_text(self.texts[name])
        spec = spec_from_file_location(name, file)
        assert spec
        assert spec.loader
        module = sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def steps(self) -> dict[str, tuple[str, str]]:
        return {step.stage: (step.action, step.why) for step in self.pipeline().plan(self.config)}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project whose pipeline has run once."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    found = Project(tmp_path)
    assert found.pipeline()(found.config) == 36
    yield found
    for name in ("job", "job_helpers"):
        sys.modules.pop(name, None)


LOADED = {"numbers": ("skip", "nobody needs it"), "scaled": ("skip", "nobody needs it"), "summed": ("load", "stored")}
HARMLESS = {
    "nothing": ("RATE = 2", "RATE = 2"),
    "a comment": ("    return sum(values) * RATE", "    # all of them\n    return sum(values) * RATE"),
    "blank lines": ("def total(values):", "\n\n\ndef total(values):\n"),
    "another layout": ("return [1, 2, 3]", "return [\n        1,\n        2,\n        3,\n    ]"),
    "a move": ("RATE = 2\n", "\n\nX = 1\n\n\ndef other(): pass\n\nRATE = 2\n"),
    "a function that is not called": ("def total(values):", "def more(): return 5\n\n\ndef total(values):"),
    "another serializer": ("@chkpt.Stage.wrap()\ndef numbers", "@chkpt.Stage.wrap(serializer='json')\ndef numbers"),
}


@pytest.mark.parametrize("edit", HARMLESS)
def test_what_does_not_change_the_code_does_not_count(project: Project, edit: str) -> None:
    """Comments, blank lines, layout, moves and what no stage goes to leave every result as good as it was."""
    project.edit(*HARMLESS[edit])
    assert project.steps() == LOADED


CHANGES = {
    "the stage": ("summed", "math.floor(0.5)", "math.floor(1.5)", "job", "code changed"),
    "a helper": ("summed", "return sum(values)", "return 1 + sum(values)", "job", "code of total changed"),
    "a global of a helper": ("summed", "RATE = 2", "RATE = 3", "job", "value of RATE changed"),
    "a method": ("summed", "value * self.factor", "self.factor", "job", "code of Table.grown changed"),
    "a member of a class": ("summed", "factor = 3", "factor = 4", "job", "members of Table changed"),
    "another module": ("scaled", "min(value, LIMIT)", "max(value, LIMIT)", "job_helpers", "code of clean changed"),
    "a global of another module": ("scaled", "LIMIT = 100", "LIMIT = 99", "job_helpers", "value of LIMIT changed"),
    "a default": ("scaled", "power=1", "power=2", "job", "code changed, defaults of scaled changed"),
    "a value that can change in place": ("scaled", '"b": [2]', '"b": [2.0]', "job", "value of RATES changed"),
    "an input": ("numbers", "[1, 2, 3]", "[1, 2, 4]", "job", "code changed"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_the_result_makes_it_run_again_and_says_why(project: Project, change: str) -> None:
    """Code, called code and the values that it reads count; what comes later runs because its input has changed."""
    stage, old, new, module, reason = CHANGES[change]
    project.edit(old, new, module)
    steps = project.steps()
    assert steps[stage] == ("run", reason)
    later = list(steps)[list(steps).index(stage) + 1 :]
    assert [steps[each] for each in later] == [("run", "input values changed")] * len(later)
    before = list(steps)[: list(steps).index(stage)]
    assert [steps[each][0] for each in before] == ["skip"] * max(0, len(before) - 1) + ["load"] * min(1, len(before))
    project.pipeline()(project.config)
    assert project.steps() == LOADED


LOOKED_UP = {
    "an import in the function": "import job_helpers as theirs\n    return [theirs.clean(value)",
    "a name imported in the function": "from job_helpers import clean as theirs\n    return [theirs(value)",
    "an attribute by its name": 'return [getattr(job_helpers, "cl" + "ean")(value)',
    "a dictionary of functions": 'table = {"clean": job_helpers.clean}\n    return [table["clean"](value)',
    "a module in a variable": "theirs = job_helpers\n    return [theirs.clean(value)",
}


@pytest.mark.parametrize("way", LOOKED_UP)
def test_helpers_are_found_in_whatever_way_they_are_called(project: Project, way: str) -> None:
    """What a stage goes to counts, also where only running it tells which function of a module that is."""
    project.edit("return [job_helpers.clean(value)", LOOKED_UP[way])
    project.pipeline()(project.config)
    assert project.steps()["summed"] == ("load", "stored")
    project.edit("min(value, LIMIT)", "max(value, LIMIT)", "job_helpers")
    assert project.steps()["scaled"] == ("run", "code of clean changed")


def test_a_namesake_elsewhere_says_nothing_of_a_stage(project: Project) -> None:
    """Two programs have a stage called `numbers`, and one store: what the other one stored is no earlier version of this one."""
    other = project.path / "other.py"
    other.write_text("def numbers():\n    return [4]\n")
    spec = spec_from_file_location("other", other)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    (step,) = chkpt.Pipeline(chkpt.Stage(module.numbers)).plan(project.config)
    assert (step.action, step.why) == ("run", "never stored")


def test_of_many_changes_a_few_are_told(tmp_path: Path) -> None:
    """A stage with a hundred inputs does not fill the screen."""
    config = chkpt.Config(load=True, dir=tmp_path, progress=False)
    last = chkpt.Stage(lambda *a: len(a), name="last")
    for shift in (0, 1):
        sources = tuple(chkpt.Stage(partial(int, number + shift), name=f"source{number}") for number in range(10))
        plan = (sources >> last).plan(config)
        (sources >> last)(config)
    assert plan[-1].why == "input a[0] changed, input a[1] changed, input a[2] changed, input a[3] changed, and 6 more"


def test_going_back_finds_the_old_results(project: Project) -> None:
    """Results of both versions are kept: undoing an edit runs nothing."""
    project.edit("RATE = 2", "RATE = 3")
    assert project.pipeline()(project.config) == 54
    project.edit("RATE = 3", "RATE = 2")
    assert project.steps() == LOADED
    assert project.pipeline()(project.config) == 36


def test_an_edit_after_the_import_does_not_count_before_the_next(project: Project) -> None:
    """The key is that of the code that runs, not of the file as it is now."""
    pipeline = project.pipeline()
    (project.path / "job.py").write_text(JOB.replace("sum(values)", "len(values)"))
    stage = chkpt.Stage(pipeline.stage.func)
    assert (pipeline.args[0] >> stage)(project.config) == 36
    project.edit("sum(values)", "len(values)")
    assert project.steps()["summed"][0] == "run"


def test_a_redefined_helper_counts_in_the_same_process(project: Project) -> None:
    """As in a notebook: what a name leads to now is what counts."""
    pipeline = project.pipeline()
    module = sys.modules["job"]
    assert [step.action for step in pipeline.plan(project.config)] == ["skip", "skip", "load"]
    module.total = lambda values: 1  # type: ignore[attr-defined]
    assert pipeline(project.config) == 3
    module.RATES["a"] = 5
    assert [step.why for step in pipeline.plan(project.config)][1] == "value of RATES changed"


def test_the_plan_is_a_table_and_data(project: Project) -> None:
    """Its text is aligned columns; it runs nothing, and changes no file."""
    before = sorted(path.name for path in (project.path / "results").iterdir())
    project.edit("sum(values)", "len(values)")
    plan = project.pipeline().plan(project.config)
    assert str(plan) == repr(plan) == "numbers  skip  nobody needs it\nscaled   load  stored\nsummed   run   code of total changed"
    assert plan.to_json()[0] == {"stage": "numbers", "action": "skip", "why": "nobody needs it"}
    assert sorted(path.name for path in (project.path / "results").iterdir()) == before


def test_the_plan_says_what_is_not_loaded(project: Project) -> None:
    """Without `load`, and without a Config, everything runs."""
    pipeline = project.pipeline()
    assert {step.why for step in pipeline.plan()} == {"nothing is loaded without a Config"}
    steps = pipeline.plan(chkpt.Config(load=["scaled"], dir=project.config.dir))
    assert [(step.action, step.why) for step in steps] == [
        ("skip", "nobody needs it"),
        ("load", "stored"),
        ("run", "it is not to be loaded"),
    ]


def stages_around(value: Any) -> chkpt.Stage:
    """Return a stage that reads a value."""

    def stage() -> bool:
        return value is None

    return chkpt.Stage(stage)


def test_what_cannot_be_hashed_is_computed_again_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An open file says nothing about what is in it: the stage runs each time, and so does what takes its result."""
    with (tmp_path / "open").open("w") as file:
        stage = stages_around(file)
        pipeline = stage >> chkpt.Stage(lambda x: not x, name="after")
        config = chkpt.Config(load=True, dir=tmp_path / "results")
        assert pipeline(config) is True
        reason = "value cannot be hashed: TypeError: cannot pickle"
        steps = pipeline.plan(config)
        assert steps[0].action == "run"
        assert steps[0].why.startswith(reason)
        assert (steps[1].action, steps[1].why) == ("run", "input x cannot be hashed")
        assert f"[stage] running: {reason}" in capsys.readouterr().err
        assert not (tmp_path / "results").exists()
        chkpt.Pipeline(stage)(chkpt.Config(load=True, dir=tmp_path / "results", key="name"))
        assert (tmp_path / "results" / "stage").exists()


def shouting(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda: function() + "!"


SAME: dict[str, Callable[[], Any]] = {
    "a set of texts": lambda: {"one", "two", "three"},
    "a path": lambda: Path("a") / "b",
    "bytes": lambda: b"abc",
    "nested data": lambda: {"a": [(1, 2.5), None, True], "b": {1, 2}},
    "a lock": threading.Lock,
    "a cycle": lambda: [_cycle()],
    "an object": lambda: _Point(1, 2),
}


class _Point:
    def __init__(self, x: float, y: float) -> None:
        self.x, self.y = x, y


def _cycle() -> list[Any]:
    made: list[Any] = [1]
    made.append(made)
    return made


@pytest.mark.parametrize("kind", SAME)
def test_equal_values_are_the_same_value(tmp_path: Path, kind: str) -> None:
    """A value is known by what it holds, not by which object it is."""
    config = chkpt.Config(load=True, dir=tmp_path)
    one, two = (config.get_checkpoint_path(stages_around(SAME[kind]())) for _ in range(2))
    assert one == two


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (1, 1.0),
        (1, True),
        ([1], (1,)),
        ("a", b"a"),
        ({"a": 1, "b": 2}, {"a": 1}),
        (_Point(1, 2), _Point(1, 3)),
        (0.0, -0.0),
        ([[], 1], [[1]]),
    ],
)
def test_different_values_are_different(tmp_path: Path, one: object, two: object) -> None:
    """Types count, and so does every part."""
    config = chkpt.Config(load=True, dir=tmp_path)
    assert config.get_checkpoint_path(stages_around(one)) != config.get_checkpoint_path(stages_around(two))


def test_what_a_run_changes_in_a_value_does_not_make_the_stage_another(tmp_path: Path) -> None:
    """A list that a stage appends to, and a counter that it sets, are for the next run what they were for the first."""
    seen: list[int] = []
    count = 0

    def stage() -> int:
        nonlocal count
        count += 1
        seen.append(count)
        return count

    pipeline = chkpt.Pipeline(chkpt.Stage(stage))
    config = chkpt.Config(load=True, dir=tmp_path)
    assert [pipeline(config) for _ in range(3)] == [1, 1, 1]
    assert seen == [1]
    seen.append(7)
    assert pipeline(config) == 2


def test_decorators_of_the_project_count(tmp_path: Path) -> None:
    """A stage below a decorator is the decorated function, with the code of both."""
    config = chkpt.Config(load=True, dir=tmp_path)

    def made(word: str) -> str:
        def decorate(function: Callable[[], str]) -> Callable[[], str]:
            return lambda: function() + word

        return config.get_checkpoint_path(chkpt.Stage(decorate(lambda: "a"), name="x"))

    assert made("b") == made("b") != made("c")


def test_the_same_stage_with_other_inputs_is_another_node(tmp_path: Path) -> None:
    """Each node has a result of its own, and each is found again."""
    one, two = chkpt.Stage(lambda: 1, name="one"), chkpt.Stage(lambda: 2, name="two")
    double = chkpt.Stage(lambda x: 2 * x, name="double")
    pipeline = (one >> double, two >> double) >> chkpt.Stage(lambda a, b: [a, b], name="both")
    config = chkpt.Config(load=["double", "one", "two"], dir=tmp_path)
    assert pipeline(config) == pipeline(config) == [2, 4]
    assert [step.action for step in pipeline.plan(config)] == ["skip", "load", "skip", "load", "run"]


def test_key_name_is_chkpts_plain_behaviour(tmp_path: Path) -> None:
    """A result is used whatever made it; two nodes of one name are an error, since each would get the other's."""
    config = chkpt.Config(load=True, key="name", dir=tmp_path)
    one, other = chkpt.Stage(lambda: 1, name="one"), chkpt.Stage(lambda: 2, name="one")
    assert chkpt.Pipeline(one)(config) == chkpt.Pipeline(other)(config) == 1
    assert (tmp_path / "one").read_text().endswith('"result":\n1}\n')
    with pytest.raises(UsageError, match="Two nodes are called 'one'"):
        ((one, other) >> chkpt.Stage(lambda a, b: a))(config)


def test_a_stage_may_be_anything_that_can_be_called(tmp_path: Path) -> None:
    """Builtins, partial functions, classes and objects with `__call__` are stages with keys."""

    class Call:
        def __call__(self) -> list[int]:
            return [3, 1]

    pipeline = chkpt.Stage(Call()) >> chkpt.Stage(sorted) >> chkpt.Stage(partial(map, str), name="texts") >> chkpt.Stage(tuple)
    config = chkpt.Config(load=True, store=["sorted", "tuple"], dir=tmp_path)
    assert pipeline(config) == pipeline(config) == ("1", "3")
    assert pipeline.plan(config)[-1].action == "load"


def test_results_are_found_from_the_script_and_from_its_module(tmp_path: Path, home: Path) -> None:
    """What `python job.py` stored is loaded where the same file is imported, in a process with other hashes of texts."""
    text = (
        JOB.replace("import job_helpers\n", "")
        .replace("job_helpers.clean(value)", "value")
        .replace("RATE = 2\n", 'RATE = 2\nKINDS = {"a", "b", "c"}\n')
    )
    text = text.replace("return [1, 2, 3]", "return [1, 2, len(KINDS)]")
    (tmp_path / "job.py").write_text(f'{text}\n\nif __name__ == "__main__":\n    pipeline(chkpt.Config(load=True))\n')
    ours = {"PYCKPT_DIR": str(tmp_path / "store"), "PYTHONHASHSEED": "1"}
    python("job.py", cwd=tmp_path, environ=ours)
    done = python("-m", "ckpt", "plan", "job:pipeline", cwd=tmp_path, environ=ours | {"PYTHONHASHSEED": "2"})
    assert done.stdout == "numbers  skip  nobody needs it\nscaled   skip  nobody needs it\nsummed   load  stored\n"
