"""The rules that templates of one's own may break: about the subject and the link."""

from __future__ import annotations

from markupsafe import escape

from invites.core.model import Attendee, Revision
from invites.errors import TemplateError
from invites.templating import SharedLetter, Slot, filled


def check_letter(letter: SharedLetter, attendee: Attendee, link: str, revision: Revision) -> None:
    """Hold a letter to these rules; `link` is "" where nobody is to join.

    Raises TemplateError, which names the kind of letter.
    """
    kind = revision.kind.value
    if not filled(letter.subject, attendee, link).strip():
        raise TemplateError(f"the subject template of {kind}: found no text, expected a line of it")
    text = filled(letter.text, attendee, link)
    html = "".join(
        str(escape(piece.value(attendee, link))) if isinstance(piece, Slot) else piece
        for piece in letter.html
    )
    if not link:
        if "jwt=" in text or "jwt=" in html:
            raise TemplateError(f"the templates of {kind}: found a join link, expected none")
        return
    if link not in text.split("\n"):
        raise TemplateError(
            f"the text template of {kind}: expected {{{{ link }}}} alone on a line of its own, "
            "with nothing before or after it, for mail programs make links of lines"
        )
    if f'href="{escape(link)}"' not in html:
        raise TemplateError(
            f'the HTML template of {kind}: expected <a href="{{{{ link }}}}">, for mail programs '
            "that make no links themselves"
        )
