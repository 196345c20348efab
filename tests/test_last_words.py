"""Where a process hung or crashed, in the words of `faulthandler`, without the lines of ckpt."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

import ckpt
from ckpt._replaying.last_words import last_words

OURS = Path(ckpt.__file__).parent / "_replaying" / "calling.py"
LIBRARY = Path(os.__file__).parent
BELOW = f'  File "{OURS}", line 95 in call_again\n  File "<string>", line 1 in <module>\n'
HEAD = "Thread 0x00007f5bd40a1c40 (most recent call first):"


@pytest.mark.parametrize(
    ("stack", "shown"),
    [
        (f'  File "{LIBRARY}/ctypes/__init__.py", line 538 in string_at\n  File "/p/job.py", line 6 in work\n' + BELOW, 2),
        ('  File "/p/job.py", line 1 in <module>\n  File "<frozen importlib._bootstrap>", line 488 in _load\n' + BELOW, 1),
        (f'  File "/p/job.py", line 1 in <module>\n  File "{LIBRARY}/functools.py", line 9 in __get__\n' + BELOW, 1),
        (f'  File "/p/job.py", line 1 in __reduce__\n  File "{OURS}", line 1 in f\n  File "/p/job.py", line 2 in work\n' + BELOW, 3),
        ('  File "<string>", line 3 in typed\n' + BELOW, 1),
        (f'  File "{LIBRARY}/selectors.py", line 452 in select\n  File "{LIBRARY}/asyncio/base_events.py", line 1 in run\n' + BELOW, 1),
        (f'  File "/p/job.py", line 1 in work\n  File "{LIBRARY}/threading.py", line 1 in _bootstrap\n', 2),
        ("  <no Python frame>\n", 1),
    ],
    ids=["library above", "import", "library between", "ckpt above", "typed", "coroutine", "thread", "no frame"],
)
def test_a_stack_ends_in_what_ckpt_calls(stack: str, shown: int) -> None:
    """What is below the captured function is not shown; what it calls is, and other threads are as they are."""
    told = last_words(io.BytesIO(f"Timeout (0:00:01)!\n{HEAD}\n{stack}\nExtension modules: numpy (total: 1)\n".encode()))
    assert told == (HEAD, *stack.splitlines()[:shown])


def test_a_thread_of_ckpts_is_left_out() -> None:
    """Only what happens in the user's functions is told; nothing, when nothing was written."""
    told = last_words(io.BytesIO(f'Timeout (0:00:01)!\n{HEAD}\n{BELOW}\n{HEAD}\n  File "/p/job.py", line 1 in work\n{BELOW}'.encode()))
    assert told == (HEAD, '  File "/p/job.py", line 1 in work')
    assert last_words(io.BytesIO()) == ()
