"""What lets Jitsi servers refuse or ignore tokens that are right in themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from invites.invitation import Server
from invites.jitsi.deployment import from_docker
from invites.jitsi.pitfalls import Finding, Weight, pitfalls
from invites.jitsi.validity import ValidityRule

SERVER = Server(
    url="https://meet.example.com",
    host="meet.example.com",
    app_id="the_app",
    subject="meet.example.com",
)
DOCKER = {
    "PUBLIC_URL": "https://meet.example.com",
    "JWT_APP_ID": "the_app",
    "XMPP_DOMAIN": "meet.jitsi",
    "ENABLE_AUTO_OWNER": "0",
    "JICOFO_ENABLE_AUTH": "0",
    "JWT_ENABLE_DOMAIN_VERIFICATION": "1",
    "XMPP_MUC_MODULES": "token_affiliation",
}


def found(
    server: Server = SERVER,
    environ: Mapping[str, str] = DOCKER,
    rule: ValidityRule | None = None,
) -> list[Finding]:
    """Return what is found about this server."""
    return list(pitfalls(server, rule or ValidityRule(), from_docker(environ, whole=False)))


def test_a_server_that_fits_has_nothing_to_find() -> None:
    """The docker set-up with its own XMPP domain, auto owner off and the affiliation module."""
    assert found(replace(SERVER, subject="meet.jitsi")) == []


@pytest.mark.parametrize(
    ("verifies", "weight"), [("1", Weight.FAULT), ("0", Weight.HINT), ("", Weight.HINT)]
)
def test_another_sub_than_dockers_xmpp_domain_is_found(verifies: str, weight: Weight) -> None:
    """A fault where the server verifies domains, else a hint; the remedy names the line."""
    environ = {**DOCKER, "JWT_ENABLE_DOMAIN_VERIFICATION": verifies}
    one = next(finding for finding in found(environ=environ) if "sub will be" in finding.text)
    assert one.weight is weight
    assert 'subject = "meet.jitsi"' in one.remedy


def test_without_an_environment_sub_and_moderators_are_hints() -> None:
    """Nothing is known of the server then: what to look at is said, and nothing fails."""
    hints = found(environ={})
    assert {one.weight for one in hints} == {Weight.HINT}
    assert any("meet.jitsi" in one.text for one in hints)
    assert any("enable-auto-owner = false" in one.remedy for one in hints)


FAULTS = {
    "a key server refuses shared secrets": (
        {},
        {"JWT_ASAP_KEYSERVER": "https://keys.example.com"},
        "JWT_ASAP_KEYSERVER",
    ),
    "another algorithm": ({}, {"JWT_SIGN_TYPE": "HS512"}, "JWT_SIGN_TYPE"),
    "another issuer": ({}, {"JWT_ACCEPTED_ISSUERS": "a, b"}, '"a" or "b"'),
    "another audience": ({}, {"JWT_ACCEPTED_AUDIENCES": "meet"}, 'accepts "meet"'),
    "auto owner": ({}, {"ENABLE_AUTO_OWNER": "1"}, "first who comes"),
    "jicofo's own authentication": ({}, {"JICOFO_ENABLE_AUTH": "1"}, "JICOFO_ENABLE_AUTH=0"),
    "every token holder": (
        {},
        {
            "XMPP_MUC_MODULES": "token_affiliation,muc_wait_for_host",
            "WAIT_FOR_HOST_DISABLE_AUTO_OWNERS": "0",
        },
        "WAIT_FOR_HOST_DISABLE_AUTO_OWNERS=1",
    ),
    "a claim that nobody reads": ({"moderator_claims": ("root",)}, {}, '"context"'),
    "no module": ({}, {"XMPP_MUC_MODULES": "polls"}, "no module that reads"),
    "all owners": ({}, {"XMPP_MUC_MODULES": "token_affiliation,muc_allowners"}, "everybody"),
    "token_moderation without a root claim": (
        {},
        {"XMPP_MUC_MODULES": "token_moderation"},
        "top-level moderator",
    ),
}


@pytest.mark.parametrize(("changes", "environ", "said"), FAULTS.values(), ids=FAULTS)
def test_what_the_servers_env_says_against_the_tokens_is_a_fault(
    changes: dict[str, Any], environ: dict[str, str], said: str
) -> None:
    """Each with a remedy."""
    server = replace(SERVER, subject="meet.jitsi", **changes)
    faults = [one for one in found(server, {**DOCKER, **environ}) if one.weight is Weight.FAULT]
    assert len(faults) == 1
    assert said in faults[0].text + faults[0].remedy
    assert faults[0].remedy


def test_a_wildcard_accepts_every_name() -> None:
    """`*` among the accepted issuers or audiences is no fault."""
    environ = {**DOCKER, "JWT_ACCEPTED_ISSUERS": "*", "JWT_ACCEPTED_AUDIENCES": "a,*"}
    assert found(replace(SERVER, subject="meet.jitsi"), environ) == []


def test_a_fragment_link_a_short_skew_and_no_grace_are_hints() -> None:
    """Each is a choice that somebody should know the price of."""
    server = replace(SERVER, subject="meet.jitsi", link="fragment")
    rule = ValidityRule(skew=timedelta(seconds=5), closes_after=timedelta(0))
    hints = found(server, rule=rule)
    assert [one.weight for one in hints] == 3 * [Weight.HINT]


def test_the_public_keys_file_is_named_for_a_key_server() -> None:
    """The server fetches <sha256(kid)>.pem: the name is said, for nobody computes it in the head."""
    server = replace(SERVER, subject="meet.jitsi", algorithm="RS256", key_id="invites-1")
    (hint,) = found(server)
    assert f"{sha256(b'invites-1').hexdigest()}.pem" in hint.text


def test_8x8_has_none_of_the_servers_own_pitfalls() -> None:
    """With JaaS there is no server of one's own."""
    server = replace(SERVER, profile="jaas", algorithm="RS256", key_id="a/b", tenant="a")
    assert found(server, {}) == []


