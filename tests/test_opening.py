"""Opening a capture: what it costs, what is in front of it, and what does not keep it from opening."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

from tests.processes import ckpt, python

#: Bytes of the arrays in the large capture.
SIZE = 300_000_000


def put(path: Path, text: str, name: str = "job.py") -> Path:
    """Write a program and run it in `path`, where the store is, too."""
    file = path / name
    file.write_text(dedent(text).lstrip("\n"))
    python(file, cwd=path, check=False, environ={"PYCKPT_DIR": str(path / ".pyckpt")})
    return file


def ask(path: Path, *commands: str, options: tuple[str, ...] = (), store: Path | None = None) -> str:
    """Return what pdb answers in the captured failure."""
    environ = {"PYCKPT_DIR": str(store or path / ".pyckpt")}
    asked = "".join(f"{command}\n" for command in commands)
    return ckpt("debug", "--debugger", "pdb", *options, cwd=path, stdin=asked, environ=environ).stdout


# The way in

CALLS = """
    import ckpt

    SCALE = 2


    def outermost(level):
        note = f"level {level}"
        return middle(level) if level == 0 else outermost(level - 1)


    def middle(number):
        half = number / 2
        return captured(half)


    @ckpt.ckpt(callers=CALLERS)
    def captured(x):
        y = x + SCALE
        return inner(y)


    def inner(y):
        return y.missing


    outermost(DEPTH)
"""


def calls(path: Path, *, callers: bool = False, depth: int = 1) -> None:
    put(path, CALLS.replace("CALLERS", str(callers)).replace("DEPTH", str(depth)))


def test_callers_stand_above_the_captured_function(tmp_path: Path) -> None:
    """`w` shows the way in down from the script, as live from the top; `u` goes there, and `l` shows the source."""
    calls(tmp_path)
    answer = ask(tmp_path, "w", "u 2", "l", "p half", "u 100", "q")
    stack = re.findall(r"^[> ] .*?job.py\((\d+)\)(.*?)\(\)$", answer.partition("(Pdb) ")[2].partition("(Pdb) ")[0], re.MULTILINE)
    assert [name for _, name in stack] == ["<module>", "outermost", "outermost", "middle", "captured", "inner"]
    assert [line for line, _ in stack][:2] == ["26", "8"]
    assert "->\t    return captured(half)" in answer
    assert "*** NameError: name 'half' is not defined" in answer
    assert "<module>()\n-> outermost(1)" in answer


def test_callers_keep_their_variables_when_asked(tmp_path: Path) -> None:
    """With `callers=True`, the frames above have their variables too; those of each level of a recursion are its own."""
    calls(tmp_path, callers=True)
    answer = ask(tmp_path, "u 2", "p half, number", "u", "p note", "u", "p note", "u", "p SCALE", "q")
    assert "(0.0, 0)" in answer
    assert "'level 0'" in answer
    assert "'level 1'" in answer
    assert answer.rstrip("(Pdb) \n").endswith("2")


def test_callers_with_variables_are_shown(tmp_path: Path) -> None:
    """`ckpt show` lists them before the traceback; callers that kept none stay away."""
    calls(tmp_path, callers=True)
    called, traceback = ckpt("show", cwd=tmp_path).stdout.split("Traceback (most recent call last):")
    assert "Called from:" in called
    assert "note: str (7) = 'level 0'" in called
    assert "in captured" in traceback
    calls(tmp_path)
    assert "Called from:" not in ckpt("show", cwd=tmp_path).stdout


def test_callers_have_no_number(tmp_path: Path) -> None:
    """`--frame 0` is the captured function; numbers end with the frame that raised; the shell and `.frames` do not count callers."""
    calls(tmp_path)
    assert ask(tmp_path, "q", options=("--frame", "0")).splitlines()[0].endswith("captured()")
    environ = {"PYCKPT_DIR": str(tmp_path / ".pyckpt")}
    refused = ckpt("debug", "--frame", "2", cwd=tmp_path, check=False, environ=environ)
    assert refused.returncode == 2
    assert "frames go from 0 to 1" in refused.stderr
    shown = python("-c", "import ckpt; print([frame.record.name for frame in ckpt.load().frames])", cwd=tmp_path, environ=environ)
    assert shown.stdout == "['captured', 'inner']\n"


def test_a_traceback_begins_with_the_captured_function(tmp_path: Path) -> None:
    """The exception of `ckpt.load` has its frames from the captured function on, also after a debugger has shown the callers."""
    calls(tmp_path)
    look = """
    import ckpt, traceback
    capture = ckpt.load()
    before = traceback.format_exception(capture.exception)
    with capture.way_in() as above:
        assert len(traceback.extract_tb(capture.exception.__traceback__)) == 2 + above == 6
    assert traceback.format_exception(capture.exception) == before
    """
    python("-c", dedent(look), cwd=tmp_path, environ={"PYCKPT_DIR": str(tmp_path / ".pyckpt")})


def test_only_so_many_callers_are_kept(tmp_path: Path) -> None:
    """Of a tall way in, the nearest fifty frames are kept."""
    calls(tmp_path, depth=200)
    answer = ask(tmp_path, "w", "q")
    assert len(re.findall(r"job\.py\(\d+\)", answer.partition("(Pdb) ")[2])) == 52


def test_a_captured_call_inside_another_has_the_outer_one_above_it(tmp_path: Path) -> None:
    """The frames between two captured functions are the inner capture's callers, with their variables: they were kept for the outer one."""
    put(
        tmp_path,
        """
        import ckpt

        @ckpt.ckpt
        def outer(a):
            b = a + 1
            return between(b)

        def between(b):
            c = b * 2
            return inner(c)

        @ckpt.ckpt
        def inner(c):
            return c / 0

        outer(1)
        """,
    )
    answer = ask(tmp_path, "w", "u", "p c, b", "u", "p a, b", "u", "q", options=("inner",))
    assert re.findall(r"job\.py\(\d+\)(.*?)\(\)", answer.split("(Pdb) ")[1]) == ["<module>", "outer", "between", "inner"]
    assert "(4, 2)" in answer
    assert "(1, 2)" in answer


