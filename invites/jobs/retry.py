"""Deferred messages, tried again at every wake-up from what the ledger knows alone."""

from __future__ import annotations

from collections.abc import Iterator

from invites.jobs.attempt import delivery_opener, summed_up, unsent_line
from invites.jobs.options import SideOutcome, WakeUp
from invites.ledger import Ledger
from invites.ledger.history import Waiting, scopes, waiting
from invites.model import DeliveryName
from invites.planning.state import State
from invites.sending import SendOptions, policy_from, settle
from invites.sending import drain as drain_scope


def drain(wakeup: WakeUp, ledger: Ledger) -> Iterator[SideOutcome]:
    """Try again what was deferred and may be tried now, scope by scope; yields what came of each.

    A scope's messages go the way on which they were deferred: only a mail server defers.
    """
    now = wakeup.now
    if not any(_is_due(one, wakeup) for one in waiting(ledger)):
        return
    to: DeliveryName = wakeup.options.to or (
        "smtp" if wakeup.settings.smtp.host is not None else "folder"
    )
    settle(ledger, delivery_opener(wakeup, ledger, to), now=now)
    for scope in scopes(ledger):
        if wakeup.effects.stop():
            return
        outcome = _drained(wakeup, ledger, scope, to)
        if outcome is not None:
            yield outcome


def _is_due(one: Waiting, wakeup: WakeUp) -> bool:
    """Tell whether a message was tried and may be tried again now; the plan looks closer."""
    delivery, now = wakeup.settings.delivery, wakeup.now
    if one.next_attempt is not None and one.next_attempt > now:
        return False
    if one.state is State.UNKNOWN:
        copies_left = one.attempts <= delivery.unknown_copies
        return delivery.on_unknown == "resend" and copies_left and one.end > now
    return one.state is State.DEFERRED


def _drained(wakeup: WakeUp, ledger: Ledger, scope: str, to: DeliveryName) -> SideOutcome | None:
    settings = wakeup.settings
    options = SendOptions(
        scope=scope,
        command="drain",
        delivery=to,
        policy=policy_from(settings, to=to),
        clock_ahead=settings.guard.clock_ahead,
        keep=settings.ledger.keep,
    )
    report = drain_scope(
        wakeup.renderer,
        ledger,
        options,
        wakeup.effects,
        delivery_for=delivery_opener(wakeup, ledger, to),
    )
    if report is None:
        return None
    return SideOutcome(
        what="deferred",
        scope=scope,
        exit_code=report.exit_code,
        ended={state.value: count for state, count in report.ended.items()},
        text=summed_up(report) if report.trouble is None else str(report.trouble),
        lines=tuple(unsent_line(one) for one in report.unsent),
    )
