"""Which names are secret, and what stands in the place of the values under them.

A name is taken apart into its words (snake_case, camelCase, kebab-case, dots, upper case), and the words decide: `db_password` and
`OPENAI_API_KEY` are secret, `tokenizer`, `max_tokens` and `author` are not. What is decided is remembered, for a recorder asks about
every argument, variable and key, again and again. Nothing here looks into a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from types import BuiltinFunctionType, ModuleType
from typing import Any

from ckpt._model.layout import definition_of

#: Stands for what is not told.
MARK = "<redacted>"
#: A longer text is no name; so many decisions are remembered.
_NAME_LIMIT, _MEMORY = 100, 10_000


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Words that say secret wherever they stand in a name, unless the last word says that it is about something else.
_STRONG = _set(
    """
    password passwords passwd passphrase passphrases passcode pwd secret secrets authorization credential credentials cred creds
    apikey apikeys jwt csrf xsrf csrfmiddlewaretoken dsn otp totp sessionid sessid phpsessid jsessionid
    """
)
#: Words that say so only at the end of a name, or before words that add nothing.
_WEAK = _set("auth bearer cookie cookies pass token")
_SAME = _set("b base bytes data encoded env header hex key plain raw secret str string text val value")
#: Ends of words written as one: `dbpassword`, `authtoken`.
_ENDS: tuple[str, ...] = ("password", "passwd", "passphrase", "secret", "apikey", "secretkey", "accesskey", "privatekey", "credentials")
_ENDS += ("sshkey", "dbpass", "dbpwd", "userpwd", "authtoken", "accesstoken", "refreshtoken", "apitoken", "csrftoken", "xsrftoken")
#: What makes secrets of the words `key` and `string`; of `tokens`, which alone are those of a text; of `pass` and `pw` behind another word;
#: of `pat`, which else is a pattern; and of `sid`.
_KEYS = _set(
    """
    access account aes anthropic api auth aws azure consumer decryption deploy encryption fernet gcp google gpg hmac license master openai
    pgp private rsa secret service session shared signing ssh ssl storage stripe subscription tls
    """
)
_PATS, _SIDS = _set("ado azure bitbucket devops ghe github gitlab"), _set("connect")
_STRINGS = _set("connection conn")
_TOKENS = _set("access api auth bearer csrf oauth refresh session")
_PASSES = _set(
    """
    admin amqp basic cert db database email ftp http imap jdbc key ldap login mail mongo my mysql pg postgres postgresql proxy rabbitmq
    redis root rpc sftp smtp ssh sudo user wifi
    """
)
_BEFORE = {"key": _KEYS, "keys": _KEYS, "string": _STRINGS, "str": _STRINGS, "tokens": _TOKENS, "pass": _PASSES | {""}}
_BEFORE |= {"pw": _PASSES, "pat": _PATS, "sid": _SIDS}
_ALL = _STRONG | _WEAK | _BEFORE.keys() | set(_ENDS)
#: What is in every name that says secret: those of the words in which there is no other.
_STEMS = tuple(sorted(word for word in _ALL if not any(other in word for other in _ALL - {word})))
#: What makes of `token` a piece of a text, or a place in a list of results.
_PIECES = _set(
    """
    begin bos char cls continuation cur current end eos expected first image input last lookahead mask new next output pad page peek per
    prefix prev previous sep sos special start stop sub suffix sync target text unexpected unk vocab word
    """
)
#: Last words that say that a name is about a secret, and not the secret.
_ABOUT = _set(
    """
    age algorithm algorithms arn at attempts backend backends callback changed class cls col column cost count counts created date dir
    directory disabled domain enabled endpoint error errors exempt exists expiration expired expires expiry factory field fields file
    filename files folder format func generator handler hasher hashers host id ids idx index invalid is jar kind label len length
    lengths limit limits loader manager max message method min missing mode name names number parser path paths pattern patterns
    policies policy port prefix prompt provider providers reader regex region required reset rules scheme size strength suffix time
    timeout total ttl type types updated uri url usage used valid validation validator validators version writer
    """
)
#: First words that say that a name is a number of them.
_NUMBERS = _set("avg count len max mean min n nb no num number per total")
#: The working directory, in every environment.
_NOT_SECRET = frozenset({"PWD", "OLDPWD"})

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BETWEEN = re.compile(r"[\W_]+")


class _Own:
    """The words that a project has added, and taken away."""

    secret: tuple[tuple[str, ...], ...] = ()
    not_secret: tuple[tuple[str, ...], ...] = ()


_known: dict[str, bool] = {}


def configure(secret: Iterable[str] = (), not_secret: Iterable[str] = ()) -> None:
    """From now on, names with these words in them are secret, and these words do not make a name secret."""
    _Own.secret, _Own.not_secret = tuple(map(words, secret)), tuple(map(words, not_secret))
    _known.clear()


def is_secret(name: str) -> bool:
    """Whether a name says that what it stands for is secret."""
    found = _known.get(name)
    return _decide(name) if found is None else found


def is_secret_key(key: object) -> bool:
    """Whether the key of a dict says that what is under it is secret. Runs no code of the key's."""
    kind = type(key)
    if kind is str:
        return is_secret(key)  # type: ignore[arg-type]
    if kind is bytes:
        return len(key) <= _NAME_LIMIT and is_secret(key.decode("latin-1"))  # type: ignore[arg-type, attr-defined]
    return issubclass(kind, str) and is_secret(str.__str__(key))


