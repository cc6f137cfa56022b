"""What operators are told of jobs: records for the log with the formatter that writes them, and mails.

A notice is plain text with no link, token or secret in it.
"""

from __future__ import annotations

import logging
import re
from base64 import encodebytes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from invites.messages.headers import date_field, mailbox_field, unstructured
from invites.problems import printable
from invites.times import iso_z, local, zone

LINES_AT_MOST = 25
"""Problems and refusals that a notice lists; the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a notice tells.

    `what` is the subject's verdict, such as "was refused"; `why` the error's own line; `remedy`
    what a person can do; `then` what the program does by itself.
    `due` is aware; it is told in the job's `timezone`.
    """

    job: str
    due: datetime
    timezone: str
    what: str
    why: str
    remedy: str = ""
    then: str = ""
    lines: Sequence[str] = ()
    facts: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A mail's subject and its text, of lines that end with LF."""

    subject: str
    text: str


def notice_of(news: News) -> Notice:
    """Return the mail that tells the news."""
    tz = zone(news.timezone)
    subject = f"invites: job {news.job} of {news.due.astimezone(tz):%Y-%m-%d} {news.what}"
    parts = [
        f"The job {news.job}, due {local(news.due, news.timezone)}, {news.what}.",
        news.why,
        _listed(news.lines),
        f"What to do: {news.remedy}" if news.remedy else "",
        f"What happens next: {news.then}" if news.then else "",
        "\n".join(f"{name}: {value}" for name, value in (news.facts or {}).items()),
    ]
    return Notice(subject=subject, text="\n\n".join(part for part in parts if part) + "\n")


def notice_message(
    notice: Notice, *, sender_name: str, sender: str, recipient: str, now: datetime
) -> tuple[str, bytes]:
    """Return the Message-ID and the whole message: CRLF line ends, ASCII, plain text in base64.

    Raises MessageFaultError for an address that is not one mailbox.
    """
    seed = f"{notice.subject}\0{notice.text}\0{recipient}\0{now.timestamp()}"
    domain = sender.rpartition("@")[2]
    message_id = f"<{sha256(seed.encode()).hexdigest()[:40]}@{domain}>"
    body = encodebytes(notice.text.replace("\n", "\r\n").encode()).replace(b"\n", b"\r\n")
    header = (
        mailbox_field("From", sender_name, sender)
        + mailbox_field("To", "", recipient)
        + unstructured("Subject", notice.subject)
        + date_field(now)
        + f"Message-ID: {message_id}\r\n".encode("ascii")
        + b"Auto-Submitted: auto-generated\r\n"
        + b"MIME-Version: 1.0\r\n"
        + b"Content-Type: text/plain; charset=utf-8\r\n"
        + b"Content-Transfer-Encoding: base64\r\n\r\n"
    )
    return message_id, header + body


def _listed(lines: Sequence[str]) -> str:
    shown = [f"- {line}" for line in lines[:LINES_AT_MOST]]
    if len(lines) > LINES_AT_MOST:
        shown.append(f"- and {len(lines) - LINES_AT_MOST} more")
    return "\n".join(shown)


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
