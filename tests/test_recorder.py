"""The recorder: what is in the store after a call, and that the program never notices."""

from __future__ import annotations

import asyncio
import atexit
import errno
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ckpt
from ckpt._replaying.rehydrate import Capture
from ckpt._store.store import Store
from ckpt._store.writer import Journal
from tests.processes import python
from tests.recursion import near_the_end_of_the_stack


def statuses() -> list[str]:
    return [captured["status"] for captured in ckpt.captures()]


def opened(store: Store, index: int = -1) -> Capture:
    return Capture(store, store.headers()[index].id)


class Failing:
    """An argument whose reducer fails."""

    def __reduce__(self) -> str:
        raise RuntimeError("not me")


def test_each_call_is_recorded_at_entry_before_the_body_changes_its_arguments(store: Store) -> None:
    """The arguments of a capture are those of the entry."""

    @ckpt.ckpt(name="take")
    def take(rows: list[int]) -> int:
        rows.clear()
        return len(rows)

    take([1, 2])

    captured = opened(store)
    assert captured.args == ([1, 2],)
    assert captured.header.returned == {"name": "", "type": "int", "text": "0"}
    assert captured.header.duration is not None
    assert captured.header.duration < 1


def test_a_failure_keeps_every_frame_with_all_its_locals(store: Store) -> None:
    """From the captured function down to the line that raised, every local variable is there."""

    @ckpt.ckpt(active=False)
    def top(rows: list[dict[str, int]]) -> int:
        total = 0
        return total + middle(rows, lambda row: row["x"])

    def middle(rows: list[dict[str, int]], key: Callable[[dict[str, int]], int]) -> int:
        first, *_ = [bottom(row, key) for row in rows]
        return first

    def bottom(row: dict[str, int], key: Callable[[dict[str, int]], int]) -> int:
        last = "seen"
        return key(row) if last else 0

    with pytest.raises(KeyError):
        top([{}])

    captured = opened(store)
    names = [frame.record.name for frame in captured.frames]
    assert names == ["top", "middle", *(["<listcomp>"] if sys.version_info < (3, 12) else []), "bottom", "<lambda>"]
    assert captured.locals["total"] == 0
    assert captured.frames[-2].locals["last"] == "seen"
    assert captured.frames[-1].locals == {"row": {}}
    assert isinstance(captured.exception, KeyError)


def test_identity_holds_across_arguments_frames_and_the_exception(store: Store) -> None:
    """One object everywhere is one object after rehydration."""

    @ckpt.ckpt(active=False)
    def top(rows: list[object]) -> None:
        same = rows
        down(same)

    def down(rows: list[object]) -> None:
        rows.append(rows)
        error = ValueError(rows)
        raise error

    with pytest.raises(ValueError, match=r"\["):
        top([])

    captured = opened(store)
    rows = captured.locals["rows"]
    assert captured.args[0] is rows is captured.locals["same"] is captured.frames[1].locals["rows"] is rows[0]
    assert captured.exception is captured.frames[1].locals["error"]
    assert captured.exception.args[0] is rows


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("x"), "failed"),
        (KeyboardInterrupt(), "failed"),
        (SystemExit(3), "left"),
        (GeneratorExit(), "left"),
        (StopIteration(), "failed"),
        (StopAsyncIteration(), "failed"),
    ],
)
def test_what_is_a_failure_and_what_is_only_left(error: BaseException, status: str, store: Store) -> None:
    """`Exception` and a Ctrl-C are failures; ways of leaving are not."""

    @ckpt.ckpt
    def ends() -> None:
        raise error

    with pytest.raises(type(error)):
        ends()

    assert statuses() == [status]


