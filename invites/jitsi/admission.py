"""The admission table: what Jitsi's token plugin makes of a token, rule by rule, in sentences.

Pure: a token's header and claims, what is known of the server and an instant give an admission.
The rules were seen on a running Prosody (`token/util.lib.lua`, `luajwtjitsi.lib.lua`,
`mod_auth_token`, `mod_token_verification`) and in the web client (`jwt/functions.ts`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from invites.jitsi.claims import (
    ascii_lower,
    instant_text,
    is_number,
    is_text,
    mapping,
    quoted,
    room_is_pattern,
    shown,
    walked,
)
from invites.jitsi.rooms import (
    RoomRefused,
    TenantRefused,
    claim_for_text,
    room_from_text,
    room_on_the_server,
    tenant_from_path,
)
from invites.jitsi.tokens import ALGORITHMS, issuer
from invites.problems import escaped

if TYPE_CHECKING:
    from invites.jitsi.claims import Token
    from invites.jitsi.links import Link
    from invites.model import Server

REQUEST_LINE_AT_MOST: Final = 8_170
"""Characters of a link past which nginx refuses it."""

# A newline is fine there; other control characters and noncharacters break the XML stanza.
_HANGS = re.compile("[\x00-\x09\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One thing to say about a token: a stable `code` for programs, `text` for people."""

    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Whether a token is admitted at an instant (aware, in UTC), and each reason why not."""

    at: datetime
    refusals: tuple[Remark, ...]

    @property
    def admitted(self) -> bool:
        """Return whether nothing speaks against it."""
        return not self.refusals


def admission(
    token: Token, at: datetime, *, server: Server | None = None, link: Link | None = None
) -> Admission:
    """Return whether `token` is admitted at `at`, and a sentence for each reason why not.

    Without `server` only what holds for every Jitsi server is judged; without `link` any room.
    The signature is not judged here.
    """
    refusals = (
        *_header_refusals(token, server),
        *_party_refusals(token.claims, server, link),
        *_room_refusals(token.claims, link),
        *_time_refusals(token.claims, at),
        *_context_refusals(token.claims),
        *(_link_refusals(link) if link is not None else ()),
    )
    return Admission(at=at, refusals=refusals)


def _header_refusals(token: Token, server: Server | None) -> Iterator[Remark]:
    header = token.header
    if not token.signed:
        yield Remark(code="shape", text="Its last segment, the signature, is empty.")
    elif not token.clean:
        yield Remark(
            code="shape", text="Its segments are not plain base64url without padding (=, + or /)."
        )
    if header.get("typ") != "JWT":
        yield Remark(
            code="typ", text=f'The header\'s typ is {shown(header, "typ")}, not exactly "JWT".'
        )
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        yield Remark(
            code="alg",
            text=f"The header's alg is {shown(header, 'alg')}; "
            "Jitsi verifies HS and RS 256, 384 and 512 alone.",
        )
    elif server is not None and algorithm != server.algorithm:
        yield Remark(
            code="alg",
            text=f"It is signed with {algorithm}, and the settings have {server.algorithm}: "
            "a server accepts exactly one algorithm.",
        )
    if str(algorithm).startswith("RS") and not is_text(header.get("kid")):
        yield Remark(
            code="kid",
            text="The header has no kid, by which the server fetches the public key for RS tokens.",
        )


def _party_refusals(
    claims: Mapping[str, Any], server: Server | None, link: Link | None
) -> Iterator[Remark]:
    yield from _required(claims, "iss", issuer(server) if server else None)
    if isinstance(claims.get("aud"), list):
        yield Remark(
            code="aud",
            text="aud is a list; Jitsi compares it as a whole and wants one string.",
        )
    else:
        yield from _required(claims, "aud", server.audience if server else None)
    yield from _required(claims, "sub", None)
    subject = claims.get("sub")
    if not is_text(subject) or subject == "*":
        return
    wanted = _subjects(server, link)
    if wanted and subject.lower() not in wanted:
        yield Remark(
            code="sub",
            text=f"sub is {shown(claims, 'sub')}, and the server wants "
            f"{' or '.join(quoted(each) for each in sorted(wanted))} "
            "(unless its domain verification is off).",
        )


def _subjects(server: Server | None, link: Link | None) -> set[str]:
    """Return the subjects that domain verification admits, in lower case; empty if not known."""
    tenant = _tenant(link)
    if tenant:
        return {tenant} | (
            {server.subject.lower()} if server and server.tenant == tenant else set()
        )
    return {server.subject.lower()} if server else set()


def _tenant(link: Link | None) -> str | None:
    try:
        return tenant_from_path(link.tenant) if link else None
    except TenantRefused:
        return None


def _required(
    claims: Mapping[str, Any],
    name: str,
    wanted: str | None,
) -> Iterator[Remark]:
    value = claims.get(name)
    if name not in claims:
        yield Remark(code=name, text=f"{name} is missing; Jitsi requires it.")
    elif not is_text(value):
        yield Remark(code=name, text=f"{name} is {shown(claims, name)}, and not a text.")
    elif wanted is not None and value != wanted:
        yield Remark(
            code=name,
            text=f"{name} is {shown(claims, name)}, and the server wants {quoted(wanted)}.",
        )


def _room_refusals(claims: Mapping[str, Any], link: Link | None) -> Iterator[Remark]:
    yield from _required(claims, "room", None)
    claim = claims.get("room")
    if not is_text(claim) or claim == "*" or room_is_pattern(claims):
        return
    folded = ascii_lower(claim)
    if room_on_the_server(folded) != folded:
        yield Remark(
            code="room",
            text=f"room is {shown(claims, 'room')}, which no link leads to; "
            f"for that room the claim is {quoted(claim_for_text(claim))}.",
        )
    if link is not None and link.segment and link.room not in {None, folded}:
        yield Remark(
            code="room",
            text=f"The link leads to the room {quoted(link.room or '')}, "
            f"and the token is for {quoted(folded)}.",
        )


def _time_refusals(claims: Mapping[str, Any], at: datetime) -> Iterator[Remark]:
    now = at.timestamp()
    for name in ("exp", "nbf"):
        if name in claims and not is_number(claims[name]):
            yield Remark(code=name, text=f"{name} is {shown(claims, name)}, and not a JSON number.")
    expires, opens = claims.get("exp"), claims.get("nbf")
    if is_number(expires) and now >= expires:
        yield Remark(
            code="expired", text=f"It expired at {instant_text(expires)}; Jitsi allows no leeway."
        )
    if is_number(opens) and now < opens:
        yield Remark(
            code="early",
            text=f"It is not valid before {instant_text(opens)}; Jitsi allows no leeway.",
        )
    if is_number(expires) and is_number(opens) and expires <= opens:
        yield Remark(code="window", text="exp is not after nbf: it is never valid.")


def _context_refusals(claims: Mapping[str, Any]) -> Iterator[Remark]:
    for path, value in walked(claims):
        if value is None:
            yield Remark(
                code="null",
                text=f"{escaped(path)} is null: the server crashes on it and the join hangs.",
            )
        elif isinstance(value, str) and path.startswith("context") and _HANGS.search(value):
            yield Remark(
                code="characters",
                text=f"{escaped(path)} has a control character or U+FFFE: the join hangs.",
            )
    context = claims.get("context")
    for name, value in (("context", context), ("context.user", mapping(context).get("user"))):
        if value is not None and not isinstance(value, Mapping):
            yield Remark(code="context", text=f"{name} is not an object, and the server fails.")


def _link_refusals(link: Link) -> Iterator[Remark]:
    yield from _segment_refusals(link)
    if "/" in link.tenant:
        yield Remark(code="tenant", text="The link's path has more than a tenant and a room.")
    if link.place == "bare":
        yield Remark(
            code="fragment",
            text="The token in the fragment lacks its quotes (#jwt=%22…%22): the web client reads "
            "JSON there and ignores it.",
        )
    if link.place == "late":
        yield Remark(
            code="fragment", text="?jwt= stands behind the #, where no web client looks for it."
        )
    if link.place == "query" and "%" in link.token:
        yield Remark(
            code="encoded",
            text="The token in the query is percent-encoded, and the web client does not decode it.",
        )
    if link.length > REQUEST_LINE_AT_MOST and link.place == "query":
        yield Remark(
            code="length",
            text=f"The link has {link.length:,} characters; web servers refuse more than "
            f"{REQUEST_LINE_AT_MOST:,}.",
        )


def _segment_refusals(link: Link) -> Iterator[Remark]:
    room = link.room
    if not link.segment:
        yield Remark(
            code="link-room",
            text="The link's path names no room, or ends with a slash, which empties it.",
        )
    elif room is None:
        yield Remark(code="link-room", text="The link's room is not percent-encoded UTF-8.")
    else:
        try:
            room_from_text(unquote(link.segment), tenant=_tenant(link))
        except RoomRefused as refused:
            yield Remark(
                code="link-room",
                text=f"The link's room never reaches the web client; expected {refused.expected}.",
            )
