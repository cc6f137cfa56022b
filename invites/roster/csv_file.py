"""The only module that imports pandas: from a file's bytes to cells with row numbers.

`csv.reader` goes first and finds what pandas passes over in silence: rows that are too long or too
short and quotes that are left open.  A row here is what a spreadsheet shows as one: a record, even
where a quoted cell has several lines.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, NoReturn

from invites.errors import InvitesError, RosterRefusedError, UsageError
from invites.problems import Problem
from invites.roster.columns import BY_NAME, folded_name
from invites.roster.table import Chunk, Table
from invites.text import BLANKS, counted

ROWS_AT_ONCE: Final = 5_000
"""Rows that are in memory as cells at one time."""

DELIMITERS: Final = ",;\t"
STANDARD_INPUT: Final = "standard input"

_BOM: Final = b"\xef\xbb\xbf"
_SAVE_AS: Final = 'save it as "CSV UTF-8" (Excel, LibreOffice: text CSV, character set UTF-8)'
_OTHER_FORMATS: Final = (
    (b"PK\x03\x04", "a workbook (.xlsx or .ods) or another zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
    (b"\xff\xfe\0\0", "UTF-32 text"),
    (b"\0\0\xfe\xff", "UTF-32 text"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"%PDF-", "a PDF document"),
)


def read_table(source: Path | str, *, stdin: BinaryIO | None = None) -> Table:
    """Return the cells of a roster; `-` reads `stdin`, which is the process's own by default.

    Raises UsageError where there is no such file, RosterRefusedError where it is no CSV in UTF-8.
    Rows with too many or too few cells are in the table's `faults`.
    """
    if source == "-":
        stream = standard_input() if stdin is None else stdin
        return table_from_bytes(stream.read(), STANDARD_INPUT)
    if not str(source):
        raise UsageError("ROSTER: found an empty name, expected a file, or - for standard input")
    try:
        content = Path(source).read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{source}: there is no such roster") from None
    except IsADirectoryError:
        raise UsageError(f"{source} is a folder, expected a roster (CSV)") from None
    except OSError as error:
        raise UsageError(f"{source} can't be read: {error.strerror or error}") from None
    return table_from_bytes(content, str(source))


def standard_input() -> BinaryIO:
    """Return the process's standard input; raises UsageError where it was started without one."""
    if sys.stdin is None:
        raise UsageError(f"{STANDARD_INPUT}: found it closed, expected something to read")
    return sys.stdin.buffer


def table_from_bytes(content: bytes, source: str) -> Table:
    """Return the cells of a roster's `content`; `source` is its name for messages.

    Raises RosterRefusedError.
    """
    digest = hashlib.sha256(content).hexdigest()
    _refuse_other_formats(content, source)
    body = content.removeprefix(_BOM)
    if not body.strip():
        _refuse(source, None, "the file is empty, expected a header and a row for each attendee")
    with _cells_of_any_length(len(body)):
        delimiter = _delimiter(body)
        try:
            _refuse_bare_carriage_returns(body, source, delimiter)
            survey = _surveyed(body, source, delimiter)
        except UnicodeDecodeError:
            _refuse_other_encoding(body, source)
    return Table(
        source=source,
        digest=digest,
        header=survey.header,
        rows=_chunks(body, source, delimiter, survey),
        faults=tuple(survey.faults),
        final_newline=body.endswith(b"\n"),
    )


def _refuse(source: str, row: int | None, expected: str) -> NoReturn:
    problem = Problem(row=row, column=None, found=None, expected=expected, refuses_file=True)
    raise RosterRefusedError(source, [problem])


@contextmanager
def _cells_of_any_length(size: int) -> Iterator[None]:
    """Let one cell be as long as the file: its column's limit is what refuses it, with its row."""
    before = csv.field_size_limit(max(size + 1, csv.field_size_limit()))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _refuse_other_formats(content: bytes, source: str) -> None:
    for start, what in _OTHER_FORMATS:
        if content.startswith(start):
            _refuse(source, None, f"the file is {what}, expected CSV in UTF-8; {_SAVE_AS}")
    sample = content[:1_000]
    for evens_or_odds in (sample[::2], sample[1::2]):
        if len(evens_or_odds) > 1 and evens_or_odds.count(0) * 2 > len(evens_or_odds):
            what = "UTF-16 or UTF-32 text"
            _refuse(source, None, f"the file is {what}, expected CSV in UTF-8; {_SAVE_AS}")


def _refuse_other_encoding(body: bytes, source: str) -> NoReturn:
    """Refuse bytes that are not UTF-8, naming the row and what the file probably is."""
    valid, byte = _up_to_the_fault(body)
    row = sum(1 for _ in csv.reader(io.StringIO(valid + "x", newline="")))
    shown = bytes([byte]).decode("cp1252", "replace")
    _refuse(
        source,
        row,
        f'byte 0x{byte:02X} is not UTF-8, expected CSV in UTF-8; in Windows-1252 it is "{shown}"; '
        f"if the file was not damaged, {_SAVE_AS}",
    )


