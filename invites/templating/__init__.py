"""Templates and the letters that come of them; the only package that imports Jinja2."""

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
