from __future__ import annotations

import json
import re
import traceback
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt._cli import report, text
from ckpt._cli.tower import Line, tower, variable
from ckpt._model import units
from ckpt._model.record import Entry, Frame, Header, Manifest, Raised, Value
from ckpt._replaying.verdicts import Replay
from ckpt._store.location import Location
from ckpt.errors import UsageError

#: What no line may hold that we print.
ACTING = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
HOSTILE = "a\x1b[31m[bold]\u202ered\r\n\x9b2J\ud800"


def header(**given: Any) -> Header:
    fields: dict[str, Any] = {"id": "0123456789abcdef", "name": "load", "status": "returned", "time": 1_000_000.0}
    return Header(**(fields | given))


def frame(name: str, *values: Value, **given: Any) -> Frame:
    fields: dict[str, Any] = {"file": "/p/job.py", "name": name, "qualname": name, "first_line": 1, "locals": list(values)}
    return Frame(**(fields | given))


def texts(lines: list[Line]) -> list[str]:
    return [line for _, line in lines]


def no_source(_frame: Frame, _line: int) -> str:
    return ""


@given(st.text())
def test_one_line_is_one_line(anything: str) -> None:
    """Whatever a text holds, one line of it acts on no terminal and can be encoded."""
    line = text.one_line(anything)
    assert ACTING.search(line) is None
    line.encode()


@given(st.text())
def test_lines_keep_line_ends_and_tabs_only(anything: str) -> None:
    """Of all that acts on a terminal, only line ends and tabulators of a text are left."""
    for line in text.lines(anything):
        assert ACTING.search(line.replace("\t", "")) is None


def test_ordinary_text_stays() -> None:
    """Accents, other scripts, emoji and backslashes are shown as they are."""
    assert text.one_line(r"naïve Größe 数 🎉 C:\temp") == r"naïve Größe 数 🎉 C:\temp"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, ""), (2.2e-06, "2.2 us"), (0.0123, "12.3 ms"), (1.5, "1.5 s"), (90, "1.5 min"), (7200, "2 h"), ("soon", "?")],
)
def test_durations(seconds: Any, said: str) -> None:
    """A duration is told in one unit with three digits; one that is none does no harm."""
    assert text.span(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(-5, "0 s ago"), (59, "59 s ago"), (61, "1 min ago"), (7199, "1 h ago"), (86400 * 3, "3 d ago")]
)
def test_ages(seconds: float, said: str) -> None:
    """An age is told in whole units; a clock that went back does no harm."""
    assert text.age(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (3_400_000, "3.4 MB"), (5e13, "50.0 TB")]
)
def test_sizes(count: float, said: str) -> None:
    """A size is told in decimal units."""
    assert units.size(count) == said


@pytest.mark.parametrize(
    ("said", "seconds"), [("45s", 45), ("30m", 1800), ("30 min", 1800), ("12h", 43200), ("7d", 604800), ("1.5w", 907200)]
)
def test_ages_are_read(said: str, seconds: float) -> None:
    """`--older-than` takes seconds, minutes, hours, days and weeks."""
    assert text.parse_age(said) == seconds


@pytest.mark.parametrize("said", ["", "7", "d", "-1d", "7 days", "1e3s", "٣d"])
def test_what_is_no_age_is_refused(said: str) -> None:
    """Anything else is wrong usage, and the hint shows the right one."""
    with pytest.raises(UsageError) as caught:
        text.parse_age(said)
    assert "7d" in caught.value.hint


@pytest.mark.parametrize("moment", ["soon", None, 1e300, float("nan"), -1e300])
def test_what_is_no_time_does_no_harm(moment: Any) -> None:
    """A time that a damaged record gives is a question mark."""
    assert text.when(moment) == "?"


