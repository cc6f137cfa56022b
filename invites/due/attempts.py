"""What becomes of a job's due time: run it now, wait, or close it as missed; and how long to wait.

The scheduler only wakes the program up; `decide` says from the ledger's watermark what there is to
do, and `after_attempt`, `closed` say what to write back.
The runner reads the state, decides and writes under the ledger's one writer lock: then any number
of wake-ups, processes and hosts have one effect per due time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from typing import Self

from invites.due.rule import DueRule, due_instants, last_due, next_due
from invites.errors import Exit
from invites.times import CLOCK_TOLERANCE


class Again(Enum):
    """When a due time that stays open is tried again."""

    EVERY_WAKE_UP = auto()
    WHEN_INPUTS_CHANGE = auto()


class Obstacle(StrEnum):
    """Why an attempt did not complete its due time; the words go into the ledger and the notice.

    With each: the exit code of a run that ends so, what must happen before another attempt makes
    sense (what the world may mend by itself is tried at every wake-up; what a person must mend, when
    that person has changed the roster, the settings or an acceptance), and for how many hours it is
    expected to go away by itself, before a notice says so.
    """

    exit_code: Exit
    again: Again
    patience: timedelta

    def __new__(
        cls,
        word: str,
        exit_code: Exit = Exit.GUARD,
        again: Again = Again.EVERY_WAKE_UP,
        hours: int = 0,
    ) -> Self:
        """Make the word an obstacle."""
        one = str.__new__(cls, word)
        one._value_ = word
        one.exit_code, one.again, one.patience = exit_code, again, timedelta(hours=hours)
        return one

    FAILED = "failed", Exit.FAILED
    SETTINGS = "settings", Exit.SETTINGS
    LOCK = "lock", Exit.TRY_AGAIN, Again.EVERY_WAKE_UP, 6
    SERVER = "server", Exit.TRY_AGAIN
    STOPPED = "stopped", Exit.TRY_AGAIN, Again.EVERY_WAKE_UP, 6
    CLOCK = "clock"
    ZONE_DATA = "time zone data"
    ROSTER_MOVES = "roster moves", Exit.GUARD, Again.EVERY_WAKE_UP, 1
    ROSTER = "roster", Exit.ROSTER, Again.WHEN_INPUTS_CHANGE
    GROWTH = "growth", Exit.GUARD, Again.WHEN_INPUTS_CHANGE
    PATTERN = "pattern", Exit.GUARD, Again.WHEN_INPUTS_CHANGE
    SHRINK = "shrink", Exit.GUARD, Again.WHEN_INPUTS_CHANGE
    CHANGE = "change", Exit.GUARD, Again.WHEN_INPUTS_CHANGE
    AGE = "age", Exit.GUARD, Again.WHEN_INPUTS_CHANGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Digests of what a person can change to get a refused due time tried again.

    `roster` changes with any of the roster's files, also where one comes or goes; `acceptance`
    with each `--accept-…` that was given.
    """

    roster: str
    settings: str
    acceptance: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDue:
    """A due time that was tried and not completed.  All datetimes are aware, in UTC.

    `cause` is the last attempt's, and `since` is when this cause was first met without another one
    between.
    `noticed` are the causes that a notice was sent for: one for each due time and cause.
    """

    due: datetime
    first_attempt: datetime
    last_attempt: datetime
    attempts: int
    cause: Obstacle
    since: datetime
    inputs: Inputs
    noticed: frozenset[Obstacle] = frozenset()


@dataclass(frozen=True, slots=True)
class Untold:
    """How a due time ended of which nobody could be told; `cause` is None where it was completed."""

    due: datetime
    exit_code: Exit
    cause: Obstacle | None = None


UNTOLD_AT_MOST = 30
"""So many ends of due times wait to be told; of more, the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """What the ledger remembers of a job's due times.

    `watermark` is the last due time that was completed or closed as missed, or the moment at which
    the job was seen for the first time.  `missed` is the last due time that was closed as missed.
    `untold` are ends whose notice could not be sent, the earliest first.
    """

    watermark: datetime
    open: OpenDue | None = None
    missed: datetime | None = None
    untold: tuple[Untold, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """The job is seen for the first time: write this state; it runs at its next due time."""

    state: JobState
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Run the job for `due`; `caught_up` counts the earlier due times that this run stands for."""

    due: datetime
    caught_up: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing to do before `until`, unless the inputs change; `cause` is the open one's."""

    until: datetime
    cause: Obstacle | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseAsMissed:
    """Write `closed(state, due)`, send the notice that `due` did not happen, and decide again."""

    due: datetime
    cause: Obstacle


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockBehind:
    """The clock is `by` behind the watermark: refuse with `Obstacle.CLOCK`, or accept the clock."""

    by: timedelta


