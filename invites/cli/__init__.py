"""Arguments in, exit code out: the only package that exits, and with `nightly` reads the clock."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from invites.cli.app import run_command_line

    sys.exit(run_command_line(sys.argv[1:]))
