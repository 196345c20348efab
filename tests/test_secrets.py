"""Secrets stay where they are: nothing that a store keeps or a command prints holds a value whose name says that it is secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ckpt
from ckpt._model.placeholder import Placeholder
from ckpt._model.redact import is_secret
from ckpt._store.store import Store
from tests.workplace import Project, last

SECRET = "hunter2-Zyx"
JOB = """
import os
import sys
import ckpt


class Client:
    def __init__(self, url, api_key):
        self.url = url
        self.api_key = api_key


@ckpt.ckpt
def fetch(client, password, rows, **options):
    header = {"Authorization": "Bearer " + password, "Accept": "text"}
    greeting = "logged in with " + password + " as ci"
    environment = os.environ
    attempts = [{"step": 1, "auth": {"token": password}}]
    raise RuntimeError("refused: " + password)


@ckpt.ckpt
def login(user, password):
    return {"user": user, "session_token": password}


secret = "-".join(["hunter2", "Zyx"])
login("ann", password=secret)
with ckpt.tags(note="with " + secret):
    fetch(Client(f"https://bot:{secret}@example.org/", secret), secret, [1, 2], db_password=secret)
"""


CHECK = """
import ckpt


@ckpt.ckpt
def check(token):
    if token != "right":
        raise ValueError


if __name__ == "__main__":
    check("right")
