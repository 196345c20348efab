"""Which captures may be opened: one's own, and those that were accepted; of others nothing is run, whatever asks for it."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
from pathlib import Path

import pytest

from ckpt._model.record import FAILED, Header
from ckpt._replaying.rehydrate import Capture
from ckpt._store import trust, trusted
from ckpt._store.journal import bin_of, bytes_of, decode, encode, part, scan
from ckpt._store.store import Store
from ckpt.errors import CkptError, DamagedError, StoreError, UntrustedError
from tests import processes
from tests.workplace import Project, last

HELPER = "def half(number):\n    return number / 2\n"
JOB = """
import ckpt
from helper import half


class Row:
    def __init__(self, number):
        self.number = number


@ckpt.ckpt
def total(rows, scale=1):
    return sum(half(row.number) for row in rows) * scale


if __name__ == "__main__":
    total([Row(1), Row("two")])
"""
#: Whatever is unpickled from it leaves a mark.
TRAP = "import os\n\n\nclass Trap:\n    def __reduce__(self):\n        return os.mkdir, ({path!r},)\n"


@pytest.fixture
def project(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with one failure, made by the user whose home is the project's directory, who is also that of this process."""
    made = Project(tmp_path / "project")
    made.write("helper.py", HELPER)
    made.write("job.py", JOB)
    assert made.python("job.py").returncode == 1
    monkeypatch.setenv("HOME", str(made.path))
    monkeypatch.setattr(trust, "_keys", {})
    return made


@pytest.fixture
def other(tmp_path: Path) -> dict[str, str]:
    """The environment of another user."""
    (tmp_path / "other").mkdir()
    return {"HOME": str(tmp_path / "other"), "USER": "other"}


def journal(store: Store) -> Path:
    """Return the `.jsonl` of a store that has one."""
    (path,) = (Path(store.path) / "journals").glob("*.jsonl")
    return path


def opened(store: Store) -> tuple[object, ...]:
    """Open the newest capture, and load all of it."""
    return opened_one(store, store.headers()[-1])


def opened_one(store: Store, header: Header) -> tuple[object, ...]:
    """Open a capture, and load all of it."""
    capture = Capture(store, header.id)
    texts = tuple(capture.stored.source(name) for name in sorted((capture.process.get("files") or {}).values()))
    frames = tuple(sorted(frame.locals) for frame in capture.frames)
    rows = tuple(vars(row)["number"] for row in capture.args[0])
    return rows, capture.kwargs, frames, str(capture.exception), texts, header.name, header.status


def test_own_captures_open_without_a_word(project: Project) -> None:
    """Who made a capture is not asked."""
    done = project.ckpt("run")
    assert done.returncode == 1
    assert last(done).startswith("same failure")
    assert "trust" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["run"],
        ["run", "--timeout", "20"],
        ["run", "--code", "captured"],
        ["run", "--debug"],
        ["run", "--shell", "--args"],
        ["run", "--watch"],
        ["run", "--bisect"],
        ["shell"],
        ["shell", "--args"],
        ["debug"],
        ["debug", "--start"],
        ["debug", "--code", "captured"],
        ["test", "-o", "test_it.py"],
    ],
    ids=" ".join,
)
def test_another_user_s_captures_are_refused(project: Project, other: dict[str, str], command: list[str]) -> None:
    """One line says who made it, the next how to accept it; nothing is imported, nothing is written."""
    project.write("helper.py", "import os; os.mkdir('imported')")
    (header,) = project.store.headers()
    done = project.ckpt(*command, **other)
    assert done.returncode == (128 if "--bisect" in command else 1)
    assert done.stdout == ""
    message, hint = done.stderr.splitlines()
    assert message.startswith(f"error: The capture {header.id} of 'total' is not signed with your key; it says that it was made on ")
    assert f" on {header.host!r} by " in message
    assert hint == f"hint: ckpt trust {header.id}"
    assert not (project.path / "imported").exists()
    assert not (project.path / "test_it.py").exists()


