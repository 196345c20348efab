"""The stage of the differential test: each program in a process of its own, forked from one that has loaded everything but the program.

`python stage.py live DIRECTORY NAME...` runs programs undecorated, prints what they raise, and opens pdb on it; `python stage.py captured
DIRECTORY NAME...` does the same with what they have captured, by the command line. Both read the same commands, and leave what they
printed beside the program.
"""

from __future__ import annotations

import functools
import io
import json
import os
import pdb  # noqa: T100 - the debugger is what it is about
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any, NoReturn

import ckpt

#: How many frames above the last one the common commands look at, and how many processes run at a time.
FRAMES, AT_A_TIME = 3, 2

#: What is asked in each frame.
LOOK = ("l", "a", "p list(locals())", "p locals()", "pp locals()", "whatis job", "source job", "display job")
#: What is asked then: a new name, in every scope that a prompt can have; and whether it is there after the frame was left.
MEND = (
    "!fresh = 5",
    "p fresh",
    "p [fresh for _ in range(2)]",
    "p (lambda: fresh)()",
    "p sum(fresh for _ in range(2))",
    "!def nested(): return fresh + 1",
    "p nested()",
)
MOVE = ("d 1000", "u", "d", "p fresh")
#: What is asked last: `interact` ends with the input.
LAST = (
    "p [__name__, __file__] if '__file__' in globals() else 0",
    "interact",
    "fresh + 1",
    "[one for one in (1, 2)]",
    "fresh = 6",
    "fresh",
)


