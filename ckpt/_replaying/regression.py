"""A capture as a test for pytest: the same call, with the same arguments, without the store."""

from __future__ import annotations

import ast
import importlib
import inspect
import keyword
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import indent
from typing import TYPE_CHECKING, Any

from ckpt._model.record import DIED, Raised
from ckpt._model.redact import MARK
from ckpt._model.reducing import MAIN_NAMES
from ckpt._replaying.arguments import described, named
from ckpt._replaying.literals import literal, shares_nothing
from ckpt._replaying.naming import Named, find_name
from ckpt._store.capture_file import write_capture
from ckpt.errors import CannotReplayError, UsageError

if TYPE_CHECKING:
    from ckpt._replaying.rehydrate import Capture

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")
#: Characters of a message that a test compares.
_MESSAGE_LIMIT = 100
#: Characters of a call that stands in one line.
_LINE_LIMIT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written for a test."""

    path: str
    #: The capture file beside it; None when every argument stands in the test.
    values: str | None
    #: What a person should know about it, one line each.
    notes: list[str]


def write_test(capture: Capture, path: str, *, expect_failure: bool = False, replace: bool = False) -> Written:
    """Write a test that calls the captured function again and expects it not to raise; or, with `expect_failure`, to fail as it did.

    Raises `UsageError` when the file exists and is not to be replaced, or there is no failure to expect; `CannotReplayError` when no test
    can make the call.
    """
    capture.stored.check_values()
    path = os.path.abspath(path)
    if os.path.isdir(path):
        raise UsageError(f"{path!r} is a directory.", hint=f"name the file: -o {os.path.join(path, 'test_NAME.py')}")
    if os.path.exists(path) and not replace:
        raise UsageError(f"{path!r} exists.", hint="--force replaces it")
    test = _Test(capture, path, expect_failure=expect_failure)
    text = _checked("\n".join(test.lines()))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if test.values is not None:
        write_capture(capture.stored, test.values)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return Written(path=path, values=test.values, notes=list(test.notes()))


class _Test:
    """The text of one test."""

    def __init__(self, capture: Capture, path: str, *, expect_failure: bool) -> None:
        self._capture, self._path = capture, path
        self._raised = _raised(capture) if expect_failure else None
        #: The module and the qualified name of the type of the expected exception.
        self._expected = ("", "Exception")
        _refuse_placeholders(capture)
        self._named: Named | None = find_name(capture)
        if self._raised is not None:
            self._expected = self._find_type(self._raised.type)
        self._literals = self._find_literals()
        needs_file = self._named is None or None in self._literals.values()
        #: The capture file that the test loads.
        self.values = f"{os.path.splitext(path)[0]}.ckpt" if needs_file else None

    def notes(self) -> Iterator[str]:
        """Yield what a person should know about the test."""
        yield from (f"{gap}; a test that needs it fails" for gap in self._capture.gaps)
        if self._named is None:
            yield "the test calls the function through the capture, from where it lay: its name alone leads to something else"
        if self._capture.header.status == DIED:
            yield "the call ended its process: until that is mended, it ends that of pytest too"

    def lines(self) -> Iterator[str]:
        """Yield the lines of the file."""
        header = self._capture.header
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(header.time))
        yield f'"""A call of {_quiet(header.qualname)} of {when}, written down by `ckpt test`."""'
        yield from ("", *self._imports(), "")
        name = re.sub(r"\W", "_", header.name)
        yield f"def test_{name}_{'returns' if self._raised is None else 'fails'}() -> None:"
        yield f'    """{_quiet(header.qualname)} {_quiet(self._promise())}."""'
        yield from (indent(statement, "    ") for statement in self._body())
        yield ""

    def _promise(self) -> str:
        header = self._capture.header
        if self._raised is not None:
            return f"raises {self._raised.type}"
        return f"returns, where it raised {header.exception}" if header.exception else "returns"

    def _imports(self) -> Iterator[str]:
        is_async = self._named is not None and self._named.flags & (_COROUTINE | _ASYNC_GENERATOR)
        root = self._named.root if self._named is not None else None
        standard = {"import asyncio": is_async, "import re": self._raised is not None, "import sys": root is not None}
        standard["from pathlib import Path"] = root is not None or self.values is not None
        yield from (line for line, is_needed in standard.items() if is_needed)
        if any(standard.values()):
            yield ""
        if self.values is not None:
            yield "import ckpt"
        if self._raised is not None:
            yield "import pytest"
        if self.values is not None or self._raised is not None:
            yield ""
        if root is not None:
            place = os.path.relpath(root, os.path.dirname(self._path))
            yield f"sys.path.insert(0, str((Path(__file__).parent / {_quoted(place)}).resolve()))"
            yield ""
        behind = "  # noqa: E402" if root is not None else ""
        modules = {self._named.module} if self._named is not None else set()
        modules |= {self._expected[0]}
        yield from (f"import {module}{behind}" for module in sorted(modules - {""}))
        if modules - {""}:
            yield ""

    def _body(self) -> Iterator[str]:
        if self.values is not None:
            yield 'capture = ckpt.load(Path(__file__).with_suffix(".ckpt"), trust=True)'
        if self._named is not None and self.values is not None:
            yield f"arguments = capture.arguments({self._named.expression})"
        call = "capture.call()" if self._named is None else self._call(self._named)
        if self._named is not None and self._named.flags & _ASYNC_GENERATOR:
            yield f"\nasync def collect() -> list[object]:\n    return [item async for item in {indent(call, '    ').lstrip()}]\n"
            call = "asyncio.run(collect())"
        if self._raised is not None:
            call = f"with pytest.raises({'.'.join(filter(None, self._expected))}{_match(self._raised.text)}):\n{indent(call, '    ')}"
        yield call

    def _call(self, function: Named) -> str:
        """Return the call that runs to its end; what `list` and `asyncio.run` do for it included."""
        values = {name: f"arguments[{_quoted(name)}]" if text is None else text for name, text in self._literals.items()}
        count = len(self._capture.args)
        passed = [text if place < count else _by_name(name, text) for place, (name, text) in enumerate(values.items())]
        around = "asyncio.run" if function.flags & _COROUTINE else "list" if function.flags & _GENERATOR else ""
        call = f"{function.expression}({', '.join(passed)})"
        if len(call) > _LINE_LIMIT:
            names = [f"  # {name}" if place < count else "" for place, name in enumerate(values)]
            lines = "\n".join(f"    {text},{name}" for text, name in zip(passed, names, strict=True))
            call = f"{function.expression}(\n{lines}\n)"
        return f"{around}({call})" if around else call

    def _find_literals(self) -> dict[str, str | None]:
        """Return the arguments as literals; None for each that has no exact short one, and for all where they share parts."""
        with self._capture.surroundings():
            values = named(self._capture.stored, self._capture.args, self._capture.kwargs)
        alone = shares_nothing(list(values.values()))
        return {name: literal(value) if alone else None for name, value in values.items()}

    def _find_type(self, expected: str) -> tuple[str, str]:
        """Return the module and the qualified name of a type; those of `Exception` when no import leads to it."""
        module, _, name = expected.partition(".")
        if module in MAIN_NAMES:
            # The script is imported only when the function is called from it: doing so runs it.
            is_script = self._named is not None and self._capture.header.module in MAIN_NAMES
            module = self._named.module if self._named is not None and is_script else ""
            splits = [(module, name)] if module else []
        else:
            parts = ["builtins", *expected.split(".")] if "." not in expected else expected.split(".")
            splits = [(".".join(parts[:end]), ".".join(parts[end:])) for end in range(len(parts) - 1, 0, -1)]
        with self._capture.surroundings():
            module, name = next((split for split in splits if _is_exception(*split)), ("", "Exception"))
        return ("" if module == "builtins" else module), name


def _is_exception(module: str, qualname: str) -> bool:
    """Whether importing a module and following a name lead to a class of exceptions."""
    if not all(map(_is_name, f"{module}.{qualname}".split("."))):
        return False
    try:
        found: Any = importlib.import_module(module)
        for part in qualname.split("."):
            found = inspect.getattr_static(found, part)
    except Exception:  # whatever importing the user's module raises: a test could not import it either
        return False
    return isinstance(found, type) and issubclass(found, BaseException)


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _by_name(name: str, text: str) -> str:
    """Return an argument that is passed by its name, which may be any text."""
    return f"{name}={text}" if _is_name(name) else f"**{{{_quoted(name)}: {text}}}"


def _quoted(text: str) -> str:
    return f'"{text}"' if text.isascii() and text.isprintable() and not {'"', "\\"} & set(text) else ascii(text)


def _checked(text: str) -> str:
    """Return a test that Python can read. Raises `CannotReplayError` for one that it cannot."""
    try:
        ast.parse(text)
    except (SyntaxError, ValueError) as err:
        raise CannotReplayError(f"The call cannot be written down: the test would be no Python ({err}).") from err
    return text


def _raised(capture: Capture) -> Raised:
    manifest = capture.manifest
    if manifest is None or not manifest.exceptions:
        raise UsageError(f"{capture.header.name!r} did not raise: there is no failure to expect.", hint="leave --expect-failure out")
    return manifest.exceptions[(capture.stored.view or (0, 0))[0]]


def _refuse_placeholders(capture: Capture) -> None:
    for value in described(capture.stored):
        if value.reason:
            raise CannotReplayError(f"The argument {value.name} was not kept ({value.reason}), so no test can pass it.")
        if value.type == "str" and MARK in value.text:
            raise CannotReplayError(f"A secret in the argument {value.name} was not kept, so no test can pass it.")


def _match(message: str) -> str:
    """Return the part of `pytest.raises` that compares the message, its beginning at least; nothing for an empty one."""
    line = message.partition("\n")[0]
    pieces = [re.escape(piece) for piece in _ADDRESS.split(line[:_MESSAGE_LIMIT])]
    if not line:
        return ""
    return f", match=re.escape({line[:_MESSAGE_LIMIT]!r})" if len(pieces) == 1 else f", match={'.*'.join(pieces)!r}"


def _quiet(text: str) -> str:
    """Return a text that may stand in a docstring."""
    line = " ".join(text.split()).replace("\\", "/").replace('"', "'")
    return line if line.isprintable() and line.isascii() else line.encode("ascii", "replace").decode().replace("\\", "/")
