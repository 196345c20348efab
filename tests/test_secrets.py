"""Secrets stay where they are: nothing that a store keeps or a command prints holds a value whose name says that it is secret."""

from __future__ import annotations

import copy
import re
import shlex
import sys
import threading
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ckpt
from ckpt._model.placeholder import Placeholder
from ckpt._model.redact import is_secret
from ckpt._model.searching import Search
from ckpt._model.secrets import Secrets
from ckpt._store.store import Store
from tests import planting
from tests.processes import ROOT
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


INSIDE = """
import dataclasses
import ckpt


def made(place):
    return "-".join(["hunter2", place, "Zyx"])


@dataclasses.dataclass(frozen=True)
class Client:
    api_key: str


CONFIG = {"db": {"password": made("a")}, "headers": {"X-Api-Key": made("b")}, "clients": [Client(made("c"))], "n": 1}


@ckpt.ckpt
def connect(config):
    return " ".join([config["db"]["password"], config["headers"]["X-Api-Key"], config["clients"][0].api_key])


@ckpt.ckpt
def login(user, password):
    if password:
        raise ValueError(f"{password} is no password of {user}")
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
#: Names that say secret, with the precedents of Sentry's and Logfire's scrubbers among them.
SECRETS = """
password passwd passwords password1 new_password db_password userPassword dbpassword TWINE_PASSWORD mysql_pwd userpwd pwd passphrase
pass db_pass smtp_pass DB_PASS dbpass db_pw secret secrets client_secret clientSecret SECRET_KEY secretKey app_secret webhook_secret
OPENAI_API_KEY api_key apiKey apikey ApiKey api-key X-Api-Key x_api_key api_secret private_key privateKey PRIVATE_KEY private_key_pem
secret_key secret_access_key aws_secret_access_key AWS_SECRET_ACCESS_KEY access_key account_key AccountKey SharedAccessKey signing_key
encryption_key master_key ssh_key sshkey OPENAI_KEY stripe_key azure_key storage_key license_key authorization Authorization
Proxy-Authorization HTTP_AUTHORIZATION auth basic_auth token access_token accessToken auth_token authToken refresh_token idToken
hf_token bot_token npm_token sas_token session_token aws_session_token oauth2_token X-Auth-Token PRIVATE-TOKEN X-Amz-Security-Token
access_tokens bearer bearer_token cookie cookies Set-Cookie jwt jwt_secret csrf csrf_token csrftoken csrfmiddlewaretoken X-CSRFToken
_xsrf sessionid PHPSESSID connect.sid credential credentials creds aws_credentials connection_string connectionString conn_str dsn
SENTRY_DSN otp otp_code totp github_pat GITHUB_PAT password_str token_bytes
"""
#: Names that do not: of something else, of a number of secrets, or of something about one.
ORDINARY = """
tokenizer tokenize tokens max_tokens n_tokens num_tokens token_ids token_id token_count token_type_ids pad_token eos_token next_token
last_token mask_token vocab_token special_tokens stop_tokens author authors authority authenticated authorize key keys primary_key
foreign_key sort_key cache_key hash_key partition_key row_key lookup_key public_key ssh_public_key key_error keyboard keyword monkey
passed passes bypass passenger compass passing passive pass_rate pass_id first_pass n_passes passport secretary secretariat secretly
secret_name secret_arn password_length password_field password_hasher password_validators token_url token_endpoint token_expires auth_url
auth_type auth_enabled auth_backend authorization_url cookie_name cookie_domain cookie_jar csrf_exempt csrf_enabled jwt_algorithm
otp_enabled api_key_id AWS_ACCESS_KEY_ID session sessions session_id requests_session pin_memory mapping pinned pin opinion path pattern
patch pat file_pat user_pattern optional discredit accredited sacred connection connections string query_string access accessor account
certificate PWD OLDPWD cwd user_id rows sid
"""
#: Words that together say secret, or do not.
WORDS = [
    ("api", "key"),
    ("db", "password"),
    ("client", "secret"),
    ("auth", "token"),
    ("private", "key"),
    ("connection", "string"),
    ("github", "pat"),
]
OTHERS = [
    ("max", "tokens"),
    ("primary", "key"),
    ("token", "count"),
    ("cookie", "name"),
    ("query", "string"),
    ("file", "pat"),
    ("user", "id"),
]
SPELLINGS = {
    "snake_case": "_".join,
    "UPPER_CASE": lambda words: "_".join(words).upper(),
    "kebab-case": "-".join,
    "Train-Case": lambda words: "-".join(map(str.title, words)),
    "camelCase": lambda words: words[0] + "".join(map(str.title, words[1:])),
    "PascalCase": lambda words: "".join(map(str.title, words)),
    "dotted": ".".join,
    "spaced": " ".join,
}


@pytest.mark.parametrize("name", SECRETS.split())
def test_a_name_says_secret(name: str) -> None:
    """The words inside it decide, however it is written."""
    assert is_secret(name)


@pytest.mark.parametrize("name", ORDINARY.split())
def test_a_name_says_nothing_secret(name: str) -> None:
    """A word that is part of another one says nothing, nor does one that says what of the secret it is."""
    assert not is_secret(name)


@pytest.mark.parametrize("spelling", SPELLINGS)
@settings(max_examples=60, deadline=None, database=None)
@given(
    words=st.sampled_from([*WORDS, *OTHERS]),
    before=st.lists(st.sampled_from(["my", "old", "service", "prod", "extra"]), max_size=3),
    number=st.sampled_from(["", "1", "22"]),
)
def test_the_spelling_of_a_name_does_not_matter(spelling: str, words: tuple[str, ...], before: list[str], number: str) -> None:
    """Words in front and a number behind change nothing."""
    assert is_secret(SPELLINGS[spelling]([*before, *words]) + number) is (words in WORDS)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Everything in the store of a program in which secrets were planted."""
    project = Project(tmp_path_factory.mktemp("planted"))
    project.write("job.py", planting.program())
    done = project.python("job.py")
    assert (done.returncode, done.stderr) == (0, "")
    return b"".join(path.read_bytes() for path in files(project.path / ".pyckpt"))


