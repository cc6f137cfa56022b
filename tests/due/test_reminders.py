"""Who is reminded, and when: once for each meeting's start, and of several only the last."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.due.rule import Reminder, Standing, due_reminders

START = datetime(2031, 1, 8, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
DAY_BEFORE, HOUR_BEFORE = 24 * HOUR, HOUR
LEADS = (DAY_BEFORE, HOUR_BEFORE)
ADA = Standing(uid="u1", address="ada@example.org", start=START, sent_at=START - 72 * HOUR)


def reminder(lead: timedelta, of: Standing = ADA) -> Reminder:
    """Return the reminder of an invitation at a lead."""
    return Reminder(uid=of.uid, address=of.address, start=of.start, lead=lead)


def due(
    now: datetime, *standing: Standing, sent: frozenset[Reminder] = frozenset()
) -> list[Reminder]:
    """Return the reminders that are due under the two leads of these tests."""
    return list(due_reminders(LEADS, standing or (ADA,), sent=sent, now=now))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (START - DAY_BEFORE - SECOND, []),
        (START - DAY_BEFORE, [DAY_BEFORE]),
        (START - HOUR_BEFORE - SECOND, [DAY_BEFORE]),
        (START - HOUR_BEFORE, [HOUR_BEFORE]),
        (START - SECOND, [HOUR_BEFORE]),
        (START, []),
        (START + HOUR, []),
    ],
)
def test_a_reminder_is_due_from_its_lead_to_the_start(
    now: datetime, expected: list[timedelta]
) -> None:
    """The lead is included, the start is not, and of two due only the last goes out."""
    assert due(now) == [reminder(lead) for lead in expected]


def test_a_reminder_that_went_out_does_not_go_out_again() -> None:
    """Once for each reminder and meeting, however often the program wakes up."""
    sent = frozenset({reminder(DAY_BEFORE)})
    assert due(START - 20 * HOUR, sent=sent) == []
    assert due(START - HOUR, sent=sent) == [reminder(HOUR_BEFORE)]


def test_an_earlier_reminder_is_never_sent_after_a_later_one() -> None:
    """After an outage the hour's reminder goes out, and the day's does not follow it."""
    assert due(START - HOUR / 2, sent=frozenset({reminder(HOUR_BEFORE)})) == []


@pytest.mark.parametrize("late", [timedelta(0), SECOND, 10 * HOUR])
def test_who_was_invited_after_the_lead_began_gets_no_reminder_of_it(late: timedelta) -> None:
    """The invitation itself came when the reminder would have; the next reminder does come."""
    invited = replace(ADA, sent_at=START - DAY_BEFORE + late)
    assert due(START - 2 * HOUR, invited) == []
    assert due(START - HOUR, invited) == [reminder(HOUR_BEFORE)]


def test_who_was_invited_just_before_the_lead_is_reminded() -> None:
    """Went out before start - lead means before, by a second too."""
    invited = replace(ADA, sent_at=START - DAY_BEFORE - SECOND)
    assert due(START - DAY_BEFORE, invited) == [reminder(DAY_BEFORE)]


def test_a_moved_meeting_is_reminded_of_at_its_new_time() -> None:
    """The start belongs to the reminder: last week's is not that of the new date."""
    moved = replace(ADA, start=START + 7 * DAY_BEFORE, sent_at=START - 3 * HOUR)
    sent = frozenset({reminder(DAY_BEFORE)})
    assert due(START + 6 * DAY_BEFORE, moved, sent=sent) == [reminder(DAY_BEFORE, moved)]


def test_without_leads_nobody_is_reminded() -> None:
    """`reminders = []` is the default."""
    assert list(due_reminders((), (ADA,), sent=(), now=START - SECOND)) == []


@given(
    leads=st.sets(st.integers(1, 72), min_size=1, max_size=4),
    step=st.integers(1, 600),
    first=st.integers(0, 100),
)
def test_each_lead_is_sent_at_most_once_and_in_order(
    leads: set[int], step: int, first: int
) -> None:
    """Woken up at any steps from any moment on, the leads that go out only get shorter."""
    sent: list[Reminder] = []
    now = START - first * HOUR
    while now < START + HOUR:
        sent += due_reminders([n * HOUR for n in leads], [ADA], sent=sent, now=now)
        now += timedelta(minutes=step)
    gone = [one.lead for one in sent]
    assert gone == sorted(set(gone), reverse=True)
    if step <= 60 and first >= max(leads) and max(leads) < 72:
        assert len(gone) == len(leads)
