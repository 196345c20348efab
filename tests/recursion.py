"""Programs at the end of their stack, for the tests."""

from __future__ import annotations

from collections.abc import Callable


def near_the_end_of_the_stack(call: Callable[[], object], frames: int = 10) -> None:
    """Call where so many frames of the stack are left."""
    left = 0

    def dive() -> None:
        nonlocal left
        try:
            dive()
        except RecursionError:
            left += 1
            if left < frames:
                raise
            call()

    dive()
