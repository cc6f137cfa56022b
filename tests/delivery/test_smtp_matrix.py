"""Every misbehaviour of a mail server at every phase: 80 cells, each with and without pipelining."""

from __future__ import annotations

import pytest

from invites.delivery.smtp import SmtpDelivery
from invites.delivery.smtp_connection import Relay
from invites.errors import LoginError, TryAgainError
from tests.delivery.conftest import Recorder, mailbox_of, message_id_of, messages
from tests.peers.certificates import Authority
from tests.peers.smtp_server import ACTIONS, PHASES, Fault, ScriptedServer, all_cells

OPENING = ("banner", "EHLO", "STARTTLS", "AUTH")
SHORT = 0.3

Expected = tuple[str | None, type[Exception] | None]
"""The first message's outcome (None: none noted), and what is raised."""


def expected(phase: str, action: str) -> Expected:
    """Return what reliability.md promises for a cell that befalls the first message."""
    if action in {"drop", "hang", "garbage"}:
        return ("Unknown" if phase == "dot" else "Deferred"), None
    if action == "421":
        return "Deferred", None
    permanent = action.startswith("5")
    if phase in OPENING:
        if phase in {"banner", "EHLO"} and not permanent:
            return "Deferred", None
        login = permanent and phase in {"STARTTLS", "AUTH"}
        return None, (LoginError if login else TryAgainError)
    return ("Failed" if permanent else "Deferred"), None


def passages(phase: str, action: str) -> int:
    """Return how often a fault must strike to be through with one message: the retry too."""
    outcome, _ = expected(phase, action)
    lost = action in {"421", "drop", "hang", "garbage"} or phase in OPENING
    return 2 if outcome == "Deferred" and lost else 1


def relay_to(server: ScriptedServer, authority: Authority, *, pipelining: bool) -> Relay:
    """Return the relay that the scripted server is, with every phase switched on."""
    return Relay(
        host=server.host,
        port=server.port,
        security="starttls",
        username="meetings@example.com",
        secret=lambda: "correct horse",
        timeout=SHORT if any(fault.action == "hang" for fault in server.faults) else 10.0,
        data_timeout=SHORT,
        ca_file=authority.file,
        pipelining=pipelining,
    )


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "stepwise"])
@pytest.mark.parametrize(("phase", "action"), all_cells(), ids=map("-".join, all_cells()))
def test_each_misbehaviour_ends_as_promised_and_the_next_run_sends_the_rest(
    phase: str, action: str, *, pipelining: bool, authority: Authority, journal: Recorder
) -> None:
    """The first message has its outcome, the second goes out, and a next run makes up for it."""
    outcome, error = expected(phase, action)
    with ScriptedServer(
        faults=[Fault(phase, action, times=passages(phase, action))],
        tls=authority.server_context(),
        logins={"meetings@example.com": "correct horse"},
    ) as server:
        relay = relay_to(server, authority, pipelining=pipelining)
        if error is None:
            SmtpDelivery(relay).deliver(messages(2), journal, stop=lambda: False)
        else:
            with pytest.raises(error):
                SmtpDelivery(relay).deliver(messages(2), journal, stop=lambda: False)
        assert journal.kinds() == ({1: outcome, 2: "Sent"} if outcome else {})
        assert server.ids() == ([message_id_of(2)] if outcome else [])

        server.recover()
        rest = [one for one in messages(2) if journal.kinds().get(one.key) != "Sent"]
        again = Recorder()
        SmtpDelivery(relay).deliver(rest, again, stop=lambda: False)
        assert set(again.kinds().values()) == {"Sent"}
        assert sorted(server.ids()) == [message_id_of(1), message_id_of(2)]
        assert {one.recipient for one in server.accepted} == {mailbox_of(1), mailbox_of(2)}
        assert all(one.over_tls and one.logged_in_as for one in server.accepted)


def test_the_matrix_has_all_its_80_cells() -> None:
    """No cell is missing: eight phases times ten misbehaviours, and none twice."""
    cells = list(all_cells())
    assert len(cells) == len(set(cells)) == 80
    assert set(PHASES) == {"banner", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "dot"}
    assert set(ACTIONS) == {
        *("421", "450", "451", "452", "550", "552", "554"),
        *("drop", "hang", "garbage"),
    }


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "stepwise"])
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("action", ["421", "drop", "garbage"])
def test_five_lost_messages_in_a_row_stop_the_run(
    phase: str, action: str, *, pipelining: bool, authority: Authority, journal: Recorder
) -> None:
    """Each of five is tried as promised, the sixth is not touched, and none is marked failed."""
    after_dot = phase == "dot" and action != "421"
    with ScriptedServer(
        faults=[Fault(phase, action)],
        tls=authority.server_context(),
        logins={"meetings@example.com": "correct horse"},
    ) as server:
        relay = relay_to(server, authority, pipelining=pipelining)
        with pytest.raises(TryAgainError, match="5 messages in a row"):
            SmtpDelivery(relay).deliver(messages(7), journal, stop=lambda: False)
    settled = {key: kind for key, kind in journal.kinds().items() if key <= 5}
    assert settled == dict.fromkeys(range(1, 6), "Unknown" if after_dot else "Deferred")
    assert set(journal.outcomes) == set(range(1, 6))
    assert server.connections == (5 if after_dot else 10)
    assert server.accepted == []
