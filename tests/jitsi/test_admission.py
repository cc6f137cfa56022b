"""The admission table: each rule broken by itself in a token that is admitted otherwise."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.inspection.judging import cautions
from invites.invitation import Server
from invites.jitsi.admission import AdmissionState, admission
from invites.jitsi.claims import NotAToken, token_from
from invites.jitsi.deployment import UNKNOWN, Deployment, from_docker
from invites.jitsi.links import link_from, links_in
from invites.jitsi.moderators import roles
from invites.jitsi.rooms import room_on_the_server

SERVER = Server(
    url="https://meet.example.com", host="meet.example.com", app_id="my_app", subject="meet.jitsi"
)
NOW = datetime(2031, 1, 1, 9, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
MISSING = object()
NOT_JSON = urlsafe_b64encode(b'{"exp": NaN}').decode()


def claims_with(**changed: Any) -> dict[str, Any]:
    """Return the claims of an admitted token with some changed or missing."""
    claims: dict[str, Any] = {
        "iss": "my_app",
        "aud": "jitsi",
        "sub": "meet.jitsi",
        "room": "team%20sync",
        "nbf": SECONDS - 60,
        "exp": SECONDS + 60,
        "context": {"user": {"name": "Ada Example", "email": "ada@example.com"}},
    } | changed
    return {name: value for name, value in claims.items() if value is not MISSING}


def encoded(value: object) -> str:
    """Return a JSON value as a token's segment."""
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def token_text(claims: dict[str, Any], **header: Any) -> str:
    """Return a token with these claims; its signature is made up."""
    whole = {"typ": "JWT", "alg": "HS256"} | header
    whole = {name: value for name, value in whole.items() if value is not MISSING}
    return f"{encoded(whole)}.{encoded(claims)}.c2lnbmF0dXJl"


STRICT = Deployment(
    audiences=("jitsi",), domain="meet.jitsi", verifies_domains=True, presence_identity=True
)
"""A server that hangs or refuses wherever one does."""

LAX = Deployment(audiences=("*",), verifies_domains=False, presence_identity=False)
"""A server that admits wherever one does."""


def codes(claims: dict[str, Any], *, server: Server | None = SERVER, **header: Any) -> list[str]:
    """Return the codes of the reasons why a strict server refuses a token."""
    token = token_from(token_text(claims, **header))
    judged = admission(token, NOW, server=server, deployment=STRICT if server else UNKNOWN)
    return [each.code for each in judged.refusals]


def doubts(claims: dict[str, Any], deployment: Deployment = UNKNOWN) -> list[str]:
    """Return the codes of what hangs on the server; "refused" is among them if it is."""
    judged = admission(token_from(token_text(claims)), NOW, server=SERVER, deployment=deployment)
    return [each.code for each in judged.doubts] + ["refused"] * bool(judged.refusals)


def link_codes(link: str, *, server: Server | None = None) -> list[str]:
    """Return the codes of the reasons why a link is refused; TOKEN in it is replaced."""
    link = link.replace("TOKEN", token_text(claims_with()))
    taken = link_from(link)
    refusals = admission(
        token_from(taken.token), NOW, server=server, link=taken, deployment=STRICT
    ).refusals
    return [each.code for each in refusals]


def caution_codes(claims: dict[str, Any], link: str | None = None) -> list[str]:
    """Return the codes of what a token, or a link with it, is admitted with all the same."""
    text = token_text(claims)
    taken = link_from(link.replace("TOKEN", text)) if link else None
    return [each.code for each in cautions(token_from(text), server=SERVER, link=taken)]


def test_a_token_in_order_is_admitted() -> None:
    """The token that all others here are made from breaks no rule and needs no caution."""
    assert codes(claims_with()) == []
    assert codes(claims_with(), server=None) == []
    assert caution_codes(claims_with()) == []


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"typ": MISSING}, "typ"),
        ({"typ": "jwt"}, "typ"),
        ({"typ": None}, "typ"),
        ({"alg": MISSING}, "alg"),
        ({"alg": "none"}, "alg"),
        ({"alg": "ES256"}, "alg"),
        ({"alg": "PS256", "kid": "a"}, "alg"),
        ({"alg": "HS512"}, "alg"),
        ({"alg": "RS256", "kid": "a"}, "alg"),
    ],
)
def test_a_header_that_jitsi_refuses_is_refused(header: dict[str, Any], code: str) -> None:
    """The typ is exactly JWT, and alg exactly the one that the server is set to."""
    assert codes(claims_with(), **header) == [code]


