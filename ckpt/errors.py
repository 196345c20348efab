"""What ckpt raises and warns of.

Every error says what went wrong in its message and what to do next in its hint, which is a command or an edit, ready to paste.
"""

from __future__ import annotations

__all__ = [
    "CannotReplayError",
    "CheckpointDeprecationWarning",
    "CkptError",
    "CkptWarning",
    "DamagedError",
    "DebuggerError",
    "ExistsError",
    "NoValuesError",
    "NotFoundError",
    "PlaceholderError",
    "StoreError",
    "TagError",
    "UntrustedError",
    "UsageError",
]


class CkptError(Exception):
    """Base of all errors of ckpt.

    `message` says what is wrong, `hint` what to do next (empty when there is nothing to say). Where Python prints the error, the hint
    stands below it.
    """

    _notes_hint = True

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint and self._notes_hint:
            self.add_note(f"hint: {hint}")


class UsageError(CkptError):
    """ckpt was called in a way that cannot work: a wrong parameter, a wrong name, a decorator in the wrong place."""


class StoreError(CkptError):
    """The store cannot be used: no directory, no permission, another user's."""


class NotFoundError(CkptError):
    """No capture answers to the given name or id, or more than one does; or there is no such file or directory of checkpoints."""


class ExistsError(CkptError, FileExistsError):
    """A checkpoint is there already, and is not to be replaced."""


class DamagedError(CkptError):
    """A record is there, but its bytes are not what was written."""


class UntrustedError(CkptError):
    """A record was not made by this user's ckpt, or lies where others can write: to open it would run what they put there."""


class NoValuesError(CkptError):
    """A capture was exported without its values: it can be looked at, and not be opened."""


class CannotReplayError(CkptError):
    """The captured function cannot be called again: it is gone, or its arguments did not survive."""


class DebuggerError(CkptError):
    """No usable debugger: it is missing, broken, or needs a terminal that is not there."""


class TagError(CkptError, AttributeError):
    """An entry of an index has no tag of that name, or several."""


class PlaceholderError(CkptError, AttributeError, TypeError):
    """A placeholder was used as if it were the value that could not be kept.

    It is an AttributeError and a TypeError as well, so that tools which probe an object (`hasattr`, `len`) get on.
    """

    _notes_hint = False  # at a debugger's prompt the last line is all that is printed, and that is to be the message


class CkptWarning(UserWarning):
    """ckpt could not keep something; the message says what was lost and why. The program goes on."""


class CheckpointDeprecationWarning(CkptWarning, DeprecationWarning):
    """A checkpoint was configured under the name it had before; the message says which it has now."""
