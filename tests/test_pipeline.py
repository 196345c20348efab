"""Stages, the graphs that are made of them, and what a run of one does in a single process."""

from __future__ import annotations

import gc
import pickle
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import ckpt
from ckpt import pipeline as chkpt
from ckpt._store.store import Store
from ckpt.errors import CkptError, CkptWarning, StoreError, UsageError
from ckpt.pipeline import graphs
from tests.processes import python

#: The code blocks of the README of chkpt 0.1.0 (MIT, Matthew Suozzo), in order, with only the import changed; its last one is a program.
README_TEXT = """
@chkpt.Stage.wrap()
def stage1():
  return "123"

# stage1 is now a Stage instance
assert isinstance(stage1, chkpt.Stage)

# but the original function is still accessible
assert stage1.func() == "123"
-----
@chkpt.Stage.wrap()
def stage2(stage1_input):
  return [stage1_input, "456"]
-----
# Each defines a pipeline calculating `stage1` and passing its output to `stage2`.
pipeline = stage1 >> stage2
pipeline = stage2 << stage1
pipeline = stage2 << (stage1,)
pipeline = (stage1,) >> stage2
pipeline = () >> stage1 >> stage2
-----
result1 = (stage1, stage2) >> stage3
result2 = (result1, stage1) >> stage4
pipeline = result2 >> stage5
-----
result = pipeline()
-----
# Will store all stage results and attempt to load already-stored results, if present.
result = pipeline(chkpt.Config(store=True, load=True, dir='/tmp'))
-----
from ckpt import pipeline as chkpt


@chkpt.Stage.wrap()
def make_dataset1():
  ...

@chkpt.Stage.wrap()
def big_download2():
  ...

@chkpt.Stage.wrap()
def work_in_progress_analysis(dataset1, dataset2):
  ...

pipeline = (make_dataset1, big_download2) >> work_in_progress_analysis
# Work-intensive inputs only run once, caching on reruns.
result = pipeline(chkpt.Config(load=[make_dataset1, big_download2]))
"""
README = README_TEXT.split("-----")
#: What the README takes for granted between its blocks.
ELSEWHERE = """
@chkpt.Stage.wrap()
def stage3(one, two):
  return {"one": one, "two": two}

@chkpt.Stage.wrap()
def stage4(one, two):
  return [one, two]

@chkpt.Stage.wrap()
def stage5(one):
  return {"five": one}
"""


@pytest.fixture(autouse=True)
def _store(store: Store) -> None:
    """Every test has a store of its own."""


def counted(function: Callable[..., Any], runs: list[str], name: str) -> chkpt.Stage:
    """Return a stage that notes when it runs."""

    def call(*args: Any) -> Any:
        runs.append(name)
        return function(*args)

    return chkpt.Stage(call, name=name)


def readme(count: int, tmp_path: Path, names: dict[str, Any]) -> dict[str, Any]:
    """Run the first blocks of the README, with results in `tmp_path`."""
    for number, block in enumerate(README[:count]):
        if number == 3:
            exec(ELSEWHERE, names)
        exec(compile(block.replace("'/tmp'", repr(str(tmp_path))), f"block{number}", "exec"), names)
    return names


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_readme_of_chkpt_composes(count: int, tmp_path: Path) -> None:
    """Stages are defined and composed as in chkpt, without a change but the import."""
    names = readme(count, tmp_path, {"chkpt": chkpt})
    assert names["stage1"]() == "123"


def test_the_readme_of_chkpt_runs(tmp_path: Path) -> None:
    """Its pipelines run; of its two-armed one the second stage needs, as in chkpt, to be one without inputs."""
    names = readme(3, tmp_path, {"chkpt": chkpt})
    for block in README[4:6]:
        exec(block.replace("'/tmp'", repr(str(tmp_path))), names)
        assert names["result"] == ["123", "456"]
    exec("@chkpt.Stage.wrap()\ndef stage2():\n  return '456'\n", names)
    for block in (ELSEWHERE, *README[3:6]):
        exec(block.replace("'/tmp'", repr(str(tmp_path))), names)
    assert names["result"] == {"five": [{"one": "123", "two": "456"}, "123"]}
    exec(README[6], names)
    assert names["result"] is None


