"""A page to look at in a browser: what a build made, or how runs went; no token, no join link.

The page is one file that loads nothing. It stands whole without its script, which only sorts and
filters; it is written piece by piece, so that a million rows never stand in memory.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from markupsafe import escape

from invites import __version__
from invites.jitsi.validity import closing, opening, validity_for
from invites.problems import lines_of
from invites.report.tables import RUN_COLUMNS, run_cells
from invites.report.timeline import MeetingTime, Timeline, span_words, timelines
from invites.roster.recurrence import rule_text
from invites.templating.dates import minute_at
from invites.templating.environment import page_pieces
from invites.templating.repeating import repeats_words
from invites.text import counted
from invites.times import TZDATA_VERSION, iso_z, local

if TYPE_CHECKING:
    from invites.ledger.history import PastMessage, PastRun, Waiting
    from invites.messages.compose import Sender
    from invites.model import Attendee, Meeting, Roster
    from invites.output.forms import Place
    from invites.problems import Warned


TEMPLATE: Final = Path(__file__).with_name("page.html.j2")


class FileLink(NamedTuple):
    """A file beside the page; `path` has no character that a URL escapes (`output.forms`)."""

    text: str
    path: str


class Cell(NamedTuple):
    """What a table shows in one place; `key` sorts it where its text does not."""

    text: str
    key: str = ""
    links: tuple[FileLink, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTable:
    """A table whose rows are made as they are written; `choices` are the values of `chosen`."""

    title: str
    columns: tuple[str, ...]
    rows: Iterable[Sequence[Cell]]
    count: int
    chosen: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page shows, from top to bottom; `tables_first` puts the timelines below the tables."""

    title: str
    totals: Sequence[tuple[str, str]]
    notices: Sequence[str] = ()
    alarm: str = ""
    timelines: Sequence[Timeline] = ()
    tables: Sequence[PageTable] = ()
    problems: Sequence[str] = ()
    used: Mapping[str, str] = field(default_factory=dict)
    tables_first: bool = False

    def pieces(self) -> Iterator[bytes]:
        """Yield the page in UTF-8."""
        return page_pieces(TEMPLATE, page=self, row_of=row_of)


def row_of(cells: Iterable[Cell]) -> str:
    """Return a table's row as HTML: a template takes three times as long, and a page is mostly rows."""
    return f"<tr>{''.join(map(_in_html, cells))}</tr>"


def _in_html(cell: Cell) -> str:
    key = f' data-key="{escape(cell.key)}"' if cell.key else ""
    links = "".join([f'<a href="{escape(path)}">{escape(text)}</a>' for text, path in cell.links])
    return f'<td{key} dir="auto">{escape(cell.text)}{links}</td>'


_BATCH: Final = re.compile(r"(in batch [^/ ]+)/\S+")

DEMO: Final = (
    "A demonstration. The links were signed with a secret made for this build alone, for "
    "meet.example.com: they admit nobody."
)
KEYS: Final = (
    "Each mail holds a personal link that admits its receiver; handle these files like keys. "
    "manifest.csv lists them for programs."
)


def built_page(
    meetings: Sequence[Meeting],
    *,
    sender: Sender,
    now: datetime,
    roster: Roster | None,
    warnings: Iterable[Warned],
    place_of: Callable[[str, str], Place],
) -> Page:
    """Return the page of what was built of these meetings; `place_of` finds an attendee's files.

    `now` is the revision's time; `roster` is what the meetings are a selection of.
    """
    by_role: Counter[str] = Counter()
    for meeting in meetings:
        by_role.update(map(_role, meeting.attendees))
    people = by_role.total()
    problems, used = [], {}
    if roster is not None:
        name = Path(roster.source).name  # the same roster elsewhere makes the same page
        problems = lines_of((*roster.left_out, *roster.warnings, *warnings), name)
        rows = counted(roster.rows_read, "row")
        used = {"Roster": f"{name}: {rows}, SHA-256 {roster.digest}"}
    return Page(
        title=f"{counted(people, 'invitation')} to {counted(len(meetings), 'meeting')}",
        alarm=DEMO if sender.demo else "",
        notices=(KEYS,),
        totals=(
            ("meetings", f"{len(meetings):,}"),
            ("invitations", f"{people:,}"),
            ("as moderator", f"{by_role[MODERATOR]:,}"),
            *((("rows left out", f"{roster.rejected:,}"),) if roster and roster.rejected else ()),
        ),
        timelines=timelines(
            MeetingTime(
                one.title or meeting.title,
                one.start,
                one.end,
                meeting.timezone,
                f"{len(meeting.attendees):,} invited",
            )
            for meeting in meetings
            for one in meeting.dates
        ),
        tables=(
            PageTable(
                title="Attendees",
                columns=("Start", "Meeting", "Name", "Address", "Role", "Files"),
                rows=_attendee_rows(meetings, place_of),
                count=people,
                chosen="Role",
                choices=tuple(sorted(by_role)),
            ),
            PageTable(
                title="Meetings",
                columns=("Time", "Zone", "Meeting", "Id", "Status", "Invited", "Links admit"),
                rows=_meeting_rows(meetings, sender),
                count=len(meetings),
            ),
        ),
        problems=problems,
        used={
            **used,
            "Server": f"{sender.server.url} (app id {sender.server.app_id})",
            "Signed with": sender.server.algorithm,
            "Sent by": f"{sender.organizer.name} <{sender.organizer.email}>",
            "Time of the revision": local(now, "UTC"),
            "Time zone data": TZDATA_VERSION,
            "Program": f"invites {__version__}",
        },
    )


