"""TLS and login: verified or not used at all, and never a secret in what is said about it."""

from __future__ import annotations

import base64
import socket
import traceback
from dataclasses import replace

import pytest

from invites.delivery.smtp import SmtpDelivery
from invites.delivery.smtp_connection import Relay
from invites.errors import LoginError, SettingsError, TryAgainError
from tests.delivery.conftest import Recorder, message, messages
from tests.delivery.contract import never
from tests.peers.certificates import Authority
from tests.peers.smtp_server import Fault, ScriptedServer

USER, PASSWORD = "meetings@example.com", "correct-horse-battery"


def relay_to(server: ScriptedServer, authority: Authority, **settings: object) -> Relay:
    """Return a relay that wants STARTTLS and a login."""
    relay = Relay(
        host="localhost",
        port=server.port,
        username=USER,
        secret=lambda: PASSWORD,
        timeout=10,
        data_timeout=10,
        ca_file=authority.file,
    )
    return replace(relay, **settings)


def deliver(relay: Relay, journal: Recorder) -> None:
    """Deliver two messages."""
    SmtpDelivery(relay).deliver(messages(2), journal, stop=never)


@pytest.mark.parametrize("auth", ["login", "plain", "xoauth2"])
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_each_login_works_over_each_kind_of_tls(
    auth: str, security: str, authority: Authority, journal: Recorder
) -> None:
    """All messages travel over TLS, and as the right user."""
    with ScriptedServer(
        tls=authority.server_context(), implicit_tls=security == "tls", logins={USER: PASSWORD}
    ) as server:
        deliver(relay_to(server, authority, auth=auth, security=security), journal)
    assert len(server.accepted) == 2
    assert all(one.over_tls and one.logged_in_as == USER for one in server.accepted)


def test_a_message_longer_than_a_tls_record_arrives_as_it_was(
    authority: Authority, journal: Recorder
) -> None:
    """Content of 200 kB, sent with the next message's commands behind its dot."""
    sent = [message(number, body=("long\r\n.") * 25_000 + "\r\n") for number in (1, 2)]
    with ScriptedServer(tls=authority.server_context(), logins={USER: PASSWORD}) as server:
        SmtpDelivery(relay_to(server, authority)).deliver(sent, journal, stop=never)
    assert [one.content for one in server.accepted] == [one.content for one in sent]


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("fault", ["expired", "another host", "unknown authority"])
def test_a_certificate_that_is_not_right_ends_the_run(
    fault: str, security: str, authority: Authority, journal: Recorder
) -> None:
    """Nothing is sent, nothing marked, and the reason is said."""
    host = "mail.example.net" if fault == "another host" else "localhost"
    context = authority.server_context(host, expired=fault == "expired")
    with ScriptedServer(
        tls=context, implicit_tls=security == "tls", logins={USER: PASSWORD}
    ) as server:
        relay = relay_to(server, authority, security=security)
        if fault == "unknown authority":
            relay = replace(relay, ca_file=None)
        with pytest.raises(LoginError, match="certificate") as raised:
            deliver(relay, journal)
    words = {"expired": "expired", "another host": "ostname", "unknown authority": "issuer"}
    assert words[fault] in str(raised.value)
    assert journal.notes == []
    assert not any(one.startswith(("AUTH", "MAIL")) for one in server.commands)


