"""Snapshots are made: what goes in, what stays out and why, and the same bytes from the same tree."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpt.codebase import LeftOut, Report, UniqueCodebase, checkpoint, make_pyz
from ckpt.codebase.archive import read
from ckpt.codebase.listing import list_folder
from ckpt.codebase.rules import parse_size
from ckpt.codebase.surroundings import installed_packages
from ckpt.errors import UsageError
from tests.processes import environment, python
from tests.projects import codebase, git, plant, repository


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return codebase(tmp_path / "codebase")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "codebase.zip"


PORTABLE = "no relative path on every system"


def taken(report: Report) -> set[str]:
    return set(report.files)


def reason(report: Report, path: str) -> str:
    return next(one.reason for one in report.left_out if one.path == path)


# What goes in


def test_a_folder_goes_in_as_a_whole(tree: Path, output: Path) -> None:
    """All files of a folder lie at the top of the zip file, with their bytes, and nothing is left out."""
    report = checkpoint(tree, output)
    with zipfile.ZipFile(output) as archive:
        assert archive.testzip() is None
        for name in report.files:
            assert archive.read(name) == (tree / name).read_bytes()
    assert taken(report) == {"src/model.py", "src/utils.py", "src/late.py", "src/data.txt", "train.py", "eval.py"}
    assert report.left_out == ()


def test_in_a_checkout_git_decides(tree: Path, output: Path) -> None:
    """Tracked files and new ones go in; what git ignores and what was deleted does not, and the report says so."""
    plant(tree, {".gitignore": "*.log\nbuild/\n", "kept.log": "tracked all the same"})
    repository(tree)
    plant(tree, {"new.py": "", "run.log": "", "build/out.py": ""})
    (tree / "eval.py").unlink()
    report = checkpoint(tree, output)
    assert {"new.py", "kept.log", ".gitignore"} <= taken(report)
    assert not {"run.log", "build/out.py", "eval.py"} & taken(report)
    assert reason(report, "build/") == reason(report, "run.log") == "ignored by git"
    assert reason(report, "eval.py") == "it is not there"


def test_a_folder_inside_a_checkout_is_only_that_folder(tmp_path: Path, output: Path) -> None:
    """A part of a repository goes in under names of its own, with the rules of the whole."""
    plant(tmp_path / "repo", {".gitignore": "secret.txt\n", "part/a.py": "", "part/secret.txt": "", "other.py": ""})
    repository(tmp_path / "repo")
    git(tmp_path / "repo", "rm", "-q", "--cached", "part/secret.txt")
    report = checkpoint(tmp_path / "repo" / "part", output)
    assert taken(report) == {"a.py"}


def test_a_folder_that_git_ignores_goes_in_when_it_is_asked_for(tmp_path: Path, output: Path) -> None:
    """Where the folder as a whole is ignored, as build trees are, it is read as a folder outside git."""
    repository(plant(tmp_path / "repo", {".gitignore": "work/\n"}))
    plant(tmp_path / "repo" / "work", {"a.py": "", ".gitignore": "b.py\n", "b.py": ""})
    assert taken(checkpoint(tmp_path / "repo" / "work", output)) == {"a.py", ".gitignore"}


def test_repositories_inside_a_checkout_go_in(tree: Path, output: Path) -> None:
    """Submodules, and repositories that only lie there, are no files of the outer one, but code of the tree."""
    repository(plant(tree / "inner", {"deep/code.py": "", ".gitignore": "junk\n"}))
    repository(tree)
    plant(tree, {"inner/junk": ""})
    report = checkpoint(tree, output)
    assert "inner/deep/code.py" in taken(report)
    assert "inner/junk" not in taken(report)
    assert "inner" not in taken(report)


def test_gits_environment_does_not_mislead(tree: Path, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a git hook the variables of git point elsewhere; the folder is what counts."""
    repository(tree)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    report = checkpoint(tree, output)
    assert report.commit is not None
    assert "train.py" in taken(report)


