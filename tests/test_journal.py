"""The bytes of a journal, and the one process that writes them: threads, signals, forks, stolen descriptors, full disks, kills."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ckpt._store.files import is_held, try_lock
from ckpt._store.journal import Finding, Line, decode, encode, part, read_part, scan
from ckpt._store.store import Store
from ckpt._store.trust import is_signed, sign
from ckpt._store.writer import Journal
from ckpt.errors import DamagedError

ROOT = Path(__file__).resolve().parent.parent
KEY = bytes(range(32))
GROUP = ("job", "load", "load", False)


def body_of(event: str, id: str, parts: tuple[bytes, ...] = (), **fields: Any) -> bytes:
    """Return the body of an event as the recorder writes it."""
    head = {"name": "load", "module": "job", "qualname": "load", "keep": 10, "time": 1.5} if event in {"entered", "failed"} else {}
    names = {"parts": [part(data) for data in parts]} if parts else {}
    return json.dumps({"event": event, "id": id, **head, **fields, **names}, separators=(",", ":")).encode()


def enter(journal: Journal, id: str, *parts: bytes, **more: Any) -> int | None:
    fields = {name: more.pop(name) for name in list(more) if name not in {"shared", "views", "sync", "keep"}}
    return journal.append(
        body_of("entered", id, parts or (b"{}", b"stream"), **fields), parts or (b"{}", b"stream"), keep=(id, None, None), **more
    )


def leave(journal: Journal, id: str, keep: int | None = 10) -> None:
    journal.append(body_of("returned", id, duration=0.5, value={"type": "int", "text": "3"}), keep=(id, GROUP, keep))


def name(number: int) -> str:
    return f"{number:016x}"


def lines_of(store: Path) -> list[Line]:
    """Return all events in the journals of a store, checked."""
    findings: list[Finding] = []
    lines = [line for path in sorted((store / "journals").glob("*.jsonl")) for line in scan(str(path), findings.append)]
    assert findings == []
    return lines


def ids(lines: list[Line], event: str = "entered") -> list[object]:
    return [line.id for line in lines if line.event == event]


@pytest.fixture
def path(tmp_path: Path, home: Path) -> Iterator[Path]:
    """A directory for a store, found sound when the test is over."""
    yield tmp_path / ".pyckpt"
    assert Store(tmp_path / ".pyckpt").check() == []


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    made = Journal(str(path), KEY, version="1.2.3")
    yield made
    made.close()


@pytest.fixture
def run(path: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a program in a process of its own, with a `journal` and the helpers of this file."""
    started: list[subprocess.Popen[str]] = []
    helpers = Path(__file__).read_text()
    start = helpers[helpers.index("KEY = ") : helpers.index("def lines_of")]
    head = (
        "import json, os, signal, sys, threading, time\nfrom typing import Any\nfrom ckpt._store.journal import part\n"
        f"from ckpt._store.writer import Journal\n{start}\njournal = Journal({str(path)!r}, KEY, **OPTIONS)\n"
    )

    def start_program(text: str, *arguments: str, **options: int) -> subprocess.Popen[str]:
        program = tmp_path / f"program{hashlib.md5(text.encode()).hexdigest()}.py"
        program.write_text(f"from __future__ import annotations\nOPTIONS = {options!r}\n{head}{text}")
        process = subprocess.Popen(
            [sys.executable, program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": ""},
        )
        started.append(process)
        return process

    yield start_program
    for process in started:
        process.kill()
        with process:
            process.wait(timeout=60)


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == code
    return out


# The bytes


def test_a_line_is_exactly_as_documented(journal: Journal, path: Path) -> None:
    """A line holds a CRC of all that follows, the signature of the raw body, the offset, and the body, in this order."""
    body = body_of("entered", name(1), (b"{}", b"stream"))
    at = journal.append(body, (b"{}", memoryview(b"stream")))
    text = next((path / "journals").glob("*.jsonl")).read_bytes()
    line = text.splitlines()[1]
    found = re.fullmatch(rb'\{"crc":"([0-9a-f]{8})",("sig":"([0-9a-f]{64})","at":([0-9]+),"body":(.*)\})', line)
    assert found
    assert int(found[1], 16) == zlib.crc32(found[2])
    assert is_signed(KEY, found[5], found[3].decode())
    assert (int(found[4]), found[5]) == (at, body)
    assert json.loads(line)["body"] == json.loads(body)
    assert next((path / "journals").glob("*.bin")).read_bytes()[at:] == b"{}stream"


def test_the_first_line_says_who_writes(journal: Journal, path: Path) -> None:
    """The first line names format, run, host, boot, process and versions; the file is called after start, host and process."""
    enter(journal, name(1))
    first = lines_of(path)[0]
    assert first.event == "opened"
    assert first.body["format"] == 1
    assert (first.body["pid"], first.body["ckpt"]) == (os.getpid(), "1.2.3")
    assert {"run", "host", "boot", "user", "time", "python"} <= first.body.keys()
    assert re.fullmatch(r"\d{8}T\d{6}\.\d{6}Z-[\w.]+-\d+-[0-9a-f]{8}\.jsonl", os.path.basename(first.path))


def test_parts_are_read_back(journal: Journal, path: Path) -> None:
    """Each part of an event comes back as it was written, for any number and size of them."""
    for number, parts in enumerate([(b"a",), (b"a", b"b" * 5000, b"c"), (b"", b"x"), tuple(bytes([n]) * n for n in range(100))]):
        enter(journal, name(number), *parts)
    journal.append(body_of("returned", name(0)))
    for line, parts in zip(lines_of(path)[1:5], [(b"a",), (b"a", b"b" * 5000, b"c"), (b"", b"x")], strict=False):
        assert [line.read(index) for index in range(len(parts))] == list(parts)


def test_without_a_key_lines_are_unsigned(path: Path) -> None:
    """Without a key the field is there and empty."""
    journal = Journal(str(path), None)
    enter(journal, name(1))
    journal.close()
    assert {line.fields()[1] for line in lines_of(path)} == {""}


def test_files_are_private_whatever_the_umask(journal: Journal, path: Path) -> None:
    """Journals are 0600 under any umask."""
    for umask in (0o000, 0o777):
        old = os.umask(umask)
        try:
            enter(journal, name(1))
        finally:
            os.umask(old)
        journal.close()
    modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in (path / "journals").iterdir()}
    assert len(modes) == 4
    assert set(modes.values()) == {0o600}


