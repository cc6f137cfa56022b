"""`invites build` as people and programs see it: words, streams, documents, exit codes."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import COMMAND, NOW, ROOT, SAMPLE, SETTINGS, Answer, write_settings

Invites = Callable[..., Answer]
HEADER = "meeting_id,title,start,end,name,email\n"
ROW = "weekly,Weekly,2031-03-03 09:00,2031-03-03 10:00,Ada Example,ada@example.org\n"
BAD_ROW = "weekly,Weekly,2031-03-03 09:00,2031-03-03 10:00,Bob Example,bob\n"
DEMO = ("--demo", "--now", NOW)


@pytest.fixture
def roster(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that writes roster.csv from lines after the header."""

    def write(text: str) -> str:
        (tmp_path / "roster.csv").write_text(HEADER + text, encoding="utf-8")
        return "roster.csv"

    return write


def test_the_sample_builds_without_settings(invites: Invites) -> None:
    """At least thirty invitations, into ./out, with words about the demonstration."""
    answer = invites("build", SAMPLE, *DEMO)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("33 invitations (8 as moderator) to 8 meetings, from 36 rows of ")
    assert "left out: 0 meetings over, 1 cancelled\n" in answer.out
    assert "DEMO: signed with a secret made for this run alone" in answer.out
    assert answer.out.endswith("open out/index.html\n")
    assert Path("out/index.html").is_file()


def test_a_demonstration_says_so_in_each_mail_event_and_on_the_page(invites: Invites) -> None:
    """Nobody takes its links for real ones."""
    invites("build", SAMPLE, *DEMO)
    events = list(Path("out").glob("*/*.ics"))
    assert len(events) == 33
    for path in events:
        said = path.read_text("utf-8").replace("\n ", "")
        assert any(word in said for word in ("DEMO", "DÉMO", "GÖSTERİM", "ДЕМО", "デモ", "توضيحي"))
    assert "demonstration" in Path("out/index.html").read_text("utf-8")


def test_a_folder_of_templates_brings_its_languages(invites: Invites, tmp_path: Path) -> None:
    """Its catalogs count for warnings as well, whether a setting or the flag names the folder."""
    (tmp_path / "mine" / "catalogs").mkdir(parents=True)
    (tmp_path / "mine/catalogs/sv.po").write_text(
        'msgid "Invitation"\nmsgstr "Inbjudan"\n', encoding="utf-8"
    )
    row = "m,Planning,2031-12-02 09:00,2031-12-02 10:00,Ada,ada@example.org,sv\n"
    header = "meeting_id,title,start,end,name,email,language\n"
    (tmp_path / "roster.csv").write_text(header + row, encoding="utf-8")
    assert "sv" in invites("build", "roster.csv", *DEMO).err
    answer = invites("build", "roster.csv", *DEMO, "--templates", "mine")
    assert (answer.code, answer.err) == (0, "")
    (page,) = Path("out").glob("*/*.html")
    assert "Inbjudan" in page.read_text("utf-8")
    write_settings(tmp_path, SETTINGS + '[mail]\nlanguage = "sv"\n')
    now = ("--now", NOW)
    assert "no catalog" in invites("build", "roster.csv", *now).err
    assert invites("build", "roster.csv", *now, "--templates", "mine").err == ""


def test_two_demonstrations_sign_with_different_secrets(invites: Invites) -> None:
    """The secret is made for the run."""
    for out in ("one", "two"):
        invites("build", SAMPLE, *DEMO, "--meeting", "night-watch", "--out", out)
    one, two = (next(Path(out).glob("*/*.ics")).read_bytes() for out in ("one", "two"))
    assert one != two


