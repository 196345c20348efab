"""Snapshots with runs of Weights & Biases: uploaded in wandb's own offline mode, downloaded from a server on loopback.

wandb starts a service, threads and hooks of its own: all of it happens in processes of their own.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ckpt.codebase import checkpoint, checkpoint_to_wandb
from ckpt.errors import UsageError
from tests.processes import ckpt, python
from tests.projects import codebase
from tests.weights import Server, serving

#: What codesave's README shows of a training run, in all its generations; only the imports are ours.
TRAINING = (
    """
from ckpt.codebase import checkpoint_to_wandb
wandb.init(...)
checkpoint_to_wandb(codebase_dirname)
""",
    """
from ckpt.codebase import checkpoint, checkpoint_to_wandb
wandb.init(...)
checkpoint('codebase/', output_zipname='codebase.zip')
checkpoint_to_wandb('codebase/')
""",
    """
from ckpt.codebase import checkpoint_codebase_for_wandb
wandb.init(...)
checkpoint_codebase_for_wandb('codebase/')
""",
)
#: And of the time to recover.
RECOVERY = (
    """
from ckpt.codebase import WandBCodebase
with WandBCodebase("you/project/both"):
    from src import model
    model.whatever_you_want
""",
    """
from ckpt.codebase import Codebase, download_from_wandb
zipname = download_from_wandb(wandb_run_path)
with Codebase(zipname):
    from src import model
    model.whatever_you_want
""",
    """
from ckpt.codebase import load_codebase_from_wandb
load_codebase_from_wandb(wandb_run_name, output_zipname='codesave.zip')
import sys
sys.path.append('codesave.zip')
from src import model
""",
)
#: The README leaves open how a run is begun (`...` stands there), and what two names are.
TRAIN = """
import json, sys, wandb
begin = wandb.init
wandb.init = lambda *_: begin(project="project", mode="offline", settings=wandb.Settings(console="off", x_disable_stats=True))
found = []
for block in json.load(sys.stdin):
    names = {"wandb": wandb, "codebase_dirname": "codebase/"}
    exec(block, names)
    found.append([wandb.run.dir, str(names.get("report", ""))])
    wandb.finish()
print(json.dumps(found))
"""
RECOVER = """
import json, sys
versions = []
for block in json.load(sys.stdin):
    names = dict.fromkeys(("wandb_run_path", "wandb_run_name"), "you/project/both")
    exec(block, names)
    versions.append(names["model"].VERSION)
    sys.modules.pop("src.model", None)

from ckpt.codebase import UniqueCodebase, WandBCodebase, download_from_wandb, zip_from_wandb, zip_from_wandb_artifact
from ckpt.errors import CkptError

with WandBCodebase("you/project/logged") as opened:
    from src import model
    logged = [model.VERSION, opened.import_module("src.utils").again()]
with WandBCodebase("you/project/both", artifact=True) as opened:
    logged.append(opened.import_module("src.model").VERSION)
made = UniqueCodebase(zip_from_wandb_artifact("you/project/logged", "logged.zip")).import_module("src.model").VERSION

messages = []
for ask in (download_from_wandb, zip_from_wandb_artifact, zip_from_wandb):
    for path in ("you/project/empty", "you/project/none", "nonsense/"):
        try:
            ask(path, "out.zip")
        except CkptError as err:
            messages.append(path in err.message)
print(json.dumps({"versions": versions, "logged": logged, "made": made, "messages": messages}))
"""

pytestmark = pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed: pip install 'ckpt[wandb]'")


@dataclass(frozen=True)
class Machine:
    """A machine with the small repository in its working directory, and a server to ask."""

    path: Path
    server: Server

    @property
    def environment(self) -> Mapping[str, str]:
        own = {"HOME": "home", "XDG_CACHE_HOME": "cache", "TMPDIR": "tmp", "WANDB_DIR": ""}
        quiet = {"WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false", "WANDB_BASE_URL": self.server.url, "WANDB_API_KEY": "a" * 40}
        return quiet | {name: str(self.path / folder) for name, folder in own.items()}

    def run(self, code: str, blocks: tuple[str, ...]) -> Any:
        """Run a script that is given blocks of code, and return the JSON that it prints last."""
        (self.path / "run.py").write_text(code)
        return json.loads(python("run.py", cwd=self.path, stdin=json.dumps(blocks), environ=self.environment).stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Our snapshot of the run `both` is of version 5, the code that wandb has logged of version 6."""
    path = tmp_path_factory.mktemp("machine")
    codebase(path / "codebase")
    (path / "codebase" / "big.csv").write_text("x" * 200_000)
    for name in ("home", "tmp", "out"):
        (path / name).mkdir()
    checkpoint(codebase(path / "tree", 5), path / "five.zip")
    with serving() as server:
        server.files["codebase.zip"] = (path / "five.zip").read_bytes()
        tree = codebase(path / "logged", 6)
        server.code = {str(file.relative_to(tree)): file.read_bytes() for file in tree.rglob("*.py")}
        yield Machine(path, server)


