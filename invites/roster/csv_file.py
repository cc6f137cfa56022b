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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, NoReturn

from invites.errors import InvitesError, RosterRefusedError, UsageError
from invites.problems import Problem
from invites.roster.columns import BY_NAME, folded_name
from invites.roster.scratch import PIECE, Scratch, start_of_text
from invites.roster.table import (
    BYTES_AT_MOST,
    COLUMNS_AT_MOST,
    ROWS_AT_MOST,
    ROWS_AT_ONCE,
    SAVE_AS,
    Chunk,
    Table,
    refuse,
    utf_8_of,
)
from invites.roster.workbook import is_workbook, table_from_workbook
from invites.text import BLANKS, counted

DELIMITERS: Final = ",;\t"
STANDARD_INPUT: Final = "standard input"

BYTES_IN_MEMORY: Final = 32 << 20
"""A file that has more is copied aside, and read from there piece by piece."""


def read_table(
    source: Path | str, *, encoding: str = "", sheet: str = "", stdin: BinaryIO | None = None
) -> Table:
    """Return the cells of a roster; `-` reads `stdin`, which is the process's own by default.

    `encoding` is what the file may have instead of UTF-8, "" for nothing; `sheet` the sheet of a
    workbook, "" for the first.
    Raises UsageError where there is no such file, RosterRefusedError where it is no roster.
    Rows with too many or too few cells are in the table's `faults`.
    """
    with _opened(source, stdin) as (stream, name):
        content = stream.read(BYTES_IN_MEMORY + 1)
        if len(content) > BYTES_IN_MEMORY and not (sheet or is_workbook(content)):
            aside, digest = _copied(content, stream, name)
            start = start_of_text(aside)
            if start is not None:
                final_newline = aside.read(aside.size - 1, 1) == b"\n"
                text = _Text(lambda: aside.opened(start), aside.size, final_newline)
                return _table_of_text(text, name, digest)
            content = aside.read(0, aside.size)
        else:
            content += _rest_of(stream, name, len(content))
    return table_from_bytes(content, name, encoding, sheet)


def content_of(source: Path | str, *, stdin: BinaryIO | None = None) -> tuple[bytes, str]:
    """Return a roster's bytes and its name for messages; `-` reads `stdin`.

    Raises UsageError where there is no such file, RosterRefusedError where it is too large.
    """
    with _opened(source, stdin) as (stream, name):
        return _rest_of(stream, name), name


@contextmanager
def _opened(source: Path | str, stdin: BinaryIO | None) -> Iterator[tuple[BinaryIO, str]]:
    """Open a roster; what it is called in messages comes with it."""
    if source == "-":
        yield standard_input() if stdin is None else stdin, STANDARD_INPUT
        return
    if not str(source):
        raise UsageError("ROSTER: found an empty name, expected a file, or - for standard input")
    try:
        with Path(source).open("rb") as file:
            yield file, str(source)
    except FileNotFoundError:
        raise UsageError(f"{source}: there is no such roster") from None
    except IsADirectoryError:
        raise UsageError(f"{source} is a folder, expected a roster (CSV)") from None
    except OSError as error:
        raise UsageError(f"{source} can't be read: {error.strerror or error}") from None


def _rest_of(stream: BinaryIO, source: str, before: int = 0) -> bytes:
    """Return what a stream still holds, unless that is more than any roster has."""
    content = stream.read(BYTES_AT_MOST - before + 1)
    _refuse_many_bytes(before + len(content), source)
    return content


def _refuse_many_bytes(found: int, source: str) -> None:
    if found > BYTES_AT_MOST:
        refuse(
            source,
            None,
            f"the file has more than {BYTES_AT_MOST:,} bytes, expected at most as many: is it the "
            "right file?",
        )


def _copied(begun: bytes, stream: BinaryIO, source: str) -> tuple[Scratch, str]:
    """Return a copy of what was `begun` and of the rest, which nobody writes to, and its SHA-256."""
    aside, digest = Scratch(), hashlib.sha256()
    piece = begun
    while piece:
        aside.add(piece)
        digest.update(piece)
        _refuse_many_bytes(aside.size, source)
        piece = stream.read(PIECE)
    return aside, digest.hexdigest()


def standard_input() -> BinaryIO:
    """Return the process's standard input; raises UsageError where it was started without one."""
    if sys.stdin is None:
        raise UsageError(f"{STANDARD_INPUT}: found it closed, expected something to read")
    return sys.stdin.buffer


def table_from_bytes(content: bytes, source: str, encoding: str = "", sheet: str = "") -> Table:
    """Return the cells of a roster's `content`; `source` is its name for messages.

    Raises RosterRefusedError.
    """
    digest = hashlib.sha256(content).hexdigest()
    name = f"{source}#{sheet}" if sheet else source
    if is_workbook(content):
        return table_from_workbook(content, name, sheet, digest=digest)
    if sheet:
        refuse(
            name, None, "the file is no workbook and has no sheets, expected .xlsx, .xlsm or .ods"
        )
    body = utf_8_of(content, source, encoding)
    if not body.strip():
        refuse(source, None, "the file is empty, expected a header and a row for each attendee")
    with _cells_of_any_length(len(body)):
        _refuse_bare_carriage_returns(body, source, _delimiter(body))
    return _table_of_text(
        _Text(lambda: io.BytesIO(body), len(body), body.endswith(b"\n")), source, digest
    )


class _Text(NamedTuple):
    """A roster's text in UTF-8: what opens it from its beginning, its bytes, how it ends."""

    opened: Callable[[], BinaryIO]
    size: int
    final_newline: bool


