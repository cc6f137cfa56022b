"""Templates and the letters that come of them; the only package that imports Jinja2.

A *letter* is what one message says, in its *parts*: subject, text, HTML, and the calendar's notes.
It is rendered once for all of a run who *share* it, with a *slot* for each value that is filled in
for each meeting or attendee (`share` has an example).
"""

from invites.templating.context import LetterFacts
from invites.templating.letters import (
    Letter,
    LetterWriter,
    SharedLetter,
    subject_of,
    text_of,
)
from invites.templating.load import Templates
from invites.templating.outline import Slot
from invites.templating.share import Part
from invites.templating.views import LINK

__all__ = [
    "LINK",
    "Letter",
    "LetterFacts",
    "LetterWriter",
    "Part",
    "SharedLetter",
    "Slot",
    "Templates",
    "subject_of",
    "text_of",
]
