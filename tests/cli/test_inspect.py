"""`invites inspect` as people call it: input, settings, zones, exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from invites.cli.app import run_command_line
from invites.invitation import Server
from invites.jitsi.links import join_link
from invites.jitsi.rooms import room_from_text
from invites.jitsi.tokens import Minter, SigningKey
from invites.model import Attendee, Validity

SECRET = "a-made-up-secret-of-41-bytes-for-tests-00"
SERVER = Server(
    url="https://meet.example.com",
    host="meet.example.com",
    app_id="my_app",
    subject="meet.example.com",
)
SETTINGS = f"""
[jitsi]
url = "https://meet.example.com"
app_id = "my_app"
secret = "{SECRET}"
"""
FAR = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp())
PAST = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())


def link_of(secret: str = SECRET, *, opens: int = PAST, closes: int = FAR) -> str:
    """Return a join link that is valid now unless told otherwise."""
    room = room_from_text("daily")
    attendee = Attendee(
        name="Ada Example",
        email="ada@example.com",
        mailbox="ada@example.com",
        address="ada@example.com",
    )
    key = SigningKey.from_secret(secret.encode(), "HS256")
    token = Minter(SERVER, key).for_meeting(room, Validity(not_before=opens, expires=closes))
    return join_link(SERVER, room, token(attendee))


@pytest.fixture(autouse=True)
def _nothing_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty folder, without settings of this machine's."""
    for name in os.environ:
        if name.startswith(("INVITES_", "JWT_", "XDG_", "PUBLIC_URL", "XMPP_DOMAIN")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """Return a settings file with a secret that others can't read."""
    file = tmp_path / "other.toml"
    file.write_text(SETTINGS)
    file.chmod(0o600)
    return file


def test_a_link_that_is_admitted_exits_0(
    settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the settings the signature is checked, and the verdict is the first line."""
    assert run_command_line(["inspect", link_of(), "--config", str(settings_file)]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("ADMITTED at ")
    assert "The signature is right" in told.out
    assert told.err == ""


def test_a_link_that_would_be_refused_exits_4(
    settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An expired link with another secret's signature is told both."""
    link = link_of(SECRET[::-1], closes=PAST + 60)
    assert run_command_line(["inspect", link, "--config", str(settings_file)]) == 4
    told = capsys.readouterr().out
    assert told.startswith("REFUSED at ")
    assert "It expired at 2020-01-01 00:01:00 UTC" in told
    assert "The signature is wrong" in told


@pytest.mark.parametrize(
    ("at", "code"),
    [
        ("2020-01-01T00:00:00Z", 0),
        ("2019-12-31T23:59:59Z", 4),
        ("2020-01-01T01:00:00+01:00", 0),
        ("2020-01-01 00:59:59+01:00", 4),
        ("2020-01-01T01:00", 0),
        ("2020-01-01T00:30", 4),
        ("2200-01-01T01:00", 4),
    ],
)
def test_the_exit_code_is_of_the_time_asked_for(at: str, code: int, settings_file: Path) -> None:
    """With --at the verdict there decides; without offset the time is in the zone shown."""
    arguments = ["inspect", link_of(), "--at", at, "--timezone", "Europe/Berlin"]
    assert run_command_line([*arguments, "--config", str(settings_file)]) == code


def test_without_settings_the_signature_is_said_to_be_unchecked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All else is judged, nobody is said to be admitted, and what would help is named."""
    assert run_command_line(["inspect", link_of()]) == 4
    told = capsys.readouterr().out
    assert told.startswith("DEPENDS ON THE SERVER at ")
    assert "The signature was not checked" in told
    assert "JWT_APP_SECRET" in told


def test_jitsis_own_variables_are_enough_to_check_the_signature(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who has docker-jitsi-meet's environment at hand has nothing to translate."""
    monkeypatch.setenv("JWT_APP_SECRET", SECRET)
    assert run_command_line(["inspect", link_of()]) == 0
    assert "The signature is right" in capsys.readouterr().out


def test_named_settings_that_lack_something_exit_5(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings that were asked for have to be there and whole."""
    assert run_command_line(["inspect", link_of(), "--config", "missing.toml"]) == 5
    file = tmp_path / "half.toml"
    file.write_text('[jitsi]\napp_id = "my_app"\n')
    assert run_command_line(["inspect", link_of(), "--config", str(file)]) == 5
    told = capsys.readouterr().err
    assert "missing.toml" in told
    assert "url" in told
    assert "ey" + link_of().partition("jwt=ey")[2] not in told


@pytest.mark.parametrize("what", ["", "nothing-here.eml", "a.b", ".", "eyJ.x", "x" * 5_000, "a\nb"])
def test_input_that_holds_no_token_exits_2(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is neither link, token nor file is wrong usage, and is not repeated."""
    assert run_command_line(["inspect", what]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "option", [["--at", "tomorrow"], ["--timezone", "Mars/Base"], ["--timezone", "Europe/Berln"]]
)
def test_an_option_that_makes_no_sense_exits_2(
    option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A time or zone that does not exist is named together with what was expected."""
    assert run_command_line(["inspect", link_of(), *option]) == 2
    told = capsys.readouterr().err
    assert option[0] in told
    assert "expected" in told


def test_files_are_read(
    settings_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A message and a calendar can be named as files."""
    message = tmp_path / "ada.eml"
    message.write_bytes(b"From: a@example.com\r\n\r\nJoin: " + link_of().encode() + b"\r\n")
    calendar = tmp_path / "ada.ics"
    calendar.write_text(f"BEGIN:VCALENDAR\r\nURL:{link_of()[:60]}\r\n {link_of()[60:]}\r\n")
    named = ("--config", str(settings_file))
    assert run_command_line(["inspect", str(message), *named]) == 0
    assert run_command_line(["inspect", "ada.ics", "--json", *named]) == 0
    told = capsys.readouterr().out
    assert "Found in    text part" in told
    assert '"kind": "calendar"' in told


def test_standard_input_is_read(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The dash reads standard input, which keeps the token out of the process list."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(link_of().encode())))
    assert run_command_line(["inspect", "-", "-q", "--config", str(settings_file)]) == 0
    assert capsys.readouterr().out == ""


def test_json_is_one_document_with_a_version(
    settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Programs read one document on standard output, and nothing else is there."""
    arguments = ["inspect", link_of(), "--json", "--config", str(settings_file)]
    assert run_command_line([*arguments, "--at", "2201-01-01T00:00Z"]) == 4
    told = json.loads(capsys.readouterr().out)
    assert told["version"] == 1
    assert told["admitted"] is False
    (token,) = told["tokens"]
    assert [each["admitted"] for each in token["verdicts"]] == [True, False]
    assert [each["code"] for each in token["verdicts"][1]["reasons"]] == ["expired"]


def test_neither_token_nor_secret_is_printed(
    settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is asked for, the output holds nobody's way into a meeting."""
    link = link_of()
    for more in ([], ["--json"], ["-v"], ["--at", "2201-01-01T00:00Z"]):
        run_command_line(["inspect", link, "--config", str(settings_file), *more])
    run_command_line(["inspect", link, "--timezone", "nowhere"])
    run_command_line(["inspect", link.partition("jwt=")[2] + ".x"])
    told = capsys.readouterr()
    for hidden in (link, link.partition("jwt=")[2], link.rpartition(".")[2], SECRET):
        assert hidden not in told.out + told.err


def test_the_help_shows_the_form_that_keeps_the_token_out_of_the_process_list() -> None:
    """A real call of the help names the pipe."""
    told = subprocess.run(
        [sys.executable, "-m", "invites", "inspect", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    ).stdout
    assert "| invites inspect -" in told