def test_all_five_spellings_are_one_pipeline() -> None:
    """However a node is written, it is the same node, with the same result."""
    first, second = chkpt.Stage(lambda: 1, name="first"), chkpt.Stage(lambda x: x + 1, name="second")
    written = [first >> second, second << first, second << (first,), (first,) >> second, () >> first >> second, [first] >> second]
    assert len(set(written)) == 1
    assert written[0]() == 2


def test_results_are_inputs_in_the_order_that_is_written() -> None:
    """Pipelines and stages are mixed as inputs, and each arrives as the parameter in its place."""
    one, two = chkpt.Stage(lambda: "one"), chkpt.Stage(lambda: "two")
    join = chkpt.Stage(lambda a, b: (a, b))
    assert ((two, (one, two) >> join) >> join)() == ("two", ("one", "two"))


def plain() -> int:
    return 1


#: What a program without a type checker gives.
WRONG_TYPE: Any = 5
WRONG_TEXT: Any = "x"
WRONG_CLASS: Any = chkpt.Config


@chkpt.Stage.wrap()
def source() -> int:
    return 1


@chkpt.Stage.wrap()
def step(x: int) -> int:
    return x + 1


@chkpt.Stage.wrap()
def joined(x: int, y: int = 0) -> int:
    return x + y


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "too many inputs": (lambda: (source, source) >> step, r"'step' takes 1 input \(x\) and gets 2 in \(source, source\) >> step"),
    "too few inputs": (lambda: () >> step, r"'step' takes 1 input \(x\) and gets 0 in \(\) >> step"),
    "one too many of a few": (lambda: (source,) * 3 >> joined, r"'joined' takes 1 to 2 inputs \(x, y\) and gets 3"),
    "inputs for a source": (lambda: step >> source, r"'source' takes 0 inputs and gets 1 in step >> source"),
    "a first stage without its input": (lambda: step >> joined, r"'step' takes 1 input \(x\) and has none in step >> joined"),
    "a cycle": (lambda: (step,) >> joined >> step, r"A cycle: 'step' waits for its own result in joined >> step"),
    "a stage that feeds itself": (lambda: (step,) >> step, r"A cycle: 'step'"),
    "a function": (lambda: source >> plain, r"plain is no stage, beside 'source'"),
    "a function as input": (lambda: (source, plain) >> joined, r"plain is no stage, beside 'joined'"),
    "a number": (lambda: 5 >> step, r"5 is no stage, beside 'step'"),
    "a pipeline as consumer": (lambda: source >> (source >> step), r"source >> step has its inputs already"),
    "two pipelines": (lambda: (source >> step) >> (source >> step), r"has its inputs already"),
    "inputs for a pipeline": (lambda: (source >> step) << source, r"has its inputs already"),
    "a pipeline of a stage without its input": (lambda: chkpt.Pipeline(step), r"'step' takes 1 input \(x\) and gets 0"),
    "a pipeline of a number": (lambda: chkpt.Pipeline(WRONG_TYPE), r"A pipeline is made of a stage and its inputs, not of 5"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_composition_is_an_error_where_it_is_written(wrong: str) -> None:
    """Before anything runs, the line that composes raises, and names the stages."""
    compose, message = WRONG[wrong]
    with pytest.raises(UsageError, match=message):
        compose()


def test_a_stage_in_a_tuple_may_lack_inputs_until_it_is_run() -> None:
    """Chkpt's own examples write that; running or planning it is the error."""
    pipeline = (source, step) >> joined
    for use in (pipeline, pipeline.plan, pipeline.graph):
        with pytest.raises(UsageError, match=r"'step' takes 1 input \(x\) and has none"):
            use()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: chkpt.Stage(WRONG_TYPE), "made of a function, not of 5"),
        (lambda: chkpt.Stage(lambda *, a: a, name="odd"), "'odd' has a keyword-only parameter that nothing can fill: a"),
        (lambda: chkpt.Stage((_ for _ in ()).__class__.__iter__, serializer="xml"), "serializer is 'json' or 'pickle', not 'xml'"),
        (lambda: chkpt.Config(load="source"), "load is a bool or a list of stages, not 'source'"),
        (lambda: chkpt.Config(store=[WRONG_TYPE]), "store lists stages and their names, not 5"),
        (lambda: chkpt.Config(key="hash"), "key is 'code' or 'name', not 'hash'"),
        (lambda: chkpt.Config(serializer="xml"), "serializer is 'json' or 'pickle'"),
        (lambda: chkpt.Config(executor=WRONG_TYPE), "executor is a concurrent.futures.Executor, not 5"),
        (lambda: chkpt.Config(dir=WRONG_TYPE), "dir is a path or a URL, not 5"),
        (lambda: chkpt.Config(dir=""), "dir is a path or a URL, not ''"),
        (lambda: chkpt.Config(wait=-1), "wait is a number of seconds, not -1"),
        (lambda: chkpt.Config(wait=float("nan")), "wait is a number of seconds, not nan"),
        (lambda: chkpt.Config(wait=WRONG_TEXT), "wait is a number of seconds, not 'x'"),
        (lambda: chkpt.Config(progress=WRONG_TEXT), "progress is True, False or None, not 'x'"),
        (lambda: chkpt.Config(storage_options=WRONG_TYPE), "storage_options is a mapping, not 5"),
        (lambda: chkpt.Config(secret=""), "secret is a text"),
        (lambda: chkpt.Stage(plain, name=WRONG_TYPE), "name is a text, not 5"),
        (lambda: chkpt.Pipeline(source)(WRONG_TYPE), "A pipeline is called with a Config, not with 5"),
        (lambda: chkpt.Pipeline(source)(WRONG_CLASS), "A pipeline is called with a Config, not with <class"),
        (lambda: chkpt.Pipeline(source).plan(WRONG_TYPE), "A pipeline is called with a Config, not with 5"),
        (lambda: (source >> step)(chkpt.Config(load=["sorce"])), "load names 'sorce', and the pipeline has no such stage"),
        (lambda: (source >> step).plan(chkpt.Config(store=["sorce"])), "store names 'sorce', and the pipeline has no such stage"),
    ],
)
def test_what_cannot_work_is_said_at_once(make: Callable[[], Any], message: str) -> None:
    """A stage or a configuration that cannot work is a `UsageError` where it is made."""
    with pytest.raises(UsageError, match=re.escape(message)):
        make()


