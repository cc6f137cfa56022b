"""Every local day has exactly one run, whatever the clocks do: none missed, none doubled."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from invites.due.attempts import Inputs, JobState, Run, completed, decide
from invites.due.rule import DueRule, due_instants
from invites.times import zone

Oracle = Callable[[ZoneInfo, Sequence[time], datetime, datetime], dict[time, list[datetime]]]
Zones = dict[str, tuple[datetime, ...]]

TIMES = (time(0), time(0, 30), time(1), time(2), time(2, 30), time(3), time(23, 59))
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
INPUTS = Inputs(roster="r", settings="s")


def runs_of(rule: DueRule, wake_ups: Iterable[datetime], first: datetime) -> list[datetime]:
    """Return when the job ran, given a program that is woken up at `wake_ups` and asks."""
    state = JobState(watermark=first)
    runs = []
    for now in wake_ups:
        decision = decide(state, rule, now=now, retry_for=12 * HOUR, inputs=INPUTS)
        if isinstance(decision, Run):
            runs.append(now)
            state = completed(state, decision.due)
    return runs


def hours(start: datetime, end: datetime) -> Iterable[datetime]:
    """Yield each full hour of UTC from start to end, both included."""
    return (start + HOUR * n for n in range((end - start) // HOUR + 1))


def nights_without_one_run(runs: Sequence[datetime], due: Sequence[datetime]) -> list[datetime]:
    """Return the due minutes that have no run, or more than one, before the next one."""
    counts = Counter(bisect_right(due, run) - 1 for run in runs)
    return [begin for night, begin in enumerate(due[:-1]) if counts[night] != 1]


def test_the_pinned_zone_data_has_many_zones_whose_offset_changes(changing_zones: Zones) -> None:
    """The sweep is over some two hundred zones; an empty one would prove nothing."""
    assert len(changing_zones) > 180
    assert {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe"} <= changing_zones.keys()
    assert len(changing_zones["Europe/Berlin"]) == 10


def test_each_local_day_round_each_change_is_due_at_the_minute_that_the_clocks_say(
    changing_zones: Zones, distinct_zones: tuple[str, ...], oracle: Oracle
) -> None:
    """The due times of the three days round each change are those that an oracle reads off."""
    for name in distinct_zones:
        tz = zone(name)
        for change in changing_zones[name]:
            start, end = change - 3 * DAY, change + 2 * DAY
            for at, expected in oracle(tz, TIMES, start, end).items():
                rule = DueRule(at=at, timezone=name)
                ours = due_instants(rule, after=expected[0] - HOUR, until=expected[-1])
                assert list(ours) == expected, (name, at, change)


def test_hourly_wake_ups_round_each_change_run_each_local_day_once(
    changing_zones: Zones, distinct_zones: tuple[str, ...], oracle: Oracle
) -> None:
    """A program woken up each hour runs once between a day's due minute and the next day's."""
    for name in distinct_zones:
        tz = zone(name)
        for change in changing_zones[name][:4]:
            start, end = change - 3 * DAY, change + 2 * DAY
            for at, due in oracle(tz, TIMES, start, end).items():
                rule = DueRule(at=at, timezone=name)
                wake_ups = hours(due[0].replace(minute=0) + HOUR, due[-1])
                runs = runs_of(rule, wake_ups, due[0] - MINUTE)
                assert not nights_without_one_run(runs, due), (name, at, change)


@pytest.mark.nights
def test_five_years_of_hourly_wake_ups_run_each_local_day_once_in_each_zone(
    changing_zones: Zones, distinct_zones: tuple[str, ...], oracle: Oracle
) -> None:
    """All zones that change, all times, all hours of 2026 to 2030: 0 missed, 0 doubled.

    The due minutes are compared in all zones, the wake-ups simulated once for names of one file.
    """
    start, end = datetime(2025, 12, 30, tzinfo=UTC), datetime(2031, 1, 3, tzinfo=UTC)
    nights = 0
    for name in changing_zones:
        for at, due in oracle(zone(name), TIMES, start, end).items():
            rule = DueRule(at=at, timezone=name)
            assert list(due_instants(rule, after=due[0] - HOUR, until=due[-1])) == due, (name, at)
            nights += len(due) - 1
            if name in distinct_zones:
                wake_ups = hours(due[0].replace(minute=0) + HOUR, due[-1])
                runs = runs_of(rule, wake_ups, due[0] - MINUTE)
                assert not nights_without_one_run(runs, due), (name, at)
    assert nights > len(changing_zones) * len(TIMES) * 5 * 365
