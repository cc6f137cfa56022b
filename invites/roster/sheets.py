"""What a workbook's reader does not say of a sheet: its size, formulas that fail, how dates look.

The reader holds a sheet's whole rectangle, so that two cells far apart fill the memory; it gives an
empty text for a formula that fails, and the same date for midnight and for a day without time.
So the sheet's own XML is looked at before (ECMA-376 18.3.1.4, OpenDocument 1.3 part 3, 9.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from zipfile import ZipFile

Place = tuple[int, int]
"""A cell's row and column, from 0."""

NOT_COMPUTED: Final = "#NOT COMPUTED"
"""Stands for the value of a formula that no spreadsheet program has computed yet."""

FAILED: Final = frozenset({
    "#BLOCKED!", "#BUSY!", "#CALC!", "#CONNECT!", "#DIV/0!", "#FIELD!", "#GETTING_DATA", "#N/A",
    "#NAME?", "#NULL!", "#NUM!", "#REF!", "#SPILL!", "#UNKNOWN!", "#VALUE!", NOT_COMPUTED,
})  # fmt: skip
"""What a cell shows whose formula has no value (ECMA-376 18.18.11 and later kinds)."""


def _no_places() -> frozenset[Place]:
    return frozenset()


@dataclass(kw_only=True)
class SheetFacts:
    """What a sheet's XML says: up to which row and column it has values, and about odd cells.

    `failed` has what the cells show whose formulas have no value.
    """

    rows: int
    columns: int
    failed: dict[Place, str] = field(default_factory=dict)
    look_for_times: Callable[[], frozenset[Place]] = _no_places

    @cached_property
    def with_time(self) -> frozenset[Place]:
        """The cells whose format shows a time of day; looked for when a date is at midnight."""
        return self.look_for_times()


def facts_of_xlsx(archive: ZipFile, sheet: str) -> SheetFacts:
    """Return what the XML of a sheet says; raises KeyError or ValueError for no such workbook."""
    part = archive.read(_part_of(archive, sheet))
    if b"\0" in part[:1_000]:
        raise ValueError("a sheet in UTF-16")
    rows, columns = _extent(part)
    return SheetFacts(
        rows=rows,
        columns=columns,
        failed=_failed(part),
        look_for_times=lambda: _with_time(part, _timed_styles(archive)),
    )


_ATTRIBUTES: Final = rb"(?:\w+:)?c\b([^>]*)"
_REFERENCE: Final = re.compile(rb"\br\s*=\s*[\"']([A-Za-z]{1,3})(\d{1,8})[\"']")
_VALUED: Final = re.compile(
    rb"<(?:\w+:)?c\b(?:[^>]*?\br\s*=\s*[\"']([A-Za-z]{1,3})(\d{1,8})[\"'])?[^>]*(?<!/)>"
)
_ROW: Final = re.compile(rb"<(?:\w+:)?row\b[^>]*?\br\s*=\s*[\"'](\d{1,8})[\"']")
_ERROR: Final = re.compile(
    rb"<(?:\w+:)?c\b([^>]*\bt\s*=\s*[\"']e[\"'][^>]*)>[^<]*(?:<(?:\w+:)?f\b[^>]*(?:/>|>[^<]*<[^>]*>))?"
    rb"[^<]*<(?:\w+:)?v>([^<]*)<"
)
_NOT_COMPUTED: Final = re.compile(
    rb"<(?:\w+:)?c\b([^>]*)>\s*<(?:\w+:)?f\b(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f>)\s*"
    rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)
_IS_TEXT: Final = re.compile(rb"\bt\s*=\s*[\"']str[\"']")

WIDEST: Final = 200
"""Columns that a sheet is taken to have whose cells don't say where they are."""


def _part_of(archive: ZipFile, sheet: str) -> str:
    """Return the name of the archive's part that holds a sheet."""
    workbook = ET.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314 - expat bounds entities
    relations = ET.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
    targets = {each.get("Id"): each.get("Target", "") for each in relations}
    for each in workbook.iter():
        if _local(each.tag) == "sheet" and each.get("name") == sheet:
            identities = [value for key, value in each.items() if _local(key) == "id"]
            target = targets["".join(identities)].removeprefix("/")
            return target if target.startswith("xl/") else f"xl/{target}"
    raise KeyError(sheet)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _extent(part: bytes) -> Place:
    """Return the last row and column (from 1) with a value; cells with a format alone don't count."""
    letters: set[bytes] = set()
    numbers: set[bytes] = set()
    placed = True
    for found in _VALUED.finditer(part):
        if found[1] is None:
            placed = False
        else:
            letters.add(found[1])
            numbers.add(found[2])
    if not placed:
        numbers.update(_ROW.findall(part), [b"%d" % part.count(b"<row")])
    columns = max((_column(each) + 1 for each in letters), default=0)
    return max(map(int, numbers), default=0), columns if placed else max(columns, WIDEST)


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number - 1


