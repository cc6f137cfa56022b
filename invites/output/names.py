"""Names of files and folders: from a meeting's id and an address alone, valid everywhere."""

from __future__ import annotations

import re
from hashlib import sha256

from invites.text import slug

SLUG_AT_MOST = 40
"""Characters of a name that are there for people."""


def name_for(text: str) -> str:
    """Return a name for `text`: its slug and 16 hex digits of its SHA-256.

    Lower-case ASCII letters, digits and hyphens, so that it is valid on every file system and
    differs from every other one where upper and lower case are the same; never a device's name.
    """
    code = sha256(text.encode()).hexdigest()[:16]
    return f"{slug(text, SLUG_AT_MOST, otherwise='x')}-{code}"


_FORM = rf"[a-z0-9][a-z0-9-]{{0,{SLUG_AT_MOST}}}-[0-9a-f]{{16}}"
_NAME = re.compile(_FORM)
_FILE_NAME = re.compile(rf"{_FORM}\.(?:eml|ics|html)")


def is_name(text: str) -> bool:
    """Whether `text` is of the form that `name_for` makes."""
    return _NAME.fullmatch(text) is not None


def is_file_name(text: str) -> bool:
    """Whether `text` is of the form that an attendee's message, calendar file or page has."""
    return _FILE_NAME.fullmatch(text) is not None
