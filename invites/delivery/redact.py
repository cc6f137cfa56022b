"""What a mail server said, made fit for a history: one line, cut, nothing secret in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from invites.text import without_tokens

ANSWER_AT_MOST: Final = 200
"""Characters of a server's answer that are kept."""

_LINK: Final = re.compile(r"(?i)\b(?:https?|jitsi-meet)(?::|%3a)[^\s<>\"]*")
_BLOB: Final = re.compile(r"[A-Za-z0-9+/=_-]{40,}")


def masked(text: str, *, secrets: Iterable[str] = ()) -> str:
    """Return `text` as one printable line with links, tokens and `secrets` masked, then cut.

    Spam filters quote the link they dislike and broken servers echo what they were sent, so a
    server's words are never trusted to hold nothing secret.
    Any run of 40 or more base64 characters goes, for a message's parts are base64.
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[secret]")
    text = _LINK.sub("[link]", text)
    text = without_tokens(text)
    text = _BLOB.sub("[…]", text)
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= ANSWER_AT_MOST else line[: ANSWER_AT_MOST - 1] + "…"
