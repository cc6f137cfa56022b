"""Tokens against an independent reading of what Jitsi admits, and against other signers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from invites.invitation import Server
from invites.jitsi.rooms import room_from_text
from invites.jitsi.tokens import (
    ClaimRefusedError,
    KeyRefused,
    Minter,
    SigningKey,
    claims_for,
    fingerprint,
    weak_secret,
)
from invites.model import Attendee, Room, Validity

SECRET = bytes(range(100, 180))
SERVER = Server(
    url="https://meet.example.com", host="meet.example.com", app_id="my_app", subject="meet.jitsi"
)
ROOM = room_from_text("Équipe sync")
WINDOW = Validity(not_before=1_925_000_000, expires=1_925_007_000)
ADA = Attendee(
    name="Ada Example",
    email="ada@example.com",
    mailbox="ada@example.com",
    address="ada@example.com",
)
RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes = b"") -> bytes:
    """Return a private key as people have it in a file."""
    locked = serialization.BestAvailableEncryption(password) if password else None
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        locked or serialization.NoEncryption(),
    )


def key_for(algorithm: str) -> SigningKey:
    """Return the signing key of a test for an algorithm."""
    if algorithm.startswith("HS"):
        return SigningKey.from_secret(SECRET, algorithm)
    return SigningKey.from_pem(pem_of(RSA_KEY), algorithm, key_id="app/key-1")


def minted(attendee: Attendee, *, server: Server = SERVER, room: Room = ROOM) -> str:
    """Return the token of one attendee."""
    return Minter(server, key_for(server.algorithm)).for_meeting(room, WINDOW)(attendee)


def opened(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a token's header and claims as PyJWT decodes them."""
    whole = jwt.decode_complete(token, options={"verify_signature": False})
    return whole["header"], whole["payload"]


def nulls_in(value: object) -> bool:
    """Return whether a null is anywhere in a JSON value."""
    if isinstance(value, dict):
        return any(nulls_in(each) for each in value.values())
    if isinstance(value, list):
        return any(nulls_in(each) for each in value)
    return value is None


def reasons_to_refuse(token: str, server: Server, room: str, now: int) -> list[str]:
    """Return why Jitsi would not admit a token: its table, read rule by rule."""
    header, claims = opened(token)
    user = claims.get("context", {}).get("user", {})
    rules = {
        "shape": re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", token, re.ASCII) is not None,
        "typ": header.get("typ") == "JWT",
        "alg": header.get("alg") == server.algorithm,
        "kid": server.algorithm.startswith("HS") or bool(header.get("kid")),
        "iss": claims.get("iss") == ("chat" if server.profile == "jaas" else server.app_id),
        "aud": claims.get("aud") == server.audience and isinstance(claims["aud"], str),
        "sub": claims.get("sub") == server.subject,
        "room": isinstance(claims.get("room"), str) and claims["room"].lower() == room,
        "not every room": claims.get("room") != "*",
        "exp": type(claims.get("exp")) is int and now < claims["exp"] < 100_000_000_000,
        "nbf": type(claims.get("nbf")) is int and now >= claims["nbf"],
        "nulls": not nulls_in(claims),
        "user": all(isinstance(user.get(name, ""), str) for name in ("name", "email", "id")),
        "text": not re.search(r"[\x00-\x1f\x7f\ufffe]", json.dumps(claims, ensure_ascii=False)),
    }
    return [rule for rule, holds in rules.items() if not holds]


TEXT = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=40
)
ATTENDEES = st.builds(
    Attendee,
    name=TEXT,
    email=st.just("ada@example.com"),
    mailbox=st.just("ada@example.com"),
    address=st.just("ada@example.com"),
    moderator=st.booleans(),
    avatar=st.sampled_from(["", "https://example.com/a.png"]),
    user_id=TEXT,
    group=TEXT,
    features=st.lists(st.sampled_from(["recording", "-lobby", "of-tomorrow"]), unique=True).map(
        tuple
    ),
)
SERVERS = st.builds(
    Server,
    url=st.just("https://meet.example.com"),
    host=st.just("meet.example.com"),
    app_id=TEXT,
    subject=TEXT,
    audience=TEXT,
    algorithm=st.sampled_from(["HS256", "HS384", "HS512"]),
    moderator_claims=st.sampled_from(
        [
            ("context",),
            ("affiliation",),
            ("root",),
            ("context", "affiliation", "root", "lobby_bypass"),
        ]
    ),
    profile=st.sampled_from(["jitsi", "jaas"]),
)


