"""The pass itself: guards, plan, record, deliver, record, in this order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from invites.delivery.base import Delivery, OutgoingMessage
from invites.due.backoff import LONGEST_SERVER_WAIT
from invites.errors import (
    Exit,
    GuardError,
    InvitesError,
    RosterRefusedError,
    TryAgainError,
    UsageError,
)
from invites.ledger import Ledger
from invites.ledger.erase import expire
from invites.ledger.note import server_down
from invites.ledger.read import snapshot_of
from invites.ledger.runs import (
    RunStart,
    begin_run,
    check_guards,
    claim,
    finish_run,
    left_sending,
    record_refused,
    settle_left,
)
from invites.ledger.write import Key, record_plan
from invites.model import Roster
from invites.planning.actions import Only, Plan, Reason, with_probe_first
from invites.planning.decide import plan_for
from invites.planning.state import Snapshot, State, empty_snapshot
from invites.sending.journal import LedgerJournal, Tally
from invites.sending.options import Effects, RunReport, SendOptions
from invites.sending.renderer import Renderer, composed
from invites.sending.scopes import claims_needed, rooms_of_others, without_meetings
from invites.times import TZDATA_VERSION


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
    taken = rooms_of_others(roster, snapshot, now)
    if taken and not options.skip_invalid:
        raise RosterRefusedError(roster.source, taken, rows_read=roster.rows_read)
    if taken:
        roster = without_meetings(roster, taken)
    plan = plan_for(roster, renderer.drafts(roster), snapshot, now=now, policy=options.policy)
    told = tuple(problem.text(roster.source) for problem in taken)
    return replace(plan, left_out=taken, warnings=(*plan.warnings, *told))


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


def send(
    roster: Roster,
    renderer: Renderer,
    ledger: Ledger,
    options: SendOptions,
    effects: Effects,
    *,
    delivery_for: Callable[[str], Delivery],
) -> RunReport:
    """Carry out what is to be done for this roster, and record it; the ledger is locked.

    `delivery_for` opens the delivery of a run by the run's id.
    Raises GuardError, RosterRefusedError (both are in the history then), StorageError before
    anything went out, TryAgainError where the mail server was down a moment ago.
    """
    now = effects.clock()
    try:
        demand_guards(ledger, options, now=now)
        settle(ledger, delivery_for, now=now)
        plan = planned(roster, renderer, ledger, options, now=now)
    except (GuardError, RosterRefusedError) as refusal:
        note_refused(ledger, options, refusal, roster=roster, source=roster.source, now=now)
        raise
    if plan.actions and (why := server_waits(ledger, options, now)):
        raise TryAgainError(why)
    effects.on_plan(plan)
    run_id = begin_run(ledger, run_start(options, roster.source, roster.digest), now=now)
    for other in options.claimed:
        claim(ledger, other=other, scope=options.scope)
    return carry_out(
        plan,
        run_id,
        renderer,
        ledger,
        options,
        effects,
        delivery_for=delivery_for,
        left_out=roster.rejected > 0,
    )


def demand_guards(ledger: Ledger, options: SendOptions, *, now: datetime) -> None:
    """Raise GuardError where the clock or the time zone data can't be trusted."""
    check_guards(
        ledger,
        now=now,
        tz_version=TZDATA_VERSION,
        clock_ahead=options.clock_ahead,
        accept_clock=options.accept_clock,
    )


def server_waits(ledger: Ledger, options: SendOptions, now: datetime) -> str:
    """Return why nothing is sent by SMTP now: the server was down a moment ago; "" where it is.

    Who calls `send` is not kept waiting; nor is anybody by a clock that was set back.
    """
    if options.delivery != "smtp" or options.command == "send":
        return ""
    down = server_down(ledger)
    if down is None or not now < down.again <= now + LONGEST_SERVER_WAIT:
        return ""
    runs = "run" if down.times == 1 else f"{down.times} runs"
    return (
        f"the mail server was down in the last {runs}; "
        f"it is tried again from {down.again:%H:%M:%S} UTC"
    )


def run_start(options: SendOptions, source: str, digest: str) -> RunStart:
    """Return what is known of a run when it begins."""
    return RunStart(
        scope=options.scope,
        command=options.command,
        delivery=options.delivery,
        source=source,
        roster_digest=digest,
        tz_version=TZDATA_VERSION,
        due=options.policy.due,
    )


