"""From cells to meetings: rules over rows, left-out rows, warnings, and what order changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.errors import RosterRefusedError
from invites.jitsi.validity import ValidityRule
from invites.model import Attendance, Meeting, Roster, Status
from invites.problems import lines_of
from invites.roster.columns import COLUMNS
from invites.roster.parse import RosterRules, parse_roster
from invites.roster.table import Chunk, Table

GOOD = {
    "meeting_id": "weekly",
    "title": "Weekly",
    "start": "2031-03-03 09:00",
    "end": "2031-03-03 10:00",
    "name": "Ada Example",
    "email": "ada@example.org",
}


def table(*rows: dict[str, str]) -> Table:
    """Return a table of the good row with these cells put in, one row each."""
    header = tuple(dict.fromkeys([*GOOD, *(name for row in rows for name in row)]))
    full = [{**GOOD, **row} for row in rows]
    columns = [[row.get(name, "") for row in full] for name in header]
    chunk = Chunk(range(2, len(rows) + 2), columns)
    return Table(source="roster.csv", digest="0" * 64, header=header, rows=[chunk])


def read(*rows: dict[str, str], skip_invalid: bool = False, **rules: object) -> Roster:
    """Return the roster that these rows make."""
    return parse_roster(
        table(*rows),
        RosterRules(**rules),  # type: ignore[arg-type]
        skip_invalid=skip_invalid,
    )


def refused(*rows: dict[str, str], **more: object) -> RosterRefusedError:
    """Return how these rows are refused."""
    with pytest.raises(RosterRefusedError) as caught:
        read(*rows, **more)  # type: ignore[arg-type]
    return caught.value


def only(roster: Roster) -> Meeting:
    """Return the one meeting of a roster."""
    (meeting,) = roster.meetings
    return meeting


def test_every_column_reaches_the_values() -> None:
    """A row with all cells filled comes out as a meeting and an attendee that have them all."""
    meeting = only(
        read(
            {
                "timezone": "Europe/Berlin",
                "moderator": "Yes",
                "room": "Team Sync",
                "description": "One\r\ntwo",
                "organizer_name": "Host Example",
                "organizer_email": "Host@Bücher.example",
                "status": "Tentative",
                "avatar": "https://example.org/a.png",
                "language": "pt-br",
                "attendee_timezone": "Asia/Tokyo",
                "attendance": "Optional",
                "features": "recording; lobby recording",
                "user_id": "u-1",
                "group": "g",
                "Seat No": "12",
            }
        )
    )
    assert meeting.start == datetime(2031, 3, 3, 8, tzinfo=UTC)
    assert meeting.end == datetime(2031, 3, 3, 9, tzinfo=UTC)
    assert meeting.timezone == "Europe/Berlin"
    assert meeting.room is not None
    assert meeting.room.claim == "team%20sync"
    assert meeting.description == "One\ntwo"
    assert meeting.organizer_name == "Host Example"
    assert meeting.organizer_email == "Host@xn--bcher-kva.example"
    assert meeting.status is Status.TENTATIVE
    (attendee,) = meeting.attendees
    assert attendee.moderator is True
    assert attendee.attendance is Attendance.OPTIONAL
    assert (attendee.avatar, attendee.language) == ("https://example.org/a.png", "pt-BR")
    assert attendee.timezone == "Asia/Tokyo"
    assert attendee.features == ("lobby", "recording")
    assert (attendee.user_id, attendee.group) == ("u-1", "g")
    assert attendee.columns == {"seat_no": "12"}
    assert attendee.row == 2


def test_empty_optional_cells_have_their_defaults() -> None:
    """A roster of required columns alone is whole."""
    meeting = only(read({}))
    attendee = meeting.attendees[0]
    assert (meeting.timezone, meeting.room, meeting.status) == ("UTC", None, Status.CONFIRMED)
    assert (attendee.moderator, attendee.attendance) == (False, Attendance.REQUIRED)
    assert (attendee.language, attendee.timezone, attendee.features) == (None, None, ())


@pytest.mark.parametrize("cell", ["true", "YES", "y", "1", "X", " x "])
def test_each_way_to_say_moderator(cell: str) -> None:
    """Yes in any case and any of its ways."""
    assert only(read({"moderator": cell})).attendees[0].moderator is True


@pytest.mark.parametrize("cell", ["false", "No", "n", "0", ""])
def test_each_way_to_say_no_moderator(cell: str) -> None:
    """No in any case and any of its ways."""
    assert only(read({"moderator": cell})).attendees[0].moderator is False


def test_further_words_say_moderator_where_the_settings_name_them() -> None:
    """In any case, beside ours; unnamed they are refused."""
    words = {"yes": frozenset({"ja"}), "no": frozenset({"nein"})}
    for cell, moderator in (("JA", True), ("nein", False), ("yes", True), ("", False)):
        (attendee,) = only(read({"moderator": cell}, **words)).attendees
        assert attendee.moderator is moderator
    assert "true or false" in refused({"moderator": "ja"}).problems[0].expected


@pytest.mark.parametrize(
    "header",
    ["E-Mail", " e mail ", "EMAIL", "e_mail", "\u00a0Email"],
)
def test_header_names_are_folded(header: str) -> None:
    """Case, blanks, hyphens and underscores make no other column."""
    row = {**GOOD}
    row[header] = row.pop("email")
    whole = Table(
        source="r", digest="", header=tuple(row), rows=[Chunk([2], [[c] for c in row.values()])]
    )
    assert parse_roster(whole, RosterRules()).accepted == 1


def renamed(**names: str) -> Table:
    """Return a good table whose columns have other names."""
    row = {names.get(name, name): cell for name, cell in GOOD.items()}
    chunk = Chunk([2], [[cell] for cell in row.values()])
    return Table(source="r", digest="", header=tuple(row), rows=[chunk])


def test_other_names_come_through_the_settings() -> None:
    """[roster.columns] maps ours to theirs, folded like any header."""
    rules = RosterRules(columns={"email": ("Post", "E-Mail-Adresse")})
    for theirs in ("E-Mail-Adresse", "e mail adresse", "POST"):
        assert parse_roster(renamed(email=theirs), rules).accepted == 1


def test_a_problem_names_the_column_as_the_file_does() -> None:
    """Somebody who looks for the cell finds its header."""
    whole = renamed(start="Beginn")
    whole.rows[0].columns[2][0] = "never"  # type: ignore[index]
    with pytest.raises(RosterRefusedError) as caught:
        parse_roster(whole, RosterRules(columns={"start": ("Beginn",)}))
    assert caught.value.problems[0].column == "Beginn"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("emial", "email"),
        ("e.mail", "email"),
        ("nmae", "name"),
        ("strat", "start"),
        ("ttle", "title"),
    ],
)
def test_a_missing_required_column_is_guessed_within_two_edits(theirs: str, ours: str) -> None:
    """A swap counts as one edit."""
    with pytest.raises(RosterRefusedError) as caught:
        parse_roster(renamed(**{ours: theirs}), RosterRules())
    assert [p.expected for p in caught.value.problems] == [
        f'unknown column "{theirs}"; did you mean "{ours}"?'
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("timezoen", "timezone"),
        ("moderatr", "moderator"),
        ("groups", "group"),
        ("rooms", None),
        ("timezzzone", None),
        ("descriptoins", None),
    ],
)
def test_an_optional_column_is_guessed_within_one_edit(name: str, meant: str | None) -> None:
    """Names of four letters are never guessed, and two edits are too many."""
    if meant is None:
        assert only(read({name: "x"})).attendees[0].columns == {name: "x"}
    else:
        assert f'did you mean "{meant}"?' in refused({name: "x"}).problems[0].expected
        assert read({name: "x"}, extra=(name.upper(),)).accepted == 1


def test_an_extra_column_is_no_problem_beside_the_known_one() -> None:
    """Only a column that is missing can be misspelt."""
    assert read({"group": "a", "groups": "b"}).accepted == 1


def test_empty_cells_take_the_meeting_s_value_in_any_order() -> None:
    """Room, zone and description may stand in one row of the meeting."""
    rows = [
        {"email": "bob@example.org"},
        {"room": "r", "timezone": "Asia/Tokyo", "description": "d", "organizer_name": "H"},
    ]
    for order in (rows, rows[::-1]):
        meeting = only(read(*order))
        assert meeting.room is not None
        assert (meeting.room.claim, meeting.timezone) == ("r", "Asia/Tokyo")
        assert meeting.start == datetime(2031, 3, 3, 0, tzinfo=UTC)
        assert (meeting.description, meeting.organizer_name) == ("d", "H")


def test_an_empty_status_is_confirmed_and_does_not_take_the_meeting_s() -> None:
    """All rows of a cancelled meeting say so."""
    error = refused({"status": "cancelled"}, {"email": "bob@example.org"})
    assert [(p.row, p.column, p.refuses_file) for p in error.problems] == [(3, "status", True)]


def test_meeting_columns_are_compared_as_parsed() -> None:
    """Two ways to write one instant, one zone and one address agree."""
    meeting = only(
        read(
            {"timezone": "Europe/Berlin", "organizer_email": "Host@example.org"},
            {
                "email": "bob@example.org",
                "start": "2031-03-03T08:00:00Z",
                "end": "2031-03-03 10:00+01:00",
                "organizer_email": "host@EXAMPLE.org",
            },
        )
    )
    assert meeting.organizer_email == "Host@example.org"
    assert len(meeting.attendees) == 2


def test_meeting_ids_are_compared_exactly_after_normalisation() -> None:
    """Case matters, outer blanks and the form of accents do not."""
    roster = read(
        {"meeting_id": " caf\u00e9 "},
        {"meeting_id": "cafe\u0301", "email": "b@example.org"},
        {"meeting_id": "CAF\u00c9"},
    )
    assert [(m.id, len(m.attendees)) for m in roster.meetings] == [("CAFÉ", 1), ("café", 2)]


def test_of_several_spellings_of_an_address_the_first_in_code_point_order_is_used() -> None:
    """The rows say the same, so that one is a repeat."""
    for spellings in (
        ("ada@example.org", "Ada@example.org"),
        ("Ada@example.org", "ada@EXAMPLE.org"),
    ):
        roster = read(*({"email": one} for one in spellings))
        assert only(roster).attendees[0].email == "Ada@example.org"
        assert roster.repeated == 1


def test_an_address_again_with_other_values_refuses_all_its_rows() -> None:
    """None of the rows can be told to be the right one; each is reported and names another."""
    rows = [{"moderator": "yes"}, {"email": "bob@example.org"}, {"moderator": "no"}, {}]
    error = refused(*rows)
    assert [(p.row, p.refuses_file) for p in error.problems] == [
        (2, False),
        (4, False),
        (5, False),
    ]
    assert "row 2" in error.problems[1].expected
    meeting = only(read(*rows, skip_invalid=True))
    assert [attendee.address for attendee in meeting.attendees] == ["bob@example.org"]
    assert meeting.incomplete


def test_a_spoilt_row_of_an_address_makes_its_other_row_uncertain() -> None:
    """A row that may say otherwise is no reason to trust the other."""
    roster = read({}, {"moderator": "maybe"}, {"email": "b@example.org"}, skip_invalid=True)
    assert [attendee.address for attendee in only(roster).attendees] == ["b@example.org"]
    assert {problem.row for problem in roster.left_out} == {2, 3}


def test_a_meeting_without_an_accepted_row_is_named() -> None:
    """It was not removed from the roster, so that nobody may be withdrawn from it."""
    roster = read({"email": "nobody"}, {"meeting_id": "b"}, skip_invalid=True)
    assert roster.left_out_meetings == ("weekly",)
    assert roster.complete


def test_a_left_out_row_without_a_meeting_makes_the_roster_incomplete() -> None:
    """Whose row it is can't be known."""
    roster = read({"meeting_id": ""}, {}, skip_invalid=True)
    assert not roster.complete
    assert not only(roster).incomplete