@pytest.mark.parametrize("options", [{}, {"active": False}])
def test_the_end_of_an_iterator_is_no_failure_of_it(options: dict[str, Any], store: Store) -> None:
    """`__next__` and `__anext__` end by an exception; the same exception out of a function that calls them is its failure."""

    class Rows:
        def __iter__(self) -> Rows:
            return self

        @ckpt.ckpt(**options)
        def __next__(self) -> int:
            raise StopIteration

        def __aiter__(self) -> Rows:
            return self

        @ckpt.ckpt(**options)
        async def __anext__(self) -> int:
            raise StopAsyncIteration

    async def taken() -> list[int]:
        return [row async for row in Rows()]

    @ckpt.ckpt(name="first", **options)
    def first() -> int:
        return next(Rows())

    assert list(Rows()) == asyncio.run(taken()) == []
    assert statuses() == ([] if options else ["left", "left"])
    with pytest.raises(StopIteration):
        first()

    assert statuses() == (["failed"] if options else ["left", "left", "failed", "left"])
    assert isinstance(Capture(store, store.find("first").id).exception, StopIteration)


def test_in_on_error_mode_leaving_records_nothing(store: Store) -> None:
    """Only failures are captured with `active=False`."""

    @ckpt.ckpt(active=False)
    def leaves() -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        leaves()

    assert statuses() == []
    assert not os.path.exists(store.path)


@pytest.mark.parametrize("options", [{}, {"active": False}])
def test_a_recursion_is_one_capture_with_its_levels_as_frames(options: dict[str, Any], store: Store) -> None:
    """A chain of 900 levels that fails is captured once, at its outermost call."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 4000)

    @ckpt.ckpt(name="down", **options)
    def down(n: int) -> int:
        if n == 0:
            raise ValueError("bottom")
        return down(n - 1)

    try:
        with pytest.raises(ValueError, match="bottom"):
            down(900)
    finally:
        sys.setrecursionlimit(limit)

    assert statuses() == ["failed"]
    captured = opened(store)
    assert [frame.locals["n"] for frame in captured.frames] == list(range(900, -1, -1))
    assert captured.args == (900,)


def test_a_failure_caught_inside_the_chain_is_no_failure_of_the_call(store: Store) -> None:
    """Inner levels that fail and are caught leave the outermost call returned."""

    @ckpt.ckpt(name="tries")
    def tries(n: int) -> int:
        if n == 0:
            raise ValueError
        try:
            return tries(n - 1)
        except ValueError:
            return n

    assert tries(3) == 1
    assert statuses() == ["returned"]


def test_a_tower_keeps_its_first_and_last_thousand_frames_and_says_so(store: Store) -> None:
    """Beyond 2,000 frames the middle is left out."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(12_000)

    @ckpt.ckpt(active=False)
    def start() -> None:
        down(2500)

    def down(n: int) -> None:
        if n == 0:
            raise ValueError
        down(n - 1)

    try:
        with pytest.raises(ValueError):  # noqa: PT011
            start()
    finally:
        sys.setrecursionlimit(limit)

    captured = opened(store)
    assert captured.manifest is not None
    raised = captured.manifest.exceptions[0]
    assert (len(raised.traceback), raised.omitted, raised.omitted_after) == (2000, 502, 1000)
    assert [frame.locals.get("n") for frame in captured.frames][998:1002] == [2499 - 996, 2499 - 997, 999, 998]


def test_captured_functions_that_call_each_other_share_their_frames(store: Store) -> None:
    """Each gets a capture of the failure, with its own arguments; identity holds within, and the bytes are there once."""

    @ckpt.ckpt(active=False, name="outer")
    def outer(rows: list[int], n: int) -> None:
        inner(rows, k=n + 1)

    @ckpt.ckpt(active=False, name="inner")
    def inner(rows: list[int], *, k: int) -> None:
        raise ValueError(rows, k)

    with pytest.raises(ValueError):  # noqa: PT011
        outer([1], 2)

    outside, inside = (Capture(store, store.find(name).id) for name in ("outer", "inner"))
    assert [frame.record.name for frame in outside.frames] == ["outer", "inner"]
    assert [frame.record.name for frame in inside.frames] == ["inner"]
    assert (inside.args, inside.kwargs, outside.args) == (([1],), {"k": 3}, ([1], 2))
    assert inside.args[0] is inside.locals["rows"]
    assert outside.frames[1].locals["rows"] is outside.args[0]
    assert inside.stored.failure is not None
    assert outside.stored.failure is not None
    assert inside.stored.failure.line.body["parts"] == outside.stored.failure.line.body["parts"]


