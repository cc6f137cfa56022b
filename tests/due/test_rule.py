"""When a job is due, at the clock changes that zones are known for."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.due.rule import DueRule, due_instants, last_due, next_due
from invites.times import zone

SUNDAY = 6
FRIDAY = 4
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Nuuk", "Asia/Tokyo")

rules = st.builds(
    DueRule,
    at=st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    timezone=st.sampled_from(ZONES),
    days=st.frozensets(st.integers(0, 6), min_size=1),
)
moments = st.integers(0, 5 * 365 * 86_400).map(
    lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


def utc(text: str) -> datetime:
    """Return the instant that an ISO 8601 text without offset means in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def at(text: str, timezone: str, **more: frozenset[int]) -> DueRule:
    """Return the rule of a job at a local time in a zone."""
    return DueRule(at=time.fromisoformat(text), timezone=timezone, **more)


@pytest.mark.parametrize(
    ("rule", "day", "expected"),
    [
        pytest.param(at("02:15", "Europe/Berlin"), "2026-07-01", "2026-07-01T00:15", id="summer"),
        pytest.param(at("02:15", "Europe/Berlin"), "2026-12-01", "2026-12-01T01:15", id="winter"),
        pytest.param(at("02:15", "Europe/Berlin"), "2026-03-29", "2026-03-29T01:00", id="gap"),
        pytest.param(
            at("02:00", "Europe/Berlin"), "2026-03-29", "2026-03-29T01:00", id="gap-begin"
        ),
        pytest.param(at("03:00", "Europe/Berlin"), "2026-03-29", "2026-03-29T01:00", id="gap-end"),
        pytest.param(at("02:15", "Europe/Berlin"), "2026-10-25", "2026-10-25T00:15", id="fold"),
        pytest.param(at("03:00", "Europe/Berlin"), "2026-10-25", "2026-10-25T02:00", id="fold-end"),
        pytest.param(at("00:00", "America/New_York"), "2026-03-09", "2026-03-09T04:00", id="after"),
        pytest.param(
            at("02:10", "Australia/Lord_Howe"), "2026-10-04", "2026-10-03T15:30", id="half"
        ),
        pytest.param(at("23:59", "America/Nuuk"), "2026-03-28", "2026-03-29T01:00", id="late-gap"),
        pytest.param(at("00:00", "America/Nuuk"), "2026-03-29", "2026-03-29T01:00", id="next-day"),
        pytest.param(at("00:30", "Africa/Cairo"), "2026-04-24", "2026-04-23T22:00", id="midnight"),
        pytest.param(at("23:59", "Africa/Cairo"), "2026-10-29", "2026-10-29T20:59", id="late-fold"),
    ],
)
def test_a_day_is_due_at_one_instant(rule: DueRule, day: str, expected: str) -> None:
    """A skipped time is the first instant after the gap, a doubled one its first occurrence."""
    instant, around = utc(expected), timedelta(hours=18)
    assert list(due_instants(rule, after=instant - around, until=instant + around))[-1] == instant
    assert abs(datetime.combine(date.fromisoformat(day), rule.at, tzinfo=UTC) - instant) < around


@pytest.mark.parametrize(
    ("timezone", "skipped"),
    [("Pacific/Apia", date(2011, 12, 30)), ("Pacific/Kwajalein", date(1993, 8, 21))],
)
def test_a_day_that_a_zone_skips_has_nothing_due(timezone: str, skipped: date) -> None:
    """A zone that moved over the date line never had that day; its neighbours are due as ever."""
    rule = at("02:15", timezone)
    instant = datetime.combine(skipped, time(0), tzinfo=zone(timezone)).astimezone(UTC)
    before, after = last_due(rule, instant), next_due(rule, instant)
    assert before is not None
    assert before.astimezone(zone(timezone)).date() == skipped - timedelta(days=1)
    assert after.astimezone(zone(timezone)).date() == skipped + timedelta(days=1)
    assert after - before == timedelta(days=1)
    assert list(due_instants(rule, after=before, until=after)) == [after]


def test_a_weekly_job_whose_one_day_was_skipped_is_due_a_week_later() -> None:
    """Samoa's skipped day was a Friday; the search goes on past it in both directions."""
    rule = at("02:15", "Pacific/Apia", days=frozenset({FRIDAY}))
    assert next_due(rule, utc("2011-12-29T00:00")) == utc("2012-01-05T12:15")
    assert last_due(rule, utc("2012-01-05T12:14")) == utc("2011-12-23T12:15")


def test_a_due_instant_is_the_last_one_from_that_very_instant_on() -> None:
    """At the instant itself the job is due; the next one is then a day away."""
    rule, instant = at("02:15", "Europe/Berlin"), utc("2026-07-01T00:15")
    assert last_due(rule, instant) == instant
    assert last_due(rule, instant - timedelta(seconds=1)) == instant - timedelta(days=1)
    assert next_due(rule, instant) == instant + timedelta(days=1)
    assert next_due(rule, instant - timedelta(seconds=1)) == instant