@given(ATTENDEES, SERVERS)
def test_a_minted_token_is_byte_for_byte_what_pyjwt_encodes(
    attendee: Attendee, server: Server
) -> None:
    """Encoding the shared part once changes nothing in the token."""
    plain = claims_for(server, ROOM, WINDOW, attendee)
    assert minted(attendee, server=server) == jwt.encode(plain, SECRET, server.algorithm)


@given(ATTENDEES, SERVERS, st.integers(WINDOW.not_before, WINDOW.expires - 1))
def test_every_token_is_admitted_in_its_window(
    attendee: Attendee, server: Server, now: int
) -> None:
    """From nbf inclusive to exp exclusive, no rule of the admission table refuses the token."""
    assert reasons_to_refuse(minted(attendee, server=server), server, ROOM.claim, now) == []


@pytest.mark.parametrize(
    ("now", "room", "why"),
    [
        (WINDOW.expires, ROOM.claim, "exp"),
        (WINDOW.not_before - 1, ROOM.claim, "nbf"),
        (WINDOW.not_before, "other", "room"),
    ],
)
def test_a_token_is_refused_elsewhere_and_at_other_times(now: int, room: str, why: str) -> None:
    """One person, one room, one window: the same reading refuses what is outside of it."""
    assert reasons_to_refuse(minted(ADA), SERVER, room, now) == [why]


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_an_hmac_signature_agrees_with_the_standard_library(algorithm: str) -> None:
    """The signature is the HMAC of the two segments, keyed with the secret's raw bytes."""
    token = minted(ADA, server=replace(SERVER, algorithm=algorithm))
    message, _, signature = token.rpartition(".")
    expected = hmac.new(SECRET, message.encode(), HASHES[algorithm[2:]]).digest()
    assert base64.urlsafe_b64decode(signature + "==") == expected
    assert jwt.decode(token, SECRET, [algorithm], audience="jitsi", options={"verify_nbf": False})


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
def test_an_rsa_signature_is_verified_by_the_public_key(algorithm: str) -> None:
    """RS tokens carry the kid and verify with the public key, by cryptography and by PyJWT."""
    token = minted(ADA, server=replace(SERVER, algorithm=algorithm, key_id="app/key-1"))
    message, _, signature = token.rpartition(".")
    kind = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[algorithm[2:]]
    RSA_KEY.public_key().verify(
        base64.urlsafe_b64decode(signature + "=="), message.encode(), padding.PKCS1v15(), kind
    )
    assert opened(token)[0] == {"typ": "JWT", "alg": algorithm, "kid": "app/key-1"}
    assert jwt.decode(
        token,
        RSA_KEY.public_key(),
        [algorithm],
        audience="jitsi",
        options={"verify_nbf": False},
    )


def test_the_same_facts_give_the_same_token() -> None:
    """Nothing random and no clock is in a token, with a secret or with a key."""
    for algorithm in ("HS256", "RS256"):
        server = replace(SERVER, algorithm=algorithm)
        assert minted(ADA, server=server) == minted(replace(ADA, row=7), server=server)


def test_the_claims_of_a_plain_attendee_are_exactly_these() -> None:
    """What is empty is left out, and nothing else is there."""
    assert opened(minted(ADA))[1] == {
        "iss": "my_app",
        "aud": "jitsi",
        "sub": "meet.jitsi",
        "room": "%c3%a9quipe%20sync",
        "nbf": 1_925_000_000,
        "exp": 1_925_007_000,
        "context": {
            "user": {"name": "Ada Example", "email": "ada@example.com", "moderator": False}
        },
    }


