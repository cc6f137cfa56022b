"""Workbooks as rosters: typed cells, row numbers, formulas that fail, and archives that lie."""

# ruff: noqa: DTZ001 - cells of a spreadsheet have wall times

from __future__ import annotations

import io
import os
import struct
import zipfile
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table as OdsTable
from odf.table import TableCell, TableRow
from odf.text import P
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from invites.errors import RosterRefusedError
from invites.model import Roster
from invites.roster.cells import RosterRules
from invites.roster.csv_file import read_table, table_from_bytes
from invites.roster.files import RosterPath
from invites.roster.source import RosterSource, find, may_read, read_found, read_roster

HEADER = ["meeting_id", "title", "start", "end", "name", "email", "moderator"]
START = datetime(2031, 3, 3, 9, 30)
END = datetime(2031, 3, 3, 10, 15)
ROW = ["m-1", "Weekly", START, END, "Ada Example", "ada@example.org", True]
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def xlsx(*rows: list[Any], formats: dict[str, str] | None = None, mac: bool = False) -> bytes:
    """Return a workbook whose first sheet has these rows; `formats` are cells' number formats."""
    workbook = openpyxl.Workbook()
    if mac:
        workbook.epoch = CALENDAR_MAC_1904
    sheet = workbook.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    for place, form in (formats or {}).items():
        sheet[place].number_format = form
    return saved(workbook)


def saved(workbook: openpyxl.Workbook) -> bytes:
    """Return a workbook's bytes."""
    content = io.BytesIO()
    workbook.save(content)
    return content.getvalue()


def ods(*rows: list[tuple[dict[str, Any], str]]) -> bytes:
    """Return an OpenDocument sheet of cells: attributes and the text that is shown."""
    document = OpenDocumentSpreadsheet()
    table = OdsTable(name="Eins")
    for cells in rows:
        row = TableRow()
        for attributes, text in cells:
            cell = TableCell(**attributes)
            if text:
                cell.addElement(P(text=text))
            row.addElement(cell)
        table.addElement(row)
    document.spreadsheet.addElement(table)
    content = io.BytesIO()
    document.save(content)
    return content.getvalue()


def patched(content: bytes, part: str, old: str, new: str) -> bytes:
    """Return a workbook with one change in the XML of one part."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(written, "w") as after:
        for each in before.infolist():
            body = before.read(each)
            if each.filename == part:
                assert old.encode() in body
                body = body.replace(old.encode(), new.encode())
            after.writestr(each.filename, body, zipfile.ZIP_DEFLATED)
    return written.getvalue()


def cells_of(content: bytes, sheet: str = "") -> list[list[str]]:
    """Return all rows below the header as texts."""
    table = table_from_bytes(content, "r.xlsx", sheet=sheet)
    return [list(row) for chunk in table.rows for row in zip(*chunk.columns, strict=True)]


def read(tmp_path: Path, content: bytes, name: str = "r.xlsx", **rules: Any) -> Roster:
    """Return the roster in a workbook, as every command reads it."""
    path = tmp_path / name.partition("#")[0]
    path.write_bytes(content)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    return read_roster(str(tmp_path / name), RosterRules(**rules), skip_invalid=False, now=NOW)


def refusal(content: bytes, sheet: str = "") -> str:
    """Return the one problem for which a workbook is refused."""
    with pytest.raises(RosterRefusedError) as caught:
        table_from_bytes(content, "r.xlsx", sheet=sheet)
    (problem,) = caught.value.problems
    return problem.expected


@pytest.mark.parametrize("mac", [False, True])
def test_dates_and_truths_are_read_from_typed_cells(tmp_path: Path, mac: bool) -> None:  # noqa: FBT001
    """Both of Excel's date systems come to the same instant, and TRUE is a moderator."""
    roster = read(tmp_path, xlsx(HEADER, ROW, mac=mac))
    (meeting,) = roster.meetings
    assert meeting.start == datetime(2031, 3, 3, 9, 30, tzinfo=UTC)
    assert meeting.end - meeting.start == timedelta(minutes=45)
    assert meeting.attendees[0].moderator
    assert roster.final_newline


