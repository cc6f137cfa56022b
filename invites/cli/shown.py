"""Colours for a plan's signs, where somebody sits at a terminal and wants them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invites.cli.options import Call

_COLOURS = {"+": "32", "~": "33", "*": "36", "-": "31", "!": "35"}
_RESET = "\x1b[0m"


def coloured(line: str, call: Call) -> str:
    """Return a plan's line with its sign in colour; as it is for pipes, NO_COLOR and `--json`."""
    plain = call.as_json or os.environ.get("NO_COLOR") or not sys.stdout.isatty()
    if plain or line[:1] not in _COLOURS:
        return line
    return f"\x1b[{_COLOURS[line[0]]}m{line[0]}{_RESET}{line[1:]}"
