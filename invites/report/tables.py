"""Tables for a terminal: a build's meetings, a roster's problems, the history of messages and runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from invites.problems import Problem, escaped
from invites.text import counted
from invites.times import iso_z, local, zone

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from invites.ledger.history import PastMessage, PastRun, Waiting
    from invites.model import Meeting

MEETINGS_AT_MOST: Final = 30
"""Meetings that a table shows; index.html and manifest.csv have them all."""

PROBLEMS_AT_MOST: Final = 200
"""Problems that a table shows; the lines on stderr have them all."""

MEMBERS_NAMED: Final = 3
"""People or meetings that are named of those that are alike."""

By = Literal["meeting", "person"]

ZONE_FROM: Final = 80
"""Columns of a terminal from which the zones have room beside the titles."""

EXIT_WORDS: Final[Mapping[int, str]] = {
    0: "done",
    1: "failed",
    2: "wrong usage",
    3: "roster refused",
    4: "done in part",
    5: "settings",
    6: "a guard refused",
    75: "to be run again",
}


def meeting_table(meetings: Sequence[Meeting], *, columns: int) -> Table:
    """Return a table of the meetings that were built, for a terminal of so many columns."""
    rest = len(meetings) - MEETINGS_AT_MOST
    table = _table()
    table.caption = f"and {counted(rest, 'meeting')} more" if rest > 0 else None
    with_zone = columns >= ZONE_FROM
    table.add_column("start", min_width=len("2031-03-03"), max_width=len("2031-03-03 09:00"))
    if with_zone:
        table.add_column("zone", overflow="fold")
    table.add_column("meeting", overflow="fold", min_width=12)
    table.add_column("invited", justify="right", no_wrap=True)
    if with_zone:
        table.add_column("moderators", justify="right", no_wrap=True)
    for meeting in meetings[:MEETINGS_AT_MOST]:
        start = f"{meeting.start.astimezone(zone(meeting.timezone)):%Y-%m-%d %H:%M}"
        title = (
            f"{meeting.title} ({len(meeting.starts)} dates)" if meeting.series else meeting.title
        )
        invited = f"{len(meeting.attendees):,}"
        moderators = f"{sum(attendee.moderator for attendee in meeting.attendees):,}"
        wide = (start, meeting.timezone, title, invited, moderators)
        table.add_row(*_cells(*(wide if with_zone else (start, title, invited))))
    return table


def problem_table(problems: Sequence[Problem]) -> Table:
    """Return a table of a roster's problems."""
    shown = f", the first {PROBLEMS_AT_MOST} of them" if len(problems) > PROBLEMS_AT_MOST else ""
    table = _table(f"{counted(len(problems), 'problem')}{shown}")
    table.add_column("row", justify="right", no_wrap=True)
    table.add_column("column", no_wrap=True)
    table.add_column("found", overflow="fold")
    table.add_column("expected", overflow="fold", ratio=1)
    for problem in problems[:PROBLEMS_AT_MOST]:
        row = "file" if problem.row is None else str(problem.row)
        found = "" if problem.found is None else escaped(problem.found)
        table.add_row(*_cells(row, escaped(problem.column or ""), found, problem.expected))
    return table


def waiting_table(waiting: Sequence[Waiting], *, timezone: str) -> Table:
    """Return what is on its way, a row per message; times are on the clock of `timezone`."""
    columns = ("to", "meeting", "what", "seq", "state", "attempts", "next attempt")
    rows = (
        (
            one.address,
            one.meeting_id,
            one.kind,
            str(one.sequence),
            str(one.state),
            str(one.attempts),
            "" if one.next_attempt is None else _when(one.next_attempt, timezone),
        )
        for one in waiting
    )
    return _table(f"not accepted yet (times in {timezone})", columns, rows)


def message_table(messages: Sequence[PastMessage], *, timezone: str) -> Table:
    """Return what was sent, a row per message.

    Times of sending are on the clock of `timezone`, that of a meeting on its own.
    """
    columns = ("sent", "to", "meeting", "what", "seq", "outcome", "answer")
    rows = (
        (
            _when(one.at, timezone),
            one.address,
            _meeting(one),
            one.what,
            str(one.sequence),
            str(one.state),
            one.answer,
        )
        for one in messages
    )
    return _table(f"messages (times in {timezone})", columns, rows)


