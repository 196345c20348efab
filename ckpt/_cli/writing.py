"""`test`: a capture as a test for pytest."""

from __future__ import annotations

from typing import Annotated

import typer

from ckpt._cli import screen, sessions
from ckpt._cli.options import Code, Name, Trust
from ckpt._cli.text import one_line

Output = Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="The file to write, such as tests/test_load.py.")]
ExpectFailure = Annotated[bool, typer.Option("--expect-failure", help="Expect the captured failure, not a return.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the file when it is there.")]


Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="ARG=VALUE", help="Another value: a Python literal, or @env:VARIABLE, which the test reads."),
]


def test(  # noqa: PLR0913 - one parameter for each option
    output: Output,
    name: Name = None,
    *,
    changes: Changes = None,
    expect_failure: ExpectFailure = False,
    force: Force = False,
    trust: Trust = False,
) -> None:
    """Write a test of the captured call.

    For pytest: it calls the function with the captured arguments and expects it not to raise, so it fails until the function is mended.
    Arguments that have a short literal stand in the test; the others come from a capture file beside it. It needs no store.
    """
    from ckpt._replaying.regression import write_test

    capture = sessions.opened_capture(name, Code.current, trust=trust)
    written = write_test(capture, output, changes or (), expect_failure=expect_failure, replace=force)
    sessions.say_all(written.notes)
    for path in (written.path, written.values):
        if path is not None:
            screen.write(one_line(path))
