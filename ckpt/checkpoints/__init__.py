"""Named checkpoints: save points that a library sprinkles through its code, and that do nothing until an application switches them on.

    checkpoints.register("MyPackage", ["foo"])                 # in the library
    checkpoint("MyPackage", "foo", data)

    checkpoints.config("MyPackage.foo", "./path")              # in the application
    checkpoints.index_checkpoint_files("./path")

What a library needs is loaded with this package, the rest when it is first used.
"""

from __future__ import annotations

from importlib import import_module as _import_module

from ckpt._model.tags import current_tags, only_tags, tags, with_checkpoint_tags
from ckpt.checkpoints.firing import checkpoint
from ckpt.checkpoints.registry import (
    Handler,
    available,
    config,
    deprecate,
    deprecated_checkpoints,
    disable,
    enabled_checkpoints,
    register,
)
from ckpt.checkpoints.sessions import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ckpt.checkpoints.directory import FileHandler
    from ckpt.checkpoints.index import Index, IndexEntry
    from ckpt.checkpoints.indexing import index_checkpoint_files, index_files
    from ckpt.checkpoints.loading import header, load
    from ckpt.checkpoints.memory import DictHandler
    from ckpt.checkpoints.pickled import CheckpointHeader

__all__ = [
    "CheckpointHeader",
    "DictHandler",
    "FileHandler",
    "Handler",
    "Index",
    "IndexEntry",
    "Session",
    "available",
    "checkpoint",
    "config",
    "current_tags",
    "deprecate",
    "deprecated_checkpoints",
    "disable",
    "enabled_checkpoints",
    "header",
    "index_checkpoint_files",
    "index_files",
    "load",
    "only_tags",
    "register",
    "tags",
    "with_checkpoint_tags",
]

_ROOMS = {
    "CheckpointHeader": "pickled",
    "DictHandler": "memory",
    "FileHandler": "directory",
    "Index": "index",
    "IndexEntry": "index",
    "header": "loading",
    "index_checkpoint_files": "indexing",
    "index_files": "indexing",
    "load": "loading",
}


def __getattr__(name: str) -> object:
    """Return a public name, loading the room it lives in."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(_import_module(f"ckpt.checkpoints.{_ROOMS[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
