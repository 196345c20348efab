"""Durations and numbers of bytes as people read them, in one unit each."""

from __future__ import annotations

_MINUTE, _HOUR, _KILO = 60, 3600, 1000


def span(seconds: float) -> str:
    """Return a duration: `1.2 s`."""
    for unit, length in (("h", _HOUR), ("min", _MINUTE), ("s", 1), ("ms", 1e-3)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def size(count: float) -> str:
    """Return a number of bytes in decimal units: `3.4 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < _KILO:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= _KILO
    return f"{count:.1f} TB"
