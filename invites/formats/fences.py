"""Base64 with slots: what is shared by many messages is encoded once.

Base64 turns each three bytes into four characters, so text after a slot depends on the slot's
length only modulo three.
Each fixed piece is therefore encoded ahead for the three places it can start at, and filling a slot
encodes the slot's own bytes and at most four neighbours.
A line may end early (RFC 2045 6.8 limits it to 76 characters and asks for no minimum), so a slot
starts a line of its own and nothing after it has to be wrapped again.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct

LINE = 76
"""Characters of a base64 line at most (RFC 2045 6.8)."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A place in a body that each message fills with bytes of its own."""

    name: str


def encoded(content: bytes) -> bytes:
    """Return `content` in base64, in CRLF-ended lines of at most 76 characters."""
    return _lines(b2a_base64(content, newline=False))


def _lines(text: bytes) -> bytes:
    whole, rest = divmod(len(text), LINE)
    if not whole:
        return text + b"\r\n" if text else b""
    if not rest:
        return b"\r\n".join((*_cutter(whole)(text), b""))
    return b"\r\n".join((*_cutter(whole)(text), text[-rest:], b""))


@lru_cache(maxsize=4096)
def _cutter(lines: int) -> Callable[[bytes], tuple[bytes, ...]]:
    """Return what cuts a text into so many whole lines: a third of what slicing each costs."""
    return Struct(f"{LINE}s" * lines).unpack_from


@dataclass(frozen=True, slots=True)
class _Fixed:
    """A fixed piece as it stands after `carried` bytes: bytes that close a triple, lines, rest."""

    opening: bytes
    lines: bytes
    rest: bytes


def _fixed(piece: bytes, carried: int) -> _Fixed:
    opening = (3 - carried) % 3
    if len(piece) < opening:
        return _Fixed(piece, b"", b"")
    whole = opening + (len(piece) - opening) // 3 * 3
    return _Fixed(piece[:opening], encoded(piece[opening:whole]), piece[whole:])


class _Piece:
    """A fixed piece, encoded for each of the three places it can start at once one is asked for."""

    __slots__ = ("_content", "_encoded")

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._encoded: list[_Fixed | None] = [None, None, None]

    def after(self, carried: int) -> _Fixed:
        fixed = self._encoded[carried]
        if fixed is None:
            fixed = self._encoded[carried] = _fixed(self._content, carried)
        return fixed


class FencedBody:
    """A body in base64 whose gaps are filled for each message.

    `pieces` alternate freely between bytes and gaps.
    """

    __slots__ = ("_steps",)

    def __init__(self, pieces: Sequence[bytes | Gap]) -> None:
        """Take the pieces; what is fixed is encoded when a message first needs it."""
        self._steps = [
            piece.name if isinstance(piece, Gap) else _Piece(piece) for piece in _merged(pieces)
        ]

    def filled(self, values: Mapping[str, bytes]) -> bytes:
        """Return the body with each gap filled; a gap without a value is a KeyError."""
        parts: list[bytes] = []
        pending = b""
        for step in self._steps:
            if isinstance(step, str):
                pending += values[step]
                continue
            fixed = step.after(len(pending) % 3)
            pending += fixed.opening
            if len(pending) % 3:
                continue
            if pending:
                parts.append(_lines(b2a_base64(pending, newline=False)))
            parts.append(fixed.lines)
            pending = fixed.rest
        if pending:
            parts.append(_lines(b2a_base64(pending, newline=False)))
        return b"".join(parts)


def _merged(pieces: Sequence[bytes | Gap]) -> list[bytes | Gap]:
    merged: list[bytes | Gap] = []
    for piece in pieces:
        if isinstance(piece, bytes) and merged and isinstance(merged[-1], bytes):
            merged[-1] += piece
        elif piece != b"":
            merged.append(piece)
    return merged
