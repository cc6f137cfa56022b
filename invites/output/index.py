"""index.html: what a build made, to look at in a browser; no token and no link to a meeting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from html import escape
from typing import BinaryIO

from invites.model import Invitation, Meeting, Validity
from invites.output.forms import Place
from invites.times import zone

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; }
th, td { text-align: start; padding: .3rem .6rem; border-bottom: 1px solid #8884; }
th { font-weight: 600; }
h2 { margin: 1.5rem 0 0; font-size: 1.15rem; }
p { margin: .2rem 0; }
.demo { margin: .8rem 0; }
td:last-child { white-space: nowrap; }
.demo { border: 2px solid #b45309; border-radius: .4rem; padding: .6rem 1rem; }
.wide { overflow-x: auto; }
"""


class Index:
    """Writes the page meeting by meeting, so that it never stands in memory as a whole."""

    def __init__(
        self, file: BinaryIO, *, invitations: int, meetings: int, skew: timedelta, demo: bool
    ) -> None:
        """Write the page's beginning; `demo` says loudly that the links admit nobody.

        `skew` is the part of a validity's start that only allows for clocks that differ.
        """
        self._file = file
        self._skew = skew
        self._rows: list[str] = []
        self._head = ""
        self._zone: tzinfo = UTC
        file.write(_beginning(invitations, meetings).encode())
        if demo:
            file.write(_DEMO)
        file.write(_ABOUT)

    def meeting(self, meeting: Meeting) -> None:
        """Begin the section of a meeting."""
        self._end_section()
        self._zone = zone(meeting.timezone)
        self._head = (
            f'<h2 dir="auto">{escape(meeting.title)}</h2>\n'
            f"<p>{self._span(meeting.start, meeting.end)} {escape(meeting.timezone)}"
            f" · {escape(meeting.status.value)} · <code>{escape(meeting.id)}</code></p>\n"
        )

    def invitation(self, invitation: Invitation, place: Place) -> None:
        """Add a row with links to the files that there are."""
        attendee = invitation.attendee
        if not self._rows:
            opens, closes = self._window(invitation.validity)
            self._head += (
                f"<p>The links admit: {self._span(opens, closes)} "
                f"{escape(invitation.meeting.timezone)}</p>\n"
            )
        role = "moderator" if attendee.moderator else attendee.attendance.value
        self._rows.append(
            f'<tr><td dir="auto">{escape(attendee.name)}</td><td>{escape(attendee.email)}</td>'
            f"<td>{role}</td><td>{_anchors(place)}</td></tr>\n"
        )

    def _window(self, validity: Validity) -> tuple[datetime, datetime]:
        """Return from when to when a link admits, in the full minutes that the mail tells."""
        opens = validity.not_before + int(self._skew.total_seconds())
        minutes = -(-opens // 60), validity.expires // 60
        first, last = (datetime.fromtimestamp(60 * minute, UTC) for minute in minutes)
        return first, last

    def _span(self, start: datetime, end: datetime) -> str:
        """Return two instants in the meeting's zone, the second one's day where it differs."""
        first, last = start.astimezone(self._zone), end.astimezone(self._zone)
        same = first.date() == last.date()
        return f"{first:%Y-%m-%d %H:%M}–{last:{'%H:%M' if same else '%Y-%m-%d %H:%M'}}"

    def _end_section(self) -> None:
        if self._rows:
            rows = "".join(self._rows)
            self._file.write(f"{self._head}{_TABLE}{rows}</table></div>\n".encode())
        self._rows = []

    def end(self) -> None:
        """Write the page's end."""
        self._end_section()
        self._file.write(b"</body>\n</html>\n")


def _beginning(invitations: int, meetings: int) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Invitations</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{invitations} invitations to {meetings} meetings</h1>\n"
    )


_DEMO = (
    b'<p class="demo"><strong>A demonstration.</strong> The links were signed with a '
    b"secret made for this build alone, for meet.example.com: they admit nobody.</p>\n"
)
_ABOUT = (
    b"<p>Each mail holds a personal link that admits its receiver; handle these files like "
    b'keys. <a href="manifest.csv">manifest.csv</a> lists them for programs.</p>\n'
)
_TABLE = (
    '<div class="wide"><table>\n<tr><th>Name</th><th>Address</th><th>Role</th><th>Files</th></tr>\n'
)


def _anchors(place: Place) -> str:
    """Return links to files, whose names have no character that a URL escapes (`output.names`)."""
    named = ((place.html, "look"), (place.eml, "mail"), (place.ics, "calendar"))
    return " ".join([f'<a href="{path}">{text}</a>' for path, text in named if path])
