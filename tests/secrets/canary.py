"""A secret to look for, and the search for it and for tokens.

Everything that a run shows or writes is searched as it is, and for each stretch of base64 in it as
what that decodes to.
"""

from __future__ import annotations

import base64
import binascii
import email
import re
from collections.abc import Iterator
from urllib.parse import quote

CANARY = "canary-Zq7!x9Kp2vWm4sTb8nRc6yHd3fGj5lQa1eUo0iXz-secret"
SETTINGS = f"""
[jitsi]
url = "https://meet.example.com"
app_id = "the_app"
secret = '{CANARY}'
[organizer]
name = "Meetings"
email = "meetings@example.com"
"""
BASE64 = re.compile(rb"(?:[A-Za-z0-9+/_-]{2,}={0,2}(?:\r?\n[ ]?)?){2,}")
TOKEN = re.compile(rb"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]{20,}")


def spellings(secret: str) -> list[bytes]:
    """Return a secret as programs write it: plain, in hex, base64 and percent-encoded."""
    plain = secret.encode()
    core = plain[3:-3]
    return [
        plain,
        core,
        plain.hex().encode(),
        quote(secret).encode(),
        *(base64.b64encode(b"x" * shift + plain)[4:-4] for shift in range(3)),
        *(base64.urlsafe_b64encode(b"x" * shift + plain)[4:-4] for shift in range(3)),
    ]


def layers(content: bytes, depth: int = 3) -> Iterator[bytes]:
    """Yield the content, its lines joined, what its base64 decodes to, and its MIME parts."""
    yield content
    yield content.replace(b"\r\n ", b"").replace(b"=\r\n", b"")
    if depth == 0:
        return
    if content.startswith(b"From: "):
        for part in email.message_from_bytes(content).walk():
            decoded = part.get_payload(decode=True)
            if isinstance(decoded, bytes):
                yield from layers(decoded, depth - 1)
    for found in BASE64.findall(content):
        text = re.sub(rb"\s", b"", found).rstrip(b"=")
        for shift in range(4):
            piece = text[shift : shift + (len(text) - shift) // 4 * 4]
            with_padding = piece.translate(bytes.maketrans(b"-_", b"+/"))
            try:
                yield base64.b64decode(with_padding, validate=True)
            except binascii.Error:
                continue


def holds_secret(content: bytes, secret: str = CANARY) -> bool:
    """Whether a secret stands in the content, in any spelling, at any depth."""
    looked_for = spellings(secret)
    return any(spelling in layer for layer in layers(content) for spelling in looked_for)


def holds_token(content: bytes) -> bool:
    """Whether a token stands in the content, at any depth."""
    return any(TOKEN.search(layer) or b"jwt=" in layer for layer in layers(content))
