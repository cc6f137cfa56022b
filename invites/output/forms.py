"""The forms that a build's messages take (a tree of files, one mbox, one tar), and their names.

`FORMS` is the one declaration of what `--as` can name: the help, the checks, and what an earlier
build may hold follow from it.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Final, NamedTuple

from invites.text import slug

if TYPE_CHECKING:  # the help needs the names of forms, and is to be quick
    from invites.invitation import Invitation

INDEX: Final = "index.html"
"""The page of a build that people open."""

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600

_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


_BUFFER: Final = 1 << 18
"""Octets that are written at once: messages one by one, headers between them, take twice as long."""

SLUG_AT_MOST: Final = 40
"""Characters of a name that are there for people."""


@lru_cache(maxsize=1024)
def name_for(text: str) -> str:
    """Return a name for `text`: its slug and 16 hex digits of its SHA-256.

    Lower-case ASCII letters, digits and hyphens, so that it is valid on every file system and
    differs from every other one where upper and lower case are the same; never a device's name.
    """
    code = sha256(text.encode()).hexdigest()[:16]
    return f"{slug(text, SLUG_AT_MOST, otherwise='x')}-{code}"


_FORM: Final = rf"[a-z0-9][a-z0-9-]{{0,{SLUG_AT_MOST}}}-[0-9a-f]{{16}}"
_NAME = re.compile(_FORM)
_FILE_NAME = re.compile(rf"{_FORM}\.(?:eml|ics|html)")


def is_name(text: str) -> bool:
    """Whether `text` is of the form that `name_for` makes."""
    return _NAME.fullmatch(text) is not None


def is_file_name(text: str) -> bool:
    """Whether `text` is of the form that an attendee's message, calendar file or page has."""
    return _FILE_NAME.fullmatch(text) is not None


class Place(NamedTuple):
    """Where an invitation's files stand, relative to the build's folder; "" for none."""

    eml: str
    ics: str
    html: str = ""


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
    return os.fdopen(os.open(name, _NEW_FILE, FILE_MODE, dir_fd=folder), "wb", _BUFFER)


def _write_all(file: int, content: bytes) -> None:
    written = os.write(file, content)
    while written < len(content):
        written += os.write(file, memoryview(content)[written:])


class Form(ABC):
    """Takes invitations, those of a meeting one after the other, and tells where each stands.

    `TOP_FILE` is the one file that holds all messages, "" where each has its own; `PAGES` tells
    whether a mail's HTML can stand beside it.
    """

    TOP_FILE: ClassVar[str] = ""
    PAGES: ClassVar[bool] = False

    def __init__(
        self,
        folder: int,
        *,
        sender: str,
        now: datetime,
        page_of: Callable[[Invitation], bytes] | None = None,
    ) -> None:
        """Begin in the output folder, an open descriptor.

        `sender` and `now` (UTC) are the messages' own; `page_of` returns a mail's HTML, None where
        nobody asked for pages.
        """
        self._top = folder
        self._sender = sender
        self._now = now
        self._page_of = page_of
        self._content: list[bytes] = []
        self._begin()

    @abstractmethod
    def _begin(self) -> None:
        """Prepare what all messages share."""

    def enter(self, meeting_id: str, *, first: bool) -> None:  # noqa: B027 - not all need it
        """Go on with a meeting; `first` where none of its attendees was added, here or elsewhere."""

    @abstractmethod
    def add(self, invitation: Invitation) -> Place:
        """Write one; return where its files stand."""

    @abstractmethod
    def in_browser(self, meeting_id: str, address: str) -> Place:
        """Return what a browser can open of an attendee's files; "" for none."""

    def content(self) -> list[bytes]:
        """Return what the one file has of the invitations since this was asked for last."""
        content, self._content = self._content, []
        return content

    def ending(self, octets: int) -> bytes:  # noqa: ARG002 - a tar's depends on them
        """Return what the one file ends with after so many octets."""
        return b""

    def close(self) -> None:  # noqa: B027 - not all need it
        """Close what is open."""


