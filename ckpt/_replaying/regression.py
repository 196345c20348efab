"""A capture as a test for pytest: the same call, with the same arguments, without the store."""

from __future__ import annotations

import ast
import importlib
import inspect
import keyword
import os
import re
import shlex
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import TYPE_CHECKING, Any

from ckpt._model.record import DIED, Raised
from ckpt._model.redact import MARK
from ckpt._model.reducing import MAIN_NAMES
from ckpt._replaying.arguments import described, named
from ckpt._replaying.changes import expressions, new_places, quoted, with_changes
from ckpt._replaying.doubts import changed_already
from ckpt._replaying.gaps import MOST, Gap, argument_gaps, lines
from ckpt._replaying.literals import literal, shares_nothing
from ckpt._replaying.naming import Named, find_name, find_place
from ckpt._replaying.steps import GIVE, parse, way_out, ways_out
from ckpt._replaying.verdicts import FIXED, SAME_FAILURE
from ckpt._store.capture_file import write_capture
from ckpt.errors import CannotReplayError, StoreError, UsageError

if TYPE_CHECKING:
    from ckpt._replaying.rehydrate import Capture

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200
#: What a message has instead of something that is another the next time: an address, a secret.
_UNLIKE = re.compile(rf"0x[0-9a-fA-F]{{6,}}|{MARK}")
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


def write_test(capture: Capture, path: str, changes: Sequence[str] = (), *, expect_failure: bool = False, replace: bool = False) -> Written:
    """Write a test that calls the captured function again and expects it not to raise; or, with `expect_failure`, to fail as it did.

    `changes` are other values for arguments, as `ckpt run --set` takes them; the environment is read by the test.

    Raises `UsageError` when the file exists and is not to be replaced, or there is no failure to expect; `CannotReplayError` when no test
    can make the call.
    """
    capture.stored.check_values()
    path = os.path.abspath(path)
    if os.path.isdir(path):
        raise UsageError(f"{path!r} is a directory.", hint=f"name the file: -o {os.path.join(path, 'test_NAME.py')}")
    if os.path.exists(path) and not replace:
        raise UsageError(f"{path!r} exists.", hint="--force replaces it")
    test = _Test(capture, path, expressions(changes), expect_failure=expect_failure)
    text = _checked("\n".join(test.lines()))
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if test.values is not None:
            write_capture(capture.stored, test.values)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as err:
        raise StoreError(f"{path!r} cannot be written: {err.strerror}.") from err
    return Written(path=path, values=test.values, notes=list(test.notes()))


class _Test:
    """The text of one test."""

    def __init__(self, capture: Capture, path: str, changes: dict[str, str], *, expect_failure: bool) -> None:
        self._capture, self._path, self._changes = capture, path, changes
        self._raised = _raised(capture) if expect_failure else None
        #: The module and the qualified name of the type of the expected exception.
        self._expected = ("", "Exception")
        #: How the function is imported; what it handles itself only a replay sees.
        self._named: Named | None = None if capture.header.handled else find_name(capture)
        if self._raised is not None and not capture.header.handled:
            self._expected = self._find_type(self._raised.type)
        if self._named is None:
            _refuse_captured_code(capture)
        with capture.surroundings():
            values = named(capture.stored, capture.args, capture.kwargs)
            self._literals = self._find_literals(values)
            #: What the changes put where nothing was, one line each.
            self._new_places = new_places(values, changes)
            self._gaps = argument_gaps(capture.stored, with_changes(values, {way: _value(text) for way, text in changes.items()}), changes)
        _refuse_what_is_missing(capture, path, changes, self._gaps)
        #: Those of the changes that do not stand in the call itself.
        self._late = {way: text for way, text in changes.items() if self._named is None or self._literals.get(way) is None}
        needs_file = self._named is None or None in self._literals.values()
        #: Where the code lies that is not imported by its name.
        self._folder = find_place(capture)[1] if self._named is None else None
        #: The capture file that the test loads.
        self.values = f"{os.path.splitext(path)[0]}.ckpt" if needs_file else None

    def notes(self) -> Iterator[str]:
        """Yield what a person should know about the test."""
        yield from changed_already(self._capture.stored)
        yield from (f"{line}; a test that needs it fails" for line in lines(self._gaps))
        yield from self._new_places
        if self._named is None and not self._capture.header.handled:
            yield "the test calls the function through the capture: its name alone leads to something else"
        if self._capture.header.status == DIED:
            yield "the call ended its process: until that is mended, it ends that of pytest too"

    def lines(self) -> Iterator[str]:
        """Yield the lines of the file."""
        header = self._capture.header
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(header.time))
        yield f'"""A call of {_quiet(header.qualname)} of {when}, written down by `ckpt test`."""'
        yield from ("", *self._imports(), "")
        name = re.sub(r"\W", "_", header.name)
        yield f"def test_{name}_{'fails' if self._raised is not None else 'is_fixed' if header.handled else 'returns'}() -> None:"
        yield f'    """{_quiet(header.qualname)} {_quiet(self._promise())}."""'
        yield from (f"    # {_quiet(note)}" for note in changed_already(self._capture.stored))
        yield from (indent(statement, "    ") for statement in self._body())
        yield ""

    def _promise(self) -> str:
        header = self._capture.header
        if header.handled:
            return f"{'handles' if self._raised is not None else 'does not handle'} {header.exception}"
        if self._raised is not None:
            return f"raises {self._raised.type}"
        return f"returns, where it raised {header.exception}" if header.exception else "returns"

    def _imports(self) -> Iterator[str]:
        is_async = self._named is not None and self._named.flags & (_COROUTINE | _ASYNC_GENERATOR)
        root = self._named.root if self._named is not None else None
        standard = {"import asyncio": is_async, "import os": any(text.startswith("os.environ[") for text in self._changes.values())}
        expects = self._raised is not None and not self._capture.header.handled
        standard |= {"import re": expects, "import sys": root is not None}
        standard["from pathlib import Path"] = root is not None or self.values is not None
        yield from (line for line, is_needed in standard.items() if is_needed)
        if any(standard.values()):
            yield ""
        if self.values is not None:
            yield "import ckpt"
        if expects:
            yield "import pytest"
        if self.values is not None or expects:
            yield ""
        if root is not None:
            yield f"sys.path.insert(0, str({self._place(root)}))"
            yield ""
        behind = "  # noqa: E402" if root is not None else ""
        modules = {self._named.module} if self._named is not None else set()
        modules |= {self._expected[0]}
        yield from (f"import {module}{behind}" for module in sorted(modules - {""}))
        if modules - {""}:
            yield ""

    def _place(self, folder: str) -> str:
        """Return what gives a folder from where the test lies, wherever both are moved."""
        return f"(Path(__file__).parent / {quoted(os.path.relpath(folder, os.path.dirname(self._path)))}).resolve()"

    def _body(self) -> Iterator[str]:
        if self.values is not None:
            code = f", code={self._place(self._folder)}" if self._folder is not None else ""
            yield f'capture = ckpt.load(Path(__file__).with_suffix(".ckpt"){code}, trust=True)'
        yield from (f"capture.changes[{quoted(way)}] = {text}" for way, text in self._late.items())
        if self._capture.header.handled:
            verdict = FIXED if self._raised is None else SAME_FAILURE
            yield f'replay = capture.replay()\nassert replay.verdict == "{verdict}", replay.detail'
            return
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
        values = {name: f"arguments[{quoted(name)}]" if text is None else text for name, text in self._literals.items()}
        count = len(self._capture.args)
        passed = [text if place < count else _by_name(name, text) for place, (name, text) in enumerate(values.items())]
        around = "asyncio.run" if function.flags & _COROUTINE else "list" if function.flags & _GENERATOR else ""
        call = f"{function.expression}({', '.join(passed)})"
        if len(call) > _LINE_LIMIT:
            names = [f"  # {name}" if place < count else "" for place, name in enumerate(values)]
            lines = "\n".join(f"    {text},{name}" for text, name in zip(passed, names, strict=True))
            call = f"{function.expression}(\n{lines}\n)"
        return f"{around}({call})" if around else call

    def _find_literals(self, values: dict[str, Any]) -> dict[str, str | None]:
        """Return the arguments as literals; None for each that has no exact short one, and for all where they share parts."""
        alone = shares_nothing(list(values.values()))
        found = {name: literal(value) if alone else None for name, value in values.items()}
        found |= {way: text for way, text in self._changes.items() if way.isidentifier()}
        return found | {name: None for name in map(_beginning, self._changes) if name not in self._changes}

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
    return f"{name}={text}" if _is_name(name) else f"**{{{quoted(name)}: {text}}}"


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


