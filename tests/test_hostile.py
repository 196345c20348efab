"""Stores that somebody else has filled: whatever stands in them, a command answers, or says in one line why not."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpt._cli.app import main
from ckpt._model import codec
from ckpt._model.record import Json
from ckpt._store import location, trust
from ckpt._store.journal import Line, bin_of, encode, part, scan
from ckpt._store.store import Store
from ckpt.errors import CkptError, StoreError
from tests.workplace import Project

JOB = """
import ckpt
from helper import Row


@ckpt.ckpt
def total(rows, scale=1):
    try:
        return sum(row.number for row in rows) * scale
    except TypeError as error:
        raise ValueError("no total") from error


@ckpt.ckpt
def count(rows):
    return len(rows)


with ckpt.tags(iteration=1):
    count([Row(1)])
    total([Row(1), Row("two")])
"""
HELPER = "class Row:\n    def __init__(self, number):\n        self.number = number\n"
#: Bytes that a terminal would act on; a newline ends a line of ours.
ACTS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
LOOKING = (
    ("info",),
    ("info", "--json"),
    ("info", "total"),
    ("show",),
    ("show", "--json"),
    ("show", "--threads"),
    ("show", "count"),
    ("sources",),
    ("diff",),
    ("check",),
)
#: Opening is refused, since nothing that was changed is signed.
OPENING = (("run",), ("run", "--all"), ("debug", "--debugger", "pdb"), ("shell",), ("run", "--code", "captured"))
HOSTILE: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, -1, 2**31, 2**63, 2**64, 10**400, 1e308, -1e308, 1e-320]),
    st.sampled_from(
        ["", "\x1b[31mred\x1b[0m", "[red]x[/red]", "[/]", "\r\x08", "../../../etc/passwd", "/etc/passwd", "a" * 100_000, "\ud800", "\0"]
    ),
    st.sampled_from(["~", "$(touch X)", "{0}", "%s", "-x", "t-" + "0" * 64, "b-0-" + "0" * 16, "b-" + "f" * 16 + "-" + "0" * 16]),
    st.text(max_size=20),
    st.sampled_from([[], {}, [[]], [None], {"": None}, [[[[[[[[]]]]]]]], [0] * 1000]),
    st.just(json.loads("[" * 60 + "]" * 60)),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to everything in a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a JSON value with `new` at a place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], new)
    return copy


class Forger:
    """Writes a store anew, with something in it exchanged and every sum right."""

    def __init__(self, store: Path) -> None:
        (journal,) = (store / "journals").glob("*.jsonl")
        self.journal = journal
        self.records: list[tuple[str, Json, list[bytes]]] = [
            (line.fields()[1], line.body, self._parts(line)) for line in scan(str(journal))
        ]
        #: What can be exchanged: a place in a body, or in a part that is JSON.
        self.targets = [
            (number, which, path)
            for number, (_, body, parts) in enumerate(self.records)
            for which, value in [(-1, body), *((index, _json(part)) for index, part in enumerate(parts))]
            if value is not None
            for path in places(value)
        ]

    @staticmethod
    def _parts(line: Line) -> list[bytes]:
        return [line.read(index) for index in range(len(line.body.get("parts", ())))]

    def write(self, target: tuple[int, int, tuple[Any, ...]], new: Any) -> None:
        """Write the store with `new` at one place."""
        lines, data = b"", b""
        names: dict[str, str] = {}
        for number, (signature, old_body, old_parts) in enumerate(self.records):
            body, parts = old_body, old_parts
            if number == target[0]:
                body, parts = _forged(old_body, old_parts, target[1:], new, names)
            raw = json.dumps(body, separators=(",", ":"))
            for old, replaced in names.items():  # what refers to the part goes along
                raw = raw.replace(old, replaced)
            lines += encode(raw.encode(), len(data) if parts else None, signature)
            data += b"".join(parts)
        self.journal.write_bytes(lines)
        Path(bin_of(str(self.journal))).write_bytes(data)


def _forged(
    body: Json, parts: list[bytes], target: tuple[int, tuple[Any, ...]], new: Any, names: dict[str, str]
) -> tuple[Json, list[bytes]]:
    """Return a record with something in its body or in one of its parts exchanged; `names` learns what that part is called now."""
    which, path = target
    if which < 0:
        return changed(body, path, new), parts
    forged = json.dumps(changed(_json(parts[which]), path, new)).encode()
    names[part(parts[which])[1]] = part(forged)[1]
    parts = [*parts[:which], forged, *parts[which + 1 :]]
    return {**body, "parts": [list(part(each)) for each in parts]}, parts


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a capture that returned and one that failed."""
    project = Project(tmp_path_factory.mktemp("planted"))
    project.write("helper.py", HELPER)
    project.write("job.py", JOB)
    assert project.python("job.py").returncode == 1
    return project


