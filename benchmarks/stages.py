"""What each stage of a build costs, measured in this process as a build does them, in turn."""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from invites.invitation import Revision
    from invites.jitsi.tokens import SigningKey
    from invites.messages import Composer
    from invites.model import Meeting

AT_ONCE = 25
"""Meetings, as a build with 20 attendees a meeting takes them."""

NOW = datetime(2030, 1, 1, tzinfo=UTC)
Value = TypeVar("Value")


def stages(roster: Path) -> Iterator[tuple[str, float]]:
    """Yield the name of each stage and its CPU seconds for the whole roster."""
    yield "start and end: Python and the imports", _start()
    from invites import settings as settings_package  # noqa: PLC0415
    from invites.build import selected  # noqa: PLC0415
    from invites.invitation import Kind, Revision  # noqa: PLC0415
    from invites.jitsi.tokens import Minter  # noqa: PLC0415
    from invites.messages import Composer  # noqa: PLC0415
    from invites.roster.csv_file import read_table  # noqa: PLC0415
    from invites.roster.parse import parse_roster  # noqa: PLC0415
    from invites.templating import Templates  # noqa: PLC0415

    gc.disable()  # as a build does
    settings = settings_package.demo(bytes(range(64)))
    parse_roster(read_table(str(roster)), settings.roster_rules())  # so that pandas is imported
    read, seconds = _timed(lambda: parse_roster(read_table(str(roster)), settings.roster_rules()))
    yield "read the roster and check every cell", seconds
    meetings = selected(read, now=NOW).meetings
    revision = Revision(kind=Kind.INVITATION, sequence=0, dtstamp=NOW)

    def first_letter() -> Composer:
        composer = Composer.from_settings(settings, templates=Templates.load(None))
        next(composer.compose(meetings[0], revision))
        return composer

    composer, seconds = _timed(first_letter)
    yield "load, inline and compile the templates", seconds
    minter = Minter(composer.sender.server, settings.signing_key())

    def mint() -> None:
        for meeting in meetings:
            token_for = minter.for_meeting(
                composer.room_for(meeting), composer.validity_for(meeting)
            )
            for attendee in meeting.attendees:
                token_for(attendee)

    minting = _timed(mint)[1]
    yield "mint", minting
    yield from _meeting_by_meeting(
        composer, meetings, revision, settings.signing_key(), minting, roster.parent
    )
    gc.enable()


def _meeting_by_meeting(
    composer: Composer,
    meetings: Sequence[Meeting],
    revision: Revision,
    key: SigningKey,
    minting: float,
    scratch: Path,
) -> Iterator[tuple[str, float]]:
    """Compose, check and write some meetings at a time, and yield what each of the three took."""
    from invites.messages import Verifier  # noqa: PLC0415
    from invites.messages.readback import Expectation, read_back  # noqa: PLC0415
    from invites.output.forms import Files  # noqa: PLC0415
    from invites.output.staging import staged  # noqa: PLC0415

    server, mailbox = composer.sender.server, composer.sender.organizer.email
    verifier = Verifier(server, mailbox=mailbox, key=key)
    composing = checking = writing = 0.0
    firsts = []
    with tempfile.TemporaryDirectory(dir=scratch) as folder, staged(Path(folder) / "o") as at:
        writer = Files(at, sender=mailbox, now=revision.dtstamp)
        for first in range(0, len(meetings), AT_ONCE):
            some = meetings[first : first + AT_ONCE]
            begun = time.process_time()
            people = [(meeting, meeting.attendees) for meeting in some]
            made = list(composer.compose_all(people, revision))
            composed = time.process_time()
            for _ in verifier.passed(made):
                pass
            checked = time.process_time()
            invitations = iter(made)
            for meeting in some:
                writer.enter(meeting.id, first=True)
                for invitation in islice(invitations, len(meeting.attendees)):
                    writer.add(invitation)
            composing += composed - begun
            checking += checked - composed
            writing += time.process_time() - checked
            firsts.append(made[0])
        writer.close()
    assert isinstance(key.key, bytes)  # noqa: S101 - the demo's is
    expected = Expectation(server=server, mailbox=mailbox, key=key.key)

    def read_sample() -> None:
        for invitation in firsts[: verifier.read_back]:
            read_back(invitation, expected)

    reading = _timed(read_sample)[1]
    yield "render and compose", composing - minting
    yield "check every message", checking - reading
    yield f"read {verifier.read_back} messages back", reading
    yield "write the files", writing


def _timed(work: Callable[[], Value]) -> tuple[Value, float]:
    before = time.process_time()
    value = work()
    return value, time.process_time() - before


def _start() -> float:
    """Return the CPU that a new process takes to import all that a build needs, and to end."""
    names = "pandas, jwt, jinja2, pydantic, css_inline, icalendar, babel"
    ours = "cli.app, cli.build, build, settings, roster.csv_file, messages.readback"
    code = (
        "import gc, os; gc.set_threshold(100_000); os.environ['OPENBLAS_NUM_THREADS'] = '1';"
        f"import {names}, {', '.join(f'invites.{name}' for name in ours.split(', '))}; gc.freeze()"
    )
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