def test_settings_come_from_jitsis_own_names_in_the_environment(
    invites: Invites, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file is needed where the environment gives what is."""
    for name, value in {
        "PUBLIC_URL": "https://meet.example.org",
        "JWT_APP_ID": "docker_app",
        "JWT_APP_SECRET": "0123456789abcdef0123456789abcdef-and-more",
        "INVITES_ORGANIZER__EMAIL": "meetings@example.org",
    }.items():
        monkeypatch.setenv(name, value)
    assert invites("build", SAMPLE, "--now", NOW).code == 0
    text = next(Path("out").glob("night-watch*/*.ics")).read_text("utf-8").replace("\n ", "")
    assert "URL:https://meet.example.org/" in text


def test_a_roster_comes_from_standard_input(
    invites: Invites, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-` reads it, and the words say where from."""
    fake = io.TextIOWrapper(io.BytesIO((HEADER + ROW).encode()), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", fake)
    answer = invites("build", "-", *DEMO)
    assert answer.code == 0
    assert "1 invitation (0 as moderator) to 1 meeting, from 1 row of standard input" in answer.out


def test_the_json_document_is_all_of_standard_output(invites: Invites) -> None:
    """One document with a version; what is said to people goes to stderr."""
    answer = invites("build", SAMPLE, *DEMO, "--json")
    document = answer.document()
    assert answer.code == 0
    assert document == {
        "version": 1,
        "command": "build",
        "out": "out",
        "form": "files",
        "demo": True,
        "manifest": "out/manifest.csv",
        "rows_read": 36,
        "rows_accepted": 36,
        "rows_rejected": 0,
        "rows_repeated": 0,
        "meetings": 8,
        "meetings_over": 0,
        "meetings_cancelled": 1,
        "invitations": 33,
        "moderators": 8,
        "read_back": document["read_back"],
        "warnings": [],
        "problems": [],
    }
    assert "33 invitations" in answer.err


def test_an_error_is_a_json_document_too(invites: Invites, roster: Callable[[str], str]) -> None:
    """With its kind, text, exit code and problems."""
    answer = invites("build", roster(BAD_ROW), *DEMO, "--json")
    document = answer.document()
    assert answer.code == document["exit_code"] == 3
    assert document["error"]["kind"] == "RosterRefused"
    (problem,) = document["problems"]
    assert (problem["row"], problem["column"], problem["found"]) == (2, "email", "bob")


def test_quiet_says_nothing_where_all_is_well(invites: Invites) -> None:
    """And keeps what went wrong."""
    assert invites("build", SAMPLE, *DEMO, "-q") == Answer(0, "", "")


def test_one_meeting_is_chosen_by_its_id(invites: Invites) -> None:
    """`--meeting` builds it alone."""
    answer = invites("build", SAMPLE, *DEMO, "--meeting", "night-watch")
    assert answer.out.startswith("3 invitations (1 as moderator) to 1 meeting, from 36 rows")
    assert len(list(Path("out").glob("*/"))) == 1


def test_verify_all_reads_every_message_back(invites: Invites) -> None:
    """Without it a sample is read; with it all."""
    answer = invites("build", SAMPLE, *DEMO, "--verify", "all", "--json")
    assert answer.document()["read_back"] == 33


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("mbox", ["index.html", "invitations.mbox", "manifest.csv"]),
        ("tar", ["index.html", "invitations.tar", "manifest.csv"]),
    ],
)
def test_one_file_holds_all_messages_where_it_is_asked_for(
    invites: Invites, form: str, names: list[str]
) -> None:
    """Beside the manifest and the page; it replaces a build of another form."""
    assert invites("build", SAMPLE, *DEMO).code == 0
    assert invites("build", SAMPLE, *DEMO, "--as", form).code == 0
    assert sorted(path.name for path in Path("out").iterdir()) == names


def test_nothing_left_to_make_is_a_warning(invites: Invites) -> None:
    """Exit 0, an empty build, and a count of why."""
    answer = invites("build", SAMPLE, "--demo", "--now", "2040-01-01T00:00:00Z")
    assert answer.code == 0
    assert answer.err == "warning: nothing is left to make: 9 meetings over, 0 cancelled\n"
    assert Path("out/manifest.csv").read_bytes().count(b"\r\n") == 1


