"""The oracle of the sweeps finds the nights that a cron trigger is known to skip and to double."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.cron import CronTrigger

from invites.times import zone

Oracle = Callable[[ZoneInfo, Sequence[time], datetime, datetime], dict[time, list[datetime]]]

SPRING = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def fires(trigger: CronTrigger, first: datetime, last: datetime) -> Iterator[datetime]:
    """Yield when APScheduler would start a job from `first` to `last`."""
    now = first
    while (at := trigger.get_next_fire_time(None, now)) is not None and at <= last:
        yield at.astimezone(UTC)
        now = max(now, at.astimezone(UTC)) + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("at", "change", "runs"),
    [
        pytest.param(time(0), SPRING, 0, id="skipped in spring"),
        pytest.param(time(2, 30), AUTUMN, 2, id="doubled in autumn"),
    ],
)
def test_a_cron_trigger_fails_the_sweep(
    oracle: Oracle, at: time, change: datetime, runs: int
) -> None:
    """In Berlin it loses the midnight after the change of spring and doubles 02:30 in autumn."""
    berlin = zone("Europe/Berlin")
    due = oracle(berlin, [at], change - 3 * DAY, change + 3 * DAY)[at]
    trigger = CronTrigger(hour=at.hour, minute=at.minute, timezone=berlin)
    nights = Counter(bisect_right(due, run) - 1 for run in fires(trigger, due[0], due[-1]))
    assert {nights[night] for night in range(len(due) - 1)} == {1, runs}


def test_the_oracle_counts_a_night_for_each_day_that_the_clocks_show(oracle: Oracle) -> None:
    """Over a year with both changes there are as many due minutes as local days."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    due = oracle(zone("Europe/Berlin"), [time(2, 30)], start, start + 365 * DAY)[time(2, 30)]
    assert len(due) == 364
    hours = Counter(round((b - a) / timedelta(hours=1), 1) for a, b in pairwise(due))
    # 02:30 becomes 03:00 CEST on the one day of spring, and is the first 02:30 in autumn.
    assert hours == {24.0: 360, 23.5: 2, 25.0: 1}
