"""Every night: jobs that run themselves.

A program or a test runs one wake-up by

    wakeup = WakeUp(settings=settings, effects=Effects(clock=…, timer=…))
    report = wake_up(wakeup)

`clock` is any function that gives an aware present, so that a simulated fortnight is a loop over
`wake_up` with a clock that the loop moves on; the first wake-up only takes note of new jobs.
The ledger must exist (`ledger.create`).  `report.outcomes` say what became of each due time,
`report.sides` of reminders and deferred messages, `report.again` when something is due next.
"""

from invites.jobs.options import JobOutcome, RunOptions, SideOutcome, WakeUp, WakeUpReport
from invites.jobs.wake import wake_up

__all__ = ["JobOutcome", "RunOptions", "SideOutcome", "WakeUp", "WakeUpReport", "wake_up"]
