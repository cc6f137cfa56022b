"""Mails to operators: what happened to a job's due time, and what to do about it.

A notice is plain text with no link, token or secret in it.
"""

from __future__ import annotations

from base64 import encodebytes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from invites.messages.headers import date_field, mailbox_field, unstructured
from invites.times import local, zone

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
