"""What the letters of one kind share: which values are slots, and which make a variant."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from invites.core.model import Kind
from invites.templating.analysis import ATTENDEE, COLUMNS, Path, Trees, Uses, uses_of
from invites.templating.kinds import part_files
from invites.templating.letters import COLUMN, LINK, Slot
from invites.templating.views import is_optional

if TYPE_CHECKING:
    from invites.core.model import Attendee

Getter = Callable[["Attendee"], Hashable]


@dataclass(frozen=True, slots=True)
class Variants:
    """How attendees share the letters of one kind."""

    slots: tuple[Slot, ...]
    getters: tuple[Getter, ...]
    """Each returns one value that the letter depends on."""

    computes_columns: bool

    def key(self, attendee: Attendee) -> Hashable:
        """Return what the letter depends on apart from its slots and the meeting's facts."""
        if len(self.getters) == 1:
            return self.getters[0](attendee)
        return tuple([getter(attendee) for getter in self.getters])


def variants_of(kind: Kind, trees: Trees) -> Variants:
    """Return how the templates of `kind` let attendees share letters.

    A value is a slot only where every part that uses it lets it be one.
    """
    uses = Uses()
    for part, name in part_files(kind).items():
        uses.add(uses_of(name, trees), only_filled=part == "subject")
    slots = sorted(uses.slots())
    return Variants(
        tuple(map(_slot, slots)),
        _getters(sorted(uses.used() - set(slots)), untraceable=uses.untraceable),
        computes_columns=uses.untraceable or any(root == COLUMNS for root, *_ in uses.computed),
    )


def _slot(path: Path) -> Slot:
    root, *rest = path
    return Slot(LINK if root == LINK else rest[0] if root == ATTENDEE else COLUMN + rest[0])


def _getters(computed: list[Path], *, untraceable: bool) -> tuple[Getter, ...]:
    whole = {(ATTENDEE,), (LINK,)}
    if untraceable or not whole.isdisjoint(computed):
        return (_each,)
    fields = attrgetter("timezone", *(path[1] for path in computed if not _is_made(path)))
    return (fields, *(_getter(path) for path in computed if _is_made(path)))


def _is_made(path: Path) -> bool:
    """Tell whether a value is made from the attendee, and is not simply one of its fields."""
    return path[0] != ATTENDEE or path[1] == "optional"


def _each(attendee: Attendee) -> Hashable:
    """Nobody shares: the address is unique within a meeting."""
    return attendee.address


def _getter(path: Path) -> Getter:
    match path:
        case (root,) if root == COLUMNS:
            return lambda attendee: tuple(attendee.columns.items())
        case (root, name) if root == COLUMNS:
            return lambda attendee: attendee.columns.get(name)
        case _:
            return is_optional
