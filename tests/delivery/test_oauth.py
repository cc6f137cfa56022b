"""Passwords and tokens: from the settings, a command, or Microsoft's sign-in service."""

from __future__ import annotations

import sys
import traceback
from dataclasses import replace
from pathlib import Path

import pytest

from invites import settings as settings_package
from invites.delivery.smtp import SmtpDelivery, relay_from
from invites.delivery.smtp_connection import Relay
from invites.delivery.smtp_login import m365_token, secret_source
from invites.errors import LoginError, SettingsError, TryAgainError
from tests.delivery.conftest import Recorder, messages
from tests.delivery.contract import never
from tests.peers.certificates import Authority
from tests.peers.smtp_server import ScriptedServer
from tests.peers.token_endpoint import TokenEndpoint

USER, SECRET = "meetings@example.com", "made-up-client-secret"


def settings_with(folder: Path, smtp: str) -> settings_package.Settings:
    """Return settings whose [smtp] section is `smtp`."""
    file = folder / "invites.toml"
    file.write_text(f'[smtp]\nhost = "localhost"\nusername = "{USER}"\n{smtp}')
    return settings_package.load(file, environ={})


@pytest.fixture
def endpoint(authority: Authority, monkeypatch: pytest.MonkeyPatch):  # noqa: ANN201
    """Return a sign-in service that the HTTPS library trusts."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.file))
    tls = authority.server_context()
    with TokenEndpoint(tls=tls, tenant="our-tenant", clients={"our-app": SECRET}) as running:
        yield running


def test_a_password_comes_from_its_file(tmp_path: Path) -> None:
    """The settings' own way to a password is used."""
    (tmp_path / "password").write_text("hunter2hunter2\n")
    settings = settings_with(tmp_path, 'password_file = "password"\n')
    assert relay_from(settings).secret() == "hunter2hunter2"
    assert "hunter2" not in repr(relay_from(settings))


def test_without_a_host_there_is_no_relay() -> None:
    """The error says which setting is missing."""
    with pytest.raises(SettingsError, match=r"\[smtp\] host is missing"):
        relay_from(settings_package.load(None, environ={}))


def test_a_token_command_gives_the_first_line_that_it_prints(tmp_path: Path) -> None:
    """Without a shell, and anew for each login."""
    script = tmp_path / "token.py"
    script.write_text("print('first-token')\nprint('expires later')\n")
    command = f"token_command = ['{sys.executable}', '{script}']\n"
    settings = settings_with(tmp_path, f'auth = "xoauth2"\n{command}')
    source = secret_source(settings)
    assert source() == "first-token"
    script.write_text("print('second-token')\n")
    assert source() == "second-token"


def test_a_token_command_that_fails_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    """What it printed stays unsaid."""
    script = tmp_path / "token.py"
    script.write_text("print('half-a-token'); raise SystemExit(3)\n")
    command = f"token_command = ['{sys.executable}', '{script}']\n"
    settings = settings_with(tmp_path, f'auth = "xoauth2"\n{command}')
    with pytest.raises(SettingsError, match="status 3") as raised:
        secret_source(settings)()
    assert "half-a-token" not in "".join(traceback.format_exception(raised.value))


def test_xoauth2_without_a_source_of_tokens_is_refused(tmp_path: Path) -> None:
    """Before anything is sent."""
    with pytest.raises(SettingsError, match="token_command"):
        relay_from(settings_with(tmp_path, 'auth = "xoauth2"\n'))


def test_client_credentials_log_in_at_a_mail_server(
    endpoint: TokenEndpoint, authority: Authority, journal: Recorder
) -> None:
    """The token of the sign-in service is what the mail server gets; one request serves two logins."""
    source = m365_token(
        tenant="our-tenant",
        client_id="our-app",
        client_secret=lambda: SECRET,
        authority=endpoint.authority,
    )
    with ScriptedServer(
        tls=authority.server_context(), logins={USER: endpoint.token}, messages_per_connection=1
    ) as server:
        relay = Relay(
            host="localhost",
            port=server.port,
            username=USER,
            auth="xoauth2",
            secret=source,
            ca_file=authority.file,
        )
        SmtpDelivery(relay).deliver(messages(2), journal, stop=never)
    assert [one.logged_in_as for one in server.accepted] == [USER, USER]
    assert server.connections == 2
    (form,) = endpoint.asked
    assert form["grant_type"] == "client_credentials"
    assert form["scope"] == "https://outlook.office365.com/.default"


def test_refused_client_credentials_are_said_without_the_secret(endpoint: TokenEndpoint) -> None:
    """The code helps to look it up; the description may quote the secret and is left out."""
    source = m365_token(
        tenant="our-tenant",
        client_id="our-app",
        client_secret=lambda: "wrong-client-secret",
        authority=endpoint.authority,
    )
    with pytest.raises(LoginError, match=r"invalid_client \(AADSTS7000215\)") as raised:
        source()
    assert "wrong-client-secret" not in "".join(traceback.format_exception(raised.value))


def test_a_tenant_that_is_not_known_is_a_login_error(endpoint: TokenEndpoint) -> None:
    """The remedy is a setting."""
    source = m365_token(
        tenant="other",
        client_id="our-app",
        client_secret=lambda: SECRET,
        authority=endpoint.authority.replace("our-tenant", "other"),
    )
    with pytest.raises(LoginError, match="tenant"):
        source()


def test_a_sign_in_service_that_is_down_is_for_another_run() -> None:
    """Nothing listens: exit 75."""
    source = m365_token(
        tenant="t", client_id="c", client_secret=lambda: SECRET, authority="https://localhost:9/t"
    )
    with pytest.raises(TryAgainError, match="can't be reached"):
        source()


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "msal", None)
    source = m365_token(tenant="t", client_id="c", client_secret=lambda: SECRET)
    with pytest.raises(SettingsError, match=r"invites\[m365\]"):
        source()


def test_settings_become_a_relay(tmp_path: Path) -> None:
    """Durations become seconds, the rest is as the file says."""
    (tmp_path / "password").write_text("hunter2hunter2\n")
    text = 'password_file = "password"\nrate = "30/m"\nconnections = 3\ndata_timeout = "2m"\n'
    relay = relay_from(settings_with(tmp_path, text))
    assert replace(relay, secret=len) == replace(
        Relay(
            host="localhost",
            username=USER,
            rate=relay.rate,
            connections=3,
            timeout=60.0,
            data_timeout=120.0,
        ),
        secret=len,
    )
    assert [(one.count, one.period.total_seconds()) for one in relay.rate] == [(30, 60)]
