"""Batches on disk: writing one, flushing it, finding those that are there and what they hold."""

from __future__ import annotations

import csv
import ctypes
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from invites.delivery import Parcel
from invites.output import manifest
from invites.output.forms import write_file
from invites.output.names import name_for
from invites.output.staging import FOLDER_MODE

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_BUILD_ONLY: Final = "index.html"
"""What a build has at its top and a batch has not."""


class BatchWriter:
    """Writes parcels into a new folder, and the manifest at the end; makes it with the first."""

    def __init__(self, path: Path) -> None:
        """`path` must not exist; its parent must."""
        self._path = path
        self._folders: dict[str, Path] = {}
        self._rows: list[list[str]] = []

    def __enter__(self) -> Self:
        """Write nothing yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the manifest where all went well and there is something in it."""
        if error is None and self._rows:
            self._write(self._path, manifest.NAME, manifest.HEADER, manifest.lines(self._rows))

    def add(self, parcel: Parcel) -> str:
        """Write one message and its calendar file; return the .eml's path within the batch."""
        invitation = parcel.invitation
        if invitation is None:
            raise ValueError("a message that is no invitation does not go into a folder")
        folder = self._folder_for(invitation.meeting_id)
        name = name_for(invitation.attendee.address)
        if (folder / f"{name}.eml").exists():  # an invitation and a reminder in one run
            name += f"-{sha256(parcel.message_id.encode()).hexdigest()[:12]}"
        self._write(folder, f"{name}.eml", parcel.content)
        if invitation.ics:
            self._write(folder, f"{name}.ics", invitation.ics)
        eml = f"{folder.name}/{name}.eml"
        ics = f"{folder.name}/{name}.ics" if invitation.ics else ""
        self._rows.append(manifest.row_for(invitation, eml=eml, ics=ics))
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
