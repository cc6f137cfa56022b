"""The roster of the night: found, still, recent, whole, and the same before and after the read."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from invites.errors import Exit, GuardError, RosterRefusedError
from invites.model import Roster
from invites.roster.cells import RosterRules
from invites.roster.files import (
    CHECKSUM_SUFFIX,
    RosterMovesError,
    RosterPath,
    SourceRefusedError,
    beside,
    checksum_in,
    matches_checksum,
)
from invites.roster.source import (
    FoundRoster,
    RosterSource,
    RosterTooOldError,
    Sighting,
    find,
    fingerprint,
    read_found,
    read_roster,
)

NOW = datetime(2026, 12, 2, 2, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
HEADER = "meeting_id,title,start,end,name,email"
ADA = "m1,Standup,2031-02-01 09:00,2031-02-01 10:00,Ada Example,ada@example.org"
BOB = ADA.replace("Ada", "Bob").replace("ada@", "bob@")
CONTENT = f"{HEADER}\n{ADA}\n".encode()
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def put(path: Path, content: bytes = CONTENT, *, age: timedelta = HOUR) -> Path:
    """Write a file as one that was written `age` before the night."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    written = int((NOW - age).timestamp())
    os.utime(path, (written, written))
    return path


def rule(
    base: Path, *places: str, newest: timedelta | None = None, require: tuple[str, ...] = ()
) -> RosterSource:
    """Return where a job's roster is: at `places`."""
    return RosterSource(
        places=tuple(RosterPath(place, base) for place in places or ("rosters/*.csv",)),
        newest=newest,
        require=require,
    )


def read(found: FoundRoster, *, accepted: bool = False) -> Roster:
    """Read what was found, as a job does."""
    return read_found(found, RosterRules(), skip_invalid=False, now=NOW, accepted=accepted)


def found(base: Path, *places: str) -> list[str]:
    """Return the names of the files that are found."""
    return [file.path.name for file in find(rule(base, *places), now=NOW).files]


def test_a_path_is_that_file(tmp_path: Path) -> None:
    """Its size, time and digest are taken down."""
    path = put(tmp_path / "roster.csv")
    (file,) = find(rule(tmp_path, "roster.csv"), now=NOW).files
    assert (file.path, file.size, file.digest) == (path, len(CONTENT), DIGEST)
    assert (file.modified, file.sealed) == (NOW - HOUR, False)


def test_a_path_with_brackets_is_a_path_where_such_a_file_is(tmp_path: Path) -> None:
    """A pattern character in a real name does not make it a pattern."""
    put(tmp_path / "team[1].csv")
    put(tmp_path / "team1.csv")
    assert found(tmp_path, "team[1].csv") == ["team[1].csv"]


def test_a_folder_with_brackets_does_not_disturb_a_pattern(tmp_path: Path) -> None:
    """The settings' folder is no part of the pattern."""
    put(tmp_path / "it[1]" / "rosters" / "a.csv")
    assert found(tmp_path / "it[1]") == ["a.csv"]


def test_a_pattern_is_the_newest_file(tmp_path: Path) -> None:
    """By modification time, whatever the names."""
    put(tmp_path / "rosters" / "a.csv", age=HOUR)
    put(tmp_path / "rosters" / "z.csv", age=2 * HOUR)
    assert found(tmp_path) == ["a.csv"]


def test_of_two_files_of_one_time_the_greater_name_counts(tmp_path: Path) -> None:
    """Dated names order themselves."""
    put(tmp_path / "rosters" / "2026-12-02.csv")
    put(tmp_path / "rosters" / "2026-12-01.csv")
    assert found(tmp_path) == ["2026-12-02.csv"]


def test_a_pattern_passes_over_what_is_no_roster(tmp_path: Path) -> None:
    """Folders, hidden uploads and sidecars are not taken for the newest file."""
    folder = tmp_path / "rosters"
    put(folder / "a.csv", age=2 * HOUR)
    put(folder / ".b.csv")
    put(folder / "a.csv.sha256", f"{DIGEST}  a.csv\n".encode())
    (folder / "c.csv").mkdir()
    put(folder / "a.csv.rows", b"# rows: 1\n")
    assert found(tmp_path, "rosters/*") == ["a.csv"]


def test_a_list_is_read_as_one_roster_in_its_order(tmp_path: Path) -> None:
    """Each place gives its file; two places that come to the same file give it once."""
    put(tmp_path / "rosters" / "a.csv")
    put(tmp_path / "b.csv", b"other\n")
    roster = find(rule(tmp_path, "b.csv", "rosters/*.csv", "rosters/a.csv"), now=NOW)
    assert [file.path.name for file in roster.files] == ["b.csv", "a.csv"]
    other = hashlib.sha256(b"other\n").hexdigest()
    assert roster.digest == hashlib.sha256(f"{other}\n{DIGEST}".encode()).hexdigest()


