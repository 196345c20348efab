"""Captures in one file that goes from one machine to another: what is in it, what becomes of it, and what is refused."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpt._cli import report
from ckpt._model.record import Json
from ckpt._store import trust, vetting
from ckpt._store.archive import front, padding, places
from ckpt._store.capture_file import CaptureFile
from ckpt._store.exporting import export
from ckpt._store.importing import import_file
from ckpt._store.journal import encode, part
from ckpt._store.store import Store
from ckpt._store.stripping import Hide
from ckpt.errors import CkptError, DamagedError, NotFoundError, StoreError, UsageError
from tests import processes
from tests.workplace import Project, last

ROOT = Path(__file__).resolve().parent.parent
#: The command line under a limit, and with a line that says how much memory it took, in kB.
LIMITED = "import resource, sys; resource.setrlimit(resource.{0}, ({1}, {1})); from ckpt._cli.app import main; main(sys.argv[1:])"
MEASURED = """
import resource, sys
from ckpt._cli.app import main
try:
    main(sys.argv[1:])
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
#: More than any file of these tests.
ENOUGH = 1 << 30

MODELS = """
class Account:
    def __init__(self, owner, cents):
        self.owner, self.cents = owner, cents

    def __repr__(self):
        return f"Account({self.owner!r}, {self.cents})"

    def euros(self):
        return self.cents / 100


class Refused(Exception):
    pass
"""
BANK = """
import ckpt
from shop.models import Account, Refused


@ckpt.ckpt
def pay(account, amounts):
    total = int(amounts.sum())
    return check(account, total)


def check(account, total):
    rest = account.cents - total
    if rest < 0:
        raise Refused(f"{account.owner} in {__file__}")
    return rest
"""
JOB = """
import sys
import numpy
import ckpt
from shop.bank import Account, pay


class Basket:
    items = 3


@ckpt.ckpt
def order(basket, account, amounts):
    return pay(account, amounts)


@ckpt.ckpt
def count(basket):
    return basket.items


if __name__ == "__main__":
    count(Basket())
    order(Basket(), Account("ann", 100), numpy.arange(20_000))
"""


@dataclass(frozen=True)
class Machine(Project):
    """Another machine: another user with another home, in a directory that has nothing of the project's."""

    home: Path = Path()

    @property
    def environ(self) -> dict[str, str]:
        own = {"HOME": str(self.home), "XDG_STATE_HOME": str(self.home / "state"), "USER": "bob"}
        return own | {"PYCKPT_DIR": str(self.path / ".pyckpt"), "COLUMNS": "200", "IPYTHONDIR": str(self.home / "ipython")}

    def debug(self, *arguments: str, typed: str) -> subprocess.CompletedProcess[str]:
        """Open the plain debugger, and type into it."""
        command = ("debug", "--debugger", "pdb", *arguments)
        return processes.ckpt(*command, cwd=self.path, stdin=typed, check=False, environ=self.environ)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with a package, whose script has failed in a call inside another."""
    made = Project(tmp_path / "work" / "bank")
    made.write("shop/__init__.py", "")
    made.write("shop/models.py", MODELS)
    made.write("shop/bank.py", BANK)
    made.write("job.py", JOB)
    assert made.python("job.py", "--colour", "hunter2").returncode == 1
    return made


@pytest.fixture
def elsewhere(tmp_path: Path) -> Machine:
    """Another machine."""
    for directory in ("there", "bobs"):
        (tmp_path / directory).mkdir()
    return Machine(tmp_path / "there", tmp_path / "bobs")


def exported(project: Project, *arguments: str, name: str = "bug.ckpt") -> Path:
    """Export from a project and return the file."""
    done = project.ckpt("export", *arguments, "-o", name)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{project.path / name}\n"
    return project.path / name


def names(store: Store) -> list[str]:
    return [header.name for header in store.headers()]


# From one machine to another


def test_a_failure_is_debugged_where_no_file_of_its_project_is(project: Project, elsewhere: Machine) -> None:
    """With ckpt and the same packages alone: the captured source, the variables, classes of the project with their methods."""
    file = exported(project)
    shutil.move(file, elsewhere.path / "bug.ckpt")
    shutil.rmtree(project.path)
    done = elsewhere.ckpt("import", "bug.ckpt")
    assert done.returncode == 0
    assert "pay   failed" in done.stdout
    assert "1 capture imported into" in done.stderr
    assert "is not signed with your key" in done.stderr
    assert "Refused: ann in" in elsewhere.ckpt("show").stdout
    for command in ("debug", "shell", "run"):
        refused = elsewhere.ckpt(command)
        assert refused.returncode == 1
        assert "is not signed with your key" in refused.stderr
    session = elsewhere.debug("--trust", typed="p account, account.euros()\nll\nu\np amounts[:3].tolist(), type(amounts)\nw\nq\n")
    assert "(Account('ann', 100), 1.0)" in session.stdout
    assert "    rest = account.cents - total" in session.stdout
    assert "([0, 1, 2], <class 'numpy.ndarray'>)" in session.stdout
    assert "order(Basket(), Account(" in session.stdout
    assert session.stderr == "note: imported, so the project's code is the captured one; --code current takes that of this machine\n"


def test_the_shell_has_the_variables_too(project: Project, elsewhere: Machine) -> None:
    """Once the capture is accepted, without an option."""
    file = exported(project, "order")
    shutil.move(project.path, project.path.with_name("gone"))
    elsewhere.ckpt("import", project.path.with_name("gone") / file.name)
    assert elsewhere.ckpt("trust", "order").returncode == 0
    done = processes.ckpt("shell", cwd=elsewhere.path, stdin="account.euros() + basket.items\nexit\n", environ=elsewhere.environ)
    assert "Out[1]: 4.0" in done.stdout


def test_a_checkout_elsewhere_is_replayed(project: Project, elsewhere: Machine) -> None:
    """`run` takes today's code: there is none where the project was, --code names where it is here, or the captured."""
    file = exported(project, "pay")
    shutil.copytree(project.path, elsewhere.path / "checkout", ignore=shutil.ignore_patterns(".pyckpt"))
    shutil.move(project.path, project.path.with_name("gone"))
    elsewhere.ckpt("import", project.path.with_name("gone") / file.name)
    done = elsewhere.ckpt("run", "--trust")
    assert last(done).startswith("cannot replay: There is no module 'shop.bank' today.")
    assert "hint: --code FOLDER, where the project lies on this machine, or --code captured\n" in done.stderr
    assert last(elsewhere.ckpt("run", "--trust", "--code", "captured")).startswith("same failure: shop.models.Refused")
    assert last(elsewhere.ckpt("run", "--trust", "--code", "checkout")).startswith("same failure: shop.models.Refused")
    Project(elsewhere.path / "checkout").edit("shop/bank.py", "rest < 0", "rest == 0")
    assert last(elsewhere.ckpt("run", "--trust", "--code", "checkout")).startswith("fixed: ")
    assert "+    if rest == 0:" in Machine(elsewhere.path / "checkout", elsewhere.home).ckpt("--ckpt-dir", "../.pyckpt", "diff").stdout