def grouped_table(messages: Sequence[PastMessage], *, by: By, timezone: str) -> Table:
    """Return what was sent by meeting or by person, one row for messages that are alike."""
    alike: dict[tuple[str, str, str, str], list[PastMessage]] = {}
    for one in messages:
        whose = _meeting(one) if by == "meeting" else one.address
        number = str(one.sequence) if by == "meeting" else ""
        alike.setdefault((whose, one.what, number, str(one.state)), []).append(one)
    first, others = ("meeting", "to") if by == "meeting" else ("to", "meetings")
    rows = []
    for (whose, kind, number, outcome), found in sorted(alike.items()):
        members = [one.address if by == "meeting" else one.title or one.meeting_id for one in found]
        latest = _when(max(one.at for one in found), timezone)
        rows.append((whose, f"{kind} {number}".strip(), outcome, some(members), latest))
    columns = (first, "what", "outcome", others, "last")
    return _table(f"messages by {by} (times in {timezone})", columns, rows)


def some(members: Iterable[str]) -> str:
    """Return the first three of members, each once, and how many more there are."""
    named = list(dict.fromkeys(members))
    rest = len(named) - MEMBERS_NAMED
    more = f" and {rest:,} more" if rest > 0 else ""
    return ", ".join(named[:MEMBERS_NAMED]) + more


RUN_COLUMNS: Final = ("run", "scope", "took", "outcome", "counts", "roster", "zone data")


def run_table(runs: Sequence[PastRun]) -> Table:
    """Return how runs went, a row per run."""
    return _table("runs", RUN_COLUMNS, map(run_cells, runs))


def run_cells(run: PastRun) -> tuple[str, ...]:
    """Return how a run went, a text for each of RUN_COLUMNS."""
    counts = ", ".join(f"{number} {name}" for name, number in run.counts.items() if number)
    return (
        run.id,
        run.scope,
        "" if run.took is None else f"{run.took.total_seconds():.1f} s",
        _outcome(run.exit_code),
        counts.replace("_", " "),
        run.roster_digest[:12],
        run.tz_version,
    )


def documents_of(rows: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Yield the ledger's values for `--json`: times in UTC, durations in seconds."""
    for row in rows:
        yield {name: _plain(value) for name, value in _fields(row).items()}


def _fields(row: Any) -> dict[str, Any]:
    if isinstance(row, tuple) and hasattr(row, "_asdict"):
        fields: dict[str, Any] = row._asdict()
        return fields
    names = row.__dataclass_fields__
    return {name: getattr(row, name) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso_z(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return dict(value)
    return value


def _outcome(exit_code: int | None) -> str:
    if exit_code is None:
        return "cut short"
    return f"{EXIT_WORDS.get(exit_code, 'unknown')} ({exit_code})"


def _meeting(message: PastMessage) -> str:
    """Return a meeting's title, its start on its own clock, and its id, as far as they are kept."""
    if message.start is None:
        return message.meeting_id
    when = local(message.start, message.timezone)
    if message.rule:
        from invites.templating.repeating import repeats_words  # noqa: PLC0415 - it brings Babel

        when = f"{repeats_words(message.rule)} from {when}"
    return f"{message.title}, {when} ({message.meeting_id})"


def _when(moment: datetime, timezone: str) -> str:
    return moment.astimezone(zone(timezone)).strftime("%Y-%m-%d %H:%M:%S")


def _table(
    title: str | None = None, columns: Sequence[str] = (), rows: Iterable[Sequence[str]] = ()
) -> Table:
    from rich.table import Table  # noqa: PLC0415 - only where somebody looks

    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*_cells(*row))
    return table


def _cells(*values: str) -> list[Text]:
    """Return cells none of which is taken for markup, or moves the cursor."""
    from rich.text import Text  # noqa: PLC0415 - only where somebody looks

    return [
        Text("".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in value))
        for value in values
    ]
