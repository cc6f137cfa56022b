"""The records that jobs tell: one line each, whatever the values hold."""

from __future__ import annotations

import logging
import shlex
from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from invites.report.notice import LogFormatter, record

AT = datetime(2031, 2, 1, 2, 15, tzinfo=UTC)


def line_of(told: logging.LogRecord, timezone: str | None = None) -> str:
    """Return how a record of that moment is written, for people of a zone or for programs."""
    told.created = AT.timestamp() + 0.75
    return LogFormatter(timezone).format(told)


@given(st.text(), st.text())
@example("", " ")
def test_a_line_stays_one_line_and_its_values_can_be_read_back(text: str, value: str) -> None:
    """No value can end the line, or pass for another key."""
    line = line_of(record("e", text, facts={"job": value}))
    assert "\n" not in line
    assert line.splitlines() == [line]
    pairs = [part.partition("=")[::2] for part in shlex.split(line)]
    assert [key for key, _ in pairs] == ["time", "level", "event", "job", "msg"]
    for (_, shown), meant in zip(pairs[3:], (value, text), strict=True):
        assert shown == meant or not meant.isprintable()


def test_facts_have_the_forms_that_programs_read() -> None:
    """Times in UTC with Z, durations in seconds, nothing for what is not known."""
    facts = {"due": AT, "took": timedelta(seconds=1.5), "cause": None, "missed": True}
    line = line_of(record("job_done", 'done, "well"', level=logging.WARNING, facts=facts))
    assert line == (
        "time=2031-02-01T02:15:00Z level=warning event=job_done due=2031-02-01T02:15:00Z "
        'took=1.500s missed=true msg="done, \\"well\\""'
    )


def test_a_terminal_gets_a_sentence() -> None:
    """Local time with its zone, how bad it is, and the words."""
    failed = record("e", "it failed", level=logging.ERROR)
    assert line_of(failed, "Europe/Berlin") == (
        "2031-02-01 03:15:00 Europe/Berlin  error: it failed"
    )
