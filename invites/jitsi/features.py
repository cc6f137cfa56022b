"""The features that a token can name (`context.features` in `token/util.lib.lua`)."""

from __future__ import annotations

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
    "send-private-message",
    "create-polls",
    "flip",
    "branding",
    "calendar",
    "lobby",
    "room",
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
