"""Language tags (BCP 47), for the roster's cells and the settings alike."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from invites.text import CellRefused

_TAG: Final = re.compile(
    r"""(?P<language>[a-z]{2,3})(?:-[a-z]{3}){0,3}
        (?:-[a-z]{4})?(?:-(?:[a-z]{2}|\d{3}))?
        (?P<variants>(?:-(?:[a-z0-9]{5,8}|\d[a-z0-9]{3}))*)
        (?P<extensions>(?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*)
        (?:-x(?:-[a-z0-9]{1,8})+)?
      | x(?:-[a-z0-9]{1,8})+""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_IRREGULAR: Final = frozenset(
    {
        *("en-gb-oed", "i-ami", "i-bnn", "i-default", "i-enochian", "i-hak", "i-klingon"),
        *("i-lux", "i-mingo", "i-navajo", "i-pwn", "i-tao", "i-tay", "i-tsu"),
        *("sgn-be-fr", "sgn-be-nl", "sgn-ch-de"),
    }
)


def language_tag(text: str) -> str:
    """Return a well-formed language tag (BCP 47, RFC 5646 2.1) in its recommended case.

    Languages of four to eight letters are well-formed and none is registered: `german` is a
    mistake for `de`, and refused with CellRefused.
    """
    folded = text.lower()
    if folded in _IRREGULAR:
        return folded
    found = _TAG.fullmatch(text)
    if found is None:
        meant = f"; did you mean {text.replace('_', '-')}?" if "_" in text else ""
        raise CellRefused(f"a language tag such as de or pt-BR (BCP 47){meant}")
    for repeated in (found["variants"], _singletons(found["extensions"])):
        parts = (repeated or "").lower().strip("-").split("-")
        if len(set(parts)) != len(parts):
            raise CellRefused("a language tag in which nothing is repeated (RFC 5646 2.2.9)")
    return _in_recommended_case(folded)


def _singletons(extensions: str | None) -> str:
    return "-".join(part for part in (extensions or "").split("-") if len(part) == 1)


def _in_recommended_case(folded: str) -> str:
    """Return the tag with Script and REGION as RFC 5646 2.1.1 writes them."""
    parts = folded.split("-")
    shown = parts[:1]
    for before, part in pairwise(parts):
        if len(before) == 1:
            return "-".join([*shown, *parts[len(shown) :]])
        cased = {2: part.upper(), 4: part.title()}.get(len(part), part)
        shown.append(cased if part.isalpha() and len(part) in {2, 4} else part)
    return "-".join(shown)


def lookups(tag: str) -> tuple[str, ...]:
    """Return a tag and what to look for where it is not there (RFC 4647 3.4): `de-AT`, then `de`."""
    parts = tag.split("-")
    shorter = ("-".join(parts[:end]) for end in range(len(parts), 0, -1))
    return tuple(each for each in shorter if len(each.rpartition("-")[2]) > 1)


def catalog_for(tag: str, languages: frozenset[str]) -> str | None:
    """Return which of `languages` stands in for a tag; None where none does."""
    known = {each.lower(): each for each in languages}
    return next((known[each.lower()] for each in lookups(tag) if each.lower() in known), None)