def _up_to_the_fault(body: bytes) -> tuple[str, int]:
    """Return the text before the first byte that is not UTF-8, and that byte."""
    try:
        return body.decode("utf-8"), 0
    except UnicodeDecodeError as error:
        return body[: error.start].decode("utf-8"), body[error.start]


def _delimiter(body: bytes) -> str:
    """Return the delimiter by which the header has the most names that we know, or most cells."""
    start = body[: 1 << 16].decode("utf-8", "ignore")

    def worth(delimiter: str) -> tuple[int, int]:
        cells = _first_record(start, delimiter)
        known = sum(folded_name(cell.strip(BLANKS)) in BY_NAME for cell in cells)
        return known, len(cells)

    return max(DELIMITERS, key=worth)


def _first_record(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error:
        return []


def _refuse_bare_carriage_returns(body: bytes, source: str, delimiter: str) -> None:
    """Refuse CR alone as a line end; within quotes it is a description's own.

    Raises UnicodeDecodeError for a body that may be something else altogether.
    """
    if body.count(b"\r") == body.count(b"\r\n"):
        return
    body.decode("utf-8")
    sep = re.escape(delimiter.encode("ascii"))
    tokens = re.compile(
        rb"(?:(?<=[\r\n" + sep + rb'])|\A)"[^"]*(?:""[^"]*)*"|(?P<line>\r\n|\n)|(?P<bare>\r)'
    )
    row = 1
    for token in tokens.finditer(body):
        if token["bare"]:
            _refuse(
                source,
                row,
                "the line ends in CR alone (old Macintosh), expected LF or CRLF; "
                f"save the file anew, {_SAVE_AS.removeprefix('save it ')}",
            )
        row += token["line"] is not None


@dataclass(slots=True)
class _Survey:
    """What `csv.reader` found: the header, rows with a fault, rows to pass over (from 0)."""

    header: tuple[str, ...] = ()
    records: int = 0
    faults: list[Problem] = field(default_factory=list)
    passed_over: set[int] = field(default_factory=set)


def _surveyed(body: bytes, source: str, delimiter: str) -> _Survey:
    """Return the survey of a body in UTF-8; raises RosterRefusedError where a quote is left open.

    A row of another length without any text is passed over, like every row without text.
    """
    survey = _Survey()
    lines = io.TextIOWrapper(io.BytesIO(body), encoding="utf-8", newline="\n")
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    index = -1
    try:
        survey.header = tuple(next(reader))
        index = 0
        width = len(survey.header)
        survey.passed_over.add(0)
        for index, cells in enumerate(reader, 1):
            if len(cells) != width:
                survey.passed_over.add(index)
                if "".join(cells).strip(BLANKS):
                    survey.faults.append(_ragged(index + 1, len(cells), width))
    except csv.Error as error:
        _refuse_quotes(source, index + 2, str(error), survey)
    survey.records = index + 1
    if survey.header and survey.header[0].startswith("sep="):
        _refuse(source, 1, f"the row is Excel's own {survey.header[0][:5]!r} line; remove it")
    if not "".join(survey.header).strip(BLANKS):
        _refuse(source, 1, "the row has no text, expected the header with the columns' names")
    return survey


def _ragged(row: int, cells: int, width: int) -> Problem:
    return Problem(
        row=row,
        column=None,
        found=None,
        expected=f"the row has {counted(cells, 'cell')}, expected {width} as in the header; "
        "a cell that contains the delimiter is quoted",
        refuses_file=True,
    )


def _refuse_quotes(source: str, row: int, error: str, survey: _Survey) -> NoReturn:
    if "unexpected end" in error:
        expected = "a quoted cell that opens in this row is never closed, expected a second quote"
    else:
        expected = (
            "a quoted cell goes on after its closing quote, expected a delimiter; within "
            'quotes a quote is written twice ("")'
        )
    problem = Problem(row=row, column=None, found=None, expected=expected, refuses_file=True)
    raise RosterRefusedError(source, [*survey.faults, problem])


def _chunks(body: bytes, source: str, delimiter: str, survey: _Survey) -> Iterator[Chunk]:
    """Yield the rows that `survey` does not pass over, as pandas reads them."""
    # One thread: OpenBLAS would start more, which spin for work that reading text never has.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import pandas as pd  # noqa: PLC0415 - it takes half a second

    numbers = [row + 1 for row in range(survey.records) if row not in survey.passed_over]
    if not numbers:
        return
    width = len(survey.header)
    frames = pd.read_csv(
        io.BytesIO(body),
        sep=delimiter,
        engine="c",
        encoding="utf-8",
        header=None,
        names=list(range(width)),
        index_col=False,
        dtype=object,
        keep_default_na=False,
        na_filter=False,
        skip_blank_lines=False,
        skiprows=sorted(survey.passed_over),
        chunksize=ROWS_AT_ONCE,
    )
    read = 0
    with frames:
        for frame in frames:
            columns = [frame[index].tolist() for index in range(width)]
            yield Chunk(numbers[read : read + len(frame)], columns)
            read += len(frame)
    if read != len(numbers):
        raise InvitesError(
            f"{source}: pandas reads {read} rows and Python's csv module {len(numbers)}; "
            "nothing was taken. Please report this roster's form"
        )
