"""Templates and the letters that come of them; the only package that imports Jinja2.

A *letter* is what one message says, in its *parts*: subject, text, HTML, and the calendar's notes.
It is rendered once for all attendees of a meeting who *share* it, with a *slot* for each value that
is filled in for each of them (`share` has an example).
"""

from invites.templating.context import LINK, LetterFacts
from invites.templating.letters import Letter, LetterWriter
from invites.templating.load import Templates
from invites.templating.share import Part, SharedLetter, Slot, filled
from invites.templating.sources import shipped_folder

__all__ = [
    "LINK",
    "Letter",
    "LetterFacts",
    "LetterWriter",
    "Part",
    "SharedLetter",
    "Slot",
    "Templates",
    "filled",
    "shipped_folder",
]
