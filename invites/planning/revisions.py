"""One attendee's next revision: which message, with which SEQUENCE and DTSTAMP (RFC 5546 2.1.5)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from invites.model import Change, Kind, Meeting, Method, Revision
from invites.planning.actions import (
    Cause,
    Drop,
    Hold,
    Item,
    Keep,
    Mark,
    Policy,
    Reason,
    Send,
    Withdraw,
)
from invites.planning.facts import Difference, Draft, Terms, difference
from invites.planning.state import PRESENT, Entry, Snapshot, State

Value = datetime | str | bool | None
UNCHANGED = Difference((), zone_rules=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What every decision of one plan looks at; `seconds` is `now` since 1970."""

    snapshot: Snapshot
    policy: Policy
    now: datetime
    seconds: int


def for_present(
    meeting: Meeting, draft: Draft, entry: Entry, uid: str, moment: Moment, replaces: str = ""
) -> Iterator[Item]:
    """Decide for an attendee whom the roster has in a meeting that takes place."""
    if entry.missing_times:
        yield Mark(entry.meeting_id, entry.address, PRESENT)
    if not entry.invited:
        yield from _invited(meeting, draft, entry, uid, moment, replaces)
        return
    found = UNCHANGED
    if entry.standing_digest != draft.digest:
        found = difference(moment.snapshot.standing(entry), draft)
    if found.changes:
        yield from _updated(meeting, draft, entry, uid, moment, found)
    else:
        yield from _unchanged(meeting, draft, entry, uid, moment)


def _invited(
    meeting: Meeting, draft: Draft, entry: Entry, uid: str, moment: Moment, replaces: str
) -> Iterator[Item]:
    """Invite one who has no invitation: SEQUENCE 0, or above that of the CANCEL."""
    back = entry.standing_method is Method.CANCEL
    if back:
        sequence = entry.standing_sequence + 1
    else:
        forgotten = moment.snapshot.forgotten.sequence_for(uid, entry.address)
        sequence = 0 if forgotten is None else forgotten + 1
    send = Send(
        meeting=meeting,
        uid=uid,
        draft=draft,
        revision=_next(Kind.INVITATION, sequence, entry, moment),
        cause=Cause.BACK if back else Cause.NEW,
        replaces=replaces,
    )
    yield _tried_before(send, entry, moment)


def _updated(
    meeting: Meeting, draft: Draft, entry: Entry, uid: str, moment: Moment, found: Difference
) -> Iterator[Item]:
    until = None
    if found.demotes:
        until = moment.snapshot.standing(entry).facts.validity.expires
    send = Send(
        meeting=meeting,
        uid=uid,
        draft=draft,
        revision=_next(Kind.UPDATE, entry.standing_sequence + found.raises_sequence, entry, moment),
        cause=Cause.CHANGED,
        changes=found.changes,
        zone_rules=found.zone_rules,
        first_message_id=entry.first_message_id,
        admits_until=until if until is not None and until > moment.seconds else None,
    )
    yield _tried_before(send, entry, moment)


def _unchanged(
    meeting: Meeting, draft: Draft, entry: Entry, uid: str, moment: Moment
) -> Iterator[Item]:
    """Keep what is there, but finish what was begun: a copy on its way, or one without an answer."""
    hold = moment.policy.on_unknown == "hold"
    unknown = entry.standing_state == State.UNKNOWN
    again = Send(
        meeting=meeting,
        uid=uid,
        draft=draft,
        revision=_next(Kind.INVITATION, entry.standing_sequence, entry, moment),
        cause=Cause.RESENT,
    )
    if _continues(again, entry) and not (unknown and hold and _pending_is_standing(entry)):
        yield _tried_before(again, entry, moment)
        return
    if moment.policy.resend:
        yield again
        return
    if entry.pending_kind is not None and not _pending_is_standing(entry):
        yield Drop(entry.meeting_id, entry.address)
    if not unknown:
        yield Keep(draft)
    elif hold:
        yield Hold(draft=draft, reason=Reason.UNKNOWN, cause=Cause.RESENT)
    elif _waits(entry, moment):
        yield _backoff(draft, Cause.RESENT, entry)
    else:
        yield _same_again(again, entry)


