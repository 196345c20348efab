"""Packages that people have and ckpt does not need.

A test module names them while it is collected, since importing some of them changes the process; a test skips when one is missing.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

_found: dict[str, ModuleType] = {}


def prepare(*names: str) -> None:
    """Import the packages that are there."""
    for name in names:
        try:
            _found[name] = import_module(name)
        except ImportError:
            continue


def installed(name: str) -> Any:
    """Return a package that was prepared; skip the test that asks for one that is not installed."""
    if name not in _found:
        pytest.skip(f"{name} is not installed")
    return _found[name]
