"""`check --suggest`: from a file that somebody has to a build, in two calls of `check`."""

from __future__ import annotations

import csv
import io
import json
import shutil
from datetime import datetime
from pathlib import Path

import openpyxl
import pytest

from invites.cli.app import run_command_line
from tests.peers.terminal import at_terminal

LIBREOFFICE = Path(__file__).with_name("libreoffice")

SETTINGS = """\
# the office's own
[jitsi]
url = "https://meet.example.com"
app_id = "office"
secret = "0123456789abcdefghijABCDEFGHIJ-suggest"

[roster] # what follows is read by check
#date_format = []                      # how dates are written

[organizer]
email = "meetings@example.com"
"""

GERMAN = [
    ["Titel", "Beginn", "Ende", "Name", "Vorname", "E-Mail-Adresse", "Leitung", "", ""],
    ["Besprechung Köln", "23.03.2031 09:00", "23.03.2031 10:00", "Müßter", "Ada",
     "ada@example.org", "ja", "", ""],
    ["Besprechung Köln", "23.03.2031 09:00", "23.03.2031 10:00", "Beispiel", "Ben",
     "ben@example.com", "nein", "", ""],
    ["Kurs", "03.04.2031 14:30", "03.04.2031 15:15", "Beispiel", "Ben",
     "ben@example.com", "ja", "", ""],
]  # fmt: skip
"""What a German Excel saves as CSV (semicolons, CRLF), with two empty columns at the side."""

GOOGLE = """\
Meeting,Starts,Ends,First name,Last name,Email,Host,Notes
Weekly,3/23/2031 9:00:00,3/23/2031 10:00:00,Ada,Example,ada@example.org,TRUE,bring numbers
Weekly,3/23/2031 9:00:00,3/23/2031 10:00:00,Ben,Example,ben@example.com,FALSE,
Review,4/3/2031 14:30:00,4/3/2031 15:15:00,Ben,Example,ben@example.com,TRUE,
"""
"""A sheet in a US locale as Google Sheets downloads it: RFC 4180, ticked boxes as TRUE and FALSE."""

OUTLOOK = """\
"Subject","Start Date","Start Time","End Date","End Time","All day event","Reminder on/off",\
"Reminder Date","Reminder Time","Meeting Organizer","Required Attendees","Optional Attendees",\
"Meeting Resources","Billing Information","Categories","Description","Location","Mileage",\
"Priority","Private","Sensitivity","Show time as"
"Weekly","3/23/2031","9:00:00 AM","3/23/2031","10:00:00 AM","False","True","3/23/2031",\
"8:45:00 AM","Office","ada@example.org;ben@example.com","","","","","Numbers, and a plan","Room 1","",\
"Normal","False","Normal","2"
"Late","4/3/2031","11:30:00 PM","4/4/2031","12:15:00 AM","False","False","","","Office",\
"Ada Example <ada@example.org>","Ben Example <ben@example.com>","","","","","","","Normal","False","Normal","2"
"""
"""Outlook's calendar as "comma separated values (Windows)", its attendees with their addresses."""


def german(encoding: str) -> bytes:
    """Return the German sheet as Excel saves it."""
    return "".join(";".join(row) + "\r\n" for row in GERMAN).encode(encoding)


def workbook() -> bytes:
    """Return the German sheet as a workbook, its dates and truths in typed cells."""
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(GERMAN[0][:7])
    for row in GERMAN[1:]:
        times = [datetime.strptime(cell, "%d.%m.%Y %H:%M") for cell in row[1:3]]  # noqa: DTZ007
        book.active.append([row[0], *times, *row[3:6], row[6] == "ja"])
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