@pytest.mark.parametrize("place", planting.PLACES)
def test_a_place_keeps_no_secret(planted: bytes, place: str) -> None:
    """The captures are there, whichever way they were made, and what was planted is nowhere in the bytes of the store."""
    ways = planting.ways_of(place)
    assert [way for way in ways if f'"name":"{planting.name(place, way)}"'.encode() not in planted] == []
    assert [way for way in ways if planting.secret(place, way).encode() in planted] == []


#: How docs/security.md calls the places of which nothing is promised.
SAID = {
    "innocent name": "under innocent names: `x`",
    "text in JSON": "a JSON text",
    "pair in a list": "headers as a list of pairs",
    "query of a URL": "the query of a URL",
    "path of a secret": "a path to a file of secrets",
    "number in a key": "a key that is a tuple",
}


@pytest.mark.parametrize("place", planting.NOT_PROMISED)
def test_what_is_not_promised_is_said(planted: bytes, place: str) -> None:
    """docs/security.md names these places; that they are found shows that the others would be."""
    page = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    assert SAID[place] in page.partition("What cannot be promised:")[2]
    assert all(
        planting.secret(place, way).encode() in planted for way in planting.ways_of(place) if way not in {"made in a function", "callers"}
    )


def test_looking_for_secrets_asks_no_hash_of_the_program_s() -> None:
    """Neither that of a metaclass, of an object, a class or what is in one, nor those of the keys of many dicts."""
    asked: list[str] = []

    class Meta(type):
        def __hash__(cls) -> int:
            asked.append(cls.__name__)
            return 1

    class Odd(metaclass=Meta):
        pass

    class Key:
        def __hash__(self) -> int:
            asked.append("key")
            return id(self)

    made = type("Made", (), {"held": Odd()})
    keyed = [{Key(): 1} for _ in range(200)]
    asked.clear()
    assert Search().run([Odd(), Odd, made, made(), keyed]) is None
    assert asked == []


