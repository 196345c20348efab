"""What was read of one exception: the records of its frames and links, and the live values that belong to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii as quote
from types import FrameType
from typing import Any

from ckpt._model.record import Json


@dataclass(slots=True)
class Recorded:
    """What a wrapper holds of the capture it made, for as long as the traceback lives: enough to write its event again."""

    id: str
    #: The fields of the event that do not depend on where its bytes lie.
    head: str
    exception: str
    #: The captured function, where no import finds it.
    function: object

    def body(self, stored: str, view: tuple[int, int] | None) -> bytes:
        """Return the event's body; `stored` are the fields that say where the bytes lie, `view` which part of them is this capture's."""
        seen = "" if view is None else f',"view":[{view[0]},{view[1]}]'
        return f'{{"event":"failed","id":"{self.id}",{self.head},"exception":{quote(self.exception)},{stored}{seen}}}'.encode()


@dataclass(slots=True)
class Inner:
    """A capture that a wrapper further down has already made of the same failure."""

    capture: Recorded
    exception: int
    entry: int
    #: The wrapper's frame, which holds the arguments.
    wrapper: FrameType


@dataclass(slots=True)
class FrameText:
    """The record of a frame, its variables already as JSON text."""

    code: int | None
    globals: int
    names: list[str]
    locals: list[str]
    live_line: int | None = None

    def json(self) -> str:
        """Return the record as JSON."""
        live = "" if self.live_line is None else f',"live_line":{self.live_line}'
        return f'{{"code":{self.code},"globals":{self.globals},"locals":[{",".join(self.locals)}]{live}}}'


@dataclass(slots=True)
class Walk:
    """What was read from one exception: records for the manifest, live values for the codec."""

    exceptions: list[BaseException] = field(default_factory=list)
    raised: list[Json] = field(default_factory=list)
    codes: list[Json] = field(default_factory=list)
    frames: list[FrameText] = field(default_factory=list)
    locals: list[dict[str, Any]] = field(default_factory=list)
    globals: list[dict[str, Any]] = field(default_factory=list)
    inner: list[Inner] = field(default_factory=list)
    #: The frames above the first entry of the main traceback, outermost first, as entries of a traceback.
    callers: list[Json] = field(default_factory=list)
    #: The other threads and tasks that were alive.
    others: list[Json] = field(default_factory=list)
    #: Whether a placeholder stands among the variables already: for a module that no import finds.
    has_placeholders: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is read of a failure."""

    save_locals: bool = True
    #: Whether the frames above the captured function keep their variables too.
    callers: bool = False


#: All of the frames that raised, and where their callers stood.
USUAL = Extent()