@pytest.fixture(scope="module")
def trained(machine: Machine) -> list[tuple[Path, str]]:
    """The folders of four offline runs, and what their snapshots report."""
    elsewhere = "checkpoint_to_wandb('codebase', 'out', ignore_patterns=('eval.py',), codebase_zipname='code.zip', verbose=False)"
    own = f"from ckpt.codebase import checkpoint_to_wandb\nwandb.init()\nreport = {elsewhere}\n"
    return [(Path(folder), report) for folder, report in machine.run(TRAIN, (*TRAINING, own))]


@pytest.fixture(scope="module")
def recovered(machine: Machine) -> dict[str, Any]:
    """What a process found that asked the server in every way."""
    found: dict[str, Any] = machine.run(RECOVER, RECOVERY)
    return found


def names_in(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_training_as_the_readme_says_uploads_the_code(trained: list[tuple[Path, str]]) -> None:
    """The snapshot and the list of packages are among the files of each run, as an offline run keeps them for `wandb sync`."""
    for folder, _ in trained[: len(TRAINING)]:
        assert {"src/model.py", "src/utils.py", "train.py", "eval.py"} <= names_in(folder / "codebase.zip")
        assert "pytest==" in (folder / "packages.txt").read_text()


def test_a_snapshot_can_lie_elsewhere_and_is_uploaded_all_the_same(machine: Machine, trained: list[tuple[Path, str]]) -> None:
    """With `output_directory` and a name the file lies there, and among the run's files; large files and patterns are left out."""
    folder, report = trained[-1]
    assert "big.csv (larger than 100,000 bytes)" in report
    assert names_in(folder / "code.zip") == names_in(machine.path / "out" / "code.zip")
    assert {"eval.py", "big.csv"}.isdisjoint(names_in(folder / "code.zip"))


def test_recovering_as_the_readme_says_loads_the_code(recovered: dict[str, Any]) -> None:
    """The snapshot of a run is downloaded by the run's path, and plain imports find its modules."""
    assert recovered["versions"] == [5, 5, 5]


def test_code_that_was_logged_by_wandb_is_a_snapshot_too(machine: Machine, recovered: dict[str, Any]) -> None:
    """What `run.log_code()` has logged is what is loaded when a run has no snapshot of ours, or when it is asked for."""
    assert recovered["logged"] == [6, 6, 6]
    assert recovered["made"] == 6
    assert "src/model.py" in names_in(machine.path / "logged.zip")


def test_what_a_run_does_not_have_is_said(machine: Machine, recovered: dict[str, Any]) -> None:
    """A run without code, one that is not there, and a path that is none are errors that name it; nothing is written."""
    assert recovered["messages"] == [True] * 9
    assert not (machine.path / "out.zip").exists()


def test_opening_a_run_leaves_no_temporary_file(machine: Machine, recovered: dict[str, Any]) -> None:
    """Only what `download_from_wandb` gives without a name stays: it is the caller's."""
    assert len(list((machine.path / "tmp").glob("*.zip"))) == 1


def test_the_command_line_downloads_by_run_path(machine: Machine) -> None:
    """`ckpt snapshot from ENTITY/PROJECT/RUN` writes the run's snapshot."""
    done = ckpt("snapshot", "from", "you/project/both", "-o", "code.zip", cwd=machine.path, environ=machine.environment)
    assert done.stdout == "code.zip\n"
    assert (machine.path / "code.zip").read_bytes() == machine.server.files["codebase.zip"]


@pytest.mark.parametrize(("path", "code"), [("you/project/run", 1), ("../x", 2), ("a/b/c/d/e", 2), ("you/pro ject/run", 2)])
def test_a_run_that_cannot_be_asked_for_is_said_in_a_line(tmp_path: Path, path: str, code: int) -> None:
    """Without a login, or for what is no path of a run, there is no traceback, but what to do."""
    own = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "TMPDIR", "WANDB_DIR", "WANDB_CONFIG_DIR"), str(tmp_path))
    done = ckpt("snapshot", "from", path, cwd=tmp_path, check=False, environ=own | {"WANDB_API_KEY": "", "NETRC": str(tmp_path / "netrc")})
    assert done.returncode == code
    assert done.stderr.splitlines()[-2].startswith("error: ")
    assert done.stderr.splitlines()[-1] == ("hint: wandb login" if code == 1 else "hint: entity/project/run_id")
    assert "Traceback" not in done.stderr


def test_without_a_run_there_is_nothing_to_upload_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a run, the call says what is missing."""
    # wandb, once imported, would leave hooks in this process; what is asked of it here is one attribute.
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=None))
    with pytest.raises(UsageError, match="No run is active") as raised:
        checkpoint_to_wandb(tmp_path)
    assert raised.value.hint == "wandb.init()"


def test_without_wandb_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where wandb is not installed, the error says how to get it."""
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UsageError) as raised:
        checkpoint_to_wandb(tmp_path)
    assert raised.value.hint == "pip install 'ckpt[wandb]'"
