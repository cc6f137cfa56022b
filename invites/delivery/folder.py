"""Delivery into a folder: a batch per run, whole after one rename, for another mailer to empty.

`<folder>/<run>/` holds `manifest.csv`, the ledger's mark of that time (`ledger.mark`), and
`<meeting>/<attendee>.eml` and `.ics`, named as `build` names them.
A batch is written beside its place, flushed, announced, renamed once, and then noted; so a crash
leaves either no batch or a whole one, and a later run finds out which by the manifests.
"""

from __future__ import annotations

import csv
import ctypes
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final, Self

from invites.delivery.base import Journal, Key, Outcome, OutgoingMessage, Phase, Sent
from invites.errors import InvitesError, StorageError, TryAgainError
from invites.output import manifest
from invites.output.forms import FOLDER_MODE, name_for, new_file, write_file

_RUN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_BESIDE: Final = ".invites-new-"
ABANDONED_AFTER: Final = timedelta(days=1)
"""Age at which what an interrupted run left beside its place is removed; it holds live links."""


class FolderDelivery:
    """Puts the messages of one run into one batch."""

    name = "folder"

    def __init__(
        self,
        folder: Path,
        *,
        run: str,
        now: datetime,
        keep: timedelta | None,
        mark: bytes = b"",
    ) -> None:
        """`keep` is how old a batch may get by `now` before it is removed; None keeps all.

        `mark` is the ledger's, which the batch takes along.
        """
        if not _RUN.fullmatch(run):
            raise ValueError(f"a run's name has letters, digits, dot, hyphen, underscore: {run!r}")
        self._folder = folder
        self._run = run
        self._now = now
        self._keep = keep
        self._mark = mark

    def __enter__(self) -> Self:
        """Open nothing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Have nothing to close."""

    def deliver(
        self, messages: Iterable[OutgoingMessage], journal: Journal, *, stop: Callable[[], bool]
    ) -> None:
        """See `Delivery.deliver`: all messages become one batch, or none does.

        Where this run's batch is there already, what its manifest lists counts as sent.
        """
        with _storage_faults(self._folder):
            self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            clean_up(self._folder, now=self._now, keep=self._keep)
            beside = self._folder / f"{_BESIDE}{self._run}"
            shutil.rmtree(beside, ignore_errors=True)
            try:
                self._deliver(messages, journal, beside, stop)
            finally:
                shutil.rmtree(beside, ignore_errors=True)

    def traced(self, message_ids: Iterable[str]) -> Mapping[str, bool]:
        """Tell which messages are in a batch that is still there."""
        with _storage_faults(self._folder):
            there = {each for batch in batches_in(self._folder) for each in ids_in(batch)}
        return {message_id: message_id in there for message_id in message_ids}

    def _deliver(
        self,
        messages: Iterable[OutgoingMessage],
        journal: Journal,
        beside: Path,
        stop: Callable[[], bool],
    ) -> None:
        place, earlier = self._place()
        adopted: list[Outcome] = []
        written: list[tuple[Key, str]] = []
        with BatchWriter(beside, mark=self._mark) as batch:
            for message in messages:
                if stop():
                    raise TryAgainError("stopped by a signal; nothing was written; run again")
                if (batch_name := earlier.get(message.message_id)) is not None:
                    adopted.append(_sent(message.key, f"was in batch {batch_name} already"))
                else:
                    written.append((message.key, batch.add(message)))
        if adopted:
            journal.note(outcomes=adopted, sending=())
        if written:
            flush(beside)
            journal.note(outcomes=(), sending=[key for key, _ in written])
            beside.rename(place)
            self._make_durable(place)
            sent = [_sent(key, f"in batch {place.name}/{path}") for key, path in written]
            journal.note(outcomes=sent, sending=())

    def _make_durable(self, place: Path) -> None:
        try:
            flush(self._folder)
        except OSError as error:
            raise StorageError(
                f"{place}: the batch is there, but the disk did not confirm it "
                f"({error.strerror or type(error).__name__}); mend the disk and run again: what is "
                "in the batch then is not sent again"
            ) from error

    def _place(self) -> tuple[Path, Mapping[str, str]]:
        """Return where the batch goes, and the batch of each message that this run has there."""
        earlier: dict[str, str] = {}
        place, number = self._folder / self._run, 1
        while place.exists() or place.is_symlink():
            earlier |= dict.fromkeys(ids_in(place), place.name)
            number += 1
            place = self._folder / f"{self._run}-{number}"
        return place, earlier


