"""What was deferred is tried again at wake-ups, from the ledger alone."""

from __future__ import annotations

from datetime import timedelta

from invites.errors import Exit
from tests.jobs.conftest import JobWorld, notices, row
from tests.peers.smtp_server import Fault, ScriptedServer

MINUTES = timedelta(minutes=1)


def deferring(told: JobWorld, relay: ScriptedServer) -> None:
    """Let the night's message to Bob be deferred, and that to Ada go out."""
    told.roster(row(1), row(1, "bob"))
    told.seen()
    relay.faults = [Fault("RCPT", "450", only="bob@example.org")]
    outcome = told.one("02:15")
    assert (outcome.exit_code, outcome.counts["deferred"]) == (Exit.IN_PART, 1)


def test_a_deferred_message_waits_and_then_goes_out_without_the_roster(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """After its five minutes the next wake-up sends it; the roster is not read for that."""
    deferring(told, relay)
    relay.faults = []
    (told.folder / "rosters" / "roster.csv").unlink()
    assert told.wake("02:18").sides == ()
    (side,) = told.wake("02:21").sides
    assert (side.what, side.scope, side.ended) == ("deferred", "nightly", {"sent": 1})
    assert told.wake("02:26").sides == ()
    assert [one.recipient for one in relay.accepted if "ops" not in one.recipient] == [
        "ada@example.org",
        "bob@example.org",
    ]


def test_a_message_that_is_deferred_again_waits_longer(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """The waiting doubles: five minutes, then ten."""
    deferring(told, relay)
    (side,) = told.wake("02:21").sides
    assert side.ended == {"deferred": 1}
    assert told.wake("02:29").sides == ()
    assert len(told.wake("02:32").sides) == 1


def test_people_hear_of_what_is_refused_for_good(told: JobWorld, relay: ScriptedServer) -> None:
    """A deferred message that ends with 5xx is nothing that mends itself."""
    deferring(told, relay)
    relay.faults = [Fault("RCPT", "550", only="bob@example.org")]
    told.wake("02:21")
    told.wake("02:26")
    assert [str(one["Subject"]).split(" of ")[0] for one in notices(relay)] == 2 * [
        "invites: job nightly"
    ]
    assert "bob@example.org: failed" in notices(relay)[1].get_content()


def test_a_deferred_message_of_a_meeting_that_is_over_is_given_up(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """Nobody is invited to what has ended."""
    told.roster(row(1, start="2031-02-01 08:00"))
    told.seen()
    relay.faults = [Fault("RCPT", "450")]
    told.wake("02:15")
    relay.faults = []
    assert told.wake("09:00").sides == ()
    assert not any("ada" in one.recipient for one in relay.accepted)


def test_nothing_is_drained_by_a_clock_that_cannot_be_trusted(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """A clock set back an hour sends nothing, whatever it thinks may be tried again."""
    deferring(told, relay)
    relay.faults = []
    told.now += timedelta(days=120)
    assert told.wake().sides == ()
    assert [one.recipient for one in relay.accepted if "bob" in one.recipient] == []