# Reading what is not as it was written


def sample() -> list[bytes]:
    return [encode(body_of("entered", name(n), (b"x",)), n, sign(KEY, b"x")) for n in range(3)]


def test_a_cut_file_keeps_what_is_whole() -> None:
    """Cut at any byte, a journal keeps every line that is whole, and reports the one that is not."""
    data = b"".join(sample())
    ends = [len(b"".join(sample()[:n])) for n in range(4)]
    for size in range(len(data) + 1):
        findings: list[Finding] = []
        lines = decode("j", data[:size], findings.append)
        whole = sum(end <= size + 1 for end in ends[1:])  # a line that lacks only its newline is whole
        assert ids(lines) == [name(n) for n in range(whole)]
        assert bool(findings) == (not any(size in (end, end - 1) for end in ends))


def test_a_flipped_byte_costs_one_line() -> None:
    """A byte that is not as it was written costs its own line and is reported; the others are found."""
    lines = sample()
    data = b"".join(lines)
    for offset in range(len(lines[0]), len(lines[0]) + len(lines[1])):
        changed = bytearray(data)
        changed[offset] ^= 0x20
        findings: list[Finding] = []
        found = decode("j", bytes(changed), findings.append)
        assert ids(found)[0] == name(0)
        assert ids(found)[-1] == name(2)
        if len(found) == 3:  # in the checksum's own digits a change of case changes nothing
            assert found[1].body == json.loads(body_of("entered", name(1), (b"x",)))
        else:
            assert findings


def test_a_line_after_a_torn_one_is_found() -> None:
    """A line that follows a torn one, with and without a newline between, is found."""
    one, two, three = sample()
    for glue in (b"", b"\n"):
        findings: list[Finding] = []
        lines = decode("j", one + two[:-20] + glue + three, findings.append)
        assert ids(lines) == [name(0), name(2)]
        assert len(findings) == 1
        assert lines[1].offset == len(one) + len(two) - 20 + len(glue)


@pytest.mark.parametrize("body", [b"[]", b"3", b"{}", b'{"event":3}', b"[" * 100000, b'{"event":"x"', b"}", b"", b"1],[2", b"{},{}"])
def test_a_body_that_is_no_event_is_passed_over(body: bytes) -> None:
    """A line that checks but says nothing is reported, whatever it says, and costs no other line."""
    findings: list[Finding] = []
    lines = decode("j", sample()[0] + encode(body, None, "") + sample()[2], findings.append)
    assert ids(lines) == [name(0), name(2)]
    assert len(findings) == 1


