"""Large buffers, streams and texts: once each, exact, never half, mapped without harm."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ckpt._store.content import PIECE, SAMPLE, SAMPLES
from ckpt._store.location import create
from ckpt._store.objects import DAY, Objects
from ckpt.errors import DamagedError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def objects(tmp_path: Path) -> Iterator[Objects]:
    """The objects of an empty store; nothing half is left when the test is over."""
    create(str(tmp_path / "store"))
    made = Objects(str(tmp_path / "store" / "objects"))
    yield made
    assert made.unfinished(time.time() + 60) == []


def files(objects: Objects) -> list[str]:
    return sorted(os.listdir(objects.path))


def age(objects: Objects, name: str, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(os.path.join(objects.path, name), (then, then))


@pytest.mark.parametrize("size", [0, 1, 1000, SAMPLES * SAMPLE, SAMPLES * SAMPLE + 1, PIECE, 3 * PIECE + 17])
def test_a_buffer_comes_back(objects: Objects, size: int) -> None:
    """What was put is what is mapped and what is read, for every size; the same again is the same object."""
    data = os.urandom(size)
    name = objects.put_buffer(memoryview(bytearray(data)))
    assert objects.map(name) == data
    assert objects.read(name) == data
    assert objects.put_buffer(data) == name
    assert files(objects) == [name]
    assert objects.names() == {name: size}


def test_buffers_of_any_item_are_bytes(objects: Objects) -> None:
    """A view of numbers is kept by its bytes, whatever its shape."""
    view: Any = memoryview(bytes(range(240))).cast("d", (5, 6))
    assert objects.map(objects.put_buffer(view)) == bytes(range(240))


def test_buffers_that_look_alike_are_told_apart(objects: Objects) -> None:
    """Two buffers that differ only where no sample is taken are two objects; each comes back, and is found again."""
    one = bytearray(1 << 20)
    two = bytearray(1 << 20)
    two[5000] = 1  # between the samples
    names = [objects.put_buffer(one), objects.put_buffer(two)]
    assert names[1] == names[0] + "-1"
    assert [objects.map(name)[5000] for name in names] == [0, 1]
    assert [objects.put_buffer(two), objects.put_buffer(one)] == names[::-1]


def test_objects_are_private_whatever_the_umask(objects: Objects) -> None:
    """Objects are 0600 under any umask."""
    for umask in (0o000, 0o777):
        old = os.umask(umask)
        try:
            name = objects.put_text(b"text %d" % umask)
        finally:
            os.umask(old)
        assert stat.S_IMODE(os.stat(os.path.join(objects.path, name)).st_mode) == 0o600


def test_a_text_is_called_after_its_content(objects: Objects) -> None:
    """A text has the SHA-256 of its content as a name, and is kept once."""
    name = objects.put_text(b"source")
    assert name == "t-" + hashlib.sha256(b"source").hexdigest()
    assert objects.put_text(b"source") == name
    assert objects.read(name) == b"source"
    assert files(objects) == [name]


def test_a_stream_is_written_in_pieces(objects: Objects) -> None:
    """A spilled stream gets the name of its whole content when it is published, and can be mapped."""
    writer = objects.writer()
    for piece in (b"one", bytearray(b"two"), memoryview(b"three")):
        writer.write(piece)
    assert objects.names() == {}
    name = writer.publish()
    writer.discard()
    assert name == "t-" + hashlib.sha256(b"onetwothree").hexdigest()
    assert objects.map(name) == objects.read(name) == b"onetwothree"
    again = objects.writer()
    again.write(b"onetwothree")
    assert again.publish(sync=True) == name
    assert files(objects) == [name]


def test_a_discarded_stream_leaves_nothing(objects: Objects) -> None:
    """A stream that is given up leaves no file; giving it up twice is harmless."""
    writer = objects.writer()
    writer.write(b"x" * 100)
    writer.discard()
    writer.discard()
    assert files(objects) == []


def test_a_map_is_writable_and_private(objects: Objects) -> None:
    """What is written to a map is seen there, and never reaches the store."""
    name = objects.put_buffer(b"original")
    view = objects.map(name)
    view[:4] = b"mine"
    assert bytes(view) == b"mineinal"
    assert bytes(objects.map(name)) == b"original"


def test_damage_is_refused_before_it_is_mapped(objects: Objects) -> None:
    """A cut object is refused before it is mapped, a changed text when it is read, a missing one at once."""
    buffer, text = objects.put_buffer(b"b" * 100000), objects.put_text(b"text")
    os.truncate(os.path.join(objects.path, buffer), 50000)
    with pytest.raises(DamagedError):
        objects.map(buffer)
    with pytest.raises(DamagedError):
        objects.check(buffer)
    Path(objects.path, text).write_bytes(b"TEXT")
    with pytest.raises(DamagedError):
        objects.read(text)
    with pytest.raises(DamagedError, match="missing"):
        objects.read("t-" + "0" * 64)


def test_damage_is_healed_by_the_next_put(objects: Objects) -> None:
    """Putting the same bytes again gives a whole object, also where the old one was cut."""
    buffer, text = objects.put_buffer(b"b" * 100000), objects.put_text(b"text")
    for name in (buffer, text):
        os.truncate(os.path.join(objects.path, name), 2)
    assert objects.map(objects.put_buffer(b"b" * 100000)) == b"b" * 100000
    assert objects.read(objects.put_text(b"text")) == b"text"


@pytest.mark.parametrize("name", ["../key", "t-short", "/etc/passwd", "b-5-0123456789abcdef/x", "", "t-" + "0" * 63 + "\n", ".tmp-1-2"])
def test_only_names_of_objects_are_opened(objects: Objects, name: str) -> None:
    """A name that comes out of a record never leaves the directory."""
    with pytest.raises(DamagedError, match="name"):
        objects.read(name)
    with pytest.raises(DamagedError, match="name"):
        objects.map(name)


@pytest.mark.parametrize("kind", ["fifo", "link", "directory"])
def test_what_is_planted_is_neither_read_nor_followed(objects: Objects, tmp_path: Path, kind: str) -> None:
    """A FIFO, a link or a directory in place of an object is refused; what lies behind a link is not touched; putting works."""
    name = objects.put_buffer(b"data")
    path = Path(objects.path, name)
    path.unlink()
    target = tmp_path / "target"
    target.write_bytes(b"data")
    os.utime(target, (1, 1))
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(target)
    else:
        path.mkdir()
    with pytest.raises(DamagedError):
        objects.map(name)
    again = objects.put_buffer(b"data")
    assert again != name
    assert bytes(objects.map(again)) == b"data"
    assert target.stat().st_mtime == 1


def test_only_what_nobody_needs_is_collected(objects: Objects) -> None:
    """Collecting removes what is neither living nor fresh, and files that somebody began and never finished."""
    living, fresh, old = (objects.put_text(text) for text in (b"living", b"fresh", b"old"))
    age(objects, living, 3600)
    age(objects, old, 3600)
    Path(objects.path, ".tmp-1-abandoned").write_bytes(b"")
    age(objects, ".tmp-1-abandoned", 3 * DAY)
    busy = objects.writer()
    assert sorted(objects.collect({living}, time.time() - 60)) == sorted([old, ".tmp-1-abandoned"])
    assert set(objects.names()) == {living, fresh}
    busy.discard()


def test_what_is_found_again_is_fresh(objects: Objects) -> None:
    """A hit counts as a use: the object stays although it was put long ago and nothing names it yet."""
    for put, data in ((objects.put_buffer, b"x" * 100000), (objects.put_text, b"x")):
        name = put(data)
        age(objects, name, 3600)
        assert put(data) == name
        assert objects.collect(set(), time.time() - 60) == []


def test_collecting_beside_writers_never_takes_what_they_put(objects: Objects) -> None:
    """Writers that find old objects at the very moment at which a collector takes them have them in the end."""
    payload = [b"%d" % n * 3000 for n in range(20)]
    for _ in range(25):
        for name in [objects.put_buffer(data) for data in payload]:
            age(objects, name, 3600)
        gate = threading.Barrier(3)
        put: list[tuple[str, bytes]] = []

        def collect(gate: threading.Barrier = gate) -> None:
            gate.wait()
            objects.collect(set(), time.time() - 60)

        def write(gate: threading.Barrier = gate, put: list[tuple[str, bytes]] = put) -> None:
            gate.wait()
            put += [(objects.put_buffer(data), data) for data in payload]

        threads = [threading.Thread(target=work) for work in (collect, write, write)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(put) == 40
        assert all(objects.map(name) == data for name, data in put)


def test_what_a_killed_collector_had_put_aside_comes_back(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between taking an object away and giving it back to a writer that had just found it: the next collector gives it back."""
    name = objects.put_text(b"text")
    age(objects, name, 3600)
    rename: Callable[..., None] = os.rename

    def killed(source: str, target: str) -> None:  # at the one instant that matters
        os.utime(source)
        rename(source, target)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.rename", killed)
        with pytest.raises(KeyboardInterrupt):
            objects.collect(set(), time.time() - 60)
    assert objects.names() == {}
    assert objects.collect({name}, time.time() - 60) == []
    assert objects.read(name) == b"text"
    assert os.listdir(objects.path) == [name]


