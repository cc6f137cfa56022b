"""What the page shows: the roster's meetings, each person's messages, the plan, and what is wrong."""

from __future__ import annotations

import email
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email import policy
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import icalendar
from babel import Locale

from invites.errors import InvitesError, RosterRefusedError
from invites.inspection import contents_of, inspected, lines
from invites.invitation import Change, Invitation, Kind, Method, Revision
from invites.ledger import exists, open_ledger
from invites.model import Attendee, Meeting, Roster, Status
from invites.planning.actions import Plan
from invites.problems import lines_of
from invites.report.plan import plan_lines, plan_summary
from invites.roster.recurrence import rule_text
from invites.roster.source import read_roster
from invites.sending import Renderer, SendOptions, planned, policy_from
from invites.sending.options import scope_for
from invites.settings import Settings
from invites.shipped import languages
from invites.templating.repeating import repeats_words
from invites.text import counted

KINDS: Final = tuple(kind.value for kind in Kind if kind is not Kind.DATE_CANCELLED)
"""The kinds of message that can be looked at, by their names in a URL: those about a whole meeting."""

_MOVED = timedelta(hours=1)
"""By how much the update that is shown moved its meeting: a real one says what really changed."""

_HEADERS = ("From", "Reply-To", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewInputs:
    """Where everything comes from; `load` reads the settings, `clock` gives the present (UTC)."""

    load: Callable[[], Settings]
    clock: Callable[[], datetime]
    roster: str
    skip_invalid: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One state of all that is shown.

    `trouble` says what can't be shown, and why; the rest is then that of the last good state.
    """

    version: int = 0
    read_at: datetime
    settings: Settings | None = None
    renderer: Renderer | None = None
    roster: Roster | None = None
    plan: tuple[str, ...] = ()
    trouble: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    languages: tuple[tuple[str, str], ...] = ()

    def document(self) -> dict[str, Any]:
        """Return what the page lists: no token, no link."""
        roster = self.roster
        return {
            "version": self.version,
            "roster": roster.source if roster else "",
            "trouble": list(self.trouble),
            "warnings": list(self.warnings),
            "plan": list(self.plan),
            "kinds": KINDS,
            "languages": list(self.languages),
            "meetings": [_listed(meeting, self.read_at) for meeting in roster.meetings]
            if roster
            else [],
        }

    def message(self, meeting: int, attendee: int, kind: str, language: str) -> Invitation | None:
        """Compose one person's message of this kind, None where there is no such person.

        `language` stands in for the roster's; "" leaves it.  Raises TemplateError.
        """
        roster, renderer = self.roster, self.renderer
        if roster is None or renderer is None or kind not in KINDS:
            return None
        if not (0 <= meeting < len(roster.meetings)):
            return None
        found = roster.meetings[meeting]
        if not (0 <= attendee < len(found.attendees)):
            return None
        person = found.attendees[attendee]
        own = next(part for part in found.parts() if person in part.attendees)
        if language:
            person = replace(person, language=language)
        return _composed(own, person, Kind(kind), renderer, self.read_at)


def _composed(
    meeting: Meeting, person: Attendee, kind: Kind, renderer: Renderer, now: datetime
) -> Invitation:
    first = kind is Kind.INVITATION
    changes = (
        (
            Change(field="start", old=meeting.start - _MOVED, new=meeting.start),
            Change(field="end", old=meeting.end - _MOVED, new=meeting.end),
        )
        if kind is Kind.UPDATE
        else ()
    )
    told_at = now
    if kind is Kind.REMINDER:  # a reminder of a far meeting says a time that none would say
        told_at = max(now, meeting.start - timedelta(hours=24))
        if renderer.composer.sender.rule.tokens != "series":  # it has the link of one date
            meeting = meeting.on_date(meeting.opens)
    revision = Revision(kind=kind, sequence=0 if first else 1, dtstamp=told_at)
    (invitation,) = renderer.verifier.passed(
        renderer.composer.compose(meeting, revision, [person], changes=changes)
    )
    return invitation


def _listed(meeting: Meeting, now: datetime) -> dict[str, Any]:
    return {
        "id": meeting.id,
        "title": meeting.title,
        "when": _span(meeting),
        "row": meeting.row,
        "status": "over"
        if meeting.end <= now
        else "cancelled"
        if meeting.status is Status.CANCELLED
        else meeting.status.value,
        "attendees": [
            {
                "name": person.name,
                "email": person.email,
                "moderator": person.moderator,
                "row": person.row,
                "language": person.language or "",
            }
            for person in meeting.attendees
        ],
    }


def _span(meeting: Meeting) -> str:
    zone = ZoneInfo(meeting.timezone)
    start, end = meeting.start.astimezone(zone), meeting.end.astimezone(zone)
    until = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%a %Y-%m-%d %H:%M}"
    return f"{start:%a %Y-%m-%d %H:%M} – {until} {meeting.timezone}"


def described(invitation: Invitation, view: View) -> dict[str, Any]:
    """Return one message taken apart: its parts, its calendar entry, its token in words."""
    message = email.message_from_bytes(invitation.eml, policy=policy.default)
    (text,) = (part for part in message.walk() if part.get_content_type() == "text/plain")
    zone = ZoneInfo(invitation.attendee.timezone or invitation.meeting.timezone)
    validity, told = invitation.validity, invitation.meeting
    if invitation.links:  # of the first of these dates
        validity = invitation.links[0].validity
        told = told.alone(told.date_of(invitation.links[0].original))
    return {
        "headers": [[name, str(message[name])] for name in _HEADERS if message[name]],
        "size": len(invitation.eml),
        "text": text.get_content(),
        "calendar": _entry(invitation, zone),
        "token": list(_token_words(invitation, view, zone)),
        "window": {
            "opens": validity.not_before,
            "start": int(told.start.timestamp()),
            "end": int(told.end.timestamp()),
            "closes": validity.expires,
            "now": int(view.read_at.timestamp()),
            "words": [
                _local(seconds, zone)
                for seconds in (
                    validity.not_before,
                    told.start.timestamp(),
                    told.end.timestamp(),
                    validity.expires,
                )
            ],
        },
        "has_calendar": bool(invitation.ics),
    }


def _local(seconds: float, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(seconds, zone):%a %Y-%m-%d %H:%M:%S}"


def _entry(invitation: Invitation, zone: ZoneInfo) -> dict[str, Any] | None:
    """Return the entry as a calendar shows it, read back from the file; None for a reminder."""
    if not invitation.ics:
        return None
    calendar: Any = icalendar.Calendar.from_ical(invitation.ics.decode())
    event, *_exceptions = calendar.walk("VEVENT")
    start, end = (event[name].dt.astimezone(zone) for name in ("DTSTART", "DTEND"))
    alarms = event.walk("VALARM")
    return {
        "method": str(calendar["METHOD"]),
        "title": str(event["SUMMARY"]),
        "day": f"{start:%a %d %b %Y}",
        "hours": f"{start:%H:%M} – {end:%H:%M}",
        "zone": str(zone),
        **_dates(invitation.meeting, zone),
        "place": str(event.get("LOCATION", "")),
        "notes": str(event.get("DESCRIPTION", "")),
        "organizer": str(event["ORGANIZER"].params.get("CN", "")),
        "status": str(event.get("STATUS", "")),
        "sequence": int(event["SEQUENCE"]),
        "uid": str(event["UID"]),
        "alarm": f"{-alarms[0]['TRIGGER'].dt // timedelta(minutes=1)} minutes before"
        if alarms
        else "",
    }


def _dates(meeting: Meeting, zone: ZoneInfo) -> dict[str, str]:
    """Return how a meeting repeats, the dates that differ from the rule, and those left out."""
    series = meeting.series
    if series is None:
        return {"repeats": "", "differing": "", "left_out": ""}
    differing = (
        f"{one.original.astimezone(zone):%a %d %b %Y %H:%M}: {one.title or meeting.title}, "
        f"{one.start.astimezone(zone):%a %d %b %Y %H:%M} – {one.end.astimezone(zone):%H:%M}"
        for one in series.exceptions(meeting.end - meeting.start)
    )
    left_out = (f"{one.astimezone(zone):%a %d %b %Y %H:%M}" for one in sorted(series.left_out))
    rule = repeats_words(rule_text(series))
    return {
        "repeats": f"{rule}, {counted(len(meeting.starts), 'date')}",
        "differing": "\n".join(differing),
        "left_out": "\n".join(left_out),
    }


def _token_words(invitation: Invitation, view: View, zone: ZoneInfo) -> Iterator[str]:
    """Yield what `inspect` says of the message's link, by the present and by the meeting's start."""
    if invitation.revision.method is Method.CANCEL or view.settings is None:
        return
    if invitation.links == ():
        return  # no date has its own link yet
    found = inspected(
        contents_of(invitation.eml),
        [invitation.meeting.start],
        server=view.settings.server(),
        key=view.settings.signing_key(),
    )
    yield from lines(found, zone=zone)


@dataclass
class Watcher:
    """Reads everything again once a file of it changed; the last good state stays to be looked at."""

    sources: PreviewInputs
    view: View = field(init=False)
    _seen: object = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Read everything once."""
        self.view = View(read_at=self.sources.clock())
        self._read()

    def current(self) -> View:
        """Return the present state."""
        if self._stamp() != self._seen:
            self._read()
        return self.view

    def _read(self) -> None:
        self._seen = self._stamp()
        before = self.view
        try:
            after = _read(self.sources)
        except RosterRefusedError as refused:
            trouble = (str(refused), *lines_of(refused.problems, refused.source))
            after = replace(before, trouble=trouble)
        except InvitesError as error:
            after = replace(before, trouble=(str(error),))
        self.view = replace(after, version=before.version + 1)
        self._seen = self._stamp()  # the settings that were read may name other files

    def _stamp(self) -> object:
        """Return what changes with the files: their times and sizes."""
        return [
            (path, found.st_mtime_ns, found.st_size) if (found := _stat(path)) else path
            for path in self._paths()
        ]

    def _paths(self) -> Iterator[Path]:
        yield Path(self.sources.roster.partition("#")[0])
        settings = self.view.settings
        if settings is None:
            yield Path("invites.toml")
            return
        if settings.source is not None:
            yield Path(settings.source)
        if settings.ledger.url.startswith("sqlite:///"):
            database = settings.ledger.url.removeprefix("sqlite:///")
            yield from (Path(database), Path(f"{database}-wal"))
        if isinstance(settings.brand.logo, Path):
            yield settings.brand.logo
        folder = settings.mail.templates
        if folder is not None and folder.is_dir():
            yield from sorted(path for path in folder.rglob("*") if path.is_file())


def _stat(path: Path) -> Any:
    try:
        return path.stat()
    except OSError:
        return None


def _read(sources: PreviewInputs) -> View:
    """Read everything; raises what is wrong with it."""
    now = sources.clock()
    settings = sources.load()
    roster = read_roster(
        sources.roster, settings.roster_rules(), skip_invalid=sources.skip_invalid, now=now
    )
    renderer = Renderer.from_settings(settings)
    problems = lines_of(roster.left_out, roster.source)
    return View(
        read_at=now,
        settings=settings,
        renderer=renderer,
        roster=roster,
        plan=_plan_lines(sources, settings, roster, renderer, now),
        trouble=tuple(problems),
        languages=tuple(_languages(settings.mail.templates)),
        warnings=(*settings.warnings, *(warning.text for warning in roster.warnings)),
    )


def _languages(folder: Path | None) -> Iterator[tuple[str, str]]:
    """Yield the tag of each language that has a catalog, and what the language calls itself."""
    for tag in sorted(languages(folder)):
        yield tag, f"{Locale.parse(tag, sep='-').get_display_name() or tag} ({tag})"


def _plan_lines(
    sources: PreviewInputs, settings: Settings, roster: Roster, renderer: Renderer, now: datetime
) -> tuple[str, ...]:
    """Return the plan against the ledger, as `plan` says it; nothing where there is no ledger."""
    try:
        if not exists(settings.ledger.url):
            return ()
        with open_ledger(settings.ledger.url, lock=False) as ledger:
            found = planned(roster, renderer, ledger, _options(sources, settings), now=now)
    except InvitesError as error:
        return (f"no plan: {error}",)
    return tuple(_said(found))


def _options(sources: PreviewInputs, settings: Settings) -> SendOptions:
    return SendOptions(
        scope=scope_for(sources.roster, settings)[0],
        command="send",
        delivery=settings.delivery.to,
        policy=policy_from(settings, to=settings.delivery.to),
        skip_invalid=sources.skip_invalid,
        clock_ahead=settings.guard.clock_ahead,
        keep=settings.ledger.keep,
    )


def _said(plan: Plan) -> Iterator[str]:
    yield plan_summary(plan)
    for refusal in plan.refusals:
        yield f"! {refusal.text}"
    if plan.accept_code:
        yield f"! to accept: the command that `invites plan` shows, with --accept {plan.accept_code}"
    yield from plan.warnings
    yield from plan_lines(plan)
