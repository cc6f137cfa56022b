"""manifest.csv says what was made, to programs and to spreadsheets."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.output import manifest
from tests.factory import Factory

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60)
ROWS = st.lists(st.lists(CELLS, min_size=13, max_size=13), max_size=5)


@given(ROWS)
def test_rows_read_back_with_csv(rows: list[list[str]]) -> None:
    """RFC 4180 in UTF-8 without BOM; apostrophes before formulas are all that is added."""
    content = manifest.lines([list(manifest.COLUMNS), *rows])
    assert not content.startswith(b"\xef\xbb\xbf")
    header, *read = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    assert tuple(header) == manifest.COLUMNS
    assert [[manifest._as_written(cell) for cell in row] for row in read] == rows


@given(st.text("=+-@\t\r;' ＝＋－＠x1", min_size=1, max_size=12))
def test_what_guards_a_cell_is_undone(cell: str) -> None:
    """Apostrophes of the roster's own are told from ours, wherever they stand."""
    ((read,),) = csv.reader(io.StringIO(manifest.lines([[cell]]).decode(), newline=""))
    assert manifest._as_written(read) == cell


@pytest.mark.parametrize(
    "cell",
    [
        *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"),
        *("＝1+1", "＋1", "－1", "＠SUM(A1)", "'=1", "a;=1+1", "a; =1+1", ";@SUM(A1)", "a\t-1"),
    ],
)
def test_no_cell_runs_as_a_formula(cell: str) -> None:
    """What a spreadsheet would run has an apostrophe before it, whatever it splits cells at."""
    ((written,),) = csv.reader(io.StringIO(manifest.lines([[cell]]).decode(), newline=""))
    assert not any(
        piece.lstrip(" ").startswith(tuple("=+-@＝＋－＠")) for piece in re.split("[;\t]", written)
    )
    assert written.count("'") > cell.count("'")


def test_a_row_says_what_was_made_and_nothing_of_the_token(factory: Factory) -> None:
    """Thirteen columns, as the documentation lists them."""
    attendee = factory.attendee(moderator=True, email="attendee1@bücher.example")
    (invitation,) = factory.composer().compose(factory.meeting(attendee), factory.revision)
    row = manifest.row_for(invitation, eml="a/b.eml", ics="a/b.ics")
    listed = dict(zip(manifest.COLUMNS, row, strict=True))
    assert listed == {
        "meeting_id": "planning",
        "uid": invitation.uid,
        "email": "attendee1@bücher.example",
        "moderator": "true",
        "room": invitation.room.claim,
        "not_before": "2031-12-02T07:44:00Z",
        "expires": "2031-12-02T09:30:00Z",
        "method": "REQUEST",
        "sequence": "0",
        "dtstamp": "2031-09-03T08:00:00Z",
        "message_id": invitation.message_id,
        "eml": "a/b.eml",
        "ics": "a/b.ics",
    }


def test_the_header_is_what_an_earlier_build_is_known_by() -> None:
    """The exact line, with CRLF."""
    whole = manifest.lines([list(manifest.COLUMNS)])
    assert whole == manifest.HEADER
    assert manifest.is_manifest(whole + b"more")
    assert not manifest.is_manifest(whole[:-2] + b"\n")
    assert not manifest.is_manifest(b"\xef\xbb\xbf" + whole)