def test_faulty_rows_are_left_out_where_that_is_asked_for(
    invites: Invites, roster: Callable[[str], str]
) -> None:
    """Each is named, the rest is made, and the exit code says so."""
    answer = invites("build", roster(ROW + BAD_ROW), *DEMO, "--skip-invalid")
    assert answer.code == 4
    assert answer.err == (
        'roster.csv: row 3, column email: found "bob", '
        "expected one address such as ada@example.org\n"
    )
    assert "left out for their problems: 1 row\n" in answer.out
    assert "1 invitation (" in answer.out


def test_a_repeated_row_is_made_once(invites: Invites, roster: Callable[[str], str]) -> None:
    """And counted."""
    answer = invites("build", roster(ROW + ROW), *DEMO)
    assert answer.code == 0
    assert "1 invitation (" in answer.out
    assert "made once: 1 row that another row says too" in answer.out


def _file_for_out() -> None:
    Path("out").touch()


def _foreign_folder() -> None:
    Path("out").mkdir()
    Path("out/thesis.txt").touch()


def _spoilt(name: str, content: str) -> Callable[[], None]:
    def write() -> None:
        Path("mine").mkdir()
        (Path("mine") / name).write_text(content, "utf-8")

    return write


def _latin_1() -> None:
    Path("roster.csv").write_bytes((HEADER + ROW).replace("Ada", "Zoë").encode("latin-1"))


def _workbook() -> None:
    Path("roster.csv").write_bytes(b"PK\x03\x04" + b"\0" * 60)


def _nothing() -> None:
    return