class Live:
    """One program, run as it would be without ckpt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = str(folder / "program.py")
        self.text = (folder / "program.py").read_text()
        self.captured: list[CodeType] = []
        self.is_over = False

    def run(self) -> None:
        """Run the program; the session is where it fails, or where it hands an exception over."""
        vars(ckpt).update(ckpt=self._identity, capture_exception=self._hand_over)
        names = {name: value for name, value in vars(sys.modules["__main__"]).items() if name.startswith("__")}
        module = sys.modules["__main__"] = ModuleType("__main__")
        module.__dict__.update({name: {} if name == "__annotations__" else value for name, value in names.items()}, __file__=self.file)
        sys.path.insert(0, str(self.folder))
        error = self._error(vars(module))
        if error is not None and not self.is_over:
            assert error.__traceback__ is not None
            self._session(error, error.__traceback__.tb_next)

    def _error(self, names: dict[str, Any]) -> BaseException | None:
        """Return what the program raises; no exception is being handled any more when the session begins."""
        try:
            exec(compile(self.text, self.file, "exec"), names)
        except BaseException as error:
            return error
        return None

    def _identity(self, function: Any = None, **_options: object) -> Any:
        if function is None:
            return self._identity
        plain = function.func if isinstance(function, functools.partial) else function
        self.captured.append(plain.__code__)
        return function

    def _hand_over(self, error: BaseException | None = None, name: str | None = None) -> None:
        error = error or sys.exception()
        assert error is not None
        assert error.__traceback__ is not None
        self.captured.append(error.__traceback__.tb_frame.f_code)
        self._session(error, error.__traceback__)
        self.is_over = True

    def _session(self, error: BaseException, first: TracebackType | None) -> None:
        entries = list(_entries(first))
        start = next(number for number, entry in enumerate(entries) if entry.tb_frame.f_code in self.captured)
        captured = entries[start].tb_frame.f_code
        (self.folder / "captured.json").write_text(json.dumps([captured.co_filename, captured.co_name]))
        _cut(error, entries[start])
        show(self.folder, "live", error)
        _cut(error, first)
        is_cut = start == 0 or "#! other callers" in self.text
        ask(self.folder, commands(self.text, len(entries) - start, is_cut=is_cut))
        pdb.post_mortem(error if sys.version_info >= (3, 13) else error.__traceback__)  # type: ignore[arg-type]


def _entries(entry: TracebackType | None) -> Iterator[TracebackType]:
    while entry is not None:
        yield entry
        entry = entry.tb_next


def _cut(error: BaseException, first: TracebackType | None) -> None:
    vars(BaseException)["__traceback__"].__set__(error, first)  # a frozen dataclass refuses to be set


def commands(text: str, depth: int, *, is_cut: bool) -> list[str]:
    """Return what to ask of a failure of `depth` frames: what is asked of all, between it the lines that the program's text marks.

    With `is_cut`, there is nothing to be compared above them.
    """
    lines = text.splitlines()
    own = [line.removeprefix("#> ") for line in lines if line.startswith("#> ")]
    if sys.version_info < (3, 13):
        own = [command for command in own if not command.startswith("exceptions")]
    up = min(depth - 1, FRAMES)
    common = ["w", "ll", *LOOK, *["u", *LOOK] * up, *["d"] * up]
    without = [line.removeprefix("#! without ") for line in lines if line.startswith("#! without ")]
    wanted = [*common, *own, *MEND, *((*MOVE, *MEND) if depth > 1 or not is_cut else ()), *LAST]
    return [command for command in wanted if command not in without]


def ask(folder: Path, wanted: Sequence[str]) -> None:
    """Put commands on standard input."""
    asked = folder / "commands"
    asked.write_text("".join(f"{command}\n" for command in wanted))
    _redirect(0, os.open(asked, os.O_RDONLY))


def show(folder: Path, mode: str, error: BaseException) -> None:
    """Write what Python, rich and IPython print of an exception."""
    for name, text in printed(error).items():
        (folder / f"{mode}.{name}").write_text(text, errors="backslashreplace")


def printed(error: BaseException) -> dict[str, str]:
    """Return an exception as printed by Python, by rich with all variables, and by IPython at its most verbose."""
    console, tracebacks = import_module("rich.console"), import_module("rich.traceback")
    ultratb = import_module("IPython.core.ultratb")
    kind, trace = type(error), error.__traceback__
    screen = console.Console(file=io.StringIO(), width=150, no_color=True, force_terminal=False)
    screen.print(tracebacks.Traceback.from_exception(kind, error, trace, show_locals=True, locals_max_length=None, locals_max_string=None))
    verbose = ultratb.VerboseTB(theme_name="nocolor")
    return {
        "traceback": "".join(traceback.format_exception(error)),
        "rich": screen.file.getvalue(),
        "ipython": verbose.text(kind, error, trace),
    }


def captured(folder: Path) -> None:
    """Print the program's capture, and open it as a person does."""
    from ckpt._cli.app import main

    capture = ckpt.load("job")
    with capture.surroundings(), capture.sources():
        assert capture.exception is not None
        show(folder, "captured", capture.exception)
    _redirect(0, os.open(folder / "commands", os.O_RDONLY))
    sys.argv[:] = ["ckpt", "debug", "job", "--debugger", "pdb"]
    main()


def _redirect(number: int, descriptor: int) -> None:
    os.dup2(descriptor, number)
    os.close(descriptor)


def play(act: Callable[[Path], None], mode: str, folder: Path) -> NoReturn:
    """Play one act in this process, which ends with it."""
    for number, name in ((1, "out"), (2, "err")):
        _redirect(number, os.open(folder / f"{mode}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
    os.environ["PYCKPT_DIR"] = str(folder / "store")
    os.chdir(folder)
    try:
        act(folder)
    except SystemExit:
        pass
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def prepare(mode: str) -> None:
    """Load what all acts need."""
    printed(KeyError())
    if mode == "captured":
        import typer.main

        import ckpt._cli.commands
        import ckpt._cli.looking
        import ckpt._replaying.debuggers
        import ckpt._replaying.rehydrate

        typer.main.get_command(ckpt._cli.commands.app)


def main(mode: str, directory: str, *names: str) -> None:
    """Play all acts, a few at a time."""
    prepare(mode)
    act = captured if mode == "captured" else lambda folder: Live(folder).run()
    running: set[int] = set()
    for name in names:
        if len(running) >= AT_A_TIME:
            running.discard(os.wait()[0])
        child = os.fork()
        if child == 0:
            play(act, mode, Path(directory) / name)
        running.add(child)
    for _ in running:
        os.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
