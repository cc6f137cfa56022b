"""From a workbook's bytes (.xlsx, .xlsm, .ods) to cells as text, with the row numbers that it shows.

python-calamine reads the cells; pandas would read through it as well, and lose the row numbers
above a header.  A date is written as ISO 8601, a truth as true or false, a whole number without
fraction, so that all else of the roster is read as from CSV (`RosterRules.typed`).
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from invites.problems import escaped
from invites.roster.sheets import SheetFacts, facts_of_ods, facts_of_xlsx
from invites.roster.table import COLUMNS_AT_MOST, ROWS_AT_MOST, ROWS_AT_ONCE, Chunk, Table, refuse
from invites.text import BLANKS

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

Value = bool | float | str | datetime | date | time | timedelta

SUFFIXES: Final = (".xlsx", ".xlsm", ".ods")
UNPACKED_AT_MOST: Final = 1_000_000_000
"""Bytes that a workbook may have once it is unpacked: a small archive can hold terabytes."""
CELLS_AT_MOST: Final = 20_000_000
"""Rows times columns of a sheet; all of them are in memory at once, also the empty ones."""
NAMED_AT_MOST: Final = 20
"""Sheets that are named where the one that was asked for is not there."""

_WITH_SHEET = re.compile(r"(.+?\.(?:xlsx|xlsm|ods))#(.+)", re.IGNORECASE | re.DOTALL)
_ZIP: Final = b"PK\x03\x04"
_OLE: Final = b"\xd0\xcf\x11\xe0"
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
"""The stream in which a workbook with a password lies (MS-OFFCRYPTO 2.3.4.4)."""
_PROTECTED: Final = (
    "the workbook is protected by a password, expected one that opens without: save a copy of it "
    "without password"
)


def split_sheet(name: str) -> tuple[str, str]:
    """Return a file's name and its sheet's of `roster.xlsx#Sheet`; the sheet is "" for the first."""
    found = _WITH_SHEET.fullmatch(name)
    return (found[1], found[2]) if found else (name, "")


def is_workbook(content: bytes) -> bool:
    """Tell whether these bytes are a zip archive or an encrypted workbook, and so never text."""
    return content.startswith(_ZIP) or (content.startswith(_OLE) and _ENCRYPTED in content)


def table_from_workbook(content: bytes, source: str, sheet: str, *, digest: str) -> Table:
    """Return the cells of a workbook's sheet, of the first visible one for "".

    Raises RosterRefusedError for a workbook that is damaged, protected or too large, and for a
    sheet that is not there.
    """
    from python_calamine import load_workbook  # noqa: PLC0415 - only a workbook needs it

    if not content.startswith(_ZIP):
        refuse(source, None, _PROTECTED)
    with _errors_in_words(source):
        archive = _sound_archive(content, source)
        in_ods = dict(_bounded_ods(archive, source))
        workbook = load_workbook(io.BytesIO(content))
        name = _sheet_meant(workbook, sheet, source)
        facts = in_ods.get(name) or facts_of_xlsx(archive, name)
        _refuse_large(facts, source)
        cells = workbook.get_sheet_by_name(name)
        if not facts.rows:
            refuse(
                source, None, "the sheet is empty, expected a header and a row for each attendee"
            )
        header = next(_rows(cells, facts), [])
        if not "".join(header).strip(BLANKS):
            refuse(source, 1, "the row has no text, expected the header with the columns' names")
        return Table(
            source=source,
            digest=digest,
            header=tuple(header),
            rows=_chunks(cells, facts, source),
            blank_columns=_blank_columns(header, cells, facts),
            typed=True,
        )


@contextmanager
def _errors_in_words(source: str) -> Iterator[None]:
    """Say what went wrong in a workbook; a panic of the reader is no `Exception`."""
    import python_calamine  # noqa: PLC0415 - only a workbook needs it

    try:
        yield
    except python_calamine.PasswordError:
        refuse(source, None, _PROTECTED)
    except (
        python_calamine.CalamineError,
        zipfile.BadZipFile,
        EOFError,
        KeyError,
        NotImplementedError,
        OSError,
        SyntaxError,  # xml.etree's ParseError
        ValueError,
        zipfile.zlib.error,  # type: ignore[attr-defined]
    ):
        refuse(source, None, _NO_WORKBOOK)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        refuse(source, None, _NO_WORKBOOK)


_NO_WORKBOOK: Final = (
    "the file is a damaged workbook, or a zip archive that is none, expected .xlsx, .xlsm, .ods or "
    "CSV; open it in a spreadsheet program and save it again"
)


def _sound_archive(content: bytes, source: str) -> zipfile.ZipFile:
    """Return the archive once it is known to unpack to no more than it says, and each part once.

    What unpacks to more than it says fails its checksum here, before anything else reads it; of two
    parts with one name the reader of cells could take the other one.
    """
    archive = zipfile.ZipFile(io.BytesIO(content))
    parts = archive.infolist()
    if sum(part.file_size for part in parts) > UNPACKED_AT_MOST:
        refuse(
            source,
            None,
            f"the workbook unpacks to more than {UNPACKED_AT_MOST:,} bytes, expected at most as "
            "many: is it the right file?",
        )
    if any(part.flag_bits & 1 for part in parts) or _is_encrypted_ods(archive):
        refuse(source, None, _PROTECTED)
    names = [part.filename.replace("\\", "/").lower() for part in parts]
    if len(set(names)) < len(names) or archive.testzip() is not None:
        refuse(source, None, _NO_WORKBOOK)
    return archive


def _is_encrypted_ods(archive: zipfile.ZipFile) -> bool:
    manifest = "META-INF/manifest.xml"
    return manifest in archive.namelist() and b"encryption-data" in archive.read(manifest)


def _bounded_ods(archive: zipfile.ZipFile, source: str) -> list[tuple[str, SheetFacts]]:
    """Return what is known of an .ods file's sheets, none of which is too large; none of .xlsx."""
    found = facts_of_ods(archive) if "content.xml" in archive.namelist() else []
    for _, facts in found:
        _refuse_large(facts, source)
    return found