def test_a_name_that_is_nearly_that_of_a_stage_is_suggested(tmp_path: Path) -> None:
    """Stages themselves may be listed that are not in the pipeline: several can share a Config."""
    with pytest.raises(UsageError) as caught:
        (source >> step)(chkpt.Config(load=["sorce"]))
    assert caught.value.hint == "load=['source']"
    assert (source >> step)(chkpt.Config(load=[joined, source], dir=tmp_path, progress=False)) == 2


def test_the_config_has_the_name_it_has_in_chkpt() -> None:
    """`pipeline(cfg=...)` is how chkpt's own parameter is called."""
    assert (source >> step)(cfg=chkpt.Config(store=False, progress=False)) == 2


async def asynchronous() -> None: ...
def generating() -> Any:
    yield 1


@pytest.mark.parametrize("function", [asynchronous, generating])
def test_a_stage_returns_its_result(function: Callable[..., Any]) -> None:
    """A coroutine or a generator is no result that could be kept."""
    with pytest.raises(UsageError, match=f"'{function.__name__}' must return its result"):
        chkpt.Stage(function)


def test_a_node_runs_once_per_run_however_many_consumers_it_has() -> None:
    """A diamond chain of depth 30 runs 31 stages, not 2^30, and composing it takes no longer."""
    runs: list[str] = []
    first = counted(lambda: 1, runs, "first")
    add = counted(lambda a, b: a + b, runs, "add")
    node = () >> first
    for _ in range(30):
        node = (node, node) >> add
    assert node() == 2**30
    assert len(runs) == 31
    assert len(repr(node)) < 100


