"""Names and their forms, what is switched on and off, and the tags."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import polars as pl
import pytest

import ckpt
from ckpt import checkpoints
from ckpt._model.placeholder import Placeholder
from ckpt._model.replaying import replaying
from ckpt._store.store import Store
from ckpt.checkpoints import DictHandler, checkpoint, only_tags, tags, with_checkpoint_tags
from ckpt.checkpoints.registry import resting, resting_under
from ckpt.errors import CheckpointDeprecationWarning, CkptWarning, ExistsError, UsageError
from tests.processes import python

pytestmark = pytest.mark.usefixtures("names")


class Untouchable:
    """Whoever looks at it fails the test."""

    def __getattribute__(self, name: str) -> Any:
        pytest.fail(f"{name} was looked at")

    __hash__ = __eq__ = __bool__ = __repr__ = __reduce__ = __len__ = __iter__ = lambda *args: pytest.fail("it was used")


class Noting:
    """A handler of somebody else's."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, Any, dict[str, Any]]] = []

    def put(self, name: str, tags: Any, values: Mapping[str, Any]) -> None:
        self.notes.append((name, tags, dict(values)))


@pytest.fixture
def handler() -> DictHandler:
    checkpoints.register("MyPackage", ["foo", "bar"])
    handler = DictHandler()
    checkpoints.config(handler, "MyPackage")
    return handler


# Forms


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("args", "values", "kept"),
    [
        (("MyPackage", "foo", 7), {}, {"data": 7}),
        (("MyPackage.foo", 7), {}, {"data": 7}),
        (("MyPackage.foo", {"x": 1, "y": 2}), {}, {"x": 1, "y": 2}),
        (("MyPackage", "foo", {"x": 1}), {}, {"x": 1}),
        (("MyPackage.foo",), {"x": 1, "y": 2}, {"x": 1, "y": 2}),
        (("MyPackage", "foo"), {"x": 1, "y": 2}, {"x": 1, "y": 2}),
        (("MyPackage.foo", "a text"), {}, {"data": "a text"}),
        (("MyPackage", "foo", "a text"), {}, {"data": "a text"}),
        (("MyPackage.foo", {1: "no text as key"}), {}, {"data": {1: "no text as key"}}),
        (("MyPackage.foo", None), {}, {"data": None}),
        (("MyPackage.foo",), {}, {}),
        (
            ("MyPackage.foo",),
            {"first": 1, "second": 2, "name": 3, "data": 4, "handler": 5},
            {"first": 1, "second": 2, "name": 3, "data": 4, "handler": 5},
        ),
    ],
)
def test_all_forms_of_a_checkpoint(handler: DictHandler, args: Any, values: Any, kept: Any) -> None:
    """Prefix, name and data come in one text or two; a dict and keywords are values under their names, anything else is `data`."""
    checkpoint(*args, **values)
    assert handler.objects == {"MyPackage/foo": kept}


def test_two_texts_are_a_name_and_its_data(handler: DictHandler) -> None:
    """`checkpoint("MyPackage", "foo")` is the checkpoint `MyPackage` with the data `"foo"`."""
    checkpoint("MyPackage", "foo")
    assert handler.objects == {"MyPackage": {"data": "foo"}}


def test_a_checkpoint_for_one_handler_needs_no_configuration() -> None:
    """A handler in place of the prefix is used at once, whatever is configured."""
    handler = DictHandler()
    with tags(iteration=1):
        checkpoint(handler, "MyPackage.foo", [1])
        checkpoint(handler, "MyPackage.bar", x=2)
    assert handler.objects == {"iteration=1/MyPackage/foo": {"data": [1]}, "iteration=1/MyPackage/bar": {"x": 2}}
    assert checkpoints.available() == []


