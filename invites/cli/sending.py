"""The four ways in which `send` carries a plan out, and what it says of each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from invites.cli.options import Call, SendFlags, clock
from invites.cli.plan import Prepared, Setup, acceptance, ledger_to_read, prepared, warn_of_refusals
from invites.cli.terminal import Stop, bar
from invites.delivery.base import Delivery, clean_up_outbox
from invites.errors import GuardError, InvitesError, RosterRefusedError
from invites.ledger import Ledger, create, open_ledger
from invites.output import manifest
from invites.planning.actions import Plan
from invites.report import sending as words
from invites.report.plan import plan_document, plan_lines, plan_summary
from invites.roster.source import demand_whole
from invites.sending import Adopted, Effects, RunReport, adopt, deliveries, note_refused, send
from invites.sending.passes import NO_WAIT
from invites.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class Progress:
    """A progress bar that begins once the plan is known."""

    call: Call
    stack: ExitStack
    _step: Callable[[], None] = field(default=lambda: None)

    def begin(self, plan: Plan) -> None:
        """Show a bar for a plan of many messages."""
        self._step = self.stack.enter_context(bar(self.call, "Sending", len(plan.actions)))

    def advance(self) -> None:
        """Move the bar, where there is one, by a message."""
        self._step()


@dataclass(frozen=True, kw_only=True)
class Sending:
    """One call of `send`."""

    call: Call
    context: typer.Context
    flags: SendFlags
    setup: Setup
    stop: Stop = field(default_factory=Stop)

    def send(self, retry_wait: timedelta) -> int:
        """Carry the plan out and record it."""
        ready = self._recorded_preparation()
        with self._ledger_to_write() as ledger:
            clean_up_outbox(ready.settings, now=ready.now, keep_old=self.flags.now is not None)
            report = self._passed(ready, ledger, retry_wait)
        self._tell(ready, report, run=report.run_id)
        return report.exit_code

    def redirect(self, mailbox: str) -> int:
        """Send everything to one mailbox, and record nothing."""
        ready = self._preparation(recipient=mailbox)
        with ledger_to_read(ready.settings, self.flags) as ledger:
            report = self._passed(ready, ledger)
        self.call.say(f"Redirected to {mailbox}; nothing was recorded, the attendees got nothing.")
        self._tell(ready, report, run=None, redirected=mailbox)
        return report.exit_code

    def rehearse(self) -> int:
        """Compose and check everything; send and record nothing."""
        ready = self._preparation(dry_run=True)
        with ledger_to_read(ready.settings, self.flags) as ledger:
            report = self._passed(ready, ledger)
        read_back = ready.renderer.verifier.read_back
        commands = acceptance(self.context, report.plan)
        self._warn(report.plan)
        self.call.document(
            **self._about(ready),
            dry_run=True,
            run=None,
            exit_code=int(report.exit_code),
            composed=report.composed,
            read_back=read_back,
            **plan_document(report.plan),
            accept=list(commands),
        )
        self._say_plan(report.plan)
        self.call.say(
            f"Dry run: {counted(report.composed, 'message')} composed and checked, "
            f"{read_back:,} of them read back by independent parsers; nothing was sent or recorded."
        )
        warn_of_refusals(self.call, report.plan, commands)
        return report.exit_code

    def adopt(self, path: Path) -> int:
        """Record what was mailed from a build."""
        rows = manifest.read(path)
        ready = self._recorded_preparation()
        with self._ledger_to_write() as ledger, self._effects() as effects:
            found = adopt(
                rows,
                ready.roster,
                ready.renderer,
                ledger,
                ready.options,
                effects,
                delivery_for=partial(self._delivery, ledger),
            )
        self._tell_adopted(ready, found, path)
        return found.exit_code

    def _preparation(self, **options: Any) -> Prepared:
        ready = prepared(self.call, self.flags, self.setup)
        demand_whole(ready.roster, accepted=self.flags.no_final_newline)
        return replace(ready, options=replace(ready.options, **options))

    def _passed(
        self, ready: Prepared, ledger: Ledger | None, retry_wait: timedelta = NO_WAIT
    ) -> RunReport:
        with self._effects() as effects:
            return send(
                ready.roster,
                ready.renderer,
                ledger,
                ready.options,
                effects,
                delivery_for=partial(self._delivery, ledger),
                retry_wait=retry_wait,
            )

    def _recorded_preparation(self) -> Prepared:
        """Read the roster; where that is refused, the history has the run all the same."""
        try:
            return self._preparation()
        except (RosterRefusedError, GuardError) as refusal:
            self._note(refusal)
            raise

    def _note(self, refusal: InvitesError) -> None:
        setup, settings = self.setup, self.setup.settings
        try:
            with open_ledger(
                settings.ledger.url, lock=True, outbox=settings.delivery.folder
            ) as ledger:
                note_refused(
                    ledger, setup.options, refusal, source=self.flags.roster, now=setup.now
                )
        except InvitesError as error:
            self.call.detail(f"the refused run is not in the history: {error}")

    @contextmanager
    def _ledger_to_write(self) -> Iterator[Ledger]:
        settings = self.setup.settings
        if self.flags.new_ledger:
            create(settings.ledger.url)
        with open_ledger(
            settings.ledger.url,
            lock=True,
            after_restore=self.flags.after_restore,
            outbox=settings.delivery.folder,
        ) as ledger:
            yield ledger

    @contextmanager
    def _effects(self) -> Iterator[Effects]:
        with ExitStack() as stack:
            progress = Progress(self.call, stack)
            yield Effects(
                clock=lambda: clock(self.flags.now),
                timer=time.monotonic,
                stop=self.stop,
                pause=self.stop.pause,
                on_plan=progress.begin,
                on_message=progress.advance,
            )

    def _delivery(self, ledger: Ledger | None, run: str) -> Delivery:
        self.stop.arm()
        opened = deliveries(
            self.setup.settings,
            ledger,
            to=self.setup.options.delivery,
            clock=lambda: clock(self.flags.now),
            simulated=self.flags.now is not None,
        )
        return opened(run)

    def _about(self, ready: Prepared) -> dict[str, Any]:
        return {
            "command": "send",
            "roster": ready.roster.source,
            "to": ready.options.delivery,
            "problems": [problem.facts() for problem in ready.roster.left_out],
        }

    def _tell(
        self, ready: Prepared, report: RunReport, *, run: str | None, redirected: str | None = None
    ) -> None:
        """Say what went out, what did not and why, and what to do about it."""
        plan, call = report.plan, self.call
        commands = acceptance(self.context, plan)
        self._warn(plan)
        call.document(
            **self._about(ready),
            dry_run=False,
            redirected=redirected,
            run=run,
            exit_code=int(report.exit_code),
            ended={state.value: number for state, number in report.ended.items()},
            unsent=words.unsent_document(report.unsent),
            **plan_document(plan),
            accept=list(commands),
            error=None if report.trouble is None else str(report.trouble),
        )
        self._say_plan(plan)
        at_most = None if call.verbose else words.LINES_AT_MOST
        zone = ready.options.timezone
        call.say(
            words.ended_line(
                report.ended, len(plan.actions), ready.options.delivery, batch=self._batch(run)
            )
        )
        call.problems(words.unsent_lines(report.unsent, zone, at_most=at_most))
        for line in words.advice(report.ended, on_unknown=ready.options.policy.on_unknown):
            call.say(line)
        warn_of_refusals(call, plan, commands)
        if report.trouble is not None:
            call.fail(report.trouble)

    def _batch(self, run: str | None) -> Path | None:
        """Return the folder that this run's batch lies in, where it went to a folder."""
        folder = self.setup.settings.delivery.folder
        return folder / run if run and self.setup.options.delivery == "folder" else None

    def _say_plan(self, plan: Plan) -> None:
        call = self.call
        if call.verbose:
            for line in plan_lines(plan):
                call.detail(line)
        call.say(plan_summary(plan))
        at_most = None if call.verbose else words.LINES_AT_MOST
        for line in (*words.token_lines(plan, at_most=at_most), *words.held_lines(plan)):
            call.say(line)

    def _warn(self, plan: Plan) -> None:
        for warning in plan.warnings:
            self.call.warn(warning)

    def _tell_adopted(self, ready: Prepared, found: Adopted, path: Path) -> None:
        call = self.call
        call.problems(problem.text(str(path)) for problem in found.problems)
        call.document(
            **self._about(ready),
            dry_run=False,
            run=found.run_id,
            exit_code=int(found.exit_code),
            record_only=str(path),
            adopted=found.adopted,
            known=found.known,
            over=found.over,
            not_adopted=[problem.facts() for problem in found.problems],
        )
        call.say(
            f"Recorded as sent: {found.adopted}; recorded before: {found.known}; over: "
            f"{found.over}; not adopted: {len(found.problems)}. Nothing was sent."
        )
        if found.problems:
            call.say("What was not adopted is as if it had never been mailed: see invites plan.")