FILES = {
    "excel-cp1252.csv": german("cp1252"),
    "excel-utf-8.csv": german("utf-8-sig"),
    "excel-unicode.txt": german("utf-16"),
    "excel.xlsx": workbook(),
    "google.csv": GOOGLE.encode(),
    "outlook.csv": OUTLOOK.replace("\n", "\r\n").encode(),
}


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with settings in which commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    for name in ("INVITES_CONFIG", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "invites.toml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "invites.toml").chmod(0o600)
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_two_calls_of_check_lead_to_a_build(office: Path, name: str) -> None:
    """The file fails as it is; its settings are found and written; then it passes and is built."""
    (office / name).write_bytes(FILES[name])
    assert run_command_line(["check", name]) == 3
    assert run_command_line(["check", "--suggest", "--write", name]) == 0
    assert run_command_line(["check", name]) == 0
    now = ["--now", "2031-03-01T00:00:00Z"]
    assert run_command_line(["build", name, *now]) == 0
    lines = (office / "out/manifest.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == (5 if "outlook" in name else 4)
    assert sum(",true," in line for line in lines) == (0 if "outlook" in name else 2)
    assert "2031-03-23T08:44:00Z" in lines[-1] + lines[-2] + lines[1]


@pytest.mark.parametrize("file", sorted(LIBREOFFICE.iterdir()), ids=lambda path: path.name)
def test_what_a_german_libreoffice_saved_is_built(office: Path, file: Path) -> None:
    """LibreOffice 7.4 in a German locale: typed cells in .ods and .xlsx, WAHR and FALSCH in CSV."""
    shutil.copy(file, office / file.name)
    assert run_command_line(["check", "--suggest", "--write", file.name]) == 0
    assert run_command_line(["check", file.name]) == 0
    assert run_command_line(["build", file.name, "--now", "2031-03-01T00:00:00Z"]) == 0
    with (office / "out/manifest.csv").open(encoding="utf-8", newline="") as listing:
        rows = list(csv.DictReader(listing))
    assert [(row["email"], row["moderator"], row["not_before"]) for row in rows] == [
        ("erika@example.org", "true", "2031-03-03T08:44:00Z"),
        ("otto@example.org", "false", "2031-03-03T08:44:00Z"),
        ("joerg@example.com", "true", "2031-04-14T18:44:00Z"),
    ]


def test_times_without_a_zone_are_told(office: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A server's clock is in UTC, a sheet hardly ever: a lesson would begin an hour late."""
    (office / "r.csv").write_bytes(FILES["google.csv"])
    run_command_line(["check", "--suggest", "r.csv"])
    assert 'such as timezone = "Europe/Berlin"' in capsys.readouterr().err
    text = SETTINGS.replace("[roster]", "[roster]\ntimezone = 'UTC'")
    (office / "invites.toml").write_text(text, encoding="utf-8")
    run_command_line(["check", "--suggest", "r.csv"])
    assert "zone" not in capsys.readouterr().err


@pytest.mark.parametrize("name", FILES)
def test_check_names_what_would_help(
    office: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Whoever reads that columns are missing need not look for the command that finds them."""
    (office / name).write_bytes(FILES[name])
    run_command_line(["check", name])
    assert f"invites check --suggest {name}" in capsys.readouterr().out


def test_the_settings_keep_all_else_and_the_difference_shows_no_secret(
    office: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Comments and order stay, and only the lines that change are shown."""
    (office / "r.csv").write_bytes(FILES["excel-cp1252.csv"])
    run_command_line(["check", "--write", "r.csv"])
    said = capsys.readouterr()
    after = (office / "invites.toml").read_text(encoding="utf-8")
    assert after.startswith(SETTINGS.split("#date_format", maxsplit=1)[0])
    assert 'date_format = ["de"]                   # how dates are written\n' in after
    assert "\n[roster.columns]\n" in after
    assert '+encoding = "cp1252"' in said.out
    assert "suggest" not in said.out + said.err
    assert (office / "invites.toml").stat().st_mode & 0o777 == 0o600


def test_without_write_nothing_changes(office: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The settings are said, and how many rows would pass with them."""
    (office / "r.csv").write_bytes(FILES["google.csv"])
    assert run_command_line(["check", "--suggest", "r.csv"]) == 0
    said = capsys.readouterr().out
    assert "r.csv: 3 rows; 0 pass now" in said
    assert '  date_format = ["us"]  # month first, as in 3/23/2031 9:00:00' in said
    assert "With them 3 of 3 rows pass" in said
    assert (office / "invites.toml").read_text(encoding="utf-8") == SETTINGS


def test_an_export_s_program_is_named(office: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever exported it sees that it was known."""
    (office / "r.csv").write_bytes(FILES["outlook.csv"])
    run_command_line(["check", "--suggest", "r.csv"])
    said = capsys.readouterr().out
    assert "r.csv looks like an Outlook calendar export and has 2 rows" in said
    assert 'attendees = ["Required Attendees", "Optional Attendees"]' in said


def test_a_question_is_left_open_without_a_terminal(
    office: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Day and month that nothing tells apart are not guessed: exit 4, and both lines are said."""
    (office / "r.csv").write_text(GOOGLE.replace("3/23", "3/4"), encoding="utf-8")
    assert run_command_line(["check", "--suggest", "--write", "r.csv"]) == 4
    said = capsys.readouterr()
    assert 'date_format = ["us"] (month first, as in 3/4/2031 9:00:00)' in said.err
    assert "day first" in said.err
    assert "date_format = [" not in (office / "invites.toml").read_text("utf-8").replace(
        "#date", ""
    )


def test_a_person_answers_at_a_terminal(office: Path) -> None:
    """The order of day and month, the zone, and whether the difference is to be written."""
    (office / "r.csv").write_text(GOOGLE.replace("3/23", "3/4"), encoding="utf-8")
    turns = [("Which one?", "1"), ("Which one?", "1"), ("Write this?", "y")]
    call = at_terminal(office, ["check", "--suggest", "--write", "r.csv"], *turns, TZ="Asia/Tokyo")
    after = (office / "invites.toml").read_text(encoding="utf-8")
    assert call.code == 0
    assert 'date_format = ["%d/%m/%Y %H:%M:%S"]' in after
    assert 'timezone = "Asia/Tokyo"' in after
    assert run_command_line(["check", "r.csv"]) == 0


def test_a_person_says_no(office: Path) -> None:
    """Enter is no yes."""
    (office / "r.csv").write_bytes(FILES["google.csv"])
    call = at_terminal(office, ["check", "--suggest", "--write", "r.csv"], ("Write this?", ""))
    assert call.code == 4
    assert "nothing was written" in call.shown
    assert (office / "invites.toml").read_text(encoding="utf-8") == SETTINGS


def test_programs_get_one_document(office: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is said to people is there for programs too."""
    (office / "r.csv").write_bytes(FILES["google.csv"])
    assert run_command_line(["check", "--suggest", "--json", "r.csv"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["rows_read"], document["rows_passing"]) == (3, 0)
    assert document["rows_that_would_pass"] == 3
    assert {"section": "roster.columns", "key": "title", "value": "Meeting", "why": ""} in document[
        "settings"
    ]
    assert (document["written"], document["questions"]) == (False, [])


def test_what_no_setting_mends_is_said_and_ends_in_a_refusal(
    office: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The problems that are left stand on stderr as `check` has them."""
    (office / "r.csv").write_text(GOOGLE.replace("ben@example.com", "ben"), encoding="utf-8")
    assert run_command_line(["check", "--suggest", "r.csv"]) == 3
    said = capsys.readouterr()
    assert "With them 1 of 3 rows pass" in said.out
    assert "row 3, column email" in said.err.lower()


def test_without_a_settings_file_there_is_nothing_to_write_to(
    office: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names what makes one."""
    (office / "invites.toml").unlink()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(office))
    (office / "r.csv").write_bytes(FILES["google.csv"])
    assert run_command_line(["check", "--suggest", "--write", "r.csv"]) == 5
    assert "invites init" in capsys.readouterr().err
