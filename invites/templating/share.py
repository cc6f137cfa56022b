"""Writes letters: one rendering per variant of a meeting, or one for an attendee."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from invites.errors import TemplateError
from invites.model import Kind
from invites.templating.analysis import ATTENDEE, COLUMNS, Path, Trees, Uses, uses_of
from invites.templating.context import (
    KINDS_WITH_LINK,
    LINK_NAMES,
    Columns,
    attendee_view,
    is_optional,
    meeting_context,
    part_files,
    zone_context,
)
from invites.templating.letters import (
    COLUMN,
    LINK,
    MARKERS,
    Letter,
    LetterFacts,
    Part,
    SharedLetter,
    Slot,
    joined,
    plain,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from invites.model import Attendee, Kind
    from invites.templating.context import PartName
    from invites.templating.load import Templates


class LetterWriter:
    """Writes the letters of one run, meeting by meeting; remembers only the latest facts."""

    def __init__(self, templates: Templates, *, reason_shown: bool = False) -> None:
        """Write with `templates`; `reason_shown` puts Jinja2's words, and values, into errors."""
        self._templates = templates
        self._reason_shown = reason_shown
        self._facts: LetterFacts | None = None
        self._contexts: dict[tuple[Kind, str], dict[str, object]] = {}

    def key(self, kind: Kind, attendee: Attendee) -> Hashable:
        """Return what the letter depends on apart from its slots.

        Attendees of one meeting with equal facts and equal keys share one rendering.
        """
        return self._templates.variants(kind).key(attendee)

    def shared(
        self, kind: Kind, facts: LetterFacts, attendee: Attendee, link: str = ""
    ) -> SharedLetter:
        """Render once for all attendees whose key equals that of `attendee`.

        `link` is the attendee's; it is used only where a template computes with it.
        Raises TemplateError with file and line.
        """
        slots = self._templates.variants(kind).slots
        markers = {slot.name: marker(number) for number, slot in enumerate(slots)}
        letter = self._rendered(kind, facts, attendee, link, markers)

        files = part_files(kind)

        def part(name: PartName, text: str) -> Part:
            return split(text, slots, files.get(name, ""))

        return SharedLetter(
            subject=part("subject", letter.subject),
            text=part("text", letter.text),
            html=part("html", letter.html),
            notes=part("notes", letter.notes),
        )

    def letter(self, kind: Kind, facts: LetterFacts, attendee: Attendee, link: str = "") -> Letter:
        """Render for one attendee, all values in place: what a shared letter must equal.

        Raises TemplateError with file and line.
        """
        return self._rendered(kind, facts, attendee, link, {})

    def _rendered(
        self,
        kind: Kind,
        facts: LetterFacts,
        attendee: Attendee,
        link: str,
        markers: Mapping[str, str],
    ) -> Letter:
        context = self._context(kind, facts, attendee) | {
            "attendee": attendee_view(attendee, markers),
            "columns": Columns(_columns(attendee, markers)),
        }
        if kind in KINDS_WITH_LINK:
            context["link"] = markers.get(LINK, link)

        def part(name: PartName) -> str:
            return self._templates.render(kind, name, context, reason_shown=self._reason_shown)

        return Letter(
            subject=joined(part("subject")),
            text=part("text"),
            html=part("html"),
            notes=part("notes"),
        )

    def _context(self, kind: Kind, facts: LetterFacts, attendee: Attendee) -> dict[str, object]:
        """Return what does not depend on the attendee, but for the zone; made once for each."""
        if facts is not self._facts:
            self._facts, self._contexts = facts, {}
        zone = attendee.timezone or facts.meeting.timezone
        if (kind, zone) not in self._contexts:
            context = meeting_context(facts) | zone_context(facts, zone) | {"kind": kind.value}
            hidden = frozenset() if kind in KINDS_WITH_LINK else LINK_NAMES
            self._contexts[kind, zone] = dict(self._templates.names_of_jinja) | {
                name: value for name, value in context.items() if name not in hidden
            }
        return self._contexts[kind, zone]


def _columns(attendee: Attendee, markers: Mapping[str, str]) -> Mapping[str, str]:
    """Return the attendee's columns, with markers for those that are there and are slots."""
    texts = attendee.columns
    if any(MARKERS[0] in text or MARKERS[1] in text for text in texts.values()):
        texts = {name: plain(text) for name, text in texts.items()}
    marked = {
        name: text
        for slot, text in markers.items()
        if slot.startswith(COLUMN) and (name := slot.removeprefix(COLUMN)) in texts
    }
    return {**texts, **marked} if marked else texts


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
        tuple(map(_as_slot, slots)),
        _getters(sorted(uses.used() - set(slots)), untraceable=uses.untraceable),
        computes_columns=uses.untraceable or any(root == COLUMNS for root, *_ in uses.computed),
    )


def _as_slot(path: Path) -> Slot:
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


START, END = MARKERS[0], MARKERS[1]
_MARKER = re.compile(f"{START}([0-9]+){END}")


def marker(number: int) -> str:
    """Return the text that stands for slot `number`; HTML escaping leaves it as it is."""
    return f"{START}{number}{END}"


def split(text: str, slots: Sequence[Slot], template: str) -> Part:
    """Return rendered `text` with slots in place of their markers.

    Raises TemplateError where the template made a marker's character of its own.
    """
    pieces: list[str | Slot] = []
    for index, piece in enumerate(_MARKER.split(text)):
        if index % 2:
            pieces.append(_slot(int(piece), slots, template))
        elif piece:
            _check(piece, template)
            pieces.append(piece)
    return tuple(pieces)


def _slot(number: int, slots: Sequence[Slot], template: str) -> Slot:
    if number >= len(slots):
        raise _control_character(template)
    return slots[number]


def _check(piece: str, template: str) -> None:
    if START in piece or END in piece:
        raise _control_character(template)


def _control_character(template: str) -> TemplateError:
    return TemplateError(
        f"{template}: writes the control character U+0001 or U+0002, expected text only; "
        "remove it from the template"
    )
