"""A token that somebody else made, taken apart as Jitsi reads it, its claims in words, and features.

A roster names a feature to switch it on, with a hyphen before it to switch it off.

Nothing in here is printed with the token itself; `Token` keeps it out of its `repr`.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, TypeGuard

from invites.problems import FOUND_AT_MOST, escaped
from invites.text import BASE64URL

LEVELS_AT_MOST: Final = 50
"""Objects and lists within each other in a token: Jitsi's own have three."""

_SEGMENT = re.compile(BASE64URL)


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
        clean=all(_SEGMENT.fullmatch(part) for part in parts),
        signed=parts[2] != "",
    )


def _octets(segment: str) -> bytes | None:
    """Return what a segment encodes; lenient about padding and the standard alphabet."""
    plain = segment.rstrip("=").replace("+", "-").replace("/", "_")
    if not _SEGMENT.fullmatch(plain):
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
    if _is_deep(value):
        raise NotAToken(f"a segment is JSON of more than {LEVELS_AT_MOST} levels")
    return value


def _is_deep(value: dict[str, Any]) -> bool:
    """Tell whether objects and lists stand more than LEVELS_AT_MOST within each other.

    Level by level and not by recursion, which is what such JSON is meant to exhaust.
    """
    level: list[Any] = [value]
    for _ in range(LEVELS_AT_MOST):
        lists = [each.values() if isinstance(each, dict) else each for each in level]
        level = [each for values in lists for each in values if isinstance(each, dict | list)]
        if not level:
            return False
    return True


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def mapping(value: object) -> Mapping[str, Any]:
    """Return `value` where it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def is_text(value: object) -> TypeGuard[str]:
    """Return whether a JSON value is a text that is not empty."""
    return isinstance(value, str) and value != ""


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a JSON value is a number; true and false are none, as they are for Python."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_any_of(value: object, these: tuple[object, ...]) -> bool:
    """Return whether a JSON value is one of these; 1 is not true, as it is for Python."""
    return any(type(value) is type(each) and value == each for each in these)


def room_is_pattern(claims: Mapping[str, Any]) -> bool:
    """Return whether the token says that its room is a Lua pattern."""
    room = mapping(mapping(claims.get("context")).get("room"))
    return room.get("regex") is True


def ascii_lower(text: str) -> str:
    """Return `text` as Lua's `string.lower` has it, which is what the server does to a room."""
    return "".join(char.lower() if char.isascii() else char for char in text)


def walked(claims: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every value in the claims with its path; a list's members have the list's path."""
    waiting: list[tuple[str, Any]] = list(claims.items())[::-1]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        if isinstance(value, Mapping):
            waiting += [(f"{path}.{name}", each) for name, each in value.items()][::-1]
        elif isinstance(value, list):
            waiting += [(path, each) for each in value[::-1]]


def numeric_date(seconds: float) -> datetime | None:
    """Return a time claim in UTC; None where it is beyond the years that a calendar has."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def instant_text(seconds: float) -> str:
    """Return a time claim as people read it, in UTC; a number that is no date as that number."""
    moment = numeric_date(seconds)
    return (
        f"second {str(seconds)[:FOUND_AT_MOST]} after 1970"
        if moment is None
        else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    )


def shown(claims: Mapping[str, Any], name: str) -> str:
    """Return the claim of this name in words, "missing" where there is none."""
    return in_words(claims[name]) if name in claims else "missing"


def in_words(value: object) -> str:
    """Return a JSON value in words: texts quoted, escaped and cut at 60 characters."""
    match value:
        case str():
            return quoted(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {str(value)[:FOUND_AT_MOST]}"
        case list():
            return "a list"
        case _:
            return "an object"


def quoted(text: str) -> str:
    """Return `text` in quotes, escaped and cut at 60 characters."""
    return f'"{escaped(text)}"'


FEATURES: Final = (
    "livestreaming",
    "recording",
    "transcription",
    "outbound-call",
    "sip-outbound-call",
    "inbound-call",
    "file-upload",
    "list-visitors",
    "send-groupchat",
    "create-polls",
    "flip",
    "branding",
    "calendar",
    "lobby",
    "room",
    "screen-sharing",
    "moderation",
    "sip-inbound-call",
    "live-translation",
    "live-translation-subscribe",
)
"""The features that Jitsi knows (`context.features`)."""

JAAS_FEATURES: Final = (
    "livestreaming",
    "recording",
    "transcription",
    "outbound-call",
    "sip-outbound-call",
)
"""The features that a JaaS token always has, each with "true" or "false"."""

OFF: Final = "-"
"""What stands before a feature that is switched off."""


def switched(features: Iterable[str]) -> dict[str, bool]:
    """Return a roster's features by name, and whether each is on."""
    return {name.removeprefix(OFF): not name.startswith(OFF) for name in features}


def is_known(feature: str) -> bool:
    """Return whether a feature, with or without the hyphen that switches it off, is Jitsi's."""
    return feature.removeprefix(OFF) in FEATURES
