"""What makes the result of a stage, apart from its inputs: its code, the code of the project it goes to, and the values that code reads.

A fingerprint is taken once and then only looked over: as long as the names lead to the same functions and values, it holds. Values that
can change in place are digested again for each run. What the stages of a run change in them does not make the stages others: a list that a
stage appends to is, for the next run in this process, the list that it was for the first.
"""

from __future__ import annotations

import hashlib
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import resolve_name
from types import BuiltinFunctionType, CellType, FunctionType, ModuleType
from typing import Any

from ckpt._model.sources import is_project
from ckpt.pipeline import codes
from ckpt.pipeline.stages import Stage
from ckpt.pipeline.values import SCALARS, UnhashableError, digest

#: Stands for a name that leads nowhere.
MISSING: Any = object()
#: What has a name that says what it is, other than data.
_NAMED = (FunctionType, type, ModuleType, BuiltinFunctionType)


@dataclass(slots=True, kw_only=True)
class Fingerprint:
    """What a stage's results depend on, and what tells that it is still so."""

    #: Each part with its digest: "code", "code of clean", "value of RATE".
    parts: dict[str, str]
    #: Why it cannot be taken; empty when it can.
    refusal: str = ""
    #: A namespace, a name in it, and the object it led to.
    names: list[tuple[Mapping[str, Any], str, Any]] = field(default_factory=list)
    cells: list[tuple[CellType, Any]] = field(default_factory=list)
    functions: list[tuple[FunctionType, Any, Any]] = field(default_factory=list)
    #: Values that can change in place, each with its digest.
    live: list[tuple[Any, str]] = field(default_factory=list)
    #: What runs have made of live values, by `id()`: the value, its digest now, and what it was before.
    settled: dict[int, tuple[Any, str, str]] = field(default_factory=dict)

    def is_current(self) -> bool:
        """Whether nothing of it has changed."""
        return (
            all(function.__code__ is code and function.__defaults__ is defaults for function, code, defaults in self.functions)
            and all(namespace.get(name, MISSING) is value for namespace, name, value in self.names)
            and all(contents(cell) is value for cell, value in self.cells)
            and all(self.identity(value, _digest_now(value)) == held for value, held in self.live)
        )

    def settle(self) -> None:
        """Take what a run has changed in live values for what they were."""
        for value, held in self.live:
            now = _digest_now(value)
            if now != held:
                self.settled[id(value)] = (value, now, held)

    def identity(self, value: Any, now: str) -> str:
        """Return what a live value counts as, whose digest is `now`."""
        settled = self.settled.get(id(value))
        return settled[2] if settled is not None and settled[0] is value and settled[1] == now else now


def fingerprint(stage: Stage) -> Fingerprint:
    """Return the fingerprint of a stage as things are now; the same object as long as nothing has changed."""
    known: Fingerprint | None = stage.known
    if known is None or not known.is_current():
        known = stage.known = _Walk(known.settled if known is not None else {}).fingerprint(stage)
    return known


def token(value: Any) -> str:
    """Return what stands for a function, a class or a module in a digest: its name; where it is, does not count in a project."""
    if isinstance(value, ModuleType):
        return f"module {value.__name__}"
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"project {name}" if _is_ours(value) else f"{getattr(value, '__module__', '')} {name}"


