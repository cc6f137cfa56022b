"""Slugs: the part of a name that is there for people to recognise."""

from __future__ import annotations

import re
import unicodedata

_NOT_SLUG = re.compile(r"[^a-z0-9]+")


def slug(text: str, at_most: int, *, otherwise: str) -> str:
    """Return the letters a-z and digits of `text`, joined by hyphens; `otherwise` if none is left.

    Accents are dropped from their letters (NFKD); the result has at most `at_most` characters.
    """
    plain = text
    if not text.isascii():
        plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    plain = plain.lower()
    return _NOT_SLUG.sub("-", plain).strip("-")[:at_most].rstrip("-") or otherwise
