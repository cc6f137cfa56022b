"""Rosters that are too large, or made to cost more than their size; none costs more than in proportion."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

import pytest

from invites.errors import RosterRefusedError
from invites.jitsi.validity import ValidityRule
from invites.model import Meeting, Room, Roster
from invites.problems import Warned
from invites.roster.cells import RosterRules
from invites.roster.parse import shared_rooms
from invites.roster.source import read_roster

Refused = Callable[..., RosterRefusedError]
HEADER = b"meeting_id,title,start,end,name,email\n"
NOW = datetime(2031, 1, 1, tzinfo=UTC)


def calls_of(work: Callable[[], object]) -> int:
    """Return how many functions are called meanwhile: what it costs, on a machine of any speed."""
    count = 0

    def called(_frame: FrameType, event: str, _what: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def test_more_rows_than_a_roster_has_are_refused(refused: Refused) -> None:
    """A million is the most; the survey stops there."""
    error = refused(HEADER + b"a,,,,,\n" * 1_000_002)
    assert "more than 1,000,000 rows" in error.problems[0].expected


def test_more_columns_than_a_roster_has_are_refused(refused: Refused) -> None:
    """100,000 header cells, each compared with each column, took 50 seconds."""
    content = HEADER[:-1] + b",meetimg_id" * 100_000 + b"\n"
    assert calls_of(lambda: refused(content)) < 100_000
    error = refused(content)
    assert [problem.row for problem in error.problems] == [1]
    assert "100,006 columns, expected at most 200" in error.problems[0].expected


def test_a_file_beyond_a_gigabyte_is_refused_by_its_size_alone(tmp_path: Path) -> None:
    """Nothing of it is read."""
    path = tmp_path / "roster.csv"
    with path.open("wb") as file:
        file.truncate(1_000_000_001)
    with pytest.raises(RosterRefusedError) as caught:
        read_roster(str(path), RosterRules(), skip_invalid=False, now=NOW)
    assert "1,000,000,001 bytes" in caught.value.problems[0].expected


def test_a_quote_left_open_before_many_carriage_returns_is_no_trap(refused: Refused) -> None:
    """It took 2.45 GB to look for its end."""
    content = HEADER + b'a,"' + b'x""\r,' * 200_000
    tracemalloc.start()
    try:
        error = refused(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * len(content)
    assert "never closed" in error.problems[-1].expected


def test_many_overlapping_meetings_in_one_room_are_told_in_time() -> None:
    """20,000 alike took 15 seconds, 60,000 over two minutes; each is named with the earlier ones that are open still."""
    start = datetime(2031, 1, 1, 9, tzinfo=UTC)
    room = Room(claim="hall", segment="hall")

    def found_of(count: int) -> list[Warned]:
        return list(shared_rooms(meetings[:count], ValidityRule(), "room"))

    meetings = [
        Meeting(
            id=f"m{number:05}",
            title="Talk",
            start=start + timedelta(seconds=number % 3),
            end=start + timedelta(hours=1),
            timezone="UTC",
            attendees=(),
            room=room,
            row=number + 2,
        )
        for number in range(60_000)
    ]
    few, many = (calls_of(lambda count=count: found_of(count)) for count in (1_000, 4_000))  # type: ignore[misc]
    assert many < 5 * few
    found = found_of(60_000)
    assert len(found) == 59_999
    assert "and 59994 more share room" in found[-1].text


def test_only_rooms_that_are_open_at_one_time_are_shared() -> None:
    """One that ended before the next opens is no other's."""
    start = datetime(2031, 1, 1, 9, tzinfo=UTC)

    def meeting(name: str, hours: int, length: int) -> Meeting:
        return Meeting(
            id=name,
            title="Talk",
            start=start + timedelta(hours=hours),
            end=start + timedelta(hours=hours + length),
            timezone="UTC",
            attendees=(),
            room=Room(claim="hall", segment="hall"),
            row=2,
        )

    found = shared_rooms(
        [meeting("long", 0, 9), meeting("short", 1, 1), meeting("late", 5, 1)], ValidityRule(), None
    )
    assert [warned.text.partition(" share")[0] for warned in found] == [
        'meeting "short" and "long" (row 2)',
        'meeting "late" and "long" (row 2)',
    ]


