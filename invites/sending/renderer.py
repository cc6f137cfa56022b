"""What makes the messages of a pass: from settings and a roster to drafts, from actions to messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Self

from invites.invitation import Invitation, Kind, Method
from invites.jitsi.tokens import fingerprint
from invites.jitsi.validity import links_of_dates
from invites.messages import Composer, Verifier
from invites.messages.compose import templates_for
from invites.model import Roster, Validity
from invites.planning.actions import Action
from invites.planning.facts import MeetingDraft, Terms, drafted

if TYPE_CHECKING:
    from invites.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Renderer:
    """What makes messages: a composer, the checks on them, and the terms they are made under."""

    composer: Composer
    verifier: Verifier
    terms: Terms

    @classmethod
    def from_settings(cls, settings: Settings, *, everything: bool = False) -> Self:
        """Return the renderer that the settings describe; SettingsError names what is missing."""
        settings.require_minting()
        composer = Composer.from_settings(settings, templates=templates_for(settings))
        sender = composer.sender
        key = settings.signing_key()
        verifier = Verifier(
            sender.server,
            mailbox=sender.organizer.email,
            key=key,
            everything=everything,
            with_others=sender.show_attendees,
            logo=composer.picture,
        )
        terms = Terms.of(
            sender.server,
            key=fingerprint(key),
            alarm=_span(sender.alarm),
            mailbox=sender.organizer.email.casefold(),
        )
        return cls(composer=composer, verifier=verifier, terms=terms)

    def drafts(self, roster: Roster, now: datetime) -> list[MeetingDraft]:
        """Return what each attendee of the roster is to have at `now` (aware)."""
        composer, terms = self.composer, self.terms
        return [
            drafted(
                meeting,
                room=composer.room_for(meeting),
                validity_of=composer.validity_for,
                terms=terms,
                links_of=lambda part: links_of_dates(part, composer.sender.rule, now),
            )
            for meeting in roster.meetings
        ]

    def mailbox_of(self, action: Action) -> str:
        """Return the mailbox that a message goes out from: a CANCEL from that which invited."""
        current, invited_by = self.composer.sender.organizer.email, action.facts.terms.mailbox
        if action.revision.method is Method.REQUEST or invited_by in {"", current.casefold()}:
            return current
        return invited_by


def _span(span: timedelta | None) -> str:
    """Return a duration as the settings write it, "" for none."""
    if span is None:
        return ""
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    return f"{minutes * 60 + seconds}s" if seconds else f"{minutes}m"


def composed(actions: Iterable[Action], renderer: Renderer) -> Iterator[tuple[Action, Invitation]]:
    """Yield each action with its checked message, in the plan's order of meetings.

    Attendees of a meeting who get the same revision for the same changes are composed together.
    Raises MessageFaultError, TemplateError.
    """
    for _, group in groupby(actions, key=lambda action: action.facts.id):
        alike: dict[tuple[object, ...], list[Action]] = {}
        for action in group:
            alike.setdefault(_likeness(action), []).append(action)
        for same in alike.values():
            yield from zip(same, _composed_alike(same, renderer), strict=True)


def _validity_of(action: Action) -> Validity:
    """Return the window of a message's one link: where each date has its own, that of its date."""
    facts, start = action.facts, action.meeting.start
    series = facts.meeting.series
    if facts.links is None or series is None or action.meeting.series is not None:
        return facts.validity
    original = next(one.original for one in series.taking_place if one.start == start)
    return dict(facts.links)[original]


def _likeness(action: Action) -> tuple[object, ...]:
    meeting = action.meeting.start  # a reminder is about one date of a series
    return (id(action.facts), meeting, action.revision, action.changes, action.admits_until)


def _composed_alike(same: Sequence[Action], renderer: Renderer) -> Iterator[Invitation]:
    first = same[0]
    mailbox = renderer.mailbox_of(first)
    references = {
        action.attendee.address: action.first_message_id
        for action in same
        if action.first_message_id is not None and first.revision.kind is not Kind.INVITATION
    }
    return renderer.verifier.passed(
        renderer.composer.compose(
            first.meeting,
            first.revision,
            [action.attendee for action in same],
            uid=first.uid,
            room=first.facts.room,
            validity=_validity_of(first),
            links=None if first.meeting.series is None else first.facts.links,
            changes=first.changes,
            references=references,
            earlier_until=first.admits_until,
            mailbox=mailbox,
        ),
        mailbox=mailbox,
    )
