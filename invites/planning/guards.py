"""Guards: what holds a plan back until a person says yes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from invites.model import Roster, Status
from invites.planning.actions import (
    Action,
    Cause,
    Place,
    Send,
    Situation,
    TrippedGuard,
)
from invites.planning.changes import tells_of_regrouping
from invites.planning.facts import MeetingDraft, Terms
from invites.planning.patterns import (
    EXAMPLES,
    PATTERN,
    Proposal,
    examples_of,
    meeting_named,
    place_named,
)
from invites.planning.regrouping import Successors, regrouped
from invites.planning.state import Entry, MeetingState
from invites.text import counted

SHRINK_MEETINGS, SHRINK_ATTENDEES, CHANGE_UPDATES, NEW_INVITATIONS = 2, 5, 20, 20
"""A guard trips above its share, and only beyond these numbers."""


@dataclass(slots=True, kw_only=True)
class Survey:
    """What of the scope is live, and what of that the roster no longer has.

    `live` are the standing invitations by meeting; those that wait for the horizon are not counted.
    `gone_...` and `newly_cancelled` are what is lost, a meeting as the entry of one who is in it.
    `withdrawn_...` were taken back within the window, so that many small losses add up.
    `replaced` maps (meeting id, folded old address) to the folded address that took its place: the
    same `user_id` in the meeting.  `regrouped` maps such places to the meetings that have their
    dates: nothing of that is lost, or new.
    """

    live: dict[str, list[Entry]] = field(default_factory=dict)
    live_meetings: int = 0
    live_attendees: int = 0
    gone_meetings: list[Entry] = field(default_factory=list)
    gone_attendees: list[Entry] = field(default_factory=list)
    newly_cancelled: list[Entry] = field(default_factory=list)
    withdrawn_meetings: int = 0
    withdrawn_attendees: int = 0
    replaced: dict[tuple[str, str], str] = field(default_factory=dict)
    regrouped: dict[Place, Successors] = field(default_factory=dict)


def survey(
    drafts: Mapping[str, MeetingDraft], left_out: frozenset[str], situation: Situation
) -> Survey:
    """Count what is live and gone; the horizon, left-out rows and meetings that are over apart.

    `left_out` are the ids of meetings of which no row was accepted.
    """
    found = Survey(regrouped=regrouped(drafts, left_out, situation))
    for state in situation.snapshot.meetings.values():
        live = list(state.live(situation.seconds))
        draft = drafts.get(state.id)
        _survey_withdrawn(found, state, live, draft, situation)
        if not live:
            continue
        found.live[state.id] = live
        if draft is None:
            _survey_missing(found, live, situation, gone=state.id not in left_out)
        elif draft.facts.end.timestamp() > situation.seconds:
            _survey_present(found, state, live, draft, situation)
    return found


def _survey_missing(found: Survey, live: list[Entry], situation: Situation, *, gone: bool) -> None:
    inside = [
        entry
        for entry in live
        if entry.standing is not None and not situation.beyond_horizon(entry.standing.start)
    ]
    found.live_meetings += bool(inside)
    found.live_attendees += len(inside)
    if gone:
        lost = [
            one
            for one in inside
            if (one.meeting_id, one.address) not in found.regrouped
            and situation.policy.lets_through(one.meeting_id, one.address)
        ]
        found.gone_meetings += lost[:1]
        found.gone_attendees += lost


def _survey_present(
    found: Survey, state: MeetingState, live: list[Entry], draft: MeetingDraft, situation: Situation
) -> None:
    found.live_meetings += 1
    found.live_attendees += len(live)
    if draft.meeting.status is Status.CANCELLED:
        told = [one for one in live if situation.policy.lets_through(one.meeting_id, one.address)]
        found.newly_cancelled += [] if draft.meeting.incomplete else told[:1]
        return
    present = draft.coming(situation.seconds)
    gone = [entry for entry in live if entry.address not in present]
    if not gone:
        return
    for old, new in _replacements(gone, state, draft, situation):
        found.replaced[state.id, old] = new
    if not draft.meeting.incomplete:
        found.gone_attendees += [
            entry
            for entry in gone
            if (state.id, entry.address) not in found.replaced
            and situation.policy.lets_through(state.id, entry.address)
        ]


def _survey_withdrawn(
    found: Survey,
    state: MeetingState,
    live: list[Entry],
    draft: MeetingDraft | None,
    situation: Situation,
) -> None:
    """Count what was taken back since the window began, and is not there again.

    A yes begins the window anew: what a person saw and accepted is not held against later losses.
    Somebody whose address changed is not gone: the same `user_id` is live in the meeting.
    """
    present = draft.coming(situation.seconds) if draft else set()
    taken = [
        entry
        for entry in state.entries.values()
        if entry.withdrawn is not None
        and entry.withdrawn.end > situation.seconds
        and not tells_of_regrouping(entry.withdrawn.changes)
        and entry.address not in present
        and (entry.sent_at or 0) > situation.window_start
        and not situation.beyond_horizon(entry.withdrawn.start)
    ]
    if draft is not None and draft.meeting.status is Status.CANCELLED:
        return
    if not taken:
        return
    found.withdrawn_meetings += not live and draft is None
    ids = {_user_id(entry, situation) for entry in live} - {""} if live else set()
    found.withdrawn_attendees += sum(1 for one in taken if _user_id(one, situation) not in ids)


def _user_id(entry: Entry, situation: Situation) -> str:
    return situation.snapshot.standing(entry).attendee.user_id


def _replacements(
    gone: list[Entry], state: MeetingState, draft: MeetingDraft, situation: Situation
) -> Iterator[tuple[str, str]]:
    """Pair those gone with those new by `user_id`, where it names one on either side."""
    new_by_id: dict[str, list[str]] = {}
    for attendee in draft.meeting.attendees:
        entry = state.entries.get(attendee.address)
        if attendee.user_id and (entry is None or not entry.invited):
            new_by_id.setdefault(attendee.user_id, []).append(attendee.address)
    if not new_by_id:
        return
    gone_by_id: dict[str, list[str]] = {}
    for entry in gone:
        if entry.invitation is not None:
            known = situation.snapshot.known(entry.invitation).attendee
            gone_by_id.setdefault(known.user_id, []).append(entry.address)
    for user_id, new in new_by_id.items():
        old = gone_by_id.get(user_id, [])
        if len(old) == 1 and len(new) == 1:
            yield old[0], new[0]


def shrink_guards(found: Survey, roster: Roster, situation: Situation) -> Iterator[TrippedGuard]:
    """Yield the guards against a roster that lost much; none where nobody can be withdrawn.

    The share is of what was live in the window: what is live and what was taken back in it, so that
    a little less every night adds up to what a single night may not lose.
    """
    policy, snapshot = situation.policy, situation.snapshot
    # --partial withdraws nobody, and where a left-out row's meeting can't be known nobody is missing.
    if policy.partial or not roster.complete:
        return
    # reliability.md, "roster shrank, against what was live at the start of `window`".
    meetings = found.live_meetings + found.withdrawn_meetings
    attendees = found.live_attendees + found.withdrawn_attendees
    days = f"the last {counted(policy.window.days, 'day')}"
    rows = (
        ("shrink", "meetings", found.gone_meetings, found.withdrawn_meetings, meetings),
        ("shrink", "attendees", found.gone_attendees, found.withdrawn_attendees, attendees),
        ("cancelled", "meetings", found.newly_cancelled, 0, meetings),
    )
    limits = (SHRINK_MEETINGS, SHRINK_ATTENDEES, SHRINK_MEETINGS)
    for (guard, noun, lost, before, live), limit in zip(rows, limits, strict=True):
        now = len(lost)
        if now and now + before > limit and now + before > policy.shrink * live:
            words = "are newly cancelled" if guard == "cancelled" else "are no longer in the roster"
            since = f" ({before} of them withdrawn in {days})" if before else ""
            yield TrippedGuard(
                guard=guard,  # type: ignore[arg-type]  # the words above
                what=f"{noun} {words}{since}",
                found=now + before,
                live=live,
                share=policy.shrink,
                examples=tuple(
                    place_named(known.facts, known.attendee)
                    if noun == "attendees"
                    else meeting_named(known.facts)
                    for known in map(snapshot.standing, lost[:EXAMPLES])
                ),
                detail=noun,
            )


def sending_guards(found: Survey, proposal: Proposal) -> Iterator[TrippedGuard]:
    """Yield the guards against too many new invitations, and too many updates, at once."""
    policy, snapshot = proposal.situation.policy, proposal.situation.snapshot
    new, live = proposal.invitations, found.live_attendees
    # A roster of one week at a time has nothing live on Sunday night: what was live in the window
    # counts as well.  A scope's first run has nothing to be compared with.
    before = max(live, snapshot.recent)
    many = len(new) > NEW_INVITATIONS and len(new) > policy.growth * before
    if many and not snapshot.first_run:
        yield TrippedGuard(
            guard="growth",
            what="new invitations would go out",
            found=len(new),
            live=before,
            share=policy.growth,
            examples=examples_of(new),
        )
    elif _is_another_roster(found, proposal):
        yield TrippedGuard(
            guard="another roster",
            what="new invitations go to people whom this scope never had, while most who are live "
            "are no longer in the roster",
            found=len(_strangers(proposal)),
            live=len(new),
            examples=examples_of(_strangers(proposal)),
        )
    # reliability.md, "more updates at once than `change`": a dropped column, an edit of the settings.
    updates = proposal.updates
    if len(updates) > CHANGE_UPDATES and len(updates) > policy.change * live:
        fields = sorted({change.field for send in updates for change in send.changes})
        yield TrippedGuard(
            guard="change",
            what="invitations would be updated",
            found=len(updates),
            live=live,
            share=policy.change,
            examples=examples_of(updates),
            detail=",".join(fields),
        )


def _is_another_roster(found: Survey, proposal: Proposal) -> bool:
    """Tell whether a small roster is another team's: too few for `growth`, and all strangers.

    A part of a roster, or one with rows left out, says nothing of those who are gone.
    """
    policy, roster, gone = proposal.situation.policy, proposal.roster, len(found.gone_attendees)
    if policy.partial or not roster.complete or 2 * gone <= found.live_attendees:
        return False
    strangers = len(_strangers(proposal))
    return strangers >= PATTERN and 2 * strangers > len(proposal.invitations)


def _strangers(proposal: Proposal) -> list[Send]:
    return [
        send
        for send in proposal.invitations
        if send.attendee.address not in proposal.situation.snapshot.addresses
    ]


def organizer_guard(proposal: Proposal) -> Iterator[TrippedGuard]:
    """Yield the guard against another mailbox: receivers refuse an update of another ORGANIZER."""
    changed = proposal.moved
    if changed:
        (change,) = changed[0].changes
        yield TrippedGuard(
            guard="organizer",
            what=f"invitations were sent by {change.old}, and the organizer is {change.new} now",
            found=len(changed),
            live=sum(len(live) for live in proposal.live.values()),
            examples=examples_of(changed),
            detail=str(change.new),
            meetings=frozenset(send.facts.id for send in changed),
        )


CODE_OCTETS = 6


def code_for(guards: Iterable[TrippedGuard], roster: Roster, terms: Terms | None) -> str:
    """Return the code that says yes to these guards of this roster under these terms.

    It stands for what kinds of guards tripped, not for their counts: those fall while meetings
    begin, between the night that refused and the morning on which a person says yes.
    """
    said = sorted(f"{guard.guard}:{guard.detail}" for guard in guards)
    text = "\0".join((roster.digest, repr(terms), *said))
    return blake2b(text.encode(), digest_size=CODE_OCTETS).hexdigest()


def holds(guard: TrippedGuard, action: Action) -> bool:
    """Tell whether a tripped guard holds a message back; what was begun before goes on."""
    # A retry repeats a message that may have left: held, its outcome would never be known.
    if action.retry:
        return False
    match guard.guard:
        case "growth" | "another roster":
            return isinstance(action, Send) and action.cause in {Cause.NEW, Cause.BACK}
        case "change":
            return isinstance(action, Send) and action.cause is Cause.CHANGED
        case "shrink" | "cancelled":
            return False  # held where absence is decided: nothing is counted as missing then
        case _:
            place = (action.facts.id, action.attendee.address)
            return action.facts.id in guard.meetings or place in guard.places


def warnings_of(
    drafts: Mapping[str, MeetingDraft], actions: Iterable[Action], situation: Situation
) -> tuple[str, ...]:
    """Return what a person should know of a plan that no guard holds back."""
    warnings = [
        f'meeting "{meeting_id}" is over by the roster, and {counted(count, "invitation")} '
        f"to a later time {'stands' if count == 1 else 'stand'}; nobody is told of a meeting that is over"
        for meeting_id, count in _moved_into_the_past(drafts, situation)
    ]
    moved = {
        action.facts.id
        for action in actions
        if {"key", "room"} <= {change.field for change in action.changes}
    }
    if moved:
        warnings.append(
            f"the new secret moves the rooms of {counted(len(moved), 'meeting')}, for they are "
            "derived from it; a room key file ([jitsi] room_key_file) keeps rooms over a change of secret"
        )
    return tuple(warnings)


def _moved_into_the_past(
    drafts: Mapping[str, MeetingDraft], situation: Situation
) -> Iterator[tuple[str, int]]:
    """Yield meetings that are over by the roster while invitations to a later time stand."""
    for draft in drafts.values():
        state = situation.snapshot.meetings.get(draft.facts.id)
        if state is None or draft.facts.end.timestamp() > situation.seconds:
            continue
        standing = sum(1 for _ in state.live(situation.seconds))
        if standing:
            yield draft.facts.id, standing
