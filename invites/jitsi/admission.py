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
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from invites.jitsi.claims import (
    ascii_lower,
    instant_text,
    is_number,
    is_text,
    mapping,
    numeric_date,
    quoted,
    room_is_pattern,
    shown,
    walked,
)
from invites.jitsi.deployment import UNKNOWN, Deployment
from invites.jitsi.rooms import (
    RoomRefused,
    TenantRefused,
    claim_for_text,
    room_from_text,
    room_text,
    tenant_from_path,
)
from invites.jitsi.tokens import ALGORITHMS, issuer
from invites.problems import escaped

if TYPE_CHECKING:
    from invites.invitation import Server
    from invites.jitsi.claims import Token
    from invites.jitsi.links import Link

_BLANK = re.compile(r"\s|%20|%09", re.IGNORECASE)

REQUEST_LINE_AT_MOST: Final = 8_170
"""Characters of a link past which nginx refuses it."""

# A newline is fine there; the others hang the join where presence_identity is on.
_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f]")
# These break the XML stanza on every server.
_NO_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")

_NULLS_THAT_HANG: Final = frozenset({"sub", "context", "context.room", "context.tenant"})


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to say about a token: a stable `code` for programs, `text` for people.

    `certain` is false where it hangs on the server, of which too little is known.
    """

    code: str
    text: str
    certain: bool = True


class AdmissionState(StrEnum):
    """What a token comes to at an instant, the best first."""

    ADMITTED = "admitted"
    DEPENDS = "depends"
    OPENS = "opens"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Whether a token is admitted at an instant (aware, in UTC), and each reason why not.

    `doubts` are what hangs on the server.
    `opens` is the token's nbf where that is later than `at`, in UTC.
    """

    at: datetime
    refusals: tuple[Remark, ...]
    doubts: tuple[Remark, ...] = ()
    opens: datetime | None = None

    @property
    def state(self) -> AdmissionState:
        """Return what it comes to; a token that is only early opens."""
        if any(each.code != "early" for each in self.refusals):
            return AdmissionState.REFUSED
        if self.refusals:
            return AdmissionState.REFUSED if self.opens is None else AdmissionState.OPENS
        return AdmissionState.DEPENDS if self.doubts else AdmissionState.ADMITTED

    @property
    def admitted(self) -> bool:
        """Return whether nothing speaks against it, on no server that is known of."""
        return self.state is AdmissionState.ADMITTED


def admission(
    token: Token,
    at: datetime,
    *,
    server: Server | None = None,
    link: Link | None = None,
    deployment: Deployment = UNKNOWN,
) -> Admission:
    """Return whether `token` is admitted at `at`, and a sentence for each reason why not.

    Without `server` only what holds for every Jitsi server is judged; without `link` any room;
    `deployment` decides what hangs on how the server is set up.
    The signature is not judged here.
    """
    if server is not None and server.profile == "jaas":
        deployment = _JAAS
    remarks = (
        *_header_refusals(token, server),
        *_party_refusals(token.claims, server, deployment),
        *_subject_refusals(token.claims, server, link, deployment),
        *_room_refusals(token.claims, link),
        *_time_refusals(token.claims, at),
        *_context_refusals(token.claims, deployment),
        *(_link_refusals(link) if link is not None else ()),
    )
    opens = token.claims.get("nbf")
    is_early = any(each.code == "early" for each in remarks)
    return Admission(
        at=at,
        refusals=tuple(each for each in remarks if each.certain),
        doubts=tuple(each for each in remarks if not each.certain),
        opens=numeric_date(opens) if is_early and is_number(opens) else None,
    )


_JAAS: Final = Deployment(audiences=("jitsi",), verifies_domains=True)


def _header_refusals(token: Token, server: Server | None) -> Iterator[Remark]:
    header = token.header
    if not token.signed:
        yield Remark("shape", "Its last segment, the signature, is empty.")
    elif not token.clean:
        yield Remark("shape", "Its segments are not plain base64url without padding (=, + or /).")
    if header.get("typ") != "JWT":
        yield Remark("typ", f'The header\'s typ is {shown(header, "typ")}, not exactly "JWT".')
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        yield Remark(
            "alg",
            f"The header's alg is {shown(header, 'alg')}; "
            "Jitsi verifies HS and RS 256, 384 and 512 alone.",
        )
    elif server is not None and algorithm != server.algorithm:
        yield Remark(
            "alg",
            f"It is signed with {algorithm}, and the settings have {server.algorithm}: "
            "a server accepts exactly one algorithm.",
        )
    if str(algorithm).startswith("RS") and not is_text(header.get("kid")):
        yield Remark(
            "kid",
            "The header has no kid, by which the server fetches the public key for RS tokens.",
        )


