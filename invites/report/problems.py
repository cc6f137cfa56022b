"""A roster's problems as people look at them on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from invites.problems import Problem, escaped
from invites.text import counted

if TYPE_CHECKING:
    from rich.table import Table

ROWS_AT_MOST: Final = 200
"""Problems that a table shows; the lines on stderr have them all."""


def problem_table(problems: Sequence[Problem]) -> Table:
    """Return a table of the problems; nothing in a cell is taken for markup."""
    from rich.table import Table  # noqa: PLC0415 - only where somebody looks
    from rich.text import Text  # noqa: PLC0415

    table = Table(title=_title(problems), title_justify="left")
    table.add_column("row", justify="right", no_wrap=True)
    table.add_column("column", no_wrap=True)
    table.add_column("found", overflow="fold")
    table.add_column("expected", overflow="fold", ratio=1)
    for problem in problems[:ROWS_AT_MOST]:
        row = "file" if problem.row is None else str(problem.row)
        found = "" if problem.found is None else escaped(problem.found)
        table.add_row(
            Text(row), Text(escaped(problem.column or "")), Text(found), Text(problem.expected)
        )
    return table


def _title(problems: Sequence[Problem]) -> str:
    shown = f", the first {ROWS_AT_MOST} of them" if len(problems) > ROWS_AT_MOST else ""
    return f"{counted(len(problems), 'problem')}{shown}"
