"""A large roster, whose rows and meetings lie outside the memory, is read like a small one."""

from __future__ import annotations

import csv
import io
import random
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.roster import write_roster
from invites.errors import RosterRefusedError
from invites.model import Roster
from invites.roster import csv_file, groups, parse, scratch
from invites.roster.csv_file import read_table, table_from_bytes
from invites.roster.parse import RosterRules, parse_roster
from invites.roster.scratch import Stored
from invites.roster.table import joined
from tests.roster.test_csv_file import SAMPLE

RULES = RosterRules(languages=("en", "de"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take rosters of more than 10 rows or 1,000 bytes for large ones."""
    monkeypatch.setattr(csv_file, "BYTES_IN_MEMORY", 1_000)
    monkeypatch.setattr(csv_file, "PIECE", 777)
    monkeypatch.setattr(scratch, "PIECE", 777)
    monkeypatch.setattr(parse, "ROWS_IN_MEMORY", 10)
    monkeypatch.setattr(groups, "ROWS_TOGETHER", 7)


def scattered(*, faulty: bool = False) -> bytes:
    """Return the sample roster with the rows of its meetings apart, and some at fault."""
    header, *rows = csv.reader(io.StringIO(SAMPLE.read_text(encoding="utf-8"), newline=""))
    rows += [list(row) for row in rows[:5]]
    random.Random(7).shuffle(rows)  # noqa: S311 - the same order each time
    if faulty:
        rows[3][header.index("email")] = "a..b@example.org"
        rows[8][header.index("start")] = "yesterday"
        rows[9][header.index("meeting_id")] = ""
        rows[9][header.index("end")] = "tomorrow"
        rows[20] = [""] * len(header)
    written = io.StringIO(newline="")
    csv.writer(written).writerows([header, *rows])
    return written.getvalue().encode()


def at_once(content: bytes, *, skip_invalid: bool = False) -> Roster:
    """Return the roster as it is read where all of it is in memory."""
    table = replace(table_from_bytes(content, "r.csv"), size=0)
    return parse_roster(table, RULES, skip_invalid=skip_invalid)


def by_groups(path: Path, *, skip_invalid: bool = False) -> Roster:
    """Return the roster as it is read in groups, with its meetings as a tuple."""
    table = replace(read_table(path), source="r.csv")
    roster = parse_roster(table, RULES, skip_invalid=skip_invalid, kept=Stored)
    assert not isinstance(roster.meetings, tuple)
    return replace(roster, meetings=tuple(roster.meetings))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("faulty", [False, True])
def test_a_large_roster_says_what_a_small_one_does(tmp_path: Path, *, faulty: bool) -> None:
    """Its meetings, their order, its counts, its warnings and each row's number are the same."""
    content = scattered(faulty=faulty)
    (tmp_path / "r.csv").write_bytes(content)
    found = by_groups(tmp_path / "r.csv", skip_invalid=True)
    assert found == at_once(content, skip_invalid=True)
    assert bool(found.left_out) is faulty


@pytest.mark.usefixtures("small")
def test_a_large_roster_is_refused_with_every_problem_and_its_row(tmp_path: Path) -> None:
    """They are in row order, though the rows were read in another one."""
    content = scattered(faulty=True)
    (tmp_path / "r.csv").write_bytes(content)
    with pytest.raises(RosterRefusedError) as large:
        by_groups(tmp_path / "r.csv")
    with pytest.raises(RosterRefusedError) as small:
        at_once(content)
    assert large.value.problems == small.value.problems
    assert large.value.rows_read == small.value.rows_read


@pytest.mark.usefixtures("small")
def test_the_rows_of_several_large_files_keep_their_files_names(tmp_path: Path) -> None:
    """A number that names its file as well comes back from where it lay."""
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(scattered())
    table = joined([read_table(tmp_path / name) for name in ("a.csv", "b.csv")])
    roster = parse_roster(replace(table, faults=()), RULES, kept=Stored)
    rows = {str(attendee.row) for meeting in roster.meetings for attendee in meeting.attendees}
    assert f"2 of {tmp_path / 'a.csv'}" in rows


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: content.replace(b"\r\n", b"\n"),
        lambda content: content.removesuffix(b"\r\n"),
        lambda content: content.decode().encode("utf-16"),
        lambda content: content.replace(b"\r\n", b"\r"),
        lambda content: content[:2_000] + b"\xff" + content[2_000:],
        lambda content: content + b'a,"b\r\n',
        lambda content: content + b"one,cell,too,few\r\n",
        lambda _: b" \n" * 2_000,
    ],
    ids=["BOM", "LF", "cut", "UTF-16", "CR", "cp1252", "open quote", "ragged", "blank"],
)
def test_a_large_file_is_read_or_refused_like_its_bytes(tmp_path: Path, change: object) -> None:
    """Also where a piece ends within a character or between CR and LF."""
    assert callable(change)
    content = change(scattered())
    path = tmp_path / "r.csv"
    path.write_bytes(content)
    assert _said_of(lambda: read_table(path)) == _said_of(
        lambda: table_from_bytes(content, str(path))
    )


def _said_of(read: object) -> object:
    assert callable(read)
    try:
        table = read()
    except RosterRefusedError as refusal:
        return refusal.problems
    return replace(
        table, rows=[(list(c.numbers), [list(x) for x in c.columns]) for c in table.rows]
    )


def test_memory_does_not_grow_with_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times the rows take less than half as much again."""
    monkeypatch.setattr(csv_file, "BYTES_IN_MEMORY", 100_000)
    monkeypatch.setattr(csv_file, "ROWS_AT_ONCE", 200)
    monkeypatch.setattr(scratch, "PIECE", 50_000)
    monkeypatch.setattr(parse, "ROWS_IN_MEMORY", 1_000)
    monkeypatch.setattr(groups, "ROWS_TOGETHER", 500)
    peaks = []
    for rows in (500, 3_000, 12_000):  # the first one loads what reading needs
        write_roster(tmp_path / "r.csv", rows)
        tracemalloc.start()
        roster = parse_roster(read_table(tmp_path / "r.csv"), RULES, kept=Stored)
        assert sum(len(meeting.attendees) for meeting in roster.meetings) == rows
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.5 * peaks[1]
