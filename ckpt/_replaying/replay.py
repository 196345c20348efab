"""Call again, in this process or in one of its own, and return what that showed.

A process of its own stands for calls that may take this one with them: those that died, that may hang, and those that are made many at a
time. It answers through a pipe of its own, line by line in JSON; what the program prints goes where it would go.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import select
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

from ckpt._model.record import DIED, Header, Json
from ckpt._replaying import verdicts
from ckpt._replaying.calling import Request, call_again, missing_files, project_files
from ckpt._replaying.last_words import last_words
from ckpt._replaying.lifeline import hang_on, is_group, kill_group
from ckpt._replaying.tracebacks import users_part
from ckpt._replaying.verdicts import Replay
from ckpt._replaying.watchdog import Watchdog
from ckpt.errors import CkptError

if TYPE_CHECKING:
    from ckpt._replaying.rehydrate import Capture

#: Seconds that a child gets beyond its time to end itself, which tells where it hung, and, with what it started, to leave after its answer.
_GRACE = 2.0
_PLACE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
#: Behind what the user's own paths say: ckpt may be installed, or run from where it lies.
_CHILD = f"import sys; sys.path.append({_PLACE!r}); from ckpt._replaying.replay import answer; answer(*sys.argv[1:])"

Output = int | IO[bytes] | None


def replay(capture: Capture, *, here: bool = False) -> Replay:
    """Return what calling the captured function again shows. What the call raises is in the result; a Ctrl-C is not, and is raised.

    A capture whose process died is replayed in a child process, which may die again.
    """
    if capture.header.status != DIED:
        return call_again(capture, here=here)
    code, trust = capture.project.code, capture.trust
    return in_child(Request(store=capture.store.path, id=capture.header.id, here=here, code=code, trust=trust), capture.header)


def in_child(request: Request, header: Header, *, output: Output = None, is_over: Callable[[], bool] = lambda: False) -> Replay:
    """Return what a replay in a process of its own shows; `output` is where that writes, as for `subprocess`.

    It is ended when its time is, on a Ctrl-C, which is raised, and when `is_over`, asked now and then, says so; and with this process,
    however that ends. Then nothing that it has started goes on.
    """
    with tempfile.TemporaryFile() as words:
        child = _Child(request, output, words)
        try:
            answer = child.wait(is_over)
        finally:
            child.end()
        if answer is not None:
            return _from_json(answer)
        return replace(_ended(child, request, header), notes=child.notes, stack=last_words(words))


def _ended(child: _Child, request: Request, header: Header) -> Replay:
    """Return what it means that a child has ended without an answer."""
    if child.has_timed_out and child.is_called:
        return verdicts.ended(header, f"it is still running after {request.timeout:g} s", has_timed_out=True, duration=request.timeout)
    if child.has_timed_out:
        return verdicts.never_called(header, f"it is still loading after {request.timeout:g} s")
    return verdicts.ended(header, f"its process died {'again' if header.status == DIED else 'now'} ({_name(child.process.returncode)})")


class _Child:
    """A child process that replays, and what it has said so far."""

    def __init__(self, request: Request, output: Output, words: IO[bytes]) -> None:
        """Start it; its output goes to `output`, and where it hung or crashed to `words`."""
        self._timeout = request.timeout
        self._reading, writing = os.pipe()
        held, self._lifeline = os.pipe()
        passed = (writing, held, words.fileno())
        command = [sys.executable, "-P", "-c", _CHILD, json.dumps(request.to_json()), *map(str, passed)]
        try:
            self.process = subprocess.Popen(  # noqa: S603  our own interpreter
                command, pass_fds=passed, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
            )
        except BaseException:
            os.close(self._reading)
            os.close(self._lifeline)
            raise
        finally:
            os.close(writing)
            os.close(held)
        self.has_timed_out = self.is_called = self._is_leaving = False
        #: Why the replay may show something else than the first run would; known when the call begins.
        self.notes: tuple[str, ...] = ()
        self._said = b""
        self._since = time.monotonic()

    def wait(self, is_over: Callable[[], bool]) -> Json | None:
        """Return the answer; None when there will be none."""
        while True:
            line, newline, rest = self._said.partition(b"\n")
            if newline:
                self._said = rest
                answer: Json = json.loads(line)
                if "verdict" in answer:
                    self._is_leaving = True
                    return answer
                self.is_called, self.notes, self._since = True, tuple(answer["notes"]), time.monotonic()
                continue
            if not self._listen(is_over):
                return None

    def _listen(self, is_over: Callable[[], bool]) -> bool:
        """Take in what the child says next; False when it says nothing any more."""
        while not select.select([self._reading], [], [], 0.05)[0]:
            # A grandchild may hold the pipe open when the child is gone.
            if is_over() or (self.process.poll() is not None and not select.select([self._reading], [], [], 0)[0]):
                return False
            if self._timeout is not None and time.monotonic() - self._since > self._timeout + _GRACE:
                self.has_timed_out = True
                return False
        piece = os.read(self._reading, 1 << 16)
        self._said += piece
        if not piece:
            self._is_leaving = True
            self.has_timed_out = self._timeout is not None and time.monotonic() - self._since >= self._timeout
        return bool(piece)

    def end(self) -> None:
        """Close the pipes, and end what still runs of the child and of what it has started.

        A child that has said all it has to say may leave by itself: it and its helpers may have something to clear away.
        """
        os.close(self._reading)
        deadline = time.monotonic() + (_GRACE if self._is_leaving and not self.has_timed_out else 0)
        while (self.process.poll() is None or is_group(self.process.pid)) and time.monotonic() < deadline:
            time.sleep(0.005)
        kill_group(self.process.pid)
        os.close(self._lifeline)
        self.process.wait()


def answer(asked: str, descriptor: str, lifeline: str, words: str) -> None:
    """Replay in a child process: the notes when the call begins, and then what was shown, go as JSON to the pipe that the parent reads.

    This process ends with the one that holds the other end of `lifeline`. Where it hangs or crashes goes to the file `words`.
    """
    hang_on(int(lifeline))
    request = Request.from_json(json.loads(asked))
    os.set_inheritable(int(descriptor), False)
    os.set_inheritable(int(words), False)
    faulthandler.enable(int(words))
    with open(int(descriptor), "w", encoding="utf-8", buffering=1) as answers:
        watchdog = Watchdog(request.timeout, int(words))
        watchdog.arm()
        try:
            shown = _answered(request, answers, watchdog)
        except CkptError as error:
            shown = _to_json(verdicts.cannot(error))
        watchdog.rest()
        with contextlib.suppress(AttributeError, OSError, ValueError):  # the call may have closed it, or taken it away
            sys.stdout.flush()
        answers.write(json.dumps(shown) + "\n")


def _answered(request: Request, answers: IO[str], watchdog: Watchdog) -> Json:
    capture = request.open()

    def about_to_call() -> None:
        answers.write(json.dumps({"notes": capture.replay_notes}) + "\n")
        watchdog.arm()

    shown = call_again(capture, here=request.here, observe=request.observe(), about_to_call=about_to_call)
    if shown.exception is not None and shown.duration is not None:
        with capture.sources_in_use(), contextlib.suppress(OSError, ValueError):
            traceback.print_exception(shown.exception.with_traceback(users_part(shown.exception.__traceback__, capture.code)))
    return _to_json(shown) | {"files": [*project_files(capture), *missing_files(capture, shown.exception)]}


def _to_json(shown: Replay) -> Json:
    names = ("verdict", "detail", "has_returned", "error", "hint", "duration", "notes", "files")
    return {name: getattr(shown, name) for name in names} | {"text": _repr(shown.value) if shown.has_returned else None}


def _from_json(answer: Json) -> Replay:
    return Replay(**answer | {"notes": tuple(answer["notes"]), "files": tuple(answer["files"])})


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:  # a `__repr__` of the user's: the replay has happened, and is to be told
        return f"<no text: {type(error).__qualname__} raised>"


def _name(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
