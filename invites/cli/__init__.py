"""Arguments in, exit code out: the only package that exits, and with `jobs` reads the clock."""

from __future__ import annotations

import gc
import sys

_OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""Python's 700 make it look through all imports again and again: a twentieth of a short run."""


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    from invites.cli.app import run_command_line

    code = run_command_line(sys.argv[1:])
    gc.freeze()  # or Python looks for cycles in all that is there once more, before it ends
    sys.exit(code)
