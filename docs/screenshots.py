# ruff: noqa: INP001 - a script beside the pictures that it makes
"""Renders the shipped templates in Chromium and keeps the pictures in docs/screenshots.

Run it from the repository's root after a change of the templates, and look at what it made:

    .venv/bin/python -m docs.screenshots

Needs Debian's `chromium`, which it drives over a pipe (Chrome DevTools Protocol), so that 320 px
and the dark scheme are real ones.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from invites.cli.app import run_command_line
from invites.model import Attendee, Change, Kind, Meeting, Organizer, Status, Validity
from invites.templating import LetterFacts, LetterWriter, Templates

FOLDER = Path(__file__).resolve().parent / "screenshots"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
SIZES = (
    "[location.href, document.readyState, document.documentElement?.scrollWidth,"
    " window.innerWidth, document.documentElement?.scrollHeight]"
)
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

INDEX = ((1000, "light"),)
"""The widths and schemes in which the page of a build is shown."""


class Browser:
    """A Chromium that is told what to do over a pipe."""

    def __init__(self, profile: str) -> None:
        """Start it with a profile of its own."""
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        command = f'exec chromium "$@" 3<&{to_read} 4>&{to_write}'
        self._process = subprocess.Popen(  # noqa: S603 - the flags are ours
            ["/bin/bash", "-c", command, "chromium", *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(to_read, to_write),
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._replies = os.fdopen(self._read, "rb")
        self._number = 0
        self._session = ""
        target = self.tell("Target.createTarget", url="about:blank")
        attached = self.tell("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = str(attached["sessionId"])

    def __enter__(self) -> Self:
        """Return the running browser."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        os.close(self._write)
        self._process.terminate()
        self._process.wait(timeout=20)
        self._replies.close()

    def tell(self, method: str, **parameters: object) -> Mapping[str, object]:
        """Send one command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            reply = json.loads(self._next_reply())
            if reply.get("id") == self._number:
                if "error" in reply:
                    raise RuntimeError(f"{method}: {reply['error']['message']}")
                result: Mapping[str, object] = reply["result"]
                return result

    def _next_reply(self) -> bytes:
        found = bytearray()
        while (byte := self._replies.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("Chromium ended early")
            found += byte
        return bytes(found)

    def picture(self, page: Path, *, width: int, scheme: str) -> bytes:
        """Return a PNG of the whole page at this width, and check that nothing sticks out."""
        wanted = {"name": "prefers-color-scheme", "value": scheme}
        self.tell("Emulation.setEmulatedMedia", features=[wanted])
        self._sized(width, 100)
        self.tell("Page.navigate", url=page.as_uri())
        height = self._settled(page)
        self._sized(width, height)
        shown = self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=False)
        return base64.b64decode(str(shown["data"]))

    def _sized(self, width: int, height: int) -> None:
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )

    def _settled(self, page: Path) -> int:
        """Wait until the page is there; return its height, or raise where it is too wide."""
        for _ in range(200):
            told = self.tell("Runtime.evaluate", expression=SIZES, returnByValue=True)["result"]
            address, state, wide, inner, height = told["value"]  # type: ignore[index]
            if (address, state) == (page.as_uri(), "complete"):
                if wide > inner:
                    raise RuntimeError(f"{page.name}: {wide} px wide in a window of {inner} px")
                return int(height)
            time.sleep(0.05)
        raise RuntimeError(f"{page.name} does not load")


def main() -> None:
    """Take every picture."""
    writer = LetterWriter(Templates.load())
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Browser(f"{folder}/profile") as browser:
        for shot in SHOTS:
            page = Path(folder) / f"{shot.file_name}.html"
            letter = writer.letter(shot.kind, shot.facts, shot.attendee, LINK)
            page.write_text(letter.html, encoding="utf-8")
            picture = browser.picture(page, width=shot.width, scheme=shot.scheme)
            (FOLDER / f"{shot.file_name}.png").write_bytes(picture)
        index = _index(Path(folder))
        for width, scheme in INDEX:
            picture = browser.picture(index, width=width, scheme=scheme)
            (FOLDER / f"index-{width}-{scheme}.png").write_bytes(picture)


def _index(folder: Path) -> Path:
    """Build the sample roster as a demonstration, and return its page."""
    out, now = str(folder / "out"), "2031-01-01T00:00:00Z"
    run_command_line(["build", "sample_roster.csv", "--demo", "--now", now, "--out", out, "-q"])
    return folder / "out" / "index.html"


if __name__ == "__main__":
    main()
