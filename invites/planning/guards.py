"""Guards that look at the clock and at the time zone data, against what the ledger remembers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from invites.model import Roster, Status
from invites.planning.actions import SHRINK_ATTENDEES, SHRINK_MEETINGS, Policy, Refusal, Situation
from invites.planning.facts import MeetingDraft
from invites.planning.state import Entry, MeetingState
from invites.text import counted
from invites.times import instant, iso_z

CLOCK_BEHIND = timedelta(minutes=5)
"""A clock this much behind the last run is still taken for the same clock."""

_RELEASE = re.compile(r"(\d{4})([a-z]{1,2})", re.ASCII)


def clock_fault(last_run: int | None, now: int, *, ahead: timedelta) -> str | None:
    """Return why the clock can't be trusted, or None; both times are seconds since 1970.

    A pause between two runs is no fault, unless it is longer than `ahead`.
    """
    if last_run is None:
        return None
    if last_run - now > CLOCK_BEHIND.total_seconds():
        return _clock_text(last_run, now, "is behind")
    if now - last_run > ahead.total_seconds():
        return _clock_text(last_run, now, f"is more than {counted(ahead.days, 'day')} past")
    return None


def _clock_text(last_run: int, now: int, words: str) -> str:
    return (
        f"clock: found {_said(now)}, which {words} the ledger's last run at {_said(last_run)}; "
        "expected a clock that is right; set it, or give --accept-clock if it is"
    )


def _said(seconds: int) -> str:
    return iso_z(instant(seconds))


def zone_data_fault(recorded: str | None, current: str) -> str | None:
    """Return why the time zone data can't be trusted, or None; versions read as `2026f`."""
    release = _RELEASE.fullmatch(current)
    if release is None:
        return (
            f'time zone data: found version "{current[:40]}", expected a release such as 2026f; '
            "install the tzdata package anew"
        )
    earlier = _RELEASE.fullmatch(recorded or "")
    if earlier is not None and _order(release) < _order(earlier):
        return (
            f"time zone data: found version {current}, expected {recorded} or later, with which "
            "the ledger's invitations were made; update the tzdata package"
        )
    return None


def _order(release: re.Match[str]) -> tuple[int, int, str]:
    year, letters = release.groups()
    return int(year), len(letters), letters


@dataclass(slots=True, kw_only=True)
class Survey:
    """What of the scope is live, and what of that the roster no longer has.

    `replaced` maps (meeting id, folded old address) to the folded address that took its place: the
    same `user_id` in the meeting.
    """

    live_meetings: int = 0
    live_attendees: int = 0
    gone_meetings: int = 0
    gone_attendees: int = 0
    newly_cancelled: int = 0
    replaced: dict[tuple[str, str], str] = field(default_factory=dict)


def survey(
    drafts: Mapping[str, MeetingDraft], left_out: frozenset[str], situation: Situation
) -> Survey:
    """Count what is live and gone; the horizon, left-out rows and meetings that are over apart.

    `left_out` are the ids of meetings of which no row was accepted.
    """
    found = Survey()
    for state in situation.snapshot.meetings.values():
        live = list(state.live(situation.seconds))
        if not live:
            continue
        draft = drafts.get(state.id)
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
        found.gone_meetings += bool(inside)
        found.gone_attendees += len(inside)


def _survey_present(
    found: Survey, state: MeetingState, live: list[Entry], draft: MeetingDraft, situation: Situation
) -> None:
    found.live_meetings += 1
    found.live_attendees += len(live)
    if draft.meeting.status is Status.CANCELLED:
        found.newly_cancelled += not draft.meeting.incomplete
        return
    present = {attendee.address for attendee in draft.meeting.attendees}
    gone = [entry for entry in live if entry.address not in present]
    if not gone:
        return
    for old, new in _replacements(gone, state, draft, situation):
        found.replaced[state.id, old] = new
    if not draft.meeting.incomplete:
        found.gone_attendees += sum(
            1 for entry in gone if (state.id, entry.address) not in found.replaced
        )


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


def shrink_refusals(found: Survey, roster: Roster, policy: Policy) -> tuple[Refusal, ...]:
    """Return the guards against a roster that lost much; none where nobody can be withdrawn."""
    if policy.partial or not roster.complete or accepts(policy.accept, roster):
        return ()
    meetings, attendees = found.live_meetings, found.live_attendees
    candidates = (
        ("shrink", "meetings are no longer in the roster", found.gone_meetings, meetings),
        ("shrink", "attendees are no longer in the roster", found.gone_attendees, attendees),
        ("cancelled", "meetings are newly cancelled", found.newly_cancelled, meetings),
    )
    limits = (SHRINK_MEETINGS, SHRINK_ATTENDEES, SHRINK_MEETINGS)
    return tuple(
        Refusal(
            guard=guard,  # type: ignore[arg-type]  # the words above
            what=what,
            found=gone,
            live=live,
            share=policy.shrink,
            digest=roster.digest,
        )
        for (guard, what, gone, live), limit in zip(candidates, limits, strict=True)
        if gone > limit and gone > policy.shrink * live
    )


SHORTEST_DIGEST = 12
"""Hex digits of a roster's digest that an acceptance must give at least."""


def accepts(digest: str | None, roster: Roster) -> bool:
    """Tell whether a person said yes to this very roster."""
    if digest is None or len(digest) < SHORTEST_DIGEST:
        return False
    return roster.digest.startswith(digest.lower())


def moved_into_the_past(
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
