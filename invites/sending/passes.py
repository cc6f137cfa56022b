"""The passes over a roster (sent, rehearsed, redirected), and over what was deferred."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from invites.delivery.base import Delivery
from invites.due.attempts import LONGEST_SERVER_WAIT
from invites.errors import RosterRefusedError, TryAgainError, UsageError
from invites.ledger import Ledger
from invites.ledger.note import server_down
from invites.ledger.read import facts_with_date_links, snapshot_of
from invites.ledger.write import Key
from invites.model import Roster
from invites.planning.actions import Cause, Only, Plan, Reason
from invites.planning.decide import plan_for
from invites.planning.state import Snapshot, State, empty_snapshot
from invites.planning.wakeups import drained, facts_with_links, links_due
from invites.sending.frame import Pass, exit_code_of
from invites.sending.options import (
    Effects,
    RunReport,
    SendOptions,
    claims_needed,
    rooms_of_others,
    without_meetings,
)
from invites.sending.renderer import Renderer
from invites.times import local

NO_WAIT = timedelta(0)

DEFERRED = "(deferred messages)"
"""What stands for the roster in the history of a run that sends what was deferred."""

DATE_LINKS = "(links of dates)"
"""What stands for the roster in the history of a run that sends the links that are due."""


def send(
    roster: Roster,
    renderer: Renderer,
    ledger: Ledger | None,
    options: SendOptions,
    effects: Effects,
    *,
    delivery_for: Callable[[str], Delivery],
    retry_wait: timedelta = NO_WAIT,
) -> RunReport:
    """Carry out what is to be done for this roster, as far as the options say.

    Whom a former organizer's mailbox withdrew, the present one invites in a second run; in such a
    run go the entries whose dates are in others now.
    What was deferred is tried again for up to `retry_wait`.
    Raises as `Pass.run` and `planned` do, and TryAgainError where the mail server was down a
    moment ago.
    """

    def run(options: SendOptions) -> RunReport:
        def plan(now: datetime) -> Plan:
            found = planned(roster, renderer, ledger, options, now=now)
            if found.actions and (why := server_waits(ledger, options, now)):
                raise TryAgainError(why)
            effects.on_plan(found)
            return found

        return Pass(
            renderer=renderer,
            ledger=ledger,
            options=options,
            effects=effects,
            delivery_for=delivery_for,
            plan=plan,
            source=roster.source,
            digest=roster.digest,
            left_out=roster.rejected > 0,
        ).run()

    report = run(options)
    if (second := _options_to_follow(report, options, effects)) is not None:
        report = _both(report, run(second))
    until = effects.timer() + retry_wait.total_seconds()
    while ledger is not None and (wait := _next_wait(report, effects)) is not None:
        # Not waited for in vain: what comes up only after the time is left to the next run.
        if effects.timer() + wait.total_seconds() > until:
            break
        effects.pause(wait)
        if effects.stop():
            break
        again = drain(renderer, ledger, options, effects, delivery_for=delivery_for)
        if again is None:
            break
        report = _together(report, again, left_out=roster.rejected > 0)
    return report


def _options_to_follow(
    report: RunReport, options: SendOptions, effects: Effects
) -> SendOptions | None:
    """Return the options of the run that follows at once, None for none.

    It invites whom a former organizer withdrew, and withdraws what was sent anew as a series.
    """
    limit = options.policy.limit
    left = None if limit is None else limit - len(report.plan.actions)
    withdrawn = any(one.cause is Cause.ORGANIZER for one in report.plan.actions)
    # Dates that are in other entries now: those stand, and the old ones can go.
    regrouped = any(hold.reason is Reason.REGROUPED for hold in report.plan.held)
    follows = withdrawn or (regrouped and report.plan.actions)
    if not (follows and options.records) or report.trouble or left == 0 or effects.stop():
        return None
    return replace(options, policy=replace(options.policy, limit=left, resend=False))


def _both(first: RunReport, second: RunReport) -> RunReport:
    """Return two runs of one roster, the second of which went on with other messages, as one."""
    return replace(
        first,
        plan=replace(
            first.plan,
            actions=(*first.plan.actions, *second.plan.actions),
            held=tuple(hold for hold in first.plan.held if hold.reason is not Reason.REGROUPED)
            + tuple(hold for hold in second.plan.held if hold.reason is Reason.REGROUPED),
        ),
        ended=Counter(first.ended) + Counter(second.ended),
        exit_code=second.exit_code or first.exit_code,
        composed=first.composed + second.composed,
        unsent=(*first.unsent, *second.unsent),
        trouble=second.trouble,
    )


def planned(
    roster: Roster,
    renderer: Renderer,
    ledger: Ledger | None,
    options: SendOptions,
    *,
    now: datetime,
) -> Plan:
    """Return what a send would do now, changing nothing; None plans against an empty ledger.

    Raises RosterRefusedError for meetings that another scope has and for its rooms, UsageError for
    an `--only` that matches nobody in roster and ledger.
    """
    if ledger is None:
        snapshot = empty_snapshot(options.scope)
    else:
        snapshot = snapshot_for(roster, ledger, options, now)
    _demand_matches(options.policy.only, roster, snapshot)
    # A token names the room alone: who is moderator in one scope's room is so in the other's.
    taken = rooms_of_others(roster, snapshot, now)
    if taken and not options.skip_invalid:
        raise RosterRefusedError(roster.source, taken, rows_read=roster.rows_read)
    if taken:
        roster = without_meetings(roster, taken)
    plan = plan_for(roster, renderer.drafts(roster, now), snapshot, now=now, policy=options.policy)
    told = tuple(problem.text(roster.source) for problem in taken)
    return replace(plan, left_out=taken, warnings=(*plan.warnings, *told))


def snapshot_for(roster: Roster, ledger: Ledger, options: SendOptions, now: datetime) -> Snapshot:
    """Return the scope's part of the ledger; RosterRefusedError for what another scope has."""
    snapshot = snapshot_of(
        ledger,
        options.scope,
        meeting_ids=[meeting.id for meeting in roster.meetings],
        now=now,
        claimed=options.claimed,
        window=options.policy.window,
        rooms=[one.room.claim for one in roster.meetings if one.room is not None],
    )
    problems = claims_needed(roster, snapshot)
    if problems:
        raise RosterRefusedError(roster.source, problems, rows_read=roster.rows_read)
    return snapshot