def test_what_a_capture_says_of_its_maker_is_short(project: Project, other: dict[str, str]) -> None:
    """However long the names are that its writer put there."""
    path = journal(project.store)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(forged(line, b'"user":"', b'"user":"' + b"x" * 100_000) for line in lines))
    done = project.ckpt("run", **other)
    assert "by 'xxx" in done.stderr
    assert len(done.stderr) < 1000


def test_replaying_all_opens_what_is_one_s_own(project: Project, other: dict[str, str]) -> None:
    """Among many, those of others are said to be no replay; the own ones are replayed."""
    assert project.python("job.py", HOME=other["HOME"]).returncode == 1
    done = project.ckpt("run", "--all", "--json")
    verdicts = [(each["verdict"], each["detail"]) for each in json.loads(done.stdout)]
    assert [verdict for verdict, _ in verdicts] == ["same failure", "cannot replay"]
    assert "is not signed with your key" in verdicts[1][1]


def test_from_python_another_user_s_captures_are_refused(project: Project, other: dict[str, str]) -> None:
    """`ckpt.load` raises before anything is opened; with `trust` it opens."""
    program = """
import ckpt

try:
    ckpt.load("total")
except ckpt.errors.UntrustedError as err:
    print(err.hint)
print(ckpt.load("total", trust=True).args[0][1].number)
"""
    done = project.python("-c", program, check=True, **other)
    assert done.stdout.splitlines() == [f"ckpt trust {project.store.headers()[0].id}", "two"]


def test_another_user_s_captures_can_be_looked_at(project: Project, other: dict[str, str]) -> None:
    """Lists, pages and differences of code open nothing; who made a capture stands on its page."""
    project.edit("helper.py", "/ 2", "/ 3")
    for command in (["info"], ["info", "--json"], ["show"], ["show", "--json"], ["sources"], ["diff"], ["check"]):
        done = project.ckpt(*command, **other)
        assert done.returncode == 0, done.stderr
        assert "error" not in done.stderr
    assert "+    return number / 3" in project.ckpt("diff", **other).stdout
    assert "ckpt trust" in project.ckpt("show", **other).stderr
    assert project.ckpt("show").stderr == ""


def test_arguments_of_others_are_not_compared(project: Project, other: dict[str, str]) -> None:
    """Between two captures the code is compared, and the arguments only with --trust: for that they have to be opened."""
    assert project.python("job.py").returncode == 1
    done = project.ckpt("diff", "total~1", "total", **other)
    assert done.returncode == 0
    assert "The arguments cannot be compared" in done.stdout
    assert "is not signed with your key" in done.stdout
    assert "compared" not in project.ckpt("diff", "total~1", "total", "--trust", **other).stdout


def test_trust_is_for_once(project: Project, other: dict[str, str]) -> None:
    """--trust opens a capture now, and is not remembered."""
    assert last(project.ckpt("run", "--trust", **other)).startswith("same failure")
    assert last(project.ckpt("run", "--trust", "--timeout", "20", **other)).startswith("same failure")
    assert "is not signed" in project.ckpt("run", **other).stderr


def test_what_was_accepted_is_remembered(project: Project, other: dict[str, str]) -> None:
    """`ckpt trust ID` lets that capture be opened from then on, and no other of the same store."""
    assert project.python("job.py").returncode == 1
    first, second = project.store.headers()
    done = project.ckpt("trust", first.id, **other)
    assert done.returncode == 0
    assert f"made on {first.host!r}" in done.stderr
    assert last(project.ckpt("run", first.id, **other)).startswith("same failure")
    assert f"hint: ckpt trust {second.id}" in project.ckpt("run", second.id, **other).stderr
    path = Path(other["HOME"]) / ".local/state/ckpt/trusted"
    assert path.stat().st_mode & 0o777 == 0o600
    kept = path.read_text()
    project.ckpt("trust", first.id, **other)
    assert path.read_text() == kept


