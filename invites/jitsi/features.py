"""The features that a token can name (`context.features` in `token/util.lib.lua`).

A roster names one to switch it on, with a hyphen before it to switch it off.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

FEATURES: Final = (
    "livestreaming",
    "recording",
    "transcription",
    "outbound-call",
    "sip-outbound-call",
    "inbound-call",
    "file-upload",
    "list-visitors",
    "send-groupchat",
    "create-polls",
    "flip",
    "branding",
    "calendar",
    "lobby",
    "room",
    "screen-sharing",
    "moderation",
    "sip-inbound-call",
    "live-translation",
    "live-translation-subscribe",
)
"""The features that Jitsi knows (`context.features`)."""

JAAS_FEATURES: Final = (
    "livestreaming",
    "recording",
    "transcription",
    "outbound-call",
    "sip-outbound-call",
)
"""The features that a JaaS token always has, each with "true" or "false"."""

OFF: Final = "-"
"""What stands before a feature that is switched off."""


def switched(features: Iterable[str]) -> dict[str, bool]:
    """Return a roster's features by name, and whether each is on."""
    return {name.removeprefix(OFF): not name.startswith(OFF) for name in features}


def is_known(feature: str) -> bool:
    """Return whether a feature, with or without the hyphen that switches it off, is Jitsi's."""
    return feature.removeprefix(OFF) in FEATURES
