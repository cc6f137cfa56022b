"""What the attendees of a meeting with equal keys share: a letter, made ready to be filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from markupsafe import escape

from invites.messages.calendar import EventSkeleton
from invites.messages.encoding import Body, Gap
from invites.messages.mime import subject_field
from invites.messages.verify import check_subject
from invites.model import Attendee, Kind, Method, Revision
from invites.templating import Part, SharedLetter, Slot, filled


@dataclass(frozen=True, slots=True)
class Variant:
    """A shared letter as bytes with gaps; `event` is None for a reminder."""

    slots: tuple[Slot, ...]
    event: EventSkeleton | None
    _kind: Kind
    _subject: bytes | Part
    _text: Body
    _html: Body

    @classmethod
    def of(cls, letter: SharedLetter, event: EventSkeleton | None, revision: Revision) -> Self:
        """Encode what is fixed in `letter`; `event` gets its notes."""
        has_slots = any(isinstance(piece, Slot) for piece in letter.subject)
        return cls(
            tuple(letter.slots),
            event and event.with_notes(_notes(letter, revision)),
            revision.kind,
            letter.subject if has_slots else subject_field("".join(map(str, letter.subject))),
            Body([_piece(piece) for piece in letter.text]),
            Body([_piece(piece) for piece in letter.html]),
        )

    def values(self, attendee: Attendee, link: str) -> dict[str, str]:
        """Return what fills the gaps for one attendee, by the slots' names."""
        return {slot.name: slot.value(attendee, link) for slot in self.slots}

    def subject(self, attendee: Attendee, link: str) -> bytes:
        """Return Subject as a finished header field; TemplateError where it has no text."""
        if isinstance(self._subject, bytes):
            return self._subject
        text = filled(self._subject, attendee, link)
        return subject_field(check_subject(text, self._kind, row=attendee.row))

    def text(self, values: Mapping[str, str]) -> bytes:
        """Return the text in base64."""
        return self._text.filled({name: _mailed(value) for name, value in values.items()})

    def html(self, values: Mapping[str, str]) -> bytes:
        """Return the HTML in base64; values are escaped as Jinja2 does it."""
        return self._html.filled({name: _mailed(escape(value)) for name, value in values.items()})


def _notes(letter: SharedLetter, revision: Revision) -> list[str | Gap]:
    """Return the notes of a calendar entry; an empty line parts them from the link."""
    notes = [Gap(piece.name) if isinstance(piece, Slot) else piece for piece in letter.notes]
    return ["\n\n", *notes] if notes and revision.method is Method.REQUEST else notes


def _piece(piece: str | Slot) -> bytes | Gap:
    return Gap(piece.name) if isinstance(piece, Slot) else _mailed(piece)


def _mailed(text: str) -> bytes:
    """Return text as a body has it: UTF-8 with CRLF line ends (RFC 2046 4.1.1)."""
    return text.encode().replace(b"\n", b"\r\n")