@pytest.mark.parametrize(
    ("args", "values"),
    [
        (("MyPackage.foo", 7), {"x": 1}),
        (("MyPackage", "foo", 7), {"x": 1}),
        (("MyPackage.", 7), {}),
        (("MyPackage", ".foo", 7), {}),
        (("", 7), {}),
        ((7, "foo", 7), {}),
        (("MyPackage", 7, 7), {}),
        (([], 7), {}),
    ],
)
def test_unclear_calls_are_refused(args: Any, values: Any) -> None:
    """Data and values together, empty parts of a name, and what is neither name nor handler say what is wrong, configured or not."""
    with pytest.raises(UsageError):
        checkpoint(*args, **values)
    assert checkpoints.available() == []


# Resting


def test_an_unconfigured_checkpoint_does_nothing() -> None:
    """It looks at nothing that it is given: not the first time, and not later, when all it does is to find that out."""
    checkpoints.register("MyPackage", ["foo"])
    for _ in range(3):
        checkpoint("MyPackage", "foo", Untouchable())
        checkpoint("MyPackage.foo", Untouchable())
        checkpoint("MyPackage", "foo", x=Untouchable())
    assert "MyPackage.foo" in resting
    assert "foo" in resting_under["MyPackage"]


def test_a_checkpoint_registers_its_name() -> None:
    """A name that nobody registered is known once it was called."""
    checkpoint("MyPackage", "new", 1)
    checkpoint("MyPackage.newer", 1)
    assert checkpoints.available() == ["MyPackage.new", "MyPackage.newer"]


def test_a_rest_ends_when_the_name_is_configured() -> None:
    """What was off for long is on from the call after `config`, in every form, and off again after `disable`."""
    handler = Noting()
    for _ in range(2):
        checkpoint("MyPackage", "foo", 1)
        checkpoint("MyPackage.foo", 1)
    checkpoints.config("MyPackage.foo", handler)
    checkpoint("MyPackage", "foo", 2)
    checkpoint("MyPackage.foo", 3)
    checkpoints.disable("MyPackage.foo")
    checkpoint("MyPackage", "foo", 4)
    checkpoint("MyPackage.foo", 5)
    assert [values["data"] for _, _, values in handler.notes] == [2, 3]


def test_no_thread_sleeps_through_a_configuration() -> None:
    """However a call and `config` meet, the next call is kept."""
    stop = threading.Event()
    checkpoints.register("MyPackage.foo")

    def fire() -> None:
        while not stop.is_set():
            checkpoint("MyPackage.foo", 1)

    thread = threading.Thread(target=fire)
    thread.start()
    try:
        for _ in range(300):
            handler = Noting()
            checkpoints.config(handler, ["MyPackage.foo"])
            checkpoint("MyPackage.foo", 2)
            assert "MyPackage.foo" not in resting
            assert ("MyPackage.foo", (), {"data": 2}) in handler.notes
            checkpoints.disable()
    finally:
        stop.set()
        thread.join()


def test_nothing_is_kept_while_a_capture_is_replayed(handler: DictHandler) -> None:
    """A replay records nothing, and writes no checkpoint either."""
    with replaying():
        checkpoint("MyPackage.foo", 1)
        with checkpoints.Session("MyPackage.foo") as session:
            session.checkpoint(1)
    assert handler.objects == {}


def test_importing_the_wing_is_cheap(tmp_path: Path) -> None:
    """A library that imports it loads no package of anybody else's, and no file is made."""
    look = "{name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names"
    text = f"import sys; before = {look}; import ckpt.checkpoints as c; c.checkpoint('A.b', 1); print(*sorted({look} - before))"
    assert python("-c", text, cwd=tmp_path).stdout.split() == ["ckpt"]
    assert [*tmp_path.rglob("*")] == [tmp_path / "home"]


