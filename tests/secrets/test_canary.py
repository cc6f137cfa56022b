"""A secret and the tokens stand where they belong and nowhere else."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from icalendar import Calendar

from invites import settings
from invites.invitation import Invitation, Kind, Revision
from invites.messages import Composer, Verifier
from invites.roster.csv_file import read_table
from invites.roster.parse import parse_roster
from invites.settings import Settings
from invites.templating import Templates
from tests.secrets.canary import CANARY, SETTINGS, TOKEN, holds_secret, holds_token, layers
from tests.support import COMMAND, NOW, ROOT, SAMPLE, Answer, process, write_settings

Invites = Callable[..., Answer]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a settings file with the canary as secret."""
    return write_settings(tmp_path, SETTINGS)


@pytest.fixture
def loaded(config: Path) -> Settings:
    """Return the settings."""
    return settings.load(config, environ={})


def test_the_search_finds_what_is_hidden() -> None:
    """Plain, in base64, in base64 of a MIME part, and a token in each."""
    token = b"eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJlc2lnbmF0dXJl"
    for hidden in (CANARY.encode(), b"xx" + CANARY.encode() + b"yy"):
        wrapped = base64.encodebytes(b"some text before " + hidden + b" and after")
        assert holds_secret(hidden)
        assert holds_secret(b"log: " + wrapped)
        assert holds_secret(b"From: a\r\nContent-Transfer-Encoding: base64\r\n\r\n" + wrapped)
    assert holds_token(b"x " + token)
    assert holds_token(base64.b64encode(b"x " + token))
    assert not holds_secret(b"nothing to see here" * 100)
    assert not holds_token(b"nothing to see here" * 100)


@pytest.mark.parametrize("form", ["files", "mbox", "tar"])
def test_only_messages_and_calendar_files_hold_tokens_and_nothing_the_secret(
    invites: Invites, config: Path, form: str
) -> None:
    """Neither the streams, nor the manifest, the index, or a file's name.

    The pages in the meetings' folders are the mails' HTML, and hold the link as those do.
    """
    call = ("build", SAMPLE, "--config", config, "--now", NOW, "--as", form, "-v")
    said = invites(*call)
    assert said.code == 0
    document = invites(*call, "--json")
    for text in (said.out, said.err, document.out, document.err):
        assert not holds_secret(text.encode())
        assert not holds_token(text.encode())
    carriers = {".eml", ".ics", ".mbox", ".tar"}
    for path in Path("out").rglob("*"):
        assert not holds_secret(str(path).encode())
        assert not holds_token(str(path).encode())
        carries = path.suffix in carriers or (path.suffix == ".html" and path.parent.name != "out")
        if path.is_file() and not carries:
            content = path.read_bytes()
            assert not holds_secret(content)
            assert not holds_token(content)
    if form == "files":
        messages = [path.read_bytes() for path in Path("out").glob("night-watch*/*")]
        assert len(messages) == 9
        assert all(holds_token(content) for content in messages)
        assert not any(holds_secret(content) for content in messages)


def test_no_repr_shows_secret_token_or_link(loaded: Settings) -> None:
    """Settings, key, composer, verifier, invitation, and lists of them."""
    composer = Composer.from_settings(loaded, templates=Templates.load())
    verifier = Verifier(
        composer.sender.server, mailbox="meetings@example.com", key=loaded.signing_key()
    )
    invitations = sample_invitations(composer, loaded)
    for invitation in invitations:
        verifier.check(invitation)
    values = [
        loaded,
        loaded.jitsi,
        loaded.signing_key(),
        composer,
        composer.sender,
        vars(composer),
        verifier,
        vars(verifier),
        invitations,
    ]
    for value in values:
        for shown in (repr(value), str(value), f"{value!r:>10}"):
            assert not holds_secret(shown.encode())
            assert not holds_token(shown.encode())


def sample_invitations(composer: Composer, loaded: Settings) -> list[Invitation]:
    """Return the messages of the sample's first meeting."""
    roster = parse_roster(read_table(str(SAMPLE)), loaded.roster_rules())
    stamp = datetime.fromisoformat(NOW)
    revision = Revision(kind=Kind.INVITATION, sequence=0, dtstamp=stamp)
    meeting = roster.meetings[0]
    return list(composer.compose_all([(meeting, meeting.attendees)], revision))


class Failing(Composer):
    """A composer that fails in the middle, with a link at hand."""

    def compose_all(self, *positional: object, **named: object) -> Iterator[Invitation]:
        """Yield one message and fail."""
        invitations = super().compose_all(*positional, **named)  # type: ignore[arg-type]
        yield next(invitations)
        held = next(invitations)
        assert held.eml
        raise RuntimeError("a fault of our own")


