"""Taking into the ledger what was mailed from a build, so that nobody is invited twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from invites.addresses import AddressRefused, parse_address
from invites.delivery.base import Delivery, Phase, Sent
from invites.errors import Exit
from invites.inspection.reading import one_date
from invites.invitation import Kind, Method, Revision
from invites.jitsi.validity import links_of_dates
from invites.ledger import Ledger
from invites.ledger.write import Key
from invites.messages.content_lines import text_value
from invites.model import Roster
from invites.output.manifest import Listed
from invites.planning.actions import Cause, Plan, Send
from invites.planning.facts import Draft, MeetingDraft, MeetingFacts, attendee_digest
from invites.planning.state import Entry, MessageIds, uid_for
from invites.problems import Problem
from invites.sending.frame import Pass
from invites.sending.journal import Tally
from invites.sending.options import Effects, SendOptions
from invites.sending.passes import snapshot_for
from invites.sending.renderer import Renderer, composed
from invites.times import instant

AT_ONCE = 500
"""Messages that are written down in one transaction."""

_SAME = {
    b"SUMMARY": "title",
    b"DTSTART": "start",
    b"DTEND": "end",
    b"STATUS": "status",
    b"ORGANIZER": "organizer_name",
    b"URL": "link",
}
"""The calendar file's properties that must say what the roster says, and their columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """What became of a manifest's rows: `adopted` now, `known` before, and the others' problems."""

    run_id: str
    adopted: int
    known: int
    over: int
    problems: tuple[Problem, ...]
    exit_code: Exit


def adopt(
    rows: Sequence[Listed],
    roster: Roster,
    renderer: Renderer,
    ledger: Ledger,
    options: SendOptions,
    effects: Effects,
    *,
    delivery_for: Callable[[str], Delivery],
) -> Adopted:
    """Record the invitations of a build that was mailed by other means; `--record-only`.

    A row whose facts are no longer the roster's is not adopted.  Raises as `Pass.run` does.
    """
    found = _Found(rows, roster, renderer, ledger, options)
    report = Pass(
        renderer=renderer,
        ledger=ledger,
        options=options,
        effects=effects,
        delivery_for=delivery_for,
        plan=found.plan,
        carry=found.note_as_sent,
        source=roster.source,
        digest=roster.digest,
        left_out=roster.rejected > 0,
        counts=lambda plan, _: {
            "adopted": len(plan.actions),
            "not_adopted": len(plan.left_out),
        },
    ).run()
    if report.trouble is not None:
        raise report.trouble
    return Adopted(
        run_id=report.run_id,
        adopted=len(report.plan.actions),
        known=found.known,
        over=found.over,
        problems=report.plan.left_out,
        exit_code=report.exit_code,
    )


