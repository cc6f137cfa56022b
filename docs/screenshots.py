# ruff: noqa: INP001 - a script beside the pictures that it makes
"""Renders the shipped templates in Chromium and keeps the pictures in docs/screenshots.

Run it from the repository's root after a change of the templates, and look at what it made:

    .venv/bin/python -m docs.screenshots

Playwright drives Debian's `chromium`.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from invites.cli.app import run_command_line
from invites.invitation import Change, Kind, Organizer
from invites.model import Attendee, Meeting, Status, Validity
from invites.templating import LetterFacts, LetterWriter, Templates

FOLDER = Path(__file__).resolve().parent / "screenshots"
LINK = "https://meet.example.com/planning-2zq7m4hs9kxw3c5t?jwt=" + ".".join(
    ("eyJ" + "SampleHeader" * 3, "SamplePayload0" * 22, "SampleSignature" * 3)
)

START = datetime(2031, 12, 2, 8, tzinfo=UTC)
END = START + timedelta(minutes=90)
ATTENDEE = Attendee(
    name="Zoë Müller-Sample",
    email="zoe@example.com",
    mailbox="zoe@example.com",
    address="zoe@example.com",
)
FACTS = LetterFacts(
    meeting=Meeting(
        id="planning",
        title="Planning for the winter term",
        start=START,
        end=END,
        timezone="Europe/Berlin",
        attendees=(ATTENDEE,),
        description="We go through the open points.\nPlease bring your own list.",
        organizer_name="Grace Sample",
        organizer_email="grace@example.org",
    ),
    validity=Validity(not_before=int(START.timestamp()) - 960, expires=int(END.timestamp()) + 1800),
    organizer=Organizer(name="Meetings", email="meetings@example.com"),
    server="meet.example.com",
    room="planning",
    skew=timedelta(seconds=60),
)
CHANGES = (
    Change(field="start", old=START - timedelta(days=1, hours=1), new=START),
    Change(field="end", old=END - timedelta(days=1, hours=1), new=END),
    Change(field="title", old="Planning", new="Planning for the winter term"),
    Change(field="moderator", old=False, new=True),
)
HARD = replace(
    FACTS.meeting,
    title="اجتماع التخطيط للفصل الشتوي مع جميع الأقسام Donaudampfschifffahrtsgesellschaftskapitänsversammlung",
    status=Status.TENTATIVE,
    description="نراجع النقاط المفتوحة.",
    organizer_email="a.very.long.local.part.of.an.address.that.has.to.wrap@subdomain.example.org",
)
ABROAD = replace(ATTENDEE, timezone="America/New_York", moderator=True)
GERMAN = replace(ATTENDEE, language="de")
ARABIC = replace(ATTENDEE, name="زيد مثال", language="ar")
JAPANESE = replace(ATTENDEE, name="見本 太郎", language="ja", timezone="Asia/Tokyo")


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One picture: a letter at a width, in the light or the dark scheme."""

    name: str
    kind: Kind
    width: int
    scheme: str
    facts: LetterFacts = FACTS
    attendee: Attendee = ATTENDEE

    @property
    def file_name(self) -> str:
        """Return the picture's file name without its ending."""
        return f"{self.name}-{self.width}-{self.scheme}"


UPDATED = replace(FACTS, changes=CHANGES)
SHOTS = (
    *(
        Shot(name="invitation", kind=Kind.INVITATION, attendee=ABROAD, width=width, scheme=scheme)
        for width in (320, 600)
        for scheme in ("light", "dark")
    ),
    Shot(
        name="update",
        kind=Kind.UPDATE,
        facts=UPDATED,
        attendee=ABROAD,
        width=600,
        scheme="light",
    ),
    Shot(
        name="update-german",
        kind=Kind.UPDATE,
        facts=UPDATED,
        attendee=GERMAN,
        width=320,
        scheme="light",
    ),
    Shot(name="arabic", kind=Kind.INVITATION, attendee=ARABIC, width=600, scheme="dark"),
    Shot(name="japanese", kind=Kind.INVITATION, attendee=JAPANESE, width=320, scheme="light"),
    Shot(name="cancellation", kind=Kind.CANCELLED, width=600, scheme="light"),
    Shot(name="withdrawal", kind=Kind.WITHDRAWN, width=320, scheme="dark"),
    Shot(
        name="right-to-left-title",
        kind=Kind.INVITATION,
        facts=replace(FACTS, meeting=HARD, demo=True),
        width=320,
        scheme="light",
    ),
)

