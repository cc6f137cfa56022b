"""Who becomes a moderator: what each kind of server makes of a token's bearer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from invites.jitsi.claims import is_any_of, mapping


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