class _Found:
    """What a manifest's rows come to, beside the roster and the ledger."""

    def __init__(
        self,
        rows: Sequence[Listed],
        roster: Roster,
        renderer: Renderer,
        ledger: Ledger,
        options: SendOptions,
    ) -> None:
        self.known = 0
        self.over = 0
        self._rows = rows
        self._roster = roster
        self._renderer = renderer
        self._ledger = ledger
        self._options = options
        self._problems: list[Problem] = []
        self._message_ids: dict[Key, str] = {}
        self._dated: dict[tuple[str, int, str], MeetingFacts] = {}

    def plan(self, now: datetime) -> Plan:
        """Return what is adopted as a plan; the other rows' problems are what it leaves out."""
        self._now = now
        self._snapshot = snapshot_for(self._roster, self._ledger, self._options, now)
        self._by_uid = {
            self._uid(draft): draft for draft in self._renderer.drafts(self._roster, self._now)
        }
        candidates = [found for row in self._rows for found in self._candidate(row)]
        # All are composed at once, for those of one meeting share their rendering.
        calendars = {
            (Key.of(action), action.revision.dtstamp): invitation.ics
            for action, invitation in composed([send for send, _ in candidates], self._renderer)
        }
        actions = []
        for send, row in candidates:
            ours = calendars[Key.of(send), send.revision.dtstamp]
            fault = _calendar_fault(row, send, ours)
            if fault is None:
                actions.append(send)
                self._message_ids[Key.of(send)] = row.message_id
            else:
                self._problems.append(fault)
        return Plan(
            scope=self._options.scope,
            roster_digest="",
            actions=tuple(actions),
            left_out=tuple(sorted(self._problems, key=lambda problem: problem.row or 0)),
        )

    def note_as_sent(self, plan: Plan, journal: Tally) -> None:
        """Write down that each message was sent; somebody else did that."""
        for start in range(0, len(plan.actions), AT_ONCE):
            keys = [Key.of(send) for send in plan.actions[start : start + AT_ONCE]]
            for key in keys:
                journal.announced(key, self._message_ids[key])
            journal.note(outcomes=(), sending=keys)
            outcomes = [
                Sent(key=key, answer="adopted from a build", phase=Phase.BATCH) for key in keys
            ]
            journal.note(outcomes=outcomes, sending=())

    def _uid(self, draft: MeetingDraft) -> str:
        state = self._snapshot.meetings.get(draft.facts.id)
        namespace = self._options.policy.namespace
        return uid_for(namespace, draft.facts.id) if state is None else state.uid

    def _candidate(self, row: Listed) -> Iterator[tuple[Send, Listed]]:
        meeting = self._by_uid.get(row.uid)
        # Nothing will be sent about it any more, so that nothing need be known of it.
        if meeting is not None and meeting.facts.end <= self._now:
            self.over += 1
            return
        draft = None if meeting is None else _draft_of(meeting, row.email)
        if meeting is not None and draft is not None:
            # As this attendee has it, who may come to some dates only.
            meeting = next(part for part in meeting.parts if part.facts is draft.facts)
        if draft is not None and draft.facts.links is not None:
            draft = self._with_links_of(draft, row)
        if meeting is None or draft is None:
            self._problems.append(_not_there(row, meeting))
            return
        date = None if row.ics is None else one_date(row.ics.read_bytes())
        original = None if date is None else date.original
        fault = self._fault(row, draft, original)
        if fault is not None:
            self._problems.append(fault)
            return
        revision = Revision(
            kind=Kind.INVITATION,
            sequence=row.sequence,
            dtstamp=instant(row.dtstamp),
            date=original,
        )
        entry = self._entry(draft)
        if entry is not None and entry.standing is not None:
            # The same SEQUENCE and DTSTAMP are the same message, whatever we call its kind.
            standing = replace(entry.standing.revision, date=original)
            if standing == replace(revision, kind=standing.kind):
                self.known += 1
            else:
                self._problems.append(_another_stands(row))
            return
        yield (
            Send(
                meeting=meeting.meeting,
                uid=row.uid,
                draft=draft,
                revision=revision,
                cause=Cause.NEW,
            ),
            row,
        )

    def _with_links_of(self, draft: Draft, row: Listed) -> Draft:
        """Return a draft with the links of dates that were due when the build was made."""
        rule = self._renderer.composer.sender.rule
        alike = row.uid, row.dtstamp, draft.facts.digest
        facts = self._dated.get(alike)
        if facts is None:
            links = links_of_dates(draft.facts.meeting, rule, instant(row.dtstamp))
            facts = self._dated[alike] = draft.facts.with_links(links or ())
        return Draft(facts, draft.attendee, attendee_digest(facts.digest, draft.attendee))

    def _entry(self, draft: Draft) -> Entry | None:
        state = self._snapshot.meetings.get(draft.facts.id)
        return None if state is None else state.entries.get(draft.attendee.address)

    def _fault(self, row: Listed, draft: Draft, date: datetime | None) -> Problem | None:
        """Return what a row, of a message about this date, says otherwise than roster and settings."""
        facts, attendee = draft.facts, draft.attendee
        window = dict(facts.links or ()).get(date) if date is not None else None
        window = window or facts.validity
        pairs: Mapping[str, tuple[object, object, str]] = {
            "method": (row.method, Method.REQUEST.value, "an invitation (REQUEST)"),
            "moderator": (row.moderator, attendee.moderator, "what the roster says now"),
            "room": (row.room, facts.room.claim, "the room of now"),
            "not_before": (row.not_before, window.not_before, "the window of now"),
            "expires": (row.expires, window.expires, "the window of now"),
            "message_id": (
                row.message_id,
                self._message_id(row, draft),
                "the identity that this row's other cells and the organizer's domain make",
            ),
        }
        for column, (said, now, words) in pairs.items():
            if said != now:
                return Problem(
                    row=row.row,
                    column=column,
                    found=None,
                    expected=f"not adopted: it differs; expected {words}",
                )
        return None

    def _message_id(self, row: Listed, draft: Draft) -> str:
        mailbox = self._renderer.composer.sender.organizer.email
        ids = MessageIds(
            uid=row.uid,
            method=Method.REQUEST.value,
            sequence=row.sequence,
            dtstamp=instant(row.dtstamp),
            domain=mailbox.rpartition("@")[2],
        )
        return ids.for_address(draft.attendee.address)


def _draft_of(meeting: MeetingDraft, email: str) -> Draft | None:
    for draft in meeting.drafts:
        if draft.attendee.email == email:
            return draft
    # The roster let this domain in; all that counts here is how the address is folded.
    try:
        _, _, address = parse_address(email, special_domains=(email.rpartition("@")[2],))
    except AddressRefused:
        return None
    return next((draft for draft in meeting.drafts if draft.attendee.address == address), None)


def _not_there(row: Listed, meeting: MeetingDraft | None) -> Problem:
    column, what = ("uid", "such meeting") if meeting is None else ("email", "such attendee")
    return Problem(
        row=row.row,
        column=column,
        found=None,
        expected=f"not adopted: this roster has no {what}; to withdraw that invitation, adopt it "
        "with the roster that it was built from first",
    )


def _another_stands(row: Listed) -> Problem:
    return Problem(
        row=row.row,
        column="dtstamp",
        found=None,
        expected="not adopted: the ledger has another message to this attendee about this meeting",
    )


def _calendar_fault(row: Listed, send: Send, ours: bytes) -> Problem | None:
    """Return what the calendar file, where it is still there, says otherwise than the roster."""
    if row.ics is None:
        return None
    then, now = _properties(row.ics.read_bytes()), _properties(ours)
    differing = [column for name, column in _SAME.items() if then.get(name) != now.get(name)]
    attendee = now[b"ATTENDEE"][0]
    if attendee not in then.get(b"ATTENDEE", []):
        differing.append("name or role")
    description = text_value(send.meeting.description.strip()).encode()
    if description and description not in b"".join(then.get(b"DESCRIPTION", [])):
        differing.append("description")
    if not differing:
        return None
    return Problem(
        row=row.row,
        column="ics",
        found=None,
        expected=f"not adopted: the roster or the settings changed since then "
        f"({', '.join(differing)}); the next send sends it anew",
    )


def _properties(ics: bytes) -> Mapping[bytes, list[bytes]]:
    """Return the event's lines by their property's name, unfolded (RFC 5545 3.1)."""
    found: dict[bytes, list[bytes]] = {}
    # An alarm has a DESCRIPTION too, which is not the meeting's.
    event = ics.replace(b"\r\n ", b"").split(b"BEGIN:VALARM")[0]
    for line in event.split(b"\r\n"):
        name = line.split(b":", 1)[0].split(b";", 1)[0]
        found.setdefault(name, []).append(line)
    return found
