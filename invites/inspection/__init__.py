"""A link, token, .eml or .ics explained: whether, when and as what it is admitted, and why not.

`reading` finds the links in bytes, `judging` says what is to be said of each, `words` says it to
people and to programs.
"""

from invites.inspection.judging import InspectedToken, Inspection, Signature, inspected
from invites.inspection.reading import Contents, FoundToken, contents_of
from invites.inspection.words import document, lines

__all__ = [
    "Contents",
    "FoundToken",
    "InspectedToken",
    "Inspection",
    "Signature",
    "contents_of",
    "document",
    "inspected",
    "lines",
]
