"""Colours as `#rrggbb`, and whether they can be told apart (WCAG 2.2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

WHITE: Final = "#ffffff"
TEXT_CONTRAST: Final = 4.5
"""Of text and what is behind it, at least (WCAG 2.2 1.4.3)."""

SHAPE_CONTRAST: Final = 3.0
"""Of a button and what is around it, at least (WCAG 2.2 1.4.11)."""

_COLOUR = re.compile("#(?:[0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)


def colour(text: str) -> str | None:
    """Return a colour as `#rrggbb` in lower case; None for what is not `#rgb` or `#rrggbb`."""
    if _COLOUR.fullmatch(text) is None:
        return None
    digits = text[1:].lower()
    return "#" + ("".join(2 * digit for digit in digits) if len(digits) == 3 else digits)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def lightened(start: str, enough: Callable[[str], bool]) -> str:
    """Return `start` mixed with as little white as is `enough`; white where nothing less is."""
    for share in range(101):
        mixed = [round(value + (255 - value) * share / 100) for value in _channels(start)]
        tried = "#" + "".join(f"{value:02x}" for value in mixed)
        if enough(tried):
            return tried
    return WHITE


def _channels(hexadecimal: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(hexadecimal[1:]))


def _luminance(hexadecimal: str) -> float:
    """Return the relative luminance (WCAG 2.2, definition), from 0 to 1."""
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (value / 255 for value in _channels(hexadecimal))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
