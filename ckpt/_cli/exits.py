"""The one map from errors to exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ckpt._cli.screen import complain
from ckpt.errors import CannotReplayError, CkptError, PlaceholderError, UsageError


@contextmanager
def exit_codes() -> Iterator[None]:
    """End the process as an error inside demands: 1 what ckpt could not do, 2 wrong usage, 130 interrupted; a closed pipe is not told."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except CkptError as err:
        label = "cannot replay" if isinstance(err, CannotReplayError | PlaceholderError) else "error"
        complain(err.message, err.hint, label=label)
        sys.exit(2 if isinstance(err, UsageError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # What is still buffered must not fail once more while the interpreter exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except MemoryError:  # a capture of a machine that has more of it, or one that was made to take it
        complain("There is not enough memory for that.")
        sys.exit(1)
    except OSError as err:  # a full disk, a file that must not be read: what a replayed program raises does not come here
        gone = "The working directory does not exist any more." if isinstance(err, FileNotFoundError) else str(err)
        complain(f"{err.strerror or err}: {err.filename!r}" if err.filename else gone)
        sys.exit(1)
