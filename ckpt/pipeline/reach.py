"""From a stage to everything of the project that its code goes to."""

from __future__ import annotations

import hashlib
import sys
from collections import deque
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from importlib.util import resolve_name
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any

from ckpt.pipeline import codes, ours
from ckpt.pipeline.fingerprints import MISSING, Fingerprint, Memory, contents, origin_of, state_of
from ckpt.pipeline.stages import Stage
from ckpt.pipeline.values import SCALARS, UnhashableError, digest

Named = FunctionType | type | ModuleType


def fingerprint(stage: Stage) -> Fingerprint:
    """Return the fingerprint of a stage as things are now; the same object as long as nothing has changed."""
    known: Fingerprint | None = stage.known
    if known is None or not known.is_current():
        known = stage.known = _Walk(known.memory if known is not None else Memory()).fingerprint(stage)
    return known


class _Walk:
    """One fingerprint being made."""

    def __init__(self, memory: Memory) -> None:
        self._made = Fingerprint(parts={}, memory=memory)
        self._waiting: deque[Named] = deque()
        self._seen: set[int] = set()
        self._root: Any = None

    def fingerprint(self, stage: Stage) -> Fingerprint:
        self._root = ours.unwrapped(stage.func)
        self._made.origin = origin_of(_innermost(self._root))
        self._part("Python", f"{sys.version_info[0]}.{sys.version_info[1]}")
        try:
            found = ours.named(self._root)
            if found is None:
                self._data("what it is bound to", self._root)
            else:
                name = self._refer(found)
                if not self._waiting:
                    self._part("code", str(name))
            while self._waiting:
                self._enter(self._waiting.popleft())
        except UnhashableError as refusal:
            self._made.refusal = str(refusal)
        return self._made

    def _enter(self, found: Named) -> None:
        label = "code" if found is self._root else f"code of {_name_of(found)}"
        try:
            parts = self._parts_of(found)
        except UnhashableError as refusal:
            name = _name_of(found).rpartition(".")[2]
            raise UnhashableError(str(refusal) if found is self._root else f"{refusal} (in {name})") from refusal
        self._part(label, "\n".join(parts))

    def _parts_of(self, found: Named) -> list[str]:
        if isinstance(found, FunctionType):
            return self._function(found)
        return self._class(found) if isinstance(found, type) else self._module(found)

    def _part(self, label: str, text: str) -> None:
        """Add a part; where two have one name, both count."""
        held = self._made.parts.get(label, "")
        self._made.parts[label] = hashlib.sha256(f"{held}{text}".encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def _refer(self, value: Any) -> str | None:
        """Return what stands for a function, class or module, and look into it later when it is the project's; None for data."""
        found = ours.named(value)
        if found is None:
            return None
        if ours.is_ours(found) and id(found) not in self._seen:
            self._seen.add(id(found))
            self._waiting.append(found)
        return ours.token(found)

    # What is looked into.

    def _function(self, function: FunctionType) -> list[str]:
        code, namespace = codes.read(function.__code__), function.__globals__
        self._made.functions.append((function, function.__code__, function.__defaults__))
        parts = [code.digest, *(tree for chain, tree in code.decorators if not _is_harmless(chain, namespace))]
        for name, default in (("defaults", function.__defaults__), ("keyword defaults", function.__kwdefaults__)):
            if default:
                self._data(f"{name} of {function.__name__}", default)
        for chain in sorted(code.reads):
            parts += self._global(chain, namespace, code.writes)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if name in code.writes:
                self._at_first(name, cell, contents(cell))
            elif contents(cell) is not MISSING:
                parts += self._value(name, contents(cell))
            self._made.cells += [(cell, contents(cell))] if name not in code.writes else []
        for level, module, names in sorted(code.imports):
            parts += self._import(namespace, "." * level + module, names)
        return parts

    def _class(self, kind: type) -> list[str]:
        """Return what stands for a class; its members are a value that can change."""
        found = ours.members(kind)
        self._made.names += [(vars(kind), name, value) for name, value in found.items()]
        self._data(f"members of {_name_of(kind)}", found, live=kind)
        return [str(self._refer(each)) for each in (*kind.__bases__, type(kind))]

    def _module(self, module: ModuleType) -> list[str]:
        """Return what stands for all of a module: which of its names are used, only running tells."""
        found = ours.contents(module)
        return [part for name in found for part in self._value(name, self._look(vars(module), name))]

    # What names lead to.

    def _global(self, chain: codes.Chain, namespace: Mapping[str, Any], writes: frozenset[str]) -> list[str]:
        name, *rest = chain
        if name in writes:
            self._at_first(name, namespace, namespace.get(name, MISSING))
            return []
        value = self._look(namespace, name)
        while isinstance(value, ModuleType) and rest and rest[0] in vars(value):
            name, *rest = rest
            value = self._look(vars(value), name)
        if isinstance(value, FunctionType) and rest and rest[0] in vars(value):
            self._data(f"attributes of {name}", vars(value))
        return [f"{chain} is a builtin"] if value is MISSING else self._value(name, value)

    def _look(self, namespace: Mapping[str, Any], name: str) -> Any:
        value = namespace.get(name, MISSING)
        self._made.names.append((namespace, name, value))
        return value

    def _value(self, name: str, value: Any) -> list[str]:
        """Return what stands for what a name leads to; data makes a part of its own."""
        registry = getattr(value, "registry", None) if isinstance(value, FunctionType) else None
        if isinstance(registry, MappingProxyType):  # of functools.singledispatch
            self._data(f"implementations of {name}", registry)
        found = self._refer(value)
        if found is None:
            self._data(f"value of {name}", value)
        return [f"{name} is a value" if found is None else f"{name} is {found}"]

    def _data(self, label: str, value: Any, live: Any = None) -> None:
        """Add a value as a part; what can change in place, or `live` for it, is looked at again before each run."""
        try:
            now = digest(value, self._refer)
        except UnhashableError as refusal:
            raise UnhashableError(f"{label.removeprefix('value of ')} cannot be hashed: {refusal}") from refusal
        if type(value) not in SCALARS:
            holder = value if live is None else live
            state = state_of(holder)
            now = self._made.memory.identity(holder, state, now)
            self._made.live.append((holder, state, now))
        self._part(label, now)

    def _at_first(self, name: str, holder: Any, value: Any) -> None:
        """Add what a name that the code sets itself led to when it was first looked at, where that can be told."""
        key, first = (id(holder), name), self._made.memory.first
        if key not in first:
            try:
                first[key] = (holder, digest(value, ours.stands_for) if value is not MISSING else "")
            except UnhashableError:
                first[key] = (holder, "")
        self._part(f"value of {name}", first[key][1])

    def _import(self, namespace: Mapping[str, Any], name: str, names: tuple[str, ...]) -> list[str]:
        """Return what stands for what a function imports itself; a module of the project is imported for that."""
        try:
            full = resolve_name(name, namespace.get("__package__")) if name.startswith(".") else name
            if full.partition(".")[0] in sys.stdlib_module_names:
                return [f"import {full}"]
            module = import_module(full)
        except Exception as trouble:
            raise UnhashableError(f"{name} cannot be imported: {trouble}") from trouble
        if not ours.is_ours(module):
            return [f"import {full}"]
        if not names:
            return [f"import {full}", str(self._refer(module))]
        values = [(each, self._look(vars(module), each)) for each in sorted(names) if each in vars(module)]
        return [f"import {full}", *(part for each, value in values for part in self._value(each, value))]


def _name_of(found: Named) -> str:
    return found.__name__ if isinstance(found, ModuleType) else found.__qualname__.replace("<locals>.", "")


def _innermost(root: Any) -> Any:
    """Return the function that a bound method or a partial one calls."""
    while isinstance(root, partial):
        root = root.func
    return getattr(root, "__func__", root)


def _is_harmless(chain: codes.Chain, namespace: Mapping[str, Any]) -> bool:
    """Whether a decorator is one of ours: it makes a stage of the function, or captures its failures, and changes nothing."""
    found: Any = namespace.get(chain[0], MISSING) if chain else MISSING
    for name in chain[1:]:
        found = getattr(found, name, MISSING)
    return (getattr(found, "__module__", None) or "").partition(".")[0] == "ckpt"
