"""Records and their bytes in one file: what goes in comes out, and what is not what was written is found."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ckpt
from ckpt._store import trust
from ckpt._store.archive import ALIGNED, FRONT, Archive, Entry, File, named, pack
from ckpt._store.journal import Data, encode, part
from ckpt._store.objects import Objects
from ckpt._store.store import Store
from ckpt._store.stored import Moment
from ckpt.checkpoints import load
from ckpt.errors import DamagedError

GOLDEN = Path(__file__).parent / "golden"
KEY = b"k" * 32
sign = trust.signer(KEY)


def entry(event: str, *parts: Data, **fields: Any) -> Entry:
    """Return a record with its parts."""
    body = json.dumps({"event": event, **fields, "parts": list(map(part, parts))}, separators=(",", ":")).encode()
    return Entry(body, sign(body), parts)


class Memory:
    """A file in memory that notes what is read of it."""

    path = "memory"

    def __init__(self, pieces: Sequence[Data]) -> None:
        self.data = b"".join(pieces)
        self.size = len(self.data)
        self.reads: list[tuple[int, int]] = []

    def read(self, length: int, at: int) -> bytes:
        self.reads.append((length, at))
        return self.data[at : at + length]

    def map(self, length: int, at: int) -> memoryview:
        return memoryview(bytearray(self.read(length, at)))

    def close(self) -> None:
        pass


def buffers(*data: bytes) -> dict[str, memoryview]:
    return dict(named(map(memoryview, data)))


@pytest.mark.smoke
@given(st.lists(st.lists(st.binary(max_size=100), max_size=4), max_size=4), st.lists(st.binary(max_size=200), max_size=4))
def test_what_goes_in_comes_out(records: list[list[bytes]], raw: list[bytes]) -> None:
    """Every part and every object, byte for byte, whatever is in them; and the file is sound."""
    entries = [entry("checkpoint", *parts, number=number) for number, parts in enumerate(records)]
    objects = buffers(*raw)
    archive = Archive(Memory(pack(entries, objects, sign)))
    assert [[line.read(index) for index in range(len(line.body["parts"]))] for line in archive.lines] == records
    assert [line.body["number"] for line in archive.lines] == list(range(len(records)))
    assert {name: bytes(archive.map(name)) for name in archive.names()} == {name: bytes(view) for name, view in objects.items()}
    assert archive.names() == {name: len(view) for name, view in objects.items()}
    assert archive.check() == []


def test_a_record_is_the_same_record_as_in_a_journal() -> None:
    """Body and signature are the bytes that were handed in."""
    given_ = entry("checkpoint", b"manifest", b"stream", id="0" * 16)
    (line,) = Archive(Memory(pack([given_], {}, sign))).lines
    _, signature, body = line.fields()
    assert (body, signature) == (given_.body, given_.signature)
    assert trust.is_signed(KEY, body, signature)


def test_equal_buffers_are_kept_once() -> None:
    """Those that only look alike in the places that are sampled are kept apart."""
    one = bytearray(1 << 20)
    other = bytearray(one)
    other[1200] = 1  # between the first two samples
    names = [name for name, _ in named(memoryview(each) for each in (one, bytes(one), other, bytearray(other)))]
    assert names[0] == names[1]
    assert names[2] == names[3] == f"{names[0]}-1"


def test_the_lines_are_read_without_the_bytes() -> None:
    """A large file is not read for its header, and one part not for another."""
    large = os.urandom(1 << 20)
    source = Memory(pack([entry("checkpoint", b"manifest", large, large)], buffers(large), sign))
    archive = Archive(source)
    record = archive.record("checkpoint")
    assert record.read(0) == b"manifest"
    assert sum(length for length, _ in source.reads) <= FRONT + len(b"manifest")
    record.read(2)
    assert sum(length for length, _ in source.reads) <= FRONT + len(b"manifest") + len(large)


def test_lines_of_any_length_are_read() -> None:
    """Also those that do not fit into the first piece that is read."""
    entries = [entry("checkpoint", b"x", note="n" * 3 * FRONT), entry("other", b"y")]
    archive = Archive(Memory(pack(entries, {}, sign)))
    assert [line.read(0) for line in archive.lines] == [b"x", b"y"]


def test_objects_are_mapped_aligned_and_privately(tmp_path: Path) -> None:
    """What is written to a map does not reach the file, and the map stays when the file is closed and replaced."""
    path = tmp_path / "a.ckpt"
    path.write_bytes(b"".join(pack([entry("checkpoint", b"odd")], buffers(b"a" * 1001, b"", b"b" * 999), sign)))
    file = File(str(path))
    archive = Archive(file)
    views = [archive.map(name) for name in archive.names()]
    file.close()
    path.unlink()
    first = views[0]
    assert [bytes(view) for view in views] == [b"a" * 1001, b"", b"b" * 999]
    first[:1] = b"x"
    assert bytes(first[:2]) == b"xa"
    data = b"".join(pack([entry("checkpoint", b"odd")], buffers(b"a" * 1001), sign))
    assert data.index(b"a" * 1001) % ALIGNED == 0


def test_a_capture_fits_into_a_file(store: Store, tmp_path: Path) -> None:
    """The records of a store go into a file as they are, and what reads a capture reads them there."""

    @ckpt.ckpt(active=False)
    def fail(data: bytes) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail(bytes(200_000))
    stored = store.get(store.find("test_a_capture_fits_into_a_file.fail").id)
    assert stored.failure
    line = stored.failure.line
    _, signature, body = line.fields()
    objects = Objects(f"{store.path}/objects")
    held = {name: objects.map(name) for name in objects.names() if name.startswith("b-") or name == line.body["stream"]}
    path = tmp_path / "capture.ckpt"
    parts = [line.read(index) for index in range(len(line.body["parts"]))]
    path.write_bytes(b"".join(pack([Entry(body, signature, parts)], held, sign)))
    archive = Archive(File(str(path)))
    moment = Moment(archive.record("failed"), archive)  # type: ignore[arg-type]
    assert moment.manifest() == stored.failure.manifest()
    assert bytes(moment.stream()) == bytes(stored.failure.stream())
    assert [bytes(view) for view in moment.buffers()] == [bytes(view) for view in stored.failure.buffers()]


# Damage


def sound() -> bytes:
    text = b"text" * 100
    objects: dict[str, Data] = {**buffers(b"a" * 1000), f"t-{hashlib.sha256(text).hexdigest()}": text}
    return b"".join(pack([entry("checkpoint", b"manifest", b"stream", buffers=[*objects])], objects, sign))


def test_every_changed_byte_is_found_or_means_nothing() -> None:
    """A file in which any one byte is another raises, has findings, or reads as before."""
    data = sound()
    before = contents(data)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1
        try:
            archive = Archive(Memory([changed]))
            assert archive.check() or contents(bytes(changed)) == before
        except DamagedError:
            continue


def test_every_cut_is_found() -> None:
    """A file that ends early, wherever, is damaged."""
    data = sound()
    for end in range(len(data)):
        with pytest.raises(DamagedError):
            contents(data[:end])


def contents(data: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return all that is in a file."""
    archive = Archive(Memory([data]))
    record = archive.record("checkpoint")
    return [record.read(index) for index in range(len(record.body["parts"]))], [bytes(archive.map(name)) for name in archive.names()]