class Files(Form):
    """`<meeting>/<attendee>.eml`, `.ics` and, to look at, `.html`, in a folder of its meeting."""

    PAGES = True

    def _begin(self) -> None:
        self._folder = -1
        self._name = ""

    def add(self, invitation: Invitation) -> Place:
        """Write the files; FileExistsError where the meeting already has this attendee."""
        name = name_for(invitation.attendee.address)
        write_file(self._folder, f"{name}.eml", invitation.eml)
        write_file(self._folder, f"{name}.ics", invitation.ics)
        if self._page_of is not None:
            write_file(self._folder, f"{name}.html", self._page_of(invitation))
        return self._place(f"{self._name}/{name}")

    def in_browser(self, meeting_id: str, address: str) -> Place:
        """Return all that was written."""
        return self._place(f"{name_for(meeting_id)}/{name_for(address)}")

    def _place(self, path: str) -> Place:
        page = "" if self._page_of is None else f"{path}.html"
        return Place(f"{path}.eml", f"{path}.ics", page)

    def enter(self, meeting_id: str, *, first: bool) -> None:  # noqa: ARG002 - either may come first
        """Open the meeting's folder, which another process may have made for other attendees."""
        self.close()
        self._name = name_for(meeting_id)
        with suppress(FileExistsError):
            os.mkdir(self._name, FOLDER_MODE, dir_fd=self._top)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        self._folder = os.open(self._name, flags, dir_fd=self._top)

    def close(self) -> None:
        """Close the folder of the latest meeting."""
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1


class Mbox(Form):
    """`invitations.mbox` (RFC 4155): each message after a From line, with LF line ends.

    No line of a message can start with "From ": headers have a colon and bodies are base64.
    """

    TOP_FILE = "invitations.mbox"

    def _begin(self) -> None:
        at = self._now.strftime("%a %b %d %H:%M:%S %Y")
        self._from = f"From {self._sender} {at}\n".encode("ascii")

    def add(self, invitation: Invitation) -> Place:
        """Append one message; the mbox holds no separate calendar files."""
        self._content += (self._from, invitation.eml.replace(b"\r\n", b"\n"), b"\n")
        return Place(self.TOP_FILE, "")

    def in_browser(self, meeting_id: str, address: str) -> Place:  # noqa: ARG002 - all in one
        """Return the file of all messages."""
        return Place(self.TOP_FILE, "")


_BLOCK: Final = 512
_RECORD: Final = 20 * _BLOCK


class Tar(Form):
    """`invitations.tar` (POSIX ustar) with the tree of files; the same messages, the same bytes."""

    TOP_FILE = "invitations.tar"

    def _begin(self) -> None:
        seconds = int(self._now.timestamp())
        self._header_of_folder = _tar_headers(b"5", FOLDER_MODE, seconds)
        self._header_of_file = _tar_headers(b"0", FILE_MODE, seconds)
        self._name = ""

    def enter(self, meeting_id: str, *, first: bool) -> None:
        """Append the meeting's folder before its first attendee."""
        self._name = name_for(meeting_id)
        if first:
            self._content.append(self._header_of_folder(f"{self._name}/", 0))

    def add(self, invitation: Invitation) -> Place:
        """Append both files of one invitation; their names are those of the tree."""
        name = f"{self._name}/{name_for(invitation.attendee.address)}"
        for ending, content in (("eml", invitation.eml), ("ics", invitation.ics)):
            header = self._header_of_file(f"{name}.{ending}", len(content))
            self._content += (header, content, bytes(-len(content) % _BLOCK))
        return Place(f"{name}.eml", f"{name}.ics")

    def in_browser(self, meeting_id: str, address: str) -> Place:  # noqa: ARG002
        """Return nothing: a browser opens no member of a tar."""
        return Place("", "")

    def ending(self, octets: int) -> bytes:
        """Return two empty blocks, and what fills the last record."""
        end = 2 * _BLOCK
        return bytes(end + -(octets + end) % _RECORD)


def _tar_headers(kind: bytes, mode: int, seconds: int) -> Callable[[str, int], bytes]:
    """Return what makes a member's header of a name (at most 100 characters) and a size.

    All else, and most of the checksum, is the same for all members of a kind: tarfile, which makes
    all of it for each one, takes three times as long.
    """
    import tarfile  # noqa: PLC0415 - the help needs the names of forms alone

    member = tarfile.TarInfo()
    member.type, member.mode, member.mtime = kind, mode, seconds
    whole = member.tobuf(tarfile.USTAR_FORMAT)
    before_size, time, after_checksum = whole[100:124], whole[136:148], whole[156:]
    alike = sum(before_size + time + b" " * 8 + after_checksum)

    def header(name: str, size: int) -> bytes:
        path, length = name.encode("ascii"), b"%011o\0" % size
        checksum = b"%06o\0 " % (alike + sum(path) + sum(length))
        return b"".join(
            (path.ljust(100, b"\0"), before_size, length, time, checksum, after_checksum)
        )

    return header


FORMS: Final[Mapping[str, type[Form]]] = {"files": Files, "mbox": Mbox, "tar": Tar}
"""What `--as` can name, the default first."""
