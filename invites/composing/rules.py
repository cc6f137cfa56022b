"""The rules that templates of one's own may break: about the subject and the link."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import escape

from invites.core.model import Attendee, Revision
from invites.errors import TemplateError
from invites.templating import LINK, Part, SharedLetter, Slot, filled


def check_letter(letter: SharedLetter, attendee: Attendee, link: str, revision: Revision) -> None:
    """Hold a letter to these rules; `link` is "" where nobody is to join.

    Raises TemplateError, which names the kind of letter.
    """
    kind = revision.kind.value
    if not filled(letter.subject, attendee, link).strip():
        raise TemplateError(f"the subject template of {kind}: found no text, expected a line of it")
    if link and _on_its_line(letter.text) and _in_an_anchor(letter.html):
        return
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


def _on_its_line(text: Part) -> bool:
    """Whether the link's slot stands alone on a line; False where only the filled text can tell."""
    return any(before.endswith("\n") and after.startswith("\n") for before, after in _around(text))


def _in_an_anchor(html: Part) -> bool:
    """Whether the link's slot stands in an `href`; False where only the filled text can tell."""
    return any(before.endswith('href="') and after[:1] == '"' for before, after in _around(html))


def _around(part: Part) -> Iterator[tuple[str, str]]:
    """Yield what stands before and after each slot of the link, where it is text."""
    for before, piece, after in zip(part, part[1:], part[2:], strict=False):
        is_link = isinstance(piece, Slot) and piece.name == LINK
        if is_link and isinstance(before, str) and isinstance(after, str):
            yield before, after
