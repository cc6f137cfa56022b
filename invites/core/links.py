"""Links and tokens taken apart: what somebody else made, read as Jitsi reads it, trusting nothing.

Nothing in here is printed with the token itself; `Token` and `Link` keep it out of their `repr`.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn
from urllib.parse import quote, unquote, urlsplit

from invites.core.rooms import CLAIM_SAFE, folded_room

if TYPE_CHECKING:
    from collections.abc import Mapping

DELETED: Final = str.maketrans("", "", ":?#[]@!$&'()*+,;=></\"")
"""Literal characters that the web client deletes from a link's room (`uri.ts`)."""

_SEGMENT = r"[A-Za-z0-9_-]+"
_TOKEN: Final = rf"ey{_SEGMENT}\.{_SEGMENT}\.{_SEGMENT}"
_TOKEN_ALONE = re.compile(r"[^\s.:]+\.[^\s.:]+\.[^\s.:]*")  # a colon makes it an address
_LINK_IN_TEXT = re.compile(rf"https?://[^\s<>\"']+?[?#&]jwt=(?:%22|\")?{_TOKEN}(?:%22|\")?")
_JWT = re.compile(r"(?:^|&)jwt=([^&]*)")


class NotAToken(ValueError):  # noqa: N818 - it reads as a verdict, and is caught as one
    """A text that is no token or holds none; the text of the error never shows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token's header and claims, and what a signature is checked with.

    `clean` is false where the segments are not plain base64url without padding, `signed` where the
    last one, the signature, is empty.
    """

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    message: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    clean: bool = True
    signed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A join link taken apart as the web client does it.

    `segment` is the path's last one as it stands in the link; `tenant` what is before it.
    `place` says where the token stands: `fragment` is JSON in quotes, `bare` lacks the quotes,
    `late` is a query behind the fragment.
    `both` is true where query and fragment have a token; then the fragment's is the one here.
    """

    scheme: str
    host: str
    tenant: str
    segment: str
    place: Literal["query", "fragment", "bare", "late"]
    both: bool
    length: int
    token: str = field(repr=False)

    @property
    def room(self) -> str | None:
        """Return the room that the web client asks the server for; None where it can't be read."""
        return room_on_the_server(self.segment)


def token_from(text: str) -> Token:
    """Return the token in `text` taken apart; raises NotAToken where it is none."""
    parts = text.split(".")
    if len(parts) != 3:
        raise NotAToken("a token has three segments")
    header, claims = (_json_object(part) for part in parts[:2])
    return Token(
        header=header,
        claims=claims,
        message=f"{parts[0]}.{parts[1]}".encode("utf-8", "replace"),
        signature=_octets(parts[2]) or b"",
        clean=all(re.fullmatch(_SEGMENT, part) for part in parts),
        signed=parts[2] != "",
    )


def looks_like_token(text: str) -> bool:
    """Return whether `text` has the shape of a token, whatever is in it."""
    return _TOKEN_ALONE.fullmatch(text) is not None


def links_in(text: str) -> list[str]:
    """Return the join links in a longer text, in order, each once."""
    return list(dict.fromkeys(_LINK_IN_TEXT.findall(text)))


def link_from(text: str) -> Link:
    """Return a join link taken apart; raises NotAToken where it has no token."""
    try:
        parts = urlsplit(text)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        raise NotAToken("the link can't be read") from None
    place, token = _token_in(parts.query, parts.fragment)
    *before, segment = parts.path.removeprefix("/").split("/")
    return Link(
        scheme=parts.scheme.lower(),
        host=host.lower(),
        tenant="/".join(before),
        segment=segment,
        place=place,
        both=bool(_JWT.search(parts.query)) and place in {"fragment", "bare"},
        length=len(text),
        token=token,
    )


def _token_in(
    query: str, fragment: str
) -> tuple[Literal["query", "fragment", "bare", "late"], str]:
    in_query, in_fragment = _JWT.search(query), _JWT.search(fragment)
    quoted = in_fragment and re.fullmatch(r"(?:%22|\")(.*)(?:%22|\")", in_fragment[1])
    if quoted:
        return "fragment", quoted[1]
    if in_query:
        return "query", in_query[1]
    if in_fragment:
        return "bare", in_fragment[1]
    if late := re.search(r"\?(?:[^#]*&)?jwt=([^&]*)", fragment):
        return "late", late[1]
    raise NotAToken("the link has no jwt= in its query or fragment")


def room_on_the_server(segment: str) -> str | None:
    """Return the room that the web client makes of a link's segment, as the server knows it.

    None where its percent-encoding is none, on which the web client gives up.
    """
    try:
        decoded = unquote(segment.translate(DELETED), errors="strict")
        return quote(folded_room(decoded), safe=CLAIM_SAFE).lower()
    except (UnicodeDecodeError, UnicodeEncodeError):
        return None


def room_text(claim: str) -> str:
    """Return a room as people write it, from its form on the server; as it is where that fails."""
    try:
        return unquote(claim, errors="strict")
    except UnicodeDecodeError:
        return claim


def claim_for_text(text: str) -> str:
    """Return the claim that a room's text should have been, for a claim that nobody can reach."""
    return quote(folded_room(text), safe=CLAIM_SAFE, errors="replace").lower()


def _octets(segment: str) -> bytes | None:
    """Return what a segment encodes; lenient about padding and the standard alphabet."""
    plain = segment.rstrip("=").replace("+", "-").replace("/", "_")
    if not re.fullmatch(_SEGMENT, plain):
        return None
    try:
        return urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
    except ValueError:
        return None


def _json_object(segment: str) -> dict[str, Any]:
    octets = _octets(segment)
    if octets is None:
        raise NotAToken("a segment is not base64url")
    try:
        value = json.loads(octets.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise NotAToken("a segment is not JSON") from None
    if not isinstance(value, dict):
        raise NotAToken("a segment is no JSON object")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