@pytest.fixture
def command(planted: Project, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Runs the command line in this process, on the planted store, as another user."""
    monkeypatch.setattr(trust, "_keys", {})
    monkeypatch.chdir(planted.path)
    hooks = sys.excepthook, sys.displayhook

    def run(*arguments: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        location.set_ckpt_dir(None)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(["--ckpt-dir", str(planted.path / ".pyckpt"), *arguments])
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        return code, out.getvalue(), err.getvalue()

    yield run
    sys.excepthook, sys.displayhook = hooks
    location.set_ckpt_dir(None)


def test_any_field_may_be_anything(planted: Project, command: Callable[..., tuple[int, str, str]]) -> None:
    """Whatever one field of a line, a manifest or a process record holds, a command answers or complains in one line.

    Nothing of it reaches a terminal that would act on it, and nothing is opened.
    """
    forger = Forger(planted.path / ".pyckpt")

    @settings(
        max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], database=None
    )
    @given(target=st.sampled_from(forger.targets), new=HOSTILE, looks=st.sampled_from(LOOKING), opens=st.sampled_from(OPENING))
    def check(target: tuple[int, int, tuple[Any, ...]], new: Any, looks: tuple[str, ...], opens: tuple[str, ...]) -> None:
        forger.write(target, new)
        code, out, err = command(*looks)
        assert code in {0, 1}, (out, err)
        assert code == 0 or "error: " in err or looks == ("check",), (out, err)
        assert not ACTS.search(out + err)
        code, out, err = command(*opens)
        assert code == 1
        assert "is not signed with your key" in err or err.startswith(("error: ", "1/")), err
        assert not ACTS.search(out + err)
        assert "Traceback" not in err

    before = sorted(os.listdir(planted.path))
    try:
        check()
    finally:
        forger.write((-2, -1, ()), None)
    assert sorted(os.listdir(planted.path)) == before
    assert {header.name for header in planted.store.headers()} == {"count", "total"}


def test_any_field_may_be_exported(planted: Project, command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """Whatever one field holds, the captures leave in a file, with a word about those that do not, and the file is sound or refused."""
    forger = Forger(planted.path / ".pyckpt")
    file = str(tmp_path / "x.ckpt")

    @settings(
        max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], database=None
    )
    @given(target=st.sampled_from(forger.targets), new=HOSTILE, bare=st.booleans())
    def check(target: tuple[int, int, tuple[Any, ...]], new: Any, bare: bool) -> None:
        forger.write(target, new)
        code, out, err = command("export", "*", "-o", file, "--force", *(["--no-values"] if bare else []))
        assert code == 0 or err.startswith("error: "), (out, err)
        assert not ACTS.search(out + err)
        if code == 0:
            shutil.rmtree(tmp_path / "store", ignore_errors=True)
            code, out, err = command("--ckpt-dir", str(tmp_path / "store"), "import", file)
            assert code == 0 or err.startswith("error: "), (out, err)
            assert not ACTS.search(out + err)

    try:
        check()
    finally:
        forger.write((-2, -1, ()), None)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(
    name=st.one_of(
        st.text(max_size=40),
        st.sampled_from(["../x", "total~99", "total~" + "9" * 5000, "~", "~0", "a" * 5000, "\ud800", "[", "*", "**", "[!"]),
    )
)
def test_any_name_may_be_asked_for(planted: Project, name: str) -> None:
    """A name that no capture has is an error of ours, whatever it is made of."""
    with contextlib.suppress(CkptError):
        planted.store.find(name)


@settings(max_examples=300, deadline=None, database=None)
@given(places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_broken_stream_is_damaged(places: list[tuple[float, int]]) -> None:
    """A stream of plain values in which bytes were exchanged loads as something, or raises `DamagedError`; memory stays what it was."""
    stream = bytearray(
        codec.encode(
            {"rows": [{"name": f"n{number}", "value": number / 7, "tags": ("a", b"b")} for number in range(20)]}, [], codec.Limits()
        ).stream
    )
    for where, byte in places:
        stream[int(where * len(stream))] = byte
    with bounded_memory(), contextlib.suppress(CkptError):
        codec.decode(bytes(stream))


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """Let what asks for more than a few GB fail, so that a test does not take the machine with it."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (16 << 30, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.parametrize("kind", ["fifo", "link", "directory", "socket"])
@pytest.mark.parametrize(
    "name", ["journals/x.jsonl", "journals/x.bin", "objects/t-" + "0" * 64, "existing.jsonl", "existing.bin", ".gitignore"]
)
def test_what_is_no_file_is_neither_waited_for_nor_followed(
    planted: Project, tmp_path: Path, command: Callable[..., tuple[int, str, str]], kind: str, name: str
) -> None:
    """A FIFO, a link, a directory or a socket in the place of a file hangs no command, and what a link points to is not read."""
    import socket

    store = tmp_path / "store"
    shutil.copytree(planted.path / ".pyckpt", store)
    secret = tmp_path / "secret"
    secret.write_text("secret\n" * 100)
    path = store / name
    if name.startswith("existing"):
        (path,) = (store / "journals").glob("*" + Path(name).suffix)
    if path.exists():
        path.unlink()
    with contextlib.ExitStack() as stack:
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "link":
            path.symlink_to(secret)
        elif kind == "directory":
            path.mkdir()
        else:
            bound = stack.enter_context(socket.socket(socket.AF_UNIX))
            with contextlib.chdir(path.parent):  # the path of a socket is short
                bound.bind(path.name)
        for arguments in (*LOOKING, ("run",), ("clear", "--yes")):
            code, out, err = command("--ckpt-dir", str(store), *arguments)
            assert code in {0, 1}
            assert code == 0 or "error: " in err or arguments == ("check",)
            assert "secret" not in out + err.replace(str(tmp_path), "")
    assert secret.read_text() == "secret\n" * 100


@pytest.mark.parametrize("name", ["journals", "objects"])
def test_a_store_whose_directories_are_links_is_not_used(
    planted: Project, tmp_path: Path, command: Callable[..., tuple[int, str, str]], name: str
) -> None:
    """What lies behind one is neither read nor changed, and one line says so."""
    store = tmp_path / "store"
    shutil.copytree(planted.path / ".pyckpt", store)
    (store / name).rename(tmp_path / "aim")
    (store / name).symlink_to(tmp_path / "aim")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "aim").iterdir()}
    file = str(tmp_path / "x.ckpt")
    assert command("export", "*", "-o", file)[0] == 0
    changing = (("clear", "--yes"), ("trust", "total"), ("export", "--last", "1", "-o", f"{file}2"), ("import", file))
    for arguments in (*LOOKING, *OPENING, *changing):
        code, out, err = command("--ckpt-dir", str(store), *arguments)
        assert (code, out) == (1, ""), arguments
        error, hint = err.splitlines()
        assert error == f"error: The store {str(store)!r} cannot be used: {str(store / name)!r} is a link."
        assert hint.startswith("hint: ")
    with pytest.raises(StoreError):
        Store(store).maintain(thorough=True)
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "aim").iterdir()} == before


