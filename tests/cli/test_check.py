"""`invites check` as people and programs see it: lines, document, exit code."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from invites.cli.app import run_command_line
from tests.support import Answer
from tests.world import ADA, BOB, CommandWorld

HEADER = "meeting_id,title,start,end,name,email\n"
ROW = "weekly,Weekly,2031-03-03 09:00,2031-03-03 10:00,Ada Example,ada@example.org\n"
SAMPLE = Path(__file__).parents[2] / "sample_roster.csv"
ROOT = str(SAMPLE.parent)


@dataclass(frozen=True)
class Done:
    """What a call came to."""

    returncode: int
    stdout: str
    stderr: str


Check = Callable[..., Done]


@pytest.fixture
def check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Done]]:
    """Give what runs `invites check` in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("INVITES_CONFIG", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    handler = signal.getsignal(signal.SIGTERM)

    def checking(*arguments: str, roster: str | None = None) -> Done:
        if roster is not None:
            (tmp_path / "roster.csv").write_bytes(roster.encode())
        code = run_command_line(["check", *arguments])
        said = capsys.readouterr()
        return Done(int(code), said.out, said.err)

    yield checking
    signal.signal(signal.SIGTERM, handler)


def test_a_good_roster_is_summed_up(check: Check) -> None:
    """Rows, meetings and attendees are counted on stdout and nothing is said on stderr."""
    done = check(str(SAMPLE))
    assert (done.returncode, done.stderr) == (0, "")
    assert "36 rows, 9 meetings (0 over), 36 attendees, 0 warnings" in done.stdout


def test_rows_that_list_each_date_are_summed_up_as_what_they_became(
    check: Check, tmp_path: Path
) -> None:
    """How many rows became how many series, and which dates stay single and why."""
    (tmp_path / "invites.toml").write_text('[roster]\nseries = "title"\n')
    rows = "".join(
        f"m{at},{title},2031-03-{day:02} {clock}:00,2031-03-{day:02} {clock}:30,Ada,ada@example.org\n"
        for at, (title, day, clock) in enumerate(
            [("Maths", day, "09") for day in (3, 10, 17, 24)]
            + [("Talk", day, "18") for day in (4, 9, 20, 29)]
        )
    )
    done = check("roster.csv", roster=HEADER + rows)
    assert done.returncode == 0, done.stderr
    assert '4 rows became 1 series of 4 dates ([roster] series = "title")' in done.stdout
    assert (
        '"Talk": 4 dates stay meetings of their own: its 4 dates follow no rule that Outlook can '
        "express" in done.stdout
    )
    document = json.loads(check("roster.csv", "--json").stdout)
    assert (document["joined"]["rows"], document["meetings"]) == (4, 5)
    assert len(document["joined"]["single"]) == 1


def test_a_series_is_summed_up_with_its_dates_and_the_life_of_its_links(check: Check) -> None:
    """How many meetings repeat, on how many dates, and up to how many days a link admits."""
    rows = HEADER.replace("email", "email,recurrence,exclude") + ROW.replace(
        "example.org\n", "example.org,weekly x 10,2031-03-17\n"
    )
    done = check("roster.csv", "--now", "2031-01-01T00:00:00Z", roster=rows)
    assert done.returncode == 0
    assert done.stdout.splitlines()[1] == (
        "1 meeting of these repeats, on 9 dates; each series has one link, which admits from the "
        "first date to the last: up to 64 days"
    )
    document = json.loads(check("roster.csv", "--json").stdout)
    assert (document["series"], document["dates"]) == (1, 9)


def test_every_problem_is_one_line_of_the_documented_form(check: Check) -> None:
    """FILE: row N, column NAME: found "…", expected …, all of them, and exit 3."""
    bad = ROW.replace("2031-03-03 10:00", "2031-13-01 10:00").replace("ada@", '"x ""\ny')
    done = check("roster.csv", roster=HEADER + ROW + bad.replace("example.org\n", 'example.org"\n'))
    assert done.returncode == 3
    lines = done.stderr.splitlines()
    assert lines[0] == (
        'roster.csv: row 3, column end: found "2031-13-01 10:00", '
        "expected a date and time such as 2026-01-31 10:00; months are 01 to 12"
    )
    assert lines[1].startswith(r'roster.csv: row 3, column email: found "x \"\ny')
    assert len(lines) == 2


def test_json_is_one_document_and_stdout_has_nothing_else(check: Check) -> None:
    """Each problem has its row, column, what was found and expected."""
    done = check("roster.csv", "--json", roster=HEADER + ROW.replace("ada@", "a..b@"))
    document = json.loads(done.stdout)
    assert done.returncode == 3
    assert (document["version"], document["refused"], document["rows_read"]) == (1, True, 1)
    (problem,) = document["problems"]
    assert (problem["row"], problem["column"]) == (2, "email")
    assert problem["found"] == "a..b@example.org"
    assert "row 2, column email" in done.stderr


def test_skipping_is_exit_4_and_reports_what_was_left_out(check: Check) -> None:
    """The rest is in order, and the left-out row is still named."""
    roster = HEADER + ROW + ROW.replace("ada@", "a..b@")
    done = check("roster.csv", "--skip-invalid", "--json", roster=roster)
    document = json.loads(done.stdout)
    assert done.returncode == 4
    assert (document["rows_accepted"], document["rows_rejected"]) == (1, 1)
    assert "roster.csv: row 3, column email" in done.stderr


def test_a_roster_that_is_not_there_is_exit_2(check: Check) -> None:
    """The name is in the message."""
    done = check("nosuch.csv")
    assert done.returncode == 2
    assert "nosuch.csv" in done.stderr


def test_a_missing_final_line_end_is_warned_about(check: Check) -> None:
    """It is no problem for check, somebody should look, and it counts as a warning."""
    done = check("roster.csv", roster=(HEADER + ROW).rstrip("\n"))
    assert done.returncode == 0
    text = "the file ends without a line end; its last row may be cut"
    assert done.stderr == f"warning: roster.csv: {text}\n"
    assert "1 row, 1 meeting (0 over), 1 attendee, 1 warning\n" in done.stdout
    (warning,) = json.loads(check("roster.csv", "--json").stdout)["warnings"]
    assert warning == {"row": None, "column": None, "text": text}


def test_one_problem_in_one_row_is_said_in_the_singular(check: Check) -> None:
    """And two in the plural."""
    bad = ROW.replace("ada@", "a..b@")
    done = check("roster.csv", roster=HEADER + bad)
    assert done.stdout == "roster.csv is refused: 1 problem in 1 row\n"
    done = check("roster.csv", roster=HEADER + bad + bad)
    assert done.stdout == "roster.csv is refused: 2 problems in 2 rows\n"


def test_quiet_says_nothing_of_a_good_roster(check: Check) -> None:
    """Only what went wrong is worth a word."""
    done = check("roster.csv", "-q", roster=HEADER + ROW)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_now_decides_what_is_over(check: Check) -> None:
    """The clock is an argument."""
    done = check("roster.csv", "--now", "2031-03-03T10:00:00Z", roster=HEADER + ROW)
    assert "(1 over)" in done.stdout


def test_check_touches_nothing(check: Check, tmp_path: Path) -> None:
    """The folder has the roster alone, before and after."""
    check("roster.csv", roster=HEADER + ROW)
    assert [path.name for path in tmp_path.iterdir()] == ["roster.csv"]


@pytest.fixture
def by_hand(invites: Callable[..., Answer], tmp_path: Path) -> CommandWorld:
    """Return a world whose roster went out by hand before a job was set up for it."""
    world = CommandWorld.ready(invites, tmp_path)
    world.send([ADA, BOB])
    world.sections = '[[job]]\nname = "nightly"\nroster = "roster.csv"\nat = "02:15"\n'
    world.write_settings()
    return world


def test_check_names_the_claim_that_the_first_job_needs(by_hand: CommandWorld) -> None:
    """The roster itself is right: the ledger knows that the meeting was sent by hand."""
    asked = ("check", "roster.csv", "--now", by_hand.now)
    answer = by_hand.invites(*asked)
    assert answer.code == 0
    (line,) = [line for line in answer.err.splitlines() if "--claim default" in line]
    assert line.startswith(
        'warning: send would refuse: roster.csv: row 2, column meeting_id: found "standup"'
    )
    assert len(by_hand.invites(*asked, "--json").document()["would_refuse"]) == 1
    by_hand.send([ADA, BOB], "--claim", "default")
    assert by_hand.invites(*asked).err == ""


@pytest.mark.parametrize("ledger", [None, b"", b"no ledger at all"])
def test_a_ledger_that_tells_nothing_is_no_fault_of_the_roster(
    ledger: bytes | None, by_hand: CommandWorld, tmp_path: Path
) -> None:
    """Absent, empty or damaged: the roster is checked as without one; -v says what was not seen."""
    (tmp_path / "invites.db").unlink()
    if ledger is not None:
        (tmp_path / "invites.db").write_bytes(ledger)
    answer = by_hand.invites("check", "roster.csv", "--now", by_hand.now, "-v")
    assert answer.code == 0
    assert "send would refuse" not in answer.err
    assert ("was not looked at" in answer.err) is bool(ledger)


def test_a_terminal_gets_a_table_as_well(tmp_path: Path) -> None:
    """Markup in a cell is text in the table, and the lines on stderr stay unwrapped."""
    (tmp_path / "roster.csv").write_text(HEADER + ROW.replace("ada@example.org", "[red]x[/red]"))
    primary, secondary = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "invites", "check", "roster.csv"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": ROOT, "TERM": "xterm", "COLUMNS": "100"},
        stdout=secondary,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    os.close(secondary)
    shown = os.read(primary, 100_000).decode()
    os.close(primary)
    assert done.returncode == 3
    assert "1 problem" in shown
    assert "[red]x[/red]" in shown
    assert done.stderr.decode().count("\n") == 1


def test_each_column_that_is_missing_is_told(check: Check) -> None:
    """Problems of the header are not alike: one line for all would hide what to mend."""
    done = check("roster.csv", roster="meeting_id,title,room\nm,Weekly,r\n")
    told = [line for line in done.stderr.splitlines() if "is missing" in line]
    assert [line.split('"')[1] for line in told] == ["start", "end", "name", "email"]