def test_an_rs_token_needs_a_kid_and_an_hs_token_does_not_mind_one() -> None:
    """The key server finds the public key by it; on an HS token it is harmless."""
    assert codes(claims_with(), server=None, alg="RS256") == ["kid"]
    assert codes(claims_with(), server=None, alg="RS256", kid="app/1") == []
    assert codes(claims_with(), kid="app/1") == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"iss": MISSING}, ["iss"]),
        ({"iss": "other"}, ["iss"]),
        ({"iss": 1}, ["iss"]),
        ({"aud": MISSING}, ["aud"]),
        ({"aud": ["jitsi"]}, ["aud"]),
        ({"aud": "other"}, ["aud"]),
        ({"sub": MISSING}, ["sub"]),
        ({"sub": "meet.example.com"}, ["sub"]),
        ({"sub": "*"}, []),
        ({"sub": "MEET.Jitsi"}, []),
        ({"room": MISSING}, ["room"]),
        ({"room": 5}, ["room"]),
        ({"room": ""}, ["room"]),
        ({"room": "*"}, []),
        ({"room": "TEAM%20SYNC"}, []),
        ({"room": "team sync"}, ["room"]),
        ({"room": "équipe"}, ["room"]),
        ({"room": "%C3%89quipe"}, ["room"]),
        ({"room": "%c3%a9quipe"}, []),
        ({"room": "[team]sync"}, ["room"]),
        ({"room": "APPID/sync"}, ["room"]),
        ({"room": "sync@conference.example.com"}, ["room"]),
        ({"exp": MISSING}, []),
        ({"exp": SECONDS}, ["expired"]),
        ({"exp": SECONDS + 1}, []),
        ({"exp": SECONDS + 0.5}, []),
        ({"exp": str(SECONDS + 60)}, ["exp"]),
        ({"exp": True}, ["exp"]),
        ({"exp": (SECONDS - 60) * 1000}, []),
        ({"nbf": MISSING}, []),
        ({"nbf": SECONDS}, []),
        ({"nbf": SECONDS + 1}, ["early"]),
        ({"nbf": SECONDS * 1000}, ["early", "window"]),
        ({"nbf": "0"}, ["nbf"]),
        ({"nbf": SECONDS + 5, "exp": SECONDS + 5}, ["early", "window"]),
        ({"exp": None}, ["exp"]),
        ({"sub": None}, ["sub", "null"]),
        ({"context": MISSING}, []),
        ({"context": None}, ["null"]),
        ({"context": {"room": None}}, ["null"]),
        ({"context": {"tenant": None}}, ["null"]),
        ({"room": "a*(b)!~"}, []),
        ({"room": "50%25ab"}, []),
        ({"context": {"user": {"name": "a\nb<&>😀"}}}, []),
        ({"context": {"user": {"name": "a\x00b"}}}, ["characters"]),
        ({"context": {"user": {"name": "a\x07b"}}}, ["characters"]),
        ({"context": {"user": {"email": "a\ufffeb"}}}, ["characters"]),
        ({"context": "text"}, ["context"]),
        ({"context": {"user": ["text"]}}, ["context"]),
        ({"iat": "whatever", "jti": 5}, []),
    ],
)
def test_claims_are_judged_as_jitsi_judges_them(
    changed: dict[str, Any], expected: list[str]
) -> None:
    """Each row of the admission table, with the edges of exp and nbf to the second."""
    assert codes(claims_with(**changed)) == expected


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"sub": "meet.example.com"}, "sub"),
        ({"aud": "other"}, "aud"),
        ({"aud": ["jitsi"]}, "aud"),
        ({"context": {"user": {"name": "a\x00b"}}}, "characters"),
        ({"context": {"user": {"email": "a\x1fb"}}}, "characters"),
    ],
)
def test_what_hangs_on_the_server_is_said_to(changed: dict[str, Any], code: str) -> None:
    """Of an unknown server it is a doubt; where the server is known it is refused or admitted."""
    claims = claims_with(**changed)
    assert doubts(claims) == [code]
    assert doubts(claims, LAX) == []
    assert doubts(claims, STRICT) == ["refused"]
    judged = admission(token_from(token_text(claims)), NOW, server=SERVER)
    assert (judged.state, judged.admitted) == (AdmissionState.DEPENDS, False)