def test_an_inner_failure_that_is_turned_into_another_keeps_its_own_capture(store: Store) -> None:
    """The inner capture is of the cause, the outer of what was raised from it."""

    @ckpt.ckpt(active=False, name="outer")
    def outer() -> None:
        try:
            inner(1)
        except KeyError as error:
            raise ValueError("worse") from error

    @ckpt.ckpt(active=False, name="inner")
    def inner(x: int) -> None:
        raise KeyError(x)

    with pytest.raises(ValueError, match="worse"):
        outer()

    outside, inside = (Capture(store, store.find(name).id) for name in ("outer", "inner"))
    assert isinstance(outside.exception, ValueError)
    assert isinstance(outside.exception.__cause__, KeyError)
    assert isinstance(inside.exception, KeyError)
    assert [frame.record.name for frame in inside.frames] == ["inner"]
    assert inside.args == (1,)


def test_one_bad_argument_costs_only_itself(store: Store) -> None:
    """What cannot be kept is a placeholder with its reason, in the header too; its neighbours live."""

    @ckpt.ckpt(name="take")
    def take(bad: object, lock: object, rows: list[int]) -> None:
        held = {"lock": lock, "rows": rows}
        raise ValueError(len(held))

    with pytest.raises(ValueError):  # noqa: PT011
        take(Failing(), threading.Lock(), [1])

    captured = opened(store)
    assert captured.args[2] == [1]
    assert captured.locals["held"]["rows"] is captured.locals["rows"]
    with pytest.raises(ckpt.CkptError, match="not me"):
        captured.args[0].anything  # noqa: B018
    assert captured.manifest is not None
    reasons = {value.name: value.reason for value in captured.manifest.frames[0].locals}
    assert reasons["rows"] is None
    assert reasons["bad"] is not None
    assert "not me" in reasons["bad"]


