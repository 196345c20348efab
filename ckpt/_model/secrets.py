"""What was found to be secret among the values of one moment, and where it is not to be told.

Under a secret name a placeholder stands for any value. The same object is left out wherever else it lies, and so are texts that hold a
secret text, unless that is a word which may stand there for itself: such a one is only masked in the texts that are shown.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from json.encoder import encode_basestring as in_json
from json.encoder import encode_basestring_ascii as in_ascii_json
from types import ModuleType
from typing import Any

from ckpt._model.describe import type_name
from ckpt._model.layout import fields_of
from ckpt._model.placeholder import Placeholder
from ckpt._model.redact import MARK, holds_something, is_secret_key, passwords_in, without_passwords
from ckpt._model.referring import ModuleReference

#: A shorter text tells nothing by itself, and stands everywhere.
_SHORTEST = 4
#: From so many characters on a text of letters and digits is no word; and one of letters alone. Between them, a variable that has the
#: very same object is redacted too.
_MIXED, _WORD, _LETTERS = 6, 8, 16
#: From so many characters on even the beginning of a text that is cut off is masked; so many must be there.
_LONG, _BEGINNING = 12, 8
#: So many texts are looked for inside others; further ones are only found where they stand alone.
_MOST = 64
#: Words that say nothing, and whose absence would tell what they are.
_WORDS = "admin auth basic bearer default digest false guest local localhost none null password root secret test token true user"
_COMMON = frozenset(_WORDS.split())
#: Types of values that are the same object by chance: they are redacted where their name is, and nowhere else.
_SCALARS = (int, float, complex)
#: How deep a container is opened for the texts in it; one of two has a user and a password.
_DEPTH, _PAIR = 3, 2
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SCHEMES = re.compile(r"(?:Bearer|Basic|Digest|Token|ApiKey) +(\S+)", re.IGNORECASE)

Text = str | bytes | bytearray


class Secrets:
    """What is secret: placeholders by `id()` of what they stand for, and texts.

    Holds what it knows, so that no other object can take its address.
    """

    __slots__ = ("_alive", "_beginnings", "_letters", "_same", "_whole", "_words", "grew", "objects", "parts")

    def __init__(self) -> None:
        #: What stands for a value wherever it lies.
        self.objects: dict[int, Placeholder] = {}
        self._alive: list[object] = []
        #: The same for texts that may stand elsewhere for themselves.
        self._same: dict[int, Placeholder] = {}
        #: Texts that are left out where they stand alone, and what stands for each.
        self._whole: dict[Text, Placeholder] = {}
        #: Texts that are masked inside others, in each way they may be written there; those of bytes; and those that are words.
        self.parts: dict[str, None] = {}
        self._letters: dict[bytes, None] = {}
        self._words: dict[str, re.Pattern[str]] = {}
        self._beginnings: list[str] = []
        #: Whether something was added that may have been told already.
        self.grew = False

    def add(self, name: object, value: object) -> Placeholder:
        """Return what stands for a value under a secret name; from now on for the same one everywhere."""
        found = self.objects.get(id(value))
        if found is not None:
            return found
        kind = type(value)
        if kind is Placeholder or kind is ModuleReference:
            return value  # type: ignore[return-value]
        told = name if type(name) is str else str(name, "latin-1") if type(name) is bytes else "?"
        found = Placeholder(type_name(kind), MARK, reason(told))
        if kind is str or kind is bytes or kind is bytearray:
            return self._add_text(value, found)  # type: ignore[arg-type]
        if not issubclass(kind, _SCALARS):
            self.objects[id(value)] = found
            self._alive.append(value)
            self.grew = True
            for text in filter(is_telling, _texts_in(value, _DEPTH)):
                self._add_text(text, found)
        return found

    def add_passwords(self, text: str) -> None:
        """Take note of the passwords in the URLs of a text."""
        for password in passwords_in(text):
            found = self._add_text(password, Placeholder("str", MARK, "a password in a URL"))
            self._add_text(_ESCAPED.sub(lambda match: chr(int(match[1], 16)), password), found)

    def _add_text(self, text: Text, found: Placeholder) -> Placeholder:
        if not isinstance(text, str):
            text = bytes(text)
        known = self._whole.get(text)
        if known is not None:
            return known
        plain = text if isinstance(text, str) else text.decode("latin-1")
        if is_telling(text):
            self._whole[text] = found
            self.grew = True
            if len(self._letters) < _MOST:
                self._add_parts(plain, text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
            scheme = _SCHEMES.fullmatch(plain)
            if scheme is not None:
                self._add_text(scheme[1], found)
            return found
        if len(plain) < _SHORTEST or plain.casefold() in _COMMON:
            return found
        if len(plain) >= _WORD:
            self._same[id(text)] = found
            self._alive.append(text)
        if len(self._words) < _MOST:
            self._words[plain] = re.compile(rf"(?<!\w){re.escape(plain)}(?!\w)")
        return found

    def _add_parts(self, text: str, data: bytes) -> None:
        self._letters[data] = None
        plain = dict.fromkeys((text, *_escaped(text), repr(data)[2:-1], in_json(text)[1:-1], in_ascii_json(text)[1:-1]))
        for written in plain | dict.fromkeys(twice for once in plain for twice in _escaped(once)):
            self.parts[written] = None
            if len(written) >= _LONG:
                self._beginnings.append(written)

    def in_place_of(self, text: Text) -> object:
        """Return what is kept in the place of a text: a placeholder for a secret, a text with what is secret masked, or the text itself."""
        data = text if isinstance(text, str) else bytes(text)
        found = self._whole.get(data)
        if found is not None:
            return found
        if isinstance(data, str):
            return self._without(data)
        return self._without_bytes(text, data) if b"://" in data or any(part in data for part in self._letters) else text

    def _without(self, text: str) -> str:
        if "://" in text:
            self.add_passwords(text)
            text = without_passwords(text)
        for part in self.parts:
            if part in text:
                text = text.replace(part, MARK)
        return text

    def _without_bytes(self, text: Text, data: bytes) -> object:
        """Return bytes with what is secret masked, where they are a text: in anything else, lengths would no longer fit."""
        try:
            plain = data.decode()
        except UnicodeDecodeError:
            return text
        if _CONTROL.search(plain):
            return text
        covered = self._without(plain)
        return text if covered == plain else type(text)(covered.encode())

    def settle(self) -> None:
        """Let go of the values; the texts stay known."""
        self.objects.clear()
        self._same.clear()
        self._alive.clear()

    def stand_in_for(self, value: object) -> Placeholder | None:
        """Return what stands for the value of a variable, whatever its name; None when it is nothing secret."""
        kind = type(value)
        if kind is str or kind is bytes:
            found = self._whole.get(value)  # type: ignore[call-overload]
            return self._same.get(id(value)) if found is None else found
        return self.objects.get(id(value))

    def cover(self, text: str) -> str:
        """Return a text that is shown with everything secret masked, also what is left of one that was cut off."""
        text = self._without(text)
        for beginning in self._beginnings:
            text = _without_beginning(text, beginning)
        for word in self._words.values():
            text = word.sub(MARK, text)
        return text

    def without(self, held: dict[object, object]) -> dict[object, object] | None:
        """Return a dict with placeholders under its secret keys; None when it has none."""
        if not any(map(is_secret_key, tuple(held))):
            return None
        held = held.copy()
        found = [(key, value) for key, value in held.items() if is_secret_key(key) and holds_something(value)]
        held.update([(key, self.add(key, value)) for key, value in found])
        return held if found else None


def reason(name: str) -> str:
    """Return why a placeholder stands for what is called `name`."""
    return f"the name {name!r} says that it is secret"


def is_telling(text: str | bytes) -> bool:
    """Whether a text stands for nothing but itself wherever it is found: it is long for a word, or is none."""
    if len(text) < _MIXED or text in sys.modules or (isinstance(text, str) and text.rpartition(".")[0] in sys.modules):
        return False
    return len(text) >= _LETTERS or not (text.isalpha() or text.isdigit() or text.isspace())


def _texts_in(value: Any, depth: int) -> Iterator[str | bytes]:
    """Yield the texts in a container or an object that is secret as a whole; of a user and a password, the password."""
    kind = type(value)
    if kind is str or kind is bytes:
        yield value
    elif depth and not issubclass(kind, type | ModuleType):  # the texts of code are no secret
        for part in islice(_parts_of(value, kind), _MOST):
            yield from _texts_in(part, depth - 1)


def _parts_of(value: Any, kind: type) -> Iterable[Any]:
    if kind is list or kind is tuple:
        return value[1:] if len(value) == _PAIR else value[:_MOST]  # type: ignore[no-any-return]
    if kind is set or kind is frozenset:
        return value.copy()  # type: ignore[no-any-return]
    held = value.copy() if kind is dict else fields_of(value)
    return ({key: part for key, part in held.items() if is_secret_key(key)} or held).values()


def _escaped(text: str) -> tuple[str, str]:
    """Return a text as it stands in a `repr`: which quotes are escaped depends on what else there is."""
    return repr(text)[1:-1], repr(f'"{text}')[2:-1]


def _without_beginning(text: str, secret: str) -> str:
    """Return a text in which no cut-off beginning of a secret is left."""
    at = text.find(secret[:_BEGINNING])
    while at >= 0:
        end = at + _BEGINNING
        while end < len(text) and end - at < len(secret) and text[end] == secret[end - at]:
            end += 1
        if text[end:].lstrip("'\"")[:3] in {"", "..."}:
            text = text[:at] + MARK + text[end:]
        at = text.find(secret[:_BEGINNING], at + 1)
    return text