def test_the_same_user_opens_what_comes_back(project: Project, tmp_path: Path) -> None:
    """Signatures travel unchanged: an own capture is one's own in any store, and where it was only described before."""
    exported(project, "pay", "--no-values", name="bare.ckpt")
    exported(project, "pay")
    assert project.ckpt("--ckpt-dir", tmp_path / "second", "import", "bare.ckpt").returncode == 0
    done = project.ckpt("--ckpt-dir", tmp_path / "second", "import", "bug.ckpt")
    assert "signed" not in done.stderr
    assert last(project.ckpt("--ckpt-dir", tmp_path / "second", "run")).startswith("same failure")


def test_nothing_is_signed_for_another(project: Project, elsewhere: Machine) -> None:
    """What bob hands on bears the signatures that it had, and is as foreign to its third owner as it was to him."""
    file = exported(project)
    before = {line.fields()[1:] for line in CaptureFile(str(file)).lines if line.event != "carried"}
    elsewhere.ckpt("import", file)
    again = exported(elsewhere, "pay", name="again.ckpt")
    assert {line.fields()[1:] for line in CaptureFile(str(again)).lines if line.event != "carried"} == before
    elsewhere.ckpt("--ckpt-dir", "third", "import", again)
    assert "is not signed" in elsewhere.ckpt("--ckpt-dir", "third", "run").stderr


def test_what_is_not_there_is_loaded_from_the_capture_only_to_look(project: Project, elsewhere: Machine) -> None:
    """--code current has no classes of the project, and says so in their places."""
    file = exported(project)
    shutil.move(project.path, project.path.with_name("gone"))
    elsewhere.ckpt("import", project.path.with_name("gone") / file.name)
    session = elsewhere.debug("--trust", "--code", "current", typed="p account\nq\n")
    assert "shop.models cannot be imported" in session.stdout
    assert session.stderr == ""


def test_modules_of_the_same_name_are_told(project: Project, elsewhere: Machine) -> None:
    """Python takes today's code: a module that is another one here than it was there is named in the notes, one that is the same is not."""
    elsewhere.ckpt("import", exported(project, "pay"))
    shutil.move(project.path, project.path.with_name("gone"))
    shutil.copytree(project.path.with_name("gone") / "shop", elsewhere.path / "shop")
    look = "import ckpt\ncapture = ckpt.load('pay', trust=True)\ncapture.exception\nprint(*capture.notes, sep='\\n')"
    assert "shop" not in elsewhere.python("-c", look, check=True).stdout
    elsewhere.edit("shop/models.py", "cents / 100", "cents // 100")
    told = f"the module shop.models is that of {elsewhere.path / 'shop/models.py'}, which is not as captured"
    assert elsewhere.python("-c", look, check=True).stdout.splitlines() == [told]


