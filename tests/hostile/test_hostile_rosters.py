"""The rosters that must do no harm: refused with the place and the reason, or taken as text."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from invites.errors import RosterRefusedError
from invites.model import Roster

Read = Callable[..., Roster]
Refused = Callable[..., RosterRefusedError]
RosterFile = Callable[..., bytes]

HEADER = b"meeting_id,title,start,end,name,email\n"
ROW = b"weekly,Weekly,2031-03-03 09:00,2031-03-03 10:00,Ada Example,ada@example.org\n"
OTHER = ROW.replace(b"ada@", b"bob@")


def after(good: bytes, *more: bytes) -> bytes:
    """Return a roster with a good row, and more."""
    return HEADER + good + b"".join(more)


WHOLE_FILE = {
    "nothing at all": (b"", None, "the file is empty"),
    "blank lines alone": (b"\n\r\n \n", None, "the file is empty"),
    "a byte order mark alone": (b"\xef\xbb\xbf", None, "the file is empty"),
    "a header alone": (HEADER, None, "a header and no rows"),
    "a header without line end": (HEADER.strip(), None, "a header and no rows"),
    "a header and blank rows": (HEADER + b",,,,,\n\n", None, "a header and no rows"),
    "a first row without text": (b",,,,,\n" + HEADER + ROW, 1, "expected the header"),
    "a missing column": (
        HEADER.replace(b",email", b"") + ROW.replace(b",ada@example.org", b""),
        1,
        'column "email" is missing',
    ),
    "a misspelt required column": (
        HEADER.replace(b"email", b"emial") + ROW,
        1,
        'unknown column "emial"; did you mean "email"?',
    ),
    "a misspelt optional column": (
        HEADER.replace(b"\n", b",timezoen\n") + ROW.replace(b"\n", b",UTC\n"),
        1,
        'unknown column "timezoen"; did you mean "timezone"?',
    ),
    "a repeated header": (
        HEADER.replace(b"\n", b",E-Mail\n") + ROW.replace(b"\n", b",x@example.org\n"),
        1,
        "are both email",
    ),
    "a repeated unknown header": (
        HEADER.replace(b"\n", b",seat,Seat\n") + ROW.replace(b"\n", b",1,2\n"),
        1,
        "are both seat",
    ),
    "a header cell without a name": (
        HEADER.replace(b"\n", b",\n") + ROW.replace(b"\n", b",x\n"),
        1,
        "the header cell of column G has no name",
    ),
    "a line end in a header cell": (
        HEADER.replace(b"\n", b',"a\nb"\n') + ROW.replace(b"\n", b",x\n"),
        1,
        "without line ends",
    ),
    "bytes of Windows-1252": (
        after(ROW, OTHER.replace(b"Ada", b"Zo\xeb")),
        3,
        'byte 0xEB is not UTF-8, expected CSV in UTF-8; in Windows-1252 it is "ë"',
    ),
    "an overlong UTF-8 slash": (after(ROW.replace(b"Ada", b"\xc0\xaf")), 2, "0xC0 is not UTF-8"),
    "a surrogate in UTF-8": (after(ROW.replace(b"Ada", b"\xed\xa0\x80")), 2, "is not UTF-8"),
    "UTF-8 cut within a character": (after(ROW) + b"x,\xc3", 3, "0xC3 is not UTF-8"),
    "UTF-16 that is damaged": (after(ROW).decode().encode("utf-16") + b"\0", None, "UTF-16"),
    "UTF-16 without its mark": (after(ROW).decode().encode("utf-16-le"), None, "UTF-16"),
    "UTF-32": (after(ROW).decode().encode("utf-32-be"), None, "UTF-32"),
    "UTF-32 with its mark": (after(ROW).decode().encode("utf-32"), None, "UTF-32"),
    "an xlsx workbook": (b"PK\x03\x04\x14\x00\x06\x00", None, ".xlsx"),
    "an xls workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1", None, ".xls"),
    "a gzip archive": (b"\x1f\x8b\x08\x00", None, "gzip"),
    "an unclosed quote": (
        after(ROW, OTHER.replace(b"Ada Example", b'"Ada Example')),
        3,
        "never closed",
    ),
    "an unclosed quote in the header": (HEADER.replace(b"name", b'"name') + ROW, 1, "closed"),
    "an unclosed quote in the first row": (HEADER + ROW.replace(b"Ada", b'"Ada'), 2, "closed"),
    "text after a closing quote": (
        after(ROW.replace(b"Ada Example", b'"Ada" Example')),
        2,
        "within quotes a quote is written twice",
    ),
    "an extra cell": (
        after(ROW, OTHER.replace(b"\n", b",x\n")),
        3,
        "the row has 7 cells, expected 6",
    ),
    "a trailing comma": (after(ROW.replace(b"\n", b",\n")), 2, "7 cells, expected 6"),
    "a missing cell": (after(ROW, b"weekly,Weekly\n"), 3, "the row has 2 cells, expected 6"),
    "a row after a cell of several lines": (
        after(ROW.replace(b"Weekly", b'"We\nek\nly"'), b"x\n"),
        3,
        "the row has 1 cell, expected 6",
    ),
    "bare CR line ends": (after(ROW).replace(b"\n", b"\r"), 1, "CR alone"),
    "one bare CR line end": (HEADER + ROW.replace(b"\n", b"\r") + OTHER, 2, "CR alone"),
    "a doubled CR": (after(ROW).replace(b"\n", b"\r\r\n"), 1, "CR alone"),
}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"09:00", b"09:30", '"2031-03-03 09:00" as in row 2 of the same meeting'),
        (b"Weekly", b"Daily", '"Weekly" as in row'),
    ],
    ids=["start", "title"],
)
def test_rows_of_a_meeting_that_disagree_refuse_the_file_or_are_left_out(
    read: Read, refused: Refused, old: bytes, new: bytes, words: str
) -> None:
    """Without --skip-invalid nothing is taken; with it nothing of that meeting is."""
    content = after(ROW, OTHER.replace(old, new))
    (problem,) = refused(content).problems
    assert (problem.row, problem.refuses_file) == (3, True)
    assert words in problem.expected
    roster = read(content, skip_invalid=True)
    assert (roster.meetings, roster.rejected, roster.left_out_meetings) == ((), 2, ("weekly",))


@pytest.mark.parametrize(("content", "row", "words"), WHOLE_FILE.values(), ids=WHOLE_FILE.keys())
@pytest.mark.parametrize("skip_invalid", [False, True], ids=["refusing", "skipping"])
def test_the_whole_file_is_refused(
    refused: Refused, content: bytes, row: int | None, words: str, *, skip_invalid: bool
) -> None:
    """A problem of the file refuses it, with or without --skip-invalid, and names its row."""
    error = refused(content, skip_invalid=skip_invalid)
    said = [problem for problem in error.problems if words in problem.text("roster.csv")]
    assert [problem.row for problem in said][:1] == [row]
    assert all(problem.refuses_file for problem in said)
    assert all("\n" not in problem.text("roster.csv") for problem in error.problems)


LONG = "x" * 1_000_000
CELLS = {
    "NUL in a name": ("name", "Ada\x00", "control characters"),
    "NUL in a description": ("description", "a\x00b", "control characters"),
    "escape in a title": ("title", "a\x1b[31mb", "control characters"),
    "delete in a title": ("title", "a\x7fb", "control characters"),
    "C1 control in a name": ("name", "a\x9bb", "control characters"),
    "vertical tab in a description": ("description", "a\x0bb", "control characters"),
    "tab in a name": ("name", "Ada\tExample", "control characters"),
    "next line in a name": ("name", "Ada\x85Example", "U+0085"),
    "line separator in a title": ("title", "a\u2028b", "U+2028"),
    "paragraph separator in a description": ("description", "a\u2029b", "U+2029"),
    "line separator at the end of a name": ("name", "Ada\u2028", "U+2028"),
    "newline in a title": ("title", "Weekly\nBcc: x@example.org", "without line ends"),
    "newline at the end of a title": ("title", "Weekly\n", "without line ends"),
    "bare CR in a quoted name": ("name", "Ada\rExample", "without line ends"),
    "right-to-left override in a name": ("name", "Ada \u202egnp.exe", "bidi overrides"),
    "left-to-right override in a description": ("description", "a\u202db", "bidi overrides"),
    "a bidi embedding left open": ("title", "a\u202bb", "closed again"),
    "a bidi isolate left open": ("name", "a\u2067b", "closed again"),
    "a bidi isolate closed by the wrong mark": ("name", "a\u2067b\u202c", "closed again"),
    "U+FFFE, which breaks the join": ("name", "a\ufffeb", "noncharacters"),
    "a noncharacter beyond the BMP": ("user_id", "a\U0001ffffb", "noncharacters"),
    "1 MB in a name": ("name", LONG, "at most 200 characters (it has 1,000,000)"),
    "1 MB in a description": ("description", LONG, "at most 20,000 characters"),
    "a title of 501 characters": ("title", "x" * 501, "at most 500 characters"),
    "a meeting id of 1,001 characters": ("meeting_id", "x" * 1001, "at most 1,000 characters"),
    "2,001 characters in an unknown column": ("seat", "x" * 2001, "at most 2,000 characters"),
    "a control character in an unknown column": ("seat", "a\x08b", "control characters"),
    "a control character in a meeting id": ("meeting_id", "a\x08b", "control characters"),
    "a command after an address": ("email", "x@y>\r\nRCPT TO:<z@example.org>", "line ends"),
    "a bracket after an address": ("email", "x@y>", "one address"),
    "two addresses": ("email", "ada@example.org,bob@example.org", "a row is for one person"),
    "two addresses with a semicolon": ("email", "ada@example.org; bob@example.org", "one person"),
    "two addresses with a blank": ("email", "ada@example.org bob@example.org", "one person"),
    "no address": ("email", "", "one address such as"),
    "a name and an address": ("email", "Ada <ada@example.org>", "without name and brackets"),
    "a mailto link": ("email", "mailto:ada@example.org", "one address"),
    "two dots in an address": ("email", "a..b@x", "dots stand alone"),
    "a dot before the at sign": ("email", "a.@example.org", "dots stand alone"),
    "an address without a domain": ("email", "ada@", "one address"),
    "an address at a host alone": ("email", "ada@localhost", "one address"),
    "an address at a special name": ("email", "ada@clinic.local", "special-use"),
    "an address at an IP number": ("email", "ada@[192.0.2.1]", "one address"),
    "a quoted local part": ("email", '"ada example"@example.org', "no blanks, quotes"),
    "a local part that is not ASCII": ("email", "zoë@example.org", "is ASCII"),
    "a local part of 65 characters": ("email", "a" * 65 + "@example.org", "at most 64"),
    "an encoded word as an address": ("email", "=?utf-8?q?a=40x?=@example.org", "encoded words"),
    "a comment in an address": ("email", "ada(x)@example.org", "one address"),
    "a percent route in an address": ("email", "ada@example.org@example.com", "one person"),
    "an encoded word in a name": ("name", "=?utf-8?q?evil=40x=2Eorg=2C?=", "encoded words"),
    "an encoded word within a title": ("title", "A =?UTF-8?Q?=0A?=Bcc: e@x", "encoded words"),
    "an encoded word as a host's name": ("organizer_name", "=?utf-8?b?eA==?=", "encoded words"),
    "a name of blanks": ("name", " \u00a0\u3000\t", "the attendee's name"),
    "a meeting id of blanks": ("meeting_id", "  ", "the meeting's identity"),
    "a star as a room": ("room", "*", "admit to every room"),
    "a full-width star as a room": ("room", "\uff0a", "admit to every room"),
    "a room that climbs": ("room", "../x", "a room without /"),
    "a room that is a path": ("room", "/etc/x", "a room without /"),
    "a room with a query": ("room", "a?b#c", "a room without"),
    "a percent-encoded room": ("room", "a%2Fb", "not percent-encoded"),
    "a room that is a file of the client": ("room", "config.js", "does not end in .js"),
    "a room that the server answers": ("room", "http-bind", "another room"),
    "a room of an ellipsis": ("room", "\u2025", "other than"),
    "a start in a gap": ("start", "2031-03-30 02:30", "02:30 is skipped in Europe/Berlin"),
    "a start that comes twice": ("start", "2031-10-26 02:30", "2031-10-26 02:30+01:00 for the"),
    "a day that does not exist": ("start", "2027-02-29 09:00", "February 2027 has 28 days"),
    "a month that does not exist": ("start", "2031-13-01 10:00", "months are 01 to 12"),
    "hour 24": ("start", "2031-03-03 24:00", "hours end at 23"),
    "a leap second": ("start", "2031-03-03 09:00:60", "seconds at 59"),
    "an impossible offset": ("start", "2031-03-03 09:00+25:00", "offsets at 23:59"),
    "a date alone": ("start", "2031-03-03", "not a date alone"),
    "another order of day and month": ("start", "03.03.2031 09:00", "[roster] date_format"),
    "a time of a spreadsheet's own": ("start", "47915.375", "a date and time such as"),
    "digits that are not ASCII": ("start", "٢٠٣١-03-03 09:00", "a date and time such as"),
    "year 1": ("start", "0001-01-01 00:00", "a year from 1970"),
    "year 9999": ("end", "9999-12-31 23:59", "a year from 1970 to 9998"),
    "an end before the start": ("end", "2031-03-03 08:00", "an end after the start"),
    "an end at the start": ("end", "2031-03-03 09:00", "an end after the start"),
    "a meeting of a week": ("end", "2031-03-10 09:00", "at most 24:00 h; this one needs 168:46"),
    "a zone that does not exist": ("timezone", "Mars/Base", "an IANA time zone"),
    "a zone in the wrong case": ("timezone", "europe/berlin", "did you mean Europe/Berlin?"),
    "a zone that climbs": ("timezone", "../../etc/passwd", "an IANA time zone"),
    "a zone that is a folder": ("timezone", "Europe", "an IANA time zone"),
    "a moderator flag of neither kind": ("moderator", "maybe", "true or false"),
    "a status of another spelling": ("status", "canceled", "confirmed, tentative, cancelled"),
    "an attendance of no kind": ("attendance", "chair", "required, optional"),
    "an avatar without TLS": ("avatar", "http://example.org/a.png", "an https URL"),
    "an avatar that is a script": ("avatar", "javascript:alert(1)", "an https URL"),
    "an avatar that ends an attribute": ("avatar", 'https://example.org/"><b', "an https URL"),
    "an avatar with a password": ("avatar", "https://a:b@example.org/x", "without a user name"),
    "an avatar without a host": ("avatar", "https:///x.png", "an https URL"),
    "a language that is a word": ("language", "german", "a language tag"),
    "a language with an underscore": ("language", "pt_BR", "did you mean pt-BR?"),
    "a language that repeats a variant": ("language", "de-1901-1901", "nothing is repeated"),
    "an attendee's zone that does not exist": ("attendee_timezone", "Berlin", "Europe/Berlin?"),
    "a recurrence": ("recurrence", "FREQ=WEEKLY", "a series that ends"),
    "an excluded date": ("exclude", "2031-03-10", 'an empty cell, for no "recurrence"'),
}


@pytest.mark.parametrize(("column", "cell", "words"), CELLS.values(), ids=CELLS.keys())
def test_a_hostile_cell_is_refused_with_its_row_and_column(
    refused: Refused, column: str, cell: str, words: str
) -> None:
    """The problem names row, column and what was expected, on one line that is not long."""
    error = refused({"meeting_id": "other"}, {column: cell})
    said = [p for p in error.problems if (p.row, p.column) == (3, column)]
    assert [words in p.expected for p in said] == [True]
    assert not said[0].refuses_file
    line = said[0].text("roster.csv")
    assert line.isprintable() or "\u3000" in cell or "…" in line or not line.isascii()
    assert len(line) < 700
    assert line.startswith(f'roster.csv: row 3, column {column}: found "')


@pytest.mark.parametrize(("column", "cell", "words"), CELLS.values(), ids=CELLS.keys())
def test_skipping_leaves_out_the_hostile_row_alone(
    read: Read, column: str, cell: str, words: str
) -> None:
    """With skip_invalid the other meeting is made and the left-out row is reported."""
    roster = read({"meeting_id": "other"}, {column: cell}, skip_invalid=True)
    assert [meeting.id for meeting in roster.meetings] == ["other"]
    assert (roster.rows_read, roster.accepted, roster.rejected) == (2, 1, 1)
    assert {problem.row for problem in roster.left_out} == {3}
    if column == "meeting_id":
        assert not roster.complete
    else:
        assert roster.left_out_meetings == ("weekly",)
        assert roster.complete


NAMES = {
    "NA": "NA",
    "null": "null",
    "nan": "nan",
    "a quoted name": 'O\'Brien, "Bob"',
    "a template expression": "{{7*7}}",
    "a template statement": "{% include '/etc/passwd' %}",
    "a script": "<script>alert(1)</script>",
    "a formula": "=cmd|'/c calc'!A0",
    "a parameter": '";X=',
    "digits": "007",
    "a backslash": "a\\nb\\",
    "a percent format": "%s%n{0}",
    "an emoji of several code points": "👩\u200d💻 Ada",
    "right-to-left text": "ليلى مثال",
    "a closed bidi isolate": "a \u2067b\u2069 c",
    "half an encoded word": "=?utf-8",
    "a combining accent": "Zoe\u0308",
    "a blank that does not break": "Ada\u00a0Example",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_odd_text_is_taken_as_text(read: Read, name: str) -> None:
    """What is only text stays exactly as it is."""
    roster = read({"name": name, "title": name})
    assert roster.meetings[0].attendees[0].name == name
    assert roster.meetings[0].title == name


def test_a_byte_order_mark_is_welcome(read: Read, roster_file: RosterFile) -> None:
    """A BOM is not part of the first column's name."""
    assert read(b"\xef\xbb\xbf" + roster_file({})).accepted == 1


