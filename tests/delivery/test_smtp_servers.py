"""How the delivery takes what servers do, beside the matrix: limits, refusals, nonsense, silence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from invites.delivery.base import Deferred, Failed, Phase, Sent
from invites.delivery.smtp import SmtpDelivery, login_report
from invites.delivery.smtp_connection import Relay
from invites.errors import LoginError, MessageFaultError, ServerDownError, TryAgainError
from tests.delivery.conftest import (
    Recorder,
    deliver,
    message,
    message_id_of,
    messages,
    plain_relay,
)
from tests.delivery.contract import never
from tests.peers.smtp_server import Fault, ScriptedServer


def test_a_refused_receiver_fails_alone(journal: Recorder) -> None:
    """550 at RCPT: that one failed with the server's words, the others go on."""
    fault = Fault("RCPT", "550 5.1.1 no such user", only="attendee2@example.org")
    with ScriptedServer(faults=[fault]) as server:
        deliver(plain_relay(server), journal)
    assert journal.kinds() == {1: "Sent", 2: "Failed", 3: "Sent"}
    assert journal.outcomes[2] == Failed(
        key=2, answer="550 5.1.1 no such user", phase=Phase.RCPT, bad_address=True
    )
    assert server.connections == 1


def test_a_data_that_is_open_without_a_receiver_carries_nothing(journal: Recorder) -> None:
    """RFC 2920 3.1: where 354 comes although RCPT was refused, a lone dot follows, no content."""
    fault = Fault("RCPT", "550 5.1.1 no such user", times=1)
    with ScriptedServer(faults=[fault], takes_data_without_recipient=True) as server:
        deliver(plain_relay(server), journal)
    assert journal.kinds() == {1: "Failed", 2: "Sent", 3: "Sent"}
    assert [one for one in server.commands if "nobody" in one] == ["content of 2 octets to nobody"]
    assert journal.sending == [2, 3]


def test_greylisting_defers_and_the_next_run_gets_through(journal: Recorder) -> None:
    """451 at the first attempt of each receiver: all deferred, none lost; later all are sent."""
    faults = [
        Fault("RCPT", "451 4.7.1 Greylisted, come back", times=1, only=each.recipient)
        for each in messages(7)
    ]
    with ScriptedServer(faults=faults) as server:
        deliver(plain_relay(server), journal, 7)
        assert journal.kinds() == dict.fromkeys(range(1, 8), "Deferred")
        assert not any(outcome.lost for outcome in journal.outcomes.values())
        again = Recorder()
        deliver(plain_relay(server), again, 7)
    assert again.kinds() == dict.fromkeys(range(1, 8), "Sent")
    assert len(server.accepted) == 7


def test_a_message_beyond_the_servers_size_is_not_offered(journal: Recorder) -> None:
    """SIZE (RFC 1870): the one fails with both numbers in the answer, no octet of it goes out."""
    big = message(2, body="x" * 70 + "\r\n" + "y" * 2000 + "\r\n")
    with ScriptedServer(size=2000) as server:
        relay = plain_relay(server)
        SmtpDelivery(relay).deliver([message(1), big, message(3)], journal, stop=never)
    assert journal.kinds() == {1: "Sent", 2: "Failed", 3: "Sent"}
    assert f"{len(big.content)} octets" in journal.outcomes[2].answer
    assert "2000" in journal.outcomes[2].answer
    sizes = [one.rpartition("SIZE=")[2] for one in server.commands if one.startswith("MAIL")]
    assert sizes == [str(len(message(key).content)) for key in (1, 3)]


def test_a_server_that_gives_up_amid_the_content_is_heard(journal: Recorder) -> None:
    """552 before the dot, then closed: failed in its words, not lost, and never unknown."""
    big = message(1, body=("x" * 70 + "\r\n") * 200_000)
    with ScriptedServer(gives_up_after_octets=100_000) as server:
        SmtpDelivery(plain_relay(server)).deliver([big, message(2)], journal, stop=never)
    assert journal.kinds() in ({1: "Failed", 2: "Sent"}, {1: "Deferred", 2: "Sent"})
    assert len(server.accepted) == 1


def test_eight_bits_are_never_relied_on(journal: Recorder) -> None:
    """Content beyond ASCII, or with a bare line end, is our own fault and stops the run."""
    for body in ("Grüße\r\n", "one\nMAIL FROM:<x@y>\r\n", "one\rtwo\r\n"):
        with ScriptedServer() as server:
            delivery = SmtpDelivery(plain_relay(server))
            with pytest.raises(MessageFaultError):
                delivery.deliver([message(1, body=body)], journal, stop=never)
        assert server.accepted == []
        assert journal.notes == []