def test_rows_tell_how_a_call_ended() -> None:
    """The last cell is the exception, or what was returned, or that the process died."""
    value = {"type": "list", "text": "[1, 2]", "length": 2}
    headers = [
        header(status="failed", exception="ValueError: no"),
        header(returned=value, duration=0.5),
        header(status="died"),
        header(status="running"),
    ]
    cells = report.rows(headers, now=1_000_060.0)
    assert [row[-1] for row in cells] == ["ValueError: no", "-> list (2) = [1, 2]", "its process was gone before it ended", ""]
    assert cells[1][0] == "01234567"
    assert cells[1][4:6] == ["1 min ago", "500 ms"]


def test_plain_rows_are_aligned_and_whole() -> None:
    """Columns line up under their heads, and a long exception is neither cut nor wrapped."""
    cells = report.rows([header(status="failed", exception="E: " + "x" * 500), header(name="much_longer_name")], now=1_000_000.0)
    head, first, second = report.plain(cells).split("\n")
    assert head.index("status") == first.index("failed") == second.index("returned")
    assert first.endswith("E: " + "x" * 500)


def test_hostile_headers_act_on_nothing() -> None:
    """Names, messages, hosts and tags of a foreign store cannot act on the terminal."""
    hostile = header(id=HOSTILE, name=HOSTILE, status=HOSTILE, exception=HOSTILE, host=HOSTILE, module=HOSTILE, tags=[[HOSTILE, HOSTILE]])
    shown = [cell for row in report.rows([hostile], now=0.0) for cell in row]
    shown += texts(report.page(hostile, None, None, no_source, (0, 0)))
    shown.append(report.store_line(Location(path=HOSTILE, found_by=HOSTILE), 1, 1))
    shown.append(report.verdict(Replay(verdict="fixed", detail=HOSTILE, has_returned=True, duration=None)))
    assert [line for line in shown if ACTING.search(line)] == []


def test_a_table_takes_markup_as_text() -> None:
    """Square brackets in a message are a message, not a style, and not an error."""
    from rich.console import Console

    table = report.table(report.rows([header(status="failed", exception="E: [/bad] [red]no[/red]")], now=0.0))
    console = Console(width=200, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(table)
    assert "E: [/bad] [red]no[/red]" in captured.get()


def test_listing_is_the_whole_header() -> None:
    """`info --json` holds the store, how it was found, and every field of every header, in ASCII."""
    data = report.listing(Location(path="/s", found_by="search"), [header(exception="é\x7f\x9b")])
    assert data.isascii()
    assert "\x7f" not in data
    assert json.loads(data) == {"store": "/s", "found_by": "search", "captures": [header(exception="é\x7f\x9b").to_json()]}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Value(name="n", type="int", text="3"), "n: int = 3"),
        (Value(name="xs", type="list", text="[1]", length=1), "xs: list (1) = [1]"),
        (Value(name="a", type="numpy.ndarray", text="[0. 0.]", shape=[2, 3]), "a: numpy.ndarray (2 x 3) = [0. 0.]"),
        (Value(name="a", type="numpy.ndarray", text="0.", shape=[]), "a: numpy.ndarray (scalar) = 0."),
        (
            Value(name="l", type="_thread.lock", text="<lock>", reason="cannot pickle"),
            "l: _thread.lock = <lock>  [not kept: cannot pickle]",
        ),
        (Value(type="str", text="'a\nb'"), r"str = 'a\nb'"),
    ],
)
def test_variables(value: Value, said: str) -> None:
    """A variable is one line: name, type, length or shape, text, and why it was not kept."""
    assert variable(value) == said


def test_a_tower_reads_as_python_prints_it() -> None:
    """Without variables, a chain of exceptions with notes and groups is what `traceback` prints, line for line."""
    try:
        _fail_in_a_group()
    except ExceptionGroup as err:
        manifest, lines = _recorded(err)
        expected = [line.rstrip() for line in "".join(traceback.format_exception(err)).splitlines()]
    told = texts(tower(manifest, lambda frame, line: lines.get((frame.name, line), "")))
    without_marks = [line for line in expected if not set(line) <= set(" |~^")]
    assert [line for line in told if not set(line) <= set(" |~^")] == without_marks