def test_each_kind_of_cell_has_its_text() -> None:
    """Whole numbers lose their fraction, times of day their date, and durations stay durations."""
    row = [5, 5.5, False, time(9), time(9, 0, 30), timedelta(hours=30), "007", 20_000_000_000]
    assert cells_of(xlsx(["a"] * 8, row)) == [
        ["5", "5.5", "false", "09:00", "09:00:30", "30:00", "007", "20000000000"]
    ]


def test_a_time_that_a_fraction_of_a_day_misses_by_a_hair_is_the_second_meant() -> None:
    """Spreadsheets keep times as fractions of a day: 9:50:00 is never exactly one."""
    minutes = [datetime(2031, 3, 3) + timedelta(minutes=each) for each in range(1, 1440)]
    read = cells_of(xlsx(["start"], *([each] for each in minutes)))
    assert read == [[f"{each:%Y-%m-%d %H:%M}"] for each in minutes]


def test_midnight_is_told_from_a_date_alone_by_the_cells_format(tmp_path: Path) -> None:
    """A meeting may end at midnight, and a date without a time is no end."""
    night = [*ROW[:2], datetime(2031, 3, 3, 22), datetime(2031, 3, 4), *ROW[4:]]
    timed = xlsx(HEADER, night, formats={"D2": "dd.mm.yyyy hh:mm"})
    assert read(tmp_path, timed).meetings[0].end == datetime(2031, 3, 4, tzinfo=UTC)
    dated = xlsx(HEADER, night, formats={"D2": '[$-407]dddd, d. mmmm yyyy" s h"'})
    with pytest.raises(RosterRefusedError) as caught:
        read(tmp_path, dated)
    (problem,) = caught.value.problems
    assert (problem.row, problem.column, problem.found) == (2, "end", "2031-03-04")
    assert "not a date alone" in problem.expected


def test_typed_dates_are_read_whatever_order_texts_have(tmp_path: Path) -> None:
    """A sheet may have dates beside texts such as 03.03.2031 09:30: date_format is for those."""
    typed_text = [*ROW[:2], START, "03.03.2031 10:15", *ROW[4:]]
    roster = read(tmp_path, xlsx(HEADER, typed_text), date_format=("de",))
    assert roster.meetings[0].end == END.replace(tzinfo=UTC)


def test_rows_keep_the_numbers_that_the_spreadsheet_shows(tmp_path: Path) -> None:
    """Empty rows and an empty first column count, so that a problem is found where it is said."""
    rows = [["", *HEADER], ["", *ROW], [], [], ["", *ROW[:5], "no address", True]]
    with pytest.raises(RosterRefusedError) as caught:
        read(tmp_path, xlsx(*rows))
    assert [(each.row, each.column) for each in caught.value.problems] == [(5, "email")]


@pytest.mark.parametrize("column", [*HEADER, "notes"])
def test_a_formula_that_fails_is_a_problem_of_its_row(tmp_path: Path, column: str) -> None:
    """Read as an empty cell it would make an attendee of a moderator, and nobody would know."""
    header = [*HEADER, "notes"]
    row = [*ROW, "text"]
    row[header.index(column)] = "#REF!"
    with pytest.raises(RosterRefusedError) as caught:
        read(tmp_path, xlsx(header, row))
    problem = caught.value.problems[0]
    assert (problem.row, problem.column, problem.found) == (2, column, "#REF!")
    assert "the formula in this cell fails" in problem.expected
    assert not problem.refuses_file


def test_a_formula_that_nothing_has_computed_is_a_problem_of_its_row(tmp_path: Path) -> None:
    """Programs write formulas without values; a spreadsheet program computes them on saving."""
    with pytest.raises(RosterRefusedError) as caught:
        read(tmp_path, xlsx(HEADER, [*ROW[:6], "=TRUE()"]))
    (problem,) = caught.value.problems
    assert (problem.row, problem.column, problem.found) == (2, "moderator", "#NOT COMPUTED")


