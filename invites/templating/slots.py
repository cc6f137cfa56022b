"""Markers that stand for an attendee's values while a shared letter is rendered once.

A marker is control characters around a number: no roster value may hold them, and no template's
source does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from invites.errors import TemplateError
from invites.templating.letters import MARKERS, Part, Slot

if TYPE_CHECKING:
    from collections.abc import Sequence

START, END = MARKERS[0], MARKERS[1]
_MARKER = re.compile(f"{START}([0-9]+){END}")


def marker(number: int) -> str:
    """Return the text that stands for slot `number`; HTML escaping leaves it as it is."""
    return f"{START}{number}{END}"


def split(text: str, slots: Sequence[Slot], template: str) -> Part:
    """Return rendered `text` with slots in place of their markers.

    Raises TemplateError where the template made a marker's character of its own.
    """
    pieces: list[str | Slot] = []
    for index, piece in enumerate(_MARKER.split(text)):
        if index % 2:
            pieces.append(_slot(int(piece), slots, template))
        elif piece:
            _check(piece, template)
            pieces.append(piece)
    return tuple(pieces)


def _slot(number: int, slots: Sequence[Slot], template: str) -> Slot:
    if number >= len(slots):
        raise _control_character(template)
    return slots[number]


def _check(piece: str, template: str) -> None:
    if START in piece or END in piece:
        raise _control_character(template)


def _control_character(template: str) -> TemplateError:
    return TemplateError(
        f"{template}: writes the control character U+0001 or U+0002, expected text only; "
        "remove it from the template"
    )
