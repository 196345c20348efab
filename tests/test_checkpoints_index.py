"""The index of files: entries, tables, and the command line."""

from __future__ import annotations

import copy
import json
import os
import pickle
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pexpect
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from ckpt.checkpoints import (
    FileHandler,
    Index,
    IndexEntry,
    checkpoint,
    index_checkpoint_files,
    index_files,
    load,
    with_checkpoint_tags,
)
from ckpt.checkpoints.paths import NULL
from ckpt.errors import CkptError, NotFoundError, StoreError, TagError, UsageError
from tests.processes import ckpt, environment, python

pytestmark = pytest.mark.usefixtures("names")

PACKAGE = """
from ckpt import checkpoints
from ckpt.checkpoints import checkpoint, with_checkpoint_tags

MODULE = "MyPackage"

checkpoints.register(MODULE, ["foo"])


def foo(x):
    with with_checkpoint_tags(("foo1", 1), ("foo2", 2)):
        checkpoint(MODULE, "foo", data=2 * x)
    return 2 * x
"""
APPLICATION = """
import ckpt
from ckpt import checkpoints

import mypackage

checkpoints.config("MyPackage.foo", "./path/to/checkpoints")

for i in range(1, 3):
    with ckpt.tags(iteration=i):
        mypackage.foo(1.0)
"""


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in which the example of Checkpoints.jl, package and application, has run."""
    (tmp_path / "mypackage.py").write_text(PACKAGE)
    (tmp_path / "app.py").write_text(APPLICATION)
    python("app.py", cwd=tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "path"


def write(place: Path, *pairs: tuple[str, Any], name: str = "P.a", form: str = "json", value: Any = 1) -> None:
    """Write a checkpoint."""
    with with_checkpoint_tags(*pairs):
        checkpoint(FileHandler(place, format=form), name, value)


def frame(index: Any) -> pd.DataFrame:
    """Return an index as a table of pandas, whose stubs do not know that rows may be any mapping."""
    return pd.DataFrame(index)


def rows(query: str, **tables: Any) -> list[Any]:
    """Return what DuckDB answers; the tables are variables that it finds by their names."""
    connection: Any = duckdb.connect()
    for name, table in tables.items():
        connection.register(name, table)
    return list(connection.execute(query).fetchall())


# The example


@pytest.mark.smoke
def test_the_example_gives_its_two_paths_and_its_table(written: Path) -> None:
    """Those of the README of Checkpoints.jl, column by column; and the values are in the files."""
    paths = [f"./path/to/checkpoints/iteration={i}/foo1=1/foo2=2/MyPackage/foo.ckpt" for i in (1, 2)]
    assert sorted(f"./{path.relative_to(written)}" for path in (written / "path").rglob("*") if path.is_file()) == paths
    index = index_checkpoint_files("./path/to/checkpoints/")
    columns: dict[str, list[Any]] = {
        "prefixes": [("MyPackage",), ("MyPackage",)],
        "checkpoint_name": ["foo", "foo"],
        "iteration": ["1", "2"],
        "foo1": ["1", "1"],
        "foo2": ["2", "2"],
        "checkpoint_path": paths,
    }
    pd.testing.assert_frame_equal(frame(index), pd.DataFrame(columns))
    expected = pl.DataFrame(columns, schema_overrides={"prefixes": pl.List(pl.String)})
    assert pl.DataFrame(index).equals(expected)
    assert pa.table(index).to_pydict() == {
        name: [list(v) if isinstance(v, tuple) else v for v in column] for name, column in columns.items()
    }
    assert rows("SELECT checkpoint_path FROM made WHERE iteration = '1'", made=index) == [(paths[0],)]
    assert [entry.checkpoint_path for entry in index if entry.iteration == "1"] == paths[:1]
    assert [load(entry) for entry in index] == [{"data": 2.0}, {"data": 2.0}]


# Entries


def test_an_entry_says_what_its_path_says(place: Path) -> None:
    """Fields, tags as attributes, what it is not; it can be copied, pickled and compared."""
    write(place, ("iteration", 1), ("note", "a/b"), ("none", None), name="My.Package.foo")
    (entry,) = index_checkpoint_files(place)
    assert isinstance(entry, IndexEntry)
    assert entry.checkpoint_path == f"{place}/iteration=1/note=a%2Fb/none=__HIVE_DEFAULT_PARTITION__/My/Package/foo.json"
    assert (entry.checkpoint_name, entry.prefixes, entry.checkpoint_fullname) == ("foo", ("My", "Package"), "My.Package.foo")
    assert entry.tags == (("iteration", "1"), ("note", "a/b"), ("none", None))
    assert (entry.iteration, entry.note, entry.none) == ("1", "a/b", None)
    assert {"iteration", "note", "none", "tags"} <= set(dir(entry))
    with pytest.raises(TagError, match=r"has no tag 'missing'; its tags: iteration, note, none"):
        _ = entry.missing
    assert not hasattr(entry, "missing")
    for other in (copy.copy(entry), copy.deepcopy(entry), pickle.loads(pickle.dumps(entry))):
        assert other == entry
        assert other.tags == entry.tags
        assert hash(other) == hash(entry)
        assert load(other) == {"data": 1}
    assert repr(entry) == f"IndexEntry({entry.checkpoint_path!r})"
    assert entry != entry.checkpoint_path


def test_a_repeated_tag_is_no_attribute(place: Path) -> None:
    """It is an error that says to use `.tags`, also where Python prints it."""
    write(place, ("a", "a1"), ("b", "b1"), ("a", "a2"))
    (entry,) = index_checkpoint_files(place)
    assert entry.tags == (("a", "a1"), ("b", "b1"), ("a", "a2"))
    assert entry.b == "b1"
    with pytest.raises(CkptError, match="'a' occurs 2 times") as caught:
        _ = entry.a
    assert "".join(traceback.format_exception(caught.value)).endswith("\nhint: use .tags: it has them all\n")


def test_a_repeated_tag_is_one_cell_of_a_table(place: Path) -> None:
    """All of its values are in it, in order; the other rows are as they are, and so is the table of a file that has the tag once."""
    write(place, ("a", 1), ("b", "b1"), ("a", 2))
    write(place, ("a", 3), ("a", None))
    write(place, ("a", 4))
    index = index_checkpoint_files(place)
    cells = ["1, 2", f"3, {NULL}", "4"]
    assert frame(index)["a"].tolist() == pl.DataFrame(index)["a"].to_list() == pa.table(index)["a"].to_pylist() == cells
    assert [row for (row,) in rows("SELECT a FROM made", made=index)] == cells
    assert [dict(entry)["a"] for entry in index] == [entry["a"] for entry in index] == cells
    assert [json.loads(json.dumps(entry))["b"] for entry in index] == ["b1", None, None]
    assert index.columns()["a"] == cells


def test_a_tag_named_like_a_field_leaves_the_field_alone(place: Path) -> None:
    """Its value is in `.tags`, and in the table when no column has its name."""
    write(place, ("tags", "t"), ("prefixes", "p"), ("checkpoint_path", "x"), ("items", "i"))
    (entry,) = index = index_checkpoint_files(place)
    assert entry.tags == (("tags", "t"), ("prefixes", "p"), ("checkpoint_path", "x"), ("items", "i"))
    assert entry.prefixes == ("P",)
    assert entry.checkpoint_path.endswith("a.json")
    assert dict(entry)["tags"] == "t"
    assert frame(index).columns.tolist() == ["prefixes", "checkpoint_name", "tags", "items", "checkpoint_path"]


METHODS = [name for name in vars(dict) if not name.startswith("_") and name != "keys"]


def test_a_tag_named_like_a_method_of_a_dict_is_the_tag(place: Path) -> None:
    """Although an entry is a dict, for tables; `keys` alone makes it one, and is in `.tags` and in the table."""
    assert {"update", "values", "items", "copy", "get"} <= set(METHODS)
    write(place, *((name, f"{name} it") for name in METHODS), ("keys", "k"), ("storage_options", "s"))
    write(place, ("update", 1), ("update", 2))
    index = index_checkpoint_files(place)
    repeated, entry = sorted(index, key=lambda entry: len(entry.tags))
    assert {name: getattr(entry, name) for name in METHODS} == {name: f"{name} it" for name in METHODS}
    assert entry.storage_options == "s"
    assert dict(entry.tags)["keys"] == "k"
    with pytest.raises(TagError, match="'update' occurs 2 times"):
        _ = repeated.update
    assert repeated.get("missing") is None
    for other in (copy.copy(entry), copy.deepcopy(entry), pickle.loads(pickle.dumps(entry))):
        assert (other, other.items, load(other)) == (entry, "items it", {"data": 1})
    columns = {"prefixes", "checkpoint_name", "checkpoint_path", "keys", "storage_options", *METHODS}
    assert set(frame(index).columns) == set(pl.DataFrame(index).columns) == set(pl.DataFrame(list(index)).columns) == columns
    assert dict(entry) == {**entry} == next(row for row in frame(index).to_dict("records") if row["keys"] == "k")


def test_only_what_lies_below_the_directory_counts(tmp_path: Path) -> None:
    """Equals signs and names in the path of the directory itself say nothing."""
    place = tmp_path / "a" / "b=1" / "c"
    write(place, ("date", "2017-01-01"))
    for given in (place, f"{place}/", f"{place}///"):
        (entry,) = index_checkpoint_files(given)
        assert (entry.tags, entry.prefixes) == ((("date", "2017-01-01"),), ("P",))
        assert entry.checkpoint_path == f"{place}/date=2017-01-01/P/a.json"
    assert index_checkpoint_files(tmp_path)[0].prefixes == ("a", "c", "P")


def test_paths_begin_as_the_directory_was_given(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative directory gives relative paths."""
    write(place)
    monkeypatch.chdir(place)
    assert [index_checkpoint_files(given)[0].checkpoint_path for given in (".", "./", Path("P"))] == [
        "./P/a.json",
        "./P/a.json",
        "P/a.json",
    ]