def _failed(part: bytes) -> dict[Place, str]:
    failed: dict[Place, str] = {}
    for attributes, shown in _ERROR.findall(part):
        text = shown.decode("ascii", "replace")
        failed[_place(attributes)] = text if text in FAILED else "#VALUE!"
    for attributes in _NOT_COMPUTED.findall(part):
        if not _IS_TEXT.search(attributes):
            failed.setdefault(_place(attributes), NOT_COMPUTED)
    return failed


def _place(attributes: bytes) -> Place:
    found = _REFERENCE.search(attributes)
    if found is None:
        raise ValueError("a cell without a place whose formula fails")
    return int(found[2]) - 1, _column(found[1])


def _with_time(part: bytes, styles: frozenset[int]) -> frozenset[Place]:
    if not styles:
        return frozenset()
    either = b"|".join(b"%d" % style for style in sorted(styles))
    timed = re.compile(rb"<" + _ATTRIBUTES + rb"\bs\s*=\s*[\"'](?:" + either + rb")[\"']([^>]*)>")
    return frozenset(
        _place(b" ".join(attributes))
        for attributes in timed.findall(part)
        if _REFERENCE.search(b" ".join(attributes))
    )


_TIMES: Final = frozenset({18, 19, 20, 21, 22, 45, 46, 47})
"""The built-in number formats that show a time (ECMA-376 18.8.30)."""
_QUOTED: Final = re.compile(r'"[^"]*"|\\.|_.|\*.')
_BRACKETED: Final = re.compile(r"\[(?![hms]+\])[^\]]*\]", re.IGNORECASE)


def _timed_styles(archive: ZipFile) -> frozenset[int]:
    """Return the numbers of the cell formats that show hours or seconds."""
    styles = ET.fromstring(archive.read("xl/styles.xml"))  # noqa: S314 - expat bounds entities
    timed = set(_TIMES)
    for each in styles.iter():
        if _local(each.tag) == "numFmt":
            code = _BRACKETED.sub("", _QUOTED.sub("", each.get("formatCode", ""))).lower()
            if "h" in code or "s" in code:
                timed.add(int(each.get("numFmtId", "0")))
    formats = next((each for each in styles if _local(each.tag) == "cellXfs"), None)
    found = [] if formats is None else [int(each.get("numFmtId", "0")) for each in formats]
    return frozenset(at for at, identity in enumerate(found) if identity in timed)


def facts_of_ods(archive: ZipFile) -> list[tuple[str, SheetFacts]]:
    """Return what the XML says of each sheet, by name; it tells midnight from a day by itself.

    The reader takes in all sheets at once, so that each of them has to be looked at before.
    """
    found: list[tuple[str, SheetFacts]] = []
    facts = SheetFacts(rows=0, columns=0)
    row = 0
    cells: list[tuple[int, str | None]] = []
    with archive.open("content.xml") as content:
        for event, each in ET.iterparse(content, ("start", "end")):  # noqa: S314 - see above
            kind = _local(each.tag)
            if event == "start":
                if kind == "table":
                    facts, row = SheetFacts(rows=0, columns=0), 0
                    found.append((_attribute(each, "name"), facts))
            elif kind in {"table-cell", "covered-table-cell"}:
                cells.append((_repeated(each, "columns"), _shown(each)))
            elif kind == "table-row":
                width = _width(cells, row, facts.failed)
                times = _repeated(each, "rows")
                if width:
                    facts.rows, facts.columns = row + times, max(facts.columns, width)
                row += times
                cells = []
                each.clear()
    return found


def _width(cells: list[tuple[int, str | None]], row: int, failed: dict[Place, str]) -> int:
    """Return up to which column (from 1) a row has values, and note the formulas that fail."""
    width = column = 0
    for times, shown in cells:
        if shown is not None:
            width = column + times
            if shown:
                failed[row, column] = shown
        column += times
    return width


def _shown(cell: ET.Element) -> str | None:
    """Return what a cell shows whose formula fails, "" for another value, None for none."""
    text = "".join(cell.itertext()).strip()
    if _attribute(cell, "value-type", "error") == "error" or text in FAILED:
        return text if text in FAILED else "#VALUE!"
    if _attribute(cell, "value-type") or text:
        return ""
    return NOT_COMPUTED if _attribute(cell, "formula") else None


def _attribute(element: ET.Element, name: str, wanted: str | None = None) -> str:
    """Return the attribute of this local name, of several the one that is `wanted`."""
    found = [value for key, value in element.items() if _local(key) == name]
    return wanted if wanted in found and wanted else (found or [""])[0]


def _repeated(element: ET.Element, what: str) -> int:
    return max(1, int(_attribute(element, f"number-{what}-repeated") or 1))
