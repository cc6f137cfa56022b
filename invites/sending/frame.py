"""The one frame of every pass: guards, plan, record, deliver, record, report, in this order.

`send`, `--dry-run`, `--redirect`, `--record-only`, what was deferred, reminders and a job's run are
all a `Pass`; its fields and its options say in what each differs from the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from invites.delivery.base import Delivery, OutgoingMessage, open_delivery
from invites.errors import Exit, GuardError, InvitesError, RosterRefusedError
from invites.invitation import DeliveryName
from invites.ledger import Ledger
from invites.ledger.erase import expire
from invites.ledger.note import server_down
from invites.ledger.runs import (
    RunStart,
    begin_run,
    check_guards,
    claim,
    finish_run,
    left_sending,
    record_refused,
    sent_since,
    settle_left,
)
from invites.ledger.write import Key, record_plan
from invites.planning.actions import Action, Plan, Reason
from invites.planning.state import State
from invites.sending.journal import LedgerJournal, Tally
from invites.sending.options import NO_RUN, Effects, RunReport, SendOptions
from invites.sending.renderer import Renderer, composed
from invites.times import TZDATA_VERSION

if TYPE_CHECKING:
    from invites.settings import Settings


def _counts_of(plan: Plan, journal: Tally) -> Mapping[str, int]:
    return {**plan.counts, **{state.value: number for state, number in journal.ended.items()}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One pass, and in what it differs from the others.

    `ledger` is locked where the pass records, and None for an empty one.
    `plan` says who gets what at a moment (aware); `source` and `digest` name its roster in the
    history, and `left_out` tells that rows were left out of it.
    `delivery_for` opens the delivery of a run by the run's id; where `carry` is given, that says
    instead what became of the plan's messages.
    `journal` writes them down, `counts` is what the history counts of it all.
    With `only_if_needed` a pass that has nothing to send leaves no run in the history.
    One that is `amid_another` goes between the messages of a longer pass, and leaves those alone.
    """

    renderer: Renderer
    ledger: Ledger | None
    options: SendOptions
    effects: Effects
    delivery_for: Callable[[str], Delivery]
    plan: Callable[[datetime], Plan]
    source: str = ""
    digest: str = ""
    left_out: bool = False
    amid_another: bool = False
    only_if_needed: bool = False
    carry: Callable[[Plan, Tally], None] | None = None
    journal: Callable[..., Tally] = LedgerJournal
    counts: Callable[[Plan, Tally], Mapping[str, int]] = _counts_of

    def run(self) -> RunReport:
        """Do all of it, and return what came of it.

        Raises what keeps it from beginning: GuardError and RosterRefusedError (the history has them
        where the pass records), StorageError, and whatever `plan` raises.  A dry run raises as well
        what is wrong with a message: MessageFaultError, TemplateError.
        """
        now, began = self.effects.clock(), self.effects.timer()
        plan = self._guarded_plan(now)
        if self.only_if_needed and not plan.actions:
            return self._nothing_sent(plan)
        journal = self._begun(plan, now)
        trouble: InvitesError | None = None
        try:
            # Durable before anything leaves: whoever finds this run dead knows what it was about.
            journal.record_plan(plan)
            if plan.actions:
                (self.carry or self._deliver)(plan, journal)
        except InvitesError as error:
            if self.options.dry_run:
                raise
            trouble = error
        try:
            exit_code = exit_code_of(plan, journal.ended, trouble, left_out=self.left_out)
            took = timedelta(seconds=self.effects.timer() - began)
            self._finish(plan, journal, exit_code, took)
        except InvitesError as error:
            # What ended the delivery says more than what follows from it, and what went out is told.
            trouble = trouble or error
            exit_code = trouble.exit_code
        return RunReport(
            run_id=journal.run_id,
            plan=plan,
            ended=journal.ended,
            exit_code=exit_code,
            composed=journal.composed,
            unsent=journal.unsent,
            trouble=trouble,
        )

    def _guarded_plan(self, now: datetime) -> Plan:
        """Return the plan, once clock, zone data and what a dead run left are seen to."""
        if self.ledger is None:
            return self.plan(now)
        try:
            demand_guards(self.ledger, self.options, now=now)
            if self.options.records and not self.amid_another:
                # First, for what turns out not to have left is planned again.
                settle(self.ledger, self.delivery_for, now=now)
            return self.plan(now)
        except (GuardError, RosterRefusedError) as refusal:
            # What every wake-up tries would fill the history with the same refusal.
            if self.options.records and not self.only_if_needed:
                note_refused(
                    self.ledger,
                    self.options,
                    refusal,
                    source=self.source,
                    digest=self.digest,
                    now=now,
                )
            raise

    def _nothing_sent(self, plan: Plan) -> RunReport:
        # What is given up is no message, but nobody is to wait for it any more.
        if plan.dropped and self.ledger is not None:
            record_plan(self.ledger, plan)
        return RunReport(run_id=NO_RUN, plan=plan, ended={}, exit_code=Exit.DONE)

    def _begun(self, plan: Plan, now: datetime) -> Tally:
        """Write down that a run begins, and return its journal; one that records nothing if so."""
        clock = self.effects.clock
        if self.ledger is None or not self.options.records:
            return Tally(plan.actions, clock=clock)
        start = run_start(self.options, self.source, self.digest)
        run_id = begin_run(self.ledger, start, now=now)
        # Not before the plan: a refused pass moves no other scope's meetings.
        for other in self.options.claimed:
            claim(self.ledger, other=other, scope=self.options.scope)
        return self.journal(self.ledger, run_id, plan.actions, clock=clock)

    def _deliver(self, plan: Plan, journal: Tally) -> None:
        """Hand the messages over, and note how the mail server is; raises what ended it early."""
        if self.options.dry_run:
            for _ in self._outgoing(plan.actions, journal):
                pass  # composing a message is what checks it
            return
        by_smtp = self.ledger is not None and self.options.delivery == "smtp"
        # After an outage the first message decides whether the others are tried at all.
        down = server_down(self.ledger) if self.ledger is not None and by_smtp else None
        actions = plan.actions if down is None else _with_probe_first(plan.actions)
        trouble: InvitesError | None = None
        try:
            with self.delivery_for(journal.run_id or "redirected") as delivery:
                messages = self._outgoing(actions, journal)
                delivery.deliver(
                    messages,
                    journal,
                    stop=lambda: self.effects.stop() or journal.trouble is not None,
                )
        except InvitesError as error:
            trouble = error
        # A stop that the journal asked for comes back as a delivery that ended early.
        trouble = journal.trouble or trouble
        try:
            if by_smtp:
                journal.note_server(trouble, down)
        except InvitesError as error:
            raise trouble or error from None
        if trouble is not None:
            raise trouble

    def _outgoing(self, actions: Sequence[Action], journal: Tally) -> Iterator[OutgoingMessage]:
        # Composed when the delivery asks for it: a roster of 100,000 is never in memory as messages.
        for action, invitation in composed(actions, self.renderer):
            key = Key.of(action)
            journal.announced(key, invitation.message_id)
            self.effects.on_message()
            yield OutgoingMessage.of(
                invitation,
                key=key,
                sender=self.renderer.mailbox_of(action),
                recipient=self.options.recipient,
                tried=action.attempts > 0 or action.copies > 0,
            )

    def _finish(self, plan: Plan, journal: Tally, exit_code: Exit, took: timedelta) -> None:
        if self.ledger is None or journal.run_id == NO_RUN:
            return
        now = self.effects.clock()
        counts = self.counts(plan, journal)
        finish_run(
            self.ledger, journal.run_id, exit_code=exit_code, counts=counts, took=took, now=now
        )
        if not self.amid_another:
            expire(self.ledger, keep=self.options.keep, now=now)