def _fail_in_a_group() -> None:
    errors: list[Exception] = []
    for value in ("a", "b"):
        try:
            int(value)
        except ValueError as err:
            err.add_note(f"a note on {value}\nof two lines")
            errors.append(err)
    try:
        raise ExceptionGroup("inner", errors)  # noqa: TRY301 - the chain is the point
    except ExceptionGroup as inner:
        try:
            raise KeyError("k") from inner  # noqa: TRY301 - the chain is the point
        except KeyError as key:
            raise ExceptionGroup("outer", [TypeError("t"), key, ExceptionGroup("last", [OSError("o")])]) from None


def _recorded(error: BaseException) -> tuple[Manifest, dict[tuple[str, int], str]]:
    """Return what a recorder would keep of an exception, without variables, and the source lines."""
    raised: dict[int, int] = {}
    records: list[Raised | None] = []
    frames: list[Frame] = []
    lines: dict[tuple[str, int], str] = {}

    def record(exception: BaseException | None) -> int | None:
        if exception is None:
            return None
        if id(exception) in raised:
            return raised[id(exception)]
        index = raised[id(exception)] = len(records)
        records.append(None)
        entries = []
        for summary in traceback.extract_tb(exception.__traceback__):
            entries.append(Entry(frame=len(frames), line=summary.lineno or 0))
            frames.append(frame(summary.name, file=summary.filename))
            lines[summary.name, summary.lineno or 0] = summary.line or ""
        kind = type(exception)
        records[index] = Raised(
            type=kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}",
            text=str(exception),
            notes=list(getattr(exception, "__notes__", [])),
            cause=record(exception.__cause__),
            context=record(exception.__context__),
            suppress_context=exception.__suppress_context__,
            members=[number for member in getattr(exception, "exceptions", ()) if (number := record(member)) is not None],
            traceback=entries,
        )
        return index

    record(error)
    return Manifest(exceptions=[one for one in records if one is not None], frames=frames), lines


def test_a_tower_holds_the_variables_of_each_frame() -> None:
    """Under each frame line and its source line stand the frame's variables."""
    outer = frame("outer", Value(name="rows", type="list", text="[1]", length=1), module="__main__")
    inner = frame("inner", Value(name="row", type="int", text="1"))
    raised = Raised(
        type="__main__.Bad",
        text="row 1",
        notes=["noted"],
        traceback=[Entry(frame=0, line=3, positions=[3, 3, 13, 23]), Entry(frame=1, line=7)],
    )
    source = {3: "    total = inner(row) + 1", 7: "    raise Bad"}
    told = tower(Manifest(exceptions=[raised], frames=[outer, inner]), lambda _frame, line: source[line])
    assert texts(told) == [
        "Traceback (most recent call last):",
        '  File "/p/job.py", line 3, in outer',
        "    total = inner(row) + 1",
        "             ^^^^^^^^^^",
        "      rows: list (1) = [1]",
        '  File "/p/job.py", line 7, in inner',
        "    raise Bad",
        "      row: int = 1",
        "Bad: row 1",
        "noted",
    ]


def test_a_tall_tower_says_what_is_left_out() -> None:
    """Where frames were left out of the middle, their number stands."""
    raised = Raised(type="RecursionError", text="", traceback=[Entry(frame=0, line=1)] * 4, omitted=500, omitted_after=2)
    told = texts(tower(Manifest(exceptions=[raised], frames=[frame("f")]), no_source))
    assert told[3:5] == ["  ... 500 frames were not kept ...", '  File "/p/job.py", line 1, in f']
    assert told[-1] == "RecursionError"


