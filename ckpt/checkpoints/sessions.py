"""Sessions: values that come one by one and are written once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ckpt._model.replaying import switch
from ckpt._model.tags import Tags, current_tags
from ckpt.checkpoints.firing import NOTHING, check_form, values_of
from ckpt.checkpoints.paths import full_names, key
from ckpt.checkpoints.registry import Handler, handler_of
from ckpt.errors import UsageError


class _Staged:
    """What goes into one file: the values of one checkpoint under the same tags."""

    def __init__(self, handler: Handler, tags: Tags) -> None:
        self.handler = handler
        self.tags = tags
        self.values: dict[str, Any] = {}
        self.is_written = True


class Session:
    """Stages the values of a checkpoint and writes them together at the end of a `with` block.

    `Session("MyPackage.foo")`, or `Session("MyPackage", "foo")`; with a list of names the block gets as many sessions. Values staged under
    different tags go into different files. A value that comes again takes the place of the earlier one. When the block raises nothing is
    written, unless `commit_on_error`. What is staged is in memory until the session is gone.
    """

    def __init__(self, prefix: str | Iterable[str], names: str | Iterable[str] | None = None, /, *, commit_on_error: bool = False) -> None:
        wanted = prefix if names is None else names
        called = full_names(prefix, names)
        self.commit_on_error = commit_on_error
        self.name = called[0] if isinstance(wanted, str) else ""
        #: The sessions of several names; of one name there is only this one.
        self.sessions: tuple[Session, ...] = () if self.name else tuple(map(Session, called))
        self._staged: dict[tuple[int, str], _Staged] = {}

    def checkpoint(self, data: Any = NOTHING, /, **values: Any) -> None:
        """Stage data as `ckpt.checkpoints.checkpoint` would keep it; nothing while the checkpoint is not switched on.

        It is kept as it is now; where the handler has no `stage`, as it is when the session commits.
        """
        if not self.name:
            raise UsageError("A session of several names is one for each.", hint="with Session([...]) as (a, b): a.checkpoint(...)")
        check_form(data, values)
        _, handler = handler_of(self.name)
        if handler is None or switch.on:
            return
        tags = current_tags()
        staged = self._staged.setdefault((id(handler), key(self.name, tags)), _Staged(handler, tags))
        kept = values_of(data, values)
        stage = getattr(handler, "stage", None)
        staged.values |= kept if stage is None else stage(kept)
        staged.is_written = False

    def commit(self) -> None:
        """Write what was staged since: for each combination of tags one file, with all that was ever staged under it.

        Where a file was written by an earlier commit, the handler does with it as with any other that is there.
        """
        for session in self.sessions:
            session.commit()
        for staged in self._staged.values():
            if not staged.is_written:
                staged.handler.put(handler_of(self.name)[0], staged.tags, staged.values)
                staged.is_written = True

    def __enter__(self) -> Any:
        """Return this session, or the sessions of several names in their order."""
        return self.sessions or self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is None or self.commit_on_error:
            self.commit()
