"""Which files make which letter, and what such a letter may name."""

from __future__ import annotations

from typing import Literal

from invites.core.model import Kind
from invites.templating.views import LINK_NAMES, NAMES

PartName = Literal["subject", "text", "html", "notes"]

STEMS = {
    Kind.INVITATION: "invitation",
    Kind.UPDATE: "update",
    Kind.CANCELLED: "cancellation",
    Kind.WITHDRAWN: "withdrawal",
    Kind.REMINDER: "reminder",
}
"""The first part of the names of a kind's files."""

ENDINGS: dict[PartName, str] = {"subject": ".subject.j2", "text": ".txt.j2", "html": ".html.j2"}
NOTES = "calendar.txt.j2"

KINDS_WITH_LINK = frozenset({Kind.INVITATION, Kind.UPDATE, Kind.REMINDER})
"""The kinds whose letters carry the join link; no part of the others shows one."""

KINDS_WITH_NOTES = frozenset({Kind.INVITATION, Kind.UPDATE})
"""The kinds whose calendar entry has notes after the link; a reminder has no calendar entry."""


def part_files(kind: Kind) -> dict[PartName, str]:
    """Return the name of the template that makes each part of a kind of letter."""
    files = {part: STEMS[kind] + ending for part, ending in ENDINGS.items()}
    return files | {"notes": NOTES} if kind in KINDS_WITH_NOTES else files


def names_for(kind: Kind, part: PartName) -> frozenset[str]:
    """Return what a template of this part may name; a subject, being a header, shows no link."""
    if kind not in KINDS_WITH_LINK:
        return NAMES - LINK_NAMES
    return NAMES - {"link"} if part == "subject" else NAMES
