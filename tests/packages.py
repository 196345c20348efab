"""Packages that people have and ckpt does not need: imported before the tests begin, since importing some of them changes the process."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import pytest

NAMES = (
    "attrs",
    "matplotlib",
    "numpy",
    "pandas",
    "polars",
    "pydantic",
    "requests",
    "sklearn",
    "sqlalchemy",
    "tqdm",
)


def _import(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ImportError:
        return None


_FOUND = {name: _import(name) for name in NAMES}


def installed(name: str) -> ModuleType:
    """Return a package; skip the test that asks for one that is not installed."""
    found = _FOUND[name]
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found