@pytest.mark.parametrize(
    "context", [{"user": {"name": None}}, {"user": None}, {"list": [None]}, {"group": None}]
)
def test_other_nulls_hang_the_join_on_some_versions_alone(context: dict[str, Any]) -> None:
    """Four of them hang it on every version; of the others that is not known."""
    assert doubts(claims_with(context=context)) == ["null"]


def test_jitsis_own_variables_decide_what_hangs_on_the_server() -> None:
    """Who has docker's environment at hand is not left in doubt."""
    claims = claims_with(sub="meet.example.com", aud="other")
    environ = {"JWT_ENABLE_DOMAIN_VERIFICATION": "0", "JWT_ACCEPTED_AUDIENCES": "other,jitsi"}
    assert doubts(claims, from_docker(environ, whole=False)) == []
    environ["JWT_ENABLE_DOMAIN_VERIFICATION"] = "true"
    assert doubts(claims, from_docker(environ, whole=False)) == ["refused"]
    environ["JWT_ACCEPTED_ISSUERS"] = "another_app"
    token = token_from(token_text(claims))
    judged = admission(token, NOW, server=SERVER, deployment=from_docker(environ, whole=False))
    assert [each.code for each in judged.refusals] == ["iss", "sub"]


def test_a_token_that_is_only_early_opens() -> None:
    """It is not refused: it says when; with another reason it is refused all the same."""
    early = admission(token_from(token_text(claims_with(nbf=SECONDS + 30))), NOW, server=SERVER)
    assert (early.state, early.opens) == (AdmissionState.OPENS, NOW + timedelta(seconds=30))
    assert not early.admitted
    wrong = claims_with(nbf=SECONDS + 30, iss="other")
    assert (
        admission(token_from(token_text(wrong)), NOW, server=SERVER).state is AdmissionState.REFUSED
    )
    never = claims_with(nbf=SECONDS * 1000, exp=SECONDS * 2000)
    assert (
        admission(token_from(token_text(never)), NOW, server=SERVER).state is AdmissionState.REFUSED
    )


def test_of_two_tokens_in_a_link_the_last_counts() -> None:
    """As the web client reads a query, and a fragment; and the whole link is found in prose."""
    first, last = token_text(claims_with(room="other")), token_text(claims_with())
    for link in (
        f"https://meet.example.com/team%20sync?jwt={first}&jwt={last}",
        f"https://meet.example.com/team%20sync?jwt={first}&a=b&jwt={last}",
        f"https://meet.example.com/team%20sync#jwt=%22{first}%22&jwt=%22{last}%22",
        f"https://meet.example.com/team%20sync?jwt={first}#jwt=%22{last}%22",
    ):
        assert link_from(link).token == last
        assert links_in(f"Join {link}, please") == [link]
        assert link_codes(link) == []


@pytest.mark.parametrize("blank", [" ", "%20", "%09"])
def test_a_blank_in_the_token_hangs_the_join(blank: str) -> None:
    """It is no admission, wherever in the token it stands."""
    text = token_text(claims_with())
    for at in (10, text.index(".") + 5, len(text) - 3):
        link = link_from(f"https://meet.example.com/team%20sync?jwt={text[:at]}{blank}{text[at:]}")
        judged = admission(token_from(text), NOW, server=SERVER, link=link, deployment=LAX)
        assert "blank" in [each.code for each in judged.refusals]


