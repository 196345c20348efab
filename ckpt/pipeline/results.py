"""A result as bytes, and back: never anything else than what the stage returned.

    {"ckpt":"pipeline","format":1,"stage":...,"key":...,"made":{...},"as":"json",...,"sig":"...","result":
    ["123","456"]}

The first line says what it is, and is signed with a key of this one result, which is drawn from the user's: so a worker elsewhere can sign
what it was asked for and nothing else. A result is JSON where that gives back the same, with the same types; then the whole file is JSON.
Else the stream of the package's codec follows the line, and its large buffers follow the stream.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import marshal
import os
import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ckpt._model.codec import Limits, decode, encode
from ckpt._model.describe import one_line
from ckpt._model.interrupts import let_pass
from ckpt._model.loading import Surroundings
from ckpt._replaying.functions import resolver
from ckpt._store import trust
from ckpt.errors import CkptError, DamagedError

FORMAT = 1
#: No first line is longer.
HEAD_LIMIT = 1 << 16
_END = b"}\n"
#: What the first line ends with when the result follows as JSON.
_RESULT = b'"result":'
#: Larger than any result.
_UNLIMITED = 1 << 62
_SIG = b',"sig":"'
_json = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_parsed = json.JSONDecoder().raw_decode

Piece = bytes | memoryview


class NotKeptError(Exception):
    """A result that cannot be stored so that it comes back as it is."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one result."""

    stage: str
    #: Its file, under the directory of the results.
    file: str
    #: What made it: stage, code and inputs.
    key: str
    #: The parts of the key, as JSON.
    made: str
    #: Signs it.
    secret: bytes
    #: The file and the name of the stage's function; empty where they say nothing.
    origin: str = ""


def secret(key: str, shared: str | None) -> bytes:
    """Return what signs the result with this key: drawn from what those share who use it together, else from this user's key."""
    source = _user_key() if shared is None else hashlib.sha256(shared.encode("utf-8", "surrogatepass")).digest()
    return hmac.digest(source, f"ckpt pipeline {key}".encode(), "sha256")


def reason(trouble: BaseException) -> str:
    """Return why something went wrong, in a line for a person."""
    return trouble.message if isinstance(trouble, CkptError) else one_line(trouble)


#: Signs what only this process may read, where a user has no key.
_own_key = os.urandom(32)


def _user_key() -> bytes:
    try:
        return trust.key() or _own_key
    except CkptError:
        return _own_key


def pack(slot: Slot, value: object, took: float, serializer: str | None) -> list[Piece]:
    """Return a result as the pieces of its file. Raises `NotKeptError` for one that would not come back as it is."""
    text = as_json(value) if serializer != "pickle" else None
    if text is None and serializer == "json":
        raise NotKeptError("as JSON it would come back as something else; leave serializer= out")
    parts: list[Piece] = [text] if text is not None else as_stream(value)
    head = (
        f'{{"ckpt":"pipeline","format":{FORMAT},"stage":{_json(slot.stage)},"origin":{_json(slot.origin)},"key":"{slot.key}",'
        f'"made":{slot.made},"as":"{"codec" if text is None else "json"}",'
        f'"sizes":[{",".join([str(len(each)) for each in parts])}],'
        f'"sums":["{hashlib.sha256(parts[0]).hexdigest()}"{"".join(f",{zlib.crc32(each)}" for each in parts[1:])}],'
        f'"time":{time.time():.3f},"took":{took:.6f}'
    )
    if len(head) > HEAD_LIMIT - 200:
        raise NotKeptError("its code goes to too many places to be told in one line")
    signature = hmac.digest(slot.secret, head.encode(), "sha256").hex()
    signed = f'{head},"sig":"{signature}"'.encode()
    return [signed + b"," + _RESULT + b"\n" + text + _END] if text is not None else [signed + _END + parts[0], *parts[1:]]


