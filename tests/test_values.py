"""The objects people really have: what comes back, and what is only a placeholder."""

from __future__ import annotations

import array
import asyncio
import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import gc
import json
import logging
import operator
import pickle
import random
import re
import sqlite3
import threading
import uuid
import zoneinfo
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ckpt._model.codec import Limits, decode, encode
from ckpt._model.describe import describe
from ckpt._model.placeholder import Placeholder
from tests.packages import installed, prepare

prepare(
    "attrs", "matplotlib", "matplotlib.figure", "numpy", "pandas", "polars", "pydantic", "requests", "sklearn.ensemble", "sklearn.pipeline",
    "sklearn.preprocessing", "sqlalchemy", "sqlalchemy.orm", "torch", "torch._dynamo", "tqdm",
)  # fmt: skip


def through(root: Any) -> tuple[Any, dict[int, str]]:
    """Return what comes back of `root`, its large buffers in memory as mapped objects are, and what was lost of it."""
    encoded = encode(root, [part for part in root.values() if type(part) is list], Limits())
    return decode(encoded.stream, [memoryview(bytearray(view)) for view in encoded.buffers]), encoded.lost


def back(value: Any, *, plain: bool = True) -> Any:
    """Return a value as it comes back, by the plain pickler or beside a lock, and check that its neighbours did."""
    neighbour = [1]
    beside = None if plain else threading.Lock()
    loaded, _ = through({"args": [neighbour, value, beside, neighbour, {"same": value}]})
    args = loaded["args"]
    assert args[0] == [1]
    assert args[0] is args[3]
    assert args[4]["same"] is args[1] or isinstance(value, int | float | complex)
    described = describe(value, "name")
    json.dumps(described)
    assert "cannot be described" not in described["text"]
    return args[1]


both = pytest.mark.parametrize("plain", [True, False], ids=["plain", "beside a lock"])


# The standard library


@dataclasses.dataclass(order=True)
class Row:
    name: str
    tags: list[str] = dataclasses.field(default_factory=list, compare=False)
    kind: dataclasses.InitVar[int] = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    x: int
    y: int = 0


class Color(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Permission(enum.IntFlag):
    READ = 1
    WRITE = 2


STANDARD: list[Any] = [
    dt.datetime(2020, 1, 2, 3, 4, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
    dt.datetime(2020, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2), "X")),
    dt.time(1, 2),
    dt.timedelta(days=1),
    decimal.Decimal("1.50"),
    fractions.Fraction(1, 3),
    uuid.UUID(int=5),
    Path("a/b"),
    re.compile(r"(?P<a>\w+)", re.IGNORECASE),
    Row("a", ["t"]),
    Place(x=1),
    Color.RED,
    Level.LOW,
    Permission.READ | Permission.WRITE,
    array.array("d", range(100_000)),
    range(3, 10, 2),
    slice(1, None),
    complex(1, 2),
    bytearray(b"x" * 100_000),
    operator.itemgetter("a"),
    frozenset([(1, "a")]),
    logging.getLogger("some.logger"),
    json.JSONDecodeError,
    functools.reduce,
]


@both
@pytest.mark.parametrize("value", STANDARD, ids=lambda value: type(value).__name__)
def test_objects_of_the_standard_library_come_back_equal(value: Any, plain: bool) -> None:
    """Also as what they are."""
    loaded = back(value, plain=plain)
    assert type(loaded) is type(value)
    assert loaded == value or repr(loaded) == repr(value)


@both
def test_a_random_generator_goes_on_where_it_was(plain: bool) -> None:
    """So that a replay draws the same."""
    generator = random.Random(3)
    generator.random()
    assert back(generator, plain=plain).random() == generator.random()


def test_a_sqlite_connection_is_a_placeholder_and_rows_are_not() -> None:
    """The object that holds the connection stays."""

    class Repository:
        def __init__(self) -> None:
            self.connection = sqlite3.connect(":memory:")
            self.connection.row_factory = sqlite3.Row
            self.cached = self.connection.execute("select 1 as one").fetchall()
            self.name = "main"

    repository = Repository()
    with contextlib.closing(repository.connection):
        loaded = back(repository)
    assert loaded.name == "main"
    assert loaded.connection.ckpt_reason == "a database connection"
    assert len(loaded.cached) == 1


