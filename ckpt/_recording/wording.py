"""Values described as JSON text, put together by hand.

A recorder describes every argument of every call, and every variable of every frame: the general encoder alone would cost as much again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from json.encoder import encode_basestring_ascii as quote

from ckpt._model.describe import describe, type_name
from ckpt._model.placeholder import Placeholder
from ckpt._model.record import Json
from ckpt._model.redact import MARK, holds_something, is_secret

#: The fields that every description begins with; what follows are numbers, a shape, a reason.
_NAMED = 3
#: Texts up to this length, and integers within a machine word, are described by their repr.
_SHORT, _WORD = 80, 1 << 63

dumps = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), check_circular=False).encode


def described_json(value: object, name: str = "") -> str:
    """Return `value` described as JSON; numbers and short texts, which most values are, without a detour."""
    kind = type(value)
    if kind is str and len(value) <= _SHORT and "://" not in value:  # type: ignore[arg-type, operator]
        return f'{{"name":{quote(name)},"type":"str","text":{quote(repr(value))},"length":{len(value)}}}'  # type: ignore[arg-type]
    if kind is float or kind is bool or (kind is int and -_WORD < value < _WORD):  # type: ignore[operator]
        return f'{{"name":{quote(name)},"type":"{kind.__name__}","text":"{value!r}"}}'
    return value_json(describe(value, name))


def named_json(value: object, name: str) -> str:
    """Return `value` described as JSON; under a secret name, only its type."""
    return redacted_json(value, name) if is_secret(name) and holds_something(value) else described_json(value, name)


def redacted_json(value: object, name: str = "") -> str:
    """Return `value` described as JSON by nothing but its type."""
    return f'{{"name":{quote(name)},"type":{quote(type_name(type(value)))},"text":"{MARK}"}}'


def value_json(described: Json) -> str:
    """Return a described value as JSON."""
    text = f'{{"name":{quote(described["name"])},"type":{quote(described["type"])},"text":{quote(described["text"])}'
    for key, value in islice(described.items(), _NAMED, None):
        if value is not None:
            text += f',"{key}":{quote(value) if type(value) is str else dumps(value) if type(value) is list else value}'
    return text + "}"


def give_reasons(texts: list[str], values: Sequence[object], lost: Mapping[int, str]) -> None:
    """Note with each described value that was not kept why it was not; `values` are the ones that `texts` describe."""
    for index, value in enumerate(values):
        reason = value.ckpt_reason if type(value) is Placeholder else lost.get(id(value))
        if reason is not None:
            texts[index] = f'{texts[index][:-1]},"reason":{quote(reason)}}}'
