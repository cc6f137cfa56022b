"""Erasing a person on request, and everybody after `keep`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from invites import ledger
from invites.errors import UsageError
from invites.ledger import Ledger
from invites.ledger.erase import Forgot, entries_of, expire, forget
from invites.ledger.history import past_messages, past_runs
from invites.model import Status
from invites.planning.state import State
from tests.ledger.test_recording import ADA, carry_out, found
from tests.peers.planning import DAY, HOUR, NOW, World, attendee, meeting, said


def send(
    opened: Ledger, world: World, state: State = State.SENT, **flags: object
) -> list[tuple[str, str, int]]:
    """Carry out what the ledger says is to be done, every message ending in `state`."""
    snapshot = found(opened, world)
    world.states, world.shared = dict(snapshot.meetings), dict(snapshot.meeting_facts)
    world.forgotten = snapshot.forgotten
    plan = world.plan(**flags)
    carry_out(opened, world, plan, lambda _: state)
    world.wait(HOUR)
    return list(said(plan))


def withdrawn(opened: Ledger) -> World:
    """Return a world in which Ada was invited, updated and withdrawn, and Bob invited."""
    world = World().put(meeting("m", attendee("Ada"), attendee("Bob")))
    send(opened, world)
    send(opened, world.edit("m", start=NOW + 11 * DAY))
    send(opened, world.drop_attendee("m", ADA), withdraw_now=True)
    return world


def test_a_forgotten_person_leaves_nothing_but_a_hash(opened: Ledger) -> None:
    """Invitation and messages go; the others keep theirs."""
    world = withdrawn(opened)
    assert forget(opened, ADA, now=world.now) == Forgot(invitations=1, messages=3)
    assert entries_of(opened, ADA) == ()
    assert past_messages(opened, address=ADA) == ()
    assert len(entries_of(opened, "bob@example.org")) == 1


def test_a_forgotten_person_is_invited_again_above_the_old_sequence(opened: Ledger) -> None:
    """The calendar that still has the CANCEL takes the new invitation."""
    world = withdrawn(opened)
    forget(opened, ADA, now=world.now)
    world.edit("m", attendees=(attendee("Ada"), attendee("Bob")))
    assert send(opened, world) == [(ADA, "invitation", 3)]


def test_a_person_forgotten_twice_keeps_the_highest_sequence(opened: Ledger) -> None:
    """Forgetting again never lowers what stays."""
    world = withdrawn(opened)
    whole = world.meetings["m"]
    forget(opened, ADA, now=world.now)
    send(opened, world.edit("m", attendees=(attendee("Ada"), attendee("Bob"))))
    send(opened, world.put(whole), withdraw_now=True)
    forget(opened, ADA, now=world.now)
    assert send(opened, world.edit("m", attendees=(attendee("Ada"), attendee("Bob")))) == [
        (ADA, "invitation", 5)
    ]


def test_each_uid_of_a_forgotten_person_keeps_its_sequence(opened: Ledger) -> None:
    """Another organizer began a UID of its own; the calendar still knows what both had."""
    world = withdrawn(opened)
    both = world.edit("m", attendees=(attendee("Ada"), attendee("Bob"))).meetings["m"]
    send(opened, world)
    world.terms = replace(world.terms, mailbox="other@example.com")
    snapshot = found(opened, world)
    world.states, world.shared = dict(snapshot.meetings), dict(snapshot.meeting_facts)
    assert send(opened, world, accept=world.plan().accept_code)[0] == (ADA, "withdrawn", 4)
    assert send(opened, world)[0] == (ADA, "invitation", 0)
    send(opened, world.drop_attendee("m", ADA), withdraw_now=True)
    forget(opened, ADA, now=world.now)
    assert send(opened, world.put(both)) == [(ADA, "invitation", 2)]
    del world.meetings["m"]
    world.put(meeting("other", attendee("Eve")))
    send(opened, world, withdraw_now=True)
    for address in (ADA, "bob@example.org"):
        forget(opened, address, now=world.now)
    # Nobody is left by whom the second UID is known: the first goes on above all that it had.
    again = send(opened, world.put(both))
    assert [sequence > 4 for address, _, sequence in again if address == ADA] == [True]


@pytest.mark.parametrize("state", [State.SENT, State.UNKNOWN, State.DEFERRED, State.PLANNED])
def test_one_who_is_still_expected_is_not_forgotten(opened: Ledger, state: State) -> None:
    """While an invitation stands or is on its way: withdraw first, and nothing is erased."""
    world = World().put(meeting("m", attendee("Ada")))
    send(opened, world, state)
    with pytest.raises(UsageError, match="roster"):
        forget(opened, ADA, now=world.now)
    assert len(entries_of(opened, ADA)) == 1


def test_one_whose_meetings_are_over_is_forgotten(opened: Ledger) -> None:
    """An invitation to the past does not stand."""
    world = World().put(meeting("m", attendee("Ada")))
    send(opened, world)
    assert forget(opened, ADA, now=NOW + 30 * DAY).invitations == 1


def test_a_host_is_forgotten_when_the_meeting_is_over(opened: Ledger) -> None:
    """The host's name and address are facts of the meeting."""
    host = "hedy@example.org"
    world = World().put(
        meeting("m", attendee("Ada"), organizer_name="Hedy Host", organizer_email=host)
    )
    send(opened, world)
    with pytest.raises(UsageError, match="host"):
        forget(opened, host, now=world.now)
    forget(opened, host, now=NOW + 30 * DAY)
    (text,) = found(opened, world).meeting_facts.values()
    assert "hedy" not in text.casefold()


def test_nobody_known_is_nothing_erased(opened: Ledger) -> None:
    """An address that the ledger never had."""
    assert forget(opened, "nobody@example.org", now=NOW) == Forgot(invitations=0, messages=0)


def test_the_files_octets_hold_nothing_of_a_forgotten_person(tmp_path: Path) -> None:
    """SQLite leaves what is deleted in free pages and in its log; here it does not."""
    url = f"sqlite:///{tmp_path / 'invites.db'}"
    ledger.create(url)
    with ledger.open_ledger(url, lock=True) as opened:
        world = withdrawn(opened)
        assert _octets(tmp_path).count(b"ada@example.org") > 0
        forget(opened, ADA, now=world.now)
        assert _octets(tmp_path).count(b"ada@example.org") == 0
        assert _octets(tmp_path).count(b"bob@example.org") > 0


def _octets(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_what_is_older_than_keep_goes(opened: Ledger) -> None:
    """Meetings by their end, messages and runs by their time; what is live stays."""
    world = World().put(
        meeting("m", attendee("Ada")), meeting("n", attendee("Ada"), start=NOW + 900 * DAY)
    )
    send(opened, world)
    expire(opened, keep=timedelta(days=400), now=NOW + 405 * DAY)
    assert [entry.meeting_id for entry in entries_of(opened, ADA)] == ["m", "n"]
    assert past_messages(opened) == ()
    assert past_runs(opened) == ()
    expire(opened, keep=timedelta(days=400), now=NOW + 415 * DAY)
    assert [entry.meeting_id for entry in entries_of(opened, ADA)] == ["n"]
    assert len(found(opened, World()).meeting_facts) == 1


def test_a_cancelled_meetings_people_can_be_forgotten(opened: Ledger) -> None:
    """After the CANCEL went out nothing stands."""
    world = World().put(meeting("m", attendee("Ada")))
    send(opened, world)
    send(opened, world.edit("m", status=Status.CANCELLED))
    assert forget(opened, ADA, now=world.now).messages == 2