def record_of(forger: Forger, kind: str) -> tuple[int, Json]:
    """Return the number of the first record of an event, or of a shared one of a kind, and its body."""
    return next((number, body) for number, (_, body, _) in enumerate(forger.records) if kind in {body["event"], body.get("kind")})


@pytest.fixture
def forged_store(planted: Project) -> Iterator[Forger]:
    """Forges the planted store, which is as it was afterwards."""
    forger = Forger(planted.path / ".pyckpt")
    yield forger
    forger.write((-2, -1, ()), None)


def test_no_module_is_imported_to_tell_its_version(
    planted: Project, forged_store: Forger, command: Callable[..., tuple[int, str, str]]
) -> None:
    """What a process record names as a package is looked for, and no package around it is imported for that."""
    sys.modules.pop("this", None)
    number, _ = record_of(forged_store, "process")
    forged_store.write((number, 0, ("packages",)), {"this.x": "1", "": "1", ".": "1", "..": "2"})
    assert command("diff")[0] == 0
    assert "this" not in sys.modules


@pytest.mark.parametrize("kind", ["fifo", "endless"])
def test_files_that_records_name_are_not_waited_for(
    planted: Project, forged_store: Forger, command: Callable[..., tuple[int, str, str]], tmp_path: Path, kind: str
) -> None:
    """A difference to today's code is told of regular files alone."""
    path = "/dev/zero"
    if kind == "fifo":
        path = str(tmp_path / "fifo")
        os.mkfifo(path)
    number, _ = record_of(forged_store, "process")
    text = next(iter(json.loads(forged_store.records[number][2][0])["files"].values()))
    forged_store.write((number, 0, ("files",)), {path: text})
    code, out, err = command("diff")
    assert (code, f"{path}: gone" in out) == (0, True), err


