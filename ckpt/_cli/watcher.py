"""`run --watch`: the verdict stays on the screen, and follows what is saved."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from ckpt._cli import report, screen, sessions
from ckpt._cli.text import one_line, plural

if TYPE_CHECKING:
    from ckpt._model.record import Header
    from ckpt._replaying.calling import Request
    from ckpt._replaying.watching import Shown
    from ckpt._store.store import Store

#: Clears a terminal and what it has scrolled away.
_CLEAR = "\x1b[H\x1b[2J\x1b[3J"


def watch_on_screen(store: Store, header: Header, request: Request) -> None:
    """Replay now and whenever a file of the project is saved, until a Ctrl-C. On a terminal only the latest is there."""
    from ckpt._replaying.code_diff import project_texts
    from ckpt._replaying.watching import Saved, watch

    for event in watch(request, header, project_texts(store.get(header.id))):
        if isinstance(event, Saved):
            screen.say(one_line(f"{event.file} is saved, {header.name} runs again ..."))
        else:
            _tell(event)


def _tell(shown: Shown) -> None:
    if screen.is_terminal(of_errors=True):
        sys.stderr.write(_CLEAR)
    for line in shown.output.rstrip("\n").split("\n") if shown.output.strip() else ():
        screen.say(one_line(line))
    sessions.say_before(shown.replay)
    if shown.replay.text is not None:
        screen.write_lines(shown.replay.text)
    now = time.strftime("%H:%M:%S")
    screen.say(f"watching {plural(shown.files, 'file')} since {now}; Ctrl-C ends")
    screen.say(report.verdict(shown.replay))