@pytest.mark.parametrize("flags", [(), ("-v",), ("-v", "--json"), ("-q",)])
def test_a_failure_shows_neither_secret_nor_token(
    invites: Invites, config: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]
) -> None:
    """An unexpected one, with its traceback where that is asked for."""
    monkeypatch.setattr("invites.messages.Composer", Failing)
    answer = invites("build", SAMPLE, "--config", config, "--now", NOW, *flags)
    assert answer.code == 1
    assert ("Traceback" in answer.err) is ("-v" in flags)
    for text in (answer.out, answer.err):
        assert not holds_secret(text.encode())
        assert not holds_token(text.encode())
    assert not Path("out").exists()


def test_a_traceback_with_all_local_values_shows_no_secret(loaded: Settings) -> None:
    """Also where a tool prints the values of each frame, their reprs hide what is secret."""
    composer = Failing.from_settings(loaded, templates=Templates.load())
    try:
        sample_invitations(composer, loaded)
    except RuntimeError as error:
        whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    text = "".join(whole.format()).encode()
    assert b"held = Invitation(" in text
    assert not holds_secret(text)
    assert not holds_token(text)


def test_a_weak_secret_that_is_allowed_is_nobody_elses_to_warn_of(tmp_path: Path) -> None:
    """No library prints a warning of its own, with the secret's length."""
    weak = SETTINGS.replace(CANARY, "short").replace(
        "[organizer]", "allow_weak_secret = true\n[organizer]"
    )
    write_settings(tmp_path, weak)
    build = (*COMMAND, "build", SAMPLE, "-q", "--now", NOW)
    ended = process(tmp_path, *build, PYTHONWARNINGS="error")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_a_weak_secret_is_refused_without_being_shown(invites: Invites, tmp_path: Path) -> None:
    """What is too short is as secret as what is not."""
    weak = "short-Canary-4711"
    config = write_settings(tmp_path, SETTINGS.replace(CANARY, weak))
    answer = invites("build", SAMPLE, "--config", config, "-v")
    assert answer.code == 5
    assert weak not in answer.out + answer.err
    assert "weak" in answer.err or "bytes" in answer.err


@pytest.mark.parametrize(
    "broken",
    [
        SETTINGS.replace("app_id", "ap_id"),
        SETTINGS.replace("the_app", 'the_app"'),
        SETTINGS.replace("secret =", "secrt ="),
        SETTINGS.replace("https://meet.example.com", "ftp://x y"),
        SETTINGS.replace("[organizer]", "algorithm = 'HS1'\n[organizer]"),
        SETTINGS.replace(f"'{CANARY}'", f"['{CANARY}']"),
        SETTINGS.replace(f"'{CANARY}'", f"'{CANARY}"),
    ],
)
def test_a_broken_settings_file_is_told_without_its_secret(
    invites: Invites, tmp_path: Path, broken: str
) -> None:
    """Whatever is wrong with it, also at the secret itself."""
    answer = invites("build", SAMPLE, "--config", write_settings(tmp_path, broken), "-v", "--json")
    assert answer.code == 5
    for text in (answer.out, answer.err):
        assert not holds_secret(text.encode())


def test_a_settings_file_that_others_can_read_may_hold_no_secret(
    invites: Invites, config: Path
) -> None:
    """It is refused, and the secret is not shown."""
    config.chmod(0o644)
    answer = invites("build", SAMPLE, "--config", config)
    assert answer.code == 5
    assert not holds_secret(answer.err.encode())


def test_nothing_is_logged(
    invites: Invites, config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No library's log, at its most talkative, holds secret or token."""
    with caplog.at_level(logging.DEBUG):
        assert (
            invites("build", SAMPLE, "--config", config, "--now", NOW, "--verify", "all").code == 0
        )
    assert not holds_secret(caplog.text.encode())
    assert not holds_token(caplog.text.encode())


def test_the_secret_is_no_argument_of_a_process(config: Path, tmp_path: Path) -> None:
    """What the kernel shows of the program's arguments and files' names is free of it."""
    arguments = ["build", str(SAMPLE), "--config", str(config), "--out", str(tmp_path / "out")]
    show = "open('/proc/self/cmdline', 'rb').read()"
    code = (
        "import sys; from invites.cli.app import run_command_line;"
        f"code = run_command_line({arguments!r}); sys.stdout.buffer.write({show}); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        cwd=ROOT,
        check=True,
        timeout=60,
        env={**os.environ},
    )
    assert not holds_secret(done.stdout)
    assert not holds_token(done.stdout)


def test_a_message_holds_its_own_token_alone(invites: Invites, config: Path) -> None:
    """No attendee can find another one's link in what they get."""
    assert invites("build", SAMPLE, "--config", config, "--now", NOW).code == 0
    links = {}
    for path in Path("out").glob("*/*.ics"):
        (event,) = Calendar.from_ical(path.read_bytes()).walk("VEVENT")
        links[path.with_suffix("")] = str(event["url"]).partition("jwt=")[2].encode()
    assert len(set(links.values())) == 33
    for stem, own in links.items():
        content = b"".join(layers(stem.with_suffix(".eml").read_bytes()))
        assert own in content
        assert set(TOKEN.findall(content)) == {own}
