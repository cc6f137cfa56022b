"""Every page and mail that the program makes, as files that a browser opens."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from invites.cli.app import run_command_line
from invites.invitation import Brand, Change, Kind, Revision
from invites.messages.mime import html_of
from invites.model import Status
from invites.templating import Templates
from tests.factory import LOGO, START, Factory
from tests.support import SampleBuild
from tests.world import ADA, BOB, EVE, PassWorld

CHANGES = (
    Change(field="start", old=START - timedelta(days=1), new=START),
    Change(field="title", old="Planning", new="Planning <again>"),
)
BRAND = Brand(
    name="Example Academy",
    colour="#7a1f3d",
    logo=f"cid:{LOGO.content_id}",
    picture=LOGO,
    footer="Example Academy\n1 Example Street",
    greeting="Dear {name},",
)


@pytest.fixture(scope="session")
def mails(factory: Factory, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Write a mail of each kind: plain, and with all there can be; in English and in Arabic."""
    folder = tmp_path_factory.mktemp("mails")
    host = {"organizer_name": "Olive Sample", "organizer_email": "olive@example.org"}
    full = {**host, "status": Status.TENTATIVE, "description": "A & B\n" + "<c> " * 300}
    branded = Factory(Templates.load(brand=BRAND))
    for kind in Kind:
        first = kind is Kind.INVITATION
        dtstamp = START - timedelta(days=1)
        revision = Revision(kind=kind, sequence=0 if first else 1, dtstamp=dtstamp)
        for name, maker, facts in (("plain", factory, {}), ("full", branded, full)):
            for language in ("en", "ar"):
                person = replace(
                    maker.attendee(), language=language, timezone="America/New_York", moderator=True
                )
                (mail,) = maker.composer(demo=name == "full").compose(
                    maker.meeting(person, **facts),
                    revision,
                    changes=CHANGES if kind is Kind.UPDATE else (),
                )
                path = folder / f"{kind.value}-{name}-{language}.html"
                path.write_bytes(html_of(mail.eml))
    return sorted(folder.iterdir())


@pytest.fixture(scope="session")
def pages(sample: SampleBuild, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Write what `build` makes of the sample, and the history of a send, an update, a cancellation."""
    world = PassWorld(folder=tmp_path_factory.mktemp("history"))
    world.write_settings()
    world.make_ledger()
    moved = (ADA.replace("09:30", "09:45"), BOB.replace("09:30", "09:45"))
    for rows in ((ADA, BOB, EVE), moved):
        world.send(*rows, withdraw_now=True)
        world.now += timedelta(hours=1)
    page = world.folder / "history.html"
    config = str(world.folder / "invites.toml")
    assert run_command_line(["history", "--config", config, "--html", str(page)]) == 0
    assert "cancelled 1" in page.read_text("utf-8")
    return [sample.folder / "index.html", page]
