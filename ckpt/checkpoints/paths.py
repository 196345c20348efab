"""Tags and names <-> paths, as Hive writes them: `iteration=1/foo1=1/MyPackage/foo`.

Nothing that a tag or a name may hold can leave the directory, make one more level, or read as another tag: all but letters, digits and
`_ . ~ -` is percent-encoded, which pyarrow, polars and DuckDB decode.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from ckpt._model.tags import Tag, Tags
from ckpt.errors import UsageError

#: What Hive, and every reader of its paths, takes for no value.
NULL = "__HIVE_DEFAULT_PARTITION__"
_UNSAFE = re.compile(r"[^\w.~-]")
_ENCODED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


def key(name: str, tags: Tags) -> str:
    """Return where the checkpoint `name` lies: a level for each tag, in order, then one for each part of the name."""
    return "/".join([*segments(tags), *map(encoded, name.split("."))])


def segments(tags: Tags) -> list[str]:
    """Return one level of a path for each tag."""
    return [_segment(name, value) for name, value in tags]


def encoded(text: str) -> str:
    """Return `text` as it stands in a path."""
    return _UNSAFE.sub(_percent, text)


def decoded(text: str) -> str:
    """Return what was `encoded`, or what another program has percent-encoded; what is neither is left as it is."""
    return _ENCODED.sub(_plain, text) if "%" in text else text


def parse(segment: str) -> tuple[str, str | None] | None:
    """Return the tag that one level of a path stands for, its value as text; None for a level without a tag."""
    name, equals, value = segment.partition("=")
    if not equals:
        return None
    return decoded(name), None if value == NULL else decoded(value)


def checked(name: object) -> str:
    """Return a name of a checkpoint or the beginning of one; raise `UsageError` for what cannot be one."""
    if not isinstance(name, str):
        raise UsageError(f"The name of a checkpoint is a text, not {name!r}.")
    if not all(name.split(".")):
        raise UsageError(f"{name!r} is no name of a checkpoint: parts with a dot between, none of them empty.", hint='"MyPackage.foo"')
    return name


def full_name(prefix: object, name: object) -> str:
    """Return the name of a checkpoint of the package `prefix`, or just `name` without one; raise `UsageError` for what cannot be one."""
    return checked(name) if prefix is None else f"{checked(prefix)}.{checked(name)}"


def full_names(prefix: object, names: object) -> list[str]:
    """Return the names that `(prefix, name)`, `(prefix, names)`, `(name, None)` or `(names, None)` mean."""
    if names is None:
        prefix, names = None, prefix
    if isinstance(names, str) or not isinstance(names, Iterable):
        names = (names,)
    return [full_name(prefix, name) for name in names]


@lru_cache(1024, typed=True)  # 1, 1.0 and True are equal, and not the same
def _segment(name: str, value: Tag) -> str:
    return f"{encoded(name)}={_value(value)}"


def _value(value: Tag) -> str:
    if value is None:
        return NULL
    if isinstance(value, bool):
        return "true" if value else "false"
    # A subclass may print itself in another way: an enumeration, a float of numpy's.
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return encoded(float.__repr__(value))
    text = encoded(str.__str__(value))
    return text if text != NULL else f"%5F{text[1:]}"


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))


def _plain(match: re.Match[str]) -> str:
    try:
        return unquote_to_bytes(match[0]).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return match[0]