def test_an_error_in_an_opendocument_sheet_is_a_problem_of_its_row(tmp_path: Path) -> None:
    """The cell's own type says that its formula fails, in any language."""
    header = [({"valuetype": "string"}, name) for name in HEADER]
    iso = "%Y-%m-%dT%H:%M:%S"
    row: list[tuple[dict[str, Any], str]] = [
        ({"valuetype": "string"}, "m-1"),
        ({"valuetype": "string"}, "Weekly"),
        ({"valuetype": "date", "datevalue": START.strftime(iso)}, "03.03.31 09:30"),
        ({"valuetype": "date", "datevalue": END.strftime(iso)}, "03.03.31 10:15"),
        ({"valuetype": "string"}, "Ada Example"),
        ({"valuetype": "string"}, "ada@example.org"),
        ({"valuetype": "boolean", "booleanvalue": "true"}, "WAHR"),
    ]
    assert read(tmp_path, ods(header, row), "r.ods").meetings[0].attendees[0].moderator
    failing = [*row[:6], ({"formula": "of:=1/0", "valuetype": "string"}, "#DIV/0!")]
    with pytest.raises(RosterRefusedError) as caught:
        read(tmp_path, ods(header, failing), "r.ods")
    (problem,) = caught.value.problems
    assert (problem.row, problem.column, problem.found) == (2, "moderator", "#DIV/0!")


def test_a_sheet_is_named_behind_the_file_and_a_missing_one_says_which_there_are(
    tmp_path: Path,
) -> None:
    """Without a name it is the first that is shown, whatever chart or hidden sheet stands before."""
    workbook = openpyxl.Workbook()
    assert workbook.active is not None
    workbook.active.title = "Lists"
    workbook.active.sheet_state = "hidden"
    for name in ("Termine #1", "Other"):
        sheet = workbook.create_sheet(name)
        sheet.append(HEADER)
        sheet.append([*ROW[:1], name, *ROW[2:]])
    content = saved(workbook)
    assert read(tmp_path, content).meetings[0].title == "Termine #1"
    roster = read(tmp_path, content, "r.xlsx#other")
    assert roster.meetings[0].title == "Other"
    assert roster.source.endswith("r.xlsx#other")
    assert read(tmp_path, content, "r.xlsx#Termine #1").meetings[0].title == "Termine #1"
    assert refusal(content, "Plan") == (
        'there is no sheet "Plan", expected "Lists", "Termine #1", "Other"'
    )
    assert "has no sheets" in refusal(b"meeting_id\n", "Plan")


def test_a_job_reads_a_sheet_and_passes_over_what_excel_puts_beside(tmp_path: Path) -> None:
    """A pattern finds the workbook, not Excel's newer note that somebody has it open."""
    folder = tmp_path / "rosters"
    folder.mkdir()
    workbook = openpyxl.Workbook()
    assert workbook.active is not None
    sheet = workbook.create_sheet("Plan")
    for row in (HEADER, ROW):
        sheet.append(row)
    (folder / "night.xlsx").write_bytes(saved(workbook))
    os.utime(folder / "night.xlsx", (1_800_000_000, 1_800_000_000))
    (folder / "~$night.xlsx").write_bytes(b"somebody")
    source = RosterSource(places=(RosterPath.of("rosters/*.xlsx#Plan", tmp_path),))
    found = find(source, now=NOW)
    roster = read_found(found, RosterRules(), skip_invalid=False, now=NOW)
    assert (roster.accepted, found.files[0].path.name) == (1, "night.xlsx")
    assert may_read(source, str(folder / "night.xlsx#Plan"))
    assert not may_read(source, str(folder / "night.xlsx"))