def _party_refusals(
    claims: Mapping[str, Any], server: Server | None, deployment: Deployment
) -> Iterator[Remark]:
    issuers = deployment.issuers or ((issuer(server),) if server else ("*",))
    yield from _required(claims, "iss", () if "*" in issuers else issuers)
    # The plugin's own default accepts every audience; many set-ups narrow it, and none says so.
    audiences, given = deployment.audiences, claims.get("aud")
    if audiences is not None:
        if "*" not in audiences or not isinstance(given, list):
            yield from _required(claims, "aud", () if "*" in audiences else audiences)
    elif isinstance(given, list):
        yield Remark(
            "aud",
            "aud is a list, which Jitsi compares as a whole: only a server that accepts every "
            "audience (asap_accepted_audiences, JWT_ACCEPTED_AUDIENCES) admits it.",
            certain=False,
        )
    elif is_text(given) and server is not None and given != server.audience:
        yield Remark(
            "aud",
            f"aud is {shown(claims, 'aud')}, and the settings have {quoted(server.audience)}: "
            "it hangs on what the server accepts (asap_accepted_audiences, JWT_ACCEPTED_AUDIENCES).",
            certain=False,
        )
    else:
        yield from _required(claims, "aud", ())


def _subject_refusals(
    claims: Mapping[str, Any], server: Server | None, link: Link | None, deployment: Deployment
) -> Iterator[Remark]:
    yield from _required(claims, "sub", ())
    subject = claims.get("sub")
    # With domain verification off any value passes, though there has to be one.
    if not is_text(subject) or subject == "*" or deployment.verifies_domains is False:
        return
    wanted = _subjects(server, link, deployment)
    if wanted and subject.lower() not in wanted:
        names = " or ".join(quoted(each) for each in sorted(wanted))
        certain = deployment.verifies_domains is True
        yield Remark(
            "sub",
            f"sub is {shown(claims, 'sub')}, and the server wants {names}."
            if certain
            else f"sub is {shown(claims, 'sub')}, and a server that verifies domains wants {names} "
            "(JWT_ENABLE_DOMAIN_VERIFICATION: off by default with docker, on with Debian).",
            certain=certain,
        )


def _subjects(server: Server | None, link: Link | None, deployment: Deployment) -> set[str]:
    """Return the subjects that domain verification admits, in lower case; empty if not known."""
    tenant = _tenant(link)
    if tenant and deployment.verifies_domains:
        return {tenant}
    if tenant:
        return {tenant} | (
            {server.subject.lower()} if server and server.tenant == tenant else set()
        )
    if deployment.verifies_domains and deployment.domain:
        return {deployment.domain.lower()}
    return {server.subject.lower()} if server else set()


def _tenant(link: Link | None) -> str | None:
    try:
        return tenant_from_path(link.tenant) if link else None
    except TenantRefused:
        return None


def _required(claims: Mapping[str, Any], name: str, accepted: tuple[str, ...]) -> Iterator[Remark]:
    """Refuse a claim that is missing, no text, or none of `accepted` (empty: any)."""
    value = claims.get(name)
    if name not in claims:
        yield Remark(name, f"{name} is missing; Jitsi requires it.")
    elif not is_text(value):
        yield Remark(name, f"{name} is {shown(claims, name)}, and not a text.")
    elif accepted and value not in accepted:
        yield Remark(
            name,
            f"{name} is {shown(claims, name)}, and the server wants "
            f"{' or '.join(quoted(each) for each in accepted)}.",
        )


