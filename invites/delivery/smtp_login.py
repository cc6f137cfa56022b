"""Opening a session: banner, EHLO, TLS and login, each refused in the words of its own remedy.

Where the password or access token comes from: settings, a command, Microsoft 365; nothing of it is
printed, logged or written anywhere.

Nothing here is about a message, so nothing here ever marks one as failed.
A connection that gets lost on the way, or a 4xx before login, is a `LostError`: try again.
"""

from __future__ import annotations

import base64
import binascii
import json
import socket
import ssl
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from invites.delivery.base import Phase
from invites.delivery.smtp_connection import Connection, LostError, Relay, Reply, no_secret
from invites.errors import LoginError, ServerDownError, SettingsError, TryAgainError
from invites.text import masked

if TYPE_CHECKING:
    from invites.settings import Settings


Extensions = Mapping[str, str]
"""What EHLO offered: keywords in upper case, each with its parameters (RFC 5321 4.1.1.1)."""

CLOSING: Final = 421
"""The server gives the connection up (RFC 5321 3.8)."""


def verifying_context(relay: Relay) -> ssl.SSLContext:
    """Return a TLS context that verifies certificate and host name; SSL_CERT_FILE is heeded.

    For a relay without TLS it trusts nobody, and spares the 40 ms that reading authorities takes.
    """
    if relay.security == "none":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return ssl.create_default_context(cafile=relay.ca_file)
    except OSError as error:
        raise SettingsError(
            f"certificate authorities: {relay.ca_file} can't be read ({error.strerror}); "
            "expected a PEM file"
        ) from None


def open_session(relay: Relay, context: ssl.SSLContext) -> tuple[Connection, Extensions]:
    """Connect and log in; return the connection and what the server offers after that.

    Raises LostError where the connection is lost or refused for now, ServerDownError where the server
    serves nobody for now, LoginError where TLS or login fails, SettingsError for plain text to a
    host that is not this one.
    """
    connection = Connection.to(relay.host, relay.port, timeout=relay.timeout)
    try:
        return connection, _greeted(connection, relay, context)
    except BaseException:
        connection.close()
        raise


def _greeted(connection: Connection, relay: Relay, context: ssl.SSLContext) -> Extensions:
    if relay.security == "none" and not (relay.allow_plaintext or connection.is_loopback):
        raise SettingsError(
            f'smtp.security: found "none" for {relay.host}, expected "starttls" or "tls": '
            "mail to another machine never goes in plain text unless smtp.allow_plaintext is true"
        )
    if relay.security == "tls":
        connection.start_phase(Phase.STARTTLS, timeout=relay.timeout)
        _secure(connection, relay, context)
    connection.start_phase(Phase.BANNER, timeout=relay.timeout)
    _must_be(220, connection.reply(), connection, relay)
    extensions = _hello(connection, relay)
    if relay.security == "starttls":
        _start_tls(connection, relay, context, extensions)
        extensions = _hello(connection, relay)
    if relay.username is not None:
        _log_in(connection, relay, extensions)
    return extensions


def _hello(connection: Connection, relay: Relay) -> Extensions:
    """Say EHLO; a server that refuses it is not talked to with HELO, for TLS needs EHLO."""
    connection.start_phase(Phase.EHLO, timeout=relay.timeout)
    connection.send(f"EHLO {_own_name(connection)}\r\n".encode("ascii"))
    reply = connection.reply()
    _must_be(250, reply, connection, relay)
    offered = (line.strip().partition(" ") for line in reply.lines[1:])
    return {keyword.upper(): rest.upper() for keyword, _, rest in offered}


def _own_name(connection: Connection) -> str:
    name = socket.gethostname()
    fit = "." in name and name.isascii() and all(char.isalnum() or char in "-." for char in name)
    return name if fit else connection.address_literal


def _start_tls(
    connection: Connection, relay: Relay, context: ssl.SSLContext, extensions: Extensions
) -> None:
    if "STARTTLS" not in extensions:
        raise LoginError(
            f"{relay.name} does not offer STARTTLS; nothing was sent, and nothing goes in plain "
            'text; expected smtp.security = "tls" (often port 465) or another server'
        )
    connection.start_phase(Phase.STARTTLS, timeout=relay.timeout)
    connection.send(b"STARTTLS\r\n")
    _must_be(220, connection.reply(), connection, relay)
    if connection.has_more:
        raise LoginError(
            f"{relay.name} went on in plain text after STARTTLS: somebody may be in between; "
            "nothing was sent"
        )
    _secure(connection, relay, context)


