"""Passes that record nothing: all composed and checked, or all sent to one test box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from invites.delivery.base import Delivery
from invites.errors import Exit, InvitesError
from invites.ledger import Ledger
from invites.model import Roster
from invites.planning.actions import Plan
from invites.sending.journal import Tally
from invites.sending.one_pass import deliver_messages, demand_guards, exit_code_of, planned
from invites.sending.options import Effects, RunReport, SendOptions
from invites.sending.renderer import Renderer, composed

NO_RUN = ""
"""The run's id of a pass that is in no ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What a dry run found: the plan, and how many messages passed all checks."""

    plan: Plan
    composed: int
    read_back: int
    exit_code: Exit


def rehearse(
    roster: Roster,
    renderer: Renderer,
    ledger: Ledger | None,
    options: SendOptions,
    effects: Effects,
) -> Rehearsal:
    """Compose and check every message of the plan, and record nothing; `--dry-run`.

    None stands for an empty ledger.  Raises what `send` would before its first message, and
    MessageFaultError, TemplateError.
    """
    plan = _planned(roster, renderer, ledger, options, effects)
    number = 0
    for _ in composed(plan.actions, renderer):
        effects.on_message()
        number += 1
    return Rehearsal(
        plan=plan,
        composed=number,
        read_back=renderer.verifier.read_back,
        exit_code=exit_code_of(plan, {}, left_out=roster.rejected > 0),
    )


def redirect(
    roster: Roster,
    renderer: Renderer,
    ledger: Ledger | None,
    options: SendOptions,
    effects: Effects,
    *,
    recipient: str,
    delivery_for: Callable[[str], Delivery],
) -> RunReport:
    """Send every message of the plan to `recipient` alone, and record nothing; `--redirect`.

    The messages are those that the attendees would get, down to their headers; only the envelope
    has another receiver.
    """
    plan = _planned(roster, renderer, ledger, options, effects)
    journal = Tally(plan.actions, clock=effects.clock)
    trouble: InvitesError | None = None
    try:
        if plan.actions:
            delivery = delivery_for("redirected")
            deliver_messages(plan, renderer, journal, effects, delivery, recipient=recipient)
    except InvitesError as error:
        trouble = error
    left_out = roster.rejected > 0
    return RunReport(
        run_id=NO_RUN,
        plan=plan,
        ended=journal.ended,
        exit_code=exit_code_of(plan, journal.ended, trouble, left_out=left_out),
        unsent=journal.unsent,
        trouble=trouble,
    )


def _planned(
    roster: Roster,
    renderer: Renderer,
    ledger: Ledger | None,
    options: SendOptions,
    effects: Effects,
) -> Plan:
    now = effects.clock()
    if ledger is not None:
        demand_guards(ledger, options, now=now)
    plan = planned(roster, renderer, ledger, options, now=now)
    effects.on_plan(plan)
    return plan