def _table_of_text(text: _Text, source: str, digest: str) -> Table:
    """Return the cells of a text that has no bare CR as line end; raises RosterRefusedError."""
    with text.opened() as file:
        delimiter = _delimiter(file.read(1 << 16))
    with _cells_of_any_length(text.size):
        survey = _surveyed(text, source, delimiter)
    chunks = _pandas_chunks if survey.passed_over == {0} else _csv_chunks
    return Table(
        source=source,
        digest=digest,
        header=survey.header,
        rows=chunks(text, source, delimiter, survey),
        faults=tuple(survey.faults),
        blank_columns=frozenset(survey.blank_columns),
        final_newline=text.final_newline,
        size=survey.records - 1,
    )


@contextmanager
def _cells_of_any_length(size: int) -> Iterator[None]:
    """Let one cell be as long as the file: its column's limit is what refuses it, with its row."""
    before = csv.field_size_limit(max(size + 1, csv.field_size_limit()))
    try:
        yield
    finally:
        csv.field_size_limit(before)


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
    """Refuse CR alone as a line end; within quotes it is a description's own."""
    if body.count(b"\r") == body.count(b"\r\n"):
        return
    sep = re.escape(delimiter.encode("ascii"))
    # Possessive, and a quote left open takes all that follows: no byte is looked at twice.
    tokens = re.compile(
        rb"(?:(?<=[\r\n" + sep + rb'])|\A)"[^"]*+(?:""[^"]*+)*+(?:"|\Z)'
        rb"|(?P<line>\r\n|\n)|(?P<bare>\r)"
    )
    row = 1
    for token in tokens.finditer(body):
        if token["bare"]:
            refuse(
                source,
                row,
                "the line ends in CR alone (old Macintosh), expected LF or CRLF; "
                f"save the file anew, {SAVE_AS.removeprefix('save it ')}",
            )
        row += token["line"] is not None


@dataclass(slots=True)
class _Survey:
    """What `csv.reader` found: the header, rows with a fault, rows to pass over (from 0).

    `blank_columns` are columns (from 0) that have no name and no text in any row.
    """

    header: tuple[str, ...] = ()
    records: int = 0
    faults: list[Problem] = field(default_factory=list)
    passed_over: set[int] = field(default_factory=set)
    blank_columns: set[int] = field(default_factory=set)


def _surveyed(text: _Text, source: str, delimiter: str) -> _Survey:
    """Return the survey of a text; raises RosterRefusedError where a quote is left open.

    A row of another length without any text is passed over, like every row without text.
    """
    survey = _Survey()
    lines = io.TextIOWrapper(text.opened(), encoding="utf-8", newline="\n")
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    index = -1
    try:
        survey.header = tuple(next(reader))
        index = 0
        width = len(survey.header)
        _refuse_many_columns(source, width)
        survey.passed_over.add(0)
        blank = {at for at, cell in enumerate(survey.header) if not cell.strip(BLANKS)}
        for index, cells in enumerate(reader, 1):
            if len(cells) != width:
                survey.passed_over.add(index)
                if "".join(cells).strip(BLANKS):
                    survey.faults.append(_ragged(index + 1, len(cells), width))
            elif blank:
                blank = {at for at in blank if not cells[at].strip(BLANKS)}
            if index > ROWS_AT_MOST:
                refuse(source, None, f"more than {ROWS_AT_MOST:,} rows, expected at most as many")
    except csv.Error as error:
        _refuse_quotes(source, index + 2, str(error), survey)
    survey.blank_columns = blank
    survey.records = index + 1
    if survey.header and survey.header[0].startswith("sep="):
        refuse(source, 1, f"the row is Excel's own {survey.header[0][:5]!r} line; remove it")
    if not "".join(survey.header).strip(BLANKS):
        refuse(source, 1, "the row has no text, expected the header with the columns' names")
    return survey


def _refuse_many_columns(source: str, width: int) -> None:
    if width > COLUMNS_AT_MOST:
        refuse(
            source,
            1,
            f"the header has {width:,} columns, expected at most {COLUMNS_AT_MOST}; take out those "
            "that are not needed",
        )


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


def _csv_chunks(text: _Text, _source: str, delimiter: str, survey: _Survey) -> Iterator[Chunk]:
    """Yield the rows that `survey` does not pass over, as `csv.reader` reads them.

    pandas has its own mind about rows of another length, and about the lines to skip where a
    quoted cell has several; a file with such rows is not its to read.
    """
    with _cells_of_any_length(text.size):
        lines = io.TextIOWrapper(text.opened(), encoding="utf-8", newline="\n")
        reader = enumerate(csv.reader(lines, delimiter=delimiter, strict=True))
        kept = ((at + 1, cells) for at, cells in reader if at not in survey.passed_over)
        while some := list(islice(kept, ROWS_AT_ONCE)):
            yield Chunk(
                [row for row, _ in some], list(zip(*(cells for _, cells in some), strict=True))
            )


def _pandas_chunks(text: _Text, source: str, delimiter: str, survey: _Survey) -> Iterator[Chunk]:
    """Yield all rows below the header, as pandas reads them."""
    # One thread: OpenBLAS would start more, which spin for work that reading text never has.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import pandas as pd  # noqa: PLC0415 - it takes half a second

    numbers = range(2, survey.records + 1)
    if not numbers:
        return
    width = len(survey.header)
    frames = pd.read_csv(
        text.opened(),
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
        skiprows=1,
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
