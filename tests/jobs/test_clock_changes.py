"""Nights at which the clocks change, with the real ledger and the program's own clock.

The sweep over all zones and years is the due function's own (tests/nights); here is one zone of
each distinct rule of 2026, so that watermark, roster and ledger are seen to keep up with it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import cycle, pairwise
from pathlib import Path

import pytest
import time_machine

from invites.cli.options import clock
from invites.errors import Exit
from invites.times import zone
from tests.jobs.conftest import JobWorld, row

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ATS = ("00:00", "00:30", "01:00", "02:00", "02:30", "03:00", "23:59")
ZONES = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Ceuta",
    "America/Adak",
    "America/Edmonton",
    "America/Godthab",
    "America/Havana",
    "America/Santiago",
    "America/St_Johns",
    "Antarctica/Macquarie",
    "Antarctica/McMurdo",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Famagusta",
    "Asia/Gaza",
    "Asia/Jerusalem",
    "Atlantic/Azores",
    "Atlantic/Canary",
    "Australia/Adelaide",
    "Australia/Lord_Howe",
    "Pacific/Easter",
    "Pacific/Chatham",
)


def changes(name: str) -> list[datetime]:
    """Return the noons (UTC) of 2026 after which a zone's offset is another the next noon."""
    tz = zone(name)
    noons = [datetime(2026, 1, 1, 12, tzinfo=UTC) + DAY * n for n in range(365)]
    return [
        before
        for before, after in pairwise(noons)
        if before.astimezone(tz).utcoffset() != after.astimezone(tz).utcoffset()
    ]


@pytest.mark.parametrize(("name", "at"), list(zip(ZONES, cycle(ATS), strict=False)))
def test_each_local_day_has_one_run_through_a_clock_change(
    tmp_path_factory: pytest.TempPathFactory, name: str, at: str
) -> None:
    """Hourly wake-ups on the days round each change: no night missed, none doubled."""
    assert changes(name), "the zone's clocks do not change"
    for noon in changes(name):
        ran = _runs(tmp_path_factory.mktemp("zone"), name, at, noon)
        assert len(ran) == 3, "a night was missed or doubled"
        assert all(20 * HOUR < later - earlier < 28 * HOUR for earlier, later in pairwise(ran))


def _runs(folder: Path, name: str, at: str, noon: datetime) -> list[datetime]:
    """Return the due times that were run by hourly wake-ups on three local days round `noon`."""
    tz = zone(name)
    first = datetime.combine(noon.astimezone(tz).date() - DAY, datetime.min.time(), tz)
    world = JobWorld(folder=folder, at=at, job=f'timezone = "{name}"')
    world.now = first.astimezone(UTC)
    world.roster(row(1, start="2027-01-01 09:00"))
    begin = first.astimezone(UTC) - timedelta(seconds=1)
    end = (first + 3 * DAY).astimezone(UTC)
    ran: list[datetime] = []
    moment = begin
    while moment < end + HOUR:
        with time_machine.travel(moment, tick=False):
            world.now = clock()
            outcomes = world.wake().outcomes
        assert all(outcome.exit_code is Exit.DONE for outcome in outcomes)
        assert all(outcome.caught_up == 0 for outcome in outcomes)
        ran += [outcome.due for outcome in outcomes if outcome.due < end]
        moment += HOUR
    return ran
