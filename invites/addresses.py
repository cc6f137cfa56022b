"""Mail addresses: one spelling for people, one for the mail system, one for comparing.

The domain's rules are email-validator's (IDNA 2008 with UTS 46, special-use names, RFC 5321
lengths), without asking the DNS; each distinct domain is looked at once.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from invites.text import CellRefused

ADDRESS_AT_MOST: Final = 254
"""Characters of an address (RFC 5321 4.5.3.1.3 as erratum 1690 reads it)."""

LOCAL_PART_AT_MOST: Final = 64
"""Octets before the @ (RFC 5321 4.5.3.1.1)."""

_DOT_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_EXAMPLE: Final = "one address such as ada@example.org"


class AddressRefused(CellRefused):
    """A text that is not one address; `expected` says what would do, in words for a problem."""


class Address(NamedTuple):
    """One mailbox in three spellings.

    `email` is as written; `mailbox` has its domain as A-labels in lower case, for headers, SMTP
    and `mailto:`; `address` is `mailbox` case-folded: two spellings of one address share it.
    """

    email: str
    mailbox: str
    address: str


def parse_address(text: str, *, special_domains: tuple[str, ...] = ()) -> Address:
    """Return the address that `text` is, and nothing beside it.

    `special_domains` are domains that public rules refuse and that are meant (`clinic.local`),
    each with its subdomains.
    Raises AddressRefused for a display name, a second address, a quoted local part, a local part
    that is not ASCII, encoded words, and whatever email-validator refuses.
    """
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain:
        raise AddressRefused(_EXAMPLE)
    if len(local) > LOCAL_PART_AT_MOST or not _DOT_ATOM.fullmatch(local):
        raise AddressRefused(_why_local(text, local))
    if "?" in local and "=?" in local and "?=" in local:
        raise AddressRefused(f"{_EXAMPLE}, without encoded words")
    ascii_domain = _ascii_domain(domain, special_domains)
    mailbox = text if ascii_domain == domain else f"{local}@{ascii_domain}"
    if len(mailbox) > ADDRESS_AT_MOST or len(text) > ADDRESS_AT_MOST:
        raise AddressRefused(f"an address of at most {ADDRESS_AT_MOST} characters")
    folded = mailbox if mailbox.islower() else mailbox.lower()
    return Address(text, mailbox, folded)


def _why_local(text: str, local: str) -> str:
    """Return what to expect instead of `text`, whose part before the @ can't be taken."""
    if any(mark in text for mark in ",;") or text.count("@") > 1:
        return f"{_EXAMPLE}; a row is for one person"
    if "<" in text or ">" in text or text.lower().startswith("mailto:"):
        return f"{_EXAMPLE}, without name and brackets"
    if not local.isascii():
        return "an address whose part before the @ is ASCII; others can't be mailed yet"
    if len(local) > LOCAL_PART_AT_MOST:
        return f"an address with at most {LOCAL_PART_AT_MOST} characters before the @"
    if local.startswith(".") or local.endswith(".") or ".." in local:
        return f"{_EXAMPLE}; dots stand alone and between other characters"
    return f"{_EXAMPLE}; no blanks, quotes, brackets or control characters before the @"


ORDINARY: Final = re.compile(
    r"(?!.*--)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,3}(?:com|edu|gov|net|org|[a-z]{2})"
)
"""Domains that email-validator takes as they are, so that it need not be asked, nor imported."""


@lru_cache(maxsize=4096)
def _ascii_domain(domain: str, special_domains: tuple[str, ...]) -> str:
    """Return `domain` as A-labels in lower case, or raise AddressRefused."""
    if ORDINARY.fullmatch(domain):
        return domain
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 - it is slow

    stands_in = domain + _PUBLIC if _is_special(domain, special_domains) else domain
    try:
        checked = validate_email(f"x@{stands_in}", check_deliverability=False)
    except EmailNotValidError as refusal:
        hint = _MEANT if "special-use" in str(refusal) else ""
        raise AddressRefused(f"{_EXAMPLE}; {_reason(str(refusal))}{hint}") from None
    ascii_domain = str(checked.ascii_domain).lower()
    return ascii_domain if stands_in is domain else ascii_domain.removesuffix(_PUBLIC)


_MEANT: Final = "; if the domain is meant, list it in [roster] special_domains"

_PUBLIC: Final = ".example.com"
"""Put after a special domain, so that it is held to all rules but the one on special names."""


def _is_special(domain: str, special_domains: tuple[str, ...]) -> bool:
    """Tell whether `domain` is one of `special_domains`, or a subdomain of one."""
    folded = domain.casefold()
    known = (special.casefold().lstrip("@.") for special in special_domains)
    return any(folded == one or folded.endswith("." + one) for one in known)


def _reason(said: str) -> str:
    """Return email-validator's sentence as the end of ours."""
    sentence = said.partition(". ")[0].removesuffix(".")
    return sentence[:1].lower() + sentence[1:]
