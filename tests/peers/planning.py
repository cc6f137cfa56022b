"""A small world for planning tests: a roster that is edited, and a model of the ledger.

The model does in memory what the ledger does in SQL; the ledger's own tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from invites.invitation import Kind, Method, Server
from invites.model import Attendee, Meeting, Room, Roster, Validity
from invites.planning.actions import Action, Plan, Policy, Send, Withdraw
from invites.planning.changes import changes_json
from invites.planning.decide import plan_for
from invites.planning.facts import MeetingDraft, Terms, attendee_json, drafted
from invites.planning.state import (
    NOBODY_FORGOTTEN,
    PRESENT,
    Entry,
    Forgotten,
    MeetingState,
    MissingCount,
    Recorded,
    Snapshot,
    State,
)

NOW = datetime(2031, 1, 1, 2, 15, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SERVER = Server(
    url="https://meet.example.com",
    host="meet.example.com",
    app_id="my_app",
    subject="meet.example.com",
)
TERMS = Terms.of(SERVER, key="00112233aabbccdd", alarm="10m", mailbox="meetings@example.com")
POLICY = Policy(namespace="example.com")


def attendee(name: str, **fields: Any) -> Attendee:
    """Return an attendee whose address follows from the name."""
    address = fields.pop("address", f"{name.lower()}@example.org")
    return Attendee(name=name, email=address, mailbox=address, address=address, **fields)


def meeting(meeting_id: str, *attendees: Attendee, **fields: Any) -> Meeting:
    """Return a meeting of one hour, ten days after NOW."""
    start = fields.pop("start", NOW + 10 * DAY)
    end = fields.pop("end", start + HOUR)
    return Meeting(
        id=meeting_id,
        title=fields.pop("title", f"Meeting {meeting_id}"),
        start=start,
        end=end,
        timezone=fields.pop("timezone", "Europe/Berlin"),
        attendees=tuple(sorted(attendees, key=lambda one: one.address)),
        **fields,
    )


def roster_of(meetings: Iterable[Meeting], **fields: Any) -> Roster:
    """Return a roster of these meetings; its digest stands for its content."""
    found = tuple(sorted(meetings, key=lambda one: (one.start, one.id)))
    rows = sum(len(one.attendees) for one in found)
    digest = f"{abs(hash(repr(found))):016x}".ljust(64, "0")
    return Roster(
        source="roster.csv",
        digest=fields.pop("digest", digest),
        meetings=found,
        rows_read=rows,
        accepted=rows,
        **fields,
    )


def drafts_of(meetings: Iterable[Meeting], terms: Terms = TERMS) -> tuple[MeetingDraft, ...]:
    """Return the drafts, with a window of a quarter before to half an hour after."""
    return tuple(
        drafted(
            one,
            room=one.room or Room(claim=f"room-{one.id}", segment=f"room-{one.id}"),
            validity_of=lambda one: Validity(
                not_before=int(one.start.timestamp()) - 960,
                expires=int(one.end.timestamp()) + 1800,
            ),
            terms=terms,
        )
        for one in meetings
    )


@dataclass(slots=True)
class World:
    """A roster, a clock, settings, and the model of the ledger's one scope."""

    meetings: dict[str, Meeting] = field(default_factory=dict)
    now: datetime = NOW
    terms: Terms = TERMS
    policy: Policy = POLICY
    roster_fields: dict[str, Any] = field(default_factory=dict)
    states: dict[str, MeetingState] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)
    forgotten: Forgotten = NOBODY_FORGOTTEN
    accepted_at: int = 0

    def put(self, *meetings: Meeting) -> World:
        """Write meetings into the roster."""
        self.meetings.update({one.id: one for one in meetings})
        return self

    def edit(self, meeting_id: str, /, **fields: Any) -> World:
        """Change a meeting in the roster; a new start keeps its length."""
        old = self.meetings[meeting_id]
        if "start" in fields and "end" not in fields:
            fields["end"] = fields["start"] + (old.end - old.start)
        self.meetings[meeting_id] = replace(old, **fields)
        return self

    def edit_attendee(self, meeting_id: str, address: str, /, **fields: Any) -> World:
        """Change one attendee of a meeting in the roster."""
        old = self.meetings[meeting_id]
        attendees = tuple(
            replace(one, **fields) if one.address == address else one for one in old.attendees
        )
        return self.edit(meeting_id, attendees=attendees)

    def drop_attendee(self, meeting_id: str, *addresses: str) -> World:
        """Take attendees out of a meeting in the roster."""
        old = self.meetings[meeting_id]
        kept = tuple(one for one in old.attendees if one.address not in addresses)
        return self.edit(meeting_id, attendees=kept)

    @property
    def roster(self) -> Roster:
        """The roster as it is now."""
        return roster_of(self.meetings.values(), **self.roster_fields)

    @property
    def snapshot(self) -> Snapshot:
        """What the model of the ledger knows."""
        return Snapshot(
            scope="default",
            meetings=dict(self.states),
            meeting_facts=dict(self.shared),
            forgotten=self.forgotten,
            first_run=not self.states,
            accepted_at=self.accepted_at,
        )

    def plan(self, **flags: Any) -> Plan:
        """Return the plan for now."""
        return plan_for(
            self.roster,
            drafts_of(self.meetings.values(), self.terms),
            self.snapshot,
            now=self.now,
            policy=replace(self.policy, **flags),
        )

    def run(self, outcome: State | Callable[[Action], State] = State.SENT, **flags: Any) -> Plan:
        """Plan, write the plan down, and let each message end as `outcome` says."""
        plan = self.plan(**flags)
        self.record(plan)
        if plan.accepted:
            self.accepted_at = int(self.now.timestamp())
        for action in plan.actions:
            state = outcome(action) if callable(outcome) else outcome
            self.settle(action, state)
        return plan

    def wait(self, span: timedelta) -> World:
        """Let time pass."""
        self.now += span
        return self

    def entry(self, meeting_id: str, address: str) -> Entry:
        """Return what the model has of one attendee in one meeting."""
        return self.states[meeting_id].entries[address]

    def record(self, plan: Plan) -> None:
        """Do what `ledger.write.record_plan` does, in its order."""
        for drop in plan.dropped:
            entry = self.entry(drop.meeting_id, drop.address)
            self._store(self.states[drop.meeting_id], entry.without_pending())
        for action in plan.actions:
            state = self.states.get(action.facts.id)
            if state is None:
                state = MeetingState(id=action.facts.id, uid=action.uid, entries={})
            self.shared[action.facts.content_digest] = action.facts.as_json()
            address = action.attendee.address
            entry = state.entries.get(address, Entry(state.id, address))
            self._store(state, _planned(entry, action))
        for mark in plan.marks:
            self._mark(mark.meeting_id, mark.address, mark.missing)

    def settle(self, action: Action, state: State) -> None:
        """Do what the ledger does with an outcome; a deferred one waits an hour."""
        entry = self.entry(action.facts.id, action.attendee.address)
        entry = entry._replace(pending_message_id=message_id(action))
        match state:
            case State.SENT | State.UNKNOWN:
                entry = entry.promoted(state)._replace(sent_at=int(self.now.timestamp()))
            case State.DEFERRED | State.FAILED:
                wait = HOUR if state is State.DEFERRED else timedelta(0)
                entry = entry._replace(
                    pending=self._pending(entry)._replace(state=state),
                    attempts=entry.attempts + 1,
                    next_attempt=int((self.now + wait).timestamp()),
                )
            case _:
                entry = entry._replace(pending=self._pending(entry)._replace(state=state))
        if state is State.SENDING:
            entry = entry.promoted()._replace(sent_at=int(self.now.timestamp()))
        self._store(self.states[action.facts.id], entry)

    def _pending(self, entry: Entry) -> Recorded:
        assert entry.pending is not None
        return entry.pending

    def _store(self, state: MeetingState, entry: Entry) -> None:
        entries = {**state.entries, entry.address: entry}
        self.states[state.id] = replace(state, entries=entries)

    def _change(self, meeting_id: str, address: str, fields: Mapping[str, Any]) -> None:
        state = self.states[meeting_id]
        self._store(state, state.entries[address]._replace(**fields))

    def _mark(self, meeting_id: str, address: str | None, missing: MissingCount) -> None:
        state = self.states.get(meeting_id)
        if state is None:
            return
        if address is None:
            self.states[meeting_id] = replace(state, missing=missing)
            return
        self._change(meeting_id, address, {"missing": missing})


