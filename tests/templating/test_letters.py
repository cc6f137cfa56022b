"""What the shipped letters say, of each kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest

from invites.invitation import Change, Kind, Organizer
from invites.model import Attendance, Attendee
from invites.templating import Letter, LetterFacts, LetterWriter, Slot, Templates
from invites.templating.outline import END, START

LINK = "https://meet.example.com/planning?jwt=aaa.bbb.ccc"
WITH_LINK = (Kind.INVITATION, Kind.UPDATE, Kind.REMINDER)
WITHOUT_LINK = (Kind.CANCELLED, Kind.WITHDRAWN)


def _all(letter: Letter) -> str:
    return f"{letter.subject}\n{letter.text}\n{letter.html}\n{letter.notes}"


def _unwrapped(text: str) -> str:
    """Return text as one line: where it is broken does not matter."""
    return " ".join(text.split())


def _words(page: str) -> str:
    """Return what a reader sees of an HTML page."""
    without_head = re.sub(r"<head>.*?</head>", "", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", without_head)).split())


@pytest.mark.parametrize("kind", WITH_LINK)
def test_the_link_stands_alone_on_its_line(
    kind: Kind, writer: LetterWriter, full_facts: LetterFacts, attendee: Attendee
) -> None:
    """In the text part nothing is before or after the link; in HTML it is behind two anchors."""
    letter = writer.letter(kind, full_facts, attendee, LINK)
    assert letter.text.split("\n").count(LINK) == 1
    assert letter.text.count(LINK) == 1
    assert letter.html.count(f'href="{LINK}"') == 2
    assert letter.html.count(LINK) == 2


@pytest.mark.parametrize("kind", WITHOUT_LINK)
def test_no_link_is_in_any_part_of_a_letter_that_takes_back(
    kind: Kind, writer: LetterWriter, full_facts: LetterFacts, attendee: Attendee
) -> None:
    """Neither the link nor a token nor the server's address is in any part."""
    text = _all(writer.letter(kind, full_facts, attendee, LINK))
    assert "jwt" not in text
    assert "meet.example.com" not in text
    assert "href" not in text


@pytest.mark.parametrize("kind", list(Kind))
def test_times_are_shown_with_weekday_zone_and_offset(
    kind: Kind, writer: LetterWriter, facts: LetterFacts, attendee: Attendee
) -> None:
    """The attendee's zone comes first; the meeting's follows where its time is another one, and the
    offsets of both.
    """
    at_home = writer.letter(kind, facts, attendee, LINK)
    at_nine = "Tuesday, 2 December 2031, 09:00 – 10:00 (Berlin time"
    assert f"{at_nine})" in _unwrapped(at_home.text)
    assert "UTC" not in _all(at_home)
    assert "Kolkata" not in _all(at_home)
    berlin = "time zone: 09:00 – 10:00 (Berlin time, UTC+01:00)"  # on the same day
    abroad = writer.letter(kind, facts, replace(attendee, timezone="Asia/Kolkata"), LINK)
    kolkata = "Tuesday, 2 December 2031, 13:30 – 14:30 (Kolkata time, UTC+05:30)"
    text = _unwrapped(abroad.text)
    assert text.index(kolkata) < text.index(berlin)
    words = _words(abroad.html)
    assert words.index("Kolkata time, UTC+05:30") < words.index(berlin)
    the_day_before = replace(attendee, timezone="Pacific/Honolulu")
    words = _unwrapped(writer.letter(kind, facts, the_day_before, LINK).text)
    assert "Monday, 1 December 2031, 22:00 – 23:00 (Honolulu time, UTC-10:00)" in words
    assert f"time zone: {at_nine}, UTC+01:00)" in words


@pytest.mark.parametrize("kind", WITH_LINK)
def test_it_says_when_the_link_opens_and_closes_and_that_it_is_personal(
    kind: Kind, writer: LetterWriter, facts: LetterFacts, attendee: Attendee
) -> None:
    """The skew for clocks that differ is not told; everything else is."""
    letter = writer.letter(kind, facts, attendee, LINK)
    for text in (letter.text, _words(letter.html)):
        window = "The link opens at 08:45 and closes at 10:30."
        assert window in " ".join(text.split())
        assert "yours alone" in text
        assert "Keep this mail" in text


