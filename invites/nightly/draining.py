"""Deferred messages, tried again at every wake-up from what the ledger knows alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from invites.core.plan_drained import drained
from invites.core.plan_state import State
from invites.core.times import TZDATA_VERSION
from invites.ledger import Ledger
from invites.ledger.history import scopes, waiting
from invites.ledger.runs import RunStart, begin_run
from invites.ledger.snapshot import snapshot_of
from invites.nightly.attempt import delivery_opener, summed_up
from invites.nightly.order import Night, SideOutcome
from invites.run import Errand, carry_out, policy_from

if TYPE_CHECKING:
    from collections.abc import Iterator


def drain(night: Night, ledger: Ledger) -> Iterator[SideOutcome]:
    """Try again what was deferred and may be tried now, scope by scope; yields what came of each.

    A scope's messages go the way on which they were deferred: only a mail server defers.
    """
    now = night.now
    again = [one for one in waiting(ledger) if one.state is State.DEFERRED]
    if not any(one.next_attempt is not None and one.next_attempt <= now for one in again):
        return
    for scope in scopes(ledger):
        if night.surroundings.stop():
            return
        outcome = _drained(night, ledger, scope)
        if outcome is not None:
            yield outcome


def _drained(night: Night, ledger: Ledger, scope: str) -> SideOutcome | None:
    to: Literal["folder", "smtp"] = night.order.to or (
        "smtp" if night.settings.smtp.host is not None else "folder"
    )
    settings = night.settings
    policy = policy_from(settings, to=to)
    snapshot = snapshot_of(ledger, scope, meeting_ids=(), now=night.now)
    plan = drained(snapshot, now=night.now, policy=policy, terms=night.workshop.terms)
    if not plan.actions and not plan.dropped:
        return None
    start = RunStart(
        scope=scope,
        command="drain",
        delivery=to,
        source="",
        roster_digest="",
        tz_version=TZDATA_VERSION,
    )
    report = carry_out(
        plan,
        begin_run(ledger, start, now=night.now),
        night.workshop,
        ledger,
        Errand(scope=scope, command="drain", delivery=to, policy=policy, keep=settings.ledger.keep),
        night.surroundings,
        delivery_for=delivery_opener(night, ledger, to),
    )
    text = summed_up(report) if report.trouble is None else str(report.trouble)
    return SideOutcome(
        what="deferred",
        scope=scope,
        exit_code=report.exit_code,
        ended={state.value: count for state, count in report.ended.items()},
        text=text,
    )