class _Walk:
    """From a stage to everything of the project that its code goes to."""

    def __init__(self, settled: dict[int, tuple[Any, str, str]]) -> None:
        self._made = Fingerprint(parts={}, settled=settled)
        self._waiting: deque[FunctionType | type] = deque()
        self._seen: set[int] = set()
        self._root: Any = None

    def fingerprint(self, stage: Stage) -> Fingerprint:
        self._root = _unwrapped(stage.func)
        self._part("Python", f"{sys.version_info[0]}.{sys.version_info[1]}")
        try:
            stands = self._refer(self._root) if isinstance(self._root, _NAMED) else digest(self._root, self._refer)
            if not self._waiting:
                self._part("code", stands)
            while self._waiting:
                self._enter(self._waiting.popleft())
        except UnhashableError as refusal:
            self._made.refusal = str(refusal)
        return self._made

    def _enter(self, found: FunctionType | type) -> None:
        label = "code" if found is self._root else f"code of {found.__qualname__.replace('<locals>.', '')}"
        try:
            parts = self._function(found) if isinstance(found, FunctionType) else self._class(found)
        except UnhashableError as refusal:
            name = found.__qualname__.rpartition(".")[2]
            raise UnhashableError(str(refusal) if found is self._root else f"{refusal} (in {name})") from refusal
        self._part(label, "\n".join(parts))

    def _part(self, label: str, text: str) -> None:
        """Add a part; where two have one name, both count."""
        held = self._made.parts.get(label, "")
        self._made.parts[label] = hashlib.sha256(f"{held}{text}".encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def _refer(self, value: Any) -> str:
        """Return what stands for a function, class or module, and look into it later when it is the project's."""
        value = _unwrapped(value)
        if isinstance(value, FunctionType | type) and _is_ours(value) and id(value) not in self._seen:
            self._seen.add(id(value))
            self._waiting.append(value)
        return token(value)

    def _function(self, function: FunctionType) -> list[str]:
        code, namespace = codes.read(function.__code__), function.__globals__
        self._made.functions.append((function, function.__code__, function.__defaults__))
        parts = [code.digest]
        for name, default in (("defaults", function.__defaults__), ("keyword defaults", function.__kwdefaults__)):
            if default:
                parts += self._value(f"{name} of {function.__name__}", default)
        for chain in sorted(code.reads):
            parts += self._global(chain, namespace, code.writes)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if name not in code.writes:
                self._made.cells.append((cell, contents(cell)))
                parts += [] if contents(cell) is MISSING else self._value(name, contents(cell))
        for level, module, names in sorted(code.imports):
            parts += self._import(namespace, "." * level + module, names)
        return parts

    def _global(self, chain: codes.Chain, namespace: Mapping[str, Any], writes: frozenset[str]) -> list[str]:
        name, *rest = chain
        if name in writes:
            return []
        value = self._look(namespace, name)
        while isinstance(value, ModuleType) and rest and rest[0] in vars(value):
            name, *rest = rest
            value = self._look(vars(value), name)
        return [f"{chain} is a builtin"] if value is MISSING else self._value(name, value)

    def _look(self, namespace: Mapping[str, Any], name: str) -> Any:
        value = namespace.get(name, MISSING)
        self._made.names.append((namespace, name, value))
        return value

    def _value(self, name: str, value: Any) -> list[str]:
        """Return what stands for what a name leads to; data makes a part of its own."""
        value = _unwrapped(value)
        if isinstance(value, ModuleType):
            return [f"{name} is {self._refer(value)}", *self._whole(value)]
        if isinstance(value, _NAMED):
            return [f"{name} is {self._refer(value)}"]
        part = f"value of {name}" if "defaults of" not in name else name
        try:
            now = digest(value, self._refer)
        except UnhashableError as refusal:
            raise UnhashableError(f"{name} cannot be hashed: {refusal}") from refusal
        if type(value) not in SCALARS:
            now = self._made.identity(value, now)
            self._made.live.append((value, now))
        self._part(part, now)
        return [f"{name} is a value"]

    def _import(self, namespace: Mapping[str, Any], name: str, names: tuple[str, ...]) -> list[str]:
        """Return what stands for what a function imports itself; a module of the project is imported for that."""
        try:
            full = resolve_name(name, namespace.get("__package__")) if name.startswith(".") else name
            if full.partition(".")[0] in sys.stdlib_module_names:
                return [f"import {full}"]
            module = import_module(full)
        except Exception as trouble:
            raise UnhashableError(f"{name} cannot be imported: {trouble}") from trouble
        if not is_project(getattr(module, "__file__", None) or ""):
            return [f"import {full}"]
        if not names:
            return [f"import {full}", *self._whole(module)]
        values = [(each, self._look(vars(module), each)) for each in sorted(names) if each in vars(module)]
        return [f"import {full}", *(part for each, value in values for part in self._value(each, value))]

    def _whole(self, module: ModuleType) -> list[str]:
        """Return what stands for all of a module of the project: which attributes are used of it, only running tells."""
        if not is_project(getattr(module, "__file__", None) or ""):
            return []
        found = [(name, value) for name, value in sorted(vars(module).items()) if isinstance(value, FunctionType | type)]
        return [
            part
            for name, value in found
            if value.__module__ == module.__name__
            for part in self._value(name, self._look(vars(module), name))
        ]

    def _class(self, kind: type) -> list[str]:
        parts = [f"bases {[self._refer(base) for base in kind.__bases__]}"]
        for name, value in sorted(vars(kind).items()):
            inner = _function_of(value)
            if isinstance(inner, FunctionType):
                self._made.names.append((vars(kind), name, value))
                parts.append(f"{name} is {self._refer(inner)}")
            elif not _is_machinery(name, value):
                parts.append(f"{name} is {digest(value, self._refer)}")
        return parts


def _digest_now(value: Any) -> str:
    try:
        return digest(value, lambda found: token(_unwrapped(found)))
    except UnhashableError as refusal:
        return str(refusal)


def _unwrapped(value: Any) -> Any:
    """Return the function that a stage was made of, or that a decorator wraps which is not of the project and says so."""
    for _ in range(100):
        if isinstance(value, Stage):
            value = value.func
        elif isinstance(value, FunctionType) and _is_ours(value):
            break
        elif not isinstance(value, type | ModuleType) and callable(inner := getattr(value, "__dict__", {}).get("__wrapped__")):
            value = inner
        else:
            break
    return value


def _function_of(value: Any) -> Any:
    if isinstance(value, staticmethod | classmethod):
        return value.__func__
    if isinstance(value, property):
        return value.fget
    return _unwrapped(getattr(value, "func", value))


def _is_machinery(name: str, value: Any) -> bool:
    """Whether a member of a class is what Python or a metaclass put there, and says nothing that the rest does not."""
    is_descriptor = hasattr(type(value), "__get__") and not callable(value)
    return is_descriptor or name == "_abc_impl" or (name[:1] == "_" and name[-1:] == "_" and name != "__slots__")


def _is_ours(value: Any) -> bool:
    """Whether a function or class belongs to the project: neither the standard library's nor an installed package's."""
    if isinstance(value, FunctionType):
        file = value.__code__.co_filename
        return is_project(file) or (file.startswith("<") and not file.startswith(("<frozen", "<ckpt", "<__array")) and _is_home(value))
    return isinstance(value, type) and _is_home(value)


def _is_home(value: Any) -> bool:
    module = sys.modules.get(value.__module__ or "")
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return is_project(file)
    return module is None or value.__module__ == "__main__"


def contents(cell: CellType) -> Any:
    """Return what a closed-over variable holds."""
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING
