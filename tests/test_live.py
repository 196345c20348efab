"""A captured failure debugs like a live one: the same commands, in the same place, give the same text.

Each program in `tests/live/programs` is run three times: undecorated, with the live post-mortem of pdb; by itself, which captures
its failure; and its capture is opened in another process. What differs is listed in docs/debugging.md.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.live.comparing import Sessions, told
from tests.processes import ckpt, environment

#: The first test waits for all programs to be played.
pytestmark = pytest.mark.timeout(600)

HERE = Path(__file__).parent / "live"
PROGRAMS = sorted(path.stem for path in (HERE / "programs").glob("*.py"))
#: Also opened by the command itself.
BY_COMMAND = (
    "function",
    "method",
    "closure",
    "class_body",
    "generator",
    "async_function",
    "exec_code",
    "cause",
    "exception_group",
    "decorators_above",
    "recursion_deep",
    "except_block",
)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All programs, played live and captured."""
    path = tmp_path_factory.mktemp("live")
    for name in PROGRAMS:
        (path / name).mkdir()
        shutil.copy(HERE / "programs" / f"{name}.py", path / name / "program.py")
    stage = [sys.executable, str(HERE / "stage.py")]
    subprocess.run([*stage, "live", str(path), *PROGRAMS], env=_environment(path), check=True, timeout=300)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_capture, [path / name for name in PROGRAMS]))
    subprocess.run([*stage, "captured", str(path), *PROGRAMS], env=_environment(path), check=True, timeout=300)
    return path


def _environment(path: Path, **more: str) -> dict[str, str]:
    ours = {"HOME": str(path), "PYTHONHASHSEED": "0", "IPYTHONDIR": str(path / "ipython"), "PYCKPT_DISABLE": ""}
    return environment({**ours, **more})


def _capture(folder: Path) -> None:
    command = [sys.executable, str(folder / "program.py")]
    more = _environment(folder.parent, PYCKPT_DIR=str(folder / "store"))
    subprocess.run(command, cwd=folder, env=more, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_capture_answers_what_the_live_failure_answered(played: Path, name: str) -> None:
    """Every command gives the same text, addresses aside; where the live prompt does not find a variable of its frame, ours does."""
    differences = Sessions(played / name).differences()
    assert not differences, told(differences)


@pytest.mark.parametrize("printer", ["traceback", "rich", "ipython"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_capture_prints_what_the_live_failure_printed(played: Path, name: str, printer: str) -> None:
    """Python's own traceback, rich's with variables and IPython's most verbose one are the same text."""
    texts = Sessions(played / name).printed_differently(printer)
    assert not texts, "\n--- captured\n".join(texts)


@pytest.mark.parametrize("name", BY_COMMAND)
def test_the_command_itself_answers_the_same(played: Path, name: str) -> None:
    """`ckpt debug NAME --debugger pdb` in a process that nothing was prepared for gives the same text."""
    folder = played / name
    asked = (folder / "commands").read_text()
    more = {"PYCKPT_DIR": str(folder / "store"), "PYTHONHASHSEED": "0", "HOME": str(played)}
    run = ckpt("debug", "job", "--debugger", "pdb", cwd=folder, stdin=asked, environ=more)
    (folder / "command.out").write_text(run.stdout)
    differences = Sessions(folder).differences("command.out")
    assert not differences, told(differences)


def test_there_are_enough_programs() -> None:
    """The corpus is no smaller than it was meant to be."""
    assert len(PROGRAMS) >= 60
