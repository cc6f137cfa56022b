"""Deferred messages: tried again from the ledger alone, once their time has come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from invites.delivery.base import Delivery
from invites.errors import Exit
from invites.ledger import Ledger
from invites.ledger.read import snapshot_of
from invites.ledger.runs import begin_run
from invites.ledger.write import Key, record_plan
from invites.model import Roster
from invites.planning.decide import drained
from invites.planning.state import State
from invites.report.sending import Unsent
from invites.sending.one_pass import carry_out, exit_code_of, run_start, send, server_waits
from invites.sending.options import Effects, RunReport, SendOptions
from invites.sending.renderer import Renderer

SOURCE = "(deferred messages)"
"""What stands for the roster in the history of a run that only drains."""


def drain(
    renderer: Renderer,
    ledger: Ledger,
    options: SendOptions,
    effects: Effects,
    *,
    delivery_for: Callable[[str], Delivery],
) -> RunReport | None:
    """Send what the scope has deferred and may be tried again; None where there is nothing.

    The ledger is locked, and what an earlier run left on its way is settled.
    What belongs to a meeting that is over is given up.
    """
    now = effects.clock()
    if server_waits(ledger, options, now):
        return None
    snapshot = snapshot_of(ledger, options.scope, meeting_ids=(), now=now)
    plan = drained(snapshot, now=now, policy=options.policy, terms=renderer.terms)
    if not plan.actions:
        if plan.dropped:
            record_plan(ledger, plan)
        return None
    run_id = begin_run(ledger, run_start(options, SOURCE, ""), now=now)
    return carry_out(plan, run_id, renderer, ledger, options, effects, delivery_for=delivery_for)


def send_and_wait(
    roster: Roster,
    renderer: Renderer,
    ledger: Ledger,
    options: SendOptions,
    effects: Effects,
    *,
    delivery_for: Callable[[str], Delivery],
    retry_wait: timedelta,
) -> RunReport:
    """Send, then try deferred messages again for up to `retry_wait`; raises as `send` does."""
    report = send(roster, renderer, ledger, options, effects, delivery_for=delivery_for)
    until = effects.timer() + retry_wait.total_seconds()
    while (wait := _next_wait(report, effects)) is not None:
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


def _next_wait(report: RunReport, effects: Effects) -> timedelta | None:
    """Return how long until the first deferred message may be tried again; None: there is none."""
    times = [one.next_attempt for one in report.unsent if one.next_attempt is not None]
    if report.trouble is not None or not times:
        return None
    return max(min(times) - effects.clock(), timedelta(seconds=1))


def _together(first: RunReport, again: RunReport, *, left_out: bool) -> RunReport:
    """Return both reports as one: what was tried again counts as it ended in the end."""
    tried = {Key.of(action) for action in again.plan.actions}
    ended = Counter(again.ended)
    ended.update({state: n for state, n in first.ended.items() if state is State.SENT})
    left = [one for one in first.unsent if Key.of(one.action) not in tried]
    unsent: tuple[Unsent, ...] = (*left, *again.unsent)
    ended.update(one.state for one in left)
    exit_code: Exit = exit_code_of(first.plan, ended, again.trouble, left_out=left_out)
    return replace(first, ended=ended, unsent=unsent, exit_code=exit_code, trouble=again.trouble)