@pytest.mark.parametrize("cut", [10, 300, -30])
def test_a_damaged_workbook_is_refused_in_words(cut: int) -> None:
    """A broken upload is no traceback; the advice is what mends most of them."""
    assert "damaged workbook" in refusal(xlsx(HEADER, ROW)[:cut])


def test_an_archive_that_is_no_workbook_is_refused_in_words() -> None:
    """Somebody zips the roster to send it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("roster.csv", "meeting_id\n")
    assert "a zip archive that is none" in refusal(content.getvalue())


def test_a_workbook_with_a_password_is_refused_in_words() -> None:
    """An encrypted .xlsx is an OLE file with its own stream, an encrypted .ods says it inside."""
    stream = b"\xd0\xcf\x11\xe0" + bytes(500) + "EncryptedPackage".encode("utf-16-le")
    assert "protected by a password" in refusal(stream)
    manifest = "META-INF/manifest.xml"
    locked = patched(
        ods([]), manifest, "</manifest:manifest>", "<!-- encryption-data --></manifest:manifest>"
    )
    assert "protected by a password" in refusal(locked)


def test_two_cells_far_apart_do_not_fill_the_memory() -> None:
    """The reader holds the rectangle between them, gigabytes of empty cells."""
    workbook = openpyxl.Workbook()
    assert workbook.active is not None
    workbook.active["A1"] = "meeting_id"
    workbook.active["GR1000001"] = "x"
    assert "expected at most 20,000,000 cells" in refusal(saved(workbook))
    workbook.active["GS2"] = "x"
    assert "expected at most 200 columns" in refusal(saved(workbook))
    workbook = openpyxl.Workbook()
    assert workbook.active is not None
    workbook.active["A1000002"] = "x"
    assert "expected at most 1,000,000 rows" in refusal(saved(workbook))


def test_cells_that_do_not_say_where_they_are_are_bounded_too() -> None:
    """A writer may leave the places out; then the row alone says how large the sheet is."""
    sheet = "xl/worksheets/sheet1.xml"
    content = patched(
        xlsx(["meeting_id"], ["x"]), sheet, '<row r="2"><c r="A2"', '<row r="900000"><c'
    )
    assert "cells; save it as CSV" in refusal(content)


def test_a_repeated_cell_does_not_fill_the_memory() -> None:
    """OpenDocument writes a cell once for a million rows."""
    content = ods([({"valuetype": "string", "numbercolumnsrepeated": 150}, "x")])
    bomb = patched(
        content,
        "content.xml",
        "<table:table-row>",
        '<table:table-row table:number-rows-repeated="1000000">',
    )
    assert "expected at most 20,000,000 cells" in refusal(bomb)


def test_formats_far_outside_the_table_count_for_nothing(tmp_path: Path) -> None:
    """A whole row in bold reaches to column XFD, and has no value there."""
    workbook = openpyxl.load_workbook(io.BytesIO(xlsx(HEADER, ROW)))
    assert workbook.active is not None
    workbook.active["XFD1048576"].number_format = "0.00"
    assert read(tmp_path, saved(workbook)).accepted == 1


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked() -> None:
    """A kilobyte of archive can hold a gigabyte of zeros."""
    content = bytearray(xlsx(HEADER, ROW))
    at = content.rindex(b"PK\x01\x02")
    struct.pack_into("<I", content, at + 24, 3_000_000_000)
    assert "unpacks to more than 1,000,000,000 bytes" in refusal(bytes(content))


def test_an_archive_that_unpacks_to_more_than_it_says_is_refused() -> None:
    """Its checksum fails at the size that it names, before the reader of cells opens it."""
    content = bytearray(xlsx(HEADER, *[ROW] * 50))
    name = b"xl/worksheets/sheet1.xml"
    at = content.rindex(name) - 46
    assert content[at : at + 4] == b"PK\x01\x02"
    struct.pack_into("<I", content, at + 24, 100)
    assert "damaged workbook" in refusal(bytes(content))


def test_two_parts_of_one_name_are_refused() -> None:
    """One of them would be weighed, and the other one read."""
    written = io.BytesIO(xlsx(HEADER, ROW))
    with zipfile.ZipFile(written, "a") as archive:
        archive.writestr("xl\\worksheets\\SHEET1.xml", "<worksheet/>")
    assert "damaged workbook" in refusal(written.getvalue())


NIGHT = [*ROW[:2], datetime(2031, 3, 3), datetime(2031, 3, 4), *ROW[4:]]
WHOLE = xlsx(HEADER, ROW, NIGHT)
PARTS = {
    name: zipfile.ZipFile(io.BytesIO(WHOLE)).read(name)
    for name in zipfile.ZipFile(io.BytesIO(WHOLE)).namelist()
}


@settings(max_examples=150, deadline=None)
@given(
    part=st.sampled_from(sorted(PARTS)),
    at=st.integers(0, 5_000),
    cut=st.integers(0, 60),
    more=st.sampled_from([b"", b"<", b'"', b"\0", b"&a;", b"</row>", b"9" * 30])
    | st.binary(max_size=3),
)
def test_a_workbook_that_is_damaged_anywhere_is_read_or_refused(
    part: str, at: int, cut: int, more: bytes
) -> None:
    """Nothing but a refusal with problems comes out, whatever bytes of whatever part are wrong."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, body in PARTS.items():
            place = at % (len(body) + 1)
            changed = body[:place] + more + body[place + cut :]
            archive.writestr(name, changed if name == part else body)
    try:
        for chunk in table_from_bytes(written.getvalue(), "r.xlsx").rows:
            assert all(len(column) == len(chunk.numbers) for column in chunk.columns)
    except RosterRefusedError as refused:
        assert refused.problems  # noqa: PT017 - either outcome is right


