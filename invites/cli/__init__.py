"""Arguments in, exit code out: the only package that exits, and with `jobs` reads the clock."""

from __future__ import annotations

import gc
import sys

_OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""Python's 700 make it look through all imports again and again: a twentieth of a short run."""


def spare_the_collector() -> None:
    """Switch the garbage collector off, for a build: a roster and its messages have no cycles.

    Walking through all of them again and again costs a tenth of the build and finds nothing; the
    memory at its peak is the same with 100,000 attendees.
    """
    gc.disable()


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    from invites.cli.app import run_command_line

    code = run_command_line(sys.argv[1:])
    gc.freeze()  # or Python looks for cycles in all that is there once more, before it ends
    sys.exit(code)