@pytest.mark.parametrize("kind", ["fifo", "directory", "link", "device"])
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    """A FIFO, a directory, a link or a device in place of a journal is a finding; nothing waits and nothing is followed."""
    path = tmp_path / "j.jsonl"
    (tmp_path / "target").write_bytes(b"".join(sample()))
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "target")
    else:
        path = Path("/dev/zero")
    findings: list[Finding] = []
    assert scan(str(path), findings.append) == []
    assert len(findings) == 1
    with pytest.raises(DamagedError):
        read_part(str(path), 0, 1, hashlib.sha256(b"x").hexdigest())


@pytest.mark.parametrize(("at", "length"), [(0, 6), (1, 5), (0, 1 << 60), (1 << 70, 5), (-1, 5), (0, -5)])
def test_a_part_that_is_not_what_was_written_is_refused(tmp_path: Path, at: int, length: int) -> None:
    """Length and digest are checked, and a forged length costs no memory."""
    path = tmp_path / "j.bin"
    path.write_bytes(b"hello")
    assert read_part(str(path), 0, 5, hashlib.sha256(b"hello").hexdigest()) == b"hello"
    with pytest.raises(DamagedError):
        read_part(str(path), at, length, hashlib.sha256(b"hello").hexdigest())


# One writer


def test_the_owner_holds_its_journal(journal: Journal, path: Path, run: Callable[..., subprocess.Popen[str]]) -> None:
    """A journal is held from its appearance until its process is gone; any number of probers see that, also at once."""
    process = run("enter(journal, name(1)); print(journal.paths()[0], flush=True); sys.stdin.read()")
    assert process.stdout
    file = process.stdout.readline().strip()
    assert [is_held(file) for _ in range(3)] == [True] * 3
    process.kill()
    finish(process, -signal.SIGKILL)
    prober = os.open(file, os.O_RDONLY)
    assert try_lock(prober, shared=True)
    assert is_held(file) is False
    os.close(prober)


def test_descriptors_stay_out_of_the_way(journal: Journal) -> None:
    """Open files have numbers from 64 up, and started programs do not inherit them."""
    enter(journal, name(1))
    for descriptor in (journal._pairs[0].line, journal._pairs[0].bin):
        assert descriptor >= 64
        assert fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC


def test_threads_lose_nothing(journal: Journal, path: Path) -> None:
    """Sixteen threads at once: every record is there, with its own bytes."""

    def work(thread: int) -> None:
        for number in range(100):
            id = name(thread * 1000 + number)
            enter(journal, id, id.encode() * (number % 7 + 1))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [line for line in lines_of(path) if line.event == "entered"]
    assert len({line.id for line in lines}) == len(lines) == 1600
    assert all(line.read(0).startswith(str(line.id).encode()) for line in lines)


def test_a_signal_handler_may_write_too(run: Callable[..., subprocess.Popen[str]], path: Path) -> None:
    """A handler that records while a record is being written hangs nothing and overlaps nothing."""
    program = """
count = [0, 0]
def handler(*_):
    count[1] += 1
    enter(journal, name(10**6 + count[1]), b"h" * 50)
    if not stop: signal.setitimer(signal.ITIMER_REAL, 0.0002)
stop = []
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0001)
end = time.monotonic() + 1
while time.monotonic() < end:
    count[0] += 1
    enter(journal, name(count[0]), b"m" * 50)
stop.append(1)
signal.setitimer(signal.ITIMER_REAL, 0)
print(*count)
"""
    main, handled = map(int, finish(run(program)).split())
    lines = [line for line in lines_of(path) if line.event == "entered"]
    assert handled > 100
    assert len(lines) == main + handled
    assert all(line.read(0) in (b"h" * 50, b"m" * 50) for line in lines)


def test_a_clean_exit_says_so(run: Callable[..., subprocess.Popen[str]], path: Path) -> None:
    """The end of a process is an event; a process that is killed, or leaves by `os._exit`, says nothing."""
    finish(run("enter(journal, name(1))"))
    assert [line.event for line in lines_of(path)] == ["opened", "entered", "closed"]
    finish(run("enter(journal, name(2)); os._exit(0)"))
    assert [line.event for line in lines_of(path)][3:] == ["opened", "entered"]