def test_statuses_are_those_of_where_the_capture_came_from(project: Project, elsewhere: Machine) -> None:
    """A call whose process died is `died` elsewhere, one that still ran is `unknown`: no lock is asked that is not there."""
    project.write("dies.py", "import os, sys, ckpt\n@ckpt.ckpt\ndef dies(): os._exit(3)\ndies()\n")
    project.python("dies.py")
    project.write("waits.py", "import sys, ckpt\n@ckpt.ckpt\ndef waits():\n    print('in', flush=True)\n    sys.stdin.read()\nwaits()\n")
    waiting = subprocess.Popen(
        [sys.executable, "waits.py"],
        cwd=project.path,
        env=processes.environment(project.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert waiting.stdout
    assert waiting.stdout.readline() == "in\n"
    done = project.ckpt("export", "dies", "waits", "count", "-o", "bug.ckpt")
    assert "still runs: the file holds its arguments" in done.stderr
    elsewhere.ckpt("import", project.path / "bug.ckpt")
    told = {header.name: header.status for header in elsewhere.store.headers()}
    assert told == {"count": "returned", "dies": "died", "waits": "unknown"}
    waiting.communicate()
    assert elsewhere.store.maintain(thorough=True)
    assert {header.name: header.status for header in elsewhere.store.headers()} == told
    assert last(elsewhere.ckpt("run", "dies", "--trust", "--code", "captured")).startswith("same failure: its process died again")


# Which captures, and into which file


def test_names_patterns_and_ids_choose(project: Project) -> None:
    """As everywhere: a name means its newest failure, `~1` the one before; a pattern all that fit; without any, the newest failure."""
    project.python("job.py")
    store = project.store

    def chosen(*arguments: str) -> list[str]:
        file = exported(project, *arguments, "--force")
        return [trace.id for trace in CaptureFile(str(file)).traces()]

    ids = {name: [header.id for header in store.headers() if header.name == name] for name in ("order", "pay", "count")}
    assert chosen() == [store.find().id]
    assert chosen("order") == ids["order"][1:]
    assert chosen("order~1") == ids["order"][:1]
    assert chosen(ids["pay"][0], "count~1") == [ids["count"][0], ids["pay"][0]]
    assert chosen("*o*r") == ids["order"]
    assert sorted(chosen("o*", "shop.*")) == sorted(ids["order"] + ids["pay"])
    assert chosen("shop.bank.pay", "pay") == ids["pay"][1:]
    done = project.ckpt("export", "nothing*", "-o", "none.ckpt")
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "error: No capture's name fits 'nothing*'.")
    assert not (project.path / "none.ckpt").exists()


def test_the_last_ones_are_failures_first(project: Project) -> None:
    """--last N takes the newest, and a failure before the calls that returned after it."""
    project.python("-c", "import job; [job.count(job.Basket()) for _ in range(3)]")

    def statuses(*arguments: str) -> list[str]:
        file = CaptureFile(str(exported(project, *arguments, "--force")))
        return sorted(file.get(trace.id).header.status for trace in file.traces())

    assert statuses("--last", "1") == ["failed"]
    assert statuses("--last", "3") == ["failed", "failed", "returned"]
    assert statuses("--last", "2", "count") == ["returned"] * 2
    assert len(statuses("--last", "100")) == len(project.store.headers())


def test_the_file_is_private_and_whole(project: Project) -> None:
    """It is this user's alone whatever the umask, and nothing else is left in the directory."""
    before = set(os.listdir(project.path))
    old = os.umask(0)
    try:
        file = exported(project)
    finally:
        os.umask(old)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(os.listdir(project.path)) - before == {"bug.ckpt"}
    assert CaptureFile(str(file)).check() == []


def test_nothing_is_replaced_unasked(project: Project, tmp_path: Path) -> None:
    """A file that is there stays, unless --force; what is no file stays in any case."""
    (project.path / "bug.ckpt").write_text("mine")
    done = project.ckpt("export", "-o", "bug.ckpt")
    assert (done.returncode, (project.path / "bug.ckpt").read_text()) == (2, "mine")
    assert "hint: --force replaces it" in done.stderr
    assert project.ckpt("export", "-o", "bug.ckpt", "--force").returncode == 0
    (tmp_path / "aim").write_text("mine")
    (project.path / "link").symlink_to(tmp_path / "aim")
    (project.path / "loose").symlink_to(tmp_path / "nothing")
    os.mkfifo(project.path / "fifo")
    for name in ("shop", "link", "loose", "fifo"):
        for force in ([], ["--force"]):
            done = project.ckpt("export", "-o", name, *force)
            assert done.returncode == 2, name
            assert len(done.stderr.splitlines()) == 2
    assert (tmp_path / "aim").read_text() == "mine"
    assert not (tmp_path / "nothing").exists()
    done = project.ckpt("export", "-o", "nowhere/bug.ckpt")
    assert done.stderr == f"error: {str(project.path / 'nowhere/bug.ckpt')!r} cannot be written: No such file or directory.\n"


def test_what_is_damaged_is_not_exported(project: Project) -> None:
    """Nothing is written when an object is not what it was, or is gone."""
    (buffer,) = (project.path / ".pyckpt/objects").glob("b-*")
    buffer.write_bytes(b"x" * buffer.stat().st_size)
    done = project.ckpt("export", "-o", "bug.ckpt")
    assert done.returncode == 1
    assert "is not what was written" in done.stderr
    buffer.unlink()
    assert "is missing" in project.ckpt("export", "-o", "bug.ckpt").stderr
    assert list(project.path.glob("*.ckpt*")) == []
    assert list(project.path.glob(".ckpt*")) == []


def test_what_is_whole_is_exported(project: Project) -> None:
    """A damaged capture is left out, with a line that says why; that is an error only for one that was named, and when none is left."""
    whole = {header.id for header in project.store.headers() if header.name == "count"}
    (buffer,) = (project.path / ".pyckpt/objects").glob("b-*")
    kept = buffer.read_bytes()
    for spoil in (lambda: buffer.write_bytes(b"x" * len(kept)), buffer.unlink):
        spoil()
        for code, arguments in ((0, ["*"]), (0, ["--last", "9"]), (1, ["count", "pay"])):
            done = project.ckpt("export", *arguments, "-o", "bug.ckpt", "--force")
            assert done.returncode == code
            assert {trace.id for trace in CaptureFile(str(project.path / "bug.ckpt")).traces()} == whole
            left_out = [line for line in done.stderr.splitlines() if line.startswith("warning: The capture ")]
            assert len(left_out) == 2 - code
            assert all(re.search(r" is left out: The object 'b-.*' is (not what was written|missing)\.$", line) for line in left_out)
            assert done.stderr.splitlines()[-1] == "hint: ckpt check"
        done = project.ckpt("export", "order", "pay", "-o", "none.ckpt")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: None of 2 captures is whole; of the first: The object 'b-")
    assert not (project.path / "none.ckpt").exists()
    exported(project, "*", "--no-values", name="bare.ckpt")


def test_captures_whose_bytes_are_gone_are_left_out(project: Project) -> None:
    """A journal without its other half is not taken for one that is being rewritten for ever."""
    project.python("-c", "import job; job.count(job.Basket())", check=True)
    first, second = sorted((project.path / ".pyckpt/journals").glob("*.bin"))
    first.unlink()
    done = project.ckpt("export", "--last", "9", "-o", "bug.ckpt")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(" is left out: ") == 3
    assert len(CaptureFile(str(project.path / "bug.ckpt")).traces()) == 1
    second.unlink()
    assert "None of 4 captures is whole" in project.ckpt("export", "*", "-o", "none.ckpt").stderr


def test_nothing_to_export_is_no_failure_of_a_job(project: Project) -> None:
    """`--last N` of no captures writes nothing and exits with 0, unless a file from before could be taken for it; a name must be there."""
    empty = {"PYCKPT_DIR": str(project.path / "empty")}
    done = project.ckpt("export", "--last", "5", "-o", "bug.ckpt", **empty)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"nothing to export: there are no captures in {project.path / 'empty'}, and no file is written\n"
    assert project.ckpt("export", "-o", "bug.ckpt", **empty).returncode == 1
    assert project.ckpt("export", "job*", "--last", "5", "-o", "bug.ckpt", **empty).returncode == 1
    assert not (project.path / "bug.ckpt").exists()
    exported(project)
    for force in ([], ["--force"]):
        done = project.ckpt("export", "--last", "5", "-o", "bug.ckpt", *force, **empty)
        assert done.returncode == 1
        assert "'bug.ckpt' is from before." in done.stderr


def test_nested_failures_are_there_once(project: Project) -> None:
    """The calls inside one another share their bytes in the file as they do in the store."""
    alone, both = (exported(project, *names, "--force").stat().st_size for names in (["order"], ["order", "pay"]))
    assert both < alone + 5000


# Into a store


@pytest.fixture
def file(project: Project) -> Path:
    """A file with every capture of the project."""
    return exported(project, "*")


@pytest.fixture
def empty(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The store of another user, which is sound when the test is over."""
    monkeypatch.setattr(trust, "_keys", {})
    made = Store(tmp_path / "empty")
    yield made
    if made._journal is not None:
        made._journal.close()
    assert Store(made.path).check() == []


def test_to_import_twice_changes_nothing(file: Path, empty: Store) -> None:
    """The second time says that all is there, and writes nothing."""
    first = import_file(empty, str(file), limit=ENOUGH)
    assert [header.name for header in first.placed] == ["count", "order", "pay"]
    before = {path: path.read_bytes() for path in Path(empty.path).rglob("*") if path.is_file()}
    again = import_file(Store(empty.path), str(file), limit=ENOUGH)
    assert (again.placed, [header.name for header in again.known]) == ([], ["count", "order", "pay"])
    assert {path: path.read_bytes() for path in Path(empty.path).rglob("*") if path.is_file()} == before


def test_the_command_says_what_it_did(project: Project, file: Path, elsewhere: Machine) -> None:
    """What was placed on standard output, the rest on standard error."""
    exported(project, "pay", name="one.ckpt")
    done = elsewhere.ckpt("import", project.path / "one.ckpt")
    assert len(done.stdout.splitlines()) == 2
    done = elsewhere.ckpt("import", file)
    assert [line.split()[1] for line in done.stdout.splitlines()[1:]] == ["count", "order"]
    assert "2 captures imported into" in done.stderr
    assert "; 1 capture was there already" in done.stderr
    done = elsewhere.ckpt("import", file)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"nothing new: 3 captures were there already, in {elsewhere.path / '.pyckpt'}\n"


def test_another_capture_under_the_same_id_is_refused(project: Project, file: Path, empty: Store) -> None:
    """And none of the file's captures is placed."""
    id = project.store.find("pay").id
    empty.journal().append(json.dumps({"event": "entered", "id": id, "name": "other", "time": 1.0}).encode(), sync=True)
    with pytest.raises(StoreError, match=r"Another capture in .* has the id") as caught:
        import_file(empty, str(file), limit=ENOUGH)
    assert caught.value.hint.startswith("ckpt clear ")
    assert names(empty) == ["other"]


def test_values_take_the_place_of_their_descriptions(project: Project, file: Path, elsewhere: Machine) -> None:
    """All captures of the full file at once; the public one adds nothing afterwards, and the store is sound."""
    bare = exported(project, "*", "--no-values", name="bare.ckpt")
    assert elsewhere.ckpt("import", bare).returncode == 0
    done = elsewhere.ckpt("import", file)
    assert "3 captures imported into" in done.stderr, done.stderr
    store = elsewhere.store
    assert len(store.headers()) == 3
    assert all(store.get(header.id).has_values for header in store.headers())
    assert [header.host for header in store.headers()] == [header.host for header in project.store.headers()]
    assert elsewhere.ckpt("import", bare).stderr.startswith("nothing new: 3 captures were there already")
    assert store.check() == []
    assert store.maintain(thorough=True)
    assert all(store.get(header.id).has_values for header in store.headers())
    assert not [path for path in Path(store.path, "journals").iterdir() if b'"values":false' in path.read_bytes()]
    assert store.check() == []


def test_hints_name_the_store_that_was_given(project: Project, file: Path, elsewhere: Machine) -> None:
    """Pasted as they are, they work."""
    elsewhere.ckpt("--ckpt-dir", "other store", "import", file)
    hint = elsewhere.ckpt("--ckpt-dir", "other store", "run", "pay").stderr.splitlines()[-1]
    assert hint.startswith("hint: ckpt --ckpt-dir 'other store' trust ")
    assert elsewhere.ckpt("--ckpt-dir", "other store", "trust", hint.split()[-1]).returncode == 0
    assert elsewhere.ckpt("show", "nothing").stderr.splitlines()[-1] == "hint: ckpt info"


def test_names_that_stay_without_values_are_told(project: Project) -> None:
    """Short and common ones stay in texts, and neither the command nor its help promises otherwise."""
    hide = Hide({"cwd": "/w", "path": [], "user": "root", "host": "vm"}, {}, "/root")
    assert hide("root at vm") == "root at vm"
    done = project.ckpt("export", "pay", "--no-values", "-o", "bare.ckpt")
    assert "sources as written, short or common names of user and host stay" in done.stderr


def test_imported_captures_take_nobody_s_place(project: Project, elsewhere: Machine) -> None:
    """However many there are, own captures stay, and the imported ones stay however many own ones follow."""
    project.write("many.py", "import ckpt\n@ckpt.ckpt(keep=30)\ndef many(n):\n    return n\n")
    elsewhere.write("many.py", "import ckpt\n@ckpt.ckpt(keep=2)\ndef many(n):\n    return n\n")
    project.python("-c", "import many; [many.many(n) for n in range(12)]", check=True)
    elsewhere.python("-c", "import many; [many.many(n) for n in range(2)]", check=True)
    elsewhere.ckpt("import", exported(project, "many*"))
    assert len(elsewhere.store.headers()) == 14
    elsewhere.python("-c", "import many; [many.many(n) for n in range(9)]", check=True)
    assert elsewhere.store.maintain(thorough=True)
    assert len(elsewhere.store.headers()) == 14
    assert elsewhere.ckpt("clear", "--yes").stderr == "14 captures deleted\n"
    assert elsewhere.store.headers() == []


def test_what_had_to_go_comes_back(home: Path, tmp_path: Path) -> None:
    """A capture that fell out of its own store, and is imported there again, is there again."""
    project = Project(tmp_path / "project")
    project.write("one.py", "import ckpt\n@ckpt.ckpt(keep=1)\ndef one(n):\n    return n\n")
    for number in (1, 2):
        project.python("-c", f"import one; one.one({number})", check=True)
        exported(project, "one", name=f"{number}.ckpt")
    assert len(project.store.headers()) == 1
    assert "1 capture imported" in project.ckpt("import", "1.ckpt").stderr
    assert [header.returned and header.returned["text"] for header in project.store.headers()] == ["1", "2"]
    assert project.store.maintain(thorough=True)
    assert len(project.store.headers()) == 2


def test_what_was_cleared_can_be_imported_again(file: Path, empty: Store) -> None:
    """It comes back, values and all."""
    for _ in range(2):
        import_file(empty, str(file), limit=ENOUGH)
        assert names(empty) == ["count", "order", "pay"]
        assert empty.clear([header.id for header in empty.headers()]) == 3
        assert names(empty) == []
        assert empty._journal
        empty._journal.close()
        empty = Store(empty.path)
    import_file(empty, str(file), limit=ENOUGH)
    assert empty.check() == []


def test_buffers_that_look_alike_stay_what_they_are(project: Project, elsewhere: Machine) -> None:
    """Two large arrays of one name, which is made of samples, are two in the store that gets both, and in a file from there."""
    text = "import sys, numpy, ckpt\na = numpy.zeros(1 << 20, 'u1')\na[1200] = int(sys.argv[1])\n"
    project.write("same.py", text + "@ckpt.ckpt\ndef same(data):\n    return 1\nsame(a)\n")
    for number in ("1", "2"):
        project.python("same.py", number, check=True, PYCKPT_DIR=str(project.path / number))
        done = project.ckpt("--ckpt-dir", number, "export", "same", "-o", f"{number}.ckpt")
        assert done.returncode == 0, done.stderr
        elsewhere.ckpt("import", project.path / f"{number}.ckpt")
    assert len(list((elsewhere.path / ".pyckpt/objects").glob("b-*"))) == 2
    assert elsewhere.store.check() == []
    again = exported(elsewhere, "sam*", name="again.ckpt")
    assert CaptureFile(str(again)).check() == []
    third = {"PYCKPT_DIR": str(elsewhere.path / "third")}
    elsewhere.ckpt("import", again, **third)
    look = "import ckpt; print([int(ckpt.load(each['id'], trust=True).args[0][1200]) for each in ckpt.captures()])"
    for environ in ({}, third):
        assert elsewhere.python("-c", look, check=True, **environ).stdout == "[1, 2]\n"
    assert elsewhere.store.maintain(thorough=True)
    assert elsewhere.python("-c", look, check=True).stdout == "[1, 2]\n"


def test_an_import_ends_whole_or_not_at_all(file: Path, tmp_path: Path, home: Path) -> None:
    """Killed at any call that changes a file, it has placed nothing or everything, and the store is sound."""
    program = """
import os, sys, traceback
from ckpt._store.importing import import_file
from ckpt._store.store import Store

def die_at(number):
    left = [number]
    def counted(real):
        def call(*args, **kwargs):
            left[0] -= 1
            if not left[0]:
                os._exit(9)
            return real(*args, **kwargs)
        return call
    for name in ("write", "pwrite", "rename", "link", "unlink", "fsync", "mkdir", "utime"):
        setattr(os, name, counted(getattr(os, name)))

for number in range(1, 300):
    child = os.fork()
    if not child:
        code = 1
        try:
            die_at(number)
            import_file(Store(f"{sys.argv[1]}/{number}"), sys.argv[2], limit=1 << 30)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(number, code, flush=True)
    if code != 9:
        break
"""
    done = processes.python("-c", program, str(tmp_path), str(file), cwd=tmp_path)
    codes = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert [code for _, code in codes] == [9] * (len(codes) - 1) + [0], done.stderr
    assert len(codes) > 30
    outcomes = set()
    for number, _ in codes:
        store = Store(tmp_path / str(number))
        outcomes.add(len(store.headers()))
        assert {finding.what for finding in store.check()} <= {"the last line is unfinished"}
        import_file(store, str(file), limit=ENOUGH)
        assert len(store.headers()) == 3
        if store._journal is not None:
            store._journal.close()
    assert outcomes == {0, 3}


def test_an_import_loses_nothing_that_was_there(project: Project, file: Path, elsewhere: Machine) -> None:
    """Whichever line of it fails, or is the last before a SIGKILL: descriptions are there until the values are, and own captures stay."""
    program = """
import os, shutil, signal, sys
import ckpt._store.importing as importing
from ckpt._store.store import Store

store, file, kind = sys.argv[1:]

def run(path, last):
    count = 0
    def on_line(frame, event, argument):
        nonlocal count
        if event == "line":
            count += 1
            if count == last:
                if kind == "SIGKILL":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise MemoryError(kind)
        return on_line
    sys.settrace(lambda frame, event, argument: on_line if "/ckpt/_store/" in frame.f_code.co_filename else None)
    try:
        importing.import_file(Store(path), file, limit=1 << 30)
    finally:
        sys.settrace(None)
    return count

shutil.copytree(store, f"{store}-{kind}-all")
total = run(f"{store}-{kind}-all", 0)
for step in range(48):
    path = f"{store}-{kind}-{step}"
    shutil.copytree(store, path)
    sys.stdout.flush()
    child = os.fork()
    if not child:
        try:
            run(path, 1 + step * (total - 1) // 47)
        except MemoryError:
            os._exit(7)
        finally:
            os._exit(0)
    print(path, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    elsewhere.write("own.py", "import ckpt\n@ckpt.ckpt\ndef own(n):\n    return n\nown(1)\n")
    elsewhere.python("own.py", check=True)
    assert elsewhere.ckpt("import", exported(project, "*", "--no-values", name="bare.ckpt")).returncode == 0
    outcomes = set()
    for kind, code in (("SIGKILL", -9), ("MemoryError", 7)):
        done = processes.python("-c", program, elsewhere.store.path, file, kind, cwd=elsewhere.path, environ=elsewhere.environ)
        steps = [line.rsplit(" ", 1) for line in done.stdout.splitlines()]
        assert sum(ended == str(code) for _, ended in steps) > 40, done.stderr
        for path, _ in steps:
            store = Store(path)
            assert names(store) == ["count", "order", "pay", "own"], path
            found = [store.get(header.id) for header in store.headers()]
            assert all(moment.manifest() for stored in found for moment in (stored.entry, stored.failure) if moment)
            assert {finding.what for finding in store.check()} <= {"the last line is unfinished"}
            outcomes.add(tuple(stored.has_values for stored in found))
    assert outcomes == {(False, False, False, True), (True, True, True, True)}


def test_a_full_or_forbidden_store_is_said(file: Path, tmp_path: Path, home: Path) -> None:
    """One line, and nothing is placed."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        import_file(Store(tmp_path / "file"), str(file), limit=ENOUGH)
    limited = LIMITED.format("RLIMIT_FSIZE", 4096)
    done = processes.python("-c", limited, "--ckpt-dir", "full", "import", str(file), cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"error: The captures cannot be placed in .*: File too large\.\n", done.stderr)
    assert Store(tmp_path / "full").headers() == []


def test_more_than_a_store_may_hold_is_refused(file: Path, elsewhere: Machine) -> None:
    """The quota in `pyproject.toml` holds for what comes in, however small a sparse file is on the disk."""
    elsewhere.write("pyproject.toml", "[tool.ckpt]\nquota = '20kB'\n")
    done = elsewhere.ckpt("import", file)
    assert "more than the 20000 that a store may hold" in done.stderr
    assert not (elsewhere.path / ".pyckpt").exists()


# Large and hostile files


def test_large_buffers_are_never_in_memory(tmp_path: Path, home: Path) -> None:
    """Export and import of a hundred megabytes take no more memory than those of a few bytes."""
    project = Project(tmp_path / "project")
    text = "import sys, numpy, ckpt\n@ckpt.ckpt\ndef job(data):\n    return 1\njob(numpy.arange(int(sys.argv[1]), dtype='u1'))\n"
    project.write("job.py", text)
    took = []
    for size in ("100", "100000000"):
        environ = {"PYCKPT_DIR": str(project.path / size)}
        project.python("job.py", size, check=True, **environ)
        sent = project.python("-c", MEASURED, "export", "-o", f"{size}.ckpt", check=True, **environ)
        got = project.python("-c", MEASURED, "--ckpt-dir", f"in{size}", "import", f"{size}.ckpt", check=True)
        took.append([int(done.stdout.splitlines()[-1]) for done in (sent, got)])
    assert [large - small < 60_000 for small, large in zip(*took, strict=True)] == [True, True], took


def test_a_huge_sparse_file_costs_nothing(file: Path, tmp_path: Path, home: Path) -> None:
    """Lines without end, and a terabyte of nothing, are refused in bounded memory."""
    endless = tmp_path / "endless.ckpt"
    endless.write_bytes(b'{"crc":"')
    os.truncate(endless, 1 << 40)
    longer = tmp_path / "longer.ckpt"
    shutil.copy(file, longer)
    os.truncate(longer, 1 << 40)
    limited = LIMITED.format("RLIMIT_AS", 2 << 30)
    for path, what in ((endless, "is damaged: its lines do not end"), (longer, "more than the")):
        config = tmp_path / "pyproject.toml"
        config.write_text(f"[tool.ckpt]\nquota = {10**13 if path == endless else 10**10}\n")
        done = processes.python("-c", limited, "--ckpt-dir", "store", "import", str(path), cwd=tmp_path, check=False)
        assert done.returncode == 1
        assert what in done.stderr
        assert len(done.stderr.splitlines()) <= 2


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("nothing", "cannot be read: No such file"),
        ("directory", "is not a regular file"),
        ("fifo", "is not a regular file"),
        ("loose link", "cannot be read: No such file"),
        ("device", "is not a regular file"),
        ("empty", "is empty"),
        ("text", "is not a .ckpt file"),
        ("zip", "is not a .ckpt file"),
        ("half", "damaged|not there|do not end"),
        ("tail", "is damaged: 1000 bytes at its end belong to nothing"),
        ("checkpoint", "makes no sense|does not write|holds no captures"),
    ],
)
def test_what_is_no_exported_file_is_said_in_one_line(file: Path, elsewhere: Machine, kind: str, what: str) -> None:
    """Whatever lies there: an error of one line, no waiting, and no store is made for it."""
    path = elsewhere.path / "bug.ckpt"
    data = file.read_bytes()
    make: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "directory": path.mkdir,
        "fifo": lambda: os.mkfifo(path),
        "loose link": lambda: path.symlink_to("nowhere"),
        "device": lambda: path.symlink_to("/dev/zero"),
        "empty": path.touch,
        "text": lambda: path.write_text("hello\n" * 1000),
        "zip": lambda: path.write_bytes(b"PK\x03\x04" + bytes(1000)),
        "half": lambda: path.write_bytes(data[: len(data) // 2]),
        "tail": lambda: path.write_bytes(data + bytes(-len(data) % 64) + b"x" * 1000),
        "checkpoint": lambda: shutil.copy(ROOT / "tests/golden/format-1.ckpt", path),
    }
    make[kind]()
    done = elsewhere.ckpt("import", "bug.ckpt")
    assert done.returncode == 1
    assert re.search(what, done.stderr)
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] in (["error"], ["error", "hint"])
    assert not (elsewhere.path / ".pyckpt").exists()


