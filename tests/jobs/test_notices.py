"""Notices: one for each due time and cause, silence on good nights, and no effect of their own."""

from __future__ import annotations

import logging
from datetime import timedelta

from invites import ledger
from invites import settings as settings_package
from invites.due.attempts import Obstacle
from invites.errors import Exit
from tests.jobs.conftest import OPERATORS, JobWorld, notices, row, subjects
from tests.peers.smtp_server import Fault, ScriptedServer

DAY = timedelta(days=1)


def test_a_good_night_is_silent(told: JobWorld, relay: ScriptedServer) -> None:
    """Nobody is told of a run that did all of its work."""
    told.roster(row(1))
    told.seen()
    told.wake("02:15")
    assert notices(relay) == []


def test_notify_always_tells_of_good_nights_as_well(told: JobWorld, relay: ScriptedServer) -> None:
    """One mail for each run, with its counts."""
    told.job += "\nnotify_always = true"
    told.load()
    told.roster(row(1))
    told.seen()
    told.wake("02:15")
    (notice,) = notices(relay)
    assert notice["Subject"] == "invites: job nightly of 2031-02-01 is done"
    assert "new: 1" in notice.get_content()


def test_a_notice_says_what_happened_and_what_to_do(told: JobWorld, relay: ScriptedServer) -> None:
    """It is a plain mail from the service mailbox, marked as automatic, with problems and remedy."""
    told.roster(row(1).replace("ada@example.org", "nobody"))
    told.seen()
    told.wake("02:15")
    (notice,) = notices(relay)
    text = notice.get_content()
    assert notice["To"].addresses[0].addr_spec == OPERATORS
    assert notice["From"].addresses[0].addr_spec == "meetings@example.com"
    assert notice["Auto-Submitted"] == "auto-generated"
    assert 'row 2, column email: found "nobody"' in text
    assert "What to do: correct the roster" in text
    assert "until 2031-02-01 14:15 UTC" in text
    assert "jwt=" not in text


