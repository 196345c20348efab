"""Snapshots in use: several versions in one process, none of which sees another, and nothing left behind."""

from __future__ import annotations

import builtins
import importlib.util
import inspect
import io
import linecache
import os
import pdb  # noqa: T100 - what is tested with
import pickle
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ckpt.codebase import Codebase, UniqueCodebase, checkpoint
from ckpt.codebase.loading import PlainInside
from ckpt.codebase.version import ClosedError
from tests.processes import python
from tests.projects import MODEL, codebase, plant

#: A pickle of an object of the class `Net` in the module `mod`.
NET = b"cmod\nNet\n)\x81."
#: Code that loads a module by its path.
PLUGIN = """
import os
from importlib import util

spec = util.spec_from_file_location("plugin", os.path.join(os.path.dirname(__file__), "pkg", "b.py"))
module = util.module_from_spec(spec)
spec.loader.exec_module(module)
value = module.A
"""
#: The name of an unpacked snapshot.
UNPACKED = re.compile("codebase_[0-9a-f]{16}")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ckpt" / "codebases"


@pytest.fixture(autouse=True)
def no_modules_stay() -> Iterator[None]:
    """No test leaves a module of a snapshot, or what the import system remembers of one, behind."""
    before = set(sys.modules)
    yield
    left = {name for name in set(sys.modules) - before if name.partition(".")[0] in {"src", "train", "pkg", "mod"} or UNPACKED.search(name)}
    assert left == set()
    assert [path for path in [*sys.path_importer_cache, *linecache.cache] if UNPACKED.search(path)] == []


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Makes the small repository in a version, or a snapshot of any files, and returns the zip file."""

    def snapshot(version: int = 1, files: dict[str, str | bytes] | None = None) -> Path:
        folder, output = tmp_path / f"tree{version}", tmp_path / f"v{version}.zip"
        checkpoint(codebase(folder, version) if files is None else plant(folder, files), output)
        return output

    return snapshot


@pytest.fixture
def two(make: Callable[..., Path]) -> Iterator[tuple[UniqueCodebase, UniqueCodebase]]:
    """Two versions, open."""
    with UniqueCodebase(make(1)) as first, UniqueCodebase(make(2)) as second:
        yield first, second


Two = tuple[UniqueCodebase, UniqueCodebase]


# Two versions


@pytest.mark.smoke
def test_every_kind_of_import_stays_in_its_version(two: Two) -> None:
    """Absolute, relative, `from src import model`, circular, aliased, by name, and later inside a function: each finds its own version."""
    for version, opened in enumerate(two, 1):
        model = opened.import_module("src.model")
        utils = opened.import_module("src.utils")
        assert version == model.VERSION
        assert model.src.utils is model.aliased is model.utils is model.relative is utils
        assert utils.model is model
        assert utils.again() == version
        assert model.by_name() == (version, version)
        assert model.Model().lazily() == (version, version, version)


def test_imports_inside_functions_find_their_version_whoever_calls(two: Two) -> None:
    """A function of one version that is called by the other, or in another thread, imports from its own."""
    first, second = (opened.import_module("src.model") for opened in two)
    assert second.called(first.Model().lazily) == (1, 1, 1)
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(second.Model().lazily()))
    thread.start()
    thread.join()
    assert seen == [(2, 2, 2)]


def test_texts_are_not_rewritten(two: Two) -> None:
    """A sentence that looks like an import is the same in every version."""
    for opened in two:
        assert opened.import_module("src.model").TEXT == "please import src before you from src import anything"


def test_versions_interact_in_one_process(two: Two) -> None:
    """Objects of two versions go into each other's functions; their classes are different ones of the same name."""
    first, second = (opened.import_module("src.model") for opened in two)
    assert first.Model().size + second.Model().size == 3
    assert first.Model is not second.Model
    assert second.copied(first.Model()) == first.Model()
    assert first.Model() != second.Model()