def test_a_link_that_opens_on_another_day_says_which(
    writer: LetterWriter, facts: LetterFacts, attendee: Attendee
) -> None:
    """The clock alone would mislead where midnight lies between."""
    tokyo = replace(attendee, timezone="America/Anchorage")
    start = datetime(2031, 12, 2, 9, 5, tzinfo=UTC)
    meeting = replace(facts.meeting, start=start, end=start + timedelta(hours=1))
    validity = replace(facts.validity, not_before=int(start.timestamp()) - 960)
    letter = writer.letter(
        Kind.INVITATION, replace(facts, meeting=meeting, validity=validity), tokyo, LINK
    )
    assert "opens on Monday, 1 December 2031 at 23:50 and closes at 00:30" in _unwrapped(
        letter.text
    )


def test_an_update_says_what_changed_from_old_to_new(
    writer: LetterWriter, full_facts: LetterFacts, attendee: Attendee
) -> None:
    """With weekday, zone and offset, by the rules of the day; a secret is only said to be new."""
    letter = writer.letter(Kind.UPDATE, full_facts, attendee, LINK)
    assert letter.subject.startswith("Updated invitation: ")
    changes = (
        "* Time: Wednesday, 2 July 2031, 10:00 – 11:00 (Berlin time, UTC+02:00) -> "
        "Tuesday, 2 December 2031, 09:00 – 10:00 (Berlin time, UTC+01:00) "
        "* Title: Planning -> Planning & more "
        "* Moderator: no -> yes "
        "* Your link: renewed "
    )
    assert changes in _unwrapped(letter.text)
    words = _words(letter.html)
    assert "2 July 2031, 10:00 – 11:00 (Berlin time, UTC+02:00) → Tuesday" in words


def test_long_and_unknown_changes_are_shown_in_short(
    writer: LetterWriter, facts: LetterFacts, attendee: Attendee
) -> None:
    """A description is cut, a field without a label goes by its name, an empty value is "none"."""
    changes = (
        Change(field="description", old="", new="y" * 20_000),
        Change(field="odd_field", old="a", new=""),
    )
    letter = writer.letter(Kind.UPDATE, replace(facts, changes=changes), attendee, LINK)
    assert "* Description: none -> " + "y" * 300 + "… *" in _unwrapped(letter.text)
    assert "* Odd field: a -> none\n" in letter.text


@pytest.mark.parametrize("kind", [Kind.INVITATION, Kind.REMINDER])
def test_a_new_attendees_letter_never_says_updated(
    kind: Kind, writer: LetterWriter, full_facts: LetterFacts, attendee: Attendee
) -> None:
    """Changes that were made before somebody was invited are not that person's."""
    text = _all(writer.letter(kind, full_facts, attendee, LINK)).lower()
    assert "updated" not in text
    assert "changed" not in text
    assert "earlier" not in text


def test_a_withdrawn_letter_does_not_say_that_the_meeting_is_off(
    writer: LetterWriter, facts: LetterFacts, attendee: Attendee
) -> None:
    """Only one person's invitation is taken back; a cancelled meeting says that it is off."""
    withdrawn = _all(writer.letter(Kind.WITHDRAWN, facts, attendee)).lower()
    assert "withdrawn" in withdrawn
    assert "cancel" not in withdrawn
    assert "take place" not in withdrawn
    cancelled = writer.letter(Kind.CANCELLED, facts, attendee)
    assert "cancelled" in cancelled.subject.lower()
    assert "withdrawn" not in _all(cancelled)
    assert "will not take place" in cancelled.text


def test_moderators_and_optional_attendees_are_told(
    writer: LetterWriter, facts: LetterFacts, attendee: Attendee
) -> None:
    """In text, HTML and calendar; others read nothing of it."""
    cases = {
        "You are a moderator": replace(attendee, moderator=True),
        "ptional": replace(attendee, attendance=Attendance.OPTIONAL),
    }
    for words, person in cases.items():
        told = writer.letter(Kind.INVITATION, facts, person, LINK)
        plain = writer.letter(Kind.INVITATION, facts, attendee, LINK)
        for part in ("text", "html", "notes"):
            assert words in getattr(told, part)
            assert words not in getattr(plain, part)