Decision = Watch | Run | Wait | CloseAsMissed | ClockBehind


def decide(
    state: JobState | None, rule: DueRule, *, now: datetime, retry_for: timedelta, inputs: Inputs
) -> Decision:
    """Return what is to be done for a job at `now` (aware).

    `retry_for` counts from the first attempt, so that a run which catches up after an outage has
    its time as well; the next due time ends it in any case.
    After `Watch` and `CloseAsMissed`, write and decide again.
    """
    if state is None:
        return Watch(state=JobState(watermark=now), until=next_due(rule, now))
    if state.watermark - now > CLOCK_TOLERANCE:
        # Ahead of the clock: it was set back (reliability.md).
        return ClockBehind(by=state.watermark - now)
    if state.open is not None and state.open.due > state.watermark:
        return _decide_open(state.open, rule, now=now, retry_for=retry_for, inputs=inputs)
    due = last_due(rule, now)
    if due is None or due <= state.watermark:
        return Wait(until=next_due(rule, now))
    passed = sum(1 for _ in due_instants(rule, after=state.watermark, until=due))
    return Run(due=due, caught_up=passed - 1)


def _decide_open(
    tried: OpenDue, rule: DueRule, *, now: datetime, retry_for: timedelta, inputs: Inputs
) -> Decision:
    until = min(tried.first_attempt + retry_for, next_due(rule, tried.due))
    if now >= until:
        return CloseAsMissed(due=tried.due, cause=tried.cause)
    if tried.cause.again is Again.EVERY_WAKE_UP or inputs != tried.inputs:
        return Run(due=tried.due)
    return Wait(until=until, cause=tried.cause)


def completed(state: JobState, due: datetime) -> JobState:
    """Return the state after a run for `due` that ended with exit 0 or 4."""
    return replace(state, watermark=max(state.watermark, due), open=None)


def closed(state: JobState, due: datetime) -> JobState:
    """Return the state after `due` was closed as missed: it is not tried again."""
    return replace(state, watermark=max(state.watermark, due), open=None, missed=due)


def after_attempt(
    state: JobState, due: datetime, *, cause: Obstacle, inputs: Inputs, now: datetime
) -> JobState:
    """Return the state after an attempt at `due` that ended with `cause` at `now`.

    `inputs` are those that the attempt began with.
    """
    earlier = state.open if state.open is not None and state.open.due == due else None
    if earlier is None:
        tried = OpenDue(
            due=due,
            first_attempt=now,
            last_attempt=now,
            attempts=1,
            cause=cause,
            since=now,
            inputs=inputs,
        )
    else:
        tried = replace(
            earlier,
            last_attempt=now,
            attempts=earlier.attempts + 1,
            cause=cause,
            since=earlier.since if earlier.cause is cause else now,
            inputs=inputs,
        )
    return replace(state, open=tried)


def notice_due(tried: OpenDue, now: datetime) -> bool:
    """Tell whether people are to be told now of the cause that holds up this due time."""
    return tried.cause not in tried.noticed and now - tried.since >= tried.cause.patience


def noticed(state: JobState) -> JobState:
    """Return the state after the notice for the open due time's cause was sent."""
    if state.open is None:
        return state
    tried = replace(state.open, noticed=state.open.noticed | {state.open.cause})
    return replace(state, open=tried)


def with_untold(state: JobState, end: Untold) -> JobState:
    """Return the state after the notice of a due time's end could not be sent."""
    return replace(state, untold=(*state.untold, end)[-UNTOLD_AT_MOST:])


def completes(exit_code: Exit) -> bool:
    """Tell whether a run that ended with `exit_code` completes its due time."""
    return exit_code in {Exit.DONE, Exit.IN_PART}


FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=5), timedelta(hours=4)

NEVER = 253_402_300_799
"""The next attempt of what is not tried again: the end of the year 9999, in seconds since 1970."""


def backoff(attempts: int) -> timedelta:
    """Return how long a message waits that was deferred once more after `attempts` before."""
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(attempts, 10)))


FIRST_SERVER_WAIT, LONGEST_SERVER_WAIT = timedelta(minutes=1), timedelta(hours=1)
SERVER_WAIT_BEFORE_THE_DOT = timedelta(minutes=5)


def server_backoff(times: int, *, unanswered: bool) -> timedelta:
    """Return how long a mail server waits that lost messages in `times` runs, one after the other.

    Short beside `backoff`, for the first run that finds it up sends all; longer where whole messages
    went `unanswered`, for each try may be one more copy for somebody.
    """
    longest = LONGEST_SERVER_WAIT if unanswered else SERVER_WAIT_BEFORE_THE_DOT
    return min(longest, FIRST_SERVER_WAIT * (1 << min(max(times - 1, 0), 10)))