def forged(objects: Any, at: int = 0, size: Any = 5) -> bytes:
    """Return a file whose lines check, and say what nobody should believe."""
    record = json.dumps({"event": "checkpoint", "parts": [[size, "0" * 64]], "buffers": ["b-5-" + "0" * 16]})
    made = b"".join(pack([Entry(record.encode(), "", [b"12345"])], {}, sign))
    body = json.dumps({"event": "archive", "format": 1, "objects": objects}, separators=(",", ":")).encode()
    head = encode(body, None, "") + encode(record.encode(), at, "") + b"\n"
    return head.ljust(len(head) + -len(head) % ALIGNED, b"\n") + made[-5:]


@pytest.mark.parametrize(
    "data",
    [
        forged({}, size=1 << 40),
        forged({}, size=-1),
        forged({}, size="x"),
        forged({}, at=1 << 40),
        forged({"b-5-" + "0" * 16: [0, 1 << 40]}),
        forged({"b-5-" + "0" * 16: [-64, 64]}),
        forged({"b-5-" + "0" * 16: "x"}),
        forged({"b-5-" + "0" * 16: [0, "x"]}),
        forged([]),
        forged(None),
    ],
)
def test_a_forged_file_costs_nothing(data: bytes) -> None:
    """Lengths and places that cannot be are refused before anything is read or mapped."""

    def look() -> None:
        archive = Archive(Memory([data]))
        assert archive.check()
        archive.lines[0].read(0)
        archive.map("b-5-" + "0" * 16)

    with pytest.raises(DamagedError):
        look()