def test_a_ragged_row_with_an_empty_cell_and_a_quoted_line_end_is_refused(refused: Refused) -> None:
    """Pandas read it as two rows, which ended in exit 1; now csv alone reads such a file."""
    row = b"m,T,2031-01-01 09:00,2031-01-01 10:00,A,a@example.org\n"
    error = refused(HEADER + row + b',"a\nb"\n' + row)
    assert [problem.row for problem in error.problems] == [3]
    assert "2 cells" in error.problems[0].expected


def test_rows_of_another_length_without_text_shift_nothing(
    read: Callable[..., Roster],
) -> None:
    """They are passed over, and the rows behind them keep their number and cells."""
    row = b'm,"T",2031-01-01 09:00,2031-01-01 10:00,A,a@example.org\n'
    roster = read(HEADER + row + b'""\n\n, ,\n' + row.replace(b"a@", b"c@"))
    assert [attendee.row for attendee in roster.meetings[0].attendees] == [2, 6]


def test_a_file_whose_header_matches_nothing_is_not_quoted(refused: Refused) -> None:
    """A pattern may find a secret: not a word of it reaches the log."""
    for content in (b"hunter2-hunter2\nswordfish\n", b"user,\x1bpass\nhunter2,swordfish\n"):
        error = refused(content)
        told = " ".join(problem.text("r.csv") for problem in error.problems)
        assert "is it the right file?" in told
        assert not any(word in told for word in ("hunter2", "swordfish", "pass", "user"))


def test_columns_without_name_and_text_are_dropped(
    read: Callable[..., Roster], refused: Refused
) -> None:
    """Spreadsheets leave such columns behind; one with text in any row is refused."""
    row = b"m,T,2031-01-01 09:00,2031-01-01 10:00,A,a@example.org"
    header = HEADER[:-1].replace(b",title", b",, title")
    assert read(header + b",\n" + row.replace(b",T", b", ,T") + b",\n").accepted == 1
    error = refused(header + b",\n" + row.replace(b",T", b",x,T") + b",\n")
    assert "column B has no name" in error.problems[0].expected


def test_utf_16_is_read_by_its_mark(read: Callable[..., Roster]) -> None:
    """As Excel's Unicode text is, with tabs."""
    text = HEADER.decode() + "m,T,2031-01-01 09:00,2031-01-01 10:00,Zo\u00eb \u4e2d,a@example.org\n"
    for codec, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        for delimiter in ",\t":
            content = mark + text.replace(",", delimiter).encode(codec)
            assert read(content).meetings[0].attendees[0].name == "Zo\u00eb \u4e2d"


def test_cp1252_is_read_where_the_settings_say_so(
    read: Callable[..., Roster], refused: Refused
) -> None:
    """Text that is UTF-8 stays UTF-8, and otherwise the refusal names the setting."""
    text = HEADER.decode() + "m,T,2031-01-01 09:00,2031-01-01 10:00,J\u00f6rg,a@example.org\n"
    for codec in ("cp1252", "utf-8"):
        roster = read(text.encode(codec), encoding="cp1252")
        assert roster.meetings[0].attendees[0].name == "J\u00f6rg"
    assert '[roster] encoding = "cp1252"' in refused(text.encode("cp1252")).problems[0].expected
    undefined = refused(text.encode("cp1252") + b"\x81\n", encoding="cp1252")
    assert undefined.problems[0].row == 3


def test_a_column_of_rooms_is_refused_where_rooms_are_derived(
    read: Callable[..., Roster], refused: Refused
) -> None:
    """Nobody can name another team's room, not even by another name of the column."""
    row = {"room": "standup"}
    assert read(row).accepted == 1
    error = refused(row, derived_rooms=True)
    assert '[roster] rooms is "derived"' in error.problems[0].expected
    content = HEADER[:-1] + b",Raum\nm,T,2031-01-01 09:00,2031-01-01 10:00,A,a@example.org,\n"
    assert read(content, derived_rooms=True).accepted == 1
    refused(content, derived_rooms=True, columns={"room": ("Raum",)}, skip_invalid=True)
