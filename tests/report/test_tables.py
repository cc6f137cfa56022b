"""The table of what was built, as terminals of all widths show it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from invites.report.tables import meeting_table
from tests.factory import Factory


@pytest.mark.parametrize("columns", [40, 60, 79, 80, 120])
def test_each_column_that_is_shown_can_be_read(factory: Factory, columns: int) -> None:
    """Start, title and count on any width; zones and moderators where they have room."""
    meetings = [
        factory.meeting(
            *(factory.attendee(one, moderator=one == 0) for one in range(count)),
            id=str(count),
            title="Retrospective of the whole quarter",
            timezone="America/Argentina/Buenos_Aires",
        )
        for count in (3, 12)
    ]
    out = io.StringIO()
    Console(file=out, width=columns).print(meeting_table(meetings, columns=columns))
    shown = out.getvalue()
    assert all(len(line) <= columns for line in shown.splitlines())
    for word in ("2031-12-02", "05:00", "Retrospective"[:12], "invited", " 12 "):
        assert word in shown
    assert ("America/" in shown) is ("moderators" in shown) is (columns >= 80)
