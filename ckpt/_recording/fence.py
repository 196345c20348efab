"""What stands between the program and the work of a recorder: whatever goes wrong behind it is a loss that is told, and the call goes on.

What is not ours to keep, a Ctrl-C or the exception of a signal handler, goes on to the program. Work that does not fit on the stack any
more is done on a thread of its own.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeVar

from ckpt._model.interrupts import belongs_to_program

T = TypeVar("T")
#: Is told what went wrong.
Lost = Callable[[BaseException], None]

#: What strikes before the fence is up: it does not fit on the stack, or into the memory, any more.
BEYOND = (RecursionError, MemoryError)


class _Thread(threading.local):
    """Whether this thread is recording at the moment."""

    busy = False


this_thread = _Thread()


def fenced(lost: Lost, work: Callable[..., T], *args: Any) -> T | None:
    """Return what `work` makes, None when it fails. Its last argument says whether this thread was recording already."""
    if sys.is_finalizing():
        return None
    nested, this_thread.busy = this_thread.busy, True
    try:
        return work(*args, nested)
    except RecursionError:
        try:
            return _on_fresh_stack(work, (*args, nested), lost)
        except RuntimeError:  # no thread is to be had, or not even this fits on the stack
            return None
    except BaseException as trouble:
        if belongs_to_program(trouble):
            raise
        lost(trouble)
        return None
    finally:
        this_thread.busy = nested


def _on_fresh_stack(work: Callable[..., T], args: tuple[Any, ...], lost: Lost) -> T | None:
    result: list[T] = []
    context = copy_context()  # the tags
    done = _thread.allocate_lock()
    done.acquire()

    def run() -> None:
        this_thread.busy = True
        try:
            result.append(context.run(work, *args))
        except BaseException as trouble:  # on a thread of ours: signals go to the main thread
            lost(trouble)
        finally:
            done.release()

    _thread.start_new_thread(run, ())
    done.acquire()
    return result[0] if result else None


#: The code in which a thread waits that has lent its recording to another.
WAITS = _on_fresh_stack.__code__