def _sheet_meant(workbook: CalamineWorkbook, sheet: str, source: str) -> str:
    """Return the name of the sheet that `sheet` means, in any case, or of the first visible one."""
    from python_calamine import SheetTypeEnum, SheetVisibleEnum  # noqa: PLC0415

    seen = [each for each in workbook.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
    if sheet:
        for fits in (sheet.__eq__, lambda name: name.casefold() == sheet.casefold()):
            for each in seen:
                if fits(each.name):
                    return each.name
        names = ", ".join(f'"{escaped(each.name)}"' for each in seen[:NAMED_AT_MOST])
        more = " and more" if len(seen) > NAMED_AT_MOST else ""
        refuse(source, None, f'there is no sheet "{escaped(sheet)}", expected {names}{more}')
    if not seen:
        refuse(source, None, "the workbook has no sheet with cells, expected one with the roster")
    visible = [each for each in seen if each.visible == SheetVisibleEnum.Visible]
    return (visible or seen)[0].name


def _refuse_large(facts: SheetFacts, source: str) -> None:
    """Refuse a sheet that would not fit: its rectangle is held in memory, empty cells and all."""
    if facts.columns > COLUMNS_AT_MOST:
        what = f"cells in column {facts.columns:,}, expected at most {COLUMNS_AT_MOST} columns"
        refuse(source, None, f"the sheet has {what}; take out those that are not needed")
    if facts.rows > ROWS_AT_MOST + 1:
        what = f"cells in row {facts.rows:,}, expected at most {ROWS_AT_MOST:,} rows"
        refuse(source, None, f"the sheet has {what} below the header")
    if facts.rows * facts.columns > CELLS_AT_MOST:
        what = f"{facts.rows:,} rows of {facts.columns} columns, expected at most {CELLS_AT_MOST:,}"
        refuse(source, None, f"the sheet has {what} cells; save it as CSV, or in parts")


def _rows(sheet: CalamineSheet, facts: SheetFacts) -> Iterator[list[str]]:
    """Yield the texts of each row from the first on, and of each column from the first on."""
    left = sheet.start[1] if sheet.start else 0
    before = [""] * left
    for row, values in enumerate(sheet.iter_rows()):
        yield [
            *before,
            *(_text(value, row, left + at, facts) for at, value in enumerate(values)),
        ]


def _text(value: Value, row: int, column: int, facts: SheetFacts) -> str:
    """Return a cell's text; a formula that fails has no value, and must not pass for empty."""
    if type(value) is str:
        return facts.failed.get((row, column), value) if facts.failed else value
    match value:
        case bool():
            text = "true" if value else "false"
        case float():
            text = str(int(value)) if value.is_integer() else repr(value)
        case datetime():
            text = _clock(_to_second(value), "%Y-%m-%d %H:%M")
        case date():  # at midnight, or without a time: the cell's format knows
            text = f"{value} 00:00" if (row, column) in facts.with_time else f"{value}"
        case time():
            text = _clock(_to_second(datetime.combine(_ANY_DAY, value)), "%H:%M")
        case timedelta():
            minutes, seconds = divmod(round(value.total_seconds()), 60)
            text = f"{minutes // 60}:{minutes % 60:02d}" + (f":{seconds:02d}" if seconds else "")
        case _:
            text = str(value)
    return text


_ANY_DAY: Final = date(1970, 1, 1)


def _to_second(moment: datetime) -> datetime:
    """Return the nearest second: a fraction of a day is no whole number of them."""
    return (moment + timedelta(microseconds=500_000)).replace(microsecond=0)


def _clock(moment: datetime, form: str) -> str:
    return f"{moment:{form}:%S}" if moment.second else f"{moment:{form}}"


def _chunks(sheet: CalamineSheet, facts: SheetFacts, source: str) -> Iterator[Chunk]:
    rows = islice(_rows(sheet, facts), 1, None)
    number = 2
    with _errors_in_words(source):  # the formats are looked up where a date is at midnight
        while some := list(islice(rows, ROWS_AT_ONCE)):
            yield Chunk(range(number, number + len(some)), list(zip(*some, strict=True)))
            number += len(some)


def _blank_columns(
    header: Sequence[str], sheet: CalamineSheet, facts: SheetFacts
) -> frozenset[int]:
    """Return the places of columns without name and without any text."""
    blank = {at for at, name in enumerate(header) if not name.strip(BLANKS)}
    if blank:
        for row in _rows(sheet, facts):
            blank = {at for at in blank if not row[at].strip(BLANKS)}
    return frozenset(blank)