def test_rows_whose_meeting_is_unknown_have_nothing_to_do_with_each_other() -> None:
    """A wrong zone in one says nothing about another, and each is read in its own zone."""
    error = refused(
        {"meeting_id": "", "timezone": "Nowhere"},
        {"meeting_id": "", "start": "2031-03-30 02:30", "end": "2031-03-30 04:00"},
        {"meeting_id": "", "timezone": "Europe/Berlin", "email": "nobody"},
    )
    assert [(p.row, p.column) for p in error.problems] == [
        (2, "meeting_id"),
        (2, "timezone"),
        (3, "meeting_id"),
        (4, "meeting_id"),
        (4, "email"),
    ]


def test_a_refused_zone_refuses_the_rows_that_take_it() -> None:
    """Otherwise the whole meeting would move to the default zone."""
    roster = read(
        {"timezone": "Europe/Berln"},
        {"email": "b@example.org"},
        {"meeting_id": "c"},
        skip_invalid=True,
    )
    assert [meeting.id for meeting in roster.meetings] == ["c"]
    assert {problem.row for problem in roster.left_out} == {2, 3}


def test_a_left_out_row_s_meeting_facts_still_hold() -> None:
    """A bad address in the row that names the room does not move the others elsewhere."""
    meeting = only(
        read({"room": "r", "email": "nobody"}, {"email": "b@example.org"}, skip_invalid=True)
    )
    assert meeting.room is not None
    assert meeting.room.claim == "r"


