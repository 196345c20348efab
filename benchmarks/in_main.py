"""A hundred thousand instances of a class of `__main__`, which must go by value: it has another identity where it is loaded."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from statistics import median

from benchmarks import calls, material
from benchmarks.measuring import Place


@dataclass
class Reading:
    """The same as `material.Reading`, in a script."""

    station: int
    name: str
    value: float
    is_valid: bool


if __name__ == "__main__":
    place = Place(os.path.dirname(os.environ["PYCKPT_DIR"]))
    pairs = calls.large(place, material.readings(Reading), lambda held, number: setattr(held[0], "station", -number), int(sys.argv[1]))
    print(json.dumps({"ratio": pairs.ratio, "ours": median(pairs.ours) * 1e3, "limit": median(pairs.limit) * 1e3}))
