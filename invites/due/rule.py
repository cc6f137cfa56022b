"""When a job is due, and a reminder: each local day has one due time, whatever its zone does.

cronsim turns the rule into wall times and those into instants, as Debian's cron does: a time that
the zone skips is due right after the gap, a time that it has twice is due once, at the first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import takewhile

from cronsim import CronSim, CronSimError

from invites.times import zone

EVERY_DAY = frozenset(range(7))
"""Monday is 0, as in `date.weekday`."""

_MARGIN = timedelta(days=2)
"""cronsim counts in wall time, which a clock change moves: the search starts this much earlier."""

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_FIELDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRule:
    """A job's `at`, `days` and `timezone`.

    `at` is a naive local time, or a cron expression of five fields, which says the days as well.
    `days` are weekdays with Monday as 0; `timezone` is an IANA name.
    Raises ValueError for an `at` with a zone of its own or none that ever comes, and for no day, or
    one that is none.
    """

    at: time | str
    timezone: str
    days: frozenset[int] = EVERY_DAY

    def __post_init__(self) -> None:
        """Refuse a rule that has no due times, or more than one reading."""
        if isinstance(self.at, time) and self.at.tzinfo is not None:
            raise ValueError("a due time is local to its rule's timezone and has no zone itself")
        if not self.days or not self.days <= EVERY_DAY:
            raise ValueError("the days of a due rule are one or more of 0 (Monday) to 6 (Sunday)")
        if isinstance(self.at, str):
            demand_cron(self.at)

    @property
    def expression(self) -> str:
        """The cron expression of this rule; a week begins with 0, Sunday."""
        if isinstance(self.at, str):
            return self.at
        weekdays = ",".join(str((day + 1) % 7) for day in sorted(self.days))
        return f"{self.at.minute} {self.at.hour} * * {'*' if self.days == EVERY_DAY else weekdays}"


def demand_cron(expression: str) -> None:
    """Raise ValueError for what is no cron expression of five fields, or is never due."""
    if len(expression.split()) != _FIELDS:
        raise ValueError("a cron expression has five fields")
    try:
        next(CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration) as error:
        raise ValueError(f"no cron expression that is ever due: {error}") from None


def due_instants(rule: DueRule, *, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the due instants (UTC) with `after` < instant <= `until`, in order."""
    return takewhile(lambda instant: instant <= until, _from(rule, after))


def last_due(rule: DueRule, now: datetime) -> datetime | None:
    """Return the latest due instant (UTC) that is not after `now`; None at the dawn of time."""
    # cronsim never leaves a gap backwards, so a step back starts before any clock change near
    # `now`, and from there on it is counted forwards.  A day that never was wants a second step.
    start = now - _MARGIN
    try:
        for _ in range(2):
            before = next(CronSim(rule.expression, _local(rule, start), reverse=True))
            found = [*due_instants(rule, after=before.astimezone(UTC) - _SECOND, until=now)]
            if found:
                return found[-1]
            start = before - _DAY
    except (CronSimError, StopIteration, OverflowError):
        pass
    return None


def next_due(rule: DueRule, now: datetime) -> datetime:
    """Return the earliest due instant (UTC) that is after `now`.

    Raises ValueError at the end of the calendar, where nothing is due any more.
    """
    try:
        return next(_from(rule, now))
    except (CronSimError, StopIteration, OverflowError) as error:
        raise ValueError(f"nothing is due any more in {rule.timezone}") from error


def _local(rule: DueRule, instant: datetime) -> datetime:
    return instant.astimezone(zone(rule.timezone))


def _from(rule: DueRule, after: datetime) -> Iterator[datetime]:
    """Yield the due instants (UTC) after `after`, each once."""
    latest = after
    for local in CronSim(rule.expression, _local(rule, after - _MARGIN)):
        instant = local.astimezone(UTC)
        # Wall times in a gap are all due at its end, and so may be the first time after it.
        if instant > latest and not _stands_for_a_skipped_day(rule, instant):
            latest = instant
            yield instant


def _stands_for_a_skipped_day(rule: DueRule, instant: datetime) -> bool:
    """Tell whether this is due for a day alone that the zone never had (Pacific/Apia 2011-12-30)."""
    day, before = _local(rule, instant).date(), _local(rule, instant - _SECOND).date()
    if day - before <= _DAY:
        return False
    midnight = datetime.combine(day, time(), tzinfo=UTC)
    return next(CronSim(rule.expression, midnight - _SECOND)) != midnight


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An invitation that stands: sent, neither withdrawn nor cancelled.

    `start` is the meeting's (aware, UTC) as that invitation says it; `sent_at` is when the latest
    message of this invitation went out, an update included.
    """

    uid: str
    address: str
    start: datetime
    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """One reminder for one attendee; equal ones are the same reminder and go out once.

    The start belongs to it: a meeting that was moved is reminded of at its new time, also to those
    who had the reminder of the old one.
    """

    uid: str
    address: str
    start: datetime
    lead: timedelta


def due_reminders(
    leads: Collection[timedelta],
    standing: Iterable[Standing],
    *,
    sent: Collection[Reminder],
    now: datetime,
) -> Iterator[Reminder]:
    """Yield the reminders that are to go out at `now`, at most one for each invitation.

    A reminder is due when start - lead <= now < start and the invitation went out before
    start - lead: who has just got the invitation or an update needs no reminder of it.
    Of several due only the last is sent, and once it has been, the earlier ones never are.
    """
    ascending = sorted(set(leads))
    for invitation in standing:
        left = invitation.start - now
        lead = next((lead for lead in ascending if left <= lead), None)
        if lead is None or left <= timedelta(0):
            continue
        if invitation.sent_at >= invitation.start - lead:
            continue
        reminder = Reminder(
            uid=invitation.uid, address=invitation.address, start=invitation.start, lead=lead
        )
        if reminder not in sent:
            yield reminder
