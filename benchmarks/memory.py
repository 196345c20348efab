"""How much memory one captured array takes beyond its own; in a process of its own, where nothing else has had its peak."""

from __future__ import annotations

import json

from benchmarks import material
from benchmarks.measuring import peak_memory

if __name__ == "__main__":
    material.take(material.array(1))  # loads what the first capture needs
    value = material.array(100)
    before = peak_memory()
    material.take(value)
    print(json.dumps({"extra": peak_memory() - before}))
