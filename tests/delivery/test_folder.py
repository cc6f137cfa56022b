"""Batches in a folder: whole or not there, private, found again, and cleaned up."""

from __future__ import annotations

import csv
import os
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from invites.delivery import folder as batches
from invites.delivery.base import Delivery, OutgoingMessage
from invites.delivery.folder import FolderDelivery
from invites.errors import StorageError
from invites.invitation import Kind
from invites.output import manifest
from tests.delivery.conftest import Recorder, message, message_id_of, messages
from tests.delivery.contract import DeliveryContract, never

NOW = datetime.now(UTC)


def delivery_to(folder: Path, run: str = "run-1", **settings: object) -> FolderDelivery:
    """Return a delivery into `folder`."""
    keep = settings.get("keep", timedelta(days=30))
    return FolderDelivery(folder, run=run, now=settings.get("now", NOW), keep=keep)


def rows_of(batch: Path) -> list[dict[str, str]]:
    """Return the rows of a batch's manifest."""
    with (batch / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class TestFolder(DeliveryContract):
    """The contract, for a folder."""

    @pytest.fixture(autouse=True)
    def _outbox(self, tmp_path: Path) -> None:
        self.outbox = tmp_path / "outbox"

    @pytest.fixture
    def delivery(self) -> Delivery:
        """Return a delivery into the outbox."""
        return delivery_to(self.outbox)

    def arrived(self) -> list[str]:
        """Return the Message-IDs of all .eml files that a manifest lists."""
        listings = sorted(self.outbox.glob("*/manifest.csv"))
        return [row["message_id"] for listing in listings for row in rows_of(listing.parent)]


def test_a_batch_holds_the_messages_and_calendar_files_that_its_manifest_lists(
    tmp_path: Path, journal: Recorder
) -> None:
    """Each listed path exists below the batch with the message's bytes, and there is nothing else."""
    delivery_to(tmp_path).deliver(messages(3), journal, stop=never)
    batch = tmp_path / "run-1"
    assert (batch / "manifest.csv").read_bytes().startswith(manifest.HEADER)
    rows = rows_of(batch)
    assert [row["message_id"] for row in rows] == [message_id_of(key) for key in (1, 2, 3)]
    for row, sent in zip(rows, messages(3), strict=True):
        assert (batch / row["eml"]).read_bytes() == sent.content
        assert (batch / row["ics"]).read_bytes() == sent.invitation.ics
    files = {str(path.relative_to(batch)) for path in batch.rglob("*") if path.is_file()}
    assert files == {"manifest.csv", *(row[kind] for row in rows for kind in ("eml", "ics"))}


def test_folders_are_private_whatever_the_umask(tmp_path: Path, journal: Recorder) -> None:
    """The outbox, the batch and all in it are for the owner alone: they hold live links."""
    before = os.umask(0)
    try:
        delivery_to(tmp_path / "new" / "outbox").deliver(messages(2), journal, stop=never)
    finally:
        os.umask(before)
    for path in [tmp_path / "new" / "outbox", *(tmp_path / "new" / "outbox").rglob("*")]:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_an_invitation_and_a_reminder_for_one_attendee_have_files_of_their_own(
    tmp_path: Path, journal: Recorder
) -> None:
    """A reminder carries no calendar file, and takes no other message's name."""
    first, other = message(1), message(2)
    reminder = _as_reminder_of(first, other)
    delivery_to(tmp_path).deliver([first, reminder], journal, stop=never)
    rows = rows_of(tmp_path / "run-1")
    assert len({row["eml"] for row in rows}) == 2
    assert rows[1]["ics"] == ""


def _as_reminder_of(first: OutgoingMessage, other: OutgoingMessage) -> OutgoingMessage:
    revision = replace(first.invitation.revision, kind=Kind.REMINDER)
    invitation = replace(first.invitation, message_id=other.message_id, revision=revision, ics=b"")
    return replace(other, invitation=invitation)


def test_the_same_run_again_adopts_what_is_there_and_adds_the_rest(
    tmp_path: Path, journal: Recorder
) -> None:
    """After a crash between the rename and the note: no second copy, nothing missing."""
    delivery_to(tmp_path).deliver(messages(2), journal, stop=never)
    again = Recorder()
    delivery_to(tmp_path).deliver(messages(4), again, stop=never)
    assert again.kinds() == dict.fromkeys(range(1, 5), "Sent")
    assert again.sending == [3, 4]
    assert [row["message_id"] for row in rows_of(tmp_path / "run-1-2")] == [
        message_id_of(3),
        message_id_of(4),
    ]
    third = Recorder()
    delivery_to(tmp_path).deliver(messages(4), third, stop=never)
    assert third.sending == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run-1", "run-1-2"]


def test_another_run_finds_out_what_a_crashed_one_left(tmp_path: Path, journal: Recorder) -> None:
    """Died between rename and note: the trace says sent; died before it: it says not sent."""
    journal.fails_at = 1
    with pytest.raises(StorageError):
        delivery_to(tmp_path, "run-1").deliver([message(1)], journal, stop=never)
    assert journal.sending == [1]
    assert journal.outcomes == {}
    traced = delivery_to(tmp_path, "run-2").traced([message_id_of(1), message_id_of(2)])
    assert traced == {message_id_of(1): True, message_id_of(2): False}


def test_a_trace_in_an_outbox_that_does_not_exist_finds_nothing(tmp_path: Path) -> None:
    """The first run of all has nothing to find, and makes nothing to look in."""
    assert delivery_to(tmp_path / "none").traced(["<a@b>"]) == {"<a@b>": False}
    assert not (tmp_path / "none").exists()


def test_old_batches_go_and_everything_else_stays(tmp_path: Path, journal: Recorder) -> None:
    """Only what is known by its manifest and older than `keep` is removed."""
    delivery_to(tmp_path, "old").deliver(messages(1), Recorder(), stop=never)
    delivery_to(tmp_path, "recent").deliver(messages(1), Recorder(), stop=never)
    foreign = tmp_path / "holiday-pictures"
    foreign.mkdir()
    (foreign / "manifest.csv").write_text("name,size\r\n")
    build = tmp_path / "a-build"
    build.mkdir()
    (build / "manifest.csv").write_bytes(manifest.HEADER)
    (build / "index.html").touch()
    long_ago = (NOW - timedelta(days=31)).timestamp()
    for name in ("old", "holiday-pictures", "a-build"):
        os.utime(tmp_path / name / "manifest.csv", (long_ago, long_ago))
    (tmp_path / "a-link").symlink_to(tmp_path / "old")
    delivery_to(tmp_path, "new", keep=timedelta(days=30)).deliver([], journal, stop=never)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"recent", "holiday-pictures", "a-build", "a-link"}


