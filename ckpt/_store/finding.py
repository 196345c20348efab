"""Which of the living captures a person means: a name, `module.name`, `name~2`, an id or its beginning, or nothing."""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Iterable, Sequence

from ckpt._model.record import FAILURES
from ckpt._store.captures import Trace
from ckpt.errors import NotFoundError

__all__ = ["meant"]

#: How far back `name~2` may go.
BACK = re.compile(r"[0-9]{1,9}", re.ASCII)
#: The fewest digits that may stand for an id.
DIGITS = 4
ID = re.compile(rf"[0-9a-f]{{{DIGITS},16}}", re.ASCII)
#: So many ids are named when several are meant.
_NAMED = 5


def meant(living: Sequence[Trace], text: str | None, *, newest_failure: bool) -> Trace:
    """Return the capture that `text` means among `living`, of which there is one, oldest first; raise `NotFoundError`.

    A name, and None, mean the newest failure, if there is one and `newest_failure`; else the newest.
    """
    if text is None:
        return _newest(living, newest_failure)
    name, tilde, back = text.rpartition("~")
    if tilde and BACK.fullmatch(back) and (named := _named(living, name)):
        if int(back) < len(named):
            return named[-1 - int(back)]
        there = "is only 1 capture" if len(named) == 1 else f"are only {len(named)} captures"
        raise NotFoundError(f"There {there} named {name!r}.", hint=f"ckpt info {name}")
    if named := _named(living, text):
        return _newest(named, newest_failure)
    return _by_id(living, text)


def _newest(living: Sequence[Trace], failure: bool) -> Trace:
    failures = [trace for trace in living if trace.status in FAILURES] if failure else []
    return (failures or living)[-1]


def _named(living: Sequence[Trace], name: str) -> list[Trace]:
    return [trace for trace in living if name in (trace.first.name, f"{trace.first.module}.{trace.first.name}")]


def _by_id(living: Sequence[Trace], text: str) -> Trace:
    begun = [trace for trace in reversed(living) if text and trace.id.startswith(text)]
    if not begun:
        raise _unknown(living, text)
    if not ID.fullmatch(text):
        raise _too_short(begun[0].id, text)
    if len(begun) > 1:
        raise _ambiguous([trace.id for trace in begun], text)
    return begun[0]


def _too_short(id: str, text: str) -> NotFoundError:
    return NotFoundError(
        f"No capture is named {text!r}; the beginning of an id has {DIGITS} digits at least.", hint=f"ckpt info {id[:DIGITS]}"
    )


def _ambiguous(ids: Sequence[str], text: str) -> NotFoundError:
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return NotFoundError(
        f"{len(ids)} captures have an id that begins with {text!r}: {', '.join(ids[:_NAMED])}{more}.", hint=f"ckpt info {ids[0]}"
    )


def _unknown(living: Sequence[Trace], text: str) -> NotFoundError:
    if os.path.isfile(text):
        return NotFoundError(f"{text!r} is a file, and no capture of this store has that name.", hint=f"ckpt import {shlex.quote(text)}")
    count = "There is 1 capture" if len(living) == 1 else f"There are {len(living)} captures"
    nearest = _nearest(text, [trace.first.name for trace in living])
    if nearest is None:
        return NotFoundError(f"No capture is named {text!r}. {count}.", hint="ckpt info")
    return NotFoundError(f"No capture is named {text!r}. {count}; the nearest name is {nearest!r}.", hint=f"ckpt info {nearest}")


def _nearest(text: str, names: Iterable[str]) -> str | None:
    """Return the name that a person may have had in mind, the last of equals: one that ends so, else one that looks so; None for none."""
    wanted = text.casefold()
    whole = {name.casefold(): name for name in names}
    last = {folded.rpartition(".")[2]: name for folded, name in whole.items()}
    part = wanted.rpartition(".")[2]
    for known, sought in ((whole, wanted), (last, part)):
        if sought in known:
            return known[sought]
    for known, sought in ((whole, wanted), (last, part)):
        if near := difflib.get_close_matches(sought, known, 1):
            return known[near[0]]
    return None
