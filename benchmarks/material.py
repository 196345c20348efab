"""What is captured: the values, and importable functions that take them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

import ckpt


def array(megabytes: int, seed: int = 0) -> np.ndarray:
    """Return random doubles of so many million bytes."""
    return np.random.default_rng(seed).random(megabytes * 125_000)


def table(rows: int = 1_000_000) -> pd.DataFrame:
    """Return a table with numbers, times, a category and two columns of texts, one of them with few different ones."""
    numbers = np.random.default_rng(0)
    cities = np.array(["Berlin", "Lisbon", "Oslo", "Quito", "Sydney"], dtype=object)
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "price": numbers.random(rows),
            "amount": numbers.integers(0, 1000, rows, dtype=np.int32),
            "paid": numbers.random(rows) < 1 / 2,
            "when": pd.date_range("2020-01-01", periods=rows, freq="s"),
            "kind": pd.Categorical(np.array(["a", "b", "c"])[numbers.integers(0, 3, rows)]),
            # Texts as Python objects, which is what pandas makes of them without pyarrow, or before its version 3.
            "city": pd.Series(cities[numbers.integers(0, 5, rows)], dtype=object),
            "order": pd.Series([f"order-{number}" for number in range(rows)], dtype=object),
        }
    )


def records(count: int = 200_000) -> list[dict[str, Any]]:
    """Return rows as an API hands them out."""
    return [{"id": i, "name": f"user-{i}", "score": i * 0.5, "tags": ["new", "eu"], "is_active": i % 3 == 0} for i in range(count)]


@dataclass
class Reading:
    """One of a hundred thousand objects."""

    station: int
    name: str
    value: float
    is_valid: bool


def readings(kind: type = Reading, count: int = 100_000) -> list[Any]:
    """Return that many objects of a dataclass."""
    return [kind(i, f"station-{i}", i * 0.25, i % 7 != 0) for i in range(count)]


def guarded(megabytes: int = 50) -> dict[str, Any]:
    """Return arrays beside a lock."""
    return {"lock": threading.Lock(), "left": array(megabytes // 2, 1), "right": array(megabytes // 2, 2)}


@ckpt.ckpt
def take(value: object) -> None:
    """Take anything, in the mode that records each call."""


@ckpt.ckpt
def small(count: int, name: str, *, factors: tuple[float, ...] = (1.0, 2.0)) -> int:
    """Take small arguments, in the mode that records each call."""
    return count


def sink(depth: int) -> float:
    """Fail so many frames further down, each with variables of its own."""
    text, numbers = f"level {depth}", [depth] * 3
    return sink(depth - 1) if depth else len(text) / numbers[0]


@ckpt.ckpt(active=False)
def tall(depth: int) -> float:
    """Fail in a tall recursion."""
    return sink(depth)


@ckpt.ckpt(keep=1_000_000)
def kept(number: int) -> int:
    """Take a number; every call stays in the store."""
    return number
