"""Stretches of a stack whose functions recur: which of their frames a person is shown. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from itertools import groupby

#: So many frames are shown at each end of a stretch.
ENDS = 10
#: A function that stands so often in a stack recurs there.
_OFTEN = 3


def left_out(functions: Sequence[Hashable]) -> Iterator[range]:
    """Yield the middles of the stretches of a stack that are left out, as ranges of indices; `functions` has one item for each frame.

    Python folds a line that repeats; here each frame has variables of its own, and functions that call each other fold, too.
    """
    counted = Counter(functions)
    for recurs, stretch in groupby(range(len(functions)), lambda index: counted[functions[index]] >= _OFTEN):
        indices = [*stretch]
        if recurs and len(indices) > 2 * ENDS:
            yield range(indices[ENDS], indices[-ENDS])