def test_several_are_accepted_at_once_or_none(project: Project, other: dict[str, str]) -> None:
    """`ckpt trust` takes any number of names and ids; when one of them is no capture, none is accepted."""
    assert project.python("job.py").returncode == 1
    first, second = project.store.headers()
    assert "No capture is named 'nothing'" in project.ckpt("trust", first.id, "nothing", **other).stderr
    assert "is not signed" in project.ckpt("run", first.id, **other).stderr
    done = project.ckpt("trust", first.id, "total", **other)
    assert [line.split()[2] for line in done.stderr.splitlines()] == [first.id, second.id]
    for id in (first.id, second.id):
        assert last(project.ckpt("run", id, **other)).startswith("same failure")


def test_without_a_home_what_is_accepted_lies_where_the_key_does(project: Project, tmp_path: Path) -> None:
    """In this user's directory under the temporary one, and holds as long as that."""
    homeless = {"HOME": str(project.path / "nowhere"), "XDG_STATE_HOME": "", "TMPDIR": str(tmp_path)}
    hint = project.ckpt("run", **homeless).stderr.splitlines()[-1]
    assert hint == f"hint: ckpt trust {project.store.find().id}"
    assert project.ckpt(*hint.split()[2:], **homeless).returncode == 0
    assert last(project.ckpt("run", **homeless)).startswith("same failure")


def test_where_nothing_can_be_remembered_the_hint_is_one_that_works(project: Project) -> None:
    """The command to paste opens the capture this once."""
    nowhere = {"XDG_STATE_HOME": "/proc/none"}
    hint = project.ckpt("trust", "total", **nowhere).stderr.splitlines()[-1]
    assert hint == f"hint: ckpt debug {project.store.find().id} --trust"
    done = processes.ckpt(*hint.split()[2:], cwd=project.path, stdin="q\n", check=False, environ=project.environ | nowhere)
    assert done.returncode == 0, done.stderr


def test_hints_can_be_pasted_whatever_the_path(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A space or a quote in it splits no word."""
    home = project.path / "it's a state"
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    trust._keys.clear()
    assert trust.key()
    (home / "ckpt/key").chmod(0o644)
    hint = project.ckpt("run", XDG_STATE_HOME=str(home)).stderr.splitlines()[-1]
    subprocess.run(["sh", "-c", hint.removeprefix("hint: ")], check=True)
    assert (home / "ckpt/key").stat().st_mode & 0o777 == 0o600


def test_a_capture_that_is_changed_is_not_the_one_that_was_accepted(project: Project, other: dict[str, str]) -> None:
    """Acceptance goes by content, not by id."""
    (header,) = project.store.headers()
    project.ckpt("trust", header.id, **other)
    path = journal(project.store)
    path.write_bytes(b"".join(forged(piece, b'"name":"total"', b'"name":"toast"') for piece in path.read_bytes().splitlines(keepends=True)))
    assert "is not signed" in project.ckpt("run", header.id, **other).stderr


def test_a_list_that_others_can_write_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was accepted is believed only of a list that nobody else can change."""
    (header,) = project.store.headers()
    path = Path(trust.key_path() or "").parent / "trusted"
    trust._keys.clear()
    monkeypatch.setenv("XDG_STATE_HOME", str(project.path / "state"))
    stored = project.store.get(header.id)
    with pytest.raises(UntrustedError):
        trusted.check_trust(stored)
    trusted.accept(stored)
    trusted.check_trust(stored)
    path = project.path / "state/ckpt/trusted"
    path.chmod(0o622)
    with pytest.raises(StoreError, match="Others can write") as caught:
        trusted.check_trust(stored)
    assert caught.value.hint == f"rm {path}"


def test_a_key_that_others_can_read_opens_nothing(project: Project) -> None:
    """Somebody may have signed with it."""
    path = Path(trust.key_path() or "")
    path.chmod(0o644)
    done = project.ckpt("run")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"error: The key {str(path)!r} can be read by others.", f"hint: chmod 600 {path}"]


