"""What the documentation shows is true: its commands run, its settings exist, its links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from docs import reference
from invites.cli.app import COMMANDS, command_named
from invites.settings.sections import SECTIONS, Job
from tests.peers.smtp_server import ScriptedServer
from tests.support import ROOT, Answer

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
WEEK = ROOT / "docs" / "first-week.md"
ADA, BEN, CLEO = "ada@example.com", "ben@example.org", "cleo@example.com"
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def fenced(page: Path, *languages: str) -> Iterator[str]:
    """Yield the blocks of a page that are marked as one of these languages."""
    for language, block in _FENCED.findall(page.read_text(encoding="utf-8")):
        if language in languages:
            yield block


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of each call of the program that a page's blocks show."""
    for block in fenced(page, "sh", ""):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.match(r"(?:\$ )?(?:\S*/)?invites (?P<words>.+)", line)
            if found:
                yield shlex.split(re.split(r" [<>|] ?", found["words"])[0], comments=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_command_that_is_shown_is_understood(page: Path) -> None:
    """Its name, its options and their values are those of the program."""
    for name, *rest in commands(page):
        assert name in COMMANDS, name
        command = command_named(name)
        words = [word for word in rest if word != "…"]
        with command.make_context(f"invites {name}", words):
            pass


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_setting_that_is_shown_exists(page: Path) -> None:
    """Its section, its key; values that a reader puts in stand as an ellipsis."""
    for block in fenced(page, "toml"):
        for section, found in tomllib.loads(block).items():
            tables = found if isinstance(found, list) else [found]
            model = Job if section == "job" else SECTIONS[section]
            for table in tables:
                known = model.model_fields if model else table
                assert set(table) <= set(known), f"[{section}]"


@pytest.mark.parametrize(
    ("name", "made"),
    [("settings.md", reference.settings_page), ("invites.1", reference.manual_page)],
)
def test_the_pages_that_are_made_from_the_code_are_those_of_now(
    name: str, made: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m docs.reference` writes them anew."""
    monkeypatch.setenv("COLUMNS", reference.WIDTH)
    monkeypatch.setenv("TERMINAL_WIDTH", reference.WIDTH)
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == made()


def test_the_site_builds_and_each_link_leads_somewhere(tmp_path: Path) -> None:
    """Pages, anchors and pictures; a warning is an error."""
    ended = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "site" / "first-week" / "index.html").is_file()


def test_links_of_the_readme_lead_to_files_that_are_there() -> None:
    """The site does not have it, so that mkdocs says nothing of them."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_first_week_can_be_lived(
    invites: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command of the page, in its order, with a mail server; nobody is mailed twice."""
    with ScriptedServer() as server:
        monkeypatch.setenv("INVITES_SMTP__HOST", server.host)
        monkeypatch.setenv("INVITES_SMTP__PORT", str(server.port))
        monkeypatch.setenv("INVITES_SMTP__SECURITY", "none")
        monkeypatch.setenv("INVITES_DELIVERY__TO", "smtp")
        for name, *rest in commands(WEEK):
            if name == "preview":
                continue  # it stays until somebody ends it; tests/preview has it
            answer = invites(name, *rest)
            assert answer.code == 0, (name, rest, answer.err)
            if name == "init":
                monkeypatch.chdir(tmp_path / "meetings")
                _fill_in(Path("invites.toml"), _job_of_the_week())
            elif (name, rest) == ("send", ["roster.csv"]):
                roster = Path("roster.csv").read_text(encoding="utf-8")
                Path("roster.csv").write_text(roster.replace("15:15", "15:30"), encoding="utf-8")
    receivers = [one.recipient for one in server.accepted]
    assert receivers[:4] == ["me@example.com"] * 4
    assert sorted(receivers[4:8]) == [ADA, BEN, BEN, CLEO]
    assert sorted(receivers[8:]) == [BEN, CLEO], "the night updates the two of the moved meeting"


def test_the_readme_can_be_followed(
    invites: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command, in its order, in a folder that the first of them made."""
    run = []
    for name, *rest in commands(ROOT / "README.md"):
        if name == "preview":
            continue  # it stays until somebody ends it; tests/preview has it
        answer = invites(name, *rest)
        assert answer.code == 0, (name, rest, answer.err)
        run.append(name)
        if name == "init":
            monkeypatch.chdir(tmp_path / "meetings")
            _fill_in(Path("invites.toml"))
    assert run == ["init", "check", "build", "check", "try", "plan", "send"]


SERVER = """\
PUBLIC_URL=https://meet.example.com
ENABLE_AUTH=1
AUTH_TYPE=jwt
JWT_APP_ID=my_app
JWT_APP_SECRET=a secret of the first week, long enough 0123456789
"""
ANSWERS = {"inspect": 4, "doctor": 5}
"""A link that does not admit yet, for the meeting is in some days; a line of the server to change."""

OTHERS = [page for page in PAGES if page not in (WEEK, ROOT / "README.md") and any(commands(page))]


@pytest.mark.parametrize("page", OTHERS, ids=lambda page: page.name)
def test_the_commands_of_the_other_pages_run(
    invites: Callable[..., Answer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    page: Path,
) -> None:
    """One after the other, where somebody has been invited; a server is a file, a link is one's own."""
    invites("init", ".")
    _fill_in(Path("invites.toml"))
    invites("build", "roster.csv")
    mail = next(Path("out").rglob("ada-*.eml"))
    Path("invitation.eml").write_bytes(mail.read_bytes())
    Path("link.txt").write_bytes(mail.read_bytes())
    Path(".env").write_text(SERVER, encoding="utf-8")
    Path("export.csv").write_bytes(
        (ROOT / "tests" / "cli" / "libreoffice" / "roster-utf8.csv").read_bytes()
    )
    if page.stem != "sending":
        invites("send", "roster.csv", "--to", "folder")
    if page.stem == "ledger":
        # Who is forgotten has no invitation any more.
        people = Path("roster.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        Path("roster.csv").write_text(
            "".join(one for one in people if "ada@" not in one), encoding="utf-8"
        )
        invites("send", "roster.csv", "--to", "folder", "--withdraw-now")
    with ScriptedServer() as server, Path("link.txt").open(encoding="utf-8") as link:
        monkeypatch.setattr(sys, "stdin", link)
        monkeypatch.setenv("INVITES_SMTP__HOST", server.host)
        monkeypatch.setenv("INVITES_SMTP__PORT", str(server.port))
        monkeypatch.setenv("INVITES_SMTP__SECURITY", "none")
        for name, *rest in commands(page):
            if name == "init":
                continue  # a settings file is there
            words = ["sqlite:///copy.db" if "://" in word else word for word in rest]
            words = [word.replace("ada@example.org", "ada@example.com") for word in words]
            words = [str(mail) if "<" in word else word for word in words]
            answer = invites(name, *words)
            assert answer.code in {0, ANSWERS.get(name)}, (name, words, answer)


def _fill_in(config: Path, more: str = "") -> None:
    """Do what the page says in words: the four values, and `more` below them."""
    text = config.read_text(encoding="utf-8")
    for key, value in (
        ("url", "https://meet.example.com"),
        ("app_id", "my_app"),
        ("secret", "a secret of the first week, long enough 0123456789"),
        ("email", "meetings@example.com"),
    ):
        text = text.replace(f'\n{key} = ""', f'\n{key} = "{value}"', 1)
    config.write_text(f"{text}\n{more}", encoding="utf-8")


def _job_of_the_week() -> str:
    """Return the job that the page adds, of a roster beside the settings."""
    (block,) = (one for one in fenced(WEEK, "toml") if "[[job]]" in one)
    job = tomllib.loads(block)["job"][0]
    named = f'[[job]]\nname = "{job["name"]}"\nroster = "roster.csv"\nat = "{job["at"]}"\n'
    return f'{named}deliver = "smtp"\nsettle = "0s"\n'