def test_a_version_does_not_see_the_programs_modules(make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the program works on its own `src`, a version has its own, and the program's stays what it was."""
    plant(tmp_path / "live", {"src/__init__.py": "LIVE = True\n", "src/late.py": "LATE = 'live'\n"})
    monkeypatch.syspath_prepend(str(tmp_path / "live"))
    import src  # type: ignore[import-not-found]

    try:
        with UniqueCodebase(make(1)) as old:
            assert old.import_module("src.model").Model().lazily() == (1, 1, 1)
            import src.late  # type: ignore[import-not-found]

            assert src.late.LATE == "live"
            assert not hasattr(old.import_module("src"), "LIVE")
        assert sys.modules["src"] is src
    finally:
        for name in ("src", "src.late"):
            sys.modules.pop(name, None)


def test_the_same_snapshot_can_be_open_twice(make: Callable[..., Path], tmp_path: Path) -> None:
    """Who opens the same content again, from whichever file, has the same modules; they stay until all have closed it."""
    zipped = make(1)
    (tmp_path / "copy.zip").write_bytes(zipped.read_bytes())
    first, second = UniqueCodebase(zipped), UniqueCodebase(tmp_path / "copy.zip")
    one, other = first.import_module("src.model"), second.import_module("src.model")
    assert one is other
    assert isinstance(one.Model(), other.Model)
    first.close()
    first.close()
    assert other.Model().lazily() == (1, 1, 1)
    with pytest.raises(ClosedError):
        first.import_module("src.model")
    second.close()
    assert second.library_name not in sys.modules
    with pytest.raises(ClosedError):
        other.Model().lazily()


def test_installed_packages_stay_live(make: Callable[..., Path]) -> None:
    """What is not in the snapshot is the program's; a mere directory with code in it gives way to an installed package of its name."""
    files = {"mod.py": "import numpy, json\nfrom os import path\n", "numpy/notes.py": "", "json/__init__.py": "OURS = 1\n"}
    with UniqueCodebase(make(1, files)) as opened:
        import numpy as np

        module = opened.import_module("mod")
        assert module.numpy is np
        assert module.path is os.path
        assert module.json.OURS == 1
        assert opened.valid_libraries == ["json", "mod"]


def test_what_is_not_in_a_version_is_not_found(two: Two) -> None:
    """A module that no snapshot has is an ImportError like any other, and names that are missing too."""
    for name in ("src.nothing", "nothing", "src.model.deeper", "numpy", "", ".src", "src..model"):
        with pytest.raises(ModuleNotFoundError, match=rf"^No module named {re.escape(repr(name))} in .*v1\.zip$"):
            two[0].import_module(name)
    with pytest.raises(ImportError, match=r"cannot import name 'nothing' from 'src\.model'"):
        two[0].from_import("src.model", "nothing")


def test_a_module_that_is_missing_is_named_as_the_code_names_it(make: Callable[..., Path]) -> None:
    """Code that asks which module is missing is answered in its own words; what a module needs and is not there, by its name."""
    code = "try:\n    import pkg.none\nexcept ModuleNotFoundError as err:\n    name, text = err.name, str(err)\n"
    with UniqueCodebase(make(1, {"mod.py": code, "pkg/__init__.py": "", "pkg/a.py": "import absent_library\n"})) as opened:
        assert (opened.import_module("mod").name, opened.import_module("mod").text) == ("pkg.none", "No module named 'pkg.none'")
        for attempt in (lambda: opened.import_module("pkg.a"), lambda: opened.from_import("pkg", "a")):
            with pytest.raises(ModuleNotFoundError, match=r"^No module named 'absent_library'$"):
                attempt()


def test_an_error_while_importing_comes_through(make: Callable[..., Path]) -> None:
    """What a module raises when it is imported is raised, and the module is not kept half done."""
    with UniqueCodebase(make(1, {"mod.py": "x = 1\n1 / 0\n"})) as opened:
        for _ in range(2):
            with pytest.raises(ZeroDivisionError) as raised:
                opened.import_module("mod")
            assert raised.traceback[-1].path == Path(opened._version.directory, "mod.py")


# What lies beside the code


def test_data_files_are_found(two: Two) -> None:
    """`open(__file__ ...)`, and `importlib.resources` by name and by package, read the version's own file."""
    for version, opened in enumerate(two, 1):
        assert opened.import_module("src.model").data() == {f"data of version {version}"}


@pytest.mark.filterwarnings("ignore:(open_text|read_text|.pkgutil):DeprecationWarning")
@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("import importlib\nvalue = importlib.import_module('pkg.a').A", 7),
        ("import importlib.util\nvalue = importlib.util.find_spec('pkg.a').origin.endswith('a.py')", True),
        ("from importlib.util import find_spec\nvalue = find_spec('pkg.none')", None),
        ("import importlib.resources as r\nvalue = r.read_text('pkg', 'pkg.txt')", "text"),
        ("from importlib.resources import files\nvalue = files('pkg').joinpath('pkg.txt').read_text()", "text"),
        ("import importlib.resources\nvalue = importlib.resources.files(anchor='pkg').joinpath('pkg.txt').read_text()", "text"),
        ("import pkgutil\nvalue = pkgutil.resolve_name('pkg.a:A')", 7),
        ("import pkgutil\nvalue = pkgutil.get_data('pkg', 'pkg.txt')", b"text"),
        ("import runpy\nvalue = runpy.run_module('pkg.b')['A']", 7),
        ("import runpy\nvalue = runpy.run_module(mod_name='pkg.b', init_globals={'X': 3})['X']", 3),
        ("import os, runpy\nvalue = runpy.run_path(os.path.join(os.path.dirname(__file__), 'pkg', 'b.py'))['A']", 7),
        ("import pydoc\nvalue = pydoc.locate('pkg.a.A')", 7),
        ("from unittest import mock\nfrom pkg import a\nwith mock.patch('pkg.a.A', 8):\n    value = a.A", 8),
        (PLUGIN, 7),
        ("import importlib.metadata\nvalue = importlib.metadata.version('pytest') > ''", True),
        ("value = __import__('pkg.a').a.A", 7),
        (
            "import pkg, pkgutil\nvalue = [m.name for m in pkgutil.walk_packages(pkg.__path__, pkg.__name__ + '.')][0].endswith('pkg.a')",
            True,
        ),
        ("exec('from pkg import a')\nvalue = a.A", 7),
        ("value = eval('__import__')('pkg.a', fromlist=['A']).A", 7),
    ],
)
def test_the_standard_library_finds_modules_of_the_version_by_name(make: Callable[..., Path], code: str, value: object) -> None:
    """What imports by a text finds what the code of the version means by it."""
    if "anchor=" in code and sys.version_info < (3, 12):
        code = code.replace("anchor=", "package=")
    with UniqueCodebase(
        make(1, {"mod.py": code, "pkg/__init__.py": "", "pkg/a.py": "A = 7\n", "pkg/b.py": "from pkg.a import A\n", "pkg/pkg.txt": "text"})
    ) as opened:
        assert opened.import_module("mod").value == value