def _secure(connection: Connection, relay: Relay, context: ssl.SSLContext) -> None:
    try:
        connection.start_tls(context, relay.host)
    except ssl.SSLCertVerificationError as error:
        raise LoginError(
            f"{relay.name}: the certificate was not accepted ({masked(error.verify_message)}); "
            "nothing was sent; check smtp.host, or name the authority's file in SSL_CERT_FILE"
        ) from None
    except ssl.SSLError as error:
        raise LoginError(
            f"{relay.name}: TLS failed ({masked(error.reason or 'no reason given').lower()}); "
            "nothing was sent; check smtp.port and smtp.security"
        ) from None


def _must_be(code: int, reply: Reply, connection: Connection, relay: Relay) -> None:
    """Let the wanted reply pass; any other ends the session in the way its class says."""
    if reply.code == code:
        return
    answer = masked(reply.text)
    match connection.phase, reply.code // 100:
        case _, 2 | 3:
            raise LostError(connection.phase, f"unexpected answer: {answer}")
        case Phase.STARTTLS, 5:
            raise LoginError(
                f"{relay.name} refused STARTTLS: {answer}; nothing was sent, and nothing goes in "
                "plain text"
            )
        case Phase.STARTTLS, 4 if reply.code != CLOSING:
            raise ServerDownError(
                f"{relay.name} refused STARTTLS for now: {answer}; run again later"
            )
        case _, 5:
            raise ServerDownError(
                f"{relay.name} takes no mail from here ({connection.phase}): {answer}; "
                "nothing was marked failed; run again later"
            )
        case _:
            raise LostError(connection.phase, answer)


def _log_in(connection: Connection, relay: Relay, extensions: Extensions) -> None:
    mechanism = relay.auth.upper()
    offered = extensions.get("AUTH", "").split()
    if mechanism not in offered:
        raise LoginError(
            f"{relay.name} does not offer AUTH {mechanism}; it offers "
            f"{masked(', '.join(offered)) or 'no login'}; set smtp.auth to one of those"
        )
    secret = relay.secret()
    connection.start_phase(Phase.AUTH, timeout=relay.timeout)
    reply = _credentials_given(connection, relay.auth, relay.username or "", secret)
    if reply.code != 235:
        _refuse_login(reply, connection, relay, secret)


def _credentials_given(connection: Connection, auth: str, username: str, secret: str) -> Reply:
    match auth:
        case "plain":  # RFC 4616
            return _ask(connection, f"AUTH PLAIN {_base64(_plain(username, secret))}")
        case "xoauth2":
            reply = _ask(connection, f"AUTH XOAUTH2 {_base64(_bearer(username, secret))}")
            return _error_fetched(connection, reply) if reply.code == 334 else reply
        case _:
            reply = _ask(connection, "AUTH LOGIN")
            for part in (username, secret):
                if reply.code != 334:
                    return reply
                reply = _ask(connection, _base64(part))
            return reply


def _error_fetched(connection: Connection, challenge: Reply) -> Reply:
    """Answer the challenge that holds an XOAUTH2 error with an empty line, as the protocol wants."""
    reply = _ask(connection, "")
    try:
        status = json.loads(base64.b64decode(challenge.lines[0]))["status"]
    except (binascii.Error, ValueError, KeyError, TypeError, IndexError):
        return reply
    return Reply(reply.code, (*reply.lines, f"(status {masked(str(status))[:20]})"))


def _refuse_login(reply: Reply, connection: Connection, relay: Relay, secret: str) -> None:
    username = relay.username or ""
    given = (secret, _plain(username, secret), _bearer(username, secret))
    answer = masked(reply.text, secrets=(*map(_base64, given), secret))
    if reply.code // 100 == 5:
        raise LoginError(
            f"{relay.name} refused the login of {relay.username}: {answer}; nothing was sent and "
            "nothing was marked failed; check smtp.username, its password or token, and smtp.auth"
        )
    if reply.code == CLOSING or reply.code // 100 != 4:
        raise LostError(connection.phase, answer)
    raise ServerDownError(f"{relay.name} refused the login for now: {answer}; run again later")


