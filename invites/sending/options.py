"""What a pass is asked to do, for which scope, by which rules, with which effects; what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote

from invites.errors import Exit, InvitesError
from invites.invitation import DeliveryName
from invites.model import Roster, Status
from invites.planning.actions import Plan, Policy
from invites.planning.state import State
from invites.problems import Problem
from invites.report.sending import Unsent
from invites.roster.source import may_read

if TYPE_CHECKING:
    from datetime import datetime

    from invites.planning.state import Snapshot
    from invites.settings import Settings
    from invites.settings.sections import Job


NO_RUN = ""
"""The run's id of a pass that is in no ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOptions:
    """Whose roster is sent how: `command` is `send` or `run`, `claimed` scopes are moved over.

    `skip_invalid` leaves out rows that the ledger finds a problem with, instead of refusing.
    `dry_run` composes and checks alone; a `recipient` gets all messages, instead of the attendees.
    `timezone` (IANA) is the one in which people are told times.
    """

    scope: str
    command: str
    delivery: DeliveryName
    policy: Policy
    claimed: tuple[str, ...] = ()
    skip_invalid: bool = False
    dry_run: bool = False
    recipient: str | None = None
    clock_ahead: timedelta = timedelta(days=100)
    accept_clock: bool = False
    keep: timedelta = timedelta(days=400)
    timezone: str = "UTC"

    @classmethod
    def from_settings(
        cls, settings: Settings, *, scope: str, command: str, to: DeliveryName
    ) -> Self:
        """Return what the settings say of such a pass, without flags."""
        return cls(
            scope=scope,
            command=command,
            delivery=to,
            policy=policy_from(settings, to=to),
            clock_ahead=settings.guard.clock_ahead,
            keep=settings.ledger.keep,
            timezone=settings.roster.timezone,
        )

    @property
    def records(self) -> bool:
        """Tell whether the ledger is to know of the pass: not where no attendee gets anything."""
        return not self.dry_run and self.recipient is None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What a pass did: its plan, how each message ended, and the exit code that says it all.

    `composed` messages passed all checks.
    `unsent` are the messages that were tried and did not go out, in the order of the attempts.
    `trouble` is what ended the delivery early; it was recorded, and is the caller's to raise.
    """

    run_id: str
    plan: Plan
    ended: Mapping[State, int]
    exit_code: Exit
    composed: int = 0
    unsent: tuple[Unsent, ...] = ()
    trouble: InvitesError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """The effects of a pass: the present (aware), seconds that never go back, and when to stop.

    `pause` waits for so long, or until something asks to stop.
    `on_plan` hears the plan of a roster before anything of it is done, `on_message` is called
    before each message is handed over.
    """

    clock: Callable[[], datetime]
    timer: Callable[[], float]
    stop: Callable[[], bool] = lambda: False
    pause: Callable[[timedelta], None] = lambda _span: None
    on_plan: Callable[[Plan], None] = lambda _plan: None
    on_message: Callable[[], None] = lambda: None


def policy_from(settings: Settings, *, to: str) -> Policy:
    """Return the policy of the settings, without flags; a folder always knows what it holds."""
    return Policy(
        namespace=settings.namespace(),
        growth=settings.guard.growth,
        shrink=settings.guard.shrink,
        window=settings.guard.window,
        change=settings.guard.change,
        withdraw_after=settings.guard.withdraw_after,
        on_unknown="resend" if to == "folder" else settings.delivery.on_unknown,
        unknown_copies=settings.delivery.unknown_copies,
    )


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