def test_a_tentative_meeting_says_so(
    writer: LetterWriter, full_facts: LetterFacts, attendee: Attendee
) -> None:
    """In the subject and in both bodies."""
    letter = writer.letter(Kind.INVITATION, full_facts, attendee, LINK)
    assert letter.subject.startswith("Tentative invitation: ")
    assert "tentative" in letter.text
    assert "tentative" in letter.html


def test_a_demonstration_says_so_loudly(
    writer: LetterWriter, facts: LetterFacts, attendee: Attendee
) -> None:
    """At the foot of the mail, and first in the calendar's notes, right after the link."""
    letter = writer.letter(Kind.INVITATION, replace(facts, demo=True), attendee, LINK)
    assert "throw-away secret" in letter.text.partition("\n-- \n")[2]
    assert "throw-away secret" in letter.html.partition('class="foot"')[2]
    assert letter.notes.startswith("DEMONSTRATION ONLY: ")
    assert "throw-away" not in _all(writer.letter(Kind.INVITATION, facts, attendee, LINK))


def test_hosts_fall_back_to_the_service_mailbox(
    writer: LetterWriter, facts: LetterFacts, full_facts: LetterFacts, attendee: Attendee
) -> None:
    """The meeting's own host is named where the roster has one."""
    own = writer.letter(Kind.INVITATION, full_facts, attendee, LINK)
    assert "Host: Grace Sample (grace@example.org)" in own.text
    mailbox = writer.letter(Kind.INVITATION, facts, attendee, LINK)
    assert "Host: Meetings (meetings@example.com)" in mailbox.text


def test_what_people_wrote_stays_text(
    writer: LetterWriter, full_facts: LetterFacts, attendee: Attendee
) -> None:
    """Markup is escaped in HTML alone, and Jinja2's syntax in a value is never read."""
    person = replace(attendee, name='{{7*7}} <script> "O\'Brien"')
    letter = writer.letter(Kind.INVITATION, full_facts, person, LINK)
    assert 'Hello {{7*7}} <script> "O\'Brien",' in letter.text
    assert "{{7*7}} &lt;script&gt; &#34;O&#39;Brien&#34;" in letter.html
    assert "<script" not in letter.html
    assert "Bring &lt;notes&gt;.<br>" in letter.html
    assert "Bring <notes>.\n\nAnd questions." in letter.text
    assert "Bring <notes>.\n\nAnd questions." in letter.notes


@pytest.mark.parametrize("kind", list(Kind))
def test_html_is_one_accessible_column_and_small(
    kind: Kind, writer: LetterWriter, full_facts: LetterFacts, attendee: Attendee
) -> None:
    """lang, dir, presentation tables, at most 600 px, dark mode kept, far below Gmail's limit."""
    page = writer.letter(kind, full_facts, attendee, LINK).html
    assert '<html lang="en" dir="ltr" data-zone="Europe/Berlin">' in page
    assert page.count("<table") == page.count('<table role="presentation"')
    assert "max-width:600px" in page
    assert "@media (prefers-color-scheme:dark)" in page
    assert page.count("<style>") == 1
    assert 'class="preheader"' in page
    assert len(page.encode()) < 9_000


def test_the_longest_texts_stay_below_what_gmail_clips(
    writer: LetterWriter, facts: LetterFacts, attendee: Attendee
) -> None:
    """The description, cut in the mail, is whole in the calendar."""
    text = "&" * 20_000
    meeting = replace(facts.meeting, title="&" * 500, description=text, organizer_name="&" * 200)
    long_link = "https://meet.example.com/" + "x" * 2_000
    person = replace(attendee, name="&" * 200)
    letter = writer.letter(Kind.INVITATION, replace(facts, meeting=meeting), person, long_link)
    assert len(letter.html.encode()) < 102_000
    assert len(letter.text) < 8_000
    assert text in letter.notes


