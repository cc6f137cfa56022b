"""Lines of a log: a sentence where somebody sits at a terminal, key=value pairs elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from invites.times import iso_z

_BARE = re.compile(r"[A-Za-z0-9_.:/@+,*-]+")


class Level(StrEnum):
    """How much a line matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that happened: `event` for programs, `text` for people, `facts` for both.

    Neither text nor facts hold a token, a link or a secret.
    """

    event: str
    text: str
    level: Level = Level.INFO
    facts: Mapping[str, object] = field(default_factory=dict)


def no_lines(line: Line) -> None:
    """Tell nobody."""


def as_logfmt(line: Line, *, at: datetime) -> str:
    r"""Return the line as `key=value` pairs, on one line whatever the values hold.

    Values with other characters than those of names, numbers and times stand in double quotes,
    with `\\`, `"` and everything unprintable as escapes of JSON.
    """
    pairs: list[tuple[str, object]] = [
        ("time", at),
        ("level", line.level),
        ("event", line.event),
        *line.facts.items(),
        ("msg", line.text),
    ]
    return " ".join(f"{key}={_value(value)}" for key, value in pairs if value is not None)


def as_sentence(line: Line, *, at: datetime) -> str:
    """Return the line for a terminal: the time of day (UTC) and the sentence."""
    mark = {Level.WARNING: "warning: ", Level.ERROR: "error: "}.get(line.level, "")
    return f"{at.astimezone(UTC):%H:%M:%S}Z  {mark}{line.text}"


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