def _with_probe_first(actions: Sequence[Action]) -> tuple[Action, ...]:
    """Return the actions with the one first that tells most of a server that was down.

    That is one which was never tried, or seldom: what was lost often may be lost for what it is.
    """
    if not actions:
        return ()
    probe = min(actions, key=lambda action: (action.copies, action.attempts))
    return probe, *(action for action in actions if action is not probe)


def demand_guards(ledger: Ledger, options: SendOptions, *, now: datetime) -> None:
    """Raise GuardError where the clock or the time zone data can't be trusted."""
    check_guards(
        ledger,
        now=now,
        tz_version=TZDATA_VERSION,
        clock_ahead=options.clock_ahead,
        timezone=options.timezone,
        accept_clock=options.accept_clock,
    )


def deliveries(
    settings: Settings,
    ledger: Ledger | None,
    *,
    to: DeliveryName,
    clock: Callable[[], datetime],
    simulated: bool,
) -> Callable[[str], Delivery]:
    """Return what opens the delivery of a run by the run's id.

    `simulated` where another time stands in for the clock: then no batch is old enough to go.
    """

    def opened(run: str) -> Delivery:
        if ledger is None:
            return open_delivery(
                settings, run=run, now=clock(), to=to, keep_old=simulated, present=clock
            )
        return open_delivery(
            settings,
            run=run,
            now=clock(),
            to=to,
            sent_since=lambda span: sent_since(ledger, span, now=clock()),
            keep_old=simulated,
            present=clock,
            in_doubt=server_down(ledger) is not None,
            mark=ledger.mark_line(),
        )

    return opened


def settle(ledger: Ledger, delivery_for: Callable[[str], Delivery], *, now: datetime) -> int:
    """Settle what a run that died left on its way; returns how many nobody knows of.

    A delivery is asked for what it carried itself; of another's messages it knows nothing.
    """
    left = left_sending(ledger)
    if not left:
        return 0
    # A folder would say of a mail server's messages that they are not there, and they went again.
    with delivery_for("settling") as delivery:
        own = [one.message_id for one in left if one.delivery in {"", delivery.name}]
        traced = delivery.traced(own)
    return settle_left(ledger, traced, now=now)


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
    digest: str = "",
) -> None:
    """Write a refused run into the history; the digest is "" for a roster that can't be read."""
    problems = len(refusal.problems) if isinstance(refusal, RosterRefusedError) else 0
    record_refused(
        ledger,
        run_start(options, source, digest),
        exit_code=refusal.exit_code,
        counts={"problems": problems} if problems else {},
        now=now,
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
        return Exit.GUARD  # a person has to look, whatever else went out in part
    unfinished = any(ended.get(state) for state in (State.DEFERRED, State.FAILED, State.UNKNOWN))
    waiting = any(hold.reason in _UNFINISHED for hold in plan.held)
    return Exit.IN_PART if left_out or plan.left_out or unfinished or waiting else Exit.DONE
