"""Templates and the letters that come of them; the only package that imports Jinja2."""

from invites.templating.letters import (
    LINK,
    Letter,
    LetterFacts,
    Part,
    SharedLetter,
    Slot,
    filled,
)
from invites.templating.library import Templates
from invites.templating.sources import shipped_folder
from invites.templating.writer import LetterWriter

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