def test_blank_rows_are_skipped_and_keep_their_number() -> None:
    """A row of blanks is no row, and the next one has its number in the sheet."""
    blank = dict.fromkeys(GOOD, " \t")
    error = refused(blank, {}, blank, {"email": "nobody"})
    assert [p.row for p in error.problems] == [5]
    assert error.rows_read == 2


def test_longest_includes_what_opens_and_closes_around_the_meeting() -> None:
    """Exp - nbf is what is held to the limit, at the column of the end."""
    rule = ValidityRule(longest=timedelta(hours=2))
    fits = {"end": "2031-03-03 10:14"}
    assert read(fits, validity=rule).accepted == 1
    error = refused({"end": "2031-03-03 10:15"}, validity=rule)
    assert [(p.row, p.column) for p in error.problems] == [(2, "end")]
    assert "at most 2:00 h; this one needs 2:01 h" in error.problems[0].expected


def test_an_unknown_feature_is_passed_on_with_a_warning() -> None:
    """One warning for each name, at its first row."""
    roster = read({"features": "recording teleport"}, {"meeting_id": "b", "features": "teleport"})
    assert only(replace(roster, meetings=roster.meetings[:1])).attendees[0].features
    assert [(w.row, w.column) for w in roster.warnings] == [(2, "features")]
    assert '"teleport"' in roster.warnings[0].text