MODERATOR: Final = "moderator"


def _role(person: Attendee) -> str:
    return MODERATOR if person.moderator else person.attendance.value


def _attendee_rows(
    meetings: Iterable[Meeting], place_of: Callable[[str, str], Place]
) -> Iterator[Sequence[Cell]]:
    for meeting in meetings:
        start = Cell(local(meeting.start, meeting.timezone), iso_z(meeting.start))
        title = Cell(meeting.title)
        for person in meeting.attendees:
            place = place_of(meeting.id, person.address)
            named = ((place.html, "look"), (place.eml, "mail"), (place.ics, "calendar"))
            links = tuple([FileLink(text, path) for path, text in named if path])
            files = Cell("", "", links)
            yield start, title, Cell(person.name), Cell(person.email), Cell(_role(person)), files


def _meeting_rows(meetings: Iterable[Meeting], sender: Sender) -> Iterator[Sequence[Cell]]:
    for meeting in meetings:
        validity = validity_for(meeting.opens, meeting.over_at, sender.rule)
        # In the full minutes that the mail tells.
        opens = minute_at(int(opening(validity, sender.rule).timestamp()), up=True)
        closes = minute_at(int(closing(validity).timestamp()))
        each = meeting.series is not None and sender.rule.tokens != "series"
        invited = len(meeting.attendees)
        yield (
            Cell(_time_words(meeting), iso_z(meeting.start)),
            Cell(meeting.timezone),
            Cell(meeting.title),
            Cell(meeting.id),
            Cell(meeting.status.value),
            Cell(f"{invited:,}", f"{invited:09}"),
            Cell(
                "round each date" if each else span_words(opens, closes, meeting.timezone),
                iso_z(opens),
            ),
        )


def _time_words(meeting: Meeting) -> str:
    """Return when a meeting takes place; of a series its first date, its rule and how many dates."""
    first = span_words(meeting.start, meeting.end, meeting.timezone)
    if meeting.series is None:
        return first
    rule = repeats_words(rule_text(meeting.series))
    return f"{first}, {rule}, {counted(len(meeting.starts), 'date')}"


def history_page(
    messages: Sequence[PastMessage],
    waiting: Sequence[Waiting],
    runs: Sequence[PastRun],
    *,
    timezone: str,
) -> Page:
    """Return the page of what was sent, with its outcomes; times of sending are in `timezone`."""
    outcomes = Counter(str(message.state) for message in messages)
    counts = Counter(message.meeting_id for message in messages)
    return Page(
        title=f"{counted(len(messages), 'message')} in {counted(len(runs), 'run')}",
        notices=("What the ledger remembers: to whom something was sent, and how each run went.",),
        totals=(
            ("people", f"{len({message.address for message in messages}):,}"),
            ("meetings", f"{len(counts):,}"),
            *((outcome, f"{count:,}") for outcome, count in sorted(outcomes.items())),
            *((("not accepted yet", f"{len(waiting):,}"),) if waiting else ()),
        ),
        timelines=timelines(
            {
                message.meeting_id: MeetingTime(
                    message.title,
                    message.start,
                    message.start,
                    message.timezone,
                    counted(counts[message.meeting_id], "message"),
                )
                for message in reversed(messages)  # the latest tells the start that stands
                if message.start is not None
            }.values()
        ),
        tables_first=True,  # what went out when, and how it ended, is what a history is opened for
        tables=(
            PageTable(
                title="Messages",
                columns=("Sent", "Address", "Meeting", "Start", "What", "Outcome", "Answer"),
                rows=(_message_row(message, timezone) for message in messages),
                count=len(messages),
                chosen="Outcome",
                choices=tuple(sorted(outcomes)),
            ),
            *((_waiting_table(waiting, timezone),) if waiting else ()),
            PageTable(
                title="Runs",
                columns=tuple(name.capitalize() for name in RUN_COLUMNS),
                rows=(tuple(map(Cell, run_cells(run))) for run in runs),
                count=len(runs),
            ),
        ),
    )


def _message_row(message: PastMessage, timezone: str) -> Sequence[Cell]:
    start = message.start
    return (
        Cell(local(message.at, timezone, seconds=True), iso_z(message.at)),
        Cell(message.address),
        Cell(message.title or message.meeting_id),
        Cell("") if start is None else Cell(local(start, message.timezone), iso_z(start)),
        Cell(f"{message.what} {message.sequence}"),
        Cell(str(message.state)),
        # The batch is enough: its manifest finds the file, whose path would fill five lines.
        Cell(_BATCH.sub(r"\1", message.answer)),
    )


def _waiting_table(waiting: Sequence[Waiting], timezone: str) -> PageTable:
    return PageTable(
        title="Not accepted yet",
        columns=("Address", "Meeting", "What", "State", "Attempts", "Next attempt"),
        rows=(
            (
                Cell(one.address),
                Cell(one.meeting_id),
                Cell(f"{one.kind} {one.sequence}"),
                Cell(str(one.state)),
                Cell(str(one.attempts)),
                Cell("" if one.next_attempt is None else local(one.next_attempt, timezone)),
            )
            for one in waiting
        ),
        count=len(waiting),
    )