def test_a_generator_half_way_is_a_placeholder_and_what_it_reads_from_is_not() -> None:
    """The list behind it is a value of its own."""
    rows = [1, 2, 3]
    loaded, _ = through({"args": [rows, (row for row in rows), iter(rows)]})
    assert loaded["args"][0] == rows
    assert type(loaded["args"][1]) is Placeholder
    assert list(loaded["args"][2]) == rows


def test_asyncio_objects() -> None:
    """Locks, events and queues come back without those who wait; tasks and loops are placeholders."""

    async def main() -> Any:
        task = asyncio.current_task()
        queue: asyncio.Queue[int] = asyncio.Queue()
        queue.put_nowait(5)
        values = [asyncio.Lock(), asyncio.Event(), queue, asyncio.Semaphore(2), task, asyncio.get_running_loop(), asyncio.sleep(0)]
        found, _ = through({"args": values})
        values[-1].close()  # type: ignore[union-attr]
        return found["args"]

    lock, event, queue, semaphore, task, loop, coroutine = asyncio.run(main())
    assert not lock.locked()
    assert not event.is_set()
    assert queue.get_nowait() == 5
    assert not semaphore.locked()
    assert {type(value) for value in (task, loop, coroutine)} == {Placeholder}


def test_loggers_are_found_by_name_and_handlers_are_placeholders() -> None:
    """The logger of the process that opens the capture."""
    loaded, _ = through(
        {"args": [logging.getLogger("a.b"), logging.getLogger(), logging.StreamHandler(), logging.LoggerAdapter(logging.getLogger("c"))]}
    )
    assert loaded["args"][0] is logging.getLogger("a.b")
    assert loaded["args"][1] is logging.getLogger()
    assert type(loaded["args"][2]) is Placeholder
    assert loaded["args"][3].logger is logging.getLogger("c")


# Arrays and tables


@both
def test_numpy_arrays(plain: bool) -> None:
    """Structured, of objects, without a dimension, in pieces, in Fortran's order, mapped from a file, masked, empty, of dates and texts."""
    numpy = installed("numpy")
    values = {
        "structured": numpy.array([(1, "a")], dtype=[("n", "i4"), ("s", "U5")]),
        "objects": numpy.array([{"a": 1}, None, [2]], dtype=object),
        "scalar": numpy.array(3.5),
        "in pieces": numpy.arange(100_000.0)[::2],
        "reversed": numpy.arange(100_000.0)[::-1],
        "fortran": numpy.asfortranarray(numpy.arange(1_000_000.0).reshape(1000, 1000)),
        "transposed": numpy.arange(1_000_000.0).reshape(1000, 1000).T,
        "masked": numpy.ma.masked_array([1, 2], mask=[True, False]),
        "empty": numpy.empty((0, 3)),
        "dates": numpy.array(["2020-01-01"], dtype="datetime64[D]"),
        "texts": numpy.array(["abc", "d"]),
        "big endian": numpy.array([1, 2], dtype=">i8"),
        "records": numpy.rec.array([(1, 2.0)], names="a,b"),
        "scalar of a type": numpy.float32(1.5),
        "type": numpy.dtype("f8"),
        "matrix": numpy.array([[1, 2]]).view(numpy.matrix),
        "function": numpy.sin,
    }
    for name, value in values.items():
        loaded = back(value, plain=plain)
        assert type(loaded) is type(value), name
        assert (
            numpy.array_equal(loaded, value) if isinstance(value, numpy.ndarray) and value.dtype != object else str(loaded) == str(value)
        ), name
    generator = numpy.random.default_rng(3)
    assert back(generator, plain=plain).random() == generator.random()
    assert back(values["fortran"], plain=plain).flags.f_contiguous


def test_an_array_mapped_from_a_file_is_kept_by_its_content(tmp_path: Path) -> None:
    """The file is not opened when the capture is."""
    numpy = installed("numpy")
    mapped = numpy.memmap(tmp_path / "data", dtype="f8", mode="w+", shape=(100,))
    mapped[:] = 5.0
    loaded = back(mapped)
    (tmp_path / "data").unlink()
    assert (numpy.asarray(loaded) == 5.0).all()


def test_arrays_that_share_memory_are_each_whole() -> None:
    """A view and its base come back with the same numbers."""
    numpy = installed("numpy")
    base = numpy.arange(1_000_000.0)
    loaded, _ = through({"args": [base, base[10:20], base[::1000]]})
    for one, other in zip(loaded["args"], (base, base[10:20], base[::1000]), strict=True):
        assert numpy.array_equal(one, other)