def test_without_git_the_folder_is_read_all_the_same(tree: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the program `git` is missing, `.gitignore` is still honoured."""
    repository(plant(tree, {".gitignore": "eval.py\n"}))
    monkeypatch.setenv("PATH", "")
    report = checkpoint(tree, output)
    assert "eval.py" not in taken(report)
    assert "train.py" in taken(report)
    assert reason(report, ".git/") == "version control"
    assert report.commit is None
    assert [note.partition(" (")[0] for note in report.notes] == ["git cannot be started"]


def test_of_what_git_ignores_only_the_top_is_told(tree: Path, output: Path) -> None:
    """A directory is named once, not with its contents, and with the reason for which nothing of it would go in anyway."""
    plant(tree, {".gitignore": "big/\n*.log\nvenv\n", ".pyckpt/.gitignore": "*", ".pyckpt/journals/a.jsonl": "", "big/deep/x": ""})
    plant(tree, {"run.log": "", "venv/pyvenv.cfg": "", "venv/lib/a.py": "", "src/venv/pyvenv.cfg": "", "src/__pycache__/model.pyc": ""})
    git(tree, "init", "-q")
    assert checkpoint(tree, output).left_out == (
        LeftOut(path=".pyckpt/", reason="captures"),
        LeftOut(path="big/", reason="ignored by git"),
        LeftOut(path="run.log", reason="ignored by git"),
        LeftOut(path="src/__pycache__/", reason="compiled code"),
        LeftOut(path="src/venv/", reason="a virtual environment"),
        LeftOut(path="venv/", reason="a virtual environment"),
    )


NAMES = st.sampled_from(["a", "b", "ab", "a.py", "b.txt", "build", "x y", "[z]", "é"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
PATTERNS = st.one_of(
    PATHS,
    st.sampled_from(["*", "*.py", "/a", "a/", "!a", "!*.py", "a/**", "**/b", "a/**/b", "?", "[ab]", "[!a]", "[^b]*", "/*", "!/a", "# a"]),
    st.sampled_from(
        ["\\#a", "\\!a", "a\\ ", "a ", "*b", "b*", "**", "***", "a**", "[a", "[]", "[b-a]", "/", "//", "a//b", "x\\ y", "\\", "[a-b]"]
    ),
    st.text("ab*?[]!/\\-. ", min_size=1, max_size=6),
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(paths=st.sets(PATHS, min_size=1, max_size=8), above=st.lists(PATTERNS, max_size=4), below=st.lists(PATTERNS, max_size=2))
def test_gitignore_means_what_git_means(
    tmp_path_factory: pytest.TempPathFactory, paths: set[str], above: list[str], below: list[str]
) -> None:
    """Of any tree, outside git we take the files that git would list."""
    folder = tmp_path_factory.mktemp("tree")
    files = {path for path in paths if not any(other.startswith(f"{path}/") for other in paths)}
    plant(folder, dict.fromkeys(files, ""))
    (folder / ".gitignore").write_text("\n".join(above))
    if (folder / "a").is_dir():
        (folder / "a" / ".gitignore").write_text("\n".join(below))
    ours = set(list_folder(str(folder)).files)
    git(folder, "init", "-q")
    theirs = set(git(folder, "ls-files", "-z", "-o", "--exclude-standard").split("\0")) - {""}
    assert ours == theirs, (above, below)


# What stays out


def test_secrets_captures_and_environments_stay_out(tree: Path, output: Path) -> None:
    """Keys, `.env` files, captures, virtual environments and compiled code stay out, tracked or not, each with a reason."""
    secrets = [".env", ".env.local", "deploy.pem", "server.KEY", "id_rsa", "id_ed25519", ".netrc", "sub/.pypirc", "store.p12"]
    secrets += ["prod.env", "credentials.json", "secrets.toml", "kubeconfig", "client_secret_12.json", "service-account.json"]
    plant(tree, dict.fromkeys([*secrets, ".ssh/config"], "secret"))
    plant(tree, {".env.example": "", "id_rsa.pub": "", "monkey.py": "", ".pyckpt/journals/x.jsonl": "", "venv/pyvenv.cfg": ""})
    plant(tree, {"credentials.py": "", "secrets.py": "", "gym.env.py": ""})
    plant(tree, {"venv/lib/a.py": "", "src/__pycache__/model.pyc": "", "old.pyc": "", "conda/conda-meta/history": "", "conda/b.py": ""})
    for report in (checkpoint(tree, output), checkpoint(repository(tree), output)):
        assert {".env.example", "id_rsa.pub", "monkey.py", "credentials.py", "secrets.py", "gym.env.py"} <= taken(report)
        assert "secret" in reason(report, ".ssh/")
        assert ".ssh/config" not in taken(report)
        assert not set(secrets) & taken(report)
        assert all("secret" in reason(report, name) for name in secrets)
        assert not [name for name in taken(report) if name.startswith(("venv", "conda", ".pyckpt", ".git/")) or name.endswith(".pyc")]
        assert reason(report, "venv/") == reason(report, "conda/") == "a virtual environment"
        assert reason(report, ".pyckpt/") == "captures"
        assert reason(report, "old.pyc") == "compiled code"


def test_what_is_named_goes_in(tree: Path, output: Path) -> None:
    """A file that the caller names is taken whatever it is called and git thinks of it; in a named folder the rules hold."""
    plant(tree, {".gitignore": "big.bin\nmore/\n", ".env": "A=1", "big.bin": "x" * 100, "more/data.csv": "1", "more/.env": "B=2"})
    repository(tree)
    report = checkpoint(tree, output, extra_files=[tree / ".env", tree / "big.bin", tree / "more"], ignore_larger_than=50, py_only=True)
    assert {".env", "big.bin"} <= taken(report)
    assert not {"more/.env", "src/data.txt"} & taken(report)


def test_sizes_patterns_and_kinds_leave_files_out(tree: Path, output: Path) -> None:
    """`ignore_larger_than`, `ignore_patterns`, `ignore` and `py_only` leave out what they say, and the report tells which of them did."""
    plant(tree, {"big.txt": "x" * 2000, "notes/a.md": "", "deep/notes/b.py": "", "deep/c.tmp": "", "deep/d.py": "", "gone.py": ""})
    seen: list[tuple[str, list[str]]] = []

    def ignore(folder: str, names: list[str]) -> list[str]:
        seen.append((os.path.relpath(folder, tree), sorted(names)))
        return [name for name in names if name == "gone.py"]

    report = checkpoint(tree, output, ignore_larger_than="1K", ignore_patterns=("notes", "./deep/*.tmp"), ignore=(ignore,))
    assert reason(report, "big.txt") == "larger than 1,000 bytes"
    assert reason(report, "notes/") == reason(report, "deep/notes/") == "the pattern notes"
    assert reason(report, "deep/c.tmp") == "the pattern ./deep/*.tmp"
    assert reason(report, "gone.py") == "ignore"
    assert ("deep", ["c.tmp", "d.py", "notes"]) in seen
    only = checkpoint(tree, output, py_only=True)
    assert all(name.endswith(".py") for name in only.files)
    assert reason(only, "src/data.txt") == "no .py file"


def test_links_are_followed_inside_the_folder_only(tree: Path, tmp_path: Path, output: Path) -> None:
    """A link to a file of the tree goes in as that file; one that leads out, to a directory, to a secret or nowhere stays out."""
    plant(tmp_path, {"outside.py": "", "codebase/.env": ""})
    for name, target in {
        "in.py": "train.py",
        "out.py": "../outside.py",
        "folder": "src",
        "hidden.txt": ".env",
        "broken": "nothing",
    }.items():
        (tree / name).symlink_to(target)
    report = checkpoint(tree, output)
    assert "in.py" in taken(report)
    assert "leads out" in reason(report, "out.py")
    assert reason(report, "folder") == "a link to a directory"
    assert "secret" in reason(report, "hidden.txt")
    assert reason(report, "broken") == "it is not there"


def test_what_is_no_file_or_cannot_be_read_stays_out(tree: Path, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A FIFO is not waited for, a socket not opened; a file that cannot be read, or under whose name none is unpacked, is passed over."""
    os.mkfifo(tree / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(tree)
        try:
            listener.bind("socket")
        finally:
            os.chdir(Path(__file__).parent.parent)
    (tree / "closed.py").write_text("")
    (tree / "closed.py").chmod(0)
    Path(os.fsdecode(os.fsencode(tree) + b"/\xff.py")).write_text("")
    plant(tree, {"red\x1b[31m.py": "", "back\\slash.py": "", "c:/drive.py": "", "new\nline/a.py": ""})
    report = checkpoint(tree, output)
    assert reason(report, "fifo") == reason(report, "socket") == "no regular file"
    assert reason(report, os.fsdecode(b"\xff.py")) == "its name is no text"
    assert [reason(report, name) for name in ("red\x1b[31m.py", "back\\slash.py", "c:/drive.py", "new\nline/a.py")] == [PORTABLE] * 4
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    UniqueCodebase(output).close()
    if os.getuid():
        assert "cannot be read" in reason(report, "closed.py")
        assert "closed.py" not in report.files


def test_a_file_that_changes_its_kind_meanwhile_is_not_waited_for(tree: Path, output: Path) -> None:
    """What was a file when the tree was listed, and is a FIFO or gone when it is read, stays out, and the report says so."""

    def exchange(done: int, total: int) -> None:
        if not done_before:
            (tree / "train.py").unlink()
            os.mkfifo(tree / "train.py")
            (tree / "src" / "utils.py").unlink()
        done_before.append(done)

    done_before: list[int] = []
    report = checkpoint(tree, output, progress=exchange)
    assert reason(report, "train.py") == "cannot be read: it is no regular file any more"
    assert reason(report, "src/utils.py") == "cannot be read: No such file or directory"
    with zipfile.ZipFile(output) as archive:
        assert {"train.py", "src/utils.py"}.isdisjoint(archive.namelist())
    assert set(report.files) == {"eval.py", "src/model.py", "src/late.py", "src/data.txt"}


def test_the_report_is_short(tree: Path, output: Path) -> None:
    """As a text, the report names the first files of each reason and counts the others."""
    plant(tree, {f"data/{number}.bin": "x" * (500 + number) for number in range(10)})
    text = str(checkpoint(tree, output, ignore_larger_than=400, ignore_patterns="src"))
    assert "left out: src/ (the pattern src)" in text
    assert "data/0.bin, data/1.bin, data/2.bin and 7 more (larger than 400 bytes)" in text


@pytest.mark.parametrize(
    ("text", "size"), [("100K", 100_000), ("1M", 1_000_000), ("2.5g", 2_500_000_000), ("10", 10), ("3 kb", 3000), (7, 7)]
)
def test_sizes_are_powers_of_ten(text: str | int, size: int) -> None:
    """Sizes are numbers or texts with K, M or G."""
    assert parse_size(text) == size


@pytest.mark.parametrize("size", ["", "M", "1T", "-1K", "one"])
def test_what_is_no_size_is_refused(tree: Path, output: Path, size: str) -> None:
    """A size that cannot be read is an error that shows one that can, and nothing is written."""
    with pytest.raises(UsageError) as raised:
        checkpoint(tree, output, ignore_larger_than=size)
    assert "1M" in raised.value.hint
    assert not output.exists()


# Extra code


def test_libraries_lie_beside_the_code(tree: Path, tmp_path: Path, output: Path) -> None:
    """`extra_libraries` are put at the top under their names, `extra_pythonpath` gives every module and package in it."""
    plant(tmp_path / "lib" / "mylib", {"__init__.py": "", "core.py": "", "__pycache__/core.pyc": ""})
    plant(tmp_path / "path", {"single.py": "", "pkg/sub/a.py": "", "docs/readme.md": "", "single.txt": ""})
    report = checkpoint(tree, output, extra_libraries=[tmp_path / "lib" / "mylib"], extra_pythonpath=[tmp_path / "path"])
    assert {"mylib/__init__.py", "mylib/core.py", "single.py", "pkg/sub/a.py", "train.py"} <= taken(report)
    assert not {"docs/readme.md", "single.txt", "mylib/__pycache__/core.pyc"} & taken(report)
    assert read(str(output)).record["libraries"] == ["eval", "mylib", "pkg", "single", "src", "train"]


def test_libraries_alone_make_a_snapshot(tmp_path: Path, output: Path) -> None:
    """Without a main folder the libraries are all there is; without either there is nothing to do."""
    plant(tmp_path / "mylib", {"__init__.py": ""})
    assert taken(checkpoint(None, output, extra_libraries=tmp_path / "mylib")) == {"mylib/__init__.py"}
    with pytest.raises(UsageError):
        checkpoint(None, output)


def test_of_two_files_with_one_name_the_main_folders_is_taken(tree: Path, tmp_path: Path, output: Path) -> None:
    """What the main folder has is not replaced by a library, and the report says whose name it was."""
    plant(tmp_path / "lib" / "src", {"model.py": "other", "more.py": ""})
    report = checkpoint(tree, output, extra_libraries=[tmp_path / "lib" / "src"])
    with zipfile.ZipFile(output) as archive:
        assert archive.read("src/model.py") == (tree / "src/model.py").read_bytes()
    assert "src/more.py" in taken(report)
    assert "has this name" in reason(report, "src/model.py")


@pytest.mark.parametrize(("ours", "library"), [("mylib.py", "mylib"), ("mylib/__init__.py", "mylib.py")])
def test_of_two_modules_with_one_name_the_main_folders_is_taken(tree: Path, tmp_path: Path, output: Path, ours: str, library: str) -> None:
    """A library that would be imported in the place of a module of the folder, in its other form, stays out."""
    plant(tree, {ours: "W = 1\n"})
    plant(tmp_path / "lib", {"mylib/__init__.py": "", "mylib/core.py": ""} if library == "mylib" else {"mylib.py": ""})
    report = checkpoint(tree, output, extra_libraries=[tmp_path / "lib" / library])
    assert {name for name in taken(report) if name.startswith("mylib")} == {ours}
    assert any("has this name" in one.reason for one in report.left_out)


def test_a_snapshot_of_nothing_is_an_error(tmp_path: Path, output: Path) -> None:
    """Where no file goes in, that is said, with the reason why, and nothing is written."""
    with pytest.raises(UsageError, match="no file") as raised:
        checkpoint(plant(tmp_path / "tree", {".env": "A=1"}), output)
    assert raised.value.hint == "left out: .env (it may hold a secret; it is taken only when it is named)"
    assert not output.exists()


def test_a_snapshot_that_would_be_taken_for_a_bomb_says_so(tree: Path, output: Path) -> None:
    """What unpacks to more than a hundred times its size is written, with a note of what opens it."""
    plant(tree, {"src/rows.csv": bytes(80 << 20)})
    (note,) = checkpoint(tree, output).notes
    assert "--max-bytes" in note
    assert f"{output}: " in str(checkpoint(tree, output))
    assert "note: it unpacks" in str(checkpoint(tree, output))


@pytest.mark.parametrize(
    "arguments", [{"main_folder": "nothing"}, {"main_folder": "a.py"}, {"main_folder": ".", "extra_files": ["nothing"]}]
)
def test_what_is_not_there_is_an_error(tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, str]) -> None:
    """A path that leads nowhere is said, and nothing is written."""
    monkeypatch.chdir(plant(tmp_path, {"a.py": ""}))
    with pytest.raises(UsageError):
        checkpoint(output_zipname=output, **arguments)  # type: ignore[arg-type]  # as somebody who mistypes
    assert not output.exists()


def test_a_snapshot_needs_a_place(tree: Path, tmp_path: Path) -> None:
    """Without an output, into a folder that is not there, and over a directory nothing is written, and no temporary file stays."""
    for output in (None, tmp_path / "no" / "a.zip", tree):
        with pytest.raises(UsageError):
            checkpoint(tree, output)
    assert [path.name for path in tmp_path.iterdir()] == ["codebase"]


def test_a_failed_write_leaves_the_old_snapshot(tree: Path, output: Path) -> None:
    """When writing ends in the middle, what was there before is still there, whole, and nothing lies beside it."""
    checkpoint(tree, output)
    before = output.read_bytes()

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checkpoint(tree, output, progress=stop)
    assert output.read_bytes() == before
    assert sorted(path.name for path in output.parent.iterdir()) == ["codebase", "codebase.zip"]


# The same bytes


def test_the_same_tree_gives_the_same_bytes(tree: Path, tmp_path: Path, output: Path) -> None:
    """A copy with other times, written elsewhere in another order, is byte for byte the same zip file."""
    checkpoint(tree, output)
    twin = tmp_path / "twin"
    for path in sorted(tree.rglob("*"), reverse=True):
        if path.is_file():
            plant(twin, {str(path.relative_to(tree)): path.read_bytes()})
            os.utime(twin / path.relative_to(tree), (0, 0))
    checkpoint(twin, tmp_path / "other.zip")
    assert (tmp_path / "other.zip").read_bytes() == output.read_bytes()


@pytest.mark.parametrize("in_git", [False, True])
def test_snapshots_inside_the_tree_are_not_part_of_it(tree: Path, in_git: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots may be written into the folder that they are of, under any name, again and again: the bytes stay the same."""
    monkeypatch.chdir(repository(tree) if in_git else tree)
    checkpoint(".", "first.zip")
    checkpoint(".", "second.zip")
    make_pyz(".", "train.py", "third.pyz")
    report = checkpoint(".", "first.zip")
    assert Path("first.zip").read_bytes() == Path("second.zip").read_bytes()
    assert {"second.zip", "third.pyz"}.isdisjoint(report.files)
    assert reason(report, "third.pyz") == "a snapshot itself"
    assert not report.is_dirty


def test_changes_show_in_the_bytes(tree: Path, tmp_path: Path, output: Path) -> None:
    """One more byte anywhere, or an executable bit, gives another file."""
    checkpoint(tree, output)
    first = output.read_bytes()
    (tree / "train.py").chmod(0o755)
    checkpoint(tree, output)
    second = output.read_bytes()
    plant(tree, {"src/late.py": "LATE = 3\n"})
    checkpoint(tree, output)
    assert len({first, second, output.read_bytes()}) == 3


def test_files_older_than_zip_files_can_tell_go_in(tree: Path, output: Path) -> None:
    """A time before 1980, which zip files cannot tell, does not matter."""
    os.utime(tree / "train.py", (0, 0))
    assert "train.py" in checkpoint(tree, output).files


# What it says of the place it was made in


def test_the_record_says_where_it_was_made(tree: Path, output: Path) -> None:
    """Python's version, the installed packages with theirs, the commit, and no path or time."""
    repository(tree)
    report = checkpoint(tree, output)
    record = read(str(output)).record
    assert record["python"] == ".".join(map(str, sys.version_info[:3]))
    assert record["packages"]["pytest"] == version("pytest")
    assert record["packages"]["prompt-toolkit"] == version("prompt_toolkit")
    assert (record["commit"], record["dirty"]) == (git(tree, "rev-parse", "HEAD").strip(), False)
    assert (report.commit, report.is_dirty) == (record["commit"], False)
    assert str(tree) not in json.dumps(record)


def test_every_installed_package_is_listed() -> None:
    """The names of metadata directories tell what `importlib.metadata` would."""
    from importlib.metadata import distributions

    def normal(name: str) -> str:
        return name.replace("_", "-").replace(".", "-").lower()

    ours = {normal(name): number for name, number in installed_packages().items()}
    theirs = {normal(one.name): one.version for one in reversed(list(distributions()))}
    assert ours == theirs


@pytest.mark.parametrize(("change", "is_dirty"), [("train.py", True), ("new.py", True), ("skipped.tmp", False)])
def test_a_snapshot_is_dirty_when_it_holds_what_the_commit_does_not(tree: Path, output: Path, change: str, is_dirty: bool) -> None:
    """A changed or a new file makes it dirty; a new one that is left out does not."""
    repository(tree)
    plant(tree, {change: "changed"})
    assert checkpoint(tree, output, ignore_patterns="*.tmp").is_dirty is is_dirty


def test_without_a_commit_there_is_none(tree: Path, output: Path) -> None:
    """Outside git, and in a repository without a commit, the record says nothing of one."""
    report = checkpoint(tree, output)
    assert (report.commit, report.is_dirty) == (None, None)
    git(tree, "init", "-q")
    report = checkpoint(tree, output)
    assert (report.commit, report.is_dirty) == (None, True)


# Used without ckpt


def bare(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python where no ckpt is to be found."""
    environ = environment({"PYTHONPATH": ""})
    return subprocess.run([sys.executable, "-P", *map(str, arguments)], cwd=cwd, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.smoke
def test_a_snapshot_is_importable_as_it_is(tree: Path, output: Path, tmp_path: Path) -> None:
    """`sys.path.append` and `import` are all it takes, for packages without `__init__.py` too, and ckpt is not needed."""
    checkpoint(tree, output)
    done = bare(
        "-c", "import sys; sys.path.append('codebase.zip'); import src.model; print(src.model.VERSION, 'ckpt' in sys.modules)", cwd=tmp_path
    )
    assert done.stdout == "1 False\n", done.stderr


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["train.py", "--rate", "1"], "1 __main__ ['--rate', '1'] True\n"),
        (["./train.py"], "1 __main__ [] True\n"),
        (["train", "x"], "1 __main__ ['x'] True\n"),
        (["train:main"], "function 1\n"),
        (["scripts/my-job.v2.py", "a"], "sibling 1 ['a']\n"),
        (["pkg"], "package main\n"),
    ],
)
def test_a_snapshot_runs_what_is_in_it(tree: Path, output: Path, tmp_path: Path, arguments: list[str], printed: str) -> None:
    """Scripts, modules, packages and functions run by `python codebase.zip NAME`, with the arguments after it."""
    plant(tree, {"scripts/my-job.v2.py": "import sys, sibling\nfrom src import model\nprint(sibling.S, model.VERSION, sys.argv[1:])\n"})
    plant(tree, {"scripts/sibling.py": "S = 'sibling'\n", "pkg/__main__.py": "print('package main')\n"})
    checkpoint(tree, output)
    done = bare(output, *arguments, cwd=tmp_path)
    assert done.stdout == printed, done.stderr


@pytest.mark.parametrize("spelling", ["codebase.zip", "./codebase.zip", "../{}/codebase.zip"])
def test_a_snapshot_runs_however_its_path_is_spelt(tree: Path, output: Path, tmp_path: Path, spelling: str) -> None:
    """A relative path in any spelling finds the scripts in it."""
    checkpoint(tree, output)
    done = bare(spelling.format(tmp_path.name), "train.py", cwd=tmp_path)
    assert done.stdout == "1 __main__ [] True\n", done.stderr


def test_a_snapshot_says_how_to_run_it(tree: Path, output: Path, tmp_path: Path) -> None:
    """Without an argument it says how it is used, and fails."""
    checkpoint(tree, output)
    done = bare(output, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "python codebase.zip train.py ..." in done.stderr
    assert bare(output, "--help", cwd=tmp_path).stdout == done.stderr


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("nothing.py", "There is no 'nothing.py' in this snapshot."),
        ("../codebase/train.py", "There is no '../codebase/train.py' in this snapshot."),
        ("nothing", "There is no module 'nothing' in this snapshot."),
        ("src.nothing", "There is no module 'src.nothing' in this snapshot."),
        ("train.deeper", "There is no module 'train.deeper' in this snapshot."),
        ("/etc/passwd", "There is no module '/etc/passwd' in this snapshot."),
        ("../../etc/passwd", "There is no module '../../etc/passwd' in this snapshot."),
        ("src", "'src' is a package without a __main__.py."),
        ("train:nothing", "There is no 'nothing' in module 'train'."),
        ("nothing:main", "There is no module 'nothing' in this snapshot."),
        ("src.model:VERSION", "'VERSION' in module 'src.model' is no function."),
        (":", "There is no module '' in this snapshot."),
    ],
)
def test_an_entry_that_leads_nowhere_is_said_in_a_line(tree: Path, output: Path, tmp_path: Path, entry: str, said: str) -> None:
    """A script, module or function that is not there, or cannot run, is no traceback; the exit code is that of Python without a script."""
    checkpoint(tree, output)
    with zipfile.ZipFile(output) as archive:
        archive.extractall(tmp_path / "unpacked")
    for place in (output, tmp_path / "unpacked"):
        done = bare(place, entry, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (2, f"{said}\n")


@pytest.mark.parametrize(
    ("entry", "raised"),
    [("needs", "ModuleNotFoundError: No module named 'absent'"), ("needs:main", "ModuleNotFoundError: No module named 'absent'")],
)
def test_what_a_module_needs_and_is_not_there_is_its_own_error(tree: Path, output: Path, tmp_path: Path, entry: str, raised: str) -> None:
    """It is not said that the module itself is missing."""
    plant(tree, {"needs.py": "import absent\n"})
    checkpoint(tree, output)
    assert bare(output, entry, cwd=tmp_path).stderr.splitlines()[-1] == raised


@pytest.mark.parametrize(("value", "code"), [("3", 3), ("None", 0), ("object()", 0), ("sys.exit(4)", 4), ("True", 0)])
def test_a_number_that_a_function_returns_is_the_exit_code(tree: Path, output: Path, tmp_path: Path, value: str, code: int) -> None:
    """As with the commands that pip installs; any other value that it returns means nothing. It is called by the name of its file."""
    plant(tree, {"work.py": f"import sys\n\ndef main():\n    print(sys.argv)\n    return {value}\n"})
    checkpoint(tree, output)
    done = bare(output, "work:main", "--help", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, f"{[str(output / 'work.py'), '--help']}\n")


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("script", ["work.py", "scripts/my-job.v2.py"])
def test_worker_processes_know_the_functions_of_the_script(tree: Path, output: Path, tmp_path: Path, script: str, method: str) -> None:
    """A pool of processes that begin anew finds what the script defines, and does not run the part that only `__main__` runs."""
    code = f"""
import multiprocessing, os
from src import model

def local(number):
    return number + model.VERSION, os.path.basename(__file__)

if __name__ == "__main__":
    os.chdir(os.sep)
    with multiprocessing.get_context({method!r}).Pool(1) as pool:
        print(pool.map_async(local, [1, 2]).get(30))
"""
    plant(tree, {script: code})
    checkpoint(tree, output)
    done = bare("codebase.zip", script, cwd=tmp_path)
    assert done.stdout == f"{[(2, Path(script).name), (3, Path(script).name)]}\n", done.stderr


def test_a_program_finds_its_modules_after_it_has_changed_the_directory(tree: Path, output: Path, tmp_path: Path) -> None:
    """Imports that run later find the snapshot, by whichever path it was started."""
    plant(tree, {"late.py": "import os\nos.chdir(os.sep)\nimport src.late\nprint(src.late.LATE)\n"})
    checkpoint(tree, output)
    assert bare("codebase.zip", "late.py", cwd=tmp_path).stdout == "1\n"


def test_a_traceback_begins_with_one_line_that_is_not_the_programs(tree: Path, output: Path, tmp_path: Path) -> None:
    """After Python's own two frames one of the launcher is seen, then come those of the script or function."""
    plant(tree, {"bad.py": "def main():\n    1 / 0\n\nif __name__ == '__main__':\n    main()\n"})
    checkpoint(tree, output)
    for entry, frames in (("bad.py", 3), ("bad:main", 2)):
        files = [line for line in bare(output, entry, cwd=tmp_path).stderr.splitlines() if line.startswith('  File "')]
        assert ["bad.py" in line for line in files if "<frozen runpy>" not in line] == [False, *[True] * (frames - 1)]


def test_a_traceback_from_a_snapshot_shows_the_script(tree: Path, output: Path, tmp_path: Path) -> None:
    """Lines of a script in a zip file are shown as its own, not as the launcher's."""
    plant(tree, {"bad.py": "import traceback\ntry:\n    1 / 0  # here\nexcept ZeroDivisionError:\n    traceback.print_exc()\n"})
    checkpoint(tree, output)
    assert "1 / 0  # here" in bare(output, "bad.py", cwd=tmp_path).stderr


def test_a_main_of_ones_own_stays(tree: Path, output: Path, tmp_path: Path) -> None:
    """A folder with a `__main__.py` is a program already: that is what runs, unless a launcher takes its place."""
    plant(tree, {"__main__.py": "print('my own')\n"})
    checkpoint(tree, output)
    assert bare(output, cwd=tmp_path).stdout == "my own\n"
    report = checkpoint(tree, output, launcher="train.py")
    assert bare(output, "a", cwd=tmp_path).stdout == "1 __main__ ['a'] True\n"
    assert LeftOut(path="__main__.py", reason="the launcher for train.py stands in its place") in report.left_out


@pytest.mark.parametrize("entry", ["train.py", "train:main", "train", "pkg", "src.model:whatever_you_want"])
def test_a_launcher_makes_a_program(tree: Path, tmp_path: Path, entry: str) -> None:
    """With a fixed entry point the file is executable, starts there, and all arguments are the program's."""
    plant(tree, {"pkg/__main__.py": "import sys\nprint('pkg', sys.argv[1:])\n"})
    program = Path(make_pyz(tree, entry, tmp_path / "program.pyz"))
    assert os.access(program, os.X_OK)
    done = bare(program, "--rate", "2", cwd=tmp_path)
    expected = {"train.py": "1 __main__ ['--rate', '2'] True\n", "train:main": "function 1\n", "pkg": "pkg ['--rate', '2']\n"}
    assert done.stdout == expected.get(entry, "" if ":" in entry else expected["train.py"]), done.stderr


def test_a_snapshot_becomes_a_program(tree: Path, output: Path, tmp_path: Path) -> None:
    """`make_pyz` of a zip file keeps all that is in it; the shebang lets a shell start it."""
    checkpoint(tree, output)
    path = make_pyz(output, "train.py")
    assert path == str(tmp_path / "codebase.pyz")
    assert read(path).record == read(str(output)).record
    bin_ = plant(tmp_path / "bin", {})
    bin_.mkdir(exist_ok=True)
    (bin_ / "python3").symlink_to(sys.executable)
    environ = environment({"PATH": f"{bin_}:{os.environ['PATH']}"})
    assert subprocess.run([path, "b"], env=environ, capture_output=True, text=True, check=True).stdout.startswith("1 __main__ ['b']")


def test_a_script_from_outside_can_be_the_entry_point(tree: Path, tmp_path: Path) -> None:
    """A launcher that lies beside the tree becomes the `__main__.py`; one that is nowhere is an error."""
    plant(tmp_path, {"start.py": "from src import model\nprint('outside', model.VERSION)\n"})
    program = make_pyz(tree, str(tmp_path / "start.py"), tmp_path / "p.pyz")
    assert bare(program, cwd=tmp_path).stdout == "outside 1\n"
    with pytest.raises(UsageError):
        make_pyz(tree, "nothing.py", tmp_path / "q.pyz")
    assert not (tmp_path / "q.pyz").exists()


def test_importing_ckpt_loads_no_snapshot_code(tmp_path: Path) -> None:
    """`import ckpt` loads nothing of this wing, `ckpt.codebase` loads no third-party package."""
    code = "import sys, ckpt; assert 'ckpt.codebase' not in sys.modules; ckpt.codebase.checkpoint"
    code += "; print({'wandb', 'rich', 'typer'} & set(sys.modules))"
    assert python("-c", code, cwd=tmp_path).stdout == "set()\n"