def test_equal_graphs_are_equal_without_being_walked() -> None:
    """Two graphs of depth 60 that were written apart are the same object, and vanish when nobody holds them."""

    def chain() -> chkpt.Pipeline:
        node = chkpt.Pipeline(source)
        for _ in range(60):
            node = (node, node) >> joined
        return node

    assert chain() is chain()
    before = len(graphs._known)
    kept = chain()
    assert len(graphs._known) >= before
    del kept
    gc.collect()
    assert len(graphs._known) <= before


def test_a_chain_may_be_longer_than_the_recursion_limit() -> None:
    """Three thousand stages in a row run."""
    node = chkpt.Pipeline(source)
    for _ in range(3000):
        node = node >> step
    assert node(chkpt.Config(store=False, progress=False)) == 3001


def test_a_pipeline_alone_stores_and_loads_nothing(tmp_path: Path) -> None:
    """`pipeline()` runs every stage each time and leaves no file."""
    runs: list[str] = []
    pipeline = counted(lambda: 1, runs, "one") >> counted(lambda x: x, runs, "two")
    assert (pipeline(), pipeline()) == (1, 1)
    assert runs == ["one", "two"] * 2
    assert not (tmp_path / ".pyckpt").exists()


def test_by_default_results_are_stored_in_the_store_and_not_loaded(tmp_path: Path) -> None:
    """`Config()` keeps results in `pipelines/` of the store, for this user alone; loading is asked for."""
    runs: list[str] = []
    pipeline = chkpt.Pipeline(counted(lambda: [1], runs, "one"))
    assert pipeline(chkpt.Config()) == pipeline(chkpt.Config()) == [1]
    assert runs == ["one", "one"]
    (file,) = (tmp_path / ".pyckpt" / "pipelines").glob("one-*")
    assert file.stat().st_mode & 0o777 == 0o600
    assert pipeline(chkpt.Config(load=True)) == [1]
    assert runs == ["one", "one"]


@pytest.mark.parametrize("by", [lambda stage: stage, str])
def test_load_and_store_can_name_stages(tmp_path: Path, by: Callable[[chkpt.Stage], Any]) -> None:
    """Lists of stages or of their names say whose results are stored and loaded; the others run whenever they are needed."""
    runs: list[str] = []
    first, second, third = (counted(lambda *args: len(args), runs, name) for name in ("first", "second", "third"))
    pipeline = first >> second >> third
    pipeline(chkpt.Config(store=[by(second)], dir=tmp_path / "results"))
    assert [path.name.partition("-")[0] for path in (tmp_path / "results").glob("[a-z]*")] == ["second"]
    runs.clear()
    pipeline(chkpt.Config(load=[by(second)], store=False, dir=tmp_path / "results"))
    assert runs == ["third"]


def test_a_warm_run_reads_only_the_last_result(tmp_path: Path) -> None:
    """With everything stored, the results of the stages before it need not even be there."""
    node = chkpt.Pipeline(source)
    for _ in range(100):
        node = node >> step
    config = chkpt.Config(load=True, dir=tmp_path / "results", progress=False)
    assert node(config) == 101
    last = Path(config.get_checkpoint_path(node))
    for path in (tmp_path / "results").iterdir():
        if path != last:
            path.unlink()
    assert node(config) == 101
    assert list((tmp_path / "results").iterdir()) == [last]


def test_the_methods_of_chkpts_config_are_there(tmp_path: Path) -> None:
    """`should_load`, `should_store` and `get_checkpoint_path` answer as in chkpt."""
    config = chkpt.Config([source], ["step"], str(tmp_path), key="name")
    assert (config.should_load(source), config.should_load(step)) == (True, False)
    assert (config.should_store(source), config.should_store(step)) == (False, True)
    assert config.get_checkpoint_path(source) == f"{tmp_path}/source"
    assert (str(source), repr(source)) == ("source", "Stage[source]")


