"""What lets a Jitsi server refuse or ignore tokens that are right in themselves.

The rules are those of `admission`'s sources; what can't be seen from here is said as such.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final

from invites.invitation import Server
from invites.jitsi.deployment import DOCKER_DOMAIN, Deployment
from invites.jitsi.moderators import at_the_door, conditions
from invites.jitsi.tokens import issuer
from invites.jitsi.validity import ValidityRule

ENOUGH_SKEW: Final = timedelta(seconds=10)
"""Jitsi gives no leeway: issuers back-date tokens by this much at least."""


class Weight(StrEnum):
    """How much a finding matters: a fault wants a person, a hint wants a look, good is good."""

    FAULT = "fault"
    HINT = "hint"
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what is the case, and what to do about it ("" for nothing)."""

    check: str
    weight: Weight
    text: str
    remedy: str = ""


def pitfalls(
    server: Server,
    rule: ValidityRule,
    deployment: Deployment,
    *,
    secret: bytes | None = None,
    door: bool = False,
) -> Iterator[Finding]:
    """Yield what is known to go wrong between tokens as they are set and Jitsi servers.

    `secret` is what tokens are signed with, None for a key pair or where it is not to be had.
    `door` says what each kind of person will be at the server's door, where its set-up is at hand.
    """
    yield from _validity(rule)
    yield from _link(server)
    if server.profile == "jaas":
        return
    terms = (
        *_names(server, deployment),
        *_subject(server, deployment),
        *_signature(server, deployment, secret),
    )
    yield from terms
    yield from _tenants(deployment)
    yield from _lobby(server, deployment)
    refusing = [one for one in terms if one.weight is Weight.FAULT]
    yield from _door(server, deployment, refusing) if door else _moderators(server, deployment)


def _fault(text: str, remedy: str) -> Finding:
    return Finding("jitsi", Weight.FAULT, text, remedy)


def _hint(text: str, remedy: str) -> Finding:
    return Finding("jitsi", Weight.HINT, text, remedy)


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


def _names(server: Server, deployment: Deployment) -> Iterator[Finding]:
    told, issuers, audiences = deployment.told, deployment.issuers, deployment.audiences
    if issuers and issuer(server) not in issuers and "*" not in issuers:
        yield _fault(
            f'iss will be "{issuer(server)}", and the server accepts {_said(issuers)}',
            "set [jitsi] app_id to one of those, or "
            f"{told('JWT_ACCEPTED_ISSUERS', 'asap_accepted_issuers')} at the server",
        )
    if audiences and server.audience not in audiences and "*" not in audiences:
        yield _fault(
            f'aud will be "{server.audience}", and the server accepts {_said(audiences)}',
            "set [jitsi] audience to one of those, or "
            f"{told('JWT_ACCEPTED_AUDIENCES', 'asap_accepted_audiences')} at the server",
        )


def _subject(server: Server, deployment: Deployment) -> Iterator[Finding]:
    if server.tenant is not None:
        if server.subject != server.tenant:
            yield _hint(
                f'sub is "{server.subject}", and links of a tenant want the tenant '
                f'"{server.tenant}" where the server verifies domains',
                "remove [jitsi] subject",
            )
        return
    domain = deployment.domain
    if domain and server.subject != domain:
        text = f'sub will be "{server.subject}", and the XMPP domain is "{domain}"'
        remedy = f'set subject = "{domain}" in [jitsi]'
        if deployment.verifies_domains:
            yield _fault(f"{text}: the server verifies domains and will refuse every token", remedy)
        else:
            yield _hint(f"{text}: refused as soon as the server verifies domains", remedy)
    elif not domain and server.subject == server.host.partition(":")[0]:
        yield _hint(
            f"sub is the link's host, \"{server.subject}\"; Debian's packages want that, but "
            f'docker-jitsi-meet\'s XMPP domain is "{DOCKER_DOMAIN}", and with domain verification '
            "on it refuses all else",
            f'with docker, set subject = "{DOCKER_DOMAIN}" in [jitsi] (its XMPP_DOMAIN)',
        )


