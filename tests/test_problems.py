"""Problems that are alike are one line, whatever each of them quotes; others stay apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from invites.problems import Problem, Warned, lines_of
from tests.support import Answer

ROWS = 40
COLUMNS = ("meeting_id", "title", "start", "end", "name", "email", "moderator", "features")


@pytest.mark.parametrize(
    "edit",
    [
        lambda n: {"start": f"{1 + n % 28}.03.2031 09:00"},
        lambda n: {"start": f"2031-03-{1 + n % 28:02}"},
        lambda n: {"start": f"2031-02-{29 + n % 3} 09:00"},
        lambda n: {"end": f"2031-03-01 08:{n % 60:02}"},
        lambda n: {"end": f"2031-04-01 08:{n % 60:02}"},
        lambda n: {"moderator": ["ja", "nein"][n % 2]},
        lambda n: {"email": f"person{n}"},
        lambda _: {"name": ""},
        lambda n: {"title": f"=?utf-8?q?{n}?="},
        lambda n: {"meeting_id": f"m{n // 2}", "title": f"Title {n}"},
        lambda n: {"meeting_id": f"m{n // 2}", "email": f"p{n // 2}@example.org"},
        lambda n: {"features": f"flying-{n}"},
    ],
)
def test_a_fault_that_each_row_has_is_told_once(
    edit: Callable[[int], dict[str, str]], invites: Callable[..., Answer], tmp_path: Path
) -> None:
    """With its count and its first rows; the JSON document has each of them."""
    lines = [",".join(COLUMNS)]
    for n in range(ROWS):
        good = (f"m{n}", "Title", "2031-03-01 09:00", "2031-03-01 10:00", f"Name {n}")
        row = dict(zip(COLUMNS, (*good, f"p{n}@example.org", "", ""), strict=True))
        lines.append(",".join(f'"{cell}"' for cell in (row | edit(n)).values()))
    (tmp_path / "roster.csv").write_text("\n".join(lines) + "\n")
    answer = invites("check", "roster.csv")
    (line,) = answer.err.splitlines()
    document = invites("check", "roster.csv", "--json").document()
    found = [*document["problems"], *document["warnings"]]
    assert len(found) in {ROWS, ROWS // 2}
    assert f" (and in {len(found) - 1} more rows: " in line


def test_what_differs_in_more_than_what_it_quotes_stays_apart() -> None:
    """Other words, another column, or the whole file instead of a row."""
    row = {"row": 2, "column": "room", "found": "x"}
    problems = (
        Problem(**row, expected='a room without "?"'),  # type: ignore[arg-type]
        Problem(**row, expected='a room with "?"'),  # type: ignore[arg-type]
        Warned(row=3, column="title", text='"a" is long'),
        Warned(row=4, column="name", text='"a" is long'),
        Warned(row=None, column=None, text="the file has 7 rows"),
        Warned(row=None, column=None, text="the file has 8 rows"),
    )
    assert len(lines_of(problems, "roster.csv")) == len(problems)
