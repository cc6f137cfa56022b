"""Text: what a roster's may hold, language tags (BCP 47), numbers with their nouns, and masking."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

BLANKS: Final = "\t \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
"""What is removed from both ends of cells: tab and Unicode's space separators, no line ends."""

_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(
    f"{chr(plane * 0x10000 + 0xFFFE)}-{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(17)
)
_ALWAYS = f"\u0085\u2028\u2029\u202d\u202e\ud800-\udfff{_NONCHARACTERS}"
_SUSPECT_IN_A_LINE = re.compile(f"[\\x00-\\x1f\\x7f-\\x9f\u202a-\u202c\u2066-\u2069{_ALWAYS}]")
_SUSPECT_IN_LINES = re.compile(
    f"[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\u202a-\u202c\u2066-\u2069{_ALWAYS}]"
)
_ENCODED_WORD = re.compile(r"=\?.*\?=", re.DOTALL)
_CLOSED_BY = {
    "\u202a": "\u202c",
    "\u202b": "\u202c",
    "\u2066": "\u2069",
    "\u2067": "\u2069",
    "\u2068": "\u2069",
}


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it has to be: `1 row`, `2,000 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


class CellRefused(ValueError):  # noqa: N818 - it reads as a verdict, and is caught as one
    """A cell that can't be taken; `expected` says what would do, in words for a problem."""

    def __init__(self, expected: str) -> None:
        """Take in words that complete "found …, expected …"."""
        self.expected = expected
        super().__init__(f"expected {expected}")


def check_line(text: str) -> str:
    """Return `text`, which is one line that no program can take for more than text.

    Raises CellRefused for control characters, line ends, the line separators U+0085, U+2028 and
    U+2029, bidi overrides, bidi embeddings and isolates that are left open, noncharacters.
    """
    if not text.isprintable() and (found := _SUSPECT_IN_A_LINE.search(text)):
        _refuse_suspect(text, found[0], _SUSPECT_IN_A_LINE)
    return text


def check_lines(text: str) -> str:
    """Return `text` with LF for each CRLF and CR; it may have tabs as well.

    Raises CellRefused for all else that `check_line` refuses.
    """
    if text.isprintable():
        return text
    if found := _SUSPECT_IN_LINES.search(text):
        _refuse_suspect(text, found[0], _SUSPECT_IN_LINES)
    return text.replace("\r\n", "\n").replace("\r", "\n").strip("\n" + BLANKS)


def refuse_encoded_words(text: str) -> None:
    """Raise CellRefused where `text` holds an encoded word (RFC 2047): mail programs decode it.

    CPython's own parser takes what such a word hides for another recipient.
    """
    if "=?" in text and _ENCODED_WORD.search(text):
        raise CellRefused("plain text, without encoded words such as =?utf-8?q?…?=")


def _refuse_suspect(text: str, first: str, suspects: re.Pattern[str]) -> None:
    if first in "\r\n":
        raise CellRefused("one line of text, without line ends")
    if first in "\u0085\u2028\u2029":
        raise CellRefused(f"text without line separators (it has U+{ord(first):04X})")
    for char in (found[0] for found in suspects.finditer(text)):
        if char not in _CLOSED_BY and char not in "\u202c\u2069":
            raise CellRefused(f"text without {_kind(char)} (it has U+{ord(char):04X})")
    if not _directions_are_closed(text):
        raise CellRefused("text whose bidi embeddings and isolates are closed again")


def _kind(char: str) -> str:
    if char in "\u202d\u202e":
        return "bidi overrides"
    if "\ud800" <= char <= "\udfff":
        return "surrogates"
    return "control characters" if char < "\u00a0" else "noncharacters"


def _directions_are_closed(text: str) -> bool:
    """Tell whether each embedding and isolate ends within `text`, and in the order of opening."""
    awaited: list[str] = []
    for char in text:
        if char in _CLOSED_BY:
            awaited.append(_CLOSED_BY[char])
        elif char in "\u202c\u2069" and (not awaited or awaited.pop() != char):
            return False
    return not awaited


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


BASE64URL: Final = r"[A-Za-z0-9_-]+"
"""A token's segment, as an expression: base64url without padding (RFC 7515 2)."""

_TOKEN = re.compile(r"eyJ[\w.%+/=-]*")


def without_tokens(text: str, *, mark: str = "[token]") -> str:
    """Return `text` with `mark` for all that begins as a token does, whole, cut or encoded."""
    return _TOKEN.sub(mark, text)


ANSWER_AT_MOST: Final = 200
"""Characters of a server's answer that are kept."""

_LINK: Final = re.compile(r"(?i)\b(?:https?|jitsi-meet)(?::|%3a)[^\s<>\"]*")
_BLOB: Final = re.compile(r"[A-Za-z0-9+/=_-]{40,}")


def masked(text: str, *, secrets: Iterable[str] = ()) -> str:
    """Return `text` as one printable line with links, tokens and `secrets` masked, then cut.

    Spam filters quote the link they dislike and broken servers echo what they were sent, so a
    server's words are never trusted to hold nothing secret.
    Any run of 40 or more base64 characters goes, for a message's parts are base64.
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[secret]")
    text = _LINK.sub("[link]", text)
    text = without_tokens(text)
    text = _BLOB.sub("[…]", text)
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= ANSWER_AT_MOST else line[: ANSWER_AT_MOST - 1] + "…"


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