def _tenants(deployment: Deployment) -> Iterator[Finding]:
    if deployment.verifies_domains:
        return
    where = (
        "the server does not verify domains, so that"
        if deployment.verifies_domains is False
        else "where a server does not verify domains, as docker's by default,"
    )
    line = (
        "enable_domain_verification = true in Prosody's configuration"
        if deployment.names == "prosody"
        else "JWT_ENABLE_DOMAIN_VERIFICATION=1 in the server's .env"
    )
    yield _hint(
        f"{where} one token opens the room of the same name in every tenant",
        f"nothing on a server without tenants; else set {line}",
    )


def _signature(server: Server, deployment: Deployment, secret: bytes | None) -> Iterator[Finding]:
    shared = server.algorithm.startswith("HS")
    told = deployment.told
    if shared and secret and deployment.secret and secret != deployment.secret:
        yield _fault(
            "tokens are signed with another secret than the server's "
            f"({told('JWT_APP_SECRET', 'app_secret')}): it refuses every token",
            "put the server's secret where [jitsi] secret_file (or its kin) points to",
        )
    if shared and deployment.key_server:
        yield _fault(
            f"tokens are signed with a shared secret ({server.algorithm}), and the server has a "
            f"key server ({told('JWT_ASAP_KEYSERVER', 'asap_key_server')}): it refuses "
            "all such tokens",
            'set algorithm = "RS256" with private_key_file and key_id (`invites keygen`), or take '
            "the key server away",
        )
    accepted = deployment.algorithm
    if accepted and accepted != server.algorithm:
        yield _fault(
            f"tokens are signed with {server.algorithm}, and the server takes {accepted[:20]} "
            f"alone ({told('JWT_SIGN_TYPE', 'signature_algorithm')})",
            "set [jitsi] algorithm to the server's",
        )
    if not shared and server.key_id:
        name = sha256(server.key_id.encode()).hexdigest()
        yield _hint(
            f'for the kid "{server.key_id}" the server fetches {name}.pem from its key server',
            "see that the public key lies there under this name, as PEM",
        )


def _lobby(server: Server, deployment: Deployment) -> Iterator[Finding]:
    has_module = "token_lobby_bypass" in (deployment.modules or ())
    is_claimed = "lobby_bypass" in server.moderator_claims
    if has_module and not is_claimed:
        yield _hint(
            "with the lobby on, moderators wait in it as well: the server has the module "
            "token_lobby_bypass, and tokens do not name it",
            'add "lobby_bypass" to [jitsi] moderator_claims',
        )
    elif is_claimed and not has_module and deployment.modules is not None:
        yield _hint(
            "moderators are to pass the lobby, and the server has no module that lets them",
            "add token_lobby_bypass to the modules of the MUC component",
        )


def _moderators(server: Server, deployment: Deployment) -> Iterator[Finding]:
    if deployment.names is not None:
        for one in conditions(server, deployment):
            yield (_fault if one.certain else _hint)(one.text, one.line)
        return
    yield _hint(
        "a token's moderator flag alone makes nobody a moderator and keeps nobody from it: by "
        "default jicofo makes the first who comes an owner, and with its own authentication "
        "everybody who has a token",
        "at the server: enable-auto-owner = false and no authentication in jicofo.conf, and "
        "Prosody's module token_affiliation (docker: ENABLE_AUTO_OWNER=0, JICOFO_ENABLE_AUTH=0, "
        "XMPP_MUC_MODULES=token_affiliation); `--jitsi-env FILE` or `--prosody FILE` looks",
    )


def _door(server: Server, deployment: Deployment, refusing: Sequence[Finding]) -> Iterator[Finding]:
    weights = {True: Weight.GOOD, False: Weight.FAULT, None: Weight.HINT}
    for person in at_the_door(server, deployment):
        # A server that takes no tokens refuses none, whatever is in them.
        is_refused = person.has_token and refusing and deployment.takes_tokens is not False
        lines = (*(one.remedy for one in refusing if is_refused), *person.lines)
        becomes = f"is not let in: {refusing[0].text}" if is_refused else person.becomes
        yield Finding(
            "at the door",
            Weight.FAULT if is_refused else weights[person.as_meant],
            f"{person.who} {becomes}",
            "; ".join(dict.fromkeys(lines)),
        )


def _said(names: tuple[str, ...]) -> str:
    return " or ".join(f'"{name[:60]}"' for name in names)
