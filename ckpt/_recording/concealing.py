"""What is secret in a call or a failure, taken out of what goes into the stream and of the texts that tell of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import CodeType
from typing import Any

from ckpt._model.codec import Container
from ckpt._model.placeholder import Placeholder
from ckpt._model.redact import MARK, is_secret
from ckpt._model.searching import Search
from ckpt._model.secrets import Secrets
from ckpt._recording.given import Given, named
from ckpt._recording.walk import Walk
from ckpt._recording.wording import dumps, value_json

_VARARGS, VARKW = 0x04, 0x08
_TEXTS = frozenset({"str", "bytes", "bytearray"})


def conceal_call(code: CodeType | None, args: list[Any], kwargs: dict[str, Any], function: object = None) -> Secrets | None:
    """Put placeholders for secrets into the arguments of a call, in containers of the recorder; return what is secret, if anything is.

    `function` is looked into where it goes into the stream too.
    """
    search = Search()
    _take_call(search, code, args, kwargs)
    return search.run([function])


def secrets_in(function: object) -> Secrets | None:
    """Return what is secret in a function that is kept by value, if anything is."""
    return Search().run([function])


def no_secrets(containers: Sequence[Container]) -> None:
    """Find nothing: what is encoded is looked at only while it is written."""


def has_secret_names(code: CodeType | None) -> bool:
    """Whether a function has a parameter with a secret name."""
    return code is not None and any(map(is_secret, (*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount], *_rest(code))))


def conceal_failure(walk: Walk, calls: Sequence[Given], known: Secrets | None) -> Secrets | None:
    """Put placeholders for secrets into everything that is kept of a failure; return what is secret, with what was `known` at entry."""
    search = Search(known)
    for call in calls:
        _take_call(search, call.code, call.args, call.kwargs)
    for held in (*walk.locals, *walk.globals):
        search.take(held, list(held))
    return search.run([*walk.exceptions, *(call.function for call in calls)])


def _take_call(search: Search, code: CodeType | None, args: list[Any], kwargs: dict[str, Any]) -> None:
    names = [name for _, name in named(code, args, {})]
    given = list(kwargs)
    if code is not None:
        rest, others = _rest(code)
        names = [rest if rest and name.startswith("*") else name for name in names]
        given = [others if others and name not in code.co_varnames else name for name in given]
    search.take(args, names)
    search.take(kwargs, given)


def _rest(code: CodeType) -> tuple[str, str]:
    """Return the names of the parameters `*args` and `**kwargs` where these are secret: then all that is in them is."""
    end = code.co_argcount + code.co_kwonlyargcount
    names = code.co_varnames[end:]
    args = names[0] if code.co_flags & _VARARGS else ""
    kwargs = names[bool(args)] if code.co_flags & VARKW else ""
    return args if is_secret(args) else "", kwargs if is_secret(kwargs) else ""


def conceal_walk(walk: Walk, secrets: Secrets) -> None:
    """Take what is secret out of the records of a failure, but for the arguments."""
    for raised in walk.raised:
        raised["text"] = secrets.cover(raised["text"])
        if "notes" in raised:
            raised["notes"] = list(map(secrets.cover, raised["notes"]))
    for other in walk.others:
        other["name"] = secrets.cover(other["name"])
    for found in walk.inner:
        found.capture.exception = secrets.cover(found.capture.exception)
    for frame, held in zip(walk.frames, walk.locals, strict=True):
        conceal(frame.locals, [held[name] for name in frame.names], secrets)


def conceal(texts: list[str], values: Sequence[object], secrets: Secrets) -> None:
    """Take what is secret out of described values; `values` are the ones that `texts` describe, or placeholders for them."""
    texts[:] = [described_without(text, value, secrets) for text, value in zip(texts, values, strict=True)]


def described_without(text: str, value: object, secrets: Secrets) -> str:
    """Return a described value, which is JSON, without what is secret; of a value that is secret itself only the type."""
    found = value if type(value) is Placeholder else secrets.stand_in_for(value)
    described = json.loads(text)
    if found is not None and found.ckpt_description == MARK:
        return value_json({"name": described["name"], "type": found.ckpt_type, "text": MARK})
    covered = secrets.cover(described["text"])
    if covered == described["text"]:
        return text
    if described["type"] in _TEXTS:
        described.pop("length", None)
    return value_json(described | {"text": covered})


def tags_without(tags: str, secrets: Secrets) -> str:
    """Return tags, which are JSON, with what is secret masked."""
    return dumps([[name, secrets.cover(value) if type(value) is str else value] for name, value in json.loads(tags)])