@pytest.mark.skipif(sys.version_info < (3, 12), reason="files() without an argument is new in 3.12")
def test_resources_of_the_calling_module_are_found(make: Callable[..., Path]) -> None:
    """`importlib.resources.files()` means the package of the module that calls it."""
    code = "from importlib.resources import files\ndef text(): return files().joinpath('pkg.txt').read_text()\n"
    with UniqueCodebase(make(1, {"pkg/__init__.py": "", "pkg/a.py": code, "pkg/pkg.txt": "text"})) as opened:
        assert opened.import_module("pkg.a").text() == "text"


def test_the_programs_own_importlib_is_untouched(two: Two) -> None:
    """What a version sees of the standard library is its own; the modules that the program has are the ones it had."""
    import importlib
    import importlib.resources

    two[0].import_module("src.model").data()
    assert sys.modules["importlib"] is importlib
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("src.model")
    with pytest.raises(ModuleNotFoundError):
        importlib.resources.files("src")


# Pickles


def test_objects_of_a_version_are_pickled_and_loaded_back_in_it(two: Two) -> None:
    """By its own code, by the program's pickle and by `loads`, an object comes back as one of the same version."""
    for opened in two:
        model = opened.import_module("src.model")
        made = model.Model(5)
        data = pickle.dumps(made)
        for back in (model.copied(made), pickle.loads(data), opened.loads(data)):
            assert type(back) is model.Model
            assert back == made


