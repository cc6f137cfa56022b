"""Reminders: once for each attendee, with the same link, from the ledger alone."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from invites import settings as settings_package
from invites.errors import Exit
from tests.jobs.conftest import JobWorld, notices, parsed, row
from tests.peers.smtp_server import Accepted, Fault, ScriptedServer

MEETING = "2031-02-03 09:00"


@pytest.fixture
def reminding(told: JobWorld) -> JobWorld:
    """Give a world that reminds a day and an hour before, and has invited two people."""
    told.job += '\nreminders = ["24h", "1h"]'
    told.load()
    told.roster(row(1, start=MEETING), row(1, "bob", start=MEETING))
    told.seen()
    assert told.one("02:15").counts["sent"] == 2
    return told


def link(message: Accepted) -> str:
    """Return the join link in a message's text."""
    part = parsed(message.content).get_body(("plain",))
    assert part is not None
    (found,) = re.findall(r"^https://\S+$", part.get_content().replace("\r", ""), re.MULTILINE)
    return str(found)


def reminded(relay: ScriptedServer) -> list[Accepted]:
    """Return the reminders that arrived."""
    return [
        one for one in relay.accepted if str(parsed(one.content)["Subject"]).startswith("Reminder:")
    ]


def at(world: JobWorld, day: int, time: str) -> None:
    """Wake up in February 2031."""
    world.now = world.now.replace(day=day)
    world.wake(time)


def test_each_reminder_goes_out_once_with_the_same_link(
    reminding: JobWorld, relay: ScriptedServer
) -> None:
    """A day before and an hour before, to both, with the link of the invitation."""
    invited = {one.recipient: link(one) for one in relay.accepted}
    at(reminding, 2, "08:55")
    assert reminded(relay) == []
    for day, time in ((2, "09:00"), (2, "09:05"), (3, "07:55"), (3, "08:00"), (3, "08:05")):
        at(reminding, day, time)
    sent = reminded(relay)
    assert sorted(one.recipient for one in sent) == 2 * ["ada@example.org"] + 2 * [
        "bob@example.org"
    ]
    assert all(link(one) == invited[one.recipient] for one in sent)
    assert len({one.message_id for one in sent}) == 4


def test_a_reminder_stands_in_the_thread_of_its_invitation(
    reminding: JobWorld, relay: ScriptedServer
) -> None:
    """Mail programs show it below the invitation, which it answers."""
    invited = {one.recipient: one.message_id for one in relay.accepted}
    at(reminding, 2, "09:00")
    sent = reminded(relay)
    assert len(sent) == 2
    for one in sent:
        header = parsed(one.content)
        assert header["In-Reply-To"] == header["References"] == invited[one.recipient]


def test_a_reminder_says_when_the_meeting_starts(
    reminding: JobWorld, relay: ScriptedServer
) -> None:
    """As seen from when it is sent, in the zone that times are shown in."""
    at(reminding, 2, "09:00")
    at(reminding, 3, "08:00")
    subjects = [str(parsed(one.content)["Subject"]) for one in reminded(relay)]
    assert [", tomorrow at 09:00" in subject for subject in subjects] == [True, True, False, False]
    assert [", in an hour (09:00)" in subject for subject in subjects] == [
        *(False, False, True, True)
    ]


def test_a_reminder_is_no_calendar_message(reminding: JobWorld, relay: ScriptedServer) -> None:
    """It is a mail with text and HTML alone, for the entry is in the calendar already."""
    at(reminding, 2, "09:00")
    kinds = {part.get_content_type() for part in parsed(reminded(relay)[0].content).walk()}
    assert kinds == {"multipart/alternative", "text/plain", "text/html"}


def test_of_several_reminders_that_are_due_only_the_last_is_sent(
    reminding: JobWorld, relay: ScriptedServer
) -> None:
    """After an outage over the first, the hour's reminder stands for both."""
    at(reminding, 3, "08:30")
    at(reminding, 3, "08:35")
    assert len(reminded(relay)) == 2


def test_nobody_is_reminded_of_a_meeting_that_began(
    reminding: JobWorld, relay: ScriptedServer
) -> None:
    """At the start it is too late."""
    at(reminding, 3, "09:00")
    assert reminded(relay) == []


def test_who_was_withdrawn_is_not_reminded(reminding: JobWorld, relay: ScriptedServer) -> None:
    """A cancelled meeting has no reminder, though its invitation was sent."""
    reminding.now = reminding.now.replace(day=2)
    cancelled = [f"{row(1, name, start=MEETING)[:-1]},cancelled\n" for name in ("ada", "bob")]
    path = reminding.roster()
    path.write_text(
        "meeting_id,title,start,end,name,email,status\n" + "".join(cancelled), encoding="utf-8"
    )
    reminding.touch(path, timedelta(hours=1))
    assert reminding.one("02:15").counts["cancelled"] == 2
    at(reminding, 2, "09:00")
    assert reminded(relay) == []


def test_a_reminder_that_is_refused_for_now_is_tried_again(
    reminding: JobWorld, relay: ScriptedServer
) -> None:
    """Deferred is not sent: the next wake-up tries again, and only for that one."""
    relay.faults = [Fault("RCPT", "450", times=2, only="bob@example.org")]
    reminding.now = reminding.now.replace(day=2)
    (side,) = reminding.wake("09:00").sides
    assert (side.what, side.exit_code) == ("reminders", Exit.IN_PART)
    at(reminding, 2, "09:05")
    at(reminding, 2, "09:10")
    assert sorted(one.recipient for one in reminded(relay)) == [
        "ada@example.org",
        "bob@example.org",
    ]