@pytest.mark.parametrize(
    "mailbox",
    [
        "a@b.example>\r\nRCPT TO:<c@d.example",
        "a b@c.example",
        "a@b.example\n",
        "<a@b>",
        "a",
        "é@b.c",
    ],
)
def test_an_address_that_could_end_its_command_is_never_sent(
    mailbox: str, journal: Recorder
) -> None:
    """The last defence: that one fails, and the server hears nothing of it."""
    with ScriptedServer() as server:
        bad = replace(message(1), recipient=mailbox)
        SmtpDelivery(plain_relay(server)).deliver([bad, message(2)], journal, stop=never)
    assert journal.kinds() == {1: "Failed", 2: "Sent"}
    assert sum(one.startswith("RCPT") for one in server.commands) == 1


def test_an_answer_after_a_drop_is_still_an_answer(journal: Recorder) -> None:
    """550 to a message sent ahead, then closed: failed, for it was refused before the drop."""
    faults = [Fault("RCPT", "550", times=1), Fault("DATA", "drop", times=1)]
    with ScriptedServer(faults=faults, takes_data_without_recipient=True) as server:
        deliver(plain_relay(server), journal)
    assert journal.outcomes[1].phase is Phase.RCPT
    assert journal.kinds() == {1: "Failed", 2: "Sent", 3: "Sent"}


@pytest.mark.parametrize("words", ["354 go on", "150 wait", "250-endless\r\n251 not"])
def test_an_answer_of_no_sense_after_the_dot_is_unknown(words: str, journal: Recorder) -> None:
    """It may have been accepted: neither sent again at once, nor taken for sent."""
    with ScriptedServer(faults=[Fault("dot", words, times=1)]) as server:
        deliver(plain_relay(server), journal)
    assert journal.kinds() == {1: "Unknown", 2: "Sent", 3: "Sent"}
    assert server.ids() == [message_id_of(2), message_id_of(3)]


@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA"])
def test_an_answer_of_no_sense_before_the_content_keeps_it_in(
    phase: str, journal: Recorder
) -> None:
    """250 to DATA, 354 to RCPT: the two sides are out of step, so the connection is given up."""
    words = "250 fine" if phase == "DATA" else "354 go on"
    with ScriptedServer(faults=[Fault(phase, words, times=1)], pipelining=False) as server:
        deliver(plain_relay(server), journal)
    assert journal.kinds() == dict.fromkeys((1, 2, 3), "Sent")
    assert sorted(server.ids()) == [message_id_of(key) for key in (1, 2, 3)]
    assert server.connections == 2


def test_a_server_that_takes_few_messages_per_connection_gets_many_connections(
    journal: Recorder,
) -> None:
    """421 at MAIL after two messages: the connection is reopened, nothing is deferred."""
    with ScriptedServer(messages_per_connection=2) as server:
        deliver(plain_relay(server), journal, 7)
    assert journal.kinds() == dict.fromkeys(range(1, 8), "Sent")
    assert server.connections == 4


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "stepwise"])
def test_a_server_that_takes_few_recipients_per_connection_gets_new_connections(
    *, pipelining: bool, journal: Recorder
) -> None:
    """452 from the 21st recipient of a connection: reconnected, nothing is deferred."""
    with ScriptedServer(recipients_per_connection=20, pipelining=pipelining) as server:
        deliver(plain_relay(server), journal, 65)
    assert journal.kinds() == dict.fromkeys(range(1, 66), "Sent")
    assert server.connections == 4


def test_refusals_for_now_that_are_no_limit_cost_few_connections(journal: Recorder) -> None:
    """Greylisting looks like such a limit: it is tried over a new connection ever less often."""
    faults = [
        Fault("RCPT", "451 4.7.1 Greylisted", only=each.recipient) for each in messages(101)[1:]
    ]
    with ScriptedServer(faults=faults) as server:
        deliver(plain_relay(server), journal, 101)
    assert journal.kinds() == {1: "Sent", **dict.fromkeys(range(2, 102), "Deferred")}
    assert server.connections == 2  # the new one has not accepted anything yet


