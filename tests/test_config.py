"""`[tool.ckpt]` in pyproject.toml: found, read as data, and doubted."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckpt._model.config import Config, read_config
from tests.processes import python


def test_the_nearest_file_is_read(tmp_path: Path) -> None:
    """The settings are those of the first pyproject.toml from the directory upwards; patterns are relative to where it lies."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.ckpt]\nsource_file_limit = "2MB"\nsource_total_limit = 7\n'
        'source_exclude = ["gen/", "*_pb2.py"]\nsource_include = ["/opt/lib/*.py"]\n'
    )
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    config = read_config(str(deep))
    assert config == Config(
        file=str(tmp_path / "pyproject.toml"),
        source_file_limit=2_000_000,
        source_total_limit=7,
        source_exclude=(f"{tmp_path}/gen/*", f"{tmp_path}/*_pb2.py"),
        source_include=("/opt/lib/*.py",),
    )
    assert config.decides(f"{tmp_path}/gen/deep/x.py") is False
    assert config.decides(f"{tmp_path}/a/x_pb2.py") is False
    assert config.decides("/opt/lib/x.py") is True
    assert config.decides(f"{tmp_path}/x.py") is None
    (deep / "pyproject.toml").write_text("[project]\n")
    assert read_config(str(deep)) == Config()


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ('"1kB"', 1000), ('"2 KiB"', 2048), ('"3M"', 3_000_000), ('"1GiB"', 1 << 30), ('"5"', 5)]
)
def test_sizes(tmp_path: Path, text: str, size: int) -> None:
    """A size is a number of bytes, or a text with a unit."""
    (tmp_path / "pyproject.toml").write_text(f"[tool.ckpt]\nsource_file_limit = {text}\n")
    config = read_config(str(tmp_path))
    assert (config.source_file_limit, config.complaints) == (size, ())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[tool.ckpt]\nsource_file_limit = -1\n", "source_file_limit = -1 is no size"),
        ('[tool.ckpt]\nsource_file_limit = "many"\n', "source_file_limit = 'many' is no size"),
        ("[tool.ckpt]\nsource_file_limit = true\n", "source_file_limit = True is no size"),
        ("[tool.ckpt]\nsource_exclude = 7\n", "source_exclude = 7 is no list of patterns"),
        ("[tool.ckpt]\nsource_flie_limit = 1\n", "[tool.ckpt] has no setting 'source_flie_limit'"),
        ("[tool]\nckpt = 3\n#tool.ckpt", "[tool.ckpt] is no table"),
        ("[tool.ckpt\n", "cannot be read, and nothing in it holds: "),
        ("tool = 1\n#tool.ckpt", "cannot be read, and nothing in it holds: "),
        ("[tool.ckpt]\nx = '\udcff'", "cannot be read, and nothing in it holds: "),
    ],
)
def test_what_makes_no_sense_is_passed_over_and_told(tmp_path: Path, text: str, complaint: str) -> None:
    """A wrong setting costs itself: the rest is the default, and one line says what is wrong."""
    (tmp_path / "pyproject.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    config = read_config(str(tmp_path))
    assert (config.source_file_limit, config.source_exclude) == (1 << 20, ())
    assert len(config.complaints) == 1
    assert complaint in config.complaints[0]


def test_one_text_is_a_list_of_one(tmp_path: Path) -> None:
    """Who leaves the brackets out means the same: a name that should be hidden must not be shown for that."""
    (tmp_path / "pyproject.toml").write_text('[tool.ckpt]\nsecret = "matrikel"\nsource_exclude = "gen/"\n')
    config = read_config(str(tmp_path))
    assert (config.secret, config.source_exclude, config.complaints) == (("matrikel",), (str(tmp_path / "gen/*"),), ())


def test_a_recording_process_warns_of_a_wrong_setting_and_goes_on(home: Path, tmp_path: Path) -> None:
    """One warning names the setting, and captures are made all the same."""
    (tmp_path / "pyproject.toml").write_text("[tool.ckpt]\nsource_file_limit = []\n")
    code = "import ckpt\n@ckpt.ckpt\ndef work(n): return n\nwork(1); work(2)\nprint(len(ckpt.captures()))"
    done = python("-c", code, cwd=tmp_path, environ={"PYCKPT_DIR": str(tmp_path / "store")})
    assert done.stdout == "2\n"
    assert done.stderr.count("source_file_limit = [] is no size") == 1


def test_no_directory_is_no_trouble(tmp_path: Path) -> None:
    """Where there is no working directory, the defaults hold."""
    assert read_config("") == Config()
    (tmp_path / "pyproject.toml").mkdir()
    assert read_config(str(tmp_path)) == Config()
