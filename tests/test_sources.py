"""Which files are the project's, and their text."""

from __future__ import annotations

import importlib
import json
import linecache
import os
import resource
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import ckpt._model.sources as room
from ckpt._model.config import Config
from ckpt._model.sources import AS_IMPORTED, TOO_LATE, Sources, is_project


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], ModuleType]]:
    """Give a function that writes a module of the project and imports it; nothing of it stays."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    names: list[str] = []

    def make(name: str, text: str) -> ModuleType:
        names.append(name)
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield make
    for name in names:
        sys.modules.pop(name, None)


def edit(path: Path, text: str) -> None:
    """Change a file so that its stamp is another, however coarse the clock of the file system."""
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(1, 1 + len(text)))


def test_the_users_files_are_the_projects(tmp_path: Path) -> None:
    """A script, a module, a relative name and an editable install belong to the project."""
    for file in (str(tmp_path / "job.py"), "job.py", "/home/u/src/pkg/mod.py", str(tmp_path / "cell" / "12345.py")):
        assert is_project(file), file


@pytest.mark.parametrize(
    "file",
    [
        os.__file__,
        json.__file__,
        pytest.__file__,
        room.__file__,
        os.path.join(sysconfig.get_path("purelib"), "pkg", "mod.py"),
        "/usr/lib/python3/dist-packages/pkg.py",
        r"C:\Python\Lib\site-packages\pkg.py",
        "<string>",
        "<frozen importlib._bootstrap>",
        "<ipython-input-1-0123456789ab>",
        "<ckpt>",
        "",
    ],
)
def test_other_files_are_not_the_projects(file: str) -> None:
    """The standard library, installed packages, ckpt itself and made-up names are not the project's."""
    assert not is_project(file)


def test_a_package_that_only_begins_like_ours_is_the_projects() -> None:
    """The directory of ckpt is compared as a whole."""
    assert is_project(f"{Path(room.__file__).parents[1]}_analysis/mod.py")


def test_texts_are_those_of_the_projects_loaded_modules(make_module: Callable[[str, str], ModuleType]) -> None:
    """Each loaded module of the project is there with its bytes, and nothing of the libraries."""
    module = make_module("mod_texts", "# -*- coding: utf-8 -*-\nX = 'ä'\n")
    texts = Sources().texts()
    assert texts[str(module.__file__)] == "# -*- coding: utf-8 -*-\nX = 'ä'\n".encode()
    assert all(is_project(file) for file in texts)


