"""Texts that are safe to print, and times as people read them. Pure functions.

Names, messages and descriptions come from programs and from files that others may have written: every text passes `one_line` or `lines`
before it is shown, so that none can move the cursor, change colours, hide itself or begin a new line.
"""

from __future__ import annotations

import re
import time
from functools import lru_cache

from ckpt._model import units
from ckpt.errors import UsageError

#: C0 and C1 controls, surrogates, line separators, and the marks that turn the direction of writing.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: The same, without the line end and the tabulator.
_UNSAFE_IN_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_SECONDS = {"s": 1, "m": _MINUTE, "min": _MINUTE, "h": _HOUR, "d": _DAY, "w": 7 * _DAY}


def one_line(text: object) -> str:
    r"""Return `text` with everything escaped that could act on a terminal, line ends (`\n`) included."""
    text = str(text)
    return text if text.isprintable() else _UNSAFE.sub(_escaped, text)


def lines(text: object) -> list[str]:
    """Return the lines of `text`, made safe one by one."""
    return _UNSAFE_IN_LINES.sub(_escaped, str(text)).split("\n")


def when(moment: float) -> str:
    """Return a time as local date and time, to the second; a question mark for what is no time."""
    try:
        return _stamp(int(moment))
    except (TypeError, ValueError, OverflowError, OSError):
        return "?"


def span(seconds: float | None) -> str:
    """Return a duration in one unit, `1.2 s`; nothing for None."""
    if seconds is None:
        return ""
    try:
        return units.span(float(seconds))
    except (OverflowError, TypeError, ValueError):
        return "?"


def age(seconds: float) -> str:
    """Return how long ago something was, in whole units: `3 min ago`."""
    for unit, length in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"


def parse_age(text: str) -> float:
    """Return the seconds that `7d`, `12h`, `30m`, `45s` or `2w` stand for; raise `UsageError` for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)", text.strip(), re.ASCII)
    if match is None:
        raise UsageError(f"{text!r} is no age.", hint="a number and s, m, h, d or w: --older-than 7d")
    return float(match[1]) * _SECONDS[match[2]]


def plural(count: int, noun: str) -> str:
    """Return `1 capture`, `2 captures`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


@lru_cache(maxsize=256)
def _stamp(second: int) -> str:
    """Return the local time; a list of ten thousand calls has a few seconds."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "backslashreplace").decode("ascii")