def test_without_keep_old_batches_stay(tmp_path: Path, journal: Recorder) -> None:
    """A run whose clock is not the real one removes nothing."""
    delivery_to(tmp_path, "old").deliver(messages(1), Recorder(), stop=never)
    later = NOW + timedelta(days=4000)
    delivery_to(tmp_path, "new", keep=None, now=later).deliver([], journal, stop=never)
    assert (tmp_path / "old").is_dir()


def test_an_interrupted_batch_is_taken_away(tmp_path: Path, journal: Recorder) -> None:
    """What a killed run left beside its place goes: at once for the same run, later for others."""
    for run in ("run-1", "run-7", "run-8"):
        left = tmp_path / f".invites-new-{run}"
        left.mkdir()
        (left / "half.eml").write_bytes(b"live link")
    two_days_ago = (NOW - timedelta(days=2)).timestamp()
    os.utime(tmp_path / ".invites-new-run-7", (two_days_ago, two_days_ago))
    delivery_to(tmp_path, "run-1").deliver(messages(1), journal, stop=never)
    assert {path.name for path in tmp_path.iterdir()} == {"run-1", ".invites-new-run-8"}
    assert not (tmp_path / "run-1" / "half.eml").exists()


def test_a_folder_of_somebody_else_with_the_runs_name_is_left_alone(
    tmp_path: Path, journal: Recorder
) -> None:
    """The batch takes the next name."""
    (tmp_path / "run-1").mkdir()
    (tmp_path / "run-1" / "notes.txt").write_text("mine")
    delivery_to(tmp_path).deliver(messages(1), journal, stop=never)
    assert [path.name for path in (tmp_path / "run-1").iterdir()] == ["notes.txt"]
    assert len(rows_of(tmp_path / "run-1-2")) == 1


def test_an_outbox_that_is_a_file_is_a_storage_error(tmp_path: Path, journal: Recorder) -> None:
    """The error names the path and what to do."""
    (tmp_path / "outbox").write_text("I am a file")
    with pytest.raises(StorageError, match="outbox"):
        delivery_to(tmp_path / "outbox").deliver(messages(1), journal, stop=never)
    assert journal.notes == []


def test_flushing_works_without_syncfs_too(
    tmp_path: Path, journal: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system has no syncfs each file is flushed by itself."""
    flushed: list[int] = []
    real = os.fsync
    monkeypatch.setattr(batches, "_sync_file_system", lambda _: False)
    monkeypatch.setattr(os, "fsync", lambda number: (flushed.append(number), real(number))[1])
    delivery_to(tmp_path).deliver(messages(2), journal, stop=never)
    assert len(flushed) >= 7  # two times eml and ics, manifest, batch, outbox


@pytest.mark.parametrize("run", ["", "..", "a/b", "a:b", ".hidden", "x" * 101])
def test_a_runs_name_that_is_no_plain_file_name_is_refused(tmp_path: Path, run: str) -> None:
    """A batch never lands outside its folder."""
    with pytest.raises(ValueError, match="run's name"):
        delivery_to(tmp_path, run)


def test_answers_name_the_batch_and_the_file(tmp_path: Path, journal: Recorder) -> None:
    """The history tells where a message was put."""
    delivery_to(tmp_path).deliver(messages(1), journal, stop=never)
    (row,) = rows_of(tmp_path / "run-1")
    assert journal.outcomes[1].answer == f"in batch run-1/{row['eml']}"
