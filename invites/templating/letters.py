"""Renders letters: one for all attendees of a meeting who share it, or one for one attendee."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from invites.templating.context import (
    KINDS_WITH_LINK,
    LINK,
    LINK_NAMES,
    MARKERS,
    Columns,
    LetterFacts,
    attendee_view,
    joined,
    meeting_context,
    part_files,
    plain,
    zone_context,
)
from invites.templating.share import COLUMN, Part, SharedLetter, markers, split

if TYPE_CHECKING:
    from invites.model import Attendee, Kind
    from invites.templating.context import PartName
    from invites.templating.load import Templates


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One rendered letter: `subject` is one line, all line ends are LF.

    `notes` follow the link's line in the calendar entry; "" where the kind has no link.
    The texts hold a live link: they never reach a log or a `repr`.
    """

    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    notes: str = field(repr=False)


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
        return self._templates.sharing(kind).key(attendee)

    def shared(
        self, kind: Kind, facts: LetterFacts, attendee: Attendee, link: str = ""
    ) -> SharedLetter:
        """Render once for all attendees whose key equals that of `attendee`.

        `link` is the attendee's; it is used only where a template computes with it.
        Raises TemplateError with file and line.
        """
        slots = self._templates.sharing(kind).slots
        letter = self._rendered(kind, facts, attendee, link, markers(slots))
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
        marked: Mapping[str, str],
    ) -> Letter:
        context = self._context(kind, facts, attendee) | {
            "attendee": attendee_view(attendee, marked),
            "columns": Columns(_columns(attendee, marked)),
        }
        if kind in KINDS_WITH_LINK:
            context["link"] = marked.get(LINK, link)

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
        # By identity: a meeting's facts come in a row, and to compare their values would cost more.
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


def _columns(attendee: Attendee, marked: Mapping[str, str]) -> Mapping[str, str]:
    """Return the attendee's columns, with markers for those that are there and are slots."""
    texts = attendee.columns
    if any(MARKERS[0] in text or MARKERS[1] in text for text in texts.values()):
        texts = {name: plain(text) for name, text in texts.items()}
    slots = {
        name: marker
        for slot, marker in marked.items()
        if slot.startswith(COLUMN) and (name := slot.removeprefix(COLUMN)) in texts
    }
    return {**texts, **slots} if slots else texts