def _plain(username: str, secret: str) -> str:
    return f"\0{username}\0{secret}"


def _bearer(username: str, secret: str) -> str:
    return f"user={username}\x01auth=Bearer {secret}\x01\x01"


def _ask(connection: Connection, line: str) -> Reply:
    connection.send(line.encode("ascii") + b"\r\n")
    return connection.reply()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


M365_LOGIN: Final = "https://login.microsoftonline.com"
M365_SCOPE: Final = "https://outlook.office365.com/.default"
"""What a client-credentials token for SMTP AUTH must be asked for with."""

_LOGIN_INCOMPLETE: Final = (
    "[smtp] username: found one and no password, expected password_file, password_env or "
    "password_command beside it"
)
_XOAUTH2_INCOMPLETE: Final = (
    '[smtp] auth: found "xoauth2" and no source of tokens, expected token_command in [smtp], or '
    "tenant, client_id and client_secret_file in [smtp.m365]"
)


def secret_source(settings: Settings) -> Callable[[], str]:
    """Return what gives the relay's password, or for xoauth2 an access token.

    Raises SettingsError, here or when called, where there is none to be had.
    """
    smtp, m365 = settings.smtp, settings.smtp.m365
    if smtp.username is None:
        return no_secret
    if smtp.auth != "xoauth2":
        return lambda: _demanded(settings.smtp_password(), _LOGIN_INCOMPLETE)
    if smtp.token_command is not None:
        return lambda: _first_line(_demanded(settings.smtp_access_token(), _XOAUTH2_INCOMPLETE))
    if m365.tenant and m365.client_id and m365.client_secret_file:
        return m365_token(
            tenant=m365.tenant,
            client_id=m365.client_id,
            client_secret=lambda: _demanded(settings.m365_client_secret(), _XOAUTH2_INCOMPLETE),
        )
    raise SettingsError(_XOAUTH2_INCOMPLETE)


def _demanded(secret: str | None, complaint: str) -> str:
    if not secret:
        raise SettingsError(complaint)
    return secret


def _first_line(printed: str) -> str:
    return printed.strip().partition("\n")[0].strip()


def m365_token(
    *, tenant: str, client_id: str, client_secret: Callable[[], str], authority: str | None = None
) -> Callable[[], str]:
    """Return what gets a token by client credentials (RFC 6749 4.4) through msal.

    msal keeps the token in memory until shortly before it expires, so that a reconnection does not
    ask again.  `authority` is for another cloud than the public one.
    """
    place, known = authority or f"{M365_LOGIN}/{tenant}", authority is None

    @cache
    def application() -> Any:
        return _application(place, client_id, client_secret(), known=known)

    return lambda: _token_from(application(), tenant)


def _application(authority: str, client_id: str, client_secret: str, *, known: bool) -> Any:
    try:
        import msal  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra, and heavy
    except ImportError:
        raise SettingsError(
            "[smtp.m365]: the library msal is not installed; "
            "install the extra: pip install 'invites[m365]'"
        ) from None
    try:
        return msal.ConfidentialClientApplication(
            client_id,
            authority=authority,
            client_credential=client_secret,
            instance_discovery=known,
            timeout=30,
        )
    except ValueError:
        raise LoginError(
            "[smtp.m365]: the sign-in service does not know this tenant; check tenant"
        ) from None
    except OSError as error:
        raise _unreachable(error) from None


def _token_from(application: Any, tenant: str) -> str:
    try:
        answer = application.acquire_token_for_client(scopes=[M365_SCOPE])
    except OSError as error:
        raise _unreachable(error) from None
    if "access_token" in answer:
        return str(answer["access_token"])
    problem = str(answer.get("error", "no reason given"))[:60]
    codes = ", ".join(f"AADSTS{code}" for code in answer.get("error_codes", ())[:3])
    raise LoginError(
        f"[smtp.m365]: no token for tenant {tenant}: {problem}{f' ({codes})' if codes else ''}; "
        "check client_id, client_secret_file and the application's SMTP.SendAsApp permission"
    )


def _unreachable(error: OSError) -> TryAgainError:
    return TryAgainError(
        f"[smtp.m365]: the sign-in service can't be reached ({type(error).__name__}); run again later"
    )
