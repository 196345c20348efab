"""Modules that are loaded when they are first used: a capture names many, and a person looks at few."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType

from ckpt._model.sources import is_installed


def imported_when_used(name: str) -> ModuleType:
    """Return the module called `name`; that of an installed package is loaded when its first attribute is asked for.

    Torch takes seconds to load. The modules of a project are loaded at once, and so are those of the standard library, where that costs
    next to nothing, and parts of packages, whose package would have to be loaded to find them. Raises what importing raises.
    """
    loaded = sys.modules.get(name)
    if loaded is not None:
        return loaded  # importing one that waits would load it
    spec = find_spec(name) if "." not in name else None
    if spec is None or spec.loader is None or not is_installed(spec.origin or ""):
        return import_module(name)
    spec.loader = LazyLoader(spec.loader)
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
