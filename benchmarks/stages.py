"""What each stage of a build costs, measured one after the other in this process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import TypeVar

NOW = datetime(2030, 1, 1, tzinfo=UTC)
Value = TypeVar("Value")


def stages(roster: Path, attendees: int) -> Iterator[tuple[str, float]]:
    """Yield the name of each stage and its CPU seconds for so many attendees."""
    yield "start: Python and the imports", _start()
    from invites import settings as settings_package  # noqa: PLC0415 - after the start is measured
    from invites.build import selected  # noqa: PLC0415
    from invites.composing import Composer, Verifier  # noqa: PLC0415
    from invites.core.model import Kind, Revision  # noqa: PLC0415
    from invites.core.roster import parse_roster  # noqa: PLC0415
    from invites.core.tokens import Minter  # noqa: PLC0415
    from invites.formats.readback import Expectation, read_back  # noqa: PLC0415
    from invites.output.forms import Files  # noqa: PLC0415
    from invites.output.staging import staged  # noqa: PLC0415
    from invites.roster_csv import read_table  # noqa: PLC0415
    from invites.templating import Templates  # noqa: PLC0415

    settings = settings_package.demo(bytes(range(64)))
    read, seconds = _timed(lambda: parse_roster(read_table(str(roster)), settings.roster_rules()))
    yield "read the roster and check every cell", seconds
    templates, seconds = _timed(lambda: Templates.load(None))
    yield "load, inline, compile and try the templates", seconds
    composer = Composer.from_settings(settings, templates=templates)
    meetings = selected(read, now=NOW).meetings
    minter = Minter(composer.house.server, settings.signing_key())

    def mint() -> None:
        for meeting in meetings:
            token_for = minter.for_meeting(
                composer.room_for(meeting), composer.validity_for(meeting)
            )
            for attendee in meeting.attendees:
                token_for(attendee)

    minting = _timed(mint)[1]
    yield "mint", minting
    revision = Revision(kind=Kind.INVITATION, sequence=0, dtstamp=NOW)
    made, seconds = _timed(
        lambda: [made for meeting in meetings for made in composer.compose(meeting, revision)]
    )
    yield "render and compose", seconds - minting
    mailbox, server = composer.house.organizer.email, composer.house.server
    verifier = Verifier(server, mailbox=mailbox, key=settings.signing_key())
    passed = _timed(lambda: sum(1 for _ in verifier.passed(made)))[1]
    key = settings.signing_key().key
    assert isinstance(key, bytes)  # noqa: S101 - the demo's is
    expected = Expectation(server=server, mailbox=mailbox, key=key)
    sample = made[:: max(1, attendees // verifier.read_back)][: verifier.read_back]

    def read_sample() -> None:
        for invitation in sample:
            read_back(invitation, expected)

    reading = _timed(read_sample)[1]
    yield "check every message", passed - reading
    yield f"read {verifier.read_back} messages back", reading
    with (
        tempfile.TemporaryDirectory(dir=roster.parent) as scratch,
        staged(Path(scratch) / "o") as at,
    ):
        writer = Files(at)
        yield "write the files", _timed(lambda: [writer.add(invitation) for invitation in made])[1]
        writer.close()


def _timed(work: Callable[[], Value]) -> tuple[Value, float]:
    before = time.process_time()
    value = work()
    return value, time.process_time() - before


def _start() -> float:
    """Return the CPU that a new process takes to import all that a build needs."""
    names = "pandas, jwt, jinja2, pydantic, css_inline, icalendar, babel, email_validator"
    before = getrusage(RUSAGE_CHILDREN)
    code = f"import {names}, invites.build, invites.settings, invites.roster_csv"
    subprocess.run([sys.executable, "-c", code], check=True)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