class Forged:
    """A capture file that is written anew with something in it exchanged, and every sum right."""

    def __init__(self, file: Path) -> None:
        found = CaptureFile(str(file))
        self.records = [
            (line.body, [line.read(index) for index in range(len(line.body.get("parts") or ()))], line.fields()[1]) for line in found.lines
        ]
        self.objects = {name: bytes(found.map(name)) for name in found.names()}
        #: Where the objects are said to lie; None for where they do.
        self.places: dict[str, Any] | None = None

    def change(self, event: str, **fields: Any) -> Forged:
        """Give the first record of an event other fields."""
        body = next(body for body, _, _ in self.records if body["event"] == event)
        body |= fields
        return self

    def add(self, **body: Any) -> Forged:
        """Add a record."""
        self.records.append((body, [], ""))
        return self

    def write(self, path: Path) -> str:
        lines, data = [], b""
        for body, parts, signature in self.records:
            lines.append(encode(json.dumps(body, separators=(",", ":")).encode(), len(data) if parts else None, signature))
            data += b"".join(parts)
        where = places({name: len(held) for name, held in self.objects.items()}, len(data))
        for held in self.objects.values():
            data += padding(len(data)) + held
        path.write_bytes(front(lines, where | (self.places or {}), lambda body: "") + data)
        return str(path)


