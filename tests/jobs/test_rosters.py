"""The roster of the night: what a job refuses, when it tries again, and what it tells people."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from invites.due.attempts import Obstacle
from invites.errors import Exit
from invites.roster.csv_file import read_table
from invites.roster.table import Table
from tests.jobs.conftest import HEADER, START, JobWorld, notices, row, subjects
from tests.peers.smtp_server import ScriptedServer

MINUTES = timedelta(minutes=1)
HOURS = timedelta(hours=1)
TWENTY = [row(number, f"person{number}") for number in range(20)]

KEEP = '\n[delivery]\nkeep_batches = "9999d"\n'
"""Batches are dated by the disk's clock, which is years behind the nights of these tests."""


def test_a_roster_that_is_still_written_when_the_hour_strikes_is_waited_for(told: JobWorld) -> None:
    """Half a file at 02:15, the whole one later: exit 6 without a notice, then one good run."""
    told.seen()
    half = told.roster(*TWENTY[:7], age=5 * MINUTES)
    told.now += timedelta(hours=1, minutes=15)
    half.write_text(HEADER + "\n" + "".join(TWENTY[:7]) + TWENTY[7][:20], encoding="utf-8")
    told.touch(half, timedelta(seconds=1))
    outcome = told.one("02:15")
    assert (outcome.exit_code, outcome.cause) == (Exit.GUARD, Obstacle.ROSTER_MOVES)

    told.now += 5 * MINUTES
    told.roster(*TWENTY, age=2 * MINUTES)
    assert told.one().counts["sent"] == 20
    assert told.state().open is None


def test_a_roster_without_its_last_line_end_is_refused_until_it_is_whole(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """A cut file that lies still is exit 3, told once, and tried again when it changed."""
    told.seen()
    path = told.roster(row(1))
    path.write_text(HEADER + "\n" + row(1).rstrip("\n"), encoding="utf-8")
    told.touch(path, HOURS)
    outcome = told.one("02:15")
    assert (outcome.exit_code, outcome.cause) == (Exit.ROSTER, Obstacle.ROSTER)
    assert told.wake("02:20").outcomes == ()
    assert subjects(relay) == ["invites: job nightly of 2031-02-01 was refused"]

    told.roster(row(1), age=2 * MINUTES)
    assert told.one("02:25").counts["sent"] == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "the file is empty"), (f"{HEADER}\n".encode(), "no row"), (None, "no such file")],
    ids=["empty", "header alone", "missing"],
)
def test_a_roster_that_says_nothing_withdraws_nobody(
    told: JobWorld, relay: ScriptedServer, content: bytes | None, said: str
) -> None:
    """An empty file, one without rows and a missing one are refused with 3; all else stays."""
    path = told.roster(row(1))
    told.seen()
    assert told.one("02:15").counts["sent"] == 1

    told.now += timedelta(days=1)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
        told.touch(path, HOURS)
    outcome = told.one("02:15")
    assert outcome.exit_code is Exit.ROSTER
    (notice,) = notices(relay)
    assert said in notice.get_content()
    assert len(relay.accepted) == 2