def test_people_hear_which_reminder_was_refused_for_good(
    reminding: JobWorld, relay: ScriptedServer
) -> None:
    """The notice names the person and has the server's words."""
    relay.faults = [Fault("RCPT", "550", only="bob@example.org")]
    at(reminding, 2, "09:00")
    (notice,) = notices(relay)
    assert "bob@example.org: failed: " in notice.get_content()
    assert [one.recipient for one in reminded(relay)] == ["ada@example.org"]


def test_a_long_run_sends_reminders_between_its_messages(
    reminding: JobWorld, relay: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the night's messages go out, who is to be reminded does not wait for the last one."""
    monkeypatch.setattr("invites.jobs.wake.REMIND_EVERY_SECONDS", 0.0)
    reminding.now = reminding.now.replace(day=2)
    many = [row(number, f"person{number}") for number in range(2, 12)]
    reminding.roster(row(1, start=MEETING), row(1, "bob", start=MEETING), *many)
    reminding.on_message = lambda: _set(reminding, "09:00")
    reminding.wake("08:50")
    went = [one.recipient.partition("@")[0] for one in relay.accepted[2:]]
    assert went.index("ada") < len(many)
    assert len(reminded(relay)) == 2


def _set(world: JobWorld, time: str) -> None:
    hour, minute = map(int, time.split(":"))
    world.now = world.now.replace(hour=hour, minute=minute)


def test_who_waits_for_an_update_is_not_reminded_of_the_old_time(
    reminding: JobWorld, relay: ScriptedServer
) -> None:
    """While a deferred update says that the meeting was moved, a reminder would send people wrong."""
    moved = MEETING.replace("09:00", "10:00")
    reminding.now = reminding.now.replace(day=2)
    reminding.roster(row(1, start=moved), row(1, "bob", start=moved))
    relay.faults = [Fault("RCPT", "450", only="bob@example.org")]
    assert reminding.one("02:15").counts["deferred"] == 1
    at(reminding, 3, "02:20")
    relay.faults = []
    at(reminding, 3, "08:00")
    assert [one.recipient for one in reminded(relay)] == ["ada@example.org"]
    told = [str(parsed(one.content)["Subject"]) for one in reminded(relay)]
    assert "10:00" in told[0]


def test_a_reminder_has_the_same_link_or_does_not_go_out(
    reminding: JobWorld, relay: ScriptedServer
) -> None:
    """By another secret it would be another link: that waits for the run that sends it.

    The window of the link is the ledger's, whatever [validity] says now.
    """
    invited = {one.recipient: link(one) for one in relay.accepted}
    (reminding.folder / "rosters" / "roster.csv").unlink()
    sections, config = reminding.sections, reminding.folder / "invites.toml"
    reminding.sections = sections + '\n[validity]\nskew = "90s"\n'
    reminding.load()
    good = config.read_text(encoding="utf-8")
    config.write_text(good.replace("a test's secret", "another secret"), encoding="utf-8")
    reminding.settings = settings_package.load(config, environ={})
    reminding.sections += "\n# another secret\n"  # so that it has a renderer of its own
    at(reminding, 2, "09:00")
    assert reminded(relay) == []

    reminding.sections = sections + '\n[validity]\nskew = "90s"\n# the first secret\n'
    reminding.load()
    at(reminding, 2, "09:05")
    assert {one.recipient: link(one) for one in reminded(relay)} == invited


def test_each_date_of_a_series_is_reminded_of_once(told: JobWorld, relay: ScriptedServer) -> None:
    """An hour before each, at that date's time and title, with the series' one link."""
    told.job += '\nreminders = ["24h", "1h"]'
    told.header += ",recurrence,exclude,occurrence"
    told.load()
    series = row(1, start=MEETING).rstrip("\n") + ",daily x 4,2031-02-05,\n"
    told.roster(series, "m1,Guest lecture,2031-02-04 11:00,2031-02-04 11:30,,,,,2031-02-04\n")
    told.seen()
    assert told.one("02:15").counts["sent"] == 1
    invited = link(relay.accepted[0])
    for day in (2, 3, 4, 5, 6):
        for time in ("07:55", "08:00", "08:05", "09:00", "09:05", "10:00", "10:05", "11:00"):
            at(told, day, time)
    mails = reminded(relay)
    assert {link(mail) for mail in mails} == {invited}
    assert [str(parsed(mail.content)["Subject"]) for mail in mails] == [
        "Reminder: Meeting 1, tomorrow at 09:00",
        "Reminder: Meeting 1, in an hour (09:00)",
        "Reminder: Guest lecture, tomorrow at 11:00",
        "Reminder: Guest lecture, in an hour (11:00)",
        "Reminder: Meeting 1, tomorrow at 09:00",
        "Reminder: Meeting 1, in an hour (09:00)",
    ]


def test_who_misses_a_date_is_not_reminded_of_it(told: JobWorld, relay: ScriptedServer) -> None:
    """Bob joins on the 4th and misses the 5th; Ada comes to all."""
    told.job += '\nreminders = ["1h"]'
    told.header += ",recurrence,occurrence,status"
    told.load()
    ada = row(1, start=MEETING).rstrip("\n") + ",daily x 4,,\n"
    bob = row(1, "bob", start="2031-02-04 09:00").rstrip("\n") + ",daily x 3,,\n"
    told.roster(ada, bob, "m1,,,,Bob,bob@example.org,,2031-02-05,cancelled\n")
    told.seen()
    assert told.one("02:15").counts["sent"] == 2
    for day in (3, 4, 5, 6):
        at(told, day, "08:00")
    days: dict[str, list[int]] = {}
    for mail in reminded(relay):
        days.setdefault(mail.recipient, []).append(parsed(mail.content)["Date"].datetime.day)
    assert days == {"ada@example.org": [3, 4, 5, 6], "bob@example.org": [4, 6]}