def test_too_little_memory_is_said_in_one_line(file: Path, tmp_path: Path, home: Path) -> None:
    """What takes more memory than there is ends with an error, whoever asked for it."""
    forged = Forged(file)
    body, parts, _ = next(record for record in forged.records if record[0]["event"] == "failed")
    parts[0] = b'{"arguments":[' + b"[]," * 10_000_000 + b"0]}"
    body["parts"][0] = list(part(parts[0]))
    large = forged.write(tmp_path / "large.ckpt")
    limited = LIMITED.format("RLIMIT_AS", 400 << 20)
    done = processes.python("-c", limited, "--ckpt-dir", "store", "import", large, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: There is not enough memory for that.\n")
    assert Store(tmp_path / "store").headers() == []


def a_name_out_of_the_store(forged: Forged) -> None:
    name = next(name for name in forged.objects if name.startswith("t-"))
    forged.objects["../../" + name] = forged.objects.pop(name)


def a_name_that_only_begins_like_one(forged: Forged) -> None:
    name = next(name for name in forged.objects if name.startswith("b-"))
    forged.objects[name + "-1/../../../x"] = forged.objects[name]


def objects_over_one_another(forged: Forged) -> None:
    name = next(name for name in forged.objects if name.startswith("b-"))
    at = sum(len(part) for _, parts, _ in forged.records for part in parts)
    where = places({each: len(held) for each, held in forged.objects.items()}, at)[name]
    forged.places = {f"{name}-{number}": where for number in range(1, 50)}


def another_object(forged: Forged) -> None:
    name = next(name for name in forged.objects if name.startswith("t-"))
    forged.objects[name] = b"import os; os.abort()".ljust(len(forged.objects[name]))


def a_part_that_is_another(forged: Forged) -> None:
    _, parts, _ = next(record for record in forged.records if record[0]["event"] == "failed")
    parts[0] = parts[0].replace(b"{", b"[", 1)


def a_manifest_without_end(forged: Forged) -> None:
    body, parts, _ = next(record for record in forged.records if record[0]["event"] == "failed")
    parts[0] = b'{"arguments":' + b"[" * 100_000
    body["parts"][0] = list(part(parts[0]))


def a_function_for_a_process(forged: Forged) -> None:
    for body, _, _ in forged.records:
        body.update({"kind": "function"} if body.get("kind") == "process" else {})


def a_process_record_that_is_none(forged: Forged) -> None:
    body, parts, _ = next(record for record in forged.records if record[0].get("kind") == "process")
    old = body["parts"][0][1]
    parts[0] = b"[]"
    body["parts"][0] = list(part(parts[0]))
    for other, _, _ in forged.records:
        if other.get("process") == old:
            other["process"] = body["parts"][0][1]


HARM: dict[str, Callable[[Forged], object]] = {
    "clears captures": lambda forged: forged.add(event="cleared", ids=["0" * 16]),
    "ends a process": lambda forged: forged.add(event="closed"),
    "an unknown event": lambda forged: forged.add(event="run", id="0" * 16),
    "no process": lambda forged: forged.records.pop(0),
    "a later format": lambda forged: forged.change("opened", format=99),
    "a run that is no name": lambda forged: forged.change("opened", run="../x"),
    "an id that is a path": lambda forged: forged.change("failed", id="../../../../x"),
    "an id that is none": lambda forged: forged.change("failed", id=7),
    "a name that is a path": lambda forged: forged.change("entered", name="../x"),
    "a name for a shell": lambda forged: forged.change("entered", name="$(touch X)"),
    "no time": lambda forged: forged.change("entered", time="now"),
    "a time without end": lambda forged: forged.change("entered", time=float("inf")),
    "buffers by path": lambda forged: forged.change("failed", buffers=["../../key"]),
    "a stream by path": lambda forged: forged.change("failed", stream="../../key"),
    "sources by path": lambda forged: forged.change("failed", sources=["/etc/passwd"]),
    "no process record": lambda forged: forged.change("entered", process="0" * 64),
    "a function for a process": a_function_for_a_process,
    "too few parts": lambda forged: forged.change("failed", parts=[]),
    "a length that is none": lambda forged: forged.change("failed", parts=[[-1, "0" * 64], [1, "0" * 64]]),
    "a huge length": lambda forged: forged.change("failed", parts=[[1 << 50, "0" * 64], [1, "0" * 64]]),
    "a digest that is none": lambda forged: forged.change("failed", parts=[[1, 1], [1, 1]]),
    "tags that are none": lambda forged: forged.change("entered", tags=7),
    "twice the same": lambda forged: forged.records.append(forged.records[-1]),
    "a name out of the store": a_name_out_of_the_store,
    "a name that only begins like one": a_name_that_only_begins_like_one,
    "objects over one another": objects_over_one_another,
    "another object": another_object,
    "a part that is another": a_part_that_is_another,
    "a manifest without end": a_manifest_without_end,
    "a process record that is none": a_process_record_that_is_none,
    "renamed to anything": lambda forged: forged.change("carried", objects={"b-1-" + "0" * 16: "../../key"}),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_forged_file_places_nothing(file: Path, empty: Store, tmp_path: Path, harm: str) -> None:
    """Every sum is right, and what it says is refused before anything is written."""
    forged = Forged(file)
    assert len(vetting.vet(CaptureFile(forged.write(tmp_path / "sound.ckpt")))) == 3
    HARM[harm](forged)
    with pytest.raises(DamagedError):
        import_file(empty, forged.write(tmp_path / "forged.ckpt"), limit=ENOUGH)
    assert not os.path.exists(empty.path)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to everything in a JSON value."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(inner, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a JSON value with `new` at the end of a way."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], new)
    return copy


ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["../../x", "t-" + "0" * 64, "b-1-" + "0" * 16, "\ud800", "\x1b[31m", "a" * 100_000, [], {}, [[]], {"": None}, [0] * 999]
    ),
)