@both
def test_pandas_objects(plain: bool) -> None:
    """Frames of mixed columns, categories, dates with zones, several levels, missing values, groups."""
    pandas = installed("pandas")
    frame = pandas.DataFrame(
        {
            "n": range(20_000),
            "f": [0.5] * 20_000,
            "s": ["text"] * 20_000,
            "c": pandas.Categorical(["a", "b"] * 10_000),
            "t": pandas.date_range("2020-01-01", periods=20_000, freq="min", tz="Europe/Berlin"),
            "m": pandas.array([1, None] * 10_000, dtype="Int64"),
        }
    )
    indexed = frame.set_index(["n", "s"])
    for value in (frame, indexed, frame.T.iloc[:, :3], frame.iloc[:0]):
        pandas.testing.assert_frame_equal(back(value, plain=plain), value)
    pandas.testing.assert_series_equal(back(frame["t"], plain=plain), frame["t"])
    assert back(frame.index, plain=plain).equals(frame.index)
    assert back(pandas.Timestamp("2020-01-01", tz="UTC"), plain=plain) == pandas.Timestamp("2020-01-01", tz="UTC")
    assert back(pandas.NaT, plain=plain) is pandas.NaT
    assert back(frame.groupby("c", observed=True), plain=plain).size().sum() == 20_000


def test_a_pandas_frame_with_a_lock_in_a_cell_loses_the_lock() -> None:
    """And the frame is a frame."""
    pandas = installed("pandas")
    loaded = back(pandas.DataFrame({"a": [1, 2], "b": [threading.Lock(), "x"]}))
    assert list(loaded["a"]) == [1, 2]
    assert type(loaded["b"].iloc[0]) is Placeholder
    assert loaded["b"].iloc[1] == "x"


@both
def test_polars_objects(plain: bool) -> None:
    """Frames, series, lazy frames, expressions."""
    polars = installed("polars")
    frame = polars.DataFrame({"a": [1, 2, None], "b": ["x", "y", "z"], "c": [[1], [], [2, 3]]})
    assert back(frame, plain=plain).equals(frame)
    assert back(frame["a"], plain=plain).equals(frame["a"])
    assert back(frame.lazy().select("a"), plain=plain).collect().equals(frame.select("a"))
    assert str(back(polars.col("a") + 1, plain=plain)) == str(polars.col("a") + 1)


@both
def test_scikit_learn_estimators(plain: bool) -> None:
    """A fitted forest, and a pipeline, predict as they did."""
    numpy, ensemble = installed("numpy"), installed("sklearn.ensemble")
    steps, preprocessing = installed("sklearn.pipeline"), installed("sklearn.preprocessing")
    x = numpy.random.default_rng(1).random((200, 3))
    y = (x[:, 0] > 0.5).astype(int)
    forest = ensemble.RandomForestClassifier(5, random_state=1).fit(x, y)
    pipeline = steps.make_pipeline(preprocessing.StandardScaler(), forest).fit(x, y)
    for model in (forest, pipeline):
        assert (back(model, plain=plain).predict(x) == model.predict(x)).all()


# Databases, models, the web


def test_sqlalchemy_objects() -> None:
    """Mapped objects, statements and rows come back; session, engine and connection are placeholders."""
    sqlalchemy, orm = installed("sqlalchemy"), installed("sqlalchemy.orm")
    with contextlib.closing(_Database(sqlalchemy, orm)) as database:
        loaded, lost = through(
            {"args": [database.user, database.session, database.engine, database.statement, database.rows, database.connection]}
        )
    user, session, engine, statement, rows, connection = loaded["args"]
    assert (user.id, user.name) == (1, "ann")
    assert [address.email for address in user.addresses] == ["a@b"]
    assert user.addresses[0].user is user
    assert "WHERE" in str(statement)
    assert [row.name for row in rows] == ["ann"]
    assert [type(value) for value in (session, engine, connection)] == [Placeholder] * 3
    assert {"a database connection", "a pool of database connections", "a session with a database"} <= set(lost.values())


