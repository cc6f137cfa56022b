"""Rooms: from a roster's text to the token's claim and the link's segment, by Jitsi's own rule.

The web client turns the last segment of a link's path into a room: it deletes some literal
characters, percent-decodes, normalises (NFKC), lower-cases, percent-encodes and lower-cases again
(`react/features/base/util/uri.ts`, `getRoomName` and `getBackendSafeRoomName`).
The token's `room` gets an ASCII lower-case alone before the server compares the two
(`mod_auth_token`), so that the claim has to be the encoded form.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from base64 import b32encode
from typing import Final
from urllib.parse import quote, unquote

from invites.model import Room
from invites.text import CellRefused, slug

ROOM_BYTES_AT_MOST: Final = 1_023
"""Bytes of a room on the server: XMPP's limit for a localpart (RFC 7622 3.3)."""

RESERVED_NAMES: Final = frozenset(
    {
        "http-bind",
        "xmpp-websocket",
        "colibri-ws",
        "colibri-relay-ws",
        "conference-request",
        "rtcstats-ws",
        "_load-test",
        "_unlock",
        ".well-known",
        "robots.txt",
        "manifest.json",
    }
)
"""Last segments that the web server of a Jitsi installation answers itself, in lower case."""

RESERVED_ENDINGS: Final = (".js",)
"""The ending of `config.js`, `interface_config.js`, `external_api.js` and their kin."""

RESERVED_BEGINNINGS: Final = ("__jicofo-health-check",)
"""Rooms that jicofo opens and closes to see whether Prosody is well."""

RESERVED_WITH_TENANT: Final = frozenset({"config-js"})
"""What it answers besides below a tenant, where nginx matches `config.js` by an expression."""

BEGINNINGS_WITH_TENANT: Final = ("http-bind", "xmpp-websocket")
"""Beginnings that it answers itself below a tenant, where those expressions have no end."""

RESERVED_TENANTS: Final = frozenset({"static", "sounds", "lang", "libs", "css", "images", "fonts"})
"""Folders of the web client's files: a room below one is 404."""

UNREACHABLE: Final = "&':?\"/"
"""Characters with which a path never reaches the web client, percent-encoded or not."""

CLAIM_SAFE: Final = "-_.!~*'()"
"""What JavaScript's `encodeURIComponent` leaves alone besides letters and digits."""

SEGMENT_SAFE: Final = "-_.~"
"""What a link's segment shows as it is: nothing that the web client deletes."""

SLUG_AT_MOST: Final = 30
"""Characters of the meeting id that a derived room shows."""

DERIVED_AT_MOST: Final = SLUG_AT_MOST + 1 + 16
"""Characters of a derived room: slug, hyphen, 80 bits in base32."""

DELETED: Final = str.maketrans("", "", ":?#[]@!$&'()*+,;=></\"")
"""Literal characters that the web client deletes from a link's room (`uri.ts`)."""

_PERCENT_ENCODED = re.compile(r"(?:%[0-9a-fA-F]{2})+")
_TENANT = re.compile(r"[a-z0-9_~-]+")
_LINE_BREAKING = frozenset({"Cc", "Cs", "Zl", "Zp"})


class RoomRefused(CellRefused):
    """A text that can't name a room."""


class TenantRefused(CellRefused):
    """A url whose path can't be a tenant."""


def room_from_text(text: str, *, tenant: str | None = None) -> Room:
    """Return the room that `text` names: what a token claims and what its link shows.

    `text` is plain text as people write it, never percent-encoded; `tenant` is that of the link.
    Raises RoomRefused for what no link can reach or what the web server answers itself.
    """
    folded = folded_room(text)
    _refuse_unreachable(folded)
    _refuse_reserved(folded, tenant)
    claim = quote(folded, safe=CLAIM_SAFE).lower()
    if len(claim) > ROOM_BYTES_AT_MOST:
        raise RoomRefused(
            f"a room of at most {ROOM_BYTES_AT_MOST:,} bytes once it is percent-encoded, "
            f"not {len(claim):,}"
        )
    return Room(claim=claim, segment=quote(folded, safe=SEGMENT_SAFE))


def folded_room(text: str) -> str:
    """Return `text` as the web client folds it: NFKC and lower case until nothing changes.

    Lower case can undo NFKC (J with a combining caron), and the client folds what the link shows
    once more; a claim that is folded to the end agrees with it.
    """
    folded = unicodedata.normalize("NFKC", text).lower()
    while (again := unicodedata.normalize("NFKC", folded).lower()) != folded:
        folded = again
    return folded


