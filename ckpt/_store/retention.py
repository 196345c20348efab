"""Which of its captures a process knows to be dead: of each group the ones before the newest `limit`."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence

__all__ = ["Keep", "Retention"]

#: How long the capture that an event belongs to is kept: its id; its group (module, qualname, name, whether it is a failure), None while
#: the call runs; and how many ended captures of that group live, None for all. A plain tuple: one is made for every call.
Keep = tuple[str, Hashable, int | None]


class Retention:
    """The sizes of the captures that are known to live, by group, in the order in which they ended."""

    __slots__ = ("_ended", "_running")

    def __init__(self) -> None:
        self._running: dict[str, int] = {}
        self._ended: dict[Hashable, deque[tuple[str, int]]] = {}

    def note(self, keep: Keep, size: int) -> Sequence[tuple[str, int]]:
        """Count `size` more bytes of a capture; return the captures that died by it, with their bytes."""
        id, group, limit = keep
        if group is None:
            self._running[id] = self._running.get(id, 0) + size
            return ()
        size += self._running.pop(id, 0)
        if limit is None:
            return ()
        ended = self._ended.get(group)
        if ended is None:
            ended = self._ended.setdefault(group, deque())
        ended.append((id, size))
        if len(ended) <= limit:
            return ()
        return [ended.popleft() for _ in range(len(ended) - limit)]