@pytest.mark.parametrize("kind", list(Kind))
def test_subjects_are_one_line_and_only_links_have_notes(
    kind: Kind, writer: LetterWriter, full_facts: LetterFacts, attendee: Attendee
) -> None:
    """A subject has no line ends and no blanks at its ends, even with a title that has them."""
    broken = replace(full_facts.meeting, title="Two\nlines ")
    letter = writer.letter(kind, replace(full_facts, meeting=broken), attendee, LINK)
    assert len(letter.subject.splitlines()) == 1
    assert letter.subject == letter.subject.strip()
    assert "Two lines" in letter.subject
    assert bool(letter.notes) == (kind in {Kind.INVITATION, Kind.UPDATE})
    assert letter.notes.strip() in {"", letter.notes[:-1]}
    assert "\r" not in _all(letter)


@pytest.mark.parametrize("kind", list(Kind))
def test_shipped_letters_are_shared_and_filled_as_rendered(
    kind: Kind, writer: LetterWriter, full_facts: LetterFacts, attendee: Attendee
) -> None:
    """Name and link are slots; two people in like roles share one rendering."""
    other = replace(
        attendee, name="Bob <Sample>", email="bob@example.com", address="bob@example.com"
    )
    shared = writer.shared(kind, full_facts, attendee, LINK)
    assert writer.shared(kind, full_facts, other, LINK) is shared
    names = {piece.name for piece in shared.text + shared.html if isinstance(piece, Slot)}
    assert names == ({"attendee.name", "link"} if kind in WITH_LINK else {"attendee.name"})
    for person in (attendee, other):
        assert shared.letter(person, LINK) == writer.letter(kind, full_facts, person, LINK)


@pytest.mark.parametrize("kind", list(Kind))
def test_shipped_letters_of_other_meetings_are_not_rendered_anew(
    kind: Kind, shipped: Templates, full_facts: LetterFacts, attendee: Attendee
) -> None:
    """Title, description, times and host are slots as well: one rendering does for the run."""
    writer = LetterWriter(shipped)
    writer.shared(kind, full_facts, attendee, LINK)
    rendered = shipped.sharing(kind).rendered
    other = replace(
        full_facts.meeting,
        title="Another",
        description="Two\nlines",
        start=full_facts.meeting.start + timedelta(days=1),
        end=full_facts.meeting.end + timedelta(days=1),
        organizer_name="Another Host",
    )
    window = full_facts.validity
    later = replace(window, not_before=window.not_before + 86_400, expires=window.expires + 86_400)
    facts = replace(full_facts, meeting=other, validity=later)
    shared = writer.shared(kind, facts, attendee, LINK)
    assert shared.letter(attendee, LINK) == writer.letter(kind, facts, attendee, LINK)
    assert "Another" in shared.letter(attendee, LINK).text
    assert shipped.sharing(kind).rendered == rendered
    assert shipped.sharing(kind).failed == 0


def test_values_with_markers_of_slots_lose_them(
    writer: LetterWriter, facts: LetterFacts, attendee: Attendee
) -> None:
    """A roster refuses control characters; a letter made from anything else is right as well."""
    forged = f"{START}0{END}"
    person = replace(attendee, name=forged)
    meeting = replace(facts.meeting, title=f"x{forged}", description=forged, organizer_name=forged)
    hostile = replace(facts, meeting=meeting)
    shared = writer.shared(Kind.INVITATION, hostile, person, LINK)
    rendered = writer.letter(Kind.INVITATION, hostile, person, LINK)
    assert shared.letter(person, LINK) == rendered
    assert START not in _all(rendered)


def test_letters_hide_their_texts(
    writer: LetterWriter, facts: LetterFacts, attendee: Attendee
) -> None:
    """A live link never reaches a repr."""
    assert "jwt" not in repr(writer.letter(Kind.INVITATION, facts, attendee, LINK))
    assert "jwt" not in repr(writer.shared(Kind.INVITATION, facts, attendee, LINK))


def test_changes_are_escaped_in_html(
    writer: LetterWriter, full_facts: LetterFacts, attendee: Attendee
) -> None:
    """Labels and values come from a text template, and stand as text in HTML all the same."""
    change = Change(field="title", old="<b>old</b>", new="<script>new</script>")
    letter = writer.letter(Kind.UPDATE, replace(full_facts, changes=(change,)), attendee, LINK)
    assert "&lt;b&gt;old&lt;/b&gt;" in letter.html
    assert "<script" not in letter.html
    assert "<b>old</b> -> <script>new</script>" in letter.text