SAMPLE_DEMO = ("build", str(SAMPLE), "--demo")
MISTAKES: dict[str, tuple[Callable[[], None], tuple[str, ...], int, str]] = {
    "no roster named": (_nothing, ("build", "--demo"), 2, "Missing argument 'ROSTER'"),
    "a roster that is not there": (_nothing, ("build", "no.csv", "--demo"), 2, "no.csv: there is no"),
    "a folder as roster": (_nothing, ("build", ".", "--demo"), 2, ". is a folder"),
    "an unknown option": (_nothing, (*SAMPLE_DEMO, "--outt", "x"), 2, "No such option"),
    "an unknown form": (_nothing, (*SAMPLE_DEMO, "--as", "zip"), 2, "expected files, mbox or tar"),
    "an unknown verification": (_nothing, (*SAMPLE_DEMO, "--verify", "some"), 2, "expected all"),
    "an unknown meeting": (_nothing, (*SAMPLE_DEMO, "--meeting", "x"), 2, "expected a meeting_id of"),
    "a time without offset": (_nothing, (*SAMPLE_DEMO, "--now", "2031-01-01T00:00"), 2, "without offset"),
    "no time at all": (_nothing, (*SAMPLE_DEMO, "--now", "tomorrow"), 2, "expected a time with offset"),
    "a time before all": (_nothing, (*SAMPLE_DEMO, "--now", "0001-01-01T00:00:00+14:00"), 2, "from 1970"),
    "a time after all": (_nothing, (*SAMPLE_DEMO, "--now", "9999-12-31T23:59:59-14:00"), 2, "to 9998"),
    "a file as output": (_file_for_out, SAMPLE_DEMO, 2, "out: found a file, expected a folder"),
    "somebody's folder as output": (_foreign_folder, SAMPLE_DEMO, 2, "thesis.txt"),
    "the root as output": (_nothing, (*SAMPLE_DEMO, "--out", "/"), 2, "a folder of its own"),
    "no settings": (_nothing, ("build", str(SAMPLE)), 5, "[jitsi] app_id: found nothing"),
    "settings that are not there": (
        _nothing, ("build", str(SAMPLE), "--config", "no.toml"), 5, "no.toml",
    ),
    "templates that are not there": (_nothing, (*SAMPLE_DEMO, "--templates", "no"), 5, "no: no such folder"),
    "a template that does not compile": (
        _spoilt("invitation.txt.j2", "{% if %}"),
        (*SAMPLE_DEMO, "--templates", "mine"), 5, "invitation.txt.j2: line 1",
    ),
    "a template with an unknown name": (
        _spoilt("invitation.subject.j2", "\n{{ meetng.title }}"),
        (*SAMPLE_DEMO, "--templates", "mine"), 5, 'invitation.subject.j2: line 2: found "meetng"',
    ),
    "a template whose link has a neighbour": (
        _spoilt("join.txt.j2", "Join: {{ link }}\n"),
        (*SAMPLE_DEMO, "--templates", "mine"), 5, "alone on a line of its own",
    ),
    "a template without a button": (
        _spoilt("invitation.html.j2", "<p>No link</p>"),
        (*SAMPLE_DEMO, "--templates", "mine"), 5, 'expected <a href="{{ link }}">',
    ),
    "a template without a subject": (
        _spoilt("invitation.subject.j2", "  \n"),
        (*SAMPLE_DEMO, "--templates", "mine"), 5, "the subject template of invitation: found no text",
    ),
    "a roster that is not UTF-8": (_latin_1, ("build", "roster.csv", "--demo"), 3, "UTF-8"),
    "a workbook as roster": (_workbook, ("build", "roster.csv", "--demo"), 3, "xlsx"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_users_mistake_is_told_in_words(invites: Invites, mistake: str) -> None:
    """An exit code, words that name it, nothing on stdout, no traceback, nothing written."""
    prepare, arguments, code, words = MISTAKES[mistake]
    prepare()
    before = sorted(Path().rglob("*"))
    answer = invites(*arguments)
    assert (answer.code, answer.out) == (code, "")
    assert words in answer.err
    assert "Traceback" not in answer.err
    assert "unexpected" not in answer.err
    assert sorted(Path().rglob("*")) == before


def test_a_source_date_epoch_that_is_no_time_is_told(
    invites: Invites, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In words, with exit 2."""
    for value in ("yesterday", "-1", "99999999999999", "1.5"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", value)
        answer = invites("build", SAMPLE, "--demo")
        assert answer.code == 2
        assert answer.err.startswith("invites: SOURCE_DATE_EPOCH: found ")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "")
    assert invites("build", SAMPLE, "--demo").code == 0


def test_all_missing_settings_are_named_at_once(invites: Invites) -> None:
    """Each with every way to give it."""
    answer = invites("build", SAMPLE)
    for name in ("[jitsi] app_id", "[jitsi] url", "[jitsi] secret", "[organizer] email"):
        assert f"{name}: found nothing" in answer.err
    assert "JWT_APP_SECRET" in answer.err


def test_the_program_ends_quietly_where_nobody_reads(tmp_path: Path) -> None:
    """A pipe that is closed is no traceback."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, "build", SAMPLE, *DEMO, "--json", "--out", tmp_path / "out"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=60,
    )
    os.close(write)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert done.returncode == 1


def test_colours_and_bars_stay_off_a_stream_that_is_no_terminal(invites: Invites) -> None:
    """Output that is read by programs has no escape sequences."""
    answer = invites("build", SAMPLE, *DEMO)
    assert "\x1b" not in answer.out + answer.err


def on_a_terminal(*arguments: str, **environ: str) -> tuple[int, str]:
    """Run the program with a terminal as standard error and return its code and what it shows."""
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", **environ},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    return done.wait(60), shown.decode()


@pytest.mark.parametrize(
    ("flags", "environ", "bar", "colours"),
    [
        ((), {}, True, True),
        ((), {"NO_COLOR": "1"}, True, False),
        (("-q",), {}, False, False),
    ],
)
def test_long_work_shows_a_bar_on_a_terminal(
    roster: Callable[[str], str],
    tmp_path: Path,
    flags: tuple[str, ...],
    environ: dict[str, str],
    *,
    bar: bool,
    colours: bool,
) -> None:
    """With colours unless NO_COLOR forbids them; `-q` keeps it away."""
    roster("".join(ROW.replace("ada@", f"ada{number}@") for number in range(600)))
    call = ("build", str(tmp_path / "roster.csv"), "--out", str(tmp_path / "out"), *DEMO, *flags)
    code, shown = on_a_terminal(*call, **environ)
    assert code == 0
    assert ("Building invitations" in shown) is bar
    assert (re.search(r"\x1b\[[0-9;]*3[0-9;]*m", shown) is not None) is colours