def test_a_collector_that_loses_the_race_gives_back(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object that a writer freshens between the collector's look and its removal stays."""
    name = objects.put_text(b"text")
    age(objects, name, 3600)
    rename: Callable[..., None] = os.rename

    def freshen_first(source: str, target: str) -> None:  # the race cannot be had for real in every run
        os.utime(source)
        rename(source, target)

    monkeypatch.setattr("os.rename", freshen_first)
    assert objects.collect(set(), time.time() - 60) == []
    assert objects.read(name) == b"text"


def test_many_processes_put_one_object(objects: Objects) -> None:
    """Eight processes that put the same buffer at the same time agree on one object."""
    program = (
        "import sys; from ckpt._store.objects import Objects; objects = Objects(sys.argv[1]); sys.stdin.read();"
        "print(objects.put_buffer(b'x' * 3000000), objects.put_text(b'y' * 100000))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen([sys.executable, "-c", program, objects.path], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(8)
    ]
    outputs = {process.communicate(timeout=60)[0] for process in running}
    assert len(outputs) == 1
    assert sorted(outputs.pop().decode().split()) == files(objects)


def test_a_full_disk_leaves_nothing_half(objects: Objects) -> None:
    """When an object cannot be written the error is raised, and no file is left."""
    program = """
import resource, sys
from ckpt._store.objects import DAY, Objects
objects = Objects(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (50000, resource.RLIM_INFINITY))
failed = 0
for put in (objects.put_buffer, objects.put_text):
    try:
        put(b"x" * 100000)
    except OSError:
        failed += 1
sys.exit(failed)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program, objects.path], env=environment, check=False, timeout=60)
    assert done.returncode == 2
    assert files(objects) == []


def test_a_file_system_without_links_will_do(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files cannot be linked they are renamed, and what is there is not replaced."""

    def refuse(*_: object) -> None:  # such a file system cannot be mounted everywhere
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    name = objects.put_buffer(b"data")
    assert objects.put_buffer(b"data") == name
    assert objects.read(objects.put_text(b"data")) == b"data"
    assert len(files(objects)) == 2


def test_a_large_buffer_costs_no_memory(objects: Objects) -> None:
    """Putting and finding a large buffer copies nothing of it."""
    program = """
import mmap, resource, sys
from ckpt._store.objects import DAY, Objects
objects = Objects(sys.argv[1])
data = mmap.mmap(-1, 64 << 20)
data.write(b"x" * (64 << 20))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
name = objects.put_buffer(data)
assert objects.put_buffer(data) == name
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(after - before)
"""
    program = program.replace('data.write(b"x" * (64 << 20))', "for at in range(0, 64 << 20, 4096): data[at] = 1")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program, objects.path], env=environment, capture_output=True, check=True, timeout=60)
    assert int(done.stdout) < 5 << 10