@pytest.mark.parametrize("how", ["forgets", "refuses", "drops"])
def test_a_server_that_does_not_keep_pipelining_is_spoken_to_step_by_step(
    how: str, journal: Recorder
) -> None:
    """It offers PIPELINING and is confused by it: after the first failure nothing is lost."""
    with ScriptedServer(false_pipelining=how) as server:
        deliver(plain_relay(server, timeout=0.3), journal, 30)
    assert journal.kinds() == dict.fromkeys(range(1, 31), "Sent")
    assert server.ids() == [message_id_of(key) for key in range(1, 31)]
    assert server.connections == 2
    together = [one for one in server.writes if one.count(b"\r\nRCPT")]
    assert len(together) == 1


def test_a_server_that_stops_keeping_pipelining_is_spoken_to_step_by_step(
    journal: Recorder,
) -> None:
    """The failure comes in the middle of a run: what was sent ahead is repeated, and nothing twice."""
    with ScriptedServer() as server:

        def forget(_: bytes) -> None:
            if len(server.accepted) == 9:
                server.false_pipelining = "forgets"

        server.on_content = forget
        deliver(plain_relay(server, timeout=0.3), journal, 20)
    assert journal.kinds() == dict.fromkeys(range(1, 21), "Sent")
    assert server.ids() == [message_id_of(key) for key in range(1, 21)]


def test_a_bounce_is_asked_to_leave_the_message_out(journal: Recorder) -> None:
    """Where DSN is offered: RET=HDRS, for the message holds the link, and ENVID tells which it was."""
    with ScriptedServer(dsn=True) as server:
        deliver(plain_relay(server), journal, 1)
    (line,) = [one for one in server.commands if one.startswith("MAIL")]
    assert line == "MAIL FROM:<meetings@example.com> RET=HDRS ENVID=message1@example.com"
    with ScriptedServer() as server:
        deliver(plain_relay(server), Recorder(), 1)
    assert not [one for one in server.commands if "RET" in one or "ENVID" in one]


@pytest.mark.parametrize(
    ("message_id", "envelope_id"),
    [
        ("<a+b=c@example.com>", "a+2Bb+3Dc@example.com"),
        (f"<{'x' * 200}@example.com>", "6b7ef8"),
    ],
)
def test_an_envelope_id_is_short_and_coded(
    message_id: str, envelope_id: str, journal: Recorder
) -> None:
    """At most 100 characters of xtext (RFC 3461 4.4); a longer Message-ID is hashed."""
    with ScriptedServer(dsn=True) as server:
        sent = replace(message(1), message_id=message_id)
        SmtpDelivery(plain_relay(server)).deliver([sent], journal, stop=never)
    found = server.commands[1].rpartition("ENVID=")[2]
    assert found.startswith(envelope_id) or len(found) == 64
    assert len(found) <= 100


def test_the_date_is_that_of_the_attempt(journal: Recorder) -> None:
    """A message that waited says when it was sent; nothing else of it changes, its body neither."""
    at = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
    old = "Date: Wed, 01 Jan 2031 08:00:00 +0000"
    whole = message(1, body=f"{old}\r\n")
    dated = replace(
        whole, content=whole.content.replace(b"Subject:", f"{old}\r\nSubject:".encode())
    )
    with ScriptedServer(size=100_000) as server:
        delivery = SmtpDelivery(plain_relay(server), present=lambda: at)
        delivery.deliver([dated], journal, stop=never)
    (arrived,) = server.accepted
    new = b"Date: Mon, 03 Feb 2031 04:05:06 +0000"
    assert arrived.content == dated.content.replace(old.encode(), new, 1)


def test_a_run_that_used_up_its_time_ends_in_order(journal: Recorder) -> None:
    """The message in hand is finished, nothing is left in doubt, and the rest waits."""
    moments = iter(range(1000))
    with ScriptedServer() as server:
        delivery = SmtpDelivery(
            plain_relay(server), budget=timedelta(seconds=20), clock=lambda: float(next(moments))
        )
        with pytest.raises(TryAgainError, match=r"delivery\.budget"):
            delivery.deliver(messages(50), journal, stop=never)
    assert 0 < len(server.accepted) < 50
    assert set(journal.sending) == set(journal.outcomes)
    assert set(journal.kinds().values()) == {"Sent"}


def test_five_that_were_lost_before_do_not_end_the_run(journal: Recorder) -> None:
    """Poison at the head: five that an earlier run lost too, then one that was never tried."""
    poison = [f"attendee{number}@example.org" for number in range(1, 6)]
    faults = [Fault("RCPT", "drop", only=mailbox) for mailbox in poison]
    with ScriptedServer(faults=faults) as server:
        tried = [replace(each, tried=each.recipient in poison) for each in messages(60)]
        SmtpDelivery(plain_relay(server)).deliver(tried, journal, stop=never)
    assert journal.kinds() == {
        **dict.fromkeys(range(1, 6), "Deferred"),
        **dict.fromkeys(range(6, 61), "Sent"),
    }