def note_refused(
    ledger: Ledger,
    options: SendOptions,
    refusal: InvitesError,
    *,
    source: str,
    now: datetime,
    roster: Roster | None = None,
) -> None:
    """Write a refused run into the history; `roster` is None where it could not be read."""
    problems = len(refusal.problems) if isinstance(refusal, RosterRefusedError) else 0
    record_refused(
        ledger,
        run_start(options, source, "" if roster is None else roster.digest),
        exit_code=refusal.exit_code,
        counts={"problems": problems} if problems else {},
        now=now,
    )


def settle(ledger: Ledger, delivery_for: Callable[[str], Delivery], *, now: datetime) -> int:
    """Settle what a run that died left on its way; returns how many nobody knows of.

    A delivery is asked for what it carried itself; of another's messages it knows nothing.
    """
    left = left_sending(ledger)
    if not left:
        return 0
    with delivery_for("settling") as delivery:
        own = [one.message_id for one in left if one.delivery in {"", delivery.name}]
        traced = delivery.traced(own)
    return settle_left(ledger, traced, now=now)


def carry_out(
    plan: Plan,
    run_id: str,
    renderer: Renderer,
    ledger: Ledger,
    options: SendOptions,
    effects: Effects,
    *,
    delivery_for: Callable[[str], Delivery],
    left_out: bool = False,
) -> RunReport:
    """Write the plan down, send what it says, and write down how the run ended."""
    began = effects.timer()
    journal = LedgerJournal(ledger, run_id, plan.actions, clock=effects.clock)
    trouble: InvitesError | None = None
    down = server_down(ledger) if options.delivery == "smtp" else None
    if down is not None:
        plan = replace(plan, actions=with_probe_first(plan.actions))
    try:
        record_plan(ledger, plan)
        if plan.actions:
            deliver_messages(plan, renderer, journal, effects, delivery_for(run_id))
    except InvitesError as error:
        trouble = error
    try:
        if options.delivery == "smtp":
            journal.note_server(trouble, down)
    except InvitesError as error:
        raise trouble or error from None
    exit_code = exit_code_of(plan, journal.ended, trouble, left_out=left_out)
    try:
        finish_run(
            ledger,
            run_id,
            exit_code=exit_code,
            counts={**plan.counts, **{state.value: n for state, n in journal.ended.items()}},
            took=timedelta(seconds=effects.timer() - began),
            now=effects.clock(),
        )
        expire(ledger, keep=options.keep, now=effects.clock())
    except InvitesError as error:
        raise trouble or error from None
    return RunReport(
        run_id=run_id,
        plan=plan,
        ended=journal.ended,
        exit_code=exit_code,
        unsent=journal.unsent,
        trouble=trouble,
    )


def deliver_messages(
    plan: Plan,
    renderer: Renderer,
    journal: Tally,
    effects: Effects,
    delivery: Delivery,
    *,
    recipient: str | None = None,
) -> None:
    """Deliver the plan's messages, all to `recipient` if given; raises what ends the delivery."""
    with delivery:
        messages = _outgoing(plan, renderer, journal, effects, recipient)
        delivery.deliver(messages, journal, stop=effects.stop)


def _outgoing(
    plan: Plan,
    renderer: Renderer,
    journal: Tally,
    effects: Effects,
    recipient: str | None,
) -> Iterator[OutgoingMessage]:
    # Composed when the delivery asks for it: a roster of 100,000 is never in memory as messages.
    sender = renderer.composer.sender.organizer.email
    for action, invitation in composed(plan.actions, renderer):
        key = Key.of(action)
        journal.announced(key, invitation.message_id)
        effects.on_message()
        yield OutgoingMessage.of(
            invitation,
            key=key,
            sender=sender,
            recipient=recipient,
            tried=action.attempts > 0 or action.copies > 0,
        )


_UNFINISHED = frozenset({Reason.UNKNOWN, Reason.BACKOFF, Reason.BAD_ADDRESS})
"""Why somebody to whom a message was to go still waits for it."""


def exit_code_of(
    plan: Plan,
    ended: Mapping[State, int],
    trouble: InvitesError | None = None,
    *,
    left_out: bool,
) -> Exit:
    """Return the exit code that says most about a run."""
    if trouble is not None:
        return trouble.exit_code
    if plan.refusals:
        return Exit.GUARD
    unfinished = any(ended.get(state) for state in (State.DEFERRED, State.FAILED, State.UNKNOWN))
    waiting = any(hold.reason in _UNFINISHED for hold in plan.held)
    return Exit.IN_PART if left_out or plan.left_out or unfinished or waiting else Exit.DONE
