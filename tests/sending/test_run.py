"""One pass of `send`, whole: a roster file, a real ledger, and a folder or a server that receives."""

from __future__ import annotations

import email
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import policy as email_policy
from pathlib import Path
from typing import Any

import icalendar
import pytest

from invites import ledger
from invites import settings as settings_package
from invites.delivery.base import Delivery, open_delivery
from invites.errors import Exit, GuardError, RosterRefusedError, TryAgainError
from invites.model import Roster
from invites.planning.actions import Cause
from invites.planning.state import State
from invites.roster.csv_file import read_table
from invites.roster.parse import parse_roster
from invites.sending import Effects, Renderer, RunReport, SendOptions, planned, policy_from, send
from invites.settings import Settings
from tests.peers.smtp_server import Fault, ScriptedServer
from tests.support import SETTINGS, write_settings

HEADER = "meeting_id,title,start,end,name,email,moderator,user_id\n"
ADA = "standup,Standup,2031-03-01 09:00,2031-03-01 09:30,Ada,ada@example.org,yes,u1\n"
BOB = "standup,Standup,2031-03-01 09:00,2031-03-01 09:30,Bob,bob@example.org,,u2\n"
EVE = "review,Review,2031-03-02 09:00,2031-03-02 09:30,Eve,eve@example.org,,u3\n"
NOW = datetime(2031, 2, 1, 2, 15, tzinfo=UTC)
DAY = timedelta(days=1)


class Office:
    """A folder with settings, a roster and a ledger, and a clock."""

    def __init__(self, folder: Path, extra: str = "") -> None:
        """Make the settings and an empty ledger."""
        self.folder = folder
        config = write_settings(folder, SETTINGS + extra)
        self.settings: Settings = settings_package.load(config, environ={})
        self.renderer = Renderer.from_settings(self.settings)
        self.now = NOW
        self.stop = False
        ledger.create(self.settings.ledger.url)

    def roster(self, *rows: str) -> Roster:
        """Write a roster and read it."""
        path = self.folder / "roster.csv"
        path.write_text(HEADER + "".join(rows), encoding="utf-8")
        return parse_roster(read_table(str(path)), self.settings.roster_rules())

    def options(self, *, to: str, **flags: Any) -> SendOptions:
        """Return what a `send` by hand would be."""
        scope = flags.pop("scope", "default")
        claimed = flags.pop("claimed", ())
        return SendOptions(
            scope=scope,
            command="send",
            delivery=to,
            policy=replace(policy_from(self.settings, to=to), **flags),
            claimed=claimed,
        )

    def send(self, *rows: str, to: str = "folder", **flags: Any) -> RunReport:
        """Send the roster made of these rows, a minute after the last time."""
        self.now += timedelta(minutes=1)

        def delivery_for(run: str) -> Delivery:
            return open_delivery(self.settings, run=run, now=self.now, to=to, keep_old=True)  # type: ignore[arg-type]

        with ledger.open_ledger(self.settings.ledger.url, lock=True) as opened:
            return send(
                self.roster(*rows),
                self.renderer,
                opened,
                self.options(to=to, **flags),
                Effects(clock=lambda: self.now, timer=time.monotonic, stop=lambda: self.stop),
                delivery_for=delivery_for,
            )

    def mails(self) -> list[tuple[str, str, int, str]]:
        """Return receiver, METHOD, SEQUENCE and subject of every message in the outbox, by batch."""
        batches = sorted((self.folder / "outbox").iterdir())
        paths = (path for batch in batches for path in sorted(batch.rglob("*.eml")))
        return [said(path.read_bytes()) for path in paths]


