"""The rules that templates of one's own may break: about the subject and the link."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import escape

from invites.core.model import Attendee, Kind, Revision
from invites.errors import TemplateError
from invites.templating import LINK, Part, SharedLetter, Slot, filled

_CONTROLS = [chr(code) for code in (*range(0x20), 0x7F) if chr(code) not in "\t\n"]
_HREF = re.compile(r'(?:<a\s(?:.*\s)?|[^<]*\s)href="', re.IGNORECASE | re.DOTALL)
"""A tag up to its `href`: an anchor's, or any that a slot before the link's may have begun."""


def check_letter(letter: SharedLetter, attendee: Attendee, link: str, revision: Revision) -> None:
    """Hold a letter to these rules; `link` is "" where nobody is to join.

    What is judged of the link are the pieces around its slot, which all who share the letter have
    in common; a letter that computes with the link, and so is one attendee's, is judged filled.
    Raises TemplateError, which names the kind of letter.
    """
    check_subject(filled(letter.subject, attendee, link), revision.kind, row=attendee.row)
    kind = revision.kind.value
    for name, part in (("text", letter.text), ("HTML", letter.html)):
        if any(
            control in piece for piece in part if isinstance(piece, str) for control in _CONTROLS
        ):
            raise TemplateError(
                f"the {name} template of {kind}: found a control character, expected text whose "
                "lines end in line feeds"
            )
    if not link:
        return
    if any(slot.name == LINK for slot in letter.slots):
        on_its_line, in_an_anchor = _on_its_line(letter.text), _in_an_anchor(letter.html)
    else:
        on_its_line = link in filled(letter.text, attendee, link).split("\n")
        in_an_anchor = f'href="{escape(link)}"' in _escaped(letter.html, attendee, link)
    if not on_its_line:
        raise TemplateError(
            f"the text template of {kind}: expected {{{{ link }}}} alone on a line of its own, "
            "with nothing before or after it, for mail programs make links of lines"
        )
    if not in_an_anchor:
        raise TemplateError(
            f'the HTML template of {kind}: expected <a href="{{{{ link }}}}">, for mail programs '
            "that make no links themselves"
        )


def check_subject(subject: str, kind: Kind, *, row: int) -> str:
    """Return a finished subject; raises TemplateError for a blank one, with its row (0 for none)."""
    if not subject.strip():
        whose = f" for row {row}" if row else ""
        raise TemplateError(
            f"the subject template of {kind.value}: found no text{whose}, expected a line of it"
        )
    return subject


def _escaped(html: Part, attendee: Attendee, link: str) -> str:
    return "".join(
        str(escape(piece.value(attendee, link))) if isinstance(piece, Slot) else piece
        for piece in html
    )


def _on_its_line(text: Part) -> bool:
    """Whether a slot of the link stands alone on a line."""
    return any(
        (before is None or (isinstance(before, str) and before.endswith("\n")))
        and (after is None or (isinstance(after, str) and after.startswith("\n")))
        for before, after in _around(text)
    )


def _in_an_anchor(html: Part) -> bool:
    """Whether a slot of the link is all that an `href` has."""
    return any(
        isinstance(before, str)
        and _HREF.fullmatch(before, max(before.rfind("<"), 0)) is not None
        and isinstance(after, str)
        and after.startswith('"')
        for before, after in _around(html)
    )


def _around(part: Part) -> Iterator[tuple[str | Slot | None, str | Slot | None]]:
    """Yield what stands before and after each slot of the link; None at the part's ends."""
    pieces = (None, *part, None)
    for before, piece, after in zip(pieces, part, pieces[2:], strict=False):
        if isinstance(piece, Slot) and piece.name == LINK:
            yield before, after