def test_a_journal_that_never_wrote_makes_nothing(run: Callable[..., subprocess.Popen[str]], path: Path) -> None:
    """Without an event no file and no directory is made."""
    finish(run(""))
    assert not path.exists()


def test_a_closed_journal_begins_anew(journal: Journal, path: Path) -> None:
    """An event after the end begins a new pair of files."""
    enter(journal, name(1))
    journal.close()
    enter(journal, name(2))
    assert len(list((path / "journals").glob("*.jsonl"))) == 2
    assert ids(lines_of(path)) == [name(1), name(2)]


# Forks


def test_a_forked_child_writes_its_own_journal(run: Callable[..., subprocess.Popen[str]], path: Path) -> None:
    """Parent and children each write their own journal, and the parent goes on holding its own."""
    program = """
from ckpt._store.files import is_held
enter(journal, name(1))
for child in range(3):
    if os.fork() == 0:
        enter(journal, name(100 + child))
        sys.exit(0)
    os.wait()
enter(journal, name(2))
print(is_held(journal.paths()[0]))
"""
    assert finish(run(program)).strip() == "True"
    files = sorted((path / "journals").glob("*.jsonl"))
    found = {tuple(ids(scan(str(file)))) for file in files}
    assert found == {(name(1), name(2)), (name(100),), (name(101),), (name(102),)}
    assert len({scan(str(file))[0].body["run"] for file in files}) == 4


def test_a_child_does_not_keep_its_parents_journal_alive(run: Callable[..., subprocess.Popen[str]]) -> None:
    """A child that never records and outlives its parent does not hold the parent's journal."""
    program = """
enter(journal, name(1))
print(journal.paths()[0], flush=True)
ready, begun = os.pipe()
if os.fork() == 0:
    os.write(begun, b"x")
    os.close(1)
    sys.stdin.read()
    os._exit(0)
os.read(ready, 1)
os.kill(os.getpid(), signal.SIGKILL)
"""
    process = run(program)
    assert process.stdout
    file = process.stdout.readline().strip()
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert is_held(file) is False
    process.communicate(timeout=60)


def test_a_child_that_is_forked_while_a_journal_is_made_does_not_hold_it(run: Callable[..., subprocess.Popen[str]], path: Path) -> None:
    """Whatever its parent's other threads are at: when the parent is gone nobody holds its journals."""
    program = """
stop = threading.Event()
def begin():
    while not stop.is_set():
        again = Journal(journal.directory, KEY)
        again.open()
        again.close()
threads = [threading.Thread(target=begin) for _ in range(2)]
for thread in threads: thread.start()
children = []
here, there = os.pipe()
for _ in range(60):
    child = os.fork()
    if child == 0:
        os.write(there, b"!")
        time.sleep(60)
        os._exit(0)
    children.append(child)
    os.read(here, 1)
stop.set()
for thread in threads: thread.join()
print(*children, flush=True)
os._exit(0)
"""
    process = run(program)
    children = list(map(int, process.stdout.readline().split()))  # type: ignore[union-attr]
    try:
        process.wait(timeout=60)
        assert len(children) == 60
        assert [file.name for file in (path / "journals").glob("*.jsonl") if is_held(str(file))] == []
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)


def test_a_fork_behind_pythons_back_is_noticed(run: Callable[..., subprocess.Popen[str]], path: Path) -> None:
    """A child forked by a C library, without Python's handlers, does not write to its parent's files."""
    program = """
import ctypes
enter(journal, name(1))
child = ctypes.PyDLL(None).fork()
if child == 0:
    enter(journal, name(2))
    os._exit(0)
os.waitpid(child, 0)
enter(journal, name(3))
"""
    finish(run(program))
    assert {tuple(ids(scan(str(file)))) for file in (path / "journals").glob("*.jsonl")} == {(name(1), name(3)), (name(2),)}


def test_a_fork_while_threads_write_hangs_nobody(run: Callable[..., subprocess.Popen[str]], path: Path) -> None:
    """Children forked while other threads are in the middle of an append can record at once."""
    program = """
import warnings
warnings.simplefilter("ignore")
stop = []
def work(thread):
    number = 0
    while not stop:
        number += 1
        enter(journal, name(thread * 10**6 + number))
threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 5)]
for thread in threads: thread.start()
for child in range(30):
    pid = os.fork()
    if pid == 0:
        enter(journal, name(10**9 + child))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
stop.append(1)
for thread in threads: thread.join()
"""
    finish(run(program))
    assert {name(10**9 + child) for child in range(30)} <= set(ids(lines_of(path)))