def test_a_dead_server_is_told_by_one_that_was_never_tried(journal: Recorder) -> None:
    """After five tried ones the sixth, never tried, is lost as well: the run ends, naming all six."""
    with ScriptedServer(faults=[Fault("RCPT", "drop")]) as server:
        tried = [replace(each, tried=each.key in range(1, 6)) for each in messages(60)]
        with pytest.raises(ServerDownError, match="6 messages in a row") as down:
            SmtpDelivery(plain_relay(server)).deliver(tried, journal, stop=never)
    assert down.value.lost == (1, 2, 3, 4, 5, 6)
    assert set(journal.kinds().values()) == {"Deferred"}


def test_all_that_several_connections_lost_to_a_dead_server_is_named(journal: Recorder) -> None:
    """Also what the other workers had in hand when the fifth was lost."""
    with ScriptedServer(faults=[Fault("RCPT", "drop")]) as server:
        delivery = SmtpDelivery(plain_relay(server, connections=3))
        with pytest.raises(ServerDownError) as down:
            delivery.deliver(messages(60), journal, stop=never)
    assert set(down.value.lost) == set(journal.outcomes)
    assert len(down.value.lost) == len(journal.outcomes) <= 8


def test_a_session_that_does_not_open_ends_the_run_whatever_was_tried(journal: Recorder) -> None:
    """Nothing was said of a message yet: five tried ones tell enough."""
    with ScriptedServer(faults=[Fault("EHLO", "drop")]) as server:
        tried = [replace(each, tried=True) for each in messages(60)]
        with pytest.raises(ServerDownError):
            SmtpDelivery(plain_relay(server)).deliver(tried, journal, stop=never)
    assert len(journal.outcomes) == 5


def test_a_server_that_was_down_is_tried_with_one_message(journal: Recorder) -> None:
    """One lost message is enough to know that it still is; one answer is enough for all the others."""
    with ScriptedServer(faults=[Fault("DATA", "drop", times=2)]) as server:
        delivery = SmtpDelivery(plain_relay(server), in_doubt=True)
        with pytest.raises(ServerDownError, match="down at the last run"):
            delivery.deliver(messages(9), journal, stop=never)
        assert journal.kinds() == {1: "Deferred"}
        again = Recorder()
        SmtpDelivery(plain_relay(server), in_doubt=True).deliver(messages(9), again, stop=never)
    assert again.kinds() == dict.fromkeys(range(1, 10), "Sent")


@pytest.mark.parametrize(
    ("phase", "words", "bad"),
    [
        ("RCPT", "550 5.1.1 no such user", True),
        ("RCPT", "550-5.1.1 no such\r\n550 5.1.1 user", True),
        ("dot", "554 5.1.0 address rejected", True),
        ("RCPT", "550 5.7.1 not allowed", False),
        ("RCPT", "550 no such user", False),
        ("MAIL", "550 5.1.8 sender unknown", False),
    ],
)
def test_only_an_address_status_says_that_the_address_is_bad(
    phase: str, words: str, *, bad: bool, journal: Recorder
) -> None:
    """5.1.x about the receiver; of the sender's own it says nothing about the row."""
    with ScriptedServer(faults=[Fault(phase, words)]) as server:
        deliver(plain_relay(server), journal, 1)
    outcome = journal.outcomes[1]
    assert isinstance(outcome, Failed)
    assert outcome.bad_address is bad


def test_a_connection_limit_leaves_the_work_to_the_lines_that_got_through(
    journal: Recorder,
) -> None:
    """Three connections configured, one allowed: all is sent over that one, nothing deferred."""
    with ScriptedServer(connection_limit=1) as server:
        deliver(plain_relay(server, connections=3), journal, 150)
    assert journal.kinds() == dict.fromkeys(range(1, 151), "Sent")
    assert len(server.accepted) == 150


def test_messages_that_a_line_gives_back_at_the_very_end_still_go_out(journal: Recorder) -> None:
    """As many connections as messages, one allowed: who gets none leaves its message to others."""
    with ScriptedServer(connection_limit=1) as server:
        deliver(plain_relay(server, connections=4), journal, 4)
    assert journal.kinds() == dict.fromkeys(range(1, 5), "Sent")