def test_another_cause_of_the_same_due_time_is_told_as_well(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """Missing at first, then with a problem: two causes are two notices, each once."""
    told.job += '\nnewest = "2h"'
    told.load()
    told.seen()
    told.wake("02:15")
    told.roster(row(1), age=timedelta(hours=5))
    told.wake("02:20")
    told.roster(row(1), age=timedelta(hours=6))
    told.wake("02:25")
    told.wake("02:30")
    assert len(subjects(relay)) == 2


def test_a_notice_that_could_not_go_out_is_tried_again(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """The run's outcome stays what it was; the next attempt's notice is the first to arrive."""
    relay.faults = [Fault("MAIL", "550")]
    told.seen()
    outcome = told.one("02:15")
    assert outcome.exit_code is Exit.ROSTER
    assert any(line.event == "notice_failed" for line in told.lines)
    relay.faults = []
    told.roster(row(1).replace("ada@example.org", "nobody"))
    assert told.one("02:20").exit_code is Exit.ROSTER
    assert len(subjects(relay)) == 1


def test_a_catch_up_tells_of_the_nights_that_did_not_happen(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """After an outage the one run is done, and people hear how many due times it stands for."""
    told.roster(row(1))
    told.seen()
    told.wake(told.now + 5 * DAY + timedelta(hours=8))
    assert subjects(relay) == [
        (
            "invites: job nightly of 2031-02-06 is done, for 5 earlier due times as well, which did "
            "not happen"
        )
    ]


def test_a_server_that_is_down_is_tried_at_every_wake_up_and_told_once(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """75 leaves the due time open; when the server is back the messages go out once."""
    told.roster(row(1))
    told.seen()
    relay.faults = [Fault("banner", "554")]
    outcomes = [told.one(f"02:{minute}") for minute in (15, 20, 25)]
    assert {outcome.cause for outcome in outcomes} == {Obstacle.SERVER}
    relay.faults = []
    assert told.one("02:30").counts["sent"] == 1
    assert [one.recipient for one in relay.accepted] == ["ada@example.org"]


def test_nobody_is_told_by_a_simulated_clock(told: JobWorld, relay: ScriptedServer) -> None:
    """`--now` is for trying things out."""
    told.seen()
    told.wake("02:15", simulated=True, to="folder")
    assert relay.accepted == []


def test_a_lock_that_is_held_leaves_the_job_due_and_its_state_alone(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """75 without a notice for six hours, then one; the holder's watermark is not overwritten."""
    told.job += '\nretry_for = "20h"'
    told.load()
    told.roster(row(1))
    told.seen()
    before = told.state()
    with ledger.open_ledger(told.settings.ledger.url, lock=True):
        assert told.wake("02:10").outcomes == ()
        for at in ("02:15", "05:00", "08:10"):
            outcome = told.one(at)
            assert (outcome.exit_code, outcome.cause) == (Exit.TRY_AGAIN, Obstacle.LOCK)
        assert notices(relay) == []
        told.one("08:16")
        told.one("09:00")
        assert told.state() == before
    assert subjects(relay) == ["invites: job nightly of 2031-02-01 waits for another run"]
    assert told.one("09:05").exit_code is Exit.DONE


def test_a_night_that_mail_itself_kept_from_happening_is_told_when_mail_works_again(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """Closed as missed while nobody could be told; the first wake-up with mail tells it, once."""
    told.job += '\nretry_for = "1h"'
    told.load()
    told.seen()
    told.roster(row(1))
    relay.faults = [Fault("banner", "554")]
    for at in ("02:15", "02:45", "03:20"):
        told.wake(at)
    assert subjects(relay) == []
    assert told.state().missed is not None
    relay.faults = []
    told.wake("03:25")
    told.wake("03:30")
    assert subjects(relay) == ["invites: job nightly of 2031-02-01 did not happen"]
    assert told.state().untold == ()


def test_a_run_in_part_whose_notice_failed_is_told_later(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """A run that needs somebody is not forgotten because its notice met a server that was down."""
    told.deliver, told.job = "folder", told.job + '\ninvalid = "skip"'
    told.load()
    told.seen()
    told.roster(row(1), row(2).replace("ada@example.org", "nobody"))
    relay.faults = [Fault("banner", "554")]
    assert told.one("02:15").exit_code is Exit.IN_PART
    relay.faults = []
    told.wake("02:20")
    assert subjects(relay) == ["invites: job nightly of 2031-02-01 is done in part"]


def test_a_state_that_lasts_is_one_line_for_cron_and_not_one_each_five_minutes(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """What -q prints is cron's mail: the change of state, with the due time and what ends it."""
    told.roster(row(1))
    told.seen()
    relay.faults = [Fault("banner", "554")]
    for at in ("02:15", "02:20", "02:25"):
        told.wake(at)
    loud = [line for line in told.lines if line.levelno >= logging.WARNING]
    assert [line.event for line in loud] == ["job_open"]
    assert "due 2031-02-01 02:15 UTC, open until 2031-02-01 14:15 UTC" in loud[0].getMessage()


def test_a_missing_roster_names_the_open_due_time_and_what_ends_it(told: JobWorld) -> None:
    """Whoever reads the log knows which night waits, for what, and until when."""
    told.seen()
    told.wake("02:15")
    (line,) = [line for line in told.lines if line.event == "job_open"]
    assert line.getMessage().endswith(
        "; due 2031-02-01 02:15 UTC, open until 2031-02-01 14:15 UTC: the first wake-up after "
        "the roster, the settings or an acceptance changed tries it again"
    )


def test_a_first_night_after_sends_by_hand_is_told_what_moves_their_meetings(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """The meetings are another scope's; "what to do" is the very command that moves them over."""
    told.roster(row(1))
    told.seen()
    told.wake("02:15")
    path = told.folder / "invites.toml"
    renamed = path.read_text("utf-8").replace('name = "nightly"', 'name = "weekly"')
    path.write_text(renamed, "utf-8")
    told.settings = settings_package.load(path, environ={})
    told.wake("02:20")
    told.wake(told.now + DAY)
    (notice,) = notices(relay)
    assert "run `invites run weekly --force --claim nightly` once" in notice.get_content()
    assert told.one(jobs=("weekly",), force=True, claimed=("nightly",)).exit_code is Exit.DONE
