"""A capture in VS Code: debugpy is driven as VS Code drives it, by a client that speaks its protocol."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from tests.dap import Client, attached
from tests.processes import environment, python

pytest.importorskip("debugpy", reason="the debugger of VS Code is not installed")

PROGRAM = """
    import ckpt

    SCALE = 2

    def ratio(values, k):
        total = sum(values)
        try:
            return total / (k - k)
        except ZeroDivisionError as error:
            raise ValueError("no ratio") from error

    @ckpt.ckpt
    def job(n):
        rows = list(range(n))
        return ratio(rows, SCALE)

    job(4)
"""


@contextmanager
def session(path: Path) -> Iterator[tuple[Client, int, str]]:
    """`ckpt debug` with a client attached and stopped: the client, the thread, and what was said before."""
    (path / "job.py").write_text(dedent(PROGRAM).lstrip("\n"))
    environ = {"PYCKPT_DIR": str(path / ".pyckpt")}
    python("job.py", cwd=path, check=False, environ=environ)
    command = [sys.executable, "-m", "ckpt", "debug", "job", "--debugger", "vscode"]
    with subprocess.Popen(command, cwd=path, env=environment(environ), stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            said += process.stderr.readline()
            port = re.search(r'"port": (\d+)', said)
            assert port is not None, said + process.stderr.read()
            with attached(int(port[1])) as client:
                yield client, client.wait_for("stopped")["threadId"], said
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_vscode_stops_in_the_captured_exception(tmp_path: Path) -> None:
    """It says how to attach, on loopback; stops in the exception; shows the frames with their callers and none of ours, and variables."""
    with session(tmp_path) as (client, thread, said):
        assert '"request": "attach", "connect": {"host": "127.0.0.1"' in said
        told = client.ask("exceptionInfo", threadId=thread)
        assert (told["exceptionId"], told["description"]) == ("ValueError", "no ratio")
        frames = client.ask("stackTrace", threadId=thread)["stackFrames"]
        assert [frame["name"] for frame in frames[:3]] == ["ratio", "job", "<module>"]
        assert all("[Chained Exc: division by zero]" in frame["name"] for frame in frames[3:])
        assert {frame["source"]["path"] for frame in frames} == {str(tmp_path / "job.py")}
        scopes = client.ask("scopes", frameId=frames[0]["id"])["scopes"]
        values = client.ask("variables", variablesReference=scopes[0]["variablesReference"])["variables"]
        assert {value["name"]: value["value"] for value in values}.items() >= {"total": "6", "k": "2"}.items()
        asked = client.ask("evaluate", expression="[row * SCALE for row in rows]", frameId=frames[1]["id"], context="repl")
        assert asked["result"] == "[0, 2, 4, 6]"
        client.ask("continue", threadId=thread)


def test_leaving_vscode_ends_the_session(tmp_path: Path) -> None:
    """When the client disconnects, the command ends."""
    with session(tmp_path) as (client, _, _):
        client.ask("disconnect", terminateDebuggee=False)