def test_one_token_for_every_tenant_is_cautioned_about_where_domains_are_not_verified() -> None:
    """The room of the same name opens in all of them; docker's default has it so."""
    server = replace(SERVER, subject="meet.jitsi")
    for said in ("0", "", "1"):
        texts = [
            one.text
            for one in found(server, {**DOCKER, "JWT_ENABLE_DOMAIN_VERIFICATION": said})
            if "in every tenant" in one.text and one.weight is Weight.HINT
        ]
        assert len(texts) == (said != "1")


def test_a_lobby_that_moderators_could_pass_and_do_not_is_a_hint() -> None:
    """The module reads a claim of its own, and the other way round."""
    environ = {**DOCKER, "XMPP_MUC_MODULES": "token_affiliation,token_lobby_bypass"}
    server = replace(SERVER, subject="meet.jitsi")
    (hint,) = found(server, environ)
    assert '"lobby_bypass"' in hint.remedy
    named = replace(server, moderator_claims=("context", "lobby_bypass"))
    assert found(named, environ) == []
    (hint,) = found(named)
    assert "token_lobby_bypass" in hint.remedy


@pytest.mark.parametrize(
    ("environ", "secret", "line"),
    [
        ({"JWT_APP_ID": "other"}, b"s" * 40, "app_id"),
        ({"JWT_ACCEPTED_AUDIENCES": "other"}, b"s" * 40, "audience"),
        ({"XMPP_DOMAIN": "x.example.com"}, b"s" * 40, "subject"),
        ({"JWT_ASAP_KEYSERVER": "https://keys.example.com"}, b"s" * 40, "RS256"),
        ({}, b"t" * 40, "secret_file"),
    ],
)
def test_who_is_refused_is_nothing_else_at_the_door(
    environ: dict[str, str], secret: bytes, line: str
) -> None:
    """A server that takes no token of ours makes nobody a moderator, whatever its modules."""
    whole = {**DOCKER, "ENABLE_AUTH": "1", "AUTH_TYPE": "jwt", "JWT_APP_SECRET": "s" * 40}
    server = replace(SERVER, subject="meet.jitsi")

    def door(**changed: str) -> list[Finding]:
        deployment = from_docker({**whole, **changed}, whole=True)
        findings = pitfalls(server, ValidityRule(), deployment, secret=secret, door=True)
        return [one for one in findings if one.check == "at the door"]

    marked, unmarked, without = door(**environ)
    assert marked.weight is unmarked.weight is Weight.FAULT
    assert "is not let in" in marked.text
    assert line in marked.remedy
    assert without.weight is Weight.GOOD
    assert "ssss" not in f"{marked}{unmarked}{deployment_text(whole)}"


def deployment_text(environ: dict[str, str]) -> str:
    """Return all that a deployment says of itself."""
    return repr(from_docker(environ, whole=True))
