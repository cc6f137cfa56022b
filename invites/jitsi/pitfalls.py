"""What lets a Jitsi server refuse or ignore tokens that are right in themselves.

Pure: the server that links point to, and the names of Jitsi's docker set-up where they are at hand.
The rules are those of `admission`'s sources; what can't be seen from here is said as such.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final

from invites.jitsi.validity import ValidityRule
from invites.model import Server

ENOUGH_SKEW: Final = timedelta(seconds=10)
"""Jitsi gives no leeway: issuers back-date tokens by this much at least."""

_DOCKER: Final = ("PUBLIC_URL", "XMPP_DOMAIN", "JWT_APP_ID")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})


class Weight(StrEnum):
    """How much a finding matters: a fault wants a person, a hint wants a look, good is good."""

    FAULT = "fault"
    HINT = "hint"
    GOOD = "good"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at: what is the case, and what to do about it ("" for nothing)."""

    check: str
    weight: Weight
    text: str
    remedy: str = ""


def pitfalls(server: Server, rule: ValidityRule, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what is known to go wrong between tokens as they are set and Jitsi servers."""
    yield from _validity(rule)
    yield from _link(server)
    if server.profile == "jaas":
        return
    yield from _names(server, environ)
    yield from _subject(server, environ)
    yield from _signature(server, environ)
    yield from _moderators(server, environ)


def _fault(text: str, remedy: str) -> Finding:
    return Finding(check="jitsi", weight=Weight.FAULT, text=text, remedy=remedy)


def _hint(text: str, remedy: str) -> Finding:
    return Finding(check="jitsi", weight=Weight.HINT, text=text, remedy=remedy)


def _validity(rule: ValidityRule) -> Iterator[Finding]:
    if rule.skew < ENOUGH_SKEW:
        yield _hint(
            f"[validity] skew is {rule.skew.total_seconds():.0f} s, and Jitsi gives no leeway: a "
            "server whose clock is behind refuses who comes at the first moment",
            "set skew to 10 s or more",
        )
    if not rule.closes_after:
        yield _hint(
            "[validity] closes_after is 0: whose connection drops after the planned end can't "
            "come back into a meeting that goes on",
            "set closes_after, such as 30m",
        )


def _link(server: Server) -> Iterator[Finding]:
    if server.link == "fragment":
        yield _hint(
            'link = "fragment" is read by web clients since 2024; Jitsi\'s mobile and desktop apps '
            "are not known to read it",
            'have somebody join from the app, or set link = "query"',
        )


def _names(server: Server, environ: Mapping[str, str]) -> Iterator[Finding]:
    issuers = _listed(environ, "JWT_ACCEPTED_ISSUERS") or _listed(environ, "JWT_APP_ID")
    if issuers and server.app_id not in issuers and "*" not in issuers:
        yield _fault(
            f'iss will be "{server.app_id}", and the server accepts {_said(issuers)}',
            "set [jitsi] app_id to one of those, or JWT_ACCEPTED_ISSUERS at the server",
        )
    audiences = _listed(environ, "JWT_ACCEPTED_AUDIENCES")
    if audiences and server.audience not in audiences and "*" not in audiences:
        yield _fault(
            f'aud will be "{server.audience}", and the server accepts {_said(audiences)}',
            "set [jitsi] audience to one of those, or JWT_ACCEPTED_AUDIENCES at the server",
        )


def _subject(server: Server, environ: Mapping[str, str]) -> Iterator[Finding]:
    if server.tenant is not None:
        if server.subject != server.tenant:
            yield _hint(
                f'sub is "{server.subject}", and links of a tenant want the tenant '
                f'"{server.tenant}" where the server verifies domains',
                "remove [jitsi] subject",
            )
        return
    domain = environ.get("XMPP_DOMAIN") or ("meet.jitsi" if _is_docker(environ) else "")
    verifies = environ.get("JWT_ENABLE_DOMAIN_VERIFICATION", "").lower() in _TRUE
    if domain and server.subject != domain:
        text = f'sub will be "{server.subject}", and the XMPP domain is "{domain}"'
        remedy = f'set subject = "{domain}" in [jitsi]'
        if verifies:
            yield _fault(f"{text}: the server verifies domains and will refuse every token", remedy)
        else:
            yield _hint(f"{text}: refused as soon as the server verifies domains", remedy)
    elif not domain and server.subject == server.host.partition(":")[0]:
        yield _hint(
            f"sub is the link's host, \"{server.subject}\"; Debian's packages want that, but "
            'docker-jitsi-meet\'s XMPP domain is "meet.jitsi", and with domain verification on it '
            "refuses all else",
            'with docker, set subject = "meet.jitsi" in [jitsi] (its XMPP_DOMAIN)',
        )


def _signature(server: Server, environ: Mapping[str, str]) -> Iterator[Finding]:
    shared = server.algorithm.startswith("HS")
    key_server = environ.get("JWT_ASAP_KEYSERVER")
    if shared and key_server:
        yield _fault(
            f"tokens are signed with a shared secret ({server.algorithm}), and the server has a "
            "key server (JWT_ASAP_KEYSERVER): it refuses all such tokens",
            'set algorithm = "RS256" with private_key_file and key_id (`invites keygen`), or take '
            "the key server away",
        )
    accepted = environ.get("JWT_SIGN_TYPE")
    if accepted and accepted != server.algorithm:
        yield _fault(
            f"tokens are signed with {server.algorithm}, and the server takes {accepted[:20]} "
            "alone (JWT_SIGN_TYPE)",
            "set [jitsi] algorithm to the server's",
        )
    if not shared and server.key_id:
        name = sha256(server.key_id.encode()).hexdigest()
        yield _hint(
            f'for the kid "{server.key_id}" the server fetches {name}.pem from its key server',
            "see that the public key lies there under this name, as PEM",
        )


def _moderators(server: Server, environ: Mapping[str, str]) -> Iterator[Finding]:
    if _is_docker(environ):
        yield from _docker_moderators(environ)
    else:
        yield _hint(
            "a token's moderator flag alone makes nobody a moderator and keeps nobody from it: by "
            "default jicofo makes the first who comes an owner",
            "at the server: enable-auto-owner = false in jicofo.conf and Prosody's module "
            "token_affiliation (docker: ENABLE_AUTO_OWNER=0, XMPP_MUC_MODULES=token_affiliation)",
        )
    modules = _listed(environ, "XMPP_MUC_MODULES")
    if "token_moderation" in modules and "root" not in server.moderator_claims:
        yield _fault(
            "the server has the module token_moderation, which reads a top-level moderator claim, "
            "and tokens carry none",
            'add "root" to [jitsi] moderator_claims',
        )
    for name in ("muc_allowners", "allowners"):
        if name in modules:
            yield _fault(
                f"the server has the module {name}: everybody is a moderator",
                "take it out of XMPP_MUC_MODULES",
            )


def _docker_moderators(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Judge what `.env` says; where it is silent the server's default is only a likelihood."""
    auto = environ.get("ENABLE_AUTO_OWNER", "")
    if not auto or auto.lower() in _TRUE:
        yield (_fault if auto else _hint)(
            "the server makes the first who comes a moderator, whatever the token says",
            "set ENABLE_AUTO_OWNER=0 in the server's .env",
        )
    modules = _listed(environ, "XMPP_MUC_MODULES")
    if not {"token_affiliation", "token_affiliation_legacy", "token_moderation"} & set(modules):
        yield (_fault if modules else _hint)(
            "XMPP_MUC_MODULES has no module that reads the token's moderator flag",
            "set XMPP_MUC_MODULES=token_affiliation in the server's .env",
        )


def _is_docker(environ: Mapping[str, str]) -> bool:
    """Tell whether the environment is that of Jitsi's docker set-up."""
    return any(environ.get(name) for name in _DOCKER)


def _listed(environ: Mapping[str, str], name: str) -> list[str]:
    return [one for one in (part.strip() for part in environ.get(name, "").split(",")) if one]


def _said(names: list[str]) -> str:
    return " or ".join(f'"{name[:60]}"' for name in names)