# What it costs


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two captures: one with a few large arrays in its frames, one with tiny ones."""
    path = tmp_path_factory.mktemp("large")
    put(
        path,
        f"""
        import numpy
        import ckpt

        @ckpt.ckpt(active=False)
        def job(size):
            arrays = [numpy.full(size // 3, number, dtype="u1") for number in range(3)]
            return arrays[5]

        for size in ({SIZE}, 30):
            try:
                job(size)
            except IndexError:
                pass
        """,
    )
    return path


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_large_arrays_are_mapped_and_not_read(large: Path) -> None:
    """Opening a failure with hundreds of megabytes in its frames takes no more memory of its own, and reads no more, than one with none."""
    look = """
    import ckpt, json, sys
    capture = ckpt.load(sys.argv[1])
    assert capture.exception is not None
    counts = dict(line.split(":") for line in open("/proc/self/io"))
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    print(json.dumps([int(counts["rchar"]), int(status["VmRSS"].split()[0]) * 1024, int(capture.locals["arrays"][2][-1])]))
    """
    shown = {
        name: json.loads(python("-c", dedent(look), name, cwd=large, environ={"PYCKPT_DIR": str(large / ".pyckpt")}).stdout)
        for name in ("job", "job~1")
    }
    for small, big in zip(shown["job"][:2], shown["job~1"][:2], strict=True):
        assert big < small + SIZE / 20
    assert shown["job~1"][2] == 2


def test_a_large_array_can_be_changed_at_the_prompt(large: Path) -> None:
    """What is assigned to a mapped array is there in this session, and not in the store."""
    answer = ask(large, "!arrays[1][0] = 9", "p arrays[1][:2].tolist()", options=("job~1",))
    assert "[9, 1]" in answer
    assert "[1, 1]" in ask(large, "p arrays[1][:2].tolist()", options=("job~1",))


def test_a_tall_recursion_opens(tmp_path: Path) -> None:
    """900 frames are there, with variables of their own; how soon is measured in `benchmarks/loading.py`."""
    put(
        tmp_path,
        """
        import sys
        import ckpt

        sys.setrecursionlimit(3000)

        @ckpt.ckpt
        def job(depth):
            text, numbers = f"level {depth}", [depth] * 3
            return job(depth - 1) if depth else 1 / 0

        job(899)
        """,
    )
    look = """
    import ckpt
    capture = ckpt.load()
    assert capture.exception is not None
    print(len(capture.frames), capture.frames[899].locals["text"])
    """
    shown = python("-c", dedent(look), cwd=tmp_path, environ={"PYCKPT_DIR": str(tmp_path / ".pyckpt")}).stdout
    assert shown == "900 level 0\n"


def test_modules_of_installed_packages_are_loaded_when_they_are_used(tmp_path: Path) -> None:
    """A package that the frames only name is not imported by opening; at the first use it is, and is the package."""
    package = tmp_path / "site-packages" / "heavy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("VERSION = 7\nprint('heavy is loaded')\n")
    file = tmp_path / "job.py"
    file.write_text("import heavy\nimport ckpt\n\n@ckpt.ckpt\ndef job(x):\n    return x / heavy.VERSION / 0\n\njob(1)\n")
    environ = {"PYCKPT_DIR": str(tmp_path / ".pyckpt"), "PYTHONPATH": f"{tmp_path / 'site-packages'}:{Path(__file__).parents[1]}"}
    python(file, cwd=tmp_path, check=False, environ=environ)
    run = ckpt("debug", "--debugger", "pdb", cwd=tmp_path, stdin="p x\np heavy.VERSION\np heavy\n", environ=environ)
    loaded = run.stdout.index("heavy is loaded")
    assert run.stdout.index("(Pdb) 1\n") < loaded < run.stdout.index("7\n", loaded)
    assert f"<module 'heavy' from '{package}" in run.stdout


def test_unloadable_variables_are_placeholders_in_their_frame(tmp_path: Path) -> None:
    """A value whose class is gone, and one whose constructor fails today, have a placeholder; the session opens with all others."""
    module = tmp_path / "shapes.py"
    module.write_text(
        "class Gone:\n    pass\n\nclass Picky:\n    def __reduce__(self):\n        return make, (1,)\n\ndef make(n):\n    return Picky()\n"
    )
    put(
        tmp_path,
        """
        import ckpt, shapes

        @ckpt.ckpt
        def job(gone, picky):
            here = [1, 2]
            return here[gone]

        job(shapes.Gone(), shapes.Picky())
        """,
    )
    module.write_text("class Picky:\n    pass\n\ndef make(n):\n    raise ValueError('not today')\n")
    time.sleep(0.01)
    run = ckpt("debug", "--debugger", "pdb", cwd=tmp_path, stdin="p here\na\np gone.x\n", environ={"PYCKPT_DIR": str(tmp_path / ".pyckpt")})
    assert "[1, 2]" in run.stdout
    assert "there is no Gone in shapes any more" in run.stdout
    assert "ValueError: not today" in run.stdout
    assert "PlaceholderError" in run.stdout