@pytest.mark.parametrize("place", ["", "journals", "objects"])
def test_a_store_that_others_can_write_is_not_one_s_own(project: Project, place: str) -> None:
    """What is signed may be exchanged there while it is read."""
    (project.path / ".pyckpt" / place).chmod(0o722)
    done = project.ckpt("run")
    assert "lies where others can write" in done.stderr
    assert last(project.ckpt("run", "--trust")).startswith("same failure")


@pytest.mark.skipif(hasattr(os, "getuid") and os.getuid() != 0, reason="only root can give a directory to another user")
def test_a_store_of_another_user_is_not_one_s_own(project: Project) -> None:
    """Not even when everything in it is signed."""
    os.chown(project.path / ".pyckpt", 12345, -1)
    assert "lies where others can write" in project.ckpt("run").stderr


def forged(piece: bytes, old: bytes, new: bytes) -> bytes:
    """Return a line of a journal with something in its body exchanged, its checksum right, its signature as it was."""
    (line,) = decode("x.jsonl", piece)
    at, signature, body = line.fields()
    return encode(body.replace(old, new), at, signature)


def test_every_byte_of_a_line_counts(project: Project) -> None:
    """A line with one byte changed, and a checksum that fits, opens nothing but what was recorded."""
    store = project.store
    told = opened(store)
    path = journal(store)
    data = path.read_bytes()
    lines = scan(str(path))
    refused = 0
    for line in lines:
        at, signature, body = line.fields()
        for place in range(len(body)):
            changed = bytearray(body)
            changed[place] ^= 1
            piece = encode(bytes(changed), at, signature)
            path.write_bytes(data[: line.offset] + piece + data[line.offset + len(line.piece) + 1 :])
            refused += is_refused_or(store, told)
    for _, place in ((line, place) for line in lines for place in range(8 + 3, 90)):
        changed = bytearray(data)
        changed[place] ^= 1
        path.write_bytes(changed)
        is_refused_or(store, told)
    path.write_bytes(data)
    assert opened(store) == told
    assert refused > sum(len(line.piece) for line in lines if line.event in {"entered", "failed"}) / 2


def is_refused_or(store: Store, told: tuple[object, ...]) -> bool:
    """Return whether what is there is refused by an error of ours; what is not must be what was recorded, or its entry alone."""
    refused = 0
    for header in store.headers():
        try:
            found = opened_one(store, header)
        except CkptError:
            refused += 1
            continue
        assert found == told or (found[:2] == told[:2] and header.status != FAILED)
    return bool(refused)


def test_every_byte_of_the_parts_counts(project: Project) -> None:
    """A manifest, a stream or a process record with one byte changed is damaged, and is not looked at."""
    store = project.store
    told = opened(store)
    path = Path(bin_of(str(journal(store))))
    data = path.read_bytes()
    places = [(line.fields()[0], bytes_of(line.body)) for line in scan(str(journal(store)))]
    used = [range(at, at + size) for at, size in places if at is not None]
    for place in (place for places in used for place in places):
        changed = bytearray(data)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(DamagedError):
            everything(store)
    path.write_bytes(data)
    assert opened(store) == told


def everything(store: Store) -> None:
    """Open the capture, and read what opening it as it failed does not need."""
    opened(store)
    (header,) = store.headers()
    stored = store.get(header.id)
    assert stored.entry is not None
    stored.entry.manifest()
    stored.entry.stream()
    assert stored.function is not None
    stored.function()


def test_every_byte_of_a_source_counts(project: Project) -> None:
    """Source that is not what was recorded is not compiled."""
    store = project.store
    told = opened(store)
    for path in (project.path / ".pyckpt" / "objects").glob("t-*"):
        data = path.read_bytes()
        for place in range(len(data)):
            changed = bytearray(data)
            changed[place] ^= 1
            path.write_bytes(changed)
            with pytest.raises(DamagedError):
                opened(store)
        path.write_bytes(data)
    assert opened(store) == told