def said(octets: bytes) -> tuple[str, str, int, str]:
    """Return what a receiver sees of a message."""
    message = email.message_from_bytes(octets, policy=email_policy.default)
    (part,) = [one for one in message.walk() if one.get_content_type() == "text/calendar"]
    calendar = icalendar.Calendar.from_ical(part.get_content())
    (event,) = calendar.walk("VEVENT")
    return (
        str(message["To"].addresses[0].addr_spec),
        str(calendar["METHOD"]),
        int(event["SEQUENCE"]),
        str(message["Subject"]),
    )


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Give an office that delivers into a folder."""
    return Office(tmp_path)


@pytest.fixture
def relay() -> Iterator[ScriptedServer]:
    """Give a server that accepts everything."""
    with ScriptedServer() as server:
        yield server


def test_the_second_run_sends_nothing(office: Office) -> None:
    """Everybody is invited once."""
    first = office.send(ADA, BOB, EVE)
    assert (first.exit_code, first.ended) == (Exit.DONE, {State.SENT: 3})
    second = office.send(EVE, BOB, ADA)
    assert (second.exit_code, second.plan.actions) == (Exit.DONE, ())
    assert [mail[:3] for mail in office.mails()] == [
        ("eve@example.org", "REQUEST", 0),
        ("ada@example.org", "REQUEST", 0),
        ("bob@example.org", "REQUEST", 0),
    ]


def test_a_moved_meeting_and_a_withdrawal_reach_the_right_people(office: Office) -> None:
    """Update to those of the meeting, CANCEL to the one who is gone, nothing to the others."""
    office.send(ADA, BOB, EVE)
    report = office.send(ADA.replace("09:30", "10:00"), EVE, withdraw_after=1)
    assert report.plan.counts["updated"] == report.plan.counts["withdrawn"] == 1
    assert [mail[:3] for mail in office.mails()[3:]] == [
        ("ada@example.org", "REQUEST", 1),
        ("bob@example.org", "CANCEL", 1),
    ]


def test_who_is_withdrawn_and_back_again_has_an_invitation_above_the_cancel(office: Office) -> None:
    """The calendar takes it, for its SEQUENCE is higher."""
    office.send(ADA, BOB)
    office.send(ADA, withdraw_now=True)
    report = office.send(ADA, BOB)
    (action,) = report.plan.actions
    assert (action.cause, action.revision.sequence) == (Cause.BACK, 2)


def test_another_secret_sends_everything_again(office: Office, tmp_path: Path) -> None:
    """The old links are dead; the change is counted as an update of each."""
    office.send(ADA, BOB)
    other = tmp_path / "other"
    other.mkdir()
    changed = write_settings(other, SETTINGS.replace("a test's secret", "another test's secret"))
    office.renderer = Renderer.from_settings(settings_package.load(changed, environ={}))
    report = office.send(ADA, BOB)
    assert report.plan.counts["updated"] == 2
    assert {change.field for change in report.plan.actions[0].changes} == {"key", "room"}
    assert "room_key_file" in report.plan.warnings[0]


def test_planning_changes_nothing_and_says_the_same(office: Office) -> None:
    """The plan is what the next send does."""
    office.send(ADA)
    before = (office.folder / "invites.db").read_bytes()
    roster = office.roster(ADA, BOB)
    with ledger.open_ledger(office.settings.ledger.url, lock=False) as opened:
        plan = planned(
            roster, office.renderer, opened, office.options(to="folder"), now=office.now + DAY
        )
    assert (office.folder / "invites.db").read_bytes() == before
    assert [action.attendee.name for action in plan.actions] == ["Bob"]
    assert [action.attendee.name for action in office.send(ADA, BOB).plan.actions] == ["Bob"]


def test_planning_against_a_new_ledger_invites_everybody(office: Office) -> None:
    """None stands for the ledger that --new-ledger would make."""
    office.send(ADA)
    options = office.options(to="folder")
    plan = planned(office.roster(ADA, BOB), office.renderer, None, options, now=office.now)
    assert plan.counts["new"] == 2


def test_another_scopes_meeting_is_refused_until_it_is_claimed(office: Office) -> None:
    """By hand first, then by a job, on one ledger."""
    office.send(ADA, BOB)
    with pytest.raises(RosterRefusedError) as caught:
        office.send(ADA, BOB, scope="nightly")
    assert "--claim default" in caught.value.problems[0].expected
    report = office.send(ADA, BOB, scope="nightly", claimed=("default",))
    assert (report.exit_code, report.plan.actions) == (Exit.DONE, ())
    assert len(report.plan.kept) == 2
    assert office.send(ADA, BOB, scope="nightly").exit_code is Exit.DONE


def test_a_tripped_guard_ends_with_its_exit_code_and_sends_the_rest(office: Office) -> None:
    """All but one of the meetings gone: nobody is withdrawn, the new one is invited, exit 6."""
    rows = [EVE.replace("review", f"r{number}") for number in range(5)]
    office.send(*rows)
    report = office.send(ADA, withdraw_now=True)
    assert report.exit_code is Exit.GUARD
    assert [action.attendee.name for action in report.plan.actions] == ["Ada"]


def test_a_clock_set_back_is_refused_before_anything(office: Office) -> None:
    """The ledger remembers when it was last used."""
    office.send(ADA)
    office.now -= DAY
    with pytest.raises(GuardError, match="clock"):
        office.send(ADA, BOB)
    assert len(office.mails()) == 1


def smtp(server: ScriptedServer) -> str:
    """Return the settings for a server on loopback."""
    return f'\n[smtp]\nhost = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\n'


def test_a_relay_gets_each_message_once(tmp_path: Path, relay: ScriptedServer) -> None:
    """And the ledger has the server's answer."""
    office = Office(tmp_path, smtp(relay))
    assert office.send(ADA, BOB, to="smtp").ended == {State.SENT: 2}
    assert office.send(ADA, BOB, to="smtp").ended == {}
    assert len(relay.ids()) == len(set(relay.ids())) == 2


def test_a_deferred_message_goes_out_later_with_the_same_id(tmp_path: Path) -> None:
    """Exit 4, backoff, then the same revision."""
    with ScriptedServer([Fault("RCPT", "451", times=1)]) as relay:
        office = Office(tmp_path, smtp(relay))
        first = office.send(ADA, to="smtp")
        assert (first.exit_code, first.ended) == (Exit.IN_PART, {State.DEFERRED: 1})
        assert office.send(ADA, to="smtp").exit_code is Exit.IN_PART
        office.now += timedelta(minutes=5)
        assert office.send(ADA, to="smtp").ended == {State.SENT: 1}


def test_a_signal_stops_before_the_next_message_and_the_next_run_goes_on(
    tmp_path: Path, relay: ScriptedServer
) -> None:
    """Exit 75, and what is left goes out next time."""
    office = Office(tmp_path, smtp(relay))
    office.stop = True
    report = office.send(ADA, BOB, to="smtp")
    assert isinstance(report.trouble, TryAgainError)
    assert report.exit_code is Exit.TRY_AGAIN
    office.stop = False
    assert office.send(ADA, BOB, to="smtp").ended == {State.SENT: 2}
