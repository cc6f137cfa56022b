"""Cautions: what a token is admitted with all the same, and somebody should know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from invites.jitsi.admission import (
    Sentence,
    in_words,
    is_any_of,
    is_number,
    mapping,
    quoted,
    room_is_pattern,
    shown,
)
from invites.jitsi.features import FEATURES
from invites.jitsi.rooms import LINK_REFUSE_ABOVE, LINK_WARN_ABOVE

if TYPE_CHECKING:
    from invites.jitsi.links import Link, Token
    from invites.model import Server

MILLISECONDS_FROM: Final = 100_000_000_000
"""A time claim from here on (the year 5138) was meant as milliseconds."""


def cautions(
    token: Token, *, server: Server | None = None, link: Link | None = None
) -> tuple[Sentence, ...]:
    """Return what does not refuse the token, and what somebody should know all the same."""
    return (
        *_scope_warnings(token.claims),
        *_user_warnings(token.claims),
        *_feature_warnings(token.claims),
        *(_link_warnings(link, server) if link is not None else ()),
    )


def _scope_warnings(claims: Mapping[str, Any]) -> Iterator[Sentence]:
    if claims.get("room") == "*":
        yield Sentence(
            code="every-room", text="ROOM IS *: this token admits its bearer to EVERY room there."
        )
    if room_is_pattern(claims):
        yield Sentence(
            code="pattern",
            text="context.room.regex makes room a Lua pattern (with domain verification on): "
            "it may admit to many rooms.",
        )
    if "exp" not in claims:
        yield Sentence(code="for-ever", text="THERE IS NO exp: this token is admitted FOR EVER.")
    for name in ("exp", "nbf"):
        value = claims.get(name)
        if is_number(value) and value >= MILLISECONDS_FROM:
            effect = "it NEVER expires" if name == "exp" else "it is never valid in our time"
            yield Sentence(
                code="milliseconds", text=f"{name} is in milliseconds; read as seconds {effect}."
            )
    if claims.get("sub") == "*":
        yield Sentence(code="every-domain", text="sub is *: it passes for every domain and tenant.")


def _user_warnings(claims: Mapping[str, Any]) -> Iterator[Sentence]:
    user = mapping(mapping(claims.get("context")).get("user"))
    for name in ("name", "email", "avatar", "id"):
        if name in user and user[name] is not None and not isinstance(user[name], str):
            yield Sentence(
                code="user", text=f"context.user.{name} counts only as a text, and is ignored."
            )
    if "moderator" in user and not is_any_of(user["moderator"], (True, False, "true", "false")):
        yield Sentence(
            code="moderator",
            text=f"context.user.moderator is {shown(user, 'moderator')}; "
            'only true and "true" make a moderator.',
        )
    if "moderator" in claims and not isinstance(claims["moderator"], bool):
        yield Sentence(
            code="moderator",
            text=f"The top-level moderator is {shown(claims, 'moderator')}; "
            "older plugins heed only true.",
        )


def _feature_warnings(claims: Mapping[str, Any]) -> Iterator[Sentence]:
    features = mapping(claims.get("context")).get("features")
    if features is not None and not isinstance(features, Mapping):
        yield Sentence(code="features", text="context.features is not an object.")
        return
    for name, value in mapping(features).items():
        if name not in FEATURES:
            yield Sentence(
                code="features",
                text=f"{quoted(name)} is not on Jitsi's list of features.",
            )
        if value is not None and not is_any_of(value, (True, False, "true", "false")):
            yield Sentence(
                code="features",
                text=f"The feature {quoted(name)} is {in_words(value)}, neither true nor false.",
            )


def _link_warnings(link: Link, server: Server | None) -> Iterator[Sentence]:
    if link.scheme != "https":
        yield Sentence(
            code="plain", text="The link is not https: the token crosses the network in the clear."
        )
    if link.both:
        yield Sentence(
            code="both",
            text="Both the query and the fragment have a token; new clients read the fragment's.",
        )
    if server is not None and link.host != server.host.lower():
        yield Sentence(
            code="host",
            text=f"The link points to {quoted(link.host)}, and the settings are for "
            f"{quoted(server.host)}.",
        )
    elif server is not None and _tenant(link) != server.tenant:
        yield Sentence(
            code="tenant",
            text=f"The link {_tenant_words(_tenant(link))}, and the settings' url "
            f"{_tenant_words(server.tenant)}.",
        )
    if link.length > LINK_WARN_ABOVE:
        limit = LINK_REFUSE_ABOVE if link.length > LINK_REFUSE_ABOVE else LINK_WARN_ABOVE
        yield Sentence(
            code="length",
            text=f"The link has {link.length:,} characters; above {limit:,} mail programs "
            f"{'break it' if limit == LINK_REFUSE_ABOVE else 'may break it'}.",
        )


def _tenant(link: Link) -> str | None:
    return link.tenant.replace(".", "_").lower() or None


def _tenant_words(tenant: str | None) -> str:
    return "has no tenant" if tenant is None else f"has the tenant {quoted(tenant)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What a token makes of its bearer on one kind of server.

    `moderator` is None where the token does not decide it.
    """

    server: str
    moderator: bool | None
    text: str


def roles(claims: Mapping[str, Any]) -> tuple[Role, ...]:
    """Return what the token makes of its bearer on each kind of server, as its plugins read it."""
    user = mapping(mapping(claims.get("context")).get("user"))
    owner = _is_owner(user)
    root = claims.get("moderator") is True
    return (
        Role(
            server="token_affiliation",
            moderator=owner,
            text=_named(owner, "as context.user has it"),
        ),
        Role(
            server="token_moderation (older)",
            moderator=root,
            text=_named(root, "by the top-level moderator claim"),
        ),
        Role(
            server="muc_wait_for_host",
            moderator=True,
            text="moderator, as every token holder is, unless "
            "wait_for_host_disable_auto_owners = true",
        ),
        Role(server="muc_allowners", moderator=True, text="moderator, as everybody is"),
        Role(
            server="no such plugin",
            moderator=None,
            text="the token sets no role; whoever is first in the room is made moderator",
        ),
        Role(
            server="token_lobby_bypass",
            moderator=None,
            text="passes the lobby"
            if user.get("lobby_bypass") is True
            else "waits in the lobby where there is one",
        ),
    )


def _is_owner(user: Mapping[str, Any]) -> bool:
    """Return what `mod_token_affiliation` decides: affiliation first, then the flag."""
    if user.get("affiliation") in ("owner", "moderator", "teacher"):
        return True
    return is_any_of(user.get("moderator"), (True, "true"))


def _named(moderator: bool, why: str) -> str:  # noqa: FBT001 - one flag, and its words
    return f"{'moderator' if moderator else 'no moderator'}, {why}"