def test_files_of_others_are_in_the_other_index(place: Path) -> None:
    """`index_checkpoint_files` goes by extension and passes over what is hidden, where no tag is; `index_files` takes every file."""
    write(place, ("date", "2017"))
    for other in ("date=2021/other_file.txt", "date=2021/x.tar.gz", "date=2021/.tmp-1.json", ".hidden", "plain", ".git/x.json"):
        (place / other).parent.mkdir(parents=True, exist_ok=True)
        (place / other).write_text("")
    (place / "empty").mkdir()
    (place / "loop").symlink_to(place)
    assert [entry.checkpoint_name for entry in index_checkpoint_files(place)] == ["a"]
    index = index_files(place)
    names = {os.path.relpath(entry.checkpoint_path, place): entry.checkpoint_name for entry in index}
    expected = {"other_file.txt": "other_file", "x.tar.gz": "x", ".tmp-1.json": ".tmp-1"}
    loop = {"loop": "loop", ".git/x.json": "x"}  # a link to a directory is not followed
    assert names == {"date=2017/P/a.json": "a", ".hidden": ".hidden", "plain": "plain"} | loop | {
        f"date=2021/{k}": v for k, v in expected.items()
    }
    write(place, (".git", 1), name="P.b")
    assert [entry.tags for entry in index_checkpoint_files(place)] == [((".git", "1"),), (("date", "2017"),)]


