"""Text that many messages share, with gaps that each one fills with its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gap:
    """A place that each message fills with the value of this name."""

    name: str


class Gapped:
    """Bytes with gaps; `pieces` alternate freely between bytes and gaps."""

    __slots__ = ("_pieces",)

    def __init__(self, pieces: Sequence[bytes | Gap]) -> None:
        """Take the pieces in their order."""
        self._pieces = [piece.name if isinstance(piece, Gap) else piece for piece in pieces]

    def filled(self, values: Mapping[str, bytes]) -> bytes:
        """Return the bytes with each gap filled; a gap without a value is a KeyError."""
        return b"".join(
            [values[piece] if isinstance(piece, str) else piece for piece in self._pieces]
        )