def _same_again(send: Send, entry: Entry) -> Send:
    """Return the standing revision once more: the same Message-ID, the same words."""
    return Send(
        meeting=send.meeting,
        uid=send.uid,
        draft=send.draft,
        revision=_standing_revision(entry),
        cause=Cause.RESENT,
        changes=changes_from(entry.standing_changes),
        retry=True,
        first_message_id=_answered(entry, entry.standing_kind),
    )


def withdrawal(
    entry: Entry, uid: str, moment: Moment, *, kind: Kind, cause: Cause, replaced_by: str = ""
) -> Iterator[Item]:
    """Take an invitation back; who never got one gets nothing, and who was told is not told again."""
    if entry.invited:
        draft = standing_draft(entry, moment.snapshot)
        begun = entry.pending_kind == kind
        if begun and _waits(entry, moment):
            yield _backoff(draft, cause, entry)
            return
        revision = (
            _pending_revision(entry)
            if begun
            else _next(kind, entry.standing_sequence + 1, entry, moment)
        )
        yield _withdraw(entry, draft, uid, revision, cause, retry=begun, replaced_by=replaced_by)
    elif entry.standing_method is Method.CANCEL:
        yield from told_again(entry, uid, moment)
    elif entry.pending_kind is not None:
        yield Drop(entry.meeting_id, entry.address)


def told_again(entry: Entry, uid: str, moment: Moment) -> Iterator[Item]:
    """Repeat a CANCEL that got no answer; drop an invitation that would have followed it."""
    if entry.pending_kind is not None and not _pending_is_standing(entry):
        yield Drop(entry.meeting_id, entry.address)
    if entry.standing_state != State.UNKNOWN:
        return
    cause = Cause.CANCELLED if entry.standing_kind == Kind.CANCELLED else Cause.MISSING
    draft = standing_draft(entry, moment.snapshot)
    if moment.policy.on_unknown == "hold":
        yield Hold(draft=draft, reason=Reason.UNKNOWN, cause=cause)
    elif _waits(entry, moment):
        yield _backoff(draft, cause, entry)
    else:
        yield _withdraw(entry, draft, uid, _standing_revision(entry), cause, retry=True)


def deferred_again(entry: Entry, uid: str, moment: Moment, terms: Terms) -> Iterator[Item]:
    """Repeat a deferred revision from the ledger's facts alone, once it may be tried again.

    An invitation whose link was made under other terms waits for a run that sees the roster.
    """
    if entry.pending_state != State.DEFERRED or _waits(entry, moment):
        return
    if entry.pending_end <= moment.seconds:
        yield Drop(entry.meeting_id, entry.address)
        return
    known = moment.snapshot.pending(entry)
    draft = Draft(known.facts, known.attendee, entry.pending_digest or "")
    revision = _pending_revision(entry)
    if revision.method is Method.CANCEL:
        cause = Cause.CANCELLED if revision.kind is Kind.CANCELLED else Cause.MISSING
        yield _withdraw(entry, draft, uid, revision, cause, retry=True)
    elif known.facts.terms == terms:
        yield Send(
            meeting=known.facts.meeting((known.attendee,)),
            uid=uid,
            draft=draft,
            revision=revision,
            cause=Cause.CHANGED if revision.kind is Kind.UPDATE else Cause.NEW,
            changes=changes_from(entry.pending_changes),
            retry=True,
            first_message_id=_answered(entry, entry.pending_kind),
            attempts=entry.attempts,
        )


def standing_draft(entry: Entry, snapshot: Snapshot) -> Draft:
    """Return what the attendee has as a draft, for composing and recording it."""
    known = snapshot.standing(entry)
    return Draft(known.facts, known.attendee, entry.standing_digest or "")