def test_a_large_stream_is_checked_before_it_is_unpickled(tmp_path: Path, home: Path) -> None:
    """A stream that lies in a file of its own is compared with what was signed first."""
    project = Project(tmp_path / "project")
    call = "count([str(number) for number in range(400_000)])"
    project.write("job.py", f"import ckpt\n\n\n@ckpt.ckpt\ndef count(words):\n    return len(words)\n\n\n{call}\n")
    assert project.python("job.py").returncode == 0
    (path,) = [path for path in (project.path / ".pyckpt/objects").glob("t-*") if path.stat().st_size > 1 << 20]
    mark = tmp_path / "mark"

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(mark),)

    path.write_bytes(pickle.dumps(Trap()).ljust(path.stat().st_size, b"\0"))
    done = project.ckpt("run")
    assert done.returncode == 1
    assert "is not what was written" in done.stderr
    assert not mark.exists()


def test_a_rewrite_signs_nothing_of_others(project: Project, other: dict[str, str]) -> None:
    """Records that somebody planted in a store are as foreign after its upkeep as before, and the own ones stay one's own."""
    own = project.store.headers()[0].id
    assert project.python("job.py", HOME=other["HOME"]).returncode == 1
    (foreign,) = (header.id for header in project.store.headers() if header.id != own)
    ours, theirs = sorted((project.path / ".pyckpt/journals").glob("*.jsonl"))
    plant(ours, theirs)
    for _ in range(3):
        assert project.python("job.py").returncode == 1
    project.ckpt("clear", project.store.headers()[-1].id)
    assert project.store.maintain(thorough=True)
    assert "is not signed" in project.ckpt("run", foreign).stderr
    assert last(project.ckpt("run", own)).startswith("same failure")


def planted(project: Project) -> set[str]:
    return {header.id for header in project.store.headers()}


def plant(ours: Path, theirs: Path) -> None:
    """Append another's records to one's own journal, as if its owner had written them."""
    mine, bytes_ = Path(bin_of(str(ours))), Path(bin_of(str(theirs)))
    end = mine.stat().st_size
    with ours.open("ab") as lines, mine.open("ab") as parts:
        parts.write(bytes_.read_bytes())
        for line in scan(str(theirs)):
            at, signature, body = line.fields()
            if line.event not in {"opened", "closed"}:
                lines.write(encode(body, None if at is None else at + end, signature))
    theirs.unlink()
    bytes_.unlink()


def test_a_running_owner_carries_what_was_planted_without_signing_it(tmp_path: Path, home: Path, other: dict[str, str]) -> None:
    """When a process rewrites its own journal, lines that somebody slipped in keep the signature that they have not."""
    project = Project(tmp_path / "project")
    project.write("helper.py", HELPER)
    project.write("job.py", JOB)
    assert project.python("job.py", HOME=other["HOME"]).returncode == 1
    (foreign,) = planted(project)
    program = """
import sys, pathlib
import ckpt
from tests.test_trusted import plant

@ckpt.ckpt(keep=2)
def fill(data):
    return len(data)

fill(b"")
theirs, ours = sorted(pathlib.Path(".pyckpt/journals").glob("*.jsonl"))
plant(ours, theirs)
for number in range(400):
    fill(bytes(60_000))
"""
    done = project.python("-c", program, check=True)
    assert done.stderr == ""
    assert sum(path.stat().st_size for path in (project.path / ".pyckpt/journals").iterdir()) < 20_000_000  # it was rewritten
    if foreign in planted(project):
        assert "is not signed" in project.ckpt("run", foreign).stderr
    assert last(project.ckpt("run", "fill")).startswith("still passes")


def test_a_store_copied_elsewhere_is_refused_there(project: Project, tmp_path: Path, other: dict[str, str]) -> None:
    """A copy is as foreign to another user as the store is, and one's own to whoever made it."""
    copy = tmp_path / "copy"
    shutil.copytree(project.path / ".pyckpt", copy)
    assert "is not signed" in project.ckpt("--ckpt-dir", copy, "run", **other).stderr
    assert last(project.ckpt("--ckpt-dir", copy, "run")).startswith("same failure")


