"""A directory as captures: listing, finding, retention, clearing, upkeep, damage, kills, many processes at once."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ckpt._store import files, upkeep
from ckpt._store.journal import encode, part, scan
from ckpt._store.store import Store
from ckpt._store.trust import is_signed, key
from ckpt.errors import DamagedError, NotFoundError, StoreError

ROOT = Path(__file__).resolve().parent.parent
Start = Callable[..., "subprocess.Popen[str]"]


class Calls:
    """Records calls as the recorder does."""

    def __init__(self, store: Store, process: bytes = b'{"argv":["job.py"]}') -> None:
        self.store = store
        self.process = store.journal().share("process", process)

    def body(self, event: str, id: str, parts: tuple[bytes, ...] = (), **fields: Any) -> bytes:
        head = {"module": "job", "qualname": "load", "keep": 10, "time": time.time(), "tags": [], "process": self.process, "buffers": []}
        known = {"name": "load", **head, "stream": None} if event in {"entered", "failed"} else {}
        names = {"parts": [part(data) for data in parts]} if parts else {}
        return json.dumps({"event": event, "id": id, **known, **fields, **names}, separators=(",", ":")).encode()

    def enter(self, id: str, *, args: bytes = b"args", **fields: Any) -> None:
        manifest = b'{"arguments":[{"type":"int","text":"1","name":"a"}]}'
        parts = (manifest, args) if fields.get("stream") is None else (manifest,)
        self.store.journal().append(self.body("entered", id, parts, **fields), parts, keep=(id, None, None), shared=[self.process])

    def leave(self, id: str, event: str = "returned", *, name: str = "load", keep: int = 10, **fields: Any) -> None:
        value = {"value": {"type": "int", "text": "3"}} if event == "returned" else {"exception": "SystemExit: 0"}
        body = self.body(event, id, **{"duration": 0.25, **value, **fields})
        self.store.journal().append(body, keep=(id, ("job", "load", name, False), keep))

    def call(self, id: str, *, name: str = "load", keep: int = 10, **fields: Any) -> None:
        self.enter(id, name=name, keep=keep, **fields)
        self.leave(id, name=name, keep=keep)

    def fail(self, id: str, *, name: str = "load", keep: int = 10, **fields: Any) -> None:
        parts = (b'{"arguments":[],"exceptions":[],"frames":[]}', b"failure")
        body = self.body("failed", id, parts, name=name, keep=keep, **{"exception": "ValueError: bad", "duration": 0.5, **fields})
        self.store.journal().append(body, parts, keep=(id, ("job", "load", name, True), keep), shared=[self.process], sync=True)


def number(count: int) -> str:
    return f"{count:016x}"


def ids(store: Store) -> list[int]:
    return [int(header.id, 16) for header in store.headers()]


@pytest.fixture
def path(tmp_path: Path, home: Path) -> Path:
    return tmp_path / ".pyckpt"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """A store, found sound when the test is over; its journal is that of this process."""
    made = Store(path, version="0.3.0")
    yield made
    if made._journal is not None:
        made._journal.close()
    assert Store(path).check() == []


@pytest.fixture
def calls(store: Store) -> Calls:
    return Calls(store)


@pytest.fixture
def start(path: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts a program in a process of its own, with `calls` and `number` at hand."""
    started: list[subprocess.Popen[str]] = []
    text = Path(__file__).read_text()
    helpers = text[text.index("class Calls") : text.index("def ids")]
    head = (
        "from __future__ import annotations\nimport json, os, signal, sys, threading, time\nfrom typing import Any\n"
        f"from ckpt._store.journal import part\nfrom ckpt._store.store import Store\n{helpers}\n"
        f"calls = Calls(Store({str(path)!r}), json.dumps({{'argv': sys.argv}}).encode())\n"
    )

    def run(program: str, *arguments: str) -> subprocess.Popen[str]:
        file = tmp_path / f"program{abs(hash(program))}.py"
        if not file.exists():  # others may be reading it
            file.write_text(head + program)
        process = subprocess.Popen(
            [sys.executable, file, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": ""},
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        with process:
            process.wait(timeout=60)


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == code
    return out


def journals(path: Path) -> list[Path]:
    return sorted((path / "journals").glob("*.jsonl"))


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


# What a capture is


def test_a_store_that_is_not_there_is_empty(path: Path) -> None:
    """Looking at a store that does not exist shows nothing, and makes nothing."""
    store = Store(path)
    assert store.headers() == []
    assert store.newest(5) == ([], 0)
    assert store.check() == []
    assert store.clear(["0" * 16]) == 0
    assert store.maintain() is False
    with pytest.raises(NotFoundError, match="no captures"):
        store.find()
    with pytest.raises(NotFoundError):
        store.get("0" * 16)
    assert not path.exists()


def test_a_call_that_returned(store: Store, calls: Calls) -> None:
    """A call shows what was recorded at entry and at its end."""
    calls.call(number(1), tags=[["step", 3]], time=1000.5)
    (header,) = store.headers()
    assert (header.id, header.name, header.module, header.qualname) == (number(1), "load", "job", "load")
    assert (header.status, header.time, header.duration, header.is_failure) == ("returned", 1000.5, 0.25, False)
    assert header.returned == {"type": "int", "text": "3"}
    assert (header.tags, header.exception) == ([["step", 3]], None)
    assert (header.host, header.pid) == (files.host(), os.getpid())
    assert header.python == sys.version.split()[0]
    stored = store.get(number(1))
    assert stored.header == header
    assert stored.entry is not None
    assert stored.entry.manifest().arguments[0].name == "a"
    assert stored.entry.stream() == b"args"
    assert stored.entry.buffers() == []
    assert (stored.failure, stored.function, stored.view) == (None, None, None)
    assert stored.process == {"argv": ["job.py"]}


def test_a_call_that_failed(store: Store, calls: Calls) -> None:
    """A failure, with and without its entry, shows its exception and both moments."""
    calls.enter(number(1), time=1000.0)
    calls.fail(number(1), time=1000.0)
    calls.fail(number(2), time=2000.0, duration=None)
    one, two = store.headers()
    assert (one.status, one.exception, one.duration, one.is_failure) == ("failed", "ValueError: bad", 0.5, True)
    assert (two.status, two.time, two.duration) == ("failed", 2000.0, None)
    stored = store.get(number(1))
    assert stored.entry is not None
    assert stored.failure is not None
    assert stored.failure.manifest().exceptions == []
    assert stored.failure.stream() == b"failure"
    assert store.get(number(2)).entry is None


def test_objects_belong_to_a_capture(store: Store, calls: Calls) -> None:
    """Large streams, buffers and sources are read from their objects, and count in the size."""
    writer = store.objects.writer()
    writer.write(b"large stream")
    stream, buffer, source = writer.publish(), store.objects.put_buffer(b"b" * 100000), store.objects.put_text("é = 1\n".encode())
    function = store.journal().share("function", b"pickled")
    calls.enter(number(1), stream=stream, buffers=[buffer], sources=[source], function=function)
    calls.leave(number(1))
    store.journal().append(b'{"event":"later"}', shared=[function])
    stored = store.get(number(1))
    assert stored.entry is not None
    assert stored.entry.stream() == b"large stream"
    (view,) = stored.entry.buffers()
    view[0] = 7
    assert stored.entry.buffers()[0] == b"b" * 100000
    assert stored.source(source) == "é = 1\n"
    assert stored.function is not None
    assert stored.function() == b"pickled"
    assert stored.header.size > 100000


def test_nested_failures_share_one_record(store: Store, calls: Calls) -> None:
    """The failure of an inner call is shown from the outer one's bytes, from its own entry on."""
    calls.fail(number(1))
    parts = (b'{"arguments":[],"exceptions":[],"frames":[]}', b"both")
    view = calls.body("failed", number(1), parts, exception="ValueError: bad", view=[0, 2])
    body = calls.body("failed", number(2), parts, exception="ValueError: bad")
    store.journal().append(body, parts, keep=(number(2), "g", 10), shared=[calls.process], views=[(number(1), view)])
    inner, outer = store.get(number(1)), store.get(number(2))
    assert (inner.view, outer.view) == ((0, 2), None)
    assert inner.failure is not None
    assert outer.failure is not None
    assert inner.failure.stream() == outer.failure.stream() == b"both"
    views = [
        (number(1), calls.body("failed", number(1), parts, view=[1, 3])),
        (number(2), calls.body("failed", number(2), parts, view=[0, 1])),
    ]
    store.journal().append(calls.body("failed", number(3), parts), parts, keep=(number(3), "g", 10), shared=[calls.process], views=views)
    assert [store.get(number(count)).view for count in (1, 2, 3)] == [(1, 3), (0, 1), None]


# Status


def test_the_status_of_an_unfinished_call(store: Store, start: Start, path: Path) -> None:
    """A call that has not ended is running while its process lives, died when that was killed, and left when it ended cleanly."""
    process = start("calls.enter(number(1)); print(flush=True); sys.stdin.read(1); calls.enter(number(2)); sys.stdin.read()")
    assert process.stdout
    assert process.stdin
    process.stdout.readline()
    assert [header.status for header in store.headers()] == ["running"]
    process.kill()
    finish(process, -signal.SIGKILL)
    finish(start("calls.enter(number(3))"))
    finish(start("calls.enter(number(4)); os._exit(0)"))
    finish(start("calls.enter(number(5)); calls.leave(number(5), 'left')"))
    assert {int(header.id, 16): header.status for header in store.headers()} == {1: "died", 3: "left", 4: "died", 5: "left"}
    assert store.find().id == number(4)


def test_what_cannot_be_told_is_unknown(store: Store, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen from another machine, or after another boot, an unfinished call is neither running nor dead; a finished one is what it is."""
    finish(start("calls.enter(number(1)); calls.call(number(2)); os._exit(0)"))
    monkeypatch.setattr("ckpt._store.captures.boot", lambda: "another")
    monkeypatch.setattr("ckpt._store.captures.host", lambda: "another")
    assert [header.status for header in store.headers()] == ["unknown", "returned"]
    monkeypatch.setattr("ckpt._store.captures.boot", lambda: "")
    assert [header.status for header in store.headers()] == ["unknown", "returned"]
    monkeypatch.setattr("ckpt._store.captures.host", files.host)
    assert [header.status for header in store.headers()] == ["died", "returned"]


def test_a_process_that_lost_its_files_is_still_running(store: Store, calls: Calls) -> None:
    """A call that was entered before the descriptors were taken away is running, and ends, in another journal."""
    calls.enter(number(1))
    for pair in store.journal()._pairs:
        os.close(pair.line)
        os.close(pair.bin)
    calls.enter(number(2))
    assert [header.status for header in store.headers()] == ["running", "running"]
    calls.leave(number(1))
    assert [header.status for header in store.headers()] == ["returned", "running"]


# Lists and names


def test_captures_are_listed_by_time_of_entry(store: Store, calls: Calls) -> None:
    """The list goes by time of entry, over all journals."""
    for count, at in [(1, 30.0), (2, 10.0), (3, 20.0)]:
        calls.call(number(count), time=at)
        store.journal().close()
    assert ids(store) == [2, 3, 1]
    headers, known = store.newest(2)
    assert ([int(header.id, 16) for header in headers], known) == ([3, 1], 3)


def test_of_each_function_the_newest_are_kept(store: Store, calls: Calls) -> None:
    """`keep` counts per function and name, failures apart from other calls, over all journals, by the time at which calls end."""
    for count in range(8):
        calls.call(number(count), keep=3, time=float(count))
        calls.call(number(100 + count), name="other", keep=3, time=float(count))
        calls.fail(number(200 + count), keep=3, time=float(count))
        if count % 3 == 2:
            store.journal().close()
    calls.enter(number(300), keep=3, time=0.0)
    assert set(ids(store)) == {5, 6, 7, 105, 106, 107, 205, 206, 207, 300}
    calls.leave(number(300), keep=3, duration=100.0)
    assert set(ids(store)) == {6, 7, 105, 106, 107, 205, 206, 207, 300}


def test_a_name_in_other_letters_is_listed_as_any(store: Store, calls: Calls) -> None:
    """Names outside ASCII, and fields in another order than the recorder's, only take the slower way."""
    calls.call(number(1), name="größe")
    calls.call(number(2), qualname='a "b"')
    assert [header.name for header in store.headers()] == ["größe", "load"]
    assert store.newest(5)[0] == store.headers()
    assert store.find("größe").id == number(1)


def test_what_a_person_means(store: Store, calls: Calls) -> None:
    """A name, `module.name`, `name~N`, an id, a prefix, or nothing; a failure first, unless told otherwise."""
    for count, text in enumerate(["load", "load", "total", "load"]):
        calls.call(f"{count + 1}bcdef0123456789", name=text, time=float(count))
    calls.fail("5bcdef0123456789", name="load", time=1.5)
    assert [
        store.find(text).id[0] for text in ("load", "job.load", "load~0", "load~1", "load~3", "total", "4bcd", "4bcdef0123456789")
    ] == list("55451344")
    assert store.find().id[0] == "5"
    assert store.find(newest_failure=False).id[0] == "4"
    assert store.find("load", newest_failure=False).id[0] == "4"
    with pytest.raises(NotFoundError, match="only 4"):
        store.find("load~4")
    with pytest.raises(NotFoundError, match="'total'") as caught:
        store.find("totl")
    assert caught.value.hint == "ckpt info total"
    with pytest.raises(NotFoundError, match=r"There is only 1 capture named 'total'\."):
        store.find("total~7")


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [(typed, "Report.add") for typed in ("add", "ADD", "repot.add", "ad", "Report.ad")] + [("FMT", "fmt")],
)
def test_the_nearest_name_may_be_the_last_part_of_one(store: Store, calls: Calls, typed: str, nearest: str) -> None:
    """Whoever types the name of a method, or other capitals, is told the whole name."""
    for count, name in enumerate(("Report.add", "fmt", "Report.empty", "empty2")):
        calls.call(number(count), name=name, time=float(count))
    with pytest.raises(NotFoundError, match=f"the nearest name is {nearest!r}") as caught:
        store.find(typed)
    assert caught.value.hint == f"ckpt info {nearest}"


def test_a_name_far_from_all_has_no_nearest(store: Store, calls: Calls) -> None:
    """Where nothing is near, nothing is proposed."""
    calls.call(number(0), name="Report.add")
    with pytest.raises(NotFoundError, match=r"^No capture is named 'zz'\. There is 1 capture\."):
        store.find("zz")


def test_a_file_is_no_name(store: Store, calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gives a file that was exported is told the command that takes it."""
    calls.call(number(0))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a bug.ckpt").touch()
    with pytest.raises(NotFoundError, match=r"'a bug\.ckpt' is a file") as caught:
        store.find("a bug.ckpt")
    assert caught.value.hint == "ckpt import 'a bug.ckpt'"


def test_the_beginning_of_an_id_may_be_too_short(store: Store, calls: Calls) -> None:
    """Whoever types fewer digits than an id needs is told so, when there is such an id."""
    calls.call("abc1000000000001")
    with pytest.raises(NotFoundError, match="the beginning of an id has 4 digits at least") as caught:
        store.find("abc")
    assert caught.value.hint == "ckpt info abc1"
    with pytest.raises(NotFoundError, match="No capture is named 'abd'"):
        store.find("abd")


def test_a_name_wins_over_an_id(store: Store, calls: Calls) -> None:
    """A function may be called like the beginning of an id; an ambiguous beginning is refused, with the ids that it may mean."""
    calls.call("abcd000000000001", time=1.0)
    calls.call("abcd000000000002", time=2.0)
    with pytest.raises(NotFoundError, match="2 captures have an id that begins with 'abcd': abcd000000000002, abcd000000000001") as caught:
        store.find("abcd")
    assert caught.value.hint == "ckpt info abcd000000000002"
    for count in range(3, 10):
        calls.call(f"abcd00000000000{count}", time=float(count))
    with pytest.raises(NotFoundError, match=r"^9 captures .*: (abcd\w+, ){4}abcd\w+ and 4 more\."):
        store.find("abcd")
    calls.call("ffff000000000003", name="abcd", time=3.0)
    assert store.find("abcd").id == "ffff000000000003"


# Clearing and upkeep


def test_cleared_captures_are_gone_with_their_bytes(store: Store, start: Start, path: Path) -> None:
    """What is cleared is gone from every list and from the disk, when its process is; the rest stays, signatures and all."""
    program = """
for count in range(4):
    name = calls.store.objects.put_buffer(b"%d" % count * 50000)
    calls.call(number(count), args=b"secret%d" % count, buffers=[name])
"""
    finish(start(program))
    time.sleep(0.05)
    assert store.clear([number(1), number(2), number(99)]) == 2
    assert ids(store) == [0, 3]
    with pytest.raises(NotFoundError):
        store.get(number(1))
    content = b"".join(file.read_bytes() for file in path.rglob("*") if file.is_file())
    assert [f"secret{count}".encode() in content for count in range(4)] == [True, False, False, True]
    assert len(store.objects.names()) == 2
    entry = store.get(number(3)).entry
    assert entry is not None
    assert (bytes(entry.stream()), bytes(entry.buffers()[0])) == (b"secret3", b"3" * 50000)
    assert is_signed(key(), entry.line.fields()[2], entry.line.fields()[1])
    assert store.clear([number(0), number(3)]) == 2
    store.journal().close()
    assert store.maintain(thorough=True)
    assert journals(path) == []


def test_clearing_beside_a_running_process(store: Store, start: Start, path: Path) -> None:
    """What lies in a running process's journal is gone from lists at once, and its objects stay for now: they may be needed."""
    program = """
calls.call(number(1), buffers=[calls.store.objects.put_buffer(b"x" * 1000)])
print(flush=True)
sys.stdin.read(1)
calls.enter(number(2), buffers=[calls.store.objects.put_buffer(b"x" * 1000)])
print(flush=True)
sys.stdin.read()
"""
    process = start(program)
    assert process.stdout
    assert process.stdin
    process.stdout.readline()
    time.sleep(0.05)
    assert store.clear([number(1)]) == 1
    assert ids(store) == []
    assert len(store.objects.names()) == 1
    process.stdin.write("x")
    process.stdin.flush()
    process.stdout.readline()
    assert ids(store) == [2]
    finish(process)
    assert store.check() == []
    assert ids(store) == [2]


def test_clearing_never_brings_an_older_one_back(store: Store, calls: Calls) -> None:
    """A cleared capture still takes its place among the newest `keep`."""
    for count in range(6):
        calls.call(number(count), keep=2, time=float(count))
        store.journal().close()
    assert ids(store) == [4, 5]
    store.clear([number(5)])
    assert ids(store) == [4]


def test_many_short_processes_leave_few_files(store: Store, start: Start, path: Path) -> None:
    """The journals of many ended processes become one, in which everything that lives is as it was."""
    program = """
first = int(sys.argv[1])
for count in range(first, first + 10):
    if os.fork() == 0:
        if count % 5 == 0:
            calls.enter(number(count), time=float(count), keep=100)
            os._exit(0)
        elif count % 5 == 1:
            calls.enter(number(count), time=float(count), keep=100)
            sys.exit(0)
        elif count % 5 == 2:
            calls.fail(number(count), time=float(count), keep=100)
        else:
            calls.call(number(count), time=float(count), args=b"%d" % count, keep=100 if count % 5 == 3 else 1, name=f"f{count % 5}")
        sys.exit(0)
    os.wait()
"""
    for process in [start(program, str(first)) for first in (0, 10, 20)]:
        finish(process)
    before = store.headers()
    assert len(journals(path)) == 30
    assert len(before) == 25
    assert store.maintain(thorough=True)
    assert len(journals(path)) == 1
    assert store.headers() == before
    assert {int(header.id, 16) % 5: header.status for header in before} == {0: "died", 1: "left", 2: "failed", 3: "returned", 4: "returned"}
    for header in before:
        stored = store.get(header.id)
        assert stored.process["argv"]
        assert (stored.entry or stored.failure).stream()  # type: ignore[union-attr]
    assert all(is_signed(key(), line.fields()[2], line.fields()[1]) for line in scan(str(journals(path)[0])))
    assert store.maintain() is False
    merged = journals(path)
    descriptor = os.open(merged[0], os.O_RDONLY)
    assert files.try_lock(descriptor, shared=False)
    assert store.headers() == before  # a merged journal's lock says nothing of those whose records it holds
    os.close(descriptor)
    assert store.maintain(thorough=True)
    assert journals(path) == merged


def test_running_processes_are_left_alone(store: Store, start: Start, path: Path) -> None:
    """Upkeep does not touch the journals of those who still write."""
    running = [start("calls.enter(number(int(sys.argv[1]))); print(flush=True); sys.stdin.read()", str(count)) for count in range(3)]
    for process in running:
        assert process.stdout
        process.stdout.readline()
    for process in [start("calls.call(number(10 + int(sys.argv[1])), keep=100)", str(count)) for count in range(17)]:
        finish(process)
    assert store.maintain(thorough=True)
    assert len(journals(path)) == 4
    assert {header.status for header in store.headers() if int(header.id, 16) < 10} == {"running"}
    for process in running:
        finish(process)
    assert sorted(ids(store)) == [0, 1, 2, *range(10, 27)]


def test_upkeep_mends_what_a_kill_tore(store: Store, start: Start, path: Path) -> None:
    """A last line that was torn by a kill is named until the next upkeep, which leaves what was whole."""
    finish(start("calls.call(number(1)); os._exit(0)"))
    with journals(path)[0].open("ab") as file:
        file.write(b'{"crc":"00000000","sig":"')
    assert [finding.what for finding in store.check()] == ["the last line is unfinished"]
    assert store.maintain(thorough=True)
    assert store.check() == []
    assert ids(store) == [1]


def test_damage_is_kept_for_somebody_to_look_at(store: Store, start: Start, path: Path) -> None:
    """A journal with a damaged line in its middle is not rewritten, until something in it is cleared."""
    finish(start("calls.call(number(1)); calls.call(number(2)); os._exit(0)"))
    (journal,) = journals(path)
    journal.write_bytes(journal.read_bytes().replace(b'"returned","id":"0000000000000001"', b'"returned","id":"0000000000000009"'))
    assert store.maintain(thorough=True)
    assert [finding.what for finding in store.check()] == ["a line is damaged"]
    assert journals(path) == [journal]
    assert store.clear([number(1)]) == 1
    assert not journal.exists()
    assert ids(store) == [2]


def test_a_list_taken_at_the_wrong_moment_is_taken_again(store: Store, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that is changed while it is read may show neither the old name nor the new: it is read again."""
    calls.call(number(1))
    listdir = os.listdir
    blind = [True]

    def half(path: str) -> list[str]:  # this moment cannot be met for real
        return [] if blind and blind.pop() else listdir(path)

    monkeypatch.setattr("os.listdir", half)
    assert ids(store) == [1]


def test_one_maintainer_at_a_time(store: Store, calls: Calls, path: Path) -> None:
    """A second maintainer does not wait for the first, and does nothing."""
    calls.call(number(1))
    with upkeep.maintaining(str(path)) as alone:
        assert alone
        with upkeep.maintaining(str(path)) as second:
            assert not second
        assert store.maintain(thorough=True) is False


def test_maintainers_killed_at_random_lose_nothing(store: Store, start: Start, path: Path) -> None:
    """A maintainer that is killed at any moment leaves every capture, and the next one cleans up."""
    for count in range(40):
        calls = Calls(store)
        calls.call(number(count), keep=100, time=float(count), args=os.urandom(3000))
        store.journal().close()
    before = store.headers()
    rng = random.Random(7)
    for attempt in range(15):
        process = start("calls.store.maintain(thorough=True)")
        time.sleep(0.05 + rng.random() * 0.15)
        process.kill()
        process.communicate(timeout=60)
        assert [header.id for header in store.headers()] == [header.id for header in before], attempt
        assert [finding for finding in store.check() if finding.offset is not None] == []
    for file in (path / "journals").iterdir():
        age(file, 3 * upkeep.GRACE)
    assert store.maintain(thorough=True)
    assert store.headers() == before
    assert [file.stem for file in sorted((path / "journals").glob("*.bin"))] == [file.stem for file in journals(path)]
    assert len(journals(path)) < upkeep.MANY


def test_a_capture_that_is_open_is_read_after_its_journal_was_merged(store: Store, start: Start) -> None:
    """What was found in one journal is read from where it lies now; what is gone for good says so."""
    finish(start("for count in range(20): calls.call(number(count), args=b'%d' % count, keep=100); calls.store.journal().close()"))
    opened = [store.get(header.id) for header in store.headers()]
    assert store.maintain(thorough=True)
    assert [capture.entry.stream() for capture in opened if capture.entry] == [b"%d" % count for count in range(20)]
    assert all(capture.process["argv"] for capture in opened)
    store.clear([opened[0].header.id])
    store.journal().close()
    assert store.maintain(thorough=True)
    assert opened[0].entry
    with pytest.raises(FileNotFoundError):
        opened[0].entry.stream()
    assert opened[1].process["argv"]


def test_a_ctrl_c_as_the_merged_journal_appears_loses_nothing(
    store: Store, start: Start, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted when the new journal has its name already, and the old ones are still there: every capture opens."""
    finish(start("for count in range(20): calls.call(number(count), keep=100); calls.store.journal().close()"))
    rename = os.rename

    def interrupted(*names: str) -> None:  # a signal that comes during a system call is handled right after it
        rename(*names)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.maintain(thorough=True)
    assert store.check() == []
    assert len(ids(store)) == 20
    assert store.maintain(thorough=True)
    assert len(ids(store)) == 20


def limited(store: Store, descriptors: int) -> bool:
    """Tidy a store in a child that may open so many files more than it has; return whether that went through."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        spare = [os.open(os.devnull, os.O_RDONLY) for _ in range(descriptors)]
        with contextlib.suppress(OSError):
            while True:
                os.dup(spare[0])
        for descriptor in spare:
            os.close(descriptor)
        with contextlib.suppress(OSError):
            os._exit(0 if store.maintain(thorough=True) else 1)
        os._exit(1)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it forks where pytest has threads
def test_a_maintainer_that_cannot_open_a_file_removes_nothing(store: Store, start: Start, path: Path) -> None:
    """With any number of descriptors too few, every capture keeps its bytes and its objects, however old they are."""
    finish(start("for count in range(20): calls.call(number(count), keep=100); calls.store.journal().close()"))
    Calls(store).enter("f" * 16, keep=100, buffers=[store.objects.put_buffer(b"x" * 100_000)])
    store.journal().close()
    for file in [*(path / "objects").iterdir(), *(path / "journals").iterdir()]:
        age(file, 2 * upkeep.GRACE)
    through = [limited(Store(path), descriptors) for descriptors in range(1, 8)]
    assert through[0] < through[-1]
    assert len(ids(store)) == 21
    assert [store.get(header.id).entry.line.read(0) for header in store.headers()]  # type: ignore[union-attr]


def test_a_journal_that_may_not_be_read_keeps_its_objects(store: Store, calls: Calls, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a journal that another user wrote nobody knows what it needs: it is named, the rest lists, and no object is removed."""
    buffer = store.objects.put_buffer(b"x" * 100_000)
    calls.enter(number(1), buffers=[buffer])
    store.journal().close()
    (other,) = journals(path)
    age(path / "objects" / buffer, 2 * upkeep.GRACE)
    calls.call(number(2))
    store.journal().close()
    opened = os.open

    def refused(file: str, *arguments: int) -> int:  # root, as whom tests may run, is refused nothing
        if file == str(other):
            raise PermissionError(13, "Permission denied", file)
        return opened(file, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refused)
        reader = Store(path)
        assert ids(reader) == [2]
        assert [finding.what for finding in reader.check()] == [f"{str(other)!r} cannot be read: Permission denied."]
        assert reader.maintain(thorough=True)
    assert ids(Store(path)) == [1, 2]


def test_a_store_that_changes_faster_than_it_is_read_is_said_so(store: Store, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that lists files and then says they are not there (one over the network may) ends in a clear error."""
    calls.call(number(1))

    def gone(*_: object, **__: object) -> None:  # not to be had from a disk
        raise FileNotFoundError

    with monkeypatch.context() as patch:
        patch.setattr("ckpt._store.store.scan", gone)
        with pytest.raises(StoreError, match="changes faster"):
            Store(store.path).headers()


def test_readers_beside_a_maintainer_miss_nothing(store: Store, path: Path) -> None:
    """While journals are merged under a reader, every list is complete."""
    missing: list[int] = []
    stop = threading.Event()
    for count in range(20):
        Calls(store).call(number(count), keep=1000, time=float(count))
        store.journal().close()

    def read() -> None:
        reader = Store(path)
        while not stop.is_set():
            if len(reader.headers()) < 20:
                missing.append(len(reader.headers()))

    thread = threading.Thread(target=read)
    thread.start()
    for count in range(20, 200):
        Calls(store).call(number(count), keep=1000, time=float(count))
        store.journal().close()
        if count % 18 == 0:
            assert store.maintain(thorough=True)
    stop.set()
    thread.join()
    assert missing == []
    assert len(ids(store)) == 200


def test_left_over_files_are_named_and_removed(store: Store, calls: Calls, path: Path) -> None:
    """What a killed process left behind is found after a day, not before, and goes with the next upkeep."""
    calls.call(number(1))
    left = [path / "journals" / "x.bin", path / "journals" / "y.tmp", path / "journals" / "y.bin", path / "objects" / ".tmp-1-x"]
    for file in left:
        file.write_bytes(b"")
    assert store.check() == []
    for file in left:
        age(file, 2 * upkeep.GRACE)
    assert {finding.path for finding in store.check()} >= {str(path / "journals" / "x.bin"), str(path / "objects" / ".tmp-1-x")}
    assert store.maintain(thorough=True)
    assert store.maintain(thorough=True)
    assert not any(file.exists() for file in left)


# Damage


def test_a_store_cut_at_any_byte(tmp_path: Path, start: Start, path: Path, home: Path) -> None:
    """Cut anywhere, a store lists and opens every capture before the cut, and `check` names what is not whole."""
    finish(start("for count in range(4): calls.call(number(count), args=b'%d' % count * 20, time=float(count))"))
    (journal,) = journals(path)
    binary = journal.with_suffix(".bin")
    whole = [journal.read_bytes(), binary.read_bytes()]
    cut = tmp_path / "cut"
    (cut / "journals").mkdir(parents=True)
    (cut / "objects").mkdir()
    place, data = cut / "journals" / journal.name, cut / "journals" / binary.name
    data.write_bytes(whole[1])
    ends = [number + len(line) for number, line in _offsets(whole[0])]
    entries = [end for end, (_, line) in zip(ends, _offsets(whole[0]), strict=True) if b'"entered"' in line]
    for size in [*range(0, len(whole[0]), 17), *range(len(whole[0]) - 700, len(whole[0]))]:
        place.write_bytes(whole[0][:size])
        found = Store(cut)
        expected = sum(end <= size + 1 for end in entries)
        assert ids(found) == list(range(expected))
        assert [store_id for store_id in range(expected) if _stream(found, store_id) != b"%d" % store_id * 20] == []
        on_a_line = size == 0 or size in ends or size + 1 in ends
        assert [finding.what for finding in found.check()] == ([] if on_a_line else ["the last line is unfinished"])
    place.write_bytes(whole[0])
    for size in range(0, len(whole[1]), 3):
        data.write_bytes(whole[1][:size])
        found = Store(cut)
        assert ids(found) == list(range(4))
        assert any("captur" in finding.what for finding in found.check())
    data.unlink()
    assert ids(found) == list(range(4))
    assert all(finding.what.endswith("is missing") for finding in found.check())
    with pytest.raises(FileNotFoundError):
        _stream(found, 0)


def _offsets(data: bytes) -> list[tuple[int, bytes]]:
    lines = data.splitlines(keepends=True)
    return [(sum(map(len, lines[:count])), line) for count, line in enumerate(lines)]


def _stream(store: Store, count: int) -> bytes:
    entry = store.get(number(count)).entry
    assert entry is not None
    return bytes(entry.stream())


def test_flipped_bytes_cost_what_they_hit(tmp_path: Path, start: Start, path: Path, home: Path) -> None:
    """A flipped byte anywhere is named by `check`, or changes nothing that is read; nothing else is lost and nothing crashes."""
    finish(start("for count in range(3): calls.call(number(count), args=b'%d' % count * 20, time=float(count))"))
    (journal,) = journals(path)
    rng = random.Random(3)
    for file in (journal, journal.with_suffix(".bin")):
        whole = file.read_bytes()
        for offset in rng.sample(range(len(whole)), 150):
            changed = bytearray(whole)
            changed[offset] ^= 1 << rng.randrange(8)
            file.write_bytes(changed)
            found = Store(path)
            headers = found.headers()
            assert len(headers) >= 2 or found.check()
            assert found.newest(9)[0] == headers
            if not found.check():
                assert [_stream(found, int(header.id, 16)) for header in headers] == [b"%d" % int(header.id, 16) * 20 for header in headers]
        file.write_bytes(whole)
    assert Store(path).check() == []


def test_missing_and_damaged_objects_are_named(store: Store, calls: Calls, path: Path) -> None:
    """An object that is gone or not what was written is named, with the capture that needs it; the capture still lists."""
    buffer, text = store.objects.put_buffer(b"x" * 1000), store.objects.put_text(b"text")
    calls.call(number(1), buffers=[buffer], sources=[text])
    os.truncate(path / "objects" / buffer, 10)
    (path / "objects" / text).write_bytes(b"TEXT")
    assert len(store.check()) == 2 or all(number(1) in finding.what for finding in store.check())
    assert len(store.check()) >= 1
    assert ids(store) == [1]
    with pytest.raises(DamagedError):
        store.get(number(1)).source(text)
    for name in (buffer, text):
        (path / "objects" / name).unlink()
    assert "missing" in store.check()[0].what
    store.clear([number(1)])


def forge(path: Path, *bodies: Any) -> None:
    """Write a journal with these events, as somebody else might have made it."""
    (path / "journals").mkdir(parents=True, exist_ok=True)
    lines = [encode(body if isinstance(body, bytes) else json.dumps(body).encode(), None, "") for body in bodies]
    (path / "journals" / "20200101T000000.000000Z-other-1-00000000.jsonl").write_bytes(b"".join(lines))


GOOD = {"event": "entered", "id": "0" * 16, "name": "load", "module": "m", "qualname": "load", "keep": 10, "time": 1.5}
HOSTILE: list[dict[str, Any]] = [
    {"name": "../../etc"},
    {"name": "a b"},
    {"name": "$(rm)"},
    {"name": ""},
    {"name": None},
    {"name": ["load"]},
    {"name": "x" * 129},
    {"keep": "many"},
    {"keep": [1]},
    {"time": "now"},
    {"time": None},
    {"time": 1e999},
    {"tags": 3},
    {"tags": [3]},
    {"parts": 3},
    {"parts": [3]},
    {"parts": [["a", "b"]]},
    {"buffers": 3},
    {"buffers": [["a"]]},
    {"buffers": ["../../etc/passwd"]},
    {"stream": {"a": 1}},
    {"stream": "/etc/passwd"},
    {"process": ["x"]},
    {"process": "x"},
    {"id": ["x"]},
    {"id": {"x": 1}},
    {"id": None},
    {"id": "../x"},
]


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: json.dumps(change)[:40])
def test_a_foreign_store_cannot_break_a_list(path: Path, home: Path, change: dict[str, Any]) -> None:
    """An event whose fields are not what they should be never crashes a list, a look, a check or the upkeep, and costs itself only."""
    opened = {"event": "opened", "format": 1, "run": "r", "host": files.host(), "boot": files.boot(), "pid": 1}
    other = {**GOOD, "id": "f" * 16, "time": 2.5}
    forge(path, opened, {**GOOD, **change}, {"event": "returned", "id": "0" * 16, "duration": "long", "value": 3}, other)
    store = Store(path)
    for headers in (store.headers(), store.newest(9)[0]):
        assert headers[-1].id == "f" * 16
        assert all(header.name == "load" for header in headers)
    assert store.find("load").id in {"0" * 16, "f" * 16, "../x"}
    store.check()
    for header in headers:
        stored = store.get(header.id)
        assert stored.entry is not None
        with contextlib.suppress(DamagedError):
            _ = stored.process
        with contextlib.suppress(DamagedError):
            _ = stored.function
        for look in (stored.entry.manifest, stored.entry.stream, stored.entry.buffers):
            with contextlib.suppress(DamagedError):
                look()
    store.maintain(thorough=True)
    assert Store(path).headers()[-1].id == "f" * 16


@pytest.mark.parametrize(
    "event",
    [
        {"event": "opened"},
        {"event": "opened", "format": "x"},
        {"event": "opened", "format": 1, "run": []},
        {"event": "shared", "parts": []},
        {"event": "shared", "parts": [[1, []]]},
        {"event": "cleared", "ids": 3},
        {"event": "cleared", "ids": [[]]},
        {"event": "cleared"},
        {"event": "closed"},
        {"event": "failed", "id": "0" * 16},
        {"event": "returned", "id": "0" * 16},
        {"event": "never heard of", "id": "0" * 16},
        {"event": ""},
    ],
    ids=json.dumps,
)
def test_an_event_that_makes_no_sense_is_passed_over(path: Path, home: Path, event: dict[str, Any]) -> None:
    """An event that makes no sense, first in its journal or after others, costs no other one."""
    forge(path, event, {**GOOD, "id": "f" * 16}, event)
    store = Store(path)
    assert [header.id for header in store.headers()] == ["f" * 16]
    assert [header.id for header in store.newest(3)[0]] == ["f" * 16]
    store.check()
    store.maintain(thorough=True)


def test_a_newer_format_is_left_alone(path: Path, home: Path) -> None:
    """A journal of a format that is not known yet is named, not misread and not rewritten."""
    opened = {"event": "opened", "format": 99, "run": "r", "host": files.host(), "boot": files.boot()}
    forge(path, opened, GOOD)
    store = Store(path)
    assert store.headers() == []
    assert [finding.what for finding in store.check()] == ["the rest was written by a newer ckpt"]
    store.maintain(thorough=True)
    assert len(journals(path)) == 1


@pytest.mark.parametrize("kind", ["fifo", "directory", "link"])
def test_planted_files_do_not_hang_a_reader(path: Path, store: Store, calls: Calls, kind: str) -> None:
    """A FIFO, a directory or a link among the journals is named; the rest lists, and nothing waits."""
    calls.call(number(1))
    planted = path / "journals" / "20300101T000000.000000Z-x-1-00000000.jsonl"
    if kind == "fifo":
        os.mkfifo(planted)
    elif kind == "directory":
        planted.mkdir()
    else:
        planted.symlink_to("/dev/zero")
    assert ids(store) == [1]
    assert [finding.path for finding in store.check()] == [str(planted)]
    store.maintain(thorough=True)
    shutil.rmtree(planted) if kind == "directory" else planted.unlink()


def test_a_deep_manifest_is_damage(store: Store, path: Path, home: Path) -> None:
    """A manifest nested without end is an error of that capture, not of the interpreter."""
    manifest = b'{"arguments":' + b"[" * 200_000
    body = json.dumps({**GOOD, "parts": [part(manifest)]}).encode()
    store.journal().append(body, (manifest,))
    entry = store.get("0" * 16).entry
    assert entry is not None
    with pytest.raises(DamagedError):
        entry.manifest()


# Many at once


def test_sixty_four_processes_lose_nothing(store: Store, start: Start) -> None:
    """Sixty-four processes at once, some with threads, some killed by their own hand: every record is there and whole."""
    program = """
first = int(sys.argv[1])
for child in range(16):
    if os.fork() == 0:
        base = (first + child) * 1000
        def work(thread):
            for count in range(5):
                id = base + thread * 10 + count
                name = calls.store.objects.put_buffer(b"%d" % (count % 3) * 40000)
                calls.call(number(id), name=f"f{base + thread}", args=b"%d" % id, buffers=[name], keep=100)
        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(2)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        os._exit(0)
for child in range(16): assert os.wait()[1] == 0
"""
    for process in [start(program, str(first)) for first in (0, 16, 32, 48)]:
        finish(process)
    headers = store.headers()
    assert len(headers) == 64 * 2 * 5
    assert all(_stream(store, int(header.id, 16)) == b"%d" % int(header.id, 16) for header in headers[::17])
    assert len(store.objects.names()) == 3
    assert store.check() == []
    assert store.maintain(thorough=True)
    assert store.headers() == headers


def test_random_kills_leave_every_earlier_capture(store: Store, start: Start, path: Path) -> None:
    """Processes killed at random while they record, with objects and upkeep, leave what they had recorded, whole."""
    program = """
first = int(sys.argv[1])
for count in range(first, first + 10**6):
    name = calls.store.objects.put_buffer(b"%d" % count * 3000)
    calls.call(number(count), args=b"%d" % count, buffers=[name], keep=5, name=f"f{first}")
    if count % 7 == 0: print(count, flush=True)
    if count % 40 == 0: calls.store.maintain(thorough=True)
"""
    rng = random.Random(11)
    for attempt in range(8):
        process = start(program, str(attempt * 10**6))
        assert process.stdout
        seen = int(process.stdout.readline())
        time.sleep(rng.random() * 0.1)
        process.kill()
        rest = process.stdout.read().split("\n")[:-1]
        seen = int(rest[-1]) if rest else seen
        finish(process, -signal.SIGKILL)
        mine = [header for header in store.headers() if header.name == f"f{attempt * 10**6}"]
        returned = [int(header.id, 16) for header in mine if header.status == "returned"]
        assert len(returned) == min(5, len(range(attempt * 10**6, returned[-1] + 1)))
        assert returned[-1] >= seen
        assert {header.status for header in mine} <= {"returned", "died"}
        for count in returned:
            entry = store.get(number(count)).entry
            assert entry is not None
            assert entry.buffers()[0] == b"%d" % count * 3000
    assert {finding.what for finding in store.check()} <= {"the last line is unfinished"}
    assert store.maintain(thorough=True)


def test_a_long_list_is_complete(store: Store, calls: Calls) -> None:
    """Thousands of captures are listed, found and opened like a few."""
    for count in range(3000):
        calls.call(number(count), name=f"f{count % 300}", time=float(count))
    assert ids(store) == list(range(3000))
    headers, known = store.newest(20)
    assert ([int(header.id, 16) for header in headers], known) == (list(range(2980, 3000)), 3000)
    assert store.find("f7").id == number(2707)
