"""One pass of `send` or of a job: plan against the ledger, compose, deliver, record.

Every effect is passed in: the open ledger, the clock, the delivery, and what asks to stop.
"""

from invites.sending.adopt import Adopted, adopt
from invites.sending.one_pass import (
    carry_out,
    demand_guards,
    exit_code_of,
    note_refused,
    planned,
    run_start,
    send,
    settle,
)
from invites.sending.options import Effects, RunReport, SendOptions, policy_from
from invites.sending.rehearse import Rehearsal, redirect, rehearse
from invites.sending.renderer import Renderer, composed
from invites.sending.retry import drain, send_and_wait

__all__ = [
    "Adopted",
    "Effects",
    "Rehearsal",
    "Renderer",
    "RunReport",
    "SendOptions",
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
