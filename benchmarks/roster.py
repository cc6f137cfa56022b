"""The roster that the benchmarks build: 20 attendees a meeting, five zones, names with accents."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from pathlib import Path

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "Africa/Nairobi", "Australia/Sydney")
NAMES = ("Zoé Exempel", "Jörg Muster", "Ana Peña", "Łucja Przykład", "Max Sample")
LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "tr", "uk", "ja", "ar")
FIRST = datetime(2031, 1, 6, 9)  # noqa: DTZ001 - a roster's times are local
COLUMNS = (
    "meeting_id",
    "title",
    "start",
    "end",
    "timezone",
    "name",
    "email",
    "moderator",
    "description",
    "language",
    "recurrence",
)


def write_roster(
    path: Path,
    attendees: int,
    *,
    per_meeting: int = 20,
    languages: tuple[str, ...] = ("",),
    recurrence: str = "",
) -> None:
    """Write a roster with so many attendees; the same arguments give the same bytes.

    `languages` are those of each meeting's attendees, in turn; "" for none.  `recurrence` is that
    of each meeting.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number in range(attendees):
            meeting, seat = divmod(number, per_meeting)
            start = FIRST + timedelta(days=meeting % 300, minutes=15 * (meeting % 20))
            writer.writerow(
                (
                    f"course-{meeting:05d}",
                    f"Größere Übung {meeting}",
                    f"{start:%Y-%m-%d %H:%M}",
                    f"{start + timedelta(minutes=90):%Y-%m-%d %H:%M}",
                    ZONES[meeting % len(ZONES)],
                    f"{NAMES[number % len(NAMES)]} {number}",
                    f"attendee.{number}@example.org",
                    "yes" if seat == 0 else "no",
                    "Please bring the handout, and join a few minutes early.",
                    languages[number % len(languages)],
                    recurrence,
                )
            )
