"""`invites doctor` as people and monitoring call it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from invites import ledger
from tests.peers.smtp_server import Fault, ScriptedServer
from tests.support import SECRET, SETTINGS, Answer, write_settings

Invites = Callable[..., Answer]
JOB = """
[[job]]
name = "nightly"
roster = "roster.csv"
at = "02:15"
retry_for = "3h"
"""
ROSTER = """meeting_id,title,start,end,name,email
m1,Planning,2031-03-01 09:00,2031-03-01 09:30,Ada,ada@example.org
"""
NIGHT = datetime(2031, 2, 1, 1, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a job, its roster and an empty ledger."""
    write_settings(tmp_path, SETTINGS + JOB)
    roster = tmp_path / "roster.csv"
    roster.write_text(ROSTER, encoding="utf-8")
    os.utime(roster, (NIGHT.timestamp() - 3600,) * 2)
    ledger.create(f"sqlite:///{tmp_path / 'invites.db'}")
    return tmp_path


@pytest.fixture
def relay() -> Iterator[ScriptedServer]:
    """Give a server that accepts everything."""
    with ScriptedServer() as server:
        yield server


def said(answer: Answer, check: str) -> list[str]:
    """Return the weights of what was found about `check`."""
    found = answer.document()["findings"]
    return [finding["weight"] for finding in found if finding["check"] == check]


def looked(invites: Invites, moment: datetime, *flags: str) -> Answer:
    """Look at this moment."""
    with time_machine.travel(moment, tick=False):
        return invites("doctor", "--json", *flags)


@pytest.mark.usefixtures("folder")
def test_everything_that_is_listed_is_looked_at(invites: Invites) -> None:
    """Settings, secret, time zone data, templates, ledger, jobs, delivery, and Jitsi's pitfalls."""
    with time_machine.travel(NIGHT, tick=False):
        invites("run")
    answer = looked(invites, NIGHT)
    assert answer.code == 0
    for check in ("settings", "secret", "templates", "ledger", "job nightly", "delivery"):
        assert said(answer, check), check
    assert "hint" in said(answer, "jitsi")
    assert SECRET not in answer.out


@pytest.mark.usefixtures("folder")
def test_each_fault_comes_with_its_remedy(invites: Invites, tmp_path: Path) -> None:
    """A missing secret and a template with a fault: exit 5, and what to do about each."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "labels.txt.j2").write_text("{% if %}", encoding="utf-8")
    text = SETTINGS.replace(f'secret = "{SECRET}"', "") + '[mail]\ntemplates = "mine"\n' + JOB
    write_settings(tmp_path, text)
    answer = invites("doctor")
    assert answer.code == 5
    assert "fault  secret: [jitsi] secret: found nothing" in answer.err
    assert "labels.txt.j2" in answer.err


@pytest.mark.usefixtures("folder")
def test_settings_that_cannot_be_read_are_the_first_fault(invites: Invites, tmp_path: Path) -> None:
    """Each line of the error is a finding."""
    write_settings(tmp_path, SETTINGS + "\n[smpt]\nhost = 'x'\n")
    answer = invites("doctor", "--json")
    assert answer.code == 5
    assert said(answer, "settings") == ["fault"]


def test_a_missing_ledger_is_a_fault(invites: Invites, folder: Path) -> None:
    """Exit 5, also with `--jobs`: nobody knows then whether the nights were done."""
    (folder / "invites.db").unlink()
    assert invites("doctor", "--jobs").code == 5


@pytest.mark.usefixtures("folder")
def test_a_job_that_did_its_last_due_time_is_well(invites: Invites) -> None:
    """`--jobs` is 0 before the first due time, while it has its time, and after it was done."""
    with time_machine.travel(NIGHT, tick=False):
        invites("run")
    due = NIGHT.replace(hour=2, minute=15)
    assert looked(invites, NIGHT, "--jobs").code == 0
    assert looked(invites, due + timedelta(minutes=10), "--jobs").code == 0
    with time_machine.travel(due + timedelta(minutes=12), tick=False):
        assert invites("run").code == 0
    assert looked(invites, due + timedelta(hours=20), "--jobs").code == 0


@pytest.mark.usefixtures("folder")
def test_a_job_that_nobody_woke_up_for_is_missed(invites: Invites) -> None:
    """A quarter of an hour after the due time without an attempt: exit 5."""
    with time_machine.travel(NIGHT, tick=False):
        invites("run")
    answer = looked(invites, NIGHT.replace(hour=2, minute=31), "--jobs")
    assert answer.code == 5
    (finding,) = answer.document()["findings"]
    assert "nothing has run it" in finding["text"]
    assert "invites schedule" in finding["remedy"]


def test_a_due_time_that_is_still_tried_is_late_until_it_completed(
    invites: Invites, folder: Path
) -> None:
    """A lock that somebody else holds mends itself, and yet nothing has gone out."""
    due = NIGHT.replace(hour=2, minute=15)
    with time_machine.travel(NIGHT, tick=False):
        invites("run")
    with (
        ledger.open_ledger(f"sqlite:///{folder / 'invites.db'}", lock=True),
        time_machine.travel(due, tick=False),
    ):
        assert invites("run").code == 75
    assert looked(invites, due + timedelta(minutes=14), "--jobs").code == 0
    for minutes in (16, 180):
        answer = looked(invites, due + timedelta(minutes=minutes), "--jobs")
        assert answer.code == 5
        assert "was due 2031-02-01 02:15 UTC" in answer.document()["findings"][0]["text"]
    with time_machine.travel(due + timedelta(minutes=181), tick=False):
        assert invites("run").code == 0
    assert looked(invites, due + timedelta(minutes=182), "--jobs").code == 0


def test_due_times_are_told_by_the_jobs_own_clock(invites: Invites, folder: Path) -> None:
    """With its zone, for nobody's nightly run is at that hour in UTC."""
    write_settings(folder, SETTINGS + JOB + 'timezone = "Asia/Kathmandu"\n')
    with time_machine.travel(NIGHT, tick=False):
        invites("run")
    answer = looked(invites, NIGHT, "--jobs")
    assert "next due 2031-02-02 02:15 Asia/Kathmandu" in answer.document()["findings"][0]["text"]


