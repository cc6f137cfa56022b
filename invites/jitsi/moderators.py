"""Who becomes a moderator: what each kind of server makes of a token's bearer.

On most servers it takes three things: a module that reads the token's flag, jicofo's automatic
owner off, and jicofo's own authentication off, which comes before the other two
(`token_affiliation.lua`, `ChatRoomRoleManager.kt`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from invites.invitation import Server
from invites.jitsi.claims import is_any_of, mapping
from invites.jitsi.deployment import ROLE_MODULES, Deployment


@dataclass(frozen=True, slots=True)
class Role:
    """What a token makes of its bearer on one kind of server.

    `moderator` is None where the token does not decide it.
    """

    server: str
    text: str
    moderator: bool | None = None


def roles(claims: Mapping[str, Any]) -> tuple[Role, ...]:
    """Return what the token makes of its bearer on each kind of server, as its plugins read it."""
    user = mapping(mapping(claims.get("context")).get("user"))
    owner = _is_owner(user)
    root = claims.get("moderator") is True
    return (
        Role("token_affiliation", _named(owner, "as context.user has it"), owner),
        Role("token_moderation (older)", _named(root, "by the top-level moderator claim"), root),
        Role(
            "muc_wait_for_host",
            "moderator, as every token holder is, unless wait_for_host_disable_auto_owners = true",
            moderator=True,
        ),
        Role("muc_allowners", "moderator, as everybody is", moderator=True),
        Role(
            "jicofo with its own authentication",
            "moderator, as every token holder is, whatever the plugins say "
            "(docker: on with ENABLE_AUTH, unless JICOFO_ENABLE_AUTH=0)",
            moderator=True,
        ),
        Role(
            "no such plugin",
            "the token sets no role; whoever is first in the room is made moderator",
        ),
        Role(
            "token_lobby_bypass",
            "passes the lobby"
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


@dataclass(frozen=True, slots=True)
class Condition:
    """Something at a server that keeps the token's flag from deciding, and the line to change.

    `effect` says for whom: `all` token holders become moderators, the `first` who comes does,
    or the `flag` makes nobody one.  `certain` is false where it is a likelihood.
    """

    effect: Literal["all", "first", "flag"]
    text: str
    line: str
    certain: bool = True


def conditions(server: Server, deployment: Deployment) -> Iterator[Condition]:
    """Yield what keeps the token's flag from deciding, the strongest first.

    Where the set-up is silent its default is only a likelihood.
    """
    yield from _everybody(deployment)
    if deployment.auto_owner is not False:
        yield Condition(
            "first",
            "the server makes the first who comes a moderator, whatever the token says",
            deployment.told(
                "set ENABLE_AUTO_OWNER=0 in the server's .env",
                "set jicofo.conference.enable-auto-owner = false in jicofo.conf",
            ),
            certain=deployment.auto_owner is True,
        )
    yield from _flag_unread(server, deployment)


def _everybody(deployment: Deployment) -> Iterator[Condition]:
    modules = deployment.modules or frozenset()
    for name in ("muc_allowners", "allowners"):
        if name in modules:
            yield Condition(
                "all",
                f"the server has the module {name}: everybody is a moderator",
                f"take {name} out of {_modules_line(deployment)}",
            )
    # Jicofo grants ownership on its own account, before Prosody's modules and auto-owner count.
    if deployment.jicofo_authenticates is not False:
        yield Condition(
            "all",
            "jicofo's own authentication makes everybody with a token a moderator, before "
            "anything else is looked at"
            + ("" if deployment.jicofo_authenticates else " (docker: it follows ENABLE_AUTH)"),
            deployment.told(
                "set JICOFO_ENABLE_AUTH=0 in the server's .env",
                "take the block jicofo.authentication out of jicofo.conf",
            ),
            certain=deployment.jicofo_authenticates is True,
        )
    if "muc_wait_for_host" in modules and not deployment.host_rules:
        yield Condition(
            "all",
            "the server has the module muc_wait_for_host: everybody with a token is a moderator",
            deployment.told(
                "set WAIT_FOR_HOST_DISABLE_AUTO_OWNERS=1 in the server's .env",
                "set wait_for_host_disable_auto_owners = true in Prosody's configuration",
            ),
            certain=deployment.host_rules is False,
        )


def _flag_unread(server: Server, deployment: Deployment) -> Iterator[Condition]:
    modules = deployment.modules
    if deployment.takes_tokens is False:
        yield Condition(
            "flag",
            "the server does not ask for tokens, and reads none",
            _takes_tokens_line(deployment),
        )
        return
    if modules is None or not ROLE_MODULES & modules:
        yield Condition(
            "flag",
            f"{_modules_line(deployment)} has no module that reads the token's moderator flag",
            deployment.told(
                "set XMPP_MUC_MODULES=token_affiliation in the server's .env",
                'add "token_affiliation" to modules_enabled of the MUC component in Prosody',
            ),
            certain=modules is not None,
        )
    elif modules & ROLE_MODULES == {"token_moderation"}:
        if "root" not in server.moderator_claims:
            yield Condition(
                "flag",
                "the server has the module token_moderation, which reads a top-level "
                "moderator claim, and tokens carry none",
                'add "root" to [jitsi] moderator_claims',
            )
    elif not {"context", "affiliation"} & set(server.moderator_claims):
        yield Condition(
            "flag",
            "the server has the module token_affiliation, which reads context.user, and "
            "tokens say nothing of moderators there",
            'add "context" to [jitsi] moderator_claims',
        )


def _takes_tokens_line(deployment: Deployment) -> str:
    return deployment.told(
        "set ENABLE_AUTH=1 and AUTH_TYPE=jwt in the server's .env",
        'set authentication = "token" for the VirtualHost in Prosody',
    )


def _modules_line(deployment: Deployment) -> str:
    return deployment.told("XMPP_MUC_MODULES", "modules_enabled of the MUC component")


@dataclass(frozen=True, slots=True)
class Person:
    """What one kind of person will be at the door of a server.

    `as_meant` is None where what is known does not decide it; `lines` are those to change.
    """

    who: str
    becomes: str
    as_meant: bool | None
    lines: tuple[str, ...] = ()
    has_token: bool = True


def at_the_door(server: Server, deployment: Deployment) -> tuple[Person, ...]:
    """Return what a server makes of who is marked moderator, who is not, and who has no token."""
    found = tuple(conditions(server, deployment))
    return (_marked(found), _not_marked(found), _without_token(deployment))


def _marked(found: tuple[Condition, ...]) -> Person:
    who = "who is marked moderator in the roster"
    # Where everybody is made a moderator, it does not matter that nobody reads the flag.
    unread = [one for one in found if one.effect == "flag"]
    if any(one.effect == "all" and one.certain for one in found) or not unread:
        return Person(who, "joins as a moderator", as_meant=True)
    certain = any(one.certain for one in unread)
    return Person(
        who,
        f"{'joins' if certain else 'may join'} as everybody else: {unread[0].text}",
        as_meant=False if certain else None,
        lines=tuple(one.line for one in unread),
    )


def _not_marked(found: tuple[Condition, ...]) -> Person:
    who = "who is not marked"
    raising = [one for one in found if one.effect in {"all", "first"}]
    if not raising:
        return Person(who, "joins without moderator's rights", as_meant=True)
    # What is certain decides; of likelihoods all lines are worth a look.
    telling = [one for one in raising if one.certain] or raising
    certain = telling[0].certain
    return Person(
        who,
        f"{'becomes' if certain else 'may become'} a moderator: {telling[0].text}",
        as_meant=False if certain else None,
        lines=tuple(one.line for one in telling),
    )


def _without_token(deployment: Deployment) -> Person:
    lines: tuple[str, ...] = ()
    as_meant: bool | None = None
    if deployment.takes_tokens is False:
        becomes, as_meant = "joins as everybody else: the server does not ask for tokens", False
        lines = (_takes_tokens_line(deployment),)
    elif deployment.lets_in_without is None:
        becomes = "is let in or not, which is not known here"
    elif deployment.lets_in_without:
        becomes = "joins as a guest, at any time: the token's window holds for nobody else"
        line = deployment.told(
            "set JWT_ALLOW_EMPTY=0 and ENABLE_GUESTS=0 in the server's .env",
            "set allow_empty_token = false, and leave out the guests' VirtualHost",
        )
        lines = (line,)
    else:
        becomes, as_meant = "is not let in", True
    return Person("who has no token", becomes, as_meant, lines, has_token=False)
