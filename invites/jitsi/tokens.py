"""Tokens: the claims that admit one attendee to one room in one window, and their signature.

What the claims are is `claims_for`; `Minter` makes the same bytes faster, because all attendees
of a meeting share all but the end of their tokens.
The source of each rule is Jitsi's `token/util.lib.lua` and `luajwtjitsi.lib.lua`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import HMACAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError
from pybase64 import urlsafe_b64encode

from invites.errors import InvitesError
from invites.jitsi.claims import JAAS_FEATURES, switched

if TYPE_CHECKING:
    from collections.abc import Callable

    from invites.invitation import Server
    from invites.model import Attendee, Room, Validity

HASHES: Final = {
    "256": HMACAlgorithm.SHA256,
    "384": HMACAlgorithm.SHA384,
    "512": HMACAlgorithm.SHA512,
}
ALGORITHMS: Final = ("HS256", "HS384", "HS512", "RS256", "RS384", "RS512")
"""What Jitsi's `luajwtjitsi.lib.lua` verifies."""

SECRET_BYTES_AT_LEAST: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""A secret shorter than the hash is the weakest part of the token (RFC 7518 3.2)."""

DIFFERENT_BYTES_AT_LEAST: Final = 10
RSA_BITS_AT_LEAST: Final = 2_048
"""RFC 7518 3.3."""

# A control character or a noncharacter in a value makes the join hang: mod_auth_token puts it
# into the session, and the XML stanza that carries it breaks.
_BREAKS_THE_JOIN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
compact = json.JSONEncoder(separators=(",", ":")).encode
"""JSON as it stands in a token: ASCII without blanks."""


class KeyRefused(ValueError):  # noqa: N818 - it reads as a verdict, and is caught as one
    """A secret or private key that can't sign; `expected` says what would do."""

    def __init__(self, expected: str) -> None:
        """Take in words that complete "expected …", and never show the key."""
        self.expected = expected
        super().__init__(f"expected {expected}")