def test_a_mix_of_line_ends_is_read(read: Read) -> None:
    """CRLF and LF may change from row to row."""
    assert read(HEADER.replace(b"\n", b"\r\n") + ROW + OTHER.replace(b"\n", b"\r\n")).accepted == 2


def test_an_exact_repeat_is_made_once(read: Read) -> None:
    """A repeated row is accepted, counted, and makes no second attendee."""
    roster = read(HEADER + ROW + ROW)
    assert (roster.rows_read, roster.accepted, roster.repeated) == (2, 2, 1)
    assert len(roster.meetings[0].attendees) == 1


def test_a_bare_cr_within_quotes_is_a_description_s_own(read: Read) -> None:
    """CR and CRLF in a description become LF."""
    roster = read({"description": "one\rtwo\r\nthree\tfour"})
    assert roster.meetings[0].description == "one\ntwo\nthree\tfour"


def test_two_spellings_of_one_room_refuse_the_file(refused: Refused) -> None:
    """Standup and standup are one room on the server: the later spelling is reported."""
    error = refused({"room": "Standup"}, {"meeting_id": "b", "room": "standup"}, skip_invalid=True)
    assert [(p.row, p.column, p.refuses_file) for p in error.problems] == [(3, "room", True)]
    assert '"Standup" as in row 2' in error.problems[0].expected


