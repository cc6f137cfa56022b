"""Where the lines of a wake-up go: sentences to a terminal, key=value pairs to anything else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invites.cli.options import Call
    from invites.report.lines import Line


def printer(call: Call) -> Callable[[Line], None]:
    """Return what prints a line.

    Warnings and errors go to stderr, all else to stdout (with `--json` to stderr); `-q` leaves the
    good news out, and lines of level debug need `-v`.
    """
    from invites.problems import printable
    from invites.report.lines import Level, as_logfmt, as_sentence

    def tell(line: Line) -> None:
        good = line.level in {Level.DEBUG, Level.INFO}
        if (good and call.quiet) or (line.level is Level.DEBUG and not call.verbose):
            return
        stream = sys.stdout if good and not call.as_json else sys.stderr
        form = as_sentence if stream.isatty() else as_logfmt
        text = form(line, at=datetime.now(UTC).replace(microsecond=0))
        print(printable(text), file=stream, flush=True)

    return tell
