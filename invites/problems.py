"""What is wrong in a roster, as values; printing them is the command line's business."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from invites.text import counted

FOUND_AT_MOST = 60
"""Characters of a cell that a problem shows."""

ROWS_NAMED = 5
"""Rows that are named of problems that are alike; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong in a roster, and where.

    `row` is the number a spreadsheet shows (header = 1), None for a fault of the whole file.
    `found` is the cell's text, not yet escaped or cut; None where there is no cell to show.
    `refuses_file` is true for problems that `--skip-invalid` does not leave out.
    """

    row: int | None
    column: str | None
    found: str | None
    expected: str
    refuses_file: bool = False

    def text(self, source: str) -> str:
        """Return the problem as one line: `FILE: row N, column NAME: found "…", expected …`."""
        place = _place(source, self.row, self.column)
        if self.found is None:
            return f"{place}: {self.expected}"
        return f'{place}: found "{escaped(self.found)}", expected {self.expected}'

    def facts(self) -> dict[str, str | int | bool | None]:
        """Return the problem for a JSON document; `found` is escaped and cut as in `text`."""
        return {
            "row": self.row,
            "column": self.column,
            "found": None if self.found is None else escaped(self.found),
            "expected": self.expected,
            "refuses_file": self.refuses_file,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something that is allowed, and that somebody should look at."""

    row: int | None
    column: str | None
    text: str

    def line(self, source: str) -> str:
        """Return the warning as one line: `FILE: row N, column NAME: …`."""
        return f"{_place(source, self.row, self.column)}: {self.text}"

    def facts(self) -> dict[str, str | int | None]:
        """Return the warning for a JSON document."""
        return {"row": self.row, "column": self.column, "text": self.text}


_OWN = re.compile(r'"(?:[^"\\]|\\.)*"|\d+')
"""What is each problem's own in words that are alike: quoted text, rows, days and times."""


def lines_of(found: Iterable[Problem | Warned], source: str) -> list[str]:
    """Return a line for each problem or warning, for alike ones one: the first, and more rows.

    Alike are those of one column with the same words, whatever was found, and whatever text, row
    or time the words quote.
    """
    alike: dict[tuple[str | None, str], list[Problem | Warned]] = {}
    for one in found:
        words = one.expected if isinstance(one, Problem) else one.text
        # What is said of the whole file or of its header has no rows to name, and is never told for
        # another: two columns that are missing are two problems.
        key = words if one.row is None or _is_header(one.row) else _OWN.sub("…", words)
        alike.setdefault((one.column, key), []).append(one)
    return [_line(first, source) + _and_more(others) for first, *others in alike.values()]


def _is_header(row: int) -> bool:
    """Tell whether this is row 1, of one file or of several (`1 of b.csv`)."""
    return str(row).partition(" ")[0] == "1"


def _line(one: Problem | Warned, source: str) -> str:
    return one.text(source) if isinstance(one, Problem) else one.line(source)


def _and_more(others: Sequence[Problem | Warned]) -> str:
    if not others:
        return ""
    rows = ", ".join(str(one.row) for one in others[:ROWS_NAMED])
    dots = ", …" if len(others) > ROWS_NAMED else ""
    return f" (and in {counted(len(others), 'more row')}: {rows}{dots})"


def _place(source: str, row: int | None, column: str | None) -> str:
    """Return where something is, on one line whatever the file and its columns are called."""
    where = [f"row {row}"] if row is not None else []
    where += [f"column {on_one_line(column)}"] if column is not None else []
    return ": ".join([on_one_line(source), *([", ".join(where)] if where else [])])


def on_one_line(name: str) -> str:
    """Return a name of any characters on one line, with everything unprintable as escapes."""
    return "".join(char if char.isprintable() else _escape(char) for char in name)


_NO_TEXT = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff]"
)
"""What moves a terminal's cursor or hides text, line ends apart, and bytes that are no UTF-8."""


def printable(text: str) -> str:
    """Return lines as a terminal can show them: a file's name may hold escape sequences."""
    if text.isprintable():
        return text
    return _NO_TEXT.sub(lambda found: _escape(found[0]), text)


def printable_json(document: str) -> str:
    """Return a JSON text without any character that `printable` escapes."""
    return _NO_TEXT.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def escaped(cell: str) -> str:
    """Return `cell` cut at 60 characters, with everything unprintable and quotes as escapes."""
    cut = cell if len(cell) <= FOUND_AT_MOST else cell[:FOUND_AT_MOST] + "…"
    return "".join(
        char if char.isprintable() and char not in '"\\' else _escape(char) for char in cut
    )


def _escape(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char.encode("unicode_escape").decode("ascii")