def test_plain_lines_tell_what_happens(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal each stage says on standard error when it begins and ends, and what was loaded."""
    pipeline = source >> step
    pipeline(chkpt.Config(load=True))
    pipeline(chkpt.Config(load=True))
    told = capsys.readouterr()
    lines = [re.sub(r"[\d.]+ [mu]s", "N ms", re.sub(r"\d+ bytes", "N bytes", line)) for line in told.err.splitlines()]
    assert lines == [
        "[source] running: never stored",
        "[source] done in N ms, N bytes",
        "[step] running: never stored",
        "[step] done in N ms, N bytes",
        "[step] loaded",
    ]
    assert told.out == ""
    pipeline(chkpt.Config(load=True, progress=False))
    assert capsys.readouterr().err == ""


@chkpt.Stage.wrap()
def broken(x: int) -> int:
    wanted = x * 10
    raise ValueError(f"no {wanted}")


def test_a_failing_stage_is_captured_and_the_rest_is_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its exception arrives, a line says how to debug it, what does not depend on it is kept, and the next run goes on from there."""
    runs: list[str] = []
    other = counted(lambda x: x + 5, runs, "other")
    pipeline = (source >> broken, source >> other) >> joined
    config = chkpt.Config(load=True, dir=tmp_path / "results")
    with pytest.raises(ValueError, match="no 10"):
        pipeline(config)
    lines = capsys.readouterr().err.splitlines()
    assert "ckpt debug broken" in lines
    assert "[joined] not run: an input is missing" in lines
    assert any(re.fullmatch(r"\[broken\] failed after .* ms: ValueError: no 10", line) for line in lines)
    capture = ckpt.load("broken")
    assert capture.locals == {"x": 1, "wanted": 10}
    assert capture.replay().verdict == "same failure"
    assert runs == ["other"]
    assert [step.action for step in pipeline.plan(config)] == ["load", "run", "load", "run"]


class Ratio:
    def __init__(self, of: int) -> None:
        self.of = of

    def to(self) -> float:
        return 1 / self.of

    def __call__(self) -> float:
        return 1 / self.of


@pytest.mark.parametrize("make", [lambda: Ratio(0).to, lambda: Ratio(0), lambda: partial(Ratio.to, Ratio(0))])
def test_whatever_a_stage_is_made_of_its_failure_is_captured(make: Callable[[], Any], capsys: pytest.CaptureFixture[str]) -> None:
    """A method, an object that can be called, a partial function: with the object it is bound to."""
    with pytest.raises(ZeroDivisionError):
        chkpt.Pipeline(chkpt.Stage(make(), name="ratio"))()
    assert "ckpt debug ratio" in capsys.readouterr().err.splitlines()
    assert ckpt.load("ratio").frames[-1].locals["self"].of == 0


@pytest.mark.parametrize("place", ["a file", "below a file"])
def test_a_place_that_cannot_be_is_said_before_anything_runs(tmp_path: Path, place: str) -> None:
    """Not after each stage: hours may lie behind it."""
    runs: list[str] = []
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" if place == "a file" else tmp_path / "file" / "results"
    for load in (True, False):
        with pytest.raises(StoreError, match=f"{path.name}'"):
            chkpt.Pipeline(counted(lambda: 1, runs, "one"))(chkpt.Config(load=load, dir=path, key="name"))
    assert runs == []


def test_a_tilde_is_the_home_directory(home: Path) -> None:
    """As a shell reads it."""
    chkpt.Pipeline(source)(chkpt.Config(dir="~/results", key="name", progress=False))
    assert (home / "results" / "source").exists()


def test_a_failure_is_the_programs_own(tmp_path: Path) -> None:
    """What the stage raised is what the caller gets: the same object, with the stage's own lines in its traceback."""
    error = ValueError("mine")

    def failing() -> None:
        raise error

    with pytest.raises(ValueError, match="mine") as caught:
        chkpt.Pipeline(chkpt.Stage(failing))()
    assert caught.value is error
    assert caught.traceback[-1].name == "failing"


LEAVING = """
import os
import signal
import sys
from ckpt import pipeline as chkpt


@chkpt.Stage.wrap()
def leaving():
    if sys.argv[1] == "exit":
        sys.exit(3)
    if sys.argv[1] == "handler":
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(4))
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)


@chkpt.Stage.wrap()
def other():
    return 1


@chkpt.Stage.wrap()
def both(leaving, other):
    return other


((leaving, other) >> both)(chkpt.Config(load=True))
"""


@pytest.mark.parametrize(
    ("way", "code", "said"),
    [
        ("exit", 3, "no capture was made of leaving: it has called sys.exit()"),
        ("handler", 4, "no capture was made of leaving: it has called sys.exit()"),
        ("interrupt", -2, "ckpt debug leaving"),
    ],
)
@pytest.mark.usefixtures("home")
def test_a_stage_that_leaves_says_so(script: Callable[[str], Path], way: str, code: int, said: str) -> None:
    """`sys.exit()` fails its stage and ends the program when the others are done; what a signal brings ends it at once."""
    path = script(LEAVING)
    done = python(path, way, cwd=path.parent, check=False, environ={"PYCKPT_DIR": str(path.parent / "store")})
    lines = done.stderr.splitlines()
    assert done.returncode == code
    assert any(line.startswith("[leaving] failed after ") for line in lines)
    assert said in lines
    assert any(line.startswith("[other] done") for line in lines) == (way == "exit")


def test_results_are_forgotten_when_nobody_needs_them() -> None:
    """A long pipeline holds the results in use, not all of them."""
    alive: list[int] = []

    class Big:
        pass

    def make(previous: Any = None) -> Big:
        alive.append(sum(isinstance(each, Big) for each in gc.get_objects()))
        return Big()

    node = chkpt.Pipeline(chkpt.Stage(make))
    for _ in range(10):
        node = node >> chkpt.Stage(make)
    node(chkpt.Config(store=False))
    assert max(alive) <= 2


def test_stages_and_pipelines_can_be_pickled() -> None:
    """By reference where an import finds them: then they are the same objects."""
    module = type(pickle)("found_by_import")
    exec("from ckpt import pipeline\n@pipeline.Stage.wrap()\ndef one(): return 1", module.__dict__)
    stage = module.one
    stage.func.__module__ = "found_by_import"
    import sys

    sys.modules["found_by_import"] = module
    try:
        assert pickle.loads(pickle.dumps(stage)) is stage
        node = stage >> chkpt.Stage(int, name="number")
        assert pickle.loads(pickle.dumps(node)) is node
    finally:
        del sys.modules["found_by_import"]


def test_the_graph_is_mermaid_and_a_picture() -> None:
    """`graph()` is a text with the names of stages and parameters, safe in Mermaid, and in a notebook a picture."""
    pipeline = (source, source >> chkpt.Stage(lambda x: x, name='a "b"<c>')) >> joined
    graph = pipeline.graph()
    assert graph.splitlines() == [
        "flowchart TD",
        '    n0["source"]',
        '    n1["a #34;b#34;#60;c#62;"]',
        '    n2["joined"]',
        '    n0 -->|"x"| n1',
        '    n0 -->|"x"| n2',
        '    n1 -->|"y"| n2',
    ]
    shown = pipeline._repr_mimebundle_()
    assert shown["text/plain"] == graph
    from xml.etree import ElementTree as ET

    texts = [each.text for each in ET.fromstring(shown["image/svg+xml"]).iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["source", 'a "b"<c>', "joined"]


def test_a_notebook_shows_the_picture() -> None:
    """IPython finds the SVG of a pipeline and of its graph."""
    from IPython.core.formatters import DisplayFormatter

    formatter: Any = DisplayFormatter()
    pipeline = source >> step
    for shown in (pipeline, pipeline.graph()):
        data, _ = formatter.format(shown)
        assert data["image/svg+xml"].startswith("<svg ")


def test_our_errors_are_ckpt_errors() -> None:
    """Whoever catches `CkptError` catches a wrong composition, and warnings are `CkptWarning`s."""
    assert issubclass(UsageError, CkptError)
    assert issubclass(CkptWarning, UserWarning)