def message_id(action: Action) -> str:
    """Return a stand-in for a Message-ID that differs exactly where a real one does."""
    revision = action.revision
    stamp = int(revision.dtstamp.timestamp())
    return f"<{action.attendee.address}/{revision.method}/{revision.sequence}/{stamp}>"


def _planned(entry: Entry, action: Action) -> Entry:
    stamp = int(action.revision.dtstamp.timestamp())
    pending = entry.pending
    same = pending is not None and (pending.dtstamp, pending.kind) == (stamp, action.revision.kind)
    return entry._replace(
        pending=Recorded(
            kind=action.revision.kind,
            sequence=action.revision.sequence,
            dtstamp=stamp,
            state=State.PLANNED,
            digest=action.draft.digest,
            facts=action.facts.content_digest,
            attendee=attendee_json(action.attendee),
            changes=changes_json(action.changes),
            start=int(action.facts.start.timestamp()),
            end=int(action.facts.end.timestamp()),
        ),
        pending_message_id=None,
        attempts=entry.attempts if same else 0,
        next_attempt=entry.next_attempt if same else 0,
        latest_dtstamp=max(entry.latest_dtstamp, stamp),
    )


def said(plan: Plan) -> list[tuple[str, str, int]]:
    """Return what goes out: address, kind and SEQUENCE, in order."""
    return [
        (action.attendee.address, action.revision.kind.value, action.revision.sequence)
        for action in plan.actions
    ]


def only_action(plan: Plan) -> Send | Withdraw:
    """Return the plan's one action."""
    (action,) = plan.actions
    return action


__all__ = ["PRESENT", "Kind", "Method", "World", "attendee", "meeting", "message_id", "said"]