def clean_up(folder: Path, *, now: datetime, keep: timedelta | None) -> None:
    """Remove batches older than `keep` (None keeps all), and what interrupted runs left behind.

    They hold live links, so each run does this, also one that has nothing to send.
    """
    if keep is not None:
        for batch in batches_in(folder):
            if _age(batch / manifest.NAME, now) > keep:
                shutil.rmtree(batch, ignore_errors=True)
    for left in folder.glob(f"{_BESIDE}*"):
        if _age(left, now) > ABANDONED_AFTER:
            shutil.rmtree(left, ignore_errors=True)


def _age(path: Path, now: datetime) -> timedelta:
    return now - datetime.fromtimestamp(path.lstat().st_mtime, UTC)


def _sent(key: Key, answer: str) -> Sent:
    return Sent(key=key, answer=answer, phase=Phase.BATCH)


@contextmanager
def _storage_faults(folder: Path) -> Iterator[None]:
    try:
        yield
    except InvitesError:
        raise
    except OSError as error:
        raise StorageError(
            f"{folder}: the batch could not be written ({error.strerror or type(error).__name__}); "
            "no part of it was left; make room or correct delivery.folder, and run again"
        ) from error


_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_BUILD_ONLY: Final = "index.html"
"""What a build has at its top and a batch has not."""


class BatchWriter:
    """Writes messages and their manifest into a new folder, the mark at the end."""

    def __init__(self, path: Path, *, mark: bytes = b"") -> None:
        """`path` must not exist; its parent must."""
        self._path = path
        self._mark = mark
        self._folders: dict[str, Path] = {}
        self._listing: BinaryIO | None = None

    def __enter__(self) -> Self:
        """Write nothing yet."""
        return self

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        """End the manifest, where there is one, and write the mark where all went well."""
        if self._listing is not None:
            self._listing.close()
            if error is None and self._mark:
                self._write(self._path, manifest.MARK, self._mark)

    def add(self, message: OutgoingMessage) -> str:
        """Write one message and its calendar file; return the .eml's path within the batch."""
        invitation = message.invitation
        if invitation is None:
            raise ValueError("a message that is no invitation does not go into a folder")
        folder = self._folder_for(invitation.meeting_id)
        name = name_for(invitation.attendee.address)
        if (folder / f"{name}.eml").exists():  # an invitation and a reminder in one run
            name += f"-{sha256(message.message_id.encode()).hexdigest()[:12]}"
        self._write(folder, f"{name}.eml", message.content)
        if invitation.ics:
            self._write(folder, f"{name}.ics", invitation.ics)
        eml = f"{folder.name}/{name}.eml"
        ics = f"{folder.name}/{name}.ics" if invitation.ics else ""
        if self._listing is None:
            descriptor = os.open(self._path, _FOLDER)
            try:
                self._listing = new_file(descriptor, manifest.NAME)
            finally:
                os.close(descriptor)
            self._listing.write(manifest.HEADER)
        self._listing.write(manifest.lines([manifest.row_for(invitation, eml=eml, ics=ics)]))
        return eml

    def _folder_for(self, meeting_id: str) -> Path:
        if meeting_id not in self._folders:
            self._path.mkdir(mode=FOLDER_MODE, exist_ok=True)
            folder = self._path / name_for(meeting_id)
            folder.mkdir(mode=FOLDER_MODE)
            self._folders[meeting_id] = folder
        return self._folders[meeting_id]

    def _write(self, folder: Path, name: str, *contents: bytes) -> None:
        descriptor = os.open(folder, _FOLDER)
        try:
            write_file(descriptor, name, *contents)
        finally:
            os.close(descriptor)


def flush(folder: Path) -> None:
    """Make durable all that is in `folder` and below, and its own entries.

    One syncfs(2) where there is one, for an fsync per file costs milliseconds each; it reports
    write errors since Linux 5.8.
    """
    descriptor = os.open(folder, _FOLDER)
    try:
        if not _sync_file_system(descriptor):
            _fsync_tree(folder)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_file_system(descriptor: int) -> bool:
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        return False
    if syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return True


def _fsync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def batches_in(folder: Path) -> Iterator[Path]:
    """Yield the batches in `folder`, known by their manifests; a build is none, nor is a link."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if not path.name.startswith(".") and is_batch(path):
            yield path


def is_batch(path: Path) -> bool:
    """Whether `path` is a batch of ours."""
    listing = path / manifest.NAME
    if path.is_symlink() or listing.is_symlink() or not listing.is_file():
        return False
    if (path / _BUILD_ONLY).exists():
        return False
    with listing.open("rb") as file:
        return manifest.is_manifest(file.read(len(manifest.HEADER)))


def ids_in(batch: Path) -> frozenset[str]:
    """Return the Message-IDs that a batch's manifest lists; none for what is no batch."""
    if not is_batch(batch):
        return frozenset()
    with (batch / manifest.NAME).open(encoding="utf-8", newline="") as file:
        return frozenset(row["message_id"] for row in csv.DictReader(file))
