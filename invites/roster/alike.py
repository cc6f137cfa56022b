"""Rows of one meeting whose meeting cells have the same text, and what these cells say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from invites.addresses import Address
from invites.problems import escaped
from invites.roster.cells import NamedRoom
from invites.roster.rows import Cells


@dataclass(slots=True)
class AlikeRows:
    """Rows whose meeting cells have the same text, in their order, and what these cells are."""

    rows: list[int]
    cells: Cells
    values: dict[str, Any]

    @property
    def row(self) -> int:
        """The first of them."""
        return self.rows[0]


def key_of(value: object) -> object:
    """Return what two cells have in common that say the same."""
    match value:
        case Address():
            return value.address
        case NamedRoom():
            return value.room.claim
        case _:
            return value


def as_in(first: AlikeRows, at: int) -> str:
    """Return what is expected of a cell that has to say what these rows say."""
    return f'"{escaped(first.cells[at])}" as in row {first.row} of the same meeting'


def agreed(alike: Iterable[AlikeRows], name: str) -> Any:
    """Return the value that the rows give, None where none does."""
    stated = (group.values.get(name) for group in alike)
    return next((value for value in stated if value is not None), None)