@pytest.mark.parametrize(
    "tag",
    [
        "{% include 'piece.txt.j2' %}",
        "{% include ['gone.j2', 'piece.txt.j2'] %}",
        "{% include 'piece' ~ '.txt.j2' %}",
        "{% from 'piece.txt.j2' import shown with context %}{{ shown() }}",
        "{% import 'piece.txt.j2' as piece with context %}{{ piece.shown() }}{{ piece }}",
    ],
)
def test_html_escapes_the_text_templates_that_it_takes(
    tag: str,
    facts: LetterFacts,
    attendee: Attendee,
    folder_of: Callable[[dict[str, str]], Path],
) -> None:
    """What stands in a text template is text: its own words, its values and its macros'."""
    piece = "{% macro shown() %}{{ attendee.name }} & co{% endmacro %}{{ shown() }}"
    join = f'<p>{tag}</p><a href="{{{{ link }}}}">Join</a>'
    folder = folder_of({"piece.txt.j2": piece, "join.html.j2": join, "join.txt.j2": piece})
    person = replace(attendee, name="<b>Ada</b>")
    letter = LetterWriter(Templates.load(folder)).letter(Kind.INVITATION, facts, person, LINK)
    assert "&lt;b&gt;Ada&lt;/b&gt; &amp; co" in letter.html
    assert "&amp;lt;" not in letter.html
    assert "<b>Ada</b>" not in letter.html
    assert "<b>Ada</b> & co" in letter.text


@pytest.mark.parametrize("kind", list(Kind))
def test_lines_of_text_have_at_most_78_characters_and_the_link_has_its_own(
    kind: Kind, writer: LetterWriter, full_facts: LetterFacts, attendee: Attendee
) -> None:
    """Whatever the roster says in words; a link is never broken."""
    words = "several words of a roster " * 18
    meeting = replace(
        full_facts.meeting, title=words, description=f"{words}\n\n{words}", organizer_name=words
    )
    changes = (*full_facts.changes, Change(field="description", old=words, new=f"x {words}"))
    long = replace(
        full_facts,
        meeting=meeting,
        changes=changes,
        organizer=Organizer(name=words, email="m@example.com"),
    )
    person = replace(attendee, timezone="America/Argentina/ComodRivadavia", moderator=True)
    lines = writer.letter(kind, long, person, f"{LINK}{'x' * 300}").text.split("\n")
    links = [line for line in lines if "jwt=" in line]
    assert links == ([f"{LINK}{'x' * 300}"] if kind in WITH_LINK else [])
    assert max(len(line) for line in lines if line not in links) <= 78


@pytest.mark.parametrize("kind", list(Kind))
def test_a_subject_has_120_characters_of_the_title(
    kind: Kind, writer: LetterWriter, facts: LetterFacts, attendee: Attendee
) -> None:
    """Longer subjects look like spam to rspamd; the letter itself has the whole title."""
    for length in (120, 121):
        meeting = replace(facts.meeting, title="t" * length)
        letter = writer.letter(kind, replace(facts, meeting=meeting), attendee, LINK)
        shown = "t" * 120 + ("…" if length > 120 else "")
        assert f": {shown}, " in letter.subject
        assert "t" * length in letter.text
        assert "t" * length in letter.html


@pytest.mark.parametrize("kind", [Kind.INVITATION, Kind.UPDATE])
def test_the_button_stands_under_the_date_and_before_the_description(
    kind: Kind, writer: LetterWriter, full_facts: LetterFacts, attendee: Attendee
) -> None:
    """Title, date and time, button, greeting, host, role, description; then the link to copy."""
    person = replace(attendee, moderator=True)
    page = writer.letter(kind, full_facts, person, LINK).html.partition("<h1")[2]
    places = [
        page.rindex("Planning &amp; more</h1>"),
        page.rindex("Tuesday, 2 December 2031</p>"),
        page.index("09:00 –"),
        page.index("Join the meeting</a>"),
        page.index("Hello Ada"),
        page.index("Grace Sample"),
        page.index("You are a moderator"),
        page.index("And questions."),
        page.index("Copy link"),
    ]
    assert places == sorted(places)
    text = writer.letter(kind, full_facts, person, LINK).text
    assert text.index(LINK) < text.index("And questions.")