def test_any_field_may_be_anything(file: Path, home: Path, tmp_path: Path) -> None:
    """Whatever one field of a record or a manifest says, with every sum right: refused, or placed and as sound as any other capture."""
    sound = Forged(file)
    targets = [
        (number, which, path)
        for number, (body, parts, _) in enumerate(sound.records)
        for which, told in enumerate([body, *(json.loads(part) for part in parts[: 1 if body.get("kind") != "function" else 0])])
        for path in paths(told)
        if path
    ]

    @settings(max_examples=300, deadline=None, database=None)
    @given(target=st.sampled_from(targets), new=ANYTHING)
    def check(target: tuple[int, int, tuple[Any, ...]], new: Any) -> None:
        forged = Forged(file)
        body, parts, signature = forged.records[target[0]]
        if target[1]:
            old = body["parts"][0][1]
            parts[0] = json.dumps(changed(json.loads(parts[0]), target[2], new)).encode()
            body["parts"][0] = list(part(parts[0]))
            for other, _, _ in forged.records:
                other.update({"process": body["parts"][0][1]} if other.get("process") == old else {})
        else:
            forged.records[target[0]] = changed(body, target[2], new), parts, signature
        shutil.rmtree(tmp_path / "in", ignore_errors=True)
        store = Store(tmp_path / "in")
        with contextlib.suppress(CkptError):
            placed = import_file(store, forged.write(tmp_path / "forged.ckpt"), limit=ENOUGH).placed
            assert len(placed) == 3
            assert store._journal
            store._journal.close()
            for header in placed:
                stored = store.get(header.id)
                for moment in (stored.entry, stored.failure):
                    assert moment is None or moment.manifest() is not None
                assert report.rows([header], 0.0)
        assert store.check() == []
        assert len(store.headers()) in {0, 3}

    check()