def test_a_feature_is_switched_off_behind_a_hyphen() -> None:
    """The hyphen is no part of the name, which is warned about only where Jitsi has none such."""
    roster = read({"features": "-screen-sharing recording -teleport"})
    assert only(roster).attendees[0].features == ("-screen-sharing", "-teleport", "recording")
    assert ['"-teleport"' in one.text for one in roster.warnings] == [True]
    for cell in ("lobby -lobby", "recording -"):
        assert [one.column for one in refused({"features": cell}).problems] == ["features"]


def test_meetings_that_share_a_room_at_one_time_are_warned_about() -> None:
    """Windows overlap before meetings do; the warning names both."""
    roster = read(
        {"room": "r"},
        {"meeting_id": "next", "room": "r", "start": "2031-03-03 10:40", "end": "2031-03-03 11:00"},
        {"meeting_id": "far", "room": "r", "start": "2031-03-03 12:00", "end": "2031-03-03 12:30"},
    )
    assert [warning.row for warning in roster.warnings] == [3]
    assert '"next" and "weekly" (row 2)' in roster.warnings[0].text


def test_a_cancelled_meeting_shares_no_room() -> None:
    """Nobody is admitted to it."""
    assert not read({"room": "r"}, {"meeting_id": "b", "room": "r", "status": "cancelled"}).warnings


def test_rows_of_past_meetings_are_validated_like_any_other() -> None:
    """The past is no excuse."""
    past = {"start": "2001-03-03 09:00", "end": "2001-03-03 10:00"}
    assert read(past).accepted == 1
    assert refused({**past, "email": "nobody"}).problems[0].row == 2


def test_meetings_are_sorted_by_start_and_id_and_attendees_by_address() -> None:
    """What follows does not depend on the order of rows."""
    roster = read(
        {"meeting_id": "b", "email": "z@example.org"},
        {"meeting_id": "b", "email": "A@example.org"},
        {"meeting_id": "a"},
        {"meeting_id": "z", "start": "2031-03-03 08:00"},
    )
    assert [meeting.id for meeting in roster.meetings] == ["z", "a", "b"]
    assert [one.address for one in roster.meetings[2].attendees] == [
        "a@example.org",
        "z@example.org",
    ]


@pytest.mark.parametrize("column", [c.name for c in COLUMNS if c.required])
def test_each_required_cell_is_missed_where_it_is_empty(column: str) -> None:
    """An empty required cell is a problem of its row, and says what belongs there."""
    error = refused({column: " "})
    assert [(p.row, p.column, p.found) for p in error.problems] == [(2, column, "")]


ROWS = st.fixed_dictionaries(
    {
        "meeting_id": st.sampled_from(["a", "a", "b", "c", "", "\x00"]),
        "email": st.sampled_from(["x@example.org", "X@example.org", "y@example.org", "bad"]),
        "name": st.sampled_from(["N", "N", "M", ""]),
        "moderator": st.sampled_from(["", "yes", "perhaps"]),
        "features": st.sampled_from(["", "recording", "odd"]),
        "timezone": st.sampled_from(["", "", "Europe/Berlin", "Nowhere"]),
        "start": st.sampled_from(["2031-03-03 09:00", "2031-03-03 09:00", "2031-03-30 02:30"]),
        "end": st.sampled_from(["2031-03-03 10:00", "2031-03-03 10:00", "2031-03-30 04:00"]),
        "room": st.sampled_from(["", "r", "r", "*"]),
        "description": st.sampled_from(["", "d", "a\u2028"]),
    }
)