SAMPLE = "sample_roster.csv"
NOW, LATER = "2031-01-01T00:00:00Z", "2031-01-02T00:00:00Z"
TALL = 1000
"""Pixels of a long page that are shown."""


def main() -> None:
    """Take every picture."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        writer = LetterWriter(Templates.load())
        for shot in SHOTS:
            page = folder / f"{shot.file_name}.html"
            letter = writer.letter(shot.kind, shot.facts, shot.attendee, LINK)
            page.write_text(letter.html, encoding="utf-8")
            _take(browser, page.as_uri(), shot.file_name, width=shot.width, scheme=shot.scheme)
        _take(browser, _index(folder).as_uri(), "index-1000-light", width=1000, height=TALL)
        _take(browser, _history(folder).as_uri(), "history-1200-light", width=1200, height=TALL)
        with _previewed() as address:
            _take(browser, address, "preview-1280-light", width=1280, height=900, act=_look)
        browser.close()


def _take(
    browser: Browser,
    address: str,
    name: str,
    *,
    width: int,
    height: int = 0,
    scheme: str = "light",
    act: Callable[[Page], None] = lambda _page: None,
) -> None:
    """Keep a picture of a page, as tall as it is where no height is given; nothing may stick out."""
    page = browser.new_page(
        viewport={"width": width, "height": height or 100},
        color_scheme=scheme,  # type: ignore[arg-type]
        is_mobile=width < 500,
    )
    page.goto(address)
    act(page)
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > width:
        raise RuntimeError(f"{name}: {wide} px wide in a window of {width} px")
    page.screenshot(path=FOLDER / f"{name}.png", full_page=not height)
    page.close()


def _index(folder: Path) -> Path:
    """Build the sample roster as a demonstration, and return its page."""
    out = str(folder / "out")
    run_command_line(["build", SAMPLE, "--demo", "--now", NOW, "--out", out, "-q"])
    return folder / "out" / "index.html"


def _history(folder: Path) -> Path:
    """Send the sample roster into a folder, an hour later with a change, and return its history."""
    home, roster = folder / "home", folder / "sample_roster.csv"
    run_command_line(["init", str(home), "-q"])
    settings = home / "invites.toml"
    for key, value in (
        ("url", "https://meet.example.com"),
        ("app_id", "my_app"),
        ("secret", "a secret of nobody, 0123456789 abcdefghij"),
        ("email", "meetings@example.com"),
    ):
        text = settings.read_text("utf-8")
        settings.write_text(text.replace(f'\n{key} = ""', f'\n{key} = "{value}"'), "utf-8")
    table = Path(SAMPLE).read_text("utf-8")
    for now, text in ((NOW, table), (LATER, table.replace("2031-03-03 09:45", "2031-03-03 10:00"))):
        roster.write_text(text, encoding="utf-8")
        call = ["send", str(roster), "--config", str(settings), "--now", now, "-q"]
        run_command_line([*call, "--to", "folder"])
    page = folder / "history.html"
    run_command_line(["history", "--config", str(settings), "--html", str(page), "-q"])
    return page


@contextmanager
def _previewed() -> Iterator[str]:
    """Serve the preview of the sample roster, and yield its address."""
    call = [sys.executable, "-m", "invites", "preview", SAMPLE, "--demo", "--json", "--now", NOW]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        said = ""
        while not said.endswith("}\n"):
            said += process.stdout.readline()
        yield json.loads(said)["url"]
        process.send_signal(signal.SIGINT)


def _look(page: Page) -> None:
    """Choose the first attendee, and wait for the mail."""
    page.click(".people button >> nth=0")
    page.frame_locator("#frame").locator("h1").wait_for()
    page.mouse.move(0, 0)


if __name__ == "__main__":
    main()
