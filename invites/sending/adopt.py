"""Taking into the ledger what was mailed from a build, so that nobody is invited twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from invites.addresses import AddressRefused, parse_address
from invites.delivery.base import Phase, Sent
from invites.errors import Exit, GuardError, RosterRefusedError
from invites.identity import MessageIds, uid_for
from invites.ledger import Ledger
from invites.ledger.runs import begin_run, claim, finish_run
from invites.ledger.write import Key, record_plan
from invites.messages.calendar import text_value
from invites.model import Kind, Method, Revision, Roster
from invites.output.manifest import Listed
from invites.planning.actions import Cause, Plan, Send
from invites.planning.facts import Draft, MeetingDraft
from invites.planning.state import Entry, Snapshot
from invites.problems import Problem
from invites.sending.journal import LedgerJournal
from invites.sending.one_pass import demand_guards, note_refused, run_start, snapshot_for
from invites.sending.options import Effects, SendOptions
from invites.sending.renderer import Renderer, composed

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
) -> Adopted:
    """Record the invitations of a build that was mailed by other means; `--record-only`.

    The ledger is locked.  A row whose facts are no longer the roster's is not adopted.
    Raises GuardError and RosterRefusedError as `send` does.
    """
    now = effects.clock()
    began = effects.timer()
    try:
        demand_guards(ledger, options, now=now)
        snapshot = snapshot_for(roster, ledger, options, now)
    except (GuardError, RosterRefusedError) as refusal:
        note_refused(ledger, options, refusal, roster=roster, source=roster.source, now=now)
        raise
    found = _Found(roster, renderer, snapshot, options, now)
    found.take(rows)
    run_id = begin_run(ledger, run_start(options, roster.source, roster.digest), now=now)
    for other in options.claimed:
        claim(ledger, other=other, scope=options.scope)
    _record(found.sends, run_id, ledger, options, effects.clock)
    exit_code = Exit.IN_PART if found.problems or roster.rejected else Exit.DONE
    finish_run(
        ledger,
        run_id,
        exit_code=exit_code,
        counts={"adopted": len(found.sends), "not_adopted": len(found.problems)},
        took=timedelta(seconds=effects.timer() - began),
        now=effects.clock(),
    )
    return Adopted(
        run_id=run_id,
        adopted=len(found.sends),
        known=found.known,
        over=found.over,
        problems=tuple(found.problems),
        exit_code=exit_code,
    )


def _record(
    sends: Sequence[tuple[Send, str]],
    run_id: str,
    ledger: Ledger,
    options: SendOptions,
    clock: Callable[[], datetime],
) -> None:
    actions = tuple(send for send, _ in sends)
    record_plan(ledger, Plan(scope=options.scope, roster_digest="", actions=actions))
    journal = LedgerJournal(ledger, run_id, actions, clock=clock)
    rest = iter(sends)
    while chunk := list(islice(rest, AT_ONCE)):
        keys = [Key.of(send) for send, _ in chunk]
        for key, (_, message_id) in zip(keys, chunk, strict=True):
            journal.announced(key, message_id)
        journal.note(outcomes=(), sending=keys)
        outcomes = [Sent(key=key, answer="adopted from a build", phase=Phase.BATCH) for key in keys]
        journal.note(outcomes=outcomes, sending=())


class _Found:
    """What a manifest's rows come to, beside the roster and the ledger."""

    def __init__(
        self,
        roster: Roster,
        renderer: Renderer,
        snapshot: Snapshot,
        options: SendOptions,
        now: datetime,
    ) -> None:
        self.sends: list[tuple[Send, str]] = []
        self.problems: list[Problem] = []
        self.known = 0
        self.over = 0
        self._renderer = renderer
        self._snapshot = snapshot
        self._now = now
        self._by_uid = {
            self._uid(draft, options.policy.namespace): draft for draft in renderer.drafts(roster)
        }

    def _uid(self, draft: MeetingDraft, namespace: str) -> str:
        state = self._snapshot.meetings.get(draft.facts.id)
        return uid_for(namespace, draft.facts.id) if state is None else state.uid

    def take(self, rows: Iterable[Listed]) -> None:
        """Sort the rows into those to adopt, those known, those over, and problems."""
        candidates = [send for row in rows for send in self._candidate(row)]
        calendars = {
            (Key.of(action), action.revision.dtstamp): invitation.ics
            for action, invitation in composed([send for send, _ in candidates], self._renderer)
        }
        for send, row in candidates:
            ours = calendars[Key.of(send), send.revision.dtstamp]
            fault = _calendar_fault(row, send, ours)
            if fault is None:
                self.sends.append((send, row.message_id))
            else:
                self.problems.append(fault)
        self.problems.sort(key=lambda problem: problem.row or 0)

    def _candidate(self, row: Listed) -> Iterator[tuple[Send, Listed]]:
        meeting = self._by_uid.get(row.uid)
        if meeting is not None and meeting.facts.end <= self._now:
            self.over += 1
            return
        draft = None if meeting is None else _draft_of(meeting, row.email)
        if meeting is None or draft is None:
            self.problems.append(_not_there(row, meeting))
            return
        fault = self._fault(row, draft)
        if fault is not None:
            self.problems.append(fault)
            return
        revision = Revision(
            kind=Kind.INVITATION,
            sequence=row.sequence,
            dtstamp=datetime.fromtimestamp(row.dtstamp, UTC),
        )
        entry = self._entry(draft)
        if entry is not None and entry.standing is not None:
            if entry.standing.revision == replace(revision, kind=entry.standing.kind):
                self.known += 1
            else:
                self.problems.append(_another_stands(row))
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

    def _entry(self, draft: Draft) -> Entry | None:
        state = self._snapshot.meetings.get(draft.facts.id)
        return None if state is None else state.entries.get(draft.attendee.address)

    def _fault(self, row: Listed, draft: Draft) -> Problem | None:
        """Return what a row says otherwise than the roster and the settings do now."""
        facts, attendee = draft.facts, draft.attendee
        pairs: Mapping[str, tuple[object, object, str]] = {
            "method": (row.method, Method.REQUEST.value, "an invitation (REQUEST)"),
            "moderator": (row.moderator, attendee.moderator, "what the roster says now"),
            "room": (row.room, facts.room.claim, "the room of now"),
            "not_before": (row.not_before, facts.validity.not_before, "the window of now"),
            "expires": (row.expires, facts.validity.expires, "the window of now"),
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
            dtstamp=datetime.fromtimestamp(row.dtstamp, UTC),
            domain=mailbox.rpartition("@")[2],
        )
        return ids.for_address(draft.attendee.address)


def _draft_of(meeting: MeetingDraft, email: str) -> Draft | None:
    for draft in meeting.drafts:
        if draft.attendee.email == email:
            return draft
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
    event = ics.replace(b"\r\n ", b"").split(b"BEGIN:VALARM")[0]
    for line in event.split(b"\r\n"):
        name = line.split(b":", 1)[0].split(b";", 1)[0]
        found.setdefault(name, []).append(line)
    return found