def test_the_code_that_a_secret_object_knows_is_no_secret() -> None:
    """The texts of its classes and modules (their files, what they document) are masked nowhere; its own are."""
    client = types.SimpleNamespace(value=SECRET, kind=Project, module=planting)
    found = Secrets()
    found.add("credentials", client)
    told = f"{SECRET} in {planting.__file__}: {planting.__doc__} {Project.__doc__}"
    assert found.cover(told) == told.replace(SECRET, "<redacted>")


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
    typed = "p password, header, greeting, attempts, client.api_key, client.url, options, environment['SERVICE_PASSWORD']\n"
    typed += "pp locals()\npp dict(environment)\na\nw\nq\n"
    for arguments in (
        ["info"],
        ["info", "--json"],
        ["show"],
        ["show", "--json"],
        ["show", "login"],
        ["show", "--threads"],
        ["diff"],
        ["sources"],
    ):
        done = leaky.ckpt(*arguments)
        assert done.returncode == 0
        assert SECRET not in done.stdout + done.stderr, arguments
    from tests import processes

    for arguments in (["debug", "--debugger", "pdb"], ["run"]):
        asked = processes.ckpt(*arguments, cwd=leaky.path, stdin=typed, check=False, environ=leaky.environ)
        assert SECRET not in asked.stdout + asked.stderr, arguments
    leaky.ckpt("export", "fetch", "-o", "out.ckpt")
    leaky.ckpt("export", "fetch", "--no-values", "-o", "bare.ckpt")
    assert SECRET.encode() not in (leaky.path / "out.ckpt").read_bytes() + (leaky.path / "bare.ckpt").read_bytes()


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
    assert "give it to ckpt run with --set password=@env:PASSWORD" in told.stderr
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


NEIGHBOURS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("xyz", max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["key", "rows", "author", "n_tokens"]), inner),
    max_leaves=6,
)


def around(value: Any, steps: list[tuple[str, Any]]) -> Any:
    """Return a value inside containers, each with a neighbour."""
    for kind, neighbour in steps:
        value = {"dict": {"a": value, "b": neighbour}, "list": [neighbour, value], "tuple": (neighbour, value)}[kind]
    return value


