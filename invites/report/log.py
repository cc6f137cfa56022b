"""What jobs tell: log records with an event for programs, and the one formatter that writes them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from invites.problems import printable
from invites.times import iso_z, local

LOG: Final = logging.getLogger("invites")

_BARE = re.compile(r"[A-Za-z0-9_.:/@+,*-]+")


def record(
    event: str, text: str, *, level: int = logging.INFO, facts: Mapping[str, object] | None = None
) -> logging.LogRecord:
    """Return one thing that happened: `event` for programs, `text` for people, `facts` for both.

    Neither text nor facts hold a token, a link or a secret.
    """
    extra = {"event": event, "facts": facts or {}}
    return LOG.makeRecord(LOG.name, level, "", 0, text, (), None, extra=extra)


def tell_nobody(_record: logging.LogRecord) -> None:
    """Tell nobody."""


class LogFormatter(logging.Formatter):
    """Writes a sentence for a terminal, `key=value` pairs for anything else: always one line."""

    def __init__(self, timezone: str | None) -> None:
        """Write sentences with the times of this zone (IANA) for people, pairs for None."""
        super().__init__()
        self._timezone = timezone

    def format(self, record: logging.LogRecord) -> str:
        r"""Return the line.

        Values with other characters than those of names, numbers and times stand in double
        quotes, with `\\`, `"` and everything unprintable as escapes of JSON.
        """
        at, level = datetime.fromtimestamp(int(record.created), UTC), record.levelname.lower()
        if self._timezone is not None:
            mark = f"{level}: " if record.levelno >= logging.WARNING else ""
            return printable(f"{local(at, self._timezone, seconds=True)}  {mark}{record.msg}")
        facts: Mapping[str, object] = getattr(record, "facts", {})
        event = getattr(record, "event", record.name)
        pairs = {"time": at, "level": level, "event": event, **facts, "msg": record.msg}
        told = (f"{key}={_value(value)}" for key, value in pairs.items() if value is not None)
        return printable(" ".join(told))


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return iso_z(value)
        case timedelta():
            return f"{value.total_seconds():.3f}s"
        case _:
            text = str(value)
    return text if _BARE.fullmatch(text) else f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return "".join(
        char if char.isprintable() and char not in '"\\' else _escape(char) for char in text
    )


def _escape(char: str) -> str:
    return f"\\{char}" if char in '"\\' else f"\\u{ord(char):04x}"