def test_capture_exception_keeps_the_exception_being_handled(store: Store) -> None:
    """Without a decorator, from an `except` block, under the name of the function it stands in."""

    def handles(x: int) -> str | None:
        try:
            return str(1 // x)
        except ZeroDivisionError:
            return ckpt.capture_exception()

    id = handles(0)

    captured = opened(store)
    assert captured.header.id == id
    assert captured.header.name == "test_capture_exception_keeps_the_exception_being_handled.handles"
    assert captured.args == (0,)
    assert captured.frames[0].record.live_line == captured.frames[0].record.first_line + 4


def test_capture_exception_takes_an_exception_and_a_name(store: Store) -> None:
    """An exception from elsewhere can be captured, also one that was never raised."""
    id = ckpt.capture_exception(ValueError("never raised"), name="mine")

    assert ckpt.load("mine").header.id == id
    assert "never raised" in str(ckpt.load("mine").exception)


def test_capture_exception_outside_of_an_except_block_warns(store: Store) -> None:
    """There is nothing to capture, and the program goes on."""
    with pytest.warns(ckpt.CkptWarning, match="no exception is being handled") as caught:
        assert ckpt.capture_exception() is None
    assert caught[0].filename == __file__
    assert caught[0].lineno == sys._getframe().f_lineno - 2


def test_what_python_gives_a_module_is_described_as_it_is(store: Store) -> None:
    """The frame of a module has `__builtins__`, which every process has of its own: it is not kept, and not called None."""
    namespace = {"__name__": "job", "ckpt": ckpt}
    exec("try:\n    1 // 0\nexcept ZeroDivisionError:\n    ckpt.capture_exception()\n", namespace)

    (frame,) = opened(store).frames
    described = {value.name: value for value in frame.record.locals}
    assert frame.record.kind == "module"
    assert (described["__builtins__"].type, described["__name__"].text) == ("dict", "'job'")


def test_a_store_that_cannot_be_written_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The warning that captures are off says which store it is that they cannot go to."""

    def refused(journal: Journal) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Journal, "open", refused)  # a file system that is mounted so needs another machine
    with pytest.warns(ckpt.CkptWarning, match=f"^Nothing is captured: OSError: Read-only file system: {store.path!r}$"):
        assert ckpt.capture_exception(ValueError("x")) is None


def test_a_captured_exception_keeps_cause_context_notes_and_members(store: Store) -> None:
    """What the exception is linked to comes along, with frames and variables."""

    def sub(n: int) -> None:
        raise OSError(n, "gone", f"file{n}")

    @ckpt.ckpt(active=False)
    def top() -> None:
        errors = []
        for n in (1, 2):
            try:
                sub(n)
            except OSError as error:
                error.add_note(f"note {n}")
                errors.append(error)
        raise ExceptionGroup("both", errors)

    with pytest.raises(ExceptionGroup):
        top()

    error = opened(store).exception
    assert isinstance(error, ExceptionGroup)
    assert [(member.errno, member.filename, member.__notes__) for member in error.exceptions if isinstance(member, OSError)] == [
        (1, "file1", ["note 1"]),
        (2, "file2", ["note 2"]),
    ]
    member = error.exceptions[1]
    assert [frame.f_locals["n"] for frame, _ in traceback.walk_tb(member.__traceback__)][-1:] == [2]


def test_save_locals_false_keeps_the_lines_and_the_arguments_only(store: Store) -> None:
    """The traceback is there, the variables are not."""

    @ckpt.ckpt(active=False, save_locals=False)
    def top(x: int) -> None:
        secret = x
        raise ValueError(secret)

    with pytest.raises(ValueError, match="5"):
        top(5)

    captured = opened(store)
    assert captured.locals == {}
    assert captured.args == (5,)


def test_on_error_false_records_that_a_call_failed_and_no_frames(store: Store) -> None:
    """The call is there as failed, with its arguments at entry."""

    @ckpt.ckpt(on_error=False)
    def top(x: int) -> None:
        raise ValueError(x)

    with pytest.raises(ValueError, match="5"):
        top(5)

    captured = opened(store)
    assert (captured.header.status, captured.header.exception) == ("failed", "ValueError: 5")
    assert (captured.frames, captured.args) == ([], (5,))


def test_keep_counts_failures_apart_from_other_calls(store: Store) -> None:
    """A thousand good calls do not push a failure out."""

    @ckpt.ckpt(name="take", keep=3)
    def take(n: int) -> int:
        return 1 // n

    with pytest.raises(ZeroDivisionError):
        take(0)
    for n in range(1, 50):
        take(n)

    assert statuses() == ["failed", *["returned"] * 3]
    assert [ckpt.load(captured["id"]).args[0] for captured in ckpt.captures()] == [0, 47, 48, 49]


def test_max_bytes_puts_a_placeholder_for_the_biggest_value(store: Store) -> None:
    """The biggest value goes first, named with its size; the rest stays."""

    @ckpt.ckpt(name="take", max_bytes=100_000)
    def take(big: bytes, small: bytes) -> None:
        return

    take(b"x" * 200_000, b"y" * 100)

    captured = opened(store)
    assert captured.args[1] == b"y" * 100
    assert "max_bytes" in repr(captured.args[0])


def test_tags_are_on_what_is_recorded_inside(store: Store) -> None:
    """Tags follow the call, outermost first, and a name may repeat."""

    @ckpt.ckpt(name="take")
    def take() -> None:
        return

    with ckpt.tags(run=1), ckpt.tags(run=2, note="x"):
        take()
    take()

    assert [captured["tags"] for captured in ckpt.captures()] == [[["run", 1], ["run", 2], ["note", "x"]], []]


def test_threads_do_not_mix_their_captures(store: Store) -> None:
    """Sixteen threads that fail at the same time each tell their own story."""

    @ckpt.ckpt(name="work", keep=100)
    def work(n: int) -> None:
        local = [n] * 10
        raise ValueError(local)

    def run(n: int) -> None:
        for _ in range(5):
            with pytest.raises(ValueError):  # noqa: PT011
                work(n)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = [Capture(store, header.id) for header in store.headers()]
    assert sorted(captured.args[0] for captured in found) == sorted(list(range(16)) * 5)
    assert all(captured.locals["local"] == [captured.args[0]] * 10 for captured in found)


def test_a_failure_deep_in_a_recursion_of_the_program_is_recorded_on_a_fresh_stack(store: Store) -> None:
    """Where ten frames are left of the stack, the capture is whole."""

    @ckpt.ckpt(active=False, name="deep")
    def fails(n: int) -> None:
        raise ValueError(n)

    with pytest.raises(ValueError, match="1"):
        near_the_end_of_the_stack(lambda: fails(1))

    assert statuses() == ["failed"]


def test_the_overflow_of_a_captured_recursion_is_captured(store: Store) -> None:
    """A RecursionError is a failure like any other."""

    @ckpt.ckpt(active=False, name="down")
    def down(n: int) -> int:
        return down(n + 1)

    with pytest.raises(RecursionError):
        down(0)

    assert statuses() == ["failed"]
    assert ckpt.load("down").args == (0,)


def test_a_signal_handler_that_raises_while_recording_is_the_programs(store: Store) -> None:
    """An exception out of a handler goes on to the program; so does a Ctrl-C."""

    class TimedOutError(Exception):
        pass

    def ring(number: int, frame: object) -> None:
        raise TimedOutError

    class Alarm:
        def __reduce__(self) -> str:
            signal.raise_signal(signal.SIGALRM)
            return "never"

    @ckpt.ckpt(name="take")
    def take(x: object) -> None:
        return

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with pytest.raises(TimedOutError):
            take(Alarm())
    finally:
        signal.signal(signal.SIGALRM, before)


def test_ctrl_c_while_recording_propagates(store: Store) -> None:
    """Recording never makes a program uninterruptible."""

    class Interrupt:
        def __reduce__(self) -> str:
            signal.raise_signal(signal.SIGINT)
            return "never"

    @ckpt.ckpt(name="take")
    def take(x: object) -> None:
        return

    with pytest.raises(KeyboardInterrupt):
        take(Interrupt())


def test_a_capture_inside_a_capture_keeps_plain_values(store: Store) -> None:
    """A reducer that calls a captured function does not hang, and its capture says what it lacks."""

    @ckpt.ckpt(name="inner")
    def inner(x: int, rows: list[int]) -> None:
        return

    class Calls:
        def __reduce__(self) -> tuple[type, tuple[int]]:
            inner(1, [2])
            return int, (5,)

    @ckpt.ckpt(name="outer")
    def outer(x: object) -> None:
        return

    outer(Calls())

    assert ckpt.load("outer").args == (5,)
    x, rows = ckpt.load("inner").args
    assert x == 1
    assert "began while another" in repr(rows)


def test_what_is_lost_is_one_warning_that_cannot_raise(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that cannot be written to costs a warning, and under `-W error` a line on standard error."""
    os.makedirs(store.path)
    (Path(store.path) / "journals").write_text("in the way")
    monkeypatch.setattr(sys, "stderr", open(Path(store.path) / "stderr", "w"))  # noqa: SIM115  closed with the interpreter's own

    @ckpt.ckpt(name="take")
    def take(x: int) -> int:
        return x

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [take(1), take(2)] == [1, 2]
    sys.stderr.close()
    said = (Path(store.path) / "stderr").read_text()
    assert said.count("CkptWarning: Nothing is captured") == 1
    (Path(store.path) / "journals").unlink()
    (Path(store.path) / "stderr").unlink()


KILLED = """
import os, signal, sys, ckpt

@ckpt.ckpt(name="job")
def job(how, rows):
    if how == "kill": os.kill(os.getpid(), signal.SIGKILL)
    if how == "exit": os._exit(3)
    if how == "segv": os.kill(os.getpid(), signal.SIGSEGV)
    if how == "clean": sys.exit(0)

job(sys.argv[1], [1, 2])
"""


@pytest.mark.parametrize(("how", "status"), [("kill", "died"), ("exit", "died"), ("segv", "died"), ("clean", "left")])
def test_a_process_that_is_killed_in_a_call_leaves_a_capture_that_died(
    how: str, status: str, store: Store, script: Callable[[str], Path], tmp_path: Path
) -> None:
    """SIGKILL, a crash and `os._exit` leave the entry, ready for replay; a clean exit has left."""
    python(script(KILLED), how, cwd=tmp_path, check=False, environ={"PYCKPT_DIR": store.path})

    assert [header.status for header in store.headers()] == [status]
    assert Capture(store, store.headers()[0].id).args == (how, [1, 2])


FORKED = """
import os, ckpt

@ckpt.ckpt(name="job")
def job(x):
    child = os.fork()
    if child == 0:
        raise ValueError("in the child")
    os.waitpid(child, 0)
    return "in the parent"

try:
    job(5)
except ValueError:
    os._exit(0)
"""


def test_after_a_fork_parent_and_child_each_tell_their_own_story(store: Store, script: Callable[[str], Path], tmp_path: Path) -> None:
    """The child's failure and the parent's return are two captures with the same arguments."""
    python(script(FORKED), cwd=tmp_path, environ={"PYCKPT_DIR": store.path})

    assert sorted(header.status for header in store.headers()) == ["failed", "returned"]
    assert [Capture(store, header.id).args for header in store.headers()] == [(5,), (5,)]


DAEMON = """
import os, ckpt

@ckpt.ckpt(name="job")
def job(x):
    raise ValueError(x)

def fail(x):
    try: job(x)
    except ValueError: pass

fail(1)
os.closerange(3, 4096)
fail(2)
held = [open("own.txt", "w") for _ in range(200)]
fail(3)
for file in held:
    file.write("mine"); file.close()
assert open("own.txt").read() == "mine"
"""


def test_descriptors_that_the_program_closes_or_reuses_cost_nothing(store: Store, script: Callable[[str], Path], tmp_path: Path) -> None:
    """A daemon that closes everything keeps its captures, and its own files stay its own."""
    python("-W", "error", script(DAEMON), cwd=tmp_path, environ={"PYCKPT_DIR": store.path})

    assert [Capture(store, header.id).args for header in store.headers()] == [(1,), (2,), (3,)]


SHUTDOWN = """
import ckpt

@ckpt.ckpt(name="late")
def late(x):
    raise ValueError(x)

class Late:
    def __del__(self):
        try: late(1)
        except ValueError: pass

held = Late()
import sys; sys.modules["held"] = held
"""


def test_while_the_interpreter_finalizes_nothing_is_said(store: Store, script: Callable[[str], Path], tmp_path: Path) -> None:
    """A failure in a `__del__` at exit leaves no line on standard error."""
    assert python(script(SHUTDOWN), cwd=tmp_path, environ={"PYCKPT_DIR": store.path}).stderr == ""


def test_verbose_says_one_line_for_each_failure(store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`PYCKPT_VERBOSE=1` names the command to paste; without it nothing is printed."""

    @ckpt.ckpt(active=False, name="job")
    def job() -> None:
        raise ValueError

    for value in ("0", "1"):
        monkeypatch.setenv("PYCKPT_VERBOSE", value)
        with pytest.raises(ValueError):  # noqa: PT011
            job()

    assert capsys.readouterr().err == "ckpt debug job\n"


FULL = """
import resource, signal, sys, ckpt

@ckpt.ckpt(name="job")
def job(data):
    raise ValueError("mine")

def fail(data):
    try: job(data)
    except ValueError as error: assert str(error) == "mine"

fail(b"first")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
fail(b"x" * 50_000)
"""


def test_a_full_disk_costs_the_capture_and_one_warning(store: Store, script: Callable[[str], Path], tmp_path: Path) -> None:
    """A write that fails leaves the program its own exception, and the earlier capture whole."""
    done = python(script(FULL), cwd=tmp_path, environ={"PYCKPT_DIR": store.path})

    assert done.stderr.count("CkptWarning") >= 1
    whole = [header for header in store.headers() if header.status == "failed"]
    assert Capture(store, whole[0].id).args == (b"first",)


LIMITED = """
import os, resource, numpy, ckpt

@ckpt.ckpt(name="job")
def job(stream, buffer):
    raise ValueError("mine")

def fail(stream, buffer):
    try: job(stream, buffer)
    except ValueError as error: assert str(error) == "mine"

fail([], None)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
held = len(os.listdir("/proc/self/fd"))
for _ in range(10):
    fail(["%0100000d" % number for number in range(12)], numpy.arange(250_000.0))
assert len(os.listdir("/proc/self/fd")) == held, os.listdir("/proc/self/fd")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="open files are counted in /proc")
def test_a_capture_that_is_lost_half_way_leaves_nothing_open_and_nothing_behind(
    store: Store, script: Callable[[str], Path], tmp_path: Path
) -> None:
    """The stream has found its place, the array has not: nothing of either stays."""
    python(script(LIMITED), cwd=tmp_path, environ={"PYCKPT_DIR": store.path})

    assert not [name for name in os.listdir(store.objects.path) if name.startswith(".tmp-")]


FULL_FOR_LONG = """
import resource, ckpt

@ckpt.ckpt(name="job")
def job(data):
    raise ValueError

resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
for number in range(20):
    try: job([bytes([number]) * 70_000, "x" * 2_000_000])
    except ValueError: pass
"""


def test_a_disk_that_stays_full_is_said_once(store: Store, script: Callable[[str], Path], tmp_path: Path) -> None:
    """However many captures are lost for one reason, and whatever file each of them did not get."""
    assert python(script(FULL_FOR_LONG), cwd=tmp_path, environ={"PYCKPT_DIR": store.path}).stderr.count("CkptWarning") == 1


LATE_ROOM = """
import os, sys, ckpt

@ckpt.ckpt(name="job")
def job(x):
    return x

ckpt.set_ckpt_dir("file/store")
open("file", "w").close()
job(1)
os.unlink("file")
job(2)
"""


def test_a_store_that_could_not_be_made_is_tried_again(store: Store, script: Callable[[str], Path], tmp_path: Path) -> None:
    """A process whose first call found no room for a store, or no free descriptor, records when there is one; it is said once."""
    done = python(script(LATE_ROOM), cwd=tmp_path)

    found = Store(tmp_path / "file" / "store")
    assert done.stderr.count("CkptWarning") == 1
    assert [Capture(found, header.id).args for header in found.headers()] == [(2,)]
    assert found.check() == []


REMOVED = """
import os, shutil, sys, time, ckpt, part

@ckpt.ckpt(name="job")
def job(x):
    return x

job(1)
if sys.argv[1] == "store":
    shutil.rmtree(os.environ["PYCKPT_DIR"])
else:
    for entry in os.scandir(os.path.join(os.environ["PYCKPT_DIR"], "objects")): os.unlink(entry)
    time.sleep(1.1)
job(2)
"""


@pytest.mark.parametrize("what", ["store", "objects"])
def test_what_somebody_removed_is_written_again(what: str, store: Store, script: Callable[[str], Path], tmp_path: Path) -> None:
    """Sources that the process had put into a store that is gone lie in the new one; so do those that are gone alone, a second later."""
    (tmp_path / "part.py").write_text("PART = 1\n")
    python(script(REMOVED), what, cwd=tmp_path, environ={"PYCKPT_DIR": store.path})

    assert store.check() == []
    assert len(store.get(store.headers()[-1].id).process["files"]) == 2


def test_many_stores_leave_one_function_for_the_end_of_the_process(store: Store, tmp_path: Path) -> None:
    """A program that changes its store again and again does not collect work for its exit."""

    @ckpt.ckpt(name="job")
    def job() -> None: ...

    job()
    before = atexit._ncallbacks()
    for number in range(5):
        ckpt.set_ckpt_dir(tmp_path / str(number))
        job()

    assert atexit._ncallbacks() == before


INERT = """
import sys
before = set(sys.modules)
def audit(event, args):
    if event == "open" and not str(args[0]).endswith((".py", ".pyc")): opened.append(args[0])
opened = []
sys.addaudithook(audit)
import ckpt
third = {"typer", "rich", "dill", "ipdb", "IPython", "platformdirs", "cloudpickle", "inspect", "dataclasses", "pickle", "pathlib"}
assert not third & (set(sys.modules) - before), third & set(sys.modules)
assert not opened, opened
"""


def test_importing_ckpt_loads_no_third_party_package_and_touches_no_file(tmp_path: Path) -> None:
    """`import ckpt` is inert."""
    python("-IB", "-c", f"import sys; sys.path.insert(0, {str(Path(__file__).parent.parent)!r})\n{INERT}", cwd=tmp_path)


class LiarError(ValueError):
    """An exception that answers no question about itself."""

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(name)


@pytest.mark.parametrize("options", [{}, {"active": False}])
def test_an_exception_that_answers_nothing_reaches_the_caller_and_is_captured(options: dict[str, Any], store: Store) -> None:
    """An exception is read past the attributes of its class."""
    mine = LiarError()

    @ckpt.ckpt(**options, name="lies")
    def lies(x: int) -> None:
        raise mine

    try:
        lies(1)
    except ValueError as error:
        assert error is mine  # noqa: PT017  pytest would ask the exception

    assert statuses() == ["failed"]
    assert ckpt.load("lies").locals["x"] == 1


def test_a_closed_standard_error_changes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody can be told, nobody is told: the program's own exception arrives."""
    os.makedirs(store.path)
    (Path(store.path) / "journals").write_text("in the way")
    closed = open(os.devnull, "w")  # noqa: SIM115  closed in the next line
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)

    @ckpt.ckpt(active=False)
    def fails() -> None:
        raise LookupError("mine")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(LookupError, match="mine"):
            fails()
    (Path(store.path) / "journals").unlink()