def is_like(loaded: Any, value: Any) -> bool:
    """Whether a loaded value is the same, but for placeholders under secret names."""
    if type(loaded) is not type(value):
        return False
    if isinstance(value, dict):
        told = [key for key in value if not is_secret(key)]
        hidden = [loaded[key] for key in value if is_secret(key)]
        return (
            list(loaded) == list(value)
            and all(is_like(loaded[key], value[key]) for key in told)
            and set(map(type, hidden)) <= {Placeholder}
        )
    if isinstance(value, list | tuple):
        return len(loaded) == len(value) and all(map(is_like, loaded, value))
    return bool(loaded == value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(
    secret=st.from_regex(r"[a-z]{6}[0-9][a-z]{3,20}", fullmatch=True),
    names=st.sets(st.sampled_from(["password", "api_key", "Authorization", "dbPassword", "client-secret"]), min_size=1),
    beside=NEIGHBOURS,
    steps=st.lists(st.tuples(st.sampled_from(["dict", "list", "tuple"]), NEIGHBOURS), max_size=3),
)
def test_a_secret_key_at_any_depth(store: Store, secret: str, names: set[str], beside: Any, steps: list[tuple[str, Any]]) -> None:
    """To depth 4 its text is nowhere in the store; the program's objects stay the same and equal, and what is beside it comes back."""
    inner = {**dict.fromkeys(sorted(names), secret), "beside": beside}
    value = around(inner, steps)
    before = copy.deepcopy(value)

    @ckpt.ckpt(name="planted")
    def planted(value: Any, inner: Any) -> Any:
        raise ValueError(f"{len(value)} with {secret}")

    with pytest.raises(ValueError, match=secret) as caught:
        planted(value, inner)
    assert caught.traceback[-1].frame.f_locals["inner"] is inner
    assert value == before
    assert all(inner[name] is secret for name in names)
    assert all(secret.encode() not in path.read_bytes() for path in files(Path(store.path)))
    capture = ckpt.load("planted")
    assert is_like(capture.args[0], value)
    assert is_like(capture.locals["value"], value)
    assert is_like(capture.args[1], inner)


def test_a_secret_inside_an_argument_is_given_by_its_way(tmp_path: Path, home: Path) -> None:
    """The note names the way, and with what it says the call is made; so in an object, a list and a frozen data class."""
    project = Project(tmp_path / "project")
    project.write("job.py", INSIDE)
    assert project.python("-c", "import job; job.connect(job.CONFIG)").returncode == 0
    told = project.ckpt("run").stderr
    ways = re.findall(r"give it to ckpt run with (--set .*)", told)
    assert [shlex.split(way)[1] for way in ways] == [
        "config.db.password=@env:PASSWORD",
        'config.headers["X-Api-Key"]=@env:X_API_KEY',
        "config.clients[0].api_key=@env:API_KEY",
    ]
    environ = {"PASSWORD": "given-1", "X_API_KEY": "given-2", "API_KEY": "given-3"}
    done = project.ckpt("run", *(part for way in ways for part in shlex.split(way)), **environ)
    assert done.stdout.strip() == "'given-1 given-2 given-3'"
    wrong = project.ckpt("run", "--set", "config.nothing.password=1")
    assert (wrong.returncode, "'config.nothing.password' leads to nothing" in wrong.stderr) == (2, True)


def test_a_test_reads_the_secret_from_the_environment(tmp_path: Path, home: Path) -> None:
    """`ckpt test` says how; what it writes holds no secret, calls with it, and expects what a secret message said around it."""
    project = Project(tmp_path / "project")
    project.write("job.py", INSIDE)
    assert project.python("-c", "import job; job.connect(job.CONFIG); job.login('ann', job.made('x'))").returncode == 1
    refused = project.ckpt("test", "login", "-o", "test_login.py", "--expect-failure")
    hint = refused.stderr.rpartition("hint: ")[2].strip()
    assert hint.endswith("-o test_login.py --set password=@env:PASSWORD")
    assert project.ckpt(*shlex.split(hint)[1:], "--expect-failure").returncode == 0
    text = (project.path / "test_login.py").read_text()
    assert "job.login('ann', os.environ[\"PASSWORD\"])" in text
    changes = ["--set", "config.db.password=@env:PASSWORD", "--set", "config.headers['X-Api-Key']=@env:PASSWORD"]
    done = project.ckpt("test", "connect", "-o", "test_connect.py", *changes, "--set", "config.clients[0].api_key='three'")
    assert (done.returncode, done.stderr) == (0, "")
    for password, ended in (("given", 0), ("", 1)):
        ran = project.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_login.py", "test_connect.py", PASSWORD=password)
        assert ran.returncode == ended, ran.stdout


SHARED = """
import dataclasses
import ckpt


def made(place):
    return "-".join(["hunter2", place, "Zyx"])


URL = f"postgresql://svc:{made('u')}@h/b"
KEY = made("k")


@dataclasses.dataclass
class Database:
    url: str
    password: str


@ckpt.ckpt
def connect(opts, rows):
    return opts["db"].url, rows


@ckpt.ckpt
def charge(api_key, settings, headers):
    return api_key, settings["api_key"], headers["X-Api-Key"]
"""


@pytest.fixture
def shared(tmp_path: Path, home: Path) -> Project:
    """A project with a URL inside an object in a dictionary and in a set, and with one key in several arguments."""
    project = Project(tmp_path / "project")
    project.write("job.py", SHARED)
    calls = "job.connect({'db': job.Database(job.URL, 'pw-12345678')}, [job.URL])"
    calls += "; job.charge(job.KEY, {'api_key': job.KEY}, {'X-Api-Key': job.KEY})"
    assert project.python("-c", f"import job; {calls}").returncode == 0
    return project


def test_a_masked_url_inside_an_argument_is_said_until_it_is_given(shared: Project) -> None:
    """The note names each of its places and how to give it; with that the call is made, and nothing is left to say."""
    told = shared.ckpt("run", "connect").stderr
    assert "note: a secret in opts['db'].url was kept as <redacted>: 'postgresql://svc:<redacted>@h/b'; give it to ckpt run with" in told
    ways = re.findall(r"give it to ckpt run with (--set .*)", told)
    assert sorted(shlex.split(way)[1] for way in ways) == ["opts.db.password=@env:PASSWORD", "opts.db.url=@env:URL", "rows[0]=@env:ROWS"]
    given = ["--set", "opts.db.password='x'", "--set", "opts.db.url=@env:URL", "--set", "rows[0]=1"]
    done = shared.ckpt("run", "connect", *given, URL="sqlite://")
    assert (done.stdout.strip(), "note:" in done.stderr) == ("('sqlite://', [1])", False)


def test_no_test_passes_a_masked_url(shared: Project) -> None:
    """One inside an argument is refused with all ways to give it; once they are given, the test reads them."""
    refused = shared.ckpt("test", "connect", "-o", "test_connect.py")
    assert refused.returncode != 0
    assert not (shared.path / "test_connect.py").exists()
    assert "A secret in rows[0] was not kept, so no test can pass it; nor was what is in opts['db'].url." in refused.stderr
    done = shared.ckpt(*shlex.split(refused.stderr.rpartition("hint: ")[2])[1:])
    assert (done.returncode, done.stderr) == (0, "")
    text = (shared.path / "test_connect.py").read_text()
    assert 'capture.changes["opts.db.url"] = os.environ["URL"]' in text


def test_all_places_of_a_secret_are_said_at_once(shared: Project) -> None:
    """One key in three arguments is asked for three times by the first replay, and by none with what it says."""
    told = shared.ckpt("run", "charge").stderr
    ways = [shlex.split(way) for way in re.findall(r"give it to ckpt run with (--set .*)", told)]
    assert [way[1].partition("=")[0] for way in ways] == ["api_key", "settings.api_key", 'headers["X-Api-Key"]']
    done = shared.ckpt("run", "charge", *(part for way in ways for part in way), API_KEY="a", X_API_KEY="b")
    assert (done.stdout.strip(), "note:" in done.stderr) == ("('a', 'a', 'b')", False)


def test_what_is_set_where_nothing_was_is_said(shared: Project) -> None:
    """A misspelt key or attribute is set all the same, and the note has the nearest name; one that is there needs none."""
    given = ["--set", "opts.db.pasword=1", "--set", "opts.dbs=1", "--set", "opts.db.url='x'", "--set", "rows[0]=1"]
    told = shared.ckpt("run", "connect", *given).stderr
    new = ["opts.db had no 'pasword' until now; the nearest name is 'password'", "opts had no 'dbs' until now; the nearest name is 'db'"]
    assert [line.removeprefix("note: ") for line in told.splitlines() if "until now" in line] == new
    told = shared.ckpt("test", "connect", "-o", "test_connect.py", *given).stderr
    assert [line.removeprefix("note: ") for line in told.splitlines() if "until now" in line] == new


def test_a_secret_on_the_command_line_is_masked_once_it_is_known(tmp_path: Path, home: Path) -> None:
    """Also where it stands there under no name."""
    project = Project(tmp_path / "project")
    project.write("job.py", "import sys\nimport ckpt\n\n\n@ckpt.ckpt\ndef login(password):\n    return 1\n\n\nlogin(sys.argv[1])\n")
    assert project.python("job.py", SECRET).returncode == 0
    held = b"".join(path.read_bytes() for path in files(project.path / ".pyckpt"))
    assert SECRET.encode() not in held
    assert b'"argv":["job.py","<redacted>"]' in held


def test_threads_mask_their_secrets_on_the_command_line_all_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are recorded at once, no capture leads to a command line with its own secret."""
    texts = [f"sec-{number}-Zq9x" for number in range(32)]
    monkeypatch.setattr("sys.argv", ["job.py", *texts])
    together = threading.Barrier(len(texts))

    @ckpt.ckpt(keep=len(texts))
    def login(number: int, password: str) -> None:
        pass

    def log_in(number: int) -> None:
        together.wait()
        login(number, texts[number])

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=log_in, args=(number,)) for number in range(len(texts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    captures = [ckpt.load(header.id) for header in store.headers()]
    assert [capture.args[0] for capture in captures if texts[capture.args[0]] in capture.process["argv"]] == []
    assert len(captures) == len(texts)


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