def outcome(rows: Sequence[dict[str, str]]) -> Roster | int:
    """Return the roster of the rows that are in order, or the number of problems of the file."""
    try:
        return read(*rows, skip_invalid=True)
    except RosterRefusedError as error:
        assert error.rows_read == len(rows)  # noqa: PT017 - either outcome is right
        return error.exit_code


def without_rows(roster: Roster) -> tuple[object, ...]:
    """Return what a roster says apart from the numbers of its rows."""
    meetings = [
        replace(
            meeting,
            row=0,
            attendees=tuple(replace(attendee, row=0) for attendee in meeting.attendees),
        )
        for meeting in roster.meetings
    ]
    faults = Counter((problem.column, problem.found) for problem in roster.left_out)
    counts = (roster.rows_read, roster.accepted, roster.rejected, roster.repeated)
    return meetings, faults, counts, roster.left_out_meetings, roster.complete


@given(st.lists(ROWS, min_size=1, max_size=8))
def test_accepted_and_rejected_are_all_rows(rows: list[dict[str, str]]) -> None:
    """No row is lost: each is accepted or reported, and repeats are counted among the accepted."""
    roster = outcome(rows)
    if isinstance(roster, Roster):
        attendees = sum(len(meeting.attendees) for meeting in roster.meetings)
        assert roster.rows_read == len(rows) == roster.accepted + roster.rejected
        assert roster.rejected == len({problem.row for problem in roster.left_out})
        assert roster.accepted == attendees + roster.repeated


@given(
    st.lists(ROWS, min_size=1, max_size=7).flatmap(
        lambda r: st.tuples(st.just(r), st.permutations(r))
    )
)
def test_the_order_of_rows_is_irrelevant(
    orders: tuple[list[dict[str, str]], list[dict[str, str]]],
) -> None:
    """The same rows in another order are refused alike, or make the same roster."""
    one, other = (outcome(rows) for rows in orders)
    if isinstance(one, Roster) and isinstance(other, Roster):
        assert without_rows(one) == without_rows(other)
    else:
        assert one == other


def test_a_meeting_whose_rows_disagree_is_left_out_with_all_of_them() -> None:
    """Nobody can tell which row is right; the other meetings are read, and nobody is missed."""
    rows = (
        {"email": "a@example.org"},
        {"email": "b@example.org", "start": "2031-03-03 09:30"},
        {"email": "c@example.org"},
        {"meeting_id": "other"},
    )
    roster = read(*rows, skip_invalid=True)
    assert [meeting.id for meeting in roster.meetings] == ["other"]
    assert (roster.accepted, roster.rejected, roster.rows_read) == (1, 3, 4)
    assert roster.left_out_meetings == ("weekly",)
    assert [(one.row, one.column, one.refuses_file) for one in roster.left_out] == [
        (row, "start", False) for row in (2, 3, 4)
    ]
    assert 'row 2 has "2031-03-03 09:00", row 3 "2031-03-03 09:30"' in roster.left_out[0].expected
    assert len(lines_of(roster.left_out, "r.csv")) == 1
    assert refused(*rows).problems[0].refuses_file


def test_problems_that_are_alike_are_told_once() -> None:
    """At the first of them, with the count and the first rows of the others."""
    rows = [{"email": f"a{number}@example.org", "moderator": "ja"} for number in range(2_000)]
    error = refused(*rows, {"email": "nobody"})
    assert len(error.problems) == 2_001
    lines = lines_of(error.problems, "r.csv")
    assert len(lines) == 2
    assert lines[0].startswith('r.csv: row 2, column moderator: found "ja", expected true or')
    assert lines[0].endswith(" (and in 1,999 more rows: 3, 4, 5, 6, 7, …)")


def test_a_problem_names_the_setting_that_would_mend_it() -> None:
    """Words of another language, names that public rules refuse, another order of the date."""
    error = refused(
        {"moderator": "ja"},
        {"email": "b@clinic.local"},
        {"meeting_id": "b", "start": "03.03.2031 09:00"},
    )
    told = " ".join(lines_of(error.problems, "r.csv"))
    for setting in ("[roster] yes and no", "[roster] special_domains", "[roster] date_format"):
        assert setting in told
