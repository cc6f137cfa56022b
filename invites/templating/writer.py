"""Writes letters: one rendering per variant of a meeting, or one for an attendee."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from invites.core.model import Kind
from invites.templating.letters import LINK, Letter, LetterFacts, Part, SharedLetter, Slot, one_line
from invites.templating.views import (
    KINDS_WITH_LINK,
    LINK_NAMES,
    Columns,
    attendee_view,
    meeting_context,
    zone_context,
)

if TYPE_CHECKING:
    from collections.abc import Hashable

    from invites.core.model import Attendee
    from invites.templating.library import Templates


class LetterWriter:
    """Writes the letters of one run, meeting by meeting; remembers only the latest meeting."""

    def __init__(self, templates: Templates) -> None:
        """Write with `templates`."""
        self._templates = templates
        self._facts: LetterFacts | None = None
        self._meeting: dict[str, object] = {}
        self._zones: dict[str, dict[str, object]] = {}

    def key(self, kind: Kind, attendee: Attendee) -> Hashable:  # noqa: ARG002 - for now
        """Return what the letter depends on apart from its slots.

        Attendees of one meeting with equal facts and equal keys share one rendering.
        """
        return attendee.address

    def shared(
        self, kind: Kind, facts: LetterFacts, attendee: Attendee, link: str = ""
    ) -> SharedLetter:
        """Render once for all attendees whose key equals that of `attendee`.

        `link` is the attendee's; it is used only where a template computes with it.
        Raises TemplateError with file and line.
        """
        letter = self.letter(kind, facts, attendee, link)
        return SharedLetter(
            subject=(letter.subject,),
            text=_split(letter.text, link),
            html=_split(letter.html, link),
            notes=_split(letter.notes, link),
        )

    def letter(self, kind: Kind, facts: LetterFacts, attendee: Attendee, link: str = "") -> Letter:
        """Render for one attendee, all values in place: what a shared letter must equal.

        Raises TemplateError with file and line.
        """
        context = self._context(kind, facts, attendee)
        context["attendee"] = attendee_view(attendee, {})
        context["columns"] = Columns(attendee.columns)
        if kind in KINDS_WITH_LINK:
            context["link"] = link
        render = self._templates.render
        return Letter(
            subject=one_line(render(kind, "subject", context)),
            text=render(kind, "text", context),
            html=render(kind, "html", context),
            notes=render(kind, "notes", context),
        )

    def _context(self, kind: Kind, facts: LetterFacts, attendee: Attendee) -> dict[str, object]:
        if facts is not self._facts:
            self._facts, self._meeting, self._zones = facts, meeting_context(facts), {}
        zone = attendee.timezone or facts.meeting.timezone
        if zone not in self._zones:
            self._zones[zone] = self._meeting | zone_context(facts, zone)
        context = {**self._zones[zone], "kind": kind.value}
        if kind not in KINDS_WITH_LINK:
            for name in LINK_NAMES:
                context.pop(name, None)
        return context


def _split(text: str, link: str) -> Part:
    if not link:
        return (text,)
    pieces: list[str | Slot] = []
    for piece in re.split(f"({re.escape(link)})", text):
        if piece == link:
            pieces.append(Slot(LINK))
        elif piece:
            pieces.append(piece)
    return tuple(pieces)