def test_two_spellings_of_one_room_within_a_meeting_refuse_the_file(refused: Refused) -> None:
    """The rows of one meeting are held to one spelling as well."""
    error = refused({"room": "a b"}, {"room": "A B", "email": "bob@example.org"})
    assert [(p.row, p.refuses_file) for p in error.problems] == [(3, True)]


def test_normalisation_alone_is_no_second_spelling(read: Read) -> None:
    """Composed and decomposed accents look the same and mean the same room."""
    roster = read({"room": "caf\u00e9"}, {"meeting_id": "b", "room": "cafe\u0301"})
    assert {m.room.claim for m in roster.meetings if m.room} == {"caf%c3%a9"}


def test_all_problems_come_at_once_and_in_row_order(refused: Refused) -> None:
    """Problems of rows, of cells and between rows stand in one list."""
    error = refused(
        {"email": "", "name": ""},
        {"meeting_id": "b", "start": "never", "end": "never"},
        {"meeting_id": "c", "room": "*"},
        {"meeting_id": "c", "title": "Another", "email": "bob@example.org"},
    )
    assert [(p.row, p.column) for p in error.problems] == [
        (2, "name"),
        (2, "email"),
        (3, "start"),
        (3, "end"),
        (4, "room"),
        (5, "title"),
        (5, "room"),
    ]
    assert error.rows_read == 4


def test_ragged_rows_and_bad_cells_are_reported_together(refused: Refused) -> None:
    """A row of the wrong length does not hide what else is wrong."""
    error = refused(after(ROW.replace(b"ada@", b"a..b@"), b"x,y\n", OTHER))
    assert [(p.row, p.column) for p in error.problems] == [(2, "email"), (3, None)]
