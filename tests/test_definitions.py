"""What of a script only defines something."""

from __future__ import annotations

import ast
import collections
import logging
import pathlib
import re
import threading
import typing
from typing import Any

import pytest

from ckpt._replaying.definitions import definitions, has_guard, is_guard

NAMES: dict[str, Any] = {
    "re": re,
    "threading": threading,
    "typing": typing,
    "TypeVar": typing.TypeVar,
    "namedtuple": collections.namedtuple,  # noqa: PYI024  it is what the scripts use
    "Path": pathlib.Path,
    "logging": logging,
    "Lock": threading.Lock,
}


def kept(text: str) -> str:
    """Return what of a statement is a definition, as text."""
    (statement,) = ast.parse(text).body
    return "\n".join(ast.unparse(ast.fix_missing_locations(piece)) for piece in definitions(statement, NAMES))


@pytest.mark.parametrize(
    "text",
    [
        "import a.b as c",
        "from . import x",
        "@deco(1)\ndef f(x=g()):\n    h()",
        "async def f():\n    await g()",
        "class C(Base, meta=f()):\n    x = g()",
        "X = 3",
        "X: int = 3",
        "X: int",
        "a, *b = (1, 2, 3)",
        "X = Y = [1, {'a': {2}}]",
        "X = Y * 60 + 1",
        "F = lambda x: g(x)",
        "X = [n * n for n in range(10)]",
        "P = re.compile('x', re.I)",
        "T = TypeVar('T', bound='C')",
        "P = namedtuple('P', 'x y')",
        "HERE = Path(__file__).parent / 'data'",
        "LOG = logging.getLogger(__name__)",
        "LOCK = threading.Lock()",
        "LOCK = Lock()",
        "E = dict(a=list((1, 2)))",
    ],
)
def test_definitions_are_kept_whole(text: str) -> None:
    """Imports, functions, classes, constants and calls that only make a value are definitions."""
    assert kept(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "f()",
        "x = f()",
        "x = [f(n) for n in range(3)]",
        "x = sorted(y)",
        "x = y.copy()",
        "x = re.sub('a', 'b', 'c')",
        "x = list(f())",
        "x = lambda y=f(): y",
        "x[0] = 1",
        "x.y = 1",
        "x += 1",
        "x: int = f()",
        "x.y: int = 1",
        "del x",
        "assert x",
        "raise SystemExit",
        "for x in y:\n    a = 1",
        "while x:\n    a = 1",
        "match x:\n    case 1:\n        a = 1",
        "if f():\n    import x",
        "print('x')",
        "'a text'",
        "try:\n    f()\nexcept E:\n    x = 1",
    ],
)
def test_what_does_something_is_left_out(text: str) -> None:
    """Calls, loops, changes of other objects, and what depends on a call are no definitions."""
    assert kept(text) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("if TYPE_CHECKING:\n    import x\n    f()", "if TYPE_CHECKING:\n    import x"),
        ("if V >= (3, 11):\n    f()\nelse:\n    import x", "if V >= (3, 11):\n    pass\nelse:\n    import x"),
        (
            "try:\n    import x\n    f()\nexcept ImportError as e:\n    print(e)\n    x = None",
            "try:\n    import x\nexcept ImportError as e:\n    x = None",
        ),
        ("try:\n    import x\nfinally:\n    f()", "import x"),
        ("with open('x') as f:\n    import y\n    x = g(f)", "import y"),
        ("if __name__ == '__main__':\n    n = 3\n    main(n)\n    import x", "n = 3\nimport x"),
    ],
)
def test_blocks_give_the_definitions_inside_them(text: str, expected: str) -> None:
    """An `if` and a `try` keep their shape around what they define; a guard and a `with` give their bodies."""
    assert kept(text) == expected


def test_a_known_name_is_only_harmless_while_it_is_the_known_thing() -> None:
    """What counts is what a name stands for in the script, not how it is spelled."""
    (statement,) = ast.parse("P = re.compile('x')").body
    assert definitions(statement, {"re": None}) == []
    assert definitions(statement, {}) == []


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("__name__ == '__main__'", True),
        ("'__main__' == __name__", True),
        ("__name__ == '__main__' and not debug", True),
        ("__name__ != '__main__'", False),
        ("__name__ == 'x'", False),
        ("x", False),
    ],
)
def test_a_guard_is_recognised(test: str, expected: bool) -> None:
    """The comparison may be turned around or have conditions beside it."""
    assert is_guard(ast.parse(test, mode="eval").body) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("if __name__ == '__main__':\n    main()", True),
        ("__name__ == '__main__' and main()", True),
        ("if __name__ in {'__main__', '__mp_main__'}:\n    main()", True),
        ("try:\n    if __name__ == '__main__':\n        main()\nfinally:\n    pass", True),
        ("log = getLogger(__name__)\nmain()", False),
        ("def f():\n    if __name__ == '__main__':\n        main()\nf()", False),
    ],
)
def test_a_script_with_a_guard_is_told_from_one_without(text: str, expected: bool) -> None:
    """One that compares its name on the top level can be imported; a logger with that name, or a function that asks, is no sign."""
    assert has_guard(ast.parse(text)) is expected
