"""ckpt: a flight recorder for Python functions.

Put `@ckpt.ckpt` on a function; look at its captures later with `ckpt info`, `ckpt show`, `ckpt debug`, `ckpt shell` and `ckpt run`.

Importing this package loads nothing else: every name is fetched when it is first used.
"""

from __future__ import annotations

from importlib import import_module as _import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ckpt import checkpoints, codebase, pipeline
    from ckpt._model.tags import tags
    from ckpt._recording.decorator import ckpt
    from ckpt._recording.recorder import capture_exception
    from ckpt._replaying.opening import captures, load
    from ckpt._store.location import get_ckpt_dir, set_ckpt_dir
    from ckpt._version import VERSION as __version__  # noqa: N811
    from ckpt.errors import CkptError, CkptWarning

__all__ = [
    "CkptError",
    "CkptWarning",
    "__version__",
    "capture_exception",
    "captures",
    "checkpoints",
    "ckpt",
    "codebase",
    "get_ckpt_dir",
    "load",
    "pipeline",
    "set_ckpt_dir",
    "tags",
]

_ROOMS = {
    "CkptError": ("ckpt.errors", "CkptError"),
    "CkptWarning": ("ckpt.errors", "CkptWarning"),
    "__version__": ("ckpt._version", "VERSION"),
    "capture_exception": ("ckpt._recording.recorder", "capture_exception"),
    "captures": ("ckpt._replaying.opening", "captures"),
    "checkpoints": ("ckpt.checkpoints", ""),
    "ckpt": ("ckpt._recording.decorator", "ckpt"),
    "codebase": ("ckpt.codebase", ""),
    "get_ckpt_dir": ("ckpt._store.location", "get_ckpt_dir"),
    "load": ("ckpt._replaying.opening", "load"),
    "pipeline": ("ckpt.pipeline", ""),
    "set_ckpt_dir": ("ckpt._recording.ground", "set_ckpt_dir"),
    "tags": ("ckpt._model.tags", "tags"),
}


def __getattr__(name: str) -> object:
    """Return a public name, loading the room it lives in."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room, attribute = _ROOMS[name]
    module = _import_module(room)
    value = globals()[name] = getattr(module, attribute) if attribute else module
    return value


def __dir__() -> list[str]:
    return __all__
