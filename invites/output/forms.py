"""The forms that a build's messages take: a tree of files, one mbox, one tar."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from typing import BinaryIO, Final, NamedTuple, Protocol

from invites.model import Invitation
from invites.output.names import name_for
from invites.output.staging import FILE_MODE, FOLDER_MODE

_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


class Place(NamedTuple):
    """Where an invitation's files stand, relative to the build's folder; "" for none."""

    eml: str
    ics: str
    html: str = ""


class Form(Protocol):
    """Takes invitations, those of a meeting one after the other, and tells where each stands."""

    def add(self, invitation: Invitation) -> Place:
        """Write one; return where its files stand."""

    def close(self) -> None:
        """Finish what is open."""


def write_file(folder: int, name: str, *contents: bytes) -> None:
    """Write a new file (0600 whatever the umask) into the folder of an open descriptor."""
    file = os.open(name, _NEW_FILE, FILE_MODE, dir_fd=folder)
    try:
        for content in contents:
            _write_all(file, content)
    finally:
        os.close(file)


def new_file(folder: int, name: str) -> BinaryIO:
    """Return a new file (0600 whatever the umask), to be written piece by piece and closed."""
    return os.fdopen(os.open(name, _NEW_FILE, FILE_MODE, dir_fd=folder), "wb")


def _write_all(file: int, content: bytes) -> None:
    written = os.write(file, content)
    while written < len(content):
        written += os.write(file, memoryview(content)[written:])


class Files:
    """`<meeting>/<attendee>.eml`, `.ics` and, to look at, `.html`, in a folder of its meeting."""

    def __init__(self, folder: int, page_of: Callable[[Invitation], bytes] | None = None) -> None:
        """`folder` is the output folder's open descriptor; `page_of` returns a mail's HTML."""
        self._top = folder
        self._page_of = page_of
        self._meeting_id: str | None = None
        self._folder = -1
        self._name = ""

    def add(self, invitation: Invitation) -> Place:
        """Write the files; FileExistsError where the meeting already has this attendee."""
        if invitation.meeting_id != self._meeting_id:
            self._enter(invitation.meeting_id)
        name = name_for(invitation.attendee.address)
        write_file(self._folder, f"{name}.eml", invitation.eml)
        write_file(self._folder, f"{name}.ics", invitation.ics)
        path = f"{self._name}/{name}"
        if self._page_of is None:
            return Place(f"{path}.eml", f"{path}.ics")
        write_file(self._folder, f"{name}.html", self._page_of(invitation))
        return Place(f"{path}.eml", f"{path}.ics", f"{path}.html")

    def _enter(self, meeting_id: str) -> None:
        self.close()
        self._name = name_for(meeting_id)
        os.mkdir(self._name, FOLDER_MODE, dir_fd=self._top)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        self._folder = os.open(self._name, flags, dir_fd=self._top)
        self._meeting_id = meeting_id

    def close(self) -> None:
        """Close the folder of the latest meeting."""
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1


class Mbox:
    """`invitations.mbox` (RFC 4155): each message after a From line, with LF line ends.

    No line of a message can start with "From ": headers have a colon and bodies are base64.
    """

    NAME: Final = "invitations.mbox"

    def __init__(self, folder: int, *, sender: str, now: datetime) -> None:
        """`sender` and `now` (UTC) stand in the From lines."""
        self._file = os.open(self.NAME, _NEW_FILE, FILE_MODE, dir_fd=folder)
        self._from = f"From {sender} {now.strftime('%a %b %d %H:%M:%S %Y')}\n".encode("ascii")

    def add(self, invitation: Invitation) -> Place:
        """Append one message; the mbox holds no separate calendar files."""
        _write_all(self._file, self._from + invitation.eml.replace(b"\r\n", b"\n") + b"\n")
        return Place(self.NAME, "")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class Tar:
    """`invitations.tar` (POSIX pax) with the tree of files; the same messages, the same bytes."""

    NAME: Final = "invitations.tar"

    def __init__(self, folder: int, *, now: datetime) -> None:
        """`now` is every member's time."""
        self._file = new_file(folder, self.NAME)
        self._tar = tarfile.open(  # noqa: SIM115 - `close` closes it
            fileobj=self._file, mode="w", format=tarfile.USTAR_FORMAT
        )
        self._seconds = int(now.timestamp())
        self._meeting_id: str | None = None
        self._name = ""

    def add(self, invitation: Invitation) -> Place:
        """Append both files of one invitation; their names are those of the tree."""
        if invitation.meeting_id != self._meeting_id:
            self._name, self._meeting_id = name_for(invitation.meeting_id), invitation.meeting_id
            self._member(self._name, None)
        name = f"{self._name}/{name_for(invitation.attendee.address)}"
        self._member(f"{name}.eml", invitation.eml)
        self._member(f"{name}.ics", invitation.ics)
        return Place(f"{name}.eml", f"{name}.ics")

    def _member(self, name: str, content: bytes | None) -> None:
        member = tarfile.TarInfo(name)
        member.mtime = self._seconds
        member.mode = FOLDER_MODE if content is None else FILE_MODE
        member.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
        member.size = len(content or b"")
        self._tar.addfile(member, BytesIO(content or b""))

    def close(self) -> None:
        """Write the tar's end and close the file."""
        try:
            self._tar.close()
        finally:
            self._file.close()


def form_named(
    name: str,
    folder: int,
    *,
    sender: str,
    now: datetime,
    page_of: Callable[[Invitation], bytes] | None = None,
) -> Form:
    """Return the form that `--as` names: files (with pages where `page_of` is given), mbox or tar."""
    forms: dict[str, Callable[[], Form]] = {
        "files": lambda: Files(folder, page_of),
        "mbox": lambda: Mbox(folder, sender=sender, now=now),
        "tar": lambda: Tar(folder, now=now),
    }
    return forms[name]()