def test_files_come_in_order(place: Path) -> None:
    """Numbers in tags by their value, whatever the file system says."""
    for iteration in (10, 9, 1, 2, 100):
        write(place, ("iteration", iteration))
    write(place, name="P.b10")
    write(place, name="P.b9")
    write(place, name="P.Z")
    assert [(entry.checkpoint_name, *dict(entry.tags).values()) for entry in index_checkpoint_files(place)] == [
        ("Z",),
        ("b10",),
        ("b9",),
        *(("a", str(iteration)) for iteration in (1, 2, 9, 10, 100)),
    ]


def test_no_file_is_opened(place: Path) -> None:
    """An index is made from names alone: files that nobody may read are in it, and nothing is asked of them."""
    write(place)
    (place / "P/a.json").chmod(0)
    seen: list[str] = []

    def hear(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and str(args[0]).startswith(str(place)):
            seen.append(args[0])

    sys.addaudithook(hear)
    assert len(index_checkpoint_files(place)) == 1
    assert seen == []


def test_a_directory_that_is_not_there(place: Path) -> None:
    """It is an error, and so is one that cannot be read; an empty one is an empty index and an empty table."""
    with pytest.raises(NotFoundError, match="no directory"):
        index_checkpoint_files(place)
    place.write_text("")
    with pytest.raises(NotFoundError, match="is a file, not a directory"):
        index_checkpoint_files(place)
    place.unlink()
    place.mkdir()
    index = index_checkpoint_files(place)
    assert (len(index), list(index)) == (0, [])
    assert frame(index).empty
    assert pl.DataFrame(index).is_empty()
    if os.geteuid():
        place.chmod(0)
        with pytest.raises(StoreError, match="cannot be read"):
            index_checkpoint_files(place)
        place.chmod(0o700)


def test_an_index_is_cut_and_filtered(place: Path) -> None:
    """Slices and `where` are indexes; values are compared as they stand in paths."""
    for iteration in range(4):
        write(place, ("iteration", iteration), ("flag", iteration % 2 == 0), ("foo", 1), ("foo", 2))
    index = index_checkpoint_files(place)
    assert isinstance(index[1:3], Index)
    assert [entry.iteration for entry in index[1:3]] == ["1", "2"]
    assert index[-1].iteration == "3"
    assert [entry.iteration for entry in index.where(flag=True)] == ["0", "2"]
    assert [entry.iteration for entry in index.where(("foo", 1), ("foo", "2"), iteration=np.int64(3))] == ["3"]
    with pytest.raises(UsageError, match="'flag' is a list"):
        index.where(flag=[True])
    assert len(index.where(missing=None)) == 0
    assert repr(index) == "<index of 4 files>"


def test_tags_that_come_late_are_in_the_table(place: Path) -> None:
    """A tag that only the last of many files has is a column all the same."""
    for iteration in range(150):
        write(place, ("iteration", iteration))
    write(place, ("iteration", 151), ("late", "x"))
    index = index_checkpoint_files(place)
    for table in (pl.DataFrame(index), pl.from_pandas(frame(index)), pl.DataFrame(list(index[-1:]))):
        assert table.columns == ["prefixes", "checkpoint_name", "iteration", "late", "checkpoint_path"]
        assert table["late"].to_list()[-1] == "x"
    assert pl.DataFrame(index)["late"].null_count() == 150
    rows = [dict(entry) for entry in index]
    assert rows[0]["late"] is None
    assert len(index[0]) == 5
    with pytest.raises(KeyError):
        index[0]["missing"]


def test_a_table_without_pyarrow(place: Path) -> None:
    """The other package makes it alone."""
    write(place, ("iteration", 1))
    text = f"""
import sys
sys.modules["pyarrow"] = None
import polars
from ckpt.checkpoints import index_checkpoint_files
print(dict(polars.DataFrame(index_checkpoint_files({str(place)!r})).schema))
"""
    done = python("-c", text, cwd=place)
    assert "'prefixes': List(String), 'checkpoint_name': String, 'iteration': String" in done.stdout


# Readers of Hive's paths


@pytest.fixture
def tree(place: Path) -> Path:
    """A tree of parquet files whose tags hold what paths cannot."""
    for iteration in (1, 2):
        for note in ("a/b c", "größe=%2F", None):
            write(
                place,
                ("iteration", iteration),
                ("note", note),
                form="parquet",
                name="My.Package.foo",
                value=pd.DataFrame({"x": [iteration, 10]}),
            )
    write(place, ("iteration", 3), name="My.Package.other", form="parquet", value=pd.DataFrame({"other": ["y"]}))
    return place


NOTES = {"a/b c", "größe=%2F", None}


def test_duckdb_reads_the_tree(tree: Path) -> None:
    """With the tags as columns, decoded, and filters on them."""
    found = rows(f"SELECT iteration, note, sum(x) FROM read_parquet('{tree}/**/foo.parquet', hive_partitioning=true) GROUP BY ALL")
    told = {(int(i), None if note == NULL else note): total for i, note, total in found}  # what stands for NULL is known since DuckDB 2
    assert told == {(i, note): i + 10 for i in (1, 2) for note in NOTES}
    paths = [entry.checkpoint_path for entry in index_checkpoint_files(tree).where(iteration=2) if entry.checkpoint_name == "foo"]
    assert rows(f"SELECT DISTINCT iteration FROM read_parquet({paths}, hive_partitioning=true)") == [(2,)]


def test_polars_reads_the_tree(tree: Path) -> None:
    """The same with a scan."""
    found = pl.scan_parquet(f"{tree}/**/foo.parquet", hive_partitioning=True).filter(pl.col("iteration") == 2).collect()
    assert set(found["note"].to_list()) == NOTES
    assert found["x"].to_list() == [2, 10] * 3


def test_pyarrow_reads_the_tree(tree: Path) -> None:
    """The same with a dataset of the files that the index names, and so pandas."""
    paths = [entry.checkpoint_path for entry in index_checkpoint_files(tree) if entry.checkpoint_name == "foo"]
    table = ds.dataset(paths, partitioning="hive").to_table(filter=ds.field("iteration") == 2)
    assert set(table.column("note").to_pylist()) == NOTES
    found = ds.dataset(paths, partitioning="hive").to_table().to_pandas()
    assert sorted(found["iteration"].unique()) == [1, 2]
    assert len(found) == 12


# The command line


def test_the_command_lists_names_tags_and_paths(place: Path) -> None:
    """As columns where there is no terminal; repeated tags show all of their values, and nothing acts on the terminal."""
    write(place, ("iteration", 1), ("foo", 1), ("foo", None))
    write(place, ("iteration", 2), ("evil", "\x1b[31m\n"))
    shown = ckpt("index", "path", cwd=place.parent).stdout.splitlines()
    assert shown[0].split() == ["checkpoint", "iteration", "foo", "evil", "path"]
    assert shown[1].split("  ")[0] == "P.a"
    assert f"1, {NULL}" in shown[1]
    assert r"\x1b[31m\n" in shown[2]
    assert shown[1].endswith("  path/iteration=1/foo=1/foo=__HIVE_DEFAULT_PARTITION__/P/a.json")
    assert len(shown) == 3


def test_the_command_filters(place: Path) -> None:
    """`--where` may be repeated, also with one tag."""
    for iteration in (1, 2):
        for foo in (1, 2):
            write(place, ("iteration", iteration), ("foo", foo), ("foo", 3))

    def shown(*where: str) -> list[str]:
        done = ckpt("index", place, "--json", *(part for each in where for part in ("--where", each)), cwd=place.parent)
        return [os.path.relpath(each["checkpoint_path"], place) for each in json.loads(done.stdout)["checkpoints"]]

    assert len(shown()) == 4
    assert shown("iteration=1") == ["iteration=1/foo=1/foo=3/P/a.json", "iteration=1/foo=2/foo=3/P/a.json"]
    assert shown("iteration=1", "foo=1", "foo=3") == ["iteration=1/foo=1/foo=3/P/a.json"]
    assert shown("iteration=3") == []


def test_the_command_says_why_there_is_nothing_to_list(place: Path) -> None:
    """No files at all, or none with this tag: then it says which tags there are."""
    place.mkdir()
    assert ckpt("index", place, "--where", "x=1", cwd=place.parent).stderr == "no checkpoint files\n"
    write(place, ("iteration", 1), ("evil\n", 2))
    for asked in ("iteration=2", "nosuch=9"):
        done = ckpt("index", place, "--where", asked, cwd=place.parent)
        assert done.stderr == f"none of 1 files has {asked}; their tags: iteration, evil\\n\n"


def test_what_the_table_shows_can_be_asked_for(place: Path) -> None:
    """A tag without a value, an empty one, and one that is missing look different, and are found."""
    write(place, ("note", None))
    write(place, ("note", ""))
    write(place, ("note", "none"))
    write(place, ("other", 1))
    plain = ckpt("index", place, cwd=place.parent).stdout.splitlines()
    assert [line.split()[1] for line in plain[1:]] == ['""', NULL, "none", "1"]
    for value, path in {NULL: NULL, "": "", "none": "none"}.items():
        (line,) = ckpt("index", place, "--where", f"note={value}", cwd=place.parent).stdout.splitlines()[1:]
        assert line.endswith(f"{place}/note={path}/P/a.json")


def test_the_command_prints_json(written: Path) -> None:
    """What an entry says, and nothing is loaded."""
    told = json.loads(ckpt("index", "./path/to/checkpoints", "--where", "iteration=2", "--json", cwd=written).stdout)
    assert told == {
        "directory": "./path/to/checkpoints",
        "checkpoints": [
            {
                "checkpoint_path": "./path/to/checkpoints/iteration=2/foo1=1/foo2=2/MyPackage/foo.ckpt",
                "checkpoint_fullname": "MyPackage.foo",
                "checkpoint_name": "foo",
                "prefixes": ["MyPackage"],
                "tags": [["iteration", "2"], ["foo1", "1"], ["foo2", "2"]],
            }
        ],
    }


@pytest.mark.parametrize(
    ("arguments", "code", "said"), [(["nowhere"], 1, "no directory 'nowhere'"), ([".", "--where", "x"], 2, "'x' is no tag"), ([], 2, "DIR")]
)
def test_the_command_says_what_is_wrong(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    """A directory that is not there, a condition that is none, no directory."""
    done = ckpt("index", *arguments, cwd=tmp_path, check=False)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stdout == ""


@pytest.fixture
def terminal(written: Path) -> Iterator[Any]:
    shown = pexpect.spawn(
        sys.executable,
        ["-m", "ckpt", "index", "path/to/checkpoints"],
        cwd=str(written),
        env=environment({"TERM": "xterm"}),
        dimensions=(40, 100),
        encoding="utf-8",
    )
    yield shown
    shown.close(force=True)


def test_on_a_terminal_there_is_a_table(terminal: Any) -> None:
    """Paths that are too long for it go on in the next line, and none is cut."""
    terminal.expect(pexpect.EOF, timeout=30)
    assert "checkpoint" in terminal.before
    assert "…" not in terminal.before
    told = "".join(terminal.before.split())
    assert "path/to/checkpoints/iteration=2" in told