def test_the_digest_of_one_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    """An acceptance is bound to it, and `sha256sum` shows the same."""
    put(tmp_path / "rosters" / "a.csv")
    assert find(rule(tmp_path), now=NOW).digest == DIGEST


@pytest.mark.parametrize("place", ["roster.csv", "rosters/*.csv", "no/such/place.csv"])
def test_a_missing_roster_is_refused_as_a_roster(tmp_path: Path, place: str) -> None:
    """Exit 3 for a job; tried again when a file appears."""
    with pytest.raises(SourceRefusedError) as caught:
        find(rule(tmp_path, place), now=NOW)
    assert isinstance(caught.value, RosterRefusedError)
    assert caught.value.exit_code is Exit.ROSTER
    assert place in caught.value.problems[0].text(caught.value.source)


def test_one_missing_file_of_a_list_refuses_the_whole(tmp_path: Path) -> None:
    """Half of a roster would look like half of the people gone."""
    put(tmp_path / "a.csv")
    with pytest.raises(SourceRefusedError):
        find(rule(tmp_path, "a.csv", "b.csv"), now=NOW)


def test_a_folder_or_a_pipe_is_refused_without_opening_it(tmp_path: Path) -> None:
    """Opening a pipe would wait for a writer for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for place in ("pipe", "folder"):
        with pytest.raises(SourceRefusedError) as caught:
            find(rule(tmp_path, place), now=NOW)
        assert "plain file" in caught.value.problems[0].expected


def test_a_file_that_was_just_written_is_still_moving(tmp_path: Path) -> None:
    """Under `settle` it is refused with the moment at which it will have been still."""
    put(tmp_path / "rosters" / "a.csv", age=timedelta(seconds=20))
    with pytest.raises(RosterMovesError) as caught:
        find(rule(tmp_path), now=NOW)
    assert isinstance(caught.value, GuardError)
    assert caught.value.exit_code is Exit.GUARD
    assert caught.value.still_at == NOW + timedelta(seconds=40)
    assert find(rule(tmp_path), now=caught.value.still_at).files


def test_the_newest_file_is_waited_for_and_an_older_one_is_not_taken(tmp_path: Path) -> None:
    """Last night's roster must not stand in for tonight's that is being written."""
    put(tmp_path / "rosters" / "old.csv", age=24 * HOUR)
    put(tmp_path / "rosters" / "new.csv", age=timedelta(seconds=1))
    with pytest.raises(RosterMovesError, match=r"new\.csv"):
        find(rule(tmp_path), now=NOW)


def test_a_file_from_the_future_counts_as_still_after_it_was_seen_unchanged(tmp_path: Path) -> None:
    """A sender whose clock is ahead does not hold the night up for ever."""
    put(tmp_path / "rosters" / "a.csv", age=-2 * HOUR)
    seen = Sighting(fingerprint=fingerprint(rule(tmp_path)), at=NOW)
    with pytest.raises(RosterMovesError, match="future") as caught:
        find(rule(tmp_path), now=NOW)
    assert caught.value.still_at == NOW + MINUTE
    with pytest.raises(RosterMovesError):
        find(rule(tmp_path), now=NOW + MINUTE / 2, seen=seen)
    assert find(rule(tmp_path), now=NOW + MINUTE, seen=seen).files
    put(tmp_path / "rosters" / "a.csv", b"changed\n", age=-2 * HOUR)
    with pytest.raises(RosterMovesError):
        find(rule(tmp_path), now=NOW + MINUTE, seen=seen)


def test_an_export_that_did_not_come_is_a_finding(tmp_path: Path) -> None:
    """The newest file beyond `newest` is refused; at the very limit it is taken."""
    path = put(tmp_path / "rosters" / "a.csv", age=26 * HOUR)
    assert find(rule(tmp_path, newest=26 * HOUR), now=NOW).files
    with pytest.raises(RosterTooOldError) as caught:
        find(rule(tmp_path, newest=26 * HOUR), now=NOW + timedelta(seconds=1))
    assert caught.value.exit_code is Exit.GUARD
    assert str(path) in str(caught.value)


def test_without_a_limit_last_years_file_is_fine(tmp_path: Path) -> None:
    """`newest` is unset by default, and the same file as last night is fine."""
    put(tmp_path / "rosters" / "a.csv", age=400 * 24 * HOUR)
    assert found(tmp_path) == ["a.csv"]


def test_each_file_of_a_list_has_the_age_limit(tmp_path: Path) -> None:
    """One fresh file does not vouch for the others."""
    put(tmp_path / "a.csv", age=HOUR)
    put(tmp_path / "b.csv", age=30 * HOUR)
    with pytest.raises(RosterTooOldError, match=r"b\.csv"):
        find(rule(tmp_path, "a.csv", "b.csv", newest=26 * HOUR), now=NOW)


def test_what_was_read_is_confirmed_when_nothing_moved(tmp_path: Path) -> None:
    """The same file, the same bytes."""
    put(tmp_path / "rosters" / "a.csv")
    assert read(find(rule(tmp_path), now=NOW)).digest == DIGEST


@pytest.mark.parametrize("change", ["longer", "same size and time", "touched", "gone"])
def test_a_roster_that_changed_while_it_was_read_is_refused(tmp_path: Path, change: str) -> None:
    """Size, time and digest are compared with those of before, and so is what was read."""
    path = put(tmp_path / "rosters" / "a.csv")
    roster = find(rule(tmp_path), now=NOW)
    match change:
        case "longer":
            put(path, CONTENT + b"m2,Review\n")
        case "same size and time":
            put(path, CONTENT.replace(b"Standup", b"Reviews"))
        case "touched":
            put(path, age=MINUTE)
        case _:
            path.unlink()
    with pytest.raises((RosterMovesError, SourceRefusedError)) as caught:
        read(roster)
    if change == "gone":
        assert isinstance(caught.value, SourceRefusedError)
        return
    assert isinstance(caught.value, RosterMovesError)
    assert caught.value.still_at >= NOW


def test_a_matching_checksum_seals_a_roster(tmp_path: Path) -> None:
    """Then the file is whole, whatever it ends with."""
    path = put(tmp_path / "rosters" / "a.csv")
    put(beside(path, CHECKSUM_SUFFIX), f"{DIGEST}  a.csv\n".encode())
    assert find(rule(tmp_path), now=NOW).sealed


@pytest.mark.parametrize("text", ["0" * 64 + "  a.csv\n", "", "no digest\n", DIGEST[:40]])
def test_a_checksum_that_does_not_match_refuses_the_roster(tmp_path: Path, text: str) -> None:
    """A file beside the roster is a promise; a broken or an empty one too."""
    path = put(tmp_path / "rosters" / "a.csv")
    put(beside(path, CHECKSUM_SUFFIX), text.encode())
    with pytest.raises(SourceRefusedError) as caught:
        find(rule(tmp_path), now=NOW)
    assert caught.value.exit_code is Exit.ROSTER
    assert "a.csv.sha256" in caught.value.problems[0].expected


def test_a_checksum_that_is_no_file_refuses_the_roster(tmp_path: Path) -> None:
    """What can't be read does not count as absent."""
    path = put(tmp_path / "a.csv")
    beside(path, CHECKSUM_SUFFIX).mkdir()
    with pytest.raises(SourceRefusedError, match="refused"):
        matches_checksum(path, DIGEST)


