"""What a wake-up would do now: reads, plans, composes and checks, and writes nothing anywhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from invites.due.attempts import Obstacle
from invites.errors import Exit, InvitesError
from invites.jobs.attempt import ended, options_for, read, refused
from invites.jobs.attend import due_but_left
from invites.jobs.options import JobOutcome, WakeUp, WakeUpReport
from invites.jobs.tell import tell_job
from invites.ledger import Ledger, open_ledger
from invites.ledger.jobs import job_state
from invites.sending import RunReport
from invites.sending import rehearse as rehearse_send

if TYPE_CHECKING:
    from invites.due.attempts import JobState
    from invites.settings import Job


def rehearse(wakeup: WakeUp) -> WakeUpReport:
    """Return what would become of what is due, without the ledger's lock."""
    outcomes = []
    url, after_restore = wakeup.settings.ledger.url, wakeup.options.after_restore
    with open_ledger(url, lock=False, after_restore=after_restore) as ledger:
        ledger.demand_sound()
        for job in wakeup.jobs:
            due = due_but_left(wakeup, ledger, job)
            if due is not None:
                state = job_state(ledger, job.name)
                outcome = _rehearsed(wakeup, ledger, job, due, state)
                tell_job(wakeup, outcome)
                outcomes.append(outcome)
    return WakeUpReport(at=wakeup.now, outcomes=tuple(outcomes))


def _rehearsed(
    wakeup: WakeUp, ledger: Ledger, job: Job, due: datetime, state: JobState | None
) -> JobOutcome:
    began = wakeup.effects.timer()
    source = " + ".join(place.text for place in job.roster)
    outcome = JobOutcome(job=job.name, due=due, exit_code=Exit.DONE, text="", source=source)
    try:
        roster = read(wakeup, job, None if state is None else state.open)
        found = rehearse_send(
            roster, wakeup.renderer, ledger, options_for(wakeup, job, due), wakeup.effects
        )
        report = RunReport(run_id="", plan=found.plan, ended={}, exit_code=found.exit_code)
        outcome = ended(replace(outcome, source=roster.source), report, roster, wakeup=wakeup)
    except InvitesError as error:
        outcome = refused(outcome, error, stopped=wakeup.effects.stop())
    except Exception as error:  # noqa: BLE001 - one job's fault is not the others'
        text = f"unexpected failure: {type(error).__name__}"
        outcome = replace(outcome, cause=Obstacle.FAILED, exit_code=Exit.FAILED, text=text)
    return replace(outcome, took=timedelta(seconds=wakeup.effects.timer() - began))
