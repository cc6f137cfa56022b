"""What a competent person writes today: the same libraries, used as their documentation shows.

It reads the roster with pandas, mints with PyJWT, renders with Jinja2, makes the event with
icalendar and the message with EmailMessage, and writes one .eml for each attendee.
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
from jinja2 import Environment, select_autoescape

SECRET = "an ordinary secret of forty-eight bytes, 012345"  # noqa: S105 - of this benchmark alone
SERVER = "https://meet.example.com"

TEXT = """\
Hello {{ name }},

you are invited to "{{ title }}".

  When:      {{ start.strftime("%A, %d %B %Y, %H:%M") }} - {{ end.strftime("%H:%M") }} ({{ zone }})
  Organizer: {{ organizer }}
{% if moderator %}  You are a moderator of this meeting.
{% endif %}
Your personal join link:
{{ link }}

It opens at {{ opens.strftime("%H:%M") }} and closes at {{ closes.strftime("%H:%M") }}.
Please do not pass it on.

{{ description }}
"""

HTML = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title></head>
<body style="margin:0;background:#f4f5f7;font-family:Helvetica,Arial,sans-serif;color:#1f2933">
<table role="presentation" width="100%"><tr><td align="center" style="padding:24px">
<table role="presentation" width="600" style="max-width:600px;background:#ffffff">
<tr><td style="padding:24px"><h1 style="font-size:22px;margin:0 0 12px">{{ title }}</h1>
<p style="margin:0 0 12px">Hello {{ name }}, you are invited.</p>
<table role="presentation"><tr><td style="padding:4px 12px 4px 0;color:#616e7c">When</td>
<td>{{ start.strftime("%A, %d %B %Y, %H:%M") }} - {{ end.strftime("%H:%M") }} ({{ zone }})</td></tr>
<tr><td style="padding:4px 12px 4px 0;color:#616e7c">Organizer</td><td>{{ organizer }}</td></tr>
{% if moderator %}<tr><td style="padding:4px 12px 4px 0;color:#616e7c">Role</td>
<td>You are a moderator</td></tr>{% endif %}
<tr><td style="padding:4px 12px 4px 0;color:#616e7c">Link</td>
<td>opens {{ opens.strftime("%H:%M") }}, closes {{ closes.strftime("%H:%M") }}</td></tr></table>
<p style="margin:24px 0"><a href="{{ link }}" style="background:#1d4ed8;color:#ffffff;padding:12px
 24px;text-decoration:none;border-radius:6px;display:inline-block">Join the meeting</a></p>
<p style="margin:0 0 12px">The link is personal. Please do not pass it on.</p>
<p style="margin:0 0 12px;word-break:break-all;font-size:13px">{{ link }}</p>
<p style="margin:0">{{ description }}</p>
</td></tr></table></td></tr></table></body></html>
"""

environment = Environment(autoescape=select_autoescape())
text_template = environment.from_string(TEXT)
html_template = environment.from_string("{% autoescape true %}" + HTML + "{% endautoescape %}")


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
    event.add("description", f"{link}\n\n{row['description']}")
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
    event.add("attendee", attendee, encode=0)
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
            "organizer": "Meetings",
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
