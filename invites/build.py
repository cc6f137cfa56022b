"""One pass of `build`: a roster in, a folder of checked messages out, without network or ledger."""

from __future__ import annotations

import errno
from array import array
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from invites.errors import StorageError, UsageError
from invites.invitation import Kind, Revision
from invites.messages import Composer, Verifier
from invites.messages.compose import Noted
from invites.messages.mime import html_of
from invites.model import Attendee, Chosen, Meeting, Roster, Status
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

FEW_TASKS = 2
"""What is made before there are further processes: a meeting each, or a slice of a large one."""

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


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The meetings that are to be built, and how many were left out for which reason."""

    meetings: Sequence[Meeting]
    over: int
    cancelled: int

    @property
    def invitations(self) -> int:
        """How many messages there will be."""
        return self._people.total()

    @property
    def moderators(self) -> int:
        """How many of them go to moderators."""
        return self._people[True]

    @cached_property
    def _people(self) -> Counter[bool]:
        """How many are moderators, and how many are not: a large roster is gone through once."""
        people: Counter[bool] = Counter()
        for meeting in self.meetings:
            people.update(person.moderator for person in meeting.attendees)
        return people


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
    over = cancelled = 0
    making = array("L")
    for place, meeting in enumerate(meetings):
        if meeting.over_at <= now:
            over += 1
        elif meeting.status is Status.CANCELLED:
            cancelled += 1
        else:
            making.append(place)
    chosen = Chosen(meetings, making, lambda meeting: _with_those_to_come(meeting, now))
    return Selection(meetings=chosen, over=over, cancelled=cancelled)


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
        maker = _Maker(selection.meetings, composer, verifier, writer, now)
        octets = read_back = length = 0
        for made in opened.enter_context(closing(maker.made(jobs))):
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


class _Task(NamedTuple):
    """The meetings at some places, as a whole; or of a single one the slice with this number."""

    places: range
    slice: int | None = None


@dataclass(frozen=True, slots=True)
class _Maker:
    """Composes, checks and writes slices of meetings."""

    meetings: Sequence[Meeting]
    composer: Composer
    verifier: Verifier
    writer: Form
    now: datetime

    def made(self, jobs: int) -> Generator[_Made, None, None]:
        """Yield what came of all meetings, in order; made by so many processes."""
        tasks = _tasks(self.meetings)
        # The first ones are made here: what the run compiles and renders, the processes then have.
        yield from map(self, islice(tasks, FEW_TASKS))
        yield from in_order(self, list(tasks), jobs)

    def __call__(self, task: _Task) -> _Made:
        slices = [each for place in task.places for each in _slices(self.meetings[place])]
        if task.slice is not None:
            slices = [slices[task.slice]]
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


def _slices(meeting: Meeting) -> list[_Slice]:
    """Return a meeting as a whole, or a large one in slices of SLICE attendees."""
    return [
        _Slice(part, part.attendees[start : start + SLICE], number == start == 0)
        for number, part in enumerate(meeting.parts())
        for start in range(0, len(part.attendees), SLICE)
    ]


def _tasks(meetings: Sequence[Meeting]) -> Iterator[_Task]:
    """Yield the meetings together until they have SLICE attendees, and the slices of a large one.

    The first FEW_TASKS are of one meeting, or of a slice, each.
    """
    begin = size = 0
    for place, meeting in enumerate(meetings):
        count = len(meeting.attendees)
        if count > SLICE:
            if begin < place:
                yield _Task(range(begin, place))
            yield from (_Task(range(place, place + 1), at) for at in range(len(_slices(meeting))))
            begin, size = place + 1, 0
            continue
        size += count
        if size >= SLICE or place < FEW_TASKS:
            yield _Task(range(begin, place + 1))
            begin, size = place + 1, 0
    if begin < len(meetings):
        yield _Task(range(begin, len(meetings)))


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
