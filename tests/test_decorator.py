"""The decorator: what it leaves as it was, and what it captures."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import pickle
import sys
import traceback
import weakref
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import suppress
from typing import Any

import pytest

import ckpt
from ckpt._store.store import Store
from ckpt.errors import CkptError, CkptWarning, UsageError

SENTINEL = object()
MODES = [pytest.param({}, id="every call"), pytest.param({"active": False}, id="on error")]


def plain(a: int, /, b: int, *rest: int, c: object = SENTINEL, **more: int) -> tuple[object, ...]:
    """Documentation of plain."""
    return (a, b, rest, c, more)


module_level = ckpt.ckpt(active=False)(lambda: None)


@ckpt.ckpt(active=False)
def picklable(x: int) -> int:
    """Return its argument."""
    return x


def failing(message: str = "no") -> None:
    raise ValueError(message)


@pytest.mark.parametrize("options", MODES)
def test_a_wrapper_keeps_name_doc_signature_and_defaults_by_identity(options: dict[str, Any], store: Store) -> None:
    """Whoever inspects a captured function sees the function."""
    wrapped: Any = ckpt.ckpt(**options)(plain)

    assert (wrapped.__name__, wrapped.__qualname__, wrapped.__doc__) == (plain.__name__, plain.__qualname__, plain.__doc__)
    assert inspect.signature(wrapped) == inspect.signature(plain)
    assert wrapped.__kwdefaults__["c"] is SENTINEL
    assert wrapped(1, 2, 3, d=4) == (1, 2, (3,), SENTINEL, {"d": 4})
    assert wrapped(1, b=2, c=5) == (1, 2, (), 5, {})


@pytest.mark.parametrize("options", MODES)
@pytest.mark.parametrize(
    "names",
    ["_call", "_failed, ckpt_value", "ckpt_error, ckpt_capture, ckpt_call", "make, wrapper, _entered", "self, __x", "été"],
)
def test_no_parameter_name_collides_with_the_wrappers_own(names: str, options: dict[str, Any], store: Store) -> None:
    """Parameters may be called whatever our own variables are called."""
    namespace: dict[str, Any] = {}
    exec(f"def function({names}): return [{names}]", namespace)
    count = names.count(",") + 1

    assert ckpt.ckpt(**options)(namespace["function"])(*range(count)) == list(range(count))


@pytest.mark.parametrize("options", MODES)
def test_a_wrong_call_gives_pythons_own_message(options: dict[str, Any], store: Store) -> None:
    """A call that cannot be bound raises the TypeError that the function itself would."""
    with pytest.raises(TypeError) as live:
        failing(1, 2)  # type: ignore[call-arg, arg-type]
    with pytest.raises(TypeError) as ours:
        ckpt.ckpt(**options)(failing)(1, 2)  # type: ignore[call-arg, arg-type]

    assert str(ours.value) == str(live.value)


@pytest.mark.parametrize("options", MODES)
def test_flavours_stay_what_they_are(options: dict[str, Any], store: Store) -> None:
    """Coroutine functions, generators and asynchronous generators are recognised as such."""

    async def coroutine() -> int:
        return 1

    def generator() -> Iterator[int]:
        yield 1

    async def stream() -> AsyncIterator[int]:
        yield 1

    assert inspect.iscoroutinefunction(ckpt.ckpt(**options)(coroutine))
    assert inspect.isgeneratorfunction(ckpt.ckpt(**options)(generator))
    assert inspect.isasyncgenfunction(ckpt.ckpt(**options)(stream))


def test_a_wrapper_is_pickled_by_reference(store: Store) -> None:
    """A captured function can go to a worker."""
    assert pickle.loads(pickle.dumps(picklable)) is picklable


@pytest.mark.parametrize("options", MODES)
def test_the_caller_sees_the_same_exception_with_one_more_frame(options: dict[str, Any], store: Store) -> None:
    """The exception object, its traceback's tail, its context and its notes are the program's own."""
    raised = ValueError("mine")
    raised.add_note("a note")

    def fails() -> None:
        raise raised

    with pytest.raises(ValueError, match="mine") as live:
        fails()
    tail = traceback.extract_tb(live.value.__traceback__)[-1:]
    raised.__traceback__ = None
    with pytest.raises(ValueError, match="mine") as ours:
        ckpt.ckpt(**options)(fails)()

    assert ours.value is raised
    assert traceback.extract_tb(ours.value.__traceback__)[-1:] == tail
    assert [entry.filename for entry in traceback.extract_tb(ours.value.__traceback__)].count("<ckpt>") == 1
    assert (raised.__cause__, raised.__context__, raised.__notes__, vars(raised)) == (None, None, ["a note"], {"__notes__": ["a note"]})


def test_the_result_is_the_same_object(store: Store) -> None:
    """What comes back is what the function returned, not a copy."""
    made: list[object] = []

    @ckpt.ckpt
    def make() -> list[object]:
        return made

    assert make() is made


@pytest.mark.parametrize("options", MODES)
def test_nothing_is_kept_alive_after_the_exception_is_handled(options: dict[str, Any], store: Store) -> None:
    """A captured failure holds no argument and no local once the program lets go of the exception."""

    class Held:
        pass

    held = Held()
    gone = weakref.ref(held)

    @ckpt.ckpt(**options)
    def fails(x: object) -> None:
        local = x
        raise ValueError(type(local))

    gc.disable()
    try:
        with suppress(ValueError):
            fails(held)
        del held
        assert gone() is None
    finally:
        gc.enable()


def test_a_method_is_captured_with_its_object(store: Store) -> None:
    """`self` is an argument like any other."""

    class Model:
        def __init__(self) -> None:
            self.size = 3

        @ckpt.ckpt
        def grow(self, by: int) -> int:
            return self.size + by

    assert Model().grow(2) == 5
    assert [captured["name"] for captured in ckpt.captures()] == ["test_a_method_is_captured_with_its_object.Model.grow"]
    assert ckpt.load().args[0].size == 3


@pytest.mark.parametrize("order", ["above", "below"])
@pytest.mark.parametrize("kind", [classmethod, staticmethod])
def test_class_and_static_methods_work_in_either_order(kind: Any, order: str, store: Store) -> None:
    """`@ckpt` may stand above or below `@classmethod` and `@staticmethod`."""

    def body(*args: object) -> int:
        raise KeyError(len(args))

    namespace = {"method": ckpt.ckpt(kind(body)) if order == "above" else kind(ckpt.ckpt(body))}
    made: Any = type("Made", (), namespace)
    with pytest.raises(KeyError):
        made.method(1)

    assert ckpt.captures()[0]["status"] == "failed"
    assert len(ckpt.load().args) == (2 if kind is classmethod else 1)


def test_a_coroutine_that_fails_is_captured_in_its_body(store: Store) -> None:
    """The failure of an `async def` is that of its body, awaited."""

    @ckpt.ckpt(active=False, name="task")
    async def fails(x: int) -> None:
        await asyncio.sleep(0)
        raise LookupError(x)

    with pytest.raises(LookupError):
        asyncio.run(fails(7))

    assert ckpt.load("task").locals == {"x": 7}


def test_a_cancelled_task_has_left_and_has_not_failed(store: Store) -> None:
    """Cancellation is a way of leaving."""

    @ckpt.ckpt(name="task")
    async def waits() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.ensure_future(waits())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    assert [captured["status"] for captured in ckpt.captures()] == ["left"]


@pytest.mark.parametrize("options", MODES)
def test_a_generator_delegates_everything(options: dict[str, Any], store: Store) -> None:
    """Sending, throwing, closing and returning go through to the generator."""

    def body() -> Any:
        try:
            got = yield 1
        except KeyError:
            got = "thrown"
        yield got
        return "end"

    wrapped = ckpt.ckpt(**options)(body)
    sent, thrown = wrapped(), wrapped()
    next(sent), next(thrown)

    assert sent.send("sent") == "sent"
    assert thrown.throw(KeyError()) == "thrown"
    with pytest.raises(StopIteration) as stopped:
        next(sent)
    assert stopped.value.value == "end"
    thrown.close()


def test_an_abandoned_generator_has_left(store: Store) -> None:
    """A generator that is thrown away half-way has not failed."""

    @ckpt.ckpt(name="items")
    def items() -> Generator[int]:
        yield 1
        yield 2

    found = items()
    next(found)
    found.close()

    assert [captured["status"] for captured in ckpt.captures()] == ["left"]


@pytest.mark.parametrize("options", MODES)
def test_an_asynchronous_generator_delegates_everything(options: dict[str, Any], store: Store) -> None:
    """Sending, throwing and closing go through to the asynchronous generator, and its failure is captured."""

    async def body(closed: list[str]) -> Any:
        try:
            try:
                got = yield 1
            except KeyError:
                got = "thrown"
            yield got
            raise LookupError("end")
        finally:
            closed.append("closed")

    wrapped = ckpt.ckpt(name="stream", **options)(body)

    async def main() -> list[str]:
        closed: list[str] = []
        sent, thrown = wrapped(closed), wrapped(closed)
        await sent.__anext__()
        await thrown.__anext__()
        assert await sent.asend("sent") == "sent"
        assert await thrown.athrow(KeyError()) == "thrown"
        await thrown.aclose()
        with pytest.raises(LookupError):
            await sent.__anext__()
        return closed

    assert asyncio.run(main()) == ["closed", "closed"]
    assert ckpt.load("stream").header.status == "failed"


def test_decorators_above_and_below_stay_in_place(store: Store) -> None:
    """What stands above sees the wrapper, what stands below is part of the call."""

    def doubling(function: Callable[[int], int]) -> Callable[[int], int]:
        @functools.wraps(function)
        def double(x: int) -> int:
            return function(2 * x)

        return double

    @doubling
    @ckpt.ckpt(name="both")
    @doubling
    def take(x: int) -> int:
        return x

    assert take(1) == 4
    assert ckpt.load("both").args == (2,)


def test_active_is_asked_for_each_call_with_its_own_arguments(store: Store) -> None:
    """A callable `active` decides call by call."""

    @ckpt.ckpt(name="sized", active=lambda rows, **_: len(rows) > 2)
    def take(rows: list[int], *, k: int = 1) -> int:
        return len(rows)

    take([1]), take([1, 2, 3]), take([], k=2)

    assert [len(ckpt.load(captured["id"]).args[0]) for captured in ckpt.captures()] == [3]


def test_an_active_that_raises_counts_as_false_with_one_warning_and_failures_are_kept(store: Store) -> None:
    """A broken `active` costs the record of the call, never the call."""

    @ckpt.ckpt(name="broken", active=lambda x: {}[x])
    def take(x: int) -> int:
        return 1 // x

    with pytest.warns(ckpt.CkptWarning, match="active= of broken raised"):
        assert take(1) == 1
    assert take(2) == 0  # said once: a second warning would be an error here
    with pytest.raises(ZeroDivisionError):
        take(0)

    assert [captured["status"] for captured in ckpt.captures()] == ["failed"]


def test_with_nothing_to_capture_the_function_is_returned_itself(store: Store) -> None:
    """`active=False, on_error=False` costs nothing."""
    assert ckpt.ckpt(active=False, on_error=False)(plain) is plain


def test_disable_makes_the_decorator_the_identity(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """`PYCKPT_DISABLE=1` switches ckpt off without an edit."""
    monkeypatch.setenv("PYCKPT_DISABLE", "1")

    assert ckpt.ckpt(plain) is plain
    assert ckpt.ckpt(name="x")(plain) is plain


@pytest.mark.parametrize(
    "options",
    [
        {"name": "../evil"},
        {"name": ""},
        {"name": "a b"},
        {"name": 3},
        {"keep": 0},
        {"keep": True},
        {"max_bytes": "1"},
        {"active": 3},
        {"exclude": [int]},
    ],
)
def test_a_parameter_that_cannot_work_is_an_error_where_it_is_written(options: dict[str, Any]) -> None:
    """Wrong parameters are found when the decorator is applied, not when a failure is lost."""
    with pytest.raises(UsageError):
        ckpt.ckpt(**options)(plain)


@pytest.mark.parametrize("target", [property(lambda self: 1), int, 3, object()])
def test_what_cannot_be_captured_is_refused_with_a_hint(target: Any) -> None:
    """`@ckpt` goes on functions; anything else says so."""
    with pytest.raises(CkptError, match="goes on a function, not on a value of type") as refused:
        ckpt.ckpt(target)
    assert refused.value.hint
    with pytest.raises(CkptError, match="takes no keeps") as refused:
        ckpt.ckpt(keeps=3)  # type: ignore[call-overload]
    assert "keep" in refused.value.hint


def test_what_is_no_exception_is_not_captured(store: Store) -> None:
    """`capture_exception` in the hands of a program that gives it something else warns, and the program goes on."""
    with pytest.warns(CkptWarning, match="takes an exception, not an object of type int"):
        assert ckpt.capture_exception(3) is None  # type: ignore[arg-type]


def test_keywords_stay_those_of_the_partial(store: Store) -> None:
    """A `functools.partial` and a builtin can be captured too."""
    assert ckpt.ckpt(name="partial")(functools.partial(plain, 1, c=2))(3) == (1, 3, (), 2, {})
    assert ckpt.ckpt(name="len")(len)([1]) == 1
    assert {captured["name"] for captured in ckpt.captures()} == {"partial", "len"}


def divide(a: int, b: int) -> float:
    return a / b


@pytest.mark.parametrize("options", [{}, {"active": False}])
def test_a_partial_is_named_by_the_function_below(store: Store, options: dict[str, Any]) -> None:
    """Its captures have the function's name and module, and are replayed with what the partial gives."""
    binary = ckpt.ckpt(**options)(functools.partial(functools.partial(int), base=2))
    with pytest.raises(ValueError, match="base 2"):
        binary("102")

    captured = ckpt.load("int")
    assert (captured.header.name, captured.header.module) == ("int", "builtins")
    assert captured.args == ("102",)
    assert captured.replay().verdict == "same failure"


def test_a_partial_of_a_projects_function_is_replayed_as_it_was(store: Store) -> None:
    """What the partial gives is part of what was captured, not of what the function's name leads to."""
    with pytest.raises(ZeroDivisionError):
        ckpt.ckpt(functools.partial(divide, 1))(0)

    captured = ckpt.load("divide")
    assert captured.header.module == __name__
    assert captured.replay().verdict == "same failure"


def test_a_wrapper_costs_one_level_of_recursion_and_no_more(store: Store) -> None:
    """What the program can notice is one frame per call."""

    @ckpt.ckpt(active=False)
    def depth() -> int:
        frame, count = sys._getframe(), 0
        while frame.f_back is not None:
            frame, count = frame.f_back, count + 1
        return count

    wrapped = depth.__wrapped__  # type: ignore[attr-defined]
    assert depth() == wrapped() + 1
