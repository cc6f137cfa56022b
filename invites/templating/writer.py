"""Writes letters: one rendering per variant of a meeting, or one for an attendee."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invites.templating.kinds import KINDS_WITH_LINK, part_files
from invites.templating.letters import (
    COLUMN,
    LINK,
    MARKERS,
    Letter,
    LetterFacts,
    Part,
    SharedLetter,
    joined,
    plain,
)
from invites.templating.slots import marker, split
from invites.templating.views import (
    LINK_NAMES,
    Columns,
    attendee_view,
    meeting_context,
    zone_context,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from invites.core.model import Attendee, Kind
    from invites.templating.kinds import PartName
    from invites.templating.library import Templates


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
