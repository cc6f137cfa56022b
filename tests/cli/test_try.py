"""`invites try`: one mail through the real delivery, to a room that is open now, and no trace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.peers.counting_sink import OnAFreePort
from tests.peers.smtp_server import Fault, ScriptedServer
from tests.support import Answer
from tests.world import ADA, BOB, CommandWorld, read_mail, smtp

Invites = Callable[..., Answer]
ME = "me@example.net"


class Inbox:
    """What aiosmtpd took, as it came."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.came: list[tuple[str, list[str], bytes]] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Take a message."""
        self.came.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 taken"


@pytest.fixture
def world(invites: Invites, tmp_path: Path) -> CommandWorld:
    """Give a world that delivers into a folder, without a ledger."""
    return CommandWorld.ready(invites, tmp_path, ledger=False)


def told(invites: Invites, content: bytes) -> str:
    """Return what `inspect` says of a message."""
    Path("try.eml").write_bytes(content)
    answer = invites("inspect", "try.eml")
    assert answer.code == 0, answer.err
    return answer.out


def test_one_mail_goes_through_a_real_server(invites: Invites, tmp_path: Path) -> None:
    """Its link admits at once, as a moderator, to a room that no meeting has."""
    inbox = Inbox()
    server = OnAFreePort(inbox, hostname="127.0.0.1", port=0)
    server.start()
    try:
        sections = (
            '[delivery]\nto = "smtp"\n[smtp]\nhost = "127.0.0.1"\n'
            f'port = {server.port}\nsecurity = "none"\n'
        )
        world = CommandWorld.ready(invites, tmp_path, sections, ledger=False)
        answer = world.invites("try", ME)
    finally:
        server.stop()
    assert (answer.code, answer.err) == (0, "")
    ((sender, recipients, content),) = inbox.came
    mail = read_mail(content)
    assert recipients == [ME]
    assert mail.message["From"].addresses[0].addr_spec == sender
    assert (mail.to, mail.method, mail.sequence) == (ME, "REQUEST", 0)
    assert "Test of the meeting server" in mail.subject
    assert "ADMITTED" in told(invites, content)
    assert "moderator" in told(invites, content)
    assert "Look for this" in answer.out
    assert "eyJ" not in answer.out
    assert not (tmp_path / "invites.db").exists()


def test_into_a_folder_it_is_a_batch_of_its_own(world: CommandWorld) -> None:
    """What is mailed by another program is tried by that one; the batch is named."""
    answer = world.invites("try", ME)
    assert answer.code == 0, answer.err
    (batch,) = (world.folder / "outbox").iterdir()
    assert f"is in {batch}" in answer.out
    assert [mail.to for mail in world.last()] == [ME]


def test_two_trials_share_neither_room_nor_calendar_entry(world: CommandWorld) -> None:
    """A second try is no update of the first, and its link opens another room."""
    rooms = {world.invites("try", ME, "--json").document()["room"] for _ in range(2)}
    assert len(rooms) == 2
    uids = {mail.calendar.partition("UID:")[2].partition("\r\n")[0] for mail in _all(world)}
    assert len(uids) == 2


def _all(world: CommandWorld) -> list[Any]:
    return [mail for batch in world.batches() for mail in batch]


def test_a_ledger_that_is_there_is_not_touched(world: CommandWorld) -> None:
    """Neither read nor written: the history does not know of it."""
    world.make_ledger()
    before = world.ledger_bytes()
    assert world.invites("try", ME).code == 0
    assert world.ledger_bytes() == before


def test_with_a_roster_it_looks_like_the_person_s_meeting(world: CommandWorld) -> None:
    """Title and role are the row's; the room is the test's own, and nobody else is mailed."""
    name = world.write(ADA, BOB)
    answer = world.invites("try", "BOB@example.org", name, "--json").document()
    assert (answer["address"], answer["moderator"]) == ("bob@example.org", False)
    (mail,) = world.last()
    assert mail.to == "bob@example.org"
    assert "Test: Standup" in mail.subject
    assert answer["room"].startswith("try-")


def test_who_is_not_in_the_roster_sees_its_next_meeting_as_a_moderator(world: CommandWorld) -> None:
    """An operator's own address needs no row of its own."""
    name = world.write(ADA, BOB)
    answer = world.invites("try", ME, name, "--json").document()
    assert (answer["address"], answer["moderator"]) == (ME, True)
    assert "Test: Standup" in world.last()[0].subject


@pytest.mark.parametrize(
    ("fault", "code", "word"),
    [
        (Fault("RCPT", "550"), 4, "failed"),
        (Fault("RCPT", "450"), 4, "deferred"),
        (Fault("dot", "drop", after_accepting=True), 4, "unknown"),
        (Fault("banner", "drop"), 4, "deferred"),
        (Fault("banner", "554"), 75, "banner"),
    ],
)
def test_what_the_server_does_is_said_with_send_s_exit_code(
    invites: Invites, tmp_path: Path, fault: Fault, code: int, word: str
) -> None:
    """The server's words, and what to do; no link in it."""
    with ScriptedServer(faults=[fault]) as server:
        sections = '[delivery]\nto = "smtp"\n' + smtp(server)
        world = CommandWorld.ready(invites, tmp_path, sections, ledger=False)
        answer = world.invites("try", ME)
    assert answer.code == code
    assert word in answer.err
    assert "eyJ" not in answer.err + answer.out


def test_a_wrong_address_is_a_wrong_call(world: CommandWorld) -> None:
    """Exit 2, before anything is composed."""
    answer = world.invites("try", "me@example")
    assert answer.code == 2
    assert 'ADDRESS: found "me@example"' in answer.err


def test_a_server_without_time_for_a_test_is_a_setting_s_fault(
    invites: Invites, tmp_path: Path
) -> None:
    """No token lives longer than the settings allow, not even a test's."""
    world = CommandWorld.ready(invites, tmp_path, '[validity]\nlongest = "1h"\n', ledger=False)
    answer = world.invites("try", ME)
    assert answer.code == 5
    assert "validity.longest" in answer.err


def test_doctor_names_it(world: CommandWorld) -> None:
    """Where nothing is wrong, the whole chain is what is left to prove."""
    world.make_ledger()
    answer = world.invites("doctor")
    assert answer.code == 0, answer.err
    assert "invites try YOUR_ADDRESS" in answer.out
