"""Many at once: threads, forks, signal handlers that capture, the end of the interpreter, maintainers and readers beside writers."""

from __future__ import annotations

import atexit
import gc
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ckpt._recording.ground import ground
from ckpt._replaying.rehydrate import Capture
from ckpt._store.location import get_ckpt_dir
from ckpt._store.store import Store
from ckpt.errors import NotFoundError
from tests.faults.programs import churn, gives, handles, inner, outer, raises, tell
from tests.faults.trials import PATIENCE, examine, load

#: What a journal may hold of the dead before it is rewritten, in bytes: little, so that it is all the time.
ROTATE = 8_000


def rotate_often() -> None:
    """Let this process rewrite its journal again and again."""
    gives()
    here = ground()
    assert here is not None
    assert here.journal._pair is not None
    here.journal._rotate_at = here.journal._pair.threshold = ROTATE


def work(number: int) -> None:
    """Do a little of everything."""
    gives([number])
    raises(inner, [number])
    raises(outer)
    handles()
    for turn in range(20):
        churn(turn, b"x" * 500)


def threads(rounds: int) -> Iterator[str]:
    """Eight threads capture while their journal is rewritten, the collector runs and the store is tidied."""
    wrong: list[str] = []

    def run(number: int) -> None:
        try:
            for _ in range(rounds):
                work(number)
        except BaseException as error:
            wrong.append(f"a thread ended with {error!r}")

    rotate_often()
    sys.setswitchinterval(1e-5)
    running = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in running:
        thread.start()
    while any(thread.is_alive() for thread in running):
        Store(get_ckpt_dir()).maintain(thorough=True)
        gc.collect()
    sys.setswitchinterval(0.005)
    yield from wrong


def forks(rounds: int) -> Iterator[str]:
    """Children are forked while threads capture and rewrite the journal; each child captures at once, and ends in one of three ways."""
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            work(0)

    rotate_often()
    running = [threading.Thread(target=run) for _ in range(3)]
    for thread in running:
        thread.start()
    for number in range(rounds):
        if ended := _fork(number):
            yield f"child {number} ended with {ended}"
    stop.set()
    for thread in running:
        thread.join()
    found = Store(get_ckpt_dir())
    told = [Capture(found, header.id).args for header in found.headers() if header.name == "tell"]
    if sorted(told) != [(number,) for number in range(rounds)]:
        yield f"of what {rounds} children captured {len(told)} are there"


def _fork(number: int) -> int | None:
    """Let a child capture, and end in one of three ways; return its exit code."""
    if number % 3 == 0:
        process = multiprocessing.get_context("fork").Process(target=_be_a_child, args=(number,))
        process.start()
        process.join()
        return process.exitcode
    child = os.fork()
    if child == 0:
        _be_a_child(number)
        if number % 3 == 1:
            atexit._run_exitfuncs()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _be_a_child(number: int) -> None:
    signal.alarm(PATIENCE)
    tell(number)
    raises(inner, [number])
    raises(outer)


class TimedOutError(Exception):
    """What a program's own signal handler raises."""


def signals(rounds: int) -> Iterator[str]:
    """A timer strikes every half millisecond: its handler captures, and sometimes raises; what it raises arrives."""
    wrong: list[str] = []
    raised = received = 0
    is_armed = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal raised, is_armed
        try:
            raises(inner, [number])
            gives()
        except TimedOutError:
            raise
        except Exception as error:
            wrong.append(f"the handler got {error!r}")
        if is_armed:
            is_armed = False
            raised += 1
            raise TimedOutError

    rotate_often()
    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    done = 0
    while done < rounds:
        try:
            is_armed = done % 2 == 0
            work(done)
            is_armed = False
        except TimedOutError:
            received += 1
        done += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    yield from wrong
    if received != raised:
        yield f"the handler raised {raised} times, {received} arrived"


ENDS = {
    "functions at exit": """
import atexit
atexit.register(work, 1)
work(2)
atexit.register(work, 3)
""",
    "daemon threads": """
import threading, time
def run():
    while True: work(1)
for _ in range(4): threading.Thread(target=run, daemon=True).start()
work(2)
time.sleep(0.05)
""",
    "the last words of objects": """
import sys
class Last:
    def __del__(self): work(1)
kept = Last()
kept.itself = kept
sys.modules["kept"] = Last()
work(2)
""",
    "an open generator": """
import ckpt
@ckpt.ckpt
def count():
    try:
        while True: yield 1
    finally: work(1)
kept = count(); next(kept)
""",
    "a thread that goes on": """
import threading, time
def run():
    time.sleep(0.05)
    work(1)
threading.Thread(target=run).start()
work(2)
""",
    "a pending task": """
import asyncio, ckpt
@ckpt.ckpt
async def wait(): await asyncio.sleep(60)
async def main():
    asyncio.ensure_future(wait())
    await asyncio.sleep(0)
asyncio.run(main())
""",
}


def shutdown(rounds: int) -> Iterator[str]:
    """Interpreters end while something captures: nothing is said, and the exit code is the program's."""
    for number in range(rounds):
        name = list(ENDS)[number % len(ENDS)]
        text = f"import ckpt\nckpt.set_ckpt_dir({get_ckpt_dir()!r})\nfrom tests.faults.crowds import work\n{ENDS[name]}"
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode or done.stderr:
            yield f"{name}: exit code {done.returncode}, {done.stderr[-1000:]!r}"


def company(rounds: int) -> Iterator[str]:
    """Two writers, a maintainer that clears, and a reader, of which two are killed at random; what was there before stays."""
    raises(outer)
    gives(["earlier"])
    for number in range(rounds):
        chance = random.Random(number)
        roles = [_write, _write, _tidy, _read]
        with _children(roles) as children:
            time.sleep(0.05 + chance.random() / 5)
            for place in chance.sample(range(len(roles)), 2):
                os.kill(children[place], signal.SIGKILL)
            for child in children:
                os.kill(child, signal.SIGTERM)
            for role, child in zip(roles, children, strict=True):
                status = os.waitpid(child, 0)[1]
                if status not in {0, signal.SIGKILL}:
                    yield f"round {number}: {role.__name__} ended with {os.waitstatus_to_exitcode(status)}"
        yield from (f"round {number}: {each}" for each in examine(get_ckpt_dir()))


@contextmanager
def _children(roles: list[Callable[[], None]]) -> Iterator[list[int]]:
    children = []
    for role in roles:
        child = os.fork()
        if child == 0:
            _live(role)
        children.append(child)
    yield children


def _live(role: Callable[[], None]) -> None:
    """Play a role until asked to stop."""
    stopped = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)
    signal.alarm(PATIENCE)
    try:
        while not stopped:
            role()
    except BaseException as error:
        sys.stderr.write(f"{role.__name__}: {error!r}\n")
        os._exit(1)
    os._exit(0)


def _write() -> None:
    rotate_often()
    work(1)


def _tidy() -> None:
    found = Store(get_ckpt_dir())
    found.maintain(thorough=True)
    found.clear([header.id for header in found.headers() if header.name == "handled"][::2])


def _read() -> None:
    found = Store(get_ckpt_dir())
    for header in found.headers():
        try:
            load(Capture(found, header.id))
        except (NotFoundError, FileNotFoundError):  # it had to make room, or was cleared
            if header.id in [each.id for each in Store(get_ckpt_dir()).headers()]:
                raise


CROWDS = {"threads": threads, "forks": forks, "signals": signals, "shutdown": shutdown, "company": company}
