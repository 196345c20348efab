"""Many captures replayed at a time, each in a process of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from fnmatch import fnmatchcase
from subprocess import DEVNULL

from ckpt._model.record import Header
from ckpt._replaying.calling import Request
from ckpt._replaying.replay import in_child
from ckpt._replaying.verdicts import Replay

#: Characters that make a pattern of a name; no name has them.
WILD = frozenset("*?[")

Tell = Callable[[Header, Replay], None]


def is_pattern(text: str) -> bool:
    """Whether `text` is a pattern such as `load*`, and so the name of no capture."""
    return not WILD.isdisjoint(text)


def matching(headers: Sequence[Header], pattern: str) -> list[Header]:
    """Return the captures whose name, or `module.name`, fits the pattern."""
    return [each for each in headers if fnmatchcase(each.name, pattern) or fnmatchcase(f"{each.module}.{each.name}", pattern)]


def replay_all(headers: Sequence[Header], request: Request, *, jobs: int, tell: Tell) -> list[Replay]:
    """Replay captures, in their order, in at most `jobs` processes at a time, and return what each showed.

    `request` says how; what the programs print is thrown away. `tell` is called in this thread as each of them ends. A Ctrl-C, or what
    `tell` raises, ends all of them, and is raised.
    """
    over = threading.Event()

    def run(header: Header) -> Replay:
        return in_child(replace(request, id=header.id), header, output=DEVNULL, is_over=over.is_set)

    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        try:
            waiting: dict[Future[Replay], Header] = {pool.submit(run, header): header for header in headers}
            order = list(waiting)
            while waiting:
                ended = wait(waiting, return_when=FIRST_COMPLETED).done
                for done in [each for each in waiting if each in ended]:
                    tell(waiting.pop(done), done.result())
        except BaseException:
            over.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [each.result() for each in order]