def test_a_version_loads_what_the_plain_program_has_pickled(make: Callable[..., Path], tmp_path: Path) -> None:
    """A pickle that says `src.model` becomes an object of the version that is asked to load it."""
    zipped = make(1)
    code = "import sys, pickle; sys.path.insert(0, 'tree1'); import src.model; sys.stdout.buffer.write(pickle.dumps(src.model.Model(9)))"
    (tmp_path / "run.py").write_text(code.replace("sys.stdout.buffer.write(", "open('data', 'wb').write("))
    python("run.py", cwd=tmp_path)
    with UniqueCodebase(zipped) as opened:
        loaded = opened.loads((tmp_path / "data").read_bytes())
        assert type(loaded) is opened.import_module("src.model").Model
        assert loaded.size == 9


def test_another_process_loads_what_a_version_has_pickled(make: Callable[..., Path], tmp_path: Path) -> None:
    """The names in a pickle stand for the content of the snapshot: whoever has opened the same one can load it."""
    zipped = make(1)
    code = f"""
import pickle, sys
from ckpt.codebase import UniqueCodebase
opened = UniqueCodebase({str(zipped)!r})
if sys.argv[1] == "write":
    open("data", "wb").write(pickle.dumps(opened.import_module("src.model").Model(4)))
else:
    print(pickle.load(open("data", "rb")).size)
"""
    (tmp_path / "run.py").write_text(code)
    python("run.py", "write", cwd=tmp_path)
    assert python("run.py", "read", cwd=tmp_path).stdout == "4\n"


def test_what_a_notebook_pickles_is_loaded_anywhere(make: Callable[..., Path]) -> None:
    """A cell that opens a snapshot, run twice, makes pickles that name the content, not the count."""
    zipped = make(1)
    with UniqueCodebase(zipped), UniqueCodebase(zipped) as again:
        data = pickle.dumps(again.import_module("src.model").Model(2))
        assert re.search(rb"codebase_[0-9a-f]{16}\.src\.model", data)


def test_code_of_a_version_loads_what_the_plain_program_has_pickled(make: Callable[..., Path], tmp_path: Path) -> None:
    """`pickle.load`, `loads` and `Unpickler`, also derived from, find the version's classes, whatever the program has imported."""
    code = """
import io
import pickle
from pickle import loads

class Net:
    pass

class Mine(pickle.Unpickler):
    def persistent_load(self, pid):
        return pid

def load(data):
    with io.BytesIO(data) as file:
        return [pickle.load(file), loads(data), pickle.Unpickler(io.BytesIO(data)).load(), Mine(io.BytesIO(data), encoding="bytes").load()]
"""
    zipped = make(1, {"mod.py": code})
    (tmp_path / "run.py").write_text(
        f"""
import pickle, sys
sys.path.insert(0, {str(tmp_path / "tree1")!r})
from ckpt.codebase import UniqueCodebase
with UniqueCodebase({str(zipped)!r}) as opened:
    net = opened.import_module("mod")
    assert [type(one) for one in net.load({NET!r})] == [net.Net] * 4
    import mod
    data = pickle.dumps(mod.Net())
    assert [type(one) for one in net.load(data)] == [net.Net] * 4
    assert type(pickle.loads(data)) is mod.Net
    assert pickle.Unpickler is not net.pickle.Unpickler is net.Mine.__base__
"""
    )
    python("run.py", cwd=tmp_path)


def test_a_library_finds_a_version_in_its_place(make: Callable[..., Path]) -> None:
    """Inside `in_place()` whatever imports by a name finds the version, and what is not in it is not found; afterwards all is as before."""
    with UniqueCodebase(make(1)) as opened:
        model = opened.import_module("src.model")
        data = b"csrc.model\nModel\n)\x81."
        with opened.in_place():
            assert type(pickle.loads(data)) is model.Model
            assert sys.modules["src.model"] is model
            assert importlib.util.find_spec("src.nothing") is None
            with pytest.raises(ModuleNotFoundError, match=r"No module named 'src\.nothing'"):
                importlib.import_module("src.nothing")
        assert "src" not in sys.modules
        with pytest.raises(ModuleNotFoundError):
            pickle.loads(data)