def test_a_process_of_this_store_is_not_taken_over(project: Project, file: Path, tmp_path: Path) -> None:
    """A file whose captures say that they were made in a process known here, on another machine, is refused."""
    forged = Forged(file).change("opened", host="evil")
    for body, _, _ in forged.records:
        body.update({"id": body["id"][::-1]} if "id" in body else {})
    with pytest.raises(StoreError, match="names a process of"):
        import_file(project.store, forged.write(tmp_path / "forged.ckpt"), limit=ENOUGH)


@pytest.fixture(scope="module")
def bytes_of_a_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small exported file, with and without values in turn."""
    project = Project(tmp_path_factory.mktemp("small"))
    project.write("job.py", "import ckpt\n@ckpt.ckpt\ndef fail(data):\n    raise ValueError(data)\nfail([1, 2])\n")
    project.python("job.py")
    return exported(project).read_bytes()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=4),
    end=st.one_of(st.none(), st.floats(0, 1)),
    more=st.binary(max_size=40),
)
def test_any_damage_is_refused_or_means_nothing(  # noqa: PLR0913, PLR0917 - what hypothesis and pytest hand in
    bytes_of_a_file: bytes, home: Path, tmp_path: Path, flips: list[tuple[float, int]], end: float | None, more: bytes
) -> None:
    """Bytes exchanged, cut off or added anywhere: a `CkptError`, or a sound store; nothing outside of it, and no other exception."""
    data = bytearray(bytes_of_a_file)
    for where, mask in flips:
        data[int(where * len(data))] ^= mask
    path = tmp_path / "damaged.ckpt"
    path.write_bytes(bytes(data[: len(data) if end is None else int(end * len(data))]) + more)
    store = Store(tmp_path / "in")
    shutil.rmtree(store.path, ignore_errors=True)
    around = set(os.listdir(tmp_path))
    with contextlib.suppress(CkptError):
        done = import_file(store, str(path), limit=ENOUGH)
        assert [header.name for header in done.placed] == ["fail"]
        assert store._journal
        store._journal.close()
        for header in store.headers():
            stored = store.get(header.id)
            assert stored.failure is not None
            assert stored.failure.manifest().exceptions[0].text == "[1, 2]"
    assert store.check() == []
    assert len(store.headers()) in {0, 1}
    assert set(os.listdir(tmp_path)) - around <= {"in"}


def test_nothing_of_a_file_is_run(project: Project, elsewhere: Machine) -> None:
    """Neither export nor import nor a look afterwards unpickles or imports anything of the program's."""
    mark = project.path / "mark"
    trap = f"class Trap:\n    def __reduce__(self):\n        return os.mkdir, ({str(mark)!r},)\n"
    project.write("trap.py", f"import os\nif os.environ.get('SPRUNG'): os.mkdir({str(mark)!r})\n{trap}")
    project.write("caught.py", "import ckpt, trap\n@ckpt.ckpt\ndef caught(it):\n    raise ValueError\ncaught(trap.Trap())\n")
    project.python("caught.py")
    for extra in ([], ["--no-values"]):
        exported(project, "caught", *extra, "--force")
        for command in (["import", project.path / "bug.ckpt"], ["info"], ["show"], ["diff"], ["sources"], ["check"], ["debug"]):
            elsewhere.ckpt(*command, SPRUNG="1")
        elsewhere.ckpt("clear", "--yes")
    assert not mark.exists()


# Without values


@pytest.fixture
def bare(project: Project) -> Path:
    """A file of all captures without their values."""
    return exported(project, "*", "--no-values", name="bare.ckpt")


def test_no_value_and_no_name_of_the_machine_is_in_the_file(project: Project, bare: Path) -> None:
    """No pickle, no buffer; no command line, path, user, host or home, wherever in the records they stood."""
    found = CaptureFile(str(bare))
    assert all(name.startswith("t-") for name in found.names())
    sources = {text.encode() for text in ("", MODELS, BANK, JOB)}
    assert {bytes(found.map(name)) for name in found.names()} == sources
    told = bare.read_bytes()
    for text in sources - {b""}:
        told = told.replace(text, b"")
    for line in project.store.get(project.store.find("pay").id).records():
        if line.event == "shared":
            process = json.loads(line.read(0))
    assert process["argv"] == ["job.py", "--colour", "hunter2"]
    host = os.uname().nodename
    for secret in ("hunter2", str(project.path), "work/bank", process["executable"], "numpy.core", host if len(host) > 4 else "hunter2"):
        assert secret.encode() not in told, secret
    assert {line.fields()[1] for line in found.lines} == {""}
    assert b"\x80\x05" not in told