@pytest.mark.parametrize("kind", [Kind.INVITATION, Kind.UPDATE])
def test_a_mail_shows_600_characters_of_a_description(
    kind: Kind, writer: LetterWriter, facts: LetterFacts, attendee: Attendee
) -> None:
    """The calendar entry has the rest, and the mail says so."""
    for length in (600, 601):
        meeting = replace(facts.meeting, description="d" * length)
        letter = writer.letter(kind, replace(facts, meeting=meeting), attendee, LINK)
        assert "d" * length in letter.notes
        for body in (letter.text, letter.html):
            assert "d" * 600 in body
            assert ("d" * 601 in body, "…" in body) == (False, length > 600)
            assert ("The calendar entry has all of it." in body) == (length > 600)


LINK_MOVES = ("start", "end", "room", "server", "validity", "key", "moderator", "name", "avatar")
LINK_STAYS = ("title", "description", "host", "status", "reminder", "attendance", "language")


@pytest.mark.parametrize(
    "field",
    [*LINK_MOVES, "user_id", "group", "features", *LINK_STAYS, "attendee_timezone", "timezone"],
)
def test_an_update_replaces_the_link_only_where_it_is_another_one(
    field: str, writer: LetterWriter, facts: LetterFacts, attendee: Attendee
) -> None:
    """Whoever reads that the link is replaced throws the earlier mail away."""
    moves = field not in {*LINK_STAYS, "attendee_timezone", "timezone"}
    told = replace(facts, changes=(Change(field=field, old=None, new=None),))
    letter = writer.letter(Kind.UPDATE, told, attendee, LINK)
    for body in (letter.text, letter.html):
        assert ("It replaces the link in earlier mails." in body) == moves
    again = writer.letter(Kind.UPDATE, facts, attendee, LINK)
    assert "replaces" not in _all(again)


@pytest.mark.parametrize(
    ("before", "zone", "told"),
    [
        (timedelta(minutes=10), "Europe/Berlin", "in 10 minutes"),
        (timedelta(seconds=50), "Europe/Berlin", "in a minute"),
        (timedelta(minutes=59, seconds=40), "Europe/Berlin", "in an hour"),
        (timedelta(minutes=62), "Europe/Berlin", "in an hour"),
        (timedelta(hours=3), "Europe/Berlin", "today at 09:00"),
        (timedelta(hours=24), "Europe/Berlin", "tomorrow at 09:00"),
        (timedelta(hours=10), "Europe/Berlin", "tomorrow at 09:00"),
        (timedelta(hours=10), "Asia/Tokyo", "today at 17:00"),
        (timedelta(hours=48), "Europe/Berlin", "on Tuesday, 2 December 2031 at 09:00"),
        (-timedelta(minutes=1), "Europe/Berlin", "now"),
    ],
)
def test_a_reminder_says_when_the_meeting_starts(
    before: timedelta,
    zone: str,
    told: str,
    writer: LetterWriter,
    facts: LetterFacts,
    attendee: Attendee,
) -> None:
    """As somebody there says it who reads the mail when it comes."""
    now = facts.meeting.start - before
    person = replace(attendee, timezone=zone)
    letter = writer.letter(Kind.REMINDER, replace(facts, now=now), person, LINK)
    clock = "17:00" if zone == "Asia/Tokyo" else "09:00"
    assert letter.subject == f"Reminder: Planning & more, {told}" + (
        "" if clock in told else f" ({clock})"
    )
    assert f"this meeting starts {told}." in letter.text
    assert f"this meeting starts {told}." in letter.html


def test_a_reminder_says_that_a_meeting_is_tentative(
    writer: LetterWriter, full_facts: LetterFacts, facts: LetterFacts, attendee: Attendee
) -> None:
    """Nobody is to travel for what may be called off."""
    letter = writer.letter(Kind.REMINDER, full_facts, attendee, LINK)
    assert letter.subject.startswith("Reminder of a tentative meeting: ")
    for body in (letter.text, letter.html):
        assert "This meeting is tentative" in body
    assert "tentative" not in _all(writer.letter(Kind.REMINDER, facts, attendee, LINK))
