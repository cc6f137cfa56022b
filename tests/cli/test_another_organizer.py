"""Another organizer's mailbox, from the guard to what lies in everybody's calendar."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import icalendar
import pytest

from tests.peers.calendar_model import Letter, PostOffice
from tests.peers.smtp_server import Fault, ScriptedServer
from tests.support import Answer
from tests.world import ADA, BOB, CommandWorld, Mail, read_mail, smtp

Invites = Callable[..., Answer]
OLD, NEW = "meetings@example.com", "Rooms@example.net"


def take_over(world: CommandWorld) -> None:
    """Let another mailbox be the organizer's."""
    path = world.write_settings()
    path.write_text(path.read_text(encoding="utf-8").replace(OLD, NEW), encoding="utf-8")


def accepting(answer: Answer) -> list[str]:
    """Return the yes that a refusal offers."""
    (line,) = [line for line in answer.err.splitlines() if "to accept: " in line]
    words = shlex.split(line)
    at = words.index("--accept")
    return words[at : at + 2]


def organizer_of(mail: Mail) -> tuple[str, str, str]:
    """Return who sends it by From, by ORGANIZER and by the Message-ID's domain."""
    message: EmailMessage = mail.message
    (event,) = icalendar.Calendar.from_ical(mail.calendar).walk("VEVENT")
    sender = message["From"].addresses[0].addr_spec
    domain = mail.message_id.rpartition("@")[2].rstrip(">")
    return sender, str(event["ORGANIZER"]).removeprefix("mailto:"), domain


def uid_of(mail: Mail) -> str:
    """Return the UID of its calendar entry."""
    (event,) = icalendar.Calendar.from_ical(mail.calendar).walk("VEVENT")
    return str(event["UID"])


def test_the_old_mailbox_withdraws_and_the_new_one_invites_under_another_uid(
    invites: Invites, tmp_path: Path
) -> None:
    """A yes sends both, batch after batch, and no calendar holds two entries or none."""
    world = CommandWorld.ready(invites, tmp_path)
    world.send([ADA, BOB])
    take_over(world)
    planned = world.plan([ADA, BOB])
    refused = world.send([ADA, BOB])
    assert (planned.code, refused.code, len(world.batches())) == (0, 6, 1)
    assert f"invitations were sent by {OLD}, and the organizer is rooms@example.net" in refused.err
    assert f"withdrawn by {OLD}, and invited anew by rooms@example.net" in (
        world.plan([ADA, BOB], *accepting(planned)).out
    )
    answer = world.send([ADA, BOB], *accepting(refused))
    assert (answer.code, answer.err) == (0, "")
    first, cancels, requests = world.batches()
    assert [mail.brief for mail in cancels] == [
        ("ada@example.org", "CANCEL", 1),
        ("bob@example.org", "CANCEL", 1),
    ]
    assert [mail.brief for mail in requests] == [mail.brief for mail in first]
    assert {organizer_of(mail) for mail in cancels} == {(OLD, OLD, "example.com")}
    assert {organizer_of(mail) for mail in requests} == {(NEW, NEW, "example.net")}
    assert {uid_of(mail) for mail in cancels} == {uid_of(mail) for mail in first}
    assert {uid_of(mail) for mail in cancels}.isdisjoint(uid_of(mail) for mail in requests)
    assert {mail.status for mail in cancels} == {None}
    post = PostOffice()
    for mail in (*first, *cancels, *requests):
        post.put(Letter.read(mail.message.as_bytes()))
    held = sorted(post.standing())
    assert held == [(mail.to, uid_of(mail)) for mail in requests]
    again = world.send([ADA, BOB])
    assert (again.code, len(world.batches())) == (0, 3)


def test_a_limit_stands_for_both_runs_and_the_next_one_goes_on(
    invites: Invites, tmp_path: Path
) -> None:
    """Withdrawn first; nobody is left without an invitation in the end."""
    world = CommandWorld.ready(invites, tmp_path)
    world.send([ADA, BOB])
    take_over(world)
    flags = accepting(world.send([ADA, BOB]))
    world.send([ADA, BOB], *flags, "--limit", "2")
    assert [mail.method for mail in world.last()] == ["CANCEL", "CANCEL"]
    assert world.send([ADA, BOB]).code == 0
    assert [mail.brief for mail in world.last()] == [
        ("ada@example.org", "REQUEST", 0),
        ("bob@example.org", "REQUEST", 0),
    ]


def test_each_message_goes_through_the_server_from_its_own_mailbox(
    invites: Invites, tmp_path: Path
) -> None:
    """The envelope's sender is the ORGANIZER's mailbox, the former one's as well."""
    with ScriptedServer() as relay:
        world = CommandWorld.ready(invites, tmp_path, smtp(relay))
        world.send_mail([ADA, BOB])
        take_over(world)
        flags = accepting(world.send_mail([ADA, BOB]))
        answer = world.send_mail([ADA, BOB], *flags)
        assert (answer.code, answer.err) == (0, "")
        assert "4 of 4 messages sent" in answer.out
        mails = [(one.sender, read_mail(one.content)) for one in relay.accepted[2:]]
    assert [(sender, mail.method) for sender, mail in mails] == [
        *[(OLD, "CANCEL")] * 2,
        *[(NEW, "REQUEST")] * 2,
    ]
    assert {organizer_of(mail)[:2] for sender, mail in mails if sender == OLD} == {(OLD, OLD)}


@pytest.mark.parametrize("words", ["550 5.7.60 not your mailbox", "553 5.1.8 not your mailbox"])
def test_a_server_that_refuses_the_old_mailbox_is_told_of_and_the_new_one_invites(
    invites: Invites, tmp_path: Path, words: str
) -> None:
    """What can't be withdrawn is named with the server's words; it is not tried every night."""
    with ScriptedServer(pipelining=False) as relay:
        world = CommandWorld.ready(invites, tmp_path, smtp(relay))
        world.send_mail([ADA, BOB])
        take_over(world)
        flags = accepting(world.send_mail([ADA, BOB]))
        relay.faults = [Fault("MAIL", words, times=2)]
        answer = world.send_mail([ADA, BOB], *flags)
        assert answer.code == 4
        assert "2 of 4 messages sent (accepted by the mail server), 2 failed" in answer.out
        assert answer.err.count(f"failed: {words}; the old entry stays in the calendar") == 2
        assert [(one.sender, read_mail(one.content).method) for one in relay.accepted[2:]] == [
            (NEW, "REQUEST")
        ] * 2
        assert world.send_mail([ADA, BOB]).code == 0
        assert len(relay.accepted) == 4


def test_the_withdrawal_says_that_the_meeting_takes_place(invites: Invites, tmp_path: Path) -> None:
    """Nobody is to think that they are no longer expected."""
    world = CommandWorld.ready(invites, tmp_path)
    world.send([ADA])
    take_over(world)
    world.send([ADA], *accepting(world.send([ADA])))
    cancel, request = (mails[0] for mails in world.batches()[1:])
    words = " ".join(cancel.text.split())
    assert "you are expected there. Its invitations come from rooms@example.net now" in words
    assert "no longer expected" not in words
    assert cancel.subject.startswith("Invitation replaced: Standup")
    assert "pdated" not in request.subject + request.text
