"""Octets: replies are read as RFC 5321 has them or not at all, and dots are doubled."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.delivery.base import Phase
from invites.delivery.smtp_connection import Connection, LostError, Reply
from invites.delivery.smtp_session import stuffed


@contextmanager
def connection_that_hears(octets: bytes) -> Iterator[Connection]:
    """Yield a connection whose other end said `octets` and closed."""
    ours, theirs = socket.socketpair()
    theirs.sendall(octets)
    theirs.close()
    connection = Connection(ours)
    connection.start_phase(Phase.EHLO, timeout=5)
    try:
        yield connection
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("octets", "reply"),
    [
        (b"250 Ok\r\n", Reply(250, ("Ok",))),
        (b"250-a\r\n250-b\r\n250 c\r\n", Reply(250, ("a", "b", "c"))),
        (b"354\r\n", Reply(354, ("",))),
        (b"250 bare line feed\n", Reply(250, ("bare line feed",))),
        ("550 größer\r\n".encode(), Reply(550, ("größer",))),
        (b"421 \xff\r\n", Reply(421, ("\ufffd",))),
    ],
)
def test_replies_are_read_with_all_their_lines(octets: bytes, reply: Reply) -> None:
    """RFC 5321 4.2.1, and leniently with text that is not UTF-8."""
    with connection_that_hears(octets) as connection:
        assert connection.reply() == reply


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"250",
        b"250-never ends\r\n",
        b"250-a\r\n550 b\r\n",
        b"ok\r\n",
        b"2500 too long\r\n",
        b"150 no such class\r\n",
        b"650 nor this\r\n",
        b"\r\n",
        b"250-" + b"x" * 70_000 + b"\r\n250 y\r\n",
        b"250-x\r\n" * 100_000,
        b"x" * 70_000,
    ],
)
def test_what_is_no_reply_loses_the_connection(octets: bytes) -> None:
    """Nothing is guessed from garbage, and nothing endless is read to its end."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(0)
    sent = 0
    try:
        while sent < len(octets):
            sent += theirs.send(octets[sent:])
    except BlockingIOError:
        pass
    theirs.close()
    connection = Connection(ours)
    connection.start_phase(Phase.EHLO, timeout=5)
    with pytest.raises(LostError) as lost:
        connection.reply()
    connection.close()
    assert lost.value.phase is Phase.EHLO
    assert not lost.value.dot_out


@given(st.binary(max_size=300))
def test_any_octets_are_a_reply_or_a_lost_connection(octets: bytes) -> None:
    """No other error comes out of what a server may say."""
    with connection_that_hears(octets) as connection:
        try:
            reply = connection.reply()
        except LostError:
            return
        assert 200 <= reply.code <= 599


def test_the_phase_of_a_silence_is_told() -> None:
    """A server that says nothing is given up at the end of the phase."""
    ours, theirs = socket.socketpair()
    connection = Connection(ours)
    connection.start_phase(Phase.RCPT, timeout=0.05)
    with pytest.raises(LostError, match="no answer in time") as lost:
        connection.reply()
    connection.close()
    theirs.close()
    assert lost.value.phase is Phase.RCPT


@pytest.mark.parametrize("reads", [True, False], ids=["a part went", "nothing went"])
def test_a_dot_that_did_not_go_is_told_from_one_that_did(*, reads: bool) -> None:
    """Where the network takes no more before the end of the message, it is not sent."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    connection = Connection(ours)
    connection.start_phase(Phase.DOT, timeout=0.1)
    if not reads:
        theirs.close()
    octets = b"x" * 10_000_000
    with pytest.raises(LostError) as lost:
        connection.send(octets, ends_at=len(octets))
    assert not lost.value.dot_out
    connection.close()
    theirs.close()


def test_a_break_behind_the_dot_leaves_it_out() -> None:
    """The message's end went, the commands behind it did not: the server may have accepted it."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    connection = Connection(ours)
    connection.start_phase(Phase.DOT, timeout=0.1)
    with pytest.raises(LostError) as lost:
        connection.send(b"x" * 10_000_000, ends_at=10)
    assert lost.value.dot_out
    connection.close()
    theirs.close()


LINES = st.lists(st.text(alphabet=".ab ", max_size=4), max_size=12)


@given(LINES)
def test_a_server_undoes_the_doubled_dots(lines: list[str]) -> None:
    """Read as RFC 5321 4.5.2 says, the content is what it was, and no line ends it early."""
    content = "".join(f"{line}\r\n" for line in lines).encode() or b"\r\n"
    received: list[str] = []
    for line in stuffed(content).decode().removesuffix("\r\n").split("\r\n"):
        assert line != "."
        received.append(line.removeprefix("."))
    assert "".join(f"{line}\r\n" for line in received).encode() == content


def test_content_without_a_last_line_end_gets_one() -> None:
    """The dot must stand on a line of its own."""
    assert stuffed(b"a") == b"a\r\n"