def _beginning(way: str) -> str:
    name, _ = parse(way) or (way, [])
    return name


def _value(text: str) -> Any:
    """Return the value of an expression among the changes; a text for a variable of the environment."""
    try:
        return ast.literal_eval(text)
    except ValueError:
        return ""


def _refuse_what_is_missing(capture: Capture, path: str, changes: Collection[str], gaps: Sequence[Gap]) -> None:
    """Raise `CannotReplayError` for an argument that was not kept, and for a text that would be passed with its secret masked."""
    lost = [value for value in described(capture.stored) if value.reason and value.name not in changes]
    whats = {f"in the argument {value.name}": f"The argument {value.name} was not kept ({value.reason})" for value in lost}
    whats |= {gap.place: f"A secret {gap.place} was not kept" for gap in gaps if gap.is_masked}
    if not whats:
        return
    (_, what), *others = whats.items()
    rest = f"; nor was what is {', '.join(place for place, _ in others[:MOST])}" if others else ""
    ways = [way_out(value.name, value.type).removeprefix(GIVE) for value in lost if value.text == MARK]
    ways += ways_out(gap.line for gap in gaps[:MOST])
    hint = f"ckpt test {capture.header.id} -o {shlex.quote(os.path.relpath(path))} {' '.join(ways)}" if ways else ""
    raise CannotReplayError(f"{what}, so no test can pass it{rest}.", hint=hint)


def _refuse_captured_code(capture: Capture) -> None:
    """Raise `CannotReplayError` when the function cannot be called, or only as it was captured."""
    with capture.surroundings():
        capture.target()
    if capture.is_called_as_captured:
        raise CannotReplayError(
            f"No file has {capture.header.qualname!r}: a test would call it as it was captured, whatever is mended.",
            hint="put it into a file, and capture it there",
        )


def _match(message: str) -> str:
    """Return the part of `pytest.raises` that compares the message, its beginning at least; nothing for an empty one."""
    line = message.partition("\n")[0]
    pieces = [re.escape(piece) for piece in _UNLIKE.split(line[:_MESSAGE_LIMIT])]
    if not line:
        return ""
    return f", match=re.escape({line[:_MESSAGE_LIMIT]!r})" if len(pieces) == 1 else f", match={'.*'.join(pieces)!r}"


def _quiet(text: str) -> str:
    """Return a text that may stand in a docstring."""
    line = " ".join(text.split()).replace("\\", "/").replace('"', "'")
    return line if line.isprintable() and line.isascii() else line.encode("ascii", "replace").decode().replace("\\", "/")