@pytest.mark.parametrize("data", [b"", b"x", b"\n\n", b'{"crc":"', b'{"crc":"00000000","sig":"","at":null,"body":{}}\n\n', b"\0" * 100_000])
def test_another_kind_of_file_is_none_of_ours(data: bytes) -> None:
    """Whatever it is: empty, text, or it only begins like one."""
    with pytest.raises(DamagedError):
        Archive(Memory([data]))


def test_a_later_format_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for a newer ckpt, and does not guess."""
    monkeypatch.setattr("ckpt._store.archive.FORMAT", 2)
    later = pack([], {"b-0-" + "0" * 16: b""}, lambda body: "")
    monkeypatch.undo()
    with pytest.raises(DamagedError, match="newer ckpt") as caught:
        Archive(Memory(later))
    assert "pip install" in caught.value.hint


def test_a_missing_record_or_object_says_so() -> None:
    """Asked for what is not there, and for one of two."""
    archive = Archive(Memory(pack([entry("a", b"x"), entry("a", b"y")], {}, sign)))
    for look in (
        lambda: archive.record("b"),
        lambda: archive.record("a"),
        lambda: archive.map("b-1-" + "0" * 16),
        lambda: archive.lines[0].read(1),
    ):
        ask: Callable[[], object] = look
        with pytest.raises(DamagedError):
            ask()


@pytest.mark.parametrize("kind", ["directory", "fifo", "link"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    """A directory and a FIFO are refused; a link to a file is the file."""
    path = tmp_path / "a"
    if kind == "link":
        (tmp_path / "b").write_bytes(sound())
        path.symlink_to(tmp_path / "b")
        assert Archive(File(str(path))).check() == []
        return
    path.mkdir() if kind == "directory" else os.mkfifo(path)
    with pytest.raises(DamagedError, match="regular file"):
        File(str(path))


# Files of every released format


def test_a_number_that_is_another_file_by_now_is_left_alone(tmp_path: Path) -> None:
    """A daemon closes every number, and the program's next file gets that of an open capture file: it stays open."""
    (tmp_path / "a.ckpt").write_bytes(b"bytes")
    ours = File(str(tmp_path / "a.ckpt"))
    own = os.open(tmp_path / "own.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(own, ours._descriptor)
    ours.close()
    os.write(ours._descriptor, b"mine")
    os.close(ours._descriptor)
    os.close(own)
    assert (tmp_path / "own.txt").read_bytes() == b"mine"


def test_files_of_earlier_releases_are_read() -> None:
    """One of each format stays here for ever."""
    found = load(GOLDEN / "format-1.ckpt", trust=True)
    assert found["data"] == {"a": [1, 2.5, "x"]}
    assert bytes(found["raw"]) == bytes(range(256)) * 256
    assert Archive(File(str(GOLDEN / "format-1.ckpt"))).check() == []