def test_days_are_those_of_the_zone_and_not_of_utc() -> None:
    """Sunday 00:30 in Auckland is still Saturday in UTC."""
    rule = at("00:30", "Pacific/Auckland", days=frozenset({SUNDAY}))
    assert next_due(rule, utc("2026-07-02T00:00")) == utc("2026-07-04T12:30")


def test_a_night_that_runs_after_midnight_because_of_a_gap_keeps_its_own_weekday() -> None:
    """Nuuk's Saturday 23:59 of the spring change happens on Sunday, and is Saturday's."""
    rule = at("23:59", "America/Nuuk", days=frozenset({SUNDAY - 1}))
    assert last_due(rule, utc("2026-03-29T01:00")) == utc("2026-03-29T01:00")
    assert last_due(
        at("23:59", "America/Nuuk", days=frozenset({SUNDAY})), utc("2026-03-29T01:00")
    ) == (utc("2026-03-23T01:59"))


@pytest.mark.parametrize("days", [frozenset[int](), frozenset({7}), frozenset({-1})])
def test_a_rule_without_a_weekday_is_refused(days: frozenset[int]) -> None:
    """A rule that is never due is a mistake, not a silent job."""
    with pytest.raises(ValueError, match="Monday"):
        at("02:15", "UTC", days=days)


def test_a_due_time_with_its_own_zone_is_refused() -> None:
    """Two zones in one rule would have two readings."""
    with pytest.raises(ValueError, match="timezone"):
        DueRule(at=time(2, 15, tzinfo=UTC), timezone="UTC")


@given(rule=rules, now=moments)
def test_last_and_next_are_neighbours(rule: DueRule, now: datetime) -> None:
    """Between the last due time and the next there is no other, and `now` lies between."""
    last, upcoming = last_due(rule, now), next_due(rule, now)
    assert last is not None
    assert last <= now < upcoming
    assert list(due_instants(rule, after=last, until=upcoming)) == [upcoming]
    assert next_due(rule, last) == upcoming


@given(rule=rules, now=moments)
def test_due_instants_are_in_order_one_for_each_day_asked_for(rule: DueRule, now: datetime) -> None:
    """Over four weeks every weekday of the rule is due four times, no instant twice."""
    instants = list(due_instants(rule, after=now, until=now + timedelta(days=28)))
    assert instants == sorted(set(instants))
    assert abs(len(instants) - 4 * len(rule.days)) <= 1


def cron(expression: str, timezone: str) -> DueRule:
    """Return the rule of a job whose `at` is a cron expression."""
    return DueRule(at=expression, timezone=timezone)


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        pytest.param("15 2 * * *", "2026-03-28T12:00", "2026-03-29T01:00", id="gap"),
        pytest.param("15 2 * * *", "2026-10-25T00:14", "2026-10-25T00:15", id="fold"),
        pytest.param("15 2 * * *", "2026-10-25T00:15", "2026-10-26T01:15", id="fold-once"),
        pytest.param("0 9 1 * *", "2026-03-02T00:00", "2026-04-01T07:00", id="month"),
        pytest.param("0 9 29 2 *", "2026-03-02T00:00", "2028-02-29T08:00", id="leap-day"),
        pytest.param("*/30 * * * *", "2026-10-25T00:30", "2026-10-25T01:00", id="in-the-fold"),
        pytest.param("0 7 * * mon-fri", "2026-11-27T12:00", "2026-11-30T06:00", id="weekdays"),
    ],
)
def test_a_cron_expression_is_due_in_the_zone_of_its_job(
    expression: str, after: str, expected: str
) -> None:
    """Berlin's gaps and folds are met as with a time of day, and no night twice."""
    rule = cron(expression, "Europe/Berlin")
    assert next_due(rule, utc(after)) == utc(expected)
    assert last_due(rule, utc(expected)) == utc(expected)


@pytest.mark.parametrize("expression", ["", "* * * *", "0 0 31 2 *", "61 * * * *", "0 0 * * * *"])
def test_a_cron_expression_that_is_none_or_never_due_is_refused(expression: str) -> None:
    """Five fields, and some day on which it is due."""
    with pytest.raises(ValueError, match="cron"):
        cron(expression, "UTC")


@given(
    expression=st.sampled_from(["*/20 * * * *", "5 */6 * * *", "15 2 * * *", "30 2 1,15 * *"]),
    timezone=st.sampled_from(ZONES),
    now=moments,
)
def test_due_times_of_a_cron_expression_are_neighbours(
    expression: str, timezone: str, now: datetime
) -> None:
    """Between the last due time and the next there is no other."""
    rule = cron(expression, timezone)
    last, upcoming = last_due(rule, now), next_due(rule, now)
    assert last is not None
    assert last <= now < upcoming
    assert list(due_instants(rule, after=last, until=upcoming)) == [upcoming]
