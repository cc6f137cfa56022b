"""The files in deploy/ are what systemd, cron and this program take."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from invites.due.attempts import Obstacle
from invites.errors import Exit
from invites.settings.layers import CREDENTIALS

DEPLOY = Path(__file__).parents[2] / "deploy"
SYSTEMD = DEPLOY / "systemd"
PROGRAM = "/opt/invites/bin/invites"
EXPOSURE_AT_MOST = 20
"""Tenths of systemd's own scale, on which an unprotected service has 9.6."""

SERVICES = ("invites.service", "invites-run.service")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Return a folder with our units, whose program is one that is there."""
    for unit in SYSTEMD.iterdir():
        text = unit.read_text("utf-8").replace(PROGRAM, sys.executable)
        (tmp_path / unit.name).write_text(text, "utf-8")
    return tmp_path


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze, which needs no running systemd for what is asked of it here."""
    program = shutil.which("systemd-analyze")
    assert program is not None
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.peer("systemd-analyze")
@pytest.mark.parametrize("unit", [*SERVICES, "invites-run.timer"])
def test_systemd_finds_nothing_wrong_in_a_unit(units: Path, unit: str) -> None:
    """`systemd-analyze verify` knows every key and value, and says nothing."""
    verified = analyze("verify", units / unit)
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.peer("systemd-analyze")
def test_systemd_would_find_a_key_that_is_misspelled(units: Path) -> None:
    """The check above can fail."""
    unit = units / "invites.service"
    unit.write_text(unit.read_text("utf-8").replace("ProtectHome=", "ProtectHomes="), "utf-8")
    assert "ProtectHomes" in analyze("verify", unit).stderr


@pytest.mark.peer("systemd-analyze")
@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_is_shut_off_as_systemd_measures_it(units: Path, unit: str) -> None:
    """Its exposure is low; what is left is the network that mail needs."""
    threshold = f"--threshold={EXPOSURE_AT_MOST}"
    assert analyze("security", "--offline=true", threshold, units / unit).returncode == 0
    assert analyze("security", "--offline=true", "--threshold=5", units / unit).returncode != 0


@pytest.mark.peer("systemd-analyze")
def test_the_timer_elapses_every_five_minutes_whatever_the_clocks_do() -> None:
    """Its calendar is in UTC, in which no time is skipped."""
    calendar = settings_of("invites-run.timer")["OnCalendar"]
    shown = analyze("calendar", "--iterations=3", "--base-time=2026-03-29 00:58:00 UTC", calendar)
    times = re.findall(r"2026-03-29 (\d\d:\d\d:\d\d) UTC", shown.stdout)
    assert list(dict.fromkeys(times)) == ["01:00:00", "01:05:00", "01:10:00"]


def settings_of(unit: str) -> dict[str, str]:
    """Return the keys of a unit, the last value of each."""
    lines = (SYSTEMD / unit).read_text("utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {key: value for key, _, value in pairs}


@pytest.mark.parametrize("unit", SERVICES)
def test_each_credential_has_a_name_that_the_settings_know(unit: str) -> None:
    """A credential of another name would be loaded and never read."""
    text = (SYSTEMD / unit).read_text("utf-8")
    names = re.findall(r"^LoadCredential=([^:\n]+):/", text, re.MULTILINE)
    assert names == ["jitsi.secret", "smtp.password"]
    assert set(names) <= CREDENTIALS.keys()


@pytest.mark.parametrize("unit", SERVICES)
def test_no_unit_holds_a_secret_or_runs_as_root(unit: str) -> None:
    """Secrets come as credentials, and the account has no rights."""
    settings = settings_of(unit)
    assert settings["User"] == "invites"
    assert settings["CapabilityBoundingSet"] == ""
    assert not re.search(r"SECRET|PASSWORD", (SYSTEMD / unit).read_text("utf-8"))


def test_both_services_are_shut_off_alike() -> None:
    """What protects one protects the other."""
    ours = [settings_of(unit) for unit in SERVICES]
    differing = {
        key for key in ours[0].keys() | ours[1].keys() if ours[0].get(key) != ours[1].get(key)
    }
    assert differing <= {
        "Description",
        "Type",
        "ExecStart",
        "ExecReload",
        "Restart",
        "RestartSec",
        "RestartPreventExitStatus",
        "TimeoutStartSec",
        "WantedBy",
    }


@pytest.mark.parametrize("unit", SERVICES)
def test_a_stop_by_signal_is_no_failure_of_the_unit(unit: str) -> None:
    """Exit 75 means that the next start goes on; systemd is told so."""
    assert settings_of(unit)["SuccessExitStatus"] == str(int(Obstacle.STOPPED.exit_code))


def test_the_service_is_not_started_again_where_only_a_person_can_help() -> None:
    """Wrong usage and wrong settings would fail every thirty seconds."""
    codes = settings_of("invites.service")["RestartPreventExitStatus"].split()
    assert codes == [str(int(Exit.USAGE)), str(int(Exit.SETTINGS))]


def test_the_crontab_has_one_line_that_looks_every_five_minutes() -> None:
    """Five fields, the account, the command; never a job's own time."""
    lines = (DEPLOY / "crontab").read_text("utf-8").splitlines()
    (job,) = [line for line in lines if line[:1] in "*0123456789"]
    assert job.split() == ["*/5", "*", "*", "*", "*", "invites", PROGRAM, "run", "-q"]


def test_the_image_runs_as_a_numbered_account_and_has_a_health_check() -> None:
    """A number lets a cluster see that it is not root."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    final = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", final, re.MULTILINE)
    assert "HEALTHCHECK" in final
    (command,) = re.findall(r"^  CMD (\[.*\])$", final, re.MULTILINE)
    program, flag, code = json.loads(command)
    assert (program, flag) == ("python", "-c")
    compile(code, "healthcheck", "exec")
    listen = re.search(r"INVITES_SCHEDULE__LISTEN=(\S+)", final)
    assert listen is not None
    assert listen[1] in code


def test_the_image_copies_what_is_there() -> None:
    """Every file that the build copies is in the project, and none is kept from it."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").split()
    sources = [
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
        for name in line.split()[:-1]
    ]
    assert sources
    for name in sources:
        assert f"!{name}" in allowed
        assert (DEPLOY.parent / name).exists(), name


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_leaves_no_core_file_and_has_bounds(unit: str) -> None:
    """The secret is in memory; a fault is to end the service, not the machine."""
    lines = (SYSTEMD / unit).read_text("utf-8").splitlines()
    assert {"LimitCORE=0", "MemoryMax=2G", "TasksMax=64"} <= set(lines)