def test_each_reason_has_its_own_sentence() -> None:
    """A token that breaks several rules is told all of them at once."""
    claims = claims_with(aud=["jitsi"], sub=MISSING, exp=SECONDS - 1, room="team sync")
    token = token_from(token_text(claims, typ="jwt"))
    judged = admission(token, NOW, server=SERVER)
    texts = [each.text for each in (*judged.refusals, *judged.doubts)]
    assert len(texts) == 5
    assert len(set(texts)) == 5
    assert any('"team%20sync"' in text for text in texts)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"room": "*"}, "every-room"),
        ({"exp": MISSING}, "for-ever"),
        ({"exp": SECONDS * 1000}, "milliseconds"),
        ({"sub": "*"}, "every-domain"),
        ({"context": {"room": {"regex": True}}, "room": ".*"}, "pattern"),
        ({"context": {"user": {"name": 5}}}, "user"),
        ({"context": {"user": {"moderator": "True"}}}, "moderator"),
        ({"context": {"user": {"moderator": 1}}}, "moderator"),
        ({"moderator": "true"}, "moderator"),
        ({"context": {"features": {"recordings": True}}}, "features"),
        ({"context": {"features": {"recording": 1}}}, "features"),
    ],
)
def test_what_is_admitted_all_the_same_is_said_loudly(changed: dict[str, Any], code: str) -> None:
    """Some tokens are admitted though they should not be, or do not do what they say."""
    assert codes(claims_with(**changed)) == []
    assert caution_codes(claims_with(**changed)) == [code]


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("https://meet.example.com/team%20sync?jwt=TOKEN", []),
        ("https://meet.example.com/Team%20Sync?jwt=TOKEN#config.startSilent=true", []),
        ("https://meet.example.com/team%20sync#jwt=%22TOKEN%22", []),
        ('https://meet.example.com/team%20sync#config.a=1&jwt="TOKEN"', []),
        ("https://meet.example.com/team+%20sync?jwt=TOKEN", []),
        ("https://meet.example.com/team+sync?jwt=TOKEN", ["room"]),
        ("https://meet.example.com/other?jwt=TOKEN", ["room"]),
        ("https://meet.example.com/team%20sync/?jwt=TOKEN", ["link-room"]),
        ("https://meet.example.com/?jwt=TOKEN", ["link-room"]),
        ("https://meet.example.com/config.js?jwt=TOKEN", ["room", "link-room"]),
        ("https://meet.example.com/a%26b?jwt=TOKEN", ["room", "link-room"]),
        ("https://meet.example.com/%ff?jwt=TOKEN", ["link-room"]),
        ("https://meet.example.com/team%20sync#jwt=TOKEN", ["fragment"]),
        ("https://meet.example.com/team%20sync#config.a=1?jwt=TOKEN", ["fragment"]),
        ("https://meet.example.com/Meet.Jitsi/team%20sync?jwt=TOKEN", ["sub"]),
        ("https://meet.example.com/a/b/team%20sync?jwt=TOKEN", ["tenant"]),
        (f"https://meet.example.com/team%20sync?x={'x' * 8200}&jwt=TOKEN", ["length"]),
    ],
)
def test_links_are_judged_as_web_client_and_web_server_read_them(
    link: str, expected: list[str]
) -> None:
    """The room by the client's own rule, the token's place, the tenant against sub."""
    assert link_codes(link) == expected


def test_a_tenant_link_wants_the_tenant_as_subject() -> None:
    """With domain verification sub is the tenant as the web client folds it."""
    text = token_text(claims_with(sub="team_north"))
    link = link_from(f"https://meet.example.com/Team.North/team%20sync?jwt={text}")
    assert admission(token_from(text), NOW, link=link).admitted


@pytest.mark.parametrize(
    ("link", "code"),
    [
        ("http://meet.example.com/team%20sync?jwt=TOKEN", "plain"),
        ("https://other.example.com/team%20sync?jwt=TOKEN", "host"),
        ("https://meet.example.com/north/team%20sync?jwt=TOKEN", "tenant"),
        ("https://meet.example.com/team%20sync?jwt=TOKEN#jwt=%22TOKEN%22", "both"),
        (f"https://meet.example.com/team%20sync?x={'x' * 700}&jwt=TOKEN", "length"),
    ],
)
def test_an_odd_link_is_cautioned_about(link: str, code: str) -> None:
    """What a link should not be is said, though it may work."""
    assert caution_codes(claims_with(), link) == [code]


def test_the_fragment_is_read_before_the_query() -> None:
    """New web clients take the fragment's token where both have one."""
    link = link_from("https://meet.example.com/a?jwt=ey.a.b#jwt=%22ey.c.d%22")
    assert (link.token, link.place, link.both) == ("ey.c.d", "fragment", True)


@pytest.mark.parametrize(
    ("segment", "room"),
    [
        ("team%20sync", "team%20sync"),
        ("%C3%89quipe", "%c3%a9quipe"),
        ("équipe", "%c3%a9quipe"),
        ("team+sync", "teamsync"),
        ("STANDUP", "standup"),
        ("team%2Bsync", "team%2bsync"),
    ],
)
def test_a_typed_link_leads_to_the_room_of_the_table(segment: str, room: str) -> None:
    """What the client makes of links that people type, as it was seen."""
    assert room_on_the_server(segment) == room