def test_ssl_cert_file_names_the_authorities(
    authority: Authority, journal: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable that OpenSSL knows is enough for an authority of one's own."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with ScriptedServer(tls=authority.server_context(), logins={USER: PASSWORD}) as server:
        deliver(relay_to(server, authority, ca_file=None), journal)
    assert len(server.accepted) == 2


def test_without_starttls_nothing_goes_in_plain_text(
    authority: Authority, journal: Recorder
) -> None:
    """A server, or somebody in between, that hides STARTTLS gets neither password nor mail."""
    server = ScriptedServer(logins={USER: PASSWORD})
    with server, pytest.raises(LoginError, match="does not offer STARTTLS"):
        deliver(relay_to(server, authority), journal)
    assert [one.split(" ")[0] for one in server.commands] == ["EHLO"]


def test_words_slipped_in_before_tls_are_not_taken_for_the_servers(
    authority: Authority, journal: Recorder
) -> None:
    """What follows the answer to STARTTLS in plain text ends the session."""
    fault = Fault("STARTTLS", "220 go on\r\n250-injected\r\n250 AUTH PLAIN")
    server = ScriptedServer(faults=[fault], tls=authority.server_context())
    with server, pytest.raises(LoginError, match="in plain text after STARTTLS"):
        deliver(relay_to(server, authority), journal)
    assert journal.notes == []


def test_a_server_that_speaks_no_tls_after_its_yes_is_a_tls_failure(
    authority: Authority, journal: Recorder
) -> None:
    """220 and then something else than a handshake: exit 5, nothing marked."""
    with ScriptedServer(tls=authority.server_context()) as server:
        relay = relay_to(server, authority, security="tls")
        with pytest.raises(LoginError, match="TLS failed"):
            deliver(relay, journal)
    assert journal.notes == []


@pytest.mark.parametrize("auth", ["login", "plain", "xoauth2"])
def test_a_refused_login_is_said_without_the_secret(
    auth: str, authority: Authority, journal: Recorder
) -> None:
    """Even where the server echoes it, in plain and in base64; nothing is marked."""
    wrong = "wrong-horse-battery"
    server = ScriptedServer(tls=authority.server_context(), logins={USER: PASSWORD})
    with server, pytest.raises(LoginError, match="535") as raised:
        deliver(relay_to(server, authority, auth=auth, secret=lambda: wrong), journal)
    told = "".join(traceback.format_exception(raised.value))
    assert wrong not in told
    assert base64.b64encode(wrong.encode()).decode() not in told
    assert USER in str(raised.value)
    assert journal.notes == []
    assert server.connections == 1
    if auth == "xoauth2":
        assert "status 401" in str(raised.value)


def test_a_mechanism_that_is_not_offered_is_named_with_those_that_are(
    authority: Authority, journal: Recorder
) -> None:
    """The remedy is a setting."""
    with (
        ScriptedServer(
            tls=authority.server_context(), logins={USER: PASSWORD}, mechanisms=("XOAUTH2", "PLAIN")
        ) as server,
        pytest.raises(LoginError, match=r"AUTH LOGIN; it offers XOAUTH2, PLAIN"),
    ):
        deliver(relay_to(server, authority), journal)


def test_a_temporary_failure_of_the_login_is_for_another_run(
    authority: Authority, journal: Recorder
) -> None:
    """454 at AUTH: exit 75, nothing noted."""
    fault = Fault("AUTH", "454 4.7.0 Temporary authentication failure")
    with (
        ScriptedServer(
            faults=[fault], tls=authority.server_context(), logins={USER: PASSWORD}
        ) as server,
        pytest.raises(TryAgainError, match="454"),
    ):
        deliver(relay_to(server, authority), journal)
    assert journal.notes == []


def test_a_fresh_secret_is_asked_for_at_each_login(authority: Authority, journal: Recorder) -> None:
    """An access token may have expired by the time a connection is reopened."""
    asked: list[int] = []

    def secret() -> str:
        asked.append(1)
        return PASSWORD

    with ScriptedServer(
        tls=authority.server_context(), logins={USER: PASSWORD}, messages_per_connection=1
    ) as server:
        deliver(relay_to(server, authority, secret=secret), journal)
    assert len(asked) == server.connections == 2


def _own_address() -> str | None:
    """Return an address of this machine that is not loopback, None where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # no packet is sent
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address


def test_plain_text_stays_on_this_machine_unless_it_is_allowed(journal: Recorder) -> None:
    """`security = "none"` to an address that is not loopback is refused before a word is said."""
    address = _own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    with ScriptedServer(bind=address) as server:
        relay = Relay(host=address, port=server.port, security="none", timeout=5)
        with pytest.raises(SettingsError, match="allow_plaintext"):
            deliver(relay, journal)
        assert server.commands == []
        deliver(replace(relay, allow_plaintext=True), journal)
    assert len(server.accepted) == 2


def test_authorities_that_can_not_be_read_are_named(authority: Authority) -> None:
    """A wrong path is a fault of the settings."""
    relay = Relay(host="localhost", ca_file=authority.file.with_name("missing.pem"))
    with pytest.raises(SettingsError, match=r"missing\.pem"):
        SmtpDelivery(relay).deliver(messages(1), Recorder(), stop=never)