class _Database:
    """A database in memory with two tables, and what a program has of it."""

    def __init__(self, sqlalchemy: Any, orm: Any) -> None:
        global User, Address  # noqa: PLW0603  mapped classes are found by name
        base = orm.declarative_base()
        User = type(
            "User",
            (base,),
            {
                "__tablename__": "users",
                "__module__": __name__,
                "id": sqlalchemy.Column(sqlalchemy.Integer, primary_key=True),
                "name": sqlalchemy.Column(sqlalchemy.String),
                "addresses": orm.relationship("Address", back_populates="user"),
            },
        )
        Address = type(
            "Address",
            (base,),
            {
                "__tablename__": "addresses",
                "__module__": __name__,
                "id": sqlalchemy.Column(sqlalchemy.Integer, primary_key=True),
                "email": sqlalchemy.Column(sqlalchemy.String),
                "user_id": sqlalchemy.Column(sqlalchemy.ForeignKey("users.id")),
                "user": orm.relationship("User", back_populates="addresses"),
            },
        )
        self.engine = sqlalchemy.create_engine("sqlite://")
        base.metadata.create_all(self.engine)
        self.session = orm.Session(self.engine)
        self.user = User(name="ann", addresses=[Address(email="a@b")])
        self.session.add(self.user)
        self.session.commit()
        assert self.user.addresses[0].user is self.user
        assert self.user.addresses[0].email
        assert self.user.name
        self.statement = sqlalchemy.select(User).where(User.name == "ann")
        self.rows = self.session.execute(sqlalchemy.select(User.name)).all()
        self.connection = self.engine.connect()

    def close(self) -> None:
        self.connection.close()
        self.session.close()
        self.engine.dispose()


User: Any = None
Address: Any = None