def _withdraw(
    entry: Entry,
    draft: Draft,
    uid: str,
    revision: Revision,
    cause: Cause,
    *,
    retry: bool,
    replaced_by: str = "",
) -> Withdraw:
    return Withdraw(
        meeting=draft.facts.meeting((draft.attendee,)),
        uid=uid,
        draft=draft,
        revision=revision,
        cause=cause,
        admits_until=draft.facts.validity.expires,
        retry=retry,
        first_message_id=entry.first_message_id,
        replaced_by=replaced_by,
        attempts=entry.attempts if retry else 0,
    )


def _tried_before(send: Send, entry: Entry, moment: Moment) -> Send | Hold:
    """Return `send` as the revision that was begun for the same facts, if there is one."""
    if not _continues(send, entry):
        return send if entry.pending_kind is None else replace(send, supersedes=True)
    if _waits(entry, moment):
        return _backoff(send.draft, send.cause, entry)
    return Send(
        meeting=send.meeting,
        uid=send.uid,
        draft=send.draft,
        revision=_pending_revision(entry),
        cause=send.cause,
        changes=send.changes or changes_from(entry.pending_changes),
        zone_rules=send.zone_rules,
        retry=True,
        first_message_id=_answered(entry, entry.pending_kind),
        replaces=send.replaces,
        admits_until=send.admits_until,
        attempts=entry.attempts,
    )


def _continues(send: Send, entry: Entry) -> bool:
    """Tell whether the pending revision says the same to the same effect."""
    return (
        entry.pending_digest == send.draft.digest
        and entry.pending_method is Method.REQUEST
        and entry.pending_sequence == send.revision.sequence
    )


def _answered(entry: Entry, kind: str | None) -> str | None:
    """Return the Message-ID that a message of this kind answers: only an update answers one."""
    return entry.first_message_id if kind == Kind.UPDATE else None


def _waits(entry: Entry, moment: Moment) -> bool:
    return entry.pending_state == State.DEFERRED and entry.next_attempt > moment.seconds


def _backoff(draft: Draft, cause: Cause, entry: Entry) -> Hold:
    return Hold(draft=draft, reason=Reason.BACKOFF, cause=cause, until=entry.next_attempt)


def _next(kind: Kind, sequence: int, entry: Entry, moment: Moment) -> Revision:
    """Return a new revision; DTSTAMP rises even within a second and with a clock set back."""
    stamp = max(moment.seconds, entry.latest_dtstamp + 1)
    return Revision(kind=kind, sequence=sequence, dtstamp=datetime.fromtimestamp(stamp, UTC))


def _pending_is_standing(entry: Entry) -> bool:
    return (entry.pending_kind, entry.pending_sequence, entry.pending_dtstamp) == (
        entry.standing_kind,
        entry.standing_sequence,
        entry.standing_dtstamp,
    )


def _pending_revision(entry: Entry) -> Revision:
    return Revision(
        kind=Kind(entry.pending_kind or ""),
        sequence=entry.pending_sequence,
        dtstamp=datetime.fromtimestamp(entry.pending_dtstamp, UTC),
    )


def _standing_revision(entry: Entry) -> Revision:
    return Revision(
        kind=Kind(entry.standing_kind or ""),
        sequence=entry.standing_sequence,
        dtstamp=datetime.fromtimestamp(entry.standing_dtstamp, UTC),
    )


def changes_json(changes: tuple[Change, ...]) -> str | None:
    """Return the changes as the ledger keeps them, so that a repeated message can repeat them."""
    if not changes:
        return None
    return json.dumps(
        [[change.field, _plain(change.old), _plain(change.new)] for change in changes],
        ensure_ascii=False,
    )


def changes_from(text: str | None) -> tuple[Change, ...]:
    """Return the changes that `changes_json` wrote; times are aware and in UTC."""
    if text is None:
        return ()
    return tuple(
        Change(field=field, old=_value(field, old), new=_value(field, new))
        for field, old, new in json.loads(text)
    )


def _plain(value: Value) -> str | bool | int | None:
    return int(value.timestamp()) if isinstance(value, datetime) else value


def _value(field: str, value: str | bool | int | None) -> Value:  # noqa: FBT001 - JSON's value
    if field in {"start", "end"} and isinstance(value, int):
        return datetime.fromtimestamp(value, UTC)
    return value  # type: ignore[return-value]  # only times are written as numbers