def test_a_roster_that_lost_nine_tenths_withdraws_nobody_before_a_yes(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """Exit 6, one notice that names the command; the yes is bound to this roster's digest."""
    told.roster(*TWENTY)
    told.seen()
    told.wake("02:15")
    told.now += timedelta(days=1)
    told.roster(*TWENTY[:2])
    outcome = told.one("02:15")
    assert (outcome.exit_code, outcome.cause) == (Exit.GUARD, Obstacle.SHRINK)
    assert told.wake("02:20").outcomes == ()
    (notice,) = notices(relay)
    assert outcome.run is not None
    code = outcome.run.plan.accept_code
    command = f"invites run nightly --force --accept {code}"
    assert command in notice.get_content()

    outcome = told.one("02:25", jobs=("nightly",), accept=code)
    assert (outcome.exit_code, outcome.counts["withdrawn"]) == (Exit.DONE, 18)
    assert told.state().open is None


def test_too_many_updates_at_once_want_a_yes(told: JobWorld, relay: ScriptedServer) -> None:
    """A retitled roster trips the change guard; `--accept` lets the updates out."""
    many = [row(number, f"person{number}") for number in range(30)]
    told.roster(*many)
    told.seen()
    told.wake("02:15")
    told.now += timedelta(days=1)
    told.roster(*[line.replace("Meeting", "Session") for line in many])
    outcome = told.one("02:15")
    assert (outcome.exit_code, outcome.cause) == (Exit.GUARD, Obstacle.CHANGE)
    assert "--accept" in notices(relay)[0].get_content()

    assert outcome.run is not None
    assert told.one("02:20", accept=outcome.run.plan.accept_code).counts["updated"] == 30


def test_many_new_invitations_at_once_are_told_as_growth(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """Not as a roster that shrank; the notice shows the plan and the one yes."""
    told.roster(row(1), row(1, "bob"))
    told.seen()
    told.wake("02:15")
    told.now += timedelta(days=1)
    new = [row(7, f"person{number}") for number in range(30)]
    told.roster(row(1), row(1, "bob"), *new)
    outcome = told.one("02:15")
    assert (outcome.exit_code, outcome.cause) == (Exit.GUARD, Obstacle.GROWTH)
    assert told.wake("02:20").outcomes == ()
    assert outcome.run is not None
    code = outcome.run.plan.accept_code
    assert f"invites run nightly --force --accept {code}" in notices(relay)[0].get_content()
    assert told.one("02:25", accept=code).counts["new"] == 30


def test_addresses_that_moved_by_a_row_are_told_as_a_pattern(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """Names that changed partners look like a column that was sorted alone."""
    names = ["ada", "bob", "eve", "joe"]
    told.roster(*(row(1, name) for name in names))
    told.seen()
    told.wake("02:15")
    told.now += timedelta(days=1)
    lines = [row(1, name) for name in names]
    moved = [
        line.replace(f"{name}@", f"{other}@")
        for line, name, other in zip(lines, names, names[1:] + names[:1], strict=True)
    ]
    told.roster(*moved)
    outcome = told.one("02:15")
    assert (outcome.exit_code, outcome.cause) == (Exit.GUARD, Obstacle.PATTERN)
    assert "invites plan ROSTER" in notices(relay)[0].get_content()


def test_an_export_that_did_not_come_is_a_finding(told: JobWorld, relay: ScriptedServer) -> None:
    """A file older than `newest` is exit 6, and is tried again when another one comes."""
    told.job += '\nnewest = "26h"'
    told.load()
    told.roster(row(1), age=30 * HOURS)
    told.seen()
    outcome = told.one("02:15")
    assert (outcome.exit_code, outcome.cause) == (Exit.GUARD, Obstacle.AGE)
    assert "the export did not come" in notices(relay)[0].get_content()
    told.roster(row(1), age=2 * MINUTES)
    assert told.one("02:20").exit_code is Exit.DONE


def test_a_pattern_means_its_newest_file(world: JobWorld) -> None:
    """Of several exports the latest is the night's."""
    world.roster(row(1, "old"), name="monday.csv", age=9 * HOURS)
    world.roster(row(1, "new"), name="a-later-one.csv", age=2 * HOURS)
    world.seen()
    world.wake("02:15")
    assert world.invited() == ["new@example.org"]


def test_a_due_time_that_stays_refused_is_closed_as_missed(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """After `retry_for` it is given up and told; the next night runs as set."""
    told.seen()
    told.wake("02:15")
    (outcome,) = told.wake("14:20").outcomes
    assert outcome.missed
    assert told.wake("14:25").outcomes == ()
    assert subjects(relay) == [
        "invites: job nightly of 2031-02-01 was refused",
        "invites: job nightly of 2031-02-01 did not happen",
    ]
    told.now = told.now.replace(hour=2, minute=10) + timedelta(days=1)
    told.roster(row(1))
    outcome = told.one("02:15")
    assert outcome.exit_code is Exit.DONE, outcome


def test_rows_that_are_left_out_withdraw_nobody_from_their_meeting(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """`invalid = "skip"`: exit 4, the due time is done, people hear of it, and all keep theirs."""
    told.job += '\ninvalid = "skip"'
    told.sections += "\n[guard]\nwithdraw_after = 1\n"
    told.load()
    told.roster(row(1), row(1, "bob"), row(2, "eve"))
    told.seen()
    told.wake("02:15")
    told.now += timedelta(days=1)
    told.roster(row(1), row(1, "bob").replace("bob@example.org", "bob at home"))
    outcome = told.one("02:15")
    assert outcome.exit_code is Exit.IN_PART
    assert outcome.counts["withdrawn"] == 1
    assert told.state().watermark == outcome.due
    assert subjects(relay) == ["invites: job nightly of 2031-02-02 is done in part"]
    assert [one.recipient for one in relay.accepted if "eve" in one.recipient] == 2 * [
        "eve@example.org"
    ]


def test_meetings_beyond_the_horizon_wait_for_their_night(world: JobWorld) -> None:
    """Each goes out on the first night inside the horizon, counted from the due time."""
    world.job = 'horizon = "21d"'
    world.sections = KEEP
    world.load()
    world.roster(row(1, "near", start="2031-02-10 09:00"), row(2, "far", start="2031-02-23 09:00"))
    world.seen()
    world.wake("02:15")
    assert world.invited() == ["near@example.org"]
    world.wake(world.now + timedelta(days=1))
    assert world.invited() == ["near@example.org"]
    world.wake(world.now + timedelta(days=1))
    assert world.invited() == ["far@example.org", "near@example.org"]


def test_a_folder_job_makes_email_ready_batches(world: JobWorld) -> None:
    """New, changed and withdrawn messages lie in the night's batch with a manifest."""
    world.sections = f"{KEEP}[guard]\nwithdraw_after = 1\n"
    world.load()
    world.roster(row(1), row(2, "bob"), row(3, "eve"))
    world.seen()
    world.wake("02:15")
    world.now += timedelta(days=1)
    world.roster(row(1), row(2, "bob").replace("Meeting", "Session"), row(4, "new"))
    world.wake("02:15")
    first, second = world.batch_folders()
    assert {path.name for path in first.iterdir()} >= {"manifest.csv"}
    assert len(list(second.rglob("*.eml"))) == 3
    methods = (second / "manifest.csv").read_text(encoding="utf-8")
    assert methods.count("REQUEST") == 2
    assert methods.count("CANCEL") == 1


def test_a_roster_that_changes_while_it_is_read_is_not_sent(
    world: JobWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody uploads the next one in that very moment: exit 6, and the next wake-up reads it."""
    path = world.roster(row(1))
    world.seen()

    def read_and_overtaken(source: Path, *, encoding: str, sheet: str) -> Table:
        table = read_table(source, encoding=encoding, sheet=sheet)
        with path.open("a", encoding="utf-8") as file:
            file.write(row(2))
        return table

    with monkeypatch.context() as patched:
        patched.setattr("invites.roster.source.read_table", read_and_overtaken)
        outcome = world.one("02:15")
    assert (outcome.exit_code, outcome.cause) == (Exit.GUARD, Obstacle.ROSTER_MOVES)
    assert world.invited() == []
    world.touch(path, 2 * MINUTES)
    assert world.one("02:20").counts["sent"] == 2


def test_the_horizon_counts_from_the_due_time(world: JobWorld) -> None:
    """However late a run is, it sends what the night would have sent."""
    world.job = 'horizon = "21d"'
    world.load()
    world.roster(row(1, start="2031-02-22 09:00"))
    world.seen()
    outcome = world.one("23:00")
    assert (outcome.counts["new"], outcome.counts["held"]) == (0, 1)


def test_force_waits_for_a_roster_that_is_still_being_written(world: JobWorld) -> None:
    """Whoever runs a job by hand waits out `settle`, and need not call again."""
    world.seen()
    world.now = START + timedelta(hours=3)
    world.roster(row(1), age=timedelta(seconds=20))
    outcome = world.one(jobs=("nightly",), force=True)
    assert outcome.exit_code is Exit.DONE
    assert world.now == START + timedelta(hours=3, seconds=40)


def test_a_wait_is_told_by_the_clock_of_the_job(world: JobWorld) -> None:
    """Local time with its zone, to the second."""
    world.job += '\ntimezone = "Europe/Berlin"'
    world.load()
    world.seen()
    world.now = START.replace(hour=12, minute=0)
    world.roster(row(1), age=timedelta(seconds=20))
    world.one(jobs=("nightly",), force=True)
    (waits,) = (line for line in world.lines if getattr(line, "event", "") == "roster_moves")
    assert waits.msg.endswith(f"at {world.now:%Y-%m-%d} 13:00:40 Europe/Berlin")
