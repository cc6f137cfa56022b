"""The logo that mails bring along: a file that every mail program can show, and small enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from invites.errors import SettingsError
from invites.model import Picture

if TYPE_CHECKING:
    from pathlib import Path

OCTETS_AT_MOST: Final = 64 * 1024
"""Of a logo: each mail brings it along, a third larger in base64."""

_MEDIA_TYPES: Final = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
"""By what a file begins with: its name may say anything."""


def picture_in(file: Path, place: str) -> Picture:
    """Return the picture in `file`; SettingsError, which begins with `place`, where there is none."""
    try:
        with file.open("rb") as opened:
            content = opened.read(OCTETS_AT_MOST + 1)
    except OSError as error:
        raise SettingsError(
            f"{place}: found {file} that can't be read ({error.strerror}), expected a picture; "
            "correct the path or put the picture there"
        ) from None
    found = [kind for beginning, kind in _MEDIA_TYPES.items() if content.startswith(beginning)]
    if not found:
        raise SettingsError(
            f"{place}: found {_named(content)} in {file}, expected a PNG, JPEG or GIF picture, "
            "which all mail programs show; save it as PNG, 72 pixels high"
        )
    if len(content) > OCTETS_AT_MOST:
        raise SettingsError(
            f"{place}: found a picture of {file.stat().st_size:,} bytes in {file}, expected at most "
            f"{OCTETS_AT_MOST:,}, for each mail brings it along; save it smaller (mails show it 36 "
            "pixels high), or set its https URL"
        )
    return Picture(content=content, media_type=found[0])


def _named(content: bytes) -> str:
    """Return the words for a file that is no picture, or one that mail programs do not show."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "a WebP picture"
    if b"<svg" in content[:4096].lower():
        return "an SVG drawing"
    return "something else" if content else "nothing"
