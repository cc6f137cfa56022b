"""Several files read as one roster."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from invites.errors import RosterRefusedError
from invites.problems import Problem
from invites.roster.parse import RosterRules, parse_roster
from invites.roster.table import Chunk, RowOf, Table, joined, joined_digest

HEADER = ("meeting_id", "title", "start", "end", "name", "email")
STANDUP = ("m1", "Standup", "2031-01-08 09:00", "2031-01-08 09:15")


def table(source: str, *rows: tuple[str, ...], header: tuple[str, ...] = HEADER) -> Table:
    """Return a table as the reader makes it, its first row being number 2."""
    chunk = Chunk(numbers=range(2, 2 + len(rows)), columns=list(zip(*rows, strict=True)))
    return Table(source=source, digest=source * 2, header=header, rows=[chunk])


def row(name: str, *, start: str = STANDUP[2]) -> tuple[str, ...]:
    """Return an attendee's row of the standup."""
    return (*STANDUP[:2], start, STANDUP[3], name, f"{name}@example.org")


def test_attendees_of_one_meeting_may_stand_in_several_files() -> None:
    """The rows are one roster: one meeting, everybody of it."""
    both = joined([table("a.csv", row("ada"), row("bea")), table("b.csv", row("cleo"))])
    roster = parse_roster(both, RosterRules())
    (meeting,) = roster.meetings
    assert [attendee.name for attendee in meeting.attendees] == ["ada", "bea", "cleo"]
    assert (roster.rows_read, roster.accepted, roster.source) == (3, 3, "a.csv + b.csv")


def test_a_problem_names_the_file_of_its_row_and_of_the_row_that_it_contradicts() -> None:
    """Row numbers are those of each file, as a spreadsheet shows them."""
    both = joined(
        [table("a.csv", row("ada")), table("b.csv", row("bea", start="2031-01-08 08:00"))]
    )
    with pytest.raises(RosterRefusedError) as caught:
        parse_roster(both, RosterRules())
    (text,) = {problem.text(caught.value.source) for problem in caught.value.problems}
    assert text.startswith("a.csv + b.csv: row 2 of b.csv, column start: ")
    assert "row 2 of a.csv" in text


def test_a_row_of_another_length_names_its_file() -> None:
    """Faults of the reader are joined as well."""
    fault = Problem(row=3, column=None, found=None, expected="6 cells", refuses_file=True)
    second = replace(table("b.csv", row("bea")), faults=(fault,))
    both = joined([table("a.csv", row("ada")), second])
    assert [one.text("roster") for one in both.faults] == ["roster: row 3 of b.csv: 6 cells"]


def test_one_file_is_left_as_it_is() -> None:
    """A list of one reads like a path."""
    alone = table("a.csv", row("ada"))
    assert joined([alone]) is alone


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (HEADER[:-1], 'row 1 of b.csv: column 6 is missing, "email" in a.csv'),
        ((*HEADER, "room"), 'row 1 of b.csv: found "room", expected no column 7'),
        (HEADER[::-1], 'row 1 of b.csv: found "email", expected "meeting_id" as column 1'),
    ],
)
def test_files_with_other_columns_are_refused(header: tuple[str, ...], told: str) -> None:
    """A column that one file lacks or has elsewhere would put cells where they don't belong."""
    other = Table(source="b.csv", digest="b", header=header, rows=[])
    with pytest.raises(RosterRefusedError) as caught:
        joined([table("a.csv", row("ada")), other])
    (problem,) = caught.value.problems
    assert problem.refuses_file
    assert told in problem.text(caught.value.source)


def test_without_a_file_there_is_no_roster() -> None:
    """An empty list is a mistake of the caller."""
    with pytest.raises(ValueError, match="one file"):
        joined([])


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True)])
def test_each_file_needs_its_final_newline(first: bool, second: bool) -> None:  # noqa: FBT001 - cases
    """The last address of any of them may be cut."""
    a = replace(table("a.csv", row("ada")), final_newline=first)
    b = replace(table("b.csv", row("bea")), final_newline=second)
    assert not joined([a, b]).final_newline


def test_the_digest_of_a_list_depends_on_each_file_and_the_order() -> None:
    """An acceptance for one roster is none for another."""
    assert joined_digest(["aa"]) == "aa"
    assert joined_digest(["aa", "bb"]) == hashlib.sha256(b"aa\nbb").hexdigest()
    assert joined_digest(["bb", "aa"]) != joined_digest(["aa", "bb"])


def test_rows_are_in_order_of_files_and_then_of_rows() -> None:
    """They compare as numbers and read as people know them."""
    rows = [RowOf(9, "a.csv", part=0), RowOf(2, "b.csv", part=1), RowOf(7, "b.csv", part=1)]
    assert sorted(rows, reverse=True)[::-1] == rows
    assert [f"row {row}" for row in rows] == [
        "row 9 of a.csv",
        "row 2 of b.csv",
        "row 7 of b.csv",
    ]
