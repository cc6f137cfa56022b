"""From a file's bytes to numbered cells: as a spreadsheet shows them, and never shifted."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.errors import Exit, RosterRefusedError, UsageError
from invites.model import Status
from invites.roster.csv_file import ROWS_AT_ONCE, read_table, table_from_bytes
from invites.roster.parse import RosterRules, parse_roster
from invites.roster.table import Table

HEADER = ("meeting_id", "title", "start", "end", "name", "email")
SAMPLE = Path(__file__).parents[2] / "sample_roster.csv"


def rows_of(table: Table) -> dict[int, tuple[str, ...]]:
    """Return the cells of each row by its number."""
    return {
        number: cells
        for chunk in table.rows
        for number, cells in zip(chunk.numbers, zip(*chunk.columns, strict=True), strict=True)
    }


def written(rows: list[list[str]], delimiter: str = ",", line_end: str = "\n") -> bytes:
    """Return rows as CSV in UTF-8, every cell in quotes."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows(
        rows
    )
    return out.getvalue().encode()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_each_form_of_csv_is_read(delimiter: str, line_end: str, bom: bytes) -> None:
    """Comma, semicolon or tab is told from the header, whatever the cells have."""
    cells = ["a;b,c\td", 'say "hi"', "x\ny", "", "N", "e"]
    table = table_from_bytes(bom + written([list(HEADER), cells], delimiter, line_end), "r.csv")
    assert table.header == HEADER
    assert rows_of(table) == {2: tuple(cells)}


def test_delimiters_within_a_quoted_header_cell_do_not_count() -> None:
    """The header is read as CSV before its delimiter is judged."""
    content = b'meeting_id;title;"a,b,c,d,e,f"\n1;2;3\n'
    assert table_from_bytes(content, "r").header == ("meeting_id", "title", "a,b,c,d,e,f")


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=6) | st.sampled_from(
    ["NA", "null", "", '"', '""', "a\nb", ",;\t", "007", "1e5", "\x00", "\ufdd0"]
)


@given(
    st.lists(st.lists(CELL, min_size=6, max_size=6), max_size=12),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n"]),
)
def test_cells_come_back_as_they_were_written(
    rows: list[list[str]], delimiter: str, line_end: str
) -> None:
    """No cell is converted, dropped or moved to another column or row."""
    table = table_from_bytes(written([list(HEADER), *rows], delimiter, line_end), "r")
    assert rows_of(table) == {number: tuple(cells) for number, cells in enumerate(rows, 2)}


def test_a_record_of_several_lines_is_one_row() -> None:
    """Row numbers are a spreadsheet's, not a text editor's; blank rows count."""
    rows = [list(HEADER), ["a", "t\nt\nt", "", "", "", ""], ["b", "", "", "", "", ""]]
    content = written(rows[:2]) + b"\n,,,,,,,,\n" + written(rows[2:])
    table = table_from_bytes(content, "r")
    assert not table.faults
    assert {number: cells[0] for number, cells in rows_of(table).items()} == {2: "a", 5: "b"}


def test_numbers_go_on_from_chunk_to_chunk() -> None:
    """A roster longer than what is in memory at once keeps its numbers."""
    count = ROWS_AT_ONCE * 2 + 7
    content = written([list(HEADER), *([str(row)] * 6 for row in range(2, count + 2))])
    table = table_from_bytes(content, "r")
    assert all(str(number) == cells[5] for number, cells in rows_of(table).items())


def test_all_ragged_rows_are_reported() -> None:
    """Each has its number and both counts; the others are still read."""
    content = written([list(HEADER), ["x"], ["1"] * 6, ["y"] * 7, ["2"] * 6])
    table = table_from_bytes(content, "r")
    assert [(p.row, p.refuses_file) for p in table.faults] == [(2, True), (4, True)]
    assert "1 cell, expected 6" in table.faults[0].expected
    assert list(rows_of(table)) == [3, 5]


def test_the_csv_module_s_limit_is_put_back() -> None:
    """Reading long cells changes nothing for others in the process."""
    before = csv.field_size_limit()
    table_from_bytes(written([list(HEADER), ["x" * 300_000] * 6]), "r")
    assert csv.field_size_limit() == before