def suspects(keys: Iterable[object]) -> list[str]:
    """Return those of very many keys that may say secret; quicker than asking of each, and no more than a first look."""
    names = [key for key in keys if type(key) is str and len(key) <= _NAME_LIMIT]
    text = "\n".join(names).casefold()
    stems = [stem for stem in (*_STEMS, *(series[0] for series in _Own.secret if series)) if stem in text]
    return [name for name in names if any(stem in name.casefold() for stem in stems)] if stems else []


def words(name: str) -> tuple[str, ...]:
    """Return the words inside a name, in lower case and without numbers at their ends."""
    found = _BETWEEN.split(_CAMEL.sub("_", name).casefold())
    return tuple(word.rstrip("0123456789") or word for word in found if word)


def _decide(name: str) -> bool:
    if len(name) > _NAME_LIMIT:
        return False
    if len(_known) >= _MEMORY:
        _known.clear()
    _known[name] = found = name not in _NOT_SECRET and _say_secret(words(name))
    return found


def _say_secret(found: tuple[str, ...]) -> bool:
    if any(at >= 0 for at in _places(found, _Own.secret)):
        return True
    for own in _Own.not_secret:
        while (at := next(_places(found, (own,)))) >= 0:
            found = (*found[:at], "", *found[at + len(own) :])
    if not found or found[-1] in _ABOUT or found[0] in _NUMBERS:
        return False
    return any(_is_secret_at(found, at) for at in range(len(found)))


def _places(found: tuple[str, ...], wanted: Iterable[tuple[str, ...]]) -> Iterator[int]:
    """Yield, for each series of words that is wanted, where it begins; -1 where it does not occur."""
    for series in wanted:
        ends = range(len(found) - len(series) + 1) if series else ()
        yield next((at for at in ends if found[at : at + len(series)] == series), -1)


def _is_secret_at(found: tuple[str, ...], at: int) -> bool:
    """Whether the word at `at`, among the others, makes the name secret."""
    word, before, after = found[at], found[at - 1] if at else "", found[at + 1 :]
    if word in _STRONG or word.endswith(_ENDS):
        return True
    if word in _BEFORE and before not in _BEFORE[word]:
        return False
    if word in _WEAK:
        return _SAME.issuperset(after) and not (word == "token" and before in _PIECES)
    return word in _BEFORE


#: What a name may stand for without being a secret, whatever the name is.
_HARMLESS = (type(None), bool, ModuleType, BuiltinFunctionType)
_SIZED: tuple[Any, ...] = (str, bytes, bytearray, list, tuple, dict, set, frozenset)


def holds_something(value: object) -> bool:
    """Whether a value under a secret name is to be redacted: not None, not a bool, nothing empty, no code, no field of a class.

    Runs no code of the value's.
    """
    kind = type(value)
    for harmless in _HARMLESS:
        if kind is harmless:
            return False
    for base in _SIZED:
        if kind is base:
            return len(value) > 0  # type: ignore[arg-type]
    return not issubclass(kind, type | Enum | ModuleType) and definition_of(kind, "__get__") is None


# Passwords in the user information of a URL, and in the arguments of a program

_BEHIND_COLON = r"""[^\s/"'<>]+(?=@)|(?!\d{1,5}(?:[/?#]|$))[^\s"'<>]+?(?=@)"""
_USER = re.compile(rf"""://(?:([^\s/:@\["'<>]*:)({_BEHIND_COLON})|([^\s/:@"'<>]{{20,}})(?=@))""")
#: The same in a stream, where what is no text may lie around it: only whether a closer look is needed.
_USER_IN_BYTES = re.compile(
    rb"""://[^\s/:@\["'<>]{0,256}?(?::(?!\d{1,5}[/?#])[^\x00-\x20"'<>]|[^\x00-\x20/:@"'<>]{20})[^\x00-\x20"'<>]{0,512}?@"""
)


def has_password(data: bytes | memoryview) -> bool:
    """Whether bytes may hold a URL with a password in it."""
    return _USER_IN_BYTES.search(data) is not None


def passwords_in(text: str) -> list[str]:
    """Return the passwords in the URLs of a text; an access token that stands for user and password is one."""
    return [match[2] or match[3] for match in _USER.finditer(text)] if "://" in text else []


def without_passwords(text: str) -> str:
    """Return a text with the passwords in its URLs masked; the same object when there are none."""
    if "://" not in text or _USER.search(text) is None:
        return text
    return _USER.sub(lambda match: f"://{match[1] or ''}{MARK}", text)


def redacted_arguments(arguments: Sequence[object]) -> list[str]:
    """Return the arguments of a program with what is secret in them masked: `--password=x`, `--token x`, `db.password=x`, `API-Key: x`."""
    told, is_value = [], False
    for argument in arguments:
        text = argument if type(argument) is str else ""
        name, equals, value = text.partition("=")
        header, colon, _ = text.partition(": ")
        if is_value and not text.startswith("--"):
            text = MARK
        elif equals and value and is_secret(name.lstrip("-")):
            text = f"{name}={MARK}"
        elif colon and is_secret(header):
            text = f"{header}: {MARK}"
        told.append(without_passwords(text))
        is_value = text.startswith("-") and not equals and is_secret(text.lstrip("-"))
    return told