# Tracebacks and debuggers


def test_tracebacks_show_the_source_of_their_version(two: Two) -> None:
    """The line that raised is shown as it stands in that version's file."""
    for version, opened in enumerate(two, 1):
        with pytest.raises(ValueError, match=f"version {version}") as raised:
            opened.import_module("src.model").fail()
        assert f"# line of version {version}" in "".join(traceback.format_exception(raised.value))
    linecache.clearcache()


def test_debuggers_and_inspect_show_the_source_of_their_version(two: Two) -> None:
    """`inspect.getsource`, and `list` in the debugger after a failure, show that version's text."""
    for version, opened in enumerate(two, 1):
        model = opened.import_module("src.model")
        assert f"# line of version {version}" in inspect.getsource(model.fail)
        assert inspect.getsource(model.Model).startswith("@dataclass\nclass Model:")
        with pytest.raises(ValueError, match="version") as raised:
            model.fail()
        out = io.StringIO()
        debugger = pdb.Pdb(stdin=io.StringIO("list\nquit\n"), stdout=out, readrc=False)
        debugger.use_rawinput = False
        debugger.reset()
        debugger.interaction(None, raised.value.__traceback__)
        assert f"# line of version {version}" in out.getvalue()
    linecache.clearcache()


# Names in the caller


def test_names_are_bound_at_module_level(make: Callable[..., Path]) -> None:
    """In a script, each form binds what the import statement that it stands for would bind, and returns it."""
    code = """
import sys
a = cb.import_("src.model"); assert src is a and src.model.VERSION == 1
b = cb.import_("src.model", as_="m1"); assert m1 is b is src.model
c = cb._import("src.model", _as="m2"); assert m2 is b
d = cb.from_import("src", ("model", "utils")); assert [model, utils] == d
e = cb.from_import("src", "model", as_="m3"); assert m3 is e is b
f = cb._from("src.model", "VERSION", _as="v"); assert v == f == 1
g = cb._from_import("src.model", ["Model"]); assert Model is g
class Body:
    cb.import_("train")
assert Body.train.__name__.endswith(".train")
"""
    with UniqueCodebase(make(1)) as opened:
        names: dict[str, Any] = {"cb": opened}
        exec(code, names)
        assert isinstance(names["src"], ModuleType)


def test_inside_a_function_names_are_only_returned(two: Two) -> None:
    """Python fixes the variables of a function when it is compiled: nothing is bound there, and nothing breaks."""

    def function() -> tuple[ModuleType, dict[str, Any]]:
        model = two[0].import_("src.model", as_="other")
        return model, dict(locals())

    model, variables = function()
    assert model.VERSION == 1
    assert set(variables) == {"model", "two"}
    assert "other" not in globals()
    assert two[0].from_import("src.model", "VERSION") == 1


def test_an_alias_goes_with_one_name(two: Two) -> None:
    """Two things cannot have one name."""
    with pytest.raises(TypeError):
        two[0].from_import("src", ["model", "utils"], as_="one")


def test_names_are_bound_in_a_notebook(make: Callable[..., Path], tmp_path: Path) -> None:
    """In IPython, a cell's import is there in the next cell."""
    zipped = make(1)
    code = f"""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in (
    "from ckpt import codebase as codesave",
    "codebase1 = codesave.UniqueCodebase({str(zipped)!r})",
    "codebase1.import_('src.model', as_='model_v1');",
    "print(model_v1.VERSION)",
):
    result = shell.run_cell(cell)
    assert result.success
"""
    (tmp_path / "run.py").write_text(code)
    assert "1\n" in python("run.py", cwd=tmp_path, environ={"IPYTHONDIR": str(tmp_path)}).stdout


# Closing


