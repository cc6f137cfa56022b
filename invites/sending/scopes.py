"""Which scope a roster by hand speaks for, and what of it belongs to another scope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from invites.model import Roster, Status
from invites.problems import Problem
from invites.roster.source import may_read

if TYPE_CHECKING:
    from datetime import datetime

    from invites.planning.state import Snapshot
    from invites.settings import Settings
    from invites.settings.sections import Job

DEFAULT_SCOPE = "default"


def scope_for(source: str, settings: Settings) -> tuple[str, str]:
    """Return the scope of the one job whose `roster` matches the file, else `default`.

    With it comes what somebody should know of how it was found, "" for nothing.
    `source` is the roster as the user gave it; `-` matches no job.
    """
    jobs = [job for job in settings.jobs if source != "-" and may_read(job.source(), source)]
    match jobs:
        case []:
            return DEFAULT_SCOPE, ""
        case [job]:
            return job.name, _part_of(job)
        case _:
            names = ", ".join(f'"{job.name}"' for job in jobs)
            warning = (
                f'the jobs {names} read this roster, so it is sent for scope "{DEFAULT_SCOPE}"; '
                "--scope NAME names another"
            )
            return DEFAULT_SCOPE, warning


def _part_of(job: Job) -> str:
    """Return the warning that a job's other files are missing from a roster of one of them."""
    if len(job.roster) == 1:
        return ""
    return (
        f'this is one of the {len(job.roster)} rosters of job "{job.name}": who is in another one '
        "alone counts as missing; --partial withdraws nobody"
    )


def claims_needed(roster: Roster, snapshot: Snapshot) -> tuple[Problem, ...]:
    """Return a problem of the file for each meeting id that another scope has."""
    return tuple(
        Problem(
            row=meeting.row or None,
            column="meeting_id",
            found=meeting.id,
            expected=(
                f'a meeting of scope "{snapshot.scope}"; scope "{snapshot.owners[meeting.id]}" '
                f"has it; --claim {snapshot.owners[meeting.id]} moves that scope's meetings over"
            ),
            refuses_file=True,
        )
        for meeting in sorted(roster.meetings, key=lambda one: one.row)
        if meeting.id in snapshot.owners
    )


def rooms_of_others(roster: Roster, snapshot: Snapshot, now: datetime) -> tuple[Problem, ...]:
    """Return a problem of the row for each room of the roster's that is live in another scope.

    Who is a moderator there would be one here: the token names the room and no meeting.
    """
    return tuple(
        Problem(
            row=meeting.row or None,
            column="room",
            found=unquote(meeting.room.claim),
            expected=f'a room of scope "{snapshot.scope}": scope '
            f'"{snapshot.rooms[meeting.room.claim]}" has live meetings in this one; name another, '
            "or leave the cell empty for a derived room",
        )
        for meeting in sorted(roster.meetings, key=lambda one: one.row)
        if meeting.room is not None
        and meeting.room.claim in snapshot.rooms
        and meeting.over_at > now
        and meeting.status is not Status.CANCELLED
    )


def without_meetings(roster: Roster, problems: Sequence[Problem]) -> Roster:
    """Return the roster with the meetings left out whose first row has one of these problems."""
    rows = {problem.row for problem in problems}
    out = [meeting for meeting in roster.meetings if meeting.row in rows]
    return replace(
        roster,
        meetings=tuple(meeting for meeting in roster.meetings if meeting.row not in rows),
        left_out=(*roster.left_out, *problems),
        left_out_meetings=(*roster.left_out_meetings, *(meeting.id for meeting in out)),
        rejected=roster.rejected + sum(len(meeting.attendees) for meeting in out),
    )
