"""What a competent person writes today: the same libraries, used as their documentation shows.

It reads the roster with pandas, mints with PyJWT, renders with Jinja2, makes the event with
icalendar and the message with EmailMessage, and writes one .eml for each attendee.
Its letter is the one that the shipped templates make, in two plain templates.
It checks nothing, derives no room, and knows no ledger.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import jwt
import pandas as pd
from icalendar import Alarm, Calendar, Event, vCalAddress, vText, vUri
from jinja2 import Environment, FileSystemLoader

SECRET = "an ordinary secret of forty-eight bytes, 012345"  # noqa: S105 - of this benchmark alone
SERVER = "https://meet.example.com"
NOTES = "This link is yours alone, please don't pass it on.\nHost: Meetings (meetings@example.com)"

environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "letter"),
    autoescape=lambda name: name is not None and ".html" in name,  # noqa: S701 - by name
)
text_template = environment.get_template("letter.txt.j2")
html_template = environment.get_template("letter.html.j2")


def local_time(text: str, zone: ZoneInfo) -> datetime:
    """Read a roster's time."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=zone)


def token_for(row: pd.Series, opens: datetime, closes: datetime) -> str:
    """Mint one token."""
    return jwt.encode(
        {
            "aud": "jitsi",
            "iss": "my_app",
            "sub": "meet.example.com",
            "room": f"meeting-{row['meeting_id']}",
            "nbf": int(opens.timestamp()),
            "exp": int(closes.timestamp()),
            "context": {
                "user": {
                    "name": row["name"],
                    "email": row["email"],
                    "moderator": row["moderator"] == "yes",
                }
            },
        },
        SECRET,
        algorithm="HS256",
    )


def event_for(row: pd.Series, start: datetime, end: datetime, link: str, now: datetime) -> bytes:
    """Make the calendar object."""
    calendar = Calendar()
    calendar.add("prodid", "-//an ordinary script//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "REQUEST")
    event = Event()
    event.add("uid", f"{row['meeting_id']}@example.com")
    event.add("dtstamp", now)
    event.add("dtstart", start.astimezone(ZoneInfo("UTC")))
    event.add("dtend", end.astimezone(ZoneInfo("UTC")))
    event.add("sequence", 0)
    event.add("status", "CONFIRMED")
    event.add("summary", row["title"])
    event.add("description", f"{link}\n\n{NOTES}\n\n{row['description']}")
    event.add("url", vUri(link))
    event.add("location", f"Jitsi Meet: meeting-{row['meeting_id']}")
    organizer = vCalAddress("mailto:meetings@example.com")
    organizer.params["CN"] = vText("Meetings")
    event["organizer"] = organizer
    attendee = vCalAddress(f"mailto:{row['email']}")
    attendee.params["CN"] = vText(row["name"])
    attendee.params["ROLE"] = vText("CHAIR" if row["moderator"] == "yes" else "REQ-PARTICIPANT")
    attendee.params["PARTSTAT"] = vText("NEEDS-ACTION")
    attendee.params["RSVP"] = vText("TRUE")
    event.add("attendee", attendee, encode=False)
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("trigger", timedelta(minutes=-10))
    alarm.add("description", row["title"])
    event.add_component(alarm)
    calendar.add_component(event)
    return bytes(calendar.to_ical())


def message_for(row: pd.Series, text: str, html: str, event: bytes, now: datetime) -> EmailMessage:
    """Make the message with its three forms and the attachment."""
    message = EmailMessage()
    message["From"] = "Meetings <meetings@example.com>"
    message["To"] = f"{row['name']} <{row['email']}>"
    message["Subject"] = f"Invitation: {row['title']}"
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{row['meeting_id']}.{row['email'].replace('@', '.')}@example.com>"
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    message.add_alternative(
        event, maintype="text", subtype="calendar", params={"method": "REQUEST"}
    )
    message.add_attachment(event, maintype="application", subtype="ics", filename="invite.ics")
    return message


def main(roster: str, out: str) -> None:
    """Write one .eml for each row of `roster` into the folder `out`."""
    folder = Path(out)
    folder.mkdir(parents=True)
    now = datetime.now(ZoneInfo("UTC"))
    frame = pd.read_csv(roster, dtype=str, keep_default_na=False)
    for number, row in frame.iterrows():
        zone = ZoneInfo(row["timezone"])
        start, end = local_time(row["start"], zone), local_time(row["end"], zone)
        opens, closes = start - timedelta(minutes=15), end + timedelta(minutes=30)
        link = f"{SERVER}/meeting-{row['meeting_id']}?jwt={token_for(row, opens, closes)}"
        facts = {
            "name": row["name"],
            "title": row["title"],
            "start": start,
            "end": end,
            "zone": row["timezone"],
            "offset": f"UTC{start:%z}"[:6] + ":" + f"{start:%z}"[3:],
            "moderator": row["moderator"] == "yes",
            "opens": opens,
            "closes": closes,
            "link": link,
            "description": row["description"],
        }
        event = event_for(row, start, end, link, now)
        message = message_for(
            row, text_template.render(facts), html_template.render(facts), event, now
        )
        (folder / f"{number}.eml").write_bytes(message.as_bytes())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
