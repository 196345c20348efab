"""Imports run one way: a corridor imports only corridors above it, a room only rooms above it in its corridor."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "ckpt"

#: The house from the ground up: what stands further down may import what stands above it, never the other way.
ROOMS = """
_version errors
_model: record replaying layout redact tags tasks interrupts tables texts units describe verbs placeholder config imported packages
_model: sources lazy refusing exceptions sinks tensors referring secrets holding searching by_value reducing redacting thorough fitting
_model: answers guarding loading codec
_store: location trust files journal spill content objects archive captures finding quota
_store: stored trusted merging packing capture_file retention pair rewrite writer upkeep store stripping exporting vetting importing
_recording: options endings variables wording fence others walk tracebacks process ground given concealing
_recording: function events recorder decorator
_replaying: texts definitions scripts modules captured_code folder_code steps changes value_diff arguments gaps doubts descriptions
_replaying: functions namespaces stand_ins scopes stubs frames tracebacks vscode interpreter session shell debuggers setting
_replaying: values callee rehydrate verdicts handling tracing profiling calling last_words lifeline watchdog replay batches watching
_replaying: code_diff literals naming regression opening
checkpoints: paths warning registry firing sessions staging copies memory spilling places remote formats tables pickled directory
checkpoints: index indexing loading
codebase: rules gitignore listing selection launching archive surroundings snapshot captured extraction names views version plain
codebase: loading runs
pipeline: stages graphs config codes values ours fingerprints reach results keys places claims turns work shelf delegating watching table
pipeline: planning drawing running
_cli: text recursions tower others screen exits report stores listing shells completion options looking indexing keeping exporting
_cli: pipelines sessions replaying batch watcher running comparing writing snapshots commands app
__init__ __main__
"""
#: `_recording` and `_replaying` do not know each other: what they share is the record.
STRANGERS = {("_recording", "_replaying"), ("_replaying", "_recording")}
#: Third-party packages, and the corridor or rooms they live in.
LIVE_IN = {
    "typer": ("_cli",),
    "rich": ("_cli", "pipeline.table"),
    "cloudpickle": ("_model.by_value", "_model.reducing"),
    "dill": ("_model.reducing", "_model.answers"),
    "ipdb": ("_replaying.session",),
    "IPython": ("_replaying.session", "_replaying.shell"),
    "pudb": ("_replaying.session",),
    "debugpy": ("_replaying.vscode",),
    "fsspec": ("checkpoints.remote",),
    "numpy": ("checkpoints.copies",),
    "polars": ("checkpoints.tables", "checkpoints.index"),
    "pyarrow": ("checkpoints.tables", "checkpoints.index"),
    "platformdirs": ("_store.location", "_store.trust", "codebase.extraction"),
    "wandb": ("codebase.runs",),
}


def order() -> list[str]:
    """Return the names of all rooms, relative to the package, in the order of the house."""
    rooms: list[str] = []
    for line in ROOMS.strip().splitlines():
        corridor, colon, names = line.rpartition(":")
        rooms += [f"{corridor}.{name}" if colon else name for name in names.split()]
    return rooms


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def imports(path: Path, *, only_at_module_level: bool) -> Iterator[str]:
    """Yield the full names that a file imports; those under `if TYPE_CHECKING` do not count."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
            continue
        if only_at_module_level and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        waiting += ast.iter_child_nodes(node)


def room_of(imported: str) -> str | None:
    """Return the room that an imported name of ours lies in."""
    rooms = set(order())
    parts = imported.split(".")[1:]
    while parts and ".".join(parts) not in rooms:
        parts.pop()
    return ".".join(parts) or None


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent == PACKAGE)


def test_every_room_has_its_place() -> None:
    """A new file must say where in the house it stands."""
    assert sorted(map(name_of, FILES)) == sorted(order())


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_room_imports_only_what_stands_above_it(path: Path) -> None:
    """No import goes down or round, at module level; inside functions none leaves for a corridor further down."""
    rooms, here = order(), name_of(path)
    corridors = [room.split(".")[0] for room in rooms]
    for at_module_level in (True, False):
        for imported in imports(path, only_at_module_level=at_module_level):
            there = room_of(imported) if imported.split(".")[0] == "ckpt" else None
            if there is None or there == here:
                continue
            assert (here.split(".")[0], there.split(".")[0]) not in STRANGERS, f"{here} imports {there}"
            if at_module_level:
                assert rooms.index(there) < rooms.index(here), f"{here} imports {there}"
            elif "." in here:
                assert corridors.index(there.split(".")[0]) <= corridors.index(here.split(".")[0]), f"{here} imports {there}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_third_party_packages_live_where_the_design_says(path: Path) -> None:
    """Typer and rich live in the command line, debuggers and IPython in one room, picklers in two."""
    here = name_of(path)
    for imported in imports(path, only_at_module_level=False):
        package = imported.split(".")[0]
        if package == "ckpt" or package in sys.stdlib_module_names:
            continue
        assert package in LIVE_IN, f"{here} imports {package}"
        assert any(here == room or here.startswith(f"{room}.") for room in LIVE_IN[package]), f"{here} imports {package}"