# Descriptors and disks that are taken away


def test_closed_descriptors_are_survived(journal: Journal, path: Path) -> None:
    """A program that closes every number, as daemons do, loses no record."""
    enter(journal, name(1))
    for descriptor in (journal._pairs[0].line, journal._pairs[0].bin):
        os.close(descriptor)
    enter(journal, name(2))
    enter(journal, name(3))
    assert ids(lines_of(path)) == [name(1), name(2), name(3)]
    assert len(list((path / "journals").glob("*.jsonl"))) == 2


@pytest.mark.parametrize("which", ["line", "bin"])
def test_a_stolen_descriptor_is_left_alone(journal: Journal, path: Path, tmp_path: Path, which: str) -> None:
    """A number that now is a file of the program is neither written to nor closed."""
    enter(journal, name(1))
    stolen = getattr(journal._pairs[0], which)
    with open(tmp_path / "mine", "w+b") as mine:
        mine.write(b"precious")
        mine.flush()
        os.dup2(mine.fileno(), stolen)
        enter(journal, name(2))
        journal.close()
        assert os.fstat(stolen).st_size == len(b"precious")
        os.close(stolen)
    assert (tmp_path / "mine").read_bytes() == b"precious"
    assert ids(lines_of(path)) == [name(1), name(2)]


