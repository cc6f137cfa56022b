"""Delivery into a folder: a batch per run, whole after one rename, for another mailer to empty.

`<folder>/<run>/` holds `manifest.csv` and `<meeting>/<attendee>.eml` and `.ics`, named as `build`
names them.
A batch is written beside its place, flushed, announced, renamed once, and then noted; so a crash
leaves either no batch or a whole one, and a later run finds out which by the manifests.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from invites.delivery import Journal, Key, Outcome, Parcel, Phase, Sent
from invites.delivery.batches import BatchWriter, batches_in, flush, ids_in
from invites.errors import InvitesError, StorageError, TryAgainError
from invites.output.staging import FOLDER_MODE

_RUN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_BESIDE: Final = ".invites-new-"
ABANDONED_AFTER: Final = timedelta(days=1)
"""Age at which what an interrupted run left beside its place is removed; it holds live links."""


class FolderDelivery:
    """Puts the messages of one run into one batch."""

    name = "folder"

    def __init__(self, folder: Path, *, run: str, now: datetime, keep: timedelta | None) -> None:
        """`keep` is how old a batch may get by `now` before it is removed; None keeps all."""
        if not _RUN.fullmatch(run):
            raise ValueError(f"a run's name has letters, digits, dot, hyphen, underscore: {run!r}")
        self._folder = folder
        self._run = run
        self._now = now
        self._keep = keep

    def __enter__(self) -> Self:
        """Open nothing."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Have nothing to close."""

    def deliver(
        self, parcels: Iterable[Parcel], journal: Journal, *, stop: Callable[[], bool]
    ) -> None:
        """See `Delivery.deliver`: all parcels become one batch, or none does.

        Where this run's batch is there already, what its manifest lists counts as sent.
        """
        with _storage_faults(self._folder):
            self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            self._clean_up()
            beside = self._folder / f"{_BESIDE}{self._run}"
            shutil.rmtree(beside, ignore_errors=True)
            try:
                self._deliver(parcels, journal, beside, stop)
            finally:
                shutil.rmtree(beside, ignore_errors=True)

    def traced(self, message_ids: Iterable[str]) -> Mapping[str, bool]:
        """Tell which messages are in a batch that is still there."""
        with _storage_faults(self._folder):
            there = {each for batch in batches_in(self._folder) for each in ids_in(batch)}
        return {message_id: message_id in there for message_id in message_ids}

    def _deliver(
        self, parcels: Iterable[Parcel], journal: Journal, beside: Path, stop: Callable[[], bool]
    ) -> None:
        place, earlier = self._place()
        adopted: list[Outcome] = []
        written: list[tuple[Key, str]] = []
        with BatchWriter(beside) as batch:
            for parcel in parcels:
                if stop():
                    raise TryAgainError("stopped by a signal; nothing was written; run again")
                if (batch_name := earlier.get(parcel.message_id)) is not None:
                    adopted.append(_sent(parcel.key, f"was in batch {batch_name} already"))
                else:
                    written.append((parcel.key, batch.add(parcel)))
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

    def _clean_up(self) -> None:
        if self._keep is not None:
            for batch in batches_in(self._folder):
                if self._age(batch / "manifest.csv") > self._keep:
                    shutil.rmtree(batch, ignore_errors=True)
        for left in self._folder.glob(f"{_BESIDE}*"):
            if self._age(left) > ABANDONED_AFTER:
                shutil.rmtree(left, ignore_errors=True)

    def _age(self, path: Path) -> timedelta:
        return self._now - datetime.fromtimestamp(path.lstat().st_mtime, UTC)


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