def _refuse_unreachable(folded: str) -> None:
    if not folded.strip():
        raise RoomRefused("a room's name")
    if folded == "*":
        raise RoomRefused("one room's name: * would admit to every room")
    if any(unicodedata.category(char) in _LINE_BREAKING for char in folded):
        raise RoomRefused("a room without control characters and line ends")
    if found := sorted(set(folded) & set(UNREACHABLE)):
        raise RoomRefused(
            f"a room without {' '.join(found)} (no link reaches rooms with & ' : ? \" or /)"
        )
    if _is_percent_encoded(folded):
        raise RoomRefused("the room as plain text, not percent-encoded")
    if folded in {".", ".."}:
        raise RoomRefused("a room other than . and .., which browsers drop from a link")


def _is_percent_encoded(text: str) -> bool:
    """Tell whether there is a `%41` in the text that stands for a character.

    In `50%ab` it stands for none (AB alone is no UTF-8), so that nobody decodes it once more.
    """
    runs = (bytes.fromhex(run[0].replace("%", "")) for run in _PERCENT_ENCODED.finditer(text))
    return any(run.decode("utf-8", "ignore") for run in runs)


def _refuse_reserved(folded: str, tenant: str | None) -> None:
    names = RESERVED_NAMES if tenant is None else RESERVED_NAMES | RESERVED_WITH_TENANT
    if folded in names:
        raise RoomRefused(f"another room: the web server answers /{folded} itself")
    if folded.endswith(RESERVED_ENDINGS):
        ending = folded[folded.rindex(".") :]
        raise RoomRefused(
            f"a room that does not end in {ending}: the web server takes it for a file of its own"
        )
    if folded.startswith(RESERVED_BEGINNINGS):
        raise RoomRefused("another room: jicofo tests itself in rooms that begin so")
    if tenant is not None and folded.startswith(BEGINNINGS_WITH_TENANT):
        raise RoomRefused(
            "another room: below a tenant the web server answers itself what begins with "
            f"{' or '.join(BEGINNINGS_WITH_TENANT)}"
        )


def room_on_the_server(segment: str) -> str | None:
    """Return the room that the web client makes of a link's segment, as the server knows it.

    None where its percent-encoding is none, on which the web client gives up.
    """
    try:
        decoded = unquote(segment.translate(DELETED), errors="strict")
        return quote(folded_room(decoded), safe=CLAIM_SAFE).lower()
    except (UnicodeDecodeError, UnicodeEncodeError):
        return None


def room_text(claim: str) -> str:
    """Return a room as people write it, from its form on the server; as it is where that fails."""
    try:
        return unquote(claim, errors="strict")
    except UnicodeDecodeError:
        return claim


def claim_for_text(text: str) -> str:
    """Return the claim that a room's text should have been, for a claim that nobody can reach."""
    return quote(folded_room(text), safe=CLAIM_SAFE, errors="replace").lower()


def derived_room(meeting_id: str, key: bytes) -> Room:
    """Return the room of a meeting whose roster names none: stable, safe, and not to be guessed.

    A slug of `meeting_id` (at most 30 characters) for people, and 16 base32 characters (80 bits)
    of an HMAC-SHA256 over it, keyed with the room key.
    """
    digest = hmac.digest(key, meeting_id.encode(), hashlib.sha256)
    code = b32encode(digest[:10]).decode("ascii").lower()
    # Below a tenant the web server answers rooms that begin so; the code keeps the room unique.
    shown = slug(meeting_id, SLUG_AT_MOST, otherwise="meeting")
    if shown.startswith(BEGINNINGS_WITH_TENANT):
        shown = "meeting"
    name = f"{shown}-{code}"
    return Room(claim=name, segment=name)


def room_key_from(secret: bytes) -> bytes:
    """Return the key for derived rooms where no room key file is set: it moves with the secret."""
    return hmac.digest(secret, b"invites: key of derived rooms", hashlib.sha256)


def tenant_from_path(path: str) -> str | None:
    """Return the tenant that a url's path names as the web client folds it; None without a path.

    Dots become `_`, letters lower case (`interface_config`'s `subdomain`).
    Raises TenantRefused for a path of several segments or with other characters than a domain's.
    """
    name = unquote(path).strip("/")
    if not name:
        return None
    if "/" in name:
        raise TenantRefused("one tenant as the url's path, such as https://meet.example.com/team")
    folded = name.replace(".", "_").lower()
    if not _TENANT.fullmatch(folded):
        raise TenantRefused("a tenant of letters a-z, digits, '.', '-' and '_'")
    if folded in RESERVED_TENANTS:
        raise TenantRefused(f"another tenant: the web server has files of its own in /{folded}")
    return folded
