"""The stage of the differential test: each program in a process of its own, forked from one that has loaded everything but the program.

`python stage.py live DIRECTORY NAME...` runs programs undecorated and opens pdb on what they raise; `python stage.py debug DIRECTORY NAME...`
opens what they have captured, by the command line. Both read the same commands, and leave what they printed beside the program.
"""

from __future__ import annotations

import functools
import json
import os
import pdb  # noqa: T100 - the debugger is what it is about
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any, NoReturn

import ckpt

#: How many frames above the last one the common commands look at, and how many processes run at a time.
FRAMES, AT_A_TIME = 3, 2

#: What is asked in each frame.
LOOK = ("l", "a", "p list(locals())", "p locals()")
#: What is asked last, in the frame that raised; `interact` ends with the input.
LAST = (
    "!fresh = 5",
    "p fresh",
    "p [fresh for _ in range(2)]",
    "u",
    "d",
    "p fresh",
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
        module = sys.modules["__main__"] = ModuleType("__main__")
        module.__dict__.update(__file__=self.file, __builtins__=__builtins__)
        sys.path.insert(0, str(self.folder))
        try:
            exec(compile(self.text, self.file, "exec"), vars(module))
        except BaseException as error:
            if not self.is_over:
                assert error.__traceback__ is not None
                self._session(error, error.__traceback__.tb_next)

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
        error.__traceback__ = first
        entries = [entry.tb_frame.f_code for entry, _ in _walk(first)]
        start = next(number for number, code in enumerate(entries) if code in self.captured)
        captured = entries[start]
        ask(self.folder, commands(self.text, len(entries) - start))
        (self.folder / "captured.json").write_text(json.dumps([captured.co_filename, captured.co_name]))
        pdb.post_mortem(error if sys.version_info >= (3, 13) else error.__traceback__)  # type: ignore[arg-type]


def _walk(entry: TracebackType | None) -> list[tuple[TracebackType, int]]:
    found = []
    while entry is not None:
        found.append((entry, entry.tb_lineno))
        entry = entry.tb_next
    return found


def commands(text: str, depth: int) -> list[str]:
    """Return what to ask of a failure of `depth` frames: what is asked of all, between it the lines that the program's text marks."""
    lines = text.splitlines()
    own = [line.removeprefix("#> ") for line in lines if line.startswith("#> ")]
    if sys.version_info < (3, 13):
        own = [command for command in own if not command.startswith("exceptions")]
    look = [each for each in LOOK if "#! names only" not in lines or each != "p locals()"]
    up = min(depth - 1, FRAMES)
    common = ["w", "ll", *look, *["u", *look] * up, *["d"] * up]
    if "#! short" in lines:
        return own
    return [*common, *own, *LAST]


def ask(folder: Path, wanted: list[str]) -> None:
    """Put commands on standard input."""
    asked = folder / "commands"
    asked.write_text("".join(f"{command}\n" for command in wanted))
    _redirect(0, os.open(asked, os.O_RDONLY))


def debug(folder: Path) -> None:
    """Open the program's capture, as a person does."""
    from ckpt._cli.app import main

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
    code = 0
    try:
        act(folder)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main(mode: str, directory: str, *names: str) -> None:
    """Play all acts, a few at a time."""
    act = debug if mode == "debug" else lambda folder: Live(folder).run()
    if mode == "debug":
        import typer.main  # noqa: F401 - shared by all

        import ckpt._cli.commands
        import ckpt._replaying.debuggers  # noqa: F401
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
    started = time.perf_counter()
    main(*sys.argv[1:])
