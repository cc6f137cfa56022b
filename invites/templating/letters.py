"""Renders letters: one for all who share it, or one for one attendee."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from invites.errors import TemplateError
from invites.templating.context import (
    KINDS_WITH_LINK,
    LetterFacts,
    meeting_context,
    part_files,
    zone_context,
)
from invites.templating.evaluate import CONTROL, Evaluation
from invites.templating.outline import Slot
from invites.templating.share import Part, Variant, split
from invites.templating.views import LINK_NAMES, Columns, attendee_view, is_host, joined, plain

if TYPE_CHECKING:
    from invites.invitation import Kind
    from invites.model import Attendee
    from invites.templating.context import PartName
    from invites.templating.load import Templates
    from invites.templating.views import DateLinkView


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One rendered letter: `subject` is one line, all line ends are LF.

    `notes` stand above the link's line in the calendar entry; "" where the kind has no link.
    The texts hold a live link: they never reach a log or a `repr`.
    """

    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    notes: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedLetter:
    """What several letters of a meeting have in common, with slots for each attendee's own.

    The lines of a subject with slots are joined when they are filled in (`subject_of`).
    Where a template computes with the link, the texts hold a live one.
    """

    subject: Part = field(repr=False)
    text: Part = field(repr=False)
    html: Part = field(repr=False)
    notes: Part = field(repr=False)
    values: Callable[[Attendee, str], Mapping[Slot, str]] = field(repr=False, compare=False)
    """From an attendee and the link to the values of all slots; raises TemplateError."""

    def letter(self, attendee: Attendee, link: str) -> Letter:
        """Return the letter of one attendee."""
        values = self.values(attendee, link)
        return Letter(
            subject=subject_of(self.subject, values),
            text=text_of(self.text, values),
            html=text_of(self.html, values),
            notes=text_of(self.notes, values),
        )


def text_of(part: Part, values: Mapping[Slot, str]) -> str:
    """Return `part` with all slots filled in; KeyError for one without a value."""
    return "".join([values[piece] if isinstance(piece, Slot) else piece for piece in part])


def subject_of(part: Part, values: Mapping[Slot, str]) -> str:
    """Return a subject with all slots filled in, as one line."""
    return joined(text_of(part, values))


@dataclass(frozen=True, slots=True)
class _Told:
    """The facts of a meeting, with what was made of them: contexts, and letters by who shares them."""

    facts: LetterFacts
    contexts: dict[tuple[Kind, str, str], dict[str, object]] = field(default_factory=dict)
    letters: dict[tuple[Kind, Hashable, bool], SharedLetter] = field(default_factory=dict)