def unpack(slot: Slot, data: bytearray) -> Any:
    """Return the result. Raises `DamagedError` for what is not exactly what this user's ckpt wrote for this slot."""
    head, end = _line(data)
    is_json = head.endswith(_RESULT)
    found = _whole(data, head) if is_json else _document(head)
    _check_signature(slot, head, found)
    view = memoryview(data)
    parts: list[memoryview] = []
    at = end
    for size, expected in zip(found["sizes"], found["sums"], strict=True):
        part = view[at : at + size]
        if (hashlib.sha256(part).hexdigest() if not parts else zlib.crc32(part)) != expected:
            raise DamagedError("its bytes are not what was written")
        parts.append(part)
        at += size
    if not is_json:
        return from_stream(parts[0], parts[1:])
    if data[at:] != _END:
        raise DamagedError("its bytes are not what was written")
    return found["result"]


def check_head(slot: Slot, data: bytes | bytearray) -> None:
    """Raise `DamagedError` unless the file that begins like this is signed for this slot."""
    head, _ = _line(data)
    _check_signature(slot, head, read_head(head))


def read_head(data: bytes | bytearray) -> dict[str, Any]:
    """Return what the first line of a file says. Raises `DamagedError` for a line that is not ours."""
    head, _ = _line(data)
    return _document(head + b"null}" if head.endswith(_RESULT) else head)


def _whole(data: bytearray, head: bytes | bytearray) -> dict[str, Any]:
    """Return a file that is JSON from its beginning to its end: parsed once."""
    try:
        return _document(data)
    except DamagedError as err:
        read_head(head)  # what is wrong with the first line is said first
        raise DamagedError("its bytes are not what was written") from err


def _document(text: bytes | bytearray) -> dict[str, Any]:
    try:
        found, _ = _parsed(text.decode())
    except (ValueError, RecursionError) as err:
        raise DamagedError("it is no result of a pipeline") from err
    if not isinstance(found, dict) or found.get("ckpt") != "pipeline":
        raise DamagedError("it is no result of a pipeline")
    if found.get("format") != FORMAT:
        raise DamagedError("another version of ckpt wrote it")
    return found


def _line(data: bytes | bytearray) -> tuple[bytes | bytearray, int]:
    end = data.find(b"\n", 0, HEAD_LIMIT)
    return (data, len(data)) if end < 0 else (data[:end], end + 1)


def _check_signature(slot: Slot, head: bytes | bytearray, found: dict[str, Any]) -> None:
    """Raise `DamagedError` unless the line is exactly what was signed, with nothing after the signature that JSON would prefer to it."""
    if found.get("key") != slot.key:
        raise DamagedError("it is the result of something else")
    said, _, rest = head.rpartition(_SIG)
    ending = b'",' + _RESULT if found.get("as") == "json" else b'"}'
    if not hmac.compare_digest(hmac.digest(slot.secret, said, "sha256").hex().encode() + ending, rest):
        raise DamagedError("it was not written by this user's ckpt, nor with the secret of the Config")


def as_json(value: Any) -> bytes | None:
    """Return `value` as JSON, or None when something else would come back."""
    try:
        text = _json(value)
        # marshal tells types apart that are equal, and takes no others than those of the language; version 2 knows no references.
        is_same = marshal.dumps(value, 2) == marshal.dumps(json.loads(text), 2)
    except (TypeError, ValueError, RecursionError):
        return None
    return text.encode() if is_same else None


def as_stream(value: object) -> list[Piece]:
    """Return `value` as a stream and its large buffers. Raises `NotKeptError` when a part of it cannot be kept."""
    try:
        encoded = encode(value, [], Limits(max_bytes=_UNLIMITED))
    except Exception as trouble:
        let_pass(trouble)
        raise NotKeptError(f"{type(trouble).__name__}: {trouble}") from trouble
    for reason in encoded.lost.values():
        raise NotKeptError(reason)
    return [encoded.stream, *encoded.buffers]


def from_stream(stream: bytes | memoryview, buffers: Sequence[memoryview]) -> Any:
    """Return what `as_stream` was given. Raises `DamagedError` when a part of it cannot be loaded."""
    return decode(stream, buffers, Surroundings(resolve=resolver(sys.modules["__main__"]), is_whole=True))