def test_all_that_a_roster_knows_stands_in_the_context() -> None:
    """Avatar, id, group and features are in the token where the roster has them."""
    attendee = replace(
        ADA,
        moderator=True,
        avatar="https://example.com/a.png",
        user_id="u-1",
        group="staff",
        features=("recording", "lobby"),
    )
    assert opened(minted(attendee))[1]["context"] == {
        "user": {
            "name": "Ada Example",
            "email": "ada@example.com",
            "avatar": "https://example.com/a.png",
            "id": "u-1",
            "moderator": True,
        },
        "features": {"recording": True, "lobby": True},
        "group": "staff",
    }


@pytest.mark.parametrize("moderator", [True, False])
def test_the_moderator_stands_in_the_claims_that_are_set(moderator: bool) -> None:  # noqa: FBT001
    """Each server plugin reads its own claim, and all can be set at once."""
    attendee = replace(ADA, moderator=moderator)
    server = replace(SERVER, moderator_claims=("context", "affiliation", "root"))
    claims = opened(minted(attendee, server=server))[1]
    assert claims["moderator"] is moderator
    assert claims["context"]["user"]["moderator"] is moderator
    assert claims["context"]["user"]["affiliation"] == ("owner" if moderator else "member")
    alone = opened(minted(attendee, server=replace(SERVER, moderator_claims=("root",))))[1]
    assert alone["moderator"] is moderator
    assert not alone["context"]["user"].keys() & {"moderator", "affiliation"}


@pytest.mark.parametrize("profile", ["jitsi", "jaas"])
def test_a_feature_behind_a_hyphen_is_switched_off(profile: Literal["jitsi", "jaas"]) -> None:
    """The web client heeds false alone for screen-sharing and moderation."""
    attendee = replace(ADA, features=("-screen-sharing", "recording"))
    claims = opened(minted(attendee, server=replace(SERVER, profile=profile)))[1]
    on, off = (True, False) if profile == "jitsi" else ("true", "false")
    assert claims["context"]["features"].items() >= {"screen-sharing": off, "recording": on}.items()


def test_moderators_pass_the_lobby_where_that_is_wanted() -> None:
    """A boolean, as token_lobby_bypass reads it, and nobody else has it."""
    server = replace(SERVER, moderator_claims=("context", "lobby_bypass"))
    for moderator in (True, False):
        claims = opened(minted(replace(ADA, moderator=moderator), server=server))[1]
        user = claims["context"]["user"]
        assert user.get("lobby_bypass") is (True if moderator else None)
        assert user["moderator"] is moderator


def test_a_jaas_token_has_the_claims_strings_and_defaults_of_8x8() -> None:
    """JaaS: issuer chat, the AppID as subject, an id, strings for flags, features present."""
    server = replace(
        SERVER,
        profile="jaas",
        subject="vpaas-magic-cookie-1",
        algorithm="RS256",
        key_id="vpaas-magic-cookie-1/4f4910",
    )
    attendee = replace(ADA, moderator=True, features=("recording",))
    header, claims = opened(minted(attendee, server=server))
    assert header["alg"] == "RS256"
    assert (claims["iss"], claims["aud"], claims["sub"]) == (
        "chat",
        "jitsi",
        "vpaas-magic-cookie-1",
    )
    assert claims["context"]["user"]["moderator"] == "true"
    assert claims["context"]["user"]["id"] == "ada@example.com"
    assert claims["context"]["features"] == {
        "livestreaming": "false",
        "recording": "true",
        "transcription": "false",
        "outbound-call": "false",
        "sip-outbound-call": "false",
    }


@pytest.mark.parametrize("field", ["name", "email", "avatar", "user_id", "group"])
@pytest.mark.parametrize("char", ["\x00", "\n", "\x7f", "\x85", "\ufffe", "\uffff", "\ud800"])
def test_a_value_that_makes_the_join_hang_is_never_signed(field: str, char: str) -> None:
    """Should the roster's reader ever let one pass, the token is refused before it is signed."""
    with pytest.raises(ClaimRefusedError) as refused:
        minted(replace(ADA, **{field: f"a{char}b"}))
    assert refused.value.claim.startswith("context.")
    assert char not in str(refused.value)
    with pytest.raises(ClaimRefusedError):
        minted(replace(ADA, features=(f"a{char}",)))