def _demand_matches(only: Iterable[Only], roster: Roster, snapshot: Snapshot) -> None:
    """Raise UsageError for what would let nobody through: a slip of the pen looks like success."""
    for one in only:
        if one.what == "meeting":
            ids = (meeting.id for meeting in roster.meetings)
            found = one.value in snapshot.meetings or one.value in ids
        else:
            people = (person for meeting in roster.meetings for person in meeting.attendees)
            found = one.value in snapshot.addresses or any(
                one.value == person.address for person in people
            )
        if not found:
            raise UsageError(
                f'--only: found {one.what} "{one.value[:60]}", which neither this roster nor the '
                f'ledger of scope "{snapshot.scope}" has; expected one that is there'
            )


def drain(
    renderer: Renderer,
    ledger: Ledger,
    options: SendOptions,
    effects: Effects,
    *,
    delivery_for: Callable[[str], Delivery],
) -> RunReport | None:
    """Send what the scope has deferred and may be tried again; None where there is nothing.

    The ledger alone says what; what belongs to a meeting that is over is given up.
    """
    between = _Between(renderer, ledger, options, effects, delivery_for)
    return between.runs(drained, source=DEFERRED)


def give_links(
    renderer: Renderer,
    ledger: Ledger,
    options: SendOptions,
    effects: Effects,
    *,
    delivery_for: Callable[[str], Delivery],
) -> RunReport | None:
    """Send the links of the scope's dates that are due now; None where there is none.

    The ledger alone says whose: all who stood in the roster of the latest run.
    """
    rule, now = renderer.composer.sender.rule, effects.clock()
    shared = facts_with_date_links(ledger, options.scope, now=now)
    if all(facts_with_links(facts, rule, now) is None for facts in shared):
        return None
    between = _Between(renderer, ledger, options, effects, delivery_for)
    return between.runs(partial(links_due, rule=rule), source=DATE_LINKS)


class _Between(NamedTuple):
    """A pass between two rosters: the ledger alone says what goes out."""

    renderer: Renderer
    ledger: Ledger
    options: SendOptions
    effects: Effects
    delivery_for: Callable[[str], Delivery]

    def runs(self, plan_of: Callable[..., Plan], *, source: str) -> RunReport | None:
        """Carry out what `plan_of` makes of the scope's part of the ledger; None for nothing."""
        ledger, options = self.ledger, self.options

        def plan(now: datetime) -> Plan:
            snapshot = snapshot_of(ledger, options.scope, meeting_ids=(), now=now)
            return plan_of(snapshot, now=now, policy=options.policy, terms=self.renderer.terms)

        if server_waits(ledger, options, self.effects.clock()):
            return None
        report = Pass(**self._asdict(), plan=plan, source=source, only_if_needed=True).run()
        return report if report.plan.actions else None


def server_waits(ledger: Ledger | None, options: SendOptions, now: datetime) -> str:
    """Return why nothing is sent by SMTP now: the server was down a moment ago; "" where it is.

    Who calls `send` is not kept waiting; nor is anybody by a clock that was set back.
    """
    if ledger is None or options.delivery != "smtp" or options.command == "send":
        return ""
    # One wait for the server, not one per message; a clock set back must not make it endless.
    down = server_down(ledger) if options.records else None
    if down is None or not now < down.again <= now + LONGEST_SERVER_WAIT:
        return ""
    runs = "run" if down.times == 1 else f"{down.times} runs"
    again = local(down.again, options.timezone)
    return f"the mail server was down in the last {runs}; it is tried again from {again}"


def _next_wait(report: RunReport, effects: Effects) -> timedelta | None:
    """Return how long until the first deferred message may be tried again; None: there is none."""
    times = [one.next_attempt for one in report.unsent if one.next_attempt is not None]
    if report.trouble is not None or not times:
        return None
    # The ledger keeps whole seconds: to wait less could find the same message still waiting.
    return max(min(times) - effects.clock(), timedelta(seconds=1))


def _together(first: RunReport, again: RunReport, *, left_out: bool) -> RunReport:
    """Return both reports as one: what was tried again counts as it ended in the end."""
    tried = {Key.of(action) for action in again.plan.actions}
    ended = Counter(again.ended)
    ended.update({state: n for state, n in first.ended.items() if state is State.SENT})
    left = [one for one in first.unsent if Key.of(one.action) not in tried]
    ended.update(one.state for one in left)
    return replace(
        first,
        ended=ended,
        unsent=(*left, *again.unsent),
        exit_code=exit_code_of(first.plan, ended, again.trouble, left_out=left_out),
        trouble=again.trouble,
    )