# From another place


@pytest.mark.parametrize("size", [0, 1, SAMPLES * SAMPLE + 1, 3 * PIECE + 17])
def test_a_copy_comes_from_pieces(objects: Objects, tmp_path: Path, size: int) -> None:
    """Buffers and texts of another store, read piece by piece, are the same here; what is not what its name says is refused."""
    create(str(tmp_path / "other"))
    there = Objects(str(tmp_path / "other" / "objects"))
    data = os.urandom(size)
    for name in (there.put_buffer(data), there.put_text(data)):
        for _ in range(2):
            assert objects.put_copy(name, size, partial(there.piece, name)) == name
        assert objects.read(name) == data
        if size:
            with pytest.raises(DamagedError):
                objects.put_copy(name[:-1] + ("0" if name[-1] != "0" else "1"), size, lambda length, at: data[at : at + length])
            with pytest.raises(DamagedError):
                objects.put_copy(f"t-{'0' * 64}", size, lambda length, at: data[: length - 1])
    assert set(objects.names()) == set(there.names())


def test_a_copy_whose_name_is_taken_gets_another(objects: Objects) -> None:
    """Two buffers that look alike in their samples are two; the second keeps its name where it is there already."""
    one, other = bytearray(1 << 20), bytearray(1 << 20)
    other[1200] = 1
    name = objects.put_buffer(one)
    for _ in range(2):
        assert objects.put_copy(name, len(other), lambda length, at: other[at : at + length]) == f"{name}-1"
    assert objects.put_copy(f"{name}-1", len(one), lambda length, at: one[at : at + length]) == name


def test_an_object_that_others_can_write_is_not_private(tmp_path: Path) -> None:
    """Then it is read before it is checked, and not mapped: a map would show what is written later."""
    objects = Objects(str(tmp_path / "store" / "objects"))
    (tmp_path / "store" / "objects").mkdir(parents=True)
    for place in (tmp_path / "store", tmp_path / "store" / "objects"):
        place.chmod(0o755)
    name = objects.put_text(b"text")
    assert objects.is_private(name)
    (tmp_path / "store" / "objects" / name).chmod(0o666)
    assert objects.is_private()
    assert not objects.is_private(name)