def test_several_lines_to_a_server_that_is_down_note_nothing(journal: Recorder) -> None:
    """Nothing listens: exit 75, nothing deferred."""
    with ScriptedServer() as server:
        port = server.port
    for connections in (1, 3):
        relay = Relay(host="127.0.0.1", port=port, security="none", connections=connections)
        with pytest.raises(TryAgainError, match=rf"127\.0\.0\.1:{port}: no connection"):
            deliver(relay, journal)
    assert journal.notes == []


def test_a_server_that_dies_in_the_middle_leaves_nothing_unclear(journal: Recorder) -> None:
    """Two sent, then nothing listens any more: the announced one is deferred, the rest untouched."""
    with ScriptedServer() as server:

        def close_after_two(_: bytes) -> None:
            if len(server.accepted) == 2:
                server.stop_listening()
                server.faults.append(Fault("dot", "421"))

        server.on_content = close_after_two
        with pytest.raises(TryAgainError):
            deliver(plain_relay(server), journal, 9)
    assert journal.kinds() == {1: "Sent", 2: "Sent", 3: "Deferred"}
    assert set(journal.sending) == set(journal.outcomes)


def test_a_server_that_trickles_is_not_waited_for_longer_than_the_timeout(
    journal: Recorder,
) -> None:
    """An octet in time does not start the deadline anew, or all would be sent; five end the run."""
    with (
        ScriptedServer(octet_pause=0.05) as server,
        pytest.raises(TryAgainError, match="no answer in time"),
    ):
        deliver(plain_relay(server, timeout=0.1, data_timeout=0.1), journal, 9)
    assert len(journal.outcomes) == 5
    assert all(isinstance(each, Deferred) and each.lost for each in journal.outcomes.values())


def test_lost_messages_count_only_in_a_row(journal: Recorder) -> None:
    """An answer in between starts the count anew."""
    faults = [
        Fault("RCPT", "drop", only=f"attendee{number}@example.org")
        for number in (1, 2, 3, 4, 6, 7, 8, 9)
    ]
    with ScriptedServer(faults=faults) as server:
        deliver(plain_relay(server), journal, 10)
    assert [key for key, kind in sorted(journal.kinds().items()) if kind == "Sent"] == [5, 10]
    assert len(journal.outcomes) == 10
    assert len(server.accepted) == 2


def test_a_server_that_wants_a_login_marks_nothing_failed(journal: Recorder) -> None:
    """530 at MAIL is about the session, not about the message."""
    server = ScriptedServer(logins={"somebody": "else"})
    with server, pytest.raises(LoginError, match="530"):
        deliver(plain_relay(server), journal)
    assert journal.notes == []


def test_there_is_no_falling_back_to_helo(journal: Recorder) -> None:
    """A server that refuses EHLO is told nothing more."""
    server = ScriptedServer(faults=[Fault("EHLO", "502 5.5.1 what is EHLO?")])
    with server, pytest.raises(TryAgainError, match="502"):
        deliver(plain_relay(server), journal)
    assert [one.split(" ")[0] for one in server.commands] == ["EHLO"]
    assert journal.notes == []


def test_a_link_that_the_server_quotes_is_masked_in_the_answer(journal: Recorder) -> None:
    """Spam filters name the link they dislike; the history must not hold it."""
    words = (
        "554 5.7.1 bad link https://meet.example.com/r?jwt=eyJhbGciOiJIUzI1NiJ9.eyJyb29t.c2ln here"
    )
    with ScriptedServer(faults=[Fault("dot", words, times=1)]) as server:
        deliver(plain_relay(server), journal, 1)
    assert journal.outcomes[1] == Failed(
        key=1, answer="554 5.7.1 bad link [link] here", phase=Phase.DOT
    )


def test_the_servers_words_are_kept_for_the_history(journal: Recorder) -> None:
    """A queue number helps to find a message in the relay's log."""
    with ScriptedServer() as server:
        deliver(plain_relay(server), journal, 1)
    assert journal.outcomes[1] == Sent(key=1, answer="250 2.0.0 Ok: queued as 1")


def test_a_login_report_says_what_the_relay_offers() -> None:
    """`doctor` shows it; no message is begun."""
    with ScriptedServer(size=1000) as server:
        report = login_report(plain_relay(server))
    assert report == (
        f"127.0.0.1:{server.port}: none, no login, pipelining, messages up to 1000 octets"
    )
    assert [one.split(" ")[0] for one in server.commands] == ["EHLO", "QUIT"]