def test_the_digest_is_of_the_bytes(tmp_path: Path) -> None:
    """BOM and line ends count, so that it is what sha256sum says."""
    content = b"\xef\xbb\xbf" + written([list(HEADER), ["x"] * 6])
    (tmp_path / "r.csv").write_bytes(content)
    assert read_table(tmp_path / "r.csv").digest == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(("end", "whole"), [(b"", False), (b"\n", True), (b"\r\n", True)])
def test_a_missing_final_line_end_is_noted(end: bytes, whole: bool) -> None:  # noqa: FBT001
    """The last address may be cut, and nothing else in the file can tell."""
    content = written([list(HEADER), ["x"] * 6]).rstrip(b"\n") + end
    assert table_from_bytes(content, "r").final_newline is whole


def test_standard_input_is_read() -> None:
    """The name - stands for the bytes on standard input."""
    table = read_table("-", stdin=io.BytesIO(written([list(HEADER), ["x"] * 6])))
    assert (table.source, table.header) == ("standard input", HEADER)


@pytest.mark.parametrize("name", ["absent.csv", "."])
def test_a_roster_that_is_no_file_is_a_wrong_call(tmp_path: Path, name: str) -> None:
    """A missing file and a folder are exit 2 and named."""
    with pytest.raises(UsageError) as caught:
        read_table(tmp_path / name)
    assert caught.value.exit_code is Exit.USAGE
    assert str(tmp_path) in str(caught.value)


@given(st.binary(max_size=80) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    """Nothing but a refusal with problems comes out of a file that is no roster."""
    try:
        table = table_from_bytes(content, "r")
        rows = rows_of(table)
    except RosterRefusedError as error:
        assert error.problems  # noqa: PT017 - either outcome is right
    else:
        assert all(len(cells) == len(table.header) for cells in rows.values())


@given(st.integers(1, 10_000))
def test_a_roster_cut_anywhere_never_becomes_another(cut: int) -> None:
    """A prefix is refused, or says that its end may be cut, or ends at a row."""
    content = SAMPLE.read_bytes()[:cut]
    try:
        roster = parse_roster(table_from_bytes(content, "r"), RosterRules())
    except RosterRefusedError:
        return
    assert roster.final_newline == content.endswith(b"\n")
    whole = parse_roster(read_table(SAMPLE), RosterRules())
    people = {(m.id, a.row) for m in whole.meetings for a in m.attendees}
    assert {(m.id, a.row) for m in roster.meetings for a in m.attendees} <= people


def test_the_sample_roster_shows_what_there_is() -> None:
    """Meetings, people, zones, scripts, roles and states enough to look at."""
    roster = parse_roster(read_table(SAMPLE), RosterRules())
    held = [meeting for meeting in roster.meetings if meeting.status is not Status.CANCELLED]
    attendees = [attendee for meeting in held for attendee in meeting.attendees]
    assert len(roster.meetings) >= 8
    assert len(attendees) >= 30
    assert not roster.warnings
    assert {meeting.status for meeting in roster.meetings} == set(Status)
    assert len({meeting.timezone for meeting in roster.meetings}) >= 6
    assert any(attendee.moderator for attendee in attendees)
    assert any(attendee.attendance == "optional" for attendee in attendees)
    assert any(attendee.features for attendee in attendees)
    names = "".join(attendee.name for attendee in attendees)
    for first, last in (("À", "ÿ"), ("一", "鿿"), ("ء", "ي"), ("А", "я"), ("Α", "ω")):
        assert any(first <= char <= last for char in names)
    assert all(meeting.start.year >= 2031 for meeting in roster.meetings)


def test_reading_a_roster_starts_no_further_thread(tmp_path: Path) -> None:
    """NumPy's OpenBLAS would start one for each processor, which spin for nothing."""
    (tmp_path / "roster.csv").write_bytes(written([list(HEADER), ["m"] * len(HEADER)]))
    code = (
        "import sys; from invites.roster.csv_file import read_table; list(read_table(sys.argv[1]).rows);"
        "assert 'numpy' in sys.modules; print(open('/proc/self/status').read())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "roster.csv"],
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"},
        timeout=30,
    )
    assert re.search(r"^Threads:\s+1$", done.stdout, re.MULTILINE)
