"""Every night: jobs that run themselves.

A program or a test runs one wake-up by

    night = Night(settings=settings, surroundings=Effects(clock=…, timer=…))
    waking = wake_up(night)

`clock` is any function that gives an aware present, so that a simulated fortnight is a loop over
`wake_up` with a clock that the loop moves on; the first wake-up only takes note of new jobs.
The ledger must exist (`ledger.create`).  `waking.outcomes` say what became of each due time,
`waking.sides` of reminders and deferred messages, `waking.again` when something is due next.
"""

from invites.jobs.options import JobOutcome, Night, Order, SideOutcome, Waking
from invites.jobs.wake import wake_up

__all__ = ["JobOutcome", "Night", "Order", "SideOutcome", "Waking", "wake_up"]
