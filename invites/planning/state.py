"""What the planner knows of the past: one scope's part of the ledger, as values.

And what stays the same over the nights: a meeting's UID and a message's Message-ID.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple
from uuid import NAMESPACE_URL, uuid5

from invites.invitation import Kind, Revision
from invites.planning.facts import Known, MeetingFacts, attendee_from, meeting_facts_from


class State(StrEnum):
    """How far one revision for one attendee has come.

    `PLANNED` was never handed over, `SENDING` may have been (it is durable before DATA goes out),
    `SENT` was accepted, `DEFERRED` and `FAILED` were refused for now or for good, `UNKNOWN` was
    handed over without an answer, and `DROPPED` was superseded before anybody got it.
    """

    PLANNED = "planned"
    SENDING = "sending"
    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DROPPED = "dropped"


class MissingCount(NamedTuple):
    """How many times a meeting or an attendee was missing, one after the other.

    `at` is when that was last counted, `due` the job's due time that it was counted for (None
    for a `send` by hand); both in seconds since 1970.
    """

    times: int = 0
    at: int | None = None
    due: int | None = None


PRESENT = MissingCount()


class Recorded(NamedTuple):
    """One revision for one attendee, as the ledger has it.

    Times are seconds since 1970; `start` and `end` are the meeting's as this revision has it.
    `facts` is the key of what the meeting's attendees share, `attendee` and `changes` are JSON:
    read only where they are needed.  `date` is the original start of the one date of a series that
    its message is about, None for all of the meeting: what stands then is all of it nonetheless.
    """

    kind: Kind
    sequence: int
    dtstamp: int
    state: State
    digest: str
    facts: str
    attendee: str
    changes: str | None = None
    start: int = 0
    end: int = 0
    date: int | None = None

    @property
    def revision(self) -> Revision:
        """What orders it among the messages to this attendee."""
        stamp = datetime.fromtimestamp(self.dtstamp, UTC)
        date = None if self.date is None else datetime.fromtimestamp(self.date, UTC)
        return Revision(kind=self.kind, sequence=self.sequence, dtstamp=stamp, date=date)

    @property
    def invites(self) -> bool:
        """Tell whether an invitation stands after it, for all of the meeting or all dates but one."""
        return self.kind in INVITING


UPDATING = frozenset({Kind.UPDATE, Kind.DATE_CANCELLED})
"""The kinds that change an invitation which stands before and after."""

INVITING = frozenset({Kind.INVITATION, *UPDATING})


class Entry(NamedTuple):
    """One attendee's place in one meeting: what stands, what is under way, and what is counted.

    `standing` is the last revision that was, or may have been, sent; `pending` is one that was
    planned and not yet accepted: `attempts` is how often it was refused, `next_attempt` when it may
    be tried again, `pending_message_id` what it was last handed over as.
    `copies` is how often `standing` went out without an answer; it waits for `next_attempt` too.
    `latest_dtstamp` is the highest ever used here; `sent_at` is when `standing` went out.
    """

    meeting_id: str
    address: str
    standing: Recorded | None = None
    pending: Recorded | None = None
    pending_message_id: str | None = None
    attempts: int = 0
    next_attempt: int = 0
    latest_dtstamp: int = 0
    first_message_id: str | None = None
    missing: MissingCount = PRESENT
    sent_at: int | None = None
    copies: int = 0

    @property
    def invited(self) -> bool:
        """Tell whether an invitation stands, or may stand, in the attendee's calendar."""
        return self.standing is not None and self.standing.invites

    @property
    def invitation(self) -> Recorded | None:
        """The invitation that stands, or may stand, in the attendee's calendar."""
        return self.standing if self.invited else None

    @property
    def withdrawn(self) -> Recorded | None:
        """The CANCEL that the attendee heard last, or may have heard."""
        return None if self.invited else self.standing

    @property
    def unanswered(self) -> bool:
        """Tell whether nobody knows if what stands has arrived."""
        return self.standing is not None and self.standing.state is State.UNKNOWN

    @property
    def repeats(self) -> bool:
        """Tell whether what is under way is another copy of the very revision that stands."""
        pending, standing = self.pending, self.standing
        return pending is not None and standing is not None and pending[:3] == standing[:3]

    def without_pending(self) -> Entry:
        """Return the entry with nothing under way."""
        return self._replace(pending=None, pending_message_id=None, attempts=0, next_attempt=0)

    def promoted(self, state: State = State.UNKNOWN) -> Entry:
        """Return the entry after what was under way was, or may have been, sent: it stands."""
        pending = self.pending
        if pending is None:
            return self
        first = self.first_message_id
        if first is None and pending.invites:
            first = self.pending_message_id
        copies = 0
        if state is State.UNKNOWN:
            copies = self.copies + 1 if self.unanswered and self.repeats else 1
        return self.without_pending()._replace(
            standing=pending._replace(state=state), first_message_id=first, copies=copies
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingState:
    """What the ledger has of one meeting; `entries` are keyed by the attendee's folded address."""

    id: str
    uid: str
    entries: Mapping[str, Entry]
    missing: MissingCount = PRESENT

    def live(self, now: int) -> Iterator[Entry]:
        """Yield the entries whose invitation stands and whose meeting is not over at `now`."""
        for entry in self.entries.values():
            if entry.standing is not None and entry.invited and entry.standing.end > now:
                yield entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """The highest SEQUENCE that somebody who was forgotten has, under a keyed hash.

    `floor` is the highest that anybody may have whom an older copy of the ledger, put back, forgot.
    """

    key: bytes = field(repr=False)
    highest: Mapping[str, int]
    floor: int | None = None

    def sequence_for(self, uid: str, address: str) -> int | None:
        """Return the highest SEQUENCE that a forgotten person got for this UID, if any."""
        known = self.highest.get(forgotten_hash(self.key, uid, address)) if self.highest else None
        return max((one for one in (known, self.floor) if one is not None), default=None)


def forgotten_hash(key: bytes, uid: str, address: str) -> str:
    """Return what stays of a forgotten person: it can't be turned back without the ledger's key."""
    return hmac.new(key, f"{uid}\0{address}".encode(), "sha256").hexdigest()


NOBODY_FORGOTTEN = Forgotten(key=b"", highest=MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One scope's part of the ledger.

    `owners` names the scope of each meeting id that another scope has, `rooms` the scope of each
    room's claim that is live in another scope; `meeting_facts` holds the
    shared facts by the key that entries name.
    `first_run` is true where the scope never had a meeting; `recent` counts the invitations whose
    meetings ended within the guards' window, and `accepted_at` is when a run ended whose guards a
    person had said yes to (seconds since 1970, 0 for never).
    """

    scope: str
    meetings: Mapping[str, MeetingState]
    owners: Mapping[str, str] = field(default_factory=dict)
    meeting_facts: Mapping[str, str] = field(default_factory=dict)
    forgotten: Forgotten = NOBODY_FORGOTTEN
    rooms: Mapping[str, str] = field(default_factory=dict)
    first_run: bool = False
    recent: int = 0
    accepted_at: int = 0
    read: dict[str, MeetingFacts] = field(default_factory=dict, compare=False, repr=False)

    @property
    def addresses(self) -> frozenset[str]:
        """The folded addresses of all whom this part of the ledger has."""
        return frozenset(address for state in self.meetings.values() for address in state.entries)

    def standing(self, entry: Entry) -> Known:
        """Return what stands for an attendee; ValueError where nothing does."""
        if entry.standing is None:
            raise ValueError("a live entry has a standing revision")
        return self.known(entry.standing)

    def known(self, recorded: Recorded) -> Known:
        """Return all facts of a revision of this snapshot."""
        return Known(self.facts_of(recorded), attendee_from(recorded.attendee))

    def facts_of(self, recorded: Recorded) -> MeetingFacts:
        """Return the facts that a revision shares with those of the meeting's other attendees."""
        shared = self.read.get(recorded.facts)
        if shared is None:
            shared = meeting_facts_from(self.meeting_facts[recorded.facts])
            self.read[recorded.facts] = shared
        return shared


def empty_snapshot(scope: str) -> Snapshot:
    """Return what a new ledger knows of `scope`: nothing."""
    return Snapshot(scope=scope, meetings={}, first_run=True)


def uid_for(namespace: str, meeting_id: str) -> str:
    """Return the meeting's UID (RFC 7986 5.3): the same for ever, with no personal data in it."""
    return str(uuid5(NAMESPACE_URL, f"invites:{namespace}\0{meeting_id}"))


def uid_of_edition(uid: str, edition: int) -> str:
    """Return a meeting's UID after so many changes of the organizer's mailbox; `uid` is its first.

    Receivers take no update from another ORGANIZER, so that each mailbox has a UID of its own, also
    one that comes back.
    """
    return str(uuid5(NAMESPACE_URL, f"invites:{uid}\0{edition}")) if edition else uid


class MessageIds:
    """Message-IDs (RFC 5322 3.6.4) of one revision of one meeting, for each attendee.

    They follow from the UID, the folded address, the method, the SEQUENCE and the DTSTAMP alone, so
    that a retry repeats the Message-ID of the message that it repeats.
    `method` is an iTIP method, or another word for a message that carries none.
    """

    __slots__ = ("_domain", "_start")

    def __init__(
        self, *, uid: str, method: str, sequence: int, dtstamp: datetime, domain: str
    ) -> None:
        """`domain` is the organizer address's, as A-labels; `dtstamp` is aware."""
        stamp = int(dtstamp.timestamp())
        self._start = sha256(f"{uid}\0{method}\0{sequence}\0{stamp}\0".encode())
        self._domain = domain

    def for_address(self, address: str) -> str:
        """Return the Message-ID, with its angle brackets, for a folded address."""
        digest = self._start.copy()
        digest.update(address.encode())
        return f"<{digest.hexdigest()[:40]}@{self._domain}>"