def test_entities_that_grow_without_end_are_refused() -> None:
    """A kilobyte of XML that names itself over and over would be gigabytes of text."""
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 20}">' for n in range(1, 12))
    doctype = f'<!DOCTYPE x [<!ENTITY a0 "{"x" * 100}">{entities}]>'
    cell = ods([({"valuetype": "string"}, "meeting_id")])
    bomb = patched(cell, "content.xml", "?>", f"?>{doctype}")
    assert "damaged workbook" in refusal(patched(bomb, "content.xml", "meeting_id", "&a11;"))


def test_an_empty_sheet_and_an_empty_first_row_are_refused() -> None:
    """The header is the first row, as in a CSV file."""
    assert "the sheet is empty" in refusal(saved(openpyxl.Workbook()))
    workbook = openpyxl.Workbook()
    assert workbook.active is not None
    workbook.active["A2"] = "meeting_id"
    assert "expected the header" in refusal(saved(workbook))


def test_a_column_without_name_and_text_is_dropped(tmp_path: Path) -> None:
    """Spreadsheets have such columns at the side; one with text is refused by its letter."""
    header = [*HEADER[:2], None, *HEADER[2:]]
    assert read(tmp_path, xlsx(header, [*ROW[:2], None, *ROW[2:]])).accepted == 1
    with pytest.raises(RosterRefusedError, match="1 problem") as caught:
        read(tmp_path, xlsx(header, [*ROW[:2], "x", *ROW[2:]]))
    assert "column C has no name" in caught.value.problems[0].expected


def test_a_workbook_comes_through_standard_input() -> None:
    """Its bytes say what it is; no name is needed."""
    table = read_table("-", stdin=io.BytesIO(xlsx(HEADER, ROW)))
    assert (table.source, table.header) == ("standard input", tuple(HEADER))


def test_a_date_is_a_date_and_a_sheet_of_dates_alone_is_refused(tmp_path: Path) -> None:
    """No time is made up for a start."""
    with pytest.raises(RosterRefusedError) as caught:
        read(tmp_path, xlsx(HEADER, [*ROW[:2], date(2031, 3, 3), date(2031, 3, 4), *ROW[4:]]))
    assert {each.column for each in caught.value.problems} == {"start", "end"}
