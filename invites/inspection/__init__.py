"""A link, token, .eml or .ics explained: whether, when and as what it is admitted, and why not."""

from __future__ import annotations

from invites.inspection.assessing import Inspected, Inspection, Signature, inspected
from invites.inspection.reading import Found, Material, material_from
from invites.inspection.words import document, lines

__all__ = [
    "Found",
    "Inspected",
    "Inspection",
    "Material",
    "Signature",
    "document",
    "inspected",
    "lines",
    "material_from",
]
