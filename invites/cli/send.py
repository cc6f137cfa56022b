"""`invites send`: carry the plan out, record it, resume where it stopped."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import typer

from invites.cli.common import (
    Call,
    ConfigOption,
    JsonOption,
    NowOption,
    QuietOption,
    RosterArgument,
    VerboseOption,
    clock,
)
from invites.cli.errands import (
    AcceptChangeOption,
    AcceptClockOption,
    AcceptShrinkOption,
    ClaimOption,
    Flags,
    LimitOption,
    NewLedgerOption,
    NoFinalNewlineOption,
    OnlyOption,
    PartialOption,
    Prepared,
    ResendOption,
    ScopeOption,
    SkipInvalidOption,
    TemplatesOption,
    ToOption,
    VerifyOption,
    WithdrawNowOption,
    prepared,
)
from invites.cli.stopping import Stop
from invites.errors import UsageError

if TYPE_CHECKING:
    from invites.delivery import Delivery
    from invites.run import RunReport


def send(
    context: typer.Context,
    roster: RosterArgument,
    to: ToOption = None,
    scope: ScopeOption = None,
    claim: ClaimOption = None,
    partial: PartialOption = False,
    limit: LimitOption = None,
    only: OnlyOption = None,
    resend: ResendOption = False,
    withdraw_now: WithdrawNowOption = False,
    new_ledger: NewLedgerOption = False,
    accept_shrink: AcceptShrinkOption = None,
    accept_change: AcceptChangeOption = None,
    accept_clock: AcceptClockOption = False,
    no_final_newline: NoFinalNewlineOption = False,
    skip_invalid: SkipInvalidOption = False,
    templates: TemplatesOption = None,
    verify: VerifyOption = None,
    now: NowOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Send what the plan says through the configured delivery, and remember it."""
    flags = Flags(
        roster=roster,
        to=to,
        scope=scope,
        claim=tuple(claim or ()),
        partial=partial,
        limit=limit,
        only=tuple(only or ()),
        resend=resend,
        withdraw_now=withdraw_now,
        new_ledger=new_ledger,
        accept_shrink=accept_shrink,
        accept_change=accept_change,
        accept_clock=accept_clock,
        no_final_newline=no_final_newline,
        skip_invalid=skip_invalid,
        templates=templates,
        verify=verify,
        now=now,
    )
    call = Call(config=config, as_json=as_json, quiet=quiet, verbose=verbose)
    ready = prepared(call, flags)
    if now is not None and ready.to != "folder":
        raise UsageError(
            "--now: found it with --to smtp, expected it with --to folder or --dry-run alone; "
            "what a mail server gets has the time of the clock"
        )
    report = _sent(call, flags, ready)
    _tell(call, ready, report)
    return report.exit_code


def _sent(call: Call, flags: Flags, ready: Prepared) -> RunReport:
    from invites.delivery import open_delivery
    from invites.ledger import create, open_ledger
    from invites.ledger.runs import sent_since
    from invites.run import Surroundings
    from invites.run import send as carry_out
    from invites.run.rosters import demand_whole_roster

    demand_whole_roster(flags.roster, ready.roster, accepted=flags.no_final_newline)
    if flags.new_ledger:
        create(ready.settings.ledger.url)
    stop = Stop()
    with open_ledger(ready.settings.ledger.url, lock=True) as ledger, ExitStack():

        def delivery_for(run: str) -> Delivery:
            stop.arm()
            return open_delivery(
                ready.settings,
                run=run,
                now=ready.now,
                to=ready.to,  # type: ignore[arg-type]  # Flags refuses other words
                sent_since=lambda span: sent_since(ledger, span, now=clock(flags.now)),
                keep_old=flags.now is not None,
            )

        return carry_out(
            ready.roster,
            ready.workshop,
            ledger,
            ready.errand,
            Surroundings(
                clock=lambda: clock(flags.now), timer=time.monotonic, stop=stop, pause=stop.pause
            ),
            delivery_for=delivery_for,
        )


def _tell(call: Call, ready: Prepared, report: RunReport) -> None:
    import sys

    from invites.report.plan import plan_document, plan_summary

    plan = report.plan
    for warning in plan.warnings:
        call.warn(warning)
    call.document(
        command="send",
        run=report.run_id,
        scope=ready.errand.scope,
        roster=ready.roster.source,
        to=ready.to,
        exit_code=int(report.exit_code),
        ended={state.value: number for state, number in report.ended.items()},
        plan=plan_document(plan),
        error=None if report.trouble is None else str(report.trouble),
        problems=[problem.facts() for problem in ready.roster.left_out],
    )
    call.say(plan_summary(plan))
    for refusal in plan.refusals:
        call.warn(refusal.text)
    call.say(
        ", ".join(f"{number} {state.value}" for state, number in report.ended.items())
        or "nothing to send"
    )
    if report.trouble is not None:
        print(f"invites: {report.trouble}", file=sys.stderr)