def test_what_can_be_looked_at_without_values(project: Project, bare: Path, elsewhere: Machine) -> None:
    """info, show, diff and sources work; run, shell and the rest say in one line why not."""
    done = elsewhere.ckpt("import", bare)
    assert "holds no values" in done.stderr
    assert [line.split()[2] for line in elsewhere.ckpt("info").stdout.splitlines()[2:]] == ["returned", "failed", "failed"]
    shown = elsewhere.ckpt("show").stdout
    assert 'File "shop/bank.py", line 15, in check' in shown
    assert "account: shop.models.Account = <Account owner='ann', cents=100>" in shown
    assert "shop.models.Refused: ann in shop/bank.py" in shown
    assert "shop/bank.py" in elsewhere.ckpt("sources").stdout
    assert "shop/bank.py: gone" in elsewhere.ckpt("diff").stdout
    elsewhere.write("shop/bank.py", BANK.replace("rest < 0", "rest < 1"))
    assert "+    if rest < 1:" in elsewhere.ckpt("diff").stdout
    for command in ("run", "shell", "shell --args", "debug --start", "test -o test_x.py", "run --code captured"):
        for trusted in ([], ["--trust"]):
            done = elsewhere.ckpt(*command.split(), *trusted)
            assert done.returncode == 1
            assert "holds no values, only descriptions: it was exported with --no-values." in done.stderr, done.stderr
            assert len(done.stderr.splitlines()) == 2
    assert "holds no values" in elsewhere.ckpt("run", "--all").stdout


def test_frames_without_values_open_in_the_debugger(bare: Path, elsewhere: Machine) -> None:
    """With the source, and each variable as it was described; nobody has to be trusted for that, since there is nothing to run."""
    elsewhere.ckpt("import", bare)
    session = elsewhere.debug(typed="p account\np account.owner\nll\nu\nw\nq\n")
    assert session.stderr == "note: the capture holds no values (--no-values): variables are only described\n"
    assert "<shop.models.Account, only described: <Account owner='ann', cents=100>>" in session.stdout
    assert "This shop.models.Account is only a placeholder" in session.stdout
    assert "-> \t        raise Refused(" in session.stdout.replace("  16", "").replace("->\t", "-> \t")
    assert "-> return check(account, total)" in session.stdout


def test_a_file_for_everybody_stays_one(project: Project, bare: Path, elsewhere: Machine) -> None:
    """It can be exported once more, with or without the option, and with it a second time nothing changes."""
    elsewhere.ckpt("import", bare)
    bodies = {line.fields()[2] for line in CaptureFile(str(bare)).lines if line.event != "carried"}
    for extra in ([], ["--no-values"]):
        again = CaptureFile(str(exported(elsewhere, "*", *extra, "--force")))
        assert {line.fields()[2] for line in again.lines if line.event != "carried"} == bodies


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/ann/work/shop/x.py", "shop/x.py"),
        ("in /home/ann/work", "in ."),
        ("/home/ann/works/x", "~/works/x"),
        ("/home/ann", "~"),
        ("/home/anne/x and /Users/eve/y", "~/x and ~/y"),
        ("/root/.pyenv/lib/python3.13/json/decoder.py", "~/.pyenv/lib/python3.13/json/decoder.py"),
        ("/tmp/pytest-of-ann/x", "/tmp/pytest-of-<user>/x"),
        ("annotated Ann's", "annotated <user>'s"),
        ("build7.acme.example:80, build7!", "<host>:80, <host>!"),
        ("/opt/tools/run.py", "run.py"),
        ("/usr/lib/python3/dist-packages/a.py", "/usr/lib/python3/dist-packages/a.py"),
        (r"C:\Users\eve\x", r"~\x"),
        ("0 of 10", "0 of 10"),
    ],
)
def test_names_of_a_machine_are_taken_out_of_texts(text: str, expected: str) -> None:
    """Paths become relative, homes `~`; users and hosts go as whole words."""
    path = ["/home/ann/work", "/home/ann/work/shop", "/opt/tools", "/usr/lib/python3/dist-packages", "/usr/lib/python3.13"]
    process = {"cwd": "/home/ann/work", "path": path, "user": "ann", "host": "build7.acme.example"}
    hide = Hide(process, {"user": "0", "host": "build7"}, "/home/ann")
    assert hide(text) == expected
    assert hide.everywhere({text: [text, 1, None]}) == {expected: [expected, 1, None]}


def test_paths_without_end_are_not_looked_for(project: Project) -> None:
    """A capture that names more directories than any process has is damaged: looking for all of them in all texts would not end."""
    process = {"cwd": "/w", "path": [f"/{number}" for number in range(100_000)]}
    with pytest.raises(ValueError, match="100000"):
        Hide(process, {}, "/root")


def test_errors_of_an_export_are_ours(project: Project) -> None:
    """A capture that is not there, a file that is, and a place where nothing can be written."""
    store = project.store
    with pytest.raises(NotFoundError):
        export(store, ["0" * 16], str(project.path / "x.ckpt"))
    with pytest.raises(UsageError):
        export(store, [store.find().id], str(project.path / "job.py"))
    with pytest.raises(StoreError):
        export(store, [store.find().id], "/proc/x.ckpt")


# The page about CI


def workflow() -> str:
    """Return the first YAML block of the page."""
    page = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
    found = re.search(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def steps() -> tuple[Json, list[Json]]:
    """Return the environment and the steps of the job on the page."""
    yaml = pytest.importorskip("yaml")
    loaded = yaml.safe_load(workflow())
    (job,) = loaded["jobs"].values()
    return job["env"], job["steps"]


def test_the_workflow_on_the_page_makes_an_artifact(project: Project, elsewhere: Machine) -> None:
    """Its steps, run as a runner would, leave the file that its last step uploads, and that opens at home."""
    environ, found = steps()
    environ = {name: text.replace("${{ github.workspace }}", str(project.path)) for name, text in environ.items()}
    assert list(environ) == ["PYCKPT_DIR"]
    program = next(step["run"] for step in found if step.get("run", "").startswith("python "))
    project.write(program.split()[1], JOB)
    bin_ = project.path / "bin"
    bin_.mkdir()
    for name, arguments in {"python": "", "ckpt": "-m ckpt"}.items():
        (bin_ / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (bin_ / name).chmod(0o755)
    inherited = processes.environment(project.environ) | environ
    failed = False
    for step in found:
        if "run" not in step or step["run"].startswith("pip install"):
            continue
        if failed == (step.get("if") == "failure()"):
            path = {"PATH": f"{bin_}{os.pathsep}{inherited['PATH']}"}
            done = subprocess.run(["bash", "-e", "-c", step["run"]], cwd=project.path, env=inherited | path, check=False)
            failed = failed or done.returncode != 0
            assert not (done.returncode and step.get("if")), step
    assert failed
    upload = found[-1]
    assert upload["uses"].startswith("actions/upload-artifact@")
    assert upload["if"] == "failure()"
    elsewhere.ckpt("import", project.path / upload["with"]["path"])
    assert "Refused" in elsewhere.ckpt("show").stdout