def test_a_missed_night_is_late_until_the_next_one_completed(
    invites: Invites, folder: Path
) -> None:
    """Also in the quarter of an hour after the next due time, and while that one is tried."""
    roster = (folder / "roster.csv").read_text(encoding="utf-8")
    (folder / "roster.csv").unlink()
    due = NIGHT.replace(hour=2, minute=15)
    for moment in (NIGHT, due, due + timedelta(hours=4)):
        with time_machine.travel(moment, tick=False):
            invites("run")
    following = due + timedelta(days=1)
    answer = looked(invites, following + timedelta(minutes=2), "--jobs")
    assert answer.code == 5
    assert "none has completed since" in answer.document()["findings"][0]["text"]
    (folder / "roster.csv").write_text(roster, encoding="utf-8")
    os.utime(folder / "roster.csv", (following.timestamp() - 3600,) * 2)
    with time_machine.travel(following + timedelta(minutes=3), tick=False):
        assert invites("run").code == 0
    assert looked(invites, following + timedelta(minutes=4), "--jobs").code == 0


@pytest.mark.usefixtures("folder")
def test_a_job_that_no_wake_up_has_seen_is_a_fault(invites: Invites) -> None:
    """An installation whose timer was never started is not well."""
    answer = invites("doctor", "--jobs")
    assert answer.code == 5
    assert "no wake-up has seen this job yet" in answer.err


def test_a_job_whose_roster_was_refused_is_missed(invites: Invites, folder: Path) -> None:
    """At once, for a person has to do something; and after it was closed as well."""
    (folder / "roster.csv").unlink()
    for moment in (NIGHT, NIGHT.replace(hour=2, minute=15)):
        with time_machine.travel(moment, tick=False):
            invites("run")
    answer = looked(invites, NIGHT.replace(hour=2, minute=16), "--jobs")
    assert answer.code == 5
    assert "roster (exit 3)" in answer.document()["findings"][0]["text"]
    with time_machine.travel(NIGHT.replace(hour=6), tick=False):
        invites("run")
    answer = looked(invites, NIGHT.replace(hour=7), "--jobs")
    assert answer.code == 5
    assert "missed its due time 2031-02-01 02:15 UTC" in answer.document()["findings"][0]["text"]