@pytest.mark.parametrize(
    "text",
    [
        DIGEST,
        f"{DIGEST.upper()}\r\n",
        f"{DIGEST}  a.csv\n",
        f"{DIGEST} *a.csv\n",
        f"{DIGEST}  exports/a.csv\n",
        f"SHA256 (a.csv) = {DIGEST}\n",
        f"\ufeff{DIGEST}  a.csv\n",
        f"{'0' * 64}  b.csv\n{DIGEST}  a.csv\n",
        f"# made nightly\n{DIGEST}  a.csv\n",
        f"{DIGEST}  export-before-its-rename.tmp\n",
    ],
)
def test_checksums_are_read_in_the_forms_that_programs_write(text: str) -> None:
    """A bare digest, sha256sum's lines, the tagged form, with the file's name among others."""
    assert checksum_in(text, "a.csv") == DIGEST


@pytest.mark.parametrize(
    "text", ["", "g" * 64, DIGEST + "0", f"{DIGEST}  b.csv\n{'0' * 64}  c.csv\n"]
)
def test_what_states_no_digest_of_this_file_is_none(text: str) -> None:
    """Of two that name other files, none is taken."""
    assert checksum_in(text, "a.csv") is None


def test_the_fingerprint_changes_with_everything_that_a_person_may_do(tmp_path: Path) -> None:
    """Written, touched, replaced by a newer file, checksum put beside it or taken away, gone."""
    seen = [fingerprint(rule(tmp_path))]
    path = put(tmp_path / "rosters" / "a.csv", age=3 * HOUR)
    seen.append(fingerprint(rule(tmp_path)))
    put(path, CONTENT + b"m2,Review\n", age=3 * HOUR)
    seen.append(fingerprint(rule(tmp_path)))
    put(path, CONTENT + b"m2,Review\n", age=2 * HOUR)
    seen.append(fingerprint(rule(tmp_path)))
    put(beside(path, CHECKSUM_SUFFIX), b"x", age=2 * HOUR)
    seen.append(fingerprint(rule(tmp_path)))
    put(path.with_name("b.csv"), age=HOUR)
    seen.append(fingerprint(rule(tmp_path)))
    assert len(set(seen)) == len(seen)
    path.with_name("b.csv").unlink()
    assert fingerprint(rule(tmp_path)) == seen[-2]