def test_closing_removes_what_was_added(make: Callable[..., Path]) -> None:
    """Modules, finders, path and caches are what they were, a second close does nothing, and objects go on working."""
    modules, finders, path = dict(sys.modules), list(sys.meta_path), list(sys.path)
    opened = UniqueCodebase(make(1))
    model = opened.import_module("src.model")
    names = {name for name in sys.modules if name.startswith(opened.library_name)}
    assert {f"{opened.library_name}.src.model", opened.library_name} <= names
    opened.close()
    opened.close()
    assert names & set(sys.modules) == set()
    assert {name: module for name, module in sys.modules.items() if name in modules} == modules
    assert (sys.meta_path, sys.path) == (finders, path)
    assert model.whatever_you_want() == 1
    assert repr(opened).endswith(", closed>")


def test_imports_from_a_closed_version_say_so(make: Callable[..., Path]) -> None:
    """They are ImportErrors, never the program's modules of that name."""
    opened = UniqueCodebase(
        make(1, {"pkg/a.py": "def late():\n    from . import b\n", "pkg/b.py": "", "c.py": "def late():\n    import pkg.b\n"})
    )
    relative, absolute = opened.import_module("pkg.a").late, opened.import_module("c").late
    opened.close()
    for attempt in (relative, absolute, lambda: opened.import_module("c"), lambda: opened.loads(pickle.dumps(1)), opened.in_place):
        with pytest.raises(ClosedError, match="is closed"):
            attempt()


# One at a time


def test_a_codebase_is_found_by_plain_imports(make: Callable[..., Path]) -> None:
    """Inside the block `import src` is the snapshot's; afterwards all is as before, so that the next version can be opened."""
    modules, path = dict(sys.modules), list(sys.path)
    for version in (1, 2):
        with Codebase(make(version)) as opened:
            from src import model  # type: ignore[import-not-found, unused-ignore]

            assert version == model.VERSION
            assert model.Model().lazily() == (version, version, version)
            assert model.data() == {f"data of version {version}"}
            assert "src" in opened.valid_libraries
        opened.close()
        assert "src" not in sys.modules
        assert sys.path == path
        assert model.whatever_you_want() == version
    assert {name: sys.modules[name] for name in modules} == modules


#: Code that reaches for its version in every way when it is called, and what a program has today under the same names.
LATE = {
    "src/__init__.py": "",
    "src/model.py": """
import importlib
import importlib.resources
import io
import os
import pickle
import sys

class Net:
    pass

def absolute():
    import src.scale
    return src.scale.RATE

def named():
    from src import scale, model
    from src.scale import RATE
    assert model.Net is Net
    return RATE

def relative():
    from . import scale
    from .deep.er import found
    return found.RATE if found.scale is scale else None

def by_name():
    return importlib.import_module("src.scale").RATE, importlib.import_module(".scale", package=__package__).RATE

def beside():
    texts = [importlib.resources.files(package).joinpath("rate.txt").read_text() for package in ("src.deep.er", "src", __package__)]
    with open(os.path.join(os.path.dirname(__file__), "rate.txt")) as file:
        return {*texts, file.read()}

def unpickled():
    return type(pickle.load(io.BytesIO(b"csrc.model\\nNet\\n)\\x81."))) is Net
""",
    "src/scale.py": "RATE = 'then'\n",
    "src/deep/er/found.py": "from src import scale\nRATE = scale.RATE\n",
    "src/deep/er/rate.txt": "then",
    "src/rate.txt": "then",
    "outside.py": "def late():\n    import src.scale\n    return src.scale.RATE\n",
}
TODAY = {"src/__init__.py": "", "src/model.py": "class Net: pass\n", "src/scale.py": "RATE = 'today'\n", "src/deep/er/found.py": ""}
#: Imports from a snapshot, leaves it, and only then calls what imports more.
AFTERWARDS = """
import sys
from ckpt.codebase import Codebase
if "today first" in sys.argv:
    import src.model, src.scale
before, path, finders = dict(sys.modules), list(sys.path), list(sys.meta_path)
with Codebase("v1.zip") as opened:
    import src.model as model, outside
    if "deep first" in sys.argv:
        import src.deep.er.found
assert {name for name in sys.modules if name.startswith(("src", "codebase_"))} <= set(before)
assert (sys.path, sys.meta_path) == (path, finders)
for late in (model.absolute, model.named, model.relative, outside.late):
    assert late() == "then", late
assert model.by_name() == ("then", "then")
assert model.beside() == {"then"}
assert model.unpickled()
if "today is there" in sys.argv:
    import src.scale
    assert src.scale.RATE == "today"
else:
    assert "src" not in sys.modules
assert sys.path == path
"""


