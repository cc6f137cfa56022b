"""Every pass: plan against the ledger, compose, deliver, record; `frame.Pass` is what all share.

Every effect is passed in: the open ledger, the clock, the delivery, and what asks to stop.
"""

from invites.sending.adopt import Adopted, adopt
from invites.sending.frame import deliveries, demand_guards, note_refused, run_start, settle
from invites.sending.options import Effects, RunReport, SendOptions, policy_from, scope_for
from invites.sending.passes import drain, give_links, planned, send
from invites.sending.reminders import remind
from invites.sending.renderer import Renderer

__all__ = [
    "Adopted",
    "Effects",
    "Renderer",
    "RunReport",
    "SendOptions",
    "adopt",
    "deliveries",
    "demand_guards",
    "drain",
    "give_links",
    "note_refused",
    "planned",
    "policy_from",
    "remind",
    "run_start",
    "scope_for",
    "send",
    "settle",
]
