"""One pass of `send` or of a job: plan against the ledger, compose, deliver, record.

Every effect is passed in: the open ledger, the clock, the delivery, and what asks to stop.
"""

from invites.run.adopting import Adopted, adopt
from invites.run.draining import drain, send_and_wait
from invites.run.errand import Errand, RunReport, Surroundings, Unsent, policy_from
from invites.run.rehearsal import Rehearsal, redirect, rehearse
from invites.run.sending import (
    carry_out,
    demand_guards,
    exit_code_of,
    note_refused,
    planned,
    run_start,
    send,
    settle,
)
from invites.run.workshop import Workshop, composed

__all__ = [
    "Adopted",
    "Errand",
    "Rehearsal",
    "RunReport",
    "Surroundings",
    "Unsent",
    "Workshop",
    "adopt",
    "carry_out",
    "composed",
    "demand_guards",
    "drain",
    "exit_code_of",
    "note_refused",
    "planned",
    "policy_from",
    "redirect",
    "rehearse",
    "run_start",
    "send",
    "send_and_wait",
    "settle",
]