@pytest.mark.usefixtures("folder")
def test_the_login_at_the_mail_server_is_tried(
    invites: Invites, tmp_path: Path, relay: ScriptedServer
) -> None:
    """A login that is refused is a fault; `--offline` does not try."""
    (tmp_path / "password").touch(mode=0o600)
    (tmp_path / "password").write_text("a wrong password", encoding="utf-8")
    smtp = (
        f'[smtp]\nhost = "{relay.host}"\nport = {relay.port}\nsecurity = "none"\n'
        'username = "meetings@example.com"\npassword_file = "password"\n'
    )
    relay.logins = {"meetings@example.com": "the right password"}
    write_settings(tmp_path, SETTINGS + smtp + JOB)
    refused = invites("doctor", "--json")
    assert said(refused, "smtp") == ["fault"]
    assert "a wrong password" not in refused.out
    assert said(invites("doctor", "--json", "--offline"), "smtp") == []

    (tmp_path / "password").write_text("the right password", encoding="utf-8")
    assert said(invites("doctor", "--json"), "smtp") == ["good"]
    relay.faults = [Fault("EHLO", "drop")]
    assert said(invites("doctor", "--json"), "smtp") == ["fault"]
    assert relay.accepted == []


def test_the_look_changes_nothing(invites: Invites, folder: Path) -> None:
    """Neither a file nor the ledger: it can be asked at any time, by anybody who may read."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    invites("doctor")
    invites("doctor", "--jobs")
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {path.name for path in after} - {path.name for path in before} <= {
        "invites.db-shm",
        "invites.db-wal",
    }
    assert all(after[path] == content for path, content in before.items())


ENV = """# of the server
ENABLE_AUTH=1
AUTH_TYPE=jwt
JWT_APP_ID=the_app
ENABLE_AUTO_OWNER=0
XMPP_MUC_MODULES=token_affiliation
"""


def at_the_door(answer: Answer) -> list[dict[str, str]]:
    """Return what is said of the people at the door."""
    found = answer.document()["findings"]
    return [finding for finding in found if finding["check"] == "at the door"]


@pytest.mark.usefixtures("folder")
def test_a_servers_own_env_says_what_each_person_will_be(invites: Invites, tmp_path: Path) -> None:
    """With jicofo's authentication left to docker's default everybody moderates: a fault."""
    file = tmp_path / "server.env"
    file.write_text(ENV, encoding="utf-8")
    answer = invites("doctor", "--offline", "--json", "--jitsi-env", str(file))
    assert answer.code == 5
    assert [one["weight"] for one in at_the_door(answer)] == ["good", "fault", "good"]
    assert "JICOFO_ENABLE_AUTH=0" in at_the_door(answer)[1]["remedy"]

    file.write_text(f"{ENV}JICOFO_ENABLE_AUTH=0\n", encoding="utf-8")
    answer = invites("doctor", "--offline", "--json", "--jitsi-env", str(file))
    assert [one["weight"] for one in at_the_door(answer)] == ["good", "good", "good"]


@pytest.mark.usefixtures("folder")
def test_prosodys_own_file_is_looked_at(invites: Invites, tmp_path: Path) -> None:
    """What stands in jicofo.conf is a hint there, with that file's line."""
    file = tmp_path / "host.cfg.lua"
    file.write_text(
        'VirtualHost "meet.example.com"\n  authentication = "token"\n  app_id = "other"\n'
        'Component "conference.meet.example.com" "muc"\n'
        '  modules_enabled = { "token_verification" }\n',
        encoding="utf-8",
    )
    answer = invites("doctor", "--offline", "--prosody", str(file))
    assert answer.code == 5
    said = 'who is marked moderator in the roster is not let in: iss will be "'
    assert said in answer.err
    assert '"token_affiliation"' in answer.err
    assert "jicofo.conf" in answer.err


@pytest.mark.usefixtures("folder")
def test_a_server_file_that_cannot_be_read_is_wrong_usage(invites: Invites, tmp_path: Path) -> None:
    """Exit 2, and its name can't drive the terminal; nor can both kinds be looked at."""
    answer = invites("doctor", "--jitsi-env", str(tmp_path / "no\x1b[2Jne"))
    assert answer.code == 2
    assert "no\\x1b[2Jne: can't be read" in answer.err
    assert invites("doctor", "--jitsi-env", "a", "--prosody", "b").code == 2


def test_control_characters_in_file_names_are_escaped(invites: Invites, folder: Path) -> None:
    """A roster's name is whatever the exporting program makes it."""
    (folder / "roster.csv").rename(folder / "ros\x1b[2Jter.csv")
    settings = folder / "invites.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace('"roster.csv"', '"*.csv"'), encoding="utf-8")
    with time_machine.travel(NIGHT, tick=False):
        answer = invites("doctor", "--offline")
    assert "\x1b" not in answer.out + answer.err
    assert r"ros\x1b[2Jter.csv" in answer.out