def test_a_signed_line_is_read_by_itself(project: Project, tmp_path: Path) -> None:
    """Lines around one that is signed cannot make it say something else: what is signed is what is read."""
    store, path = project.store, journal(project.store)
    lines = scan(str(path))
    signed = next(line for line in lines if line.event == "entered")
    mark = tmp_path / "mark"

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(mark),)

    parts = [signed.read(0), pickle.dumps({"args": [Trap()], "kwargs": {}})]
    forged = {**signed.body, "id": "e" * 16, "parts": [part(each) for each in parts]}
    bytes_path = Path(bin_of(str(path)))
    at = bytes_path.stat().st_size
    bytes_path.write_bytes(bytes_path.read_bytes() + b"".join(parts))
    _, signature, body = signed.fields()
    before = b'{"a":1},' + json.dumps(forged, separators=(",", ":")).encode() + b",[0"
    others = [encode(line.fields()[2], line.fields()[0], line.fields()[1]) for line in lines if line.id is None]
    path.write_bytes(b"".join([*others, encode(before, None, ""), encode(body, at, signature), encode(b"0]", None, "")]))
    with pytest.raises(CkptError):
        store.get("e" * 16)
    with pytest.raises(CkptError):
        opened_one(store, store.headers()[-1])
    assert not mark.exists()


@pytest.fixture
def checkpoint(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint of this user's."""
    monkeypatch.setattr(trust, "_keys", {})
    path = tmp_path / "points"
    Project(tmp_path).python(
        "-c",
        f"from ckpt.checkpoints import checkpoint, config; config('mine.rows', {str(path)!r}); checkpoint('mine.rows', [1, 2])",
        check=True,
        HOME=str(home),
    )
    (file,) = path.rglob("*.ckpt")
    return file


def test_checkpoints_of_others_are_refused(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint in the package's own format is loaded by whoever wrote it, and by others with `trust`."""
    from ckpt import checkpoints

    assert checkpoints.load(checkpoint) == {"data": [1, 2]}
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    with pytest.raises(UntrustedError, match="is not signed with your key"):
        checkpoints.load(checkpoint)
    assert checkpoints.load(checkpoint, trust=True) == {"data": [1, 2]}
    assert checkpoints.header(checkpoint).name == "mine.rows"


def test_every_byte_of_a_checkpoint_counts(checkpoint: Path) -> None:
    """A file with one byte changed is refused or is what was written."""
    from ckpt import checkpoints

    data = checkpoint.read_bytes()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        checkpoint.write_bytes(changed)
        try:
            assert checkpoints.load(checkpoint) == {"data": [1, 2]}
        except CkptError:
            continue
    checkpoint.write_bytes(data)
    assert checkpoints.load(checkpoint) == {"data": [1, 2]}


def test_a_forged_checkpoint_is_refused(checkpoint: Path) -> None:
    """A stream that was exchanged, with all its sums right, is not unpickled."""
    from ckpt import checkpoints

    stream = pickle.dumps(["forged"])
    data = checkpoint.read_bytes()
    lines = data.split(b"\n")
    (line,) = decode("x", lines[1] + b"\n")
    at, signature, body = line.fields()
    record = json.loads(body)
    manifest = data[-sum(length for length, _ in record["parts"]) :][: record["parts"][0][0]]
    record["parts"][1] = list(part(stream))
    front = lines[0] + b"\n" + encode(json.dumps(record, separators=(",", ":")).encode(), at, signature) + b"\n"
    checkpoint.write_bytes(front.ljust(len(front) + -len(front) % 64, b"\n") + manifest + stream)
    with pytest.raises(UntrustedError):
        checkpoints.load(checkpoint)
    assert checkpoints.load(checkpoint, trust=True) == "forged" or checkpoints.load(checkpoint, trust=True) == {"data": "forged"}
