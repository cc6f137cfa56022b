"""`invites run` as people and cron call it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import SETTINGS, Answer, write_settings

Invites = Callable[..., Answer]
HEADER = "meeting_id,title,start,end,name,email\n"
ADA = "m1,Planning,2031-03-01 09:00,2031-03-01 09:30,Ada,ada@example.org\n"
JOBS = """
[[job]]
name = "nightly"
roster = "nightly.csv"
at = "02:15"
[[job]]
name = "weekly"
roster = "weekly.csv"
at = "03:15"
days = "mon"
"""


@pytest.fixture
def folder(tmp_path: Path, invites: Invites) -> Path:
    """Give a folder with two jobs, a roster for the first, and a ledger."""
    write_settings(tmp_path, SETTINGS + JOBS)
    roster = tmp_path / "nightly.csv"
    roster.write_text(HEADER + ADA, encoding="utf-8")
    os.utime(roster, (1_900_000_000, 1_900_000_000))  # 2030-03-17
    answer = invites("run", "--new-ledger", *at("2031-02-01T01:00:00Z"))
    assert answer.code == 0
    return tmp_path


def at(now: str) -> tuple[str, ...]:
    """Return the flags of a trial at another time."""
    return ("--now", now, "--to", "folder")


@pytest.mark.usefixtures("folder")
def test_what_is_not_due_is_left_alone(invites: Invites) -> None:
    """It says when something is due next, and exits 0."""
    answer = invites("run", *at("2031-02-01T02:00:00Z"))
    assert answer.code == 0
    assert "nothing is due: nightly, weekly; next: nightly, 2031-02-01 02:15 UTC" in answer.out


def test_a_due_job_runs_once(invites: Invites, folder: Path) -> None:
    """The first call delivers, the second finds nothing to do."""
    first = invites("run", *at("2031-02-01T02:20:00Z"), "--json")
    again = invites("run", *at("2031-02-01T02:25:00Z"), "--json")
    (job,) = first.document()["jobs"]
    assert (job["job"], job["exit_code"], job["due"]) == ("nightly", 0, "2031-02-01T02:15:00Z")
    assert job["ended"] == {"sent": 1}
    assert again.document()["jobs"] == []
    assert len(list((folder / "outbox").rglob("*.eml"))) == 1


@pytest.mark.usefixtures("folder")
def test_lines_are_key_value_pairs_where_there_is_no_terminal(invites: Invites) -> None:
    """What a journal keeps can be searched by its keys."""
    answer = invites("run", *at("2031-02-01T02:20:00Z"))
    assert "level=info event=job_done job=nightly due=2031-02-01T02:15:00Z exit=0" in answer.out


@pytest.mark.usefixtures("folder")
def test_quiet_says_nothing_of_a_good_night(invites: Invites) -> None:
    """`-q` is cron's: a mail comes only when something is wrong."""
    answer = invites("run", "-q", *at("2031-02-01T02:20:00Z"))
    assert (answer.code, answer.out, answer.err) == (0, "", "")


@pytest.mark.usefixtures("folder")
def test_of_several_jobs_the_first_code_of_the_list_is_the_whole_ones(invites: Invites) -> None:
    """Monday 2031-02-03: nightly is done (0), weekly's roster is missing (3): 3."""
    answer = invites("run", *at("2031-02-03T04:00:00Z"), "--json")
    codes = {job["job"]: job["exit_code"] for job in answer.document()["jobs"]}
    assert codes == {"nightly": 0, "weekly": 3}
    assert answer.code == 3


@pytest.mark.usefixtures("folder")
def test_an_unknown_job_is_refused_with_the_nearest_name(invites: Invites) -> None:
    """Wrong usage (2), before anything is done."""
    answer = invites("run", "nigthly")
    assert answer.code == 2
    assert 'did you mean "nightly"?' in answer.err


@pytest.mark.usefixtures("folder")
def test_force_runs_the_named_job_and_no_other(invites: Invites) -> None:
    """Whether due or not; the others are not looked at."""
    answer = invites("run", "nightly", "--force", *at("2031-02-01T02:00:00Z"), "--json")
    assert [job["job"] for job in answer.document()["jobs"]] == ["nightly"]


@pytest.mark.parametrize(
    "flags",
    [
        ("--force",),
        ("--now", "2031-02-01T02:20:00Z"),
        ("--now", "2031-02-01T02:20:00Z", "--to", "smtp"),
        ("--to", "pigeon"),
        ("--accept", "yes"),
        ("--dry-run", "--new-ledger"),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("folder")
def test_flags_that_make_no_sense_are_refused(invites: Invites, flags: tuple[str, ...]) -> None:
    """Wrong usage is 2 and does nothing."""
    answer = invites("run", *flags)
    assert answer.code == 2
    assert answer.out == ""


def test_a_dry_run_shows_and_leaves_everything(invites: Invites, folder: Path) -> None:
    """With `--now` and no delivery: nothing is written, and the job stays due."""
    flags = ("--now", "2031-02-01T02:20:00Z", "--dry-run", "--json")
    first, again = invites("run", *flags), invites("run", *flags)
    assert first.document()["jobs"][0]["plan"]["counts"]["new"] == 1
    assert again.document()["jobs"][0]["plan"]["counts"]["new"] == 1
    assert not (folder / "outbox").exists()


def test_a_ledger_that_is_missing_is_an_error(invites: Invites, folder: Path) -> None:
    """Exit 5, never silently a new one: everybody would be invited twice."""
    (folder / "invites.db").unlink()
    answer = invites("run")
    assert answer.code == 5
    assert not (folder / "invites.db").exists()


def test_settings_without_a_job_are_an_error(invites: Invites, tmp_path: Path) -> None:
    """Exit 5 and where to find an example."""
    write_settings(tmp_path)
    answer = invites("run")
    assert answer.code == 5
    assert "found no [[job]]" in answer.err


@pytest.mark.parametrize("fault", ["a symbolic link", "not UTF-8"])
def test_a_planted_file_refuses_its_job_and_never_the_others(
    invites: Invites, folder: Path, fault: str
) -> None:
    """One such file in a folder stopped every job, or had any file of the account read."""
    rosters = folder / "in"
    rosters.mkdir()
    secret = rosters / "planted"
    secret.write_text("hunter2\n")
    if fault == "not UTF-8":
        secret.rename(os.fsdecode(os.fsencode(rosters) + b"/M\xe4r.csv"))
    else:
        (rosters / "b.csv").symlink_to(secret)
    settings = SETTINGS + JOBS + '[[job]]\nname = "third"\nroster = "in/*.csv"\nat = "02:15"\n'
    write_settings(folder, settings)
    invites("run", *at("2031-02-01T02:20:00Z"))  # the first look at a new job
    answer = invites("run", *at("2031-02-02T02:20:00Z"), "--json")
    found = {job["job"]: job["exit_code"] for job in answer.document()["jobs"]}
    assert (answer.code, found) == (3, {"nightly": 0, "third": 3})
    assert fault in answer.err + answer.out
    assert "hunter2" not in answer.err + answer.out