"""
SECRETS = """
password passwd db_password userPassword OPENAI_API_KEY apiKey X-Api-Key authorization Authorization access_token client_secret
private_key token auth_token credentials secret SECRET_KEY
"""
ORDINARY = "tokenizer max_tokens n_tokens author key keyboard monkey secretary passenger compass bypass rows path"


@pytest.mark.parametrize(("names", "said"), [(SECRETS, True), (ORDINARY, False)])
def test_the_words_inside_a_name_decide(names: str, said: bool) -> None:
    """However it is written; a word that is part of another one says nothing."""
    assert [name for name in names.split() if is_secret(name) is not said] == []


@pytest.fixture
def leaky(tmp_path: Path, home: Path) -> Project:
    """A project that has handled a secret in every usual way, and failed."""
    project = Project(tmp_path / "project")
    project.write("job.py", JOB)
    done = project.python(
        "job.py", "--password", SECRET, f"--token={SECRET}", SERVICE_PASSWORD=SECRET, DATABASE=f"postgres://ci:{SECRET}@db/x"
    )
    assert done.returncode == 1
    assert SECRET in done.stderr  # the program itself is none of our business
    assert "ckpt" not in done.stderr.replace("<ckpt>", "")
    return project


def files(store: Path) -> list[Path]:
    return [path for path in store.rglob("*") if path.is_file()]


def test_no_file_of_the_store_holds_the_secret(leaky: Project) -> None:
    """Arguments, variables, keys of dicts, attributes, the environment, URLs, argv, messages, descriptions and tags."""
    found = [path.name for path in files(leaky.path / ".pyckpt") if SECRET.encode() in path.read_bytes()]
    assert found == []
    assert leaky.store.check() == []


def test_no_command_prints_the_secret(leaky: Project) -> None:
    """What is shown, listed, exported and debugged neither."""
    typed = "p password, header, greeting, attempts, client.api_key, client.url, options, environment['SERVICE_PASSWORD']\na\nw\nq\n"
    for arguments in (["info"], ["info", "--json"], ["show"], ["show", "--json"], ["show", "login"], ["show", "--threads"], ["sources"]):
        done = leaky.ckpt(*arguments)
        assert done.returncode == 0
        assert SECRET not in done.stdout + done.stderr, arguments
    from tests import processes

    for arguments in (["debug", "--debugger", "pdb"], ["run"]):
        asked = processes.ckpt(*arguments, cwd=leaky.path, stdin=typed, check=False, environ=leaky.environ)
        assert SECRET not in asked.stdout + asked.stderr, arguments
    leaky.ckpt("export", "fetch", "-o", "out.ckpt")
    assert SECRET.encode() not in (leaky.path / "out.ckpt").read_bytes()


def test_everything_else_is_there(leaky: Project) -> None:
    """Only the secret is gone: its neighbours are live, and what was one object is one object."""
    done = leaky.python(
        "-c",
        "import ckpt\nc = ckpt.load('fetch')\nl = c.locals\n"
        "print(c.args[2], l['header']['Accept'], l['attempts'][0]['step'], c.args[0].url)\n"
        "print(type(c.locals['password']).__name__, type(c.kwargs['db_password']).__name__)",
        check=True,
    )
    assert done.stdout.split() == ["[1,", "2]", "text", "1", "https://bot:<redacted>@example.org/", "Placeholder", "Placeholder"]


def test_a_replay_asks_for_the_secret(leaky: Project) -> None:
    """A note says how to give it; given from the environment, the call is made with it."""
    told = leaky.ckpt("run", "login")
    assert "give it with --set password=@env:PASSWORD" in told.stderr
    done = leaky.ckpt("run", "login", "--set", "password=@env:GIVEN", GIVEN="open-sesame")
    assert done.returncode == 0
    assert "open-sesame" in done.stdout
    assert last(done).startswith("still passes")


def test_a_secret_that_is_looked_at_is_no_verdict(leaky: Project) -> None:
    """A placeholder that a replay compares is no False: it cannot be replayed."""
    leaky.write("check.py", CHECK)
    assert leaky.python("check.py").returncode == 0
    assert last(leaky.ckpt("run", "check")).startswith("cannot replay")


def test_a_masked_url_is_said(leaky: Project) -> None:
    """An argument that was kept with a password masked is not what the call got: a line says so before the verdict."""
    leaky.write(
        "visit.py",
        f"import ckpt\n\n\n@ckpt.ckpt\ndef visit(url):\n    return len(url)\n\n\nif __name__ == '__main__':\n    visit('https://a:{SECRET}@b/')\n",
    )
    assert leaky.python("visit.py").returncode == 0
    assert "note: a secret in the argument url was kept as <redacted>" in leaky.ckpt("run", "visit").stderr


def test_names_can_be_added_and_taken_away(tmp_path: Path, home: Path) -> None:
    """`[tool.ckpt]` says what else is secret in a project, and what is not."""
    project = Project(tmp_path / "project")
    project.write("pyproject.toml", '[tool.ckpt]\nsecret = ["matrikel"]\nnot_secret = ["token"]\n')
    project.write("job.py", "import ckpt\n\n\n@ckpt.ckpt\ndef enrol(matrikel_nr, token):\n    return 1\n\n\nenrol('m-12345', 't-12345')\n")
    assert project.python("job.py").returncode == 0
    shown = project.ckpt("show").stdout
    assert "m-12345" not in shown
    assert "t-12345" in shown


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(
    secret=st.from_regex(r"[a-z]{6}[0-9][a-z]{3,20}", fullmatch=True),
    name=st.sampled_from(["password", "api_key", "Authorization", "dbPassword"]),
    shape=st.integers(0, 5),
)
def test_a_planted_secret_is_nowhere(store: Store, secret: str, name: str, shape: int) -> None:
    """Under a secret name at any depth to four, in dicts and lists of dicts; and the program's own objects stay as they were."""
    inner: dict[str, Any] = {name: secret, "other": "kept"}
    value: Any = [inner, [inner], {"a": inner}, {"a": {"b": inner}}, ({"a": [inner]},), {"a": {"b": {"c": inner}}}][shape]
    before = json.dumps(value)

    @ckpt.ckpt(name="planted")
    def planted(value: Any) -> Any:
        raise ValueError(f"{len(value)} with {secret}")

    with pytest.raises(ValueError, match=secret):
        planted(value)
    assert json.dumps(value) == before
    assert all(secret.encode() not in path.read_bytes() for path in files(Path(store.path)))
    assert "kept" in str(ckpt.load("planted").args[0])


def test_a_secret_object_that_occurs_twice_is_still_one(store: Store) -> None:
    """The dict around a secret is the same dict wherever it stands, and the placeholder is typed."""
    settings_ = {"password": "correct horse", "host": "db"}

    @ckpt.ckpt(name="connect")
    def connect(one: Any, two: Any) -> None:
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        connect(settings_, [settings_])
    args = ckpt.load("connect").args
    assert args[0] is args[1][0]
    assert type(args[0]["password"]) is Placeholder
    assert args[0]["password"].ckpt_type == "str"
    assert args[0]["host"] == "db"