@pytest.mark.parametrize(
    ("kind", "path", "new"),
    [
        ("entered", ("keep",), 0.5),
        ("failed", ("keep",), 0.5),
        ("entered", ("time",), 10**400),
        ("entered", ("time",), 2**63),
        ("entered", ("id",), "$(touch X)"),
        ("process", ("limits",), {"": None, "x": 10**400}),
        ("process", ("path",), ["\0"]),
    ],
)
def test_fields_of_a_kind_of_their_own(
    forged_store: Forger, command: Callable[..., tuple[int, str, str]], kind: str, path: tuple[str, ...], new: Any
) -> None:
    """Numbers that are none here, and ids that a shell would run, are passed over, and every command answers."""
    number, _ = record_of(forged_store, kind)
    forged_store.write((number, 0 if kind == "process" else -1, path), new)
    for looks in (*LOOKING, *OPENING):
        code, out, err = command(*looks)
        assert code in {0, 1}
        assert "Traceback" not in err
        assert "touch" not in out + err


def test_a_length_that_is_no_whole_number_is_damage(
    planted: Project, forged_store: Forger, command: Callable[..., tuple[int, str, str]]
) -> None:
    """Of a process record too."""
    number, body = record_of(forged_store, "process")
    forged_store.write((number, -1, ("parts", 0, 0)), float(body["parts"][0][0]))
    for looks in LOOKING:
        assert command(*looks)[0] in {0, 1}


def test_a_snapshot_of_a_capture_stays_below_where_it_is_unpacked(
    planted: Project, forged_store: Forger, command: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """Names of modules that are none give no file its place."""
    import zipfile

    number, _ = record_of(forged_store, "process")
    file = next(iter(json.loads(forged_store.records[number][2][0])["files"]))
    forged_store.write((number, 0, ("modules",)), {"/etc/x": file, "..": file})
    output = str(tmp_path / "code.zip")
    assert command("snapshot", "from", "-o", output)[0] == 0
    names = zipfile.ZipFile(output).namelist()
    assert not [name for name in names if name.startswith("/") or ".." in name]


def test_a_small_manifest_makes_no_long_page(planted: Project, forged_store: Forger, command: Callable[..., tuple[int, str, str]]) -> None:
    """Entries that refer to the same frame, and frames to the same code, again and again, cost neither memory nor time."""
    number, _ = record_of(forged_store, "failed")
    manifest = json.loads(forged_store.records[number][2][0])
    entry = manifest["exceptions"][0]["traceback"][0]
    manifest["exceptions"][0]["traceback"] = [entry] * 50_000
    manifest["frames"][0]["locals"] *= 5_000
    forged_store.write((number, 0, ()), manifest)
    code, out, err = command("show")
    assert (code, out) == (1, "")
    assert "it would be too long to be shown" in err
    manifest = {"codes": [{"parameters": ["a"] * 50_000}], "frames": [{"code": 0}] * 50_000}
    forged_store.write((number, 0, ()), manifest)
    assert "it would be too long to be shown" in command("show", "--json")[2]


def test_what_is_opened_without_trust_waits_for_no_file(
    forged_store: Forger, command: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A capture that says it holds no values opens whoever made it: nothing that it names is waited for, read without end or loaded."""
    number, _ = record_of(forged_store, "failed")
    manifest = json.loads(forged_store.records[number][2][0])
    fifo = str(tmp_path / "fifo")
    os.mkfifo(fifo)
    for code in manifest["codes"]:
        code.update(file=fifo, source=None)
    forged_store.write((number, 0, ()), manifest)
    path = forged_store.journal
    path.write_bytes(b"".join(_without_values(line) for line in scan(str(path))))
    monkeypatch.setattr(sys, "stdin", io.StringIO("list\nwhere\nq\n"))
    code, out, err = command("debug", "--debugger", "pdb")
    assert (code, fifo in out) == (0, True), err
    assert "Traceback" not in err


def _without_values(line: Line) -> bytes:
    at, signature, body = line.fields()
    return encode(body[:-1] + b',"values":false}', at, signature)


def test_a_huge_file_that_takes_no_room_costs_no_memory(
    planted: Project, command: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """Journals and source texts beyond any size that ckpt writes are not read."""
    store = tmp_path / "store"
    shutil.copytree(planted.path / ".pyckpt", store)
    for path in (store / "journals" / "x.jsonl", *(store / "objects").glob("t-*")):
        path.touch()
        os.truncate(path, 1 << 40)
    with bounded_memory():
        assert command("--ckpt-dir", str(store), "info")[0] == 0
        assert command("--ckpt-dir", str(store), "show")[0] == 0
        assert "is not what was written" in command("--ckpt-dir", str(store), "diff")[2]


def test_a_forged_length_costs_no_memory(planted: Project, tmp_path: Path) -> None:
    """Sizes are compared with those of the files before anything is read: a part of an exabyte is damaged."""
    store = tmp_path / "store"
    shutil.copytree(planted.path / ".pyckpt", store)
    forger = Forger(store)
    for number, (_, body, parts) in enumerate(forger.records):
        for index in range(len(parts)):
            forger.write((number, -1, ("parts", index, 0)), 1 << 60)
            found = Store(store).check()
            assert found, body