def test_minting_costs_less_than_half_of_encoding_each_token_whole() -> None:
    """What a meeting shares is encoded once: the point of the minter is its speed."""
    mint = Minter(SERVER, key_for("HS256")).for_meeting(ROOM, WINDOW)

    def seconds(make: Callable[[], str]) -> float:
        begun = time.process_time()
        for _ in range(2_000):
            make()
        return time.process_time() - begun

    def whole() -> str:
        return jwt.encode(claims_for(SERVER, ROOM, WINDOW, ADA), SECRET, "HS256")

    assert min(seconds(lambda: mint(ADA)) for _ in range(3)) < seconds(whole) / 2


@pytest.mark.parametrize(("algorithm", "least"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_shorter_than_its_hash_is_weak(algorithm: str, least: int) -> None:
    """The limits are 32, 48 and 64 bytes, and the words do not show the secret."""
    why = weak_secret(SECRET[: least - 1], algorithm)
    assert why is not None
    assert str(least) in why
    assert SECRET[:5].decode("latin-1") not in why
    assert weak_secret(SECRET[:least], algorithm) is None


def test_a_secret_of_few_different_bytes_is_weak_and_nothing_else_is() -> None:
    """Nine different values are weak, ten are not, however regular they look."""
    assert weak_secret(b"123456789" * 8, "HS256") is not None
    assert weak_secret(b"1234567890" * 8, "HS256") is None
    assert weak_secret(b"changeme-password-changeme-secret", "HS256") is None
    assert weak_secret(b"", "RS256") is None


def test_a_fingerprint_changes_with_the_key_and_does_not_hold_it() -> None:
    """Equal keys have equal fingerprints of 16 hex digits; others have others."""
    first = fingerprint(SigningKey.from_secret(SECRET, "HS256"))
    assert re.fullmatch(r"[0-9a-f]{16}", first)
    assert first == fingerprint(SigningKey.from_secret(SECRET, "HS256"))
    assert first != fingerprint(SigningKey.from_secret(SECRET[1:], "HS256"))
    assert first not in hashlib.sha256(SECRET).hexdigest()
    assert fingerprint(key_for("RS256")) == fingerprint(key_for("RS256")) != first


def test_a_signing_key_never_shows_in_its_repr() -> None:
    """A key in a traceback's locals is not printed."""
    secret = b"correct-horse-battery-staple-0123456789"
    assert "horse" not in repr(SigningKey.from_secret(secret, "HS256"))
    assert "RSAPrivateKey" not in repr(key_for("RS256"))


@pytest.mark.parametrize("secret", [b"", pem_of(RSA_KEY), b'{"kty": "oct", "k": "AAAA"}'])
def test_what_is_no_secret_is_refused(secret: bytes) -> None:
    """An empty secret, a private key and a JSON Web Key are mistakes, and are named as such."""
    with pytest.raises(KeyRefused) as refused:
        SigningKey.from_secret(secret, "HS256")
    assert "secret" in refused.value.expected


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        (b"not a key", "PEM"),
        (pem_of(RSA_KEY, b"locked"), "passphrase"),
        (pem_of(ec.generate_private_key(ec.SECP256R1())), "RSA"),
        (pem_of(rsa.generate_private_key(public_exponent=65_537, key_size=1_024)), "2,048"),  # noqa: S505 - refused, as it should be
    ],
)
def test_what_is_no_rsa_key_is_refused(pem: bytes, words: str) -> None:
    """A key that Jitsi could not verify with is refused before anything is signed."""
    with pytest.raises(KeyRefused) as refused:
        SigningKey.from_pem(pem, "RS256", key_id="a")
    assert words in refused.value.expected


def test_a_key_of_the_wrong_kind_is_refused() -> None:
    """A secret does not sign RS256 and a private key not HS256; ES256 signs nothing here."""
    with pytest.raises(KeyRefused):
        SigningKey.from_secret(SECRET, "RS256")
    with pytest.raises(KeyRefused):
        SigningKey.from_pem(pem_of(RSA_KEY), "HS256", key_id="a")
    for key in (
        SigningKey(algorithm="RS256", key=SECRET),
        SigningKey(algorithm="HS256", key=RSA_KEY),
        SigningKey(algorithm="ES256", key=SECRET),
    ):
        with pytest.raises(KeyRefused):
            Minter(SERVER, key)
