"""What was deferred and may be tried again, between the runs that read a roster."""

from __future__ import annotations

from datetime import datetime

from invites.core.facts import Terms
from invites.core.plan_actions import Drop, Plan, Policy, Send, Withdraw, order_of
from invites.core.plan_revisions import Moment, deferred_again
from invites.core.plan_state import Snapshot


def drained(snapshot: Snapshot, *, now: datetime, policy: Policy, terms: Terms) -> Plan:
    """Return a plan that repeats deferred revisions as they were planned, from the ledger alone.

    `terms` are those in force: a link made under others is left to a run that sees the roster.
    One whose meeting is over is given up.
    """
    moment = Moment(snapshot=snapshot, policy=policy, now=now, seconds=int(now.timestamp()))
    items = [
        item
        for state in snapshot.meetings.values()
        for entry in state.entries.values()
        for item in deferred_again(entry, state.uid, moment, terms)
    ]
    actions = [item for item in items if isinstance(item, Send | Withdraw)]
    return Plan(
        scope=snapshot.scope,
        roster_digest="",
        actions=tuple(sorted(actions, key=order_of)),
        dropped=tuple(item for item in items if isinstance(item, Drop)),
    )
