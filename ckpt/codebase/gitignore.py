"""`.gitignore` for folders that are no git checkout. Pure functions of texts and paths, by the rules of gitignore(5).

Bytes are matched, as git does: `?` is half an `é`. So patterns and paths are decoded as Latin-1 here. Not understood: named classes such
as `[[:alpha:]]`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of a `.gitignore`; matches paths relative to the directory of the file."""

    regex: re.Pattern[str]
    is_negated: bool
    only_directories: bool


def parse(data: bytes) -> list[Pattern]:
    """Return the patterns of a `.gitignore`, in their order."""
    lines = data.removeprefix(b"\xef\xbb\xbf").decode("latin-1").split("\n")
    found = (_pattern(_trimmed(line.removesuffix("\r"))) for line in lines)
    return [pattern for pattern in found if pattern is not None]


def is_ignored(layers: Sequence[tuple[str, Sequence[Pattern]]], path: str, *, is_directory: bool) -> bool:
    """Whether `path` is ignored by `layers`: directory (empty for the top, else with a slash at its end) and patterns, the top first."""
    for directory, patterns in reversed(layers):
        decision = _decide(patterns, os.fsencode(path.removeprefix(directory)).decode("latin-1"), is_directory=is_directory)
        if decision is not None:
            return decision
    return False


def _decide(patterns: Sequence[Pattern], path: str, *, is_directory: bool) -> bool | None:
    """Return whether the last pattern that matches `path` ignores it; None when none matches."""
    for pattern in reversed(patterns):
        if (is_directory or not pattern.only_directories) and pattern.regex.fullmatch(path):
            return not pattern.is_negated
    return None


def _trimmed(line: str) -> str:
    """Return `line` without the spaces at its end that no backslash keeps."""
    kept = re.match(r"(?:\\.|[^\\ ]|[\\]$| +(?=[^ ]))*", line)
    return kept[0] if kept else line


def _pattern(line: str) -> Pattern | None:
    if not line or line.startswith("#"):
        return None
    is_negated = line.startswith("!")
    line = line.removeprefix("!") if is_negated else line
    only_directories = line.endswith("/")
    line = line.removesuffix("/")
    is_anchored = "/" in line
    regex = _regex(line.removeprefix("/"))
    if not line or regex is None:
        return None
    return Pattern(re.compile(regex if is_anchored else f"(?:.*/)?{regex}", re.DOTALL), is_negated, only_directories)


def _regex(glob: str) -> str | None:
    """Return a regular expression for a whole path; None for a pattern that matches nothing."""
    parts, position = [], 0
    while position < len(glob):
        text, position = _token(glob, position)
        if text is None:
            return None
        parts.append(text)
    return "".join(parts)


def _token(glob: str, at: int) -> tuple[str | None, int]:
    """Return the expression for what stands at `at`, and where the next begins."""
    begins_part = at == 0 or glob[at - 1] == "/"
    if begins_part and glob.startswith("**/", at):
        return "(?:.*/)?", at + 3
    if begins_part and glob[at:] == "**":
        return ".+", at + 2
    if glob[at] == "[":
        return _class(glob, at)
    if glob[at] == "\\":
        return (re.escape(glob[at + 1]), at + 2) if at + 1 < len(glob) else (None, at + 1)
    return {"*": "[^/]*", "?": "[^/]"}.get(glob[at], re.escape(glob[at])), at + 1


def _class(glob: str, at: int) -> tuple[str | None, int]:
    """Return the expression for a bracket; no class matches a slash. The first end of a range counts by itself: `[b-a]` is `b`."""
    inner = re.compile(r"\[[!^]?(\]?(?:\\.|[^\]\\])*)\]", re.DOTALL).match(glob, at)
    if inner is None or not inner[1]:
        return None, len(glob)
    members = set()
    for first, last in re.findall(r"(\\.|[^\\])(?:-(\\.|[^\\]))?", inner[1], re.DOTALL):
        members.add(first[-1])
        members.update(map(chr, range(ord(first[-1]), ord(last[-1]) + 1) if last else ()))
    is_negated = glob[at + 1] in "!^"
    return f"(?!/)[{'^' if is_negated else ''}{''.join(map(re.escape, sorted(members)))}]", inner.end()