def test_the_wing_is_reached_through_the_front_door(tmp_path: Path) -> None:
    """`import ckpt; ckpt.checkpoints` works, every public name is there, and no other."""
    look = (
        "c = ckpt.checkpoints; print(all(hasattr(c, name) for name in c.__all__), dir(c) == sorted(c.__all__), 'checkpoints' in dir(ckpt))"
    )
    assert python("-c", f"import ckpt; {look}", cwd=tmp_path).stdout.split() == ["True", "True", "True"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = checkpoints.nothing


# Configuring


def test_a_prefix_means_all_that_is_registered_under_it() -> None:
    """Up to a dot, not in the middle of a word."""
    checkpoints.register("MyPackage", ["foo", "sub.bar"])
    checkpoints.register(["MyPackages.foo", "Other.foo", "MyPackage"])
    handler = DictHandler()
    checkpoints.config("MyPackage", handler)
    assert checkpoints.available() == ["MyPackage.foo", "MyPackage.sub.bar", "MyPackages.foo", "Other.foo", "MyPackage"]
    assert checkpoints.enabled_checkpoints() == ["MyPackage.foo", "MyPackage.sub.bar", "MyPackage"]


def test_a_prefix_also_means_what_is_registered_later(handler: DictHandler) -> None:
    """A part of the library that is imported later is switched on as well."""
    checkpoints.register("MyPackage", ["late"])
    checkpoint("MyPackage.later", 1)
    assert checkpoints.enabled_checkpoints() == ["MyPackage.foo", "MyPackage.bar", "MyPackage.late", "MyPackage.later"]
    assert list(handler.objects) == ["MyPackage/later"]


def test_names_come_in_lists_and_the_last_word_counts() -> None:
    """A list configures just its names; a later `config` takes over what it means, and leaves the rest."""
    checkpoints.register("P", ["a", "b", "c"])
    first, second, third = Noting(), Noting(), Noting()
    checkpoints.config(["P.a", "P.b"], first)
    assert checkpoints.enabled_checkpoints() == ["P.a", "P.b"]
    checkpoints.config(second, ["P.b"])
    for name in "abc":
        checkpoint("P", name, 1)
    checkpoints.config("P", third)
    checkpoint("P.a", 2)
    assert [[name for name, _, _ in each.notes] for each in (first, second, third)] == [["P.a"], ["P.b"], ["P.a"]]


def test_the_forms_of_register() -> None:
    """A prefix with names, or full names; one or many; twice is harmless."""
    checkpoints.register("P", ["a", "b"])
    checkpoints.register("P", "c")
    checkpoints.register(("P.d", "P.a"))
    checkpoints.register("P.e")
    assert checkpoints.available() == ["P.a", "P.b", "P.c", "P.d", "P.e"]
    for wrong in ("", "P.", ".a", ["P..a"], 7, [7]):
        with pytest.raises(UsageError):
            checkpoints.register(wrong)  # type: ignore[arg-type]


def test_switching_off() -> None:
    """By name, list, prefix, or all at once; what was never registered stays off when it comes."""
    checkpoints.register("P", ["a", "b", "c", "d"])
    checkpoints.config("P", DictHandler())
    checkpoints.disable("P.a")
    checkpoints.disable("P", ["b"])
    with pytest.warns(CkptWarning, match="'P.late' is registered yet; it stays off"):
        checkpoints.disable("P.late")
    checkpoints.register("P.late")
    assert checkpoints.enabled_checkpoints() == ["P.c", "P.d"]
    checkpoints.disable()
    assert checkpoints.enabled_checkpoints() == []
    checkpoints.register("P.last")
    assert checkpoints.enabled_checkpoints() == []


def test_a_name_that_was_never_heard_of_cannot_be_switched_off_silently() -> None:
    """It may be a typing error; one that waits for its registration is switched off, and that is all."""
    checkpoints.register("P", ["foo"])
    with pytest.warns(CkptWarning, match=r"'P.fooo' is registered yet.*'P.foo'\?") as said:
        checkpoints.disable("P.fooo")
    assert said[0].filename == __file__
    with pytest.warns(CkptWarning, match="'Late' is registered yet; it is switched on"):
        checkpoints.config("Late", DictHandler())
    checkpoints.disable("Late")
    checkpoints.register("Late.foo")
    assert checkpoints.enabled_checkpoints() == []


def test_a_name_that_is_not_registered_takes_effect_when_it_is() -> None:
    """It is configured with a warning that names the line and the nearest name, alone or as a prefix."""
    checkpoints.register("MyPackage", ["foo"])
    handler = DictHandler()
    with pytest.warns(CkptWarning, match=r"'MyPackage.fooo' is registered yet.*'MyPackage.foo'\?") as said:
        checkpoints.config("MyPackage.fooo", handler)
    assert said[0].filename == __file__
    with pytest.warns(CkptWarning, match="'Other' is registered yet"):
        checkpoints.config(handler, "Other")
    assert checkpoints.enabled_checkpoints() == []
    checkpoints.register("MyPackage.fooo")
    checkpoint("Other", "foo", 1)
    assert checkpoints.enabled_checkpoints() == ["MyPackage.fooo", "Other.foo"]
    assert list(handler.objects) == ["Other/foo"]


def test_a_deprecated_name_configures_the_new_one() -> None:
    """With a warning, and where the library still calls the old name, it is the new one that is kept."""
    checkpoints.register("P", ["new", "old"])
    checkpoints.deprecate("P", "old", "new")
    checkpoints.deprecate("P.older", "P.old")
    assert checkpoints.deprecated_checkpoints() == {"P.old": "P.new", "P.older": "P.old"}
    assert checkpoints.available() == ["P.new"]
    handler = DictHandler(force=True)
    with pytest.warns(CheckpointDeprecationWarning, match="'P.older' is called 'P.new' now") as said:
        checkpoints.config("P.older", handler)
    assert said[0].filename == __file__
    assert checkpoints.enabled_checkpoints() == ["P.new"]
    checkpoint("P", "old", 1)
    assert handler.objects == {"P/new": {"data": 1}}
    assert issubclass(CheckpointDeprecationWarning, DeprecationWarning)


def test_a_name_may_be_deprecated_after_it_was_configured() -> None:
    """An application that configures before it imports the library gets the new name as well."""
    with pytest.warns(CkptWarning, match="'P.old' is registered yet"):
        checkpoints.config("P.old", DictHandler())
    with pytest.warns(CheckpointDeprecationWarning, match="'P.old' is called 'P.new' now"):
        checkpoints.deprecate("P", "old", "new")
    checkpoints.register("P", ["new"])
    assert checkpoints.enabled_checkpoints() == ["P.new"]


def test_a_prefix_means_what_has_left_it_for_a_new_name() -> None:
    """Whether the library or the application comes first; the last one that means the new name counts, whichever name it says."""
    checkpoints.deprecate("Old.x", "New.x")
    checkpoints.register("New", ["x"])
    first, second, third = Noting(), Noting(), Noting()
    with pytest.warns(CheckpointDeprecationWarning, match="'Old.x' is called 'New.x' now"):
        checkpoints.config("Old", first)
    checkpoint("New.x", 1)
    checkpoints.config("New", second)
    checkpoint("New.x", 2)
    with pytest.warns(CheckpointDeprecationWarning):
        checkpoints.config(["Old.x"], third)
    checkpoint("Old.x", 3)
    assert [[values["data"] for _, _, values in each.notes] for each in (first, second, third)] == [[1], [2], [3]]

    with pytest.warns(CkptWarning, match="'Older' is registered yet"):
        checkpoints.config("Older", first)
    with pytest.warns(CheckpointDeprecationWarning, match="'Older.y' is called 'Newer.y' now"):
        checkpoints.deprecate("Older.y", "Newer.y")
    checkpoint("Newer", "y", 4)
    assert first.notes[-1] == ("Newer.y", (), {"data": 4})


def test_a_prefix_says_nothing_of_names_that_changed_within_it() -> None:
    """Who configures the whole package did not use the old name."""
    checkpoints.register("P", ["new"])
    checkpoints.deprecate("P", "old", "new")
    checkpoints.config("P", DictHandler())
    checkpoints.deprecate("P", "older", "new")
    assert checkpoints.enabled_checkpoints() == ["P.new"]


def test_names_do_not_replace_each_other_in_a_circle() -> None:
    """A name that would lead back to itself is refused, and so is anything but two names with or without a prefix."""
    checkpoints.deprecate("P", "a", "b")
    for wrong in (("P", "b", "a"), ("P.c", "P.c"), ("P", "c", "c"), ("P",), ("P", "a", "b", "c")):
        with pytest.raises(UsageError):
            checkpoints.deprecate(*wrong)


def test_what_cannot_be_configured_says_so() -> None:
    """Neither path nor handler, options beside a complete handler, names that are none, no names, no path, unknown options."""
    wrong: tuple[Any, ...]
    for wrong in (
        *(("P.a", 7), ("P.a", None), ("P.a",), ("P.a", ""), (7, "./path"), ("", "./path"), ([], "./path"), ("P", [], "./path")),
        *((DictHandler(), 7), (DictHandler(),), (DictHandler(), []), (DictHandler(), "P", 7), ("P", 7, "./path")),
    ):
        with pytest.raises(UsageError):
            checkpoints.config(*wrong)
    for options in ({"format": "excel"}, {"overwrite": "never"}, {"unknown": 1}, {"format": "json", "unknown": 1}):
        with pytest.raises(UsageError):
            checkpoints.config("P.a", "./path", **options)
    with pytest.raises(UsageError):
        checkpoints.config("P.a", DictHandler(), force=True)
    assert checkpoints.enabled_checkpoints() == []


def test_a_prefix_and_names_are_two_parameters_for_config_too() -> None:
    """As for `register` and `disable`, with a path, or with a handler on either side."""
    checkpoints.register("P", ["a", "b", "c", "d"])
    checkpoints.config("P", ["a", "b"], "./path")
    checkpoints.config("P", "c", DictHandler())
    assert checkpoints.enabled_checkpoints() == ["P.a", "P.b", "P.c"]
    checkpoints.config(DictHandler(), "P", ["d"])
    assert checkpoints.enabled_checkpoints() == ["P.a", "P.b", "P.c", "P.d"]


# Handlers


@pytest.mark.parametrize(("given", "hint"), [(Noting, "Noting(...)"), (object(), "put(name, tags, values)")])
def test_what_is_nearly_a_handler_is_told_what_is_missing(given: Any, hint: str) -> None:
    """A class without its parentheses, and an object without the method, on either side of the names."""
    for both in ((given, "P.a"), ("P.a", given)):
        with pytest.raises(UsageError) as caught:
            checkpoints.config(*both)
        assert hint in caught.value.hint
    with pytest.raises(UsageError):
        checkpoint(given, "P.a", 1)


class Shared:
    """A class that is its own handler."""

    kept: ClassVar[list[str]] = []

    @classmethod
    def put(cls, name: str, tags: Any, values: Mapping[str, Any]) -> None:
        cls.kept.append(name)


def test_a_class_whose_method_is_its_own_is_a_handler() -> None:
    """What counts is whether `put` can be called."""
    checkpoint(Shared, "P.a", 1)
    assert Shared.kept.pop() == "P.a"


def test_any_object_with_the_method_is_a_handler() -> None:
    """Name, tags and values reach `put`, and what it raises reaches the program."""
    handler = Noting()
    checkpoints.register("P.a")
    checkpoints.config("P.a", handler)
    assert isinstance(handler, checkpoints.Handler)
    with tags(run=1):
        checkpoint("P", "a", x=1, y=2)
    assert handler.notes == [("P.a", (("run", 1),), {"x": 1, "y": 2})]
    del handler.notes
    with pytest.raises(AttributeError, match="notes"):
        checkpoint("P", "a", 1)


def test_a_dict_handler_keeps_values_under_their_path(handler: DictHandler) -> None:
    """Tags and name make the key."""
    with tags(date="2017-01-01"):
        checkpoint("MyPackage", "foo", [1, 2])
    assert handler.objects == {"date=2017-01-01/MyPackage/foo": {"data": [1, 2]}}


@dataclass
class Local:
    """Of a class that only this module has."""

    items: list[int]


def test_a_dict_handler_keeps_what_a_value_is_at_that_moment(handler: DictHandler) -> None:
    """What the program does to it afterwards does not show, and is another value when it comes again."""
    small, large, own = np.zeros(2), np.zeros(100_000), Local([1])
    checkpoint("MyPackage.foo", small=small, large=large, own=own)
    checkpoint("MyPackage.foo", small=small, large=large, own=own)
    own.items.append(2)
    with pytest.raises(ExistsError, match="'MyPackage/foo'"):
        checkpoint("MyPackage.foo", small=small, large=large, own=own)
    small += 1
    large += 1
    kept = handler.objects["MyPackage/foo"]
    assert (kept["small"].sum(), kept["large"].sum(), kept["own"]) == (0, 0, Local([1]))
    kept["large"][0] = 7
    assert large[0] == 1


def test_a_dict_handler_says_what_it_could_not_keep(handler: DictHandler) -> None:
    """As a file would: a placeholder, and a warning."""
    with pytest.warns(CkptWarning, match=r"'lock' in the checkpoint 'MyPackage.foo'.*cannot pickle") as said:
        checkpoint("MyPackage.foo", x=1, lock=threading.Lock())
    assert said[0].filename == __file__
    assert isinstance(handler.objects["MyPackage/foo"]["lock"], Placeholder)
    assert handler.objects["MyPackage/foo"]["x"] == 1


def test_a_dict_handler_refuses_another_value_under_the_same_key() -> None:
    """The same again is fine, whatever type it has; anything else only with `force`."""
    kept: dict[str, dict[str, Any]] = {}
    handler = DictHandler(kept)
    thing, loop = object(), []  # type: Any, list[Any]
    loop.append(loop)

    def values(last: float) -> dict[str, Any]:
        array = np.array([1.0, float("nan"), last])
        values = {"list": [float("nan"), (1, array)], "array": array, "pandas": pd.DataFrame({"a": array}), "polars": pl.Series(array)}
        return values | {"no comparison": [thing, last], "itself": [loop, last]}

    checkpoint(handler, "P.a", values(3.0))
    checkpoint(handler, "P.a", values(3.0))
    for name in values(3.0):
        with pytest.raises(ExistsError, match="'P/a'"):
            checkpoint(handler, "P.a", values(3.0) | {name: values(4.0)[name]})
    with pytest.raises(ExistsError):
        checkpoint(handler, "P.a", {**values(3.0), "more": 1})
    with pytest.raises(ExistsError):
        checkpoint(handler, "P.a", values(3.0) | {"array": np.array([1, 2, 3])})
    checkpoint(DictHandler(kept, force=True), "P.a", 1)
    assert kept == {"P/a": {"data": 1}}


# Tags


def test_tags_nest_and_repeat_in_order() -> None:
    """Through calls, outermost first; a name that comes again is repeated, and the block's end takes its own away."""

    def library() -> Any:
        with with_checkpoint_tags(("foo1", 1), ("foo1", 2), foo2=3):
            return checkpoints.current_tags()

    with tags(iteration=1), tags(foo1=0):
        assert library() == (("iteration", 1), ("foo1", 0), ("foo1", 1), ("foo1", 2), ("foo2", 3))
        with pytest.raises(ValueError, match="out"), tags(inner=1):
            raise ValueError("out")
        assert checkpoints.current_tags() == (("iteration", 1), ("foo1", 0))
    assert checkpoints.current_tags() == ()


@pytest.mark.parametrize("wrong", [("a", [1]), ("", 1), (1, 2), ("a",), "ab", None, ("a", 1, 2), ("a", object())])
def test_what_is_no_tag_is_refused(wrong: Any) -> None:
    """Values are texts, numbers, booleans or None, names texts; and a refused block leaves no tag behind."""
    with pytest.raises(UsageError), with_checkpoint_tags(("good", 1), wrong):
        pass
    assert checkpoints.current_tags() == ()


def test_captures_have_the_same_tags(store: Store) -> None:
    """A capture made inside carries what a checkpoint there would, in the same order."""

    @ckpt.ckpt
    def run() -> None:
        pass

    with tags(iteration=1), with_checkpoint_tags(("foo", 1), ("foo", "two")):
        run()
    assert store.headers()[0].tags == [["iteration", 1], ["foo", 1], ["foo", "two"]]


def test_threads_have_their_own_tags(handler: DictHandler) -> None:
    """What one thread tags no other sees; a thread takes tags along in a copied context."""
    barrier = threading.Barrier(4)

    def work(number: int) -> None:
        with tags(thread=number):
            barrier.wait(10)
            checkpoint("MyPackage.foo", number)
            barrier.wait(10)

    with tags(outer=1), ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
        pool.submit(copy_context().run, checkpoint, "MyPackage.bar", 1).result()
    kept = {f"thread={number}/MyPackage/foo": {"data": number} for number in range(4)} | {"outer=1/MyPackage/bar": {"data": 1}}
    assert handler.objects == kept


def test_tasks_have_their_own_tags(handler: DictHandler) -> None:
    """Tasks inherit the tags of whoever starts them and keep theirs across every await."""

    async def work(number: int) -> None:
        with tags(task=number):
            for step in range(3):
                await asyncio.sleep(0)
                with tags(step=step):
                    await asyncio.sleep(0)
                    checkpoint("MyPackage.foo", number)
            await asyncio.to_thread(checkpoint, "MyPackage.bar", number)

    async def main() -> None:
        with tags(outer=1):
            await asyncio.gather(*(work(number) for number in range(5)))
            assert checkpoints.current_tags() == (("outer", 1),)

    asyncio.run(main())
    foo = {f"outer=1/task={number}/step={step}/MyPackage/foo": {"data": number} for number in range(5) for step in range(3)}
    bar = {f"outer=1/task={number}/MyPackage/bar": {"data": number} for number in range(5)}
    assert handler.objects == foo | bar


def in_a_fork(number: int) -> None:
    with tags(process=number):
        checkpoint("P", "a", number)


def in_a_spawn(number: int, directory: str, handed: Any) -> None:
    checkpoints.register("P", ["a"])
    checkpoints.config("P", directory)
    with only_tags(*handed):
        in_a_fork(number)


@pytest.mark.parametrize("method", ["fork", "spawn", "either"])
def test_processes_have_their_own_tags(tmp_path: Path, method: str) -> None:
    """A forked process inherits tags and configuration; a started one is handed the tags and configures itself, and so may a forked one."""
    context: Any = multiprocessing.get_context("fork" if method == "either" else method)
    checkpoints.register("P", ["a"])
    checkpoints.config("P", tmp_path)
    with tags(outer=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork in a process that has had threads
        work, handed = (in_a_fork, ()) if method == "fork" else (in_a_spawn, (str(tmp_path), checkpoints.current_tags()))
        started = [context.Process(target=work, args=(number, *handed)) for number in range(2)]
        for process in started:
            process.start()
    for process in started:
        process.join(60)
        assert process.exitcode == 0
    found = sorted(entry.checkpoint_path.removeprefix(str(tmp_path)) for entry in checkpoints.index_checkpoint_files(tmp_path))
    assert found == [f"/outer=1/process={number}/P/a.ckpt" for number in range(2)]
