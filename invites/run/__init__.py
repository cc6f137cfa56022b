"""One pass of `send` or of a job: plan against the ledger, compose, deliver, record.

Every effect is passed in: the open ledger, the clock, the delivery, and what asks to stop.
"""

from invites.run.errand import Errand, RunReport, Surroundings, Unsent, policy_from
from invites.run.sending import carry_out, planned, send, settle
from invites.run.workshop import Workshop, composed

__all__ = [
    "Errand",
    "RunReport",
    "Surroundings",
    "Unsent",
    "Workshop",
    "carry_out",
    "composed",
    "planned",
    "policy_from",
    "send",
    "settle",
]