class ClaimRefusedError(InvitesError, ValueError):
    """A value that would make the join hang was about to be signed; `claim` names where."""

    def __init__(self, claim: str) -> None:
        """Name the claim, such as `context.user.name`."""
        self.claim = claim
        super().__init__(
            f"{claim}: found a control character, a surrogate or U+FFFE, expected plain text; "
            "joining with such a token hangs"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """What tokens are signed with: a secret for HS256/384/512, a loaded RSA key for RS256/384/512.

    `key` never shows in a `repr`; `key_id` is the header's `kid`.
    """

    algorithm: str
    key: bytes | RSAPrivateKey = field(repr=False)
    key_id: str | None = None

    @classmethod
    def from_secret(cls, secret: bytes, algorithm: str, *, key_id: str | None = None) -> SigningKey:
        """Return the key for a shared secret: its raw bytes, as Prosody's `app_secret` has them.

        Raises KeyRefused for an empty secret, for a PEM or JSON Web Key, and where `algorithm`
        takes no secret.
        """
        if algorithm not in SECRET_BYTES_AT_LEAST:
            raise KeyRefused(f"an RSA private key for {algorithm}, not a secret")
        try:
            key = _hmac(algorithm).prepare_key(secret)
        except InvalidKeyError:
            raise KeyRefused(
                "a secret that is not empty and no PEM, SSH, certificate or JSON Web Key"
            ) from None
        return cls(algorithm=algorithm, key=key, key_id=key_id)

    @classmethod
    def from_pem(cls, pem: bytes, algorithm: str, *, key_id: str | None) -> SigningKey:
        """Return the key in a PEM text, loaded once.

        Raises KeyRefused for what is no unencrypted RSA private key of 2,048 bits or more, and
        where `algorithm` takes no such key.
        """
        if algorithm not in ALGORITHMS or algorithm in SECRET_BYTES_AT_LEAST:
            raise KeyRefused(f"a secret for {algorithm}, not a private key")
        try:
            key = load_pem_private_key(pem, password=None)
        except TypeError:
            raise KeyRefused("a private key without a passphrase") from None
        except Exception:  # noqa: BLE001 - cryptography has several, and none may carry the key on
            raise KeyRefused("an RSA private key in PEM form") from None
        if not isinstance(key, RSAPrivateKey):
            raise KeyRefused("an RSA private key; Jitsi verifies no other kind")
        if key.key_size < RSA_BITS_AT_LEAST:
            raise KeyRefused(f"an RSA key of at least 2,048 bits, not {key.key_size:,}")
        return cls(algorithm=algorithm, key=key, key_id=key_id)

    @property
    def octets(self) -> bytes:
        """The secret's bytes, or the private key in DER, to derive other keys from."""
        if isinstance(self.key, bytes):
            return self.key
        return self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    @property
    def signature_octets(self) -> int:
        """How many octets its signatures have: a hash's, or an RSA modulus's."""
        if isinstance(self.key, bytes):
            return hmac_octets(self.algorithm)
        return -(-self.key.key_size // 8)


def weak_secret(secret: bytes, algorithm: str) -> str | None:
    """Return why `secret` is weak for `algorithm`, in words without the secret; None if it is not.

    Weak is under 32, 48 or 64 bytes for HS256, HS384 or HS512 (RFC 7518 3.2), or fewer than 10
    different byte values; an RSA algorithm has no secret.
    """
    least = SECRET_BYTES_AT_LEAST.get(algorithm)
    if least is None:
        return None
    if len(secret) < least:
        return f"it has {len(secret)} bytes, and {algorithm} needs at least {least}"
    if (different := len(set(secret))) < DIFFERENT_BYTES_AT_LEAST:
        return (
            f"it has only {different} different byte values, and needs at least "
            f"{DIFFERENT_BYTES_AT_LEAST}"
        )
    return None


def fingerprint(key: SigningKey) -> str:
    """Return 16 hex digits that change with the key and tell nothing about it.

    An HMAC-SHA256 of a fixed text, keyed with the secret or the private key's DER.
    """
    return hmac.digest(
        key.octets, b"invites: fingerprint of the signing key", hashlib.sha256
    ).hex()[:16]


def hmac_octets(algorithm: str) -> int:
    """Return how many octets an HS256, HS384 or HS512 signature has, whatever the secret."""
    return int(algorithm[2:]) // 8


def header_for(algorithm: str, key_id: str | None) -> dict[str, str]:
    """Return the token's header: `typ` exactly "JWT", the algorithm, and `kid` where set."""
    header = {"alg": algorithm, "typ": "JWT"}
    return header if key_id is None else {"alg": algorithm, "kid": key_id, "typ": "JWT"}


def claims_for(
    server: Server, room: Room, validity: Validity, attendee: Attendee
) -> dict[str, Any]:
    """Return the claims of one attendee's token, in the order in which they are signed.

    No claim is ever null: what is empty is left out.
    Raises ClaimRefusedError for a value that would make the join hang.
    """
    return shared_claims(server, room, validity) | personal_claims(server, attendee)


def issuer(server: Server) -> str:
    """Return the `iss` that a server wants: its app id, or always `chat` for JaaS."""
    return "chat" if server.profile == "jaas" else server.app_id


def shared_claims(server: Server, room: Room, validity: Validity) -> dict[str, Any]:
    """Return the claims that all attendees of a meeting share."""
    return {
        "iss": issuer(server),
        "aud": server.audience,
        "sub": server.subject,
        "room": room.claim,
        "nbf": validity.not_before,
        "exp": validity.expires,
    }


def personal_claims(server: Server, attendee: Attendee) -> dict[str, Any]:
    """Return the claims that say who one attendee is and may do.

    Features are authoritative for Jitsi where they are present: an attendee with some has those
    and no others; one without leaves them out, and the server's defaults for moderators hold.
    JaaS wants them present, as the strings "true" and "false": what the roster doesn't name is
    "false" there, for much of it costs money.
    """
    _refuse_what_breaks_the_join(attendee)
    context: dict[str, Any] = {"user": _user(server, attendee)}
    if features := _features(server, attendee):
        context["features"] = features
    if attendee.group:
        context["group"] = attendee.group
    if "root" in server.moderator_claims:
        return {"moderator": attendee.moderator, "context": context}
    return {"context": context}


def _user(server: Server, attendee: Attendee) -> dict[str, str | bool]:
    jaas = server.profile == "jaas"
    user: dict[str, str | bool] = {"name": attendee.name, "email": attendee.email}
    if attendee.avatar:
        user["avatar"] = attendee.avatar
    if attendee.user_id or jaas:
        user["id"] = attendee.user_id or attendee.address
    if "context" in server.moderator_claims:
        user["moderator"] = _said(attendee.moderator) if jaas else attendee.moderator
    if "affiliation" in server.moderator_claims:
        user["affiliation"] = "owner" if attendee.moderator else "member"
    if "lobby_bypass" in server.moderator_claims and attendee.moderator:
        user["lobby_bypass"] = True
    return user


def _features(server: Server, attendee: Attendee) -> dict[str, str] | dict[str, bool]:
    named = switched(attendee.features)
    if server.profile == "jaas":
        said = {name: _said(is_on) for name, is_on in named.items()}
        return dict.fromkeys(JAAS_FEATURES, "false") | said
    return named


def _said(flag: bool) -> str:  # noqa: FBT001 - one flag, and its words
    return "true" if flag else "false"


def _refuse_what_breaks_the_join(attendee: Attendee) -> None:
    together = (
        f"{attendee.name}{attendee.email}{attendee.address}{attendee.avatar}{attendee.user_id}"
        f"{attendee.group}{''.join(attendee.features)}"
    )
    if not _BREAKS_THE_JOIN.search(together):
        return
    for claim, value in (
        ("context.user.name", attendee.name),
        ("context.user.email", attendee.email),
        ("context.user.avatar", attendee.avatar),
        ("context.user.id", attendee.user_id),
        ("context.group", attendee.group),
        ("context.features", "".join(attendee.features)),
    ):
        if _BREAKS_THE_JOIN.search(value):
            raise ClaimRefusedError(claim)
    raise ClaimRefusedError("context")


class Minter:
    """Mints the tokens of one server with one key; what can be made once is made once.

    The key is prepared at construction; a meeting's header and shared claims are encoded when
    `for_meeting` is called; an attendee costs one short JSON object and one signature.
    """

    def __init__(self, server: Server, key: SigningKey) -> None:
        """Prepare the key; KeyRefused where it is not of the kind that its algorithm needs."""
        self._server = server
        self._sign = _signer(key)
        self._header = (
            _base64url(compact(header_for(key.algorithm, key.key_id)).encode("ascii")) + b"."
        )

    def for_meeting(self, room: Room, validity: Validity) -> Callable[[Attendee], str]:
        """Return a function that mints one attendee's token for this room and window.

        It raises ClaimRefusedError as `claims_for` does.
        """
        shared = compact(shared_claims(self._server, room, validity)).encode("ascii")
        open_object = shared[:-1] + b","
        # Base64 turns 3 bytes into 4 characters: up to such a fence it can be encoded beforehand.
        fence = len(open_object) // 3 * 3
        head = self._header + _base64url(open_object[:fence])
        return partial(self._mint, head, open_object[fence:])

    def _mint(self, head: bytes, rest: bytes, attendee: Attendee) -> str:
        personal = compact(personal_claims(self._server, attendee)).encode("ascii")
        message = head + _base64url(rest + personal[1:])
        return (message + b"." + _base64url(self._sign(message))).decode("ascii")


def verifies(message: bytes, signature: bytes, key: SigningKey) -> bool:
    """Return whether `signature` is what `key` makes of a token's first two segments."""
    if isinstance(key.key, bytes):
        return _hmac(key.algorithm).verify(message, key.key, signature)
    return _rsa(key.algorithm).verify(message, key.key.public_key(), signature)


def _base64url(octets: bytes) -> bytes:
    return urlsafe_b64encode(octets).rstrip(b"=")


def _signer(key: SigningKey) -> Callable[[bytes], bytes]:
    """Return PyJWT's own signing with its key already prepared."""
    if key.algorithm not in ALGORITHMS:
        raise KeyRefused(f"an algorithm that Jitsi verifies: {', '.join(ALGORITHMS)}")
    if key.algorithm.startswith("HS"):
        if not isinstance(key.key, bytes):
            raise KeyRefused(f"a secret for {key.algorithm}, not a private key")
        return partial(_hmac(key.algorithm).sign, key=key.key)
    if not isinstance(key.key, RSAPrivateKey):
        raise KeyRefused(f"an RSA private key for {key.algorithm}, not a secret")
    return partial(_rsa(key.algorithm).sign, key=key.key)


def _hmac(algorithm: str) -> HMACAlgorithm:
    return HMACAlgorithm(HASHES[algorithm[2:]])


def _rsa(algorithm: str) -> RSAAlgorithm:
    hashes = {"256": RSAAlgorithm.SHA256, "384": RSAAlgorithm.SHA384, "512": RSAAlgorithm.SHA512}
    return RSAAlgorithm(cast("Any", hashes[algorithm[2:]]))
