"""A server's answer as the history keeps it: short, printable, and without a link or a token."""

from __future__ import annotations

import re

LONGEST = 300
"""Characters of an answer that are kept."""

_TOKEN = re.compile(r"eyJ[\w-]{4,}(?:\.[\w-]*){0,2}", re.ASCII)
_LINK = re.compile(r"https?://\S+", re.IGNORECASE)


def kept_answer(answer: str) -> str:
    """Return `answer` in one line; a filter that names the link it dislikes names no link here."""
    line = answer
    if not line.isprintable():
        line = "".join(char if char.isprintable() else " " for char in answer)
    line = _TOKEN.sub("(token)", _LINK.sub("(link)", line))
    line = " ".join(line.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
