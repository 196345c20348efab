"""One trial: a child in which a program runs while something fails, and what has to hold when both are over."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn, Protocol

import ckpt
from ckpt._replaying.rehydrate import Capture
from ckpt._store import trust
from ckpt._store.store import Store
from ckpt._store.upkeep import GRACE, LOCK, MANY
from tests.faults.programs import Program, fails, gives, handles, outer, raises

#: Seconds after which a child hangs.
PATIENCE = 60
#: By which signal each of what a program itself has to see comes, and the kill.
SIGNALS = {"KeyboardInterrupt": signal.SIGINT, "TimeoutError": signal.SIGUSR1, "SIGKILL": signal.SIGKILL}
#: What is captured when all is well again.
AGAIN = [["after", "all"]]
#: Descriptors that a process may hold for its journal, beyond those it had.
OURS = 2


class Fault(Protocol):
    """Something that strikes once, at the Nth step of what a program does; never, when there are fewer."""

    #: What strikes: among others an exception, by name, or `SIGKILL`.
    kind: str
    #: Whether it strikes only where the system itself could: then nothing stays open that is not needed.
    is_real: bool

    def arm(self) -> None:
        """Begin to count, in the child."""

    def disarm(self) -> None:
        """Strike no more."""

    def watch(self, pid: int) -> int:
        """Wait for the child, in the parent; return how it ended, as `waitpid` does."""

    def result(self) -> tuple[int, str]:
        """Return, in the parent, how many steps were counted, and what was struck; an empty text for nothing."""


@dataclass(slots=True)
class Outcome:
    """What came of a trial: how many steps were counted, and which was struck, if any; and what was wrong in the end."""

    steps: int
    struck: str
    wrong: list[str] = field(default_factory=list)
    #: Whether something failed that the program was told of, or that killed it.
    is_felt: bool = True


@dataclass(slots=True, kw_only=True)
class Noticed:
    """What a program notices: the exception it ended with, warnings, exceptions that were only printed, descriptors that stay open."""

    ended: str | None
    warned: list[str]
    stray: list[str]
    opened: int


class Bench:
    """A directory in which trials run one after the other, each on a fresh copy of a store with earlier captures.

    It takes over the process: its store, its key, its working directory.
    """

    def __init__(self, directory: str) -> None:
        self.store = os.path.join(directory, "disk", ".pyckpt")
        os.environ["XDG_STATE_HOME"] = self._state = os.path.join(directory, "state")
        os.chdir(directory)
        with open("pyproject.toml", "w", encoding="ascii") as file:
            file.write('[tool.ckpt]\nquota = "100kB"\n')
        ckpt.set_ckpt_dir(self.store)
        trust.key()
        #: The stores to begin with: of each the captures in it, by id, with what became of their calls.
        self._begun = {name: self._record(name, count) for name, count in (("earlier", 1), ("crowded", MANY))}
        shutil.move(self._state, "key")
        self._is_warm = False

    def _record(self, name: str, count: int) -> dict[str, str]:
        for number in range(count):
            child = os.fork()
            if child == 0:
                _in_child(lambda number=number: _record_earlier(number))
            assert os.waitpid(child, 0)[1] == 0, "the earlier captures cannot be made"
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(self.store, "journals", LOCK))  # nobody has tidied it yet
        for directory, _, files in os.walk(self.store):
            for file in files:  # so old that whatever is not needed may go
                os.utime(os.path.join(directory, file), (time.time() - 2 * GRACE,) * 2)
        statuses = {header.id: header.status for header in Store(self.store).headers()}
        shutil.move(self.store, name)
        return statuses

    def warm(self) -> None:
        """Find out what a process finds out once, so that the children do not have to."""
        if not self._is_warm:
            self._is_warm = True
            ckpt.set_ckpt_dir("warm")
            gives()
            ckpt.set_ckpt_dir(self.store)

    def _lay(self, begun: str) -> None:
        """Put the earlier captures, and the key, in place."""
        for path in (self.store, self._state):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree("key", self._state)
        shutil.copytree(begun, self.store)

    def run(self, program: Program, fault: Fault) -> Outcome:
        """Run a program in a child while something fails, and return what came of it."""
        begun = "crowded" if program.is_crowded else "earlier"
        self._lay(begun)
        child = os.fork()
        if child == 0:
            _in_child(lambda: _live_through(program, fault))
        status = fault.watch(child)
        steps, struck = fault.result()
        outcome = Outcome(steps, struck)
        is_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if os.path.exists("noticed"):
            with open("noticed", encoding="utf-8") as file:
                noticed = Noticed(**json.load(file))
            outcome.wrong += _judge(program, fault, struck, noticed)
            outcome.is_felt = bool(noticed.ended or noticed.warned)
            os.unlink("noticed")
        if status and not (fault.kind == "SIGKILL" and is_killed):
            outcome.wrong.append(f"it ended with {os.waitstatus_to_exitcode(status)}")
        earlier = {id for id, status in self._begun[begun].items() if not (program.clears and status == "returned")}
        known = earlier if self._is_untouched(begun) else ()
        opened: dict[str, tuple[Any, ...]] = {}
        outcome.wrong += examine(self.store, opened, known=known, trust=program.forgets_key)
        outcome.wrong += _missing(earlier, opened, is_killed=is_killed)
        return outcome

    def _is_untouched(self, begun: str) -> bool:
        """Return whether the journals that were there are as they were; what `check` says of the objects holds for all captures."""
        with os.scandir(os.path.join(begun, "journals")) as entries:
            for entry in entries:
                try:
                    now = os.stat(os.path.join(self.store, "journals", entry.name))
                except FileNotFoundError:
                    return False
                if (now.st_size, now.st_mtime_ns) != (entry.stat().st_size, entry.stat().st_mtime_ns):
                    return False
        return True


def examine(
    store: str, opened: dict[str, tuple[Any, ...]] | None = None, *, known: Collection[str] = (), trust: bool = False
) -> Iterator[str]:
    """Yield what is wrong with a store: what `check` finds, and what does not open, but for the captures in `known`, which do.

    The arguments of what opens go into `opened`, by id. With `trust` captures open that were signed with another key.
    """
    found, opened = Store(store), {} if opened is None else opened
    for finding in found.check():
        yield f"{finding.what}: {finding.path} at {finding.offset}"
    for header in found.headers():
        try:
            opened[header.id] = () if header.id in known else load(Capture(found, header.id, trust=trust))
        except Exception as error:
            yield f"{header.name} does not open: {error!r}"


def _missing(earlier: set[str], opened: dict[str, tuple[Any, ...]], *, is_killed: bool) -> Iterator[str]:
    """Yield which captures are not among those that opened: those of before, and that of afterwards."""
    if gone := earlier.difference(opened):
        yield f"{len(gone)} earlier captures are gone, or do not open"
    if (AGAIN,) not in [args for args in opened.values() if len(args) == 1 and type(args[0]) is list] and not is_killed:
        yield "what was captured afterwards is not there"


def load(capture: Capture) -> tuple[Any, ...]:
    """Load all values of a capture; return its arguments."""
    assert all(frame.locals is not None for frame in capture.frames)
    return capture.args


def _in_child(work: Any) -> None:
    """Do `work` and end, whatever happens."""
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _record_earlier(number: int) -> None:
    """Record a capture of each kind, then end as a program does."""
    gives([[number]])
    if not number:
        raises(outer)
        handles()
        fails()
    atexit._run_exitfuncs()


def _live_through(program: Program, fault: Fault) -> None:
    """Run a program while something fails, and write down what it noticed."""
    signal.alarm(PATIENCE)
    signal.signal(signal.SIGUSR1, _time_out)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a process in the background does not have
    program.prepare()
    held = _descriptors()
    with _listening() as (warned, stray):
        ended = _ending(program, fault)
        gives(AGAIN)
    noticed = Noticed(ended=None if ended is None else repr(ended), warned=warned, stray=stray, opened=_descriptors() - held)
    with open("noticed", "w", encoding="utf-8") as file:
        json.dump(asdict(noticed), file)


def _time_out(number: int, frame: object) -> NoReturn:
    """Do what a program does that limits its own time."""
    raise TimeoutError


def _ending(program: Program, fault: Fault) -> BaseException | None:
    """Run what a program does while something fails; return what came out of it."""
    try:
        fault.arm()
        try:
            program.act()
        finally:
            fault.disarm()
    except BaseException as error:
        return error
    return None


@contextmanager
def _listening() -> Iterator[tuple[list[str], list[str]]]:
    """Collect warnings, and exceptions that reach nobody but standard error."""
    warned: list[str] = []
    stray: list[str] = []
    hooks = warnings.showwarning, sys.unraisablehook
    warnings.showwarning = lambda message, *_: warned.append(str(message))
    sys.unraisablehook = lambda unraisable: stray.append(repr(unraisable.exc_value))
    try:
        yield warned, stray
    finally:
        warnings.showwarning, sys.unraisablehook = hooks


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def _judge(program: Program, fault: Fault, struck: str, noticed: Noticed) -> Iterator[str]:
    """Yield what a program noticed that it must not, or did not that it must."""
    signalled = f"{fault.kind}()" if fault.kind in SIGNALS and struck else ""
    came_out = [each for each in (noticed.ended, *noticed.stray) if each is not None]
    if signalled and signalled not in came_out:
        yield "what the signal raised is lost"
    for each in came_out:
        is_said = program.is_command and struck and not each.startswith("NoticedError")
        if not (is_said or each == signalled):
            yield f"{each} came out"
    if len(noticed.warned) > program.captures * bool(struck) or len(set(noticed.warned)) < len(noticed.warned):
        yield f"warned {len(noticed.warned)} times: {noticed.warned}"
    # A number of which the system says nothing is not closed.
    if noticed.opened > OURS and fault.is_real and not signalled and "stat" not in struck:
        yield f"{noticed.opened} more descriptors are open"