def test_a_child_leaves_stolen_descriptors_alone(run: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    """A forked child closes its parent's files only where the numbers still are these files."""
    program = f"""
enter(journal, name(1))
for stolen in (journal._pairs[0].line, journal._pairs[0].bin):
    os.dup2(os.open({str(tmp_path / "mine")!r}, os.O_RDWR | os.O_CREAT), stolen)
if os.fork() == 0:
    enter(journal, name(2))
    os.write(stolen, b"child")
    os._exit(0)
print(os.wait()[1])
"""
    assert finish(run(program)).strip() == "0"
    assert (tmp_path / "mine").read_bytes() == b"child"


def test_a_removed_store_is_made_anew(journal: Journal, path: Path) -> None:
    """When somebody removes the store, the next event lies in a new one."""
    enter(journal, name(1))
    shutil.rmtree(path)
    enter(journal, name(2))
    assert ids(lines_of(path)) == [name(2)]


def test_a_hard_link_disturbs_nobody(journal: Journal, path: Path, tmp_path: Path) -> None:
    """A backup that links the files does not make the writer begin anew."""
    enter(journal, name(1))
    for file in list((path / "journals").iterdir()):
        os.link(file, tmp_path / file.name)
    enter(journal, name(2))
    enter(journal, name(3))
    assert len(list((path / "journals").glob("*.jsonl"))) == 1


def test_a_limit_on_file_sizes_costs_one_record_only(run: Callable[..., subprocess.Popen[str]], path: Path) -> None:
    """Where the system cuts a write short, that record alone is lost, with an error; nothing of it stays, and the others are whole."""
    program = """
import resource
enter(journal, name(1))
lost = []
size = os.path.getsize(journal.paths()[0])
for limit in range(size + 1, size + 400, 7):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        enter(journal, name(limit), b"")
    except OSError:
        lost.append(name(limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    enter(journal, name(10**6 + limit))
    size = os.path.getsize(journal.paths()[0])
    if len(lost) > 30: break
print(len(lost))
"""
    program = program.replace("for limit in range(size + 1, size + 400, 7):", "for step in range(0, 400, 7):\n    limit = size + step")
    assert int(finish(run(program))) > 20
    found = ids(lines_of(path))
    assert len([id for id in found if str(id) >= name(10**6)]) > 20


def test_a_full_disk_costs_records_not_the_journal(tmp_path: Path, home: Path) -> None:
    """On a full disk appends raise; what was there stays whole, and with room again records go on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    program = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from ckpt._store.writer import Journal
from ckpt._store.store import Store
from ckpt._store.journal import part
journal = Journal({str(disk / "store")!r}, None)
def enter(id, data):
    body = '{{"event":"entered","id":"%016x","name":"f","module":"m","qualname":"f","keep":99999,"time":1.0,"parts":[[%d,"%s"]]}}'
    journal.append((body % (id, *part(data))).encode(), (data,))
written = failed = 0
for id in range(2000):
    try:
        enter(id, b"x" * 100)
        written += 1
    except OSError:
        failed += 1
before = [header.id for header in Store({str(disk / "store")!r}).headers()]
open({str(disk / "ballast")!r}, "rb").close()
os.unlink({str(disk / "ballast")!r})
enter(10**6, b"again")
store = Store({str(disk / "store")!r})
after = [header.id for header in store.headers()]
missing = [finding for finding in store.check() if "line" not in finding.what]
print(written, failed, len(before), len(after), len(missing))
"""
    (tmp_path / "program.py").write_text(program)
    steps = (
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)],
        ["dd", "if=/dev/zero", f"of={disk}/ballast", "bs=60000", "count=1", "status=none"],
        [sys.executable, f"{tmp_path}/program.py"],
    )
    shell = " && ".join(map(shlex.join, steps))
    done = subprocess.run(["unshare", "-Urm", "sh", "-c", shell], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode and "Traceback" not in done.stderr:
        pytest.skip(f"no file system of one's own here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    written, failed, before, after, missing = map(int, done.stdout.split())
    assert written > 100
    assert failed > 100
    assert before >= written
    assert after == before + 1
    assert missing == 0


def test_without_file_locks_a_journal_still_works(run: Callable[..., subprocess.Popen[str]], path: Path) -> None:
    """Where the system has no `fcntl`, records are written, and nobody claims to know who lives."""
    program = """
sys.modules["fcntl"] = None
from ckpt._store.files import is_held
enter(journal, name(1))
print(is_held(journal.paths()[0]))
"""
    assert finish(run(program)).strip() == "None"
    assert ids(lines_of(path)) == [name(1)]


# Rotation


def test_a_journal_that_is_mostly_dead_is_rewritten(path: Path) -> None:
    """A hundred thousand calls that nobody will ask for leave some kilobytes, and the newest ones whole."""
    journal = Journal(str(path), KEY, rotate=64 << 10)
    process = journal.share("process", b'{"argv":[]}')
    unused = journal.share("process", b'{"argv":["unused"]}')
    enter(journal, name(0), b"running", process=process, shared=[process])
    enter(journal, name(1), b"dead", process=unused, shared=[unused])
    leave(journal, name(1))
    for number in range(2, 30_000):
        enter(journal, name(number), b"%d" % number, process=process, shared=[process])
        leave(journal, name(number))
    assert sum(file.stat().st_size for file in (path / "journals").iterdir()) < 300 << 10
    lines = lines_of(path)
    wanted = [0, *range(29_990, 30_000)]
    found = {line.id: line for line in lines if line.event == "entered"}
    assert set(map(name, wanted)) <= found.keys()
    assert found[name(0)].read(0) == b"running"
    assert all(found[name(number)].read(0) == b"%d" % number for number in wanted[1:])
    assert [line.read(0) for line in lines if line.event == "shared"] == [b'{"argv":[]}']
    assert all(is_signed(KEY, line.fields()[2], line.fields()[1]) for line in lines)
    journal.close()


def test_threads_go_on_while_a_journal_is_rewritten(path: Path) -> None:
    """Eight threads that keep a journal rotating lose nothing that has to live, and a reader always sees what lives."""
    journal = Journal(str(path), KEY, rotate=16 << 10)
    enter(journal, name(10**9), b"running")
    missing: list[int] = []
    stop = threading.Event()

    def read() -> None:
        store, rounds = Store(path), 0
        while not stop.is_set():
            rounds += 1
            if not any(header.id == name(10**9) for header in store.headers()):
                missing.append(rounds)

    def work(thread: int) -> None:
        for number in range(1500):
            id = name(thread * 10**6 + number)
            journal.append(body_of("entered", id, (id.encode(),), qualname=f"f{thread}"), (id.encode(),), keep=(id, None, None))
            journal.append(body_of("returned", id, duration=0.0), keep=(id, ("job", f"f{thread}", "load", False), 10))

    reader = threading.Thread(target=read)
    reader.start()
    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    reader.join()
    assert missing == []
    found = {line.id: line for line in lines_of(path) if line.event == "entered"}
    for worker in range(8):
        for number in range(1490, 1500):
            id = name(worker * 10**6 + number)
            assert found[id].read(0) == id.encode()
    assert sum(file.stat().st_size for file in (path / "journals").iterdir()) < 300 << 10
    journal.close()


def test_linked_failures_share_their_bytes_through_a_rewrite(path: Path) -> None:
    """The failures of nested calls lie in the same bytes, before and after a rewrite, and the earlier record of the inner one is gone."""
    journal = Journal(str(path), KEY, rotate=16 << 10)
    failed = ("job", "load", "load", True)
    inner, outer = name(1), name(2)
    journal.append(body_of("failed", inner, (b"inner only",)), (b"inner only",), keep=(inner, failed, 10))
    both = b"both" * 100
    views = [(inner, body_of("failed", inner, (both,), view=[0, 1]))]
    journal.append(body_of("failed", outer, (both,)), (both,), keep=(outer, failed, 10), views=views, sync=True)
    for number in range(3, 1000):
        enter(journal, name(number))
        leave(journal, name(number))
    journal.close()
    lines = [line for line in lines_of(path) if line.event == "failed"]
    failures = {line.id: line for line in lines}
    assert len(lines) == 2
    assert b"inner only" not in b"".join(file.read_bytes() for file in (path / "journals").glob("*.bin"))
    assert failures[inner].fields()[0] == failures[outer].fields()[0]
    assert failures[inner].body["view"] == [0, 1]
    assert failures[inner].read(0) == failures[outer].read(0) == both


@pytest.mark.parametrize("trouble", [OSError(28, "No space left on device"), MemoryError()], ids=["no room", "no memory"])
def test_a_rewrite_that_fails_loses_nothing(trouble: Exception, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When there is no room for the new files the old ones stay and are written on; later the rewrite succeeds. No append fails."""
    journal = Journal(str(path), KEY, rotate=16 << 10)
    enter(journal, name(0), b"running")

    def full(*_: object, **__: object) -> None:  # a disk that is full for some files and not for others cannot be had for real
        raise trouble

    with monkeypatch.context() as patch:
        patch.setattr("ckpt._store.pair.create_file", full)
        for number in range(1, 200):
            enter(journal, name(number))
            leave(journal, name(number))
    with monkeypatch.context() as patch:
        patch.setattr("ckpt._store.writer.copy", full)
        for number in range(200, 600):
            enter(journal, name(number))
            leave(journal, name(number))
    assert {name(0), name(599)} <= set(ids(lines_of(path)))
    for number in range(600, 3000):
        enter(journal, name(number))
        leave(journal, name(number))
    assert {name(0), *map(name, range(2990, 3000))} <= set(ids(lines_of(path)))
    assert len(list((path / "journals").glob("*.jsonl"))) == 1
    journal.close()


def test_a_ctrl_c_as_a_journal_appears_leaves_nothing_half(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted when it has its name already, a new journal goes as a whole; the next event begins another."""
    journal = Journal(str(path), KEY)
    rename = os.rename

    def interrupted(*names: str) -> None:  # a signal that comes during a system call is handled right after it
        rename(*names)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            enter(journal, name(1))
    assert os.listdir(path / "journals") == []
    enter(journal, name(2))
    assert ids(lines_of(path)) == [name(2)]
    journal.close()


def test_kills_at_random_leave_every_earlier_record(run: Callable[..., subprocess.Popen[str]], path: Path) -> None:
    """Whatever a process had written when it is killed, its rewriting included, is whole."""
    program = """
for number in range(10**9):
    enter(journal, name(number), b"%d" % number)
    leave(journal, name(number))
    if number % 50 == 0:
        print(number, flush=True)
"""
    for attempt in range(12):
        process = run(program, rotate=8 << 10)
        assert process.stdout
        seen = int(process.stdout.readline())
        time.sleep(0.01 + 0.013 * attempt)
        process.kill()
        rest = process.stdout.read().split()
        finish(process, -signal.SIGKILL)
        seen = int(rest[-1] if rest and len(rest) > 1 else seen)
        store = Store(path)
        assert {finding.what for finding in store.check()} <= {"the last line is unfinished"}
        newest = store.headers()
        assert any(int(header.id, 16) >= seen for header in newest)
        for header in newest:
            entry = store.get(header.id).entry
            assert entry is not None
            assert entry.line.read(0) == b"%d" % int(header.id, 16)
        shutil.rmtree(path)
