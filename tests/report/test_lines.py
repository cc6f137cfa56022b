"""Lines of a log: one line each, whatever the values hold."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from invites.report.lines import Level, Line, as_logfmt, as_sentence

AT = datetime(2031, 2, 1, 2, 15, tzinfo=UTC)


@given(st.text(), st.text())
@example("", " ")
def test_a_line_stays_one_line_and_its_values_can_be_read_back(text: str, value: str) -> None:
    """No value can end the line, or pass for another key."""
    line = as_logfmt(Line(event="e", text=text, facts={"job": value}), at=AT)
    assert "\n" not in line
    assert line.splitlines() == [line]
    pairs = [part.partition("=")[::2] for part in shlex.split(line)]
    assert [key for key, _ in pairs] == ["time", "level", "event", "job", "msg"]
    for (_, shown), meant in zip(pairs[3:], (value, text), strict=True):
        assert shown == meant or not meant.isprintable()


def test_facts_have_the_forms_that_programs_read() -> None:
    """Times in UTC with Z, durations in seconds, nothing for what is not known."""
    line = as_logfmt(
        Line(
            event="job_done",
            text='done, "well"',
            level=Level.WARNING,
            facts={"due": AT, "took": timedelta(seconds=1.5), "cause": None, "missed": True},
        ),
        at=AT,
    )
    assert line == (
        "time=2031-02-01T02:15:00Z level=warning event=job_done due=2031-02-01T02:15:00Z "
        'took=1.500s missed=true msg="done, \\"well\\""'
    )


def test_a_terminal_gets_a_sentence() -> None:
    """The time of day, how bad it is, and the words."""
    line = Line(event="e", text="it failed", level=Level.ERROR)
    assert as_sentence(line, at=AT) == "02:15:00Z  error: it failed"