def test_the_script_is_among_the_texts(tmp_path: Path) -> None:
    """`__main__` and what it imports are found in a real process, wherever the process has gone meanwhile."""
    (tmp_path / "helper_of_job.py").write_text("Y = 2\n", encoding="utf-8")
    script = tmp_path / "job"
    script.write_text(
        "import helper_of_job, os, json\nfrom ckpt._model.sources import Sources\nos.chdir('/')\n"
        "print(json.dumps(sorted(Sources().texts())))\n",
        encoding="utf-8",
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(room.__file__).parents[2])}
    ran = subprocess.run([sys.executable, "job"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == [str(tmp_path / "helper_of_job.py"), str(script)]


def test_changed_tells_when_to_ask_again(make_module: Callable[[str, str], ModuleType]) -> None:
    """It is true at first and after an import, false in between."""
    sources = Sources()
    assert sources.changed()
    sources.texts()
    assert not sources.changed()
    module = make_module("mod_changed", "")
    assert sources.changed()
    assert str(module.__file__) in sources.texts()


def test_the_text_is_the_one_that_was_imported(make_module: Callable[[str, str], ModuleType]) -> None:
    """A file that is edited after it was first read keeps its text, until the module is reloaded."""
    module = make_module("mod_edited", "X = 1\n")
    file = str(module.__file__)
    sources = Sources()
    assert sources.texts()[file] == b"X = 1\n"
    edit(Path(file), "X = 'another'\n")
    assert sources.text_of(file) == b"X = 1\n"
    assert sources.texts()[file] == b"X = 1\n"
    importlib.reload(module)
    assert sources.text_of(file) == b"X = 'another'\n"
    assert sources.changed()
    assert sources.texts()[file] == b"X = 'another'\n"


def test_in_an_interactive_session_the_text_on_disk_counts(
    make_module: Callable[[str, str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Autoreload patches functions without a trace that could be seen, so the file is read again when it has changed."""
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    module = make_module("mod_autoreloaded", "X = 1\n")
    file = str(module.__file__)
    sources = Sources()
    sources.texts()
    edit(Path(file), "X = 'another'\n")
    assert sources.text_of(file) == b"X = 'another'\n"
    assert sources.texts()[file] == b"X = 'another'\n"


def test_a_deleted_module_keeps_its_text(make_module: Callable[[str, str], ModuleType]) -> None:
    """What was read stays when the file and the module are gone: its functions may still run."""
    module = make_module("mod_deleted", "X = 1\n")
    file = str(module.__file__)
    sources = Sources()
    sources.texts()
    Path(file).unlink()
    del sys.modules["mod_deleted"]
    assert sources.text_of(file) == b"X = 1\n"
    assert sources.texts()[file] == b"X = 1\n"


def test_what_is_too_large_is_passed_over_and_named(make_module: Callable[[str, str], ModuleType]) -> None:
    """A file above the limit is not kept, and the reason stands beside its name."""
    module = make_module("mod_large", f"X = 1\n#{'x' * 1000}\n")
    sources = Sources(Config(source_file_limit=1000))
    assert str(module.__file__) not in sources.texts()
    assert sources.omitted[str(module.__file__)] == "it holds more than source_file_limit = 1000 bytes"
    assert sources.text_of(str(module.__file__)) is None


def test_all_texts_together_are_bounded(make_module: Callable[[str, str], ModuleType]) -> None:
    """Beyond the total the rest is named, and a text that was replaced no longer counts."""
    others = set(Sources().texts())
    size = sum(len(Path(file).read_bytes()) for file in others)
    first, second = make_module("mod_first", "#" * 600), make_module("mod_second", "#" * 600)
    sources = Sources(Config(source_total_limit=size + 1000))
    assert set(sources.texts()) - others == {first.__file__}
    assert "source_total_limit" in sources.omitted[str(second.__file__)]
    assert sources.text_of(str(second.__file__)) == b"#" * 600
    edit(Path(str(first.__file__)), "")
    importlib.reload(first)
    sources.texts()  # a reload puts the module last, so its room is free from the next time on
    assert set(sources.texts()) - others == {first.__file__, second.__file__}
    assert sources.omitted == {}


def test_a_library_file_is_read_and_read_again_when_it_changes(tmp_path: Path) -> None:
    """Any file that a frame names has a text; without a module that vouches for it the stamp decides."""
    file = tmp_path / "ran.py"
    file.write_text("1\n", encoding="utf-8")
    sources = Sources()
    assert sources.text_of(json.__file__) == Path(json.__file__).read_bytes()
    assert sources.text_of(str(file)) == b"1\n"
    edit(file, "22\n")
    assert sources.text_of(str(file)) == b"22\n"
    assert json.__file__ not in sources.texts()


def test_a_notebook_cell_has_its_text_from_linecache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code without a file is shown from where the interactive shell has put it, odd characters included."""
    cells = {"<ipython-input-1-ab>": (4, None, ["a = 'ä'\n", "1/0\n"], "x"), "/tmp/ipykernel_1/2.py": (1, None, ["b\udc80\n"], "x")}
    for name, entry in cells.items():
        monkeypatch.setitem(linecache.cache, name, entry)
    sources = Sources()
    assert sources.text_of("<ipython-input-1-ab>") == "a = 'ä'\n1/0\n".encode()
    assert sources.text_of("/tmp/ipykernel_1/2.py") == b"b\xed\xb2\x80\n"


@pytest.mark.parametrize("name", ["<nowhere>", "", "no/such/file.py", "/nul\0l", "/", "x" * 5000])
def test_no_text_is_none(name: str) -> None:
    """A name that leads nowhere gives None, and never an error."""
    assert Sources().text_of(name) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a FIFO")
def test_a_fifo_does_not_block(tmp_path: Path) -> None:
    """A FIFO in the place of a source file is passed over at once."""
    os.mkfifo(tmp_path / "pipe.py")
    assert Sources().text_of(str(tmp_path / "pipe.py")) is None


def test_a_module_in_a_zip_file_has_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was imported from a zip file is read from there."""
    archive = tmp_path / "app.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped_pkg/__init__.py", "")
        file.writestr("zipped_pkg/mod.py", "X = 'zipped'\n")
    monkeypatch.syspath_prepend(str(archive))
    module = importlib.import_module("zipped_pkg.mod")
    try:
        sources = Sources()
        assert sources.text_of(str(module.__file__)) == b"X = 'zipped'\n"
        assert sources.texts()[str(module.__file__)] == b"X = 'zipped'\n"
    finally:
        del sys.modules["zipped_pkg"], sys.modules["zipped_pkg.mod"]


class Acting(ModuleType):
    """A module that acts on every attribute access."""

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(f"{name} was asked for")


def test_hostile_modules_cost_only_themselves(make_module: Callable[[str, str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lazy modules stay lazy, acting ones are not asked, and whatever else stands in `sys.modules` is passed over."""
    good = make_module("mod_good", "X = 1\n")
    odd = ModuleType("odd")
    vars(odd)["__file__"] = 7
    gone = ModuleType("gone")
    gone.__file__ = "/no/such/file_of_project.py"
    spec = importlib.util.find_spec("this")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    lazy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lazy)
    modules = {"acting": Acting("acting"), "none": None, "text": "x", "odd": odd, "gone": gone, "lazy": lazy}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, f"hostile_{name}", module)
    sources = Sources()
    assert str(good.__file__) in sources.texts()
    assert sources.omitted == {"/no/such/file_of_project.py": "the file is gone"}
    assert "_LazyModule" in str(type(lazy))


def test_without_a_free_descriptor_there_is_no_text_and_no_error(make_module: Callable[[str, str], ModuleType]) -> None:
    """At the limit of open files texts are missing, what was read before is there, and nothing is raised."""
    known, new = make_module("mod_known", "X = 1\n"), make_module("mod_new", "X = 2\n")
    sources = Sources()
    assert sources.text_of(str(known.__file__)) == b"X = 1\n"
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        missing, kept, texts = sources.text_of(str(new.__file__)), sources.text_of(str(known.__file__)), sources.texts()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert missing is None
    assert kept == b"X = 1\n"
    assert str(known.__file__) in texts
    assert sources.omitted[str(new.__file__)] == "Too many open files"
    assert sources.text_of(str(new.__file__)) == b"X = 2\n"


@pytest.mark.parametrize(
    ("then", "now", "what"),
    [
        ("def f():\n    return 1\n", "def f():\n    return 2\n", TOO_LATE),
        ("class C:\n    @staticmethod\n    def f(): return 1\n", "class C:\n\n    @staticmethod\n    def f(): return 1\n", TOO_LATE),
        ("LIMIT = 1\n", "LIMIT = 2\n", TOO_LATE),
        ("def f():\n    return 1\n", "def f(:\n", TOO_LATE),
        ("def f():\n    return 1\n", "def f():\n    return 1\n# a note\n", None),
    ],
    ids=["function", "moved method", "constant", "no Python", "comment behind"],
)
def test_a_file_that_was_changed_before_it_was_read_is_found_out(
    make_module: Callable[[str, str], ModuleType], then: str, now: str, what: str | None
) -> None:
    """Text that is not what the module was made from is marked: it was read too late."""
    module = make_module("mod_late", then)
    Path(str(module.__file__)).write_text(now, encoding="utf-8")
    sources = Sources()
    sources.texts()
    assert sources.edited.get(str(module.__file__)) == what


def test_a_file_that_changes_after_it_was_read_is_found_out(make_module: Callable[[str, str], ModuleType]) -> None:
    """Its kept text is the imported one; when the old text is back, or the module is loaded anew, nothing is marked."""
    module = make_module("mod_later", "X = 1\n")
    path = Path(str(module.__file__))
    before = path.stat()
    sources = Sources()
    assert sources.texts()[str(path)] == b"X = 1\n"
    edit(path, "X = 3\n")
    assert sources.texts()[str(path)] == b"X = 1\n"
    assert sources.edited[str(path)] == AS_IMPORTED
    path.write_text("X = 1\n", encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    sources.texts()
    assert str(path) not in sources.edited
    edit(path, "X = 4\n")
    importlib.reload(module)
    sources.texts()
    assert str(path) not in sources.edited


def test_files_that_change_are_looked_for_once_a_second(make_module: Callable[[str, str], ModuleType]) -> None:
    """Looking again costs next to nothing when it was just done."""
    module = make_module("mod_looked", "X = 1\n")
    sources = Sources()
    sources.texts()
    assert sources.look_again() == len(sources.edited)
    known = dict(sources.edited)
    edit(Path(str(module.__file__)), "X = 2\n")
    assert sources.look_again() == len(known)
    sources._looked -= 2
    assert sources.look_again() == len(known) + 1


def test_the_names_of_modules_are_known(make_module: Callable[[str, str], ModuleType]) -> None:
    """A module is listed under the name it is imported by, not under another that leads to it."""
    module = make_module("mod_named", "X = 1\n")
    sys.modules["mod_alias"] = module
    try:
        sources = Sources()
        sources.texts()
    finally:
        del sys.modules["mod_alias"]
    assert sources.modules["mod_named"] == module.__file__
    assert not {"mod_alias", "__main__"} & sources.modules.keys()


def test_patterns_say_which_files_are_the_projects(make_module: Callable[[str, str], ModuleType]) -> None:
    """One pattern takes a file of the project out, another takes an installed one in."""
    module = make_module("mod_generated", "X = 1\n")
    config = Config(source_exclude=(f"{Path(str(module.__file__)).parent}/*_generated.py",), source_include=(json.__file__,))
    texts = Sources(config).texts()
    assert str(module.__file__) not in texts
    assert json.__file__ in texts
