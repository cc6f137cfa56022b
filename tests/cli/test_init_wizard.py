"""`invites init` at a real terminal: it asks, tests each answer at once, and writes the settings."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from invites import settings as settings_package
from invites.cli.init import example_settings
from tests.peers.smtp_server import ScriptedServer
from tests.peers.terminal import at_terminal
from tests.support import COMMAND, process

SECRET = "0123456789abcdefghijABCDEFGHIJ-wizard"
PASSWORD = "correct horse battery"
URL = "Address of your Jitsi server"
APP = "App id"
HIDDEN = "App secret"
MAILBOX = "Mailbox that invites"
NAME = "Its name"
LANGUAGE = "Language"
MAIL_SERVER = "Mail server"
AGAIN = "r asks again"
NO_JITSI = [(URL, ""), (APP, ""), (HIDDEN, "")]
NOBODY = [(MAILBOX, ""), (NAME, ""), (LANGUAGE, "")]


class Pages(BaseHTTPRequestHandler):
    """A web server's pages: Jitsi's configuration below /, nothing of Jitsi below /other."""

    def do_GET(self) -> None:
        """Answer as a Jitsi Meet where `jitsi` says so."""
        body = (
            b"var config = { hosts: { domain: 'meet.jitsi' } };" if self.server.jitsi else b"hello"
        )  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serving(*, jitsi: bool) -> Iterator[str]:
    """Yield the address of a web server."""
    with HTTPServer(("127.0.0.1", 0), Pages) as server:
        server.jitsi = jitsi  # type: ignore[attr-defined]
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def jitsi() -> Iterator[str]:
    """Give a server that looks like a Jitsi Meet."""
    yield from serving(jitsi=True)


@pytest.fixture
def other() -> Iterator[str]:
    """Give a web server that is something else."""
    yield from serving(jitsi=False)


def mode(path: Path) -> int:
    """Return a file's mode."""
    return stat.S_IMODE(path.stat().st_mode)


def test_answers_become_settings_that_work(tmp_path: Path, jitsi: str) -> None:
    """Each is tested at once; the secret is never shown and goes into a file of its own."""
    with ScriptedServer() as server:
        shown = at_terminal(
            tmp_path, ["init"], (URL, jitsi), (APP, "office"), (HIDDEN, SECRET),
            (MAILBOX, "meetings@example.com"), (NAME, ""), (LANGUAGE, "de"),
            (MAIL_SERVER, "127.0.0.1"), ("Port", str(server.port)), ("Security", ""),
            ("User name", ""),
        )  # fmt: skip
    assert shown.code == 0
    assert "it answers, and is a Jitsi Meet" in shown.shown
    assert "it is long enough" in shown.shown
    assert "it works: 127.0.0.1" in shown.shown
    assert SECRET not in shown.shown
    assert SECRET not in (tmp_path / "invites.toml").read_text(encoding="utf-8")
    assert mode(tmp_path / "jitsi.secret") == mode(tmp_path / "invites.toml") == 0o600
    found = settings_package.load(tmp_path / "invites.toml", environ={})
    assert (found.jitsi.url, found.jitsi.app_id) == (jitsi, "office")
    assert (found.organizer.email, found.organizer.name) == ("meetings@example.com", "Meetings")
    assert (found.mail.language, found.delivery.to) == ("de", "smtp")
    assert (found.smtp.port, found.smtp.security, found.smtp.username) == (
        server.port,
        "none",
        None,
    )
    built = process(tmp_path, *COMMAND, "build", "roster.csv")
    assert built.code == 0, built.err


def test_a_failed_test_says_what_to_do_and_lets_go_on(tmp_path: Path, other: str) -> None:
    """The server may be up tomorrow, and a weak secret may be all that there is for a trial."""
    shown = at_terminal(
        tmp_path, ["init"], (URL, other), (AGAIN, ""), (APP, "office"),
        (HIDDEN, "weak"), (AGAIN, ""), *NOBODY, (MAIL_SERVER, ""),
    )  # fmt: skip
    assert shown.code == 0
    assert "does not look like a Jitsi Meet" in shown.shown
    assert "it is weak: it has 4 bytes" in shown.shown
    assert "openssl rand -hex 32" in shown.shown
    found = settings_package.load(tmp_path / "invites.toml", environ={})
    assert (found.jitsi.url, found.jitsi.allow_weak_secret) == (other, True)
    assert "Fill in the organizer's email" in shown.shown


def test_r_asks_again(tmp_path: Path, jitsi: str) -> None:
    """A name with a slip is typed once more; what can be no address at all is asked anyway."""
    shown = at_terminal(
        tmp_path, ["init"], (URL, "http://user@x"), (URL, "http://127.0.0.1:1"), (AGAIN, "r"),
        (URL, jitsi), (APP, ""), (HIDDEN, ""), (MAILBOX, "meetings@example"),
        (MAILBOX, "meetings@example.com"), (NAME, "Office"), (LANGUAGE, "sv"), (AGAIN, "r"),
        (LANGUAGE, "de-AT"), (MAIL_SERVER, ""),
    )  # fmt: skip
    assert shown.code == 0
    assert "it does not answer this machine" in shown.shown
    found = settings_package.load(tmp_path / "invites.toml", environ={})
    assert (found.jitsi.url, found.organizer.name) == (jitsi, "Office")
    assert "mails would be in English: there are texts in ar, de," in shown.shown
    assert found.mail.language == "de-AT"


def test_a_mail_server_that_refuses_the_login_is_told(tmp_path: Path) -> None:
    """The password goes into its file, whatever the server says, and nowhere else."""
    with ScriptedServer(logins={"me": "another password"}) as server:
        shown = at_terminal(
            tmp_path, ["init"], *NO_JITSI, *NOBODY, (MAIL_SERVER, "127.0.0.1"),
            ("Port", str(server.port)), ("Security", ""), ("User name", "me"),
            ("Password", PASSWORD), (AGAIN, ""),
        )  # fmt: skip
    assert shown.code == 0
    assert "535" in shown.shown
    assert PASSWORD not in shown.shown + (tmp_path / "invites.toml").read_text(encoding="utf-8")
    assert mode(tmp_path / "smtp.password") == 0o600
    found = settings_package.load(tmp_path / "invites.toml", environ={})
    assert (found.smtp.username, found.smtp_password()) == ("me", PASSWORD)


def test_enter_all_the_way_leaves_the_shipped_settings(tmp_path: Path) -> None:
    """Only what has a default of its own is written out."""
    shown = at_terminal(tmp_path, ["init"], *NO_JITSI, *NOBODY, (MAIL_SERVER, ""))
    assert shown.code == 0
    assert "Fill in url, app_id, secret and the organizer's email" in shown.shown
    before = example_settings().read_text(encoding="utf-8").splitlines()
    after = (tmp_path / "invites.toml").read_text(encoding="utf-8").splitlines()
    assert [line.split("#")[0].strip() for line in after if line not in before] == [
        'language = "en"'
    ]
    assert not (tmp_path / "jitsi.secret").exists()


def test_settings_that_are_there_are_not_asked_for(tmp_path: Path) -> None:
    """Nothing is overwritten, so there is nothing to ask."""
    (tmp_path / "invites.toml").write_text("[jitsi]\n", encoding="utf-8")
    shown = at_terminal(tmp_path, ["init"])
    assert shown.code == 0
    assert URL not in shown.shown


def test_quiet_is_not_asked(tmp_path: Path) -> None:
    """A script at a terminal says -q."""
    shown = at_terminal(tmp_path, ["init", "-q"])
    assert (shown.code, shown.shown) == (0, "")