def test_excluded_types_are_never_touched(store: Store) -> None:
    """Neither among the arguments nor among what the function itself refers to."""

    class Blocking:
        def __reduce__(self) -> str:
            raise AssertionError("touched")

    held = Blocking()

    @ckpt.ckpt(name="take", exclude=(Blocking,))
    def take(x: object) -> bool:
        return held is x

    take(held)

    assert "excluded" in repr(ckpt.load("take").args[0])


def test_tags_come_along_to_a_fresh_stack(store: Store) -> None:
    """A capture made deep in a recursion has its tags."""

    @ckpt.ckpt(active=False, name="deep")
    def fails() -> None:
        raise ValueError

    with ckpt.tags(run=1), pytest.raises(ValueError):  # noqa: PT011
        near_the_end_of_the_stack(fails)

    assert [captured["tags"] for captured in ckpt.captures()] == [[["run", 1]]]


def test_a_store_is_kept_within_its_quota(store: Store) -> None:
    """The oldest calls that returned go first, failures stay."""

    @ckpt.ckpt(name="take")
    def take(n: int, data: bytes) -> float:
        return 1 / n

    with pytest.raises(ZeroDivisionError):
        take(0, b"x" * 50_000)
    for n in range(1, 6):
        take(n, b"x" * 50_000)

    assert store.fit(10 << 30) == 0
    assert store.fit(sum(header.size for header in store.headers()) - 80_000) == 2
    assert [ckpt.load(captured["id"]).args[0] for captured in ckpt.captures()] == [0, 3, 4, 5]
    assert store.fit(1) == 3
    assert statuses() == ["failed"]


def test_a_projects_settings_bound_a_capture(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`max_bytes` in `[tool.ckpt]` counts where the decorator does not say."""
    (tmp_path / "pyproject.toml").write_text('[tool.ckpt]\nmax_bytes = "10 kB"\n')
    monkeypatch.chdir(tmp_path)

    @ckpt.ckpt(name="take")
    def take(data: bytes) -> None:
        return

    take(b"x" * 20_000)

    assert "max_bytes=10,000" in repr(ckpt.load("take").args[0])
