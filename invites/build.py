"""One pass of `build`: a roster in, a folder of checked messages out, without network or ledger."""

from __future__ import annotations

import errno
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from invites.errors import StorageError, UsageError
from invites.messages import Composer, Verifier
from invites.messages.compose import Noted
from invites.messages.mime import html_of
from invites.model import Attendee, Kind, Meeting, Revision, Roster, Status
from invites.output import manifest
from invites.output.forms import FORMS, INDEX, Form, new_file
from invites.output.staging import staged
from invites.output.workers import cores, in_order
from invites.problems import Warned
from invites.report.page import built_page

PAGES_AT_MOST = 500
"""Invitations up to which a build has a page for each, unless more are asked for."""

SLICE = 500
"""Attendees that are made in one go: some megabytes of messages, and a tenth of a second."""

FEW_SLICES = 2
"""Slices that are made before there are further processes."""

WORTH_A_PROCESS = 2_000
"""Invitations from which on one more process gains more than it costs."""

OCTETS_AT_MOST = 100 * 10**9
"""Of all messages of a build; a million of the usual ones take a quarter of it."""

_DISK = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.EFBIG: "a file would be larger than this account or disk allows",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    """What a build made and left out; `invitations` counts messages, `over` and `cancelled` meetings."""

    out: Path
    invitations: int
    meetings: int
    moderators: int
    over: int
    cancelled: int
    read_back: int
    warnings: tuple[Warned, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The meetings that are to be built, and how many were left out for which reason."""

    meetings: tuple[Meeting, ...]
    over: int
    cancelled: int

    @property
    def invitations(self) -> int:
        """How many messages there will be."""
        return sum(len(meeting.attendees) for meeting in self.meetings)

    @property
    def moderators(self) -> int:
        """How many of them go to moderators."""
        return sum(person.moderator for meeting in self.meetings for person in meeting.attendees)


def selected(roster: Roster, *, now: datetime, meeting_ids: Sequence[str] = ()) -> Selection:
    """Return the meetings to build: not over (end > now), not cancelled, and named where any are.

    Raises UsageError where the roster has no meeting of a name.
    """
    meetings = roster.meetings
    if meeting_ids:
        meetings = tuple(meeting for meeting in meetings if meeting.id in meeting_ids)
        for strange in set(meeting_ids) - {meeting.id for meeting in meetings}:
            raise UsageError(
                f'--meeting: found "{strange[:60]}", expected a meeting_id of {roster.source}'
            )
    over = [meeting for meeting in meetings if meeting.over_at <= now]
    coming = [meeting for meeting in meetings if meeting.over_at > now]
    making = tuple(
        _with_those_to_come(meeting, now)
        for meeting in coming
        if meeting.status is not Status.CANCELLED
    )
    return Selection(meetings=making, over=len(over), cancelled=len(coming) - len(making))


def _with_those_to_come(meeting: Meeting, now: datetime) -> Meeting:
    """Return the meeting without those who come to none of its dates any more."""
    gone = {
        one.address for part in meeting.parts() if part.over_at <= now for one in part.attendees
    }
    if not gone:
        return meeting
    return replace(
        meeting, attendees=tuple(one for one in meeting.attendees if one.address not in gone)
    )


def build(
    selection: Selection,
    *,
    out: Path,
    composer: Composer,
    verifier: Verifier,
    now: datetime,
    form: str = "files",
    pages: bool = False,
    octets_at_most: int = OCTETS_AT_MOST,
    on_invitation: Callable[[], None] = lambda: None,
    roster: Roster | None = None,
    jobs: int = 1,
) -> BuildReport:
    """Mint, render, check and write every invitation of `selection` into `out`.

    `now` (aware, UTC, whole seconds) is the revision's time.  `on_invitation` is called after each.
    `pages` writes each mail's HTML beside it, however many there are.
    `roster` is what the selection was made of, for the index to name.
    `jobs` is how many processes work at it; the bytes are the same.
    Raises OutputRefusedError, TryAgainError, MessageFaultError, StorageError; in each case `out` is
    as it was before.
    """
    with _disk_in_words(out), staged(out) as folder, ExitStack() as opened:
        listing = opened.enter_context(new_file(folder, manifest.NAME))
        index = opened.enter_context(new_file(folder, INDEX))
        with_pages = FORMS[form].PAGES and (pages or selection.invitations <= PAGES_AT_MOST)
        writer = FORMS[form](
            folder,
            sender=composer.sender.organizer.email,
            now=now,
            page_of=(lambda invitation: html_of(invitation.eml)) if with_pages else None,
        )
        opened.callback(writer.close)
        whole = opened.enter_context(new_file(folder, writer.TOP_FILE)) if writer.TOP_FILE else None
        listing.write(manifest.HEADER)
        maker = _Maker(composer=composer, verifier=verifier, writer=writer, now=now)
        octets = read_back = length = 0
        for made in opened.enter_context(closing(maker.made(selection.meetings, jobs))):
            octets += made.octets
            if octets > octets_at_most:
                raise StorageError(
                    f"{out}: the messages take more than {octets_at_most / 1e9:g} GB, expected "
                    "less; nothing was changed there; build fewer meetings at once (--meeting)"
                )
            listing.write(made.rows)
            if whole is not None:
                whole.writelines(made.content)
                length += sum(map(len, made.content))
            read_back += made.read_back
            composer.add(made.noted)
            for _ in range(made.invitations):
                on_invitation()
        if whole is not None:
            whole.write(writer.ending(length))
        page = built_page(
            selection.meetings,
            sender=composer.sender,
            now=now,
            roster=roster,
            warnings=composer.warnings,
            place_of=writer.in_browser,
        )
        index.writelines(page.pieces())
    return BuildReport(
        out=out,
        invitations=selection.invitations,
        meetings=len(selection.meetings),
        moderators=selection.moderators,
        over=selection.over,
        cancelled=selection.cancelled,
        read_back=read_back,
        warnings=tuple(composer.warnings),
    )


class _Slice(NamedTuple):
    """Some attendees of a meeting, all of them in most; `first` where its first one is among them."""

    meeting: Meeting
    attendees: tuple[Attendee, ...]
    first: bool


class _Made(NamedTuple):
    """What came of some slices: rows of the manifest, content of the one file, and counts."""

    rows: bytes
    content: list[bytes]
    invitations: int
    octets: int
    read_back: int
    noted: Noted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Maker:
    """Composes, checks and writes slices of meetings."""

    composer: Composer
    verifier: Verifier
    writer: Form
    now: datetime

    def made(self, meetings: Sequence[Meeting], jobs: int) -> Generator[_Made, None, None]:
        """Yield what came of all meetings, in order; made by so many processes."""
        slices = _slices(meetings)
        # The first ones are made here: what the run compiles and renders, the processes then have.
        begin = min(len(slices), FEW_SLICES)
        yield self(slices[:begin])
        tasks = list(_grouped(slices[begin:]))
        yield from in_order(self, tasks, jobs)

    def __call__(self, slices: Sequence[_Slice]) -> _Made:
        revision = Revision(kind=Kind.INVITATION, sequence=0, dtstamp=self.now)
        rows, octets, before = [], 0, self.verifier.read_back
        composed = self.composer.compose_all(
            [(meeting, attendees) for meeting, attendees, _ in slices], revision
        )
        passed = self.verifier.passed(composed)
        for meeting, attendees, first in slices:
            self.writer.enter(meeting.id, first=first)
            for invitation in islice(passed, len(attendees)):
                place = self.writer.add(invitation)
                rows.append(manifest.row_for(invitation, eml=place.eml, ics=place.ics))
                octets += len(invitation.eml) + len(invitation.ics)
        return _Made(
            rows=manifest.lines(rows),
            content=self.writer.content(),
            invitations=len(rows),
            octets=octets,
            read_back=self.verifier.read_back - before,
            noted=self.composer.noted(),
        )


def _slices(meetings: Iterable[Meeting]) -> list[_Slice]:
    """Return the meetings, the large ones in slices of SLICE attendees."""
    return [
        _Slice(part, part.attendees[start : start + SLICE], number == start == 0)
        for meeting in meetings
        for number, part in enumerate(meeting.parts())
        for start in range(0, len(part.attendees), SLICE)
    ]


def _grouped(slices: Iterable[_Slice]) -> Iterator[list[_Slice]]:
    """Yield slices together until they have SLICE attendees."""
    group: list[_Slice] = []
    size = 0
    for each in slices:
        group.append(each)
        size += len(each.attendees)
        if size >= SLICE:
            yield group
            group, size = [], 0
    if group:
        yield group


def jobs_for(invitations: int) -> int:
    """Return how many processes a build of so many gains by: at most one for each core."""
    return max(1, min(cores(), invitations // WORTH_A_PROCESS))


@contextmanager
def _disk_in_words(out: Path) -> Iterator[None]:
    """Turn a full or read-only disk into a StorageError that names the folder."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK:
            raise
        raise StorageError(
            f"{out}: {_DISK[error.errno]}; nothing was changed there; make room "
            "or name another folder with --out"
        ) from error
