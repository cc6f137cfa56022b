"""One pass of `build`: a roster in, a folder of checked messages out, without network or ledger."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from invites.errors import StorageError, UsageError
from invites.messages import Composer, Verifier
from invites.messages.mime import html_of
from invites.model import Invitation, Kind, Meeting, Revision, Roster, Status
from invites.output import manifest
from invites.output.forms import FORMS, INDEX, new_file
from invites.output.staging import staged
from invites.problems import Warned
from invites.report.page import built_page

PAGES_AT_MOST = 500
"""Invitations up to which a build has a page for each, unless more are asked for."""

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
    making = tuple(meeting for meeting in coming if meeting.status is not Status.CANCELLED)
    return Selection(meetings=making, over=len(over), cancelled=len(coming) - len(making))


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
) -> BuildReport:
    """Mint, render, check and write every invitation of `selection` into `out`.

    `now` (aware, UTC, whole seconds) is the revision's time.  `on_invitation` is called after each.
    `pages` writes each mail's HTML beside it, however many there are.
    `roster` is what the selection was made of, for the index to name.
    Raises OutputRefusedError, TryAgainError, MessageFaultError, StorageError; in each case `out` is
    as it was before.
    """
    revision = Revision(kind=Kind.INVITATION, sequence=0, dtstamp=now)
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
        listing.write(manifest.HEADER)
        bounded = _bounded(out, octets_at_most)
        for meeting in selection.meetings:
            rows = []
            for invitation in bounded(verifier.passed(composer.compose(meeting, revision))):
                place = writer.add(invitation)
                rows.append(manifest.row_for(invitation, eml=place.eml, ics=place.ics))
                on_invitation()
            listing.write(manifest.lines(rows))
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
        read_back=verifier.read_back,
        warnings=tuple(composer.warnings),
    )


def _bounded(
    out: Path, octets_at_most: int
) -> Callable[[Iterator[Invitation]], Iterator[Invitation]]:
    """Return what passes invitations on until all together, over all calls, are too large."""
    left = octets_at_most

    def passing(invitations: Iterator[Invitation]) -> Iterator[Invitation]:
        nonlocal left
        for invitation in invitations:
            left -= len(invitation.eml) + len(invitation.ics)
            if left < 0:
                raise StorageError(
                    f"{out}: the messages take more than {octets_at_most / 1e9:g} GB, expected "
                    "less; nothing was changed there; build fewer meetings at once (--meeting)"
                )
            yield invitation

    return passing


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