class LetterWriter:
    """Writes the letters of one run, meeting by meeting; remembers only the latest facts."""

    def __init__(self, templates: Templates, *, reason_shown: bool = False) -> None:
        """Write with `templates`; `reason_shown` puts Jinja2's words, and values, into errors."""
        self._templates = templates
        self._reason_shown = reason_shown
        self._latest: _Told | None = None

    def shared(
        self, kind: Kind, facts: LetterFacts, attendee: Attendee, link: str = ""
    ) -> SharedLetter:
        """Return the letter that `attendee` shares: the same object for all who do.

        `link` is the attendee's, or one a line where dates have their own.
        Raises TemplateError with file and line.
        """
        if facts.links:
            # As many links as dates: no slot is for that.
            return self._alone(kind, facts, attendee, link)
        told = self._told(facts)
        sharing = self._templates.sharing(kind)
        key = (kind, sharing.key(attendee), is_host(attendee, facts.meeting))
        letter = told.letters.get(key)
        if letter is not None:
            return letter
        if not sharing.alone:
            # What fails here is told by Jinja2's own rendering, below.
            with suppress(Exception):
                context = self._context(kind, told, attendee, link)
                variant = sharing.variant(context)
                letter = self._with_slots(kind, told, variant, variant.filled(context))
                told.letters[key] = letter
                return letter
        return self._alone(kind, facts, attendee, link)

    def _with_slots(
        self, kind: Kind, told: _Told, variant: Variant, parts: Mapping[PartName, Part]
    ) -> SharedLetter:
        own, computed = variant.own, variant.computed
        if computed is None:
            return _letter(parts, lambda person, link: {s: value(person, link) for s, value in own})

        def values(attendee: Attendee, link: str) -> dict[Slot, str]:
            theirs = {slot: value(attendee, link) for slot, value in own}
            return theirs | self._computed(computed, kind, told, attendee, link)

        return _letter(parts, values)

    def _computed(
        self, evaluation: Evaluation, kind: Kind, told: _Told, attendee: Attendee, link: str
    ) -> dict[Slot, str]:
        """Return the values that templates make of an attendee's facts."""
        try:
            texts = evaluation.texts(self._context(kind, told, attendee, link))
        except Exception:
            self.letter(kind, told.facts, attendee, link)  # says where and why
            raise
        for text in texts:
            if CONTROL.search(text):
                raise TemplateError(
                    f"a template of {kind.value}: found a control character, expected text whose "
                    "lines end in line feeds"
                )
        return dict(zip(evaluation.slots, texts, strict=True))

    def _alone(self, kind: Kind, facts: LetterFacts, attendee: Attendee, link: str) -> SharedLetter:
        letter = self.letter(kind, facts, attendee, link)
        files = part_files(kind)
        return _letter(
            {part: split(getattr(letter, part), (), name) for part, name in files.items()},
            lambda _attendee, _link: {},
        )

    def letter(self, kind: Kind, facts: LetterFacts, attendee: Attendee, link: str = "") -> Letter:
        """Render for one attendee as Jinja2 does it: what a shared letter must equal.

        Raises TemplateError with file and line.
        """
        context = self._context(kind, self._told(facts), attendee, link)

        def part(name: PartName) -> str:
            return self._templates.render(kind, name, context, reason_shown=self._reason_shown)

        return Letter(
            subject=joined(part("subject")),
            text=part("text"),
            html=part("html"),
            notes=part("notes"),
        )

    def _told(self, facts: LetterFacts) -> _Told:
        # By identity: a meeting's facts come in a row, and to compare their values would cost more.
        if self._latest is None or self._latest.facts is not facts:
            self._latest = _Told(facts)
        return self._latest

    def _context(self, kind: Kind, told: _Told, attendee: Attendee, link: str) -> dict[str, object]:
        """Return all that the templates of `kind` may name."""
        facts = told.facts
        zone = attendee.timezone or facts.meeting.timezone
        language = self._templates.languages.of(attendee.language)
        key = (kind, zone, language.tag)
        shared = told.contexts.get(key)
        if shared is None:
            shared = told.contexts[key] = {
                **self._templates.names_of_jinja,
                **meeting_context(facts),
                **zone_context(facts, zone, language),
                **language.callables,
                "kind": kind.value,
                "brand": self._templates.brand,
            }
            if kind not in KINDS_WITH_LINK:
                for name in LINK_NAMES:
                    shared.pop(name, None)
        view = attendee_view(attendee, is_host=is_host(attendee, facts.meeting))
        own = {"attendee": view, "columns": Columns(_columns(attendee))}
        if kind not in KINDS_WITH_LINK:
            return {**shared, **own}
        if not facts.links:
            return {**shared, **own, "link": link}
        dates = cast("tuple[DateLinkView, ...]", shared["date_links"])
        each = zip(dates, link.split("\n"), strict=True)
        links = tuple(replace(date, link=text) for date, text in each)
        return {**shared, **own, "link": "", "date_links": links}


def _letter(
    parts: Mapping[PartName, Part], values: Callable[[Attendee, str], Mapping[Slot, str]]
) -> SharedLetter:
    subject = parts["subject"]
    if not any(isinstance(piece, Slot) for piece in subject):
        text = joined("".join(map(str, subject)))
        subject = (text,) if text else ()
    return SharedLetter(
        subject=subject,
        text=parts["text"],
        html=parts["html"],
        notes=parts.get("notes", ()),
        values=values,
    )


def _columns(attendee: Attendee) -> Mapping[str, str]:
    texts = attendee.columns
    if any(plain(text) is not text for text in texts.values()):
        return {name: plain(text) for name, text in texts.items()}
    return texts