def test_the_frame_of_a_module_is_told_without_what_python_put_there() -> None:
    """Of the frame of a module, names with two underscores are not told; nor, of any frame, what pytest's assertions leave."""
    here = [Value(name="__name__", type="str", text="'__main__'"), Value(name="__builtins__", type="module", text="<module 'builtins'>")]
    own = [Value(name="rows", type="int", text="1"), Value(name="__private", type="int", text="2")]
    module = frame("<module>", *here, *own, kind="module")
    function = frame("f", Value(name="__name__", type="int", text="3"), Value(name="@py_assert1", type="NoneType", text="None"))
    raised = Raised(type="E", text="", traceback=[Entry(frame=0, line=1), Entry(frame=1, line=1)])
    told = texts(tower(Manifest(exceptions=[raised], frames=[module, function]), no_source))
    assert [line.strip() for line in told if line.startswith("      ")] == ["rows: int = 1", "__private: int = 2", "__name__: int = 3"]


def recursion(depth: int, *names: str) -> Manifest:
    """A failure `depth` levels deep in functions that call each other, each with its own level; `main` began it, and `last` raised."""
    frames = [frame("main")]
    frames += [frame(names[level % len(names)], Value(name="n", type="int", text=str(level))) for level in range(depth)]
    frames += [frame("last")]
    entries = [Entry(frame=number, line=1 + number % 3) for number in range(len(frames))]
    return Manifest(exceptions=[Raised(type="RecursionError", text="", traceback=entries)], frames=frames)


@pytest.mark.parametrize("names", [("f",), ("even", "odd"), ("visit", "generic_visit", "walk")])
def test_a_recursion_is_told_from_both_ends(names: tuple[str, ...]) -> None:
    """Of many frames of functions that recur, the first ten and the last ten are told, and what shows the others."""
    told = texts(tower(recursion(1000, *names), no_source))
    levels = [int(line.rpartition("=")[2]) for line in told if "n: int" in line]
    assert levels == [*range(10), *range(990, 1000)]
    assert [line for line in told if "..." in line] == ["  ... 980 frames of the recursion are left out here: --frames shows them ..."]
    assert told[1].endswith("in main")
    assert told[-2].endswith("in last")


@pytest.mark.parametrize(("depth", "all_frames"), [(20, False), (1000, True)])
def test_a_recursion_is_told_whole(depth: int, all_frames: bool) -> None:
    """A short one, and one of which all frames are asked for."""
    told = texts(tower(recursion(depth, "f"), no_source, all_frames=all_frames))
    assert sum("n: int" in line for line in told) == depth
    assert not any("..." in line for line in told)


def test_many_different_functions_are_no_recursion() -> None:
    """However deep it is, a stack of functions that do not recur is told whole."""
    told = texts(tower(recursion(300, *(f"f{number}" for number in range(200))), no_source))
    assert sum("n: int" in line for line in told) == 300


def test_what_was_not_kept_of_a_recursion_is_told_too() -> None:
    """Frames that were not kept are told as such where those are left out that were."""
    manifest = recursion(100, "f")
    manifest = replace(manifest, exceptions=[replace(manifest.exceptions[0], omitted=500, omitted_after=50)])
    told = texts(tower(manifest, no_source))
    assert [line for line in told if "..." in line] == [
        "  ... 80 frames of the recursion are left out here: --frames shows them ...",
        "  ... 500 frames were not kept ...",
    ]


def test_a_view_begins_in_the_middle() -> None:
    """A capture that shares the bytes of an outer one is told from its own first frame on."""
    raised = Raised(type="ValueError", text="no", traceback=[Entry(frame=0, line=1), Entry(frame=1, line=2)])
    told = texts(tower(Manifest(exceptions=[raised], frames=[frame("outer"), frame("inner")]), no_source, (0, 1)))
    assert [line for line in told if "File" in line] == ['  File "/p/job.py", line 2, in inner']


