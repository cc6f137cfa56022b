"""What the planner knows of the past: one scope's part of the ledger, as values."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from invites.model import Kind, Method
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


class Missing(NamedTuple):
    """How many times a meeting or an attendee was missing, one after the other.

    `at` is when that was last counted, `due` the job's due time that it was counted for (None
    for a `send` by hand); both in seconds since 1970.
    """

    times: int = 0
    at: int | None = None
    due: int | None = None


PRESENT = Missing()


class Entry(NamedTuple):
    """One attendee's place in one meeting: the revision that it has, and the one on its way.

    `standing_*` is the last revision that was, or may have been, sent; `pending_*` is one that
    was planned and not yet accepted.  Times are seconds since 1970; `..._start` and `..._end` are
    the meeting's as that revision has it; `latest_dtstamp` is the highest ever used here;
    `sent_at` is when the standing revision went out.
    Facts are kept as JSON and read only where they are needed.
    """

    meeting_id: str
    address: str
    standing_kind: str | None = None
    standing_sequence: int = 0
    standing_dtstamp: int = 0
    standing_state: str | None = None
    standing_digest: str | None = None
    standing_facts: str | None = None
    standing_attendee: str | None = None
    standing_changes: str | None = None
    standing_start: int = 0
    standing_end: int = 0
    pending_kind: str | None = None
    pending_sequence: int = 0
    pending_dtstamp: int = 0
    pending_state: str | None = None
    pending_digest: str | None = None
    pending_facts: str | None = None
    pending_attendee: str | None = None
    pending_changes: str | None = None
    pending_start: int = 0
    pending_end: int = 0
    pending_message_id: str | None = None
    attempts: int = 0
    next_attempt: int = 0
    latest_dtstamp: int = 0
    first_message_id: str | None = None
    missing_times: int = 0
    missing_at: int | None = None
    missing_due: int | None = None
    sent_at: int | None = None

    @property
    def standing_method(self) -> Method | None:
        """The iTIP method that the attendee's calendar last heard, or may have heard."""
        return method_of(self.standing_kind)

    @property
    def pending_method(self) -> Method | None:
        """The iTIP method of the revision on its way."""
        return method_of(self.pending_kind)

    @property
    def invited(self) -> bool:
        """Tell whether an invitation stands, or may stand, in the attendee's calendar."""
        return self.standing_kind in REQUEST_KINDS

    @property
    def missing(self) -> Missing:
        """How often the attendee was missing from a meeting that was there."""
        return Missing(self.missing_times, self.missing_at, self.missing_due)


REQUEST_KINDS = frozenset({Kind.INVITATION.value, Kind.UPDATE.value})


def method_of(kind: str | None) -> Method | None:
    """Return the method of a kind as the ledger writes it."""
    if kind is None:
        return None
    return Method.CANCEL if kind in {Kind.CANCELLED, Kind.WITHDRAWN} else Method.REQUEST


def promoted(entry: Entry) -> Entry:
    """Return the entry after what was on its way may have been sent: it stands, as unknown."""
    first = entry.first_message_id
    if first is None and entry.pending_method is Method.REQUEST:
        first = entry.pending_message_id
    return entry._replace(
        first_message_id=first,
        standing_kind=entry.pending_kind,
        standing_sequence=entry.pending_sequence,
        standing_dtstamp=entry.pending_dtstamp,
        standing_state=State.UNKNOWN,
        standing_digest=entry.pending_digest,
        standing_facts=entry.pending_facts,
        standing_attendee=entry.pending_attendee,
        standing_changes=entry.pending_changes,
        standing_start=entry.pending_start,
        standing_end=entry.pending_end,
        **NOTHING_PENDING,
    )


NOTHING_PENDING: Mapping[str, Any] = MappingProxyType(
    {
        "pending_kind": None,
        "pending_sequence": 0,
        "pending_dtstamp": 0,
        "pending_state": None,
        "pending_digest": None,
        "pending_facts": None,
        "pending_attendee": None,
        "pending_changes": None,
        "pending_start": 0,
        "pending_end": 0,
        "pending_message_id": None,
        "attempts": 0,
        "next_attempt": 0,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingState:
    """What the ledger has of one meeting; `entries` are keyed by the attendee's folded address."""

    id: str
    uid: str
    entries: Mapping[str, Entry]
    missing: Missing = PRESENT

    def live(self, now: int) -> Iterator[Entry]:
        """Yield the entries whose invitation stands and whose meeting is not over at `now`."""
        return (
            entry for entry in self.entries.values() if entry.invited and entry.standing_end > now
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """The highest SEQUENCE that somebody who was forgotten has, under a keyed hash."""

    key: bytes = field(repr=False)
    highest: Mapping[str, int]

    def sequence_for(self, uid: str, address: str) -> int | None:
        """Return the highest SEQUENCE that a forgotten person got for this UID, if any."""
        return self.highest.get(forgotten_hash(self.key, uid, address)) if self.highest else None


def forgotten_hash(key: bytes, uid: str, address: str) -> str:
    """Return what stays of a forgotten person: it can't be turned back without the ledger's key."""
    return hmac.new(key, f"{uid}\0{address}".encode(), "sha256").hexdigest()


NOBODY_FORGOTTEN = Forgotten(key=b"", highest=MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One scope's part of the ledger.

    `owners` names the scope of each meeting id that another scope has; `meeting_facts` holds the
    shared facts by the key that entries name.
    """

    scope: str
    meetings: Mapping[str, MeetingState]
    owners: Mapping[str, str] = field(default_factory=dict)
    meeting_facts: Mapping[str, str] = field(default_factory=dict)
    forgotten: Forgotten = NOBODY_FORGOTTEN
    read: dict[str, MeetingFacts] = field(default_factory=dict, compare=False, repr=False)

    def standing(self, entry: Entry) -> Known:
        """Return the facts of the revision that the attendee has; it must have one."""
        return self._known(entry.standing_facts, entry.standing_attendee)

    def pending(self, entry: Entry) -> Known:
        """Return the facts of the revision on its way; there must be one."""
        return self._known(entry.pending_facts, entry.pending_attendee)

    def _known(self, facts: str | None, attendee: str | None) -> Known:
        if facts is None or attendee is None:
            raise ValueError("a revision without facts was asked for them")
        shared = self.read.get(facts)
        if shared is None:
            shared = self.read[facts] = meeting_facts_from(self.meeting_facts[facts])
        return Known(shared, attendee_from(attendee))


def empty_snapshot(scope: str) -> Snapshot:
    """Return what a new ledger knows of `scope`: nothing."""
    return Snapshot(scope=scope, meetings={})