def _room_refusals(claims: Mapping[str, Any], link: Link | None) -> Iterator[Remark]:
    yield from _required(claims, "room", ())
    claim = claims.get("room")
    if not is_text(claim) or claim == "*" or room_is_pattern(claims):
        return
    # The server lowers A to Z alone before it compares, so that É in a claim never matches.
    folded = ascii_lower(claim)
    if claim_for_text(room_text(folded)) != folded:
        yield Remark(
            "room",
            f"room is {shown(claims, 'room')}, which no link leads to; "
            f"for that room the claim is {quoted(claim_for_text(claim))}.",
        )
    if link is not None and link.segment and link.room not in {None, folded}:
        yield Remark(
            "room",
            f"The link leads to the room {quoted(link.room or '')}, "
            f"and the token is for {quoted(folded)}.",
        )


def _time_refusals(claims: Mapping[str, Any], at: datetime) -> Iterator[Remark]:
    now = at.timestamp()
    for name in ("exp", "nbf"):
        if name in claims and not is_number(claims[name]):
            yield Remark(name, f"{name} is {shown(claims, name)}, and not a JSON number.")
    expires, opens = claims.get("exp"), claims.get("nbf")
    if is_number(expires) and now >= expires:
        yield Remark("expired", f"It expired at {instant_text(expires)}; Jitsi allows no leeway.")
    if is_number(opens) and now < opens:
        yield Remark(
            "early", f"It is not valid before {instant_text(opens)}; Jitsi allows no leeway."
        )
    if is_number(expires) and is_number(opens) and expires <= opens:
        yield Remark("window", "exp is not after nbf: it is never valid.")


def _context_refusals(claims: Mapping[str, Any], deployment: Deployment) -> Iterator[Remark]:
    for path, value in walked(claims):
        if value is None:
            hangs = path in _NULLS_THAT_HANG
            yield Remark(
                "null",
                f"{escaped(path)} is null: "
                + ("the server crashes on it and the join hangs." if hangs else _SOME_VERSIONS),
                certain=hangs,
            )
        elif isinstance(value, str) and path.startswith("context"):
            yield from _character_refusals(path, value, deployment)
    context = claims.get("context")
    for name, value in (("context", context), ("context.user", mapping(context).get("user"))):
        if value is not None and not isinstance(value, Mapping):
            yield Remark("context", f"{name} is not an object, and the server fails.")


_SOME_VERSIONS: Final = "some versions of the server's plugins crash on it and the join hangs."


def _character_refusals(path: str, value: str, deployment: Deployment) -> Iterator[Remark]:
    if _NO_XML.search(value):
        yield Remark("characters", f"{escaped(path)} has U+FFFE or the like: the join hangs.")
    elif _CONTROLS.search(value) and deployment.presence_identity is not False:
        certain = deployment.presence_identity is True
        yield Remark(
            "characters",
            f"{escaped(path)} has a control character: the join hangs"
            + ("." if certain else " where the server has the module presence_identity."),
            certain=certain,
        )


def _link_refusals(link: Link) -> Iterator[Remark]:
    yield from _segment_refusals(link)
    if "/" in link.tenant:
        yield Remark("tenant", "The link's path has more than a tenant and a room.")
    if link.place == "bare":
        yield Remark(
            "fragment",
            "The token in the fragment lacks its quotes (#jwt=%22…%22): the web client reads "
            "JSON there and ignores it.",
        )
    if link.place == "late":
        yield Remark("fragment", "?jwt= stands behind the #, where no web client looks for it.")
    if _BLANK.search(link.token):
        yield Remark("blank", "The token in the link has a blank in it: the join hangs.")
    elif link.place == "query" and "%" in link.token:
        yield Remark(
            "encoded",
            "The token in the query is percent-encoded: Prosody decodes it, and the web client "
            "does not, which then knows neither name nor features.",
            certain=False,
        )
    if link.length > REQUEST_LINE_AT_MOST and link.place == "query":
        yield Remark(
            "length",
            f"The link has {link.length:,} characters; web servers refuse more than "
            f"{REQUEST_LINE_AT_MOST:,}.",
        )


def _segment_refusals(link: Link) -> Iterator[Remark]:
    room = link.room
    if not link.segment:
        yield Remark(
            "link-room", "The link's path names no room, or ends with a slash, which empties it."
        )
    elif room is None:
        yield Remark("link-room", "The link's room is not percent-encoded UTF-8.")
    else:
        try:
            room_from_text(unquote(link.segment), tenant=_tenant(link))
        except RoomRefused as refused:
            yield Remark(
                "link-room",
                f"The link's room never reaches the web client; expected {refused.expected}.",
            )