def test_exceptions_that_lead_to_each_other_are_told_once() -> None:
    """A cycle of contexts ends, and so does a group that holds itself."""
    first = Raised(type="A", text="", context=1)
    second = Raised(type="B", text="", context=0)
    group = Raised(type="ExceptionGroup", text="g", members=[2])
    assert texts(tower(Manifest(exceptions=[first, second]), no_source))[::4] == ["B", "A"]
    assert any("shown above" in line for line in texts(tower(Manifest(exceptions=[first, second, group]), no_source, (2, 0))))


def test_ten_thousand_contexts_are_told() -> None:
    """A very long chain is told whole, without recursion."""
    chain = [Raised(type="E", text=str(number), context=number + 1) for number in range(10_000)]
    assert texts(tower(Manifest(exceptions=chain), no_source))[-1] == "E: 0"


def test_groups_within_groups_end() -> None:
    """Groups nested deeper than Python shows are counted, not told."""
    groups = [Raised(type="ExceptionGroup", text=str(number), members=[number + 1]) for number in range(2000)]
    told = texts(tower(Manifest(exceptions=[*groups, Raised(type="E", text="last")]), no_source))
    assert told[-1].endswith("1 exception of the group left out here ...")


@pytest.mark.parametrize("view", [(5, 0), (-1, 0), (0, 99), (0, -1)])
def test_a_wrong_manifest_does_no_harm(view: tuple[int, int]) -> None:
    """Numbers that point nowhere are passed over."""
    raised = Raised(type="E", text="e", cause=77, members=[], traceback=[Entry(frame=9, line=1, positions=[1, 1, 500, 400])])
    tower(Manifest(exceptions=[raised]), no_source, view)


def test_a_page_without_failure_shows_the_arguments() -> None:
    """A call that returned is shown by its arguments at entry and what it returned."""
    entry = Manifest(arguments=[Value(name="rows", type="list", text="[1]", length=1)])
    page = texts(report.page(header(returned={"type": "int", "text": "7"}), entry, None, no_source, (0, 0)))
    assert page[-4:] == ["Called with:", "  rows: list (1) = [1]", "", "Returned: int = 7"]


def test_a_page_says_what_the_capture_is() -> None:
    """A page begins with name, status, time and id, and tells function, Python, process and tags."""
    shown = header(status="failed", module="job", qualname="Load.run", python="3.13.0", pid=7, host="h", tags=[["i", 1]], duration=1.0)
    head, place, tags, *_ = texts(report.page(shown, None, Manifest(), no_source, (0, 0)))
    assert head.startswith("load  failed after 1 s  1970-01-1")
    assert head.endswith("0123456789abcdef")
    assert place == "job.Load.run  Python 3.13.0  pid 7  h"
    assert tags == "i=1"


def test_a_failure_without_exceptions_shows_its_line() -> None:
    """A manifest that lost its exceptions still tells the one line of the header."""
    assert texts(report.page(header(status="failed", exception="E: e"), None, Manifest(), no_source, (0, 0)))[-1] == "E: e"


def test_json_of_a_replay() -> None:
    """`run --json` is one object with verdict, detail, repr and exception."""
    error = {"type": "ValueError", "message": "no"}
    raised = Replay(verdict="same failure", detail="d", has_returned=False, exception=ValueError("no"), error=error, duration=0.1)
    told = json.loads(report.replayed(header(), raised, None))
    assert told == {
        "id": "0123456789abcdef",
        "name": "load",
        "verdict": "same failure",
        "detail": "d",
        "repr": None,
        "exception": error,
        "duration": 0.1,
        "notes": [],
    }


class MuteError(Exception):
    def __str__(self) -> str:
        raise SystemError


def test_a_message_that_cannot_be_made_costs_only_itself() -> None:
    """A `__str__` of the user's that raises is told as such."""
    assert report.raised_line(MuteError()) == "raised MuteError: <no text: SystemError raised>"
