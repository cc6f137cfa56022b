"""What carries messages to their receivers: the `Delivery` protocol, its values, and its backends."""

from invites.delivery.base import (
    Deferred,
    Delivery,
    Failed,
    Journal,
    Key,
    Outcome,
    OutgoingMessage,
    Phase,
    Sent,
    SentSince,
    Unknown,
    nothing_sent_yet,
    open_delivery,
)

__all__ = [
    "Deferred",
    "Delivery",
    "Failed",
    "Journal",
    "Key",
    "Outcome",
    "OutgoingMessage",
    "Phase",
    "Sent",
    "SentSince",
    "Unknown",
    "nothing_sent_yet",
    "open_delivery",
]