@pytest.mark.parametrize(
    ("claims", "affiliation", "root"),
    [
        ({}, False, False),
        ({"context": {"user": {"moderator": True}}}, True, False),
        ({"context": {"user": {"moderator": "true"}}}, True, False),
        ({"context": {"user": {"moderator": "True"}}}, False, False),
        ({"context": {"user": {"moderator": 1}}}, False, False),
        ({"context": {"user": {"affiliation": "owner", "moderator": False}}}, True, False),
        ({"context": {"user": {"affiliation": "teacher"}}}, True, False),
        ({"context": {"user": {"affiliation": "member"}}}, False, False),
        ({"moderator": True}, False, True),
        ({"moderator": "true"}, False, False),
        ({"moderator": 1}, False, False),
    ],
)
def test_the_moderator_is_who_the_plugin_says(
    claims: dict[str, Any],
    affiliation: bool,  # noqa: FBT001
    root: bool,  # noqa: FBT001
) -> None:
    """Each server plugin reads its own claim, and strictly."""
    by_server = {role.server: role.moderator for role in roles(claims)}
    assert by_server["token_affiliation"] is affiliation
    assert by_server["token_moderation (older)"] is root
    assert by_server["muc_allowners"] is True
    assert by_server["no such plugin"] is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b",
        "a.b.c.d",
        "eyJ0.e30.x",
        f"{encoded([1])}.{encoded({})}.x",
        f"{encoded({'typ': 'JWT'})}.{NOT_JSON}.x",
        f"{encoded({'typ': 'JWT'})}.{urlsafe_b64encode(b'[' * 99_999).decode()}.x",
        "é.é.é",
    ],
)
def test_what_is_no_token_is_said_to_be_none(text: str) -> None:
    """Whatever it is, the error has words of its own and none of the input."""
    with pytest.raises(NotAToken) as refused:
        token_from(text)
    assert not text or text not in str(refused.value)


def test_a_padded_token_is_read_and_refused() -> None:
    """Jitsi wants base64url without padding; the claims can be explained all the same."""
    head, body, signature = token_text(claims_with()).split(".")
    token = token_from(f"{head}.{body}.{signature}==")
    assert [each.code for each in admission(token, NOW, server=SERVER).refusals] == ["shape"]


def test_a_token_never_shows_in_a_repr() -> None:
    """A link or token in a traceback's locals is not printed whole."""
    text = token_text(claims_with())
    assert text not in repr(link_from(f"https://meet.example.com/a?jwt={text}"))
    assert "c2lnbmF0dXJl" not in repr(token_from(text))


@given(st.text(max_size=80))
def test_any_text_is_a_token_or_is_not(text: str) -> None:
    """Nothing that somebody pastes fails in another way than by saying that it is no token."""
    for read in (token_from, link_from):
        try:
            read(text)
        except NotAToken:
            continue


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["user", "name", "room", "regex", "features", "moderator"]), inner
        )
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(["iss", "aud", "sub", "room", "nbf", "exp", "context", "moderator", "x"])


@given(st.dictionaries(NAMES, JSON), st.dictionaries(st.sampled_from(["typ", "alg", "kid"]), JSON))
def test_any_claims_can_be_judged(claims: dict[str, Any], header: dict[str, Any]) -> None:
    """No claims, however odd, keep the table from giving a verdict in words."""
    text = f"{encoded(header)}.{encoded(claims)}.x"
    token = token_from(text)
    link = link_from(f"https://meet.example.com/a?jwt={text}")
    judged = admission(token, NOW, server=SERVER, link=link)
    for sentence in (*judged.refusals, *judged.doubts):
        assert sentence.text.endswith((".", ")."))
        assert "\n" not in sentence.text
    cautions(token, server=SERVER, link=link)
    roles(claims)


def test_links_are_found_in_prose_each_once() -> None:
    """A link ends where its token ends, whatever punctuation follows."""
    text = token_text(claims_with())
    first = f"https://meet.example.com/a?jwt={text}"
    second = f"https://meet.example.com/b#jwt=%22{text}%22"
    assert links_in(f"Join: <{first}>. Or ({second}), or {first}!") == [first, second]