@both
def test_pydantic_models(plain: bool) -> None:
    """With defaults, private attributes, extra fields, nesting, and a model made in a function."""
    pydantic = installed("pydantic")

    class Inner(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        x: int

    class Model(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        model_config = pydantic.ConfigDict(extra="allow")
        name: str
        inner: list[Inner]
        when: dt.date = dt.date(2020, 1, 1)
        _private: int = pydantic.PrivateAttr(default=3)

    model = Model(name="a", inner=[Inner(x=1)], other=5)
    loaded = back(model, plain=plain)
    assert loaded == model
    assert loaded.other == 5
    assert loaded._private == 3
    assert loaded.model_dump() == model.model_dump()


@both
def test_attrs_classes(plain: bool) -> None:
    """Slotted and frozen ones, too."""
    attrs = installed("attrs")
    for options in ({}, {"frozen": True}, {"slots": False}):
        kind = attrs.make_class("Made", {"x": attrs.field(), "y": attrs.field(factory=list)}, **options)
        value = kind(1, [2])
        loaded = back(value, plain=plain)
        assert (loaded.x, loaded.y) == (1, [2])
        assert type(loaded) is kind


def test_a_matplotlib_figure() -> None:
    """It can be drawn again."""
    figure_module = installed("matplotlib.figure")
    figure = figure_module.Figure()
    axes = figure.add_subplot()
    axes.plot([1, 2], [3, 4], label="line")
    axes.set_title("title")
    loaded = back(figure)
    assert loaded.axes[0].get_title() == "title"
    assert list(loaded.axes[0].lines[0].get_ydata()) == [3, 4]
    loaded.canvas.draw()


@both
def test_requests_sessions(plain: bool) -> None:
    """With headers, cookies and adapters; nothing is connected."""
    requests = installed("requests")
    with requests.Session() as session:
        session.headers["X-Test"] = "1"
        session.cookies.set("a", "b")
        prepared = requests.Request("GET", "http://localhost/", params={"a": 1}).prepare()
        loaded = back(session, plain=plain)
        assert loaded.headers["X-Test"] == "1"
        assert loaded.cookies.get("a") == "b"
        assert back(prepared, plain=plain).url == prepared.url
    response = requests.Response()
    response.status_code, response._content = 404, b"body"
    assert back(response, plain=plain).text == "body"
    error = requests.HTTPError("404", response=response)
    loaded_error = back(error, plain=plain)
    assert (type(loaded_error), str(loaded_error), loaded_error.response.status_code) == (requests.HTTPError, "404", 404)


def test_a_progress_bar_costs_only_itself() -> None:
    """What it runs over is a neighbour."""
    tqdm = installed("tqdm")
    with tqdm.tqdm([1, 2, 3], disable=False, file=_Quiet()) as bar:
        bar.update(1)
        loaded, _ = through({"args": [bar, "neighbour"]})
    assert loaded["args"][1] == "neighbour"
    assert loaded["args"][0].ckpt_reason == "a progress bar"


class _Quiet:
    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return


# Torch


@both
def test_torch_tensors_and_modules(plain: bool) -> None:
    """Memory is neither copied nor doubled, gradients are kept, an optimizer goes on with the parameters of its module."""
    torch = installed("torch")
    base = torch.arange(1_000_000.0)
    parameter = torch.nn.Parameter(torch.ones(3))
    (parameter * 2).sum().backward()
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    root = {"args": [base, base[:10], base.view(1000, 1000).t(), parameter, module, optimizer, None if plain else threading.Lock()]}
    encoded = encode(root, [root["args"]], Limits())
    assert [view.nbytes for view in encoded.buffers] == [base.nbytes]
    loaded = decode(encoded.stream, [memoryview(bytearray(view)) for view in encoded.buffers])["args"]
    assert torch.equal(loaded[0], base)
    assert loaded[1].data_ptr() == loaded[0].data_ptr()
    assert torch.equal(loaded[2], base.view(1000, 1000).t())
    assert torch.equal(loaded[3].grad, parameter.grad)
    assert type(loaded[3]) is torch.nn.Parameter
    assert loaded[5].param_groups[0]["params"][0] is loaded[4][0].weight
    assert torch.equal(loaded[4][0].weight.grad, module[0].weight.grad)
    loaded[0][0] = 5.0
    assert loaded[1][0] == 5.0


@both
def test_torch_tensors_of_every_kind(plain: bool) -> None:
    """Empty, scalar, in pieces, expanded, complex, sparse, of half precision, and those with a history, which is lost."""
    torch = installed("torch")
    weights = torch.randn(3, requires_grad=True)
    values = [
        torch.empty(0),
        torch.tensor(3),
        torch.zeros(3, 0),
        torch.arange(10)[::3],
        torch.randn(3).expand(4, 3),
        torch.randn(3, dtype=torch.complex64).conj(),
        torch.eye(3).to_sparse(),
        torch.zeros(3, dtype=torch.bfloat16),
        torch.tensor([True]),
        weights,
        weights * 2,
        torch.nn.Parameter(torch.randn(2), requires_grad=False),
    ]
    for value in values:
        loaded = back(value, plain=plain)
        assert type(loaded) is type(value)
        assert (loaded.dtype, loaded.shape, loaded.requires_grad) == (value.dtype, value.shape, value.requires_grad)
        assert torch.equal(
            loaded.detach().to_dense() if value.is_sparse else loaded.detach(),
            value.detach().to_dense() if value.is_sparse else value.detach(),
        )


# Large and ordinary


def test_a_program_state_as_it_is_in_the_middle_of_work() -> None:
    """Everything at once, with locks, files and generators among it: only those are lost, and identity holds."""
    numpy, pandas = installed("numpy"), installed("pandas")
    frame = pandas.DataFrame({"a": range(1000)})

    class Job:
        def __init__(self) -> None:
            self.frame = frame
            self.weights = numpy.ones(100_000)
            self.lock = threading.Lock()
            self.log = logging.getLogger("job")
            self.callbacks: list[Callable[[], Any]] = [lambda: self.frame, self.run]
            self.rows = iter([1, 2])

        def run(self) -> Any:
            return self.weights

    job = Job()
    loaded, lost = through({"args": [job, frame], "locals": {"self": job, "chunk": job.weights, "files": (line for line in "ab")}})
    again = loaded["args"][0]
    assert again is loaded["locals"]["self"]
    assert again.frame is loaded["args"][1]
    assert again.weights is loaded["locals"]["chunk"]
    assert again.callbacks[0]() is again.frame
    assert again.callbacks[1]() is again.weights
    assert {type(value) for value in (again.lock, loaded["locals"]["files"])} == {Placeholder}
    assert len(lost) == 2


@pytest.fixture(autouse=True, scope="module")
def nothing_left_behind() -> Iterator[None]:
    """Mapped classes and figures hold each other."""
    yield
    gc.collect()


def test_what_the_c_pickler_can_do_is_not_done_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays, tables and records of ordinary classes go through without a hook."""
    from ckpt._model import codec

    numpy, pandas = installed("numpy"), installed("pandas")

    def refuse(*args: object) -> Any:
        raise AssertionError("another pickler was asked")

    monkeypatch.setattr(codec, "_robust", refuse)
    values = [
        numpy.ones(3),
        pandas.DataFrame({"a": [1]}),
        Row("a"),
        Place(x=1),
        Color.RED,
        ValueError(1),
        dt.date(2020, 1, 1),
        Path("a"),
        pickle,
        [].append,
    ]
    assert len(through({"args": values})[0]["args"]) == len(values)
