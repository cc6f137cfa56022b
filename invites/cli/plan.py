"""`invites plan`: what `send` would do now; changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from invites.cli.options import ByOption, Call, SendFlags, by_of
from invites.errors import Exit, GuardError, RosterRefusedError

if TYPE_CHECKING:
    from invites.cli.prepare import Prepared
    from invites.ledger import Ledger
    from invites.planning.actions import Plan
    from invites.report.tables import By


_COLOURS = {"+": "32", "~": "33", "*": "36", "-": "31", "!": "35"}
"""Of a plan's signs: new, updated, sent again, withdrawn, held back."""


def plan(call: Call, context: typer.Context, flags: SendFlags, by: ByOption = None) -> int:
    """Show what send would do now: who is new, updated, withdrawn, kept or held back."""
    from invites.cli.prepare import acceptance, ledger_to_read, prepared, set_up
    from invites.sending import planned

    grouped = by_of(by)
    ready = prepared(call, flags, set_up(call, flags))
    with ledger_to_read(ready.settings, flags) as ledger:
        faults = _faults(ready, flags, ledger)
        found = planned(ready.roster, ready.renderer, ledger, ready.options, now=ready.now)
    _show(call, found, ready, faults, acceptance(context, found), grouped)
    return Exit.DONE


def _faults(ready: Prepared, flags: SendFlags, ledger: Ledger | None) -> list[str]:
    """Return why `send` would not even begin, as lines."""
    from invites.problems import lines_of
    from invites.roster.source import demand_whole
    from invites.sending import demand_guards

    faults: list[str] = []
    try:
        demand_whole(ready.roster, accepted=flags.no_final_newline)
    except RosterRefusedError as refusal:
        faults += lines_of(refusal.problems, refusal.source)
    if ledger is not None:
        try:
            demand_guards(ledger, ready.options, now=ready.now)
        except GuardError as refusal:
            faults.append(str(refusal))
    return faults


def _show(
    call: Call,
    found: Plan,
    ready: Prepared,
    faults: list[str],
    commands: tuple[str, ...],
    by: By | None,
) -> None:
    from invites.cli.prepare import warn_of_refusals
    from invites.report.plan import plan_document, plan_lines, plan_summary
    from invites.times import iso_z

    for warning in found.warnings:
        call.warn(warning)
    call.document(
        command="plan",
        roster=ready.roster.source,
        to=ready.options.delivery,
        now=iso_z(ready.now),
        **plan_document(found),
        accept=list(commands),
        would_refuse=faults,
        problems=[problem.facts() for problem in ready.roster.left_out],
    )
    for line in plan_lines(found, by):
        call.say(line, colour=_COLOURS.get(line[:1], ""))
    call.say(plan_summary(found))
    for fault in faults:
        call.warn(f"send would refuse: {fault}")
    warn_of_refusals(call, found, commands)
