"""What is to be said of each token found: its admission, signature, cautions and roles.

A caution is what a token is admitted with all the same, and somebody should know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from invites.jitsi.admission import Admission, AdmissionState, Remark, admission
from invites.jitsi.claims import (
    FEATURES,
    in_words,
    is_any_of,
    is_number,
    mapping,
    quoted,
    room_is_pattern,
    shown,
)
from invites.jitsi.deployment import UNKNOWN, Deployment
from invites.jitsi.links import LINK_REFUSE_ABOVE, LINK_WARN_ABOVE
from invites.jitsi.moderators import Role, roles
from invites.jitsi.tokens import verifies

if TYPE_CHECKING:
    from invites.inspection.reading import Contents, FoundToken
    from invites.invitation import Server
    from invites.jitsi.claims import Token
    from invites.jitsi.links import Link
    from invites.jitsi.tokens import SigningKey

MILLISECONDS_FROM: Final = 100_000_000_000
"""A time claim from here on (the year 5138) was meant as milliseconds."""

NO_KEY = "no secret or key is configured."


@dataclass(frozen=True, slots=True)
class Signature:
    """Whether the signature is right, as far as the key at hand can tell, and why it can't."""

    state: Literal["right", "wrong", "not checked"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedToken:
    """One token and everything that there is to say of it.

    `verdicts` are for the instants that were asked for, in that order.
    """

    found: FoundToken
    signature: Signature
    verdicts: tuple[Admission, ...]
    cautions: tuple[Remark, ...]
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """The whole input inspected."""

    contents: Contents
    tokens: tuple[InspectedToken, ...]

    @property
    def admitted(self) -> bool:
        """Return whether every token is admitted at the last of the instants asked for.

        Of the tokens for single dates of a series one is enough.
        """
        admitted = (each.verdicts[-1].admitted for each in self.tokens)
        # A cancelled date has no link at all.
        return any(admitted) if self.contents.of_dates or not self.tokens else all(admitted)


def inspected(
    contents: Contents,
    instants: Sequence[datetime],
    *,
    server: Server | None = None,
    key: SigningKey | None = None,
    why_no_key: str = NO_KEY,
    deployment: Deployment = UNKNOWN,
) -> Inspection:
    """Return what is to be said of every token in `contents` at `instants` (aware, in UTC).

    `server` and `key` are the settings', None where there are none; `deployment` is what is known
    of how the server is set up.
    """

    def assessed(found: FoundToken) -> InspectedToken:
        token, link = found.token, found.link
        signature = _signature(found, key, why_no_key)
        verdicts = (
            admission(token, at, server=server, link=link, deployment=deployment) for at in instants
        )
        return InspectedToken(
            found=found,
            signature=signature,
            verdicts=tuple(_with_signature(each, signature) for each in verdicts),
            cautions=cautions(token, server=server, link=link),
            roles=roles(token.claims),
        )

    return Inspection(contents=contents, tokens=tuple(map(assessed, contents.found)))


def _with_signature(verdict: Admission, signature: Signature) -> Admission:
    """Return the verdict as the signature leaves it: anybody can write a token that nobody signed."""
    remark = Remark("signature", signature.text, certain=signature.state == "wrong")
    match signature.state:
        case "wrong":
            return replace(verdict, refusals=(remark, *verdict.refusals))
        case "not checked" if verdict.state is not AdmissionState.REFUSED:
            return replace(verdict, doubts=(remark, *verdict.doubts))
        case _:
            return verdict


def _signature(found: FoundToken, key: SigningKey | None, why_no_key: str) -> Signature:
    token: Token = found.token
    if key is None:
        return Signature("not checked", f"The signature was not checked: {why_no_key}")
    if token.header.get("alg") != key.algorithm:
        return Signature(
            "not checked",
            "The signature was not checked: the token's algorithm is not that of the "
            f"configured key, {key.algorithm}.",
        )
    if verifies(token.message, token.signature, key):
        return Signature("right", "The signature is right for the configured key.")
    return Signature(
        "wrong",
        "The signature is wrong: it was made with another secret or key than the configured "
        "one, or the token was changed or cut.",
    )


def cautions(
    token: Token, *, server: Server | None = None, link: Link | None = None
) -> tuple[Remark, ...]:
    """Return what does not refuse the token, and what somebody should know all the same."""
    return (
        *_scope_warnings(token.claims),
        *_user_warnings(token.claims),
        *_feature_warnings(token.claims),
        *(_link_warnings(link, server) if link is not None else ()),
    )


def _scope_warnings(claims: Mapping[str, Any]) -> Iterator[Remark]:
    if claims.get("room") == "*":
        yield Remark("every-room", "ROOM IS *: this token admits its bearer to EVERY room there.")
    if room_is_pattern(claims):
        yield Remark(
            "pattern",
            "context.room.regex makes room a Lua pattern (with domain verification on): "
            "it may admit to many rooms.",
        )
    if "exp" not in claims:
        yield Remark("for-ever", "THERE IS NO exp: this token is admitted FOR EVER.")
    for name in ("exp", "nbf"):
        value = claims.get(name)
        if is_number(value) and value >= MILLISECONDS_FROM:
            effect = "it NEVER expires" if name == "exp" else "it is never valid in our time"
            yield Remark("milliseconds", f"{name} is in milliseconds; read as seconds {effect}.")
    if claims.get("sub") == "*":
        yield Remark("every-domain", "sub is *: it passes for every domain and tenant.")


def _user_warnings(claims: Mapping[str, Any]) -> Iterator[Remark]:
    user = mapping(mapping(claims.get("context")).get("user"))
    for name in ("name", "email", "avatar", "id"):
        if name in user and user[name] is not None and not isinstance(user[name], str):
            yield Remark("user", f"context.user.{name} counts only as a text, and is ignored.")
    if "moderator" in user and not is_any_of(user["moderator"], (True, False, "true", "false")):
        yield Remark(
            "moderator",
            f"context.user.moderator is {shown(user, 'moderator')}; "
            'only true and "true" make a moderator.',
        )
    if "moderator" in claims and not isinstance(claims["moderator"], bool):
        yield Remark(
            "moderator",
            f"The top-level moderator is {shown(claims, 'moderator')}; "
            "older plugins heed only true.",
        )


def _feature_warnings(claims: Mapping[str, Any]) -> Iterator[Remark]:
    features = mapping(claims.get("context")).get("features")
    if features is not None and not isinstance(features, Mapping):
        yield Remark("features", "context.features is not an object.")
        return
    for name, value in mapping(features).items():
        if name not in FEATURES:
            yield Remark("features", f"{quoted(name)} is not on Jitsi's list of features.")
        if value is not None and not is_any_of(value, (True, False, "true", "false")):
            yield Remark(
                "features",
                f"The feature {quoted(name)} is {in_words(value)}, neither true nor false.",
            )


def _link_warnings(link: Link, server: Server | None) -> Iterator[Remark]:
    if link.scheme != "https":
        yield Remark("plain", "The link is not https: the token crosses the network in the clear.")
    if link.both:
        yield Remark(
            "both", "Both the query and the fragment have a token; new clients read the fragment's."
        )
    if server is not None and link.host != server.host.lower():
        yield Remark(
            "host",
            f"The link points to {quoted(link.host)}, and the settings are for "
            f"{quoted(server.host)}.",
        )
    elif server is not None and _tenant(link) != server.tenant:
        yield Remark(
            "tenant",
            f"The link {_tenant_words(_tenant(link))}, and the settings' url "
            f"{_tenant_words(server.tenant)}.",
        )
    if link.length > LINK_WARN_ABOVE:
        limit = LINK_REFUSE_ABOVE if link.length > LINK_REFUSE_ABOVE else LINK_WARN_ABOVE
        yield Remark(
            "length",
            f"The link has {link.length:,} characters; above {limit:,} mail programs "
            f"{'break it' if limit == LINK_REFUSE_ABOVE else 'may break it'}.",
        )


def _tenant(link: Link) -> str | None:
    return link.tenant.replace(".", "_").lower() or None


def _tenant_words(tenant: str | None) -> str:
    return "has no tenant" if tenant is None else f"has the tenant {quoted(tenant)}"