@pytest.mark.parametrize("today", ["today first", "today is there", "today is gone"])
@pytest.mark.parametrize("deep", ["deep first", "deep later"])
def test_code_of_a_codebase_imports_from_it_when_it_is_closed(make: Callable[..., Path], tmp_path: Path, today: str, deep: str) -> None:
    """What was imported inside the block, and is called after it, goes on finding its version, and never today's code."""
    make(1, LATE)
    plant(tmp_path, TODAY if today != "today is gone" else {})
    (tmp_path / "run.py").write_text(AFTERWARDS)
    names = {"today first": ["today first", "today is there"]}.get(today, [today])
    python("run.py", *names, deep, cwd=tmp_path)


def test_two_codebases_one_after_the_other_stay_apart_afterwards(make: Callable[..., Path], tmp_path: Path) -> None:
    """Functions of both import late, each from its own."""
    make(1)
    make(2)
    code = """
from ckpt.codebase import Codebase
found = []
for version in (1, 2, 1):
    with Codebase(f"v{version}.zip"):
        from src import model
        found.append(model.Model())
assert [one.lazily() for one in found] == [(1, 1, 1), (2, 2, 2), (1, 1, 1)]
"""
    (tmp_path / "run.py").write_text(code)
    python("run.py", cwd=tmp_path)


def test_a_codebase_says_whether_it_is_open(make: Callable[..., Path]) -> None:
    """Its text names the file, and tells when it has been closed."""
    opened = Codebase(make(1))
    assert repr(opened) == f"<Codebase {opened.zip_name}>"
    opened.close()
    assert repr(opened) == f"<Codebase {opened.zip_name}, closed>"


def test_what_is_put_among_the_builtins_is_seen_in_a_version(make: Callable[..., Path]) -> None:
    """`install()` functions put names among the builtins: modules that are imported after that see them."""
    files = {"pkg/__init__.py": "import builtins\nbuiltins.shout = str.upper\n", "pkg/a.py": "A = shout('a')\n"}
    try:
        with UniqueCodebase(make(1, files)) as opened:
            assert opened.import_module("pkg.a").A == "A"
    finally:
        del builtins.shout  # type: ignore[attr-defined]


def test_a_codebase_hides_modules_that_are_there_already(
    make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program's own modules of those names are out of the way meanwhile, and come back as the same objects."""
    monkeypatch.syspath_prepend(str(plant(tmp_path / "live", {"src/__init__.py": "LIVE = True\n"})))
    import src

    live = src
    try:
        for kind in (Codebase, PlainInside):
            with kind(make(1)):
                import src.model  # type: ignore[import-not-found]

                assert sys.modules["src"] is not live
                assert src.model.VERSION == 1
            assert sys.modules["src"] is live
        assert "src.model" not in sys.modules
    finally:
        sys.modules.pop("src", None)


def test_plain_imports_inside_a_version_are_its_modules(make: Callable[..., Path]) -> None:
    """A version that serves plain imports in its block gives them the modules that it gives by name."""
    with PlainInside(make(1)) as opened:
        import src.model
        from src import utils
        from src.model import Model

        assert src.model is opened.import_module("src.model")
        assert utils is opened.import_module("src.utils")
        assert Model is src.model.Model
        found = src
    assert found.model.VERSION == 1


# Typing what the names promise


def test_a_model_text_has_every_kind_of_import() -> None:
    """The material has the imports that the tests are about."""
    assert all(line in MODEL for line in ("import src.utils\n", "from src import utils\n", "from . import utils", "import_module("))
