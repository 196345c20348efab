"""Which continent built the stronger engines? The ASA cars data: 406 cars of 1970 to 1982.

The data is real, and so is its flaw: of six cars nobody wrote down the horsepower. See README.md here for where it comes from.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import ckpt

Car = dict[str, Any]
LITRES_PER_CUBIC_INCH = 0.016387


def load(path: Path) -> list[Car]:
    """Return the cars in `path`. The pause stands for the hours that a real load and preprocessing take."""
    print(f"loading {path.name} ...", flush=True)
    time.sleep(4)
    cars: list[Car] = json.loads(path.read_text(encoding="utf-8"))
    return cars


def specific_power(car: Car) -> float:
    """Return the horsepower per litre of displacement of one car."""
    litres = car["Displacement"] * LITRES_PER_CUBIC_INCH
    return float(car["Horsepower"] / litres)


def mean_power(cars: list[Car], origin: str) -> float:
    """Return the mean horsepower per litre of the cars of one origin."""
    group = [each for each in cars if each["Origin"] == origin]
    total = 0.0
    for car in group:
        total += specific_power(car)
    return total / len(group)


@ckpt.ckpt
def summarise(cars: list[Car]) -> dict[str, float]:
    """Return the mean horsepower per litre of each origin."""
    table = {}
    for origin in sorted({car["Origin"] for car in cars}):
        table[origin] = round(mean_power(cars, origin), 1)
    return table


if __name__ == "__main__":
    print(summarise(load(Path(__file__).with_name("cars.json"))))