def test_a_roster_without_final_newline_is_refused_unless_something_vouches_for_it(
    tmp_path: Path,
) -> None:
    """Its last address may be cut; a checksum or a yes lets it pass."""
    path = put(tmp_path / "rosters" / "a.csv", CONTENT.rstrip())
    with pytest.raises(SourceRefusedError) as caught:
        read(find(rule(tmp_path), now=NOW))
    assert "--no-final-newline" in caught.value.problems[0].expected
    assert read(find(rule(tmp_path), now=NOW), accepted=True).accepted == 1
    digest = hashlib.sha256(CONTENT.rstrip()).hexdigest()
    put(beside(path, CHECKSUM_SUFFIX), digest.encode())
    assert read(find(rule(tmp_path), now=NOW)).accepted == 1


def test_a_roster_of_as_many_rows_as_it_says_is_read(tmp_path: Path) -> None:
    """Rows without text are none, and each file of a list has its own count."""
    for name, rows in (("a.csv", f"{ADA}\n{BOB}\n ,,,,,\n"), ("b.csv", f"{ADA}\n")):
        path = put(tmp_path / name, f"{HEADER}\n{rows}".encode())
        put(beside(path, ".rows"), f"# rows: {rows.count('m1')}\n".encode())
    assert read(find(rule(tmp_path, "a.csv", "b.csv"), now=NOW)).accepted == 3
    by_hand = read_roster(str(tmp_path / "a.csv"), RosterRules(), skip_invalid=False, now=NOW)
    assert by_hand.accepted == 2


@pytest.mark.parametrize("text", ["# rows: 2", "# rows: 0", "", "rows: 1", "# rows: one"])
def test_a_roster_of_other_rows_than_it_says_is_refused(tmp_path: Path, text: str) -> None:
    """An upload that was cut at a line end looks whole in every other way."""
    path = put(tmp_path / "a.csv")
    put(beside(path, ".rows"), text.encode())
    with pytest.raises(SourceRefusedError, match="was refused"):
        read(find(rule(tmp_path, "a.csv"), now=NOW))
    with pytest.raises(SourceRefusedError):
        read_roster(str(path), RosterRules(), skip_invalid=False, now=NOW)


@pytest.mark.parametrize(("name", "suffix"), [("digest", ".sha256"), ("rows", ".rows")])
def test_a_sidecar_that_the_job_requires_must_be_there(
    tmp_path: Path, name: str, suffix: str
) -> None:
    """Its absence is no yes; with it the file is read."""
    path = put(tmp_path / "a.csv")
    with pytest.raises(SourceRefusedError) as caught:
        find(rule(tmp_path, "a.csv", require=(name,)), now=NOW)
    assert f"a.csv{suffix} is not beside it" in caught.value.problems[0].expected
    put(beside(path, suffix), {"digest": DIGEST, "rows": "# rows: 1"}[name].encode())
    assert read(find(rule(tmp_path, "a.csv", require=(name,)), now=NOW)).accepted == 1


def test_a_symbolic_link_that_a_pattern_finds_refuses_the_roster(tmp_path: Path) -> None:
    """Whoever writes into the folder could have the secret read, and shown in problems."""
    folder = tmp_path / "rosters"
    put(folder / "a.csv")
    secret = put(tmp_path / "secret", b"not-a-secret\n")
    (folder / "b.csv").symlink_to(secret)
    with pytest.raises(SourceRefusedError) as caught:
        find(rule(tmp_path), now=NOW)
    assert "b.csv is a symbolic link" in caught.value.problems[0].text(caught.value.source)
    assert find(rule(tmp_path, "rosters/a.csv"), now=NOW).digest == DIGEST
    assert fingerprint(rule(tmp_path)) == fingerprint(rule(tmp_path))


def test_a_name_that_is_no_utf_8_refuses_the_roster(tmp_path: Path) -> None:
    """It can't be written into the ledger; the refusal shows the byte."""
    put(tmp_path / "rosters" / "a.csv")
    put(Path(os.fsdecode(os.fsencode(tmp_path) + b"/rosters/M\xe4r.csv")))
    with pytest.raises(SourceRefusedError) as caught:
        find(rule(tmp_path), now=NOW)
    text = caught.value.problems[0].text(caught.value.source)
    assert r"the name rosters/M\xe4r.csv is not UTF-8" in text
    text.encode()
    assert fingerprint(rule(tmp_path)) == fingerprint(rule(tmp_path))
